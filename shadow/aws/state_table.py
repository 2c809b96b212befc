"""Business Unit: AWS adapters | Status: current.

What every user of the candidate's state table shares: its keys, its items, and writes that hold only where a condition does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shadow.aws.errors import code_of, transient_as
from shadow.aws.items import from_item, to_attribute, to_item
from shadow.contracts.candidate_state import TTL_DAYS
from shadow.contracts.model import Frozen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

CONDITION_FAILED = "ConditionalCheckFailedException"
ALWAYS_NEW = "attribute_not_exists(PK)"


class StateTable:
    """The candidate's state table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on `table`."""
        self._client = client
        self._table = table

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

    def _update_if(
        self,
        key: Mapping[str, AttributeValueTypeDef],
        change: str,
        condition: str,
        names: Mapping[str, str],
        values: Mapping[str, AttributeValueTypeDef],
    ) -> dict[str, object] | None:
        """Change an item where `condition` holds; give it as it then is, None where the condition did not hold."""
        try:
            with transient_as():
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=key,
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                )
        except ClientError as error:
            if code_of(error) != CONDITION_FAILED:
                raise
            return None
        return from_item(answer["Attributes"])


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
