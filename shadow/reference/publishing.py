"""Business Unit: legacy | Status: current.

The control's publishing half: the plan's item, the run item, one item a trade, then the messages. Nothing here is
transactional, as the contract has it: a crash leaves whatever was written. The run's id and every trade's are minted anew with
each publication, so publishing a plan again makes another run of it.

What the reference lane needs of the world: the runs table, the queue, the bus, the trade ledger and the plan table. The adapters
are in `tables`; the planted faults wrap these ports and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

from shadow.contracts.control_records import (
    METADATA_SK,
    TTL_HOURS,
    DetailType,
    ExecutionData,
    LedgerEntry,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeItem,
    run_pk,
    trade_sk,
)
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.model import Frozen
from shadow.contracts.plan import RebalancePlan, TradeMessage, trade_messages
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

    def put_trade(self, run_id: str, trade: TradeItem) -> bool:
        """Write a trade's item unless there is one; tell whether it was written."""

    def run(self, run_id: str) -> RunItem | None:
        """Read the run's item, consistently; None when there is none."""

    def trade(self, run_id: str, trade_id: str) -> TradeItem | None:
        """Read a trade's item, consistently; None when there is none."""

    def waiting_buys(self, run_id: str) -> tuple[TradeItem, ...]:
        """Read the BUYs that were not sent yet, by sequence number."""

    def mark_running(self, run_id: str, trade_id: str, at: datetime) -> None:
        """Set a trade RUNNING, whatever it was before."""

    def mark_pending(self, run_id: str, trade_id: str) -> None:
        """Set a trade that was sent PENDING, unless it was taken up already."""

    def end_trade(self, record: TradeRecord) -> None:
        """Write how a trade ended, whatever its item said before."""

    def count(self, tally: Tally) -> RunItem:
        """Add a trade to the run's counters, unconditionally, and give the run as it is then."""

    def start_buy_phase(self, run_id: str, at: datetime) -> bool:
        """Move a run from its SELL phase to its BUY phase; tell whether this call did it."""

    def fail_run(self, run_id: str, at: datetime, reason: str) -> bool:
        """Set a run FAILED unless it is; tell whether this call did it."""

    def claim_aggregation(self, run_id: str, at: datetime) -> bool:
        """Set a run AGGREGATING if it is still in a phase; tell whether this call won."""

    def complete_run(self, run_id: str, at: datetime) -> None:
        """Set a run COMPLETED."""


class TradeQueue(Protocol):
    """The control's FIFO queue."""

    def send(self, record: QueueRecord) -> None:
        """Send one trade; the queue drops a repetition of its trade id within five minutes."""


class EventBus(Protocol):
    """The control's event bus."""

    def emit(self, kind: DetailType, detail: Frozen) -> None:
        """Emit one event."""


class TradeLedger(Protocol):
    """The TradeLedgerTable."""

    def enter(self, entry: LedgerEntry) -> None:
        """Write the row of one filled order."""


class PlanTable(Protocol):
    """The RebalancePlanTable."""

    def keep(self, plan: RebalancePlan) -> None:
        """Write the plan for 90 days."""


class Notes(Protocol):
    """Where the lane says what it did: a log line with fields, never a payload."""

    def info(self, message: str, fields: Mapping[str, object]) -> None:
        """Say what happened."""

    def send_failed(self, message: str, fields: Mapping[str, object]) -> None:
        """Say, and count, that a BUY could not be sent."""


MAX_DEPLOYMENT_FRACTION = Decimal("1.5")


@dataclass(frozen=True, slots=True)
class Published:
    """A plan was written and its first phase sent. `sent` are the trade ids on the queue."""

    plan_id: str
    run_id: str
    trade_ids: tuple[str, ...]
    sent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NothingToExecute:
    """A plan of HOLDs only: it makes no trade, so nothing was written and nothing sent."""

    plan_id: str


def minted() -> str:
    """Mint an id that nobody can foresee, as production does."""
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class LegacyPublisher:
    """Publishes a plan to the control. `equity` reads the account's equity in USD, once a plan; `mint` makes each id."""

    store: RunsStore
    queue: TradeQueue
    plans: PlanTable
    equity: Callable[[], Decimal]
    deployment_fraction: Decimal
    now: Callable[[], datetime]
    mint: Callable[[], str] = minted

    def publish(self, rebalance_plan: RebalancePlan) -> Published | NothingToExecute:
        """Write the plan, a run of it and its trades, then send the SELLs (or, where there is none, the BUYs)."""
        plan, run_id = rebalance_plan, self.mint()
        messages = tuple(
            message.model_copy(update={"run_id": run_id, "trade_id": self.mint()}) for message in trade_messages(plan)
        )
        if not messages:
            return NothingToExecute(plan.plan_id)
        limit = equity_limit(self.equity(), self.deployment_fraction)
        created_at = self.now()
        self.plans.keep(plan)
        self.store.put_run(run_item(plan, messages, limit, created_at))
        first = first_phase(messages)
        for message in messages:
            self.store.put_trade(run_id, trade_item(message, first, created_at))
        sent = [message for message in messages if message.phase is first]
        for message in sent:
            self.queue.send(queue_record(message))
        return Published(plan.plan_id, run_id, tuple(m.trade_id for m in messages), tuple(m.trade_id for m in sent))


def equity_limit(equity: Decimal, deployment_fraction: Decimal) -> Decimal:
    """Compute the most USD that a run's BUYs may deploy: equity times min(fraction, 1.5). 0 means the breaker is off.

    Raises ConfigurationError for a negative fraction. Source: legacy contract, section 5, rule 5.
    """
    if deployment_fraction < 0:
        raise ConfigurationError(f"equity deployment fraction: expected zero or more, was {deployment_fraction}")
    return max(equity, ZERO) * min(deployment_fraction, MAX_DEPLOYMENT_FRACTION)


def first_phase(messages: tuple[TradeMessage, ...]) -> Side:
    """Tell which phase is sent at once."""
    return Side.SELL if any(message.phase is Side.SELL for message in messages) else Side.BUY


def run_item(plan: RebalancePlan, messages: tuple[TradeMessage, ...], limit: Decimal, created_at: datetime) -> RunItem:
    """Build the item of a run that has not begun; `limit` is USD."""
    sells = sum(message.phase is Side.SELL for message in messages)
    selling = first_phase(messages) is Side.SELL
    return RunItem(
        PK=run_pk(messages[0].run_id),
        SK=METADATA_SK,
        TTL=_expiry(created_at),
        run_id=messages[0].run_id,
        plan_id=plan.plan_id,
        correlation_id=plan.correlation_id,
        total_trades=len(messages),
        completed_trades=0,
        succeeded_trades=0,
        failed_trades=0,
        skipped_trades=0,
        sell_total=sells,
        sell_completed=0,
        buy_total=len(messages) - sells,
        buy_completed=0,
        sell_failed_amount=ZERO,
        sell_succeeded_amount=ZERO,
        cumulative_buy_succeeded_value=ZERO,
        max_equity_limit_usd=limit,
        current_phase=LegacyPhase.SELL if selling else LegacyPhase.BUY,
        status=LegacyRunStatus.SELL_PHASE if selling else LegacyRunStatus.BUY_PHASE,
        trade_ids=tuple(message.trade_id for message in messages),
        run_timestamp=plan.timestamp,
        created_at=created_at,
    )


def trade_item(message: TradeMessage, first: Side, created_at: datetime) -> TradeItem:
    """Build the item of a trade: PENDING where it is sent at once, else WAITING."""
    return TradeItem(
        PK=run_pk(message.run_id),
        SK=trade_sk(message.trade_id),
        TTL=_expiry(created_at),
        trade_id=message.trade_id,
        symbol=message.symbol,
        action=message.action,
        phase=message.phase,
        sequence_number=message.sequence_number,
        trade_amount=message.trade_amount,
        status=LegacyTradeStatus.PENDING if message.phase is first else LegacyTradeStatus.WAITING,
        message_body=message.model_dump_json(),
    )


def queue_record(message: TradeMessage) -> QueueRecord:
    """Address a trade message for the queue."""
    return QueueRecord(message.model_dump_json(), message.run_id, message.trade_id, message.symbol, message.phase)


def _expiry(created_at: datetime) -> int:
    return int((created_at + timedelta(hours=TTL_HOURS)).timestamp())
