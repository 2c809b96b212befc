"""Business Unit: tests | Status: current.

`shadow promote` and `shadow rollback` against moto: one recorded move of the alias, and every reason not to make it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from reports import promoting
from shadow.aws.versions import Promotion, PromotionLog
from shadow.contracts.errors import EvidenceCorrupt
from tests.factories.versions import ALARM, FUNCTIONS, Stage, versioned
from tests.fakes.cli_cloud import BUCKET, shadow


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    with versioned(monkeypatch, tmp_path) as made:
        judge(monkeypatch, "READY")
        yield made


def judge(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """Let every version's evidence come to `word`."""
    criteria = [SimpleNamespace(state=SimpleNamespace(value="wait"), reason="3 of 10 days")] if word != "READY" else []
    statement = SimpleNamespace(readiness=SimpleNamespace(value=word), as_of="2026-11-27", criteria=criteria)
    monkeypatch.setattr(promoting, "statement_of", lambda *_, **__: statement)


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = shadow(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def promote(version: str, *more: str) -> tuple[int, dict[str, Any]]:
    return run("promote", "--version", version, "--alarm", ALARM, *more)


def records() -> list[tuple[str, str | None, str]]:
    log = PromotionLog(boto3.client("s3"), BUCKET)
    return [(entry.kind, entry.before and entry.before[-1], entry.after[-1]) for entry in log.all()]


def test_a_ready_version_is_promoted_and_rolled_back_and_each_move_is_recorded(stage: Stage) -> None:
    one, two = stage.publish(), stage.publish()

    assert promote("1")[0] == 0
    code, answer = promote(two)
    assert (code, answer["before"], answer["after"], answer["started_by_alias"]) == (0, one, two, True)
    assert stage.production() == two
    code, answer = run("rollback", "--by", "ana", "--reason", "it fails")

    assert (code, stage.production()) == (0, one)
    assert records() == [("promote", None, "1"), ("promote", "1", "2"), ("rollback", "2", "1")]


def test_a_roll_back_is_not_rolled_back_to_the_version_that_was_bad(stage: Stage) -> None:
    for version in ("1", "2"):
        stage.publish()
        promote(version)
    run("rollback", "--by", "ana", "--reason", "it fails")

    code, answer = run("rollback", "--by", "ana", "--reason", "again")

    assert (code, answer["kind"]) == (2, "NothingBefore")
    assert (stage.production() or "")[-1] == "1"


@pytest.mark.parametrize("word", ["NOT_YET", "BLOCKED"])
def test_what_is_not_ready_is_promoted_by_a_named_person_only(word: str, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.publish()
    judge(monkeypatch, word)

    code, answer = promote("1")
    assert (code, answer["kind"], stage.production()) == (2, "NotReady", None)
    assert "3 of 10 days" in answer["error"]
    assert promote("1", "--by", "ana")[0] == promote("1", "--reason", "why")[0] == 2
    assert (
        promote("1", "--by", " ", "--reason", "why")[1]["kind"]
        == promote("1", "--by", "", "--reason", "")[1]["kind"]
        == "BadInput"
    )
    assert records() == []
    code, answer = promote("1", "--by", "ana", "--reason", "mends a halt")

    assert (code, answer["override"], answer["readiness"], answer["by"]) == (0, True, word, "ana")
    assert stage.production() is not None


def test_an_alarm_that_does_not_exist_or_rings_refuses(stage: Stage) -> None:
    stage.publish()

    misspelt = run("promote", "--version", "1", "--alarm", ALARM.removesuffix("d"))[1]
    assert (misspelt["kind"], ALARM in misspelt["error"]) == ("AlarmMissing", True)
    assert run("promote", "--version", "1", "--alarm", "other")[1]["kind"] == "AlarmMissing"
    boto3.client("cloudwatch").set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="test")
    assert promote("1")[1]["kind"] == "AlarmRings"
    assert (stage.production(), records()) == (None, [])


def test_the_alarm_that_is_named_in_page_and_help_is_one_of_the_stack() -> None:
    checkout = Path(__file__).parents[2]
    told = (checkout / "docs" / "versions.md").read_text() + str(promoting.promote.__doc__)
    named = set(re.findall(r"--alarm alchemiser-prod-([a-z-]+)", told))

    there = set(re.findall(r"AlarmName: !Sub alchemiser-\$\{Stage\}-([a-z-]+)", (checkout / "template.yaml").read_text()))
    assert named
    assert named <= there


def test_a_version_that_is_not_the_whole_workflow_is_refused(stage: Stage) -> None:
    stage.publish(qualified=False)

    code, answer = promote("1")

    assert (code, answer["kind"]) == (2, "NotWhole")
    assert all(name in answer["error"] for name in FUNCTIONS)


@pytest.mark.parametrize(("stack", "mode"), [("live", "dry_run"), ("dry_run", "live"), ("live", "paper")])
def test_a_version_of_another_mode_is_refused(stack: str, mode: str, stage: Stage) -> None:
    stage.publish(mode)
    stage.cloud.parameters["ExecutionMode"] = stack

    assert promote("1")[1]["kind"] == "WrongMode"
    assert stage.production() is None


@pytest.mark.parametrize(
    "version", ["7", "0", "x", "1:2", "$LATEST", "arn:aws:states:us-east-1:123456789012:stateMachine:other:1", ""]
)
def test_what_is_no_published_version_is_refused(version: str, stage: Stage) -> None:
    stage.publish()

    assert promote(version)[1]["kind"] == "UnknownVersion"


def test_what_is_in_production_is_not_promoted_again(stage: Stage) -> None:
    stage.publish()
    promote("1")

    assert promote("1")[1]["kind"] == "AlreadyInProduction"
    assert len(records()) == 1


def test_two_that_promote_at_once_do_not_both_move_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1", "2", "3"):
        stage.publish()
        if version == "1":
            promote(version)
    keep = PromotionLog.keep

    def beside(log: PromotionLog, record: Promotion) -> str:
        keep(log, record.model_copy(update={"after": record.after[:-1] + "3", "by": "bob"}))
        return keep(log, record)

    with monkeypatch.context() as at_once:
        at_once.setattr(PromotionLog, "keep", beside)
        assert promote("2")[1]["kind"] == "ChangedMeanwhile"
    assert (stage.production() or "")[-1] == "1"
    assert promote("2")[1]["kind"] == "ChangedMeanwhile"
    monkeypatch.setattr(promoting, "_MOVING", timedelta(0))

    assert promote("2")[0] == 0


def test_what_was_deleted_since_is_not_gone_back_to(stage: Stage) -> None:
    one, _, _ = stage.publish(), stage.publish(), stage.publish()
    promote("1")
    promote("2")
    stage.delete(one)

    code, answer = run("rollback", "--by", "ana", "--reason", "it fails")

    assert (code, answer["kind"]) == (2, "NothingBefore")
    assert "is deleted" in answer["error"]
    boto3.client("lambda").delete_function(FunctionName=FUNCTIONS[0], Qualifier="3")
    assert promote("3")[1]["kind"] == "NotWhole"
    assert run("rollback", "--by", " ", "--reason", "it fails")[0] == 2
    assert (stage.production() or "")[-1] == "2"


def test_an_alias_that_is_split_is_nobody_s_production(stage: Stage) -> None:
    one, two = stage.publish(), stage.publish()
    routing = [{"stateMachineVersionArn": one, "weight": 90}, {"stateMachineVersionArn": two, "weight": 10}]
    boto3.client("stepfunctions").create_state_machine_alias(name="production", routingConfiguration=routing)

    assert promote("2")[1]["kind"] == run("rollback", "--by", "ana", "--reason", "it fails")[1]["kind"] == "SplitAlias"
    listed = shadow("version", "list")
    assert listed.exit_code == 0
    assert "in production" not in listed.stdout


def test_without_a_record_nothing_moves(stage: Stage) -> None:
    stage.publish()
    stage.cloud.outputs["EvidenceBucketName"] = "no-such-bucket"

    code, answer = promote("1")

    assert (code, answer["kind"], stage.production()) == (3, "EvidenceUnavailable", None)


def test_a_record_that_was_changed_is_noticed(stage: Stage) -> None:
    stage.publish()
    promote("1")
    s3 = boto3.client("s3")
    key = s3.list_objects_v2(Bucket=BUCKET, Prefix="promotions/")["Contents"][0]["Key"]
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")

    with pytest.raises(EvidenceCorrupt):
        records()


def test_a_stack_that_does_not_start_the_alias_is_told(stage: Stage) -> None:
    stage.publish()
    del stage.cloud.parameters["WorkflowAlias"]

    assert promote("1")[1]["started_by_alias"] is False
