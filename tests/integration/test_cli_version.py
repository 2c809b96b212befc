"""Business Unit: tests | Status: current.

`shadow version` against moto: a version is the workflow with its functions, published together, once and recorded; what is
deployed stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from shadow.aws import clients
from shadow.aws.versions import PromotionLog, functions_in, named_by_version
from tests.factories.versions import FUNCTIONS, Stage, versioned
from tests.fakes.cli_cloud import BUCKET, shadow

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    with versioned(monkeypatch, tmp_path) as made:
        made.publish(qualified=False)
        yield made


def run(*arguments: str) -> tuple[int, Any]:
    result = shadow("version", *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def deployed(stage: Stage) -> str:
    return str(boto3.client("stepfunctions").describe_state_machine(stateMachineArn=stage.machine)["definition"])


def test_a_version_names_its_functions_by_version_and_what_is_deployed_stays(stage: Stage) -> None:
    before = deployed(stage)

    code, answer = run("publish", "--by", "ana", "--note", "sizes by the trade amount")

    assert (code, answer["new"], answer["version"]) == (0, True, f"{stage.machine}:{answer['number']}")
    assert set(answer["functions"]) == set(FUNCTIONS)
    assert all(number.isdigit() for number in answer["functions"].values())
    assert deployed(stage) == before
    code, listed = run("list")
    newest = listed["versions"][0]
    assert (newest["version"], newest["by"], newest["note"]) == (answer["version"], "ana", "sizes by the trade amount")
    assert not any(entry["in_production"] for entry in listed["versions"])


@pytest.mark.usefixtures("stage")
def test_what_was_published_can_be_promoted_and_is_listed_as_in_production() -> None:
    _, answer = run("publish")
    by = ("--by", "ana", "--reason", "the first")

    promoted = shadow(
        "promote", "--version", answer["number"], "--alarm", "alchemiser-dev-shadow-executions-failed", *by, "--json"
    )

    assert promoted.exit_code == 0
    assert [entry["number"] for entry in run("list")[1]["versions"] if entry["in_production"]] == [answer["number"]]


@pytest.mark.usefixtures("stage")
def test_nothing_changed_is_the_same_version_and_no_second_record() -> None:
    first = run("publish")[1]

    code, again = run("publish")

    assert (code, again) == (0, first | {"new": False})
    assert len(PromotionLog(boto3.client("s3"), BUCKET).keys()) == 1


def test_a_definition_that_could_not_be_put_back_is_told_and_mended_by_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, client = deployed(stage), clients.stepfunctions()
    update = client.update_state_machine

    def once(**words: Any) -> Any:
        if "publish" not in words:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "UpdateStateMachine")
        return update(**words)

    with monkeypatch.context() as broken:
        broken.setattr(client, "update_state_machine", once)
        assert run("publish")[1]["kind"] == "NotPutBack"
    assert deployed(stage) != before
    assert run("publish")[0] == 0
    assert deployed(stage) == before


def test_a_deployment_that_goes_on_is_not_mixed_in(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run("list")[1]
    with monkeypatch.context() as deploying:
        deploying.setattr(stage.cloud, "status", "UPDATE_IN_PROGRESS")
        assert run("publish")[1]["kind"] == "ChangedMeanwhile"
    client = clients.lambda_()
    publish_version = client.publish_version

    def deploy_too(**words: Any) -> Any:
        text = deployed(stage).replace('"Done"', '"Ended"')
        boto3.client("stepfunctions").update_state_machine(stateMachineArn=stage.machine, definition=text)
        return publish_version(**words)

    monkeypatch.setattr(client, "publish_version", deploy_too)

    assert run("publish")[1]["kind"] == "ChangedMeanwhile"
    assert run("list")[1] == before


def test_another_stack_s_workflow_and_one_without_functions_are_refused(stage: Stage) -> None:
    machine = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    boto3.client("stepfunctions").update_state_machine(stateMachineArn=stage.machine, definition=json.dumps(machine))
    assert run("publish")[1]["kind"] == "NotWhole"
    stage.cloud.parameters["ExistingStateMachineArn"] = stage.machine

    assert run("publish")[1]["kind"] == run("list")[1]["kind"] == "NotOurs"


def test_every_form_of_a_function_s_name_is_named_by_version_and_taken_back() -> None:
    text = json.dumps({"a": f"{ARN}one", "b": [f"{ARN}two:7"], "c": {"FunctionName": f"{ARN}one-more"}, "d": f"{ARN}two"})

    pinned = named_by_version(text, {"one": "3", "two": "8", "one-more": "1"})

    assert dict(functions_in(pinned)) == {"one": "3", "one-more": "1", "two": "8"}
    assert named_by_version(pinned, {}) == text.replace("two:7", "two")
    assert named_by_version(f'"{ARN}one:live"', {}) == f'"{ARN}one:live"'
