"""Business Unit: tests | Status: current.

`status`, `compare` and `explain` against a deployed stack in moto: what they say, and the exit codes programs rely on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from shadow.aws.pair_ledger import AuditEntry, audit_to_item, day_pk, pair_pk
from shadow.cli import publishing
from shadow.cli.output import FunctionFailed
from shadow.contracts.comparison import Verdict
from shadow.contracts.identity import execution_name_of
from shadow.contracts.pair import PairState, trading_day_of
from shadow.contracts.vocabulary import Origin
from tests.factories.comparisons import comparison_of, difference, diverged, missing_candidate
from tests.factories.pairs import pair_behind
from tests.fakes.cli_cloud import BUCKET, TABLE, CliCloud, cli_cloud, shadow

DAY = date(2026, 11, 24)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CliCloud]:
    with cli_cloud(monkeypatch, tmp_path) as stack:
        yield stack


def answers(*arguments: str) -> tuple[int, Any]:
    result = shadow(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


class TestStatusOfADay:
    def test_every_pair_has_its_line_and_the_sums_are_exact(self, cloud: CliCloud) -> None:
        good, bad = comparison_of(DAY), diverged(comparison_of(DAY, number=1))
        cloud.store(good)
        cloud.store(bad)
        cloud.record(pair_behind(comparison_of(DAY, number=2)))
        cloud.store(comparison_of(DAY, number=3, origin="replay"))

        result = shadow("status", "--date", str(DAY))

        assert result.exit_code == 1
        for comparison in (good, bad):
            assert comparison.plan_id in result.stdout
        assert "settled after 41 s" in result.stdout
        assert "waiting for" in result.stdout
        assert "published 3 = matched 1 + diverged 1 + ignored 0 + incomplete 0 + missing 0 + pending 1" in result.stdout
        assert "replay: published 1 = matched 1" in result.stdout
        assert max(len(line) for line in result.stdout.splitlines()) <= 120

    def test_only_good_verdicts_are_exit_code_0(self, cloud: CliCloud) -> None:
        cloud.store(comparison_of(DAY))
        known = comparison_of(DAY, number=1)
        cloud.store(diverged(known, difference(known, covered_by="KD-1")))

        code, answer = answers("status", "--date", str(DAY))

        assert code == 0
        assert sorted(pair["verdict"] for pair in answer["pairs"]) == ["IGNORED", "MATCHED"]
        assert answer["conservation"]["live"]["error"] == 0

    def test_an_unreadable_item_breaks_the_sum_and_is_named(self, cloud: CliCloud) -> None:
        cloud.store(comparison_of(DAY))
        keys = {"PK": pair_pk("odd"), "SK": "PAIR", "GSI1PK": day_pk(DAY), "GSI1SK": "PAIR#odd"}
        boto3.client("dynamodb").put_item(TableName=TABLE, Item={name: {"S": value} for name, value in keys.items()})

        result = shadow("status", "--date", str(DAY))

        assert result.exit_code == 1
        assert "1 unaccounted for" in result.stdout
        assert "unreadable PAIR#odd" in result.stdout

    def test_without_a_day_the_latest_with_pairs_is_shown(self, cloud: CliCloud) -> None:
        day = trading_day_of(datetime.now(UTC)) - timedelta(days=3)
        cloud.store(comparison_of(day))

        code, answer = answers("status")

        assert code == 0
        assert answer["trading_day"] == str(day)

    def test_a_plan_dated_after_today_is_shown_where_there_is_none_before(self, cloud: CliCloud) -> None:
        day = trading_day_of(datetime.now(UTC)) + timedelta(days=3)
        cloud.store(comparison_of(day))

        code, answer = answers("status")

        assert code == 0
        assert answer["trading_day"] == str(day)
        assert [pair["trading_day"] for pair in answer["pairs"]] == [str(day)]

    def test_an_open_plan_dated_long_after_today_is_told_of_beside_todays(self, cloud: CliCloud) -> None:
        today = trading_day_of(datetime.now(UTC))
        cloud.store(comparison_of(today))
        cloud.record(pair_behind(comparison_of(today + timedelta(days=400))))

        result = shadow("status")
        _, answer = answers("status")

        assert answer["trading_day"] == str(today)
        assert answer["later_days"] == [str(today + timedelta(days=400))]
        assert f"plans are dated after {today} as well" in result.stdout

    def test_where_nothing_is_of_late_the_latest_day_ever_is_shown(self, cloud: CliCloud) -> None:
        for days in (400, 300):
            cloud.store(comparison_of(trading_day_of(datetime.now(UTC)) - timedelta(days=days)))

        _, answer = answers("status")

        assert answer["trading_day"] == str(trading_day_of(datetime.now(UTC)) - timedelta(days=300))
        assert len(answer["pairs"]) == 1

    def test_nothing_published_is_said(self, cloud: CliCloud) -> None:
        assert cloud.machine
        result = shadow("status")

        assert result.exit_code == 0
        assert "no plan was published" in result.stdout

    def test_a_wrong_day_is_bad_input(self, cloud: CliCloud) -> None:
        assert cloud.machine
        code, answer = answers("status", "--date", "24.11.2026")

        assert code == 2
        assert "YYYY-MM-DD" in answer["error"]


class TestStatusOfAPair:
    def test_a_pair_shows_both_lanes_and_its_audit_trail(self, cloud: CliCloud) -> None:
        pair = cloud.store(diverged(comparison_of(DAY)), previous_verdict=Verdict.MISSING_CANDIDATE)
        arn = boto3.client("stepfunctions").start_execution(
            stateMachineArn=cloud.machine, name=execution_name_of(pair.run_id), input="{}"
        )["executionArn"]
        entry = AuditEntry(pair.plan_id, 1, pair.published_at, "comparator-1", {"state": "JUDGED", "verdict": "DIVERGED"})
        boto3.client("dynamodb").put_item(TableName=TABLE, Item=audit_to_item(entry))

        result = shadow("status", pair.plan_id)

        assert result.exit_code == 1
        assert "DIVERGED · JUDGED" in result.stdout
        assert "control     legacy · no run found" in result.stdout
        assert "candidate   workflow · SUCCEEDED" in result.stdout or "candidate   workflow · RUNNING" in result.stdout
        assert arn in result.stdout
        assert f"s3://{BUCKET}/{pair.comparison_key}" in result.stdout
        assert "comparator-1" in result.stdout
        assert "state → JUDGED, verdict → DIVERGED" in result.stdout
        assert "MISSING_CANDIDATE" in result.stdout

    @pytest.mark.parametrize(("minutes", "stuck"), [(50, False), (120, True)])
    def test_a_run_without_a_sign_of_life_is_stuck_when_the_comparator_says_so(
        self, cloud: CliCloud, minutes: int, *, stuck: bool
    ) -> None:
        at, run_id = datetime.now(UTC) - timedelta(minutes=minutes), "minted-by-the-control"
        pair = cloud.record(pair_behind(comparison_of(DAY), published_at=at, control_run_id=run_id))
        item = {
            "PK": f"RUN#{run_id}",
            "SK": "METADATA",
            "run_id": run_id,
            "plan_id": pair.plan_id,
            "status": "SELL_PHASE",
        }
        item |= {"created_at": pair.published_at.isoformat(), "run_timestamp": pair.published_at.isoformat()}
        boto3.client("dynamodb").put_item(
            TableName="alchemiser-dev-execution-runs", Item={name: {"S": value} for name, value in item.items()}
        )

        code, answer = answers("status", pair.plan_id)

        assert code == 4
        assert answer["lanes"]["control"]["state"] == "SELL_PHASE"
        assert answer["lanes"]["control"]["stuck"] is stuck
        assert answer["lanes"]["control"]["age_seconds"] >= 60 * minutes
        assert answer["lanes"]["candidate"]["state"].startswith("no execution")
        assert "plan_json" not in answer

    def test_an_unknown_plan_is_bad_input(self, cloud: CliCloud) -> None:
        assert cloud.machine
        code, answer = answers("status", "no-such-plan")

        assert code == 2
        assert "No published plan" in answer["error"]


class TestCompare:
    @pytest.fixture
    def comparator(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        calls: list[object] = []

        def invoke(_target: object, output: str, payload: object) -> dict[str, object]:
            calls.append((output, payload))
            return {"waiting_for": ["legacy run in BUY_PHASE"]}

        monkeypatch.setattr(publishing, "invoke", invoke)
        return calls

    def test_the_comparator_is_asked_and_the_verdict_told(self, cloud: CliCloud, comparator: list[object]) -> None:
        base = comparison_of(DAY)
        pair = cloud.store(diverged(base, difference(base, 1, kind="ASKED_QUANTITY")))

        result = shadow("compare", pair.plan_id)

        assert result.exit_code == 1
        assert comparator == [("CompareOutcomesFunctionName", {"plan_id": pair.plan_id})]
        assert result.stdout.startswith("DIVERGED")
        assert "ASKED_QUANTITY" in result.stdout
        assert "+246.80 USD" in result.stdout
        assert f"s3://{BUCKET}/evidence/" in result.stdout
        assert "/aws/lambda/alchemiser-dev-execute-trade-sfn" in result.stdout
        assert "console.aws.amazon.com/states" in result.stdout

    @pytest.mark.parametrize(
        ("number", "code", "verdict"), [(0, 0, "MATCHED"), (1, 0, "IGNORED"), (2, 1, "DIVERGED"), (3, 1, "MISSING_CANDIDATE")]
    )
    def test_exit_codes_follow_the_verdict(
        self, number: int, code: int, verdict: str, cloud: CliCloud, comparator: list[object]
    ) -> None:
        base = comparison_of(DAY, number=number)
        stored = [base, diverged(base, difference(base, covered_by="KD-1")), diverged(base), missing_candidate(base)][number]
        pair = cloud.store(stored, state=PairState.MISSING if number == 3 else PairState.JUDGED)

        found, answer = answers("compare", pair.plan_id)

        assert (found, answer["verdict"]) == (code, verdict)
        assert len(comparator) == 1

    def test_a_pair_that_waits_says_for_what(self, cloud: CliCloud, comparator: list[object]) -> None:
        pair = cloud.record(pair_behind(comparison_of(DAY)))

        result = shadow("compare", pair.plan_id)

        assert comparator
        assert result.exit_code == 4
        assert "PENDING" in result.stdout
        assert "waiting for legacy run in BUY_PHASE" in result.stdout

    def test_an_unknown_plan_never_reaches_the_comparator(self, cloud: CliCloud, comparator: list[object]) -> None:
        assert cloud.machine

        assert shadow("compare", "no-such-plan").exit_code == 2
        assert comparator == []

    def test_a_failing_comparator_is_unavailable(self, cloud: CliCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        pair = cloud.record(pair_behind(comparison_of(DAY)))

        def invoke(*_args: object) -> dict[str, object]:
            raise FunctionFailed("compare-outcomes", "EvidenceUnavailable", "throttled")

        monkeypatch.setattr(publishing, "invoke", invoke)
        code, answer = answers("compare", pair.plan_id)

        assert code == answer["exit_code"] == 3
        assert "EvidenceUnavailable" in answer["error"]


class TestExplain:
    def test_the_stored_comparison_is_explained_with_links(self, cloud: CliCloud) -> None:
        pair = cloud.store(diverged(comparison_of(DAY)))

        result = shadow("explain", pair.plan_id)

        assert result.exit_code == 1
        assert f"s3://{BUCKET}/{pair.comparison_key}" in result.stdout
        assert execution_name_of(pair.run_id) in result.stdout

    def test_a_pair_without_a_comparison_has_nothing_to_explain_yet(self, cloud: CliCloud) -> None:
        pair = cloud.record(pair_behind(comparison_of(DAY), origin=Origin.PLANTED))

        code, answer = answers("explain", pair.plan_id)

        assert code == 4
        assert answer["verdict"] == "PENDING"

    def test_a_lost_comparison_is_unavailable(self, cloud: CliCloud) -> None:
        pair = cloud.store(comparison_of(DAY), comparison_key="comparisons/day=2026-11-24/gone.json")

        code, answer = answers("explain", pair.plan_id)

        assert code == 3
        assert "gone.json" in answer["error"]


def test_without_a_stack_every_command_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with cli_cloud(monkeypatch, tmp_path, deployed=False):
        for command in (("status",), ("compare", "plan"), ("explain", "plan")):
            code, answer = answers(*command)

            assert code == answer["exit_code"] == 3
            assert "shadow up" in answer["error"]


def test_a_stack_of_another_version_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with cli_cloud(monkeypatch, tmp_path) as stack:
        stack.outputs.pop("PairLedgerTableName")

        code, answer = answers("status")

        assert code == 3
        assert "PairLedgerTableName" in answer["error"]
