"""Business Unit: compare | Status: current.

A finding: something that differs, as a check found it, before causes, register and dollars are looked at. A check says for each
lane whether it departs from what is right; the attribution follows from that, in one place, alike for both lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from shadow.compare.case import LaneTrade, TradePair
from shadow.contracts.comparison import Attribution
from shadow.contracts.model import iso, plain
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane

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
    departs: frozenset[Lane]
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    pair: TradePair | None = None

    @property
    def attribution(self) -> Attribution:
        """Which lanes depart."""
        return _ATTRIBUTIONS[Lane.CONTROL in self.departs, Lane.CANDIDATE in self.departs]


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
        return plain(value)
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
    rule: str = "own records agree",
    planned: str | None = None,
    right: Callable[[LaneTrade], str | None] = lambda _side: None,
) -> Iterator[Finding]:
    """Hold each lane's trade against `check` and give one finding for all lanes that fail it.

    `right` is what to show for a lane that does not fail.
    """
    sides = {side.lane: side for side in lanes}
    faults = {lane: fault for lane, side in sides.items() if (fault := check(side)) is not None}
    if faults:
        texts = {lane: faults[lane].shown if lane in faults else right(side) for lane, side in sides.items()}
        yield Finding(
            kind=kind,
            field=field,
            rule=rule,
            explanation=_told(faults),
            departs=frozenset(faults),
            planned=planned,
            control=texts.get(Lane.CONTROL),
            candidate=texts.get(Lane.CANDIDATE),
            pair=pair,
        )


def run_faults(
    kind: str,
    field: str,
    runs: Iterable[RunOutcome],
    check: Callable[[RunOutcome], Fault | None],
    *,
    rule: str = "own records agree",
    planned: str | None = None,
    right: Callable[[RunOutcome], str | None] = lambda _run: None,
) -> Iterator[Finding]:
    """Hold each run against `check` and give one finding for all runs that fail it."""
    sides = {run.lane: run for run in runs}
    faults = {lane: fault for lane, run in sides.items() if (fault := check(run)) is not None}
    if faults:
        texts = {lane: faults[lane].shown if lane in faults else right(run) for lane, run in sides.items()}
        yield Finding(
            kind=kind,
            field=field,
            rule=rule,
            explanation=_told(faults),
            departs=frozenset(faults),
            planned=planned,
            control=texts.get(Lane.CONTROL),
            candidate=texts.get(Lane.CANDIDATE),
        )


def _told(faults: dict[Lane, Fault]) -> str:
    """Say what is wrong with each lane, control first; once, where it is the same."""
    whys = {lane: faults[lane].why for lane in Lane if lane in faults}
    if len(whys) > 1 and len(set(whys.values())) == 1:
        return f"Both lanes: {next(iter(whys.values()))}."
    return " ".join(f"The {lane.value} {why}." for lane, why in whys.items())
