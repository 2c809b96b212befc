"""Business Unit: compare | Status: current.

Prices: what each lane decided on, what it offered and what it filled at. A lane's own price is only its word, so it is held
against its own bid and ask, and against the nearest in time of fills that the lane did not write down itself and the market's
quote when the brokers were asked; where there are none, against the other lane's price. Each bound grows with the time between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from shadow.compare.case import Fault, Finding, LaneTrade, TradePair, memoized_per_trade, own_faults, shown
from shadow.compare.checks.duties import was_tried
from shadow.compare.checks.executed import Fill, is_accepted, ledger_fill, order_fill, truest_fill
from shadow.compare.checks.sizing import decision_price
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, ZERO, basis_points, within
from shadow.contracts.identity import is_same_symbol, joined_symbol
from shadow.contracts.model import decimal_text
from shadow.contracts.vocabulary import EffectKind, Reason, Role, Side, TradeStatus

_CENT = Decimal("0.01")
_SECOND = timedelta(seconds=1)
_SLACK = timedelta(seconds=5)
"""How far the clocks of one lane's parts may be apart."""


def price_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find what is wrong with the prices of one trade."""
    yield from own_faults(
        "PRICE_NOT_THE_MID",
        "intent.decision_price",
        pair.lanes,
        lambda side: _not_the_mid(side, policy),
        pair,
        rule=policy.rules.decision_mid,
        right=lambda side: shown(decision_price(side.trade.intent)),
    )
    off = {side.role: fault for side in pair.lanes if (fault := _off_the_market(side, pair, policy)) is not None}
    yield from _decision(pair, policy, off)
    limit = policy.limits.quote_seconds
    yield from own_faults(
        "QUOTE_STALE", "intent.quote_at", pair.lanes, lambda side: _stale(side, limit), pair, rule=f"at most {limit} s old"
    )
    width = policy.limits.quote_width_bps
    yield from own_faults(
        "QUOTE_WIDE", "intent.bid", pair.lanes, lambda side: _wide(side, width), pair, rule=f"at most {shown(width)} bps wide"
    )
    yield from own_faults(
        "LIMIT_PRICE",
        "orders.limit_price",
        pair.lanes,
        lambda side: _offered(side, policy),
        pair,
        rule=policy.rules.limit_price,
    )
    yield from _slippage(pair, policy, off.keys())


def _not_the_mid(side: LaneTrade, policy: Policy) -> Fault | None:
    """Hold the price against what the sizing rule makes of the lane's own quote: the mid."""
    intent = side.trade.intent
    if intent is None or intent.bid is None or intent.ask is None or intent.decision_price is None:
        return None
    twice = EXACT.add(intent.bid, intent.ask)
    if within(policy.rules.decision_mid, EXACT.multiply(intent.decision_price, Decimal(2)), twice, Decimal(2)):
        return None
    mid = EXACT.divide(twice, Decimal(2))
    return Fault(
        decimal_text(intent.decision_price), f"sized at {shown(intent.decision_price)} USD where its quote's mid is {mid}"
    )


@memoized_per_trade
def witnessed_price(side: LaneTrade) -> Decimal | None:
    """Give the average price of fills that the lane did not write down itself, USD a share; None where there are none.

    The broker's word for the orders, else the ledger of a lane that traded for real, unless the trade's record denies it.
    """
    fill = order_fill(side) if side.run.broker_truth else None
    if fill is None or not fill.quantity:
        fill = _entered_for_real(side)
    if fill is None or fill.quantity <= 0 or fill.value is None or fill.value <= 0:
        return None
    return EXACT.divide(fill.value, fill.quantity)


def _entered_for_real(side: LaneTrade) -> Fill | None:
    entries = side.effects_of(EffectKind.LEDGER_ENTRY)
    is_real = any(effect.emitted for effect in entries)
    is_its_own = all(effect.symbol is None or is_same_symbol(effect.symbol, side.trade.symbol) for effect in entries)
    fill, price = ledger_fill(side) if is_real and is_its_own else None, side.trade.average_price
    if fill is None or fill.value is None or price is None:
        return fill
    apart = abs(EXACT.subtract(fill.value, EXACT.multiply(price, fill.quantity)))
    return fill if apart <= EXACT.multiply(_CENT, abs(fill.value)) else None


def closed_departs(one: LaneTrade, two: LaneTrade) -> frozenset[Role]:
    """Give the lane that departs where one found the market closed for a trade that the other went to the broker with.

    The plan wants the trade executed, in a run of a few minutes. Fills that their lane did not write down itself show that it
    could be, and so does another trade of the lane that found the market closed, or one that the other entered for real since.
    Otherwise the one that traded departs: that it did is only its own word.
    """
    shut, went = (one, two) if one.trade.reason is Reason.MARKET_CLOSED else (two, one)
    if went.trade.reason is Reason.MARKET_CLOSED or not was_tried(went.trade):
        return frozenset()
    own = witnessed_price(went) is not None or _entered_since(went)
    was_open = own or any(was_tried(trade) and trade.filled_quantity for trade in shut.run.trades)
    failed = {went.role} if went.trade.status is not TradeStatus.COMPLETED else set()
    return frozenset({shut.role, *failed} if was_open else {went.role})


def _entered_since(side: LaneTrade) -> bool:
    """Tell whether a lane entered in its ledger, for real, a trade that it began after this one."""
    start = side.trade.started_at
    rows = (e.symbol for e in side.run.effects or () if e.kind is EffectKind.LEDGER_ENTRY and e.emitted)
    real = {joined_symbol(symbol) for symbol in rows if symbol is not None}
    began = [trade.started_at for trade in side.run.trades if joined_symbol(trade.symbol) in real]
    return start is not None and any(at is not None and at > start for at in began)


def seconds_between(pair: TradePair) -> Decimal | None:
    """Give the most seconds that can lie between the lanes' decisions; None where that is not known.

    By the trades' starts; where one is not known, by its run's. A start outside its own run is no start: a lane must not loosen
    the bound on its price by a time that cannot be.
    """
    spans = [_decided_within(side) for side in pair.lanes]
    if len(spans) < 2 or spans[0] is None or spans[1] is None:  # noqa: PLR2004 - both lanes
        return None
    return Decimal(max(abs(spans[0][1] - spans[1][0]), abs(spans[1][1] - spans[0][0])) // _SECOND)


def _decided_within(side: LaneTrade) -> tuple[datetime, datetime] | None:
    """Give the earliest and the latest moment at which a lane can have decided on a trade."""
    start, begin, end = side.trade.started_at, side.run.started_at, side.run.completed_at
    if start is not None and _is_inside_its_run(side):
        return start, start
    return None if begin is None or end is None else (begin, end)


def _is_inside_its_run(side: LaneTrade) -> bool:
    start, begin, end = side.trade.started_at, side.run.started_at, side.run.completed_at
    if start is None or begin is None or end is None:
        return start is not None
    return begin - _SLACK <= start <= end + _SLACK


class _Witness(NamedTuple):
    """What somebody says the market was, from a bid to an ask in USD a share, so many seconds from a lane's decision."""

    seconds: Decimal
    bid: Decimal
    ask: Decimal
    who: str

    def nearest(self, price: Decimal) -> Decimal:
        """Give the price of this market that is nearest to `price`: a wide quote says little of what is inside of it."""
        return min(max(price, self.bid), self.ask)


def _witnesses(side: LaneTrade, pair: TradePair, policy: Policy) -> list[_Witness]:
    """Give who else says what the market was at a lane's decision: the nearest in time first."""
    found: list[_Witness] = []
    apart = _seconds(pair, policy)
    if (own := witnessed_price(side)) is not None:
        found.append(_Witness(apart, own, own, "its own fills"))
    for other in pair.lanes:
        same = other is not side and is_same_symbol(other.trade.symbol, side.trade.symbol)
        if same and (price := witnessed_price(other)) is not None:
            found.append(_Witness(apart, price, price, f"the {other.role.value}'s fills"))
    market, start = side.trade.market, side.trade.started_at
    if market is not None and start is not None and 0 < market.bid <= market.ask:
        later = Decimal(abs(market.at - start) // _SECOND)
        if later <= policy.limits.run_seconds:
            found.append(_Witness(later, market.bid, market.ask, "the market's quote"))
    return sorted(found, key=lambda witness: witness.seconds)


def _witness(side: LaneTrade, pair: TradePair, policy: Policy) -> _Witness | None:
    """Give the best witness of the market at a lane's decision; the last is the lane's word for its fills."""
    best = next(iter(_witnesses(side, pair, policy)), None)
    fill = truest_fill(side)
    if best is not None or fill is None or not fill.value:
        return best
    price = EXACT.divide(fill.value, fill.quantity)
    return _Witness(_seconds(pair, policy), price, price, "its own recorded fills")


def is_off_every_witness(side: LaneTrade, pair: TradePair, policy: Policy) -> bool:
    """Tell whether no witness of the market bears out a price that the lane decided or traded at; False without a witness."""
    fill = truest_fill(side)
    traded = None if fill is None or fill.value is None else EXACT.divide(fill.value, fill.quantity)
    prices = [price for price in (decision_price(side.trade.intent), traded or side.trade.average_price) if price is not None]
    seen = _witnesses(side, pair, policy)
    permits = policy.rules.decision_price.permits_after
    return bool(seen) and any(not any(permits(price, each.nearest(price), each.seconds) for each in seen) for price in prices)


def _seconds(pair: TradePair, policy: Policy) -> Decimal:
    """Give the seconds in which a price may have moved between the lanes' decisions: a whole run's where that is not known."""
    apart = seconds_between(pair)
    return Decimal(policy.limits.run_seconds) if apart is None else apart


def _decision(pair: TradePair, policy: Policy, off: Mapping[Role, Fault]) -> Iterator[Finding]:
    """Tell which lanes' prices are `off` the market, and hold the two against each other where neither is."""
    rule = policy.rules.decision_price
    prices = {side.role: price for side in pair.lanes if (price := decision_price(side.trade.intent)) is not None}
    found = own_faults(
        "DECISION_PRICE",
        "intent.decision_price",
        pair.lanes,
        lambda side: off.get(side.role),
        pair,
        rule=rule,
        right=lambda side: shown(prices.get(side.role)),
    )
    yield from found
    both = pair.both
    if both is None or len(prices) < len(both) or found:
        return
    control, candidate = (prices[side.role] for side in both)
    seconds = _seconds(pair, policy)
    if is_same_symbol(both[0].trade.symbol, both[1].trade.symbol) and not rule.permits_after(control, candidate, seconds):
        yield Finding(
            kind="DECISION_PRICE",
            field="intent.decision_price",
            rule=str(rule),
            explanation=f"The lanes' prices are too far apart for {seconds} s, and nothing says which of them was the market's.",
            role=None,
            control=decimal_text(control),
            candidate=decimal_text(candidate),
            pair=pair,
        )


def _off_the_market(side: LaneTrade, pair: TradePair, policy: Policy) -> Fault | None:
    """Hold a lane's price against the best witness of the market."""
    intent = side.trade.intent
    if intent is not None and intent.decision_price is not None and intent.decision_price <= 0:
        return Fault(decimal_text(intent.decision_price), f"decided on {shown(intent.decision_price)} USD a share")
    price, seen = decision_price(intent), _witness(side, pair, policy)
    if price is None or seen is None:
        return None
    nearest = seen.nearest(price)
    if policy.rules.decision_price.permits_after(price, nearest, seen.seconds):
        return None
    off, at = basis_points(EXACT.subtract(price, nearest), nearest), _rounded(nearest)
    return Fault(decimal_text(price), f"decided on {shown(price)} USD a share, {off} bps off {seen.who} at {at}")


def _rounded(price: Decimal) -> str:
    return decimal_text(EXACT.quantize(price, Decimal("0.0001")))


def _stale(side: LaneTrade, limit: int) -> Fault | None:
    """Hold the quote's time against the broker's own clock at the decision: a lane's clock may be anything."""
    intent = side.trade.intent
    if intent is None or intent.quote_at is None or intent.market_at is None:
        return None
    age = intent.market_at - intent.quote_at
    if abs(age) <= limit * _SECOND:
        return None
    what = "old" if age > timedelta(0) else "ahead of the broker's clock"
    return Fault(shown(intent.quote_at) or "", f"sized on a quote {abs(age) // _SECOND} s {what}")


def _wide(side: LaneTrade, limit: Decimal) -> Fault | None:
    intent = side.trade.intent
    if intent is None or intent.bid is None or intent.ask is None:
        return None
    bid, ask = intent.bid, intent.ask
    words = f"{shown(bid)} / {shown(ask)}"
    if bid <= 0 or ask < bid:
        return Fault(words, f"sized on a quote of {words}, which no market has")
    width, total = EXACT.multiply(EXACT.subtract(ask, bid), Decimal(20_000)), EXACT.add(ask, bid)
    if width <= EXACT.multiply(limit, total):
        return None
    return Fault(
        words,
        f"sized on a quote of {words}, {basis_points(EXACT.multiply(EXACT.subtract(ask, bid), Decimal(2)), total)} bps wide",
    )


def _offered(side: LaneTrade, policy: Policy) -> Fault | None:
    """Hold the limits of a lane's orders against its own quote, else its own price: the walk never leaves bid and ask by much."""
    intent = side.trade.intent
    price = decision_price(intent)
    if intent is None or price is None:
        return None
    known = intent.bid is not None and intent.ask is not None and 0 < intent.bid <= intent.ask
    low, high = (intent.bid or price, intent.ask or price) if known else (price, price)
    for order in side.trade.orders:
        limit = order.limit_price
        if limit is None or not is_accepted(order) or low <= limit <= high:
            continue
        bound = low if limit < low else high
        if abs(EXACT.subtract(limit, bound)) > _CENT and not within(policy.rules.limit_price, limit, bound):
            off = basis_points(EXACT.subtract(limit, bound), bound)
            side_of = (order.side or side.trade.action).value
            return Fault(
                decimal_text(limit), f"sent a {side_of} order limited at {shown(limit)} USD, {off} bps outside its quote"
            )
    return None


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


def _slippage(pair: TradePair, policy: Policy, off: Collection[Role]) -> Iterator[Finding]:
    """Hold each lane's fills against the market between the two decisions: the lanes decide at different moments.

    A price that is `off` its witness says nothing of the market to the other lane.
    """
    rule = policy.rules.average_price
    prices = {
        side.role: (price, side.role not in off)
        for side in pair.lanes
        if (price := decision_price(side.trade.intent)) is not None
    }

    is_one_symbol = len({side.trade.symbol for side in pair.lanes}) == 1

    def check(side: LaneTrade) -> Fault | None:
        fill = truest_fill(side)
        market = [price for role, (price, is_sound) in prices.items() if role is side.role or (is_sound and is_one_symbol)]
        if fill is None or fill.value is None or side.role not in prices:
            return None
        floor, ceiling = EXACT.multiply(min(market), fill.quantity), EXACT.multiply(max(market), fill.quantity)
        bound = floor if fill.value < floor else ceiling
        if floor <= fill.value <= ceiling or within(rule, fill.value, bound):
            return None
        off = basis_points(EXACT.subtract(fill.value, bound), bound)
        return Fault(f"{off} bps", f"filled {off} bps off the market between the two decisions")

    yield from own_faults("SLIPPAGE", "average_price", pair.lanes, check, pair, rule=rule, planned="0", right=_slipped)


def _slipped(side: LaneTrade) -> str | None:
    known = slippage_of(side)
    if known is None or known[0].value is None:
        return None
    base = EXACT.multiply(known[0].quantity, known[1])
    return f"{basis_points(slippage_cost(side), base)} bps" if base else None
