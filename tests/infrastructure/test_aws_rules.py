"""What AWS refuses and the emulators accept: each rule finds its breach, and the project has none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from local.aws_rules import budgets, limits, machine
from local.aws_rules.rules import RULES, breaches
from local.cloud.build import LAYERS, UNZIPPED_LIMIT, Artefact, Artefacts, beyond_limits

ROOT = Path(__file__).parents[2]
TEXT = machine.read_machines(ROOT)["execution_workflow.asl.json"]


def test_w1_every_state_name_is_unique_in_the_whole_machine() -> None:
    assert machine.repeated_names(TEXT) == []


@pytest.mark.parametrize("phase", ["Sell", "Buy"])
def test_w1_a_name_that_a_large_phase_shares_with_the_small_one_is_found(phase: str) -> None:
    clash = TEXT.replace(f'"ExecuteLargePlan{phase}Trade"', f'"Execute{phase}Trade"')

    assert machine.repeated_names(clash) == [f"state Execute{phase}Trade: the name stands more than once in the machine"]


def test_w1_names_in_parallels_maps_and_one_list_are_counted_too() -> None:
    leaf = {"Type": "Pass", "End": True}
    branch = {"StartAt": "Inside", "States": {"Inside": leaf}}
    mapped = {"Type": "Map", "ItemProcessor": {"States": {"Top": leaf}}}
    states = {"Top": {"Type": "Parallel", "Branches": [branch, branch]}, "Each": mapped}

    assert [line.split(":")[0] for line in machine.repeated_names(json.dumps({"States": states}))] == [
        "state Inside",
        "state Top",
    ]
    assert len(machine.repeated_names('{"States": {"A": {"Type": "Succeed"}, "A": {"Type": "Succeed"}}}')) == 1


def test_the_other_rules_of_the_definition_find_their_breach() -> None:
    long, last = "N" * 81, [{"ErrorEquals": ["States.ALL", "Other"]}]
    broken = json.dumps({"States": {long: {"Type": "Task", "Catch": last}}})

    assert len(machine.long_names(broken)) == len(machine.unreachable_catchers(broken)) == 1
    assert machine.long_names(TEXT) == machine.unreachable_catchers(TEXT) == []


@pytest.mark.parametrize("file", ["execution_workflow.asl.json", "rejudge.asl.json"])
def test_w5_a_state_that_gives_up_on_a_throttled_call_too_early_is_found(file: str) -> None:
    text = machine.read_machines(ROOT)[file]
    called = text.count('FunctionArn}"')

    assert machine.impatient_with_throttles(text) == []
    assert len(machine.impatient_with_throttles(text.replace('"MaxAttempts": 30', '"MaxAttempts": 5'))) == called
    assert len(machine.impatient_with_throttles(text.replace("Lambda.TooManyRequestsException", "Other"))) == called


def test_w13_a_function_beyond_lambdas_limit_fails_the_build() -> None:
    folders = [path.name for path in (ROOT / "functions").iterdir() if (path / "lambda_handler.py").exists()]

    def built(reports: int) -> Artefacts:
        sizes = {"shared": 40, "reports": reports}
        layers = {each.name: Artefact(each.name, ROOT, sizes.get(each.name, 5)) for each in LAYERS}
        return Artefacts(layers, {name: Artefact(name, ROOT, 1) for name in folders})

    assert beyond_limits(ROOT / "template.yaml", built(UNZIPPED_LIMIT - 41)) == []
    (told,) = beyond_limits(ROOT / "template.yaml", built(UNZIPPED_LIMIT - 40))
    assert told.startswith("daily_report: ")


def test_the_project_breaks_no_rule_and_every_rule_names_its_source() -> None:
    assert breaches(ROOT) == []
    assert {rule.source.split("/")[2] for rule in RULES} <= {"docs.aws.amazon.com", "states-language.net"}


def test_every_state_machine_of_the_template_is_checked() -> None:
    deployed = set(re.findall(r"DefinitionUri: statemachines/(\S+)", (ROOT / "template.yaml").read_text()))

    assert set(machine.read_machines(ROOT)) == deployed
    assert len(deployed) > 1


HEAD = (
    "Globals: {Function: {Environment: {Variables: {A: !Ref Text}}}}\nParameters: {Stage: {Type: String}, Text: {Type: String}}\n"
)


@pytest.mark.parametrize(
    ("check", "resource", "fits", "told"),
    [
        ("name_limits", "FunctionName: !Sub '{}${{Stage}}'", 64 - 12, "F.FunctionName: up to 65 characters, at most 64"),
        ("name_limits", "Description: '{}'", 256, "F.Description: up to 257 characters, at most 256"),
        (
            "environment_limits",
            "Environment: {{Variables: {{B: '{}'}}}}",
            4096 - 1 - 1 - 128,
            "F: up to 4097 bytes of variables, at most 4096",
        ),
    ],
)
def test_a_name_a_description_and_variables_one_too_long_are_found(
    check: str, resource: str, fits: int, told: str, tmp_path: Path
) -> None:
    for length, expected in ((fits, []), (fits + 1, [told])):
        written = resource.format("x" * length)
        function = f"Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      {written}\n"
        (tmp_path / "template.yaml").write_text(HEAD + function)
        assert getattr(limits, check)(tmp_path) == expected


@pytest.mark.parametrize(
    ("kind", "properties", "most"),
    [
        ("AWS::IAM::ManagedPolicy", {"PolicyDocument": {"Statement": [{"Sid": ""}]}}, 6144),
        ("AWS::IAM::Role", {"Policies": [{"PolicyName": "a", "PolicyDocument": {"Statement": [{"Sid": ""}]}}]}, 10240),
    ],
)
def test_a_policy_one_character_too_long_is_found(kind: str, properties: dict[str, object], most: int, tmp_path: Path) -> None:
    document = properties["PolicyDocument"] if "PolicyDocument" in properties else properties["Policies"][0]["PolicyDocument"]  # type: ignore[index]
    room = most - len(json.dumps(document, separators=(",", ":")))

    def written(length: int) -> list[str]:
        long = json.dumps(properties).replace('"Sid": ""', f'"Sid": "{"x" * length}"')
        (tmp_path / "template.yaml").write_text(f'{{"Resources": {{"P": {{"Type": "{kind}", "Properties": {long}}}}}}}')
        return limits.policy_limits(tmp_path)

    assert written(room) == []
    assert len(written(room + 1)) == 1


def test_too_many_outputs_a_long_description_and_a_large_template_are_found(tmp_path: Path) -> None:
    outputs = ", ".join(f"O{number}: {{Value: a, Description: {'d' * (1025 if number == 0 else 1)}}}" for number in range(201))
    (tmp_path / "template.yaml").write_text(f"Resources: {{}}\nOutputs: {{{outputs}}}\n#{'x' * 1_048_576}")

    assert [line.split(", at")[0].split(" ", 1)[1] for line in limits.template_limits(tmp_path)] == [
        "bytes of template.yaml",
        "outputs",
        "bytes of the description of output O0",
    ]


MACHINE = {
    "States": {
        "Each": {
            "Type": "Map",
            "MaxConcurrency": 10,
            "ItemProcessor": {"States": {"One": {"Type": "Task", "TimeoutSeconds": 60, "Resource": "${OneFunctionArn}"}}},
        }
    }
}
TIMES = """
Parameters:
  Kept: {{Type: String, AllowedPattern: '{pattern}'}}
Resources:
  Waiting: {{Type: AWS::SQS::Queue, Properties: {{VisibilityTimeout: {hidden}}}}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {{DefinitionUri: statemachines/one.asl.json, DefinitionSubstitutions: {{OneFunctionArn: !GetAtt One.Arn}}}}
  One:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: {timeout}
      ReservedConcurrentExecutions: !If [Reserves, !Ref Kept, !Ref AWS::NoValue]
      Events: {{Queue: {{Type: SQS, Properties: {{Queue: !GetAtt Waiting.Arn, ScalingConfig: {{MaximumConcurrency: {polls}}}}}}}}}
"""
FITTING = {"pattern": "^(0|[1-9][0-9])$", "hidden": 300, "timeout": 50, "polls": 5}


@pytest.mark.parametrize(
    ("check", "change", "told"),
    [
        ("state_times", {}, []),
        ("state_times", {"timeout": 51}, ["one.asl.json, state One: gives up after 60 s, One may take 61 s with its start"]),
        ("queue_times", {}, []),
        ("queue_times", {"hidden": 299}, ["Waiting: hides a message for 299 s, One needs 300 s"]),
        ("reservations", {}, []),
        ("reservations", {"pattern": "^(0|[5-9]|[1-9][0-9])$"}, ["One: Kept may be 9, it is called 10 times at once"]),
        ("reservations", {"polls": 12}, ["One: Kept may be 11, it is called 12 times at once"]),
    ],
)
def test_w5_times_and_reservations_that_do_not_fit_are_found(
    check: str, change: dict[str, object], told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "statemachines").mkdir()
    (tmp_path / "statemachines" / "one.asl.json").write_text(json.dumps(MACHINE))
    (tmp_path / "template.yaml").write_text(TIMES.format(**FITTING | change))

    assert getattr(budgets, check)(tmp_path) == told
