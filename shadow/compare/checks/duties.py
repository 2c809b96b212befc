"""Business Unit: compare | Status: current.

What the safety rules demanded of each lane, by what happened in it: whether its failed SELLs had to block its BUYs, and which of
its BUYs the equity breaker had to let pass. Blame is decided by this and never by the answer that a lane kept: a lane that
rightly blocked does not depart from the plan, and a lane that bought where it had to block does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from shadow.compare.case import LaneTrade, PairView, TradePair
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, ZERO, within
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Reason, Role, RunStatus, Side, TradeStatus

SELL_FAILED = (
    TradeStatus.FAILED,
    TradeStatus.UNKNOWN,
    TradeStatus.BLOCKED,
    TradeStatus.UNFINISHED,
    TradeStatus.NOT_SENT,
)
_SEEN_TO_FAIL = (TradeStatus.FAILED, TradeStatus.UNKNOWN, TradeStatus.BLOCKED)


def is_equity_blocked(trade: TradeOutcome) -> bool:
    """Tell whether the equity breaker refused the trade."""
    blocked = trade.status is TradeStatus.BLOCKED and trade.reason is Reason.EQUITY_LIMIT
    return blocked or (trade.equity is not None and not trade.equity.allowed)


def was_tried(trade: TradeOutcome) -> bool:
    """Tell whether the lane went to the broker with the trade."""
    return trade.status in (TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.UNKNOWN)


def planned_of(pair: TradePair, side: LaneTrade) -> Decimal:
    """Give the absolute planned USD of a lane's trade: the lane's own figure, else the plan's."""
    amount = side.trade.planned_amount
    if amount is None:
        amount = pair.planned.amount if pair.planned else ZERO
    return abs(amount)


def planned_sum(view: PairView, role: Role, side: Side, statuses: tuple[TradeStatus, ...]) -> Decimal:
    """Sum the absolute planned USD of a lane's trades on one side that ended in one of `statuses`."""
    total = ZERO
    for pair, trade in view.trades_of(role):
        if trade.trade.action is side and trade.trade.status in statuses:
            total = EXACT.add(total, planned_of(pair, trade))
    return total


def has_trades(run: RunOutcome, side: Side) -> bool:
    """Tell whether the run has trades on that side."""
    return any(trade.action is side for trade in run.trades)


def _spent(trade: TradeOutcome) -> bool:
    """Tell whether a BUY used up a part of the limit: one that failed and bought nothing gave its part back."""
    if trade.status is TradeStatus.FAILED:
        return bool(trade.filled_quantity)
    return trade.status in (TradeStatus.COMPLETED, TradeStatus.UNKNOWN)


def _held_meanwhile(other: TradeOutcome, blocked: TradeOutcome) -> bool:
    """Tell whether a BUY that failed may still have held its part of the limit when `blocked` was asked for."""
    if other.completed_at is None or blocked.started_at is None:
        return True
    return other.completed_at > blocked.started_at and (
        other.started_at is None or blocked.completed_at is None or other.started_at <= blocked.completed_at
    )


@dataclass(frozen=True, slots=True)
class _Buys:
    """What a lane's BUYs used up of its limit (USD), in all and by their records' identity, and those that gave theirs back."""

    used: Decimal
    amounts: Mapping[int, Decimal]
    failed: Sequence[tuple[LaneTrade, Decimal]]

    @classmethod
    def of(cls, view: PairView, role: Role) -> _Buys:
        used, amounts, failed = ZERO, {}, []
        for pair, side in view.trades_of(role):
            if side.trade.action is Side.BUY and _spent(side.trade):
                amounts[id(side)] = planned_of(pair, side)
                used = EXACT.add(used, amounts[id(side)])
            elif side.trade.action is Side.BUY and side.trade.status is TradeStatus.FAILED:
                failed.append((side, planned_of(pair, side)))
        return cls(used, amounts, failed)


class Duties:
    """What the rules demanded of the lanes of one pair. `ran` are the lanes that have a run."""

    def __init__(self, view: PairView, policy: Policy) -> None:
        """Add up the lanes' own SELLs and BUYs."""
        self.view = view
        self.policy = policy
        self.ran = frozenset(run.role for run in view.runs)
        self.failed_sells = {role: planned_sum(view, role, Side.SELL, SELL_FAILED) for role in self.ran}
        self.seen_to_fail = {role: planned_sum(view, role, Side.SELL, _SEEN_TO_FAIL) for role in self.ran}
        threshold = policy.limits.guard_threshold_usd
        self.must_block = {role: failed > threshold for role, failed in self.failed_sells.items()}

    def limit_of(self, role: Role) -> Decimal | None:
        """Give a lane's equity limit (USD), the other lane's where its own is not known; None where neither is, 0 for none."""
        limits = {run.role: run.equity_limit for run in self.view.runs}
        return limits[role] if limits.get(role) is not None else next((x for x in limits.values() if x is not None), None)

    def fits(self, pair: TradePair, side: LaneTrade) -> bool:
        """Tell whether a BUY fits the lane's limit beside every BUY that used up, or may just have held, a part of it."""
        limit = self.limit_of(side.role)
        if limit is None:
            return False
        buys = self._buys[side.role]
        total = EXACT.add(planned_of(pair, side), EXACT.subtract(buys.used, buys.amounts.get(id(side), ZERO)))
        for other, amount in buys.failed:
            if other is not side and _held_meanwhile(other.trade, side.trade):
                total = EXACT.add(total, amount)
        return not limit or total <= limit

    @cached_property
    def _buys(self) -> Mapping[Role, _Buys]:
        return {role: _Buys.of(self.view, role) for role in self.ran}

    def overshot(self, run: RunOutcome) -> Decimal | None:
        """Give the planned USD of a run's executed BUYs where they are more than its limit; None where they are not."""
        limit = self.limit_of(run.role)
        bought = planned_sum(self.view, run.role, Side.BUY, (TradeStatus.COMPLETED,))
        return bought if limit and bought > limit else None

    @cached_property
    def passing(self) -> Mapping[Role, frozenset[str]]:
        """Give for each lane the BUYs that its limit lets pass when they are asked for in the plan's order."""
        return {role: frozenset(self._passing(role)) for role in self.ran}

    def _passing(self, role: Role) -> Iterator[str]:
        limit, used = self.limit_of(role), ZERO
        for pair, side in self.view.trades_of(role):
            if pair.side is not Side.BUY:
                continue
            total = EXACT.add(used, planned_of(pair, side))
            if not limit or total <= limit:
                used = total if side.trade.status is not TradeStatus.FAILED or _spent(side.trade) else used
                yield pair.trade_id

    @cached_property
    def limit_departs(self) -> frozenset[Role]:
        """Give the lanes whose equity limit is wrong where the two differ; empty where they agree or nothing says which is."""
        if self.view.both is None or not self.limits_differ:
            return frozenset()
        off = frozenset(run.role for run in self.view.both if run.equity_limit == 0)
        if off:
            return off
        deployment = self.policy.limits.equity_deployment
        if deployment is None:
            return frozenset()
        due = EXACT.multiply(self.view.case.plan.total_portfolio_value, deployment)
        wrong = {run.role for run in self.view.both if not within(self.policy.rules.equity_limit, run.equity_limit, due)}
        return frozenset(wrong) if len(wrong) == 1 else frozenset()

    @cached_property
    def limits_differ(self) -> bool:
        """Tell whether both lanes' limits are known and apart."""
        if self.view.both is None:
            return False
        control, candidate = (run.equity_limit for run in self.view.both)
        if control is None or candidate is None or not any(has_trades(run, Side.BUY) for run in self.view.runs):
            return False
        return (control == 0) is not (candidate == 0) or not within(self.policy.rules.equity_limit, control, candidate)

    def breaker_departs(self, pair: TradePair) -> frozenset[Role]:
        """Give the lanes that decided wrongly on a BUY which the breaker refused in one lane and let pass in the other.

        Asked for in the plan's order, the BUYs that fit pass. Where each lane is right by its own limit, the lane with the
        wrong limit departs.
        """
        wrong = set()
        for side in pair.lanes:
            passes = pair.trade_id in self.passing[side.role]
            if is_equity_blocked(side.trade):
                wrong |= {side.role} if passes or self.fits(pair, side) else set()
            elif was_tried(side.trade) and not passes:
                wrong.add(side.role)
        return frozenset(wrong) or self.limit_departs

    def due_status(self, run: RunOutcome) -> frozenset[RunStatus]:
        """Give the ends that a run's own trades allow."""
        if self.must_block[run.role]:
            blocked = {RunStatus.BLOCKED_BY_GUARD}
            return frozenset(blocked if has_trades(run, Side.BUY) else {*blocked, RunStatus.COMPLETED})
        if any(is_equity_blocked(trade) for trade in run.trades) or self.overshot(run):
            return frozenset({RunStatus.BLOCKED_BY_EQUITY_LIMIT})
        return frozenset({RunStatus.COMPLETED})
