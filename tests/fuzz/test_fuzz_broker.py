"""Whatever a broker, or what stands before it, answers: only broker errors, and an order's fate is never taken for known when it
is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.alpaca import AlpacaBroker
from shadow.broker.port import (
    BrokerError,
    BrokerProtocolError,
    Order,
    SubmitAmbiguous,
)
from shadow.contracts.model import load_json
from tests.factories.broker import ORDER_JSON, FakeTransport, broker_over
from tests.factories.broker import order as order_request
from tests.fuzz.mutations import SECRET, damaged, ended, raw_texts

AFTER = datetime(2026, 1, 6, tzinfo=UTC)
QUOTE = {"quotes": {"AAPL": {"bp": 100.1, "ap": "100.2", "t": "2026-01-06T20:45:00.123456789Z"}}}
CLOCK = {"timestamp": "2026-01-06T15:45:00-05:00", "is_open": True, "next_open": "2026-01-07T09:30:00-05:00"}
CLOCK["next_close"] = "2026-01-06T16:00:00-05:00"
ASSET = {"symbol": "AAPL", "tradable": True, "fractionable": True}
ACCOUNT = {"account_number": SECRET, "equity": "100000.5", "cash": "-3"}
Call = Callable[[AlpacaBroker], Any]
CALLS: dict[str, tuple[Call, Any]] = {
    "clock": (lambda broker: broker.clock(), CLOCK),
    "account": (lambda broker: broker.account(), ACCOUNT),
    "asset": (lambda broker: broker.asset("AAPL"), ASSET),
    "quote": (lambda broker: broker.quote("AAPL"), QUOTE),
    "position": (lambda broker: broker.position("AAPL"), {"qty": "-1.5", "symbol": "AAPL"}),
    "submit": (lambda broker: broker.submit(order_request()), ORDER_JSON),
    "look up": (lambda broker: broker.order_by_client_id("t-1"), ORDER_JSON),
    "list": (lambda broker: broker.orders_between(AFTER, None), [ORDER_JSON, ORDER_JSON | {"id": "2"}]),
    "cancel": (lambda broker: broker.cancel("id"), None),
}
REFUSED = {"code": 40310000, "message": f"insufficient buying power, key {SECRET}"}
PAGES = (
    b"<html><body>502 Bad Gateway</body></html>",
    b"",
    b" ",
    b"\xff\xfe\x00",
    b"\x1f\x8b\x08broken",
    b"OK",
    b"\xef\xbb\xbf{}",
)
STATUSES = (
    100,
    200,
    201,
    204,
    207,
    301,
    302,
    304,
    400,
    401,
    403,
    404,
    405,
    408,
    409,
    418,
    422,
    425,
    429,
    500,
    502,
    503,
    504,
    520,
    999,
)
statuses = st.sampled_from(STATUSES)


def bodies(valid: Any) -> st.SearchStrategy[bytes]:
    """Give bodies of answers: what was asked for, damaged; an error's explanation, damaged; pages of something in between."""
    texts = raw_texts(valid) | raw_texts(REFUSED) | damaged(REFUSED).map(json.dumps)
    return texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.sampled_from(PAGES) | st.binary(max_size=20)


answers = st.sampled_from(sorted(CALLS)).flatmap(
    lambda name: st.tuples(st.just(name), st.just(200) | statuses, bodies(CALLS[name][1]))
)


def has_code(body: bytes) -> bool:
    """Whether the broker itself says what is wrong: by a code as Alpaca has them."""
    try:
        found = load_json(body)
    except (ValueError, RecursionError):
        return False
    code = found.get("code") if isinstance(found, dict) else None
    return type(code) is int and 40_000_000 <= code < 60_000_000


@settings(max_examples=130)
@given(answers)
def test_every_answer_is_understood_or_a_brokers_error(case: tuple[str, int, bytes]) -> None:
    name, status, body = case
    transport = FakeTransport(status, body)
    outcome = ended(lambda: CALLS[name][0](broker_over(transport, SECRET)))
    assert outcome.error is None or isinstance(outcome.error, BrokerError)
    assert len(transport.sent) == 1, "a call goes out once"


@settings(max_examples=100)
@given(st.just(200) | statuses, bodies(ORDER_JSON))
def test_an_order_is_taken_for_accepted_or_refused_only_when_that_is_known(status: int, body: bytes) -> None:
    outcome = ended(lambda: broker_over(FakeTransport(status, body), SECRET).submit(order_request()))
    if isinstance(outcome.answer, Order):
        assert status < 300
        assert outcome.answer.client_order_id == "t-1"
        assert outcome.answer.filled_quantity >= 0
    else:
        in_code = 400 <= status < 500 and status != 408 and has_code(body)
        assert isinstance(outcome.error, SubmitAmbiguous) is not (status == 429 or in_code), outcome


@settings(max_examples=50)
@given(st.just(200) | statuses, bodies(ORDER_JSON))
def test_an_order_is_absent_only_when_the_broker_itself_says_so(status: int, body: bytes) -> None:
    outcome = ended(lambda: broker_over(FakeTransport(status, body), SECRET).order_by_client_id("t-1"))
    if outcome.error is None and outcome.answer is None:
        assert status == 404
        assert isinstance(json.loads(body)["code"], int)


@settings(max_examples=12)
@given(st.lists(damaged(ORDER_JSON, most=1), min_size=1, max_size=3))
def test_a_list_as_long_as_a_page_always_ends(damage: list[Any]) -> None:
    whole = [ORDER_JSON | {"id": str(number)} for number in range(500)]
    transport = FakeTransport(200, json.dumps([*damage, *whole][:499] + damage[:1]).encode())
    outcome = ended(lambda: broker_over(transport).orders_between(AFTER, AFTER + timedelta(days=1)))
    assert outcome.error is None or isinstance(outcome.error, BrokerProtocolError)
    assert len(transport.sent) <= 3


@settings(max_examples=20)
@given(st.decimals() | st.sampled_from([Decimal("1E+40"), Decimal("NaN"), Decimal("1E-40")]))
def test_no_quantity_is_sent_that_the_wire_cannot_say(quantity: Decimal) -> None:
    transport = FakeTransport(200, json.dumps(ORDER_JSON).encode())
    request = order_request()
    asked = type(request)(request.client_order_id, request.symbol, request.side, quantity, request.order_type)
    outcome = ended(lambda: broker_over(transport).submit(asked))
    assert (outcome.error is None) == bool(transport.sent)
    for sent in transport.sent:
        assert Decimal(json.loads(sent.body or b"{}")["qty"]) <= quantity
