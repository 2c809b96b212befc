"""Business Unit: benchmarks | Status: current.

How time and memory are taken: contenders in turn, so that a busy moment of the machine falls on all of them alike; medians of
the ratios of one turn; spread as the interquartile range over the median.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Work = Callable[[], object]
_MIN_FOR_QUARTILES = 2


Clock = Callable[[], float]


def in_turn(
    contenders: Mapping[str, Work], turns: int, calls: int = 1, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Time each contender once a turn (the mean of `calls` calls, in seconds), in an order that rotates. One turn warms up.

    `clock` is the wall's, or `time.process_time` for work that waits for nothing: then what else runs on the machine counts less.
    """
    names = list(contenders)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        contenders[name]()
    for turn in range(turns):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            times[name].append(seconds_of(contenders[name], calls, clock))
    return times


def seconds_of(work: Work, calls: int = 1, clock: Clock = time.perf_counter) -> float:
    """Time `calls` calls and give the mean seconds; rubbish of earlier work is collected first, the collector stays on."""
    gc.collect()
    begun = clock()
    for _ in range(calls):
        work()
    return (clock() - begun) / calls


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide turn by turn."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float]) -> float | None:
    """Give the interquartile range over the median; None for too few values."""
    if len(values) < _MIN_FOR_QUARTILES:
        return None
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle if middle else None


def percentile(values: Sequence[float], share: float) -> float:
    """Give the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Fit cost = a · size^b on logarithms by least squares; give b."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs]).slope


def memory_mb(key: str = "VmHWM") -> float:
    """Read this process's memory in MB: `VmHWM` is its peak, `VmRSS` what it holds now (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status: expected {key}, was absent")
