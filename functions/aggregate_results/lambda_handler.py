"""Business Unit: execution | Status: current.

Sum a run's results up. Answers a `RunSummary`; AllTradesCompleted is its effect, for a run that no safety rule stopped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import RecordedEffects, StateEnvironment
from shadow.aws.observability import logger
from shadow.contracts.workflow import AggregateInput
from shadow.execution.mails import effects_of_run
from shadow.execution.phases import aggregate, aggregate_request
from shadow.execution.ports import SystemClock


@cache
def _environment() -> StateEnvironment:
    return StateEnvironment.load()


@cache
def _effects() -> RecordedEffects:
    return _environment().effects()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Aggregate one run; raises InvalidPayload, PlanObjectCorrupt and StateUnavailable."""
    del context
    request = AggregateInput.parse(event)
    if request.is_large:
        request = aggregate_request(request, _environment().plans(), _environment().results())
    summary = aggregate(request)
    for effect in effects_of_run(summary, SystemClock().now()):
        _effects().apply(effect, summary.plan_id)
    logger().info("run aggregated", extra={"run_id": summary.run_id, "outcome": summary.outcome})
    return summary.to_wire()
