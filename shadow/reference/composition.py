"""Business Unit: legacy | Status: current.

The one place where the reference lane is put together: environment, clients, broker, and around them the interlocks and the dry
run of a lane that shadows a workflow in production (`shadow.reference.shadowing`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from shadow.aws import clients
from shadow.broker.credentials import AlpacaCredentials
from shadow.broker.port import Broker
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.model import Exact, NonNegative
from shadow.reference.execution import Pace
from shadow.reference.lane import LaneParts
from shadow.reference.publishing import LegacyPublisher
from shadow.reference.shadowing import (
    ControlBrokerEnvironment,
    DryRunLane,
    DryRunPublisher,
    EffectsEnvironment,
    PlanPublisher,
    RecordProcessor,
    refuse_productions_places,
    shadow_broker,
)
from shadow.reference.tables import (
    DynamoPlanTable,
    DynamoRunsStore,
    DynamoTradeLedger,
    EventBridgeBus,
    FunctionNotes,
    SqsTradeQueue,
)


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
