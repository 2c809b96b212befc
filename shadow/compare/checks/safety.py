"""Business Unit: compare | Status: current.

The safety rules: the sell guard, the equity breaker, the market check and the order of the phases. Each lane's decision is held
against what the rule demands of the lane's own trades, so that a wrong decision is found even where both lanes made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

from shadow.compare.case import LaneTrade, PairView, TradePair
from shadow.compare.checks.decisions import is_equity_blocked, was_tried
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.finding import Fault, Finding, run_faults, shown
from shadow.compare.policy import Policy
from shadow.compare.rules import ONE, within
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Reason, Role, Side, TradeStatus

_SELL_FAILED = (
    TradeStatus.FAILED,
    TradeStatus.UNKNOWN,
    TradeStatus.BLOCKED,
    TradeStatus.UNFINISHED,
    TradeStatus.NOT_SENT,
)
_TRIED = (TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.UNKNOWN)


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


class GuardFacts:
    """One lane's guard, and what it should have seen and decided."""

    def __init__(self, view: PairView, run: RunOutcome, policy: Policy) -> None:
        """Add up the lane's own SELLs."""
        self.run = run
        self.guard = run.guard if has_trades(run, Side.SELL) else None
        self.failed = planned_sum(view, run.role, Side.SELL, _SELL_FAILED)
        succeeded = planned_sum(view, run.role, Side.SELL, (TradeStatus.COMPLETED,))
        skipped = planned_sum(view, run.role, Side.SELL, (TradeStatus.SKIPPED,))
        self.succeeded = {succeeded, EXACT.add(succeeded, skipped)}
        self.must_block = self.failed > policy.limits.guard_threshold_usd

    @property
    def is_on_the_edge(self) -> bool:
        """Whether it blocked on failed SELLs worth exactly its threshold."""
        guard = self.guard
        if guard is None or guard.buy_phase_allowed or guard.threshold is None:
            return False
        return self.failed == guard.threshold and guard.sell_failed_amount in (None, self.failed)

    @property
    def is_wrong(self) -> bool:
        """Whether the decision is not what the rule demands."""
        return self.guard is not None and self.guard.buy_phase_allowed is self.must_block


def guard_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Hold each lane's guard against the lane's own SELLs and the policy's threshold."""
    facts = {run.role: GuardFacts(view, run, policy) for run in view.runs}
    threshold = policy.limits.guard_threshold_usd

    def zero(run: RunOutcome) -> Fault | None:
        fact = facts[run.role]
        if fact.guard is None or fact.guard.sell_failed_amount != 0 or fact.failed == 0:
            return None
        return Fault("0", f"counted 0 USD of failed SELLs where {shown(fact.failed)} USD failed")

    def used(run: RunOutcome) -> Fault | None:
        guard = facts[run.role].guard
        if guard is None or guard.threshold is None or within(policy.rules.guard_threshold, guard.threshold, threshold):
            return None
        return Fault(decimal_text(guard.threshold), f"blocks above {shown(guard.threshold)} USD")

    def edge(run: RunOutcome) -> Fault | None:
        return Fault("blocked", "blocked at exactly the threshold") if facts[run.role].is_on_the_edge else None

    def amounts(run: RunOutcome) -> Fault | None:
        return _amounts(facts[run.role], policy)

    def ignored(run: RunOutcome) -> Fault | None:
        blocked = run.guard is not None and not run.guard.buy_phase_allowed
        tried = [t.symbol for t in run.trades if t.action is Side.BUY and was_tried(t)]
        return Fault("blocked", f"executed {len(tried)} BUYs behind a guard that blocked") if blocked and tried else None

    yield from run_faults("GUARD_ZERO_SUM", "guard.sell_failed_amount", view.runs, zero)
    yield from run_faults(
        "GUARD_THRESHOLD",
        "guard.threshold",
        view.runs,
        used,
        rule=policy.rules.guard_threshold,
        planned=decimal_text(threshold),
        right=lambda run: shown(run.guard.threshold) if run.guard else None,
    )
    yield from run_faults("GUARD_BOUNDARY", "guard.buy_phase_allowed", view.runs, edge, rule=f"blocks above {shown(threshold)}")
    yield from run_faults("GUARD_AMOUNTS", "guard.amounts", view.runs, amounts, rule=policy.rules.guard_amounts)
    yield from run_faults("GUARD_IGNORED", "guard.buy_phase_allowed", view.runs, ignored)
    yield from _decision(facts, threshold)


def _amounts(fact: GuardFacts, policy: Policy) -> Fault | None:
    guard, rule = fact.guard, policy.rules.guard_amounts
    if guard is None:
        return None
    failed, succeeded = guard.sell_failed_amount, guard.sell_succeeded_amount
    if failed is not None and not within(rule, failed, fact.failed):
        return Fault(
            decimal_text(failed),
            f"counted {shown(failed)} USD of failed SELLs where {shown(fact.failed)} USD failed",
        )
    if succeeded is not None and not any(within(rule, succeeded, right) for right in fact.succeeded):
        right = decimal_text(min(fact.succeeded))
        return Fault(decimal_text(succeeded), f"counted {shown(succeeded)} USD of succeeded SELLs where {right} USD succeeded")
    return None


def _decision(facts: dict[Role, GuardFacts], threshold: Decimal) -> Iterator[Finding]:
    """Tell of a wrong decision, and of two decisions that differ."""
    wrong = {role for role, fact in facts.items() if fact.is_wrong}
    guards = [fact.guard for fact in facts.values()]
    differ = len(guards) > 1 and None not in guards and len({g.buy_phase_allowed for g in guards if g}) > 1
    if not wrong and not differ:
        return
    words = {role: _decided(fact) for role, fact in facts.items()}
    demanded = ", ".join(f"{role.value} {'block' if fact.must_block else 'allow'}" for role, fact in facts.items())
    yield Finding(
        kind="GUARD_DECISION",
        field="guard.buy_phase_allowed",
        rule=f"blocks above {shown(threshold)}",
        explanation="The guard's decision is not what the failed SELLs demand."
        if wrong
        else "The guard decided differently, each lane rightly by its own SELLs.",
        departs=frozenset(wrong),
        planned=demanded,
        control=words.get(Role.CONTROL),
        candidate=words.get(Role.CANDIDATE),
    )


def _decided(fact: GuardFacts) -> str | None:
    if fact.guard is None:
        return None
    word = "allowed" if fact.guard.buy_phase_allowed else "blocked"
    amount = shown(fact.guard.sell_failed_amount)
    return f"{word} at {amount} USD failed" if amount is not None else word


def equity_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Hold each lane's equity breaker against its own limit and BUYs, and the lanes against each other."""
    yield from _limits(view, policy)
    yield from run_faults("EQUITY_NOT_COUNTED", "equity.cumulative", view.runs, lambda run: _uncounted(view, run, policy))
    over = {run.role: _overshoot(view, run) for run in view.runs}
    yield from run_faults(
        "EQUITY_OVERSHOOT",
        "equity_limit",
        view.runs,
        lambda run: over[run.role],
        rule="planned BUYs within the limit",
        right=lambda run: shown(run.equity_limit),
    )
    tried = {run.role: planned_sum(view, run.role, Side.BUY, _TRIED) for run in view.runs}
    yield from run_faults("EQUITY_MISJUDGED", "equity.allowed", view.runs, lambda run: _misjudged(view, run, tried[run.role]))
    overshot = frozenset(role for role, fault in over.items() if fault is not None)
    for pair in view.trades:
        yield from _breaker(pair, tried, overshot)


def _misjudged(view: PairView, run: RunOutcome, tried: Decimal) -> Fault | None:
    fitting = [
        pair.symbol
        for pair, side in view.trades_of(run.role)
        if is_equity_blocked(side.trade) and side.trade.action is Side.BUY and _fits(pair, side, tried)
    ]
    return (
        Fault(f"{len(fitting)} blocked", f"blocked {len(fitting)} BUYs that fit: {', '.join(fitting[:3])}") if fitting else None
    )


def _limits(view: PairView, policy: Policy) -> Iterator[Finding]:
    if view.both is None:
        return
    control, candidate = (run.equity_limit for run in view.both)
    rule = policy.rules.equity_limit
    if control is None or candidate is None or not any(has_trades(run, Side.BUY) for run in view.runs):
        return
    if (control == 0) is (candidate == 0) and within(rule, control, candidate):
        return
    yield Finding(
        kind="EQUITY_LIMIT",
        field="equity_limit",
        rule=str(rule),
        explanation="The lanes allow themselves different amounts of buying; 0 means that the breaker is off.",
        departs=frozenset(run.role for run in view.both if run.equity_limit == 0),
        control=decimal_text(control),
        candidate=decimal_text(candidate),
    )


def _uncounted(view: PairView, run: RunOutcome, policy: Policy) -> Fault | None:
    """Tell of a breaker that reserves, and had not counted a BUY by the time it let it pass."""
    if run.role not in policy.applies.equity_counted or not run.equity_limit:
        return None
    for pair, side in view.trades_of(run.role):
        equity = side.trade.equity
        if side.trade.action is not Side.BUY or equity is None or not equity.allowed or equity.cumulative is None:
            continue
        if equity.cumulative < planned_of(pair, side):
            amount = decimal_text(planned_of(pair, side))
            return Fault(
                decimal_text(equity.cumulative),
                f"let a BUY of {amount} USD pass having counted {shown(equity.cumulative)} USD",
            )
    return None


def _overshoot(view: PairView, run: RunOutcome) -> Fault | None:
    bought = planned_sum(view, run.role, Side.BUY, (TradeStatus.COMPLETED,))
    if not run.equity_limit or bought <= run.equity_limit:
        return None
    return Fault(
        decimal_text(bought),
        f"bought for {shown(bought)} USD (planned) with a limit of {shown(run.equity_limit)} USD",
    )


def _breaker(pair: TradePair, tried: Mapping[Role, Decimal], overshot: frozenset[Role]) -> Iterator[Finding]:
    """Tell of a BUY that the breaker blocked in one lane only."""
    if pair.side is not Side.BUY:
        return
    blocked = {side.role for side in pair.lanes if is_equity_blocked(side.trade)}
    passed = {side.role for side in pair.lanes if was_tried(side.trade) and side.role not in blocked}
    if not blocked or not passed:
        return
    wrong = {side.role for side in pair.lanes if side.role in blocked and _fits(pair, side, tried[side.role])}
    words = {side.role: "blocked" if side.role in blocked else side.trade.status.value for side in pair.lanes}
    yield Finding(
        kind="EQUITY_DECISION",
        field="equity.allowed",
        rule="blocked exactly when planned BUYs would pass the limit",
        explanation="The breaker blocked the BUY in one lane only.",
        departs=frozenset(wrong | (overshot & passed)),
        planned=decimal_text(pair.planned.amount) if pair.planned else None,
        control=words.get(Role.CONTROL),
        candidate=words.get(Role.CANDIDATE),
        pair=pair,
    )


def _fits(pair: TradePair, side: LaneTrade, tried: Decimal) -> bool:
    """Tell whether a blocked BUY fits the limit even beside every other BUY that was tried (USD)."""
    limit = side.run.equity_limit
    if limit is None:
        return False
    return limit == 0 or EXACT.add(tried, planned_of(pair, side)) <= limit


def market_findings(view: PairView) -> Iterator[Finding]:
    """Tell once of a market that one lane found closed while the other traded."""
    closed, traded = set(), set()
    symbols = []
    for pair in view.trades:
        both = pair.both
        if both is None:
            continue
        shut = {side.role for side in both if side.trade.reason is Reason.MARKET_CLOSED}
        went = {side.role for side in both if was_tried(side.trade) and side.role not in shut}
        if shut and went:
            closed |= shut
            traded |= went
            symbols.append(pair.symbol)
    if symbols:
        words = {role: "traded" if role in traded else "market closed" for role in closed | traded}
        yield Finding(
            kind="MARKET_CHECK",
            field="reason",
            rule="no trade while the market is closed",
            explanation=f"One lane found the market closed, the other traded {len(symbols)} of the same trades.",
            departs=frozenset(traded),
            control=words.get(Role.CONTROL),
            candidate=words.get(Role.CANDIDATE),
        )


def phase_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Tell of BUYs that began before the last SELL had ended."""
    rule = policy.rules.phase_order

    def check(run: RunOutcome) -> Fault | None:
        begun = min((t.started_at for t in run.trades if t.action is Side.BUY and t.started_at), default=None)
        sells = [t for t in run.trades if t.action is Side.SELL and t.started_at]
        ends = [t.completed_at for t in sells if t.completed_at]
        if begun is None or not sells:
            return None
        if any(t.completed_at is None for t in sells):
            return Fault(shown(begun) or "", "began a BUY while a SELL had not ended")
        overlap = max(ends) - begun
        seconds = EXACT.divide(Decimal(overlap // timedelta(microseconds=1)), Decimal(1_000_000))
        if overlap <= timedelta(0) or rule.permits(seconds, ZERO, ONE):
            return None
        return Fault(shown(begun) or "", f"began a BUY {overlap.total_seconds():g} s before the last SELL had ended")

    yield from run_faults("PHASE_ORDER", "trades.started_at", view.runs, check, rule=rule, planned="SELLs, then BUYs")
