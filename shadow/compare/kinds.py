"""Business Unit: compare | Status: current.

What a kind of difference is, and the closed list `KINDS` of them all. The list itself is data, in `kinds.toml`, in the order
in which differences of one trade or run are told: causes before what follows from them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType

from shadow.contracts.comparison import Level, Severity


class Basis(StrEnum):
    """How the attribution of a kind is found."""

    PLAN = "plan"
    OWN = "own"
    ACROSS = "across"


class Scope(StrEnum):
    """What a difference of a kind is about."""

    RUN = "run"
    TRADE = "trade"


BASIS_MEANING = {
    Basis.PLAN: "each lane is held against the plan and its rules; the lanes that depart from it are named",
    Basis.OWN: "each lane is held against its own records; the lanes that contradict themselves are named",
    Basis.ACROSS: "the lanes are held against each other; a lane is named where the plan or the rules say which is right",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of difference.

    `follows` names the kinds that can explain it, `impact` whether it can move money, `coverable` whether a register entry may
    hide it, `absence` whether it is found by something not being there; `order` is its place in the list.
    """

    name: str
    scope: Scope
    level: Level
    severity: Severity
    basis: Basis
    meaning: str
    follows: tuple[str, ...]
    impact: bool
    coverable: bool
    absence: bool
    order: int


def _read() -> Mapping[str, Kind]:
    text = files("shadow.compare").joinpath("kinds.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)
    return MappingProxyType({name: _kind(name, row, order) for order, (name, row) in enumerate(rows.items())})


def _kind(name: str, row: Mapping[str, object], order: int) -> Kind:
    follows = row.get("follows", ())
    return Kind(
        name=name,
        scope=Scope(str(row["scope"])),
        level=Level(str(row["level"])),
        severity=Severity(str(row["severity"])),
        basis=Basis(str(row["basis"])),
        meaning=str(row["meaning"]),
        follows=tuple(str(cause) for cause in follows) if isinstance(follows, list) else (),
        impact=row.get("impact") is True,
        coverable=row.get("coverable") is not False,
        absence=row.get("absence") is True,
        order=order,
    )


KINDS: Mapping[str, Kind] = _read()
