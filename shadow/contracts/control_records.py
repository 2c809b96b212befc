"""Business Unit: shared contracts | Status: current.

The items of the control's ExecutionRunsTable, as plain Python values (numbers are `Decimal`). The table belongs to the
control: its schema is read and, by the reference lane only, written; it is never changed. Items expire 24 hours after
creation by the attribute `TTL` (epoch seconds).

Events: the three that the control emits on its bus (and the candidate only when it is live), and the status-change event
that Step Functions emits on the default bus, which is a hint to look, never evidence.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import ConfigDict, Field

from shadow.contracts.model import Count, Exact, Frozen, Identifier, Moment, Symbol, Total
from shadow.contracts.vocabulary import Side

GUARD_THRESHOLD_USD = Decimal("500.00")
TTL_HOURS = 24
MARKET_CLOSED_MESSAGE = "Market closed - order placement skipped"
METADATA_SK = "METADATA"
TRADE_SK_PREFIX = "TRADE#"


def run_pk(run_id: str) -> str:
    """Key all items of one run."""
    return f"RUN#{run_id}"


def trade_sk(trade_id: str) -> str:
    """Key one trade item below its run."""
    return f"{TRADE_SK_PREFIX}{trade_id}"


class LegacyRunStatus(StrEnum):
    """The `status` of a run item. PENDING and RUNNING appear in single-phase runs only."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SELL_PHASE = "SELL_PHASE"
    BUY_PHASE = "BUY_PHASE"
    AGGREGATING = "AGGREGATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class LegacyPhase(StrEnum):
    """The `current_phase` of a run item; ALL in single-phase runs."""

    SELL = "SELL"
    BUY = "BUY"
    ALL = "ALL"


class LegacyTradeStatus(StrEnum):
    """The `status` of a trade item. There is no SKIPPED."""

    WAITING = "WAITING"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class _TableItem(Frozen):
    """An item of the table. Attributes that are newer than this contract are kept apart by the reader, not refused here."""

    model_config = ConfigDict(extra="ignore")

    PK: str
    SK: str
    TTL: Count


class RunItem(_TableItem):
    """The run's own item. Amounts are sums of planned absolute USD; `max_equity_limit_usd` 0 means the breaker is off."""

    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    total_trades: Count
    completed_trades: Count
    succeeded_trades: Count
    failed_trades: Count
    skipped_trades: Count
    sell_total: Count
    sell_completed: Count
    buy_total: Count
    buy_completed: Count
    sell_failed_amount: Total
    sell_succeeded_amount: Total
    cumulative_buy_succeeded_value: Total
    max_equity_limit_usd: Exact
    current_phase: LegacyPhase
    status: LegacyRunStatus
    trade_ids: tuple[str, ...]
    run_timestamp: Moment
    created_at: Moment
    buy_phase_started_at: Moment | None = None
    aggregation_started_at: Moment | None = None
    completed_at: Moment | None = None
    failed_at: Moment | None = None
    failure_reason: str | None = None
    data_freshness: str | None = None
    rebalance_plan_summary: str | None = None
    strategies_evaluated: Count | None = None


class TradeItem(_TableItem):
    """One trade's item. `trade_amount` is planned and signed; `execution_data` and `message_body` are JSON texts."""

    trade_id: Identifier
    symbol: Symbol
    action: Side
    phase: Side
    sequence_number: Count
    trade_amount: Exact
    status: LegacyTradeStatus
    message_body: str
    started_at: Moment | None = None
    completed_at: Moment | None = None
    order_id: str | None = None
    error_message: str | None = None
    execution_data: str | None = None


class ExecutionData(Frozen):
    """What `execution_data` holds. `price` is normally the quote's mid, not the fill; `trade_amount` is executed USD."""

    model_config = ConfigDict(extra="ignore")

    shares: Exact | None = None
    price: Exact | None = None
    trade_amount: Exact | None = None
    order_type: str | None = None
    filled_at: Moment | None = None


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
