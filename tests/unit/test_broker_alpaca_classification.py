"""Business Unit: execution | Status: current.

Every answer Alpaca can give, and none at all, becomes one typed error. The transport is a fake.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from shadow.broker.alpaca import AlpacaBroker
from shadow.broker.port import (
    AssetUnknown,
    BrokerError,
    BrokerProtocolError,
    BrokerRefused,
    BrokerThrottled,
    BrokerUnauthorized,
    BrokerUnavailable,
    DuplicateClientOrderId,
    OrderRejected,
    SubmitAmbiguous,
)
from tests.factories.broker import ORDER_JSON as ORDER
from tests.factories.broker import FakeTransport, answering, broker_over, order

HTML = b"<html><body>Bad gateway</body></html>"
POOL = HTTPConnectionPool("127.0.0.1")
REQUEST = order()


def failing(error: Exception) -> AlpacaBroker:
    return broker_over(FakeTransport(error=error))


CALLS: dict[str, Callable[[AlpacaBroker], object]] = {
    "clock": lambda broker: broker.clock(),
    "account": lambda broker: broker.account(),
    "asset": lambda broker: broker.asset("AAPL"),
    "quote": lambda broker: broker.quote("AAPL"),
    "position": lambda broker: broker.position("AAPL"),
    "order_by_client_id": lambda broker: broker.order_by_client_id("t-1"),
    "orders_between": lambda broker: broker.orders_between(datetime(2026, 1, 6, tzinfo=UTC), None),
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
    requests.exceptions.ContentDecodingError("not gzip"),
    requests.exceptions.ProxyError("closed"),
    requests.exceptions.TooManyRedirects("a circle"),
    requests.exceptions.InvalidHeader("folded"),
    OSError("no route"),
    ConnectionResetError("reset"),
)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"code": 42910000, "message": "rate limit exceeded"}, BrokerThrottled),
        (429, HTML, BrokerThrottled),
        (401, {"code": 40110000, "message": "request is not authorized"}, BrokerUnauthorized),
        (401, HTML, SubmitAmbiguous),
        (403, {"message": "forbidden."}, SubmitAmbiguous),
        (409, HTML, SubmitAmbiguous),
        (422, b"", SubmitAmbiguous),
        (422, {"code": "42210000", "message": "a code is a number"}, SubmitAmbiguous),
        (422, {"code": 422, "message": "a gateway's own code"}, SubmitAmbiguous),
        (404, {"code": 5, "message": "another service's own code"}, SubmitAmbiguous),
        (425, b"", SubmitAmbiguous),
        (431, HTML, SubmitAmbiguous),
        (499, b"", SubmitAmbiguous),
        (403, {"code": 40310000, "message": "insufficient buying power"}, OrderRejected),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, DuplicateClientOrderId),
        (422, {"code": 40010001, "message": "qty is required"}, OrderRejected),
        (422, {"code": 40010001, "message": "client_order_id must be no more than 128 characters"}, OrderRejected),
        (422, {"code": 42210000, "message": "asset not found"}, OrderRejected),
        (400, HTML, SubmitAmbiguous),
        (404, {"message": "no code"}, SubmitAmbiguous),
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
        (404, {"code": 404, "message": ""}, BrokerProtocolError),
        (418, {"code": 41810000, "message": "teapot"}, BrokerRefused),
    ],
)
def test_what_an_answer_to_a_read_means(call: str, status: int, body: object, expected: type[BrokerError]) -> None:
    with pytest.raises(expected) as caught:
        CALLS[call](answering(status, body))
    assert type(caught.value) is expected


@pytest.mark.parametrize("call", [name for name in READS if name != "cancel"])
@pytest.mark.parametrize("body", [b"", HTML, b"[[]]", b"null", b'{"quotes": []}', b"\xff", b"1"])
def test_an_unreadable_read_is_a_protocol_error(call: str, body: bytes) -> None:
    if (call, body) == ("orders_between", b"[[]]"):  # an odd entry costs itself alone
        (odd,) = answering(200, body).orders_between(datetime(2026, 1, 6, tzinfo=UTC), None).odd
        assert odd.fault.startswith("order: expected an object")
        return
    with pytest.raises(BrokerProtocolError):
        CALLS[call](answering(200, body))


@pytest.mark.parametrize("call", [name for name in READS if name not in ("cancel", "orders_between")])
def test_a_list_where_one_thing_is_read_is_a_protocol_error(call: str) -> None:
    with pytest.raises(BrokerProtocolError):
        CALLS[call](answering(200, b"[]"))


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
