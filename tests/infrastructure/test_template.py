"""The template itself: names, encryption, roles, alarms and dashboard, read from the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml

from local.cloud.emulator_side.alarm_rules import ALARM, OK, AlarmRule, Sample, state_at
from local.iam_proof.policies import statements_of
from local.iam_proof.proof import DEPLOYED_WITH
from shadow.contracts.vocabulary import NAMESPACE, Metric

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = cfn_yaml.load(str(ROOT / "template.yaml"))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
METRICS = {metric.value for metric in Metric}
UNSCOPED_BY_THE_SERVICE = {"Trace", "DeliverLogs"}


def of_type(kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role["Properties"]["Policies"]:
            for entry in policy["PolicyDocument"]["Statement"]:
                statement = entry["Fn::If"][1] if "Fn::If" in entry else entry
                found.append((name, statement))
    return found


def test_every_function_has_a_role_of_its_own() -> None:
    roles = [function["Properties"]["Role"]["Fn::GetAtt"][0] for function in of_type("AWS::Serverless::Function").values()]
    assert len(roles) == len(set(roles)) == 13


def test_every_function_folder_is_deployed_and_nothing_else() -> None:
    deployed = {function["Properties"]["CodeUri"].split("/")[1] for function in of_type("AWS::Serverless::Function").values()}
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/lambda_handler.py")}
    assert deployed == folders


@pytest.mark.parametrize(("role", "statement"), statements(), ids=lambda value: value if isinstance(value, str) else value["Sid"])
def test_no_write_is_allowed_on_every_resource(role: str, statement: dict[str, Any]) -> None:
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert all("*" not in action for action in actions), f"{role}: wildcard action"
    if statement["Resource"] == "*":
        assert statement["Sid"] in UNSCOPED_BY_THE_SERVICE, f"{role}: {statement['Sid']} is not scoped"


def test_the_candidate_cannot_read_the_controls_secret_nor_reach_its_queue() -> None:
    candidate = {
        name
        for name in of_type("AWS::IAM::Role")
        if name not in {"LegacyExecutionRole", "PublishPlanRole", "IntakeRole", "CompareOutcomesRole", "DailyReportRole"}
    }
    for role, statement in statements():
        if role in candidate:
            text = json.dumps(statement)
            assert "sqs:" not in text, role
            assert "ExecutionRunsTable" not in text, role


SWAPPED = {"ProductionLane": "workflow", "ExecutionMode": "live", "ControlAccountFingerprint": "0" * 64}


@pytest.mark.parametrize(("parameters", "owners"), [({}, {"control"}), (SWAPPED, {"candidate"})], ids=["legacy", "workflow"])
@pytest.mark.parametrize("broker_truth", ["false", "true"])
def test_only_the_lane_in_production_can_read_productions_secret(
    parameters: dict[str, str], owners: set[str], broker_truth: str
) -> None:
    control, candidate = {"LegacyExecutionRole", "PublishPlanRole"}, {"PrepareTradesRole", "ExecuteTradeSfnRole"}
    allowed = statements_of(ROOT / "template.yaml", {**DEPLOYED_WITH, **parameters, "BrokerTruth": broker_truth})
    readers = {each.role for each in allowed if "control-broker" in str(each.resources)} - {"CompareOutcomesRole"}
    assert readers == (control if owners == {"control"} else candidate)
    assert not readers & {each.role for each in allowed if "candidate-broker" in str(each.resources)}


def test_a_legacy_lane_that_shadows_can_touch_none_of_productions_places() -> None:
    allowed = statements_of(ROOT / "template.yaml", {**DEPLOYED_WITH, **SWAPPED})
    reached = {resource for each in allowed if each.role == "LegacyExecutionRole" for resource in each.resources}
    assert {name.rsplit("/", 1)[-1] for name in reached if "ledger" in name or "event-bus" in name} == {
        "alchemiser-dev-shadow-trade-ledger",
        "alchemiser-dev-shadow-events",
    }


THEIRS = "arn:aws:states:us-east-1:000000000000:stateMachine:orders-v2"


def test_a_workflow_of_somebody_else_is_started_and_read_and_none_of_ours_is_deployed() -> None:
    foreign = {**DEPLOYED_WITH, "ExistingStateMachineArn": THEIRS, "LaneFile": "/opt/lane.toml"}
    allowed = statements_of(ROOT / "template.yaml", foreign)
    deployed = {each.role for each in allowed}
    assert {"IntakeRole", "CompareOutcomesRole"} <= deployed
    assert not deployed & {"ExecutionWorkflowStateMachineRole", "PrepareTradesRole", "ExecuteTradeSfnRole", "NotifyFailureRole"}
    reached = {
        resource for each in allowed for action in each.actions if action.startswith("states:") for resource in each.resources
    }
    below = THEIRS.replace("stateMachine", "execution") + ":*", THEIRS.replace("stateMachine", "mapRun") + "/*"
    assert reached == {THEIRS, *below}
    started = {each.role for each in allowed if "states:StartExecution" in each.actions}
    assert started == {"IntakeRole", "CompareOutcomesRole"}
    assert not [each for each in allowed if "candidate-state" in str(each.resources)]


def test_the_intake_reads_its_own_queue_and_no_secret() -> None:
    text = json.dumps([statement for role, statement in statements() if role == "IntakeRole"])
    assert "ExecutionFifoQueue" not in text
    assert "secretsmanager" not in text


def test_a_portfolio_function_needs_one_permission_and_a_layer_that_outlives_deployments() -> None:
    policy = of_type("AWS::IAM::ManagedPolicy")["DualPublishPolicy"]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", {"Fn::GetAtt": ["IntakeQueue", "Arn"]})
    layer = of_type("AWS::Serverless::LayerVersion")["PublisherLayer"]["Properties"]
    assert layer["RetentionPolicy"] == "Retain"
    assert {"python3.10", "python3.14"} <= set(layer["CompatibleRuntimes"])


def test_the_environment_to_copy_is_one_json_object_of_the_variables_that_the_publisher_reads() -> None:
    told = {
        name: json.loads(TEMPLATE["Outputs"][name]["Value"]["Fn::Sub"])
        for name in ("DualPublishEnvironment", "LegacyShadowEnvironment")
    }
    read = re.search(r"names = \((.+?)\)", (ROOT / "shadow/publish/__init__.py").read_text("utf-8"))
    assert read is not None
    assert set(told["DualPublishEnvironment"]) == set(re.findall(r"[A-Z_]+", read[1]))
    assert set(told["LegacyShadowEnvironment"]) == {"EVENT_BUS_NAME", "TRADE_LEDGER_TABLE_NAME"}


def test_every_log_group_is_kept_thirty_days() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert len(groups) == 14
    assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {30}


def test_every_table_is_encrypted_and_recoverable() -> None:
    for name, table in of_type("AWS::DynamoDB::Table").items():
        assert table["Properties"]["SSESpecification"]["SSEEnabled"] is True, name
        assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, name
        assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST", name


def test_every_queue_is_encrypted_and_has_somewhere_for_poison_to_go() -> None:
    for name, queue in of_type("AWS::SQS::Queue").items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True, name
        assert name.endswith("Dlq") or queue["Properties"]["RedrivePolicy"]["maxReceiveCount"] >= 3, name


def test_every_rule_target_retries_and_has_a_dead_letter_queue() -> None:
    for name, rule in of_type("AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0, name
            assert "Arn" in target["DeadLetterConfig"], name


def test_the_controls_queue_keeps_its_contract() -> None:
    queue = RESOURCES["ExecutionFifoQueue"]["Properties"]
    assert queue["FifoQueue"] is True
    assert queue["ContentBasedDeduplication"] is False
    assert queue["DeduplicationScope"] == "messageGroup"
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"
    assert (queue["VisibilityTimeout"], queue["MessageRetentionPeriod"]) == (900, 4 * 86400)
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 3
    assert RESOURCES["ExecutionDlq"]["Properties"]["MessageRetentionPeriod"] == 14 * 86400


def test_the_control_is_deployed_only_as_a_reference() -> None:
    control = ["ExecutionRunsTable", "RebalancePlanTable", "TradeLedgerTable", "ExecutionFifoQueue", "ExecutionDlq", "EventBus"]
    for name in [*control, "LegacyExecutionFunction", "PublishPlanFunction"]:
        assert RESOURCES[name]["Condition"] == "DeployReference", name


def test_live_is_refused_unless_the_workflow_is_in_production() -> None:
    rule = TEMPLATE["Rules"]["RefuseLiveUnlessInProduction"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "ExecutionMode"}, "live"]}
    assert [each["Assert"] for each in rule["Assertions"]] == [{"Fn::Equals": [{"Ref": "ProductionLane"}, "workflow"]}]
    assert TEMPLATE["Parameters"]["ExecutionMode"]["Default"] == "dry_run"
    assert TEMPLATE["Parameters"]["ProductionLane"]["Default"] == "legacy"


def test_an_alias_is_refused_while_the_stack_says_that_the_workflow_does_not_trade() -> None:
    """Published versions keep their variables: a deployment with dry_run would be told and would stop nothing."""
    rule = TEMPLATE["Rules"]["TheAliasIsForProduction"]
    wanted = [{"Fn::Equals": [{"Ref": "ProductionLane"}, "workflow"]}, {"Fn::Equals": [{"Ref": "ExecutionMode"}, "live"]}]

    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "WorkflowAlias"}, "production"]}
    assert [each["Assert"] for each in rule["Assertions"]] == [{"Fn::And": wanted}]


def alarms() -> dict[str, Any]:
    return of_type("AWS::CloudWatch::Alarm")


def test_every_alarm_on_our_namespace_watches_a_metric_that_exists() -> None:
    watched = [a["Properties"] for a in alarms().values() if a["Properties"]["Namespace"] == NAMESPACE]
    assert len(watched) >= 16
    for alarm in watched:
        assert alarm["MetricName"] in METRICS, alarm["AlarmName"]
        assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["Stage"]


@pytest.mark.parametrize("name", sorted(alarms()))
def test_every_alarm_says_what_to_do_and_why_missing_data_is_treated_so(name: str) -> None:
    alarm = alarms()[name]
    slug = alarm["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("alchemiser-${Stage}-shadow-")
    assert f"${{RunbookBaseUrl}}/{slug}.md" in alarm["Properties"]["AlarmDescription"]["Fn::Sub"]
    assert (ROOT / "docs" / "runbooks" / f"{slug}.md").exists()
    assert alarm["Properties"]["TreatMissingData"] in {"breaching", "notBreaching", "ignore"}
    assert alarm["Metadata"]["MissingData"]
    assert alarm["Properties"]["AlarmActions"] == alarm["Properties"]["OKActions"] == [{"Ref": "AlarmTopic"}]


def test_the_composite_names_only_alarms_that_exist() -> None:
    rule = RESOURCES["DoNotCutOverAlarm"]["Properties"]["AlarmRule"]["Fn::Sub"]
    named = re.findall(r'ALARM\("\$\{(\w+)\}"\)', rule)
    assert len(named) >= 18
    assert set(named) <= set(alarms())


def test_the_dashboard_shows_only_metrics_that_exist() -> None:
    body = json.loads(RESOURCES["MigrationDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0])
    shown = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
    ours = [metric[1] for metric in shown if metric[0] == NAMESPACE]
    assert len(ours) >= 20
    assert set(ours) <= METRICS


def test_w2_no_alias_holds_a_function_back() -> None:
    """An alias stays on its version when only a layer or a parameter changes; without one, what is deployed is what runs."""
    for name, function in of_type("AWS::Serverless::Function").items():
        assert not {"AutoPublishAlias", "SnapStart", "ProvisionedConcurrencyConfig"} & function["Properties"].keys(), name


def test_w4_a_layer_that_functions_outside_of_the_stack_name_outlives_a_deployment() -> None:
    assert RESOURCES["SharedCodeLayer"]["Properties"]["RetentionPolicy"] == "Retain"


def test_w5_a_sweep_is_not_tried_again_beside_the_next_one() -> None:
    """Lambda calls a function that failed twice more, and keeps throttled events for six hours; a sweep comes every minute."""
    comparator = RESOURCES["CompareOutcomesFunction"]["Properties"]

    assert comparator["Events"]["Sweep"]["Properties"]["ScheduleExpression"] == "rate(1 minute)"
    assert comparator["EventInvokeConfig"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}


def test_every_queue_that_takes_events_or_plans_takes_a_whole_megabyte() -> None:
    """EventBridge and Lambda hand over up to 1 MB; what is larger than its queue is lost with its dead letter."""
    sizes = {
        name: resource["Properties"].get("MaximumMessageSize")
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::SQS::Queue"
    }

    assert {name for name, size in sizes.items() if size != 1_048_576} == {"ExecutionFifoQueue", "ExecutionDlq"}


def test_w8_what_is_kept_does_not_survive_a_failed_first_create() -> None:
    policies = {each.get("DeletionPolicy") for each in RESOURCES.values()}
    assert "Retain" not in policies
    assert "RetainExceptOnCreate" in policies


def on_errors() -> list[str]:
    return sorted(name for name, alarm in alarms().items() if alarm["Properties"]["MetricName"] == "Errors")


@pytest.mark.parametrize("starts", [0, 1, 59, 60, 299])
@pytest.mark.parametrize("delay", [0, 60, 120])
@pytest.mark.parametrize("name", on_errors())
def test_w11_an_alarm_on_errors_goes_off_for_an_invocation_that_took_all_its_time(name: str, delay: int, starts: int) -> None:
    """Errors is stamped with the invocation's start, and can be seen when it has ended and CloudWatch has taken it in."""
    properties = alarms()[name]["Properties"]
    rule = AlarmRule.from_description({**properties, "AlarmName": name, "Dimensions": []})
    timeout = RESOURCES[properties["Dimensions"][0]["Value"]["Ref"]]["Properties"]["Timeout"]
    begun = 36_000 + starts
    seen = begun + timeout + delay

    states = [
        state_at(rule, [Sample(at=begun, value=1.0)] if minute >= seen else [], minute, OK)[0]
        for minute in range(36_000, 36_000 + 7_200, 60)
    ]

    assert ALARM in states
    assert states[-1] == OK


def test_w11_the_alarms_that_look_at_errors_are_those_of_the_comparator_and_of_the_report() -> None:
    assert len(on_errors()) == 2


SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:"


@pytest.mark.parametrize(
    ("given", "read", "not_read"),
    [
        ("desk/broker", "desk/broker-AbCdEf", ("desk/broker-live-AbCdEf", "desk/broker2-AbCdEf", "desk/broker-AbCdEf-XyZ123")),
        (f"{SECRET}desk/broker-AbCdEf", "desk/broker-AbCdEf", ("desk/broker-AbCdEf-XyZ123", "desk/broker-live-AbCdEf")),
    ],
    ids=["name", "arn"],
)
def test_w9_exactly_one_secret_is_readable_by_name_or_arn(given: str, read: str, not_read: tuple[str, ...]) -> None:
    statements = statements_of(ROOT / "template.yaml", {**DEPLOYED_WITH, "BrokerSecretId": given})
    own = [each for each in statements if each.role == "ExecuteTradeSfnRole"]

    def may(secret: str) -> bool:
        return any(each.allows("secretsmanager:GetSecretValue", f"{SECRET}{secret}", {}) for each in own)

    assert may(read)
    assert not any(may(each) for each in not_read)


def test_w10_customer_keys_are_used_by_way_of_their_services_and_only_when_given() -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/abc"
    given = statements_of(ROOT / "template.yaml", {**DEPLOYED_WITH, "CustomerKeyArns": f"{key},{key}2"})
    users = {each.role for each in given if each.sid == "CustomerKeys"}

    trading = {"PrepareTradesRole", "ExecuteTradeSfnRole", "LegacyExecutionRole", "PublishPlanRole"}
    assert users == trading | {"CompareOutcomesRole", "DailyReportRole"}
    assert {resource for each in given if each.sid == "CustomerKeys" for resource in each.resources} == {key, f"{key}2"}
    assert not [each for each in statements_of(ROOT / "template.yaml", DEPLOYED_WITH) if each.sid == "CustomerKeys"]


def test_w10_an_alias_of_a_key_is_refused_because_a_policy_that_names_one_allows_nothing() -> None:
    pattern = TEMPLATE["Parameters"]["CustomerKeyArns"]["AllowedPattern"]
    key, alias = (f"arn:aws:kms:us-east-1:000000000000:{each}" for each in ("key/1234-abcd", "alias/desk"))

    assert all(re.fullmatch(pattern, given) for given in ("", key, f"{key},{key}"))
    assert not any(re.fullmatch(pattern, given) for given in (alias, f"{key},{alias}", f"{key}, {key}"))


@pytest.mark.parametrize("sender", ["a@example.com", "Shadow report <a@example.com>", "レポート <a@example.com>"])
def test_w13_a_sender_with_a_name_may_send_with_a_configuration_set(sender: str) -> None:
    own = statements_of(ROOT / "template.yaml", {**DEPLOYED_WITH, "ReportSender": sender})
    (mail,) = [each for each in own if each.sid == "Mail"]

    for resource in ("identity/example.com", "configuration-set/any"):
        place = f"arn:aws:ses:us-east-1:000000000000:{resource}"
        assert mail.allows("ses:SendRawEmail", place, {"ses:fromaddress": "a@example.com"})
        assert not mail.allows("ses:SendRawEmail", place, {"ses:fromaddress": "b@example.com"})


def test_w13_the_state_machines_log_group_is_a_vended_one() -> None:
    assert RESOURCES["ExecutionWorkflowLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/states/")


NEVER_ABSENT = {
    "IntakeRole": "reads an object only to compare it with what it is asked to write under the same name",
    "RejudgePairsRole": "reads the comparisons that the ledger names, which nobody can delete",
    "ExecutionWorkflowStateMachineRole": "Step Functions reads what PrepareTrades has just written",
    "RejudgeStateMachineRole": "Step Functions reads what the command has just written",
}


def test_a_role_that_reads_an_object_can_tell_one_that_is_gone_from_one_that_is_forbidden() -> None:
    """S3 answers 403 for an object that is not there unless the bucket may be listed: a lost plan would look denied."""
    given = statements_of(ROOT / "template.yaml", {**DEPLOYED_WITH, "RejudgeInCloud": "true"})
    reads, lists = ({each.role for each in given if action in each.actions} for action in ("s3:GetObject", "s3:ListBucket"))

    assert reads - lists == set(NEVER_ABSENT)
