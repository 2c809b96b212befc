"""Cut over and roll back, walked through as the runbooks say, on one stack with every function under its own role.

A day with the legacy lane in production; the swap; days with the workflow in production and the legacy lane as its shadow; the
swap back; a day as before. At each step what either account, bus and trade ledger got is looked at from outside.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from local.broker_simulator.values import Fault, FaultKind
from local.cloud.errors import StackFailed
from local.operator import Operator
from local.stack import BROKER, LocalStack, local_stack, redeploy
from shadow.aws.broker import fingerprint_of
from shadow.broker.recording import RECORDED
from shadow.contracts.comparison import Attribution, Severity, Verdict
from shadow.contracts.pair import PairState, StartState
from shadow.contracts.vocabulary import Lane, Role
from tests.factories.swapped_roles import PAPER, PRODUCTION, Day, Desk, Traces, filled, once_each

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
HANG_SECONDS = 8.0
NOTHING = Traces((), (), Counter(), Counter(), frozenset(), frozenset())
DEADLINES = {"start_unknown_after": 1.0, "restart_within": 30.0}


@dataclass
class Story:
    """What happened, in order, and how long the publications with a broken shadow took, in seconds."""

    days: dict[str, Day] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    traces: dict[str, Traces] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    unconfirmed: dict[str, StartState] = field(default_factory=dict)


class Walk:
    """Walks through the runbooks."""

    def __init__(self, stack: LocalStack) -> None:
        self.story = Story()
        self.stack = stack
        self.operator = Operator(stack)
        self.desk = Desk(stack)
        self.fingerprint = fingerprint_of(stack.broker.account(PRODUCTION).number)

    def day(self, name: str, fault: str | None = None) -> None:
        plan = self.desk.plan(self.stack)
        if fault is not None:
            largest = max((item for item in plan.tradable_items if item.trade_amount > 0), key=lambda item: item.trade_amount)
            self.stack.plant([{"fault": fault, "plan_id": plan.plan_id, "symbol": largest.symbol}])
        self.story.days[name] = self.desk.trade(self.operator, plan)
        self.stack.plant([])

    def day_with_a_broken_shadow(self, name: str, fault: FaultKind) -> None:
        """Break the broker of the shadow's account while the shadow is published to."""
        plan = self.desk.plan(self.stack)
        before = {role: len(self.stack.broker.orders(role)) for role in Role}
        self.stack.broker.add_fault(Fault(kind=fault, account=PAPER, path="/v2/account", count=1, seconds=HANG_SECONDS))
        begun = time.monotonic()
        self.operator.call("PublishPlanFunctionName", plan.to_wire())
        self.story.seconds[name] = time.monotonic() - begun
        self.story.statuses[name] = self.operator.await_candidate(plan.plan_id)
        pair = self.operator.ledger.get(plan.plan_id)
        assert pair is not None
        self.story.unconfirmed[name] = pair.start_state
        self.story.days[name] = self.desk.settle(self.operator, plan, before)

    def refuse(self, name: str, **changes: str) -> None:
        with pytest.raises(StackFailed) as refused:
            redeploy(self.stack, changes)
        self.story.refused[name] = str(refused.value)

    def deploy(self, **changes: str) -> None:
        self.stack = redeploy(self.stack, changes)
        self.operator = Operator(self.stack)
        self.operator.set_deadlines(DEADLINES)

    def plan_halfway(self, name: str) -> None:
        """Publish a plan between the two deployments, which nobody should."""
        plan = self.desk.plan(self.stack)
        before = {role: len(self.stack.broker.orders(role)) for role in Role}
        self.operator.publish(plan)
        self.story.statuses[name] = self.operator.await_candidate(plan.plan_id)
        self.operator.await_quiet()
        self.story.traces[name] = self.desk.traces(self.stack, plan, before)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    parameters = {"BrokerEndpoint": f"{BROKER}/paper"}
    with local_stack(tmp_path_factory.mktemp("swap-cloud"), enforce_iam=True, parameters=parameters) as stack:
        walk = Walk(stack)
        walk.day("before")
        walk.refuse("in one step", ExecutionMode="live")
        walk.refuse("unknown account", ProductionLane="workflow")
        walk.operator.await_quiet()
        walk.deploy(ProductionLane="workflow", LegacyShadowMode="paper", ControlAccountFingerprint=walk.fingerprint)
        walk.plan_halfway("halfway there")
        walk.deploy(ExecutionMode="live")
        walk.day("swapped")
        walk.day("defect", fault="wrong_size")
        walk.day_with_a_broken_shadow("erring shadow", FaultKind.SERVER_ERROR)
        walk.day_with_a_broken_shadow("hanging shadow", FaultKind.HANG)
        walk.deploy(LegacyShadowMode="dry_run")
        walk.day("dry shadow")
        walk.operator.await_quiet()
        walk.deploy(ExecutionMode="dry_run")
        walk.plan_halfway("halfway back")
        walk.deploy(ProductionLane="legacy")
        walk.day("after")
        yield walk.story


@pytest.mark.parametrize("name", ["before", "after"])
def test_with_the_legacy_lane_in_production_it_alone_trades(story: Story, name: str) -> None:
    day, traces = story.days[name], story.days[name].traces
    assert (day.comparison.verdict, day.pair.production_lane) == (Verdict.MATCHED, Lane.LEGACY)
    assert len(filled(traces.production_orders)) == len(day.plan.tradable_items)
    assert not any(order.client_order_id.startswith(trade_id) for order in traces.production_orders for trade_id in ids(day))
    assert traces.paper_orders == ()
    assert traces.production_events == once_each(day.comparison, Role.CONTROL)
    assert traces.production_rows == filled(traces.production_orders)
    assert (traces.shadow_events, traces.shadow_rows) == (Counter(), frozenset())


def test_live_needs_the_swap_and_the_swap_the_account(story: Story) -> None:
    assert "while ProductionLane is legacy" in story.refused["in one step"]
    assert "ControlAccountFingerprint" in story.refused["unknown account"]


@pytest.mark.parametrize("name", ["halfway there", "halfway back"])
def test_halfway_nobody_can_trade_the_account_in_production(story: Story, name: str) -> None:
    assert story.statuses[name] == "FAILED"
    traces = story.traces[name]
    assert (traces.production_orders, traces.production_events, traces.production_rows) == ((), Counter(), frozenset())


@pytest.mark.parametrize("name", ["swapped", "dry shadow", "erring shadow", "hanging shadow"])
def test_after_the_cut_over_the_workflow_alone_trades_for_real(story: Story, name: str) -> None:
    day, traces = story.days[name], story.days[name].traces
    assert day.pair.production_lane is Lane.WORKFLOW
    assert all(any(order.client_order_id.startswith(trade_id) for trade_id in ids(day)) for order in traces.production_orders)
    assert len(filled(traces.production_orders)) == len(day.plan.tradable_items)
    assert traces.production_events == once_each(day.comparison, Role.CONTROL)
    assert traces.production_rows == filled(traces.production_orders)


def test_the_legacy_lane_shadows_it_where_nobody_hears(story: Story) -> None:
    day, traces = story.days["swapped"], story.days["swapped"].traces
    assert (day.comparison.verdict, day.pair.state) == (Verdict.MATCHED, PairState.JUDGED)
    assert [difference.kind for difference in day.comparison.differences] == []
    assert len(filled(traces.paper_orders)) == len(day.plan.tradable_items)
    assert traces.shadow_events == once_each(day.comparison, Role.CANDIDATE)
    assert traces.shadow_rows == filled(traces.paper_orders)


def test_a_legacy_lane_in_dry_run_sends_no_order_at_all(story: Story) -> None:
    day = story.days["dry shadow"]
    assert day.comparison.verdict is Verdict.MATCHED
    assert day.traces.paper_orders == ()
    assert day.traces.shadow_events == once_each(day.comparison, Role.CANDIDATE)
    assert all(row.startswith(RECORDED) for row in day.traces.shadow_rows)
    assert len(day.traces.shadow_rows) == len(day.plan.tradable_items)


def test_a_defect_of_the_shadow_is_found_and_is_its_own(story: Story) -> None:
    day = story.days["defect"]
    assert day.comparison.verdict is Verdict.DIVERGED
    (found,) = [difference for difference in day.comparison.differences if difference.counts]
    assert found.lane is Lane.LEGACY
    assert (found.kind, found.attribution, found.severity) == ("ASKED_QUANTITY", Attribution.CANDIDATE, Severity.CRITICAL)
    assert day.traces.production_events == once_each(day.comparison, Role.CONTROL)


@pytest.mark.parametrize("name", ["erring shadow", "hanging shadow"])
def test_a_broken_shadow_leaves_production_alone_and_is_never_published_to_twice(story: Story, name: str) -> None:
    assert story.statuses[name] == "SUCCEEDED"
    assert story.seconds[name] < HANG_SECONDS / 2
    assert story.unconfirmed[name] is StartState.INTENDED
    day = story.days[name]
    assert (day.pair.start_state, day.comparison.verdict) == (StartState.REFUSED, Verdict.MISSING_CANDIDATE)
    assert (day.traces.paper_orders, day.traces.shadow_events) == ((), Counter())


def ids(day: Day) -> list[str]:
    """Give the ids of the day's trades, by which the workflow names its orders."""
    (workflow,) = (run for run in (day.comparison.control, day.comparison.candidate) if run and run.lane is Lane.WORKFLOW)
    return [trade.trade_id for trade in workflow.trades]
