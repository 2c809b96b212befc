"""What live and paper money was lost by, one kind after the other, with its right value (L3 to L8, V11)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.broker.port import (
    BrokerProtocolError,
    BrokerRefused,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
)
from shadow.contracts.candidate_state import IntentStatus
from shadow.contracts.vocabulary import Reason, Side, TradeStatus
from shadow.contracts.workflow import GuardInput, TradeResult
from shadow.execution.phases import evaluate_guard
from shadow.execution.ports import OrderMismatch
from shadow.execution.trade import RESULT_BYTES, Sized, compact, size
from tests.factories.broker import FakeTransport, answering, broker_over
from tests.fakes.candidate import (
    BUY,
    FILL,
    NOON,
    PLAN_ID,
    REST,
    RUN_ID,
    SELL,
    Behaviour,
    FakeBroker,
    TradeWorld,
    d,
    partly,
    trade,
)

EXACT = Context(prec=90)

# ---------------------------------------------------------------------- L3: an echo that differs


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "XYZ"},
        {"quantity": d(11)},
        {"side": Side.SELL},
        {"limit_price": d(50)},
        {"order_type": OrderType.MARKET, "limit_price": None},
        {"is_of_the_day": False},
    ],
    ids=["another symbol", "another quantity", "another side", "another limit", "another type", "not of the day"],
)
def test_l3_an_order_whose_echo_differs_is_cancelled_and_told(changes: dict[str, object]) -> None:
    world = TradeWorld(broker=Echoing(script=[REST]))
    world.broker.after_submit = lambda request: _change(world.broker, request, changes)

    with pytest.raises(OrderMismatch, match=r"expected ABC BUY 10\.000000 limit at 100\.05, was"):
        world.executor().execute(BUY)

    assert world.working == []
    result = world.executor().reconcile(BUY, "OrderMismatch")
    is_ours = not changes.keys() & {"symbol", "side"}
    assert result.status is (TradeStatus.FAILED if is_ours else TradeStatus.UNKNOWN)
    assert len(world.broker.submitted) == 1


def _change(broker: FakeBroker, request: OrderRequest, changes: dict[str, object]) -> None:
    broker.orders[request.client_order_id] = replace(broker.orders[request.client_order_id], **changes)  # type: ignore[arg-type]


class Echoing(FakeBroker):
    """A broker that answers a submit with the order as it stands."""

    def submit(self, request: OrderRequest) -> Order:
        super().submit(request)
        return self.orders[request.client_order_id]


def test_l3_a_position_with_ten_decimals_is_asked_for_as_it_can_be_sent() -> None:
    sized = size(trade(amount="-1000", exits=True), mid=d(100), fractionable=True, held=d("1.2345678915"))
    assert isinstance(sized, Sized)
    assert sized.quantity == d("1.234567891")


# ---------------------------------------------------------------------- L4: replaced orders


@pytest.mark.parametrize("links", [1, 2, 5])
def test_l4_the_successors_of_a_replaced_order_are_followed_cancelled_and_summed(links: int) -> None:
    world = TradeWorld(partly("2"), FILL)
    world.broker.after_submit = lambda request: _replace(world.broker, request, links) if request.quantity == 10 else None

    result = world.executor().execute(BUY)

    assert world.working == []
    assert (result.status, result.quantity) == (TradeStatus.COMPLETED, d(10))
    first = world.log.intents[min(world.log.intents)]
    assert (first.status, first.filled_quantity) == (IntentStatus.CANCELED, 2 + links)
    assert world.broker.submitted[1].quantity == 10 - 2 - links


def _replace(broker: FakeBroker, request: OrderRequest, links: int) -> None:
    """Let a person replace the order `links` times; each successor fills one share and goes on working."""
    key = request.client_order_id
    for number in range(links):
        order = broker.orders[key]
        broker.orders[key] = replace(order, status=OrderStatus.UNKNOWN, replaced_by=f"order-by-hand-{number}")
        key = f"by-hand-{number}"
        broker.orders[key] = replace(
            order,
            order_id=f"order-{key}",
            client_order_id=key,
            quantity=order.quantity - order.filled_quantity,
            filled_quantity=d(1),
            average_price=d(100),
            status=OrderStatus.OPEN,
        )


# ---------------------------------------------------------------------- L5: quotes that cannot be


@pytest.mark.parametrize(
    ("bid", "ask", "age", "complaint"),
    [
        ("0.01", "100", timedelta(0), "bps between bid and ask, was 19996"),
        ("90", "110", timedelta(0), "bps between bid and ask, was 2000"),
        ("99.90", "100.10", timedelta(days=4), " s old"),
        ("99.90", "100.10", timedelta(seconds=901), " s old"),
        ("99.90", "100.10", timedelta(hours=-1), " s ahead of the clocks"),
    ],
    ids=["absurd", "wide", "four days old", "a second too old", "from the future"],
)
@pytest.mark.parametrize("item", [BUY, SELL], ids=["buy", "sell"])
def test_l5_nothing_is_decided_on_a_quote_that_cannot_be(
    bid: str, ask: str, age: timedelta, complaint: str, item: object
) -> None:
    world = TradeWorld(quotes=(Quote("ABC", d(bid), d(ask), NOON - age),), limit="5000")

    result = world.executor().execute(item)  # type: ignore[arg-type] # one of two trades

    assert (result.status, result.reason) == (TradeStatus.FAILED, Reason.IMPLAUSIBLE_QUOTE)
    assert complaint in (result.error_message or "")
    assert (result.attempts, world.broker.submitted, world.ledger.reserved) == (3 if item is SELL else 1, [], 0)


# ---------------------------------------------------------------------- L6: symbols, and answers about others


@pytest.mark.parametrize("symbol", ["BTC/USD", "CRYPTO::BTC//USD"])
def test_l6_a_pair_of_currencies_is_asked_for_under_its_own_names(symbol: str) -> None:
    quote = {"quotes": {"BTC/USD": {"bp": 100, "ap": 101, "t": "2026-01-06T20:45:00Z"}}}
    data, trading = (FakeTransport(200, json.dumps(body).encode()) for body in (quote, {"symbol": "BTCUSD", "qty": "2"}))

    assert broker_over(data).quote(symbol).ask == 101
    assert broker_over(trading).position(symbol) == 2
    assert (data.sent[0].url or "").endswith("/v1beta3/crypto/us/latest/quotes?symbols=BTC%2FUSD")
    assert (trading.sent[0].url or "").endswith("/v2/positions/BTCUSD")


ASSET = {"symbol": "AAPL", "status": "active", "tradable": True, "fractionable": True}


def test_l6_an_asset_that_is_not_active_does_not_trade_and_another_ones_is_no_answer() -> None:
    assert answering(200, ASSET).asset("EQUITIES::AAPL//USD").tradable
    assert not answering(200, ASSET | {"status": "inactive"}).asset("AAPL").tradable
    with pytest.raises(BrokerProtocolError, match="expected AAPL, was MSFT"):
        answering(200, ASSET | {"symbol": "MSFT"}).asset("AAPL")


# ---------------------------------------------------------------------- L7: what passes by itself


class UnsureOfCancels(FakeBroker):
    """A broker that answers the first cancel with 404, and does it."""

    def cancel(self, order_id: str) -> None:
        super().cancel(order_id)
        if len(self.cancelled) == 1:
            raise BrokerRefused("cancel: HTTP 404, code 40410000: order not found")


def test_l7_a_cancel_answered_404_once_does_not_end_the_trade() -> None:
    world = TradeWorld(broker=UnsureOfCancels(script=[REST, FILL]))
    assert world.executor().execute(BUY).status is TradeStatus.COMPLETED


# ---------------------------------------------------------------------- L8: what a state carries


@given(
    message=st.text(max_size=200),
    behaviours=st.lists(st.sampled_from([REST, partly("0.1"), partly("0.333333")]), min_size=1, max_size=12),
)
def test_l8_a_result_takes_no_more_bytes_of_a_state_than_is_said(message: str, behaviours: list[Behaviour]) -> None:
    result = TradeWorld(*behaviours, REST).executor().execute(SELL)
    carried = compact(result.model_copy(update={"error_message": message or None}))

    assert len(json.dumps(carried.to_wire())) <= RESULT_BYTES
    assert (carried.quantity, carried.status, carried.order_id) == (result.quantity, result.status, result.order_id)


# ---------------------------------------------------------------------- V11: sums of more than 28 digits


AMOUNTS = st.lists(
    st.decimals(min_value="0.0000000001", max_value="999999", allow_nan=False, places=22).filter(lambda amount: amount > 0),
    min_size=1,
    max_size=8,
)


@given(AMOUNTS, st.sampled_from([0, 1, -1]))
def test_v11_the_guard_sums_exactly_and_decides_at_the_threshold(amounts: list[Decimal], off: int) -> None:
    exact = Decimal(0)
    for amount in amounts:
        exact = EXACT.add(exact, amount)
    threshold = EXACT.add(exact, Decimal(off).scaleb(-22))
    results = tuple(
        TradeResult(
            run_id=RUN_ID, trade_id=f"t{at}", symbol="ABC", action=Side.SELL, status=TradeStatus.FAILED, planned_amount=-amount
        )
        for at, amount in enumerate(amounts)
    )
    if len(threshold.as_tuple().digits) > 28 or threshold < 0:
        threshold = exact.quantize(Decimal("0.01"))
    request = GuardInput(
        sell_results=results,
        default_failure_threshold_usd=threshold,
        run_id=RUN_ID,
        plan_id=PLAN_ID,
        correlation_id="c",
    )
    guard = evaluate_guard(request)

    assert guard.sell_failed_amount == exact
    assert guard.buy_phase_allowed is (exact <= threshold)


def test_l3_the_walk_itself_is_cancelled_before_another_step() -> None:
    """At no submit is an earlier order of the trade still working."""
    world = TradeWorld(partly("1"), partly("1"), partly("1"), FILL)
    seen: list[int] = []
    world.broker.on_submit = lambda _: seen.append(len(world.working))

    world.place()

    assert seen == [0, 0, 0, 0]
