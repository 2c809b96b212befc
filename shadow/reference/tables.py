"""Business Unit: legacy | Status: current.

The ExecutionRunsTable over DynamoDB, written as the control writes it: one item at a time, counters by ADD, transitions by a
condition on `status`. Only attributes of the contract, and none that has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import BaseModel

from shadow.aws.clients import code_of
from shadow.aws.observability import emit, logger
from shadow.aws.table import from_item, to_attribute, to_item
from shadow.contracts.control_records import (
    METADATA_SK,
    SOURCE_OF,
    TRADE_SK_PREFIX,
    DetailType,
    LedgerEntry,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeItem,
    run_pk,
    trade_sk,
)
from shadow.contracts.errors import ShadowError
from shadow.contracts.model import Frozen, iso
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Metric, Side
from shadow.reference.publishing import QueueRecord, Tally, TradeEnding, TradeRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

_IN_A_PHASE = (LegacyRunStatus.PENDING, LegacyRunStatus.RUNNING, LegacyRunStatus.SELL_PHASE, LegacyRunStatus.BUY_PHASE)


class DynamoRunsStore:
    """The control's runs table. Methods raise botocore's errors: a record that meets one goes back to the queue."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on `table`."""
        self._client = client
        self._table = table

    def put_run(self, run: RunItem) -> bool:
        """Write the run's item unless there is one; tell whether it was written."""
        return self._put_if_absent(run)

    def put_trade(self, run_id: str, trade: TradeItem) -> bool:
        """Write a trade's item unless there is one; tell whether it was written."""
        del run_id  # part of the item's own key
        return self._put_if_absent(trade)

    def run(self, run_id: str) -> RunItem | None:
        """Read the run's item, consistently; None when there is none."""
        item = self._get(run_id, METADATA_SK)
        return None if item is None else RunItem.parse(from_item(item))

    def trade(self, run_id: str, trade_id: str) -> TradeItem | None:
        """Read a trade's item, consistently; None when there is none."""
        item = self._get(run_id, trade_sk(trade_id))
        return None if item is None else TradeItem.parse(from_item(item))

    def waiting_buys(self, run_id: str) -> tuple[TradeItem, ...]:
        """Read the BUYs that were not sent yet, by sequence number."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :trades)",
            ExpressionAttributeValues={":pk": {"S": run_pk(run_id)}, ":trades": {"S": TRADE_SK_PREFIX}},
            ConsistentRead=True,
        )
        trades = [TradeItem.parse(from_item(item)) for page in pages for item in page["Items"]]
        waiting = [t for t in trades if t.phase is Side.BUY and t.status is LegacyTradeStatus.WAITING]
        return tuple(sorted(waiting, key=lambda trade: trade.sequence_number))

    def mark_running(self, run_id: str, trade_id: str, at: datetime) -> None:
        """Set a trade RUNNING, whatever it was before."""
        self._set(run_id, trade_sk(trade_id), {"status": LegacyTradeStatus.RUNNING, "started_at": at})

    def mark_pending(self, run_id: str, trade_id: str) -> None:
        """Set a trade that was sent PENDING, unless it was taken up already."""
        self._set(run_id, trade_sk(trade_id), {"status": LegacyTradeStatus.PENDING}, only_from=(LegacyTradeStatus.WAITING,))

    def end_trade(self, record: TradeRecord) -> None:
        """Write how a trade ended, whatever its item said before."""
        data = record.execution_data
        values = {
            "status": record.status,
            "completed_at": record.completed_at,
            "order_id": record.order_id,
            "error_message": record.error_message,
            "execution_data": None if data is None else data.model_dump_json(),
        }
        self._set(record.run_id, trade_sk(record.trade_id), values)

    def count(self, tally: Tally) -> RunItem:
        """Add a trade to the run's counters, unconditionally, and give the run as it is then."""
        added = _added(tally)
        answer = self._client.update_item(
            TableName=self._table,
            Key=_key(tally.run_id, METADATA_SK),
            UpdateExpression="ADD " + ", ".join(f"#{name} :{name}" for name in added),
            ExpressionAttributeNames={f"#{name}": name for name in added},
            ExpressionAttributeValues={f":{name}": to_attribute(value) for name, value in added.items()},
            ReturnValues="ALL_NEW",
        )
        return RunItem.parse(from_item(answer["Attributes"]))

    def start_buy_phase(self, run_id: str, at: datetime) -> bool:
        """Move a run from its SELL phase to its BUY phase; tell whether this call did it."""
        values = {"status": LegacyRunStatus.BUY_PHASE, "current_phase": LegacyPhase.BUY, "buy_phase_started_at": at}
        return self._set(run_id, METADATA_SK, values, only_from=(LegacyRunStatus.SELL_PHASE,))

    def fail_run(self, run_id: str, at: datetime, reason: str) -> bool:
        """Set a run FAILED unless it is; tell whether this call did it."""
        values = {"status": LegacyRunStatus.FAILED, "failed_at": at, "failure_reason": reason}
        others = tuple(status for status in LegacyRunStatus if status is not LegacyRunStatus.FAILED)
        return self._set(run_id, METADATA_SK, values, only_from=others)

    def claim_aggregation(self, run_id: str, at: datetime) -> bool:
        """Set a run AGGREGATING if it is still in a phase; tell whether this call won."""
        values = {"status": LegacyRunStatus.AGGREGATING, "aggregation_started_at": at}
        return self._set(run_id, METADATA_SK, values, only_from=_IN_A_PHASE)

    def complete_run(self, run_id: str, at: datetime) -> None:
        """Set a run COMPLETED."""
        self._set(run_id, METADATA_SK, {"status": LegacyRunStatus.COMPLETED, "completed_at": at})

    def _put_if_absent(self, item: BaseModel) -> bool:
        values = {name: _plain(value) for name, value in item}
        return _unless_refused(
            lambda: self._client.put_item(
                TableName=self._table, Item=to_item(values), ConditionExpression="attribute_not_exists(PK)"
            )
        )

    def _get(self, run_id: str, sk: str) -> Mapping[str, AttributeValueTypeDef] | None:
        return self._client.get_item(TableName=self._table, Key=_key(run_id, sk), ConsistentRead=True).get("Item")

    def _set(self, run_id: str, sk: str, values: Mapping[str, object], only_from: tuple[Enum, ...] = ()) -> bool:
        """Set what is not None; with `only_from`, only where `status` is one of these. Tell whether it was done."""
        given = {name: _plain(value) for name, value in values.items() if value is not None}
        names = {f"#{name}": name for name in given}
        attributes = {f":{name}": to_attribute(value) for name, value in given.items()}
        condition = "attribute_exists(PK)"
        if only_from:
            allowed = {f":from{n}": to_attribute(_plain(status)) for n, status in enumerate(only_from)}
            condition += f" AND #status IN ({', '.join(allowed)})"
            attributes |= allowed
        return _unless_refused(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=_key(run_id, sk),
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in given),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=attributes,
                ConditionExpression=condition,
            )
        )


def _unless_refused(write: Callable[[], object]) -> bool:
    """Make a conditional write; False when its condition did not hold."""
    try:
        write()
    except ClientError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _key(run_id: str, sk: str) -> dict[str, AttributeValueTypeDef]:
    return {"PK": {"S": run_pk(run_id)}, "SK": {"S": sk}}


def _plain(value: object) -> object:
    """Give `value` as the table holds it: times and words as text, numbers as they are."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _added(tally: Tally) -> dict[str, Decimal]:
    """Name what one ended trade adds to its run's counters. Amounts are planned absolute USD."""
    one = Decimal(1)
    added = {
        "completed_trades": one,
        f"{tally.ending.value}_trades": one,
        f"{tally.phase.value.lower()}_completed": one,
    }
    if tally.ending is TradeEnding.SKIPPED:
        return added
    succeeded = tally.ending is TradeEnding.SUCCEEDED
    if tally.phase is Side.SELL:
        added["sell_succeeded_amount" if succeeded else "sell_failed_amount"] = tally.planned_amount
    elif succeeded:
        added["cumulative_buy_succeeded_value"] = tally.planned_amount
    return added


PLAN_TTL_DAYS = 90
ROLE_ATTRIBUTE = "ProductionLane"


class EventNotAccepted(ShadowError):
    """The bus did not take an event."""


class SqsTradeQueue:
    """The control's FIFO queue: one message group a symbol, deduplicated by trade id (legacy contract, section 3)."""

    def __init__(self, client: SQSClient, url: str, production_lane: Lane = Lane.LEGACY) -> None:
        """Send to the queue at `url`. A message of a lane that shadows says so: see `shadow.reference.composition`."""
        self._client = client
        self._url = url
        self._role = {} if production_lane is Lane.LEGACY else {ROLE_ATTRIBUTE: production_lane.value}

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
