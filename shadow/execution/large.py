"""Business Unit: execution | Status: current.

Large plans: their trades and results do not travel in the state. Each phase's trades are one object that a Distributed Map
reads; each trade's result is in the state table, and is held against the phase's trades here, so that none can get lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal

from shadow.contracts.vocabulary import Reason, Side, TradeStatus
from shadow.contracts.workflow import (
    MAX_INLINE_TRADES,
    AggregateInput,
    GuardInput,
    PreparedRun,
    TradeResult,
    WorkflowInput,
    WorkflowTrade,
)
from shadow.execution.ports import PlanStore, ResultLog

MAX_STATE_BYTES = 80_000
"""How many bytes of trades stay in the state: with results of at most `RESULT_BYTES` each, a hundred trades end below 262,144."""


def is_large(trades: tuple[WorkflowTrade, ...], limit: int = MAX_INLINE_TRADES) -> bool:
    """Tell whether `trades` and their results would outgrow a state payload; `limit` is how many trades may stay in it."""
    return len(trades) > limit or len(json.dumps([trade.to_wire() for trade in trades])) > MAX_STATE_BYTES


def trades_of(request: WorkflowInput, store: PlanStore) -> tuple[WorkflowTrade, ...]:
    """Give the plan's trades: the input's own, or those its claim check refers to. Raises PlanObjectCorrupt."""
    if request.claim_check is None:
        return request.rebalance_plan.trade_messages
    return store.read_plan(request.claim_check)


def moved_out(run: PreparedRun, store: PlanStore) -> PreparedRun:
    """Put a large run's trades into the store, by phase, and leave their keys in the state."""
    return run.model_copy(
        update={
            "sell_trades": (),
            "buy_trades": (),
            "is_large": True,
            "bucket": store.bucket,
            "sell_key": store.write_phase(run.run_id, Side.SELL, run.sell_trades),
            "buy_key": store.write_phase(run.run_id, Side.BUY, run.buy_trades),
        }
    )


def guard_request(request: GuardInput, store: PlanStore, log: ResultLog) -> GuardInput:
    """Fill a large run's sell results in; a small run has them."""
    if not request.is_large:
        return request
    sells = store.read_phase(request.bucket, request.sell_key) if request.sell_key else ()
    return request.model_copy(update={"sell_results": gathered(request.run_id, sells, log)})


def aggregate_request(request: AggregateInput, store: PlanStore, log: ResultLog) -> AggregateInput:
    """Fill a large run's results in; a small run has them."""
    if not request.is_large:
        return request
    sells = store.read_phase(request.bucket, request.sell_key)
    buys = store.read_phase(request.bucket, request.buy_key)
    results = gathered(request.run_id, (*sells, *buys), log)
    return request.model_copy(
        update={
            "sell_results": tuple(result for result in results if result.action is Side.SELL),
            "buy_results": tuple(result for result in results if result.action is Side.BUY),
        }
    )


def gathered(run_id: str, trades: Iterable[WorkflowTrade], log: ResultLog) -> tuple[TradeResult, ...]:
    """Give a result for every one of `trades`.

    One that was never recorded is UNKNOWN if the trade intended an order, and FAILED if it did not: an intent goes before
    every order, and the phase is over.
    """
    found = log.results_of(run_id)
    expected = tuple(trades)
    lost = [trade for trade in expected if trade.trade_id not in found]
    intended = log.with_intents(run_id) if lost else frozenset()
    found |= {trade.trade_id: _unrecorded(trade, may_live=trade.trade_id in intended) for trade in lost}
    return tuple(found[trade.trade_id] for trade in expected)


def _unrecorded(trade: WorkflowTrade, *, may_live: bool) -> TradeResult:
    return TradeResult(
        run_id=trade.run_id,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        action=trade.action,
        status=TradeStatus.UNKNOWN if may_live else TradeStatus.FAILED,
        quantity=None if may_live else Decimal(0),
        total_value=None if may_live else Decimal(0),
        error_message="no result was recorded",
        planned_amount=trade.trade_amount,
        reason=Reason.OTHER,
    )
