"""Business Unit: execution | Status: current.

Decide from the sell phase's results whether buying may start. Needs nothing but its input. Answers a `GuardResult`.
"""

from __future__ import annotations

from typing import Any

from shadow.aws.observability import logger
from shadow.contracts.workflow import GuardInput
from shadow.execution.guard import evaluate_guard


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Evaluate the guard of one run; raises InvalidPayload."""
    del context
    request = GuardInput.parse(event)
    guard = evaluate_guard(request)
    logger().info("sell guard evaluated", extra={"run_id": request.run_id, "buy_phase_allowed": guard.buy_phase_allowed})
    return guard.to_wire()
