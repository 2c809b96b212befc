"""Business Unit: shared contracts | Status: current.

The candidate's wire: what goes into the state machine, between its states, and out of its functions. camelCase, money and
quantities as decimal strings. Everything a later state reads is always present (null where there is nothing to say),
because a state that reads an absent path fails its run.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field

from shadow.contracts.identity import run_id_of_execution
from shadow.contracts.model import (
    Exact,
    Fraction,
    Identifier,
    JsonObject,
    Moment,
    NonNegative,
    NonNegativeTotal,
    Symbol,
    Total,
    Wire,
)
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Lane, Reason, Side, SizingBasis, TradeStatus


def _null_to_empty(value: object) -> object:
    return () if value is None else value


class WorkflowTrade(Wire):
    """One trade as the workflow carries it: the trade message's facts and nothing a state does not need.

    `current_position` is the quantity held in the control's account, in shares, where the publisher knows it.
    """

    run_id: Identifier
    trade_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    causation_id: Identifier
    symbol: Symbol
    action: Side
    trade_amount: Exact
    target_value: NonNegative
    current_value: NonNegative
    target_weight: Fraction
    priority: int
    sequence_number: int
    is_complete_exit: bool
    strategy_id: str | None = None
    quantity: Exact | None = None
    current_position: Exact | None = None

    @classmethod
    def from_message(cls, message: TradeMessage, held: Exact | None = None) -> WorkflowTrade:
        """Take over a trade message; `held` is the control account's position in shares, where known."""
        values = message.model_dump(include=set(cls.model_fields))
        return cls.model_validate(values | {"current_position": held if held is not None else message.current_position})


class WorkflowPlan(Wire):
    """The plan inside the workflow's input: its trades inline, or (large plans) none, with a claim check instead."""

    trade_messages: tuple[WorkflowTrade, ...]
    total_portfolio_value: NonNegative


MAX_INLINE_TRADES = 100
MAX_INLINE_BYTES = 200_000


class ClaimCheck(Wire):
    """Where a plan too large for a state payload was put.

    The object is a `WorkflowPlan` with its trades, as canonical JSON; `sha256` is of its bytes. A plan travels so above
    `MAX_INLINE_TRADES` trades (results grow a state payload by more than its trades do) or when its input would pass
    `MAX_INLINE_BYTES` (Step Functions takes 262,144).
    """

    bucket: str
    key: str
    sha256: str
    trade_count: int


class WorkflowInput(Wire):
    """What starts an execution.

    `production_lane` was in production when the plan was published: a run is executed live when that is the workflow, and
    never else, however late or again it is started.
    """

    rebalance_plan: WorkflowPlan
    correlation_id: Identifier
    run_id: Identifier
    plan_id: Identifier
    failure_threshold_usd: NonNegative | None = None
    claim_check: ClaimCheck | None = None
    origin: str = "live"
    production_lane: Lane = Lane.LEGACY


class PreparedRun(Wire):
    """What prepare_trades answers. `equity_limit` is USD, read once a run; 0 means the breaker is off.

    The results start empty, so that a phase without trades leaves nothing absent. A large plan's trades are not here but, by
    phase, in `bucket` under `sell_key` and `buy_key`.
    """

    sell_trades: tuple[WorkflowTrade, ...]
    buy_trades: tuple[WorkflowTrade, ...]
    sell_count: int
    buy_count: int
    total_trades: int = 0
    sell_results: tuple[TradeResult, ...] = ()
    buy_results: tuple[TradeResult, ...] = ()
    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    failure_threshold_usd: NonNegative | None = None
    equity_limit: NonNegativeTotal
    execution_mode: str
    is_large: bool = False
    bucket: str = ""
    sell_key: str = ""
    buy_key: str = ""


class GuardInput(Wire):
    """What evaluate_sell_guard is asked: the sell phase's results, and the threshold in USD (the run's own, else the default).

    Of a large plan the results are in the state table, and the trades in `bucket` under `sell_key`.
    """

    sell_results: Annotated[tuple[TradeResult, ...], BeforeValidator(_null_to_empty)]
    failure_threshold_usd: NonNegative | None = None
    default_failure_threshold_usd: NonNegative
    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    is_large: bool = False
    bucket: str = ""
    sell_key: str = ""


class GuardResult(Wire):
    """What evaluate_sell_guard answers. Amounts are sums of planned absolute USD; `failures` are the first failed sells."""

    buy_phase_allowed: bool
    sell_failed_amount: NonNegativeTotal
    sell_succeeded_amount: NonNegativeTotal
    sell_failed_count: int
    failure_threshold_usd: NonNegative
    reason: str | None = None
    failures: tuple[str, ...] = ()


class EquityCheck(Wire):
    """What check_equity_limit answers. `cumulative` counts this trade when it was allowed. USD."""

    allowed: bool
    cumulative: NonNegativeTotal
    limit: NonNegativeTotal
    headroom: Total
    reason: str | None = None


class OrderTrace(Wire):
    """One order that a trade sent (or, in dry run, would have sent)."""

    client_order_id: str
    order_id: str | None = None
    order_type: str
    quantity: Exact
    limit_price: Exact | None = None
    status: str
    filled_quantity: Exact
    average_price: Exact | None = None


class TradeResult(Wire):
    """What execute_trade_sfn answers: the contract's fields, and the intent and reasons a comparison needs.

    `quantity` is filled shares, `average_price` USD a share, `total_value` their product; `planned_amount` is the signed
    planned USD; `asked_quantity` the shares decided on; bid, ask and `decision_price` (their mid) the quote of `quote_at`.
    """

    run_id: Identifier
    trade_id: Identifier
    symbol: Symbol
    action: Side
    status: TradeStatus
    quantity: NonNegative | None = None
    average_price: Exact | None = None
    total_value: NonNegativeTotal | None = None
    order_id: str | None = None
    error_message: str | None = None
    planned_amount: Exact
    reason: Reason | None = None
    asked_quantity: NonNegative | None = None
    sizing_basis: SizingBasis | None = None
    bid: Exact | None = None
    ask: Exact | None = None
    decision_price: Exact | None = None
    quote_at: Moment | None = None
    market_at: Moment | None = None
    order_type: str | None = None
    attempts: int = 0
    orders: tuple[OrderTrace, ...] = ()
    equity_check: EquityCheck | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    filled_at: Moment | None = None


class AggregateInput(Wire):
    """What aggregate_results is asked. Of a large plan the results are in the state table, and the trades in `bucket`."""

    sell_results: Annotated[tuple[TradeResult, ...], BeforeValidator(_null_to_empty)]
    buy_results: Annotated[tuple[TradeResult, ...], BeforeValidator(_null_to_empty)]
    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    total_trades: Annotated[int, Field(ge=0)]
    is_large: bool = False
    bucket: str = ""
    sell_key: str = ""
    buy_key: str = ""


class RunSummary(Wire):
    """What aggregate_results answers. `total_value` is executed USD, buys and sells together.

    `equity_blocked_trades` are within `failed_trades`, as the control counts them.
    """

    total_trades: int
    succeeded_trades: int
    failed_trades: int
    skipped_trades: int
    unknown_trades: int
    equity_blocked_trades: int
    sell_count: int
    buy_count: int
    total_value: NonNegativeTotal
    total_buy_value: NonNegativeTotal
    total_sell_value: NonNegativeTotal
    outcome: str
    summary: str
    failures: tuple[str, ...] = ()
    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier


class NotificationReceipt(Wire):
    """What notify_* answer."""

    status: str
    message_id: str | None = None


PreparedRun.model_rebuild()
GuardInput.model_rebuild()
AggregateInput.model_rebuild()


UNNAMED = "unknown"


class TradeRequest(Wire):
    """One trade to execute; or, with `reconcile`, to find out about after its execution failed with `error`."""

    trade: WorkflowTrade
    reconcile: bool = False
    error: str = ""
    equity_check: EquityCheck | None = None

    @classmethod
    def of(cls, event: object) -> Self:
        """Read the workflow's item: the trade itself to execute it, or wrapped to reconcile. Raises InvalidPayload."""
        wrapped = event if isinstance(event, Mapping) and "trade" in event else {"trade": event}
        trade = wrapped["trade"]
        check = trade.get("equityCheck") if isinstance(trade, Mapping) else None
        return cls.parse({**wrapped, "equityCheck": check})


class CloseRequest(Wire):
    """One run to close: of whose orders none may be left working."""

    close_run: Literal[True]
    run_id: Identifier


class ClosedRun(Wire):
    """What closing a run answers, one line an order: `closed` are final now; nobody knows what became of the `unknown` ones."""

    run_id: Identifier
    closed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class FailureType(StrEnum):
    """Why a run did not complete."""

    BUY_PHASE_BLOCKED = "BUY_PHASE_BLOCKED"
    EQUITY_LIMIT_REACHED = "EQUITY_LIMIT_REACHED"
    WORKFLOW_FAILED = "WORKFLOW_FAILED"


class _Notice(Wire):
    """What both notices carry. `state` is the workflow's state when it gave notice."""

    state: JsonObject
    execution_id: str = ""
    execution_name: str = ""

    def named(self, field: str) -> str:
        """Give an id out of the state, or UNNAMED."""
        value = self.state.get(field)
        return value if isinstance(value, str) and value else UNNAMED

    @property
    def run_id(self) -> str:
        """The run's id: the state's, else the one in the execution's name."""
        named = self.named("runId")
        return named if named != UNNAMED else run_id_of_execution(self.execution_name) or UNNAMED


class CompletionNotice(_Notice):
    """What notify_completion is asked; its state is the run's summary."""

    @property
    def summary(self) -> RunSummary:
        """The run's summary; raises InvalidPayload."""
        return RunSummary.parse(self.state)


class FailureNotice(_Notice):
    """What notify_failure is asked."""

    failure_type: FailureType
