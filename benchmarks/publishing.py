"""Business Unit: benchmarks | Status: current.

What the dual-publish shim costs its caller: its own work without I/O against the floor (one canonical serialisation of the plan,
and laboratory's experiment overhead where laboratory is installed), and its hold-up when the candidate hangs.
"""

from __future__ import annotations

import importlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from local.pages.fault_cells import Cloud, Fault, Planted, example_plan
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher
from shadow.publish.publication import Clocks, Publication
from shadow.publish.report import Operation
from shadow.publish.work import ShadowHarness

TRADES = 15
BOUND_SECONDS = 0.05
MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Times are microseconds; `spread` is the interquartile range over the median, of ours."""

    name: str
    ours: float
    peer: float | None
    floor: float
    ratio: float
    spread: float


def run(*, repetitions: int = 15, calls: int = 200) -> list[Row]:
    """Measure, alternating between ours, the peer and the floor."""
    plan = example_plan(TRADES)
    publisher = DualPublisher(_control, harness=_without_ports(Cloud()), bound_seconds=5)
    harness = _without_ports(Cloud())
    floor = _measured(lambda: json.dumps(plan.to_wire(), sort_keys=True, separators=(",", ":")), repetitions, calls)
    experiment = _laboratory(plan)
    peer = None if experiment is None else statistics.median(_measured(experiment, repetitions, calls))
    base = statistics.median(floor) + (peer or 0.0)
    return [
        _row("B3 the harness's work alone", _measured(lambda: _inline(harness, plan), repetitions, calls), peer, base),
        _row("B3 publish with its thread", _measured(lambda: publisher.publish(plan), repetitions, calls), peer, base),
        _row("B2 candidate hangs (floor: the bound)", _hanging(plan, repetitions), None, BOUND_SECONDS * MICROSECONDS),
    ]


def _control(plan: RebalancePlan) -> RebalancePlan:
    return plan


def _without_ports(cloud: Cloud) -> ShadowHarness:
    """Take the in-memory ports but for the positions, which have no floor to be held against."""
    whole = cloud.harness()
    return ShadowHarness(replace(whole.ports, positions=None))


def _inline(harness: ShadowHarness, plan: RebalancePlan) -> None:
    publication = Publication(plan, BOUND_SECONDS, Clocks())
    publication.control_over(None)
    harness.run(publication)


def _hanging(plan: RebalancePlan, repetitions: int) -> list[float]:
    times = []
    for _ in range(repetitions):
        planted = Planted(Operation.START, Fault.HANG)
        publisher = DualPublisher(_control, harness=Cloud(planted).harness(), bound_seconds=BOUND_SECONDS)
        begun = time.perf_counter()
        publisher.publish(plan)
        times.append((time.perf_counter() - begun) * MICROSECONDS)
        planted.release.set()
        publisher.settle(5)
    return times


def _laboratory(plan: RebalancePlan) -> Callable[[], object] | None:
    """Give one experiment with two functions that do nothing, where laboratory is installed."""
    try:
        laboratory = importlib.import_module("laboratory")
    except ImportError:
        return None

    def experiment() -> object:
        trial = laboratory.Experiment()
        trial.control(_control, args=(plan,))
        trial.candidate(_control, args=(plan,))
        return trial.conduct(randomize=False)

    return experiment


def _measured(work: Callable[[], object], repetitions: int, calls: int) -> list[float]:
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        times.append((time.perf_counter() - begun) / calls * MICROSECONDS)
    return times


def _row(name: str, ours: list[float], peer: float | None, floor: float) -> Row:
    middle = statistics.median(ours)
    low, _, high = statistics.quantiles(ours, n=4)
    return Row(name, middle, peer, floor, middle / floor, (high - low) / middle)
