"""With the workflow in production the harness protects its start as it protected the legacy one, and feeds the legacy lane."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from local.pages.fault_cells import PATIENCE_SECONDS, Cloud, example_plan
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane
from shadow.contracts.workflow import WorkflowInput
from shadow.publish import DualPublisher, composition, dual_publisher_from_environment
from shadow.publish.completion import StartCompleter
from shadow.publish.composition import Built
from shadow.publish.mode import PublishMode
from shadow.publish.production import WorkflowPublisher
from shadow.publish.work import ShadowHarness

PLAN = example_plan()
BOUND = 0.05


class Legacy:
    """The portfolio side's own enqueue function, with whatever arguments it takes."""

    def __init__(self, error: BaseException | None = None, hold: Event | None = None) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.error = error
        self.hold = hold

    def __call__(self, plan: object, *args: object, **kwargs: object) -> str:
        self.calls.append((plan, args, kwargs))
        if self.hold is not None:
            self.hold.wait(PATIENCE_SECONDS)
        if self.error is not None:
            raise self.error
        return "enqueued"


class Workflow:
    """The state machine and its bucket, apart from the harness's own."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self.publish = WorkflowPublisher(self.cloud, self.cloud).publish

    def input(self) -> WorkflowInput:
        (document,) = self.cloud.executions.values()
        return WorkflowInput.parse(json.loads(document))


@pytest.fixture
def hold() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


def published(
    legacy: Legacy, cloud: Cloud | None = None, workflow: Workflow | None = None
) -> tuple[object, Cloud, Workflow, DualPublisher[Any, Any, Any]]:
    cloud, workflow = cloud or Cloud(), workflow or Workflow()
    publisher: DualPublisher[Any, Any, Any] = DualPublisher(
        lambda plan, *_args, **_kwargs: workflow.publish(plan), harness=cloud.harness(), bound_seconds=1.0, legacy=legacy
    )
    answer = publisher.publish(PLAN, "extra", at=1)
    return answer, cloud, workflow, publisher


def test_production_starts_the_workflow_and_the_legacy_lane_is_fed_as_it_was_called() -> None:
    legacy = Legacy()
    answer, cloud, workflow, publisher = published(legacy)
    assert publisher.settle(PATIENCE_SECONDS)
    assert answer in {f"arn:{name}" for name in workflow.cloud.executions}
    assert workflow.input().production_lane is Lane.WORKFLOW
    assert legacy.calls == [(PLAN, ("extra",), {"at": 1})]
    pair = cloud.pairs[PLAN.plan_id]
    assert (pair.production_lane, pair.start_state, pair.held_json) == (Lane.WORKFLOW, StartState.STARTED, None)
    assert not pair.execution_arn
    assert cloud.executions == {}


def test_the_pair_keeps_the_very_input_that_production_was_started_with() -> None:
    _, cloud, workflow, publisher = published(Legacy())
    assert publisher.settle(PATIENCE_SECONDS)
    name, document = next(iter(workflow.cloud.executions.items()))
    assert workflow.cloud.start(name, document, frozenset({cloud.pairs[PLAN.plan_id].input_sha256 or ""}))


@pytest.mark.parametrize("error", [ValueError("planted"), SystemExit(3), MemoryError()], ids=lambda error: type(error).__name__)
def test_a_shadow_that_raises_reaches_nobody_and_its_start_stays_unknown(error: BaseException) -> None:
    answer, cloud, _, publisher = published(Legacy(error))
    assert publisher.settle(PATIENCE_SECONDS)
    assert str(answer).startswith("arn:")
    assert cloud.pairs[PLAN.plan_id].start_state is StartState.INTENDED
    assert any("candidate start" in line.get("faults", "") for line in cloud.lines)


def test_a_shadow_that_hangs_holds_nobody_up(hold: Event) -> None:
    cloud, workflow = Cloud(), Workflow()
    publisher: DualPublisher[Any, Any, Any] = DualPublisher(
        workflow.publish, harness=cloud.harness(), bound_seconds=BOUND, legacy=Legacy(hold=hold)
    )
    assert str(publisher.publish(PLAN)).startswith("arn:")
    assert len(workflow.cloud.executions) == 1


def test_what_production_raises_is_raised_and_noted_and_the_shadow_runs_all_the_same() -> None:
    legacy, cloud, error = Legacy(), Cloud(), RuntimeError("throttled")

    def down(_plan: object) -> str:
        raise error

    publisher: DualPublisher[Any, Any, Any] = DualPublisher(down, harness=cloud.harness(), bound_seconds=1.0, legacy=legacy)
    with pytest.raises(RuntimeError) as raised:
        publisher.publish(PLAN)
    assert raised.value is error
    assert publisher.settle(PATIENCE_SECONDS)
    assert len(legacy.calls) == 1
    assert cloud.pairs[PLAN.plan_id].control_error == "RuntimeError"


def test_off_leaves_production_alone() -> None:
    legacy, cloud = Legacy(), Cloud()
    cloud.publish_mode = PublishMode.parse("off")
    answer, *_, publisher = published(legacy, cloud)
    assert publisher.settle(PATIENCE_SECONDS)
    assert str(answer).startswith("arn:")
    assert (legacy.calls, cloud.pairs) == ([], {})


def test_publishing_again_starts_neither_lane_again() -> None:
    legacy, cloud, workflow = Legacy(), Cloud(), Workflow()
    for _ in range(2):
        *_, publisher = published(legacy, cloud, workflow)
        assert publisher.settle(PATIENCE_SECONDS)
    assert len(legacy.calls) == len(workflow.cloud.executions) == 1


def intended(lane: Lane = Lane.WORKFLOW) -> Pair:
    _, cloud, _, publisher = published(Legacy(RuntimeError()))
    assert publisher.settle(PATIENCE_SECONDS)
    return cloud.pairs[PLAN.plan_id].model_copy(update={"production_lane": lane})


def test_a_start_of_unknown_fate_is_completed_by_publishing_to_the_legacy_lane_again() -> None:
    pair, cloud, plans = intended(), Cloud(), []
    cloud.pairs[pair.plan_id] = pair
    later = datetime.now(UTC) + timedelta(minutes=5)
    completer = StartCompleter(ledger=cloud, starter=cloud, store=Archive(cloud), legacy=plans.append, now=lambda: later)
    assert completer.complete(pair) is StartState.STARTED
    assert plans == [PLAN]
    assert (cloud.pairs[pair.plan_id].start_state, cloud.executions) == (StartState.STARTED, {})


def test_a_candidates_start_is_completed_as_ever_and_a_shadow_without_a_way_is_told() -> None:
    cloud = Cloud()
    completer = StartCompleter(ledger=cloud, starter=cloud, store=Archive(cloud))
    with pytest.raises(ConfigurationError, match="a way to publish to the legacy lane"):
        completer.complete(intended())
    pair = intended(Lane.LEGACY)
    cloud.pairs[pair.plan_id] = pair
    assert completer.complete(pair) is StartState.STARTED
    (document,) = cloud.executions.values()
    assert WorkflowInput.parse(json.loads(document)).production_lane is Lane.LEGACY


class Archive:
    def __init__(self, cloud: Cloud) -> None:
        self.put = cloud.put

    def get(self, key: str) -> bytes:
        raise AssertionError(f"the plan is in the pair: {key}")


NAMES = {
    "PRODUCTION_LANE": "workflow",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:1:stateMachine:m",
    "EVIDENCE_BUCKET_NAME": "b",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name, value in NAMES.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def started(monkeypatch: pytest.MonkeyPatch, workflow: Workflow) -> None:
    monkeypatch.setattr("shadow.publish.production.workflow_publisher_from_environment", lambda: workflow.publish)


def test_the_roles_are_swapped_by_the_environment_alone(environment: pytest.MonkeyPatch) -> None:
    legacy, workflow, cloud = Legacy(), Workflow(), Cloud()
    started(environment, workflow)

    def built(*, to_plan: Callable[[Any], object]) -> Built:
        return Built(ShadowHarness(replace(cloud.harness().ports, to_plan=to_plan)), 1.0)

    environment.setattr(composition, "harness_from_environment", built)
    publisher = dual_publisher_from_environment(legacy, to_plan=lambda given: given["plan"])  # type: ignore[index]
    given = {"plan": PLAN.to_wire()}
    answer: object = publisher.publish(given, "extra")
    assert publisher.settle(PATIENCE_SECONDS)
    assert str(answer).startswith("arn:")
    assert [call[:2] for call in legacy.calls] == [(given, ("extra",))]


def test_without_dual_publishing_the_workflow_is_alone(environment: pytest.MonkeyPatch) -> None:
    legacy, workflow = Legacy(), Workflow()
    started(environment, workflow)
    publisher = dual_publisher_from_environment(legacy)
    assert str(publisher.publish(PLAN)).startswith("arn:")
    assert legacy.calls == []


def test_a_broken_harness_leaves_production_as_it_is(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DUAL_PUBLISHING", "true")
    legacy, workflow = Legacy(), Workflow()
    started(environment, workflow)
    publisher = dual_publisher_from_environment(legacy)
    assert str(publisher.publish(PLAN)).startswith("arn:")
    assert publisher.settle(PATIENCE_SECONDS)
    assert legacy.calls == []


@pytest.mark.parametrize(("name", "value"), [("STATE_MACHINE_ARN", None), ("PRODUCTION_LANE", "Workflow")])
def test_production_is_never_replaced_by_its_shadow_in_silence(
    environment: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    if value is None:
        environment.delenv(name)
    else:
        environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        dual_publisher_from_environment(Legacy())


def test_a_plan_of_holds_only_starts_nothing_in_either_lane() -> None:
    item = PLAN.items[0].to_wire() | {"action": "HOLD", "trade_amount": "0.00"}
    plan = RebalancePlan.read(PLAN.to_wire() | {"items": [item], "total_trade_value": "0"})
    legacy, cloud, workflow = Legacy(), Cloud(), Workflow()
    publisher: DualPublisher[Any, Any, Any] = DualPublisher(
        workflow.publish, harness=cloud.harness(), bound_seconds=1.0, legacy=legacy
    )
    assert publisher.publish(plan) is None
    assert publisher.settle(PATIENCE_SECONDS)
    assert (workflow.cloud.executions, legacy.calls, cloud.pairs) == ({}, [], {})
