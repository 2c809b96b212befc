"""Business Unit: tests | Status: current.

`shadow report`, `readiness` and `rejudge` on what a folder holds: what they say, what they leave, and their exit codes.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from reports.rejudge import rejudge
from shadow.cli.main import app
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Comparison
from shadow.contracts.vocabulary import Role
from shadow.settlement.stored import JsonlSource
from tests.factories.comparisons import comparison_of, diverged, write_jsonl
from tests.factories.pairs import pair_behind
from tests.strategies.outcomes import DAY, random_case
from tests.strategies.planting import is_buy, shifted
from tests.strategies.policies import KNOWN, TEXT, policy_with

DAYS = [date(2026, 11, day) for day in (18, 19, 20)]
EVER = (date(2000, 1, 1), date(2999, 12, 31))


@pytest.fixture(scope="module")
def tool() -> typer.Typer:
    return app


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command writes lands in the test's own folder."""
    monkeypatch.chdir(tmp_path)


def run(tool: typer.Typer, *arguments: str) -> Result:
    return CliRunner().invoke(tool, list(arguments), catch_exceptions=False)


def answer(tool: typer.Typer, *arguments: str) -> tuple[int, Any]:
    result = run(tool, *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def store(tmp_path: Path) -> str:
    comparisons = [comparison_of(DAYS[0]), diverged(comparison_of(DAYS[1])), comparison_of(DAYS[2])]
    write_jsonl(tmp_path / "store" / "comparisons.jsonl", comparisons)
    return "store"


class TestReport:
    def test_the_latest_day_is_reported_and_its_page_written(self, tool: typer.Typer, store: str) -> None:
        result = run(tool, "report", "--folder", store)

        assert result.exit_code == 0
        assert result.stdout.startswith("2026-11-20 MATCHED")
        assert "1 published = 1 matched" in result.stdout
        page = Path("build/reports/2026-11-20.html")
        assert str(page) in result.stdout
        assert "<html" in page.read_text()

    def test_a_chosen_day_that_diverged_is_exit_code_1(self, tool: typer.Typer, store: str) -> None:
        result = run(tool, "report", "--folder", store, "--date", "2026-11-19", "--out", "deep/report.html")

        assert result.exit_code == 1
        assert "246.80 USD" in result.stdout
        assert Path("deep/report.html").is_file()

    def test_json_is_the_report(self, tool: typer.Typer, store: str) -> None:
        code, found = answer(tool, "report", "--folder", store, "--date", "2026-11-19")

        assert code == 1
        assert found["verdict"] == "DIVERGED"
        assert found["counts"]["published"] == 1
        assert found["page"].endswith("2026-11-19.html")

    def test_the_ledger_beside_the_comparisons_is_held_against_them(self, tool: typer.Typer, store: str) -> None:
        pairs = [pair_behind(comparison_of(DAYS[2], number=number)) for number in (0, 1)]
        Path(store, "ledger.jsonl").write_text("".join(pair.model_dump_json() + "\n" for pair in pairs))

        code, found = answer(tool, "report", "--folder", store, "--date", "2026-11-20")

        assert code == 4
        assert found["counts"]["published"] == 2

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--folder", "nowhere"),
            ("--folder", "store", "--date", "2026-11-21"),
            ("--folder", "store", "--date", "yesterday"),
            ("--folder", "store", "--policy", "nowhere.toml"),
        ],
    )
    def test_wrong_days_and_places_are_bad_input(self, arguments: tuple[str, ...], tool: typer.Typer, store: str) -> None:
        assert store
        assert run(tool, "report", *arguments).exit_code == 2

    def test_a_place_that_no_page_can_be_written_to_is_bad_input(self, tool: typer.Typer, store: str) -> None:
        code, found = answer(tool, "report", "--folder", store, "--out", store)

        assert code == found["exit_code"] == 2
        assert not list(Path().glob(".*"))


class TestReadiness:
    def test_too_few_days_are_not_ready_and_every_criterion_is_told(self, tool: typer.Typer, store: str) -> None:
        result = run(tool, "readiness", "--folder", store)
        code, found = answer(tool, "readiness", "--folder", store)

        assert result.exit_code == code == 1
        assert found["readiness"] in ("NOT_YET", "BLOCKED")
        assert found["as_of"] == "2026-11-20"
        for criterion in found["criteria"]:
            assert criterion["title"] in result.stdout
            assert criterion["target"] in result.stdout
        assert "never exercised live" in result.stdout

    def test_no_comparisons_are_bad_input(self, tool: typer.Typer, tmp_path: Path) -> None:
        write_jsonl(tmp_path / "empty" / "comparisons.jsonl", [])

        code, found = answer(tool, "readiness", "--folder", "empty")

        assert code == 2
        assert "No comparison is stored here" in found["error"]


def judged(seed: int, bps: int = 0) -> Comparison:
    case = random_case(seed, trades=6)
    return judge(shifted(is_buy, bps)(case, Role.CANDIDATE) if bps else case, default_policy())


class TestRejudge:
    @pytest.fixture
    def pairs(self, tmp_path: Path) -> list[Comparison]:
        found = [judged(1), judged(2, bps=100), judged(3, bps=100)]
        assert [entry.verdict.value for entry in found] == ["MATCHED", "DIVERGED", "DIVERGED"]
        write_jsonl(tmp_path / "judged" / "comparisons.jsonl", found)
        return found

    def test_under_the_same_policy_nothing_changes(self, tool: typer.Typer, pairs: list[Comparison]) -> None:
        result = run(tool, "rejudge", "--folder", "judged")
        code, found = answer(tool, "rejudge", "--folder", "judged")

        assert result.exit_code == code == 0
        assert "nothing changes" in result.stdout
        assert (found["pairs"], found["changes"], found["flips"]) == (len(pairs), [], [])
        assert found["before"] == found["after"] == {"DIVERGED": 2, "MATCHED": 1}

    def test_a_registered_divergence_flips_verdicts_and_the_rule_is_named(
        self, tool: typer.Typer, pairs: list[Comparison]
    ) -> None:
        known = KNOWN.format(expires=DAY.isoformat(), budget=5)
        Path("other.toml").write_text(TEXT + known)

        result = run(tool, "rejudge", "--folder", "judged", "--policy", "other.toml")
        code, found = answer(tool, "rejudge", "--folder", "judged", "--policy", "other.toml")

        assert result.exit_code == code == 1
        assert found["flips"] == [{"before": "DIVERGED", "after": "IGNORED", "pairs": 2}]
        assert found["policy_hash"] != pairs[0].policy_hash
        assert [change["plan_id"] for change in found["changes"]] == [pairs[1].plan_id, pairs[2].plan_id]
        assert "2 verdicts flip" in result.stdout
        assert all(kind.startswith("SLIPP") for kind in found["rules"])

    def test_an_index_of_margins_is_kept_beside_the_file_unless_told_not_to(
        self, tool: typer.Typer, pairs: list[Comparison]
    ) -> None:
        assert pairs
        code, without = answer(tool, "rejudge", "--folder", "judged", "--no-cache")
        assert [path.name for path in Path("judged").iterdir()] == ["comparisons.jsonl"]
        first, again = (answer(tool, "rejudge", "--folder", "judged") for _ in range(2))

        assert (code, without) == first == again
        assert Path("judged/.margins").is_file()

    def test_all_pairs_are_judged_where_the_whole_is_asked_for(self, tool: typer.Typer, pairs: list[Comparison]) -> None:
        _, found = answer(tool, "rejudge", "--folder", "judged", "--whole")

        assert (found["judged"], found["changes"]) == (len(pairs), [])

    def test_the_budget_is_the_days(self, pairs: list[Comparison]) -> None:
        found = rejudge(JsonlSource(Path("judged/comparisons.jsonl")), policy_with(budget=1), *EVER)

        assert len(pairs) == 3
        assert {verdict.value: amount for verdict, amount in found.after.items()} == {"MATCHED": 1, "IGNORED": 1, "DIVERGED": 1}

    def test_days_outside_are_left_out(self, tool: typer.Typer, pairs: list[Comparison]) -> None:
        assert pairs
        code, found = answer(tool, "rejudge", "--folder", "judged", "--from", "2000-01-01", "--to", "2000-01-31")

        assert (code, found["pairs"]) == (0, 0)

    def test_a_wrong_policy_is_refused_with_line_key_and_expectation(self, tool: typer.Typer, pairs: list[Comparison]) -> None:
        assert pairs
        Path("wrong.toml").write_text(TEXT.replace("version = 1", "version = 7"))

        result = run(tool, "rejudge", "--folder", "judged", "--policy", "wrong.toml")

        assert result.exit_code == 2
        assert "version" in result.stderr
        assert "line" in result.stderr
        assert "expected" in result.stderr

    def test_days_in_the_wrong_order_are_bad_input(self, tool: typer.Typer) -> None:
        assert run(tool, "rejudge", "--folder", "x", "--from", "2026-02-01", "--to", "2026-01-01").exit_code == 2

    def test_a_broken_document_is_unavailable_with_its_place(self, tool: typer.Typer, pairs: list[Comparison]) -> None:
        assert pairs
        with Path("judged/comparisons.jsonl").open("a") as file:
            file.write('{"plan_id": "x"}\n')

        code, found = answer(tool, "rejudge", "--folder", "judged")

        assert code == 3
        assert "comparisons.jsonl:4" in found["error"]


def test_a_folder_that_is_not_there_and_a_file_that_is_none_are_told_by_their_names(tmp_path: Path) -> None:
    missing = run(app, "report", "--folder", str(tmp_path / "nowhere"))
    (tmp_path / "other.txt").write_text("{\n")
    foreign = run(app, "report", "--file", str(tmp_path / "other.txt"))

    assert (missing.exit_code, foreign.exit_code) == (2, 3)
    assert "nowhere: no such folder" in missing.output
    assert "other.txt:1: (whole): expected a JSON document" in foreign.output


def test_a_file_of_decisions_that_is_refused_is_named(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(DAYS[0])])
    (tmp_path / "decided.toml").write_text("nosuch = 1\n")
    result = run(app, "readiness", "--folder", str(tmp_path), "--decided", str(tmp_path / "decided.toml"))

    assert result.exit_code == 2
    assert "decided.toml refused" in result.output
    assert "nosuch: expected no such field" in result.output
