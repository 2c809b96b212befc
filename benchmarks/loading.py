"""Business Unit: benchmarks | Status: current.

B13. Loading a year of stored comparisons into frames, held against reading the same bytes with the fastest maintained reader of
JSON. The readers are tried on a part; the fastest is then timed on everything.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta

import msgspec
import orjson
import polars as pl

from benchmarks.evidence_documents import documents_of
from benchmarks.judging import verdict_of
from benchmarks.rows import Line, Measurement
from benchmarks.timing import ratios, spread
from reports.data.frames import load_frames

DAYS = 250
LIMIT = 2.0
TRADES, LARGE = 50, 5_000
_FIRST = date(2024, 1, 1)
Reader = Callable[[bytes], object]
READERS: Mapping[str, Reader] = {
    "json": json.loads,
    "orjson": orjson.loads,
    "msgspec": msgspec.json.decode,
    "polars": lambda text: pl.read_ndjson(io.BytesIO(text)),
}


class Year:
    """A year of comparisons of pairs of `trades` trades, each day's made from one document when it is asked for."""

    def __init__(self, trades: int, days: int) -> None:
        """Judge one pair; the other days differ in their ids and date."""
        self._days = days
        made = verdict_of(documents_of(trades))
        self._body = made.body
        self._run, self._plan = made.comparison.run_id, made.comparison.plan_id
        self._day = made.comparison.trading_day
        self.making = 0.0

    @property
    def size(self) -> int:
        """How many bytes the year has."""
        return self._days * len(self._body)

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give each day's document, counting the time that making it takes."""
        del first, last
        for number in range(self._days):
            begun = time.perf_counter()
            day = (_FIRST + timedelta(days=number)).isoformat()
            changed = {
                self._run: f"{self._run[:-6]}{number:06d}",
                self._plan: f"{self._plan}{number:06d}",
                f'"trading_day":"{self._day}"': f'"trading_day":"{day}"',
            }
            body = self._body
            for old, new in changed.items():
                body = body.replace(old.encode(), new.encode())
            self.making += time.perf_counter() - begun
            yield f"comparisons/day={day}/{number:06d}-{'0' * 16}.json", body


def measure(*, quick: bool) -> Measurement:
    """Measure the small year in turn, the large year once or twice."""
    small = Year(TRADES, 25 if quick else DAYS)
    fastest = _fastest(small)
    lines = [_compared("50 trades", small, fastest, turns=2 if quick else 5)]
    notes = [f"{DAYS} days of {TRADES} trades are {small.size / 1e6:,.0f} MB; the fastest reader there is {fastest}"]
    large = Year(500 if quick else LARGE, 5 if quick else DAYS)
    large_fastest = _fastest(large)
    lines.append(_compared("500 trades" if quick else "5,000 trades", large, large_fastest, turns=1))
    notes.append(f"the large year is {large.size / 1e6:,.0f} MB; the fastest reader there is {large_fastest}")
    return Measurement(tuple(lines), notes=tuple(notes))


def _fastest(year: Year) -> str:
    """Name the fastest reader of a few of the year's documents."""
    documents = [body for _, (_, body) in zip(range(3), year.documents(_FIRST, _FIRST), strict=False)]
    return min(READERS, key=lambda name: min(_read_seconds(READERS[name], documents) for _ in range(3)))


def _read_seconds(reader: Reader, documents: list[bytes]) -> float:
    begun = time.perf_counter()
    for body in documents:
        reader(body)
    return time.perf_counter() - begun


def _compared(name: str, year: Year, reader: str, *, turns: int) -> Line:
    ours: list[float] = []
    floor: list[float] = []
    for turn in range(turns):
        works = (lambda: _load(year), lambda: _read(year, READERS[reader]))
        for place in (0, 1) if turn % 2 == 0 else (1, 0):
            (ours, floor)[place].append(_net_seconds(year, works[place]))
    found = ratios(ours, floor)
    return Line(
        name=f"a year of {name} a day",
        unit="s",
        ours=statistics.median(ours),
        floor=statistics.median(floor),
        figure=statistics.median(found),
        limit=LIMIT,
        against=reader,
        spread=spread(found),
        repetitions=turns,
    )


def _net_seconds(year: Year, work: Callable[[], object]) -> float:
    """Time `work` without what making the documents took."""
    made, begun = year.making, time.perf_counter()
    work()
    return time.perf_counter() - begun - (year.making - made)


def _load(year: Year) -> int:
    return len(load_frames(year).trades)


def _read(year: Year, reader: Reader) -> int:
    count = 0
    for _, body in year.documents(_FIRST, _FIRST):
        reader(body)
        count += 1
    return count
