"""Business Unit: tests | Status: current.

No result has the order of a set. Texts are hashed anew in each process, so what a set gives first differs from run to run: what
becomes a list, a text, a request or a message is sorted on the way. Ruff knows set displays alone (PLC0208), so this reads the
sources: what is a set by its making or its annotation, and is gone through where order shows, is named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("shadow", "functions", "reports", "local/broker_simulator", "tests/simulation")
SET_MAKERS = frozenset({"set", "frozenset", "Set", "AbstractSet", "FrozenSet"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
VIEWS = frozenset({"keys", "items"})
ANY_ORDER = frozenset({"sorted", "set", "frozenset", "any", "all", "sum", "len", "min", "max", "Counter"})
"""What gives the same for any order (sums of decimals too: they are exact)."""
IN_ORDER = frozenset({"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "deque", "chain"})
MANY = 10
OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)


def is_set_annotation(node: ast.expr | None) -> bool:
    """Tell whether an annotation says that a value is a set."""
    if isinstance(node, ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id in SET_MAKERS


class Reader(ast.NodeVisitor):
    """Finds where a set is gone through in order, in one module."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, bool]] = [{}]
        self.found: list[tuple[int, str]] = []
        self.free: set[int] = set()

    def is_set(self, node: ast.expr) -> bool:  # noqa: PLR0911 - one answer a kind of expression
        """Tell whether an expression is a set, as far as the module says."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in ("set", "frozenset") or self.scopes[0].get(name, False)
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return name in SET_METHODS and self.is_set(value)
            case ast.BinOp(left=left, op=operator, right=right):
                views = [self.is_set(side) or _is_view(side) for side in (left, right)]
                return isinstance(operator, OPERATORS) and (all(views) or self.is_set(left))
            case ast.IfExp(body=body, orelse=other):
                return self.is_set(body) or self.is_set(other)
            case ast.Name(id=name):
                return next((known[name] for known in reversed(self.scopes) if name in known), False)
            case ast.Attribute(attr=name):
                return self.scopes[0].get(f".{name}", False)
        return False

    def note(self, node: ast.expr, how: str) -> None:
        """Note a set that is gone through in order."""
        if self.is_set(node):
            self.found.append((node.lineno, f"{how}: {ast.unparse(node)[:60]}"))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs)
        self.scopes.append({each.arg: is_set_annotation(each.annotation) for each in arguments})
        self.generic_visit(node)
        self.scopes.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scopes[-1][target.id] = self.is_set(node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.scopes[-1][node.target.id] = is_set_annotation(node.annotation)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for each in node.body:
            if not isinstance(each, ast.AnnAssign):  # a field is known by `declared`
                self.visit(each)

    def visit_Compare(self, node: ast.Compare) -> None:
        for each in node.comparators:
            if isinstance(each, ast.Tuple | ast.List):
                self.free |= {id(inner) for inner in each.elts}
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self.note(node.iter, "for")
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        if id(node) not in self.free:
            self.note(node.value, "unpacked")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self.free |= {id(each) for each in node.elts}
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ANY_ORDER:
            self.free |= {id(each) for each in node.args}
        if name in IN_ORDER or (isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "extend")):
            for each in node.args:
                self.note(each, name or "join")
        self.generic_visit(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> None:
        if id(node) not in self.free:
            for each in node.generators:
                self.note(each.iter, "comprehension")
        self.generic_visit(node)

    visit_ListComp = visit_GeneratorExp = visit_DictComp = _comprehension  # noqa: N815 - the visitor's names


def _is_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VIEWS


def declared(tree: ast.Module) -> set[str]:
    """Give what a module declares as sets: fields and properties of its classes, with a point before them, and its functions."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(body=body):
                fields = [each for each in body if isinstance(each, ast.AnnAssign) and is_set_annotation(each.annotation)]
                names |= {f".{each.target.id}" for each in fields if isinstance(each.target, ast.Name)}
                names |= {
                    f".{each.name}" for each in body if isinstance(each, ast.FunctionDef) and is_set_annotation(each.returns)
                }
            case ast.FunctionDef(name=name, returns=returns) if is_set_annotation(returns):
                names.add(name)
    return names


def others(tree: ast.Module) -> set[str]:
    """Give the fields and properties that a module declares as something else."""
    bodies = [each for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for each in node.body]
    fields = {each.target.id for each in bodies if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)}
    methods = {each.name for each in bodies if isinstance(each, ast.FunctionDef)}
    return {f".{name}" for name in fields | methods} - declared(tree)


def unordered(tree: ast.Module, shared: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """Give where in a module a set is gone through in order, by line; `shared` are the fields that are sets wherever they are."""
    reader = Reader()
    reader.scopes[0] |= dict.fromkeys(declared(tree) | shared, True)
    reader.visit(tree)
    yield from reader.found


def test_no_set_is_gone_through_in_order() -> None:
    trees = {path: ast.parse(path.read_text("utf-8")) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}
    shared = {name for tree in trees.values() for name in declared(tree) if name.startswith(".")}
    shared -= {name for tree in trees.values() for name in others(tree)}
    found = [
        f"{path.relative_to(ROOT)}:{line} {what}"
        for path, tree in trees.items()
        for line, what in unordered(tree, frozenset(shared))
    ]
    assert found == [], "sort it, or keep it as a tuple: see docs/determinism.md"
    assert len(shared) > MANY


@pytest.mark.parametrize(
    "line",
    [
        "for each in {1, 2}: say(each)",
        "names = set(read())\ntext = ', '.join(names)",
        "def give(names: frozenset[str]) -> list[str]:\n    return [name.upper() for name in names]",
        "def give(names: set[str]) -> tuple[str, ...]:\n    return (*names, 'more')",
        "def names_of(it: str) -> set[str]: ...\nfound = list(names_of('it'))",
        "found = tuple(left.keys() | right.keys())",
        "class Box:\n    names: set[str]\ndef give(box: Box) -> object:\n    return {name: 1 for name in box.names - known}",
        "first = next(iter(set(found)))",
    ],
)
def test_a_set_whose_order_shows_is_found(line: str) -> None:
    assert list(unordered(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "for each in sorted({1, 2}): say(each)",
        "def give(names: set[str]) -> bool:\n    return any(name.isupper() for name in names)",
        "def give(names: set[str]) -> frozenset[str]:\n    return frozenset({*names, 'more'})",
        "def give(name: str, names: set[str]) -> bool:\n    return name in ('one', *names)",
        "def give(names: set[str]) -> list[str]:\n    names = sorted(names)\n    return [name for name in names]",
        "class Box:\n    names: set[str]\n    def give(self) -> list[str]:\n        names = ['one']\n        return list(names)",
    ],
)
def test_a_set_whose_order_does_not_show_is_let_be(line: str) -> None:
    assert list(unordered(ast.parse(line))) == []
