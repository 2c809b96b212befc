"""Business Unit: benchmarks | Status: current.

What is measured and what is aimed at: the rows B1 to B13, and the lines that a measurement gives for a row.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter

from benchmarks.timing import ratios, spread


class Verdict(StrEnum):
    """How a row stands against its target."""

    MET = "met"
    MISSED = "missed"
    NOT_BUILT = "not built"
    FAILED = "could not be measured"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a row.

    `ours`, `peer` and `floor` are in `unit`. `figure` is what is judged: a ratio (`figure_unit` "times") or a quantity; it may be
    `limit` at most, and None means that the line only informs. `spread` is the figure's interquartile range over its median.
    """

    name: str
    unit: str
    ours: float
    figure: float
    figure_unit: str = "times"
    limit: float | None = None
    peer: float | None = None
    floor: float | None = None
    against: str = ""
    spread: float | None = None
    repetitions: int = 1

    @property
    def is_met(self) -> bool:
        """Whether the figure is within its limit."""
        return self.limit is None or self.figure <= self.limit


_PER_SECOND = {"ms": 1e3, "µs": 1e6}


def timed(
    name: str,
    ours: Sequence[float],
    floor: Sequence[float],
    limit: float | None,
    *,
    against: str,
    unit: str = "ms",
    peer: Sequence[float] | None = None,
) -> Line:
    """Give the line of what was timed turn by turn, in seconds: medians in `unit`, judged by the median of the turns' ratios."""
    found, factor = ratios(ours, floor), _PER_SECOND[unit]
    return Line(
        name=name,
        unit=unit,
        ours=statistics.median(ours) * factor,
        peer=None if peer is None else statistics.median(peer) * factor,
        floor=statistics.median(floor) * factor,
        figure=statistics.median(found),
        limit=limit,
        against=against,
        spread=spread(found),
        repetitions=len(found),
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """Cost against size, for a plot: seconds at each size, ours and (by name) others'. `exponent` is of the log-log fit."""

    name: str
    size: str
    sizes: tuple[float, ...]
    ours: tuple[float, ...]
    unit: str = "s"
    others: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    exponent: float | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What measuring one row gave."""

    lines: tuple[Line, ...] = ()
    growth: tuple[Growth, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    seconds: float = 0.0

    def judged(self) -> Verdict:
        """Give the verdict: as set, else by the lines."""
        if self.verdict is not None:
            return self.verdict
        if not self.lines:
            return Verdict.FAILED
        return Verdict.MET if all(line.is_met for line in self.lines) else Verdict.MISSED

    def to_wire(self) -> dict[str, object]:
        """Write as plain values."""
        return asdict(self) | {"verdict": self.judged().value}

    @classmethod
    def read(cls, value: object) -> Measurement:
        """Read what `to_wire` wrote. Raises pydantic's ValidationError."""
        return TypeAdapter(cls).validate_python(value)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what is measured against what, the target in words, and the answer where it is missed."""

    id: str
    what: str
    against: str
    target: str
    answer: str = ""


ROWS = (
    Row(
        "B1",
        "publishing a 15-trade plan through the shim, healthy candidate",
        "the same control call alone, same local cloud",
        "at most 1.05 times the wall time",
    ),
    Row(
        "B2",
        "the same with a candidate endpoint that hangs, errors or throttles",
        "the control alone; laboratory on the same hang",
        "at most the configured bound of 50 ms more",
    ),
    Row(
        "B3",
        "the shim's own work without I/O, 15 trades",
        "laboratory's experiment plus one JSON serialisation of the plan",
        "at most 2 times",
    ),
    Row(
        "B4",
        "judging stored trades again by another policy: a contract year, and 1,000,000 trades",
        "the clock; datacompy on pandas comparing and reporting the same trades, for the memory",
        "a contract year at most 2 s cold; 1,000,000 trades at most 120 s judged whole, 3 s where margins answer, 1 s once"
        " read; peak memory at most datacompy's",
    ),
    Row(
        "B5",
        "one pair of 50 trades: evidence documents to verdict document",
        "`json.loads` of the same documents",
        "at most 5 times",
    ),
    Row("B6", "a 25,000-event history to a canonical outcome", "`json.loads` of the same bytes", "at most 2.5 times"),
    Row(
        "B7",
        "cold start: import of each function's built artefact",
        "`import boto3` in the same interpreter and layer",
        "at most 1.25 times; execute_trade_sfn 2 times; daily_report free",
    ),
    Row("B8", "peak memory of the comparator for a 5,000-trade pair", "the interpreter with boto3", "at most 128 MB above it"),
    Row("B9", "settled in both lanes to verdict stored, event path", "the event's own delivery", "95 % within 1 s beyond it"),
    Row("B10", "workflow run of 50 trades: wall time", "the critical path of its tasks", "at most 1.5 times"),
    Row(
        "B11",
        "cost of a plan in state transitions and Lambda milliseconds",
        "one transition a trade",
        "at most 1 a SELL and 3 a BUY, plus a constant",
    ),
    Row(
        "B12",
        "growth of B4, B5, B6 and the ledger's daily query at 10, 100 and 1,000 times the size",
        "linear",
        "exponent at most 1.05",
    ),
    Row(
        "B13",
        "loading a contract year of comparisons into frames (264 pairs of 20 trades)",
        "`json.loads` of the same bytes",
        "at most 6 times",
    ),
)
