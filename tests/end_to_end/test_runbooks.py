"""The operators' runbooks, walked through on a deployed stack: pause, ramp, dead letters, rotated keys, the legacy path removed.

Cutting over and rolling back have a file of their own. Redriving an execution cannot be walked through here: the emulator has no
RedriveExecution. What a redrive meets is tested where the interpreter runs the workflow again (`test_workflow_retries.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cloud.access import CloudAccess, dummy_environment
from local.cloud.deploy import Deployment, deploy
from local.market import ClosingPrices
from local.operator import Operator
from local.scenarios.demo import demo_days
from local.stack import BROKER, CHECKOUT, STAGE, LocalStack, local_stack, redeploy
from shadow.aws.broker import fingerprint_of
from shadow.contracts.comparison import Verdict
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role
from shadow.intake.aws import PublishMode
from tests.factories.swapped_roles import PRODUCTION, Desk, filled
from tests.fakes.plans import plan_of

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
SYMBOL = "AAPL"
WAIT_SECONDS = 90.0
SOLO = "solo"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    folder, parameters = tmp_path_factory.mktemp("runbook-cloud"), {"BrokerEndpoint": f"{BROKER}/paper"}
    with local_stack(folder, parameters=parameters) as running:
        (day,) = demo_days(ClosingPrices.bundled(), count=1, plants=())
        running.broker.set_day(day.day, day.closes)
        yield running


@pytest.fixture
def operator(stack: LocalStack) -> Operator:
    return Operator(stack)


def shadow(stack: LocalStack, folder: Path, *words: str) -> dict[str, list[dict[str, object]]]:
    """Call the command as an operator does, with the environment that any AWS tool has."""
    command = [str(Path(sys.executable).with_name("shadow")), *words, "--json"]
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=folder,
        env=dummy_environment(stack.access.endpoint, stack.access.token),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    answer: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return answer


def small(name: str) -> RebalancePlan:
    """Make a plan of one BUY."""
    return plan_of(name=name, **{SYMBOL: "120"})


def switch(operator: Operator, value: str) -> None:
    """Set the mode, and start the intake anew instead of waiting until it has forgotten what it read before."""
    client = operator.stack.access.session.client(
        "ssm", endpoint_url=operator.stack.access.endpoint, config=operator.stack.access.config
    )
    client.put_parameter(Name=operator.stack.output("ShadowModeParameterName"), Value=value, Overwrite=True)
    operator.set_variable("shadow-intake", "STARTED_ANEW", value)


def test_pause_ramp_and_resume(operator: Operator) -> None:
    """docs/runbooks/pause.md"""
    half = PublishMode.parse("shadow:50")
    names = [f"ramp-{number}" for number in range(40)]
    inside = next(plan for name in names if half.covers((plan := small(name)).plan_id))
    outside = next(plan for name in names if not half.covers((plan := small(name)).plan_id))
    paused = small("paused")

    switch(operator, "off")
    operator.publish(paused)
    switch(operator, "shadow:50")
    operator.publish(outside)
    operator.publish(inside)
    pair = operator.await_verdict(inside.plan_id, sweeping=True)
    operator.await_quiet()
    switch(operator, "shadow")

    assert pair.verdict is Verdict.MATCHED
    assert operator.ledger.get(paused.plan_id) is operator.ledger.get(outside.plan_id) is None
    assert operator.candidate_status(paused.plan_id) is operator.candidate_status(outside.plan_id) is None
    bought = [order for order in operator.stack.broker.orders(PRODUCTION) if order.filled_quantity]
    assert len(bought) >= len((paused, outside, inside))


def test_drain_dead_letters(operator: Operator, tmp_path: Path) -> None:
    """docs/runbooks/drain-dead-letters.md"""
    stack, queues = operator.stack, operator.stack.access.sqs()
    plan = small("dead-letter")
    failed = {"requestPayload": plan.to_wire(), "responsePayload": {"errorType": "EndpointConnectionError"}}
    publish = queues.get_queue_url(QueueName=f"alchemiser-{STAGE}-publish-plan-dlq")["QueueUrl"]
    queues.send_message(QueueUrl=publish, MessageBody=json.dumps(failed))
    event = {
        "id": "late-event",
        "source": "alchemiser.execution",
        "detail-type": "TradeExecuted",
        "detail": {"run_id": run_id_of(plan.plan_id), "plan_id": plan.plan_id, "trade_id": "late"},
    }
    comparator = stack.output("ComparatorDlqUrl")
    for body in (json.dumps(event), "{poison"):
        queues.send_message(QueueUrl=comparator, MessageBody=body)

    listed = shadow(stack, tmp_path, "redrive", "--list")["messages"]
    drained = shadow(stack, tmp_path, "redrive")["messages"]
    left = shadow(stack, tmp_path, "redrive", "--list")["messages"]

    assert {entry["fate"] for entry in listed} == {"listed"}
    assert sorted(str(entry["fate"]) for entry in drained) == ["left", "left", "redriven"]
    assert {str(entry["queue"]) for entry in left} == {"comparator", "publish"}
    assert any("would trade it" in str(entry["why"]) for entry in drained)
    assert operator.ledger.get(plan.plan_id) is None

    (again,) = shadow(stack, tmp_path, "redrive", "--queue", "publish", "--stale")["messages"]
    assert again["fate"] == "redriven"
    assert operator.await_verdict(plan.plan_id, sweeping=True).plan_id == plan.plan_id
    assert shadow(stack, tmp_path, "redrive", "--list", "--queue", "publish")["messages"] == []
    queues.purge_queue(QueueUrl=comparator)


def test_rotate_secrets(stack: LocalStack) -> None:
    """docs/runbooks/rotate-secrets.md"""
    new = {"key": "rotated-key", "secret": "rotated-secret"}
    operator = Operator(stack)
    before = small("before-rotation")
    operator.publish(before)
    assert operator.await_candidate(before.plan_id) == "SUCCEEDED"
    beginning = begun_with(stack)

    stack.broker.set_identity(Role.CANDIDATE, **new)
    stack.secrets().put_secret_value(SecretId=f"alchemiser/{STAGE}/candidate-broker", SecretString=json.dumps(new))
    seen = len(stack.broker.requests())
    held = small("old-key-held")
    operator.publish(held)
    operator.await_candidate(held.plan_id)
    refused = [request for request in stack.broker.requests()[seen:] if request.status == 401]

    started_anew = redeploy(stack, {"StartAnew": "2026-11-24"})
    operator = Operator(started_anew)
    after = small("after-rotation")
    operator.publish(after)
    pair = operator.await_verdict(after.plan_id, sweeping=True)

    assert refused
    assert pair.verdict is Verdict.MATCHED
    assert (beginning, begun_with(started_anew)) == ("", "2026-11-24")


def begun_with(stack: LocalStack) -> str:
    """Give what the functions that trade were last started anew with: another text makes new processes."""
    answer = stack.functions().get_function_configuration(FunctionName=f"alchemiser-{STAGE}-execute-trade-sfn")
    return answer["Environment"]["Variables"]["STARTED_ANEW"]


def test_remove_the_legacy_path(stack: LocalStack) -> None:
    """docs/runbooks/remove-the-legacy-path.md: a stack that has no legacy lane, with production's bus, ledger and plans."""
    solo = without_legacy_lane(stack)
    pages = stack.functions().get_paginator("list_functions").paginate()
    functions = {function["FunctionName"] for page in pages for function in page["Functions"]}
    desk = Desk(stack)
    plan = desk.plan(stack)
    before = {role: len(stack.broker.orders(role)) for role in Role}

    assert publish_to_workflow(solo, plan, stack.access)
    machine = solo.outputs["StateMachineArn"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution_name_of(run_id_of(plan.plan_id))}"

    states, ends = stack.access.stepfunctions(), time.monotonic() + WAIT_SECONDS
    while not is_there(states, arn) and time.monotonic() < ends:
        time.sleep(0.1)
    while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING" and time.monotonic() < ends:
        time.sleep(0.1)
    assert found["status"] == "SUCCEEDED", found
    assert json.loads(found["output"])["succeededTrades"] == len(plan.tradable_items)
    traces = desk.traces(stack, plan, before)
    assert len(filled(traces.production_orders)) == len(plan.tradable_items)
    assert traces.paper_orders == ()
    assert sum(traces.production_events.values()) == len(plan.tradable_items) + 1
    assert set(traces.production_events.values()) == {1}
    assert traces.production_rows == filled(traces.production_orders)
    assert not functions & {f"alchemiser-{SOLO}-legacy-execution", f"alchemiser-{SOLO}-publish-plan"}


def without_legacy_lane(stack: LocalStack) -> Deployment:
    """Deploy the workflow beside the places of production that stay, and nothing of the legacy lane."""
    kept = ("EventBusName", "events"), ("TradeLedgerTableName", "trade-ledger"), ("RebalancePlanTableName", "rebalance-plans")
    parameters = {
        **{name: value for name, value in stack.parameters.items() if name.startswith("Walk") or "Endpoint" in name},
        **{name: f"alchemiser-{STAGE}-{what}" for name, what in kept},
        "Stage": SOLO,
        "ControlLane": "existing",
        "ProductionLane": "workflow",
        "ExecutionMode": "live",
        "DualPublishing": "false",
        "ControlBrokerSecretId": f"alchemiser/{STAGE}/control-broker",
        "ControlAccountFingerprint": fingerprint_of(stack.broker.account(PRODUCTION).number),
    }
    return deploy(stack.access, CHECKOUT / "template.yaml", stack.artefacts, stack=f"shadow-{SOLO}", parameters=parameters)


def is_there(states: Any, arn: str) -> bool:
    try:
        states.describe_execution(executionArn=arn)
    except states.exceptions.ExecutionDoesNotExist:
        return False
    return True


def publish_to_workflow(solo: Deployment, plan: RebalancePlan, access: CloudAccess) -> str:
    """Publish as the portfolio function does once the wrapper is gone."""
    program = (
        "import sys; from shadow.publish import dual_publisher_from_environment as made, no_control;"
        "print(made(no_control).publish(sys.stdin.read()))"
    )
    environment = dummy_environment(access.endpoint, access.token) | {
        "PRODUCTION_LANE": "workflow",
        "SHADOW_INTAKE_QUEUE_URL": solo.outputs["IntakeQueueUrl"],
        "SHADOW_STAGE": SOLO,
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env=environment,
        input=json.dumps(plan.to_wire()),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()
