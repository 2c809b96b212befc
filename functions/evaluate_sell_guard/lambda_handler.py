"""Business Unit: execution | Status: current.

Decide from the sell phase's results whether buying may start; those of a large plan are read from the state table. Answers a
`GuardResult`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import StateEnvironment
from shadow.aws.candidate_state import DynamoResultLog
from shadow.aws.objects import S3PlanStore
from shadow.aws.observability import logger
from shadow.contracts.workflow import GuardInput
from shadow.execution.phases import evaluate_guard, guard_request


@cache
def _stores() -> tuple[S3PlanStore, DynamoResultLog]:
    environment = StateEnvironment.load()
    return environment.plans(), environment.results()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Evaluate the guard of one run; raises InvalidPayload, PlanObjectCorrupt and StateUnavailable."""
    del context
    request = GuardInput.parse(event)
    if request.is_large:
        request = guard_request(request, *_stores())
    guard = evaluate_guard(request)
    logger().info("sell guard evaluated", extra={"run_id": request.run_id, "buy_phase_allowed": guard.buy_phase_allowed})
    return guard.to_wire()
