"""Business Unit: tests | Status: current.

What a lane wrote never reaches the terminal as something that it obeys: lines, tables, failures and JSON show it by number.
"""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from shadow.cli import output
from shadow.cli.output import visible

PAINTS = "\x1b[2J\x1b]0;title\x07\x9b31m\rMATCHED\u202eDEHCTAM\u200b\x7f"


@given(st.text())
def test_nothing_invisible_is_left_but_line_ends_and_tabs(text: str) -> None:
    shown = visible(text)
    controls = {character for character in shown if unicodedata.category(character) in {"Cc", "Cs"}}
    assert controls <= {"\n", "\t"}
    assert not {
        character
        for character in shown
        if unicodedata.bidirectional(character) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    }
    assert visible(shown) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_says_the_same_as_before(text: str) -> None:
    assert json.loads(visible(json.dumps({"text": text}, ensure_ascii=False))) == {"text": text}


@pytest.mark.parametrize("in_table", [False, True])
def test_a_lanes_escapes_are_shown_in_lines_and_tables(monkeypatch: pytest.MonkeyPatch, *, in_table: bool) -> None:
    console = output._console(stderr=False)
    console.file = io.StringIO()
    monkeypatch.setattr(output, "OUT", console)
    if in_table:
        grid = Table.grid()
        grid.add_row("label", escape(PAINTS))
        console.print(Padding(grid, 1))
        console.print(Padding(escape(PAINTS), 1))
    else:
        output.say(escape(PAINTS))

    written = console.file.getvalue()
    assert "\\u001b" in written.replace("\n", "").replace(" ", "")
    assert not [each for each in written if each != "\n" and visible(each) != each]
