"""Two lanes that do the same are never told apart: random plans and everything a trading day can do to both lanes alike."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from shadow.contracts.comparison import Severity, Verdict
from shadow.contracts.vocabulary import ExecutionMode, RunStatus
from tests.factories.aa_lanes import aa_lanes
from tests.factories.aa_situations import EVENTS, SHAPES, Pair, pairs

QUICK, ALL, PROCESSES = 60, 1_000, 2


def false_alarms(chosen: list[Pair]) -> tuple[list[str], Counter[str]]:
    """Run pairs; give what was wrongly told of them, and how many ended in which way."""
    told, ended = [], Counter[str]()
    for mode in ExecutionMode:
        of_mode = [pair for pair in chosen if pair.mode is mode]
        if not of_mode:
            continue
        with aa_lanes(mode) as lanes:
            for pair in of_mode:
                comparison = lanes.compare(pair.situation)
                kinds = [each.kind for each in comparison.differences if each.severity is not Severity.INFO]
                if comparison.verdict is not Verdict.MATCHED or kinds or comparison.gaps:
                    told.append(f"{pair.name}, {mode}: {comparison.verdict}, {kinds}, {comparison.gaps[:2]}")
                assert comparison.control is not None
                ended.update([comparison.control.status, *(trade.status for trade in comparison.control.trades)])
    return told, ended


def test_sixty_pairs_without_a_difference_match() -> None:
    chosen = pairs(QUICK, seed=1)
    assert len({pair.name.partition(" ")[2] for pair in chosen}) == len(SHAPES) * len(EVENTS)
    told, ended = false_alarms(chosen)
    assert told == []
    assert ended[RunStatus.BLOCKED_BY_GUARD] >= 3


@pytest.mark.long
def test_a_thousand_pairs_without_a_difference_match() -> None:
    chosen = pairs(ALL, seed=2)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(false_alarms, [chosen[part::PROCESSES] for part in range(PROCESSES)], timeout=1_500))
    told = [line for lines, _ in results for line in lines]
    ended = sum((counts for _, counts in results), Counter[str]())
    assert told == []
    for status in (RunStatus.COMPLETED, RunStatus.BLOCKED_BY_GUARD, RunStatus.BLOCKED_BY_EQUITY_LIMIT):
        assert ended[status] >= 20, ended
    for trade in ("COMPLETED", "FAILED", "SKIPPED", "BLOCKED"):
        assert ended[trade] >= 20, ended
