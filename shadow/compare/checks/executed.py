"""Business Unit: compare | Status: current.

What was really executed, as far as anything in a lane's evidence says: the orders' own fills, else the ledger's, else the
trade's record. A sum of quantity * price is kept with its quantity, so that an average price is never divided out to judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from shadow.compare.case import LaneTrade, memoized_per_trade
from shadow.compare.checks.sizing import asked_quantity, decision_price
from shadow.compare.exact import EXACT, ZERO
from shadow.contracts.outcome import OrderRecord
from shadow.contracts.vocabulary import EffectKind, Side, TradeStatus

LIVE = frozenset(
    {"open", "new", "accepted", "pending_new", "accepted_for_bidding", "partially_filled", "held", "pending_cancel", "stopped"}
)
DEAD = frozenset({"canceled", "expired", "rejected", "not_accepted", "done_for_day", "replaced", "suspended"})
UNCERTAIN = frozenset({"unknown", "ambiguous", "intended"})
FILLED = "filled"


@dataclass(frozen=True, slots=True)
class Fill:
    """Shares filled and the USD they came to. `value` is None where no price is known."""

    quantity: Decimal
    value: Decimal | None


def status_of(order: OrderRecord) -> str:
    """Give an order's status in lower case; empty where it is not known."""
    return (order.status or "").lower()


def is_accepted(order: OrderRecord) -> bool:
    """Tell whether the broker has, or may have, the order: it did not refuse it."""
    return order.accepted is not False and status_of(order) not in ("rejected", "not_accepted")


def is_refused(order: OrderRecord) -> bool:
    """Tell whether the broker never took the order: it has no id there."""
    return order.order_id is None and not is_accepted(order)


def has_wrong_side(order: OrderRecord, side: LaneTrade) -> bool:
    """Tell whether an order is known to go the other way than the trade that it was sent for."""
    return order.side not in (None, side.trade.action)


@memoized_per_trade
def order_fill(side: LaneTrade) -> Fill | None:
    """Sum the fills of the trade's orders; None where no order says how much was filled. What went astray fills nothing of it."""
    orders = [order for order in side.trade.orders if is_accepted(order)]
    return _sum((ZERO, None) if has_wrong_side(order, side) else (order.filled_quantity, order.average_price) for order in orders)


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
    fills = (order_fill(side), ledger_fill(side), recorded_fill(side))
    return next((fill for fill in fills if fill is not None and fill.quantity > 0 and fill.value is not None), None)


@memoized_per_trade
def seen_filled(side: LaneTrade) -> Decimal:
    """Give the most shares that orders or ledger say were filled; zero where they say nothing."""
    return max((fill.quantity for fill in (order_fill(side), ledger_fill(side)) if fill is not None), default=ZERO)


def executed_value(side: LaneTrade | None) -> Decimal:
    """Give the signed USD executed: a buy adds, a sell removes.

    Filled quantity * price; without a price the decision price; of a completed trade without fills, what was asked for.
    """
    if side is None:
        return ZERO
    sign = 1 if side.trade.action is Side.BUY else -1
    if any(has_wrong_side(order, side) for order in side.trade.orders):
        return _sent(side)
    fill = truest_fill(side)
    if fill is not None and fill.value is not None:
        return sign * fill.value
    price = decision_price(side.trade.intent)
    quantity = seen_filled(side) or side.trade.filled_quantity
    if quantity is None and side.trade.status is TradeStatus.COMPLETED:
        quantity = asked_quantity(side)
    if price is None or quantity is None:
        return ZERO
    return sign * EXACT.multiply(quantity, price)


def _sent(side: LaneTrade) -> Decimal:
    """Sum what the orders did, each on its own side: the trade's record does not know that one went the other way."""
    total = ZERO
    for order in side.trade.orders:
        if is_accepted(order) and order.filled_quantity and order.average_price is not None:
            sign = 1 if (order.side or side.trade.action) is Side.BUY else -1
            total = EXACT.add(total, sign * EXACT.multiply(order.filled_quantity, order.average_price))
    return total
