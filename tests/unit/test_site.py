"""The pages to browse: what the first screen says, addresses that stay, links that lead somewhere, and sizes that stay small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from reports.daily.build import build_report
from reports.data.trading_calendar import trading_days
from reports.headline import headline_of
from reports.site import LIST, Folder, Options, gather, identity_of, write_site
from shadow.contracts.comparison import (
    Attribution,
    Cause,
    Comparison,
    Executed,
    MoneyLedger,
    MoneyLine,
    MoneyRow,
    Severity,
    Told,
    Word,
)
from shadow.contracts.outcome import Owner
from shadow.contracts.vocabulary import Lane, Role, Side
from tests.factories.comparisons import (
    Given,
    comparison_of,
    difference,
    diverged,
    incomplete,
    missing_candidate,
    story,
    with_a_trade_beyond_the_plan,
    with_roles_swapped,
)

DAYS = trading_days(date(2025, 11, 3), date(2025, 11, 20))
PAIR = comparison_of(DAYS[0])


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    comparisons = list(story(DAYS))
    write_site(lambda: comparisons, Folder(made), options=Options(readiness="NOT_YET", readiness_reason="needs 5 more days"))
    return made


def test_every_link_leads_to_a_page_and_none_leaves_the_folder(folder: Path) -> None:
    for page in folder.rglob("*.html"):
        for link in Links(page.read_text(encoding="utf-8")).found:
            assert not re.match(r"[a-z]+:", link) or link == "data:,"
            if link.startswith(("#", "data:")):
                continue
            assert (page.parent / unquote(link.split("#")[0])).resolve().is_file(), (page.name, link)


def test_the_first_screen_says_what_who_how_much_whether_complete_and_what_to_do() -> None:
    entries = [difference(PAIR, 0, severity=Severity.CRITICAL), difference(PAIR, 1, kind="SLIPPAGE", severity=Severity.MINOR)]
    found = headline_of([diverged(PAIR, *entries)])
    assert found.verdict == "CRITICAL"
    assert entries[0].explanation in found.sentence
    assert "1 more unexplained difference" in found.sentence
    assert found.who == "The candidate (workflow) departs."
    assert found.worth.startswith("493.60 USD gross")
    assert found.complete == "Complete: 1 pair published, 1 compared."
    assert (found.command, found.runbook) == (f"shadow explain {PAIR.plan_id}", "critical-divergence")


def test_a_day_without_a_difference_says_that_short() -> None:
    found = headline_of([PAIR])
    assert (found.sentence, found.todo, found.command) == ("Both lanes agree.", "Nothing to do.", "")


def test_what_a_dry_run_cannot_show_is_said_with_the_place_where_it_is_listed() -> None:
    assert PAIR.candidate is not None
    asked = PAIR.model_copy(update={"candidate": PAIR.candidate.model_copy(update={"broker_truth": True})})
    assert headline_of([asked]).unseen == ""
    for pairs in ([PAIR], [PAIR, asked]):
        assert f"in 1 of {len(pairs)} pair" in headline_of(pairs).unseen
        assert Path("docs/what-is-seen.md").is_file()
        assert "docs/what-is-seen.md" in headline_of(pairs).unseen


@pytest.mark.parametrize(
    ("comparison", "runbook"),
    [(incomplete(PAIR), "incomplete-evidence"), (missing_candidate(PAIR), "missing-candidate")],
)
def test_what_was_not_compared_is_never_told_as_agreement_and_accuses_nobody(comparison: Comparison, runbook: str) -> None:
    found = headline_of([comparison])
    assert "agree" not in found.sentence
    assert found.who.startswith("Unknown")
    assert found.complete == "Not complete: 1 pair published, 0 compared."
    assert found.runbook == runbook


def test_a_published_pair_that_was_not_compared_makes_the_figures_incomplete() -> None:
    assert headline_of([PAIR], published=2).complete == "Not complete: 2 pairs published, 1 compared."


def test_a_difference_keeps_its_address_over_days_and_lanes_have_addresses_of_their_own() -> None:
    entry = difference(PAIR, 0)
    later = difference(comparison_of(DAYS[1]), 0)
    assert identity_of(entry) == identity_of(later)
    other = entry.model_copy(update={"attribution": Attribution.CONTROL, "lane": Lane.LEGACY})
    assert identity_of(entry) != identity_of(other)


def test_a_difference_keeps_its_address_when_a_cut_over_gives_its_lane_the_other_role() -> None:
    before = difference(PAIR, 0, attribution=Attribution.CONTROL, lane=Lane.LEGACY)
    after = before.model_copy(update={"attribution": Attribution.CANDIDATE})
    s_place = before.model_copy(update={"lane": Lane.WORKFLOW})
    assert identity_of(before) == identity_of(after) != identity_of(s_place)
    seen = gather([diverged(PAIR, before), diverged(with_roles_swapped(comparison_of(DAYS[1])), after)]).seen
    assert [(each.who, len(each.rows)) for each in seen.values()] == [("candidate (legacy)", 2)]


def test_a_difference_keeps_its_address_in_whichever_notation_the_plan_has_its_symbol() -> None:
    entry = difference(PAIR, 0, symbol="AAPL")
    assert identity_of(entry) == identity_of(entry.model_copy(update={"symbol": "EQUITIES::AAPL//USD"}))


@pytest.mark.parametrize("origin", ["planted", "replay"])
def test_what_a_drill_showed_is_told_and_counts_in_no_sum_and_makes_nothing_new(origin: str, tmp_path: Path) -> None:
    live = diverged(comparison_of(DAYS[0]), difference(comparison_of(DAYS[0]), 0, kind="SLIPPAGE"))
    drill = comparison_of(DAYS[1], number=5, origin=origin)
    drilled = diverged(drill, difference(drill, 0, kind="SLIPPAGE"), difference(drill, 1, kind="SIDE"))
    alone, beside = gather([live, comparison_of(DAYS[1])]), gather([live, comparison_of(DAYS[1]), drilled])
    assert [day.gross for day in beside.days] == [day.gross for day in alone.days] == [Decimal("246.80"), 0]
    seen = {each.kind: (beside.state(each), each.gross, len(each.rows)) for each in beside.seen.values()}
    assert seen == {"SLIPPAGE": ("gone", Decimal("246.80"), 2), "SIDE": ("new", 0, 1)}
    write_site(lambda: [live, comparison_of(DAYS[1]), drilled], Folder(tmp_path))
    assert (tmp_path / "day" / f"{DAYS[1]}.html").read_text(encoding="utf-8").count(f"({origin})") == 3


def test_a_pair_has_as_many_trades_on_the_site_as_in_the_report() -> None:
    pair = with_a_trade_beyond_the_plan(PAIR, *Role)
    report = build_report(Given(pair), pair.trading_day)
    assert gather([pair]).days[0].pairs[0].trades == report.pairs[0].trades == len(pair.plan.tradable_items) + 1


def test_new_still_there_and_gone_are_told_against_the_day_before(tmp_path: Path) -> None:
    def on(number: int, *kinds: str) -> Comparison:
        pair = comparison_of(DAYS[number])
        return diverged(pair, *[difference(pair, 0, kind=kind) for kind in kinds])

    pairs = [on(0, "SLIPPAGE", "SIDE"), on(1, "SLIPPAGE", "RESIDUE")]
    site = gather(pairs)
    states = {each.kind: site.state(each) for each in site.seen.values()}
    assert states == {"SLIPPAGE": "still there", "SIDE": "gone", "RESIDUE": "new"}
    write_site(lambda: pairs, Folder(tmp_path))
    days = [(tmp_path / "day" / f"{day}.html").read_text(encoding="utf-8") for day in DAYS[:2]]
    assert [re.findall(r">new</span>.*?kind/(\w+)", day) for day in days] == [[], ["RESIDUE"]]


def test_a_page_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    comparisons = list(story(DAYS[:5]))
    first = write_site(lambda: comparisons, Folder(tmp_path))
    assert (first.changed, write_site(lambda: comparisons, Folder(tmp_path)).changed) == (first.pages, 0)
    more = [*comparisons, diverged(comparison_of(DAYS[6]))]
    again = write_site(lambda: more, Folder(tmp_path))
    assert 0 < again.changed < again.pages
    assert (tmp_path / LIST).is_file()


def test_sixty_days_with_ten_thousand_differences_stay_small(tmp_path: Path) -> None:
    many = []
    for day in trading_days(date(2025, 8, 1), date(2025, 10, 24))[:60]:
        pair = comparison_of(day)
        kinds = {"kind": "SLIPPAGE", "severity": Severity.MINOR}
        entries = [difference(pair, number % 12, field=f"field{number}", **kinds) for number in range(167)]
        many.append(diverged(pair, *entries))
    write_site(lambda: many, Folder(tmp_path))
    assert sum(len(comparison.differences) for comparison in many) > 10_000
    assert max(path.stat().st_size for path in tmp_path.rglob("*.html")) < 2_000_000


def test_the_script_is_small_and_everything_is_there_without_it(folder: Path) -> None:
    assert len(files("reports.templates").joinpath("site", "site.js").read_bytes()) <= 8_192
    day = (folder / "day" / f"{DAYS[7]}.html").read_text(encoding="utf-8")
    assert "493.60 USD" in day
    assert "SIZING_BASIS" in day


def test_what_a_lane_wrote_is_shown_as_text(folder: Path) -> None:
    text = (folder / "day" / f"{DAYS[7]}.html").read_text(encoding="utf-8")
    assert "<b>1,200</b>" not in text
    assert "&lt;b&gt;1,200" in text


def test_gross_is_never_netted() -> None:
    first, second = difference(PAIR, 0), difference(PAIR, 1)
    impact = second.impact.model_copy(update={"notional": Decimal(-100), "cash": Decimal(100)})
    found = headline_of([diverged(PAIR, first, second.model_copy(update={"impact": impact}))])
    assert "346.80 USD gross" in found.worth


def test_the_page_of_a_pair_has_its_money_ledger_and_the_orders_that_are_told(tmp_path: Path) -> None:
    lines = (
        MoneyLine(
            trade_id="t",
            symbol="SPY",
            side=Side.BUY,
            planned=Decimal(1000),
            control=Executed(shares=Decimal(10), value=Decimal(1000), word=Word.BROKER),
            candidate=Executed(word=Word.NOT_KNOWN),
        ),
    )
    rows = (MoneyRow(cause=Cause.FEES, dollars=Decimal("-0.07")), MoneyRow(cause=Cause.UNEXPLAINED, dollars=Decimal("12.34")))
    ledger = MoneyLedger(
        lines=lines, rows=rows, equity=Decimal("12.27"), unexplained=Decimal("12.34"), is_proved=True, basis="the brokers' orders"
    )
    told = (Told(role=Role.CONTROL, owner=Owner.NOBODY, order_id="by-hand", symbol="<b>", filled=Decimal(500)),)
    pair = comparison_of(DAYS[0], number=1).model_copy(update={"money": ledger, "told": told})
    write_site(lambda: [pair], Folder(tmp_path))
    page = (tmp_path / "pair" / f"{pair.run_id}.html").read_text(encoding="utf-8")

    assert "The accounts differ by +12.27 USD, and +12.34 USD of that is unexplained." in page
    assert '+1,000.00 USD <span class="quiet">by the broker</span>' in page
    assert ">not known</td>" in page
    assert "order &lt;b&gt; <code>by-hand</code>, nobody, status not known, 500.00 USD filled" in page


class Lines(tuple[Any, ...]):
    """The lines of a money ledger, which count how often they are gone through."""

    __slots__ = ()
    turns: ClassVar[list[int]] = []

    def __iter__(self) -> Iterator[Any]:
        self.turns.append(len(self))
        return super().__iter__()


def test_the_ledger_of_a_pair_is_gone_through_once_for_all_of_its_differences() -> None:
    pair = diverged(PAIR, *(difference(PAIR, 0, kind=kind) for kind in ("SLIPPAGE", "DECISION_PRICE", "SIZE")))
    Lines.turns.clear()
    headline_of([pair.model_copy(update={"money": MoneyLedger().model_copy(update={"lines": Lines()})})])
    assert len(Lines.turns) == 1
