"""Business Unit: benchmarks | Status: current.

B4. Judging many trades from frames in memory: classification, attribution, dollars, verdicts and day totals, exact. Held against
datacompy (pandas, and polars) comparing and reporting the same columns, and against a bare merge. Each contender runs in
processes of its own, so that its peak memory is its own; each process makes the same frames first.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.environment import probe
from benchmarks.evidence_documents import documents_of
from benchmarks.rows import Growth, Line, Measurement, Verdict
from benchmarks.timing import exponent, forget_peak, memory_mb, ratios, spread
from shadow.compare.case import PairCase
from shadow.compare.policy import default_policy

ROWS, QUICK_ROWS = 1_000_000, 50_000
TIME_LIMIT, MEMORY_LIMIT, GROWTH_LIMIT = 0.5, 0.7, 1.05
DAYS = 250
_SAMPLE = 2_000
_FIRST_DAY = 738_000
Frame = pd.DataFrame


def available() -> bool:
    """Tell whether there is a columnar judge to measure."""
    return importlib.util.find_spec("reports.rejudge.judge") is not None


def measure_all(python: Path, *, quick: bool) -> tuple[Measurement, Growth | None]:
    """Measure every contender in turn, and ours and datacompy's growth."""
    if not available():
        return Measurement(verdict=Verdict.NOT_BUILT, notes=("the columnar judge is not there",)), None
    rows, turns = (QUICK_ROWS, 1) if quick else (ROWS, 3)
    names = ("ours", "datacompy on pandas", "datacompy on polars", "a bare merge")
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
    for turn in range(turns):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            answer = probe(python, "rejudging", {"contender": name, "rows": rows})
            found[name].append({key: float(value) for key, value in dict(answer).items()})  # type: ignore[call-overload] # a mapping
    best = min(names[1:3], key=lambda name: statistics.median(run["seconds"] for run in found[name]))
    lines = (
        _line("time", "s", "seconds", found, best, TIME_LIMIT),
        _line("peak memory above the frames", "MB", "peak_mb", found, best, MEMORY_LIMIT),
    )
    other = next(name for name in names[1:3] if name != best)
    slow = statistics.median(run["seconds"] for run in found[other])
    notes = (f"the peer is {best}; {other} took {slow:.2f} s",)
    sizes = (500, 5_000, 50_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    costs = {name: tuple(_seconds(python, name, size) for size in sizes) for name in ("ours", best)}
    grown = Growth(
        "B4 judging trades in columns",
        "trades",
        tuple(map(float, sizes)),
        costs["ours"],
        others={best: costs[best]},
        exponent=exponent(sizes[1:], costs["ours"][1:]),
    )
    return Measurement(lines, notes=notes), grown


def measure(*, contender: str, rows: int) -> dict[str, float]:
    """Run one contender in this process: its seconds, and its peak memory above the frames it works on."""
    run = prepared(contender, rows)
    warm = prepared(contender, 1_000)
    warm()
    forget_peak()
    base = memory_mb("VmRSS")
    begun = time.perf_counter()
    run()
    return {"seconds": time.perf_counter() - begun, "peak_mb": memory_mb() - base}


def prepared(contender: str, rows: int) -> Callable[[], object]:
    """Make the frames of `rows` trades and give what `contender` does with them."""
    frame = importlib.import_module("reports.rejudge.frame")
    frames = scaled_up(frame.frames_of([_case()]), rows)
    if contender == "ours":
        return lambda: _judge(frames)
    if contender == "a bare merge":
        return lambda: frames.control.merge(frames.candidate, on="trade_key", how="outer", suffixes=("", "_candidate"))
    return _datacompy(contender, frames.control, frames.candidate)


def scaled_up(frames: object, rows: int) -> object:
    """Repeat the sample's trades up to `rows`, each under a key of its own, spread over a year of days."""
    made = {name: _repeated(getattr(frames, name), rows) for name in ("plan", "control", "candidate")}
    made["plan"]["day"] = (_FIRST_DAY + np.arange(rows) * DAYS // rows).astype(np.int32)
    return type(frames)(**made, order_types=frames.order_types)  # type: ignore[attr-defined, call-arg] # a frame of trades


def _repeated(frame: Frame, rows: int) -> Frame:
    places = np.arange(rows) % len(frame)
    made = frame.iloc[places].reset_index(drop=True)
    made["trade_key"] = np.arange(rows, dtype=np.int64)
    return made


def _case() -> PairCase:
    """Give the sample: a pair whose lanes differ in every tenth trade."""
    judging = importlib.import_module("benchmarks.judging")
    return judging.case_of(documents_of(_SAMPLE))  # type: ignore[no-any-return] # its own module


def _judge(frames: object) -> object:
    judge = importlib.import_module("reports.rejudge.judge")
    judged = judge.judge_trades(frames, default_policy())
    return judged.verdicts(), judged.day_totals()


def _datacompy(contender: str, control: Frame, candidate: Frame) -> Callable[[], object]:
    datacompy = importlib.import_module("datacompy")
    if contender == "datacompy on pandas":
        return lambda: datacompy.PandasCompare(control, candidate, join_columns="trade_key").report()
    polars = importlib.import_module("polars")
    left, right = polars.from_pandas(control), polars.from_pandas(candidate)
    return lambda: datacompy.PolarsCompare(left, right, join_columns="trade_key").report()


def _seconds(python: Path, contender: str, rows: int) -> float:
    answer = probe(python, "rejudging", {"contender": contender, "rows": rows})
    return float(dict(answer)["seconds"])  # type: ignore[call-overload] # a mapping


def _line(
    name: str, unit: str, key: str, found: Mapping[str, Sequence[Mapping[str, float]]], best: str, limit: float
) -> Line:
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
