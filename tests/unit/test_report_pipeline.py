"""Business Unit: tests | Status: current.

A day for a pipeline: markdown and JUnit XML have every difference, foreign text makes nothing of its own, and the exit code says
what kind of day it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from shadow.contracts.comparison import Comparison, Verdict
from tests.factories.comparisons import comparison_of, diverged, write_jsonl
from tests.fakes.cli_cloud import shadow

DAY = date(2026, 11, 24)
HOSTILE = "a|b</failure><x>&\n`c`"


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here looks at pictures, which take long to draw."""
    monkeypatch.setattr("reports.daily.html.charts_of", lambda _report: ())


def many(count: int) -> Comparison:
    """A pair with `count` differences of one kind."""
    pair = diverged(comparison_of(DAY, trades=12))
    one = pair.differences[0]
    more = tuple(one.model_copy(update={"field": f"field-{number}"}) for number in range(count))
    return pair.model_copy(update={"differences": more})


def run(folder: Path, comparisons: Sequence[Comparison], *options: str) -> int:
    write_jsonl(folder / "comparisons.jsonl", comparisons)
    out = ("--out", str(folder / "page.html"), "--markdown", str(folder / "day.md"), "--junit", str(folder / "day.xml"))
    return shadow("report", "--folder", str(folder), "--date", str(DAY), *out, *options).exit_code


def test_both_have_every_difference_and_the_page_its_worst_three(tmp_path: Path) -> None:
    assert run(tmp_path, [many(40), comparison_of(DAY, number=1)]) == 1

    markdown = (tmp_path / "day.md").read_text()
    assert sum("field-" in line for line in markdown.splitlines()) == 40
    suite = ET.parse(tmp_path / "day.xml").getroot()  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    (failure,) = suite.findall("./testcase/failure")
    assert len(str(failure.text).strip().splitlines()) == 40
    assert sum((tmp_path / "page.html").read_text().count(f"field-{number}<") for number in range(40)) <= 3


def test_all_gives_every_difference_as_json(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [many(40)])
    line = ("report", "--folder", str(tmp_path), "--date", str(DAY), "--out", str(tmp_path / "page.html"), "--json")

    few, every = (json.loads(shadow(*line, *more).stdout)["kinds"][0] for more in ((), ("--all",)))

    assert (few["count"], len(few["examples"]), len(every["examples"])) == (40, 3, 40)


def test_foreign_text_makes_no_element_cell_or_line_of_its_own(tmp_path: Path) -> None:
    pair = diverged(comparison_of(DAY))
    hostile = pair.differences[0].model_copy(update={"explanation": HOSTILE, "control": HOSTILE, "field": HOSTILE})
    run(tmp_path, [pair.model_copy(update={"differences": (hostile,)})])

    (failure,) = ET.parse(tmp_path / "day.xml").getroot().findall("./testcase/failure")  # noqa: S314 - our own file
    assert HOSTILE in str(failure.text)
    (row,) = [line for line in (tmp_path / "day.md").read_text().splitlines() if "a\\|b" in line]
    assert row.replace("\\|", "").count("|") == 11
    assert "<x>" not in row


@pytest.mark.parametrize(
    ("verdict", "code", "element"),
    [(Verdict.MATCHED, 0, None), (Verdict.INCOMPLETE, 4, "error"), (Verdict.MISSING_CANDIDATE, 1, "failure")],
)
def test_the_exit_code_and_the_element_say_what_kind_of_day_it_was(
    verdict: Verdict, code: int, element: str | None, tmp_path: Path
) -> None:
    gaps = ("the execution is gone",) if verdict is Verdict.INCOMPLETE else ()
    pair = comparison_of(DAY).model_copy(update={"verdict": verdict, "gaps": gaps})

    assert run(tmp_path, [pair]) == code
    found = ET.parse(tmp_path / "day.xml").getroot()  # noqa: S314 - our own file
    assert [each.tag for case in found for each in case] == ([element] if element else [])


def test_a_day_without_a_plan_is_not_complete(tmp_path: Path) -> None:
    assert run(tmp_path, [comparison_of(date(2026, 11, 23))]) == 4
