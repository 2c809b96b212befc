"""Never two orders for one step of a trade, whatever crashes, repeats, overlaps or gets lost.

Both lanes' real code and the broker simulator run in this process, one port call after the other, under a schedule: a value that
says at which call another process goes on, dies, is given up while it lives, is tried again beside itself, and so on. At its end
both lanes' records and accounts are judged, and the money ledger is held against what the simulated accounts have. This is
not a rule-based state machine: its rules act between whole calls, and what hurts happens inside of one. Hypothesis draws the
schedules and shrinks a failing one to the few surprises that matter; the trace of every port call is printed with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.values import FaultKind, OrderForm
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.vocabulary import TradeStatus
from shadow.execution.walk import WalkPolicy
from tests.factories.schedules import FAULTS, Happening, Schedule, Step, run, schedules
from tests.factories.two_lanes import Requests
from tests.fakes.candidate import MemoryLog

SHORT, LONG, SHARDS = 120, 10_000, 4
EXPLORING = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)
PLAN = (("AAA", Decimal(-2400)), ("BBB", Decimal(600)))


@settings(EXPLORING, max_examples=SHORT, derandomize=True)
@given(schedules())
@example(Schedule(PLAN, (Step(1, Happening.BY_HAND, tuple(OrderForm).index(OrderForm.MULTI_LEG)), Step(1, Happening.FILL))))
def test_no_schedule_makes_a_double_an_unintended_or_an_unrecorded_order(schedule: Schedule) -> None:
    assert run(schedule).play.trace


@pytest.mark.long
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_schedule_of_many_does(shard: int) -> None:
    seen: Counter[str] = Counter()

    @seed(shard)
    @settings(EXPLORING, max_examples=LONG // SHARDS)
    @given(schedules(most=14))
    def explore(schedule: Schedule) -> None:
        lanes = run(schedule)
        seen["schedules"] += 1
        seen.update(step.what.name for step in schedule.steps)
        seen.update(result.status.name for result in lanes.results.values())

    explore()
    assert seen["schedules"] >= LONG // SHARDS
    assert all(seen[what.name] for what in Happening), seen
    assert all(seen[status.name] for status in (TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.UNKNOWN)), seen


def test_without_surprises_both_lanes_trade_the_plan() -> None:
    lanes = run(Schedule(PLAN, ()))

    assert {result.status for result in lanes.results.values()} == {TradeStatus.COMPLETED}
    assert [order.quantity for order in lanes.simulator.orders()] == [24, 15, 24, 15]


def test_on_one_account_by_mistake_the_candidate_still_sends_each_order_once() -> None:
    lanes = run(Schedule(PLAN, (Step(40, Happening.START), Step(2, Happening.SWITCH)), one_account=True))

    ids = Counter(order.client_order_id for order in lanes.simulator.orders())
    assert set(ids.values()) == {1}
    assert sum(name[:36] in lanes.by_id for name in ids) == 2


BOTH_SIDES = (("AAA", Decimal(-400)), ("BBB", Decimal(600)))
WALKED = Schedule(BOTH_SIDES, (), limit=Decimal(700), rest_limits=3, requests=Requests(22, 30))


STRUCK = [FAULTS.index((kind, None)) for kind in (FaultKind.DROP_ANSWER, FaultKind.PARTIAL_FILL)]


@pytest.mark.parametrize(
    ("fault", "each"),
    [
        (None, 3),
        pytest.param(None, 1, marks=pytest.mark.thorough),
        *(pytest.param(fault, 1, marks=pytest.mark.long) for fault in STRUCK),
    ],
)
def test_a_death_at_each_step_of_a_walk_leaves_nothing_working_twice_or_unrecorded(fault: int | None, each: int) -> None:
    """A SELL and a BUY walk the whole book within a budget; the process dies at each of its calls, one run for each."""
    before = () if fault is None else (Step(1, Happening.FAULT, fault),)
    calls = run(replace(WALKED, steps=before)).play.trace
    places = [at for at, call in enumerate(calls) if "Trade" in call]
    assert len(places) > 60

    for place in places[::each]:
        lanes = run(replace(WALKED, steps=(*before, Step(place - len(before), Happening.KILL, place))))
        assert len(lanes.results) == len(BOTH_SIDES)


@pytest.mark.parametrize("fault", range(len(FAULTS)), ids=[f"{fault}-{status or ''}" for fault, status in FAULTS])
def test_over_real_http_a_fault_at_each_place_of_a_trade_makes_no_second_order(fault: int) -> None:
    with BrokerSimulator() as simulator:
        for gap in (20, 27, 33):
            simulator.reset()
            lanes = run(Schedule((("AAA", Decimal(-600)),), (Step(gap, Happening.FAULT, fault),)), simulator)
            assert len(lanes.results) == 1


def test_a_lane_that_believes_any_quote_is_found_to_buy_beyond_the_breakers_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WalkPolicy, "fault_in", lambda *_: "")
    monkeypatch.setattr(WalkPolicy, "is_beyond", lambda *_: False)
    wide = tuple(Step(gap, Happening.FAULT, FAULTS.index((FaultKind.QUOTE_WIDE, None))) for gap in (2, 1, 1, 1))
    with pytest.raises(AssertionError, match="bought for 11"):
        run(Schedule((("BBB", Decimal(600)),), wide, limit=Decimal(700)))


class Unfenced(MemoryLog):
    """A log in which a process that was given up goes on writing."""

    def record(self, intent: IntentRecord) -> IntentRecord:
        kept = self.intents.setdefault(intent.SK, intent)
        self.history.append(kept)
        return kept


class Forgetful(MemoryLog):
    """A log that keeps nothing."""

    def record(self, intent: IntentRecord) -> IntentRecord:
        return intent


@pytest.mark.parametrize("defect", [Forgetful, pytest.param(Unfenced, marks=pytest.mark.long)])
def test_the_exploration_finds_planted_defects(defect: type[MemoryLog], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryLog, "record", defect.record)

    @seed(2)
    @settings(EXPLORING, max_examples=4000, phases=[Phase.generate])
    @given(schedules(most=14))
    def explore(schedule: Schedule) -> None:
        run(schedule)

    with pytest.raises(AssertionError):
        explore()
