"""Business Unit: compare | Status: current.

A finding: something that differs, as a check found it, before causes, register and dollars are looked at. A check says for each
lane whether it departs from what is right; the attribution follows from that, in one place, alike for both lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from shadow.compare.case import LaneTrade, TradePair
from shadow.contracts.comparison import Attribution
from shadow.contracts.model import decimal_text, iso
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Role

_ATTRIBUTIONS = {
    (False, False): Attribution.NEITHER,
    (True, False): Attribution.CONTROL,
    (False, True): Attribution.CANDIDATE,
    (True, True): Attribution.BOTH,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, found. `departs` names the lanes that depart from what is right."""

    kind: str
    field: str
    rule: str
    explanation: str
    departs: frozenset[Role]
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    pair: TradePair | None = None

    @property
    def attribution(self) -> Attribution:
        """Which lanes depart."""
        return _ATTRIBUTIONS[Role.CONTROL in self.departs, Role.CANDIDATE in self.departs]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one lane: `shown` is what the lane has, `why` a clause that says what is wrong with it."""

    shown: str
    why: str


def shown(value: object) -> str | None:
    """Write a value for people: exact decimals, plain words, ISO times; None stays None."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def own_faults(
    kind: str,
    field: str,
    lanes: Iterable[LaneTrade],
    check: Callable[[LaneTrade], Fault | None],
    pair: TradePair,
    *,
    rule: object = "own records agree",
    planned: str | None = None,
    right: Callable[[LaneTrade], str | None] = lambda _side: None,
) -> tuple[Finding, ...]:
    """Hold each lane's trade against `check` and give one finding for all lanes that fail it.

    `rule` is written out only where something failed; `right` is what to show for a lane that does not fail.
    """
    sides = tuple(lanes)
    faults = {}
    for side in sides:
        fault = check(side)
        if fault is not None:
            faults[side.role] = fault
    if not faults:
        return ()
    texts = {side.role: faults[side.role].shown if side.role in faults else right(side) for side in sides}
    return (_finding((kind, field, str(rule), planned), faults, texts, pair),)


def run_faults(
    kind: str,
    field: str,
    runs: Iterable[RunOutcome],
    check: Callable[[RunOutcome], Fault | None],
    *,
    rule: object = "own records agree",
    planned: str | None = None,
    right: Callable[[RunOutcome], str | None] = lambda _run: None,
) -> tuple[Finding, ...]:
    """Hold each run against `check` and give one finding for all runs that fail it."""
    sides = tuple(runs)
    faults = {run.role: fault for run in sides if (fault := check(run)) is not None}
    if not faults:
        return ()
    texts = {run.role: faults[run.role].shown if run.role in faults else right(run) for run in sides}
    return (_finding((kind, field, str(rule), planned), faults, texts, None),)


def _finding(
    about: tuple[str, str, str, str | None],
    faults: dict[Role, Fault],
    texts: dict[Role, str | None],
    pair: TradePair | None,
) -> Finding:
    kind, field, rule, planned = about
    return Finding(
        kind=kind,
        field=field,
        rule=rule,
        explanation=_told(faults),
        departs=frozenset(faults),
        planned=planned,
        control=texts.get(Role.CONTROL),
        candidate=texts.get(Role.CANDIDATE),
        pair=pair,
    )


def _told(faults: dict[Role, Fault]) -> str:
    """Say what is wrong with each lane, control first; once, where it is the same."""
    whys = {role: faults[role].why for role in Role if role in faults}
    if len(whys) > 1 and len(set(whys.values())) == 1:
        return f"Both lanes: {next(iter(whys.values()))}."
    return " ".join(f"The {role.value} {why}." for role, why in whys.items())
