"""Business Unit: execution | Status: current.

Every answer Alpaca can give, and none at all, becomes one typed error or one exact value. The transport is a fake.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from shadow.broker import alpaca_wire
from shadow.broker.alpaca import AlpacaBroker, AlpacaCredentials
from shadow.broker.errors import (
    AssetUnknown,
    BrokerError,
    BrokerProtocolError,
    BrokerRefused,
    BrokerThrottled,
    BrokerUnauthorized,
    BrokerUnavailable,
    DuplicateClientOrderId,
    OrderRejected,
    QuoteUnavailable,
    SubmitAmbiguous,
)
from shadow.broker.port import Order, OrderRequest, OrderStatus, OrderType
from shadow.contracts.vocabulary import Side

HTML = b"<html><body>Bad gateway</body></html>"
POOL = HTTPConnectionPool("127.0.0.1")
REQUEST = OrderRequest("t-1", "AAPL", Side.BUY, Decimal("1.5"), OrderType.MARKET)
ORDER: dict[str, object] = {
    "id": "6fb95507-6eda-5efb-8d47-ea735a71112b",
    "client_order_id": "t-1",
    "symbol": "AAPL",
    "side": "buy",
    "type": "market",
    "qty": "1.5",
    "limit_price": None,
    "status": "filled",
    "filled_qty": "1.5",
    "filled_avg_price": "100.123456789",
    "submitted_at": "2026-01-06T20:45:00.123456789Z",
    "filled_at": "2026-01-06T20:45:01Z",
}


class FakeTransport(BaseAdapter):
    """Answer every request the same way, and count."""

    def __init__(self, status: int = 200, body: bytes = b"", error: Exception | None = None) -> None:
        super().__init__()
        self.status, self.body, self.error = status, body, error
        self.sent: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        self.sent.append(request)
        self.timeouts.append(options["timeout"])
        if self.error:
            raise self.error
        response = requests.Response()
        response.status_code, response._content, response.request = self.status, self.body, request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Nothing to give back."""


def broker_over(transport: FakeTransport, key: str = "test-key", secret: str | None = None) -> AlpacaBroker:
    broker = AlpacaBroker.connect(AlpacaCredentials(key, secret or f"{key}-secret", "http://127.0.0.1:9", "http://127.0.0.1:9"))
    for api in (broker._trading, broker._data):
        api._session.mount("http://", transport)
    return broker


def answering(status: int, body: object) -> AlpacaBroker:
    return broker_over(FakeTransport(status, body if isinstance(body, bytes) else json.dumps(body).encode()))


def failing(error: Exception) -> AlpacaBroker:
    return broker_over(FakeTransport(error=error))


CALLS: dict[str, Callable[[AlpacaBroker], object]] = {
    "clock": lambda broker: broker.clock(),
    "account": lambda broker: broker.account(),
    "asset": lambda broker: broker.asset("AAPL"),
    "quote": lambda broker: broker.quote("AAPL"),
    "position": lambda broker: broker.position("AAPL"),
    "order_by_client_id": lambda broker: broker.order_by_client_id("t-1"),
    "cancel": lambda broker: broker.cancel("6fb95507-6eda-5efb-8d47-ea735a71112b"),
    "submit": lambda broker: broker.submit(REQUEST),
}
READS = [name for name in CALLS if name != "submit"]
NEVER_REACHED = (
    requests.ConnectTimeout("slow"),
    requests.ConnectionError(MaxRetryError(POOL, "/", NewConnectionError(POOL, "refused"))),  # type: ignore[arg-type] # as urllib3 itself raises it
)
UNANSWERED = (
    requests.ReadTimeout("hang"),
    requests.ConnectionError(ProtocolError("Connection aborted.")),
    requests.exceptions.ChunkedEncodingError("cut"),
    requests.exceptions.SSLError("bad record"),
    ConnectionResetError("reset"),
)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"code": 42910000, "message": "rate limit exceeded"}, BrokerThrottled),
        (429, HTML, BrokerThrottled),
        (401, {"code": 40110000, "message": "request is not authorized"}, BrokerUnauthorized),
        (403, {"message": "forbidden."}, BrokerUnauthorized),
        (403, {"code": 40310000, "message": "insufficient buying power"}, OrderRejected),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, DuplicateClientOrderId),
        (422, {"code": 40010001, "message": "qty is required"}, OrderRejected),
        (422, {"code": 40010001, "message": "client_order_id must be no more than 128 characters"}, OrderRejected),
        (422, {"code": 42210000, "message": "asset not found"}, OrderRejected),
        (400, HTML, OrderRejected),
        (404, {"message": "no code"}, OrderRejected),
        (408, HTML, SubmitAmbiguous),
        (301, b"", SubmitAmbiguous),
        (500, {"code": 50010000, "message": "internal server error occurred"}, SubmitAmbiguous),
        (502, HTML, SubmitAmbiguous),
        (503, b"", SubmitAmbiguous),
        (504, HTML, SubmitAmbiguous),
        (200, b"", SubmitAmbiguous),
        (200, HTML, SubmitAmbiguous),
        (200, b"[]", SubmitAmbiguous),
        (200, b'{"id": NaN}', SubmitAmbiguous),
        (200, b"\xff\xfe", SubmitAmbiguous),
        (200, b"[" * 100_000, SubmitAmbiguous),
        (200, ORDER | {"client_order_id": "another"}, SubmitAmbiguous),
        (200, {name: value for name, value in ORDER.items() if name != "id"}, SubmitAmbiguous),
    ],
)
def test_what_an_answer_to_a_submit_means(status: int, body: object, expected: type[BrokerError]) -> None:
    transport = FakeTransport(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    with pytest.raises(expected) as caught:
        broker_over(transport).submit(REQUEST)
    assert type(caught.value) is expected
    assert len(transport.sent) == 1


@pytest.mark.parametrize("error", NEVER_REACHED)
@pytest.mark.parametrize("call", CALLS)
def test_a_broker_that_was_never_reached_is_unavailable(call: str, error: Exception) -> None:
    with pytest.raises(BrokerUnavailable, match="no connection"):
        CALLS[call](failing(error))


@pytest.mark.parametrize("error", UNANSWERED)
def test_a_submit_without_an_answer_is_ambiguous(error: Exception) -> None:
    with pytest.raises(SubmitAmbiguous, match="no answer"):
        failing(error).submit(REQUEST)


@pytest.mark.parametrize("error", UNANSWERED)
@pytest.mark.parametrize("call", READS)
def test_a_read_without_an_answer_is_unavailable(call: str, error: Exception) -> None:
    with pytest.raises(BrokerUnavailable, match="no answer"):
        CALLS[call](failing(error))


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"code": 42910000, "message": "rate limit exceeded"}, BrokerThrottled),
        (401, {"code": 40110000, "message": "request is not authorized"}, BrokerUnauthorized),
        (403, {"message": "forbidden."}, BrokerUnauthorized),
        (408, b"", BrokerUnavailable),
        (500, {"code": 50010000, "message": "internal server error occurred"}, BrokerUnavailable),
        (504, HTML, BrokerUnavailable),
        (302, b"", BrokerProtocolError),
        (404, HTML, BrokerProtocolError),
        (404, {"message": ""}, BrokerProtocolError),
        (418, {"code": 41810000, "message": "teapot"}, BrokerRefused),
    ],
)
def test_what_an_answer_to_a_read_means(call: str, status: int, body: object, expected: type[BrokerError]) -> None:
    with pytest.raises(expected) as caught:
        CALLS[call](answering(status, body))
    assert type(caught.value) is expected


@pytest.mark.parametrize("call", [name for name in READS if name != "cancel"])
@pytest.mark.parametrize("body", [b"", HTML, b"[]", b"null", b'{"quotes": []}', b"\xff", b"1"])
def test_an_unreadable_read_is_a_protocol_error(call: str, body: bytes) -> None:
    with pytest.raises(BrokerProtocolError):
        CALLS[call](answering(200, body))


NOT_FOUND = {"code": 40410000, "message": "not found"}


def test_only_the_brokers_own_not_found_means_that_there_is_nothing() -> None:
    broker = answering(404, NOT_FOUND)
    assert broker.order_by_client_id("t-1") is None
    assert broker.position("AAPL") == 0
    with pytest.raises(AssetUnknown, match="AAPL"):
        broker.asset("AAPL")
    with pytest.raises(BrokerRefused):
        broker.cancel("6fb95507-6eda-5efb-8d47-ea735a71112b")


def test_cancelling_what_has_ended_is_not_an_error() -> None:
    transport = FakeTransport(422, b'{"code": 42210000, "message": "order is already filled"}')
    broker_over(transport).cancel("6fb95507-6eda-5efb-8d47-ea735a71112b")
    assert [request.method for request in transport.sent] == ["DELETE"]


@pytest.mark.parametrize(
    ("quotes", "complaint"),
    [
        ({}, "was none"),
        ({"AAPL": None}, "was none"),
        ({"AAPL": {"bp": 0, "ap": 100.5, "t": "2026-01-06T20:45:00Z"}}, "was 0 and 100.5"),
        ({"AAPL": {"bp": 100.5, "t": "2026-01-06T20:45:00Z"}}, "was 100.5 and None"),
        ({"AAPL": {"bp": 100.5, "ap": 100.4, "t": "2026-01-06T20:45:00Z"}}, "100.4 under 100.5"),
    ],
)
def test_a_quote_needs_two_sides_that_are_not_crossed(quotes: object, complaint: str) -> None:
    with pytest.raises(QuoteUnavailable, match=complaint):
        answering(200, {"quotes": quotes}).quote("AAPL")


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_symbol_without_market_data_has_no_quote(status: int) -> None:
    with pytest.raises(QuoteUnavailable, match="invalid symbol"):
        answering(status, {"message": "invalid symbol: AAPL"}).quote("AAPL")


def test_numbers_arrive_exactly() -> None:
    broker = answering(200, b'{"quotes": {"AAPL": {"bp": 0.1, "ap": 0.30000000000000001, "t": "2026-01-06T20:45:00Z"}}}')
    quote = broker.quote("AAPL")
    assert (quote.bid, quote.ask) == (Decimal("0.1"), Decimal("0.30000000000000001"))
    order = answering(200, ORDER).order_by_client_id("t-1")
    assert order is not None
    assert order.average_price == Decimal("100.123456789")
    assert order.submitted_at is not None
    assert order.submitted_at.microsecond == 123456


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("new", OrderStatus.OPEN),
        ("pending_cancel", OrderStatus.OPEN),
        ("held", OrderStatus.OPEN),
        ("canceled", OrderStatus.CANCELED),
        ("expired", OrderStatus.EXPIRED),
        ("rejected", OrderStatus.REJECTED),
        ("replaced", OrderStatus.UNKNOWN),
        ("pondering", OrderStatus.UNKNOWN),
    ],
)
def test_an_order_keeps_its_identity_whatever_its_status_is_called(status: str, expected: OrderStatus) -> None:
    order = answering(200, ORDER | {"status": status}).submit(REQUEST)
    assert (order.status, order.client_order_id, order.order_id) == (expected, "t-1", ORDER["id"])


@pytest.mark.parametrize(("filled", "price"), [("0", "0"), ("0", None), ("1.5", None), ("1.5", "0")])
def test_a_price_that_is_not_there_yet_is_none_not_zero(filled: str, price: str | None) -> None:
    order = answering(200, ORDER | {"filled_qty": filled, "filled_avg_price": price}).submit(REQUEST)
    assert order.average_price is None
    assert order.filled_quantity == Decimal(filled)


@pytest.mark.parametrize("field", ["id", "client_order_id", "symbol", "side", "type", "qty", "status", "filled_qty"])
@pytest.mark.parametrize("value", [None, "", [], {}, -1, True])
def test_a_malformed_order_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BrokerProtocolError, match=rf"order\.{field}: expected"):
        answering(200, ORDER | {field: value}).order_by_client_id("t-1")


@pytest.mark.parametrize("field", ["qty", "filled_qty", "filled_avg_price", "limit_price"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1,5", "1" * 29, False])
def test_a_number_that_is_none_is_named(field: str, value: object) -> None:
    with pytest.raises(BrokerProtocolError, match=rf"order\.{field}: expected"):
        answering(200, ORDER | {field: value}).order_by_client_id("t-1")


def test_a_time_without_a_zone_is_named() -> None:
    with pytest.raises(BrokerProtocolError, match=r"order\.filled_at: expected a time with a zone"):
        answering(200, ORDER | {"filled_at": "2026-01-06T20:45:01"}).order_by_client_id("t-1")


def test_the_order_goes_out_with_exact_numbers() -> None:
    transport = FakeTransport(200, json.dumps(ORDER).encode())
    request = OrderRequest("t-1", "AAPL", Side.SELL, Decimal("123456789.1234567899"), OrderType.LIMIT, Decimal("1234.50"))
    broker_over(transport).submit(request)
    assert json.loads(transport.sent[0].body or b"") == {
        "symbol": "AAPL",
        "qty": "123456789.123456789",
        "side": "sell",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": "t-1",
        "limit_price": "1234.50",
    }


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (OrderRequest("t-1", "A", Side.BUY, Decimal(0), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal("1e-10"), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal("NaN"), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal("1e40"), OrderType.MARKET), "quantity"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal(1), OrderType.LIMIT), "limit_price"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal(1), OrderType.LIMIT, Decimal(0)), "limit_price"),
        (OrderRequest("t-1", "A", Side.BUY, Decimal(1), OrderType.MARKET, Decimal(1)), "limit_price"),
        (OrderRequest("", "A", Side.BUY, Decimal(1), OrderType.MARKET), "client_order_id"),
        (OrderRequest("x" * 49, "A", Side.BUY, Decimal(1), OrderType.MARKET), "client_order_id"),
    ],
)
def test_an_order_that_must_not_be_sent_is_rejected_here(request_: OrderRequest, complaint: str) -> None:
    transport = FakeTransport()
    with pytest.raises(OrderRejected, match=complaint):
        broker_over(transport).submit(request_)
    assert transport.sent == []


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_made_once_with_a_timeout(call: str) -> None:
    transport = FakeTransport(504, HTML)
    with pytest.raises(BrokerError):
        CALLS[call](broker_over(transport))
    assert transport.timeouts == [(3.0, 10.0)]


def test_no_secret_is_ever_told() -> None:
    account = json.dumps({"account_number": "CANARY-NUMBER", "equity": "1", "cash": "-1.5"}).encode()
    told = b'{"code": 1, "message": "key CANARY-KEY secret CANARY-SECRET number CANARY-NUMBER\\n' + b"x" * 999 + b'"}'
    transport = FakeTransport(200, account)
    broker = broker_over(transport, "CANARY-KEY", "CANARY-SECRET")
    assert broker.account().cash == Decimal("-1.5")
    transport.status, transport.body = 403, told
    messages = []
    for call in CALLS.values():
        with pytest.raises(BrokerError) as caught:
            call(broker)
        messages.append("".join(traceback.format_exception(caught.value)))
    transport.status, transport.body = 200, b'{"account_number": ["CANARY-NUMBER"]}'
    with pytest.raises(BrokerProtocolError, match=r"account\.account_number: expected a text, was list") as caught_:
        broker.account()
    assert "CANARY" not in "".join(messages) + str(caught_.value)
    assert all(len(str(line)) < 400 for line in "".join(messages).splitlines())


def outcome(call: Callable[[], object]) -> BrokerError | None:
    """Give the typed error that a call ends with; any other error fails the test."""
    try:
        call()
    except BrokerError as error:
        return error
    return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ORDER, "quotes", "code"]), inner),
    max_leaves=12,
)


@given(
    status=st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 408, 422, 429, 499, 500, 503, 504, 599]),
    body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    call=st.sampled_from(sorted(CALLS)),
)
def test_whatever_comes_back_only_typed_errors_leave(status: int, body: bytes, call: str) -> None:
    error = outcome(lambda: CALLS[call](answering(status, body)))
    certainly_not_accepted = 400 <= status < 500 and status != 408
    if call == "submit" and error:
        assert isinstance(error, SubmitAmbiguous) != certainly_not_accepted
    assert error or status < 300 or status in (404, 422)


@given(fields=st.dictionaries(st.sampled_from(sorted(ORDER)), JSON, min_size=1, max_size=3))
def test_a_damaged_order_is_read_or_named(fields: dict[str, object]) -> None:
    read: list[Order] = []
    error = outcome(lambda: read.append(alpaca_wire.parse_order(ORDER | fields)))
    assert str(error).startswith("order.") if error else read[0].quantity >= 0
