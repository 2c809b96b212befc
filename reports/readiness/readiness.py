"""Business Unit: reports | Status: current.

The statement about cut-over: READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason. READY needs every
criterion to pass; NOT_YET waits for more evidence; BLOCKED waits for a person. No data is never a pass. What people decided
(restarts, accepted strata, closures, versions that count as one) stands in the policy with owner and reason.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator

from reports.data.columns import Path
from reports.data.trading_calendar import trading_days
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum
from reports.readiness.statistics import Looks
from shadow.aws.clients import text_of
from shadow.contracts.errors import ConfigurationError, InvalidPayload
from shadow.contracts.model import Exact, Frozen
from shadow.contracts.words import count


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
    `accepted` names the acceptance by which a thin criterion passes.
    """

    name: str
    title: str
    state: CriterionState
    figure: str
    target: str
    reason: str
    more_days: int | None = None
    more_trades: int | None = None
    accepted: str | None = None


class Statement(Frozen):
    """Readiness on a day, and the evidence it rests on.

    `accepted` comes first wherever it is shown: what a person vouches for because the desk hardly has it. `assumption` is what
    the bound on diverging trades leans on, `without_assumption` what the days say when nothing is assumed. `days` counts the
    covered trading days of the period, `in_a_row` those without a gap up to `as_of`; `look` is the number of planned looks
    taken, `next_look` the covered days at which the next is due. `never_exercised` has what no live run went through;
    `only_drilled` those of them that a replayed or planted run did.
    """

    readiness: Readiness
    as_of: date
    accepted: tuple[str, ...] = ()
    assumption: str = ""
    without_assumption: str = ""
    workflow_in_production: bool = False
    period_began: str = ""
    first_day: date | None
    days: int
    in_a_row: int
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

    @property
    def progress(self) -> str:
        """Say how far the evidence is, and what is in the way: the first criterion that blocks, else the first that waits."""
        order = (CriterionState.FAIL, CriterionState.WAIT)
        held = next((each for state in order for each in self.criteria if each.state is state), None)
        because = f"{held.title}: {held.figure} (target: {held.target})." if held else "Every criterion passes."
        return f"{count(self.in_a_row, 'covered day')} in a row, at least {self.days_needed} needed. {because}"


class KnownEntry(Frozen):
    """One entry of the register of known divergences, as far as readiness and the report need it."""

    id: str
    owner: str
    reason: str
    expires: date
    budget_a_day: int | None = None


Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Acceptance(Frozen):
    """A thin criterion that a named person accepts until a day. `name` is the criterion's, such as `rate.full_exits`.

    The whole (`rate.all`) and the bad days carry the promise: nobody can accept them.
    """

    name: str
    owner: Said
    reason: Said
    expires: date

    @field_validator("name")
    @classmethod
    def _can_be_accepted(cls, name: str) -> str:
        if name not in ACCEPTABLE:
            raise ValueError(f"one of {', '.join(sorted(ACCEPTABLE))}")
        return name


class Restart(Frozen):
    """Evidence before `day` does not count. The error that the looks before it used stays used."""

    day: date
    owner: Said
    reason: Said


class SameVersion(Frozen):
    """Versions whose evidence counts together, because a named person says why."""

    versions: tuple[str, ...] = Field(min_length=2)
    owner: Said
    reason: Said


class Closure(Frozen):
    """A day on which the exchange was closed though its calendar did not know: it neither counts nor breaks a row.

    A day for which there are plans with trades was no such day, whatever is entered.
    """

    day: date
    reason: Said


ACCEPTABLE = frozenset(
    {
        "latency_tail",
        *(f"rate.{stratum.name.lower()}" for stratum in Stratum if stratum is not Stratum.ALL),
        *(f"path.{path.name.lower()}" for path in Path),
        *(f"exercised.{feature.name.lower()}" for feature in Feature),
    }
)
"""The names of the criteria that may be thin."""


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
    }
)


class ReadinessPolicy(Frozen):
    """What readiness asks for, and what people decided. Targets are upper bounds on shares of unexplained divergence, 0..1.

    `correlation` is how much trades of one day may go wrong together (0: not at all, 1: all or none) for the bound on trades to
    hold; where the days seen show more, that is used. `autocorrelation` is how much the durations of one day tell of the
    next. A run is slow above `slow_ratio` times the control's duration.
    """

    days: int = Field(default=10, ge=1)
    look_step: int = Field(default=5, ge=1)
    full_look: int = Field(default=20, ge=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    correlation: float = Field(default=0.10, ge=0, lt=1)
    autocorrelation: float = Field(default=0.5, ge=0, lt=1)
    rate_targets: Mapping[Stratum, float] = Field(default_factory=lambda: dict(RATE_TARGETS))
    bad_day_target: float = Field(default=0.35, gt=0, lt=1)
    path_target: float = Field(default=0.10, gt=0, lt=1)
    bounded_paths: tuple[Path, ...] = (Path.BOTH_PHASES,)
    latency_margin: float = Field(default=0.25, gt=0)
    slow_ratio: float = Field(default=2.0, gt=1)
    slow_target: float = Field(default=0.10, gt=0, lt=1)
    cost_budget_usd: Exact = Decimal(10)
    usd_per_transition: Exact = Decimal("0.000025")
    trading_days_a_month: int = 21
    required: tuple[Feature, ...] = _REQUIRED
    accepted: tuple[Acceptance, ...] = ()
    restarts: tuple[Restart, ...] = ()
    same_versions: tuple[SameVersion, ...] = ()
    closures: tuple[Closure, ...] = ()

    @property
    def looks(self) -> Looks:
        """The planned looks."""
        return Looks(self.days, self.look_step, self.full_look, self.alpha)

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a policy from a TOML file; the defaults where `path` is empty. Raises `ConfigurationError`, `InvalidPayload`."""
        if not path:
            return cls()
        try:
            return cls.parse(tomllib.loads(text_of("READINESS_PATH", path)))
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"readiness policy {path}: expected TOML: {error}") from None
        except InvalidPayload as refused:
            raise InvalidPayload(path, refused.faults) from None

    def restarted(self, text: str) -> Self:
        """Add the restart that EVIDENCE_FROM names: a date, a blank, and the reason. Raises `ConfigurationError`."""
        if not text:
            return self
        begin, _, reason = text.strip().partition(" ")
        try:
            restart = Restart(day=date.fromisoformat(begin), owner="EVIDENCE_FROM", reason=reason.strip())
        except ValueError:
            restart = None
        if restart is None or not restart.reason:
            expected = "a date and why the evidence begins anew, such as '2026-11-24 the sizing fault is fixed'"
            raise ConfigurationError(f"environment: EVIDENCE_FROM: expected {expected}, was {text!r}")
        return self.model_copy(update={"restarts": (*self.restarts, restart)})


@dataclass(frozen=True, slots=True)
class Period:
    """Evidence that counts together: the covered days of one version since the last restart; `began` says why it begins there.

    `uncovered` are the days between them that were not covered. What agreed on them counts for nothing; what diverged is held
    against the covered day that follows (`after[n]`: the uncovered days before covered day n; the last: those after all).
    """

    days: tuple[DayEvidence, ...]
    after: tuple[tuple[DayEvidence, ...], ...]
    began: str


@dataclass(frozen=True, slots=True)
class History:
    """All evidence up to a day: the periods in order, the last of them the present one.

    `open_day` is a last day that still waits for verdicts; `in_a_row` counts the covered days without a gap up to `as_of`.
    """

    as_of: date
    periods: tuple[Period, ...]
    open_day: DayEvidence | None
    in_a_row: int
    policy: ReadinessPolicy

    @property
    def days(self) -> tuple[DayEvidence, ...]:
        """The covered days that count today."""
        return self.periods[-1].days

    @property
    def today(self) -> tuple[DayEvidence, ...]:
        """The same, and the last day as far as it is known."""
        return self.days if self.open_day is None else (*self.days, self.open_day)

    @property
    def seen(self) -> tuple[DayEvidence, ...]:
        """Every day since the period began, covered or not."""
        return (*self.today, *(day for days in self.periods[-1].after for day in days))

    @property
    def look(self) -> int:
        """The planned looks taken in the present period."""
        return self.policy.looks.number(len(self.days))


@dataclass
class _Begun:
    """A period while its days are gone through."""

    began: str
    days: list[DayEvidence] = field(default_factory=list)
    after: list[list[DayEvidence]] = field(default_factory=lambda: [[]])

    def add(self, day: DayEvidence) -> None:
        """Take a day; what diverged on one with the workflow in production is about another question."""
        if day.is_covered:
            self.days.append(day)
            self.after.append([])
        elif not day.swapped:
            self.after[-1].append(day)

    def followed(self, why: str, version: str) -> _Begun:
        """Begin the period of another version; the uncovered days just before it that were no longer of `version` are its own."""
        mine = [day for day in self.after[-1] if day.version == version]
        other = [day for day in self.after[-1] if day.version != version]
        self.after[-1] = mine
        return _Begun(why, after=[other])


def history_of(evidence: Sequence[DayEvidence], as_of: date, policy: ReadinessPolicy) -> History:
    """Divide `evidence` (one entry a trading day, in order) into periods. Raises ValueError where it is not in order.

    A restart or another version begins a new one. A day that is not covered, or has no entry, ends the row, not the period; one
    whose plans only hold, and one on which the exchange was closed, does not even end the row, whatever was published on it.
    """
    if any(before.day >= day.day for before, day in pairwise(evidence)) or (evidence and evidence[-1].day > as_of):
        raise ValueError(f"evidence: expected one entry a day, in order, up to {as_of}")
    closed = {closure.day for closure in policy.closures}
    days = [day for day in evidence if not day.is_quiet and (day.day not in closed or day.published or day.unpublished)]
    open_day = days[-1] if days and days[-1].is_open else None
    names, restarts = _names_of(policy.same_versions), sorted(policy.restarts, key=lambda restart: restart.day)
    begun = [_Begun("the first day of evidence")]
    version, row, last = None, 0, evidence[0].day if evidence else as_of
    entered = {day.day for day in evidence} | closed
    for day in days[:-1] if open_day else days:
        row = 0 if _lacks(last, day.day, entered) else row
        last = day.day
        while restarts and day.day >= restarts[0].day:
            begun.append(_Begun(_begun_anew(restarts.pop(0))))
            row = 0
        if day.is_covered:
            now = ", ".join(sorted({names.get(each, each) for each in day.version.split(", ")}))
            if version is not None and now != version:
                begun.append(begun[-1].followed(f"another version since {day.day}: {now}, before it {version}", version))
                row = 0
            version = now
        row = row + 1 if day.is_covered else row if day.closed else 0
        begun[-1].add(day)
    row = 0 if _lacks(last, as_of + timedelta(days=1), entered) else row
    begun += [_Begun(_begun_anew(restart)) for restart in restarts if restart.day <= as_of]
    periods = tuple(Period(tuple(each.days), tuple(map(tuple, each.after)), each.began) for each in begun)
    return History(as_of, periods, open_day, min(row, len(periods[-1].days)), policy)


def _lacks(before: date, after: date, entered: Collection[date]) -> bool:
    """Tell whether a trading day between two days has no entry."""
    if after - before <= timedelta(days=1):
        return False
    return any(day not in entered for day in trading_days(before + timedelta(days=1), after - timedelta(days=1)))


def _names_of(declared: Sequence[SameVersion]) -> dict[str, str]:
    """Give every version that was declared the same as others one name with them, also by way of a third."""
    groups: list[set[str]] = []
    for each in declared:
        touched = [group for group in groups if group & set(each.versions)]
        groups = [group for group in groups if group not in touched] + [set(each.versions).union(*touched)]
    return {version: min(group) for group in groups for version in group}


def _begun_anew(restart: Restart) -> str:
    return f"restarted by {restart.owner} on {restart.day}: {restart.reason}"


def conclude(criteria: Sequence[Criterion]) -> Readiness:
    """Draw the conclusion: any failure blocks, any wait delays."""
    states = {criterion.state for criterion in criteria}
    if CriterionState.FAIL in states:
        return Readiness.BLOCKED
    return Readiness.READY if states == {CriterionState.PASS} else Readiness.NOT_YET
