"""Business Unit: evidence | Status: current.

Reading a DynamoDB table to the end: pages are followed, and whatever the service cannot do just now is `EvidenceUnavailable`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws.items import to_item
from shadow.evidence.errors import EvidenceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef

    Item = dict[str, AttributeValueTypeDef]

MAX_PAGES = 10_000


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
        for _ in range(MAX_PAGES):
            try:
                answer = self._client.query(**request)
            except (ClientError, BotoCoreError) as error:
                raise unavailable(self._table, error) from error
            yield from answer.get("Items", ())
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
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


def code_of(error: ClientError) -> str:
    """Give the service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def unavailable(what: str, error: Exception) -> EvidenceUnavailable:
    """Say that `what` did not answer, by the error's class and code alone."""
    detail = code_of(error) if isinstance(error, ClientError) else ""
    return EvidenceUnavailable(f"{what}: {type(error).__name__} {detail}".rstrip())
