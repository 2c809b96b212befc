"""Business Unit: execution | Status: current.

The start of a run: check that the plan's trades belong together, split them into the two phases, and open the run with its
equity limit, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.identity import is_replay
from shadow.contracts.symbols import broker_symbol
from shadow.contracts.vocabulary import ExecutionMode, Lane, Origin, Side
from shadow.contracts.workflow import PreparedRun, WorkflowInput, WorkflowTrade
from shadow.execution.errors import InterlockViolation
from shadow.execution.ports import Clock, EquityLedger, RunOpening
from shadow.execution.safety import equity_limit


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How runs are opened. `deployment` is the fraction of the equity a run may buy for; `equity` reads it, in USD."""

    mode: ExecutionMode
    deployment: Decimal
    equity: Callable[[WorkflowInput], Decimal]


def prepare(
    request: WorkflowInput, trades: tuple[WorkflowTrade, ...], *, settings: RunSettings, ledger: EquityLedger, clock: Clock
) -> PreparedRun:
    """Split `trades` into phases and open the run.

    Raises InvalidPayload when a trade does not belong to the run, and InterlockViolation when the plan was published to be
    shadowed and this lane is live, or the other way round, and when a replayed plan is not named as one.

    A retry or redrive finds the run open and keeps its limit: the equity is read once a run.
    """
    _refuse_strangers(request, trades)
    mode = mode_of(request, settings.mode)
    _refuse_other_role(request, mode)
    limit = Decimal(0) if settings.deployment <= 0 else equity_limit(settings.equity(request), settings.deployment)
    limit = ledger.open_run(RunOpening(request.run_id, request.plan_id, request.correlation_id, mode, limit, clock.now()))
    sells = in_order(trade for trade in trades if trade.action is Side.SELL)
    buys = in_order(trade for trade in trades if trade.action is Side.BUY)
    return PreparedRun(
        sell_trades=sells,
        buy_trades=buys,
        sell_count=len(sells),
        buy_count=len(buys),
        total_trades=len(trades),
        run_id=request.run_id,
        plan_id=request.plan_id,
        correlation_id=request.correlation_id,
        failure_threshold_usd=request.failure_threshold_usd,
        equity_limit=limit,
        execution_mode=mode.value,
    )


def in_order(trades: Iterable[WorkflowTrade]) -> tuple[WorkflowTrade, ...]:
    """Order the trades of a phase: by sequence number, and as published within one."""
    return tuple(sorted(trades, key=lambda trade: trade.sequence_number))


def mode_of(request: WorkflowInput, mode: ExecutionMode) -> ExecutionMode:
    """Give the mode of a run in a lane of `mode`: a replayed plan, whoever started it, is recorded and never traded.

    Raises InterlockViolation where a replay does not bear the name of one, by which every later step knows it.
    """
    if request.origin == Origin.REPLAY and not is_replay(request.plan_id):
        raise InterlockViolation(f"run {request.run_id}: expected a replayed plan to be named as one, was {request.plan_id}")
    return ExecutionMode.DRY_RUN if is_replay(request.plan_id) else mode


def _refuse_other_role(request: WorkflowInput, mode: ExecutionMode) -> None:
    """Refuse a run whose plan the other lane trades, or that this lane would only pretend to trade."""
    in_production = request.production_lane is Lane.WORKFLOW
    if in_production is not (mode is ExecutionMode.LIVE):
        expected = "live for a plan that it is to trade" if in_production else "dry_run or paper for a plan that it shadows"
        raise InterlockViolation(f"run {request.run_id}: expected mode {expected}, was {mode}")


def _refuse_strangers(request: WorkflowInput, trades: tuple[WorkflowTrade, ...]) -> None:
    """Refuse a plan in which a trade is of another run, is there twice, or has the wrong sign or a symbol of no market."""
    faults: list[FieldFault] = []
    seen: set[str] = set()
    for index, trade in enumerate(trades):
        where = f"rebalancePlan.tradeMessages.{index} ({trade.symbol})"
        if trade.run_id != request.run_id:
            faults.append(FieldFault(f"{where}.runId", request.run_id, trade.run_id))
        if trade.trade_id in seen:
            faults.append(FieldFault(f"{where}.tradeId", "one trade for each id", f"{trade.trade_id} again"))
        if broker_symbol(trade.symbol) is None:
            faults.append(FieldFault(f"{where}.symbol", "a symbol that the broker can have", trade.symbol))
        if (trade.trade_amount > 0) is not (trade.action is Side.BUY) or trade.trade_amount == 0:
            expected = "more than 0 for BUY" if trade.action is Side.BUY else "less than 0 for SELL"
            faults.append(FieldFault(f"{where}.tradeAmount", expected, str(trade.trade_amount)))
        seen.add(trade.trade_id)
    if faults:
        raise InvalidPayload("WorkflowInput", faults)
