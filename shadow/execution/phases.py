"""Business Unit: execution | Status: current.

The start of a run: check that the plan's trades belong together, split them into the two phases, and open the run with its
equity limit, once.

Large plans: their trades and results do not travel in the state. Each phase's trades are one object that a Distributed Map
reads; each trade's result is in the state table, and is held against the phase's trades here, so that none can get lost.

The sell guard: when too many planned dollars failed to sell, nothing is bought. It sums **planned** amounts, because a failed
sell has executed nothing, and blocks above the threshold, not at it (legacy contract, section 5 rule 4).

The end of a run, summed up: what its trades came to, and which of the workflow's ends that is. A trade that should have a
result and has none counts as unknown: nothing is dropped from the sums.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.identity import broker_symbol, is_replay
from shadow.contracts.model import MONEY, exact_sum
from shadow.contracts.vocabulary import ExecutionMode, Lane, Origin, Reason, RunStatus, Side, TradeStatus
from shadow.contracts.workflow import (
    MAX_INLINE_TRADES,
    AggregateInput,
    EquityCheck,
    GuardInput,
    GuardResult,
    PreparedRun,
    RunSummary,
    TradeResult,
    WorkflowInput,
    WorkflowTrade,
)
from shadow.execution.ports import Clock, EquityLedger, InterlockViolation, PlanStore, ResultLog, RunOpening

SHOWN_FAILURES = 20
_FAILED = frozenset({TradeStatus.FAILED, TradeStatus.BLOCKED, TradeStatus.NOT_SENT})
_UNCERTAIN = frozenset({TradeStatus.UNKNOWN, TradeStatus.UNFINISHED})


def aggregate(request: AggregateInput) -> RunSummary:
    """Sum a run's results up. A trade blocked by the equity breaker is within the failed ones, as the control counts it."""
    results = (*request.sell_results, *request.buy_results)
    counts = Counter(result.status for result in results)
    failed = sum(counts[status] for status in _FAILED)
    unknown = sum(counts[status] for status in _UNCERTAIN) + max(request.total_trades - len(results), 0)
    blocked = sum(result.reason is Reason.EQUITY_LIMIT for result in results)
    bought, sold = _value(results, Side.BUY), _value(results, Side.SELL)
    outcome = _outcome(unknown, blocked)
    succeeded, skipped = counts[TradeStatus.COMPLETED], counts[TradeStatus.SKIPPED]
    return RunSummary(
        total_trades=request.total_trades,
        succeeded_trades=succeeded,
        failed_trades=failed,
        skipped_trades=skipped,
        unknown_trades=unknown,
        equity_blocked_trades=blocked,
        sell_count=len(request.sell_results),
        buy_count=len(request.buy_results),
        total_value=MONEY.add(bought, sold),
        total_buy_value=bought,
        total_sell_value=sold,
        outcome=outcome.value,
        summary=_sentence(request.total_trades, succeeded, failed, skipped, unknown),
        failures=_failures(results),
        run_id=request.run_id,
        plan_id=request.plan_id,
        correlation_id=request.correlation_id,
    )


def _outcome(unknown: int, blocked: int) -> RunStatus:
    """Choose the workflow's end. Orders of unknown fate weigh more than a breaker that did its work."""
    if unknown:
        return RunStatus.FAILED
    return RunStatus.BLOCKED_BY_EQUITY_LIMIT if blocked else RunStatus.COMPLETED


def _value(results: Iterable[TradeResult], side: Side) -> Decimal:
    """Sum the executed USD of a side, partial fills included; a fill whose price is unknown counts at the decision quote."""
    return exact_sum(_executed(result) for result in results if result.action is side)


def _executed(result: TradeResult) -> Decimal:
    if result.total_value is not None:
        return result.total_value
    return MONEY.multiply(result.quantity or Decimal(0), result.decision_price or Decimal(0))


def _sentence(total: int, succeeded: int, failed: int, skipped: int, unknown: int) -> str:
    parts = [f"{succeeded} of {total} trades executed"]
    parts += [f"{count} {word}" for count, word in ((failed, "failed"), (skipped, "skipped"), (unknown, "unknown")) if count]
    return ", ".join(parts)


def _failures(results: Sequence[TradeResult]) -> tuple[str, ...]:
    """Put the first trades that did not execute into words, the rest into a count."""
    lines = [failure_line(result) for result in results if result.status is not TradeStatus.COMPLETED]
    more = len(lines) - SHOWN_FAILURES
    return (*lines[:SHOWN_FAILURES], f"and {more} more") if more > 0 else tuple(lines)


def failure_line(result: TradeResult) -> str:
    """Say in one line what became of a trade that did not execute in full."""
    filled = f", {result.quantity} shares filled" if result.quantity else ""
    why = f" ({result.error_message})" if result.error_message else ""
    planned = format(abs(result.planned_amount), ",.2f")
    return f"{result.action} {result.symbol} {planned} USD: {result.status}{filled}{why}"


_FAILED_TO_SELL = frozenset(
    {TradeStatus.FAILED, TradeStatus.UNKNOWN, TradeStatus.BLOCKED, TradeStatus.UNFINISHED, TradeStatus.NOT_SENT}
)


def evaluate_guard(request: GuardInput) -> GuardResult:
    """Decide whether buying may start. A sell of unknown fate counts as failed; a skipped one counts as neither."""
    failed = [result for result in request.sell_results if result.status in _FAILED_TO_SELL]
    succeeded = [result for result in request.sell_results if result.status is TradeStatus.COMPLETED]
    threshold = request.failure_threshold_usd
    if threshold is None:
        threshold = request.default_failure_threshold_usd
    failed_amount = planned_usd(failed)
    allowed = failed_amount <= threshold
    return GuardResult(
        buy_phase_allowed=allowed,
        sell_failed_amount=failed_amount,
        sell_succeeded_amount=planned_usd(succeeded),
        sell_failed_count=len(failed),
        failure_threshold_usd=threshold,
        failures=tuple(failure_line(result) for result in failed[:SHOWN_FAILURES]),
        reason=None if allowed else f"failed sells of {failed_amount} USD exceed the threshold of {threshold} USD",
    )


def planned_usd(results: Iterable[TradeResult]) -> Decimal:
    """Sum the planned absolute amounts, in USD."""
    return exact_sum(result.planned_amount.copy_abs() for result in results)


MAX_DEPLOYMENT = Decimal("1.5")
SMALLEST_LIMIT = Decimal("0.01")


def equity_limit(equity: Decimal, deployment: Decimal) -> Decimal:
    """Compute the limit in USD: account equity times min(deployment fraction, 1.5); 0, the breaker off, for a fraction of 0.

    An account without equity gets the smallest limit there is, not 0: "nothing to deploy" must not read as "no limit".
    """
    if deployment <= 0:
        return Decimal(0)
    return max(MONEY.multiply(equity, min(deployment, MAX_DEPLOYMENT)), SMALLEST_LIMIT)


def equity_check(*, allowed: bool, reserved: Decimal, limit: Decimal) -> EquityCheck:
    """Answer one reservation; `reserved` (USD) counts the trade when it was allowed."""
    return EquityCheck(
        allowed=allowed,
        cumulative=max(reserved, Decimal(0)),
        limit=limit,
        headroom=MONEY.subtract(limit, reserved),
        reason=None if allowed else Reason.EQUITY_LIMIT.value,
    )


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
