"""Business Unit: AWS adapters | Status: current.

The candidate's composition root: from a function's environment to the ports its use case needs. Each handler takes the parts
it uses and keeps them for the life of its process.

Where downstream effects go. While the lane is a candidate each is recorded as intended and nothing leaves: a second
TradeExecuted would wake production. In live mode it is recorded, emitted, and marked; a crash in between emits it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from shadow.aws import clients
from shadow.aws.broker import BrokerSettings, Connect, connect_broker, refuse_unsafe
from shadow.aws.candidate_state import DynamoCandidateState, DynamoRequestBudget, DynamoResultLog, RunModes
from shadow.aws.clients import Environment, transient_as
from shadow.aws.notifier import SnsNotifier
from shadow.aws.objects import S3PlanStore
from shadow.aws.table import to_item
from shadow.broker.pacing import PacedBroker, RequestLimits
from shadow.broker.port import AlpacaCredentials, Broker
from shadow.broker.recording import RecordingBroker
from shadow.contracts.candidate_state import EffectRecord, candidate_pk, effect_sk
from shadow.contracts.control_records import SOURCE_OF, DetailType, LedgerEntry
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.identity import is_replay
from shadow.contracts.model import Exact, Fraction, NonNegative, iso
from shadow.contracts.vocabulary import ExecutionMode, Lane
from shadow.contracts.workflow import MAX_INLINE_TRADES, ClosedRun, WorkflowInput, WorkflowTrade
from shadow.execution.phases import RunSettings, mode_of
from shadow.execution.placement import RunCloser
from shadow.execution.ports import Clock, PlannedEffect, StateUnavailable, SystemClock
from shadow.execution.trade import TradeExecutor, TradeSettings
from shadow.execution.walk import FRACTIONS, WalkPolicy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient


class ProductionEmitter:
    """The way out into production: the control's event bus and trade ledger, as the control itself writes to them."""

    def __init__(self, events: EventBridgeClient, bus: str, dynamodb: DynamoDBClient, ledger_table: str) -> None:
        """Emit on `bus`, enter rows in `ledger_table` (empty where the function makes none)."""
        self._events = events
        self._bus = bus
        self._dynamodb = dynamodb
        self._table = ledger_table

    def emit(self, effect: PlannedEffect) -> None:
        """Send `effect` out: a ledger row into the table, an event onto the bus."""
        with transient_as():
            if isinstance(effect.detail, LedgerEntry):
                self._enter(effect.detail)
            else:
                self._put(effect)

    def _enter(self, entry: LedgerEntry) -> None:
        if not self._table:
            raise ConfigurationError("TRADE_LEDGER_TABLE_NAME: expected a value in live mode, was nothing")
        values = entry.model_dump() | {
            "PK": f"TRADE#{entry.order_id}",
            "SK": "METADATA",
            "GSI1PK": f"CORR#{entry.correlation_id}",
            "GSI1SK": f"TRADE#{entry.order_id}",
            "direction": entry.direction.value,
            "timestamp": iso(entry.timestamp),
        }
        self._dynamodb.put_item(TableName=self._table, Item=to_item(values))

    def _put(self, effect: PlannedEffect) -> None:
        kind = DetailType(effect.kind.value)
        answer = self._events.put_events(
            Entries=[
                {
                    "EventBusName": self._bus,
                    "Source": SOURCE_OF[kind].value,
                    "DetailType": kind.value,
                    "Detail": effect.detail.model_dump_json(),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise StateUnavailable(f"{kind}: expected the bus to accept it, was {answer['Entries'][0].get('ErrorCode')}")


class RecordedEffects:
    """Every effect in the candidate's state table, and out through an emitter where there is one."""

    def __init__(self, state: DynamoCandidateState, emitter: ProductionEmitter | None = None) -> None:
        """Record in `state`; emit only with an `emitter` (live mode)."""
        self._state = state
        self._emitter = emitter

    def apply(self, effect: PlannedEffect, plan_id: str) -> None:
        """Record `effect` of a run of `plan_id` once and, in live mode, emit it unless that was done or the plan is a replay."""
        kept = self._state.keep_effect(
            EffectRecord(
                PK=candidate_pk(effect.run_id),
                SK=effect_sk(effect.kind, effect.trade_id, effect.part),
                run_id=effect.run_id,
                kind=effect.kind,
                trade_id=effect.trade_id,
                emitted=False,
                detail=json.dumps(effect.detail.to_wire(), sort_keys=True, separators=(",", ":")),
                at=effect.at,
            )
        )
        if self._emitter is not None and not kept.emitted and not is_replay(plan_id):
            self._emitter.emit(effect)
            self._state.mark_emitted(kept)


PREPARE_PATIENCE = 40
"""For how many seconds prepare_trades waits for a place in the request budget: its function has 55."""


def _split(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


class ModeEnvironment(Environment):
    """What every function of the candidate knows."""

    execution_mode: ExecutionMode = ExecutionMode.DRY_RUN
    dual_publishing: bool = True
    production_lane: Lane = Lane.LEGACY


class StateEnvironment(ModeEnvironment):
    """Where state and effects go. Bus and ledger table are used in live mode only, the bucket for large plans only."""

    candidate_state_table_name: str
    evidence_bucket_name: str = ""
    event_bus_name: str = ""
    trade_ledger_table_name: str = ""

    def results(self) -> DynamoResultLog:
        """Give what the trades came to."""
        return DynamoResultLog(clients.dynamodb(), self.candidate_state_table_name)

    def plans(self) -> S3PlanStore:
        """Give the store of large plans."""
        return S3PlanStore(clients.s3(), self.evidence_bucket_name)

    def state(self) -> DynamoCandidateState:
        """Give the state table."""
        return DynamoCandidateState(clients.dynamodb(), self.candidate_state_table_name)

    def effects(self) -> RecordedEffects:
        """Give the effects' way: recorded only, unless the mode is live; raises ConfigurationError, InterlockViolation."""
        if self.execution_mode is not ExecutionMode.LIVE:
            return RecordedEffects(self.state())
        refuse_unsafe(BrokerSettings(self.execution_mode, self.dual_publishing, "", "", "", "", self.production_lane))
        if not self.event_bus_name:
            raise ConfigurationError("EVENT_BUS_NAME: expected a value in live mode, was nothing")
        emitter = ProductionEmitter(clients.events(), self.event_bus_name, clients.dynamodb(), self.trade_ledger_table_name)
        return RecordedEffects(self.state(), emitter)


class BrokerEnvironment(StateEnvironment):
    """How to reach the candidate's own account. Empty endpoints are the paper account's."""

    broker_secret_id: str
    broker_endpoint: str = ""
    broker_data_endpoint: str = ""
    control_account_fingerprint: str = ""
    broker_requests_per_minute: int = 150

    def limits(self) -> RequestLimits:
        """Say how many requests of the account are this system's; raises ConfigurationError."""
        try:
            return RequestLimits(per_minute=self.broker_requests_per_minute)
        except ValueError as error:
            raise ConfigurationError(f"BROKER_REQUESTS_PER_MINUTE: {error}") from None

    def connect(self, connect: Connect, limits: RequestLimits, clock: Clock | None = None) -> PacedBroker:
        """Connect within the account's request budget, behind the interlocks; raises InterlockViolation."""
        budget = DynamoRequestBudget(clients.dynamodb(), self.candidate_state_table_name)
        time = clock or SystemClock()
        paced: list[PacedBroker] = []

        def connect_paced(credentials: AlpacaCredentials) -> PacedBroker:
            paced.append(PacedBroker(connect(credentials), budget, limits, now=time.now, sleep=time.sleep))
            return paced[-1]

        settings = BrokerSettings(
            self.execution_mode,
            self.dual_publishing,
            self.broker_secret_id,
            self.broker_endpoint,
            self.broker_data_endpoint,
            self.control_account_fingerprint,
            self.production_lane,
        )
        connect_broker(settings, clients.secretsmanager(), connect_paced)
        return paced[-1]


class PrepareEnvironment(BrokerEnvironment):
    """What prepare_trades needs. `equity_deployment_pct` is a fraction: 1.0 is all of the equity, 0 switches the breaker off."""

    equity_deployment_pct: NonNegative = Decimal("1.0")
    inline_trade_limit: int = MAX_INLINE_TRADES

    def limits(self) -> RequestLimits:
        """Say how many requests there are, and wait for a place no longer than the function lives."""
        return replace(super().limits(), patience=PREPARE_PATIENCE)

    def run_settings(self, broker: Callable[[], PacedBroker]) -> RunSettings:
        """Say how runs are opened: on the plan's portfolio value in dry run, else on the own account's equity (USD)."""

        def equity(request: WorkflowInput) -> Decimal:
            if mode_of(request, self.execution_mode) is ExecutionMode.DRY_RUN:
                return request.rebalance_plan.total_portfolio_value
            asked = broker()
            asked.begin()
            return asked.account().equity

        return RunSettings(self.execution_mode, self.equity_deployment_pct, equity)


class ExecuteEnvironment(BrokerEnvironment):
    """What execute_trade_sfn needs.

    Paces and ages are seconds, widths basis points, fractions of the way from the passive to the aggressive side.
    """

    walk_fractions: Annotated[tuple[Fraction, ...], BeforeValidator(_split)] = FRACTIONS
    walk_step_seconds: NonNegative = Decimal(10)
    walk_market_seconds: NonNegative = Decimal(30)
    sell_attempt_pause_seconds: NonNegative = Decimal(5)
    walk_poll_seconds: Exact = Decimal(1)
    quote_max_age_seconds: NonNegative = Decimal(900)
    quote_max_width_bps: NonNegative = Decimal(1000)

    def policy(self) -> WalkPolicy:
        """Say how the book is walked; raises ConfigurationError."""
        if self.walk_poll_seconds <= 0:
            raise ConfigurationError(f"WALK_POLL_SECONDS: expected seconds above 0, was {self.walk_poll_seconds}")
        return WalkPolicy(
            fractions=self.walk_fractions,
            limit_seconds=float(self.walk_step_seconds),
            market_seconds=float(self.walk_market_seconds),
            poll_seconds=float(self.walk_poll_seconds),
            pause_seconds=float(self.sell_attempt_pause_seconds),
            quote_seconds=float(self.quote_max_age_seconds),
            quote_width_bps=self.quote_max_width_bps,
        )


class CompletionEnvironment(ModeEnvironment):
    """What notify_completion needs."""

    sns_notification_topic_arn: str

    def notifier(self) -> SnsNotifier:
        """Give the notification topic."""
        return SnsNotifier(clients.sns(), self.sns_notification_topic_arn)


class NotifyEnvironment(CompletionEnvironment, StateEnvironment):
    """What notify_failure needs."""


@dataclass(frozen=True, slots=True)
class TradeDesk:
    """Executes trades at the one broker that was connected when the process started; `begin` starts the time of each call."""

    environment: ExecuteEnvironment
    broker: Broker
    state: DynamoCandidateState
    modes: RunModes
    clock: Clock
    begin: Callable[[], None] = lambda: None

    @classmethod
    def open(cls, environment: ExecuteEnvironment, connect: Connect, clock: Clock | None = None) -> TradeDesk:
        """Connect, behind the interlocks; raises InterlockViolation."""
        modes = RunModes(clients.dynamodb(), environment.candidate_state_table_name)
        time = clock or SystemClock()
        broker = environment.connect(connect, environment.limits(), time)
        return cls(environment, broker, environment.state(), modes, time, broker.begin)

    def executor(self, run_id: str) -> TradeExecutor:
        """Give the executor for one trade of a run. In dry run it cannot reach an order endpoint: it holds a recording broker.

        Raises InterlockViolation for a run that was opened in another mode (its mode was changed while it ran, or it is
        redriven after the change), and RunNotPrepared.
        """
        self.begin()
        mode = self.modes.mode_of(run_id, self.environment.execution_mode)
        dry_run = mode is ExecutionMode.DRY_RUN
        return TradeExecutor(
            broker=RecordingBroker(self.broker, equity=Decimal(0)) if dry_run else self.broker,
            log=self.state,
            ledger=self.state,
            clock=self.clock,
            settings=TradeSettings(mode, self.environment.policy(), _planned_holding if dry_run else self._held),
        )

    def close(self, run_id: str) -> ClosedRun:
        """Leave no order of a run working; a dry run has none. Raises as `RunCloser.close`, and as `executor` does."""
        self.begin()
        self.modes.mode_of(run_id, self.environment.execution_mode)
        return RunCloser(self.broker, self.state, self.clock, self.environment.policy()).close(run_id)

    def _held(self, trade: WorkflowTrade) -> Decimal:
        return self.broker.position(trade.symbol)


def _planned_holding(trade: WorkflowTrade) -> Decimal | None:
    """Give what the publisher knows of the control's position, in shares: a dry run has none of its own."""
    return trade.current_position
