"""The house stays one that can be walked: few modules of one idea each, and no import that comes back to where it began."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 500
ONE_BY_DESIGN = "shadow/publish/__init__.py"
"""What the control's process loads is one file, and has a bound of its own."""
WALK = {
    "functions.compare_outcomes.lambda_handler",
    "shadow.settlement.hints",
    "shadow.settlement.settler",
    "shadow.settlement.cases",
    "shadow.settlement.documents",
    "shadow.settlement.conservation",
    "shadow.settlement.judging",
    "shadow.compare.judge",
}
"""From a hint to the verdict. Behind these are the adapters, each of a lane or a service, and the checks that the judge asks."""


@cache
def modules() -> dict[str, Path]:
    paths = [path for room in ("shadow", "reports", "functions") for path in sorted((ROOT / room).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(path: Path) -> set[str]:
    """Give the modules of ours that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & modules().keys() or {node.module}
    return names & modules().keys()


@pytest.mark.parametrize(("room", "most"), [("shadow", 140), ("reports", 32)])
def test_a_room_has_few_modules(room: str, most: int) -> None:
    assert sum(path.is_relative_to(ROOT / room) for path in modules().values()) <= most


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in modules().values()}
    assert {name for name, lines in lengths.items() if lines > MOST_LINES} == {ONE_BY_DESIGN}


def test_no_import_comes_back_to_where_it_began() -> None:
    arrows = {name: imported(path) for name, path in modules().items() if path.name != "__init__.py"}
    TopologicalSorter(arrows).prepare()


def test_a_plan_is_walked_from_hint_to_verdict_in_eight_modules() -> None:
    road, ahead = {"shadow.compare.judge"}, ["functions.compare_outcomes.lambda_handler"]
    while ahead:
        name = ahead.pop()
        road.add(name)
        found = {each for each in imported(modules()[name]) if each.startswith("shadow.settlement.")}
        ahead += found - road - {"shadow.settlement.composition"}  # what puts them together is not on the way
    assert road == WALK
    assert "shadow.compare.judge" in imported(modules()["shadow.settlement.judging"])
