"""Business Unit: execution | Status: current.

Which downstream effects a result implies: the trade ledger's rows and the three events, as the control makes them (legacy
contract, section 5). Whether they are emitted or only recorded is not decided here.
"""

from __future__ import annotations

from datetime import datetime

from shadow.contracts.events import AllTradesCompleted, FailureStep, LedgerEntry, TradeExecuted, WorkflowFailed
from shadow.contracts.vocabulary import EffectKind, RunStatus, TradeStatus
from shadow.contracts.workflow import OrderTrace, RunSummary, TradeResult, WorkflowTrade
from shadow.execution.ports import PlannedEffect


def effects_of_trade(trade: WorkflowTrade, result: TradeResult, at: datetime) -> tuple[PlannedEffect, ...]:
    """Give one ledger row for each order that filled, and one TradeExecuted whichever way the trade ended.

    A trade of unknown fate implies nothing yet: nobody knows what to tell.
    """
    if result.status is TradeStatus.UNKNOWN:
        return ()
    filled = [order for order in result.orders if order.filled_quantity > 0 and order.order_id]
    rows = tuple(_ledger_row(trade, result, order, part, at) for part, order in enumerate(filled))
    return (*rows, _trade_executed(trade, result, at))


def _ledger_row(trade: WorkflowTrade, result: TradeResult, order: OrderTrace, part: int, at: datetime) -> PlannedEffect:
    moment = result.filled_at or at
    entry = LedgerEntry(
        order_id=order.order_id or order.client_order_id,
        correlation_id=trade.correlation_id,
        symbol=trade.symbol,
        direction=trade.action,
        filled_qty=order.filled_quantity,
        fill_price=order.average_price,
        timestamp=moment,
    )
    return PlannedEffect(trade.run_id, EffectKind.LEDGER_ENTRY, trade.trade_id, entry, moment, part)


def _trade_executed(trade: WorkflowTrade, result: TradeResult, at: datetime) -> PlannedEffect:
    detail = TradeExecuted(
        correlation_id=trade.correlation_id,
        causation_id=trade.causation_id,
        run_id=trade.run_id,
        plan_id=trade.plan_id,
        timestamp=at,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        action=trade.action,
        success=result.status is TradeStatus.COMPLETED,
        quantity=result.quantity if result.orders else None,
        price=result.average_price,
        trade_amount=result.total_value if result.orders else None,
        order_id=result.order_id,
        error_message=result.error_message,
    )
    return PlannedEffect(trade.run_id, EffectKind.TRADE_EXECUTED, trade.trade_id, detail, at)


def effects_of_run(summary: RunSummary, at: datetime) -> tuple[PlannedEffect, ...]:
    """Give the AllTradesCompleted of a run in which every trade has ended and no safety rule refused one.

    The control emits it when its last trade is counted, and never for a run that the breaker failed; a plan without
    trades makes no run there.
    """
    if summary.outcome != RunStatus.COMPLETED or not summary.total_trades:
        return ()
    detail = AllTradesCompleted(
        correlation_id=summary.correlation_id,
        run_id=summary.run_id,
        plan_id=summary.plan_id,
        timestamp=at,
        total_trades=summary.total_trades,
        succeeded_trades=summary.succeeded_trades,
        failed_trades=summary.failed_trades,
        skipped_trades=summary.skipped_trades,
    )
    return (PlannedEffect(summary.run_id, EffectKind.ALL_TRADES_COMPLETED, None, detail, at),)


def effect_of_failure(
    *, run_id: str, plan_id: str, correlation_id: str, step: FailureStep, reason: str, at: datetime
) -> PlannedEffect:
    """Give the WorkflowFailed of a run that a safety rule stopped."""
    detail = WorkflowFailed(
        correlation_id=correlation_id,
        run_id=run_id,
        plan_id=plan_id,
        timestamp=at,
        failure_step=step,
        failure_reason=reason,
    )
    return PlannedEffect(run_id, EffectKind.WORKFLOW_FAILED, None, detail, at)
