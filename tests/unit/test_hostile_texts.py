"""Business Unit: tests | Status: current.

A lane may write anything. Nothing that it writes paints over a verdict: not on a terminal, on a page, in a mail or in a
spreadsheet; and every stored document and every `--json` keeps it exactly.
"""

from __future__ import annotations

import csv
import html
import io
import json
import unicodedata
from datetime import date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import reports.daily.html
import reports.daily.mail
from reports.daily.html import render_page, to_json
from reports.daily.mail import differences_csv, render_mail, safe_cell
from reports.data.frames import load_frames
from reports.site import Folder, write_site
from shadow.contracts.comparison import Comparison
from shadow.contracts.visible import SHOWN, one_line, visible
from tests.factories.comparisons import Given, comparison_of, difference, diverged, incomplete, with_trade, write_jsonl
from tests.fakes.cli_cloud import shadow
from tests.unit.test_report_daily import report_of

DAY = date(2025, 11, 3)
FORGED = "MATCHED   nothing differs"
PAINTS = (
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\r",
    "\r\n",
    "\n",
    "\x0b\x0c\x85\u2028\u2029",
    "\t",
    "\b\b\b\b",
    "\u202e",
    "\u2066\u2069",
    "\u200b\u200d\ufeff\u2060",
    "\U000e0041\U000e007f",
    "\u3164\u2800\u115f",
    "\x00\x7f",
)
PIECES = (*PAINTS, FORGED, "[red]", "<script>alert(1)</script>", "&#x202e;", "=1+1", ";=2+2", "'", '"')
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=6).map("".join)


def pair_saying(text: str, *, gap: bool = False) -> Comparison:
    """A pair of which every field that a lane or a broker words holds `text`."""
    base = comparison_of(DAY, trades=2)
    assert base.candidate is not None
    lane = base.candidate.model_copy(update={"terminal_state": text, "failure_step": text, "failure_reason": text})
    order = lane.trades[0].orders[0].model_copy(update={"order_type": text, "status": text})
    lane = with_trade(lane, 0, error_message=text, orders=(order, order))
    told = difference(base, explanation=text, field=text, planned=text, control=text, candidate=text, rule=text, covered_by=None)
    pair = diverged(base.model_copy(update={"candidate": lane}), told)
    return incomplete(pair, text) if gap else pair


def painted(shown: str, *, line_ends: str = "\n") -> set[str]:
    """Every character of an output that is no plain text, and no line end or tab of the output's own."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return {each for each in shown if each not in line_ends and unicodedata.category(each) in hidden and visible(each) != each}


@given(HOSTILE, st.booleans())
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_the_terminal_shows_it_and_obeys_nothing(tmp_path_factory: pytest.TempPathFactory, text: str, gap: bool) -> None:  # noqa: FBT001
    pair = pair_saying(text, gap=gap)
    folder = tmp_path_factory.mktemp("pairs")
    write_jsonl(folder / "comparisons.jsonl", [pair])

    told = shadow("explain", pair.plan_id, "--folder", str(folder), "--all").stdout
    exact = json.loads(shadow("explain", pair.plan_id, "--folder", str(folder), "--json").stdout)

    assert not painted(told)
    assert not any(line.startswith(FORGED) for line in told.splitlines())
    assert Comparison.parse(exact["comparison"]) == pair


@given(HOSTILE)
@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_pages_mail_and_table_show_it_and_obey_nothing(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    pair = pair_saying(text)
    report = report_of([pair])
    folder = tmp_path_factory.mktemp("site")
    write_site(lambda: [pair], Folder(folder))
    with pytest.MonkeyPatch.context() as patch:
        for module in (reports.daily.html, reports.daily.mail):
            patch.setattr(module, "charts_of", lambda _report: ())  # pictures hold figures, and take seconds to draw
        pages = [render_page(report), *(page.read_text("utf-8") for page in folder.rglob("*.html"))]
        mail = sent(render_mail(report, sender="a@example.com", recipients=["b@example.com"]))
    plain, rich = (part_of(mail, kind) for kind in ("plain", "html"))

    for shown in (*pages, rich):
        assert not painted(html.unescape(shown))
        assert "<script>alert" not in shown
    assert not painted(plain)
    assert not any(line.strip().startswith(FORGED) for line in plain.splitlines())
    assert not painted(str(mail["Subject"]), line_ends="")
    assert json.loads(to_json(report)) == report.to_wire()
    frames = load_frames(Given(pair))
    for row in csv.reader(io.StringIO(differences_csv(frames.differences))):
        assert not painted("".join(row), line_ends="")


@given(HOSTILE)
def test_no_cell_starts_a_formula_in_any_list_separator(text: str) -> None:
    cell = safe_cell(text)
    for part in cell.split(";"):
        seen = part.lstrip().lstrip('"')
        assert not seen.startswith(("=", "@", "＝", "＠")), cell  # noqa: RUF001 - full-width forms
    assert "\n" not in cell
    assert "\t" not in cell


def test_an_explanation_without_an_end_makes_no_page_without_an_end(tmp_path: Path) -> None:
    endless = "The candidate asked for more. " * 700_000
    base = comparison_of(DAY, trades=2)
    pair = diverged(base, difference(base, explanation=endless))
    report = report_of([pair])
    write_site(lambda: [pair], Folder(tmp_path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.daily.html, "charts_of", lambda _report: ())
        assert len(render_page(report)) < 200_000
    assert max(page.stat().st_size for page in tmp_path.rglob("*.html")) < 200_000
    assert len(one_line(endless)) < SHOWN + 100
    assert one_line(endless).endswith("more characters in the document)")


def sent(message: EmailMessage) -> EmailMessage:
    read = message_from_bytes(message.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    return read


def part_of(mail: EmailMessage, kind: Any) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
