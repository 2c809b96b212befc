"""Business Unit: compare | Status: current.

What came of each trade: its end, how much was filled, at what price, and what is left. Prices are judged as slippage against
each lane's own decision price; quantities against what the lane itself asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from shadow.compare.case import LaneTrade, TradePair
from shadow.compare.checks.executed import Fill, order_fill, seen_filled, truest_fill
from shadow.compare.checks.sizing import asked_quantity, decision_price
from shadow.compare.exact import EXACT, SHARE_STEP, ZERO, basis_points
from shadow.compare.finding import Fault, Finding, own_faults, shown
from shadow.compare.policy import Policy
from shadow.compare.rules import ONE, within
from shadow.contracts.model import decimal_text
from shadow.contracts.vocabulary import Reason, Side, TradeStatus


def fill_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find what is wrong with how one trade ended."""
    yield from own_faults("FILLED_RECORDED_AS_FAILED", "status", pair.lanes, lambda side: _filled(side, pair), pair)
    yield from own_faults("PARTIAL_FILL_LOST", "filled_quantity", pair.lanes, lambda side: _lost(side, pair), pair)
    yield from own_faults("TRADE_UNFINISHED", "status", pair.lanes, _unfinished, pair, rule="every trade ends")
    yield from own_faults("TRADE_UNKNOWN", "status", pair.lanes, _unknown, pair, rule="a lane knows how its trades ended")
    yield from _status(pair)
    yield from _filled_quantity(pair, policy)
    yield from _partial(pair, policy)
    yield from _slippage(pair, policy)
    yield from _recorded_price(pair, policy)
    yield from _value(pair, policy)
    yield from _residual(pair, policy)


def _reference(side: LaneTrade, pair: TradePair) -> Decimal | None:
    """Give the shares a lane must have asked for: by its own records, else as the other lane did."""
    own = asked_quantity(side)
    if own is not None:
        return own
    others = [asked_quantity(other) for other in pair.lanes if other.role is not side.role]
    return others[0] if others else None


def _is_everything(side: LaneTrade, pair: TradePair, filled: Decimal) -> bool:
    """Tell whether `filled` is all that was asked for.

    Held against the other lane's quantity, 98 % are all of it, unless the lane says itself that something was left.
    """
    asked = _reference(side, pair)
    if asked is None:
        return False
    if asked_quantity(side) is None:
        if side.trade.reason is Reason.PARTIAL_FILL and filled < asked:
            return False
        return EXACT.multiply(filled, Decimal(100)) >= EXACT.multiply(asked, Decimal(98))
    return EXACT.add(filled, SHARE_STEP) >= asked


def _filled(side: LaneTrade, pair: TradePair) -> Fault | None:
    filled = max(seen_filled(side), side.trade.filled_quantity or ZERO)
    if side.trade.status is TradeStatus.COMPLETED or filled <= 0 or not _is_everything(side, pair, filled):
        return None
    return Fault(
        side.trade.status.value,
        f"filled {shown(filled)} shares, all that was asked for, and records {side.trade.status.value}",
    )


def _lost(side: LaneTrade, pair: TradePair) -> Fault | None:
    filled, recorded = seen_filled(side), side.trade.filled_quantity or ZERO
    if side.trade.status is TradeStatus.COMPLETED or _is_everything(side, pair, filled):
        return None
    if EXACT.subtract(filled, recorded) <= SHARE_STEP:
        return None
    return Fault(decimal_text(recorded), f"filled {shown(filled)} shares and records {shown(recorded)}")


def _unfinished(side: LaneTrade) -> Fault | None:
    status = side.trade.status
    return Fault(status.value, "never ended the trade") if status in (TradeStatus.UNFINISHED, TradeStatus.NOT_SENT) else None


def _unknown(side: LaneTrade) -> Fault | None:
    status = side.trade.status
    return Fault(status.value, "does not know how the trade ended") if status is TradeStatus.UNKNOWN else None


def _status(pair: TradePair) -> Iterator[Finding]:
    """Tell of different ends; the plan wants every trade executed, so a lane that did not execute it departs from it."""
    both = pair.both
    if both is None or both[0].trade.status is both[1].trade.status:
        return
    control, candidate = both
    yield Finding(
        kind="TRADE_STATUS",
        field="status",
        rule="exact",
        explanation=f"The control ended the trade as {_end(control)}, the candidate as {_end(candidate)}.",
        departs=frozenset(side.role for side in both if side.trade.status is not TradeStatus.COMPLETED),
        planned=TradeStatus.COMPLETED.value,
        control=control.trade.status.value,
        candidate=candidate.trade.status.value,
        pair=pair,
    )


def _end(side: LaneTrade) -> str:
    reason = shown(side.trade.reason)
    return f"{side.trade.status.value} ({reason})" if reason else side.trade.status.value


def _filled_quantity(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    rule = policy.rules.filled_quantity

    def check(side: LaneTrade) -> Fault | None:
        asked, filled = asked_quantity(side), side.trade.filled_quantity
        if side.trade.status is not TradeStatus.COMPLETED or asked is None or filled is None:
            return None
        orders = order_fill(side)
        if not within(rule, filled, asked):
            return Fault(
                decimal_text(filled),
                f"records the trade as executed with {shown(filled)} of {shown(asked)} shares filled",
            )
        if orders is not None and EXACT.add(orders.quantity, SHARE_STEP) < filled and not within(rule, orders.quantity, filled):
            return Fault(
                decimal_text(filled),
                f"records {shown(filled)} shares filled where its orders filled {shown(orders.quantity)}",
            )
        return None

    yield from own_faults(
        "FILLED_QUANTITY",
        "filled_quantity",
        pair.lanes,
        check,
        pair,
        rule=rule,
        right=lambda side: shown(side.trade.filled_quantity),
    )


def _partial(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Two failed trades may have filled different parts: compared in USD at each lane's own decision price."""
    both = pair.both
    if both is None or any(side.trade.status is not TradeStatus.FAILED for side in both):
        return
    dollars = [_filled_dollars(side) for side in both]
    if dollars[0] is None or dollars[1] is None or within(policy.rules.partial_fill, dollars[0], dollars[1]):
        return
    yield Finding(
        kind="FILLED_QUANTITY",
        field="filled_usd",
        rule=str(policy.rules.partial_fill),
        explanation="The trade failed in both lanes, after different parts of it were filled.",
        departs=frozenset(),
        control=decimal_text(dollars[0]),
        candidate=decimal_text(dollars[1]),
        pair=pair,
    )


def _filled_dollars(side: LaneTrade) -> Decimal | None:
    filled = side.trade.filled_quantity
    if filled is None or filled == 0:
        return ZERO
    price = decision_price(side.trade.intent) or side.trade.average_price
    return None if price is None else EXACT.multiply(filled, price)


def slippage_of(side: LaneTrade) -> tuple[Fill, Decimal] | None:
    """Give a lane's truest fill and its decision price; None where one is unknown."""
    fill, price = truest_fill(side), decision_price(side.trade.intent)
    return (fill, price) if fill is not None and price is not None else None


def slippage_cost(side: LaneTrade) -> Decimal:
    """Give what a lane paid beyond its decision price, in USD; negative where it paid less; zero where unknown."""
    known = slippage_of(side)
    if known is None or known[0].value is None:
        return ZERO
    fill, price = known
    sign = 1 if side.trade.action is Side.BUY else -1
    return sign * EXACT.subtract(fill.value or ZERO, EXACT.multiply(fill.quantity, price))


def _slippage(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    both = pair.both
    if both is None or both[0].trade.status is not both[1].trade.status or both[0].trade.action is not both[1].trade.action:
        return
    parts = [_excess(side) for side in both]
    if parts[0] is None or parts[1] is None:
        return
    (first, first_base), (second, second_base) = parts[0], parts[1]
    rule = policy.rules.average_price
    apart = abs(EXACT.subtract(EXACT.multiply(first, second_base), EXACT.multiply(second, first_base)))
    if rule.permits(apart, EXACT.multiply(first_base, second_base), ONE):
        return
    departs = [
        side.role
        for side, part in zip(both, parts, strict=True)
        if part is not None and not rule.permits(abs(part[0]), part[1], ONE)
    ]
    control, candidate = basis_points(first, first_base), basis_points(second, second_base)
    yield Finding(
        kind="SLIPPAGE",
        field="average_price",
        rule=str(rule),
        explanation=f"Against its own decision price the control paid {control} bps more, the candidate {candidate} bps.",
        departs=frozenset(departs),
        planned="0",
        control=f"{control} bps",
        candidate=f"{candidate} bps",
        pair=pair,
    )


def _excess(side: LaneTrade) -> tuple[Decimal, Decimal] | None:
    """Give (USD paid beyond the decision price, USD at the decision price); None where unknown."""
    known = slippage_of(side)
    if known is None:
        return None
    return slippage_cost(side), EXACT.multiply(known[0].quantity, known[1])


def _recorded_price(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    rule = policy.rules.recorded_price

    def check(side: LaneTrade) -> Fault | None:
        fill, price = truest_fill(side), side.trade.average_price
        if fill is None or fill.value is None or price is None or side.role not in policy.applies.recorded_price:
            return None
        if within(rule, EXACT.multiply(price, fill.quantity), fill.value, fill.quantity):
            return None
        return Fault(decimal_text(price), f"records {shown(price)} USD a share; its fills came to {shown(fill.value)} USD")

    yield from own_faults("PRICE_NOT_THE_FILL", "average_price", pair.lanes, check, pair, rule=rule)


def _value(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    rule = policy.rules.value

    def check(side: LaneTrade) -> Fault | None:
        trade = side.trade
        if trade.value is None or trade.filled_quantity is None or trade.average_price is None:
            return None
        product = EXACT.multiply(trade.filled_quantity, trade.average_price)
        if within(rule, trade.value, product):
            return None
        return Fault(
            decimal_text(trade.value),
            f"records {shown(trade.value)} USD where quantity * price is {shown(product)}",
        )

    yield from own_faults("VALUE", "value", pair.lanes, check, pair, rule=rule, right=lambda side: shown(side.trade.value))


def _residual(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Less than nothing is an oversell; something is a residue, where a full exit was planned and executed."""
    rule = policy.rules.residual_position
    exit_planned = pair.planned is not None and pair.planned.is_full_exit

    def short(side: LaneTrade) -> Fault | None:
        left = side.trade.residual_position
        if left is None or left >= 0 or side.trade.action is not Side.SELL or within(rule, left, ZERO):
            return None
        return Fault(decimal_text(left), f"is left with {shown(left)} shares: it sold more than it held")

    def residue(side: LaneTrade) -> Fault | None:
        left = side.trade.residual_position
        done = side.trade.status is TradeStatus.COMPLETED
        if left is None or left <= 0 or not exit_planned or not done or within(rule, left, ZERO):
            return None
        return Fault(decimal_text(left), f"is left with {shown(left)} shares")

    for kind, check in (("OVERSELL", short), ("RESIDUAL_POSITION", residue)):
        yield from own_faults(
            kind,
            "residual_position",
            pair.lanes,
            check,
            pair,
            rule=rule,
            planned="0",
            right=lambda side: shown(side.trade.residual_position),
        )
