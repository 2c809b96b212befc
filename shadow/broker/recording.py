"""Business Unit: execution | Status: current.

The dry-run adapter: a `Broker` that decides nothing and sends nothing. An order is recorded and filled at once at the
mid of the quote it was decided on, so that a candidate's intents can be compared without a second account.

It only ever sees the `MarketData` part of a broker, so there is no way from here to an order endpoint.

Beside it, a brokerage account to look at only: the comparator asks both lanes' accounts and must never be able to order or
cancel in either. Nothing is connected before the first question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from shadow.broker.port import (
    Account,
    Activity,
    Asset,
    DuplicateClientOrderId,
    Holding,
    MarketClock,
    Order,
    OrderHistory,
    OrderList,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
)

_ACCOUNT_NUMBER = "dry-run"
RECORDED = "dry-run-"
"""How the id of an order begins that was recorded and not sent."""


class MarketData(Protocol):
    """The part of a broker that only looks."""

    def clock(self) -> MarketClock:
        """Tell whether the market is open."""

    def asset(self, symbol: str) -> Asset:
        """Read whether `symbol` trades, and in fractions; raises AssetUnknown."""

    def quote(self, symbol: str) -> Quote:
        """Read the latest quote; raises QuoteUnavailable."""


class RecordingBroker:
    """A `Broker` that records orders instead of sending them."""

    def __init__(self, market: MarketData, *, equity: Decimal) -> None:
        """Look at `market`; answer for an account of `equity` USD that holds nothing. The orders last as long as this object."""
        self._clock: Callable[[], MarketClock] = market.clock
        self._asset: Callable[[str], Asset] = market.asset
        self._quote: Callable[[str], Quote] = market.quote
        self._equity = equity
        self._orders: dict[str, Order] = {}
        self._decided_on: dict[str, Quote] = {}

    def clock(self) -> MarketClock:
        """Tell whether the market is open."""
        return self._clock()

    def account(self) -> Account:
        """Give the account that was passed in; all of its equity (USD) counts as cash."""
        return Account(_ACCOUNT_NUMBER, self._equity, self._equity)

    def asset(self, symbol: str) -> Asset:
        """Read whether `symbol` trades, and in fractions; raises AssetUnknown."""
        return self._asset(symbol)

    def quote(self, symbol: str) -> Quote:
        """Read the latest quote, and remember it as what the next order of `symbol` is decided on."""
        quote = self._quote(symbol)
        self._decided_on[symbol] = quote
        return quote

    def position(self, symbol: str) -> Decimal:
        """Give zero shares, whatever the symbol."""
        del symbol
        return Decimal(0)

    def submit(self, request: OrderRequest) -> Order:
        """Record `request` and fill it whole at the mid of its decision quote; nothing is sent.

        The decision quote is the last one that was read here, else one read now. Raises OrderRejected for a quantity
        that is not positive, DuplicateClientOrderId for an id that was recorded before, and what reading a quote raises.
        """
        if not request.quantity.is_finite() or request.quantity <= 0:
            raise OrderRejected(f"quantity: expected shares above 0, was {request.quantity}")
        if request.order_type is OrderType.LIMIT and request.limit_price is None:
            raise OrderRejected("limit_price: expected USD for a limit order, was none")
        quote = self._decided_on.get(request.symbol) or self.quote(request.symbol)
        order = _filled(request, quote.mid, quote.at)
        if self._orders.setdefault(request.client_order_id, order) is not order:
            raise DuplicateClientOrderId(f"{request.client_order_id}: recorded before")
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look a recorded order up; None when there is none."""
        return self._orders.get(client_order_id)

    def glance(self, client_order_id: str) -> Order | None:
        """Look a recorded order up; None when there is none."""
        return self._orders.get(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        """Look a recorded order up by its own id, which tells the client's; None when there is none."""
        return self._orders.get(order_id.removeprefix(RECORDED))

    def cancel(self, order_id: str) -> None:
        """Do nothing: every recorded order is final from the start."""
        del order_id


def _filled(request: OrderRequest, price: Decimal, at: datetime) -> Order:
    """Give `request` as an order filled whole at `price` (USD a share)."""
    return Order(
        order_id=f"{RECORDED}{request.client_order_id}",
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        order_type=request.order_type,
        limit_price=request.limit_price,
        status=OrderStatus.FILLED,
        filled_quantity=request.quantity,
        average_price=price,
        submitted_at=at,
        filled_at=at,
    )


class AccountBook(OrderHistory, Protocol):
    """What is asked of an account: its orders, what it holds, what was booked. Raises only errors of `shadow.broker.port`."""

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker has never seen it."""

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id; None when the broker does not know it."""

    def holdings(self) -> Sequence[Holding]:
        """Read every position; what is not in the list is not held."""

    def account(self) -> Account:
        """Read the account's equity and cash, USD."""

    def activities(self, after: datetime) -> Sequence[Activity]:
        """Read the account's journal after a moment: fills, fees, dividends, transfers. All pages, the oldest first."""

    def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
        """Read the market's latest quotes, in one request; a symbol without a usable one is left out."""


class ReadOnlyAccount:
    """An account that can be asked and not used: it has no way to submit or cancel."""

    __slots__ = ("__book",)

    def __init__(self, connect: Callable[[], AccountBook]) -> None:
        """Ask the account that `connect` opens, once, at the first question."""
        opened: list[AccountBook] = []

        def book() -> AccountBook:
            if not opened:
                opened.append(connect())
            return opened[0]

        self.__book = book

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        """Give every order of the account submitted between `after` and `until`."""
        return self.__book().orders_between(after, until)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it."""
        return self.__book().order_by_client_id(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id."""
        return self.__book().order_by_id(order_id)

    def holdings(self) -> Sequence[Holding]:
        """Read every position."""
        return self.__book().holdings()

    def account(self) -> Account:
        """Read the account's equity and cash."""
        return self.__book().account()

    def activities(self, after: datetime) -> Sequence[Activity]:
        """Read the account's journal after a moment."""
        return self.__book().activities(after)

    def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
        """Read the market's latest quotes."""
        return self.__book().quotes(symbols)
