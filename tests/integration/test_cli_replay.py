"""Business Unit: tests | Status: current.

`shadow replay` against moto: a replay is its own pair, its own execution and its own comparison; the same label resumes; a
candidate that could trade is refused.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest

from shadow.aws.pair_ledger import audit_from_item, pair_from_item, pair_key, pair_pk
from shadow.aws.table import to_item
from shadow.cli.target import Target
from shadow.cli.verdicts import StackStore
from shadow.contracts.comparison import Comparison
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.pair import Pair, PairState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin
from shadow.replay import replayer
from tests.factories.cloud_tables import make_table
from tests.factories.comparisons import comparison_of, missing_candidate, write_jsonl
from tests.fakes.cli_cloud import ACCOUNT, TABLE, CliCloud, cli_cloud, shadow

DAY = date(2026, 11, 24)
PLANS = "alchemiser-dev-rebalance-plans"
TRADING = ("alchemiser-dev-prepare-trades", "alchemiser-dev-execute-trade-sfn")


def function(name: str, mode: str) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("lambda_handler.py", "")
    boto3.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.14",
        Role=f"arn:aws:iam::{ACCOUNT}:role/any",
        Handler="lambda_handler.lambda_handler",
        Code={"ZipFile": body.getvalue()},
        Environment={"Variables": {"EXECUTION_MODE": mode}},
    )


def set_mode(name: str, mode: str) -> None:
    boto3.client("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": {"EXECUTION_MODE": mode}})


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CliCloud]:
    with cli_cloud(monkeypatch, tmp_path) as stack:
        boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        for name in TRADING:
            function(name, "dry_run")
        make_table(PLANS, "GSI1")
        monkeypatch.setattr(replayer.Pace, "__init__", _quick(replayer.Pace.__init__))
        yield stack


def _quick(make: Any) -> Any:
    def init(pace: replayer.Pace, **values: Any) -> None:
        make(pace, **values | {"poll_seconds": 0.01, "rate": 60_000})

    return init


def replay(*arguments: str) -> tuple[int, Any]:
    result = shadow("replay", *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def pair(plan_id: str) -> Pair | None:
    item = boto3.client("dynamodb").get_item(TableName=TABLE, Key=pair_key(plan_id)).get("Item")
    return pair_from_item(item) if item else None


def stored_plan(plan: RebalancePlan) -> None:
    item = {"PK": f"PLAN#{plan.plan_id}", "SK": "METADATA", "plan_data": plan.model_dump_json()}
    index = {"GSI1PK": f"CORR#{plan.correlation_id}", "GSI1SK": "PLAN"}
    boto3.client("dynamodb").put_item(TableName=PLANS, Item=to_item(item | index))


def test_a_replay_is_a_pair_of_its_own_and_the_live_one_stays_as_it_was(cloud: CliCloud) -> None:
    live = cloud.store(comparison_of(DAY, trades=4), held_json='{"SYM0000":"12.5"}')

    code, answer = replay(live.plan_id, "--label", "fix")

    replay_id = f"{live.plan_id}~replay-fix"
    found = pair(replay_id)
    assert found is not None
    assert pair(live.plan_id) == live
    assert (found.origin, found.state, found.trading_day) == (Origin.REPLAY, PairState.JUDGED, DAY)
    assert found.state_transitions is not None, "what a replay costs is counted with its own pair"
    assert answer["results"][0]["replay_id"] == replay_id
    assert answer["verdicts"] == {found.verdict.value: 1}
    assert code == 1, "an execution that did nothing is no match"

    described = boto3.client("stepfunctions").describe_execution(executionArn=found.execution_arn or "")
    sent = json.loads(described["input"])
    assert described["name"] == execution_name_of(run_id_of(replay_id))
    assert (sent["origin"], sent["planId"]) == ("replay", replay_id)
    assert [trade["currentPosition"] for trade in sent["rebalancePlan"]["tradeMessages"] if trade["symbol"] == "SYM0000"] == [
        "12.5"
    ]

    stored = StackStore(Target("dev", cloud.outputs, None)).of_pair(found)
    assert stored is not None
    comparison: Comparison = stored.comparison
    assert (comparison.origin, comparison.plan_id, comparison.run_id) == ("replay", replay_id, found.run_id)
    assert comparison.control is not None
    assert {ref.name for ref in comparison.evidence} == {"legacy", "workflow-00"}
    items = boto3.client("dynamodb").query(
        TableName=TABLE,
        KeyConditionExpression="PK = :p AND begins_with(SK, :a)",
        ExpressionAttributeValues=to_item({":p": pair_pk(replay_id), ":a": "AUDIT#"}),
    )["Items"]
    assert [audit_from_item(item).actor for item in items] == ["intake", "replay"]


def test_the_same_label_resumes_and_starts_nothing_again(cloud: CliCloud) -> None:
    live = cloud.store(comparison_of(DAY, trades=2))
    other = cloud.store(comparison_of(DAY, trades=2, number=1))

    _, first = replay(live.plan_id, "--label", "fix")
    _, second = replay(live.plan_id, other.plan_id, "--label", "fix")
    Path(second["state"]).unlink()
    _, third = replay(live.plan_id, other.plan_id, "--label", "fix")

    assert first["results"] == second["results"][:1]
    assert [entry["verdict"] for entry in third["results"]] == [entry["verdict"] for entry in second["results"]]
    assert all(entry["reason"] == "judged before" for entry in third["results"])
    executions = boto3.client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    assert len(executions) == 2


def test_replays_are_never_live_coverage(cloud: CliCloud) -> None:
    live = cloud.store(comparison_of(DAY, trades=2))
    replay(live.plan_id, "--label", "fix")

    answer = json.loads(shadow("status", "--date", str(DAY), "--json").stdout)

    assert answer["conservation"]["live"]["published"] == 1
    assert answer["conservation"]["live"]["matched"] == 1
    assert answer["conservation"]["replay"]["published"] == 1


@pytest.mark.parametrize("where", [*TRADING, "stack"])
@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_candidate_that_could_trade_is_refused_before_anything_is_written(where: str, mode: str, cloud: CliCloud) -> None:
    live = cloud.store(comparison_of(DAY, trades=2))
    if where == "stack":
        cloud.parameters["ExecutionMode"] = mode
    else:
        set_mode(where, mode)

    code, answer = replay(live.plan_id, "--label", "fix")

    assert code == answer["exit_code"] == 2
    assert answer["kind"] == "ReplayRefused"
    assert f"was {mode}" in answer["error"]
    assert pair(f"{live.plan_id}~replay-fix") is None


def test_plans_are_found_by_correlation_by_days_and_in_a_folder(cloud: CliCloud, tmp_path: Path) -> None:
    comparisons = [comparison_of(date(2026, 11, day), trades=2) for day in (17, 18, 19, 20)]
    for comparison in comparisons:
        cloud.store(comparison)
        stored_plan(comparison.plan)
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "one.json").write_text(comparisons[3].plan.model_dump_json())

    _, by_id = replay("--correlation", comparisons[0].plan.correlation_id, "--label", "a")
    _, by_day = replay("--from", "2026-11-18", "--to", "2026-11-19", "--label", "b")
    _, by_file = replay("--plans", "plans", "--label", "c")

    assert [entry["plan_id"] for entry in by_id["results"]] == [comparisons[0].plan_id]
    assert sorted(entry["plan_id"] for entry in by_day["results"]) == [comparisons[1].plan_id, comparisons[2].plan_id]
    assert [entry["plan_id"] for entry in by_file["results"]] == [comparisons[3].plan_id]


def test_an_offline_archive_is_replayed_whole_without_what_was_a_replay_already(cloud: CliCloud, tmp_path: Path) -> None:
    assert cloud.machine
    old = comparison_of(DAY, trades=2, number=3, origin="replay")
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(DAY, trades=2), comparison_of(DAY, trades=3, number=1), old])

    result = shadow("replay", "--folder", ".", "--label", "again")

    assert result.exit_code == 1
    assert "2 plans replayed as again" in result.stdout
    assert "2/2" in result.stderr
    assert "shadow explain" in result.stdout


def test_a_plan_whose_control_was_never_read_is_skipped(cloud: CliCloud) -> None:
    comparison = missing_candidate(comparison_of(DAY, trades=2)).model_copy(update={"control": None})
    live = cloud.store(comparison, state=PairState.MISSING)

    code, answer = replay(live.plan_id, "--label", "fix")

    assert code == 1
    assert answer["verdicts"] == {"skipped": 1}
    assert "no outcome of the control" in answer["results"][0]["reason"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-plan",),
        ("--from", "2026-11-18"),
        ("--from", "2026-11-20", "--to", "2026-11-18"),
        ("--plans", "nowhere"),
        ("--folder", "nowhere"),
        ("x", "--label", "Not A Label"),
        ("x", "--rate", "0"),
    ],
)
def test_what_makes_no_sense_is_bad_input(arguments: tuple[str, ...], cloud: CliCloud) -> None:
    assert cloud.machine
    assert shadow("replay", *arguments).exit_code == 2
