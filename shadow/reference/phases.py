"""Business Unit: legacy | Status: current.

What the control does once a trade is counted: open the BUY phase behind the sell guard, and, when every trade is counted, let
one winner aggregate. The guard's threshold is a code constant in the control; exactly 500.00 is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shadow.contracts.events import AllTradesCompleted, DetailType, FailureStep, WorkflowFailed
from shadow.contracts.runs_table import GUARD_THRESHOLD_USD, LegacyPhase, LegacyRunStatus, RunItem
from shadow.contracts.trade_message import TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.reference.ports import EventBus, Notes, QueueRecord, RunsStore, TradeQueue


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
