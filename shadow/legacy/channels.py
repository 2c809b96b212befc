"""Business Unit: legacy | Status: current.

The rest of the control's AWS side: its FIFO queue, its event bus, and the two tables that outlive a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from shadow.aws.items import to_attribute, to_item
from shadow.aws.observability import emit, logger
from shadow.contracts.errors import ShadowError
from shadow.contracts.events import SOURCE_OF, DetailType, LedgerEntry
from shadow.contracts.metrics import Metric
from shadow.contracts.model import Frozen, iso
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import ProductionLane
from shadow.legacy.ports import QueueRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

PLAN_TTL_DAYS = 90
ROLE_ATTRIBUTE = "ProductionLane"


class EventNotAccepted(ShadowError):
    """The bus did not take an event."""


class SqsTradeQueue:
    """The control's FIFO queue: one message group a symbol, deduplicated by trade id (legacy contract, section 3)."""

    def __init__(self, client: SQSClient, url: str, production_lane: ProductionLane = ProductionLane.LEGACY) -> None:
        """Send to the queue at `url`. A message of a lane that shadows says so: see `shadow.legacy.shadowing`."""
        self._client = client
        self._url = url
        self._role = {} if production_lane is ProductionLane.LEGACY else {ROLE_ATTRIBUTE: production_lane.value}

    def send(self, record: QueueRecord) -> None:
        """Send one trade; the queue drops a repetition of its trade id within five minutes."""
        attributes = {"RunId": record.run_id, "TradeId": record.trade_id, "Phase": record.phase.value} | self._role
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=record.body,
            MessageGroupId=record.symbol,
            MessageDeduplicationId=record.trade_id,
            MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
        )


class EventBridgeBus:
    """The control's event bus."""

    def __init__(self, client: EventBridgeClient, name: str) -> None:
        """Emit on the bus called `name`."""
        self._client = client
        self._name = name

    def emit(self, kind: DetailType, detail: Frozen) -> None:
        """Emit one event; raises EventNotAccepted when the bus refuses the entry."""
        entry = {"EventBusName": self._name, "Source": SOURCE_OF[kind].value, "DetailType": kind.value}
        answer = self._client.put_events(Entries=[{**entry, "Detail": detail.model_dump_json()}])  # type: ignore[typeddict-item]
        if answer["FailedEntryCount"]:
            raise EventNotAccepted(f"{kind}: expected to be accepted, was {answer['Entries'][0].get('ErrorCode')}")


class DynamoTradeLedger:
    """The TradeLedgerTable: a row for each filled order, kept for ever."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on `table`."""
        self._client = client
        self._table = table

    def enter(self, entry: LedgerEntry) -> None:
        """Write the row of one filled order."""
        values = entry.model_dump() | {
            "PK": f"TRADE#{entry.order_id}",
            "SK": "METADATA",
            "GSI1PK": f"CORR#{entry.correlation_id}",
            "GSI1SK": f"TRADE#{entry.order_id}",
            "direction": entry.direction.value,
            "timestamp": iso(entry.timestamp),
        }
        price = to_attribute(entry.fill_price)  # NULL where the broker gave none: the attribute is always there
        self._client.put_item(TableName=self._table, Item=to_item(values) | {"fill_price": price})


class DynamoPlanTable:
    """The RebalancePlanTable, as the portfolio side writes it."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on `table`."""
        self._client = client
        self._table = table

    def keep(self, plan: RebalancePlan) -> None:
        """Write the plan for 90 days from its timestamp."""
        values = {
            "PK": f"PLAN#{plan.plan_id}",
            "SK": "METADATA",
            "GSI1PK": f"CORR#{plan.correlation_id}",
            "GSI1SK": f"PLAN#{plan.plan_id}",
            "plan_id": plan.plan_id,
            "correlation_id": plan.correlation_id,
            "timestamp": iso(plan.timestamp),
            "plan_data": plan.model_dump_json(),
            "TTL": int((plan.timestamp + timedelta(days=PLAN_TTL_DAYS)).timestamp()),
        }
        self._client.put_item(TableName=self._table, Item=to_item(values))


class FunctionNotes:
    """The lane's log lines and its one metric, through the function's standard output."""

    def info(self, message: str, fields: Mapping[str, object]) -> None:
        """Say what happened."""
        logger().info(message, extra=dict(fields))

    def send_failed(self, message: str, fields: Mapping[str, object]) -> None:
        """Say, and count, that a BUY could not be sent."""
        logger().error(message, extra=dict(fields))
        emit({Metric.CONTROL_SEND_FAILURES: 1})
