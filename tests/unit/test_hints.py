"""A hint that comes a moment before the control writes its end down is followed by another look, a few times, not for ever."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import PairState
from shadow.evidence.hints import PAUSES_SECONDS, Hints, Message
from shadow.evidence.settlement import Settlement

NOW = datetime(2026, 1, 5, 21, tzinfo=UTC)
COMPLETED = {
    "source": "alchemiser.trade_aggregator",
    "detail-type": "AllTradesCompleted",
    "id": "event-1",
    "time": NOW.isoformat(),
    "detail": {
        "correlation_id": "workflow-1",
        "run_id": "run-1",
        "plan_id": "plan-1",
        "timestamp": NOW.isoformat(),
        "total_trades": 1,
        "succeeded_trades": 1,
        "failed_trades": 0,
        "skipped_trades": 0,
    },
}


def settlement(*, imminent: bool) -> Settlement:
    state, verdict = (PairState.PENDING, Verdict.PENDING) if imminent else (PairState.JUDGED, Verdict.MATCHED)
    return Settlement("plan-1", "run-1", state, verdict, judged=not imminent, imminent=imminent)


class Settler:
    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.looks = 0

    def settle(self, plan_id: str, now: datetime) -> Settlement:
        assert (plan_id, now) == ("plan-1", NOW)
        self.looks += 1
        return settlement(imminent=self.answers.pop(0) if self.answers else True)


class Captured:
    def record(self, event: Any, now: datetime) -> None:
        assert (event.plan_id, now) == ("plan-1", NOW)


@pytest.mark.parametrize(
    ("imminent", "looks", "pauses"),
    [
        ((False,), 1, ()),
        ((True, False), 2, PAUSES_SECONDS[:1]),
        ((True, True, True, True, True), 4, PAUSES_SECONDS),
    ],
    ids=["settled at once", "a moment early", "the write never comes"],
)
def test_a_look_that_is_a_moment_early_is_repeated(imminent: tuple[bool, ...], looks: int, pauses: tuple[float, ...]) -> None:
    settler, paused = Settler(*imminent), []
    hints = Hints(settler, None, Captured(), None, lambda: NOW, paused.append)  # type: ignore[arg-type]
    assert hints.take([Message("m-1", json.dumps(COMPLETED))]) == []
    assert settler.looks == looks
    assert tuple(paused) == pauses
