"""Business Unit: lanes | Status: current.

The seam: what a lane's adapter offers, and what one look at a lane found.

When a lane has settled: reached an end from which its evidence will not change. Pure.

The control writes a trade and then, separately, the counters; so a run that no winner claims (FAILED by a safety rule) is
settled only when no trade can still change and its counters have caught up, or have had their time to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from shadow.aws.clients import text_of
from shadow.aws.table import RawItem
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.control_records import ExecutionStatus, LegacyRunStatus
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import EffectKind, Lane, RunStatus, Side, TradeStatus
from shadow.lanes.brokers.orders import Neighbours
from shadow.lanes.lane_file import LaneFile
from shadow.lanes.redaction import DocumentWriter

_NEVER_ENDED = frozenset({TradeStatus.UNFINISHED})
_ENDED = frozenset({TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.SKIPPED})


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the comparator waits, in seconds, from publication unless said otherwise.

    The first three are the default policy's; `deadlines_from` takes them from the policy in force and the stack's parameter.

    `late_after`, `missing_after`: the pair's first and last deadline; the last well before the control's items expire.
    `stuck_after`: the age of a lane's state at which it counts as stuck. `quiet`: how long the control's second write
    may follow its first. `effects_grace`: how long, after the control's end, its events may take to arrive.
    `aborted_quiet`: how long functions of an aborted execution may go on writing. `start_unknown_after`: the age at which an
    unconfirmed start is looked into, `restart_within`: the age up to which the candidate may still be started.
    `effects_final`: the age from which nothing is read any more but what was copied; captured events expire after 30 days.
    """

    late_after: float = 3_600.0
    missing_after: float = 21_600.0
    stuck_after: float = 3_600.0
    quiet: float = 30.0
    effects_grace: float = 120.0
    aborted_quiet: float = 300.0
    start_unknown_after: float = 120.0
    restart_within: float = 900.0
    control_expiry: float = 86_400.0
    effects_final: float = 432_000.0


@dataclass(frozen=True, slots=True)
class Settledness:
    """Whether a lane has settled, and if not, what is being waited for and since when.

    `imminent`: nothing is to be done any more but a write that follows at once, and no event will tell of it.
    """

    settled: bool
    waiting_for: str = ""
    since: datetime | None = None
    imminent: bool = False


def control_settledness(outcome: RunOutcome, now: datetime, deadlines: Deadlines) -> Settledness:
    """Tell whether the control's run can still change."""
    since = _last_change(outcome)
    open_trades = [trade for trade in outcome.trades if trade.status in _NEVER_ENDED]
    if outcome.status is RunStatus.UNFINISHED:
        status = outcome.raw_status or "no status"
        imminent = status == LegacyRunStatus.AGGREGATING and not _quiet(since, now, deadlines.quiet)
        return Settledness(settled=False, waiting_for=f"legacy run in {status}", since=since, imminent=imminent)
    if outcome.status is RunStatus.BLOCKED_BY_GUARD:
        open_trades = [trade for trade in open_trades if trade.action is Side.SELL]
    if open_trades:
        return Settledness(settled=False, waiting_for=f"{len(open_trades)} control trades", since=since)
    if outcome.status is RunStatus.COMPLETED or _counters_caught_up(outcome) or _quiet(since, now, deadlines.quiet):
        return Settledness(settled=True)
    return Settledness(settled=False, waiting_for="control counters", since=since, imminent=True)


def candidate_settledness(
    describe_status: object, stopped_at: datetime | None, now: datetime, aborted_quiet: float
) -> Settledness:
    """Tell whether the candidate's execution has ended and its functions can no longer write."""
    known = isinstance(describe_status, str) and describe_status in ExecutionStatus.__members__
    status = ExecutionStatus(str(describe_status)) if known else None
    if status is None or not status.is_terminal:
        return Settledness(settled=False, waiting_for=f"candidate execution {describe_status}")
    abrupt = status in (ExecutionStatus.ABORTED, ExecutionStatus.TIMED_OUT)
    if abrupt and not _quiet(stopped_at, now, aborted_quiet):
        return Settledness(settled=False, waiting_for=f"functions of an execution {status}", since=stopped_at)
    return Settledness(settled=True)


def effects_settled(control: RunOutcome, now: datetime, deadlines: Deadlines, *, ledger_rows: bool) -> Settledness:
    """Tell whether the control's events (and, with `ledger_rows`, its trade ledger) are all there or overdue.

    Expected are a TradeExecuted for each trade that ended, a ledger row for each that filled, and the run's own event.
    """
    if control.effects is None or _quiet(_last_change(control), now, deadlines.effects_grace):
        return Settledness(settled=True)
    seen = {(effect.kind, effect.trade_id) for effect in control.effects}
    kinds = {kind for kind, _ in seen}
    ended = [trade for trade in control.trades if trade.status in _ENDED]
    missing = [trade.trade_id for trade in ended if (EffectKind.TRADE_EXECUTED, trade.trade_id) not in seen]
    if ledger_rows:
        filled = [trade for trade in ended if trade.order_id and trade.filled_quantity]
        missing += [trade.trade_id for trade in filled if (EffectKind.LEDGER_ENTRY, trade.trade_id) not in seen]
    final = EffectKind.ALL_TRADES_COMPLETED if control.status is RunStatus.COMPLETED else EffectKind.WORKFLOW_FAILED
    if missing or final not in kinds:
        count = len(missing) + (final not in kinds)
        return Settledness(settled=False, waiting_for=f"{count} legacy effects", since=_last_change(control))
    return Settledness(settled=True)


def is_stuck(settledness: Settledness, now: datetime, deadlines: Deadlines) -> bool:
    """Tell whether a lane that has not settled has been in its state for too long."""
    return not settledness.settled and settledness.since is not None and _quiet(settledness.since, now, deadlines.stuck_after)


def _counters_caught_up(outcome: RunOutcome) -> bool:
    counters = outcome.counters
    ended = sum(trade.status in _ENDED or bool(trade.completed_at) for trade in outcome.trades)
    return counters is not None and counters.completed is not None and counters.completed >= ended


def _last_change(outcome: RunOutcome) -> datetime | None:
    moments = [outcome.started_at, outcome.buy_phase_started_at, outcome.completed_at]
    for trade in outcome.trades:
        moments += [trade.started_at, trade.completed_at]
    return max((moment for moment in moments if moment is not None), default=None)


def _quiet(since: datetime | None, now: datetime, seconds: float) -> bool:
    return since is not None and now - since >= timedelta(seconds=seconds)


class Presence(StrEnum):
    """What one look at a lane found."""

    ABSENT = "ABSENT"
    ACTIVE = "ACTIVE"
    SETTLED = "SETTLED"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a lane found.

    Of a lane that has not settled, `draft` (legacy) is its evidence as it is just now, and `describe` (workflow) what its
    execution says of itself.
    """

    lane: Lane
    presence: Presence
    settledness: Settledness
    ref: EvidenceRef | None = None
    draft: DocumentWriter | None = None
    describe: Mapping[str, object] | None = None
    gaps: tuple[Gap, ...] = ()
    stuck: bool = False


class ControlSource(Protocol):
    """The control's records."""

    def run_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's item and its trades' items, by sort key."""

    def captured_events(self, run_id: str) -> Iterable[RawItem] | None:
        """Read the events captured of the run, by sort key; None where nobody captures them."""

    def other_runs(self, run_id: str) -> Iterable[RawItem]:
        """Read which further runs of the run's plan were seen, in either lane, by sort key."""

    def ledger_rows(self, correlation_id: str) -> Iterable[RawItem] | None:
        """Read the trade ledger's rows of a plan, by sort key; None where there is no such table."""


class CandidateSource(Protocol):
    """The candidate's records."""

    def execution_arn(self, run_id: str) -> str:
        """Name the execution of a run."""

    def describe(self, execution_arn: str) -> Mapping[str, object] | None:
        """Read DescribeExecution's answer; None where the execution does not exist."""

    def history(self, execution_arn: str) -> list[Mapping[str, object]]:
        """Read the whole history."""

    def map_runs(self, history: list[Mapping[str, object]]) -> Iterable[Mapping[str, object] | Gap]:
        """Read a summary of each map run that the history names, and what of them could not be read."""

    def state_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's items of the candidate's state table, by sort key."""


class PlanSource(Protocol):
    """Where a pair's plan is read."""

    def plan_of(self, pair: Pair) -> RebalancePlan:
        """Read the plan of a pair."""


class BrokerTruth(Protocol):
    """What the brokers say of both lanes' orders."""

    def read(
        self,
        control: RunOutcome | None,
        candidate: RunOutcome | None,
        neighbours: Neighbours,
        published_at: datetime,
        now: datetime,
    ) -> Mapping[str, object]:
        """Fetch both accounts as an evidence document. `neighbours`: the day's other runs."""

    def look(self, published_at: datetime, now: datetime) -> Mapping[str, object]:
        """Fetch what both accounts hold now, and what has been ordered since the plan, as an evidence document."""


def lane_file_at(path: str) -> LaneFile | None:
    """Read the lane file at `path`; None when it is empty. Raises `InvalidPayload`, `ConfigurationError`."""
    if not path:
        return None
    return LaneFile.read(text_of("LANE_FILE_PATH", path), path)
