"""Business Unit: shared contracts | Status: current.

Events: the three that the control emits on its bus (and the candidate only when it is live), and the status-change event
that Step Functions emits on the default bus, which is a hint to look, never evidence.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from shadow.contracts.model import Exact, Frozen, Identifier, Moment, Symbol
from shadow.contracts.vocabulary import Side


class EventSource(StrEnum):
    """Who emits on the control's bus."""

    EXECUTION = "alchemiser.execution"
    TRADE_AGGREGATOR = "alchemiser.trade_aggregator"


class DetailType(StrEnum):
    """The events downstream systems listen for."""

    TRADE_EXECUTED = "TradeExecuted"
    ALL_TRADES_COMPLETED = "AllTradesCompleted"
    WORKFLOW_FAILED = "WorkflowFailed"


SOURCE_OF = {
    DetailType.TRADE_EXECUTED: EventSource.EXECUTION,
    DetailType.ALL_TRADES_COMPLETED: EventSource.TRADE_AGGREGATOR,
    DetailType.WORKFLOW_FAILED: EventSource.EXECUTION,
}


class FailureStep(StrEnum):
    """The `failure_step` of a WorkflowFailed event."""

    SELL_PHASE_GUARD = "SELL_PHASE_GUARD"
    EQUITY_CIRCUIT_BREAKER = "EQUITY_CIRCUIT_BREAKER"


class _Detail(Frozen):
    model_config = ConfigDict(extra="ignore")

    correlation_id: Identifier
    causation_id: str | None = None
    run_id: Identifier
    plan_id: Identifier
    timestamp: Moment


class TradeExecuted(_Detail):
    """One trade has ended. `quantity` shares, `price` and `trade_amount` (executed) USD."""

    trade_id: Identifier
    symbol: Symbol
    action: Side
    success: bool
    quantity: Exact | None = None
    price: Exact | None = None
    trade_amount: Exact | None = None
    order_id: str | None = None
    error_message: str | None = None


class AllTradesCompleted(_Detail):
    """Every trade of a run has ended."""

    total_trades: int
    succeeded_trades: int
    failed_trades: int
    skipped_trades: int


class WorkflowFailed(_Detail):
    """A run was stopped by a safety rule."""

    failure_step: FailureStep
    failure_reason: str


class LedgerEntry(Frozen):
    """One row of the TradeLedgerTable, `PK = TRADE#{order_id}`, no expiry, `GSI1PK = CORR#{correlation_id}`."""

    model_config = ConfigDict(extra="ignore")

    order_id: Identifier
    correlation_id: Identifier
    symbol: Symbol
    direction: Side
    filled_qty: Exact
    fill_price: Exact | None
    timestamp: Moment


class ExecutionStatus(StrEnum):
    """The status of an execution, as Step Functions names it."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"

    @property
    def is_terminal(self) -> bool:
        """Whether the execution has ended (a redrive may yet reopen it)."""
        return self not in (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


class StatusChangeDetail(Frozen):
    """The part of a status-change event's detail that is relied upon. Dates are epoch milliseconds."""

    model_config = ConfigDict(extra="ignore", validate_by_name=True, validate_by_alias=True)

    execution_arn: str = Field(alias="executionArn")
    state_machine_arn: str = Field(alias="stateMachineArn")
    name: str
    status: ExecutionStatus
    stop_date: datetime | None = Field(default=None, alias="stopDate")
    redrive_count: int = Field(default=0, alias="redriveCount")


class StatusChangeEvent(Frozen):
    """Step Functions says that an execution's status changed. Best effort: it can be lost, doubled and reordered."""

    model_config = ConfigDict(extra="ignore", validate_by_name=True, validate_by_alias=True)

    id: str
    source: str
    detail_type: str = Field(alias="detail-type")
    time: datetime
    detail: StatusChangeDetail


MAX_EVENTS = 25_000
