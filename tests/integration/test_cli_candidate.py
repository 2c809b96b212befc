"""Business Unit: tests | Status: current.

`shadow candidate` against moto: each plan that production ran on a day is run once by the version, and its comparisons are the
version's own evidence, in which a plan that it did not run is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest

from reports.versions import LedgerOfVersion, OfVersion
from shadow.cli.stored import StackStore
from shadow.cli.target import Target
from shadow.contracts.pair import Pair, PairState, Unpaired, UnpairedPlan
from shadow.contracts.vocabulary import Lane, Origin, Role
from shadow.replay import replayer
from shadow.settlement.stored import S3Source, read_comparison
from tests.factories.comparisons import comparison_of, outcome_of
from tests.factories.versions import Stage, versioned
from tests.fakes.cli_cloud import BUCKET, pair_of, shadow

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
    found = OfVersion(S3Source(BUCKET, ledger=store.ledger), name).documents(DAY, DAY)
    comparisons = [read_comparison(content, place) for place, content in found]
    assert {entry.origin for entry in comparisons} <= {"live"}
    return [entry.plan_id for entry in comparisons], LedgerOfVersion(store.ledger, name)


def test_each_plan_of_the_day_is_run_once_by_the_version(stage: Stage) -> None:
    stage.publish(calls=False)
    stage.publish(calls=False)
    plans = [stage.cloud.store(comparison_of(DAY, trades=2, number=number)).plan_id for number in range(2)]

    _, first = run("2")
    _, second = run("2")

    names = [f"{plan}~replay-version-2" for plan in plans]
    assert sorted(entry["replay_id"] for entry in first["results"]) == sorted(names)
    assert second["results"] == first["results"]
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

    assert (result.exit_code, json.loads(result.stdout)["readiness"]) == (1, "NOT_YET")
    assert json.loads(shadow("readiness", "--version", "9", "--json").stdout)["kind"] == "UnknownVersion"


def test_a_plan_that_production_has_not_ended_is_left_for_later(stage: Stage) -> None:
    stage.publish(calls=False)
    stage.cloud.record(pair_of(comparison_of(DAY, trades=2), state=PairState.PENDING))

    code, answer = run("1")

    assert (code, answer["kind"]) == (2, "BadInput")


def test_a_version_that_is_not_whole_or_another_s_workflow_is_refused(stage: Stage) -> None:
    stage.publish(qualified=False)
    stage.cloud.store(comparison_of(DAY, trades=2))

    assert run("1")[1]["kind"] == "NotWhole"
    assert run("9")[1]["kind"] == "UnknownVersion"
    stage.cloud.parameters["ExistingStateMachineArn"] = stage.machine
    assert run("1")[1]["kind"] == "ReplayRefused"
