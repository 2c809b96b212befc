"""Business Unit: execution | Status: current.

Reserve a BUY's planned amount against the run's equity limit, in one atomic step. Answers an `EquityCheck`; a refused
trade's TradeExecuted is its only effect.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import RecordedEffects, StateEnvironment
from shadow.aws.candidate_state import DynamoCandidateState
from shadow.aws.observability import logger
from shadow.contracts.workflow import WorkflowTrade
from shadow.execution.mails import effects_of_trade
from shadow.execution.ports import SystemClock
from shadow.execution.trade import Ending, result_without_orders


@cache
def _parts() -> tuple[DynamoCandidateState, RecordedEffects]:
    environment = StateEnvironment.load()
    return environment.state(), environment.effects()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Check one BUY; raises InvalidPayload, RunNotPrepared and StateUnavailable."""
    del context
    trade = WorkflowTrade.parse(event)
    ledger, effects = _parts()
    check = ledger.reserve(trade.run_id, trade.trade_id, abs(trade.trade_amount))
    if not check.allowed:
        now = SystemClock().now()
        result = result_without_orders(trade, Ending.equity_limit(), now, now, check)
        for effect in effects_of_trade(trade, result, now):
            effects.apply(effect, trade.plan_id)
        ledger.keep_result(result, now)
    logger().info("equity checked", extra={"run_id": trade.run_id, "trade_id": trade.trade_id, "allowed": check.allowed})
    return check.to_wire()
