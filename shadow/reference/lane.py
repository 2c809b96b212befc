"""Business Unit: legacy | Status: current.

One queue record through the control: duplicate check, RUNNING, market-open check, equity breaker, execution, the trade's item,
then the counters in a second write, then whatever the run needs next. The order of these steps, and that nothing holds them
together, is the contract (section 5). Once a trade is counted, the run goes on: open the BUY phase behind the sell guard, and,
when every trade is counted, let one winner aggregate. The guard's threshold is a code constant in the control; exactly 500.00 is
allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from shadow.broker.port import Broker, BrokerError
from shadow.contracts.control_records import (
    GUARD_THRESHOLD_USD,
    MARKET_CLOSED_MESSAGE,
    AllTradesCompleted,
    DetailType,
    ExecutionData,
    FailureStep,
    LedgerEntry,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeExecuted,
    WorkflowFailed,
)
from shadow.contracts.errors import ShadowError
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.reference.execution import Execution, Pace, TradeExecutor, reason_of
from shadow.reference.publishing import (
    EventBus,
    Notes,
    QueueRecord,
    RunsStore,
    Tally,
    TradeEnding,
    TradeLedger,
    TradeQueue,
    TradeRecord,
)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Moves a run on after one of its trades was counted."""

    store: RunsStore
    queue: TradeQueue
    bus: EventBus
    notes: Notes
    now: Callable[[], datetime]

    def advance(self, run: RunItem, message: TradeMessage) -> None:
        """Move `run`, as the counter write left it, on: the next phase, or its end."""
        if message.phase is Side.SELL and run.current_phase is LegacyPhase.SELL and run.sell_completed >= run.sell_total:
            self._end_sells(run, message)
        if run.completed_trades >= run.total_trades:
            self._complete(run, message)

    def _end_sells(self, run: RunItem, message: TradeMessage) -> None:
        """Block the BUYs, or send them. A run without BUYs has the guard too, and no second phase."""
        if guard_blocks(run):
            reason = f"SELL phase guard: {run.sell_failed_amount} USD of sells failed, more than {GUARD_THRESHOLD_USD} USD"
            if self.store.fail_run(run.run_id, self.now(), reason):
                self.bus.emit(DetailType.WORKFLOW_FAILED, self._failed(run, message, reason))
        elif run.buy_total and self.store.start_buy_phase(run.run_id, self.now()):
            self._send_buys(run.run_id)

    def _send_buys(self, run_id: str) -> None:
        """Send every waiting BUY. One that cannot be sent is logged and stays WAITING: nobody sends it later."""
        for trade in self.store.waiting_buys(run_id):
            try:
                self.queue.send(QueueRecord(trade.message_body, run_id, trade.trade_id, trade.symbol, trade.phase))
            except Exception as error:  # noqa: BLE001 - the contract's own defect: counted and logged, and that is all
                fields = {"run_id": run_id, "trade_id": trade.trade_id, "error": type(error).__name__}
                self.notes.send_failed("a BUY could not be sent", fields)
            else:
                self.store.mark_pending(run_id, trade.trade_id)

    def _complete(self, run: RunItem, message: TradeMessage) -> None:
        """Aggregate the run, if this call is the one that claims it."""
        if run.status is LegacyRunStatus.FAILED or not self.store.claim_aggregation(run.run_id, self.now()):
            return
        self.bus.emit(
            DetailType.ALL_TRADES_COMPLETED,
            AllTradesCompleted(
                correlation_id=run.correlation_id,
                causation_id=message.causation_id,
                run_id=run.run_id,
                plan_id=run.plan_id,
                timestamp=self.now(),
                total_trades=run.total_trades,
                succeeded_trades=run.succeeded_trades,
                failed_trades=run.failed_trades,
                skipped_trades=run.skipped_trades,
            ),
        )
        self.store.complete_run(run.run_id, self.now())

    def _failed(self, run: RunItem, message: TradeMessage, reason: str) -> WorkflowFailed:
        return WorkflowFailed(
            correlation_id=run.correlation_id,
            causation_id=message.causation_id,
            run_id=run.run_id,
            plan_id=run.plan_id,
            timestamp=self.now(),
            failure_step=FailureStep.SELL_PHASE_GUARD,
            failure_reason=reason,
        )


def guard_blocks(run: RunItem) -> bool:
    """Tell whether too much of the SELL phase failed: more than 500.00 USD planned (legacy contract, section 5, rule 4)."""
    return run.sell_failed_amount > GUARD_THRESHOLD_USD


_ENDED = (LegacyTradeStatus.COMPLETED, LegacyTradeStatus.FAILED)
_STATUS_OF = {
    TradeEnding.SUCCEEDED: LegacyTradeStatus.COMPLETED,
    TradeEnding.SKIPPED: LegacyTradeStatus.COMPLETED,
    TradeEnding.FAILED: LegacyTradeStatus.FAILED,
}


class UnknownTrade(ShadowError):
    """A message names a run or a trade that the table does not have (never written, or expired)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one trade ended: `error` is None exactly when it succeeded."""

    ending: TradeEnding
    error: str | None = None
    execution: Execution = field(default_factory=Execution)

    @property
    def order_id(self) -> str | None:
        """The order that the trade's item names."""
        order = self.execution.last_order
        return None if order is None else order.order_id

    @property
    def data(self) -> ExecutionData | None:
        """What `execution_data` says: nothing unless shares were filled. The price is the quote's mid, not the fill."""
        done, order = self.execution, self.execution.last_order
        if done.filled <= 0 or done.mid is None or order is None:
            return None
        return ExecutionData(
            shares=done.filled,
            price=done.mid,
            trade_amount=done.filled * done.mid,
            order_type=order.order_type.value,
            filled_at=order.filled_at,
        )


@dataclass(frozen=True, slots=True)
class LegacyLane:
    """The control's execution half."""

    store: RunsStore
    bus: EventBus
    ledger: TradeLedger
    broker: Broker
    executor: TradeExecutor
    progress: RunProgress
    notes: Notes
    now: Callable[[], datetime]

    def process(self, message: TradeMessage) -> None:
        """Execute one record; returning acknowledges it. Raises UnknownTrade, or whatever a table or bus raises."""
        trade = self.store.trade(message.run_id, message.trade_id)
        if trade is None:
            raise UnknownTrade(f"trade {message.trade_id} of run {message.run_id}: expected an item, was none")
        if trade.status in _ENDED:
            self.notes.info("duplicate record acknowledged", _fields(message))
            return
        self.store.mark_running(message.run_id, message.trade_id, self.now())
        ended = self._run(message)
        self._record(message, ended)
        run = self.store.count(Tally(message.run_id, message.phase, ended.ending, abs(message.trade_amount)))
        self._announce(message, ended)
        self.progress.advance(run, message)

    def _run(self, message: TradeMessage) -> Ended:
        """Decide whether the trade may run, and run it."""
        try:
            if not self.broker.clock().is_open:
                return Ended(TradeEnding.SKIPPED, MARKET_CLOSED_MESSAGE)
        except BrokerError as error:
            return Ended(TradeEnding.FAILED, reason_of(error))
        blocked = self._breaker(message) if message.action is Side.BUY else None
        if blocked is not None:
            return Ended(TradeEnding.FAILED, blocked)
        execution = self.executor.execute(message)
        return Ended(TradeEnding.FAILED if execution.error else TradeEnding.SUCCEEDED, execution.error, execution)

    def _breaker(self, message: TradeMessage) -> str | None:
        """Fail the run when this BUY would pass the equity limit; give the reason, None when it may go on.

        The run is read here and counted later, so BUYs that run at the same time can pass the limit together.
        """
        run = self.store.run(message.run_id)
        if run is None:
            raise UnknownTrade(f"run {message.run_id}: expected an item, was none")
        reason = over_limit(run, abs(message.trade_amount))
        if reason is not None and self.store.fail_run(message.run_id, self.now(), reason):
            self.bus.emit(
                DetailType.WORKFLOW_FAILED,
                WorkflowFailed(
                    correlation_id=message.correlation_id,
                    causation_id=message.causation_id,
                    run_id=message.run_id,
                    plan_id=message.plan_id,
                    timestamp=self.now(),
                    failure_step=FailureStep.EQUITY_CIRCUIT_BREAKER,
                    failure_reason=reason,
                ),
            )
        return reason

    def _record(self, message: TradeMessage, ended: Ended) -> None:
        """Enter the filled orders in the ledger and write the trade's item: the first of the two writes."""
        for order in ended.execution.orders:
            if order.filled_quantity > 0:
                self.ledger.enter(
                    LedgerEntry(
                        order_id=order.order_id,
                        correlation_id=message.correlation_id,
                        symbol=order.symbol,
                        direction=order.side,
                        filled_qty=order.filled_quantity,
                        fill_price=order.average_price,
                        timestamp=order.filled_at or self.now(),
                    )
                )
        self.store.end_trade(
            TradeRecord(
                run_id=message.run_id,
                trade_id=message.trade_id,
                status=_STATUS_OF[ended.ending],
                completed_at=self.now(),
                order_id=ended.order_id,
                error_message=ended.error,
                execution_data=ended.data,
            )
        )

    def _announce(self, message: TradeMessage, ended: Ended) -> None:
        """Emit TradeExecuted, whichever way the trade ended."""
        data = ended.data
        self.bus.emit(
            DetailType.TRADE_EXECUTED,
            TradeExecuted(
                correlation_id=message.correlation_id,
                causation_id=message.causation_id,
                run_id=message.run_id,
                plan_id=message.plan_id,
                timestamp=self.now(),
                trade_id=message.trade_id,
                symbol=message.symbol,
                action=message.action,
                success=ended.ending is TradeEnding.SUCCEEDED,
                quantity=None if data is None else data.shares,
                price=None if data is None else data.price,
                trade_amount=None if data is None else data.trade_amount,
                order_id=ended.order_id,
                error_message=ended.error,
            ),
        )
        self.notes.info("trade ended", _fields(message) | {"ending": ended.ending.value})


def over_limit(run: RunItem, amount: Decimal) -> str | None:
    """Say why a BUY of `amount` USD would pass the run's equity limit; None when it would not, or the breaker is off (0)."""
    limit, used = run.max_equity_limit_usd, run.cumulative_buy_succeeded_value
    if limit == 0 or used + amount <= limit:
        return None
    return f"Equity circuit breaker: {used} deployed + {amount} exceeds the limit of {limit} USD"


def _fields(message: TradeMessage) -> dict[str, object]:
    return {"run_id": message.run_id, "trade_id": message.trade_id, "symbol": message.symbol}


@dataclass(frozen=True, slots=True)
class LaneParts:
    """Everything the execution half works with. `sleep` takes seconds."""

    store: RunsStore
    queue: TradeQueue
    bus: EventBus
    ledger: TradeLedger
    broker: Broker
    notes: Notes
    pace: Pace
    sleep: Callable[[float], None]
    now: Callable[[], datetime]

    def assemble(self) -> LegacyLane:
        """Put the lane together."""
        progress = RunProgress(self.store, self.queue, self.bus, self.notes, self.now)
        executor = TradeExecutor(self.broker, self.pace, self.sleep)
        return LegacyLane(self.store, self.bus, self.ledger, self.broker, executor, progress, self.notes, self.now)
