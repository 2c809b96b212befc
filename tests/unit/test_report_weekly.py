"""The week: which plans do not agree and why, and which differences are new, still there or gone."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from reports.daily.build import ReportSettings, build_report
from reports.daily.mail import render_week, report_csv
from reports.readiness.readiness import KnownEntry
from reports.site import Folder, Options, Register, write_days
from reports.weekly import build_week, ends_week
from shadow.contracts.comparison import Comparison
from shadow.settlement.stored import JsonlSource
from tests.factories.comparisons import comparison_of, difference, diverged, write_jsonl

FRIDAY = date(2025, 11, 7)
MONDAY = date(2025, 11, 3)


def source(folder: Path, *comparisons: Comparison) -> JsonlSource:
    write_jsonl(folder / "comparisons.jsonl", comparisons)
    return JsonlSource(folder / "comparisons.jsonl")


@pytest.mark.parametrize(
    ("day", "last"),
    [("2025-11-06", False), ("2025-11-07", True), ("2025-11-28", True), ("2025-11-26", False), ("2026-04-02", True)],
    ids=["thursday", "friday", "half day after thanksgiving", "day before thanksgiving", "before good friday"],
)
def test_a_week_ends_with_its_last_trading_day(day: str, *, last: bool) -> None:
    assert ends_week(date.fromisoformat(day)) is last


@pytest.mark.parametrize(
    ("seen", "state", "times"),
    [
        (("2025-11-05",), "new", 1),
        (("2025-10-15", "2025-11-05", "2025-11-06"), "still there", 2),
        (("2025-10-30",), "gone", 1),
        (("2025-10-15", "2025-10-22"), None, 0),
        (("2025-10-10", "2025-11-05"), "new", 1),
    ],
)
def test_a_difference_is_new_still_there_or_gone(tmp_path: Path, seen: tuple[str, ...], state: str | None, times: int) -> None:
    pairs = [diverged(comparison_of(date.fromisoformat(day))) for day in seen]
    week = build_week(source(tmp_path, *pairs, comparison_of(MONDAY)), FRIDAY, stage="dev")

    assert {each.state for each in week.differences} == ({state} if state else set())
    assert {each.times for each in week.differences} == ({times} if state else set())


BUDGET = KnownEntry(id="KD-1", owner="desk", reason="expected", expires=date(2030, 1, 1), budget_a_day=1)


@pytest.mark.parametrize(
    ("known", "verdicts"), [((BUDGET,), ["IGNORED", "DIVERGED"]), ((), ["DIVERGED"] * 2)], ids=["over", "gone"]
)
def test_report_table_week_and_pages_count_a_day_alike(
    tmp_path: Path, known: tuple[KnownEntry, ...], verdicts: list[str]
) -> None:
    pairs = [comparison_of(FRIDAY, number=number) for number in range(2)]
    covered = [diverged(pair, difference(pair, 0, covered_by="KD-1")) for pair in pairs]
    stored, settings = source(tmp_path, *covered), ReportSettings(known=known)
    register = Register(settings.budgets, settings.register)

    report = build_report(stored, FRIDAY, settings=settings)
    table = list(csv.DictReader(io.StringIO(report_csv(stored, FRIDAY, settings))))
    week = build_week(stored, FRIDAY, stage="dev", register=register)
    days = (FRIDAY, FRIDAY)
    write_days(stored, Folder(tmp_path), days, options=Options(), ledger=None, statement=None, register=register)
    pages = [(tmp_path / f"pair/{pair.run_id}.html").read_text(encoding="utf-8") for pair in pairs]

    assert [pair.verdict for pair in report.pairs] == verdicts
    assert [row["unexplained"] for row in table] == [str(verdict == "DIVERGED") for verdict in verdicts]
    assert [plan.verdict for plan in week.plans] == [verdict for verdict in verdicts if verdict == "DIVERGED"]
    assert week.unexplained == report.impact.unexplained
    assert ["agree" not in page for page in pages] == [verdict == "DIVERGED" for verdict in verdicts]


def test_what_was_published_while_the_exchange_was_closed_is_told_in_the_week_that_follows_and_once(tmp_path: Path) -> None:
    friday, sunday = date(2025, 10, 31), date(2025, 11, 2)
    stored = source(tmp_path, comparison_of(friday), diverged(comparison_of(sunday)), comparison_of(MONDAY))
    told, follows = (build_week(stored, day, stage="dev") for day in (friday, FRIDAY))
    assert (told.pairs, told.plans, told.unexplained) == (1, (), 0)
    assert (follows.pairs, [plan.day for plan in follows.plans], follows.unexplained_before) == (2, [sunday], 0)
    assert [(each.state, each.first) for each in follows.differences] == [("new", sunday)]
    after = build_week(stored, date(2025, 11, 14), stage="dev")
    assert (after.pairs, after.unexplained_before, [each.state for each in after.differences]) == (
        0,
        follows.unexplained,
        ["gone"],
    )


def test_of_a_run_that_was_judged_again_the_last_document_counts_in_report_and_week_alike(tmp_path: Path) -> None:
    pair = comparison_of(FRIDAY)
    stored = source(tmp_path, diverged(pair), pair)
    week = build_week(stored, FRIDAY, stage="dev")
    assert (week.pairs, week.plans, week.unexplained) == (1, (), 0)
    assert build_report(stored, FRIDAY).verdict == "MATCHED"


def test_the_sums_of_the_week_are_those_of_its_pairs(tmp_path: Path) -> None:
    before, now = diverged(comparison_of(date(2025, 10, 29))), [diverged(comparison_of(day)) for day in (MONDAY, FRIDAY)]
    planted = diverged(comparison_of(date(2025, 11, 4))).model_copy(update={"origin": "planted"})
    later = diverged(comparison_of(date(2025, 11, 10)))
    week = build_week(source(tmp_path, before, *now, comparison_of(date(2025, 11, 5)), planted, later), FRIDAY, stage="dev")

    def unexplained(*pairs: Comparison) -> Decimal:
        return sum((each.gross for pair in pairs for each in pair.differences if each.unexplained), Decimal(0))

    assert week.pairs == 3
    assert [plan.plan_id for plan in week.plans] == [each.plan_id for each in now]
    assert week.unexplained == unexplained(*now)
    assert week.unexplained_before == unexplained(before)
    assert [day.verdict for day in week.days] == ["DIVERGED", "", "MATCHED", "", "DIVERGED"]
    assert week.sentence == f"2 of 3 pairs do not agree, {unexplained(*now):,.2f} USD unexplained."


def test_its_mail_is_written_in_text_and_html_and_fetches_nothing(tmp_path: Path) -> None:
    week = build_week(source(tmp_path, diverged(comparison_of(MONDAY))), FRIDAY, stage="dev")
    mail = render_week(
        week, sender="shadow@example.com", recipients=["desk@example.com"], now=datetime(2025, 11, 7, 22, tzinfo=UTC)
    )
    read = message_from_bytes(bytes(mail), policy=default)
    text, html = (read.get_body((kind,)) for kind in ("plain", "html"))

    assert read["Subject"] == "[dev] Week of 2025-11-03: 1 of 1 pairs diverged, 1 new"
    assert text is not None
    assert html is not None
    assert week.plans[0].why in text.get_content()
    assert "src=" not in html.get_content()
    assert 'rel="stylesheet"' not in html.get_content()
