"""Business Unit: execution | Status: current.

Walking the book: one order a step, partial fills kept, and no second order whatever crashes in between (contract section 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.port import BrokerError, BrokerThrottled, OrderRejected, OrderStatus, OrderType, Quote, SubmitAmbiguous
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.vocabulary import Side
from shadow.contracts.workflow import WorkflowTrade
from shadow.execution.orders import _average
from shadow.execution.placement import Placement
from shadow.execution.ports import ExecutionTransientError, OrderFateUnknown, OrderMismatch, OrderStillOpen
from shadow.execution.walk import WalkPolicy, filled_shares
from tests.fakes.candidate import (
    ACCEPTED_UNSEEN,
    BUY,
    FILL,
    LOST,
    NOON,
    POLICY,
    REJECT,
    REST,
    SELL,
    THROTTLE,
    Behaviour,
    Died,
    MemoryLog,
    TradeWorld,
    d,
    partly,
)


def test_a_fill_at_the_first_limit_is_one_order() -> None:
    desk = TradeWorld(FILL)

    (intent,) = desk.place()

    assert (intent.status, intent.filled_quantity, intent.client_order_id) == (IntentStatus.FILLED, d("10"), BUY.trade_id)
    assert [(order.order_type, order.limit_price) for order in desk.broker.submitted] == [(OrderType.LIMIT, d("100.05"))]


@pytest.mark.parametrize(
    ("item", "limits"), [(BUY, ["100.05", "100.07", "100.09"]), (SELL, ["99.95", "99.93", "99.91"])], ids=["buy", "sell"]
)
def test_the_walk_goes_from_the_passive_to_the_aggressive_side_and_then_to_the_market(
    item: WorkflowTrade, limits: list[str]
) -> None:
    desk = TradeWorld(REST, REST, REST, FILL)

    intents = desk.place(item)

    assert [str(order.limit_price) for order in desk.broker.submitted[:3]] == limits
    assert desk.broker.submitted[3].order_type is OrderType.MARKET
    assert desk.broker.submitted[3].limit_price is None
    assert [intent.status for intent in intents] == [IntentStatus.CANCELED] * 3 + [IntentStatus.FILLED]


def test_each_step_waits_its_seconds_before_it_is_cancelled() -> None:
    desk = TradeWorld(REST)

    desk.place()

    assert desk.clock.slept == [1, 2, 4, 3, 1, 2, 4, 3, 1, 2, 4, 3, 1, 2, 4, 8, 15]
    assert len(desk.broker.cancelled) == 4


def test_partial_fills_are_kept_and_only_the_rest_is_priced_again() -> None:
    desk = TradeWorld(partly("3"), partly("2.5"), FILL)

    intents = desk.place()

    assert [str(order.quantity) for order in desk.broker.submitted] == ["10", "7", "4.5"]
    assert filled_shares(intents) == d("10")


def test_a_sell_has_three_attempts_five_seconds_apart_and_a_buy_one() -> None:
    sells, buys = TradeWorld(REST), TradeWorld(REST)

    assert len(sells.place(SELL)) == 12
    assert len(buys.place(BUY)) == 4
    assert sells.clock.slept.count(5) == 2


def test_a_refused_order_ends_its_attempt() -> None:
    desk = TradeWorld(REJECT, REJECT, FILL)

    intents = desk.place(SELL)

    assert [intent.step for intent in intents] == [0, 4, 8]
    assert [intent.status for intent in intents] == [IntentStatus.REJECTED, IntentStatus.REJECTED, IntentStatus.FILLED]


@pytest.mark.parametrize("error", [OrderRejected, BrokerThrottled, SubmitAmbiguous])
@pytest.mark.parametrize("hidden", [0, 1, 2])
@pytest.mark.parametrize("item", [BUY, SELL], ids=["buy", "sell"])
def test_an_order_that_was_accepted_and_refused_is_found_before_another_id_is_used(
    error: type[Exception], hidden: int, item: WorkflowTrade
) -> None:
    desk = TradeWorld(Behaviour(error=error, accepts=True), FILL)
    desk.broker.hidden_lookups = hidden

    (intent,) = desk.place(item)

    assert (intent.status, intent.filled_quantity, len(desk.broker.submitted)) == (IntentStatus.FILLED, d("10"), 1)


def test_an_order_of_another_size_under_our_id_is_cancelled_and_told() -> None:
    desk = TradeWorld(partly("4"))
    desk.place(asked="11")
    desk.broker.orders = {key: replace(order, status=OrderStatus.OPEN) for key, order in list(desk.broker.orders.items())[:1]}
    desk.log = MemoryLog()

    with pytest.raises(OrderMismatch, match=r"expected ABC BUY 10 limit at 100\.05, was ABC BUY 11 limit"):
        desk.place(asked="10")

    assert [order.status for order in desk.broker.accepted] == [OrderStatus.CANCELED]
    (intent,) = desk.log.of_trade(BUY.run_id, BUY.trade_id)
    assert (intent.status, intent.filled_quantity) == (IntentStatus.CANCELED, d("4"))


def test_client_order_ids_count_the_steps_over_all_attempts() -> None:
    desk = TradeWorld(REST)

    intents = desk.place(SELL)

    assert [intent.client_order_id for intent in intents] == [client_order_id_of(SELL.trade_id, step) for step in range(12)]
    assert len({order.client_order_id for order in desk.broker.submitted}) == 12


def test_every_order_has_an_intent_before_it_is_sent() -> None:
    desk = TradeWorld(REST, FILL)
    seen: list[bool] = []
    desk.broker.on_submit = lambda request: seen.append(
        any(intent.client_order_id == request.client_order_id for intent in desk.log.history)
    )

    desk.place()

    assert seen == [True, True]


def test_an_ambiguous_submit_is_looked_up_and_not_repeated() -> None:
    desk = TradeWorld(ACCEPTED_UNSEEN)
    desk.broker.hidden_lookups = 2

    (intent,) = desk.place()

    assert intent.status is IntentStatus.FILLED
    assert len(desk.broker.submitted) == 1


def test_an_order_that_nobody_can_find_stays_of_unknown_fate_and_is_never_sent_again() -> None:
    desk = TradeWorld(LOST, FILL)

    for _ in range(3):
        with pytest.raises(OrderFateUnknown):
            desk.place()

    assert len(desk.broker.submitted) == 1
    assert desk.log.of_trade(BUY.run_id, BUY.trade_id)[0].status is IntentStatus.AMBIGUOUS


def test_an_order_that_turns_up_late_is_adopted() -> None:
    desk = TradeWorld(ACCEPTED_UNSEEN)
    desk.broker.hidden_lookups = POLICY.lookups

    with pytest.raises(OrderFateUnknown):
        desk.place()
    (intent,) = desk.place()

    assert (intent.status, len(desk.broker.accepted)) == (IntentStatus.FILLED, 1)


def test_a_throttled_submit_was_not_accepted_and_may_be_sent_again_under_the_same_id() -> None:
    desk = TradeWorld(THROTTLE, FILL)

    with pytest.raises(BrokerThrottled):
        desk.place()
    (intent,) = desk.place()

    assert intent.status is IntentStatus.FILLED
    assert [order.client_order_id for order in desk.broker.submitted] == [BUY.trade_id, BUY.trade_id]
    assert len(desk.broker.accepted) == 1


def test_a_fill_without_a_price_is_waited_for() -> None:
    desk = TradeWorld(Behaviour(priced=False))

    def price_arrives() -> None:
        for key, order in desk.broker.orders.items():
            desk.broker.orders[key] = type(order)(**{**_fields(order), "average_price": d("100.02")})

    desk.clock.on_sleep = price_arrives
    (intent,) = desk.place()

    assert (intent.status, intent.average_price) == (IntentStatus.FILLED, d("100.02"))


def test_an_order_that_does_not_close_is_not_followed_by_another() -> None:
    desk = TradeWorld(REST)
    desk.broker.cancel = lambda _: None  # type: ignore[method-assign]

    with pytest.raises(OrderStillOpen):
        desk.place()

    assert len(desk.broker.submitted) == 1


def test_another_ones_order_under_our_id_is_refused() -> None:
    desk = TradeWorld(FILL)
    desk.place(asked="11")
    desk.log = MemoryLog()

    with pytest.raises(OrderMismatch, match=r"BUY 10 .*, was .* BUY 11"):
        desk.place(asked="10")


def test_reconciling_cancels_what_is_open_and_sends_nothing() -> None:
    desk = TradeWorld(partly("4"))
    desk.dies_in(desk.place)

    (intent,) = Placement(desk.broker, desk.log, desk.clock, POLICY).look(BUY.run_id, BUY.trade_id, 1)

    assert (intent.status, intent.filled_quantity) == (IntentStatus.CANCELED, d("4"))
    assert len(desk.broker.submitted) == 1


def _fields(order: object) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__slots__}  # type: ignore[attr-defined]


BEHAVIOURS = st.sampled_from([FILL, REST, REJECT, THROTTLE, LOST, ACCEPTED_UNSEEN, partly("1"), partly("3.5")])


class Crasher:
    """Kills the process before or after the n-th side effect."""

    def __init__(self, desk: TradeWorld, points: list[int]) -> None:
        self.points = set(points)
        self.count = 0
        self._wrap(desk.log, "record")
        self._wrap(desk.log, "update")
        self._wrap(desk.broker, "submit")
        self._wrap(desk.broker, "cancel")

    def _wrap(self, target: object, name: str) -> None:
        inner: Callable[..., object] = getattr(target, name)

        def wrapped(*arguments: object) -> object:
            self.tick()
            answer = inner(*arguments)
            self.tick()
            return answer

        setattr(target, name, wrapped)

    def tick(self) -> None:
        self.count += 1
        if self.count in self.points:
            raise Died


@settings(max_examples=300, deadline=None)
@given(
    script=st.lists(BEHAVIOURS, min_size=1, max_size=8),
    crashes=st.lists(st.integers(1, 40), max_size=6),
    hidden=st.integers(0, 4),
    side=st.sampled_from([BUY, SELL]),
)
def test_no_crash_retry_or_lost_answer_makes_a_second_order_or_loses_one(
    script: list[Behaviour], crashes: list[int], hidden: int, side: WorkflowTrade
) -> None:
    desk = TradeWorld(*script)
    desk.broker.hidden_lookups = hidden
    Crasher(desk, crashes)
    intents: tuple[IntentRecord, ...] = ()
    for _ in range(12):
        try:
            intents = desk.place(side, policy=WalkPolicy(limit_seconds=2, market_seconds=2, settle_seconds=2))
            break
        except (Died, BrokerError, ExecutionTransientError):
            continue

    accepted = desk.broker.accepted
    recorded = {intent.client_order_id: intent for intent in desk.log.of_trade(side.run_id, side.trade_id)}
    bought = sum((order.filled_quantity for order in accepted), Decimal(0))
    assert bought <= d("10")
    assert len({order.client_order_id for order in accepted}) == len(accepted)
    assert {order.client_order_id for order in accepted} <= recorded.keys()
    if intents:
        assert filled_shares(intents) == bought
        assert all(order.status is not OrderStatus.OPEN for order in accepted)


@settings(deadline=None)
@given(st.lists(st.decimals("0.000001", "4", places=6), min_size=1, max_size=12), st.sampled_from([BUY, SELL]))
def test_what_is_asked_for_and_filled_always_adds_up(fills: list[Decimal], side: WorkflowTrade) -> None:
    desk = TradeWorld(*[partly(str(fill)) for fill in fills])

    intents = desk.place(side, policy=WalkPolicy(limit_seconds=1, market_seconds=1))

    assert filled_shares(intents) <= d("10")
    for before, after in pairwise(intents):
        assert after.quantity == before.quantity - before.filled_quantity


@given(st.decimals("0.05", "5000", places=2), st.decimals("0", "5", places=2), st.sampled_from(list(Side)))
def test_a_limit_lies_inside_the_quote_and_gets_more_aggressive(bid: Decimal, width: Decimal, side: Side) -> None:
    quote = Quote("ABC", bid, bid + width, NOON)

    prices = [price for step in POLICY.steps(Side.BUY) if (price := step.limit_price(side, quote)) is not None]

    assert all(bid <= price <= bid + width for price in prices)
    assert prices == sorted(prices, reverse=side is Side.SELL)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 100_000)), min_size=1, max_size=5))
def test_the_price_of_replaced_orders_is_what_their_shares_cost_together(links: list[tuple[int, int]]) -> None:
    desk = TradeWorld(FILL)
    desk.place()
    (order,) = desk.broker.accepted
    chain = [
        replace(order, filled_quantity=Decimal(shares), average_price=Decimal(cents) / 100 if shares else None)
        for shares, cents in links
    ]
    filled = sum(shares for shares, _ in links)
    price = _average(chain, Decimal(filled))
    if not filled:
        assert price is None
        return
    assert price is not None
    assert abs(Fraction(price) * filled - Fraction(sum(shares * cents for shares, cents in links), 100)) <= Fraction(
        filled, 10**9
    )
    unpriced = [replace(chain[0], filled_quantity=Decimal(1), average_price=None), *chain]
    assert _average(unpriced, Decimal(filled + 1)) is None
