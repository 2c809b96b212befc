"""Business Unit: compare | Status: current.

What came of each trade: its end, how much was filled, and what is left. Quantities are held against what the lane itself asked
for and against what its orders filled, whatever end it recorded.

The check that comes last: what each lane executed of a trade, in USD, against what the plan asks for, whatever the lane
recorded of its decision; and where no price is known at all, the shares of the two lanes against each other. What another kind
already says of the lane and trade is the cause of what is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from shadow.compare.case import Fault, Finding, LaneTrade, Planned, TradePair, of_each, own_faults, shown
from shadow.compare.checks.duties import Duties, is_equity_blocked, was_tried
from shadow.compare.checks.executed import order_fill, seen_filled, status_of, truest_fill, went_astray
from shadow.compare.checks.orders import broken_chain
from shadow.compare.checks.prices import closed_departs, is_off_every_witness, witnessed_price
from shadow.compare.checks.sizing import asked_quantity, decision_price, is_all_that_was_held
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, SHARE_STEP, ZERO, within
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import Owner
from shadow.contracts.vocabulary import Reason, Role, Side, TradeStatus

_OUTAGES = (Reason.NO_QUOTE, Reason.IMPLAUSIBLE_QUOTE, Reason.BROKER_UNAVAILABLE)


def fill_findings(pair: TradePair, policy: Policy, duties: Duties) -> Iterator[Finding]:
    """Find what is wrong with how one trade ended."""
    yield from own_faults("FILLED_RECORDED_AS_FAILED", "status", pair.lanes, lambda side: _filled(side, pair), pair)
    yield from own_faults("PARTIAL_FILL_LOST", "filled_quantity", pair.lanes, lambda side: _lost(side, pair), pair)
    yield from own_faults("TRADE_UNFINISHED", "status", pair.lanes, _unfinished, pair, rule="every trade ends")
    yield from own_faults("TRADE_UNKNOWN", "status", pair.lanes, _unknown, pair, rule="a lane knows how its trades ended")
    yield from _status(pair, duties)
    yield from own_faults(
        "COMPLETED_WITHOUT_FILL", "filled_quantity", pair.lanes, _nothing_filled, pair, rule="an executed trade filled something"
    )
    yield from _filled_quantity(pair, policy)
    yield from _partial(pair, duties)
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
    told = filled_by_orders(side) if side.run.broker_truth else None
    filled = max(seen_filled(side), side.trade.filled_quantity or ZERO) if told is None else told
    if side.trade.status in (TradeStatus.SKIPPED, TradeStatus.BLOCKED, TradeStatus.NOT_SENT) and filled > 0:
        return Fault(side.trade.status.value, f"filled {shown(filled)} shares and records {side.trade.status.value}")
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


def _nothing_filled(side: LaneTrade) -> Fault | None:
    """Tell of a trade that is recorded as executed and filled nothing, by its own record or by its orders."""
    trade = side.trade
    if trade.status is not TradeStatus.COMPLETED:
        return None
    if trade.filled_quantity == 0:
        return Fault("0", "records the trade as executed with 0 shares filled")
    filled = filled_by_orders(side)
    if filled != 0 or not trade.filled_quantity:
        return None
    return Fault(
        decimal_text(trade.filled_quantity), f"records {shown(trade.filled_quantity)} shares filled and its orders filled none"
    )


def filled_by_orders(side: LaneTrade) -> Decimal | None:
    """Give the shares that the trade's orders filled: 0 where the broker has none of them; None where no order says it."""
    orders = side.trade.orders
    if orders and all(order.accepted is False or status_of(order) in ("rejected", "not_accepted") for order in orders):
        return ZERO
    fill = order_fill(side)
    return None if fill is None else fill.quantity


def _status(pair: TradePair, duties: Duties) -> Iterator[Finding]:
    """Tell of different ends. A trade that one lane does not have at all is held against the plan, which wants it executed."""
    planned = TradeStatus.COMPLETED
    alone = pair.planned is not None and len(pair.lanes) == 1 and duties.ran == set(Role)
    if alone and pair.lanes[0].trade.status is not planned:
        side = pair.lanes[0]
        words = f"The {side.role.value} ended the trade as {_end(side)}, and the other lane does not have it."
        departs = set() if _stopped_rightly(side, duties) or _did_nearly_all(side, pair, duties.policy) else {side.role}
    elif pair.both is not None and pair.both[0].trade.status is not pair.both[1].trade.status:
        words = f"The control ended the trade as {_end(pair.both[0])}, the candidate as {_end(pair.both[1])}."
        departs = set(ends_apart(pair, duties))
    else:
        return
    differs = Finding(
        kind="TRADE_STATUS",
        field="status",
        rule="exact",
        explanation=words,
        role=None,
        planned=planned.value,
        control=pair.control.trade.status.value if pair.control else None,
        candidate=pair.candidate.trade.status.value if pair.candidate else None,
        pair=pair,
    )
    if departs or not alone:
        yield from of_each(differs, departs)


def _stopped_rightly(side: LaneTrade, duties: Duties) -> bool:
    if side.trade.reason is Reason.MARKET_CLOSED:
        return True
    return side.trade.reason is Reason.SELL_GUARD and duties.must_block[side.role]


def ends_apart(pair: TradePair, duties: Duties) -> frozenset[Role]:
    """Give the lanes that departed where a trade ended differently in the two. The plan wants it executed; the rules come first.

    - Both lanes had to block: a lane that bought departs, a lane that blocked does not.
    - A lane failed and did nearly all, and the other says that it executed the trade and filled nothing: that one departs.
    - One lane had no quote or no broker, and only the other lane's own word says that it executed the trade: the other departs
      where its price is not the market's. Where it is, nothing says which lane departs.
    """
    both = pair.both
    if both is None:
        return frozenset()
    blocked, tried = (any(tell(side.trade) for side in both) for tell in (is_equity_blocked, was_tried))
    if pair.side is Side.BUY and blocked and tried and not any(side.trade.reason is Reason.SELL_GUARD for side in both):
        failed = {side.role for side in both if was_tried(side.trade) and side.trade.status is not TradeStatus.COMPLETED}
        return duties.breaker_departs(pair) | failed
    departs = set()
    for side, other in (both, both[::-1]):
        if _departs(side, other, pair, duties):
            departs.add(side.role)
    return frozenset(departs)


def _departs(side: LaneTrade, other: LaneTrade, pair: TradePair, duties: Duties) -> bool:
    mine, theirs = side.trade, other.trade
    all_block = all(duties.must_block.get(role, False) for role in (side.role, other.role))
    if mine.reason is Reason.SELL_GUARD or (mine.status is TradeStatus.NOT_SENT and all_block and mine.action is Side.BUY):
        return not all_block
    if was_tried(mine) and mine.action is Side.BUY and theirs.reason is Reason.SELL_GUARD and duties.must_block[side.role]:
        return True
    if mine.reason is Reason.MARKET_CLOSED or theirs.reason is Reason.MARKET_CLOSED:
        return side.role in closed_departs(side, other)
    if mine.status is TradeStatus.COMPLETED:
        is_false = _nothing_filled(side) is not None and _did_nearly_all(other, pair, duties.policy)
        return is_false or (theirs.reason in _OUTAGES and is_off_every_witness(side, pair, duties.policy))
    is_unknown = theirs.status in (TradeStatus.UNKNOWN, TradeStatus.UNFINISHED)
    is_unsound = is_unknown or broken_chain(other) is not None or _nothing_filled(other) is not None
    if is_unsound and _did_nearly_all(side, pair, duties.policy):
        return False
    return not (mine.reason in _OUTAGES and theirs.status is TradeStatus.COMPLETED and not _is_proved(other, pair, duties))


def _did_nearly_all(side: LaneTrade, pair: TradePair, policy: Policy) -> bool:
    """Tell whether a failed trade filled what the plan asks for, within the rule's tolerance."""
    planned, dollars = pair.planned, _filled_dollars(side)
    if planned is None or dollars is None or side.trade.status is not TradeStatus.FAILED:
        return False
    goal = planned.current_value if planned.is_full_exit else abs(planned.amount)
    rule = policy.rules.exit_quantity if planned.is_full_exit else policy.rules.executed_value
    return within(rule, dollars, goal)


def _is_proved(side: LaneTrade, pair: TradePair, duties: Duties) -> bool:
    """Tell whether more than a lane's own word says that it executed: its broker's fills, or its ledger at the market's price."""
    told = order_fill(side) if side.run.broker_truth else None
    if told is not None and told.quantity > 0:
        return True
    return witnessed_price(side) is not None and not is_off_every_witness(side, pair, duties.policy)


def _end(side: LaneTrade) -> str:
    reason = shown(side.trade.reason)
    return f"{side.trade.status.value} ({reason})" if reason else side.trade.status.value


def _filled_quantity(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    rule = policy.rules.filled_quantity

    def check(side: LaneTrade) -> Fault | None:
        asked, filled = asked_quantity(side), side.trade.filled_quantity
        if not filled:
            return None
        if side.trade.status is TradeStatus.COMPLETED and asked is not None and not within(rule, filled, asked):
            return Fault(
                decimal_text(filled),
                f"records the trade as executed with {shown(filled)} of {shown(asked)} shares filled",
            )
        orders = filled_by_orders(side)
        if orders is not None and EXACT.add(orders, SHARE_STEP) < filled and not within(rule, orders, filled):
            return Fault(decimal_text(filled), f"records {shown(filled)} shares filled where its orders filled {shown(orders)}")
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


def _partial(pair: TradePair, duties: Duties) -> Iterator[Finding]:
    """Two failed trades may have filled different parts: compared in USD at each lane's own decision price.

    Which lane departs:

    - one whose record says something else than its orders;
    - where the brokers say what both filled: the lane that is farther from the plan. If one of them filled nothing, the market
      was not too thin for both, and each lane that missed the plan departs;
    - where only one broker was asked: the other lane, if that broker shows that its lane executed the trade;
    - else nothing says which lane departs.
    """
    both, policy = pair.both, duties.policy
    if both is None or any(side.trade.status is not TradeStatus.FAILED for side in both):
        return
    control, candidate = (_filled_dollars(side) for side in both)
    candidate = None if candidate is None else EXACT.add(candidate, _nobodys_dollars(both[1]))
    if control is None or candidate is None or within(policy.rules.partial_fill, control, candidate):
        return
    parts = Finding(
        kind="FILLED_QUANTITY",
        field="filled_usd",
        rule=str(policy.rules.partial_fill),
        explanation="The trade failed in both lanes, after different parts of it were filled.",
        role=None,
        control=decimal_text(control),
        candidate=decimal_text(candidate),
        pair=pair,
    )
    false = {side.role for side in both if _filled(side, pair) or _lost(side, pair)}
    if pair.planned is not None and all(side.run.broker_truth for side in both):
        departs = _missed_the_plan(pair.planned, {Role.CONTROL: control, Role.CANDIDATE: candidate}, policy)
    else:
        departs = {side.role for side in both if _alone_failed(side, both, pair, duties)}
    yield from of_each(parts, false | departs)


def _missed_the_plan(planned: Planned, dollars: Mapping[Role, Decimal], policy: Policy) -> set[Role]:
    """Give the lane that is farther from the plan; both where one filled nothing and both missed it."""
    goal = planned.current_value if planned.is_full_exit else abs(planned.amount)
    off = {role: abs(EXACT.subtract(usd, goal)) for role, usd in dollars.items()}
    missed = {role for role, usd in dollars.items() if not within(policy.rules.partial_fill, usd, goal)}
    return {role for role in off if off[role] > min(off.values())} | (missed if ZERO in dollars.values() else set())


def _alone_failed(side: LaneTrade, both: tuple[LaneTrade, LaneTrade], pair: TradePair, duties: Duties) -> bool:
    """Tell whether a lane failed a trade that the other executed by its broker's word, even if that one recorded it as failed.

    A lane that sent no order failed alone also where the other's orders filled a part.
    """
    other = both[0] if side is both[1] else both[1]
    if not other.run.broker_truth or _filled(side, pair):
        return False
    if not _filled(other, pair) and (side.trade.orders or not filled_by_orders(other)):
        return False
    return side.trade.reason not in _OUTAGES or _is_proved(other, pair, duties)


def _filled_dollars(side: LaneTrade) -> Decimal | None:
    filled = max(seen_filled(side), side.trade.filled_quantity or ZERO)
    if not filled:
        return ZERO
    price, fill = decision_price(side.trade.intent) or side.trade.average_price, truest_fill(side)
    if price is None and fill is not None and fill.value is not None:
        price = EXACT.divide(fill.value, fill.quantity)
    return None if price is None else EXACT.multiply(filled, price)


def _nobodys_dollars(side: LaneTrade) -> Decimal:
    """Give what orders that no trade accounts for filled of the candidate's, USD: nobody else trades in its account."""
    orders = [other.order for other in (side.run.account.orders if side.run.account else ()) if other.owner is Owner.NOBODY]
    mine = [order for order in orders if order.symbol and order.side and not went_astray(order, side)]
    return sum((EXACT.multiply(o.filled_quantity or ZERO, o.average_price or ZERO) for o in mine), ZERO)


def _recorded_price(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    rule = policy.rules.recorded_price

    def check(side: LaneTrade) -> Fault | None:
        fill, price = truest_fill(side), side.trade.average_price
        if fill is None or fill.value is None or price is None or side.run.lane not in policy.applies.recorded_price:
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


def _sold(side: LaneTrade) -> Decimal | None:
    told = filled_by_orders(side) if side.run.broker_truth else None
    return side.trade.filled_quantity if told is None else told


def _trades_in_whole_shares(pair: TradePair) -> bool:
    """Tell whether both lanes sold, or asked for, whole shares, as they must where an asset does not trade in fractions.

    They need not be as many: a lane that sizes by value rounds what its own quote makes of the plan's dollars. A lane that came
    to no quantity says nothing of the asset: then a lane must have been told that it does trade in fractions.
    """
    shares = [_sold(side) or asked_quantity(side) for side in pair.lanes]
    known = [each for each in shares if each]
    told = any(side.trade.intent is not None and side.trade.intent.fractionable for side in pair.lanes)
    return (len(known) == len(Role) or not told) and bool(known) and all(each == each.to_integral_value() for each in known)


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
        if left < 1 and _trades_in_whole_shares(pair):
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


def executed_shares(side: LaneTrade) -> Decimal | None:
    """Give the shares a lane executed: by the broker's word where it was asked, else by its record, else by orders or ledger."""
    told = filled_by_orders(side)
    if side.run.broker_truth and told is not None:
        return told
    recorded = side.trade.filled_quantity
    return seen_filled(side) or None if recorded is None else recorded


def _price(side: LaneTrade) -> Decimal | None:
    """Give the price that a lane's shares are valued at: its decision's, so that slippage is not told twice, else its fills'."""
    decided = decision_price(side.trade.intent)
    if decided is not None:
        return decided
    fill = truest_fill(side)
    if fill is not None and fill.value is not None:
        return EXACT.divide(fill.value, fill.quantity)
    return side.trade.average_price


def net_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find what was executed beyond or short of the plan."""
    planned = pair.planned
    if planned is None:
        return
    prices = {side.role: _price(side) for side in pair.lanes}
    known = [price for price in prices.values() if price is not None]
    shares = {side.role: executed_shares(side) for side in pair.lanes}
    rule = policy.rules.exit_quantity if planned.is_full_exit else policy.rules.executed_value

    def check(side: LaneTrade) -> Fault | None:
        quantity = shares[side.role]
        price = prices[side.role] or (known[0] if known else None)
        if quantity is None or price is None or is_all_that_was_held(planned, side):
            return None
        return _off_the_plan(side, planned, (quantity, price), within(rule, EXACT.multiply(quantity, price), _goal(planned)))

    yield from own_faults(
        "EXECUTED_VALUE",
        "executed_usd",
        pair.lanes,
        check,
        pair,
        rule=rule,
        planned=decimal_text(_goal(planned)),
        right=lambda side: shown(shares[side.role]),
    )
    both = pair.both
    if both is None or known or both[0].trade.status is not both[1].trade.status:
        return
    control, candidate = (shares[side.role] or ZERO for side in both)
    if not within(rule, control, candidate):
        yield Finding(
            kind="EXECUTED_VALUE",
            field="executed_shares",
            rule=str(rule),
            explanation="The lanes executed different quantities, and no price of either is known.",
            role=None,
            control=decimal_text(control),
            candidate=decimal_text(candidate),
            pair=pair,
        )


def _goal(planned: Planned) -> Decimal:
    return planned.current_value if planned.is_full_exit else abs(planned.amount)


def _off_the_plan(side: LaneTrade, planned: Planned, executed: tuple[Decimal, Decimal], is_within: bool) -> Fault | None:  # noqa: FBT001
    quantity, price = executed
    value, goal = EXACT.multiply(quantity, price), _goal(planned)
    is_short = value < goal
    if is_within or (is_short and side.trade.status is not TradeStatus.COMPLETED):
        return None
    if is_short and quantity == quantity.to_integral_value() and EXACT.subtract(goal, value) < price and quantity:
        return None
    usd = decimal_text(EXACT.quantize(value, Decimal("0.01")))
    return Fault(usd, f"executed {shown(quantity)} shares, {usd} USD, where the plan asks for {shown(goal)} USD")
