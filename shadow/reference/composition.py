"""Business Unit: legacy | Status: current.

The one place where the reference lane is put together: environment, clients, broker, and around them the interlocks and the dry
run of a lane that shadows a workflow in production.

The legacy lane as the shadow of a workflow in production: the interlocks that keep it away from what is production's (account,
bus, trade ledger, and plans that were published while it was in production itself), and its dry run. Nothing here is part of the
lane; it is put around it by the composition.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from functools import cache
from typing import Protocol

from shadow.aws import clients
from shadow.aws.broker import BrokerSettings, Connect, connect_broker
from shadow.aws.clients import Environment
from shadow.broker.port import AlpacaCredentials, Broker, Order, OrderRejected, OrderRequest
from shadow.broker.recording import RecordingBroker
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.model import Exact, NonNegative
from shadow.contracts.plan import RebalancePlan, TradeMessage
from shadow.contracts.vocabulary import ExecutionMode, Lane
from shadow.execution.ports import InterlockViolation
from shadow.reference.execution import SHARE_STEP, Pace
from shadow.reference.lane import LaneParts
from shadow.reference.publishing import LegacyPublisher, NothingToExecute, Published
from shadow.reference.tables import (
    DynamoPlanTable,
    DynamoRunsStore,
    DynamoTradeLedger,
    EventBridgeBus,
    FunctionNotes,
    SqsTradeQueue,
)


class ControlBrokerEnvironment(Environment):
    """How to reach the legacy lane's own account.

    The rest counts only while the workflow is in production: `legacy_shadow_mode` is dry_run or paper, and
    `control_account_fingerprint` that of the account in production, which this lane must not have then.
    """

    control_broker_secret_id: str
    control_broker_endpoint: str = ""
    broker_data_endpoint: str = ""
    production_lane: Lane = Lane.LEGACY
    legacy_shadow_mode: ExecutionMode = ExecutionMode.DRY_RUN
    control_account_fingerprint: str = ""

    @property
    def shadows(self) -> bool:
        """Whether this lane is the shadow."""
        return self.production_lane is Lane.WORKFLOW

    @property
    def in_dry_run(self) -> bool:
        """Whether this lane is the shadow, and records its orders instead of sending them."""
        return self.shadows and self.legacy_shadow_mode is ExecutionMode.DRY_RUN


class EffectsEnvironment(ControlBrokerEnvironment):
    """Where the lane's effects go, and, while it shadows, what production's places are called."""

    trade_ledger_table_name: str
    event_bus_name: str
    production_event_bus_name: str = ""
    production_trade_ledger_table_name: str = ""


class RecordProcessor(Protocol):
    """What executes one record."""

    def process(self, message: TradeMessage) -> None:
        """Execute one record; returning acknowledges it."""


class PlanPublisher(Protocol):
    """What publishes one plan to the legacy lane."""

    def publish(self, rebalance_plan: RebalancePlan) -> Published | NothingToExecute:
        """Publish one plan."""


def shadow_broker(environment: ControlBrokerEnvironment, connect: Connect) -> Broker:
    """Connect to the account of a lane that shadows.

    Raises InterlockViolation for any mode but dry run and paper, for an endpoint that is not a paper one, and for the account in
    production. In dry run the account is there to be looked at: `DryRunLane` puts a `RecordingBroker` before it.
    """
    mode = environment.legacy_shadow_mode
    if mode is ExecutionMode.LIVE:
        raise InterlockViolation("LEGACY_SHADOW_MODE: expected dry_run or paper while the workflow is in production, was live")
    settings = BrokerSettings(
        mode,
        dual_publishing=True,
        secret_id=environment.control_broker_secret_id,
        endpoint=environment.control_broker_endpoint,
        data_endpoint=environment.broker_data_endpoint,
        control_account_fingerprint=environment.control_account_fingerprint,
        production_lane=environment.production_lane,
    )
    return connect_broker(settings, clients.secretsmanager(), connect)


def refuse_productions_places(environment: EffectsEnvironment) -> None:
    """Raise InterlockViolation when a lane that shadows would emit on production's bus or write production's trade ledger."""
    if not environment.shadows:
        return
    places = {
        "EVENT_BUS_NAME": (environment.event_bus_name, environment.production_event_bus_name),
        "TRADE_LEDGER_TABLE_NAME": (environment.trade_ledger_table_name, environment.production_trade_ledger_table_name),
    }
    for name, (own, productions) in places.items():
        if not productions:
            raise InterlockViolation(f"PRODUCTION_{name}: expected production's while the legacy lane shadows, was nothing")
        if own == productions:
            raise InterlockViolation(f"{name}: expected one of the shadow's own, was production's {productions}")


def refuse_other_role(environment: ControlBrokerEnvironment, published_under: str | None, message: TradeMessage) -> None:
    """Raise InterlockViolation for a record that was published while this lane had the other role.

    Such a record is left over from before a cut-over or a roll back: executed now, a plan would be traded twice, or half of it
    in the wrong account. It ends in the dead-letter queue. A message that says nothing was published as production's.
    """
    published = published_under or Lane.LEGACY.value
    if published != environment.production_lane.value:
        raise InterlockViolation(
            f"trade {message.trade_id} of run {message.run_id}: expected a plan published with {environment.production_lane} "
            f"in production, was {published}"
        )


class DryRunPublisher:
    """Publishes each plan with its own value for the equity: in a dry run there is no account to ask."""

    def __init__(self, publisher: LegacyPublisher, finished: Callable[[LegacyPublisher], PlanPublisher]) -> None:
        """Publish through what `finished` makes of `publisher`."""
        self._publisher = publisher
        self._finished = finished

    def publish(self, rebalance_plan: RebalancePlan) -> Published | NothingToExecute:
        """Publish one plan."""
        publisher = replace(self._publisher, equity=lambda: rebalance_plan.total_portfolio_value)
        return self._finished(publisher).publish(rebalance_plan)


class DryRunLane:
    """Executes each record at a `RecordingBroker`, which looks at the market and sends nothing."""

    def __init__(self, parts: LaneParts, processor: Callable[[LaneParts], RecordProcessor]) -> None:
        """Work with `parts`, of whose broker only the market is seen; `processor` makes a lane of parts."""
        self._parts = parts
        self._processor = processor

    def process(self, message: TradeMessage) -> None:
        """Execute one record; returning acknowledges it."""
        self._processor(replace(self._parts, broker=PlannedHoldings(self._parts.broker, message))).process(message)


class PlannedHoldings(RecordingBroker):
    """A dry run's account, as the plan has it: its value is the equity, and of the trade's symbol it holds the current value."""

    def __init__(self, market: Broker, message: TradeMessage) -> None:
        """Look at `market`; answer for the account that `message` was planned for."""
        super().__init__(market, equity=message.total_portfolio_value)
        self._message = message

    def position(self, symbol: str) -> Decimal:
        """Give the current value at the mid quote, in shares; zero for another symbol. Raises what reading a quote raises."""
        if symbol != self._message.symbol:
            return Decimal(0)
        return (self._message.current_value / self.quote(symbol).mid).quantize(SHARE_STEP, rounding=ROUND_DOWN)

    def submit(self, request: OrderRequest) -> Order:
        """Record an order. Raises OrderRejected for what does not trade, as a broker does: the lane itself does not ask."""
        if not self.asset(request.symbol).tradable:
            raise OrderRejected(f"{request.symbol}: not tradable")
        return super().submit(request)


class LegacyExecutionEnvironment(EffectsEnvironment):
    """What the execution half needs. Paces are seconds."""

    execution_runs_table_name: str
    execution_queue_url: str
    walk_step_seconds: NonNegative = Decimal(10)
    walk_market_seconds: NonNegative = Decimal(30)
    sell_attempt_pause_seconds: NonNegative = Decimal(5)
    walk_poll_seconds: NonNegative = Decimal(1)


class LegacyPublisherEnvironment(ControlBrokerEnvironment):
    """What the publishing half needs. `equity_deployment_pct` is a fraction: 1.0 is all of the account's equity."""

    execution_runs_table_name: str
    execution_queue_url: str
    rebalance_plan_table_name: str
    equity_deployment_pct: Exact = Decimal("1.0")


def lane_from(
    environment: LegacyExecutionEnvironment, processor: Callable[[LaneParts], RecordProcessor] = LaneParts.assemble
) -> RecordProcessor:
    """Put the execution half together; `processor` makes a lane of its parts.

    Raises InterlockViolation where it shadows and could touch what is production's.
    """
    refuse_productions_places(environment)
    parts = LaneParts(
        store=DynamoRunsStore(clients.dynamodb(), environment.execution_runs_table_name),
        queue=SqsTradeQueue(clients.sqs(), environment.execution_queue_url, environment.production_lane),
        bus=EventBridgeBus(clients.events(), environment.event_bus_name),
        ledger=DynamoTradeLedger(clients.dynamodb(), environment.trade_ledger_table_name),
        broker=control_broker(environment),
        notes=FunctionNotes(),
        pace=Pace(
            walk_step=environment.walk_step_seconds,
            market=environment.walk_market_seconds,
            sell_attempt_pause=environment.sell_attempt_pause_seconds,
            poll=environment.walk_poll_seconds,
        ),
        sleep=time.sleep,
        now=utc_now,
    )
    return DryRunLane(parts, processor) if environment.in_dry_run else processor(parts)


def _as_it_is(publisher: LegacyPublisher) -> PlanPublisher:
    return publisher


def publisher_from(
    environment: LegacyPublisherEnvironment, finished: Callable[[LegacyPublisher], PlanPublisher] = _as_it_is
) -> PlanPublisher:
    """Put the publishing half together, and give what `finished` makes of it.

    The account's equity is read from the control's broker, once a plan. As the shadow in dry run it takes the plan's value
    for it: there is no account to ask.
    """
    publisher = LegacyPublisher(
        store=DynamoRunsStore(clients.dynamodb(), environment.execution_runs_table_name),
        queue=SqsTradeQueue(clients.sqs(), environment.execution_queue_url, environment.production_lane),
        plans=DynamoPlanTable(clients.dynamodb(), environment.rebalance_plan_table_name),
        equity=lambda: control_broker(environment).account().equity,
        deployment_fraction=environment.equity_deployment_pct,
        now=utc_now,
    )
    return DryRunPublisher(publisher, finished) if environment.in_dry_run else finished(publisher)


@cache
def control_broker(environment: ControlBrokerEnvironment) -> Broker:
    """Connect to the control's account with the key and secret that Secrets Manager keeps.

    Raises InterlockViolation where the lane shadows and this is the account in production.
    """
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - heavy: only a function that trades pays for it

    if environment.shadows:
        return shadow_broker(environment, AlpacaBroker.connect)
    answer = clients.secretsmanager().get_secret_value(SecretId=environment.control_broker_secret_id)
    key, secret = _key_and_secret(answer.get("SecretString", ""))
    return AlpacaBroker.connect(
        AlpacaCredentials(
            key=key,
            secret=secret,
            endpoint=environment.control_broker_endpoint,
            data_endpoint=environment.broker_data_endpoint,
        )
    )


def _key_and_secret(text: str) -> tuple[str, str]:
    """Read `{"key", "secret"}`. Raises ConfigurationError that shows nothing of what was there."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    key, secret = (found.get("key"), found.get("secret")) if isinstance(found, dict) else (None, None)
    if not isinstance(key, str) or not isinstance(secret, str):
        raise ConfigurationError("control broker secret: expected JSON with the texts key and secret, was something else")
    return key, secret


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)
