"""Business Unit: tests | Status: current.

The control is untouchable: whatever befalls whichever operation of the harness, the control is called once and as given, its
result or exception comes back as the same object, and the caller is held up no longer than the bound.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from local.pages import fault_matrix
from local.pages.fault_cells import BOUND_SECONDS, CELLS, Cell, Fault, Seen, observe

SLACK_SECONDS = 0.95
HEALTHY = "running, pair STARTED"


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    chosen = request.param
    assert isinstance(chosen, Cell)
    return chosen


def test_the_control_notices_nothing_and_nothing_goes_uncounted(cell: Cell) -> None:
    seen = observe(cell)
    assert seen.reached, "the cell did not exercise its operation"
    assert seen.control_called_once_as_given
    assert seen.answer_unchanged
    assert seen.added_seconds < seen.bound_seconds + SLACK_SECONDS
    assert seen.counted or seen.candidate == HEALTHY


@pytest.mark.parametrize("control_raises", [False, True])
def test_without_a_fault_the_candidate_runs(control_raises: bool) -> None:  # noqa: FBT001 - a parameter of the test
    seen = observe(Cell(None, Fault.NONE, control_raises))
    assert seen == Seen(
        reached=False,
        control_called_once_as_given=True,
        answer_unchanged=True,
        added_seconds=seen.added_seconds,
        bound_seconds=BOUND_SECONDS,
        candidate=HEALTHY,
        counted=False,
    )


def test_the_page_shows_what_the_cells_do() -> None:
    page = Path(__file__).parents[2] / fault_matrix.PATH
    assert page.read_text("utf-8") == fault_matrix.render(), "write it anew with `make pages`"
