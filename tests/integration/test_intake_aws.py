"""Business Unit: tests | Status: current.

From the publisher's message to the running candidate in moto: what stands in queue, table, bucket and state machine after
publishing once, twice, into an execution that exists, with a large plan, a broken service and a changed switch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, ReadTimeoutError

import shadow.publish as publishing
from functions.intake import lambda_handler as function
from shadow.aws import clients
from shadow.aws.pair_ledger import DynamoDbPairLedger, pair_key
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.pair import Pair, StartState, Unpaired, UnpairedPlan, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.workflow import WorkflowInput, WorkflowPlan
from shadow.intake.aws import StartRefused, StepFunctionsStarter, TextParameter
from shadow.publish import dual_publisher_from_environment
from tests.factories.cloud_tables import fresh_aws, make_table
from tests.factories.plans import example_plan

TABLE, BUCKET, PARAMETER = "pairs", "evidence", "/alchemiser/dev/shadow-mode"
PLAN = RebalancePlan.read(example_plan().to_wire() | {"timestamp": datetime.now(UTC).isoformat(), "metadata": {"weight": 0.1}})
NAME = execution_name_of(run_id_of(PLAN.plan_id))
PATIENCE_SECONDS = 10.0


@dataclass
class Cloud:
    machine: str
    queue: str
    environment: pytest.MonkeyPatch

    def publish(self, plan: object = PLAN) -> Pair | None:
        """Publish, and let the intake take what the queue then holds."""
        publisher = dual_publisher_from_environment(lambda given: given)
        assert publisher.publish(plan) is plan
        assert publisher.settle(PATIENCE_SECONDS)
        self.deliver()
        return self.pair()

    def deliver(self) -> list[str]:
        """Hand what the queue holds to the function; give the ids that failed, whose messages stay."""
        function._intake.cache_clear()
        client = boto3.client("sqs")
        answer = client.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        messages = answer.get("Messages", [])
        records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in messages]
        failures: Any = function.lambda_handler({"Records": records}, None)["batchItemFailures"]
        failed = [failure["itemIdentifier"] for failure in failures]
        for message in messages:
            if message["MessageId"] not in failed:
                client.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return failed

    @property
    def ledger(self) -> DynamoDbPairLedger:
        return DynamoDbPairLedger(clients.dynamodb(), TABLE)

    def pair(self) -> Pair | None:
        return self.ledger.get(PLAN.plan_id)

    def why(self) -> list[Unpaired]:
        found = self.ledger.unpaired_of(trading_day_of(PLAN.timestamp))
        return [plan.reason for plan in found if isinstance(plan, UnpairedPlan)]

    def executions(self) -> list[str]:
        listed = clients.stepfunctions().list_executions(stateMachineArn=self.machine)["executions"]
        return [execution["name"] for execution in listed]

    def started_with(self) -> WorkflowInput:
        arn = self.machine.replace(":stateMachine:", ":execution:") + ":" + NAME
        return WorkflowInput.parse_json(clients.stepfunctions().describe_execution(executionArn=arn)["input"])

    def switch(self, value: str) -> None:
        clients.ssm().put_parameter(Name=PARAMETER, Value=value, Type="String", Overwrite=True)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in {
        "DUAL_PUBLISHING": "true",
        "SHADOW_STAGE": "dev",
        "SHADOW_MODE_PARAMETER": PARAMETER,
        "PAIR_LEDGER_TABLE_NAME": TABLE,
        "EVIDENCE_BUCKET_NAME": BUCKET,
        "PUBLISH_BOUND_MS": "10000",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PRODUCTION_LANE", raising=False)
    monkeypatch.setattr(publishing, "_CORES", {})
    with fresh_aws():
        make_table(TABLE, "GSI1", "GSI2")
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        queue = boto3.client("sqs").create_queue(QueueName="alchemiser-dev-shadow-intake")["QueueUrl"]
        machine = boto3.client("stepfunctions").create_state_machine(
            name="alchemiser-dev-execution-workflow",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/workflow",
        )["stateMachineArn"]
        monkeypatch.setenv("STATE_MACHINE_ARN", machine)
        monkeypatch.setenv("SHADOW_INTAKE_QUEUE_URL", queue)
        made = Cloud(machine, queue, monkeypatch)
        made.switch("shadow")
        yield made


def test_a_plan_is_in_the_ledger_and_running(cloud: Cloud) -> None:
    pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, pair.trade_count) == (StartState.STARTED, 15)
    assert pair.execution_arn == cloud.machine.replace(":stateMachine:", ":execution:") + ":" + NAME
    assert pair.plan_json is not None
    assert RebalancePlan.read_json(pair.plan_json) == PLAN
    assert cloud.executions() == [NAME]
    assert len(cloud.started_with().rebalance_plan.trade_messages) == 15
    assert [entry.changes["start_state"] for entry in cloud.ledger.audit_of(PLAN.plan_id)] == ["STARTED"]


def test_publishing_twice_creates_nothing_new(cloud: Cloud) -> None:
    first = cloud.publish()
    assert cloud.publish() == first
    assert cloud.executions() == [NAME]


def test_an_execution_that_exists_with_the_same_input_is_a_success(cloud: Cloud) -> None:
    first = cloud.publish()
    clients.dynamodb().delete_item(TableName=TABLE, Key=pair_key(PLAN.plan_id))
    for version in range(1, 3):
        clients.dynamodb().delete_item(
            TableName=TABLE, Key={"PK": {"S": f"PAIR#{PLAN.plan_id}"}, "SK": {"S": f"AUDIT#{version:06d}"}}
        )
    again = cloud.publish()
    assert first is not None
    assert again is not None
    assert again.start_state is StartState.STARTED
    assert (again.input_sha256, again.execution_arn) == (first.input_sha256, first.execution_arn)


def test_an_execution_that_exists_with_another_input_is_a_refusal(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    clients.stepfunctions().start_execution(stateMachineArn=cloud.machine, name=NAME, input="{}")
    pair = cloud.publish()
    assert pair is not None
    assert pair.start_state is StartState.REFUSED
    assert (pair.start_reason or "").startswith("ExecutionAlreadyExists: with another input")
    assert "PlansRefused" in capsys.readouterr().out


def test_another_plan_of_the_same_id_is_refused_and_the_first_kept(cloud: Cloud) -> None:
    first = cloud.publish()
    assert cloud.publish(RebalancePlan.read(PLAN.to_wire() | {"strategy_id": "another"})) == first
    assert cloud.why() == [Unpaired.OTHER_CONTENT]
    assert cloud.executions() == [NAME]


@pytest.mark.parametrize("trades", [120, 1_500])
def test_a_large_plan_travels_as_a_claim_check(cloud: Cloud, trades: int) -> None:
    plan = RebalancePlan.read(example_plan(trades).to_wire() | {"timestamp": PLAN.timestamp})
    pair = cloud.publish(plan)
    assert pair is not None
    assert pair.start_state is StartState.STARTED
    claim = cloud.started_with().claim_check
    assert claim is not None
    body = clients.s3().get_object(Bucket=claim.bucket, Key=claim.key)["Body"].read()
    assert sha256(body).hexdigest() == claim.sha256
    assert len(WorkflowPlan.parse_json(body).trade_messages) == claim.trade_count == trades
    if pair.plan_json is None:
        kept = clients.s3().get_object(Bucket=BUCKET, Key=str(pair.plan_key))["Body"].read()
        assert RebalancePlan.read_json(kept) == plan


def test_a_state_machine_that_is_not_there_is_a_refusal(cloud: Cloud) -> None:
    cloud.environment.setenv("STATE_MACHINE_ARN", cloud.machine + "-gone")
    pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, pair.start_reason) == (StartState.REFUSED, "StateMachineDoesNotExist")


@pytest.mark.parametrize(("value", "reason"), [("off", Unpaired.OFF), ("shadow:0", Unpaired.OFF)])
def test_the_switch_in_ssm_decides_and_leaves_a_reason(cloud: Cloud, value: str, reason: Unpaired) -> None:
    cloud.switch(value)
    assert cloud.publish() is None
    assert cloud.executions() == []
    assert cloud.why() == [reason]


@pytest.mark.parametrize("broken", ["gone", "nonsense"])
def test_a_switch_that_cannot_be_read_leaves_the_message_in_the_queue(cloud: Cloud, broken: str) -> None:
    if broken == "gone":
        clients.ssm().delete_parameter(Name=PARAMETER)
    else:
        cloud.switch("nonsense")
    assert cloud.publish() is None
    cloud.switch("shadow")
    cloud.deliver()
    pair = cloud.pair()
    assert pair is not None
    assert pair.start_state is StartState.STARTED


def test_a_start_of_unknown_fate_is_completed_with_the_next_delivery(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def times_out(*_: object, **__: object) -> None:
        raise ReadTimeoutError(endpoint_url="states")

    with monkeypatch.context() as broken:
        broken.setattr(StepFunctionsStarter, "start", times_out)
        pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, cloud.executions()) == (StartState.INTENDED, [])
    cloud.deliver()
    completed = cloud.pair()
    assert completed is not None
    assert (completed.start_state, cloud.executions()) == (StartState.STARTED, [NAME])


# The adapters by themselves.


def a_client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "StartExecution")


class Refusing:
    def __init__(self, code: str) -> None:
        self._code = code

    def start_execution(self, **_: object) -> None:
        raise a_client_error(self._code)


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ExecutionLimitExceeded", "InternalServerError", "AccessDeniedException"]
)
def test_what_may_pass_is_left_to_the_sweeper(code: str) -> None:
    client: Any = Refusing(code)
    with pytest.raises(ClientError):
        StepFunctionsStarter(client, "arn").start(NAME, "{}", frozenset())


@pytest.mark.parametrize("code", ["InvalidExecutionInput", "StateMachineDoesNotExist", "ValidationException"])
def test_what_cannot_pass_is_a_refusal(code: str) -> None:
    client: Any = Refusing(code)
    with pytest.raises(StartRefused, match=code):
        StepFunctionsStarter(client, "arn").start(NAME, "{}", frozenset())


def parameter(now: Callable[[], float]) -> TextParameter:
    return TextParameter(clients.ssm(), PARAMETER, max_age_seconds=30, monotonic=now)


def test_the_switch_is_read_again_after_its_age_even_when_the_wall_clock_stands(cloud: Cloud) -> None:
    moment = [100.0]
    switch = parameter(lambda: moment[0])
    assert switch.read() == "shadow"
    cloud.switch("off")
    moment[0] += 29
    assert switch.read() == "shadow"
    moment[0] += 1
    assert switch.read() == "off"


def test_a_stale_switch_is_not_used_when_it_cannot_be_read_again(cloud: Cloud) -> None:
    moment = [100.0]
    switch = parameter(lambda: moment[0])
    assert switch.read() == "shadow"
    clients.ssm().delete_parameter(Name=PARAMETER)
    moment[0] += 31
    with pytest.raises(GetParameterError):
        switch.read()
    assert cloud.executions() == []
