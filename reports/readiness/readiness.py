"""Business Unit: reports | Status: current.

The statement about cut-over: READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason. READY needs every
criterion to pass on the evidence of one unbroken period of fully covered trading days; NOT_YET waits for more evidence;
BLOCKED waits for a person. No data is never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile
from types import MappingProxyType

from pydantic import Field

from reports.data.columns import Path
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum
from reports.readiness.statistics import Looks
from shadow.contracts.model import Exact, Frozen


class Readiness(StrEnum):
    """Whether the candidate may take over."""

    READY = "READY"
    NOT_YET = "NOT_YET"
    BLOCKED = "BLOCKED"


class CriterionState(StrEnum):
    """PASS: met. WAIT: more evidence is needed. FAIL: a person must act first."""

    PASS = "pass"  # noqa: S105 - a state, not a secret
    WAIT = "wait"
    FAIL = "fail"


class Criterion(Frozen):
    """One criterion: what it found, what it wants, and why it says what it says.

    `more_days` and `more_trades` are what the evidence still needs at the present rate; None where that can't be said.
    """

    name: str
    title: str
    state: CriterionState
    figure: str
    target: str
    reason: str
    more_days: int | None = None
    more_trades: int | None = None


class Statement(Frozen):
    """Readiness on a day, and the evidence it rests on.

    `days` counts the fully covered trading days in a row up to `as_of`, `look` the planned looks taken at them, `next_look` the
    days at which the next is due. `never_exercised` has what no live run went through; `only_drilled` those of them that a
    replayed or planted run did. `workflow_in_production`: the last day was traded by the workflow, so that there is
    nothing to cut over to, and this says what a second cut-over would still need.
    """

    readiness: Readiness
    as_of: date
    workflow_in_production: bool = False
    first_day: date | None
    days: int
    days_needed: int
    look: int
    next_look: int
    trades: int
    runs: int
    drills: int
    criteria: tuple[Criterion, ...]
    never_exercised: tuple[str, ...]
    only_drilled: tuple[str, ...]
    more_days: int | None
    more_trades: int | None


class KnownEntry(Frozen):
    """One entry of the register of known divergences, as far as readiness and the report need it."""

    id: str
    owner: str
    reason: str
    expires: date
    budget_a_day: int | None = None


_REQUIRED = (
    Feature.BOTH_PHASES,
    Feature.SELLS_ONLY,
    Feature.BUYS_ONLY,
    Feature.GUARD_BLOCKED,
    Feature.EQUITY_BLOCKED,
    Feature.MARKET_CLOSED,
    Feature.FULL_EXIT,
    Feature.PARTIAL_FILL,
)


RATE_TARGETS = MappingProxyType(
    {
        Stratum.ALL: 0.05,
        Stratum.BUYS: 0.10,
        Stratum.SELLS: 0.10,
        Stratum.FULL_EXITS: 0.25,
        Stratum.LARGE: 0.10,
        Stratum.SMALL: 0.20,
        Stratum.RUNS: 0.35,
    }
)


class ReadinessPolicy(Frozen):
    """What readiness asks for. Targets are upper bounds on rates of unexplained divergence, 0..1.

    The defaults are what ten days of the usual 5 to 20 trades a day can show; see docs/readiness.md for what they need.
    """

    days: int = Field(default=10, ge=1)
    look_step: int = Field(default=5, ge=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    rate_targets: Mapping[Stratum, float] = Field(default_factory=lambda: dict(RATE_TARGETS))
    path_target: float = Field(default=0.10, gt=0, lt=1)
    bounded_paths: tuple[Path, ...] = (Path.BOTH_PHASES,)
    latency_margin: float = Field(default=0.25, gt=0)
    cost_budget_usd: Exact = Decimal(10)
    usd_per_transition: Exact = Decimal("0.000025")
    trading_days_a_month: int = 21
    required: tuple[Feature, ...] = _REQUIRED

    @property
    def looks(self) -> Looks:
        """The planned looks."""
        return Looks(self.days, self.look_step, self.alpha)


@dataclass(frozen=True, slots=True)
class Period:
    """The evidence: the unbroken run of covered days, and the part of it that the last planned look sees."""

    as_of: date
    days: tuple[DayEvidence, ...]
    seen: tuple[DayEvidence, ...]
    look: int
    policy: ReadinessPolicy

    @property
    def alpha(self) -> float:
        """The error that this look may make; before the first look, what the first may."""
        return self.policy.looks.share(max(self.look, 1))


def period_of(evidence: Sequence[DayEvidence], as_of: date, policy: ReadinessPolicy) -> Period:
    """Take the covered days in a row that end with the last of `evidence` (its days in order, none left out).

    A last day that only waits for verdicts neither counts nor breaks the row.
    """
    settled = evidence[:-1] if evidence and evidence[-1].is_open else evidence
    covered = tuple(reversed(list(takewhile(lambda day: day.is_covered, reversed(settled)))))
    look = policy.looks.number(len(covered))
    return Period(as_of, covered, covered[: policy.looks.days(look)] if look else covered, look, policy)


def conclude(criteria: Sequence[Criterion]) -> Readiness:
    """Draw the conclusion: any failure blocks, any wait delays."""
    states = {criterion.state for criterion in criteria}
    if CriterionState.FAIL in states:
        return Readiness.BLOCKED
    return Readiness.READY if states == {CriterionState.PASS} else Readiness.NOT_YET
