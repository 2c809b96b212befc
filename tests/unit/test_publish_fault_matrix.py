"""Business Unit: tests | Status: current.

The control is untouchable: whatever befalls whichever operation beside it, the control is called once and as given, its result or
exception comes back as the same object, and the caller is held up no longer than the bound.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from local.pages import fault_matrix
from local.pages.fault_matrix import BOUND_SECONDS, CELLS, SENT, Cell, observe

SLACK_SECONDS = 2.0
"""What a busy machine may add; a hang that is not bounded lasts ten seconds."""


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_control_notices_nothing_and_nothing_goes_uncounted(cell: Cell) -> None:
    seen = observe(cell)
    assert seen.reached, "the cell did not exercise its operation"
    assert seen.called_once_as_given
    assert seen.answer_unchanged
    assert seen.held_seconds < BOUND_SECONDS + SLACK_SECONDS
    assert seen.counted or seen.queue_got == SENT


def test_without_a_fault_the_plan_is_sent_and_nothing_counted() -> None:
    seen = observe(None)
    assert (seen.queue_got, seen.counted, seen.called_once_as_given, seen.answer_unchanged) == (SENT, False, True, True)


def test_the_page_shows_what_the_cells_do() -> None:
    page = Path(__file__).parents[2] / fault_matrix.PATH
    assert page.read_text("utf-8") == fault_matrix.render(), "write it anew with `make pages`"
