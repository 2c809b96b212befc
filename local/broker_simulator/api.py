"""Business Unit: local cloud | Status: current.

The part of Alpaca's trading and market data API that the system uses: from a request to an answer, no sockets.
Where Alpaca's documents state no error body, it is `{code, message}` with the code that the service is known to give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote

from local.broker_simulator import wire
from local.broker_simulator.accounts import SimAccount, SimOrder
from local.broker_simulator.exchange import Exchange, Refused, Ticket
from local.broker_simulator.faults import Occasion
from local.broker_simulator.values import FaultKind

_BAD_PARAMETER, _NOT_FOUND = 40010001, 40410000
_MAX_CLIENT_ORDER_ID = 128
_MAX_ORDERS = 500
_MAX_JOURNAL = 100
_LONGEST_CALENDAR = 3660
_CENTS, _SUB_CENTS, _SHARE_DECIMALS = 2, 4, 9
_STALE = timedelta(days=4)
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read whole. `path` is as sent, without the query."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `body` is JSON, bytes to be sent as they are, or None for an empty one."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, code: int, message: str) -> Answer:
    """Give an error answer in Alpaca's form."""
    return Answer(status, {"code": code, "message": message})


def request_json(body: bytes) -> dict[str, object]:
    """Read a JSON object with exact numbers; empty for anything else."""
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def answer(exchange: Exchange, account: SimAccount, request: Request) -> Answer:
    """Answer one authenticated request."""
    try:
        for method, prefix, handler in _ROUTES:
            if request.method == method and (request.path == prefix or request.path.startswith(f"{prefix}/")):
                rest = unquote(request.path[len(prefix) :].lstrip("/"))
                return handler(exchange, account, request, rest)
    except Refused as refused:
        return refusal(refused.status, refused.code, refused.message)
    return refusal(404, _NOT_FOUND, f"endpoint not found: {request.method} {request.path}")


def _account(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del request, rest
    return Answer(200, wire.account_json(exchange, account))


def _activities(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    """Give the journal, a page at a time: every fill by itself, and what was booked."""
    del exchange, rest
    query = request.query
    after, token = _time(query, "after"), query.get("page_token")
    found = [entry for entry in account.journal if after is None or entry.at > after]
    if query.get("direction", "desc") == "desc":
        found.reverse()
    ids = [entry.entry_id for entry in found]
    begin = ids.index(token) + 1 if token in ids else 0
    size = query.get("page_size", "100")
    if not size.isdigit() or not 0 < int(size) <= _MAX_JOURNAL:
        raise Refused(422, _BAD_PARAMETER, "page_size must be between 1 and 100")
    return Answer(200, [wire.activity_json(account, entry) for entry in found[begin : begin + int(size)]])


def _place(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    """Accept, answer as Alpaca does before the market is met (`pending_new`), then match."""
    del rest
    order = exchange.place(account, _ticket(request_json(request.body)))
    shown = {**wire.order_json(order), "status": "pending_new" if exchange.market.is_open() else "accepted"}
    exchange.match(account, order)
    return Answer(200, shown)


def _orders(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    if rest:
        return Answer(200, _shown(exchange, account, _order(account, rest)))
    query = request.query
    found = sorted(account.orders.values(), key=lambda o: (o.submitted_at, o.sequence))
    wanted = query.get("status", "open")
    symbols = set(filter(None, query.get("symbols", "").split(",")))
    after, until = _time(query, "after"), _time(query, "until")
    last = account.orders.get(query.get("after_order_id", ""))
    kept = [
        order
        for order in found
        if (last is None or (order.submitted_at, order.sequence) > (last.submitted_at, last.sequence))
        and (wanted == "all" or order.is_open == (wanted == "open"))
        and (not symbols or order.symbol in symbols)
        and query.get("side") in (None, order.side)
        and (after is None or order.submitted_at > after)
        and (until is None or order.submitted_at < until)
    ]
    if query.get("direction", "desc") == "desc":
        kept.reverse()
    if "after_order_id" in query and (after is not None or until is not None):
        raise Refused(422, _BAD_PARAMETER, "after_order_id cannot be used together with after or until")
    return Answer(200, [_shown(exchange, account, order) for order in kept[: _limit(query)]])


def _order_by_client_id(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del rest
    client_order_id = request.query.get("client_order_id", "")
    order = account.by_client_id.get(client_order_id)
    if order is None:
        raise Refused(404, _NOT_FOUND, f"order not found for {client_order_id}")
    return Answer(200, _shown(exchange, account, order))


def _cancel(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del request
    if rest:
        exchange.cancel(account, _order(account, rest))
        return Answer(204)
    orders = list(account.open_orders.values())
    for order in orders:
        exchange.cancel(account, order)
    return Answer(207, [{"id": order.order_id, "status": 200} for order in orders])


def _positions(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del request
    if not rest:
        return Answer(200, [wire.position_json(exchange, account, symbol) for symbol in sorted(account.holdings)])
    symbol = _named(rest, account.holdings)
    if symbol is None:
        raise Refused(404, _NOT_FOUND, "position does not exist")
    return Answer(200, wire.position_json(exchange, account, symbol))


def _assets(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del account, request
    if not rest:
        known = sorted({*exchange.assets, *exchange.market.closes})
        return Answer(200, [wire.asset_json(exchange, symbol) for symbol in known])
    symbol = _named(rest, exchange.assets) or _named(rest, exchange.market.closes)
    if symbol is None:
        raise Refused(404, _NOT_FOUND, f"asset not found for {rest}")
    return Answer(200, wire.asset_json(exchange, symbol))


def _named(name: str, symbols: Collection[str]) -> str | None:
    """Find the symbol that `name` is, or the asset id of."""
    return name if name in symbols else next((symbol for symbol in symbols if name == wire.asset_id(symbol)), None)


def _clock(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del rest
    occasion = Occasion(account.role, request.method, request.path, None)
    closed = exchange.faults.take({FaultKind.MARKET_CLOSED}, occasion)
    return Answer(200, wire.clock_json(exchange.market, is_open=exchange.market.is_open() and not closed))


def _calendar(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del account, rest
    try:
        start = date.fromisoformat(request.query.get("start", exchange.market.day.isoformat()))
        end = date.fromisoformat(request.query.get("end", start.isoformat()))
    except ValueError:
        raise Refused(422, _BAD_PARAMETER, "start and end must be dates") from None
    if (end - start).days > _LONGEST_CALENDAR:
        raise Refused(422, _BAD_PARAMETER, f"at most {_LONGEST_CALENDAR} days are simulated")
    return Answer(200, [wire.session_json(session) for session in exchange.market.sessions(start, end)])


def _quotes(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    del rest
    symbols = [s for s in request.query.get("symbols", "").split(",") if s]
    if not symbols:
        return Answer(400, {"message": "symbols is required"})
    found = {symbol: _quote(exchange, account, request, symbol) for symbol in symbols}
    return Answer(200, {"quotes": {symbol: quote for symbol, quote in found.items() if quote is not None}})


def _quote_of_one(exchange: Exchange, account: SimAccount, request: Request, rest: str) -> Answer:
    symbol, _, tail = rest.partition("/")
    if tail != "quotes/latest":
        raise Refused(404, _NOT_FOUND, f"endpoint not found: {request.path}")
    quote = _quote(exchange, account, request, symbol)
    if quote is None:
        return Answer(404, {"message": f"no quote found for {symbol}"})
    return Answer(200, {"symbol": symbol, "quote": quote})


_ROUTES: tuple[tuple[str, str, Callable[[Exchange, SimAccount, Request, str], Answer]], ...] = (
    ("GET", "/v2/account/activities", _activities),
    ("GET", "/v2/account", _account),
    ("POST", "/v2/orders", _place),
    ("GET", "/v2/orders:by_client_order_id", _order_by_client_id),
    ("GET", "/v2/orders", _orders),
    ("DELETE", "/v2/orders", _cancel),
    ("GET", "/v2/positions", _positions),
    ("GET", "/v2/assets", _assets),
    ("GET", "/v2/clock", _clock),
    ("GET", "/v2/calendar", _calendar),
    ("GET", "/v2/stocks/quotes/latest", _quotes),
    ("GET", "/v2/stocks", _quote_of_one),
)


def _quote(exchange: Exchange, account: SimAccount, request: Request, symbol: str) -> dict[str, object] | None:
    prices = exchange.market.prices(symbol)
    occasion = Occasion(account.role, request.method, request.path, symbol)
    if prices is None or exchange.faults.take({FaultKind.QUOTE_MISSING}, occasion):
        return None
    if exchange.faults.take({FaultKind.QUOTE_STALE}, occasion):
        return wire.quote_json(prices, exchange.market.now() - _STALE)
    if exchange.faults.take({FaultKind.QUOTE_WIDE}, occasion):
        prices = replace(prices, bid=_CENT)
    return wire.quote_json(prices, exchange.market.now())


def _shown(exchange: Exchange, account: SimAccount, order: SimOrder) -> dict[str, object]:
    """Write an order as it is read back."""
    shown = wire.order_json(order)
    occasion = Occasion(account.role, "GET", "/v2/orders", order.symbol)
    if order.filled_quantity and exchange.faults.take({FaultKind.PRICE_LATE}, occasion):
        shown["filled_avg_price"] = None
    return shown


def _order(account: SimAccount, order_id: str) -> SimOrder:
    order = account.orders.get(order_id.lower())
    if order is None:
        raise Refused(404, _NOT_FOUND, f"order not found for {order_id}")
    return order


def _ticket(body: Mapping[str, object]) -> Ticket:
    """Read an order request. Only what the system sends is supported: DAY, market or limit, by quantity."""
    symbol, client_order_id = body.get("symbol"), body.get("client_order_id")
    if not isinstance(symbol, str) or not symbol:
        raise Refused(422, _BAD_PARAMETER, "symbol is required")
    if body.get("time_in_force") != "day":
        raise Refused(422, _BAD_PARAMETER, "invalid time_in_force: only day is simulated")
    side = _word(body, "side", ("buy", "sell"))
    order_type = _word(body, "type", ("market", "limit"))
    if client_order_id is not None and not (
        isinstance(client_order_id, str) and 0 < len(client_order_id) <= _MAX_CLIENT_ORDER_ID
    ):
        raise Refused(422, _BAD_PARAMETER, f"client_order_id must be no more than {_MAX_CLIENT_ORDER_ID} characters")
    limit = _decimal(body, "limit_price") if order_type == "limit" else None
    if limit is not None and -_exponent(limit) > (_CENTS if limit >= 1 else _SUB_CENTS):
        raise Refused(422, 42210000, "sub-penny increment does not fulfill minimum pricing criteria")
    quantity = _decimal(body, "qty")
    if -_exponent(quantity) > _SHARE_DECIMALS:
        raise Refused(422, _BAD_PARAMETER, f"qty must be limited to {_SHARE_DECIMALS} decimal places")
    return Ticket(client_order_id, symbol, side, order_type, quantity, limit)


def _word(body: Mapping[str, object], name: str, words: tuple[str, ...]) -> str:
    value = body.get(name)
    if isinstance(value, str) and value in words:
        return value
    raise Refused(422, _BAD_PARAMETER, f"invalid {name}: expected {' or '.join(words)}")


def _decimal(body: Mapping[str, object], name: str) -> Decimal:
    """Read a number above zero, sent as a string (as documented) or as a JSON number (as alpaca-py does)."""
    try:
        value = Decimal(str(body.get(name)))
    except InvalidOperation:
        raise Refused(422, _BAD_PARAMETER, f"{name} is required") from None
    if not value.is_finite() or value <= 0:
        raise Refused(422, _BAD_PARAMETER, f"{name} must be > 0")
    return value


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        value = datetime.fromisoformat(query[name])
    except ValueError:
        raise Refused(422, _BAD_PARAMETER, f"invalid {name}") from None
    if value.tzinfo is None:
        raise Refused(422, _BAD_PARAMETER, f"invalid {name}: a zone is required")
    return value


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "50")
    if not text.isdigit() or not 0 < int(text) <= _MAX_ORDERS:
        raise Refused(422, _BAD_PARAMETER, "limit must be between 1 and 500")
    return int(text)
