"""Business Unit: execution | Status: current.

One trade from item to result: what stops it, what it reserves, what it tells (C4, C6, C10, C12).
"""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from shadow.broker.port import BrokerUnavailable
from shadow.contracts.control_records import LedgerEntry, TradeExecuted
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Reason, Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import TradeResult
from shadow.execution.mails import effects_of_trade
from shadow.execution.ports import InterlockViolation, OrderFateUnknown, RunNotPrepared
from shadow.execution.trade import SHOWN_ORDERS, compact
from tests.fakes.candidate import (
    ACCEPTED_UNSEEN,
    BUY,
    FILL,
    LOST,
    NOON,
    REJECT,
    REST,
    SELL,
    Behaviour,
    TradeWorld,
    d,
    partly,
    trade,
)


def test_a_filled_buy() -> None:
    result = TradeWorld().execute()

    assert (result.status, result.reason, result.error_message) == (TradeStatus.COMPLETED, None, None)
    assert (result.asked_quantity, result.quantity) == (d("10"), d("10"))
    assert (result.average_price, result.total_value, result.decision_price) == (d("100"), d("1000"), d("100"))
    assert (result.sizing_basis, result.order_type, result.attempts) == (SizingBasis.TRADE_AMOUNT, "limit", 1)


def test_c6_a_closed_market_skips_the_trade_and_reserves_nothing() -> None:
    world = TradeWorld(limit="5000")
    world.broker.is_open = False

    result = world.execute()

    assert (result.status, result.reason) == (TradeStatus.SKIPPED, Reason.MARKET_CLOSED)
    assert (world.broker.submitted, world.ledger.reserved) == ([], d(0))


def test_c4_a_buy_without_a_reservation_is_refused_and_one_without_a_run_is_an_error() -> None:
    world = TradeWorld(limit="999.99")

    assert world.execute().status is TradeStatus.BLOCKED
    world.ledger.is_open = False
    with pytest.raises(RunNotPrepared):
        world.execute()
    assert world.broker.submitted == []


def test_a_sell_reserves_nothing() -> None:
    world = TradeWorld(limit="1")

    assert world.execute(SELL).status is TradeStatus.COMPLETED
    assert world.ledger.reserved == 0


@pytest.mark.parametrize(
    ("script", "kept"),
    [([FILL], "1000"), ([REJECT], "0"), ([REST], "0"), ([partly("2.5"), REST], "250")],
    ids=["filled", "refused", "not filled", "partly filled"],
)
def test_a_trade_keeps_of_its_reservation_what_it_may_have_spent(script: list[Behaviour], kept: str) -> None:
    world = TradeWorld(*script, limit="5000")

    world.execute()

    assert world.ledger.reserved == d(kept)


def test_c12_a_failed_trade_keeps_its_partial_fill() -> None:
    result = TradeWorld(partly("3"), REST).execute()

    assert (result.status, result.reason) == (TradeStatus.FAILED, Reason.PARTIAL_FILL)
    assert (result.quantity, result.total_value, result.average_price) == (d("3"), d("300"), d("100"))
    assert result.order_id == f"order-{BUY.trade_id}"


@pytest.mark.parametrize(
    ("script", "reason"), [([REJECT], Reason.BROKER_REJECTED), ([REST], Reason.NOT_FILLED), ([REST, REJECT], Reason.NOT_FILLED)]
)
def test_why_nothing_was_bought(script: list[Behaviour], reason: Reason) -> None:
    result = TradeWorld(*script).execute()

    assert (result.status, result.reason, result.quantity) == (TradeStatus.FAILED, reason, d(0))


def test_two_orders_average_their_prices() -> None:
    result = TradeWorld(Behaviour(filled=d("4"), rests=True, price=d("100")), Behaviour(price=d("100.10"))).execute()

    assert (result.total_value, result.average_price) == (d("1000.60"), d("100.06"))


def test_no_quote_is_tried_once_for_a_buy_and_three_times_for_a_sell() -> None:
    buy, sell = TradeWorld(), TradeWorld()
    buy.broker.no_quote, sell.broker.no_quote = 1, 2

    assert buy.execute().reason is Reason.NO_QUOTE
    assert sell.execute(SELL).status is TradeStatus.COMPLETED
    assert sell.clock.slept == [5, 5]


def test_what_cannot_be_sized_fails_with_its_reason_and_quote() -> None:
    world = TradeWorld()
    world.broker.fractionable = False

    result = world.execute(trade(amount="50"))

    assert (result.status, result.reason, result.decision_price) == (TradeStatus.FAILED, Reason.ROUNDS_TO_ZERO, d("100"))
    assert world.execute(trade(amount="-50", held="0")).reason is Reason.NOTHING_HELD


def test_an_untradable_asset_is_refused() -> None:
    world = TradeWorld()
    world.broker.tradable = False

    assert world.execute().reason is Reason.BROKER_REJECTED


def test_executing_again_answers_the_same_and_orders_nothing() -> None:
    world = TradeWorld(partly("3"), FILL, limit="5000")

    first, second = world.execute(), world.execute()

    assert second.model_copy(update={"started_at": first.started_at, "completed_at": first.completed_at}) == first
    assert (len(world.broker.submitted), world.ledger.reserved) == (2, d("1000"))


def test_a_trade_begun_in_one_mode_is_not_resumed_in_another() -> None:
    world = TradeWorld()
    world.execute()
    world.mode = ExecutionMode.LIVE

    with pytest.raises(InterlockViolation, match="expected mode paper, in which it was begun, was live"):
        world.execute()


def test_c10_a_timed_out_trade_whose_order_was_live_is_told_as_it_is() -> None:
    world = TradeWorld(partly("4"))
    world.dies_in(world.execute)

    result = world.executor().reconcile(BUY, "Sandbox.Timedout")

    assert (result.status, result.reason, result.quantity) == (TradeStatus.FAILED, Reason.PARTIAL_FILL, d("4"))
    assert len(world.broker.cancelled) == 1


def test_c10_a_timed_out_trade_that_was_filled_completed() -> None:
    world = TradeWorld(ACCEPTED_UNSEEN, limit="5000")
    world.broker.hidden_lookups = 3
    with pytest.raises(OrderFateUnknown):
        world.execute()

    result = world.executor().reconcile(BUY, "States.Timeout")

    assert (result.status, result.quantity, world.ledger.reserved) == (TradeStatus.COMPLETED, d("10"), d("1000"))


def test_c10_an_order_that_nobody_can_find_is_unknown_and_keeps_its_reservation() -> None:
    world = TradeWorld(LOST, limit="5000")
    with pytest.raises(OrderFateUnknown):
        world.execute()

    result = world.executor().reconcile(BUY, "OrderFateUnknown")

    assert (result.status, world.ledger.reserved) == (TradeStatus.UNKNOWN, d("1000"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [("Sandbox.Timedout", Reason.TIMED_OUT), ("BrokerUnavailable", Reason.BROKER_UNAVAILABLE), ("KeyError", Reason.OTHER)],
)
def test_reconciling_a_trade_that_never_had_an_order_fails_it(error: str, reason: Reason) -> None:
    world = TradeWorld(limit="5000")
    world.ledger.reserve(BUY.run_id, BUY.trade_id, d("1000"))

    result = world.executor().reconcile(BUY, error)

    assert (result.status, result.reason, result.quantity) == (TradeStatus.FAILED, reason, d(0))
    assert world.ledger.reserved == 0


def test_reconciling_fails_when_the_broker_cannot_be_asked() -> None:
    world = TradeWorld(LOST)
    with pytest.raises(OrderFateUnknown):
        world.execute()
    world.broker.unreachable = True

    with pytest.raises(BrokerUnavailable):
        world.executor().reconcile(BUY, "OrderFateUnknown")


def test_dry_run_records_the_first_order_and_fills_it_at_the_decision_quote() -> None:
    world = TradeWorld(mode=ExecutionMode.DRY_RUN)

    result = world.execute()

    assert (result.status, result.order_type, result.average_price) == (TradeStatus.COMPLETED, "limit", d("100.00"))
    assert [order.limit_price for order in result.orders] == [d("100.05")]
    assert (world.broker.submitted, world.clock.slept) == ([], [])


def test_c14_effects_are_a_ledger_row_for_each_filled_order_and_one_event() -> None:
    result = TradeWorld(partly("3"), partly("1"), FILL).execute()

    rows = effects_of_trade(BUY, result, NOON)

    assert [(row.kind, row.part) for row in rows] == [
        (EffectKind.LEDGER_ENTRY, 0),
        (EffectKind.LEDGER_ENTRY, 1),
        (EffectKind.LEDGER_ENTRY, 2),
        (EffectKind.TRADE_EXECUTED, 0),
    ]
    entries = [row.detail for row in rows if isinstance(row.detail, LedgerEntry)]
    event = rows[-1].detail
    assert [entry.filled_qty for entry in entries] == [3, 1, 6]
    assert isinstance(event, TradeExecuted)
    assert (event.success, event.quantity, event.trade_amount, event.causation_id) == (True, d("10"), d("1000"), "cause-1")


def test_c14_a_skipped_trade_still_says_that_it_ended() -> None:
    world = TradeWorld()
    world.broker.is_open = False

    (event,) = effects_of_trade(BUY, world.execute(), NOON)

    assert isinstance(event.detail, TradeExecuted)
    assert (event.detail.success, event.detail.quantity) == (False, None)


def test_an_unknown_trade_has_no_effect_yet() -> None:
    world = TradeWorld(LOST)
    with pytest.raises(OrderFateUnknown):
        world.execute()

    assert effects_of_trade(BUY, world.executor().reconcile(BUY, ""), NOON) == ()


def test_a_state_payload_carries_few_orders_the_fills_first() -> None:
    result = TradeWorld(REST, partly("1"), REST, partly("2"), REST, partly("3"), REST).execute(SELL)

    carried = compact(result)

    assert len(result.orders) > SHOWN_ORDERS == len(carried.orders)
    assert [order.filled_quantity for order in carried.orders] == [1, 2, 3]
    assert carried.quantity == result.quantity


def test_a_result_survives_the_wire() -> None:
    result = TradeWorld(partly("3"), FILL).execute()

    assert TypeAdapter(TradeResult).validate_json(TypeAdapter(TradeResult).dump_json(result, by_alias=True)) == result
    assert result.action is Side.BUY
