"""Business Unit: tests | Status: current.

The shim against moto: what stands in table, bucket and state machine after publishing once, twice, into an execution that
exists, with a large plan, a throttled service and a changed switch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from local.pages.fault_cells import PATIENCE_SECONDS, example_plan
from shadow.aws import clients
from shadow.aws.mode_parameter import TextParameter
from shadow.aws.pair_ledger import PAIR_SK, audit_from_item, pair_from_item, pair_key, pair_pk
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.workflow import WorkflowInput, WorkflowPlan
from shadow.publish import DualPublisher, dual_publisher_from_environment
from shadow.publish.aws import StepFunctionsStarter
from shadow.publish.composition import completer_from_environment
from shadow.publish.errors import StartRefused
from shadow.publish.pair_ledger import DynamoPairLedgerWriter, LedgerConflict
from shadow.publish.ports import Started

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE, BUCKET, PARAMETER = "pairs", "evidence", "/alchemiser/dev/shadow-mode"
PLAN = example_plan()
NAME = execution_name_of(run_id_of(PLAN.plan_id))
AT = datetime(2026, 1, 12, 20, 46, tzinfo=UTC)
CLIENTS = (clients.dynamodb, clients.stepfunctions, clients.s3, clients.ssm)


@dataclass
class Cloud:
    machine: str
    environment: pytest.MonkeyPatch

    def publisher(self) -> DualPublisher[object, [], object]:
        return dual_publisher_from_environment(lambda plan: plan)

    def publish(self, plan: object = PLAN) -> Pair | None:
        publisher = self.publisher()
        assert publisher.publish(plan) is plan
        assert publisher.settle(PATIENCE_SECONDS)
        assert publisher.lost == 0
        return self.pair()

    def pair(self) -> Pair | None:
        item = clients.dynamodb().get_item(TableName=TABLE, Key=pair_key(PLAN.plan_id)).get("Item")
        return None if item is None else pair_from_item(item)

    def executions(self) -> list[str]:
        listed = clients.stepfunctions().list_executions(stateMachineArn=self.machine)["executions"]
        return [execution["name"] for execution in listed]

    def started_with(self) -> WorkflowInput:
        arn = self.machine.replace(":stateMachine:", ":execution:") + ":" + NAME
        return WorkflowInput.parse_json(clients.stepfunctions().describe_execution(executionArn=arn)["input"])

    def audit(self) -> list[dict[str, str]]:
        answer = clients.dynamodb().query(
            TableName=TABLE,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :audit)",
            ExpressionAttributeValues={":pk": {"S": pair_pk(PLAN.plan_id)}, ":audit": {"S": "AUDIT#"}},
        )
        return [dict(audit_from_item(item).changes) for item in answer["Items"]]

    def switch(self, value: str) -> None:
        clients.ssm().put_parameter(Name=PARAMETER, Value=value, Type="String", Overwrite=True)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DUAL_PUBLISHING": "true",
        "SHADOW_MODE_PARAMETER": PARAMETER,
        "PAIR_LEDGER_TABLE_NAME": TABLE,
        "EVIDENCE_BUCKET_NAME": BUCKET,
        "PUBLISH_BOUND_MS": "10000",
    }.items():
        monkeypatch.setenv(name, value)
    for make in CLIENTS:
        make.cache_clear()
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        )
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        machine = boto3.client("stepfunctions").create_state_machine(
            name="alchemiser-dev-execution-workflow",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/workflow",
        )["stateMachineArn"]
        monkeypatch.setenv("STATE_MACHINE_ARN", machine)
        made = Cloud(machine, monkeypatch)
        made.switch("shadow")
        yield made
    for make in CLIENTS:
        make.cache_clear()


def test_a_plan_is_in_the_ledger_and_running(cloud: Cloud) -> None:
    pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, pair.version, pair.trade_count) == (StartState.STARTED, 1, 15)
    assert pair.execution_arn == cloud.machine.replace(":stateMachine:", ":execution:") + ":" + NAME
    assert pair.plan_json is not None
    assert RebalancePlan.read_json(pair.plan_json) == PLAN
    assert cloud.executions() == [NAME]
    assert len(cloud.started_with().rebalance_plan.trade_messages) == 15
    assert [entry["start_state"] for entry in cloud.audit()] == ["STARTED"]


def test_publishing_twice_creates_nothing_new(cloud: Cloud) -> None:
    first = cloud.publish()
    assert cloud.publish() == first
    assert cloud.executions() == [NAME]
    assert len(cloud.audit()) == 1


def test_an_execution_that_exists_with_the_same_input_is_a_success(cloud: Cloud) -> None:
    first = cloud.publish()
    clients.dynamodb().delete_item(TableName=TABLE, Key=pair_key(PLAN.plan_id))
    again = cloud.publish()
    assert first is not None
    assert again is not None
    assert (again.start_state, again.input_sha256, again.execution_arn) == (
        StartState.STARTED,
        first.input_sha256,
        first.execution_arn,
    )


def test_an_execution_that_exists_with_another_input_is_a_refusal(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    clients.stepfunctions().start_execution(stateMachineArn=cloud.machine, name=NAME, input="{}")
    pair = cloud.publish()
    assert pair is not None
    assert pair.start_state is StartState.REFUSED
    assert (pair.start_reason or "").startswith("ExecutionAlreadyExists: with another input")
    assert "CandidatePublishFailures" in capsys.readouterr().out


@pytest.mark.parametrize("trades", [120, 1_500])
def test_a_large_plan_travels_as_a_claim_check(cloud: Cloud, trades: int) -> None:
    pair = cloud.publish(example_plan(trades))
    assert pair is not None
    assert pair.start_state is StartState.STARTED
    claim = cloud.started_with().claim_check
    assert claim is not None
    body = clients.s3().get_object(Bucket=claim.bucket, Key=claim.key)["Body"].read()
    assert sha256(body).hexdigest() == claim.sha256
    assert len(WorkflowPlan.parse_json(body).trade_messages) == claim.trade_count == trades
    if pair.plan_json is None:
        kept = clients.s3().get_object(Bucket=BUCKET, Key=str(pair.plan_key))["Body"].read()
        assert RebalancePlan.read_json(kept) == example_plan(trades)


def test_a_state_machine_that_is_not_there_is_a_refusal(cloud: Cloud) -> None:
    cloud.environment.setenv("STATE_MACHINE_ARN", cloud.machine + "-gone")
    pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, pair.start_reason) == (StartState.REFUSED, "StateMachineDoesNotExist")


@pytest.mark.parametrize("value", ["off", "shadow:0", "nonsense"])
def test_the_switch_in_ssm_decides(cloud: Cloud, value: str) -> None:
    cloud.switch(value)
    assert cloud.publish() is None
    assert cloud.executions() == []


def test_a_switch_that_cannot_be_read_means_the_control_alone(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    clients.ssm().delete_parameter(Name=PARAMETER)
    assert cloud.publish() is None
    assert cloud.executions() == []
    assert "CandidatePublishFailures" in capsys.readouterr().out


def test_a_start_of_unknown_fate_is_completed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def times_out(*_: object, **__: object) -> None:
        raise ReadTimeoutError(endpoint_url="states")

    with monkeypatch.context() as broken:
        broken.setattr(StepFunctionsStarter, "start", times_out)
        pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, cloud.executions()) == (StartState.INTENDED, [])
    assert completer_from_environment().complete(pair) is StartState.STARTED
    assert cloud.executions() == [NAME]
    completed = cloud.pair()
    assert completed is not None
    assert (completed.start_state, completed.input_sha256) == (StartState.STARTED, pair.input_sha256)


def test_a_second_publication_completes_the_first(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(StepFunctionsStarter, "start", lambda *_: 1 / 0)
        cloud.publish()
    pair = cloud.publish()
    assert pair is not None
    assert (pair.start_state, cloud.executions()) == (StartState.STARTED, [NAME])


# The adapters by themselves.


def ledger() -> tuple[DynamoPairLedgerWriter, Pair]:
    pair = Pair(
        plan_id=PLAN.plan_id,
        run_id=run_id_of(PLAN.plan_id),
        correlation_id=PLAN.correlation_id,
        trading_day=AT.date(),
        published_at=AT,
        trade_count=15,
    )
    return DynamoPairLedgerWriter(clients.dynamodb(), TABLE), pair


def test_a_transition_holds_although_the_pair_moved_on_meanwhile(cloud: Cloud) -> None:
    writer, pair = ledger()
    assert writer.create(pair) is None
    assert writer.create(pair) == pair
    writer.mark_control_error(pair, "ValueError", AT)
    writer.mark_started(pair, Started("arn", "digest"), AT)
    writer.mark_control_error(pair, None, AT)
    moved = cloud.pair()
    assert moved is not None
    assert (moved.start_state, moved.control_error, moved.version) == (StartState.STARTED, None, 3)
    assert [sorted(entry) for entry in cloud.audit()] == [
        ["control_error"],
        ["execution_arn", "input_sha256", "start_reason", "start_state"],
        ["control_error"],
    ]


def test_a_recorded_start_is_never_taken_back(cloud: Cloud) -> None:
    writer, pair = ledger()
    writer.create(pair)
    writer.mark_started(pair, Started("arn", "digest"), AT)
    writer.mark_refused(pair, "too late", AT)
    writer.mark_started(pair, Started("another", "digest"), AT)
    kept = cloud.pair()
    assert kept is not None
    assert (kept.start_state, kept.execution_arn, kept.version) == (StartState.STARTED, "arn", 1)


def test_a_pair_that_others_keep_changing_is_given_up_loudly(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, pair = ledger()
    writer.create(pair)
    monkeypatch.setattr(writer, "_read", lambda _: pair.model_copy(update={"version": 7}))
    with pytest.raises(LedgerConflict, match="was changed by others"):
        writer.mark_refused(pair.model_copy(update={"version": 7}), "reason", AT)
    assert cloud.audit() == []


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


def items_of(client: DynamoDBClient) -> list[str]:
    return [item["SK"]["S"] for item in client.scan(TableName=TABLE)["Items"]]


def test_the_ledger_holds_one_pair_and_its_audit(cloud: Cloud) -> None:
    cloud.publish()
    assert sorted(items_of(clients.dynamodb())) == ["AUDIT#000001", PAIR_SK]
