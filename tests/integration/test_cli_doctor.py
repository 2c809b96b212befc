"""Business Unit: tests | Status: current.

`shadow doctor` against moto: a healthy account is fine, and each thing that can be wrong is named with what to do about it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError, NoCredentialsError

from shadow.aws.table import to_item
from shadow.broker.port import AlpacaCredentials, BrokerUnauthorized
from shadow.cli.doctor import Account, Finding, basics, control, deployed, findings
from tests.factories.cloud_tables import REGION, make_table
from tests.factories.foreign_lane import LANE_FILE
from tests.fakes.cli_cloud import ACCOUNT, RUNS, CliCloud, cli_cloud, shadow
from tests.fakes.plans import plan_of
from tests.strategies.policies import TEXT

NUMBERS = {"candidate-key": "PA-CANARY-1", "control-key": "PA-CANARY-2"}
PLANS, LEDGER = "alchemiser-dev-rebalance-plans", "alchemiser-dev-trade-ledger"
QUEUE = "alchemiser-dev-execution.fifo"
FIFO = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "messageGroup",
    "FifoThroughputLimit": "perMessageGroupId",
    "VisibilityTimeout": "900",
}


def ask(credentials: AlpacaCredentials) -> str:
    """Stands in for the broker."""
    return NUMBERS[credentials.key]


class Healthy:
    """An account in which everything is as it should be."""

    def __init__(self, cloud: CliCloud) -> None:
        self.cloud = cloud
        dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        dynamodb.update_time_to_live(TableName=RUNS, TimeToLiveSpecification={"Enabled": True, "AttributeName": "TTL"})
        make_table(PLANS, "GSI1")
        make_table(LEDGER, "GSI1")
        dead = sqs.create_queue(QueueName="alchemiser-dev-execution-dlq.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        self.queue = sqs.create_queue(QueueName=QUEUE, Attributes=FIFO | {"RedrivePolicy": redrive})["QueueUrl"]
        boto3.client("events").create_event_bus(Name="alchemiser-dev-events")
        boto3.client("ses").verify_email_identity(EmailAddress="shadow@example.com")
        boto3.client("ses").verify_domain_identity(Domain="desk.example")
        boto3.client("ssm").put_parameter(Name="/alchemiser/dev/shadow/mode", Value="shadow:25", Type="String")
        self.secret("candidate-key")
        cloud.parameters |= {
            "ExecutionQueueUrl": self.queue,
            "ExecutionQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}",
            "ExecutionRunsTableName": RUNS,
            "RebalancePlanTableName": PLANS,
            "TradeLedgerTableName": LEDGER,
            "EventBusName": "alchemiser-dev-events",
            "ReportSender": "shadow@example.com",
            "RunbookBaseUrl": "https://docs.example.com/runbooks",
            "ReportRecipients": "anna@desk.example, ben@desk.example",
            "ControlAccountFingerprint": sha256(b"PA-CANARY-2").hexdigest(),
        }
        self.put_plan()

    def secret(self, key: str, name: str = "alchemiser/dev/candidate-broker", **changes: str) -> None:
        text = json.dumps({"key": key, "secret": "CANARY-SECRET"} | changes)
        client = boto3.client("secretsmanager")
        try:
            client.create_secret(Name=name, SecretString=text)
        except client.exceptions.ResourceExistsException:
            client.put_secret_value(SecretId=name, SecretString=text)

    def put_plan(self, **changes: object) -> None:
        plan = plan_of(AAPL="-600", MSFT="1000").to_wire() | changes
        item = {"PK": f"PLAN#{plan['plan_id']}", "SK": "METADATA", "plan_data": json.dumps(plan)}
        boto3.client("dynamodb").put_item(TableName=PLANS, Item=to_item(item))


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Healthy]:
    with cli_cloud(monkeypatch, tmp_path) as stack:
        monkeypatch.setattr(basics, "ask_alpaca", ask)
        monkeypatch.setattr(deployed, "account_limits", lambda: (1000, 900))  # moto does not know GetAccountSettings
        monkeypatch.setattr(deployed, "stack_resources", lambda _stage: [])
        yield Healthy(stack)


def doctor(*options: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    result = shadow("doctor", *options, "--json")
    by_check: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads(result.stdout)["findings"]:
        by_check.setdefault(entry["check"], []).append(entry)
    return result.exit_code, by_check


def test_a_healthy_account_is_fine(healthy: Healthy) -> None:
    assert healthy.queue
    code, found = doctor()

    assert [entry for entries in found.values() for entry in entries if entry["level"] != "ok"] == []
    assert code == 0
    assert {"identity", "clock", "parameters", "queue", "event bus", "two accounts", "mail sender", "plan sizes"} <= set(found)
    assert found["publishing mode"][0]["found"] == "shadow:25"


def test_no_secret_key_or_account_number_is_ever_shown(healthy: Healthy) -> None:
    assert healthy.queue
    output = shadow("doctor").output + shadow("doctor", "--json").output

    assert "CANARY" not in output
    assert "candidate-key" not in output


def test_text_says_what_to_do(healthy: Healthy) -> None:
    healthy.cloud.parameters["ReportSender"] = "other@example.com"

    result = shadow("doctor")

    assert result.exit_code == 1
    assert "other@example.com is not verified" in result.stdout
    assert "→ verify the address or its domain in SES" in result.stdout
    assert "1 fail" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 160


@pytest.mark.parametrize(
    ("check", "parameters", "words"),
    [
        ("table execution-runs", {"ExecutionRunsTableName": "nowhere"}, "nowhere does not exist"),
        ("table rebalance-plans", {"RebalancePlanTableName": RUNS}, "index: expected True, was False"),
        ("queue", {"ExecutionQueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/nowhere.fifo"}, "does not exist"),
        ("queue ARN", {"ExecutionQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:other.fifo"}, "ExecutionQueueArn: expected"),
        ("event bus", {"EventBusName": "nowhere"}, "nowhere does not exist"),
        ("candidate secret", {"BrokerSecretId": "nowhere"}, "nowhere does not exist"),
        ("two accounts", {"ControlAccountFingerprint": sha256(b"PA-CANARY-1").hexdigest()}, "one account"),
        ("parameters", {"ExecutionMode": "live"}, "expected dry_run or paper while ProductionLane is legacy, was live"),
        ("parameters", {"ProductionLane": "workflow", "ExecutionMode": "paper"}, "while ProductionLane is workflow, was paper"),
        (
            "parameters",
            {"ProductionLane": "workflow", "ControlAccountFingerprint": ""},
            "not set: ProductionLane workflow needs production's",
        ),
        ("parameters", {"ExecutionMode": "paper", "ControlAccountFingerprint": ""}, "ControlAccountFingerprint is not set"),
        (
            "parameters",
            {"ExecutionMode": "paper", "BrokerEndpoint": "https://api.example.com"},
            "BrokerEndpoint: expected a paper",
        ),
        ("parameters", {"Stage": "Production!"}, "Stage: expected 2 to 12 lower-case letters"),
        ("parameters", {"TradeLedgerTableName": ""}, "TradeLedgerTableName is not set"),
        (
            "candidate secret",
            {"BrokerSecretId": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:b-abcdef"},
            "another account",
        ),
        ("candidate secret", {"BrokerSecretId": f"arn:aws:secretsmanager:{REGION}:1{ACCOUNT[1:-1]}:secret:b-abcdef"}, "another"),
        ("candidate secret", {"KeptNamesSuffix": "-2"}, "alchemiser/dev/candidate-broker-2 does not exist"),
        ("control secret", {"BrokerTruth": "true", "ControlBrokerSecretId": "nowhere"}, "nowhere does not exist"),
        (
            "existing workflow",
            {"ExistingStateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:nowhere"},
            "does not exist",
        ),
        ("files", {"LaneFile": "lane.toml", "PolicyFile": "policy.toml"}, "LaneFile, PolicyFile without FilesLayerArn"),
        ("mail recipients", {"ReportRecipients": ",".join(f"a{n}@desk.example" for n in range(51))}, "SES takes 50 a mail"),
        ("mail recipients", {"ReportRecipients": "carl@elsewhere.example"}, "carl@elsewhere.example not verified"),
    ],
)
def test_what_is_wrong_fails_with_words_and_advice(check: str, parameters: dict[str, str], words: str, healthy: Healthy) -> None:
    healthy.cloud.parameters |= parameters

    code, found = doctor()

    failed = [entry for entry in found[check] if entry["level"] == "fail"]
    assert code == 1
    assert any(words in entry["found"] for entry in failed)
    assert all(entry["advice"] for entry in failed)


def test_a_queue_without_the_contracts_attributes_fails(healthy: Healthy) -> None:
    url = boto3.client("sqs").create_queue(QueueName="plain")["QueueUrl"]
    healthy.cloud.parameters |= {"ExecutionQueueUrl": url, "ExecutionQueueArn": ""}

    code, found = doctor()

    assert code == 1
    assert "FifoQueue: expected true, was None" in found["queue"][0]["found"]
    assert found["queue visibility"][0]["level"] == "warn"
    assert found["queue dead letters"][0]["level"] == "warn"


UNFILLED = ('{"key": "to-be-filled", "secret": "x"}', '{"key": "", "secret": ""}', "not JSON", '{"key": "k"}')


@pytest.mark.parametrize("text", UNFILLED)
def test_a_secret_that_is_not_complete_fails(text: str, healthy: Healthy) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="alchemiser/dev/candidate-broker", SecretString=text)

    code, found = doctor()

    assert healthy.queue
    assert code == 1
    assert found["candidate secret"][0]["level"] == "fail"
    assert "alchemiser/dev/candidate-broker" in found["candidate secret"][0]["advice"]


def test_a_broker_that_does_not_answer_fails(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_credentials: AlpacaCredentials) -> str:
        raise BrokerUnauthorized("no")

    monkeypatch.setattr(basics, "ask_alpaca", refuse)
    code, found = doctor()

    assert healthy.queue
    assert code == 1
    assert "BrokerUnauthorized" in found["candidate account"][0]["found"]


def test_the_reference_controls_own_secret_tells_the_accounts_apart(healthy: Healthy) -> None:
    healthy.cloud.parameters |= {"ControlLane": "reference", "ControlAccountFingerprint": "0" * 64}
    healthy.secret("candidate-key", "alchemiser/dev/control-broker")

    code, found = doctor()

    assert code == 1
    assert found["two accounts"][0]["level"] == "fail"
    assert "not of the control's account" in found["fingerprint"][0]["found"]


@pytest.mark.parametrize(("value", "level"), [("off", "warn"), ("full", "fail"), ("shadow:101", "fail"), ("shadow", "ok")])
def test_the_publishing_mode_is_read(value: str, level: str, healthy: Healthy) -> None:
    boto3.client("ssm").put_parameter(Name="/alchemiser/dev/shadow/mode", Value=value, Type="String", Overwrite=True)

    _, found = doctor()

    assert healthy.queue
    assert found["publishing mode"][0]["level"] == level


def test_plans_that_break_the_contract_are_named(healthy: Healthy) -> None:
    healthy.put_plan(plan_id="broken", total_trade_value="1")

    code, found = doctor()

    assert code == 1
    assert "broken" in found["plan contract"][0]["found"]
    assert "total_trade_value" in found["plan contract"][0]["found"]


def test_large_plans_are_counted_as_claim_checks(healthy: Healthy) -> None:
    plan = plan_of(**{f"S{number}": "100" for number in range(150)})
    item = {"PK": f"PLAN#{plan.plan_id}", "SK": "METADATA", "plan_data": plan.model_dump_json()}
    boto3.client("dynamodb").put_item(TableName=PLANS, Item=to_item(item))

    code, found = doctor()

    assert healthy.queue
    assert code == 0
    assert "1 by claim check" in found["plan sizes"][0]["found"]


def test_before_a_deployment_samconfig_and_given_parameters_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with cli_cloud(monkeypatch, tmp_path, deployed=False):
        (tmp_path / "samconfig.toml").write_text(
            '[dev.deploy.parameters.parameter_overrides]\nStage = "dev"\nControlLane = "reference"\nExecutionMode = "dry_run"\n'
        )

        code, found = doctor("--parameter", "ReportSender=shadow@example.com")

        assert code == 1
        assert [entry["level"] for entry in found["table rebalance-plans"]] == ["ok"]
        assert "will be made by the deployment" in found["queue"][0]["found"]
        assert found["candidate secret"][0]["level"] == "warn"
        assert found["mail sender"][0]["level"] == "fail"
        assert "samconfig.toml" in found["parameters"][0]["found"]


def test_a_malformed_parameter_or_samconfig_is_bad_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with cli_cloud(monkeypatch, tmp_path, deployed=False):
        assert shadow("doctor", "--parameter", "Stage").exit_code == 2
        (tmp_path / "samconfig.toml").write_text("[dev")
        assert shadow("doctor").exit_code == 2


def test_without_credentials_aws_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody(_account: Account) -> Iterator[Finding]:
        raise NoCredentialsError
        yield

    with cli_cloud(monkeypatch, tmp_path, deployed=False):
        monkeypatch.setattr(basics, "identity", nobody)

        result = shadow("doctor", "--json")

        assert result.exit_code == json.loads(result.stdout)["exit_code"] == 3


def test_a_check_that_is_denied_is_a_finding_and_the_others_go_on() -> None:
    def denied(_account: Account) -> Iterator[Finding]:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeTable")
        yield

    found = findings("tables", denied, Account("dev", {}, "here"))

    assert [(entry.level, entry.advice) for entry in found] == [("fail", "allow DescribeTable to who runs the doctor")]


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (30, "warn"), (-30, "warn"), (600, "fail")])
def test_the_clock_is_held_against_the_services(seconds: int, level: str) -> None:
    now = datetime(2026, 11, 24, 20, 45, tzinfo=UTC)

    assert basics.clock(format_datetime(now + timedelta(seconds=seconds), usegmt=True), now).level == level


def test_a_service_without_a_time_leaves_the_clock_unchecked() -> None:
    assert basics.clock(None, datetime.now(UTC)).level == "warn"


DEPLOYED = Account("dev", {"ControlLane": "existing"}, "stack", deployed=True, state="UPDATE_COMPLETE")


def deployed_function(name: str = "alchemiser-dev-execute-trade-sfn") -> str:
    iam, client = boto3.client("iam"), boto3.client("lambda")
    role = iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("lambda_handler.py", "")
    client.create_function(
        FunctionName=name, Runtime="python3.12", Role=role, Handler="lambda_handler.x", Code={"ZipFile": archive.getvalue()}
    )
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


@pytest.mark.usefixtures("healthy")
def test_w3_an_alias_with_an_old_environment_is_found() -> None:
    name = deployed_function()
    assert [entry.level for entry in deployed.functions(DEPLOYED)] == ["ok"]

    boto3.client("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": {"A": "1"}})

    (found,) = deployed.functions(DEPLOYED)
    assert (found.level, found.found) == ("fail", f"{name}:live differs from $LATEST in Environment")


def test_w3_a_version_in_production_that_keeps_an_old_interlock_is_found(healthy: Healthy) -> None:
    functions, machines = boto3.client("lambda"), boto3.client("stepfunctions")
    name, stack = (
        deployed_function(),
        replace(DEPLOYED, parameters={"WorkflowAlias": "production"}, outputs=healthy.cloud.outputs),
    )
    (found,) = deployed.promoted(stack)
    assert (found.level, "there is no alias" in found.found) == ("fail", True)

    call = {"Type": "Task", "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:1", "End": True}
    version = machines.update_state_machine(
        stateMachineArn=healthy.cloud.machine, definition=json.dumps({"StartAt": "A", "States": {"A": call}}), publish=True
    )["stateMachineVersionArn"]
    machines.create_state_machine_alias(
        name="production", routingConfiguration=[{"stateMachineVersionArn": version, "weight": 100}]
    )
    assert [entry.level for entry in deployed.promoted(stack)] == ["ok"]

    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"EXECUTION_MODE": "dry_run"}})
    (found,) = deployed.promoted(stack)
    assert (found.level, found.found) == ("fail", f"{name}:1 has its own EXECUTION_MODE")


@pytest.mark.usefixtures("healthy")
def test_w6_alarms_that_nobody_gets_are_found() -> None:
    topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
    account = replace(DEPLOYED, outputs={"AlarmTopicArn": topic})

    (found,) = deployed.subscriptions(account)
    assert (found.level, found.found) == ("fail", "nobody gets the alarms")

    boto3.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="anna@desk.example")
    (found,) = deployed.subscriptions(account)
    assert found.level == "ok"


def test_w6_a_subscription_that_was_not_confirmed_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = {"Endpoint": "anna@desk.example", "SubscriptionArn": "PendingConfirmation"}
    client = SimpleNamespace(list_subscriptions_by_topic=lambda **_: {"Subscriptions": [waiting]})
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)

    (found,) = deployed.subscriptions(replace(DEPLOYED, outputs={"AlarmTopicArn": "arn"}))
    assert (found.level, found.found) == ("fail", "nobody gets the alarms: anna@desk.example did not confirm")


def test_w6_a_subscription_that_was_cancelled_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """SNS goes on listing who unsubscribed, with `Deleted` in place of an ARN."""
    cancelled = {"Endpoint": "anna@desk.example", "SubscriptionArn": "Deleted"}
    client = SimpleNamespace(list_subscriptions_by_topic=lambda **_: {"Subscriptions": [cancelled]})
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)

    (found,) = deployed.subscriptions(replace(DEPLOYED, outputs={"AlarmTopicArn": "arn"}))
    assert (found.level, found.found) == ("fail", "nobody gets the alarms")


def test_w7_parameters_that_samconfig_has_otherwise_are_named() -> None:
    account = replace(DEPLOYED, configured={"ExecutionMode": "live"}, stack_parameters={"ExecutionMode": "dry_run"})

    state, differing = deployed.stack(account)
    assert state.level == "ok"
    assert differing.found == "ExecutionMode is 'dry_run', not 'live'"


def test_w8_a_stack_that_was_rolled_back_is_not_read_as_deployed() -> None:
    (found,) = deployed.stack(Account("dev", {}, "samconfig.toml", state="ROLLBACK_COMPLETE"))

    assert (found.level, "sam delete" in found.advice) == ("fail", True)


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "warn", "deploy again"),
        ("UPDATE_ROLLBACK_FAILED", "fail", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "warn", "when it has ended"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "warn", "when it has ended"),
        ("DELETE_FAILED", "warn", "deploy again"),
    ],
)
def test_w8_each_state_that_a_failed_update_leaves_has_its_own_advice(state: str, level: str, words: str) -> None:
    (found,) = deployed.stack(replace(DEPLOYED, state=state))

    assert (found.level, words in found.advice) == (level, True)


def test_a_stack_that_may_not_be_read_is_not_taken_for_none(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_stage: str) -> dict[str, object]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeStacks")

    monkeypatch.setattr("shadow.cli.target.describe_stack", denied)
    code, found = doctor()

    assert healthy.queue
    assert code == 1
    assert found["stack"][0]["found"].startswith("shadow-dev cannot be read (AccessDenied)")


def test_w7_another_region_than_the_one_deployed_to_is_found(healthy: Healthy) -> None:
    Path("samconfig.toml").write_text('[dev.global.parameters]\nregion = "eu-west-1"\n')

    code, found = doctor()

    assert healthy.queue
    assert (code, found["region"][0]["level"]) == (1, "fail")
    assert "AWS_REGION=eu-west-1" in found["region"][0]["advice"]


def test_w13_a_stage_without_a_table_is_looked_at_as_it_would_be_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with cli_cloud(monkeypatch, tmp_path, deployed=False):
        (tmp_path / "samconfig.toml").write_text('[dev.deploy.parameters.parameter_overrides]\nControlLane = "reference"\n')

        _, found = doctor("--stage", "qa")

    assert "alchemiser-qa-rebalance-plans will be made" in found["table rebalance-plans"][0]["found"]


def test_w10_a_customers_key_that_the_roles_may_not_use_is_found(healthy: Healthy) -> None:
    kms, secrets = boto3.client("kms"), boto3.client("secretsmanager")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    boto3.client("dynamodb").create_table(
        TableName="encrypted",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    secrets.create_secret(Name="own", SecretString="{}", KmsKeyId=key)
    for changed, what in (({"TradeLedgerTableName": "encrypted"}, "table encrypted"), ({"BrokerSecretId": "own"}, "secret own")):
        before = dict(healthy.cloud.parameters)
        healthy.cloud.parameters |= changed
        (found,) = doctor()[1]["customer keys"]
        assert (found["level"], found["found"]) == ("fail", f"{what} is under {key}")

        healthy.cloud.parameters["CustomerKeyArns"] = f"arn:aws:kms:us-east-1:000000000000:key/one,{key}"
        assert doctor()[1]["customer keys"][0]["level"] == "ok"
        healthy.cloud.parameters = before


@pytest.fixture
def layer(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Deploy with a layer of these files, and give what the doctor finds of them."""

    def examined(files: Mapping[str, str] | OSError, **parameters: str) -> list[dict[str, Any]]:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in ({} if isinstance(files, OSError) else files).items():
                archive.writestr(name, text)
        made = boto3.client("lambda").publish_layer_version(LayerName="files", Content={"ZipFile": buffer.getvalue()})

        def fetch(_address: str) -> bytes:
            if isinstance(files, OSError):
                raise files
            return buffer.getvalue()

        monkeypatch.setattr(control, "fetched", fetch)
        healthy.cloud.parameters |= {"FilesLayerArn": made["LayerVersionArn"]} | parameters
        return doctor()[1]["files"]

    return examined


def test_the_files_that_functions_are_to_read_are_read_in_their_layer_first(layer: Callable[..., list[dict[str, Any]]]) -> None:
    files = {"python/lane.toml": LANE_FILE, "python/policy.toml": TEXT, "python/ready.toml": "", "python/": ""}
    fine = layer(files, LaneFile="lane.toml", PolicyFile="policy.toml", ReadinessFile="ready.toml")
    assert [(each["level"], each["found"].partition(" ")[0]) for each in fine] == [
        ("ok", "lane.toml:"),
        ("ok", "policy.toml"),
        ("ok", "ready.toml"),
    ]
    assert "lane orders-v2" in fine[0]["found"]
    (missing, *_) = layer(files, LaneFile="lanes.toml")
    assert (missing["level"], missing["found"]) == (
        "fail",
        "LaneFile: expected lanes.toml in the layer's folder python, was python/lane.toml, python/policy.toml, python/ready.toml",
    )
    (faulty, rules, *_) = layer(
        files | {"python/lane.toml": LANE_FILE.replace('name = "orders-v2"', ""), "python/policy.toml": "x = 1"},
        LaneFile="lane.toml",
    )
    assert "name: expected an identifier" in faulty["found"]
    assert [each["level"] for each in (faulty, rules)] == ["fail", "fail"]
    (blind,) = layer(OSError("it is answered with status 403"), LaneFile="lane.toml")
    assert (blind["level"], "status 403" in blind["found"]) == ("warn", True)
    (gone,) = layer(files, FilesLayerArn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:nowhere:7")
    assert (gone["level"], "does not exist" in gone["found"]) == ("fail", True)


@pytest.mark.parametrize("address", ["http://example.com/a", "s3://bucket/key", "None", "https://"])
def test_a_layer_is_fetched_over_https_alone(address: str) -> None:
    with pytest.raises(OSError, match="its address is not https"):
        control.fetched(address)


def test_an_existing_workflow_that_keeps_no_history_is_refused(healthy: Healthy) -> None:
    express = boto3.client("stepfunctions").create_state_machine(
        name="express",
        type="EXPRESS",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/any",
        definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
    )["stateMachineArn"]
    healthy.cloud.parameters["ExistingStateMachineArn"] = express

    assert "type: expected STANDARD, was EXPRESS" in doctor()[1]["existing workflow"][0]["found"]


@pytest.mark.usefixtures("healthy")
def test_what_is_switched_off_or_gone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    events, alarms, client = boto3.client("events"), boto3.client("cloudwatch"), boto3.client("lambda")
    queue = boto3.client("sqs").create_queue(QueueName="hints")["QueueUrl"]
    arn = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = client.create_event_source_mapping(EventSourceArn=arn, FunctionName=deployed_function())["UUID"]
    events.put_rule(Name="plain", EventPattern="{}")
    events.put_rule(Name="bussed", EventPattern="{}", EventBusName="alchemiser-dev-events")
    target = {"Arn": arn, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any"}
    schedule: dict[str, Any] = {
        "Name": "sweep",
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    boto3.client("scheduler").create_schedule(**schedule)
    metric: dict[str, Any] = {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "Threshold": 1}
    alarm = metric | {"AlarmName": "critical", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
    alarms.put_metric_alarm(**alarm)
    stands = [
        ("Calls", "AWS::Lambda::EventSourceMapping", mapping),
        ("Plain", "AWS::Events::Rule", "plain"),
        ("Bussed", "AWS::Events::Rule", "alchemiser-dev-events|bussed"),
        ("Sweep", "AWS::Scheduler::Schedule", "sweep"),
        ("Critical", "AWS::CloudWatch::Alarm", "critical"),
        ("Other", "AWS::SQS::Queue", queue),
    ]
    monkeypatch.setattr(deployed, "stack_resources", lambda _stage: stands)
    (found,) = deployed.switches(DEPLOYED)
    assert (found.level, found.found) == ("ok", "5 queues' calls, schedules, rules and alarms are on")

    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    events.disable_rule(Name="plain")
    events.delete_rule(Name="bussed", EventBusName="alchemiser-dev-events")
    boto3.client("scheduler").update_schedule(**schedule, State="DISABLED")
    alarms.put_metric_alarm(**alarm, ActionsEnabled=False)
    (found,) = deployed.switches(DEPLOYED)
    off = "Calls is Disabled; Plain is DISABLED; Bussed is gone; Sweep is DISABLED; Critical is without its actions"
    assert (found.level, found.found) == ("fail", off)


@pytest.mark.parametrize(("lane", "level"), [("legacy", "fail"), ("workflow", "ok")])
def test_the_controls_rule_is_off_after_a_cut_over_and_only_then(monkeypatch: pytest.MonkeyPatch, lane: str, level: str) -> None:
    monkeypatch.setattr(deployed, "stack_resources", lambda _stage: [("ControlEventsRule", "AWS::Events::Rule", "bus|rule")])
    monkeypatch.setitem(deployed._SWITCHES, "AWS::Events::Rule", lambda _: "DISABLED")

    (found,) = deployed.switches(replace(DEPLOYED, parameters={"ProductionLane": lane}))
    assert found.level == level


@pytest.mark.parametrize(
    ("limits", "before", "wanted", "level"),
    [
        ((1000, 900), {}, {"Candidate": "10", "Comparator": "6"}, None),
        ((1000, 135), {}, {"Candidate": "10", "Comparator": "6"}, "fail"),
        ((1000, 136), {}, {"Candidate": "10", "Comparator": "6"}, None),
        ((10, 10), {}, {"Comparator": "6"}, "fail"),
        ((10, 10), {}, {}, None),
        ((1000, 100), {"Candidate": "10"}, {"Candidate": "10"}, None),
        ((1000, 100), {"Candidate": "10"}, {"Candidate": "11"}, "fail"),
        ((1000, 145), {}, {"Candidate": "10", "Control": "16"}, None),
    ],
)
def test_w5_what_a_deployment_reserves_must_leave_a_hundred(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], before: dict[str, str], wanted: dict[str, str], level: str | None
) -> None:
    """Lambda leaves a hundred to the functions without a reservation, or all of a new account's ten, and refuses what is more."""

    def named(kept: dict[str, str]) -> dict[str, str]:
        return {f"{name}ReservedConcurrency": value for name, value in kept.items()}

    monkeypatch.setattr(deployed, "account_limits", lambda: limits)
    account = Account("dev", named(wanted), "samconfig.toml")
    if before:
        account = Account("dev", {}, "stack", deployed=True, stack_parameters=named(before), configured=named(wanted))

    found = [entry.level for entry in deployed.concurrency(account) if entry.check == "reservations"]
    assert found == ([level] if level else [])


def test_w5_a_control_that_is_called_by_an_alias_is_asked_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    function, asked = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:control", list[str]()

    def kept(**given: str) -> dict[str, int]:
        asked.append(given["FunctionName"])
        return {"ReservedConcurrentExecutions": 10}

    client = SimpleNamespace(
        list_event_source_mappings=lambda **_: {"EventSourceMappings": [{"FunctionArn": f"{function}:live"}]},
        get_function_concurrency=kept,
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    monkeypatch.setattr(deployed, "account_limits", lambda: (1000, 900))

    (found,) = deployed.concurrency(replace(DEPLOYED, parameters={"ExecutionQueueArn": "arn"}))
    assert (asked, "the control keeps 10" in found.found) == ([function], True)


@pytest.mark.parametrize(("reserved", "called", "levels"), [(5, 10, ["warn", "ok"]), (10, 10, ["ok"]), (5, 0, ["ok"])])
def test_w5_a_control_that_may_run_less_often_than_its_queue_calls_it_is_found(
    monkeypatch: pytest.MonkeyPatch, reserved: int, called: int, levels: list[str]
) -> None:
    scaling = {"ScalingConfig": {"MaximumConcurrency": called}} if called else {}
    client = SimpleNamespace(
        list_event_source_mappings=lambda **_: {"EventSourceMappings": [{"FunctionArn": "control"} | scaling]},
        get_function_concurrency=lambda **_: {"ReservedConcurrentExecutions": reserved},
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    monkeypatch.setattr(deployed, "account_limits", lambda: (1000, 900))

    found = list(deployed.concurrency(replace(DEPLOYED, parameters={"ExecutionQueueArn": "arn"})))
    assert [entry.level for entry in found] == levels


@pytest.mark.parametrize(
    ("free", "kept", "rejudges", "level"),
    [(900, 0, "true", "ok"), (73, 0, "false", "ok"), (72, 0, "false", "warn"), (152, 0, "true", "warn"), (40, 10, "true", "ok")],
)
def test_w5_the_accounts_limit_and_the_controls_reservation_are_read(
    monkeypatch: pytest.MonkeyPatch, free: int, kept: int, rejudges: str, level: str
) -> None:
    mapped = {"EventSourceMappings": [{"FunctionArn": "control"}]}
    client = SimpleNamespace(
        get_account_settings=lambda: {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": free}},
        list_event_source_mappings=lambda **_: mapped,
        get_function_concurrency=lambda **_: {"ReservedConcurrentExecutions": kept} if kept else {},
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)

    parameters = {"ExecutionQueueArn": "arn", "RejudgeInCloud": rejudges}
    (found,) = deployed.concurrency(replace(DEPLOYED, parameters=parameters))
    assert (found.level, f"the control keeps {kept or 'none'}" in found.found) == (level, True)


@pytest.mark.parametrize("short", [True, False], ids=["as written", "as the SAM CLI writes it"])
def test_the_checkouts_template_is_held_against_the_stacks(monkeypatch: pytest.MonkeyPatch, short: bool) -> None:  # noqa: FBT001
    text = Path("template.yaml").read_text()
    sent = text if short else yaml.safe_dump(deployed.parse_template(text), sort_keys=False)
    sent = sent.replace("Timeout: 300", "Timeout: 299", 1)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: SimpleNamespace(get_template=lambda **_: {"TemplateBody": sent}))

    (found,) = deployed.template(DEPLOYED)
    assert found.level == "warn"
    assert found.found.startswith("the stack's template differs in Resources.")
    assert "," not in found.found

    sent = sent.replace("Timeout: 299", "Timeout: 300", 1)
    (found,) = deployed.template(DEPLOYED)
    assert found.level == "ok"


def test_where_uploads_went_and_how_scalars_are_written_is_no_difference() -> None:
    here = {"Resources": {"One": {"Type": "T", "Properties": {"CodeUri": "build/one", "Size": 1, "On": True}}}}
    there = {
        "Resources": {"One": {"Type": "T", "Properties": {"CodeUri": "s3://b/k", "Size": "1", "On": "true"}, "Metadata": {}}}
    }
    assert deployed.differences(here, there) == []
    assert deployed.differences(here, {"Resources": {}, "Outputs": {"A": 1}}) == ["Outputs.A", "Resources.One"]


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ('{"url": "https://hooks.example.com/CANARY", "format": "slack"}', "ok"),
        ('{"url": "http://a.example/CANARY", "format": "teams"}', "fail"),
        ("CANARY", "fail"),
    ],
)
def test_the_webhooks_secret_is_looked_into_and_never_shown(healthy: Healthy, value: str, level: str) -> None:
    boto3.client("secretsmanager", region_name="us-east-1").create_secret(Name="shadow/webhook", SecretString=value)
    healthy.cloud.parameters |= {"AlertWebhookSecretId": "shadow/webhook", "RunbookBaseUrl": "docs/runbooks"}

    _code, found = doctor()

    assert found["webhook"][0]["level"] == level
    assert found["runbook links"][0]["level"] == "warn"
    assert "CANARY" not in json.dumps(found)
