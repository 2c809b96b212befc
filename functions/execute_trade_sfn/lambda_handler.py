"""Business Unit: execution | Status: current.

Execute one trade, or, asked to reconcile, find out what became of it. Answers a `TradeResult`. Executing the same trade
again resumes it and never orders twice. Asked to close a run, it leaves none of its orders working and answers a `ClosedRun`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import ExecuteEnvironment, RecordedEffects, TradeDesk
from shadow.aws.observability import logger
from shadow.broker.alpaca import AlpacaBroker
from shadow.contracts.workflow import CloseRequest, TradeRequest
from shadow.execution.mails import effects_of_trade
from shadow.execution.trade import compact


@cache
def _parts() -> tuple[TradeDesk, RecordedEffects]:
    environment = ExecuteEnvironment.load()
    return TradeDesk.open(environment, AlpacaBroker.connect), environment.effects()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Execute or reconcile one trade, or close a run.

    Raises InvalidPayload, InterlockViolation, RunNotPrepared, OrderMismatch, and, worth another try, the broker's
    transient errors, OrderFateUnknown, OrderStillOpen and StateUnavailable.
    """
    del context
    if isinstance(event, dict) and "closeRun" in event:
        return _close(CloseRequest.parse(event).run_id)
    request = TradeRequest.of(event)
    desk, effects = _parts()
    trade = request.trade
    executor = desk.executor(trade.run_id)
    result = executor.reconcile(trade, request.error) if request.reconcile else executor.execute(trade)
    result = result.model_copy(update={"equity_check": result.equity_check or request.equity_check})
    now = desk.clock.now()
    for effect in effects_of_trade(trade, result, now):
        effects.apply(effect, trade.plan_id)
    desk.state.keep_result(result, now)
    logger().info("trade ended", extra={"run_id": trade.run_id, "trade_id": trade.trade_id, "status": result.status.value})
    return compact(result).to_wire()


def _close(run_id: str) -> dict[str, object]:
    closed = _parts()[0].close(run_id)
    for line in (*closed.closed, *closed.unknown):
        logger().warning("an order was open after its run", extra={"run_id": run_id, "order": line})
    return closed.to_wire()
