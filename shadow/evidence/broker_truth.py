"""Business Unit: evidence | Status: current.

What the brokers say, where the comparator may ask them: the orders of every trade in each lane's own account, by the client
ids that the lanes use, and what is left of a position after a full exit. A lane's record of a fill is its own word (the control
writes the quote's mid); the broker's filled average price and quantity are the truth.

Looking for every trade's client ids in both accounts, not only in the lane's own, is also what finds a second accepted order
for one trade in one account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from shadow.broker.errors import BrokerError
from shadow.broker.port import Order, OrderStatus
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.outcome import OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Lane
from shadow.evidence.errors import EvidenceUnavailable
from shadow.evidence.fields import Fields

_ZERO = Decimal(0)
MAX_STEPS = 40
"""How many client ids of one trade are looked for at most; the first one that the broker has never seen ends the search."""


class OrderBook(Protocol):
    """The part of a broker that is asked. Raises only errors of `shadow.broker.errors`."""

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker has never seen it."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Read the held quantity in shares."""
        ...


@dataclass(frozen=True, slots=True)
class BrokerTruthReader:
    """Reads both accounts. None: that lane has no account that may be asked."""

    control: OrderBook | None
    candidate: OrderBook | None

    def read(self, control: RunOutcome | None, candidate: RunOutcome | None) -> Mapping[str, object]:
        """Fetch both accounts' orders as an evidence document. Raises `EvidenceUnavailable`."""
        document: dict[str, object] = {}
        for lane, book, outcome in (
            (Lane.CONTROL, self.control, control),
            (Lane.CANDIDATE, self.candidate, candidate),
        ):
            if book is None or outcome is None:
                continue
            try:
                document[lane.value] = {trade.trade_id: _asked(book, trade) for trade in outcome.trades}
            except BrokerError as error:
                raise EvidenceUnavailable(f"{lane} broker: {type(error).__name__}") from error
        return document


def broker_corrected(outcome: RunOutcome | None, document: object) -> RunOutcome | None:
    """Put the broker's orders, fills and residual positions in the place of the lane's own record, where they are known."""
    known = document.get(outcome.lane.value) if outcome is not None and isinstance(document, Mapping) else None
    if outcome is None or not isinstance(known, Mapping):
        return outcome
    faults: list[str] = []
    trades = tuple(
        _corrected(trade, answer, faults) if isinstance(answer := known.get(trade.trade_id), Mapping) else trade
        for trade in outcome.trades
    )
    return outcome.model_copy(update={"trades": trades, "violations": tuple(sorted({*outcome.violations, *faults}))})


def _asked(book: OrderBook, trade: TradeOutcome) -> dict[str, object]:
    names = {order.client_order_id for order in trade.orders if order.client_order_id}
    found = list(_steps(book, trade.trade_id))
    seen = {str(order["client_order_id"]) for order in found}
    for name in sorted(names - seen):
        order = book.order_by_client_id(name)
        if order is not None:
            found.append(_document(order))
    residual = book.position(trade.symbol) if trade.is_complete_exit else None
    return {"orders": found, "residual_position": residual}


def _steps(book: OrderBook, trade_id: str) -> Iterator[dict[str, object]]:
    for step in range(MAX_STEPS):
        order = book.order_by_client_id(client_order_id_of(trade_id, step))
        if order is None:
            return
        yield _document(order)


def _document(order: Order) -> dict[str, object]:
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "order_type": order.order_type.value,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "status": order.status.value,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "submitted_at": order.submitted_at,
    }


def _corrected(trade: TradeOutcome, answer: Mapping[str, object], faults: list[str]) -> TradeOutcome:
    listed = answer.get("orders")
    orders = tuple(
        _record(Fields(f"broker[{trade.trade_id}]", order, faults))
        for order in (listed if isinstance(listed, list) else ())
        if isinstance(order, Mapping)
    )
    residual = Fields(f"broker[{trade.trade_id}]", answer, faults).number("residual_position")
    if not orders:
        return trade.model_copy(update={"residual_position": residual})
    filled = sum((order.filled_quantity or _ZERO for order in orders), _ZERO)
    value = sum(((order.filled_quantity or _ZERO) * (order.average_price or _ZERO) for order in orders), _ZERO)
    update: dict[str, object] = {"orders": orders, "filled_quantity": filled, "residual_position": residual}
    if filled:
        update |= {"average_price": value / filled, "value": value}
    return trade.model_copy(update=update)


def _record(fields: Fields) -> OrderRecord:
    status = fields.choice("status", OrderStatus)
    return OrderRecord(
        client_order_id=fields.text("client_order_id"),
        order_id=fields.text("order_id"),
        order_type=fields.text("order_type"),
        quantity=fields.number("quantity"),
        limit_price=fields.number("limit_price"),
        status=status.value if status else None,
        filled_quantity=fields.number("filled_quantity"),
        average_price=fields.number("average_price"),
        submitted_at=_moment(fields),
        accepted=None if status in (None, OrderStatus.UNKNOWN) else status is not OrderStatus.REJECTED,
    )


def _moment(fields: Fields) -> datetime | None:
    return fields.moment("submitted_at")
