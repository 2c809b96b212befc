"""Business Unit: tests | Status: current.

Every limit of the execution at its last allowed value and at the first refused one, and what a resumed process takes over.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shadow.broker.port import AssetUnknown, BrokerProtocolError, Order, OrderRejected, OrderStatus, Quote, QuoteUnavailable
from shadow.contracts.candidate_state import IntentStatus
from shadow.contracts.control_records import LedgerEntry
from shadow.contracts.vocabulary import EffectKind, Reason, Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import EquityCheck, OrderTrace, TradeResult, WorkflowTrade
from shadow.execution.mails import effects_of_trade
from shadow.execution.orders import OrderDesk
from shadow.execution.phases import equity_check, failure_line, is_large
from shadow.execution.placement import RunCloser
from shadow.execution.ports import OrderFateUnknown, QuoteContradicted, WorkTimeSpent
from shadow.execution.trade import compact
from shadow.execution.walk import Step
from tests.fakes.candidate import (
    BUY,
    FILL,
    GOOD,
    LOST,
    NOON,
    POLICY,
    REJECT,
    REST,
    RUN_ID,
    SELL,
    Behaviour,
    Died,
    TradeWorld,
    d,
    partly,
    trade,
)

SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


def dies_at(number: int) -> Callable[[object], None]:
    """Let the process die when it sends its `number`-th order."""
    seen = 0

    def count(_request: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Died

    return count


# ---------------------------------------------------------------------- quotes


@pytest.mark.parametrize(
    ("quote", "market_at", "complaint"),
    [
        (replace(GOOD, at=NOON - 900 * SECOND), NOON, ""),
        (replace(GOOD, at=NOON - 900 * SECOND - MICROSECOND), NOON, "expected a quote of the last 900 s, was 900 s old"),
        (replace(GOOD, at=NOON + 60 * SECOND), NOON, ""),
        (replace(GOOD, at=NOON + 61 * SECOND), NOON, "was 61 s ahead of the clocks"),
        (replace(GOOD, at=NOON + 61 * SECOND), NOON + SECOND, ""),
        (replace(GOOD, at=NOON - 9000 * SECOND), None, ""),
        (replace(GOOD, at=NOON + 9000 * SECOND), None, ""),
        (replace(GOOD, bid=d(95), ask=d(105)), NOON, ""),
        (replace(GOOD, bid=d(95), ask=d("105.01")), NOON, "expected at most 1000 bps between bid and ask, was 1001"),
    ],
)
def test_a_quote_is_refused_beyond_900_s_of_age_60_s_ahead_and_1000_bps(quote: Quote, market_at: object, complaint: str) -> None:
    told = POLICY.fault_in(quote, market_at)  # type: ignore[arg-type] # a moment or None

    assert complaint in told
    assert bool(told) is bool(complaint)


def test_a_quote_is_ahead_only_where_it_is_ahead_of_both_clocks() -> None:
    late = replace(GOOD, at=NOON + 100 * SECOND)

    assert POLICY.fault_in(late, NOON)
    assert not POLICY.fault_in(late, NOON, NOON + 40 * SECOND)
    assert POLICY.fault_in(late, NOON, NOON + 39 * SECOND)
    assert not POLICY.fault_in(late, NOON + 40 * SECOND, NOON)


@pytest.mark.parametrize(("mid", "is_beyond"), [("110", False), ("110.01", True), ("50", False)])
def test_a_later_quote_is_beyond_the_first_by_more_than_1000_bps_upwards(mid: str, *, is_beyond: bool) -> None:
    fresh = Quote("ABC", d(mid), d(mid), NOON)

    assert POLICY.is_beyond(fresh, Quote("ABC", d(100), d(100), NOON)) is is_beyond


@pytest.mark.parametrize("failure", [QuoteUnavailable("no bid"), BrokerProtocolError("quote.t: expected a time")])
def test_a_step_without_a_quote_is_priced_on_the_last_one(failure: Exception) -> None:
    better = Quote("ABC", d("100.00"), d("100.20"), NOON)
    world = TradeWorld(REST, quotes=(better, failure))
    world.place()

    assert [request.limit_price for request in world.broker.submitted] == [d("100.05"), d("100.17"), d("100.19"), None]


@pytest.mark.parametrize(("item", "is_followed"), [(BUY, False), (SELL, True)], ids=["buy", "sell"])
def test_a_sell_follows_a_market_that_rose_by_a_half_and_a_buy_keeps_its_price(item: WorkflowTrade, *, is_followed: bool) -> None:
    risen = Quote("ABC", d("149.90"), d("150.10"), NOON)
    world = TradeWorld(REST, FILL, quotes=(risen,))
    world.place(item)

    assert world.broker.submitted[1].limit_price == (d("149.93") if is_followed else d("100.07"))


def test_a_buy_takes_no_market_order_in_a_market_that_rose_by_a_half() -> None:
    world = TradeWorld(REST, quotes=(Quote("ABC", d("149.90"), d("150.10"), NOON),))

    with pytest.raises(QuoteContradicted, match=r"expected a mid near 100\.00 USD to buy at, was 150\.00"):
        world.place()
    assert len(world.broker.submitted) == 3


@pytest.mark.parametrize(("age", "is_taken"), [(870, True), (900, False)])
def test_a_later_quote_ages_by_the_time_since_the_decision(age: int, *, is_taken: bool) -> None:
    """After the first step's 10 seconds the market's time is 10 seconds later."""
    world = TradeWorld(REST, FILL, quotes=(replace(GOOD, bid=d("100.00"), ask=d("100.20"), at=NOON - age * SECOND),))
    world.place()

    assert world.broker.submitted[1].limit_price == (d("100.17") if is_taken else d("100.07"))


def test_a_limit_is_at_least_a_cent() -> None:
    penny = Quote("ABC", d("0.001"), d("0.002"), NOON)
    step = Step(0, 0, 0, d("0.75"), 10)

    assert step.limit_price(Side.BUY, penny) == d("0.01")
    assert step.limit_price(Side.SELL, penny) == d("0.01")
    assert replace(step, fraction=None).limit_price(Side.BUY, penny) is None


def test_no_quote_tells_the_last_problem_and_how_often_it_was_tried() -> None:
    wide = replace(GOOD, bid=d(50), ask=d(150))
    unread = BrokerProtocolError("quote.t: expected a time")
    for quotes, reason, told in (
        ((unread, wide), Reason.IMPLAUSIBLE_QUOTE, "bps between bid and ask"),
        ((wide, unread), Reason.NO_QUOTE, "expected a time"),
    ):
        result = TradeWorld(quotes=quotes).execute(SELL)
        assert (result.status, result.reason, result.attempts) == (TradeStatus.FAILED, reason, 3)
        assert (result.bid, result.asked_quantity, result.orders) == (None, None, ())
        assert told in (result.error_message or "")


def test_a_decision_quote_ages_while_it_is_waited_for() -> None:
    world = TradeWorld(quotes=(QuoteUnavailable("no bid"), replace(GOOD, at=NOON - 897 * SECOND), GOOD))

    assert world.execute(SELL).status is TradeStatus.COMPLETED
    assert world.clock.slept == [5, 5]


# ---------------------------------------------------------------------- steps and time


@pytest.mark.parametrize(("seconds", "pauses"), [(0, []), (0.5, [0.5]), (1, [1]), (3, [1, 2]), (10, [1, 2, 4, 3]), (-1, [])])
def test_looks_are_a_second_apart_and_then_twice_as_long(seconds: float, pauses: list[float]) -> None:
    assert list(POLICY.pauses(seconds)) == pauses


@pytest.mark.parametrize(("rest", "orders"), [(200, 2), (200.5, 1)])
def test_no_step_begins_more_than_200_seconds_after_its_process(rest: float, orders: int) -> None:
    world = TradeWorld(REST, FILL)
    policy = replace(POLICY, limit_seconds=rest)
    if orders == 1:
        with pytest.raises(WorkTimeSpent, match="ABC: 10 of 10 shares are left to ask for"):
            world.place(policy=policy)
    else:
        world.place(policy=policy)

    assert len(world.broker.submitted) == orders


def test_a_resumed_trade_keeps_to_the_steps_that_were_passed_over() -> None:
    """The first attempt ended with a refusal and the second was begun: nothing of the first is ordered any more."""
    world = TradeWorld(REJECT, REST)
    world.broker.after_submit = dies_at(1)
    with pytest.raises(Died):
        world.place(SELL)
    world.broker.after_submit = lambda _: None
    intents = world.place(SELL)

    assert [intent.step for intent in intents] == [0, 4, 5, 6, 7, 8, 9, 10, 11]
    assert [intent.attempt for intent in intents] == [0, *[1] * 4, *[2] * 4]


def test_a_resumed_trade_takes_over_what_was_decided() -> None:
    world = TradeWorld(partly("3"), FILL)
    world.dies_in(world.execute)
    (first,) = world.log.of_trade(BUY.run_id, BUY.trade_id)
    assert (first.market_at, first.fractionable, first.quote_at) == (NOON, True, NOON)
    world.clock.time += 50 * SECOND
    world.broker.quotes = (replace(GOOD, bid=d(200), ask=d("200.20")),)
    result = world.execute()

    assert (result.asked_quantity, result.quantity, result.decision_price, result.attempts) == (d(10), d(10), d("100.00"), 1)
    assert (result.started_at, result.market_at) == (NOON, NOON)
    second = world.log.of_trade(BUY.run_id, BUY.trade_id)[1]
    assert (second.asked_quantity, second.quantity, second.bid, second.limit_price) == (d(10), d(7), GOOD.bid, d("100.07"))


class NoPower(OrderRejected):
    """The broker's word for want of buying power."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}: HTTP 403, code 40310000: insufficient buying power")


NoPower.__name__ = OrderRejected.__name__


@pytest.mark.parametrize(
    ("script", "orders"),
    [
        ([REST, Behaviour(error=NoPower), FILL], 3),
        ([REST, REJECT, FILL], 2),
        ([Behaviour(error=NoPower), FILL], 1),
        ([Behaviour(error=NoPower), REST, FILL], 1),
    ],
    ids=["held back by its own cancel", "refused for another reason", "nothing cancelled before", "nothing in this attempt"],
)
def test_a_buy_goes_on_after_a_refusal_only_where_its_own_cancelled_order_holds_the_means(
    script: list[Behaviour], orders: int
) -> None:
    world = TradeWorld(*script)
    world.place()

    assert len(world.broker.submitted) == orders


def test_means_held_back_by_another_attempt_end_this_one() -> None:
    world = TradeWorld(REST, REST, REST, REST, Behaviour(error=NoPower), FILL)
    intents = world.place(SELL)

    assert [intent.step for intent in intents] == [0, 1, 2, 3, 4, 8]


# ---------------------------------------------------------------------- one order


def order_of(world: TradeWorld, **changes: object) -> Order:
    (key,) = world.broker.orders
    world.broker.orders[key] = replace(world.broker.orders[key], **changes)  # type: ignore[arg-type]
    return world.broker.orders[key]


def test_an_order_of_unknown_fate_is_looked_up_three_times_and_a_refused_one_for_seven_seconds() -> None:
    lost, refused = TradeWorld(LOST), TradeWorld(REJECT)
    with pytest.raises(OrderFateUnknown):
        lost.place()
    refused.place()

    assert (lost.clock.slept, refused.clock.slept) == ([1, 1], [1, 2, 4])


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED])
def test_an_order_that_ended_by_itself_is_cancelled_and_looked_at_once_more(status: OrderStatus) -> None:
    world = TradeWorld(REST, FILL)

    def ends(_request: object) -> None:
        if len(world.broker.orders) == 1:
            order_of(world, status=status)

    world.broker.after_submit = ends
    world.place()

    assert world.broker.cancelled[0] == f"order-{BUY.trade_id}"


def test_a_filled_order_is_not_cancelled() -> None:
    world = TradeWorld(FILL)
    world.place()

    assert world.broker.cancelled == []


def test_what_was_filled_without_a_price_is_looked_up_again_and_what_was_told_is_not() -> None:
    world = TradeWorld(FILL)
    (intent,) = world.place()
    desk = OrderDesk(world.broker, world.log, world.clock, POLICY)
    order_of(world, average_price=d("100.03"))
    turn = world.log.take(BUY.run_id, BUY.trade_id)
    unpriced = intent.model_copy(update={"average_price": None})

    assert desk.settle(intent, 10, turn=turn, is_new=False) is intent
    assert desk.look(intent, turn) is intent
    assert desk.settle(unpriced, 10, turn=turn, is_new=False).average_price == d("100.03")
    assert desk.look(unpriced, turn).average_price == d("100.03")


def test_an_order_that_stays_open_says_what_its_cancel_was_answered() -> None:
    world = TradeWorld(REST)

    def refuses(order_id: str) -> None:
        del order_id
        raise BrokerProtocolError("cancel: expected nothing")

    world.broker.cancel = refuses  # type: ignore[method-assign]
    with pytest.raises(Exception, match=r"still open after its cancel \(BrokerProtocolError: cancel: expected nothing\)"):
        world.place()


def test_what_is_written_of_a_failure_has_300_characters_at_most() -> None:
    class Long(OrderRejected):
        def __init__(self, message: str) -> None:
            super().__init__(message + "x" * 400)

    Long.__name__ = OrderRejected.__name__
    world = TradeWorld(Behaviour(error=Long), FILL)
    (intent,) = world.place(policy=replace(POLICY, buy_attempts=1))

    assert len(intent.detail or "") == 300
    assert intent.updated_at is not None


@pytest.mark.parametrize(("links", "is_open"), [(19, False), (20, True)])
def test_a_replaced_order_is_followed_over_20_orders(links: int, *, is_open: bool) -> None:
    world = TradeWorld(REST)
    first = order_of_chain(world, links)

    followed = OrderDesk(world.broker, world.log, world.clock, POLICY)._followed(first)

    assert (followed.status is OrderStatus.UNKNOWN) is is_open
    assert followed.filled_quantity == min(links, 19)
    assert (followed.client_order_id, followed.quantity) == (first.client_order_id, d(40))


def order_of_chain(world: TradeWorld, links: int) -> Order:
    """Let somebody replace an order `links` times; each successor filled one share."""
    world.place(asked="40", policy=replace(POLICY, fractions=()))
    (order,) = world.broker.accepted
    chain = [
        replace(
            order,
            order_id=f"order-{number}",
            client_order_id=f"client-{number}",
            filled_quantity=d(1 if number else 0),
            average_price=d(100) if number else None,
            status=OrderStatus.UNKNOWN if number < links else OrderStatus.FILLED,
            replaced_by=f"order-{number + 1}" if number < links else None,
        )
        for number in range(links + 1)
    ]
    world.broker.orders = {link.client_order_id: link for link in chain}
    return chain[0]


# ---------------------------------------------------------------------- the answer


def traced(filled: str, *, has_id: bool) -> OrderTrace:
    return OrderTrace(
        client_order_id="client",
        order_id="order" if has_id else None,
        order_type="limit",
        quantity=d(10),
        limit_price=d(100),
        status="canceled",
        filled_quantity=d(filled),
        average_price=d(100) if d(filled) else None,
    )


def test_a_ledger_row_is_of_an_order_that_filled_and_has_an_id() -> None:
    result = TradeWorld(FILL).execute()
    orders = (traced("0", has_id=True), traced("3", has_id=False), traced("4", has_id=True))
    effects = effects_of_trade(BUY, result.model_copy(update={"orders": orders}), NOON)

    assert [effect.kind for effect in effects] == [EffectKind.LEDGER_ENTRY, EffectKind.TRADE_EXECUTED]
    assert isinstance(effects[0].detail, LedgerEntry)
    assert effects[0].detail.filled_qty == d(4)


@example("\U0001f600" * 200)
@example("a\u20ac" * 100)
@given(st.text(st.sampled_from('a\u20ac\U0001f600"'), max_size=200))
def test_a_state_payload_keeps_the_longest_message_that_fits(message: str) -> None:
    result = TradeWorld(REST, partly("1"), REST).execute(SELL)
    full = result.model_copy(update={"error_message": message or None, "order_id": "o" * 400, "symbol": "S" * 32})
    carried = compact(full)
    kept = carried.error_message or ""

    def size(text: str) -> int:
        return len(json.dumps(carried.model_copy(update={"error_message": text}).to_wire()))

    assert message.startswith(kept)
    assert kept == message or size(message[: len(kept) + 1]) > 1_700
    assert carried.orders == () or kept == message


@pytest.mark.parametrize(
    ("script", "orders"), [([FILL], 1), ([partly("1"), FILL], 2), ([partly("1"), partly("1"), REST, FILL], 3)]
)
def test_a_state_payload_carries_three_orders(script: list[Behaviour], orders: int) -> None:
    assert len(compact(TradeWorld(*script).execute()).orders) == orders


@pytest.mark.parametrize(
    ("script", "error", "reason"),
    [
        ([REJECT], "", Reason.BROKER_REJECTED),
        ([REST], "", Reason.NOT_FILLED),
        ([partly("2"), REST], "States.Timeout", Reason.PARTIAL_FILL),
        ([REST], "States.Timeout", Reason.TIMED_OUT),
        ([REST], "SomethingElse", Reason.OTHER),
    ],
)
def test_a_failed_trade_says_why_and_what_was_filled(script: list[Behaviour], error: str, reason: Reason) -> None:
    world = TradeWorld(*script)
    world.execute()
    result = world.executor().reconcile(BUY, error)
    parts = (result.error_message or "").split("; ")

    assert (result.status, result.reason) == (TradeStatus.FAILED, reason)
    assert parts[0] == f"filled {result.quantity} of 10.000000 shares"
    assert (error in parts) is bool(error)
    assert result.started_at == NOON


def test_a_trade_without_orders_is_answered_whole() -> None:
    world = TradeWorld(limit="5000")
    world.broker.fractionable = False
    named = {"run_id": RUN_ID, "trade_id": BUY.trade_id, "symbol": "ABC", "action": Side.BUY, "planned_amount": d(50)}
    nothing = {"quantity": d(0), "total_value": d(0), "started_at": NOON, "completed_at": NOON}
    quoted = {"bid": GOOD.bid, "ask": GOOD.ask, "decision_price": d("100.00"), "quote_at": NOON, "market_at": NOON}
    small = trade(amount="50")

    assert world.execute(small) == TradeResult.model_validate(
        named
        | nothing
        | quoted
        | {"status": TradeStatus.FAILED, "reason": Reason.ROUNDS_TO_ZERO, "error_message": "ABC: 0.500000 shares rounds to zero"}
        | {"asked_quantity": d(0), "sizing_basis": SizingBasis.TRADE_AMOUNT}
        | {"equity_check": equity_check(allowed=True, reserved=d(50), limit=d(5000))}
    )
    world.broker.is_open = False
    assert world.execute(small) == TradeResult.model_validate(
        named
        | nothing
        | {"status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED, "error_message": "the market is closed"}
        | {"equity_check": equity_check(allowed=True, reserved=d(50), limit=d(5000))}
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"quantity": None, "error_message": None}, "BUY ABC 1,000.00 USD: FAILED"),
        ({"quantity": d(0), "error_message": "why"}, "BUY ABC 1,000.00 USD: FAILED (why)"),
        ({"quantity": d(2), "error_message": None}, "BUY ABC 1,000.00 USD: FAILED, 2 shares filled"),
    ],
)
def test_a_failure_in_one_line(answer: dict[str, object], told: str) -> None:
    result = TradeWorld(REJECT).execute()

    assert failure_line(result.model_copy(update=answer)) == told


# ---------------------------------------------------------------------- equity


@pytest.mark.parametrize("status", list(TradeStatus))
@pytest.mark.parametrize("item", [BUY, SELL], ids=["buy", "sell"])
def test_what_a_buy_certainly_did_not_spend_is_given_back(status: TradeStatus, item: WorkflowTrade) -> None:
    keeps = {TradeStatus.COMPLETED, TradeStatus.UNKNOWN, TradeStatus.BLOCKED}
    for quantity, value, left in (("3", "300", "300"), ("3", None, "1000"), ("0", None, "0"), ("0", "0", "0")):
        world = TradeWorld(limit="5000")
        world.ledger.reserve(item.run_id, item.trade_id, d(1000))
        made = TradeResult(
            run_id=item.run_id,
            trade_id=item.trade_id,
            symbol="ABC",
            action=item.action,
            status=status,
            quantity=d(quantity),
            total_value=None if value is None else d(value),
            planned_amount=item.trade_amount,
        )
        world.executor()._release(made, 0)
        assert world.ledger.reserved == (d(1000) if status in keeps or item is SELL else d(left))


def test_a_buy_that_gets_no_reservation_again_orders_no_more() -> None:
    world = TradeWorld(partly("2"), FILL, limit="5000")
    world.dies_in(world.execute)
    world.ledger.release(BUY.run_id, BUY.trade_id, d(0))
    world.ledger.limit = d(500)
    result = world.execute()

    assert (result.status, result.reason, result.quantity) == (TradeStatus.FAILED, Reason.PARTIAL_FILL, d(2))
    assert len(world.broker.submitted) == 1


@pytest.mark.parametrize(
    ("reserved", "allowed", "expected"),
    [
        ("300", True, EquityCheck(allowed=True, cumulative=d(300), limit=d(500), headroom=d(200), reason=None)),
        ("-0.5", True, EquityCheck(allowed=True, cumulative=d(0), limit=d(500), headroom=d("500.5"), reason=None)),
        ("0", False, EquityCheck(allowed=False, cumulative=d(0), limit=d(500), headroom=d(500), reason="EQUITY_LIMIT")),
    ],
)
def test_an_equity_check_tells_what_is_reserved_and_left(reserved: str, expected: EquityCheck, *, allowed: bool) -> None:
    assert equity_check(allowed=allowed, reserved=d(reserved), limit=d(500)) == expected


def test_an_unknown_symbol_is_refused_by_the_brokers_word() -> None:
    world = TradeWorld(quotes=(AssetUnknown("ABC: no such asset"),))
    result = world.execute()

    assert (result.reason, result.error_message) == (Reason.BROKER_REJECTED, "ABC: no such asset")


# ---------------------------------------------------------------------- large plans and closing


def test_a_plan_is_large_above_80_000_bytes() -> None:
    def plan(wide: int) -> tuple[WorkflowTrade, ...]:
        return (BUY.model_copy(update={"strategy_id": "x" * wide}),)

    room = 80_000 - len(json.dumps([plan(0)[0].to_wire()]))

    assert not is_large(plan(room))
    assert is_large(plan(room + 1))


@pytest.mark.parametrize(("orders", "last"), [(20, "SELL"), (21, "and 1 more"), (23, "and 3 more")])
def test_twenty_closed_orders_are_named(orders: int, last: str) -> None:
    world = TradeWorld(REST)
    for number in range(orders):
        world.dies_in(partial(world.place, trade(f"S{number:02}", "-1000")))
    closed = RunCloser(world.broker, world.log, world.clock, POLICY).close(RUN_ID).closed

    assert len(closed) == min(orders, 21)
    assert closed[-1].startswith(last)


@pytest.mark.parametrize(("seconds", "is_given_up"), [(600, False), (600.001, True)])
def test_an_order_that_nobody_shows_is_given_up_after_600_seconds(seconds: float, *, is_given_up: bool) -> None:
    world = TradeWorld(LOST)
    with pytest.raises(Exception, match="may have been accepted"):
        world.place()
    (intent,) = world.log.of_trade(BUY.run_id, BUY.trade_id)
    world.clock.time = intent.intended_at + timedelta(seconds=seconds)
    lookups = RunCloser(world.broker, world.log, world.clock, replace(POLICY, lookups=1))
    answer = lookups.close(RUN_ID)
    (after,) = world.log.of_trade(BUY.run_id, BUY.trade_id)

    assert (len(answer.closed), len(answer.unknown)) == (is_given_up, not is_given_up)
    assert (after.status is IntentStatus.NOT_ACCEPTED) is is_given_up
    if is_given_up:
        assert (after.detail or "").startswith("closed after its run: the broker has never seen it; ")
        assert len(after.detail or "") <= 300
