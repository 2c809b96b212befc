"""Business Unit: benchmarks | Status: current.

B3. What publishing beside the control costs by itself, without I/O: the plan's copy and its message, then a whole publication
with its thread and report, on a queue in memory. Held against what cannot be avoided: laboratory's experiment around two
functions that do nothing, and one serialisation of the plan. And what importing the one file adds to `import json`. Runs where
laboratory is installed.
"""

from __future__ import annotations

import importlib
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import shadow.publish as publishing
from benchmarks.plans import plan_of
from benchmarks.rows import Line, Measurement, timed
from benchmarks.timing import in_turn
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, IntakeQueue, as_json

TRADES = 15
LIMIT = 2.0
IMPORT_LIMIT_MS = 10.0
BOUND_SECONDS = 5.0
_IMPORT = """
import json, sys, time, importlib.util
begun = time.perf_counter()
spec = importlib.util.spec_from_file_location("vendored", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print((time.perf_counter() - begun) * 1000)
"""


class _Nowhere:
    """A queue's client that keeps nothing."""

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, object]:  # noqa: N803 - boto3's own names
        """Send nothing."""
        return {"MessageId": f"{len(QueueUrl)}-{len(MessageBody)}"}

    def close(self) -> None:
        """Close nothing."""


def measure(*, quick: bool) -> Measurement:
    """Measure in turn: copy and message, the whole publication, laboratory, one serialisation; then the import."""
    plan = plan_of(TRADES)
    core = publishing._Core(IntakeQueue("memory", _Nowhere), "bench", BOUND_SECONDS)  # noqa: SLF001 - the seam of tests
    publisher: DualPublisher[[RebalancePlan], RebalancePlan] = DualPublisher(_control, core)
    turns, calls = (5, 40) if quick else (21, 100)
    publishing.sys = SimpleNamespace(stdout=io.StringIO())  # type: ignore[assignment, attr-defined, unused-ignore]
    times = in_turn(
        {
            "message": lambda: json.dumps({"plan": as_json(plan)}),
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
            _line("the copy and its message", times["message"], times["laboratory"], base, LIMIT),
            _line("a whole publication, with its thread", times["publish"], times["laboratory"], base, None),
            _import_line(5 if quick else 21),
        )
    )


def _line(name: str, ours: list[float], peer: list[float], base: list[float], limit: float | None) -> Line:
    return timed(name, ours, base, limit, against="laboratory + one serialisation", unit="µs", peer=peer)


def _import_line(times: int) -> Line:
    command = [sys.executable, "-I", "-c", _IMPORT, str(publishing.__file__)]
    found = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(times)]  # noqa: S603
    return Line(
        name="importing the one file, after json",
        unit="ms",
        ours=statistics.median(found),
        floor=0.0,
        figure=statistics.median(found),
        figure_unit="ms more",
        limit=IMPORT_LIMIT_MS,
        against="import json",
        repetitions=times,
    )


def _control(plan: RebalancePlan) -> RebalancePlan:
    return plan


def _laboratory(plan: RebalancePlan) -> Callable[[], object]:
    """Give one experiment with two functions that do nothing."""
    laboratory = importlib.import_module("laboratory")

    def experiment() -> object:
        trial = laboratory.Experiment()
        trial.control(_control, args=(plan,))
        trial.candidate(_control, args=(plan,))
        return trial.conduct(randomize=False)

    return experiment
