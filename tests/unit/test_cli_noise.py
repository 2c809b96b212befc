"""`shadow noise`: two stores of the same plans, and what one lane's two runs of them are apart."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shadow.cli.main import app
from shadow.contracts.comparison import Comparison
from tests.factories.comparisons import comparison_of, diverged, missing_candidate, with_roles_swapped, write_store

DAYS = [date(2026, 11, 17), date(2026, 11, 18), date(2026, 11, 19)]


def stores(tmp_path: Path, second: list[Comparison]) -> list[str]:
    first = [comparison_of(day) for day in DAYS]
    return ["--first", str(write_store(tmp_path / "one", first)), "--second", str(write_store(tmp_path / "two", second))]


def run(arguments: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["noise", *arguments])
    return result.exit_code, result.output


def test_the_same_plans_run_twice_are_measured_and_shown(tmp_path: Path) -> None:
    code, text = run([*stores(tmp_path, [comparison_of(day) for day in DAYS]), "--out", str(tmp_path / "noise.toml")])
    assert code == 1, text
    assert "3 plans, each run twice by the control" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert rows["average_price"].endswith("close to the noise")  # these runs fill 24 bps off their own decision price
    assert "within 25 bps" in rows["average_price"]
    assert rows["value"].endswith("below the noise")  # these runs round their values to cents
    written = tomllib.loads((tmp_path / "noise.toml").read_text())
    assert written["noise"]["pairs"] == 3


def test_programs_get_every_figure(tmp_path: Path) -> None:
    code, text = run([*stores(tmp_path, [comparison_of(day) for day in DAYS]), "--json", "--role", "candidate"])
    document = json.loads(text)
    assert code == 0
    assert document["noise"]["role"] == "candidate"
    assert {row["rule"] for row in document["tolerances"]} >= {"average_price", "duration_ratio", "equity_limit"}


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    second = [comparison_of(DAYS[0]), missing_candidate(comparison_of(DAYS[1]))]
    code, text = run([*stores(tmp_path, second), "--role", "candidate"])
    assert code == 0, text
    assert "left out: 1 in one store only, 1 not run to its end in both" in text


def test_a_control_that_is_another_lane_after_the_cut_over_is_no_second_run_of_it(tmp_path: Path) -> None:
    code, text = run(stores(tmp_path, [with_roles_swapped(comparison_of(day)) for day in DAYS]))
    assert code == 2
    assert "expected plans that were run twice, was none (3 not run by the same lane)" in text


def test_stores_without_a_plan_in_common_are_bad_input(tmp_path: Path) -> None:
    code, text = run(stores(tmp_path, [diverged(comparison_of(date(2026, 11, 20)))]))
    assert code == 2
    assert "expected plans that were run twice, was none (4 in one store only)" in text


@pytest.mark.parametrize("name", ["nowhere", "nowhere.jsonl"])
def test_a_store_that_is_not_there_is_bad_input_as_in_every_command(tmp_path: Path, name: str) -> None:
    code, text = run(["--first", str(tmp_path / name), "--second", str(tmp_path)])
    assert code == 2
    assert f"{name}: no such file or folder" in text


def test_one_store_twice_is_refused(tmp_path: Path) -> None:
    code, text = run(["--first", str(tmp_path), "--second", f"{tmp_path}/../{tmp_path.name}"])
    assert code == 2
    assert "expected two stores" in text
