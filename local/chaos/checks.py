"""Business Unit: local cloud | Status: current.

What must hold after chaos: conservation, no order twice, no order without an intent or an end, and a control that was not
touched.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from local.broker_simulator.values import SimulatedOrder
from local.chaos.result import Check
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.pair import Pair, UnreadablePair
from shadow.settlement.conservation import conservation

_TRADE_ID_LENGTH = 36
_LIVE = frozenset({"accepted", "new", "pending_new", "partially_filled"})


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """What the control did with one plan: its orders, and its items, without what differs between any two runs."""

    orders: tuple[tuple[str, ...], ...]
    items: tuple[tuple[tuple[str, str], ...], ...]


def check_conservation(days: Iterable[date], pairs: Mapping[date, Sequence[Pair | UnreadablePair]], published: int) -> Check:
    """Check that every published plan is accounted for, and none is pending any more."""
    sums = [conservation(day, pairs[day]) for day in days]
    found = sum(each.published for each in sums)
    pending = sum(each.pending for each in sums)
    lost = published - found
    holds = lost == 0 and pending == 0 and all(each.error == 0 for each in sums)
    told = f"{published} published, {found} paired, {pending} pending, {sum(abs(each.error) for each in sums)} unaccounted for"
    return Check(name="conservation is exact", holds=holds, told=told)


def check_orders(orders: Sequence[SimulatedOrder], intents: Iterable[IntentRecord]) -> tuple[Check, ...]:
    """Check the candidate's account: ids once, never more than asked for, an intent for each order, and none left open."""
    by_id = {intent.client_order_id: intent for intent in intents}
    twice = [name for name, count in Counter(order.client_order_id for order in orders).items() if count > 1]
    unintended = [order.client_order_id for order in orders if order.client_order_id not in by_id]
    live = [order.client_order_id for order in orders if order.status in _LIVE]
    bound: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        bound[order.client_order_id[:_TRADE_ID_LENGTH]] += order.filled_quantity
    asked = {intent.trade_id: intent.asked_quantity for intent in by_id.values()}
    over = [trade for trade, filled in bound.items() if filled > asked.get(trade, Decimal(0))]
    untold = [
        order.client_order_id
        for order in orders
        if (intent := by_id.get(order.client_order_id)) is not None
        and (intent.status.value, intent.filled_quantity) != (order.status, order.filled_quantity)
    ]
    return (
        Check(name="the candidate traded", holds=bool(orders), told=f"{len(orders)} orders for {len(bound)} trades"),
        _none("no order is accepted twice", twice, len(orders)),
        _none("no trade fills more than it asked for", over, len(bound)),
        _none("no order is without an intent", unintended, len(orders)),
        _none("no order is left open", live, len(orders)),
        _none("every order ends recorded as the broker has it", untold, len(orders)),
    )


def check_control(found: Mapping[str, ControlRecord], alone: Mapping[str, ControlRecord]) -> Check:
    """Check that the control did with every plan what it does without the harness."""
    different = [plan for plan in sorted({*found, *alone}) if found.get(plan) != alone.get(plan)]
    return _none("the control is identical to a run without the harness", different, len(alone))


def _none(name: str, faulty: Sequence[str], of: int) -> Check:
    shown = f": {', '.join(faulty[:5])}" if faulty else ""
    return Check(name=name, holds=not faulty, told=f"{len(faulty)} of {of}{shown}")
