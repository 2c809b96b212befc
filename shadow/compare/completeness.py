"""Business Unit: compare | Status: current.

What must be known before a pair can match. The policy lists, for each lane, the fields that every run and trade of a kind has;
what is absent of them, what a reader could not read, and every breach of a contract makes the pair INCOMPLETE, by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

from shadow.compare.case import PairView
from shadow.compare.checks.effects import is_watched
from shadow.compare.checks.executed import is_refused
from shadow.compare.checks.runs import own_gaps
from shadow.compare.policy import LaneEvidence, Policy
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Reason, RunStatus, Side, TradeStatus

_STOPPED = (RunStatus.BLOCKED_BY_GUARD, RunStatus.BLOCKED_BY_EQUITY_LIMIT)
_AT_BROKER = (Reason.BROKER_REJECTED, Reason.PARTIAL_FILL, Reason.NOT_FILLED)
_AMOUNT = ("planned_amount",)
_GUARDED = (RunStatus.COMPLETED, *_STOPPED)


def gaps_of(view: PairView, policy: Policy) -> tuple[str, ...]:
    """Name everything that is missing, unreadable or against its contract, in both lanes, sorted."""
    extra = {side.trade.trade_id for pair in view.trades if pair.planned is None for side in pair.lanes}
    gaps = {text for run in view.runs for text in _run_gaps(run, policy, extra)}
    gaps.update(own_gaps(view, policy))
    if not view.runs:
        gaps.add("control, candidate: both runs are absent")
    return tuple(sorted(gaps))


def _run_gaps(run: RunOutcome, policy: Policy, extra: Collection[str]) -> Iterator[str]:
    """Name what a run lacks. A trade that the plan does not ask for, one of `extra`, needs no planned amount."""
    role, needs = run.role.value, policy.evidence_of(run.lane)
    yield from (f"{role}: {gap.what}: {gap.reason}" for gap in run.gaps)
    yield from (f"{role}: contract violation: {violation}" for violation in run.violations)
    yield from (f"{role}: {path}: absent" for path in _absent(run, _needed_of_run(run, needs)))
    if run.effects is not None:
        kinds = (kind for kind in policy.evidence.effects if not is_watched(run, kind))
        yield from (f"{role}: effects.{kind.value}: nobody watched for them" for kind in kinds)
    for trade in run.trades:
        absent = _absent(trade, _needed_of_trade(trade, run, needs))
        known = _AMOUNT if trade.trade_id in extra else ()
        yield from (f"{role}: trade {trade.symbol}: {path}: absent" for path in absent if path not in known)
        yield from _order_gaps(trade, role, needs)


def _order_gaps(trade: TradeOutcome, role: str, needs: LaneEvidence) -> Iterator[str]:
    for number, order in enumerate(trade.orders):
        paths = (*needs.order, "average_price") if needs.order and order.filled_quantity else needs.order
        yield from (f"{role}: trade {trade.symbol}: orders.{number}.{path}: absent" for path in _absent(order, paths))


def _needed_of_run(run: RunOutcome, needs: LaneEvidence) -> tuple[str, ...]:
    if run.status is RunStatus.UNFINISHED:
        return ("raw_status",)
    paths = needs.run
    if run.status is RunStatus.COMPLETED:
        paths += needs.completed_run
    if run.status in _STOPPED:
        paths += needs.blocked_run
    if run.status in _GUARDED and any(trade.action is Side.SELL for trade in run.trades):
        paths += needs.guarded_run
    return paths


def _needed_of_trade(trade: TradeOutcome, run: RunOutcome, needs: LaneEvidence) -> tuple[str, ...]:
    paths = needs.trade
    if trade.status is TradeStatus.COMPLETED:
        paths += needs.completed
        if trade.action is Side.BUY and run.equity_limit:
            paths += needs.completed_buy
        if run.broker_truth:
            paths += needs.broker_truth
    elif trade.status is TradeStatus.FAILED:
        paths += needs.failed + (_needed_of_failure(trade, needs) if trade.reason in _AT_BROKER else ())
    elif trade.status in (TradeStatus.SKIPPED, TradeStatus.BLOCKED):
        paths += needs.left_alone
    return paths


def _needed_of_failure(trade: TradeOutcome, needs: LaneEvidence) -> tuple[str, ...]:
    """Say what a trade that failed at the broker has: nothing that only an order brings, where none was sent or accepted."""
    if trade.attempts == 0 and not trade.orders:
        return ()
    if trade.orders and all(is_refused(order) for order in trade.orders):
        return tuple(path for path in needs.failed_at_broker if path != "order_id")
    return needs.failed_at_broker


def _absent(record: object, paths: Iterable[str]) -> Iterator[str]:
    """Give the paths that lead nowhere: to nothing, an empty text or an empty list. No effects at all is an answer."""
    for path, parts in _parted(tuple(paths)):
        value = record
        for part in parts:
            value = getattr(value, part, None)
            if value is None:
                break
        if value is None or (isinstance(value, str | tuple) and not value and path != "effects"):
            yield path


@lru_cache(maxsize=256)
def _parted(paths: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((path, tuple(path.split("."))) for path in paths)
