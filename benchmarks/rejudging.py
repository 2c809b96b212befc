"""Business Unit: benchmarks | Status: current.

B4. Judging many trades from frames in memory: classification, attribution, dollars, verdicts and day totals, exact. Held against
datacompy (pandas, and polars) comparing and reporting the same columns, and against a bare merge. Each contender runs in
processes of its own, so that its peak memory is its own; each process makes the same frames first.
"""

from __future__ import annotations

import gc
import importlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.environment import probe
from benchmarks.evidence_documents import documents_of
from benchmarks.judging import case_of
from benchmarks.rejudging_store import measure_store
from benchmarks.rows import Growth, Line, Measurement
from benchmarks.timing import exponent, forget_peak, memory_mb, ratios, spread
from reports.rejudge.frame import TradeFrames, frames_of
from reports.rejudge.judge import judge_trades
from shadow.compare.policy import default_policy

CONTENDERS = ("ours", "datacompy on pandas", "datacompy on polars", "a bare merge")
TIME_LIMIT, MEMORY_LIMIT, GROWTH_LIMIT = 0.5, 0.7, 1.05
DAYS = 250
SIZES, QUICK_SIZES = (1_000, 10_000, 100_000, 1_000_000), (500, 2_000, 8_000)
_SAMPLE, _WARM_UP = 400, 1_000
_FIRST_DAY = 738_000
Frame = pd.DataFrame


def measure_all(python: Path, *, quick: bool) -> tuple[Measurement, Growth]:
    """Measure every contender in turn, at every size; judged is the largest."""
    sizes, turns = (QUICK_SIZES, 1) if quick else (SIZES, 3)
    found: dict[str, list[list[dict[str, float]]]] = {name: [] for name in CONTENDERS}
    for turn in range(turns):
        for place in range(len(CONTENDERS)):
            name = CONTENDERS[(turn + place) % len(CONTENDERS)]
            found[name].append(_answers(python, name, sizes))
    largest = {name: [run[-1] for run in runs] for name, runs in found.items()}
    best, other = sorted(CONTENDERS[1:3], key=lambda name: _median(largest[name], "seconds"))
    lines = (
        _line(("time", "s", "seconds"), largest, best, TIME_LIMIT),
        _line(("peak memory above the frames", "MB", "peak_mb"), largest, best, MEMORY_LIMIT),
    )
    slow = f"{other} took {_median(largest[other], 'seconds'):.2f} s and {_median(largest[other], 'peak_mb'):.0f} MB"
    costs = {name: tuple(min(run[place]["seconds"] for run in found[name]) for place in range(len(sizes))) for name in found}
    grown = Growth(
        "B4 judging trades in columns",
        "trades",
        tuple(map(float, sizes)),
        costs["ours"],
        others={best: costs[best]},
        exponent=exponent(sizes[1:], costs["ours"][1:]),
    )
    stored, store = ((), "stored trades are not measured") if quick else measure_store()
    return Measurement((*lines, *stored), notes=(f"the peer is {best}, the faster; {slow}", store)), grown


def measure(*, contender: str, sizes: Sequence[int]) -> list[dict[str, float]]:
    """Run one contender in this process at each size: its seconds, and its peak memory above the frames it works on."""
    prepared(contender, _WARM_UP)()
    return [_measured(prepared(contender, size)) for size in sizes]


def _measured(run: Callable[[], object]) -> dict[str, float]:
    gc.collect()
    forget_peak()
    base, begun = memory_mb("VmRSS"), time.perf_counter()
    run()
    return {"seconds": time.perf_counter() - begun, "peak_mb": memory_mb() - base}


def prepared(contender: str, rows: int) -> Callable[[], object]:
    """Make the frames of `rows` trades and give what `contender` does with them."""
    frames = scaled_up(frames_of([case_of(documents_of(_SAMPLE))]), rows)
    if contender == "ours":
        return lambda: _judge(frames)
    if contender == "a bare merge":
        return lambda: frames.control.merge(frames.candidate, on="trade_key", how="outer", suffixes=("", "_candidate"))
    return _datacompy(contender, frames.control, frames.candidate)


def scaled_up(frames: TradeFrames, rows: int) -> TradeFrames:
    """Repeat the sample's trades up to `rows`, each under a key of its own, spread over a year of days."""
    plan = _repeated(frames.plan, rows)
    plan["day"] = (_FIRST_DAY + np.arange(rows) * DAYS // rows).astype(np.int32)
    lanes = (_repeated(frames.control, rows), _repeated(frames.candidate, rows))
    return TradeFrames(plan, *lanes, frames.order_types, frames.symbols)


def _repeated(frame: Frame, rows: int) -> Frame:
    places = np.arange(rows) % len(frame)
    made = frame.iloc[places].reset_index(drop=True)
    made["trade_key"] = np.arange(rows, dtype=np.int64)
    return made


def _judge(frames: TradeFrames) -> object:
    judged = judge_trades(frames, default_policy())
    return judged.verdicts(), judged.day_totals()


def _datacompy(contender: str, control: Frame, candidate: Frame) -> Callable[[], object]:
    datacompy = importlib.import_module("datacompy")
    if contender == "datacompy on pandas":
        return lambda: datacompy.PandasCompare(control, candidate, join_columns="trade_key").report()
    polars = importlib.import_module("polars")
    left, right = polars.from_pandas(control), polars.from_pandas(candidate)
    return lambda: datacompy.PolarsCompare(left, right, join_columns="trade_key").report()


def _answers(python: Path, contender: str, sizes: Sequence[int]) -> list[dict[str, float]]:
    answer = probe(python, "rejudging", {"contender": contender, "sizes": list(sizes)})
    if not isinstance(answer, list):
        raise TypeError(f"rejudging: expected a list, was {type(answer).__name__}")
    return [{str(key): float(value) for key, value in each.items()} for each in answer]


def _median(runs: Sequence[Mapping[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def _line(what: tuple[str, str, str], found: Mapping[str, Sequence[Mapping[str, float]]], best: str, limit: float) -> Line:
    name, unit, key = what
    values = {who: [run[key] for run in runs] for who, runs in found.items()}
    quotients = ratios(values["ours"], values[best])
    return Line(
        name=name,
        unit=unit,
        ours=statistics.median(values["ours"]),
        peer=statistics.median(values[best]),
        floor=statistics.median(values["a bare merge"]),
        figure=statistics.median(quotients),
        limit=limit,
        against=best,
        spread=spread(quotients),
        repetitions=len(quotients),
    )
