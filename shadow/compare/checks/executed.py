"""Business Unit: compare | Status: current.

What was really executed, as far as anything in a lane's evidence says: the orders' own fills, else the ledger's, else the
trade's record. A sum of quantity * price is kept with its quantity, so that an average price is never divided out to judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from shadow.compare.case import LaneTrade, memoized_per_trade
from shadow.compare.checks.sizing import asked_quantity, decision_price
from shadow.compare.rules import EXACT, ZERO
from shadow.contracts.comparison import Executed, Word
from shadow.contracts.identity import is_same_symbol
from shadow.contracts.outcome import OrderRecord
from shadow.contracts.vocabulary import EffectKind, Side, TradeStatus

LIVE = frozenset(
    {"open", "new", "accepted", "pending_new", "accepted_for_bidding", "partially_filled", "held", "pending_cancel", "stopped"}
    | {"pending_replace", "pending_review", "calculated", "done_for_day", "suspended"}
)
"""Statuses, a lane's words and Alpaca's, after which an order may still fill."""
NOT_FOUND = "not_found"
"""What is said of an order that its broker does not know."""
DEAD = frozenset({"canceled", "expired", "rejected", "not_accepted", "replaced", NOT_FOUND})
FILLED = "filled"
_KNOWN = LIVE | DEAD | {FILLED, ""}
_NOT_KNOWN = frozenset({TradeStatus.UNKNOWN, TradeStatus.UNFINISHED})


class Fill(NamedTuple):
    """Shares filled and the USD they came to. `value` is None where no price is known."""

    quantity: Decimal
    value: Decimal | None


def status_of(order: OrderRecord) -> str:
    """Give an order's status in lower case; empty where it is not known."""
    return (order.status or "").lower()


def is_uncertain(order: OrderRecord) -> bool:
    """Tell whether nothing says how an order stands: its status is none that is known to be live, dead or filled."""
    return status_of(order) not in _KNOWN


def is_accepted(order: OrderRecord) -> bool:
    """Tell whether the broker has, or may have, the order: it did not refuse it."""
    return order.accepted is not False and status_of(order) not in ("rejected", "not_accepted", NOT_FOUND)


def is_refused(order: OrderRecord) -> bool:
    """Tell whether the broker never took the order: it has no id there."""
    return order.order_id is None and not is_accepted(order)


def has_wrong_side(order: OrderRecord, side: LaneTrade) -> bool:
    """Tell whether an order is known to go the other way than the trade that it was sent for."""
    return order.side not in (None, side.trade.action)


def is_elsewhere(order: OrderRecord, side: LaneTrade) -> bool:
    """Tell whether an order is known to be for another symbol than the trade that it was sent for."""
    return order.symbol is not None and not is_same_symbol(order.symbol, side.trade.symbol)


def went_astray(order: OrderRecord, side: LaneTrade) -> bool:
    """Tell whether an order is known to go the other way than its trade, or to be for another symbol."""
    return has_wrong_side(order, side) or is_elsewhere(order, side)


@memoized_per_trade
def accepted_orders(side: LaneTrade) -> tuple[OrderRecord, ...]:
    """Give the trade's orders that the broker has, or may have: one that is recorded twice, alike, is one order."""
    found = {
        (order.order_id or place, order.filled_quantity, order.average_price): order
        for place, order in enumerate(side.trade.orders)
        if is_accepted(order)
    }
    return tuple(found.values())


@memoized_per_trade
def order_fill(side: LaneTrade) -> Fill | None:
    """Sum the fills of the trade's orders; None where no order says how much was filled. What went astray fills nothing of it."""
    orders = accepted_orders(side)
    return _sum((ZERO, None) if went_astray(order, side) else (order.filled_quantity, order.average_price) for order in orders)


@memoized_per_trade
def ledger_fill(side: LaneTrade) -> Fill | None:
    """Sum the trade's ledger entries; None where there is none."""
    return _sum((effect.quantity, effect.price) for effect in side.effects_of(EffectKind.LEDGER_ENTRY))


def _sum(fills: Iterable[tuple[Decimal | None, Decimal | None]]) -> Fill | None:
    known = [(quantity, price) for quantity, price in fills if quantity is not None]
    if not known:
        return None
    if len(known) == 1:
        quantity, price = known[0]
        return Fill(quantity, ZERO if not quantity else None if price is None else EXACT.multiply(quantity, price))
    total = ZERO
    value: Decimal | None = ZERO
    for quantity, price in known:
        total = EXACT.add(total, quantity)
        if quantity != 0:
            value = None if value is None or price is None else EXACT.add(value, EXACT.multiply(quantity, price))
    return Fill(total, value)


def recorded_fill(side: LaneTrade) -> Fill | None:
    """Give what the trade's own record says was filled; None where it says nothing."""
    trade = side.trade
    if trade.filled_quantity is None:
        return None
    price = trade.average_price
    return Fill(trade.filled_quantity, None if price is None else EXACT.multiply(trade.filled_quantity, price))


@memoized_per_trade
def truest_fill(side: LaneTrade) -> Fill | None:
    """Give the most trustworthy fill that has a price: orders, then ledger, then the record."""
    fills = (find(side) for find in (order_fill, ledger_fill, recorded_fill))  # the next is asked only where one says nothing
    return next((fill for fill in fills if fill is not None and fill.quantity > 0 and fill.value is not None), None)


@memoized_per_trade
def seen_filled(side: LaneTrade) -> Decimal:
    """Give the most shares that orders or ledger say were filled; zero where they say nothing."""
    return max((fill.quantity for fill in (order_fill(side), ledger_fill(side)) if fill is not None), default=ZERO)


def is_answered(side: LaneTrade) -> bool:
    """Tell whether the broker's word of a trade's orders is whole: it was asked, and nothing of its answer is unclear."""
    unclear = f"broker orders of {side.trade.symbol}"
    return side.run.broker_truth and all(gap.what != unclear for gap in side.run.gaps)


def _sent(side: LaneTrade) -> tuple[Decimal, Decimal | None]:
    """Sum what the orders filled, each on its own side: signed shares, and signed USD where every fill has a price."""
    shares, value = ZERO, ZERO
    is_priced = True
    for order in accepted_orders(side):
        if order.filled_quantity and not is_elsewhere(order, side):
            signed = order.filled_quantity if (order.side or side.trade.action) is Side.BUY else -order.filled_quantity
            shares = EXACT.add(shares, signed)
            is_priced = is_priced and order.average_price is not None
            value = EXACT.add(value, EXACT.multiply(signed, order.average_price or ZERO))
    return shares, value if is_priced else None


@memoized_per_trade
def executed(side: LaneTrade) -> Executed:
    """Give what a lane executed of a trade, by the best word there is for it.

    The broker's, where it was asked. Else the lane's: its orders' fills, its ledger, its record; of a completed trade without
    fills, what was asked for. A lane that does not know how its trade ended says nothing of it: that is not zero.
    """
    trade = side.trade
    if is_answered(side):
        shares, value = _sent(side)
        return Executed(shares=shares, value=_at_decision(side, shares) if value is None else value, word=Word.BROKER)
    if trade.orders and not accepted_orders(side):
        return Executed(shares=ZERO, value=ZERO, word=Word.LANE)
    if any(went_astray(order, side) for order in trade.orders):
        shares, value = _sent(side)
        return Executed(shares=shares, value=value, word=Word.LANE)
    return _claimed(side)


def _claimed(side: LaneTrade) -> Executed:
    """Give what a lane's own records say was executed."""
    trade = side.trade
    sign = 1 if trade.action is Side.BUY else -1
    fill = truest_fill(side)
    if fill is not None and fill.value is not None:
        return Executed(shares=sign * fill.quantity, value=sign * fill.value, word=Word.LANE)
    quantity = seen_filled(side) or trade.filled_quantity
    if not quantity and trade.status in _NOT_KNOWN:
        return Executed(word=Word.NOT_KNOWN)
    if quantity is None and trade.status is TradeStatus.COMPLETED:
        quantity = asked_quantity(side)
        if quantity is None:
            return Executed(word=Word.NOT_KNOWN)
    shares = sign * (quantity or ZERO)
    return Executed(shares=shares, value=_at_decision(side, shares), word=Word.LANE)


def _at_decision(side: LaneTrade, shares: Decimal) -> Decimal | None:
    price = decision_price(side.trade.intent)
    return ZERO if not shares else None if price is None else EXACT.multiply(shares, price)


def claimed_shares(side: LaneTrade) -> Decimal:
    """Give the unsigned shares that a lane's own record says were filled; zero where it says nothing."""
    trade = side.trade
    if trade.filled_quantity is None and trade.status is TradeStatus.COMPLETED:
        return asked_quantity(side) or ZERO
    return trade.filled_quantity or ZERO


def is_simulated(side: LaneTrade) -> bool:
    """Tell whether a trade's fills were never put to a broker, as in dry run: they are at a price that the lane gave itself."""
    filled = [order for order in side.trade.orders if order.filled_quantity]
    return bool(filled) and not is_answered(side) and all(order.accepted is None for order in filled)
