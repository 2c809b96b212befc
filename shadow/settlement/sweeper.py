"""Business Unit: evidence | Status: current.

The sweeper does each minute what does not wait for an event. It visits every open pair, looks again at the closed ones of the
last days (a redrive or a late lane whose event was lost), completes starts whose fate is unknown, emits what a dead comparator
left unannounced, counts the orders of ours that a dead run left working, and states the ledger's gauges. One pair's trouble never
keeps it from the next.

Which days the New York Stock Exchange trades on, by its own rules (NYSE rule 7.2), so that the sweeper can miss a day without
carrying a calendar library. Closures that no rule foresees (mourning, storms) count as trading days: they cost one alarm that a
person can explain. Held against the exchange's calendar by the tests; the reports use that calendar itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from shlex import quote
from time import monotonic

from shadow.aws.table import plain_item
from shadow.contracts.candidate_state import INTENT_SK_PREFIX, IntentRecord
from shadow.contracts.control_records import ExecutionStatus
from shadow.contracts.pair import Pair, PairLedger, PairState, StartState, SweepNotes, Transition, UnreadablePair, moved
from shadow.contracts.vocabulary import Lane, Metric, Origin, Recorder
from shadow.contracts.words import MARKET_ZONE
from shadow.contracts.workflow import MAX_INLINE_TRADES
from shadow.lanes.lane import CandidateSource, Deadlines
from shadow.settlement.conservation import Conservation, conservation
from shadow.settlement.judging import Starter
from shadow.settlement.settler import Settlement, Settler, announce

_SATURDAY, _SUNDAY = 5, 6
_MONDAY, _THURSDAY = 0, 3
_FIRST_JUNETEENTH = 2022
_LATE_MOON, _LATE_YEAR = 28, 10


def is_exchange_open(day: date) -> bool:
    """Tell whether the exchange trades on `day`, as far as its rules say."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[date]:
    """Give the year's holidays as they are kept: a Sunday's on Monday, a Saturday's on Friday, unless that ends a year."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= _FIRST_JUNETEENTH:
        fixed.append(date(year, 6, 19))
    new_year = date(year, 1, 1)
    return frozenset(
        [
            new_year + timedelta(days=new_year.weekday() == _SUNDAY),
            *(_observed(day) for day in fixed),
            _nth(year, 1, _MONDAY, 3),
            _nth(year, 2, _MONDAY, 3),
            _easter(year) - timedelta(days=2),
            _nth(year, 6, _MONDAY, 1) - timedelta(days=7),
            _nth(year, 9, _MONDAY, 1),
            _nth(year, 11, _THURSDAY, 4),
        ]
    )


def _observed(day: date) -> date:
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _easter(year: int) -> date:
    """Compute Easter Sunday of the Gregorian calendar (Gauss, as corrected; valid from 1900 to 2099)."""
    moon = (19 * (year % 19) + 24) % 30
    sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * moon + 5) % 7
    ahead = moon + sunday
    if (moon, sunday) in ((29, 6), (28, 6)) and (moon > _LATE_MOON or year % 19 > _LATE_YEAR):
        ahead -= 7
    return date(year, 3, 22) + timedelta(days=ahead)


RECENT_DAYS = 5
UNANNOUNCED_AFTER = timedelta(seconds=120)
MAX_RECHECKED = 200
SWEEP_SECONDS = 30
"""For how long a sweep takes up further pairs. The last may wait for its broker's windows, for some 25 seconds more."""
LONGEST_ORDER = timedelta(minutes=15)
"""An order of a running execution that is open for longer is taken for left behind: a walk's orders rest a minute at most."""
TRANSITION_USD = Decimal("0.000025")
"""What one state transition of a standard workflow costs (https://aws.amazon.com/step-functions/pricing/, us-east-1)."""
_OPEN = frozenset({PairState.PENDING, PairState.LATE})


@dataclass(slots=True)
class SweepReport:
    """What one sweep did and found."""

    visited: int = 0
    judged: int = 0
    errors: int = 0
    starts_completed: int = 0
    announced: int = 0
    pending: int = 0
    late: int = 0
    stuck: int = 0
    left_working: int = 0
    postponed: int = 0
    oldest_pending_seconds: float = 0.0
    days: list[Conservation] = field(default_factory=list)

    def to_wire(self) -> dict[str, object]:
        """Give a JSON-ready summary."""
        plain = (
            "visited",
            "judged",
            "errors",
            "starts_completed",
            "announced",
            "pending",
            "late",
            "stuck",
            "left_working",
            "postponed",
        )
        return {name: getattr(self, name) for name in plain} | {
            "oldest_pending_seconds": self.oldest_pending_seconds,
            "conservation": [f"{day.trading_day}: {day.sentence()}" for day in self.days],
        }


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Sweeps the ledger."""

    ledger: PairLedger
    settler: Settler
    candidate: CandidateSource
    starter: Starter
    recorder: Recorder
    deadlines: Deadlines
    actor: str
    ticks: Callable[[], float] = monotonic
    tell: Callable[[Sequence[Conservation]], None] = lambda _days: None

    def sweep(self, now: datetime) -> SweepReport:
        """Visit every pair that may need it, then emit the gauges. Raises `EvidenceUnavailable` without the ledger.

        A sweep begins every minute and takes up no pair after `SWEEP_SECONDS`, so that it has ended by then. The next one goes on
        with the pair at which this one stopped. What the last visit of each pair found is kept, so the gauges are of all pairs,
        however many one sweep reaches.
        """
        report, ends = SweepReport(), self.ticks() + SWEEP_SECONDS
        self._emit_unannounced(report, now, ends)
        notes = self.ledger.sweep_notes()
        pairs = self._to_visit(now, notes)
        known = {pair.plan_id for pair in pairs}
        stuck = {plan_id: count for plan_id, count in notes.stuck.items() if plan_id in known}
        left = {plan_id: count for plan_id, count in notes.left_working.items() if plan_id in known}
        resume_at = None
        for pair in _from(pairs, notes.resume_at):
            if self.ticks() >= ends:
                report.postponed += 1
                resume_at = resume_at or pair.plan_id
                continue
            self._guarded(report, pair, lambda pair=pair: _keep(left, pair, self._left_working(pair, now)))  # type: ignore[misc]
            self._guarded(report, pair, lambda pair=pair: _keep(stuck, pair, self._visit(report, pair, now)))  # type: ignore[misc]
        if report.postponed:
            fields = {"pairs": str(report.postponed), "seconds": str(SWEEP_SECONDS)}
            self.recorder.log("the sweep's time is over, the other pairs wait for the next one", fields, problem=True)
        self.ledger.keep_sweep_notes(SweepNotes(resume_at=resume_at, stuck=stuck, left_working=left))
        report.stuck, report.left_working = sum(stuck.values()), sum(left.values())
        self._gauge(report, now)
        return report

    def _to_visit(self, now: datetime, notes: SweepNotes) -> list[Pair]:
        """Give the open pairs, and of the closed ones of the last days the latest and those with something left to be done."""
        waiting = list(self.ledger.open_pairs())
        known = {pair.plan_id for pair in waiting}
        recent = [pair for pair in self._recent(now) if isinstance(pair, Pair)]
        closed = [pair for pair in recent if pair.state not in _OPEN and pair.plan_id not in known]
        undone = notes.stuck.keys() | notes.left_working.keys()
        undone |= {pair.plan_id for pair in closed if pair.start_state is StartState.INTENDED}
        return [*waiting, *(pair for pair in closed[:-MAX_RECHECKED] if pair.plan_id in undone), *closed[-MAX_RECHECKED:]]

    def _guarded(self, report: SweepReport, pair: Pair, visit: Callable[[], None]) -> None:
        try:
            visit()
        except Exception as error:  # noqa: BLE001 - whatever one pair brings is counted, logged, and tried again next time
            fields = {"plan_id": pair.plan_id, "run_id": pair.run_id, "error": type(error).__name__, "reason": str(error)}
            self._note_error(report, "a pair could not be settled", fields)

    def _note_error(self, report: SweepReport, message: str, fields: Mapping[str, str]) -> None:
        """Count and log what one item of the ledger brought; the sweep goes on."""
        report.errors += 1
        self.recorder.emit({Metric.COMPARATOR_ERRORS: 1.0})
        self.recorder.log(message, fields, problem=True)

    def _left_working(self, pair: Pair, now: datetime) -> int:
        """Count the orders of a run that may be working at the broker and that nobody looks after: a person must cancel them.

        A run that succeeded has none: each of its trades is known to have ended. It is looked at all the same where it is small
        enough to cost nothing.
        """
        if pair.origin is Origin.REPLAY:
            return 0
        described = self.candidate.describe(pair.execution_arn or self.candidate.execution_arn(pair.run_id)) or {}
        if described.get("status") == ExecutionStatus.SUCCEEDED and pair.trade_count > MAX_INLINE_TRADES:
            return 0
        items = (item for item in self.candidate.state_items(pair.run_id) if INTENT_SK_PREFIX in str(item.get("SK")))
        orders = [intent for intent in map(IntentRecord.parse, map(plain_item, items)) if intent.may_work]
        if not orders:
            return 0
        oldest = min(intent.intended_at for intent in orders)
        if described.get("status") == ExecutionStatus.RUNNING and now - oldest < LONGEST_ORDER:
            return 0
        named = ", ".join(intent.client_order_id for intent in orders)
        fields = {
            "plan_id": pair.plan_id,
            "run_id": pair.run_id,
            "orders": named,
            "cancel": f"shadow orders {quote(pair.run_id)} --cancel",
        }
        self.recorder.log("orders of ours may have been left working", fields, problem=True)
        return len(orders)

    def _visit(self, report: SweepReport, pair: Pair, now: datetime) -> int:
        """Complete the pair's start and settle it; give how many of its lanes stand still."""
        report.visited += 1
        if pair.start_state is StartState.INTENDED and _age(pair, now) >= self.deadlines.start_unknown_after:
            self._complete_start(report, pair, now)
        settlement: Settlement = self.settler.settle(pair.plan_id, now)
        report.judged += settlement.judged
        return 0 if pair.origin is Origin.REPLAY else len(settlement.stuck)

    def _complete_start(self, report: SweepReport, pair: Pair, now: datetime) -> None:
        """Find out what became of a start, and make it when it never happened and is not too late.

        A legacy lane that shadows mints a run with each publication, so it is never published to again: until it is too late the
        note of its publisher is waited for.
        """
        arn = self.candidate.execution_arn(pair.run_id)
        candidate_shadows = pair.production_lane is Lane.LEGACY
        if candidate_shadows and self.candidate.describe(arn) is not None:
            self._record_start(pair, now, start_state=StartState.STARTED, execution_arn=arn)
            state = StartState.STARTED
        elif _age(pair, now) > self.deadlines.restart_within:
            state = StartState.REFUSED
            self._record_start(pair, now, start_state=state, start_reason="is not known to have started, and it is too late to")
        elif candidate_shadows:
            state = self.starter(pair)
        else:
            return
        report.starts_completed += 1
        self.recorder.emit({Metric.CANDIDATE_STARTS_COMPLETED: 1.0})
        fields = {"plan_id": pair.plan_id, "run_id": pair.run_id, "start_state": state.value}
        self.recorder.log("the fate of a shadow's start is known now", fields, problem=False)

    def _record_start(self, pair: Pair, now: datetime, **changes: object) -> None:
        self.ledger.move(Transition(pair, moved(pair, **changes), self.actor, now))

    def _emit_unannounced(self, report: SweepReport, now: datetime, ends: float) -> None:
        for announcement in self.ledger.announcements(now - UNANNOUNCED_AFTER):
            if self.ticks() >= ends:
                return
            if isinstance(announcement, UnreadablePair):
                self._note_error(
                    report, "an announcement cannot be read", {"key": announcement.key, "reason": announcement.reason}
                )
                continue
            taken = self.ledger.claim(announcement, now)
            if taken is not None:
                announce(self.ledger, self.recorder, taken)
                report.announced += 1

    def _recent(self, now: datetime) -> list[Pair | UnreadablePair]:
        return [pair for day in _recent_days(now) for pair in self.ledger.pairs_of(day)]

    def _gauge(self, report: SweepReport, now: datetime) -> None:
        """State the ledger as it is after the sweep."""
        waiting = [pair for pair in self.ledger.open_pairs() if pair.origin is Origin.LIVE]
        report.pending = len(waiting)
        report.late = sum(pair.state is PairState.LATE for pair in waiting)
        report.oldest_pending_seconds = max((_age(pair, now) for pair in waiting), default=0.0)
        report.days = [conservation(day, self.ledger.pairs_of(day)) for day in _recent_days(now)]
        metrics = {
            Metric.PAIRS_PENDING: float(report.pending),
            Metric.PAIRS_LATE: float(report.late),
            Metric.OLDEST_PENDING_SECONDS: report.oldest_pending_seconds,
            Metric.STUCK_RUNS: float(report.stuck),
            Metric.ORDERS_LEFT_WORKING: float(report.left_working),
            Metric.CONSERVATION_ERROR: float(sum(abs(day.error) for day in report.days)),
        }
        metrics[Metric.UNCOMPARED_TRADING_DAYS] = float(_uncompared(report.days))
        metrics[Metric.MONTH_TRANSITION_COST_USD] = self._month_cost(now)
        rate = _divergence_rate(report.days)
        self.recorder.emit(metrics if rate is None else metrics | {Metric.DIVERGENCE_RATE: rate})
        self.tell(report.days)

    def _month_cost(self, now: datetime) -> float:
        """Add up what the state transitions of this month's plans cost, in USD; replayed plans are counted by their own day."""
        today = now.astimezone(MARKET_ZONE).date()
        days = (today.replace(day=1) + timedelta(days=ahead) for ahead in range(today.day))
        pairs = (pair for day in days for pair in self.ledger.pairs_of(day) if isinstance(pair, Pair))
        return float(sum(pair.state_transitions or 0 for pair in pairs) * TRANSITION_USD)


def _uncompared(days: Sequence[Conservation]) -> int:
    """Count the trading days up to the last one that is over without a comparison, back to the last that has one."""
    over = [day for day in reversed(days[:-1]) if is_exchange_open(day.trading_day)]
    return next((number for number, day in enumerate(over) if day.judged), len(over))


def _divergence_rate(days: Iterable[Conservation]) -> float | None:
    """Compute the diverged share of the judged pairs, in per cent; None without a judged pair: no data is never a pass."""
    totals = [(day.diverged, day.judged) for day in days]
    judged = sum(count for _, count in totals)
    return 100 * sum(count for count, _ in totals) / judged if judged else None


def _from(pairs: Sequence[Pair], resume_at: str | None) -> tuple[Pair, ...]:
    """Begin with the pair of the plan `resume_at`; with the first where that is not to be visited any more."""
    first = next((at for at, pair in enumerate(pairs) if pair.plan_id == resume_at), 0)
    return (*pairs[first:], *pairs[:first])


def _keep(counts: dict[str, int], pair: Pair, count: int) -> None:
    """Keep what a visit counted; a pair with nothing to count is left out."""
    counts.pop(pair.plan_id, None)
    if count:
        counts[pair.plan_id] = count


def _age(pair: Pair, now: datetime) -> float:
    return (now - pair.published_at).total_seconds()


def _recent_days(now: datetime) -> list[date]:
    """Give the last days in New York, the oldest first, enough to reach over a long weekend."""
    today = now.astimezone(MARKET_ZONE).date()
    return [today - timedelta(days=back) for back in reversed(range(RECENT_DAYS))]
