"""Business Unit: compare | Status: current.

A finding: something that differs, as a check found it, before causes, register and dollars are looked at. One finding is about
one lane: where both lanes depart from what is right there are two, so that what is said of one never depends on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum

from shadow.compare.case import LaneTrade, TradePair
from shadow.contracts.comparison import Attribution, Impact
from shadow.contracts.model import decimal_text, iso
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Role

_ATTRIBUTIONS = {None: Attribution.NEITHER, Role.CONTROL: Attribution.CONTROL, Role.CANDIDATE: Attribution.CANDIDATE}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, found. `role` is the lane that departs from what is right; None where nothing says which lane does.

    `at_stake` are trades whose dollars belong to this finding where no finding of their own carries them.

    `impact` is what it is worth by itself, where that is not its trade's; `symbol` stands where there is no trade.
    """

    kind: str
    field: str
    rule: str
    explanation: str
    role: Role | None
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    pair: TradePair | None = None
    at_stake: tuple[TradePair, ...] = ()
    symbol: str | None = None
    impact: Impact | None = None

    @property
    def attribution(self) -> Attribution:
        """Which lane departs."""
        return _ATTRIBUTIONS[self.role]


def of_each(finding: Finding, roles: Collection[Role]) -> Iterator[Finding]:
    """Give `finding` once for each lane that departs; as it is, about nobody, where none does."""
    if not roles:
        yield replace(finding, role=None)
    for role in Role:
        if role in roles:
            yield replace(finding, role=role)


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
    """Hold each lane's trade against `check` and give one finding for each lane that fails it.

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
    return _findings((kind, field, str(rule), planned), faults, texts, pair)


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
    """Hold each run against `check` and give one finding for each run that fails it."""
    sides = tuple(runs)
    faults = {run.role: fault for run in sides if (fault := check(run)) is not None}
    if not faults:
        return ()
    texts = {run.role: faults[run.role].shown if run.role in faults else right(run) for run in sides}
    return _findings((kind, field, str(rule), planned), faults, texts, None)


def _findings(
    about: tuple[str, str, str, str | None],
    faults: dict[Role, Fault],
    texts: dict[Role, str | None],
    pair: TradePair | None,
) -> tuple[Finding, ...]:
    kind, field, rule, planned = about
    return tuple(
        Finding(
            kind=kind,
            field=field,
            rule=rule,
            explanation=f"The {role.value} {faults[role].why}.",
            role=role,
            planned=planned,
            control=texts.get(Role.CONTROL),
            candidate=texts.get(Role.CANDIDATE),
            pair=pair,
        )
        for role in Role
        if role in faults
    )
