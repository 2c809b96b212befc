"""Business Unit: legacy | Status: current.

The control's publishing half: the plan's item, the run item, one item a trade, then the messages. Nothing here is
transactional, as the contract has it: a crash leaves whatever was written. The run's id and every trade's are minted anew with
each publication, so publishing a plan again makes another run of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from shadow.contracts.errors import ConfigurationError
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.runs_table import (
    METADATA_SK,
    TTL_HOURS,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeItem,
    run_pk,
    trade_sk,
)
from shadow.contracts.trade_message import TradeMessage, trade_messages
from shadow.contracts.vocabulary import Side
from shadow.reference.ports import ZERO, PlanTable, QueueRecord, RunsStore, TradeQueue

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
