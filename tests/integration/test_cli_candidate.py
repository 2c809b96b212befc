"""Business Unit: tests | Status: current.

`shadow candidate` against moto: each plan that production ran on a day is run once by the version, and its comparisons are the
version's own evidence, in which a plan that it did not run is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from reports.versions import LedgerOfVersion, OfVersion
from shadow.aws.observability import PowertoolsRecorder
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.cli.target import Target
from shadow.cli.verdicts import StackStore
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import Pair, PairState, Unpaired, UnpairedPlan
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Origin, Role
from shadow.intake.aws import PublishMode, S3PlanStore, StepFunctionsStarter
from shadow.intake.intake import Intake
from shadow.intake.payload import message_of
from shadow.replay import replayer
from shadow.replay.aws import ReplayStack
from shadow.replay.gate import recording_of
from shadow.settlement.stored import S3Source, read_comparison
from tests.factories.comparisons import comparison_of, outcome_of
from tests.factories.pairs import pair_behind
from tests.factories.versions import Stage, versioned
from tests.fakes.cli_cloud import BUCKET, TABLE, shadow
from tests.strategies.policies import TEXT

DAY = date(2026, 11, 24)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    make: Any = replayer.Pace.__init__

    def quick(pace: replayer.Pace, **values: Any) -> None:
        make(pace, **values | {"poll_seconds": 0.01, "rate": 60_000})

    monkeypatch.setattr(replayer.Pace, "__init__", quick)
    with versioned(monkeypatch, tmp_path) as made:
        yield made


def run(version: str, *more: str) -> tuple[int, Any]:
    result = shadow("candidate", "--version", version, "--date", str(DAY), *more, "--json")
    return result.exit_code, json.loads(result.stdout)


def evidence(stage: Stage, number: int) -> tuple[list[str], LedgerOfVersion]:
    """The plans that the version's evidence is of, and its ledger."""
    store = StackStore(Target("dev", stage.cloud.outputs, None))
    name = f"{stage.machine.rpartition(':')[2]}:{number}"
    begun = datetime.min.replace(tzinfo=UTC)
    found = OfVersion(S3Source(BUCKET, ledger=store.ledger), name, begun).documents(DAY, DAY)
    comparisons = [read_comparison(content, place) for place, content in found]
    assert {entry.origin for entry in comparisons} <= {"live"}
    return [entry.plan_id for entry in comparisons], LedgerOfVersion(store.ledger, name, begun)


def test_each_plan_of_the_day_is_run_once_by_the_version(stage: Stage) -> None:
    stage.publish(calls=False)
    stage.publish(calls=False)
    plans = [stage.cloud.store(comparison_of(DAY, trades=2, number=number)).plan_id for number in range(2)]

    _, first = run("2")
    _, second = run("2")

    names = [f"{plan}~replay-version-2" for plan in plans]
    assert sorted(entry["replay_id"] for entry in first["results"]) == sorted(names)
    assert [entry["comparison"] for entry in second["results"]] == [entry["comparison"] for entry in first["results"]]
    assert {entry["reason"] for entry in second["results"]} == {"judged before"}
    executions = boto3.client("stepfunctions").list_executions(stateMachineArn=stage.machine)["executions"]
    assert len(executions) == 2


def test_after_the_cut_over_the_version_is_held_against_the_workflow(stage: Stage) -> None:
    stage.publish(calls=False)
    before = comparison_of(DAY, trades=2)
    control = outcome_of(before.plan, Role.CANDIDATE).model_copy(update={"role": Role.CONTROL})
    after = before.model_copy(update={"production_lane": Lane.WORKFLOW, "control": control})
    stage.cloud.store(after, production_lane=Lane.WORKFLOW)

    _, answer = run("1")
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=answer["results"][0]["comparison"])["Body"].read()
    comparison = read_comparison(body, "stored")

    assert comparison.control is not None
    assert comparison.control.lane is Lane.WORKFLOW
    assert not [found for found in comparison.differences if found.kind in ("RUN_ID", "TRADE_ID")]


def test_where_production_runs_alone_its_own_run_is_read_and_the_version_held_against_it(stage: Stage) -> None:
    stage.publish(calls=False)
    plan = comparison_of(DAY, trades=2).plan
    publish_alone(stage, plan)

    code, answer = run("1")
    plans, ledger = evidence(stage, 1)
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=answer["results"][0]["comparison"])["Body"].read()
    comparison = read_comparison(body, "stored")

    assert (code, plans) == (0 if answer["verdicts"] == {"MATCHED": 1} else 1, [f"{plan.plan_id}~replay-version-1"])
    assert comparison.control is not None
    assert comparison.candidate is not None
    assert (comparison.control.lane, comparison.control.role) == (Lane.WORKFLOW, Role.CONTROL)
    name = stage.machine.rpartition(":")[2]
    assert comparison.candidate.version == f"{name}:1"
    assert comparison.control.version != f"{name}:1"
    assert not [plan for plan in ledger.unpaired_of(DAY) if isinstance(plan, UnpairedPlan)]
    recording = recording_of(comparison)
    assert recording is not None
    assert (recording.plan.plan_id, recording.production.run_id) == (plan.plan_id, run_id_of(plan.plan_id))


def test_production_s_run_alone_is_read_with_the_fields_that_the_policy_compares(stage: Stage, tmp_path: Path) -> None:
    stage.publish(calls=False)
    publish_alone(stage, comparison_of(DAY, trades=2).plan)
    policy = tmp_path / "policy.toml"
    policy.write_text(TEXT + '[own.fee]\nrule = "exact"\n', encoding="utf-8")

    answer = run("1", "--policy", str(policy))[1]
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=answer["results"][0]["comparison"])["Body"].read()
    comparison = read_comparison(body, "stored")

    assert comparison.control is not None
    assert comparison.candidate is not None
    assert [field.name for field in comparison.candidate.own] == ["fee"]
    assert comparison.control.own == comparison.candidate.own


def test_a_recording_holds_no_secret_though_the_plan_does(stage: Stage) -> None:
    stage.publish(calls=False)
    planted = {"headers": {"APCA-API-SECRET-KEY": "planted-one"}, "note": "sent Authorization: Bearer planted-two", "kept": "yes"}
    plan = comparison_of(DAY, trades=2).plan.model_copy(update={"metadata": planted})
    publish_alone(stage, plan)

    answer = run("1")[1]
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=answer["results"][0]["comparison"])["Body"].read()
    recording = recording_of(read_comparison(body, "stored"))

    assert b"planted" not in body
    assert recording is not None
    assert recording.plan.metadata is not None
    assert recording.plan.metadata["kept"] == "yes"
    assert recording.plan.items == plan.items


def test_a_plan_that_production_still_runs_alone_is_left_for_later(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.publish(calls=False)
    publish_alone(stage, comparison_of(DAY, trades=2).plan)
    monkeypatch.setattr(ReplayStack, "run_alone", lambda *_: None)

    code, answer = run("1")

    assert (code, answer["kind"]) == (2, "BadInput")


def test_against_itself_the_version_s_second_run_is_held_against_its_first_and_is_nobody_s_evidence(stage: Stage) -> None:
    stage.publish(calls=False)
    plan = stage.cloud.store(comparison_of(DAY, trades=2)).plan_id
    assert run("1", "--against-itself")[1]["kind"] == "BadInput"
    run("1")
    before = evidence(stage, 1)[0]

    _, answer = run("1", "--against-itself")
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=answer["results"][0]["comparison"])["Body"].read()

    comparison = read_comparison(body, "stored")
    assert comparison.control is not None
    assert comparison.candidate is not None
    assert comparison.control.version == comparison.candidate.version == f"{stage.machine.rpartition(':')[2]}:1"
    assert [entry["replay_id"] for entry in answer["results"]] == [f"{plan}~replay-itself-1"]
    assert evidence(stage, 1)[0] == before
    shown = json.loads(shadow("status", "--date", str(DAY), "--version", "1", "--json").stdout)
    assert [pair["plan_id"] for pair in shown["pairs"]] == before
    assert "itself-1" in shadow("status", "--date", str(DAY)).stdout
    missing = shadow("candidate", "--against-itself", "--date", str(DAY), "--json")
    assert (missing.exit_code, json.loads(missing.stdout)["kind"]) == (2, "BadInput")


def publish_alone(stage: Stage, plan: RebalancePlan) -> None:
    """Publish a plan to the workflow, which is in production and has no shadow."""
    intake = Intake(
        ledger=DynamoDbPairLedger(boto3.client("dynamodb"), TABLE),
        starter=StepFunctionsStarter(boto3.client("stepfunctions"), stage.machine),
        store=S3PlanStore(boto3.client("s3"), BUCKET),
        recorder=PowertoolsRecorder(),
        mode=lambda: PublishMode.parse("off"),
    )
    intake.take(message_of(plan, datetime.now(UTC), production_lane="workflow", shadowed=False))


def test_the_version_s_evidence_has_its_own_runs_and_misses_the_plans_it_did_not_run(stage: Stage) -> None:
    stage.publish(calls=False)
    ran = stage.cloud.store(comparison_of(DAY, trades=2))
    run("1")
    missed = stage.cloud.store(comparison_of(DAY, trades=2, number=1))

    plans, ledger = evidence(stage, 1)

    assert plans == [f"{ran.plan_id}~replay-version-1"]
    assert evidence(stage, 2)[0] == []
    pairs = [pair for pair in ledger.pairs_of(DAY) if isinstance(pair, Pair)]
    assert [(pair.plan_id, pair.origin, pair.production_lane) for pair in pairs] == [
        (f"{ran.plan_id}~replay-version-1", Origin.LIVE, Lane.LEGACY)
    ]
    unpaired = [plan for plan in ledger.unpaired_of(DAY) if isinstance(plan, UnpairedPlan)]
    assert [(plan.plan_id, plan.reason) for plan in unpaired] == [(missed.plan_id, Unpaired.NOT_SHADOWED)]


def test_readiness_is_told_of_the_version_alone(stage: Stage) -> None:
    stage.publish(calls=False)
    stage.cloud.store(comparison_of(DAY, trades=2))
    run("1")

    result = shadow("readiness", "--version", "1", "--json")

    assert (result.exit_code, json.loads(result.stdout)["readiness"]) == (1, "BLOCKED")  # this machine's run does nothing
    assert json.loads(shadow("readiness", "--version", "9", "--json").stdout)["kind"] == "UnknownVersion"


def test_a_plan_that_production_has_not_ended_is_left_for_later(stage: Stage) -> None:
    stage.publish(calls=False)
    stage.cloud.record(pair_behind(comparison_of(DAY, trades=2), state=PairState.PENDING))

    code, answer = run("1")

    assert (code, answer["kind"]) == (2, "BadInput")


def test_a_version_that_is_not_whole_or_another_s_workflow_is_refused(stage: Stage) -> None:
    stage.publish(qualified=False)
    stage.cloud.store(comparison_of(DAY, trades=2))

    assert run("1")[1]["kind"] == "NotWhole"
    assert run("9")[1]["kind"] == "UnknownVersion"
    stage.cloud.parameters["ExistingStateMachineArn"] = stage.machine
    assert run("1")[1]["kind"] == "NotOurs"
