"""Business Unit: AWS adapters | Status: current.

DynamoDB for tests with thousands of trades: a client that works on moto's tables without the wire between them. What moto does
in time that grows with the table (it copies it whole for a transaction, and sorts it whole for a query) is done here otherwise;
conditions, updates and items are moto's own. Each call is atomic, as in DynamoDB.
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from itertools import takewhile
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import ConditionalCheckFailed
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from shadow.aws import clients
from tests.fakes.workflow_cloud import ACCOUNT, REGION

PAGE_ITEMS, ITEM_BYTES, TRANSACTION_ITEMS = 500, 400_000, 100
_KEY_CONDITION = re.compile(r"(?P<hash>#?\w+) = (?P<value>:\w+)(?: AND begins_with\(SK, (?P<prefix>:\w+)\))?")
Item = dict[str, Any]
_LOCK = threading.RLock()


def _atomic(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def alone(*arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return method(*arguments, **named)

    return alone


class QuickTables:
    """The calls that the candidate makes, and the largest item it wrote, in bytes."""

    def __init__(self) -> None:
        self.largest = 0
        self.transactions = 0
        self._sorted: dict[tuple[str, str], list[str]] = {}

    @property
    def _tables(self) -> Any:
        return dynamodb_backends[ACCOUNT][REGION]

    @_atomic
    def get_item(self, *, TableName: str, Key: Item, **_: Any) -> dict[str, Any]:  # noqa: N803 - the service's names
        found = self._tables.get_item(TableName, Key)
        return {} if found is None else {"Item": found.to_json()["Attributes"]}

    @_atomic
    def put_item(self, *, TableName: str, Item: Item, **call: Any) -> dict[str, Any]:  # noqa: N803 - the service's names
        self._weigh(Item)
        with _refusals("PutItem"):
            self._tables.put_item(TableName, Item, **_expressions(call))
        self._note(TableName, Item)
        return {}

    @_atomic
    def update_item(self, *, TableName: str, Key: Item, UpdateExpression: str, **call: Any) -> dict[str, Any]:  # noqa: N803
        with _refusals("UpdateItem"):
            changed = self._tables.update_item(TableName, Key, UpdateExpression, **_expressions(call))
        self._note(TableName, Key)
        attributes = changed.to_json()["Attributes"]
        self._weigh(attributes)
        return {"Attributes": attributes}

    @_atomic
    def transact_write_items(self, *, TransactItems: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Hold all conditions against the tables as they are, then make all changes or none."""
        assert len(TransactItems) <= TRANSACTION_ITEMS
        self.transactions += 1
        changes = [next(iter(change.items())) for change in TransactItems]
        failed = [not self._holds(change) for _, change in changes]
        if any(failed):
            reasons = [{"Code": "ConditionalCheckFailed" if each else "None"} for each in failed]
            cancelled: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(cancelled, "TransactWriteItems")
        for kind, change in changes:
            {"Put": self.put_item, "Update": self.update_item, "ConditionCheck": _nothing}[kind](**change)
        return {}

    def _holds(self, change: Mapping[str, Any]) -> bool:
        key = change.get("Key") or {name: change["Item"][name] for name in ("PK", "SK")}
        found = self._tables.get_item(change["TableName"], key)
        names, values = change.get("ExpressionAttributeNames"), change.get("ExpressionAttributeValues")
        return bool(get_filter_expression(change.get("ConditionExpression"), names, values).expr(found))

    @_atomic
    def query(self, *, TableName: str, KeyConditionExpression: str, **call: Any) -> dict[str, Any]:  # noqa: N803
        """Give a page of a partition's items in order of their keys."""
        match = _KEY_CONDITION.fullmatch(KeyConditionExpression)
        assert match is not None, KeyConditionExpression
        values = call["ExpressionAttributeValues"]
        prefix = values[match["prefix"]]["S"] if match["prefix"] else ""
        after = call.get("ExclusiveStartKey", {}).get("SK", {}).get("S", "")
        keys = self._keys(TableName, values[match["value"]])
        first = bisect_left(keys, prefix) if prefix > after else bisect_right(keys, after)
        found = list(takewhile(lambda key: key.startswith(prefix), keys[first : first + PAGE_ITEMS + 1]))
        items = [self.get_item(TableName=TableName, Key={"PK": values[match["value"]], "SK": {"S": key}}) for key in found]
        more = {"LastEvaluatedKey": {"SK": {"S": found[PAGE_ITEMS - 1]}}} if len(found) > PAGE_ITEMS else {}
        return {"Items": [item["Item"] for item in items[:PAGE_ITEMS]], **more}

    def _keys(self, table: str, partition: Item) -> list[str]:
        """Give a partition's sort keys in order; they are gathered anew where others changed the table."""
        rows = self._tables.tables[table].items.get(DynamoType(partition), {})
        keys = self._sorted.setdefault((table, partition["S"]), [])
        if len(keys) != len(rows):
            keys[:] = sorted(key.value for key in rows)
        return keys

    def _note(self, table: str, key: Item) -> None:
        keys = self._sorted.get((table, key["PK"]["S"]))
        if keys is not None:
            at = bisect_left(keys, key["SK"]["S"])
            if at == len(keys) or keys[at] != key["SK"]["S"]:
                keys.insert(at, key["SK"]["S"])

    def get_paginator(self, call: str) -> QuickTables:
        assert call == "query"
        return self

    def paginate(self, **call: Any) -> Iterator[dict[str, Any]]:
        page = self.query(**call)
        yield page
        while "LastEvaluatedKey" in page:
            page = self.query(**call, ExclusiveStartKey=page["LastEvaluatedKey"])
            yield page

    def _weigh(self, item: Item) -> None:
        self.largest = max(self.largest, len(json.dumps(item)))
        assert self.largest < ITEM_BYTES


def _nothing(**_: Any) -> None:
    """Change nothing: a condition was all that there was."""


def _expressions(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "condition_expression": call.get("ConditionExpression"),
        "expression_attribute_names": call.get("ExpressionAttributeNames") or {},
        "expression_attribute_values": call.get("ExpressionAttributeValues") or {},
    }


@contextmanager
def _refusals(operation: str) -> Iterator[None]:
    try:
        yield
    except ConditionalCheckFailed as error:
        raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, operation) from error


@contextmanager
def quick_tables() -> Iterator[QuickTables]:
    """Let every function use the quick tables."""
    tables = QuickTables()
    with patch.object(clients, "dynamodb", cache(lambda: tables)):
        yield tables
