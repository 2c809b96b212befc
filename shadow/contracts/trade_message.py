"""Business Unit: shared contracts | Status: current.

The TradeMessage: the body of one message on the control's queue, and the form in which a plan is split into trades for
both lanes. Splitting lives here, once, so that the lanes and the comparison cannot disagree about what was planned.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.model import Exact, Fraction, Frozen, Identifier, Moment, NonNegative, Symbol
from shadow.contracts.plan import SCHEMA_VERSION, PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Side

SEQUENCE_BASE = {Side.SELL: 1000, Side.BUY: 2000}


class TradeMessage(Frozen):
    """One trade of a run. Amounts are USD (`trade_amount` signed), quantities shares.

    `sequence_number` orders the phases and is not unique.
    """

    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    run_id: Identifier
    trade_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    causation_id: Identifier
    strategy_id: str | None = None
    symbol: Symbol
    action: Side
    phase: Side
    trade_amount: Exact
    current_weight: Fraction
    target_weight: Fraction
    target_value: NonNegative
    current_value: NonNegative
    priority: int
    sequence_number: int
    is_complete_exit: bool
    is_full_liquidation: bool
    shares: Exact | None = None
    estimated_price: Exact | None = None
    current_position: Exact | None = None
    target_position: Exact | None = None
    total_portfolio_value: NonNegative
    total_run_trades: int
    run_timestamp: Moment
    metadata: dict[str, JsonValue] | None = None


def trade_messages(plan: RebalancePlan) -> tuple[TradeMessage, ...]:
    """Split `plan` into its trades, SELLs first, in the plan's order within a phase. HOLDs make none."""
    ordered = sorted(plan.tradable_items, key=lambda item: item.side is Side.BUY)
    return tuple(_message(plan, item, len(ordered)) for item in ordered)


def _message(plan: RebalancePlan, item: PlanItem, total: int) -> TradeMessage:
    side = Side(item.action.value)
    run_id = run_id_of(plan.plan_id)
    return TradeMessage(
        run_id=run_id,
        trade_id=trade_id_of(run_id, item.symbol, side),
        plan_id=plan.plan_id,
        correlation_id=plan.correlation_id,
        causation_id=plan.causation_id,
        strategy_id=item.strategy_id or plan.strategy_id,
        symbol=item.symbol,
        action=side,
        phase=side,
        trade_amount=item.trade_amount,
        current_weight=item.current_weight,
        target_weight=item.target_weight,
        target_value=item.target_value,
        current_value=item.current_value,
        priority=item.priority,
        sequence_number=SEQUENCE_BASE[side] + item.priority,
        is_complete_exit=item.is_full_exit,
        is_full_liquidation=item.target_weight == 0,
        total_portfolio_value=plan.total_portfolio_value,
        total_run_trades=total,
        run_timestamp=plan.timestamp,
    )
