"""Business Unit: tests | Status: current.

Which mutants there are, and which of them are tried: every place that an operator of Cosmic Ray can change in a module, and of
these a sample by a fixed seed, one change a place.

Left out is what no test can tell from the original: annotations and what is imported for them alone (held by mypy), decorators
(speed and memory), the `*` before named arguments, and `is` for `==` where both are true of the members of an enum.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

_SKIPPED = re.compile(r"RemoveDecorator|Variable|Comparison\w*_(Is_Eq|Eq_Is|IsNot_NotEq|NotEq_IsNot)$")
Place = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, order=True)
class Mutant:
    """One change: the `occurrence`-th place of `operator` in the file `path`, which begins at `line`."""

    path: str
    line: int
    column: int
    operator: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column} {self.operator}"


def _operators() -> Iterator[tuple[str, Any]]:
    from cosmic_ray.operators.provider import OperatorProvider  # noqa: PLC0415 - only `make mutants` has it

    provider = OperatorProvider()
    yield from ((name, provider[name]()) for name in provider if not _SKIPPED.search(name))


def _left_out(source: str) -> list[Place]:
    """Give where annotations, decorators, the question for a type checker and the `*` before named arguments stand."""
    nodes: list[ast.expr] = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            nodes.append(node.annotation)
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            nodes.append(node.returns)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            nodes += node.decorator_list
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            nodes.append(node.test)
    return [*map(_place, nodes), *(_marker(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]


def _place(node: ast.expr | ast.arg) -> Place:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)


def _marker(function: ast.FunctionDef) -> Place:
    """Give where the `*` stands behind which arguments are named: it multiplies nothing."""
    start, named = (function.lineno, function.col_offset), function.args.kwonlyargs
    before = [_place(each)[1] for each in (*function.args.posonlyargs, *function.args.args, *function.args.defaults)]
    return max(before, default=start), _place(named[0])[0] if named else start


def mutants_of(path: Path) -> Iterator[tuple[Place, Mutant]]:
    """Give every mutant of a file, with its place."""
    from cosmic_ray.ast import ast_nodes, get_ast  # noqa: PLC0415

    source = path.read_text(encoding="utf-8")
    nodes, skipped = list(ast_nodes(get_ast(source))), _left_out(source)
    for name, operator in _operators():
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, place in enumerate(places):
            start, stop = (tuple(each) for each in place)
            if not any(begin <= start and stop <= end for begin, end in skipped):
                yield (start, stop), Mutant(str(path), *start, name, occurrence)  # type: ignore[misc] # two ints


def sample(paths: Sequence[Path], count: int, seed: int) -> list[Mutant]:
    """Draw `count` places of all that the files have, and one change for each; all of them where there are no more."""
    random = Random(f"{seed} {' '.join(map(str, paths))}")
    places: dict[tuple[str, Place], list[Mutant]] = defaultdict(list)
    for path in paths:
        for place, mutant in mutants_of(path):
            places[str(path), place].append(mutant)
    chosen = random.sample(sorted(places), min(count, len(places)))
    return sorted(random.choice(sorted(places[each])) for each in chosen)


def mutated(mutant: Mutant) -> str:
    """Give the file's text with the change made. Raises ValueError where there is no such place."""
    from cosmic_ray.mutating import mutate_code  # noqa: PLC0415

    operator = dict(_operators())[mutant.operator]
    text = mutate_code(Path(mutant.path).read_text(encoding="utf-8"), operator, mutant.occurrence)
    if text is None:
        raise ValueError(f"{mutant}: expected a place to change, was none")
    return str(text)
