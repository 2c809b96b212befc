"""Business Unit: execution | Status: current.

Sum a run's results up. Answers a `RunSummary`; AllTradesCompleted is its effect, for a run that no safety rule stopped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import StateEnvironment
from shadow.aws.effects import RecordedEffects
from shadow.aws.observability import logger
from shadow.contracts.workflow import AggregateInput
from shadow.execution.effects import effects_of_run
from shadow.execution.ports import SystemClock
from shadow.execution.results import aggregate


@cache
def _effects() -> RecordedEffects:
    return StateEnvironment.load().effects()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Aggregate one run; raises InvalidPayload and StateUnavailable."""
    del context
    summary = aggregate(AggregateInput.parse(event))
    for effect in effects_of_run(summary, SystemClock().now()):
        _effects().apply(effect)
    logger().info("run aggregated", extra={"run_id": summary.run_id, "outcome": summary.outcome})
    return summary.to_wire()
