"""Business Unit: compare | Status: current.

The run as a whole: its identity, how it ended, whether it is stuck, how long it took, and whether the figures the lane keeps
of itself agree with its own trades.

Fields of a user's own: each that the policy has an entry for is held against the other lane's, of every trade that both lanes
have and of the runs. Nothing says which lane is right, so a difference names neither. What one lane has and the other has not is
a gap that names the field: it was to be compared and could not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from shadow.compare.case import Fault, Finding, PairView, TradePair, of_each, run_faults, shown
from shadow.compare.checks.duties import Duties, is_equity_blocked, planned_sum
from shadow.compare.policy import OWN, OWN_FIELD, OwnRule, Policy
from shadow.compare.rules import ONE, ZERO, within
from shadow.contracts.control_records import FailureStep
from shadow.contracts.model import parse_decimal
from shadow.contracts.outcome import OwnField, OwnType, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Role, RunStatus, Side, TradeStatus
from shadow.contracts.words import count

_BROKEN = (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED)
_SUCCESS_WORDS = frozenset({"SUCCEEDED", "COMPLETED"})
_FAILURE_WORDS = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_OPEN = (TradeStatus.UNFINISHED, TradeStatus.NOT_SENT)
_STOPS = {
    RunStatus.BLOCKED_BY_GUARD: FailureStep.SELL_PHASE_GUARD,
    RunStatus.BLOCKED_BY_EQUITY_LIMIT: FailureStep.EQUITY_CIRCUIT_BREAKER,
}
_BY_RULE = (RunStatus.COMPLETED, *_STOPS)
_MICROSECOND = timedelta(microseconds=1)


def identity_findings(view: PairView) -> Iterator[Finding]:
    """Hold each run's ids against the plan's."""
    plan = view.case.plan

    def ids(run: RunOutcome) -> Fault | None:
        named = run.run_id == view.run_id or not run.lane.has_our_ids
        if named and run.plan_id == plan.plan_id:
            return None
        return Fault(f"{run.run_id} {run.plan_id}", f"ran as {run.run_id} for plan {run.plan_id}")

    def correlation(run: RunOutcome) -> Fault | None:
        name = run.correlation_id
        return None if name in (None, plan.correlation_id) else Fault(name or "", f"carries the correlation id {name}")

    def others(run: RunOutcome) -> Fault | None:
        names = ", ".join(sorted(run.other_runs))
        return Fault(names, f"ran the plan again as {names}") if names else None

    yield from run_faults("RUN_ID", "run_id", view.runs, ids, rule="exact", planned=f"{view.run_id} {plan.plan_id}")
    yield from run_faults("CORRELATION_ID", "correlation_id", view.runs, correlation, rule="exact", planned=plan.correlation_id)
    yield from run_faults("DUPLICATE_RUN", "run_id", view.runs, others, rule="one run a plan", planned=view.run_id)


def end_findings(view: PairView, duties: Duties) -> Iterator[Finding]:
    """Tell how the runs ended, each by itself and against each other."""
    yield from run_faults("RUN_FAILED", "status", view.runs, _failed, rule="a run ends by its rules", right=_status)
    for kind in ("BUYS_NOT_ENQUEUED", "BUYS_NEVER_SENT", "STUCK_AGGREGATING", "RUN_STUCK"):

        def check(run: RunOutcome, kind: str = kind) -> Fault | None:
            return Fault(run.raw_status or run.status.value, _stuck_words(run, kind)) if _stuck(run) == kind else None

        yield from run_faults(kind, "status", view.runs, check, rule="every run ends", right=_status)
    yield from run_faults("ENDED_AS_SUCCESS", "raw_status", view.runs, _as_success, right=lambda run: run.raw_status)
    yield from run_faults("ENDED_AS_FAILURE", "raw_status", view.runs, _as_failure, right=lambda run: run.raw_status)
    yield from _status_across(view, duties)
    yield from run_faults("REDRIVEN", "redrive_count", view.runs, _redriven, rule="0")


_STUCK = {
    "BUYS_NOT_ENQUEUED": "ended its SELLs and never began its BUYs",
    "BUYS_NEVER_SENT": "began its BUY phase and never sent",
    "STUCK_AGGREGATING": "ended every trade and never ended the run",
    "RUN_STUCK": "never ended the run",
}
_NAMED = 5
"""Trades that were never sent and are named; the rest are counted."""


def _stuck_words(run: RunOutcome, kind: str) -> str:
    if kind != "BUYS_NEVER_SENT":
        return _STUCK[kind]
    unsent = sorted(f"{trade.action} {trade.symbol}" for trade in run.trades if trade.status is TradeStatus.NOT_SENT)
    more = f" and {len(unsent) - _NAMED} more" if len(unsent) > _NAMED else ""
    return f"{_STUCK[kind]} {len(unsent)} of its {count(len(run.trades), 'trade')}: {', '.join(unsent[:_NAMED])}{more}"


def _status(run: RunOutcome) -> str:
    return run.status.value


def _failed(run: RunOutcome) -> Fault | None:
    if run.status not in _BROKEN:
        return None
    where = f" at {run.failure_step}" if run.failure_step else ""
    return Fault(run.status.value, f"ended {run.status.value}{where}")


def _stuck(run: RunOutcome) -> str | None:
    """Name how a run is stuck; None when it is not."""
    unsent = any(trade.status is TradeStatus.NOT_SENT for trade in run.trades)
    if run.status is not RunStatus.UNFINISHED:
        return "BUYS_NEVER_SENT" if unsent and run.status is RunStatus.COMPLETED else None
    sells_open = any(trade.status in _OPEN for trade in run.trades if trade.action is Side.SELL)
    buys = [trade for trade in run.trades if trade.action is Side.BUY]
    if run.raw_status == "SELL_PHASE" and not sells_open and buys and all(trade.status in _OPEN for trade in buys):
        return "BUYS_NOT_ENQUEUED"
    if unsent:
        return "BUYS_NEVER_SENT"
    ended = not sells_open and not any(trade.status in _OPEN for trade in buys)
    return "STUCK_AGGREGATING" if ended and run.raw_status == "AGGREGATING" else "RUN_STUCK"


def _as_success(run: RunOutcome) -> Fault | None:
    well = run.status in (RunStatus.COMPLETED, RunStatus.UNFINISHED)
    if well or run.raw_status not in _SUCCESS_WORDS:
        return None
    return Fault(run.raw_status, f"ended {run.status.value} and reports {run.raw_status}")


def _as_failure(run: RunOutcome) -> Fault | None:
    if run.status is not RunStatus.COMPLETED or run.raw_status not in _FAILURE_WORDS:
        return None
    return Fault(run.raw_status, f"completed and reports {run.raw_status}")


def _redriven(run: RunOutcome) -> Fault | None:
    return Fault(str(run.redrive_count), f"was redriven {run.redrive_count} times") if run.redrive_count else None


def _status_across(view: PairView, duties: Duties) -> Iterator[Finding]:
    """Tell of runs that ended otherwise than their own trades allow; else, where the two differ, than the plan wants."""
    if view.both is None:
        return
    control, candidate = view.both
    differ = control.status is not candidate.status
    due = {run.role: duties.due_status(run) for run in view.both}
    wrong = {run.role for run in view.both if run.status not in due[run.role] and (differ or run.status in _BY_RULE)}
    if differ or wrong:
        stopped = {run.role for run in view.both if run.status is not RunStatus.COMPLETED}
        ends = Finding(
            kind="RUN_STATUS",
            field="status",
            rule="exact",
            explanation=f"The control's run ended {control.status.value}, the candidate's {candidate.status.value}.",
            role=None,
            control=control.status.value,
            candidate=candidate.status.value,
        )
        for finding in of_each(ends, wrong or stopped):
            right = due.get(finding.role) if finding.role is not None else None
            yield replace(finding, planned=min(status.value for status in right) if right else None)
    if not differ and control.status is not RunStatus.COMPLETED:
        yield from _steps_across(control, candidate)


def _steps_across(control: RunOutcome, candidate: RunOutcome) -> Iterator[Finding]:
    """Tell of runs that stopped alike and name a step that is not that of the rule that stopped them, or two different steps."""
    if control.failure_step is None or candidate.failure_step is None:
        return
    due = _STOPS.get(control.status)
    differs = Finding(
        kind="FAILURE_STEP",
        field="failure_step",
        rule="exact",
        explanation="Both runs stopped, and not at the step that such a stop has."
        if due
        else "Both runs stopped, at different steps.",
        role=None,
        planned=due.value if due else None,
        control=control.failure_step,
        candidate=candidate.failure_step,
    )
    wrong = {run.role for run in (control, candidate) if due is not None and run.failure_step != due.value}
    if wrong or (due is None and control.failure_step != candidate.failure_step):
        yield from of_each(differs, wrong or set(Role))


def counter_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Hold the figures that each lane keeps against its own trades."""
    yield from run_faults("COUNTERS", "counters", view.runs, _counts)
    yield from run_faults(
        "COUNTER_AMOUNTS",
        "counters.amounts",
        view.runs,
        lambda run: _sums(view, run, policy),
        rule=policy.rules.guard_amounts,
    )


def tally(run: RunOutcome) -> dict[str, int]:
    """Count a run's trades as both lanes count them: blocked by the breaker is failed, blocked by the guard is not counted."""
    statuses = [trade.status for trade in run.trades]
    blocked = sum(1 for trade in run.trades if trade.status is TradeStatus.BLOCKED and is_equity_blocked(trade))
    return {
        "total": len(statuses),
        "succeeded": statuses.count(TradeStatus.COMPLETED),
        "failed": statuses.count(TradeStatus.FAILED) + blocked,
        "skipped": statuses.count(TradeStatus.SKIPPED),
        "unknown": statuses.count(TradeStatus.UNKNOWN),
    }


def _ended(run: RunOutcome, side: Side | None) -> int:
    guarded = [t for t in run.trades if t.status is TradeStatus.BLOCKED and not is_equity_blocked(t)]
    mine = [t for t in run.trades if t.status not in _OPEN and (side is None or t.action is side)]
    return len(mine) - sum(1 for t in guarded if side is None or t.action is side)


def _counts(run: RunOutcome) -> Fault | None:
    counters = run.counters
    if counters is None:
        return None
    seen = tally(run)
    sides = [trade.action for trade in run.trades]
    right = {
        "total": {seen["total"]},
        "completed": {_ended(run, None)},
        "succeeded": {seen["succeeded"]},
        "failed": {seen["failed"], seen["failed"] + seen["unknown"]},
        "skipped": {seen["skipped"]},
        "sell_total": {sides.count(Side.SELL)},
        "sell_completed": {_ended(run, Side.SELL)},
        "buy_total": {sides.count(Side.BUY)},
        "buy_completed": {_ended(run, Side.BUY)},
    }
    kept: dict[str, int | None] = {name: getattr(counters, name) for name in right}
    wrong = [f"{name} {kept[name]} not {max(right[name])}" for name in right if kept[name] not in (None, *right[name])]
    return Fault(", ".join(wrong), f"counts {', '.join(wrong)}") if wrong else None


def _sums(view: PairView, run: RunOutcome, policy: Policy) -> Fault | None:
    counters, rule = run.counters, policy.rules.guard_amounts
    if counters is None:
        return None
    right = {
        "sell_failed_amount": planned_sum(view, run.role, Side.SELL, (TradeStatus.FAILED, TradeStatus.UNKNOWN)),
        "sell_succeeded_amount": planned_sum(view, run.role, Side.SELL, (TradeStatus.COMPLETED,)),
        "cumulative_buy_succeeded": planned_sum(view, run.role, Side.BUY, (TradeStatus.COMPLETED,)),
    }
    kept: dict[str, Decimal | None] = {name: getattr(counters, name) for name in right}
    wrong = [
        f"{name} {shown(kept[name])} not {shown(value)}"
        for name, value in right.items()
        if kept[name] is not None and not within(rule, kept[name], value)
    ]
    return Fault(", ".join(wrong), f"sums {', '.join(wrong)}") if wrong else None


def duration_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Hold each run's duration against the other's and against the longest that is reasonable."""
    spans = {run.role: span for run in view.runs if (span := span_of(run)) is not None}
    rule, longest = policy.rules.duration_ratio, policy.limits.run_seconds

    def slow(run: RunOutcome) -> Fault | None:
        other = next((span for role, span in spans.items() if role is not run.role), None)
        mine = spans.get(run.role)
        if mine is None or other is None or run.role not in policy.applies.duration_ratio:
            return None
        if mine <= rule.floor_seconds * 1_000_000 or rule.permits(Decimal(mine), ZERO, Decimal(other)):
            return None
        return Fault(_seconds(mine), f"took {_seconds(mine)}, the other lane {_seconds(other)}")

    def long(run: RunOutcome) -> Fault | None:
        mine = spans.get(run.role)
        return Fault(_seconds(mine), f"took {_seconds(mine)}") if mine is not None and mine > longest * 1_000_000 else None

    def took(run: RunOutcome) -> str | None:
        return _seconds(spans[run.role]) if run.role in spans else None

    if view.both is not None and all(run.status is RunStatus.COMPLETED for run in view.both):
        yield from run_faults("DURATION_RATIO", "duration", view.runs, slow, rule=rule, right=took)
    yield from run_faults("DURATION_ABSOLUTE", "duration", view.runs, long, rule=f"at most {longest} s", right=took)


def span_of(run: RunOutcome) -> int | None:
    """Give a run's duration in whole microseconds."""
    if run.started_at is None or run.completed_at is None:
        return None
    return (run.completed_at - run.started_at) // _MICROSECOND


def _seconds(microseconds: int) -> str:
    return f"{shown(Decimal(microseconds) / 1_000_000)} s"


_MILLIONTH = Decimal("0.000001")
_NUMBERS = (OwnType.DECIMAL, OwnType.INTEGER)


def trade_own_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find fields of a user's own in which the lanes' records of one trade differ."""
    if policy.own and pair.both is not None:
        control, candidate = pair.both
        yield from _findings(control.trade, candidate.trade, policy, pair)


def run_own_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Find fields of a user's own in which the runs differ."""
    if policy.own and view.both is not None:
        yield from _findings(*view.both, policy, None)


def _findings(
    control: TradeOutcome | RunOutcome, candidate: TradeOutcome | RunOutcome, policy: Policy, pair: TradePair | None
) -> Iterator[Finding]:
    for name, rule in policy.own.items():
        one, other = _own(control, name), _own(candidate, name)
        if one is None or other is None or one.absent or other.absent or are_alike(rule, one, other):
            continue
        texts = [field.text if field.text is not None else "null" for field in (one, other)]
        yield Finding(
            kind=OWN_FIELD,
            field=f"{OWN}{name}",
            rule=str(rule),
            explanation=f"The control has {texts[0]} as {name}, the candidate {texts[1]}.",
            role=None,
            control=texts[0],
            candidate=texts[1],
            pair=pair,
        )


def _own(record: TradeOutcome | RunOutcome, name: str) -> OwnField | None:
    return next((field for field in record.own if field.name == name), None)


def are_alike(rule: OwnRule, one: OwnField, other: OwnField) -> bool:
    """Tell whether two values are equal under `rule`. Null equals null alone.

    A lane that does not say what type a field has records a text where the other has a number or a time: the text is read as
    what the other's is, and is unlike where it is none.
    """
    if one.text is None or other.text is None:
        return one.text is other.text
    kind = other.type if one.type is OwnType.TEXT else one.type
    try:
        left, right = _value(one.text, kind), _value(other.text, kind)
    except ValueError:
        return False
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return within(rule, left, right)
    if isinstance(left, datetime) and isinstance(right, datetime):
        apart = abs(left - right)
        seconds = Decimal(apart.days * 86400 + apart.seconds) + apart.microseconds * _MILLIONTH
        return left == right or rule.permits(seconds, ZERO, ONE)
    return left == right


def _value(text: str, kind: OwnType) -> Decimal | datetime | str:
    """Read a text as a `kind`. Raises ValueError where it is none."""
    if kind in _NUMBERS:
        return parse_decimal(text)
    if kind is OwnType.TIME:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        return moment
    return text


def own_gaps(view: PairView, policy: Policy) -> Iterator[str]:
    """Name every field that the policy compares and that a lane has not: at all, or of a trade that ended alike in both."""
    runs = view.both
    if runs is None:
        return
    for name in policy.own:
        of_runs = {run.role: _has(run, name) for run in runs}
        of_trades = {run.role: any(_has(trade, name) for trade in run.trades) for run in runs}
        nowhere = not (any(of_runs.values()) or any(of_trades.values()))
        for run in runs:
            if any(of_runs.values()) and not of_runs[run.role]:
                yield f"{run.role.value}: {OWN}{name}: the policy compares it, and this lane's run has no such field"
            if run.trades and not of_trades[run.role] and (nowhere or any(of_trades.values())):
                yield f"{run.role.value}: {OWN}{name}: the policy compares it, and no trade of this lane has such a field"
        if all(of_trades.values()):
            yield from _trade_gaps(view, name)


def _has(record: TradeOutcome | RunOutcome, name: str) -> bool:
    field = _own(record, name)
    return field is not None and not field.absent


def _trade_gaps(view: PairView, name: str) -> Iterator[str]:
    for pair in view.trades:
        trades = [side.trade for side in pair.lanes]
        if pair.both is None or trades[0].status is not trades[1].status:
            continue
        absent = [(field := _own(trade, name)) is not None and field.absent for trade in trades]
        if absent[0] is not absent[1]:
            side = pair.both[0 if absent[0] else 1]
            yield f"{side.role.value}: trade {pair.symbol}: {OWN}{name}: absent"
