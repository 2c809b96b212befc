"""Business Unit: execution | Status: current.

One request budget for an account: no minute has more requests than allowed, orders go before looks, a full window is waited out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.request_budget import simulate
from local.broker_simulator.api import Answer
from shadow.broker.alpaca import AlpacaBroker, AlpacaCredentials
from shadow.broker.pacing import PacedBroker, RequestGate, RequestLimits
from shadow.broker.port import BrokerThrottled, OrderStatus
from shadow.contracts.vocabulary import ExecutionMode
from shadow.execution.ports import StateUnavailable
from shadow.execution.trade import TradeExecutor, TradeSettings
from shadow.execution.walk import WalkPolicy
from tests.factories.broker import ORDER_JSON
from tests.factories.in_process_broker import Session
from tests.factories.two_lanes import Windows
from tests.fakes.candidate import REST, FakeBroker, FakeClock, MemoryLedger, MemoryLog, trade


def paced(limits: RequestLimits, budget: Windows, clock: FakeClock) -> PacedBroker:
    return PacedBroker(FakeBroker(), budget, limits, now=clock.now, sleep=clock.sleep)


@pytest.mark.parametrize("per_minute", [11, 60, 150, 200])
def test_no_minute_has_more_requests_than_are_allowed(per_minute: int) -> None:
    clock, moments = FakeClock(), []
    broker = paced(RequestLimits(per_minute=per_minute), Windows(), clock)

    for _ in range(3 * per_minute):
        broker.cancel("any")
        moments.append(clock.now().timestamp())

    assert all(sum(start <= moment < start + 60 for moment in moments) <= per_minute for start in moments)


def test_looks_that_can_wait_leave_room_for_orders() -> None:
    clock, budget, limits = FakeClock(), Windows(), RequestLimits(per_minute=110)
    broker = paced(limits, budget, clock)

    for _ in range(50):
        broker.glance("any")

    assert budget.used[limits.window_at(clock.now())] == limits.glances == 5
    broker.cancel("any")
    assert clock.slept == []


def test_the_brokers_own_word_closes_the_windows_it_names_for_everybody() -> None:
    clock, budget, limits = FakeClock(), Windows(), RequestLimits()
    one, other = paced(limits, budget, clock), paced(limits, budget, clock)
    one._gate.refused(BrokerThrottled("full", retry_after=30))

    other.cancel("any")

    assert 30 <= sum(clock.slept) <= 36


def test_who_waits_too_long_is_told() -> None:
    clock, budget, limits = FakeClock(), Windows(), RequestLimits(patience=5)
    budget.close(limits.window_at(clock.now()))

    with pytest.raises(BrokerThrottled, match="within 5 s"):
        paced(limits, budget, clock).cancel("any")


def test_l2_a_process_waits_for_no_place_beyond_its_functions_time() -> None:
    """A function has 300 s: orders wait until 220 s of it are over, cancels until 270. The next process goes on."""
    clock, budget, limits = FakeClock(), Windows(), RequestLimits()
    for second in range(0, 900, limits.window):
        budget.close(limits.window_at(clock.now()) + second)
    broker, began = paced(limits, budget, clock), clock.now()
    clock.time += timedelta(seconds=199)

    with pytest.raises(BrokerThrottled):
        broker.quote("any")
    assert 199 <= (clock.now() - began).total_seconds() <= 220
    with pytest.raises(BrokerThrottled):
        broker.cancel("any")
    assert 220 <= (clock.now() - began).total_seconds() + limits.window <= 276

    clock.time += timedelta(seconds=700)
    broker.begin()
    broker.cancel("any")


@pytest.mark.parametrize(("per_minute", "limit"), [(150, 200), (100, 200), (60, 200), (22, 200)])
def test_l2_ten_trades_that_walk_the_whole_book_stay_within_the_limit_and_end_known(per_minute: int, limit: int) -> None:
    outcome = simulate(10, per_minute, limit)

    assert (outcome.unknown, outcome.working, outcome.refused, outcome.killed) == (0, 0, 0, 0)
    assert outcome.most_in_a_minute <= per_minute


@settings(max_examples=25, deadline=None)
@given(trades=st.integers(1, 10), per_minute=st.integers(22, 400), limit=st.integers(40, 250))
def test_l2_a_broker_that_refuses_for_its_limit_leaves_no_trade_unknown_and_no_order_working(
    trades: int, per_minute: int, limit: int
) -> None:
    """Also where the budget is larger than the limit, because somebody else uses the account."""
    outcome = simulate(trades, per_minute, limit)

    assert (outcome.unknown, outcome.working, outcome.killed) == (0, 0, 0)


class Failing(Windows):
    """A budget that cannot be asked."""

    def take(self, window: int, most: int) -> bool:
        raise StateUnavailable(f"window {window}, at most {most}: throttled")


def test_an_order_is_cancelled_though_the_budget_cannot_be_asked() -> None:
    broker, log, clock = FakeBroker(script=[REST]), MemoryLog(), FakeClock()
    paced_broker = PacedBroker(broker, Windows(), RequestLimits(), now=clock.now, sleep=clock.sleep)
    clock.on_sleep = lambda: setattr(paced_broker._gate, "_budget", Failing())
    settings = TradeSettings(ExecutionMode.PAPER, WalkPolicy(), lambda item: item.current_position)
    executor = TradeExecutor(broker=paced_broker, log=log, ledger=MemoryLedger(), clock=clock, settings=settings)

    with pytest.raises(StateUnavailable):
        executor.execute(trade())

    assert [order.status for order in broker.accepted] == [OrderStatus.CANCELED]


def gated(answers: list[Answer], budget: Windows, clock: FakeClock, limits: RequestLimits) -> AlpacaBroker:
    """Connect a reader whose requests go through a gate, to a broker with a list of answers."""
    gate = RequestGate(budget, limits, now=clock.now, sleep=clock.sleep)
    broker = AlpacaBroker.connect(AlpacaCredentials("some-key", "some-secret", URL, URL), gate=gate)
    broker._trading._session = Session(lambda _: answers.pop(0))  # type: ignore[assignment] # the little of it that is used
    return broker


URL = "http://127.0.0.1:9"
READER = RequestLimits(per_minute=30, window=30, patience=40)


def test_l2_a_reader_has_a_share_of_which_every_page_of_a_list_takes_a_place() -> None:
    clock, budget = FakeClock(), Windows()
    entries = [ORDER_JSON | {"id": f"order-{number:04}", "submitted_at": "2026-01-06T20:45:00Z"} for number in range(1001)]
    pages = [Answer(200, entries[:500]), Answer(200, entries[500:1000]), Answer(200, entries[1000:])]

    found = gated(pages, budget, clock, READER).orders_between(datetime(2026, 1, 6, tzinfo=UTC), None)

    assert (len(found.orders), sum(budget.used.values()), clock.slept) == (1001, 3, [])


def test_l2_a_reader_waits_for_its_next_window_and_gives_up_when_that_is_full_too() -> None:
    clock, budget = FakeClock(), Windows()
    books = [gated([Answer(200, [])] * 8, budget, clock, READER) for _ in range(2)]

    for number in range(12):
        books[number % 2].holdings()

    assert READER.most == 10
    assert clock.slept == [30]
    for window in (0, 30, 60):
        budget.close(READER.window_at(clock.now()) + window)
    with pytest.raises(BrokerThrottled, match="within 10 s"):
        books[0].holdings()


def test_l2_a_broker_that_refuses_a_reader_is_left_alone_by_all_of_them() -> None:
    clock, budget = FakeClock(), Windows()
    refused = gated([Answer(429, b"", {"Retry-After": "20"})], budget, clock, READER)
    with pytest.raises(BrokerThrottled):
        refused.holdings()

    gated([Answer(200, [])], budget, clock, READER).holdings()

    assert clock.slept == [30]
