"""Business Unit: shared contracts | Status: current.

The items of the control's ExecutionRunsTable, as plain Python values (numbers are `Decimal`). The table belongs to the
control: its schema is read and, by the reference lane only, written; it is never changed. Items expire 24 hours after
creation by the attribute `TTL` (epoch seconds).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from shadow.contracts.model import Exact, Frozen, Identifier, Moment, Symbol, Total
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


def _whole(value: object) -> object:
    """DynamoDB gives every number as Decimal; counters are whole."""
    if not isinstance(value, Decimal) or not value.is_finite() or value != value.to_integral_value():
        return value
    return int(value)


Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]


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
