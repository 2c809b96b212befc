"""What the benchmarks record must render, whole: no row without its target and its verdict. No test fails on a timing."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import LATEST, PAGE, recorded
from benchmarks.render import Results, page, terminal
from benchmarks.rows import ROWS, Growth, Line, Measurement, Verdict
from benchmarks.timing import exponent, percentile, spread
from benchmarks.transitions import transitions

MACHINE = {"processor": "one", "cores": "2"}
MET = Measurement((Line("all", "ms", 10.0, 1.5, limit=2.0, floor=5.0, against="the floor", spread=0.1, repetitions=3),))
MISSED = Measurement((Line("all", "ms", 30.0, 3.0, limit=2.0, floor=10.0),), (Growth("growth", "trades", (1, 10), (1, 10)),))


def test_the_recorded_results_have_every_row_with_its_target_and_verdict() -> None:
    text, table = page(recorded()), terminal(recorded())
    for row in ROWS:
        assert f"| {row.id} |" in text
        assert f"**{row.id}. " in text
        assert row.target in text
        assert row.target in table
        assert any(f"**{verdict.value}**" in text.split(f"**{row.id}. ")[1].split("\n\n")[0] for verdict in Verdict)


def test_the_committed_page_is_what_the_recorded_results_render_to() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(recorded())


def test_the_recorded_results_come_from_a_whole_run() -> None:
    results = recorded()
    assert not results.quick
    assert set(results.rows) == {row.id for row in ROWS}
    assert json.loads(LATEST.read_text(encoding="utf-8"))["machine"]["cores"]


def test_results_survive_being_written_and_read() -> None:
    results = Results(MACHINE, {"B3": MET, "B12": MISSED}, quick=True, seconds=1.25)
    read = Results.read(json.loads(json.dumps(results.to_wire())))
    assert page(read).split("in all")[1] == page(results).split("in all")[1]
    assert read.rows["B3"].judged() is Verdict.MET
    assert read.rows["B12"].growth == MISSED.growth


@pytest.mark.parametrize(("made", "expected"), [(MET, Verdict.MET), (MISSED, Verdict.MISSED), (Measurement(), Verdict.FAILED)])
def test_a_row_is_judged_by_its_lines(made: Measurement, expected: Verdict) -> None:
    assert made.judged() is expected


def test_a_row_that_was_not_measured_says_so() -> None:
    assert "could not be measured" in page(Results(MACHINE, {}, quick=False, seconds=0))


def test_statistics_of_known_values() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.95) == 4.0
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(0.5)
    assert exponent([1, 10, 100], [2, 20, 200]) == pytest.approx(1.0)
    assert exponent([1, 10, 100], [2, 200, 20_000]) == pytest.approx(2.0)


@pytest.mark.parametrize(("sells", "buys", "expected"), [(0, 0, 9), (1, 0, 11), (0, 1, 13), (5, 5, 31), (2_500, 2_500, 10_011)])
def test_transitions_are_one_a_sell_and_three_a_buy_beside_a_constant(sells: int, buys: int, expected: int) -> None:
    assert transitions(sells, buys) == expected
