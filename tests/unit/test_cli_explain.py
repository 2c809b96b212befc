"""Business Unit: tests | Status: current.

`shadow explain` reads like the pair it explains: plan, both lanes side by side, each difference with cause, rule and dollars.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from shadow.contracts.comparison import Attribution, Comparison, Impact, Severity
from shadow.contracts.vocabulary import Reason, TradeStatus
from tests.factories.comparisons import (
    comparison_of,
    difference,
    diverged,
    incomplete,
    missing_candidate,
    with_trade,
    write_jsonl,
    write_store,
)
from tests.fakes.cli_cloud import shadow

DAY = date(2026, 11, 24)


def explain(folder: Path, comparison: Comparison, *options: str) -> tuple[int, str]:
    write_jsonl(folder / "comparisons.jsonl", [comparison_of(date(2026, 11, 23)), comparison])
    result = shadow("explain", comparison.plan_id, "--folder", str(folder), *options)
    return result.exit_code, result.stdout


def test_a_matched_pair_is_explained_in_a_few_lines(tmp_path: Path) -> None:
    code, text = explain(tmp_path, comparison_of(DAY, trades=6))

    assert code == 0
    assert text.startswith("MATCHED")
    assert "6 trades without a difference" in text
    assert "SYM0000" not in text
    assert len(text.splitlines()) < 25


def test_all_shows_every_trade(tmp_path: Path) -> None:
    code, text = explain(tmp_path, comparison_of(DAY, trades=6), "--all")

    assert code == 0
    assert all(f"SYM{number:04d}" in text for number in range(6))


def test_a_difference_has_words_dollars_rule_values_and_cause(tmp_path: Path) -> None:
    base = comparison_of(DAY, trades=6)
    cause = difference(base, 1, kind="ASKED_QUANTITY", severity=Severity.CRITICAL)
    follower = difference(
        base, 1, kind="FILLED_QUANTITY", severity=Severity.INFO, caused_by=cause.key, impact=Impact(), covered_by=None
    )
    known = difference(base, 3, kind="PRICE", severity=Severity.MINOR, covered_by="KD-007", attribution=Attribution.NEITHER)

    code, text = explain(tmp_path, diverged(base, known, follower, cause))
    lines = " ".join(text.split())

    assert code == 1
    assert (
        "CRITICAL ASKED_QUANTITY · the candidate (workflow) departs from the plan · notional +246.80 USD, cash -246.80 USD"
        in lines
    )
    assert "The candidate asked for 2 shares more than the plan needs." in lines
    assert "quantity: planned 10.000000, control 10.000000, candidate 12.000000 · rule: order.quantity exact" in lines
    assert "follows from ASKED_QUANTITY" in lines
    assert "covered by known divergence KD-007" in lines
    assert "4 trades without a difference" in lines
    assert lines.index("CRITICAL ASKED_QUANTITY") < lines.index("INFO FILLED_QUANTITY") < lines.index("MINOR PRICE")


def test_lanes_stand_side_by_side_with_what_they_decided_sent_and_got(tmp_path: Path) -> None:
    base = comparison_of(DAY, trades=6)
    assert base.candidate is not None
    failed = with_trade(
        base.candidate,
        1,
        status=TradeStatus.FAILED,
        reason=Reason.BROKER_REJECTED,
        error_message="[red]not enough[/red] shares",
        filled_quantity=Decimal(0),
    )
    comparison = diverged(base.model_copy(update={"candidate": failed}), difference(base, 1, kind="TRADE_STATUS"))

    _, text = explain(tmp_path, comparison)

    got = next(line for line in text.splitlines() if line.strip().startswith("got"))
    assert "COMPLETED" in got
    assert got.rstrip().endswith("FAILED")
    assert "BROKER_REJECTED: [red]not enough[/red] shares" in " ".join(text.split())
    assert "by held_quantity at" in text
    assert "→ filled" in text


def test_a_missing_lane_and_missing_evidence_are_said(tmp_path: Path) -> None:
    code, text = explain(tmp_path, missing_candidate(comparison_of(DAY, trades=2)))
    assert code == 1
    assert text.startswith("MISSING_CANDIDATE")
    assert "no run found" in text

    code, text = explain(tmp_path, incomplete(comparison_of(DAY, trades=2)))
    assert code == 4
    assert "missing evidence candidate.history: truncated at 25,000 events" in text


def test_the_page_fits_its_width(tmp_path: Path) -> None:
    base = comparison_of(DAY, trades=6)
    long = difference(base, 1, explanation="A long story. " * 30)

    _, text = explain(tmp_path, diverged(base, long), "--all")
    body = text.split("where to look")[0]

    assert max(len(line) for line in body.splitlines()) <= 140


def test_output_into_a_file_has_no_colours(tmp_path: Path) -> None:
    _, text = explain(tmp_path, diverged(comparison_of(DAY)))

    assert "\x1b" not in text


def test_json_is_the_stored_document_with_links(tmp_path: Path) -> None:
    comparison = diverged(comparison_of(DAY, trades=4))

    code, text = explain(tmp_path, comparison, "--json")
    answer = json.loads(text)

    assert code == 1
    assert Comparison.parse(answer["comparison"]) == comparison
    assert answer["links"]["comparison"].endswith("comparisons.jsonl:2")
    assert answer["links"]["evidence"] == {"legacy": "evidence/2026-11-24/control.json.gz"}
    assert comparison.run_id in answer["links"]["execution"]


def test_a_folder_like_the_bucket_and_a_single_file_are_read_too(tmp_path: Path) -> None:
    comparison = comparison_of(DAY, trades=2)
    write_store(tmp_path / "store", [comparison])
    write_jsonl(tmp_path / "other.jsonl", [comparison])

    assert shadow("explain", comparison.plan_id, "--folder", str(tmp_path / "store")).exit_code == 0
    assert shadow("explain", comparison.plan_id, "--file", str(tmp_path / "other.jsonl")).exit_code == 0


def test_an_unknown_plan_is_bad_input_and_the_closest_are_named(tmp_path: Path) -> None:
    comparison = comparison_of(DAY)
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison])

    result = shadow("explain", comparison.plan_id[:-1], "--folder", str(tmp_path))

    assert result.exit_code == 2
    assert comparison.plan_id in result.stderr


@pytest.mark.parametrize(
    "options", [("--folder", "nowhere"), ("--file", "nowhere.jsonl"), ("--folder", ".", "--file", "x.jsonl"), ("--colour",)]
)
def test_wrong_places_are_bad_input(options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert shadow("explain", "plan", *options).exit_code == 2


def test_a_document_that_breaks_its_contract_is_unavailable_with_place_and_field(tmp_path: Path) -> None:
    comparison = comparison_of(DAY, trades=2)
    broken = json.loads(comparison.model_dump_json()) | {"verdict": "SPLENDID"}
    (tmp_path / "comparisons.jsonl").write_text(json.dumps(broken))

    result = shadow("explain", comparison.plan_id, "--folder", str(tmp_path), "--json")

    answer = json.loads(result.stdout)
    assert result.exit_code == answer["exit_code"] == 3
    assert "comparisons.jsonl:1" in answer["error"]
    assert "verdict" in answer["error"]


def test_nothing_is_called_equal_in_a_pair_that_was_not_compared_as_a_whole(tmp_path: Path) -> None:
    base = comparison_of(DAY, trades=6)
    gaps = tuple(f"control: trade SYM{number:04d}: intent.quantity: absent" for number in range(5)) + tuple(
        f"candidate: trade SYM0000: orders.{number}.status: absent" for number in range(4)
    )
    for comparison, ends in ((missing_candidate(base), 1), (incomplete(base).model_copy(update={"gaps": gaps}), 4)):
        code, text = explain(tmp_path, comparison)
        assert code == ends
        assert "without a difference" not in text
        assert "6 trades not compared in full" in " ".join(text.split())

    lines = " ".join(text.split())
    assert "control: intent.quantity: absent, of 5 trades: SYM0000, SYM0001, SYM0002, SYM0003, SYM0004" in lines
    assert lines.count("candidate: orders.status: absent") == 1
    assert "more" not in lines.split("missing evidence")[-1].split("run")[0]
