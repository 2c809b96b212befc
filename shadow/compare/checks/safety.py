"""Business Unit: compare | Status: current.

The safety rules: the sell guard, the equity breaker, the market check and the order of the phases. Each lane's decision is held
against what the rule demands of the lane's own trades, so that a wrong decision is found even where both lanes made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from shadow.compare.case import Fault, Finding, LaneTrade, PairView, TradePair, of_each, run_faults, shown
from shadow.compare.checks.duties import Duties, has_trades, is_equity_blocked, planned_of, planned_sum, was_tried
from shadow.compare.checks.prices import closed_departs
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, ONE, ZERO, within
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Reason, Role, RunStatus, Side, TradeStatus
from shadow.contracts.words import count


class GuardFacts:
    """One lane's guard, and what it should have seen and decided."""

    def __init__(self, view: PairView, run: RunOutcome, duties: Duties) -> None:
        """Add up the lane's own SELLs."""
        self.run = run
        self.guard = run.guard if has_trades(run, Side.SELL) else None
        self.failed = duties.failed_sells[run.role]
        self.bought = tuple(
            pair for pair, side in view.trades_of(run.role) if side.trade.action is Side.BUY and was_tried(side.trade)
        )
        self.seen_to_fail = duties.seen_to_fail[run.role]
        succeeded = planned_sum(view, run.role, Side.SELL, (TradeStatus.COMPLETED,))
        skipped = planned_sum(view, run.role, Side.SELL, (TradeStatus.SKIPPED,))
        self.succeeded = {succeeded, EXACT.add(succeeded, skipped)}
        self.must_block = duties.must_block[run.role]

    @property
    def is_on_the_edge(self) -> bool:
        """Whether it blocked on failed SELLs worth exactly its threshold."""
        guard = self.guard
        if guard is None or guard.buy_phase_allowed or guard.threshold is None:
            return False
        return self.failed == guard.threshold and guard.sell_failed_amount in (None, self.failed)

    @property
    def allowed(self) -> bool | None:
        """What was decided: the answer that the lane kept, else what it did; None where neither tells."""
        if self.guard is not None:
            return self.guard.buy_phase_allowed
        stopped = any(trade.reason is Reason.SELL_GUARD for trade in self.run.trades)
        return False if stopped or self.run.status is RunStatus.BLOCKED_BY_GUARD else None

    @property
    def is_wrong(self) -> bool:
        """Whether the decision is not what the rule demands."""
        return self.allowed is self.must_block


def guard_findings(view: PairView, duties: Duties) -> Iterator[Finding]:
    """Hold each lane's guard against the lane's own SELLs and the policy's threshold, and its BUYs against the SELLs."""
    policy = duties.policy
    facts = {run.role: GuardFacts(view, run, duties) for run in view.runs}
    threshold = policy.limits.guard_threshold_usd

    def zero(run: RunOutcome) -> Fault | None:
        fact = facts[run.role]
        if fact.guard is None or fact.guard.sell_failed_amount != 0 or not fact.failed:
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
    yield from _bought_behind(facts, threshold)
    yield from _decision(facts, threshold)


def _bought_behind(facts: dict[Role, GuardFacts], threshold: Decimal) -> Iterator[Finding]:
    """Tell of BUYs that were executed behind a guard that blocked, or behind failed SELLs with no answer of a guard at all."""
    for role, fact in facts.items():
        if not fact.bought or fact.allowed:
            continue
        if fact.allowed is False:
            kind, why = "GUARD_IGNORED", "behind a guard that blocked"
        elif fact.seen_to_fail > threshold:
            kind, why = (
                "GUARD_BYPASSED",
                f"behind {shown(fact.seen_to_fail)} USD of failed SELLs, and no answer of its guard is kept",
            )
        else:
            continue
        texts = {role: count(len(fact.bought), "BUY")}
        yield Finding(
            kind=kind,
            field="guard.buy_phase_allowed",
            rule=f"blocks above {shown(threshold)}",
            explanation=f"The {role.value} executed {count(len(fact.bought), 'BUY')} {why}.",
            role=role,
            planned="block",
            control=texts.get(Role.CONTROL),
            candidate=texts.get(Role.CANDIDATE),
            at_stake=fact.bought,
        )


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
    """Tell of a wrong decision, and of a lane that blocked, rightly by its own SELLs, where the other did not have to."""
    words = {role: _decided(fact) for role, fact in facts.items()}
    demanded = ", ".join(f"{role.value} {'block' if fact.must_block else 'allow'}" for role, fact in facts.items())
    alone = len(facts) > 1 and not all(fact.must_block for fact in facts.values())
    for role, fact in facts.items():
        if not fact.is_wrong and not (alone and fact.allowed is False):
            continue
        yield Finding(
            kind="GUARD_DECISION" if fact.is_wrong else "GUARD_DIFFERS",
            field="guard.buy_phase_allowed",
            rule=f"blocks above {shown(threshold)}",
            explanation=f"The {role.value}'s guard {'allowed' if fact.allowed else 'blocked'} the BUYs"
            + (
                f" although {shown(fact.failed)} USD of its SELLs failed: it is to block above {shown(threshold)} USD."
                if fact.is_wrong
                else ", as its own failed SELLs demand."
            ),
            role=role,
            planned=demanded,
            control=words.get(Role.CONTROL),
            candidate=words.get(Role.CANDIDATE),
            at_stake=fact.bought if fact.is_wrong and fact.allowed else (),
        )


def _decided(fact: GuardFacts) -> str | None:
    if fact.guard is None:
        return None
    word = "allowed" if fact.guard.buy_phase_allowed else "blocked"
    amount = shown(fact.guard.sell_failed_amount)
    return f"{word} at {amount} USD failed" if amount is not None else word


def equity_findings(view: PairView, duties: Duties) -> Iterator[Finding]:
    """Hold each lane's equity breaker against its own limit and BUYs, and the lanes against each other."""
    policy = duties.policy
    if view.both is not None and duties.limits_differ:
        control, candidate = view.both
        limits = Finding(
            kind="EQUITY_LIMIT",
            field="equity_limit",
            rule=str(policy.rules.equity_limit),
            explanation="The lanes allow themselves different amounts of buying; 0 means that the breaker is off.",
            role=None,
            control=shown(control.equity_limit),
            candidate=shown(candidate.equity_limit),
        )
        yield from of_each(limits, duties.limit_departs)
    else:
        yield from run_faults("EQUITY_LIMIT", "equity.limit", view.runs, lambda run: _other_limit(run, policy))
    yield from run_faults("EQUITY_NOT_COUNTED", "equity.cumulative", view.runs, lambda run: _uncounted(view, run, policy))
    yield from run_faults("EQUITY_FOREIGN_COUNT", "equity.cumulative", view.runs, lambda run: _foreign(view, run, policy))
    yield from run_faults(
        "EQUITY_OVERSHOOT",
        "equity_limit",
        view.runs,
        lambda run: _overshoot(run, duties),
        rule="planned BUYs within the limit",
        right=lambda run: shown(run.equity_limit),
    )
    yield from run_faults("EQUITY_MISJUDGED", "equity.allowed", view.runs, lambda run: _misjudged(view, run, duties))
    for pair in view.trades:
        yield from _breaker(pair, duties)


def _other_limit(run: RunOutcome, policy: Policy) -> Fault | None:
    """Tell of a BUY that was decided on by another limit than the run's own."""
    for trade in run.trades:
        limit = trade.equity.limit if trade.equity is not None else None
        if limit is None or run.equity_limit is None or within(policy.rules.equity_limit, limit, run.equity_limit):
            continue
        own = shown(run.equity_limit)
        return Fault(decimal_text(limit), f"decided on {trade.symbol} by a limit of {shown(limit)} USD where its run's is {own}")
    return None


def _misjudged(view: PairView, run: RunOutcome, duties: Duties) -> Fault | None:
    fitting = [
        pair.symbol
        for pair, side in view.trades_of(run.role)
        if is_equity_blocked(side.trade) and side.trade.action is Side.BUY and duties.fits(pair, side)
    ]
    return (
        Fault(f"{len(fitting)} blocked", f"blocked {count(len(fitting), 'BUY')} that fit: {', '.join(fitting[:3])}")
        if fitting
        else None
    )


def _foreign(view: PairView, run: RunOutcome, policy: Policy) -> Fault | None:
    """Tell of a breaker that counted what no BUYs of its own run come to: it reads another lane's counter.

    Where it did not count a BUY, that explains every sum below that of all BUYs.
    """
    if run.lane not in policy.applies.equity_counted or not run.equity_limit:
        return None
    buys = [(pair, side) for pair, side in view.trades_of(run.role) if side.trade.action is Side.BUY]
    own = sum((planned_of(pair, side) for pair, side in buys), Decimal(0))
    counted = [side.trade.equity.cumulative for _, side in buys if side.trade.equity and side.trade.equity.cumulative is not None]
    most = max(counted, default=Decimal(0))
    if most > own and not within(policy.rules.equity_limit, most, own):
        return Fault(decimal_text(most), f"counted {shown(most)} USD where all of its BUYs come to {shown(own)}")
    found = _unaccounted(buys, policy)
    if found is None or _uncounted(view, run, policy) is not None:
        return None
    symbol, answer = found
    return Fault(
        decimal_text(answer), f"had counted {shown(answer)} USD at the BUY of {symbol}, and no set of its BUYs comes to that"
    )


_MOST_TRIED = 12
"""BUYs of which every set is tried: 4,096 sums. Of more nothing is said."""


def _unaccounted(buys: list[tuple[TradePair, LaneTrade]], policy: Policy) -> tuple[str, Decimal] | None:
    """Give the symbol and the answer (USD) of a BUY whose answer no set of the run's BUYs comes to; None where each may be right.

    A breaker answers with the sum that it reads after its own reservation, while other BUYs reserve beside it: any of them may be
    in it, whenever their trades began. Where a BUY may have given a part back nothing is said.
    """
    passed = [(pair, side) for pair, side in buys if not is_equity_blocked(side.trade)]
    is_plain = all(side.trade.status is TradeStatus.COMPLETED and (side.trade.attempts or 1) == 1 for _, side in passed)
    if not is_plain or len(passed) > _MOST_TRIED:
        return None
    sums = {ZERO}
    for pair, side in passed:
        amount = planned_of(pair, side)
        sums |= {EXACT.add(each, amount) for each in sums}
    for pair, side in passed:
        answer = side.trade.equity.cumulative if side.trade.equity else None
        if answer is None:
            continue
        nearest = min((each for each in sums if each >= answer), default=None)
        if nearest is None or not within(policy.rules.equity_limit, answer, nearest):
            return pair.symbol, answer
    return None


def _uncounted(view: PairView, run: RunOutcome, policy: Policy) -> Fault | None:
    """Tell of a breaker that reserves, and had not counted a BUY by the time it let it pass."""
    if run.lane not in policy.applies.equity_counted or not run.equity_limit:
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


def _overshoot(run: RunOutcome, duties: Duties) -> Fault | None:
    bought, limit = duties.overshot(run), duties.limit_of(run.role)
    if bought is None:
        return None
    return Fault(decimal_text(bought), f"bought for {shown(bought)} USD (planned) with a limit of {shown(limit)} USD")


def _breaker(pair: TradePair, duties: Duties) -> Iterator[Finding]:
    """Tell of a BUY that the breaker blocked in one lane only."""
    if pair.side is not Side.BUY:
        return
    blocked = {side.role for side in pair.lanes if is_equity_blocked(side.trade)}
    passed = {side.role for side in pair.lanes if was_tried(side.trade) and side.role not in blocked}
    if not blocked or not passed:
        return
    words = {side.role: "blocked" if side.role in blocked else side.trade.status.value for side in pair.lanes}
    decided = Finding(
        kind="EQUITY_DECISION",
        field="equity.allowed",
        rule="blocked exactly when planned BUYs, in the plan's order, would pass the limit",
        explanation="The breaker blocked the BUY in one lane only.",
        role=None,
        planned=decimal_text(pair.planned.amount) if pair.planned else None,
        control=words.get(Role.CONTROL),
        candidate=words.get(Role.CANDIDATE),
        pair=pair,
    )
    yield from of_each(decided, duties.breaker_departs(pair))


def market_findings(view: PairView) -> Iterator[Finding]:
    """Tell once of a market that one lane found closed while the other traded: where one trade shows that it was open, it was."""
    closed, traded = set(), set()
    departs: set[Role] = set()
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
            departs |= closed_departs(*both)
            symbols.append(pair.symbol)
    if symbols:
        words = {role: "traded" if role in traded else "market closed" for role in closed | traded}
        market = Finding(
            kind="MARKET_CHECK",
            field="reason",
            rule="no trade while the market is closed",
            explanation=f"One lane found the market closed, the other traded {len(symbols)} of the same trades.",
            role=None,
            control=words.get(Role.CONTROL),
            candidate=words.get(Role.CANDIDATE),
        )
        yield from of_each(market, departs & closed or departs)


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
