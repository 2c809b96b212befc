"""Business Unit: legacy | Status: current.

What the reference lane needs of the world: the runs table, the queue, the bus, the trade ledger and the plan table. The adapters
are in `runs_store` and `channels`; the planted faults wrap these ports and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from shadow.contracts.events import DetailType, LedgerEntry
from shadow.contracts.model import Frozen
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.runs_table import ExecutionData, LegacyTradeStatus, RunItem, TradeItem
from shadow.contracts.vocabulary import Side

ZERO = Decimal(0)


class TradeEnding(StrEnum):
    """Under which counter an ended trade is counted. A skipped one is COMPLETED in the table (there is no SKIPPED status)."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """The first of the two writes that end a trade: what its item says from now on. None is not written."""

    run_id: str
    trade_id: str
    status: LegacyTradeStatus
    completed_at: datetime
    order_id: str | None = None
    error_message: str | None = None
    execution_data: ExecutionData | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """The second write: what is added to the run's counters. `planned_amount` is absolute USD."""

    run_id: str
    phase: Side
    ending: TradeEnding
    planned_amount: Decimal


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """One message for the control's queue."""

    body: str
    run_id: str
    trade_id: str
    symbol: str
    phase: Side


class RunsStore(Protocol):
    """The ExecutionRunsTable."""

    def put_run(self, run: RunItem) -> bool:
        """Write the run's item unless there is one; tell whether it was written."""
        ...

    def put_trade(self, run_id: str, trade: TradeItem) -> bool:
        """Write a trade's item unless there is one; tell whether it was written."""
        ...

    def run(self, run_id: str) -> RunItem | None:
        """Read the run's item, consistently; None when there is none."""
        ...

    def trade(self, run_id: str, trade_id: str) -> TradeItem | None:
        """Read a trade's item, consistently; None when there is none."""
        ...

    def waiting_buys(self, run_id: str) -> tuple[TradeItem, ...]:
        """Read the BUYs that were not sent yet, by sequence number."""
        ...

    def mark_running(self, run_id: str, trade_id: str, at: datetime) -> None:
        """Set a trade RUNNING, whatever it was before."""
        ...

    def mark_pending(self, run_id: str, trade_id: str) -> None:
        """Set a trade that was sent PENDING, unless it was taken up already."""
        ...

    def end_trade(self, record: TradeRecord) -> None:
        """Write how a trade ended, whatever its item said before."""
        ...

    def count(self, tally: Tally) -> RunItem:
        """Add a trade to the run's counters, unconditionally, and give the run as it is then."""
        ...

    def start_buy_phase(self, run_id: str, at: datetime) -> bool:
        """Move a run from its SELL phase to its BUY phase; tell whether this call did it."""
        ...

    def fail_run(self, run_id: str, at: datetime, reason: str) -> bool:
        """Set a run FAILED unless it is; tell whether this call did it."""
        ...

    def claim_aggregation(self, run_id: str, at: datetime) -> bool:
        """Set a run AGGREGATING if it is still in a phase; tell whether this call won."""
        ...

    def complete_run(self, run_id: str, at: datetime) -> None:
        """Set a run COMPLETED."""
        ...


class TradeQueue(Protocol):
    """The control's FIFO queue."""

    def send(self, record: QueueRecord) -> None:
        """Send one trade; the queue drops a repetition of its trade id within five minutes."""
        ...


class EventBus(Protocol):
    """The control's event bus."""

    def emit(self, kind: DetailType, detail: Frozen) -> None:
        """Emit one event."""
        ...


class TradeLedger(Protocol):
    """The TradeLedgerTable."""

    def enter(self, entry: LedgerEntry) -> None:
        """Write the row of one filled order."""
        ...


class PlanTable(Protocol):
    """The RebalancePlanTable."""

    def keep(self, plan: RebalancePlan) -> None:
        """Write the plan for 90 days."""
        ...


class Notes(Protocol):
    """Where the lane says what it did: a log line with fields, never a payload."""

    def info(self, message: str, fields: Mapping[str, object]) -> None:
        """Say what happened."""
        ...

    def send_failed(self, message: str, fields: Mapping[str, object]) -> None:
        """Say, and count, that a BUY could not be sent."""
        ...
