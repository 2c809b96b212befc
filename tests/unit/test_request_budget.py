"""Business Unit: execution | Status: current.

One request budget for an account: no minute has more requests than allowed, orders go before looks, a full window is waited out.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.request_budget import simulate
from shadow.broker.errors import BrokerThrottled
from shadow.broker.pacing import PacedBroker, RequestLimits
from tests.fakes.candidate import FakeBroker, FakeClock


class Windows:
    """The budget in memory."""

    def __init__(self) -> None:
        self.used: Counter[int] = Counter()

    def take(self, window: int, most: int) -> bool:
        if self.used[window] >= most:
            return False
        self.used[window] += 1
        return True

    def close(self, window: int) -> None:
        self.used[window] = 10**6


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
    one._stay_away(BrokerThrottled("full", retry_after=30))

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
