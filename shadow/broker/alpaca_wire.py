"""Business Unit: execution | Status: current.

Between Alpaca's JSON and the port's values, in both directions. Exact: numbers go out as decimal strings, as the
OpenAPI document says, and come back as `Decimal`. Whatever is missing or malformed raises BrokerProtocolError that names
the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import TypeVar

from shadow.broker.port import (
    Account,
    Activity,
    Asset,
    BrokerProtocolError,
    Holding,
    MarketClock,
    OddOrder,
    Order,
    OrderList,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderUnreadable,
    Quote,
    QuoteUnavailable,
)
from shadow.contracts.identity import QUANTITY_STEP, is_same_symbol
from shadow.contracts.model import decimal_text, is_in_calendar, parse_decimal, parse_moment
from shadow.contracts.vocabulary import Side

MAX_CLIENT_ORDER_ID = 48  # documents disagree between 48 and 128
_SHOWN = 60
_ACTIVE = "active"
_FILL = "FILL"
_DAY = "day"
_SHORT = "short"
_DUST = Decimal("1e-6")
"""How many shares a filled order may lack: an account may count more coarsely than an order may ask."""
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_Word = TypeVar("_Word")

# Statuses after which Alpaca's API says "no further updates" end an order; the rest may still fill. `replaced` is left
# out on purpose: what comes of such an order is said by the one that took its place (`replaced_by`).
_STATUS = {
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
} | dict.fromkeys(
    (
        "new",
        "partially_filled",
        "done_for_day",
        "pending_cancel",
        "pending_replace",
        "pending_review",
        "accepted",
        "pending_new",
        "accepted_for_bidding",
        "stopped",
        "suspended",
        "calculated",
        "held",
    ),
    OrderStatus.OPEN,
)


class Fields:
    """One JSON object of an answer, read field by field."""

    def __init__(self, what: str, value: object) -> None:
        """Hold `value`, a JSON object that is to be `what`."""
        if not isinstance(value, Mapping):
            raise BrokerProtocolError(f"{what}: expected an object, was {'nothing' if value is None else _type(value)}")
        self._what = what
        self._value: Mapping[object, object] = value

    def fault(self, name: str, expected: str) -> BrokerProtocolError:
        """Name a field that is not what it should be. An account's values are not shown."""
        found = self._value.get(name)
        if name not in self._value:
            shown = "absent"
        elif self._what == "account":
            shown = _type(found)
        else:
            shown = repr(found)[:_SHOWN]
        return BrokerProtocolError(f"{self._what}.{name}: expected {expected}, was {shown}")

    def text(self, name: str) -> str:
        """Read a text that is not empty."""
        value = self._value.get(name)
        if isinstance(value, str) and value:
            return value
        raise self.fault(name, "a text")

    def text_or_none(self, name: str) -> str | None:
        """Read a text that is not empty; None where it is null or absent."""
        return None if self._value.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Read true or false."""
        value = self._value.get(name)
        if isinstance(value, bool):
            return value
        raise self.fault(name, "true or false")

    def number(self, name: str) -> Decimal:
        """Read an exact number, written as a string or as a JSON number."""
        try:
            return parse_decimal(self._value.get(name))
        except ValueError:
            raise self.fault(name, "a number") from None

    def amount(self, name: str) -> Decimal:
        """Read an exact number that is zero or more."""
        value = self.number(name)
        if value < 0:
            raise self.fault(name, "zero or more")
        return value

    def amount_or_none(self, name: str) -> Decimal | None:
        """Read an exact number that is zero or more; None where it is null or absent."""
        return None if self._value.get(name) is None else self.amount(name)

    def moment(self, name: str) -> datetime:
        """Read a time with its zone (RFC 3339, nanoseconds are cut to microseconds)."""
        try:
            value = parse_moment(self.text(name))
        except ValueError:
            raise self.fault(name, "a time") from None
        if value.tzinfo is None or not is_in_calendar(value):
            raise self.fault(name, "a time with a zone")
        return value

    def moment_or_none(self, name: str) -> datetime | None:
        """Read a time with its zone; None where it is null or absent."""
        return None if self._value.get(name) is None else self.moment(name)

    def has(self, name: str) -> bool:
        """Tell whether the field is there, null or not."""
        return name in self._value

    def object_or_none(self, name: str) -> object:
        """Give the field as it is; None where it is absent."""
        return self._value.get(name)


def order_fields(request: OrderRequest, symbol: str) -> dict[str, object]:
    """Write `request` as the body of POST /v2/orders, under the broker's own `symbol`. OrderRejected for what must not go."""
    quantity = request.quantity.quantize(QUANTITY_STEP, ROUND_DOWN).normalize() if _is_sane(request.quantity) else None
    if quantity is None or quantity <= 0:
        raise OrderRejected(f"quantity: expected shares above 0, was {request.quantity}")
    if not 0 < len(request.client_order_id) <= MAX_CLIENT_ORDER_ID:
        raise OrderRejected(
            f"client_order_id: expected 1 to {MAX_CLIENT_ORDER_ID} characters, was {len(request.client_order_id)}"
        )
    fields: dict[str, object] = {
        "symbol": symbol,
        "qty": decimal_text(quantity),
        "side": request.side.value.lower(),
        "type": request.order_type.value,
        "time_in_force": _DAY,
        "client_order_id": request.client_order_id,
    }
    if request.order_type is OrderType.LIMIT:
        if request.limit_price is None or not _is_sane(request.limit_price) or request.limit_price <= 0:
            raise OrderRejected(f"limit_price: expected USD above 0, was {request.limit_price}")
        fields["limit_price"] = decimal_text(request.limit_price)
    elif request.limit_price is not None:
        raise OrderRejected(f"limit_price: expected none for a market order, was {request.limit_price}")
    return fields


def parse_order(value: object) -> Order:
    """Read one order; raises OrderUnreadable where its id can be read and another field cannot.

    A status that is not in Alpaca's list gives UNKNOWN, so that the order itself is not lost; so does "filled" of an order that
    lacks shares, whose fill is still being booked.
    """
    fields = Fields("order", value)
    order_id = fields.text("id")
    try:
        return _order(fields, order_id)
    except BrokerProtocolError as error:
        raise OrderUnreadable(str(error), order_id, _tolerant(lambda: fields.text("client_order_id"))) from error


def _order(fields: Fields, order_id: str) -> Order:
    quantity, filled = fields.amount("qty"), fields.amount("filled_qty")
    price = fields.amount_or_none("filled_avg_price")
    status = _STATUS.get(fields.text("status"), OrderStatus.UNKNOWN)
    if status is OrderStatus.FILLED and quantity - filled >= _DUST:
        status = OrderStatus.UNKNOWN
    return Order(
        order_id=order_id,
        client_order_id=fields.text("client_order_id"),
        symbol=fields.text("symbol"),
        side=_one_of(fields, "side", _SIDES),
        quantity=quantity,
        order_type=_one_of(fields, "type", {"limit": OrderType.LIMIT, "market": OrderType.MARKET}),
        limit_price=fields.amount_or_none("limit_price"),
        status=status,
        filled_quantity=filled,
        average_price=price if filled and price else None,
        submitted_at=fields.moment_or_none("submitted_at"),
        filled_at=fields.moment_or_none("filled_at"),
        created_at=fields.moment_or_none("created_at"),
        replaced_by=fields.text_or_none("replaced_by"),
        is_of_the_day=fields.text_or_none("time_in_force") in (None, _DAY),
    )


def listed(value: object, what: str = "orders") -> list[object]:
    """Read a list, its entries as they are."""
    if not isinstance(value, list):
        raise BrokerProtocolError(f"{what}: expected a list, was {'nothing' if value is None else _type(value)}")
    return value


def id_of(entry: object) -> str:
    """Give the id of an entry of a list of orders; all that it says where it has none that can be read."""
    found = entry.get("id") if isinstance(entry, Mapping) else None
    return found if isinstance(found, str) and found else repr(entry)


def submitted_at(entry: object) -> datetime | None:
    """Give when an entry of a list of orders was submitted; None where it does not say so."""
    return _tolerant(lambda: Fields("order", entry).moment("submitted_at"))


def order_list(entries: Iterable[object], after: datetime, until: datetime | None = None) -> OrderList:
    """Read a list of orders. An entry that cannot be read costs itself alone: it is kept with what could be read, and why."""
    orders: list[Order] = []
    odd: list[OddOrder] = []
    for entry in entries:
        try:
            orders.append(parse_order(entry))
        except BrokerProtocolError as error:
            odd.append(_odd_order(entry, str(error)))
    if until is not None:
        orders = [order for order in orders if order.submitted_at is None or order.submitted_at < until]
    return OrderList(sorted(orders, key=lambda order: order.submitted_at or order.created_at or after), odd)


def _odd_order(entry: object, fault: str) -> OddOrder:
    fields = Fields("order", entry if isinstance(entry, Mapping) else {})
    moment = _tolerant(lambda: fields.moment("submitted_at")) or _tolerant(lambda: fields.moment("created_at"))
    return OddOrder(
        order_id=_tolerant(lambda: fields.text("id")),
        client_order_id=_tolerant(lambda: fields.text("client_order_id")),
        symbol=_tolerant(lambda: fields.text("symbol")),
        side=_tolerant(lambda: _one_of(fields, "side", _SIDES)),
        status=_tolerant(lambda: fields.text("status")),
        quantity=_tolerant(lambda: fields.amount("qty")),
        filled_quantity=_tolerant(lambda: fields.amount("filled_qty")),
        average_price=_tolerant(lambda: fields.amount("filled_avg_price")),
        submitted_at=moment,
        fault=fault,
    )


def _tolerant(read: Callable[[], _Word]) -> _Word | None:
    """Give what `read` reads; None where it is not what it should be, which the entry's own fault has told."""
    try:
        return read()
    except BrokerProtocolError:
        return None


def parse_holdings(value: object) -> list[Holding]:
    """Read a list of positions; quantities are negative where they are short."""
    found = [Fields("position", entry) for entry in listed(value, "positions")]
    return [Holding(fields.text("symbol"), _signed(fields), fields.amount_or_none("current_price")) for fields in found]


def _signed(position: Fields) -> Decimal:
    """Read the quantity of a position, negative when it is short, however the broker writes that."""
    quantity = position.number("qty")
    return -abs(quantity) if position.object_or_none("side") == _SHORT else quantity


def parse_activities(value: object) -> list[Activity]:
    """Read a page of the account's journal."""
    return [_activity(Fields("activity", entry)) for entry in listed(value, "activities")]


def _activity(fields: Fields) -> Activity:
    kind, entry_id, symbol = fields.text("activity_type"), fields.text("id"), fields.text_or_none("symbol")
    if kind != _FILL:
        return Activity(entry_id, kind, symbol, fields.number("net_amount"))
    side = _one_of(fields, "side", _SIDES | {"sell_short": Side.SELL})
    return Activity(entry_id, kind, symbol, None, fields.text("order_id"), side, fields.amount("qty"), fields.amount("price"))


def parse_account(value: object) -> Account:
    """Read an account; equity and cash are USD (cash is negative when it is borrowed)."""
    fields = Fields("account", value)
    return Account(fields.text("account_number"), fields.number("equity"), fields.number("cash"))


def parse_asset(value: object) -> Asset:
    """Read an asset. One that is not active does not trade, whatever its other flag says."""
    fields = Fields("asset", value)
    tradable = fields.flag("tradable") and fields.text("status") == _ACTIVE
    return Asset(fields.text("symbol"), tradable=tradable, fractionable=fields.flag("fractionable"))


def parse_clock(value: object) -> MarketClock:
    """Read the market clock."""
    fields = Fields("clock", value)
    return MarketClock(
        fields.moment("timestamp"), fields.flag("is_open"), fields.moment("next_open"), fields.moment("next_close")
    )


def parse_position(symbol: str, value: object) -> Decimal:
    """Read the quantity of a position in `symbol`, in shares; negative when it is short."""
    fields = Fields("position", value)
    if not is_same_symbol(fields.text("symbol"), symbol):
        raise fields.fault("symbol", symbol)
    return _signed(fields)


def parse_latest_quote(symbol: str, value: object) -> Quote:
    """Read `symbol`'s quote from an answer of latest quotes. Raises QuoteUnavailable where a side is missing or 0."""
    answer = Fields("answer", value)
    listed = answer.object_or_none("quotes")
    if listed is None and answer.has("quotes"):
        raise QuoteUnavailable(f"{symbol}: expected a quote, was none")
    quotes = Fields("latest quotes", listed)
    found = quotes.object_or_none(symbol)
    if found is None:
        raise QuoteUnavailable(f"{symbol}: expected a quote, was none")
    fields = Fields("quote", found)
    bid, ask = fields.amount_or_none("bp"), fields.amount_or_none("ap")
    if not bid or not ask:
        raise QuoteUnavailable(f"{symbol}: expected a bid and an ask, was {bid} and {ask}")
    if ask < bid:
        raise QuoteUnavailable(f"{symbol}: expected an ask of at least the bid, was {ask} under {bid}")
    return Quote(symbol, bid, ask, fields.moment("t"))


def _one_of(fields: Fields, name: str, words: Mapping[str, _Word]) -> _Word:
    """Read a word of a closed list."""
    found = words.get(fields.text(name))
    if found is None:
        raise fields.fault(name, " or ".join(words))
    return found


def _is_sane(value: Decimal) -> bool:
    """Whether `value` is finite and small enough to be written without an exponent."""
    return value.is_finite() and abs(value.adjusted()) < 15  # noqa: PLR2004 - beyond any price or quantity


def _type(value: object) -> str:
    return type(value).__name__
