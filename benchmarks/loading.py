"""Business Unit: benchmarks | Status: current.

B13. Loading a contract year of stored comparisons into frames, held against `json.loads` of the same bytes.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from datetime import date, timedelta

from benchmarks.evidence_documents import documents_of
from benchmarks.judging import verdict_of
from benchmarks.rows import Line, Measurement
from benchmarks.timing import in_turn, ratios, spread
from reports.data.frames import load_frames

DAYS, TRADES = 264, 20
LIMIT = 6.0
_FIRST = date(2024, 1, 1)


class Year:
    """A year of comparisons of pairs of `trades` trades: one pair under other ids and days."""

    def __init__(self, trades: int, days: int) -> None:
        """Judge one pair, and write it for every day."""
        made = verdict_of(documents_of(trades))
        run, plan, day = made.comparison.run_id, made.comparison.plan_id, made.comparison.trading_day
        self.bodies = []
        for number in range(days):
            other = (_FIRST + timedelta(days=number)).isoformat()
            body = made.body.replace(run.encode(), f"{run[:-6]}{number:06d}".encode())
            body = body.replace(plan.encode(), f"{plan}{number:06d}".encode())
            body = body.replace(f'"trading_day":"{day}"'.encode(), f'"trading_day":"{other}"'.encode())
            self.bodies.append((f"comparisons/day={other}/{number:06d}-{'0' * 16}.json", body))

    @property
    def size(self) -> int:
        """How many bytes the year has."""
        return sum(len(body) for _, body in self.bodies)

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give each day's document."""
        del first, last
        yield from self.bodies


def measure(*, quick: bool) -> Measurement:
    """Load the year and parse it, in turn."""
    year = Year(TRADES, 25 if quick else DAYS)
    works = {"ours": lambda: load_frames(year), "floor": lambda: [json.loads(body) for _, body in year.bodies]}
    times = in_turn(works, 2 if quick else 5, clock=time.process_time)
    found = ratios(times["ours"], times["floor"])
    line = Line(
        name=f"{len(year.bodies)} pairs of {TRADES} trades",
        unit="s",
        ours=statistics.median(times["ours"]),
        floor=statistics.median(times["floor"]),
        figure=statistics.median(found),
        limit=LIMIT,
        against="json.loads",
        spread=spread(found),
        repetitions=len(found),
    )
    return Measurement((line,), notes=(f"the year is {year.size / 1e6:,.0f} MB of documents",))
