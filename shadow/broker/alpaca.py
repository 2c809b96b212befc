"""Business Unit: execution | Status: current.

The Broker port over a real Alpaca account, paper or live. Whoever imports this module pays for alpaca-py's transport, so
only a function that talks to a broker does. Only this module and `alpaca_http` import alpaca-py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NoReturn, Self
from urllib.parse import quote as url_quote

from alpaca.common.enums import BaseURL

from shadow.broker import alpaca_wire as wire
from shadow.broker.alpaca_http import AlpacaHttp, Refusal
from shadow.broker.pacing import RequestGate
from shadow.broker.port import (
    Account,
    Activity,
    AlpacaCredentials,
    Asset,
    AssetUnknown,
    BrokerProtocolError,
    BrokerRefused,
    BrokerUnauthorized,
    DuplicateClientOrderId,
    Holding,
    MarketClock,
    Order,
    OrderList,
    OrderRejected,
    OrderRequest,
    Quote,
    QuoteUnavailable,
    SubmitAmbiguous,
    Timeouts,
    is_paper_endpoint,
)
from shadow.contracts.identity import broker_symbol, is_same_symbol

__all__ = ["AlpacaBroker", "AlpacaCredentials", "Timeouts", "is_paper_endpoint"]

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _UNPROCESSABLE = 400, 401, 403, 404, 422
_BAD_PARAMETER = 40010001
_PAGE = 500  # the most orders that one answer may hold
_JOURNAL_PAGE = 100
_LOOK_BACK = timedelta(milliseconds=1)
_REUSED = ("unique", "already", "duplicate", "exist", "used")


class AlpacaBroker:
    """One Alpaca account as a `Broker`. Every number is a Decimal: USD and shares."""

    def __init__(self, trading: AlpacaHttp, data: AlpacaHttp) -> None:
        """Work over two prepared APIs; `connect` prepares them."""
        self._trading = trading
        self._data = data

    @classmethod
    def connect(cls, credentials: AlpacaCredentials, timeouts: Timeouts | None = None, gate: RequestGate | None = None) -> Self:
        """Prepare an account's two APIs. Nothing is sent yet, so this cannot fail for want of a network.

        Where there is a `gate`, each single request goes through it, every page of a list too.
        """
        waits = timeouts or Timeouts()
        trading_url = _base(credentials.endpoint) or BaseURL.TRADING_PAPER.value
        data_url = _base(credentials.data_endpoint) or BaseURL.DATA.value
        return cls(
            AlpacaHttp(trading_url, credentials.key, credentials.secret, waits, gate),
            AlpacaHttp(data_url, credentials.key, credentials.secret, waits, gate),
        )

    def close(self) -> None:
        """Give the pooled connections back."""
        self._trading.close()
        self._data.close()

    def clock(self) -> MarketClock:
        """Tell whether the market is open."""
        return wire.parse_clock(self._read("/clock"))

    def account(self) -> Account:
        """Read the account's number, equity (USD) and cash (USD)."""
        account = wire.parse_account(self._read("/account"))
        for api in (self._trading, self._data):
            api.conceal(account.account_number)
        return account

    def asset(self, symbol: str) -> Asset:
        """Read whether `symbol` trades, and in fractions; raises AssetUnknown."""
        answer = self._find(f"/assets/{url_quote(_named(symbol), safe='')}")
        if answer is None:
            raise AssetUnknown(f"{symbol}: expected an asset, was none")
        asset = wire.parse_asset(answer)
        if not is_same_symbol(asset.symbol, symbol):
            raise BrokerProtocolError(f"asset.symbol: expected {symbol}, was {asset.symbol}")
        return asset

    def quote(self, symbol: str) -> Quote:
        """Read the latest quote; raises QuoteUnavailable where a side is missing or zero, or the symbol is unknown."""
        name = _named(symbol)
        is_pair = "/" in name  # a pair of currencies, which has an endpoint of its own
        try:
            answer: object = (
                self._data.get("/crypto/us/latest/quotes", {"symbols": name}, api_version="v1beta3")
                if is_pair
                else self._data.get("/stocks/quotes/latest", {"symbols": name})
            )
        except Refusal as refusal:
            if refusal.message and refusal.status in (_BAD_REQUEST, _NOT_FOUND, _UNPROCESSABLE):
                raise QuoteUnavailable(f"{symbol}: {refusal}") from refusal
            _raise_refused_read("quote", refusal)
        return wire.parse_latest_quote(name, answer)

    def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
        """Read the latest quotes of many stocks in one request; a symbol without a usable quote, or a pair, is left out."""
        names = {name: symbol for symbol in symbols if (name := broker_symbol(symbol)) is not None and "/" not in name}
        if not names:
            return ()
        try:
            answer: object = self._data.get("/stocks/quotes/latest", {"symbols": ",".join(sorted(names))})
        except Refusal as refusal:
            _raise_refused_read("quotes", refusal)
        found: list[Quote] = []
        for name, symbol in sorted(names.items()):
            with suppress(QuoteUnavailable):
                found.append(replace(wire.parse_latest_quote(name, answer), symbol=symbol))
        return found

    def position(self, symbol: str) -> Decimal:
        """Read the held quantity in shares; zero when nothing is held."""
        name = _named(symbol).replace("/", "")  # a pair is held under its joined name: BTC/USD as BTCUSD
        answer = self._find(f"/positions/{url_quote(name, safe='')}")
        return Decimal(0) if answer is None else wire.parse_position(symbol, answer)

    def submit(self, request: OrderRequest) -> Order:
        """Send one order exactly once.

        Raises OrderRejected and DuplicateClientOrderId for the broker's own coded word, BrokerUnavailable where it was never
        reached, BrokerThrottled on a full window, SubmitAmbiguous for every other answer, whatever its status, and for none.
        """
        fields = wire.order_fields(request, _named(request.symbol))
        try:
            answer: object = self._trading.post("/orders", fields)
        except Refusal as refusal:
            _raise_refused_order(request, refusal)
        try:
            order = wire.parse_order(answer)
        except BrokerProtocolError as error:
            raise SubmitAmbiguous(f"{request.client_order_id}: accepted, but {error}") from error
        if order.client_order_id != request.client_order_id:
            raise SubmitAmbiguous(
                f"client_order_id: expected {request.client_order_id}, was {order.client_order_id} in the answer"
            )
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker itself says that it has never seen it."""
        answer = self._find("/orders:by_client_order_id", {"client_order_id": client_order_id})
        if answer is None:
            return None
        order = wire.parse_order(answer)
        if order.client_order_id != client_order_id:
            raise BrokerProtocolError(f"order.client_order_id: expected {client_order_id}, was {order.client_order_id}")
        return order

    def glance(self, client_order_id: str) -> Order | None:
        """Look one order up: this adapter knows of no budget, so there is always a request to spare."""
        return self.order_by_client_id(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id; None when the broker itself says that it does not know it."""
        answer = self._find(f"/orders/{url_quote(order_id, safe='')}")
        if answer is None:
            return None
        order = wire.parse_order(answer)
        if order.order_id.lower() != order_id.lower():
            raise BrokerProtocolError(f"order.id: expected {order_id}, was {order.order_id}")
        return order

    def holdings(self) -> Sequence[Holding]:
        """Read every position; what is not in the list is not held."""
        return wire.parse_holdings(self._read("/positions"))

    def activities(self, after: datetime) -> Sequence[Activity]:
        """Read the account's journal after a moment: fills, fees, dividends, transfers. All pages, the oldest first."""
        query = {"after": _utc(after), "direction": "asc", "page_size": str(_JOURNAL_PAGE)}
        found: dict[str, Activity] = {}
        while True:
            page = wire.parse_activities(self._read("/account/activities", query))
            fresh = [entry for entry in page if entry.activity_id not in found]
            found.update((entry.activity_id, entry) for entry in fresh)
            if len(page) < _JOURNAL_PAGE:
                return list(found.values())
            if not fresh:
                raise BrokerProtocolError(f"activities: expected another page, was the same {_JOURNAL_PAGE} entries again")
            query["page_token"] = page[-1].activity_id

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        """Give every order of the account submitted between `after` and `until`, whatever became of it, the oldest first.

        Pages go by the time of submission; an order on the border of two pages comes twice. The API leaves `after` itself out,
        and its times are finer than ours: so the next page looks back a little. Where a page is full of one moment, the next
        goes on after its last order, by id.
        """
        query = {"status": "all", "limit": str(_PAGE), "direction": "asc"}
        within = query if until is None else query | {"until": _utc(until)}
        found: dict[str, object] = {}
        begin, asked = after, within | {"after": _utc(after)}
        while True:
            page = wire.listed(self._read("/orders", asked))
            before = len(found)
            found.update((wire.id_of(entry), entry) for entry in page)
            if len(page) < _PAGE:
                return wire.order_list(found.values(), after, until)
            last = wire.submitted_at(page[-1])
            if last is not None and last - _LOOK_BACK > begin and "after_order_id" not in asked:
                begin = last - _LOOK_BACK
                asked = within | {"after": _utc(begin)}
            elif len(found) == before and "after_order_id" in asked:
                raise BrokerProtocolError(f"orders: expected another page, was the same {_PAGE} entries again")
            else:
                asked = query | {"after_order_id": wire.id_of(page[-1])}

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel. An order that can no longer be cancelled is not an error; BrokerRefused if it is unknown."""
        try:
            self._trading.delete(f"/orders/{url_quote(order_id, safe='')}")
        except Refusal as refusal:
            if refusal.status != _UNPROCESSABLE:
                _raise_refused_read("cancel", refusal)

    def _read(self, path: str, query: dict[str, str] | None = None) -> object:
        """Read what must be there."""
        try:
            answer: object = self._trading.get(path, query)
        except Refusal as refusal:
            _raise_refused_read(path, refusal)
        return answer

    def _find(self, path: str, query: dict[str, str] | None = None) -> object | None:
        """Read what may not be there. Only a 404 with the broker's own error code counts as "not there"."""
        try:
            answer: object = self._trading.get(path, query)
        except Refusal as refusal:
            if refusal.status == _NOT_FOUND and refusal.code is not None:
                return None
            _raise_refused_read(path, refusal)
        if answer is None:
            raise BrokerProtocolError(f"{path}: expected an object, was an empty answer")
        return answer


def _raise_refused_read(what: str, refusal: Refusal) -> NoReturn:
    """Classify a 4xx on anything but a submit."""
    if refusal.status == _FORBIDDEN:
        raise BrokerUnauthorized(f"{what}: {refusal}") from refusal
    if refusal.code is None:
        raise BrokerProtocolError(f"{what}: expected an error code, was none ({refusal})") from refusal
    raise BrokerRefused(f"{what}: {refusal}") from refusal


def _raise_refused_order(request: OrderRequest, refusal: Refusal) -> NoReturn:
    """Classify a 4xx on a submit: only the broker's own error code is its word. A bare status may be a proxy's.

    Code 40010001 stands for any bad parameter, so the message tells a reused client order id.
    """
    told = f"{request.client_order_id}: {refusal}"
    if refusal.code is None:
        raise SubmitAmbiguous(told) from refusal
    words = refusal.message.lower().replace("_", " ")
    if refusal.code == _BAD_PARAMETER and "client order id" in words and any(word in words for word in _REUSED):
        raise DuplicateClientOrderId(told) from refusal
    if refusal.status == _UNAUTHORIZED:
        raise BrokerUnauthorized(told) from refusal
    raise OrderRejected(told) from refusal


def _named(symbol: str) -> str:
    """Give the broker's name of a plan's symbol; raises AssetUnknown for one that it cannot have."""
    name = broker_symbol(symbol)
    if name is None:
        raise AssetUnknown(f"{symbol}: expected a symbol that the broker can have, was another notation")
    return name


def _base(url: str) -> str:
    """Give an endpoint without the API version that alpaca-py adds itself."""
    return url.strip().rstrip("/").removesuffix("/v2")


def _utc(moment: datetime) -> str:
    """Write a moment for a query, RFC 3339."""
    return moment.astimezone(UTC).isoformat()
