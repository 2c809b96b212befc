"""Business Unit: legacy | Status: current.

The one place where the reference lane is put together: environment, clients, broker. Planted faults are wrapped around the
finished parts here, and only where `PLANTED_FAULTS` is set; nothing that the control does knows of them.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Protocol

from shadow.aws import clients
from shadow.aws.environment import Environment
from shadow.broker.credentials import AlpacaCredentials
from shadow.broker.port import Broker
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.model import Exact, NonNegative
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.trade_message import TradeMessage
from shadow.legacy.channels import DynamoPlanTable, DynamoTradeLedger, EventBridgeBus, FunctionNotes, SqsTradeQueue
from shadow.legacy.execution import Pace
from shadow.legacy.parts import LaneParts
from shadow.legacy.publishing import LegacyPublisher, NothingToExecute, Published
from shadow.legacy.runs_store import DynamoRunsStore


class ControlBrokerEnvironment(Environment):
    """How to reach the control's own account."""

    control_broker_secret_id: str
    control_broker_endpoint: str = ""
    broker_data_endpoint: str = ""


class LegacyExecutionEnvironment(ControlBrokerEnvironment):
    """What the execution half needs. Paces are seconds."""

    execution_runs_table_name: str
    execution_queue_url: str
    trade_ledger_table_name: str
    event_bus_name: str
    walk_step_seconds: NonNegative = Decimal(10)
    walk_market_seconds: NonNegative = Decimal(30)
    sell_attempt_pause_seconds: NonNegative = Decimal(5)
    walk_poll_seconds: NonNegative = Decimal(1)
    planted_faults: str = ""


class LegacyPublisherEnvironment(ControlBrokerEnvironment):
    """What the publishing half needs. `equity_deployment_pct` is a fraction: 1.0 is all of the account's equity."""

    execution_runs_table_name: str
    execution_queue_url: str
    rebalance_plan_table_name: str
    equity_deployment_pct: Exact = Decimal("1.0")
    planted_faults: str = ""


class RecordProcessor(Protocol):
    """What executes one record."""

    def process(self, message: TradeMessage) -> None:
        """Execute one record; returning acknowledges it."""
        ...


class PlanPublisher(Protocol):
    """What publishes one plan to the control."""

    def publish(self, plan: RebalancePlan) -> Published | NothingToExecute:
        """Publish one plan."""
        ...


def lane_from(environment: LegacyExecutionEnvironment) -> RecordProcessor:
    """Put the execution half together."""
    parts = LaneParts(
        store=DynamoRunsStore(clients.dynamodb(), environment.execution_runs_table_name),
        queue=SqsTradeQueue(clients.sqs(), environment.execution_queue_url),
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
    if not environment.planted_faults:
        return parts.assemble()
    from shadow.legacy.faults import PlantedFaults  # noqa: PLC0415
    from shadow.legacy.faulty_lane import FaultyLane  # noqa: PLC0415 - never imported where no fault is planted

    return FaultyLane(parts, PlantedFaults.load(environment.planted_faults, environment.stage))


def publisher_from(environment: LegacyPublisherEnvironment) -> PlanPublisher:
    """Put the publishing half together. The account's equity is read from the control's broker, once a plan."""
    publisher = LegacyPublisher(
        store=DynamoRunsStore(clients.dynamodb(), environment.execution_runs_table_name),
        queue=SqsTradeQueue(clients.sqs(), environment.execution_queue_url),
        plans=DynamoPlanTable(clients.dynamodb(), environment.rebalance_plan_table_name),
        equity=lambda: control_broker(environment).account().equity,
        deployment_fraction=environment.equity_deployment_pct,
        now=utc_now,
    )
    if not environment.planted_faults:
        return publisher
    from shadow.legacy.faults import PlantedFaults  # noqa: PLC0415 - never imported where no fault is planted
    from shadow.legacy.faulty_publisher import FaultyPublisher  # noqa: PLC0415

    return FaultyPublisher(publisher, PlantedFaults.load(environment.planted_faults, environment.stage))


@cache
def control_broker(environment: ControlBrokerEnvironment) -> Broker:
    """Connect to the control's account with the key and secret that Secrets Manager keeps."""
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - heavy: only a function that trades pays for it

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
