"""The daily report: what it says of a day, and how page, mail, JSON and table say it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.daily.build import ReportSettings, build_report
from reports.daily.html import render_page, to_json
from reports.daily.mail import differences_csv, render_mail, safe_cell
from reports.daily.values import DailyReport, DayVerdict
from reports.data.frames import load_frames
from reports.data.trading_calendar import (
    NoTradingDay,
    close_of,
    is_half_day,
    is_trading_day,
    last_closed_day,
    report_day,
    trading_days,
    trading_days_before,
)
from reports.noise import tolerances_of
from reports.readiness.readiness import KnownEntry, Readiness, ReadinessPolicy
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Attribution, Cause, Comparison, Impact, MoneyLedger, MoneyRow, Severity, Told, Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.outcome import Owner
from shadow.contracts.pair import PairState, Unpaired, UnpairedPlan
from shadow.contracts.visible import one_line
from shadow.contracts.vocabulary import Role
from tests.factories.comparisons import Given, comparison_of, difference, diverged, incomplete, missing_candidate, story
from tests.factories.pairs import LedgerOf, judged

DAYS = trading_days(date(2025, 11, 3), date(2025, 11, 20))
NOW = datetime(2025, 11, 20, 22, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'&=cmd|' /C calc'!A0"


def report_of(comparisons: Iterable[Comparison], day: date = DAYS[0], **options: object) -> DailyReport:
    return build_report(Given(*comparisons), day, now=NOW, **options)  # type: ignore[arg-type]


PAIR = comparison_of(DAYS[0])
CRITICAL = diverged(PAIR, difference(PAIR, severity=Severity.CRITICAL))
KNOWN = diverged(PAIR, difference(PAIR, severity=Severity.MINOR, covered_by="KD-1"))
REGISTERED = KnownEntry(id="KD-1", owner="desk", reason="rounding", expires=date(2030, 1, 1))


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (PAIR, DayVerdict.MATCHED),
        (KNOWN, DayVerdict.MATCHED),
        (diverged(PAIR), DayVerdict.DIVERGED),
        (CRITICAL, DayVerdict.CRITICAL),
        (missing_candidate(PAIR), DayVerdict.MISSING),
        (incomplete(PAIR), DayVerdict.INCOMPLETE),
    ],
)
def test_the_days_verdict_is_the_worst_thing_true_of_it(comparison: Comparison, verdict: DayVerdict) -> None:
    registered = ReportSettings(known=(REGISTERED,))
    assert report_of([comparison], settings=registered).verdict is verdict
    assert report_of([comparison_of(DAYS[0], number=1), comparison], settings=registered).verdict is verdict


def test_a_day_with_nothing_published_says_so_loudly_everywhere() -> None:
    report = report_of([PAIR], DAYS[1])
    assert (report.verdict, report.counts.published) == (DayVerdict.NOTHING_PUBLISHED, 0)
    mail = render_mail(report, sender="a@example.com", recipients=["b@example.com"])
    text = mail.get_body(("plain",))
    assert text is not None
    for rendered in (render_page(report), text.get_content(), str(mail["Subject"])):
        assert "NOTHING" in rendered
    assert "NOTHING WAS PUBLISHED" in text.get_content().splitlines()[0]
    assert report.readiness.in_a_row == 0


def test_a_pair_that_waits_is_pending_and_counted() -> None:
    waiting = judged(PAIR, verdict=Verdict.PENDING, state=PairState.PENDING)
    report = report_of([], ledger=LedgerOf(waiting))
    assert report.verdict is DayVerdict.PENDING
    assert report.counts.line == "1 published = 0 matched + 0 diverged + 0 ignored + 0 incomplete + 0 missing + 1 pending"


@pytest.mark.parametrize(
    ("comparisons", "sentence"),
    [([PAIR], "1 of 1 pair agrees. 1 plan with trades got no pair"), ([], "NOTHING WAS PUBLISHED TO BOTH LANES")],
)
def test_a_plan_that_got_no_pair_is_told_and_breaks_the_row(comparisons: list[Comparison], sentence: str) -> None:
    unpaired = UnpairedPlan(
        plan_id="never-paired", trading_day=DAYS[0], published_at=PAIR.published_at, reason=Unpaired.NOT_SAMPLED
    )
    pairs = [judged(comparison) for comparison in comparisons]
    report = report_of(comparisons, ledger=LedgerOf(*pairs, unpaired=[unpaired]))
    assert report.sentence.startswith(sentence)
    assert report.counts.line.endswith("; 1 more without a pair")
    assert (report.readiness.in_a_row, report.readiness.days) == (0, 0)
    coverage = next(entry.reason for entry in report.readiness.criteria if entry.name == "coverage")
    assert f"1 of {len(pairs) + 1} plans of the day have no pair" in coverage
    whole = report_of(comparisons, ledger=LedgerOf(*pairs))
    assert whole.readiness.in_a_row == len(pairs)


def test_a_day_whose_plans_only_hold_is_told_as_such() -> None:
    held = UnpairedPlan(plan_id="holds", trading_day=DAYS[0], published_at=PAIR.published_at, reason=Unpaired.HOLD_ONLY)
    assert report_of([], ledger=LedgerOf(unpaired=[held])).sentence.startswith("Every plan of this trading day only holds")


def test_a_verdict_that_no_comparison_bears_out_is_the_worst_of_all() -> None:
    report = report_of([], ledger=LedgerOf(judged(PAIR)))
    assert (report.verdict, report.counts.uncompared) == (DayVerdict.UNACCOUNTED, 1)
    assert report.readiness.readiness is Readiness.BLOCKED


def test_money_is_summed_exactly_and_apart_from_what_is_known() -> None:
    pair = comparison_of(DAYS[0])
    entries = [difference(pair, 0), difference(pair, 1, kind="SLIPPAGE", severity=Severity.MINOR, covered_by="KD-1")]
    impact = report_of([diverged(pair, *entries)], settings=ReportSettings(known=(REGISTERED,))).impact
    assert (impact.gross, impact.unexplained, impact.notional) == (Decimal("493.60"), Decimal("246.80"), Decimal("493.60"))


def test_differences_are_grouped_by_kind_and_cause_with_the_worst_first() -> None:
    pair = comparison_of(DAYS[0])
    minor = [difference(pair, n, kind="SLIPPAGE", severity=Severity.MINOR, attribution=Attribution.NEITHER) for n in range(5)]
    report = report_of([diverged(pair, *minor, difference(pair, 6, severity=Severity.CRITICAL))])
    assert [(group.kind, group.count, len(group.examples)) for group in report.kinds] == [
        ("ORDER_QUANTITY", 1, 1),
        ("SLIPPAGE", 5, 3),
    ]
    assert {(cause.attribution, cause.count) for cause in report.causes} == {(Attribution.CANDIDATE, 1), (Attribution.NEITHER, 5)}


def test_known_divergences_say_what_they_cover_and_what_is_not_registered() -> None:
    entry = KnownEntry(id="KD-1", owner="desk", reason="rounding", expires=date(2025, 11, 2))
    report = report_of([KNOWN], settings=ReportSettings(known=(entry,)))
    assert [(k.id, k.state, k.today, k.gross_today) for k in report.known] == [("KD-1", "expired", 1, Decimal("246.80"))]


def test_an_entry_that_was_taken_out_of_the_register_covers_nothing() -> None:
    report = report_of([KNOWN])
    assert (report.verdict, report.known) == (DayVerdict.DIVERGED, ())


def test_beyond_its_budget_a_known_divergence_makes_the_day_diverge() -> None:
    pair = comparison_of(DAYS[0])
    twice = [difference(pair, n, kind="SLIPPAGE", severity=Severity.MINOR, covered_by="KD-1") for n in range(2)]
    entry = KnownEntry(id="KD-1", owner="desk", reason="rounding", expires=date(2030, 1, 1), budget_a_day=1)
    report = report_of([diverged(pair, *twice)], settings=ReportSettings(known=(entry,)))
    assert report.verdict is DayVerdict.DIVERGED
    assert [(k.state, k.today) for k in report.known] == [("over budget", 1)]


def test_what_changed_since_the_trading_day_before_is_told() -> None:
    report = report_of([PAIR, diverged(comparison_of(DAYS[1]))], DAYS[1])
    changed = {change.label: (change.before, change.now) for change in report.changes if change.changed}
    assert changed["Verdict of the day"] == ("MATCHED", "DIVERGED")
    assert changed["Readiness"] == ("NOT_YET", "BLOCKED")
    assert report_of([PAIR], DAYS[0]).changes == ()


def test_the_trend_has_every_trading_day_since_the_first_also_idle_ones() -> None:
    report = report_of([comparison_of(DAYS[0]), comparison_of(DAYS[3])], DAYS[4])
    assert [(day.day, day.published) for day in report.trend] == list(zip(DAYS[:5], (1, 0, 0, 1, 0), strict=True))


def test_the_trend_has_at_most_thirty_days() -> None:
    days = trading_days_before(date(2025, 11, 20), 40)
    report = report_of([comparison_of(day, trades=2, exits=0) for day in days], days[-1])
    assert [day.day for day in report.trend] == list(days[-30:])


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda pair: pair, "2 of 2 pairs agree."),
        (diverged, "1 of 2 pairs agrees. 1 unexplained difference"),
        (incomplete, "1 of 2 pairs agrees. 0 missing, 1 incomplete"),
        (lambda pair: incomplete(diverged(pair)), "1 of 2 pairs agrees. 1 unexplained difference"),
        (missing_candidate, "1 of 2 pairs agrees. 1 missing"),
        (lambda pair: missing_candidate(diverged(pair)), "1 of 2 pairs agrees. 1 unexplained difference"),
        (lambda pair: diverged(pair, difference(pair, 0, covered_by="KD-1")), "2 of 2 pairs agree. Known divergences cover 1"),
    ],
)
def test_a_pair_agrees_or_not_whatever_else_is_said_of_it(second: Callable[[Comparison], Comparison], said: str) -> None:
    known = KnownEntry(id="KD-1", owner="desk", reason="expected", expires=date(2030, 1, 1), budget_a_day=9)
    pairs = [comparison_of(DAYS[0]), second(comparison_of(DAYS[0], number=1))]
    report = build_report(Given(*pairs), DAYS[0], settings=ReportSettings(known=(known,)))
    assert report.sentence.startswith(said)
    alone = build_report(Given(pairs[1]), DAYS[0], settings=ReportSettings(known=(known,)))
    assert alone.sentence.startswith("1 of 1 pair agrees." if said.startswith("2") else "0 of 1 pair agree.")


def test_the_dollars_of_the_trend_are_rounded_once_and_not_day_by_day() -> None:
    worth = Impact(notional=Decimal("10.004"), cash=Decimal("-10.004"), gross=Decimal("10.004"))
    pairs = [comparison_of(day) for day in DAYS[:5]]
    report = report_of([diverged(pair, difference(pair, 0, impact=worth)) for pair in pairs], DAYS[4])
    assert sum(day.gross for day in report.trend) == Decimal("50.020")
    assert "5 trading days" in render_page(report)
    assert re.search(r"Gross impact of all differences[^:]*: 50\.02 USD", render_page(report))


def test_drills_are_listed_and_counted_apart() -> None:
    report = report_of([PAIR, comparison_of(DAYS[0], number=1, origin="planted")])
    assert (report.counts.published, report.counts.drills, len(report.pairs)) == (1, 1, 2)
    assert report.trend[0].trades == 12


def test_no_report_is_made_of_a_day_without_trading() -> None:
    with pytest.raises(NoTradingDay, match="2025-11-27"):
        report_of([], date(2025, 11, 27))


def test_the_report_of_the_same_documents_is_the_same() -> None:
    report = report_of(story(DAYS), DAYS[7])
    again = report_of(story(DAYS), DAYS[7])
    assert to_json(report) == to_json(again)
    assert render_page(report) == render_page(again)
    assert DailyReport.parse_json(to_json(report)) == report


def test_json_has_exact_amounts_as_text_and_sorted_keys() -> None:
    values = json.loads(to_json(report_of([diverged(PAIR)])))
    assert values["impact"]["gross"] == "246.80"
    assert list(values) == sorted(values)


class Page(HTMLParser):
    """What a page has that a test asks about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def hostile_report() -> DailyReport:
    pair = comparison_of(DAYS[0])
    entry = difference(
        pair,
        kind="SLIPPAGE",
        field=HOSTILE,
        symbol=HOSTILE,
        control=HOSTILE,
        candidate=HOSTILE,
        explanation=HOSTILE,
        rule=HOSTILE,
    )
    known = KnownEntry(id=HOSTILE, owner=HOSTILE, reason=HOSTILE, expires=date(2030, 1, 1))
    return report_of([diverged(pair, entry)], settings=ReportSettings(known=(known,), stage=HOSTILE))


def test_whatever_a_document_says_stays_text() -> None:
    report = hostile_report()
    mail = render_mail(report, sender="a@example.com", recipients=["b@example.com"]).get_body(("html",))
    assert mail is not None
    for rendered in (render_page(report), mail.get_content()):
        page = Page(rendered)
        assert page.all("script") == []
        assert "alert(1)" in "".join(page.words)
        assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]


def test_the_page_fetches_nothing_and_its_links_lead_somewhere() -> None:
    page = Page(render_page(report_of(story(DAYS), DAYS[7])))
    assert page.all("script") == page.all("iframe") == page.all("img") == []
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"]) for link in page.all("a")]
    assert targets
    assert all(target.startswith("#") and target[1:] in ids for target in targets)


def test_the_page_is_accessible_in_what_a_machine_can_see() -> None:
    page = Page(render_page(report_of(story(DAYS), DAYS[7])))
    assert page.all("html")[0]["lang"] == "en"
    assert all(cell.get("scope") in {"col", "row"} for cell in page.all("th"))
    figures = page.all("figure")
    assert len(figures) == 5
    assert all(figure["role"] == "img" and len(str(figure["aria-label"])) > 40 for figure in figures)
    assert len(page.all("h1")) == 1


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_keeps_wcag_contrast_in_light_and_dark(scheme: int) -> None:
    page = render_page(report_of([PAIR]))
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", page, re.DOTALL)[scheme]))
    pairs = [(ink, ground) for ink in ("ink", "quiet", "link") for ground in ("ground", "card")]
    pairs += [(tone, f"{tone}-ground") for tone in ("good", "bad", "wait")]
    pairs += [("ink", f"{tone}-ground") for tone in ("good", "bad", "wait")]
    assert {
        pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 4.5
    } == {}


def sent(report: DailyReport, **options: object) -> EmailMessage:
    message = render_mail(report, sender="Shadow <a@example.com>", recipients=["b@example.com", "c@example.com"], **options)  # type: ignore[arg-type]
    read = message_from_bytes(bytes(message), policy=default)
    assert isinstance(read, EmailMessage)
    return read


def test_page_and_mail_say_what_people_decided_what_is_assumed_and_what_the_days_say_without_it() -> None:
    settings = ReportSettings(policy=ReadinessPolicy(bad_day_target=0.4))
    report = report_of([comparison_of(DAYS[0])], settings=settings)
    mail = sent(report)
    texts = [render_page(report), *(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")]
    assert len(texts) == 3
    for text in texts:
        words = " ".join(text.split())
        assert "bad_day_target: 0.4, by default 0.35" in words
        assert "assume that trades of one day go wrong together at most to a correlation of 0.1." in words
        assert "Assuming nothing: 0 of 1 days had an unexplained difference: at most 95.0% of all days do" in words


def test_the_mail_has_text_html_pictures_inside_and_a_table() -> None:
    mail = sent(report_of(story(DAYS), DAYS[7]), page_url="https://example.com/report", table="kind\r\nVALUE\r\n")
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        *["image/png"] * 5,
        "text/csv",
    ]
    html = mail.get_body(("html",))
    assert html is not None
    page = Page(html.get_content())
    cids = {f"cid:{str(part['Content-ID']).strip('<>')}" for part in mail.walk() if part.get_content_type() == "image/png"}
    assert {str(image["src"]) for image in page.all("img")} == cids
    assert all(len(str(image["alt"])) > 40 for image in page.all("img"))
    assert "https://example.com/report" in [link["href"] for link in page.all("a")]


def test_the_first_lines_of_the_mail_answer_the_question() -> None:
    text = sent(report_of(story(DAYS), DAYS[7])).get_body(("plain",))
    assert text is not None
    what, who, complete, todo, command = [line for line in text.get_content().splitlines() if line][:5]
    assert what.startswith("CRITICAL: SELL SYM0000: ")
    assert who == "The control (legacy) departs, the candidate (workflow) departs. Worth 493.60 USD gross, 493.60 USD net."
    assert complete == "Complete: 1 pair published, 1 compared."
    assert todo.startswith("Decide today:")
    assert "Runbook: critical-divergence." in todo
    assert command.strip().startswith("shadow explain portfolio_v2_workflow-2025-11-12")


def test_a_95th_percentile_is_given_from_twenty_values_on() -> None:
    report = report_of([comparison_of(DAYS[0], trades=24)])
    spreads = {(each.of, each.role.value, each.count): each.p95 for each in report.durations}

    assert spreads["runs", "control", 1] is None
    assert spreads["trades", "control", 24] is not None


def test_a_table_of_tolerances_that_nobody_measured_is_folded() -> None:
    page = render_page(report_of([PAIR], settings=ReportSettings(tolerances=tolerances_of(default_policy()))))

    assert "none of them measured" in page
    assert "Noise, 95 %" not in page


def test_the_subject_says_the_most_in_one_line() -> None:
    assert sent(report_of([PAIR]))["Subject"] == "[dev] 2025-11-03 MATCHED: 1 of 1 matched, NOT_YET"


def test_a_subject_cannot_smuggle_a_header() -> None:
    report = report_of([PAIR], settings=ReportSettings(stage="dev\r\nBcc: thief@example.com"))
    with pytest.raises(ValueError, match=r"linefeed|carriage"):
        sent(report)


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "|calc", "%0A=1"])  # noqa: RUF001
def test_a_cell_that_a_spreadsheet_would_execute_is_led_by_an_apostrophe(cell: str) -> None:
    assert safe_cell(cell) == f"'{one_line(cell)}"


@pytest.mark.parametrize("cell", ["-246.80", "+1", "0", "plain", "2025-11-03", "a=b", ""])
def test_a_harmless_cell_stays_as_it_is(cell: str) -> None:
    assert safe_cell(cell) == cell


@given(st.text())
def test_no_cell_is_ever_read_as_a_formula(text: str) -> None:
    written = safe_cell(text).lstrip()
    assert not written.startswith(("=", "@")) or written == ""
    assert not written.startswith(("+", "-")) or re.fullmatch(r"[+-]?\d+(\.\d+)?", written)


def test_the_table_has_every_difference_and_is_harmless() -> None:
    pair = comparison_of(DAYS[0])
    frames = load_frames(
        Given(diverged(pair, difference(pair, explanation="=HYPERLINK(1)", candidate="@x"), difference(pair, 1)))
    )
    rows = list(csv.DictReader(io.StringIO(differences_csv(frames.differences))))
    assert len(rows) == 2
    assert (rows[0]["explanation"], rows[0]["candidate"], rows[0]["notional"]) == ("'=HYPERLINK(1)", "'@x", "246.80")


def test_half_days_and_holidays_are_the_exchanges_own() -> None:
    assert not is_trading_day(date(2025, 11, 27))
    assert is_half_day(date(2025, 11, 28))
    assert close_of(date(2025, 11, 28)).isoformat() == "2025-11-28T13:00:00-05:00"
    assert close_of(date(2025, 7, 1)).isoformat() == "2025-07-01T16:00:00-04:00"
    assert report_of([comparison_of(date(2025, 11, 28))], date(2025, 11, 28)).half_day


def test_the_last_closed_day_waits_for_the_bell() -> None:
    assert last_closed_day(datetime(2025, 11, 28, 17, 59, tzinfo=UTC)) == date(2025, 11, 26)
    assert last_closed_day(datetime(2025, 11, 28, 18, 0, tzinfo=UTC)) == date(2025, 11, 28)


def test_today_is_a_day_in_new_york() -> None:
    assert report_day(None, datetime(2025, 11, 21, 2, 0, tzinfo=UTC)) == date(2025, 11, 20)
    assert report_day("2025-11-03", NOW) == date(2025, 11, 3)


@pytest.mark.parametrize("asked", ["yesterday", 20251103, "", "2025-02-30"])
def test_a_day_that_is_none_is_refused(asked: object) -> None:
    with pytest.raises(InvalidPayload, match="day: expected a date"):
        report_day(asked, NOW)


def ledger_of(unexplained: str) -> MoneyLedger:
    """A proved ledger: 40,000 USD gross that nets to nothing, accounts 12.50 USD and what is unexplained apart."""
    rest = Decimal(unexplained)
    rows = (MoneyRow(cause=Cause.FEES, dollars=Decimal("12.50")), MoneyRow(cause=Cause.UNEXPLAINED, dollars=rest))
    return MoneyLedger(
        rows=rows, gross=Decimal(40_000), equity=Decimal("12.50") + rest, unexplained=rest, is_proved=True, basis="the brokers"
    )


def test_the_money_ledgers_of_a_day_are_told_on_page_and_mail_and_never_cancel_out() -> None:
    told = (Told(role=Role.CONTROL, owner=Owner.NOBODY, order_id="by-hand"),)
    pairs = [
        comparison_of(DAYS[0], number=1).model_copy(update={"money": ledger_of("3.00"), "told": told}),
        comparison_of(DAYS[0], number=2).model_copy(update={"money": ledger_of("-3.00")}),
        comparison_of(DAYS[0], number=3).model_copy(update={"money": MoneyLedger(gross=Decimal(5), net=Decimal(-5))}),
        comparison_of(DAYS[0], number=4).model_copy(update={"money": None}),
    ]
    report = report_of(pairs)

    line = (
        "80,005.00 USD gross exposure and -5.00 USD net in 3 pairs; 2 proved by the brokers: the accounts differ by +25.00 USD, "
        "6.00 USD unexplained; 1 pair not proved: the brokers were not asked before and after the run; "
        "1 order in the accounts that no trade of the run accounts for"
    )
    assert report.money.line == line
    assert line in render_page(report)
    mail = render_mail(report, sender="a@example.com", recipients=("b@example.com",), page_url="", table="")
    assert all(line in part.get_content().replace("\n", "") for part in mail.walk() if part.get_content_type() == "text/html")
    assert line in next(part.get_content() for part in mail.walk() if part.get_content_type() == "text/plain")


def test_a_day_without_a_ledger_says_so() -> None:
    assert report_of([comparison_of(DAYS[0], number=1).model_copy(update={"money": None})]).money.line == "no pair has a ledger"
