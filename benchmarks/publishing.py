"""Business Unit: benchmarks | Status: current.

B3. What the dual-publish shim does itself, without I/O: validation, identity, documents, pair, report, with every port in
memory. Held against what cannot be avoided: laboratory's experiment around two functions that do nothing, and one canonical
serialisation of the plan. Runs where laboratory is installed.
"""

from __future__ import annotations

import importlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.rows import Line, Measurement
from benchmarks.timing import in_turn, ratios, spread
from local.pages.fault_cells import Cloud, example_plan
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher
from shadow.publish.publication import Clocks, Publication
from shadow.publish.work import ShadowHarness

TRADES = 15
LIMIT = 2.0
BOUND_SECONDS = 5.0
MICROSECONDS = 1e6


def measure(*, quick: bool) -> Measurement:
    """Measure in turn: the harness alone, the whole publication with its thread, laboratory, one serialisation."""
    plan = example_plan(TRADES)
    publisher = DualPublisher(_control, harness=_without_ports(), bound_seconds=BOUND_SECONDS)
    harness = _without_ports()
    turns, calls = (5, 40) if quick else (21, 100)
    times = in_turn(
        {
            "harness": lambda: _inline(harness, plan),
            "publish": lambda: publisher.publish(plan),
            "laboratory": _laboratory(plan),
            "serialisation": lambda: json.dumps(plan.to_wire(), sort_keys=True, separators=(",", ":")),
        },
        turns,
        calls,
        time.process_time,
    )
    base = [a + b for a, b in zip(times["laboratory"], times["serialisation"], strict=True)]
    return Measurement(
        lines=(
            _line("the harness's work", times["harness"], times["laboratory"], base, limit=LIMIT),
            _line("a whole publication, with its thread", times["publish"], times["laboratory"], base, limit=None),
        )
    )


def _line(name: str, ours: list[float], peer: list[float], base: list[float], *, limit: float | None) -> Line:
    found = ratios(ours, base)
    return Line(
        name=name,
        unit="µs",
        ours=statistics.median(ours) * MICROSECONDS,
        peer=statistics.median(peer) * MICROSECONDS,
        floor=statistics.median(base) * MICROSECONDS,
        figure=statistics.median(found),
        limit=limit,
        against="laboratory + one serialisation",
        spread=spread(found),
        repetitions=len(ours),
    )


def _control(plan: RebalancePlan) -> RebalancePlan:
    return plan


def _without_ports() -> ShadowHarness:
    """Take the in-memory ports but for the positions, which have nothing to be held against."""
    whole = Cloud().harness()
    return ShadowHarness(replace(whole.ports, positions=None))


def _inline(harness: ShadowHarness, plan: RebalancePlan) -> None:
    publication = Publication(plan, BOUND_SECONDS, Clocks())
    publication.control_over(None)
    harness.run(publication)


def _laboratory(plan: RebalancePlan) -> Callable[[], object]:
    """Give one experiment with two functions that do nothing."""
    laboratory = importlib.import_module("laboratory")

    def experiment() -> object:
        trial = laboratory.Experiment()
        trial.control(_control, args=(plan,))
        trial.candidate(_control, args=(plan,))
        return trial.conduct(randomize=False)

    return experiment
