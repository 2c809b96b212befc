"""Business Unit: execution | Status: current.

Split a plan into SELL and BUY trades and open the run with its equity limit (read once). Answers a `PreparedRun`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import PrepareEnvironment
from shadow.aws.candidate_state import DynamoCandidateState
from shadow.aws.objects import S3PlanStore
from shadow.aws.observability import logger
from shadow.broker.pacing import PacedBroker
from shadow.contracts.workflow import WorkflowInput
from shadow.execution.phases import RunSettings, is_large, moved_out, prepare, trades_of
from shadow.execution.ports import SystemClock


@cache
def _environment() -> PrepareEnvironment:
    return PrepareEnvironment.load()


@cache
def _parts() -> tuple[RunSettings, DynamoCandidateState, S3PlanStore]:
    return _environment().run_settings(_broker), _environment().state(), _environment().plans()


@cache
def _broker() -> PacedBroker:
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - alpaca-py is slow to import and dry run needs none

    return _environment().connect(AlpacaBroker.connect, _environment().limits())


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Prepare one run; raises InvalidPayload, PlanObjectCorrupt, InterlockViolation, StateUnavailable, BrokerError."""
    del context
    request = WorkflowInput.parse(event)
    settings, ledger, plans = _parts()
    trades = trades_of(request, plans)
    prepared = prepare(request, trades, settings=settings, ledger=ledger, clock=SystemClock())
    if is_large(trades, _environment().inline_trade_limit):
        prepared = moved_out(prepared, plans)
    logger().info("run prepared", extra={"run_id": request.run_id, "total_trades": prepared.total_trades})
    return prepared.to_wire()
