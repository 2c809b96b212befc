"""Business Unit: AWS adapters | Status: current.

What every user of the candidate's state table shares: its keys, its items, and writes that hold only where a condition does.

Transactions that meet on one item are not queued by DynamoDB: one is carried out, the others are cancelled at once. So they
are tried again here, after pauses that grow and are drawn at random, and given up as `StateUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from random import SystemRandom
from time import sleep
from typing import TYPE_CHECKING

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws.clients import code_of, transient_as, unavailable
from shadow.contracts.candidate_state import TTL_DAYS
from shadow.contracts.errors import EvidenceUnavailable
from shadow.contracts.model import Frozen
from shadow.execution.ports import StateUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        QueryInputTypeDef,
        QueryOutputTypeDef,
        ScanOutputTypeDef,
        TransactWriteItemTypeDef,
    )

    Item = dict[str, AttributeValueTypeDef]

CONDITION_FAILED = "ConditionalCheckFailedException"
ALWAYS_NEW = "attribute_not_exists(PK)"
DONE, CHECK_FAILED = "None", "ConditionalCheckFailed"
_CANCELLED = "TransactionCanceledException"
_PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
ATTEMPTS = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
_DRAW = SystemRandom().uniform

Pause = Callable[[float], None]


class StateTable:
    """The candidate's state table."""

    def __init__(self, client: DynamoDBClient, table: str, pause: Pause = sleep) -> None:
        """Work on `table`; `pause` waits for some seconds."""
        self._client = client
        self._table = table
        self._pause = pause

    def _get(self, pk: str, sk: str) -> dict[str, object] | None:
        with transient_as():
            answer = self._client.get_item(TableName=self._table, Key=key_of(pk, sk), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def _put(self, record: Frozen) -> None:
        with transient_as():
            self._client.put_item(TableName=self._table, Item=item_of(record))

    def _put_new(self, record: Frozen) -> bool:
        """Put an item unless its key is taken; tell whether it was put."""
        try:
            with transient_as():
                self._client.put_item(TableName=self._table, Item=item_of(record), ConditionExpression=ALWAYS_NEW)
        except ClientError as error:
            if code_of(error) != CONDITION_FAILED:
                raise
            return False
        return True

    def _put_if(
        self, record: Frozen, condition: str, names: Mapping[str, str], values: Mapping[str, AttributeValueTypeDef]
    ) -> bool:
        """Put an item where `condition` holds; tell whether it did."""
        try:
            with transient_as():
                self._client.put_item(
                    TableName=self._table,
                    Item=item_of(record),
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                )
        except ClientError as error:
            if code_of(error) != CONDITION_FAILED:
                raise
            return False
        return True

    def _transact(self, *changes: TransactWriteItemTypeDef) -> tuple[str, ...]:
        """Make all of `changes` or none; give each one's reason for a refusal, `DONE` for all when they were made.

        A cancellation that may pass is tried again a bounded number of times. Raises StateUnavailable.
        """
        codes: tuple[str, ...] = ()
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(_DRAW(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)))
            try:
                with transient_as():
                    self._client.transact_write_items(TransactItems=changes)
            except ClientError as error:
                if code_of(error) != _CANCELLED:
                    raise
                codes = _reasons(error, len(changes))
                if CHECK_FAILED in codes:
                    return codes
                if _PASSING.isdisjoint(codes):
                    raise
            else:
                return (DONE,) * len(changes)
        raise StateUnavailable(f"TransactWriteItems: {', '.join(codes)} after {ATTEMPTS} attempts")

    def _check(
        self, key: Mapping[str, AttributeValueTypeDef], condition: str, **values: AttributeValueTypeDef
    ) -> TransactWriteItemTypeDef:
        """Make a condition on an item that the transaction leaves as it is; `values` by name, without the colon."""
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": key,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
            }
        }


def expiry(at: datetime) -> int:
    """Give the epoch second at which an item of `at` expires."""
    return int((at + timedelta(days=TTL_DAYS)).timestamp())


def key_of(pk: str, sk: str) -> dict[str, AttributeValueTypeDef]:
    """Give an item's key."""
    return {"PK": to_attribute(pk), "SK": to_attribute(sk)}


def item_of(record: Frozen) -> dict[str, AttributeValueTypeDef]:
    """Write a record: numbers as numbers, times as ISO 8601, enumerations as their words."""
    return to_item({name: _plain(value) for name, value in record.model_dump().items()})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value


def _reasons(error: ClientError, count: int) -> tuple[str, ...]:
    """Give the codes of a cancelled transaction's changes, in their order."""
    reasons = error.response.get("CancellationReasons", [])
    codes = tuple(str(reason.get("Code", DONE)) for reason in reasons)
    return codes if len(codes) == count else ("unknown",) * count


def is_outrun(error: ClientError) -> bool:
    """Tell whether another writer was, or is, at a transaction's items. A transaction cancelled for throttling is not."""
    if code_of(error) != _CANCELLED:
        return code_of(error) == "TransactionConflictException"
    codes = {str(reason.get("Code", DONE)) for reason in error.response.get("CancellationReasons", [])}
    return not codes.isdisjoint({CHECK_FAILED, "TransactionConflict"})


_SERIALIZE = TypeSerializer().serialize
_DESERIALIZE = TypeDeserializer().deserialize


def to_attribute(value: object) -> AttributeValueTypeDef:
    """Write one value. Raises TypeError for a float."""
    if type(value) is str:
        return {"S": value}
    attribute: AttributeValueTypeDef = _SERIALIZE(value)
    return attribute


def to_item(values: Mapping[str, object]) -> dict[str, AttributeValueTypeDef]:
    """Write an item, leaving out what is None."""
    return {name: to_attribute(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, AttributeValueTypeDef]) -> dict[str, object]:
    """Read an item. Most of what it holds is text, which is read without asking what it is."""
    return {name: value["S"] if "S" in value else _DESERIALIZE(value) for name, value in item.items()}


def plain_item(item: Mapping[str, object]) -> dict[str, object]:
    """Turn a raw DynamoDB item into plain values; an attribute that is none is left as it lies, for the reader to name."""
    try:
        return from_item(item)  # type: ignore[arg-type] # as below
    except (TypeError, AttributeError, ValueError, ArithmeticError):
        plain: dict[str, object] = {}
    for name, value in item.items():
        try:
            plain |= from_item({name: value})  # type: ignore[dict-item] # it was written by the service, and is checked here
        except (TypeError, AttributeError, ValueError, ArithmeticError):
            plain[name] = value
    return plain


MAX_PAGES = 10_000
SCANNED = 100
"""Items that one page of a scan looks at."""


class Reader:
    """Reads (and, where nothing is yet, writes) items of one table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Read `table`."""
        self._client = client
        self._table = table

    def get(self, key: Mapping[str, AttributeValueTypeDef]) -> Item | None:
        """Read one item as it is now; None where there is none."""
        try:
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            raise unavailable(self._table, error) from error
        return answer.get("Item")

    def query(self, name: str, value: str, *, prefix: str | None = None, index: str | None = None) -> Iterator[Item]:
        """Read all items whose partition key `name` is `value`, in order of their sort key.

        With `prefix`, those whose `SK` begins with it. A table is read as it is now; an index may lag behind it.
        """
        condition = "#p = :p" + (" AND begins_with(SK, :s)" if prefix else "")
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {"#p": name},
            "ExpressionAttributeValues": to_item({":p": value, ":s": prefix}),
        }
        if index:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        return self._pages(self._client.query, request)

    def scan(self, names: str, condition: str) -> Iterator[Item]:
        """Read the attributes `names` of every item that meets `condition`: the whole table is read, a small page at a time."""
        request = {"TableName": self._table, "Limit": SCANNED, "ProjectionExpression": names, "FilterExpression": condition}
        return self._pages(self._client.scan, request)

    def _pages(self, ask: Callable[..., QueryOutputTypeDef | ScanOutputTypeDef], request: Mapping[str, object]) -> Iterator[Item]:
        start: dict[str, object] = {}
        for _ in range(MAX_PAGES):
            try:
                answer = ask(**request, **start)
            except (ClientError, BotoCoreError) as error:
                raise unavailable(self._table, error) from error
            yield from answer.get("Items", ())
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        raise EvidenceUnavailable(f"{self._table}: expected at most {MAX_PAGES} pages, was more")

    def put_if_absent(self, item: Mapping[str, AttributeValueTypeDef]) -> bool:
        """Write an item unless its key is there; say whether this call wrote it."""
        try:
            self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(PK)")
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise unavailable(self._table, error) from error
        except BotoCoreError as error:
            raise unavailable(self._table, error) from error
        return True


RawItem = Mapping[str, Mapping[str, object]]
"""One DynamoDB item as the service writes it: `{"status": {"S": "COMPLETED"}}`."""
