"""Business Unit: publish | Status: current.

The publisher's side of the pair ledger in DynamoDB: create a pair once, and record what is known of its start and of the
control. Every transition is one transaction of a conditional update and its audit entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shadow.aws.pair_ledger import AuditEntry, audit_to_item, pair_from_item, pair_key, pair_to_item
from shadow.aws.table import to_attribute
from shadow.contracts.errors import ShadowError
from shadow.contracts.pair import Pair, StartState
from shadow.publish.ports import Started

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ACTOR = "publisher"
ATTEMPTS = 4


class LedgerConflict(ShadowError):
    """Others kept changing the pair; the transition was not made."""


class DynamoPairLedgerWriter:
    """Writes pairs to one table."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        """Write to `table_name`."""
        self._client = client
        self._table = table_name

    def create(self, pair: Pair) -> Pair | None:
        """Record a new pair; when there is one already, change nothing and give that."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=pair_to_item(pair),
                ConditionExpression="attribute_not_exists(PK)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            return self._read(pair.plan_id)
        return None

    def mark_started(self, pair: Pair, started: Started, at: datetime) -> None:
        """Record the confirmed start, unless a start is recorded already."""
        changes = {
            "start_state": StartState.STARTED.value,
            "start_reason": None,
            "execution_arn": started.execution_arn or None,
            "input_sha256": started.input_sha256,
        }
        self._move(pair, changes, at, only_from=frozenset({StartState.INTENDED, StartState.REFUSED}))

    def mark_refused(self, pair: Pair, reason: str, at: datetime) -> None:
        """Record that the lane that shadows was certainly not started, unless a start is recorded already."""
        changes = {"start_state": StartState.REFUSED.value, "start_reason": reason}
        self._move(pair, changes, at, only_from=frozenset({StartState.INTENDED}))

    def mark_control_error(self, pair: Pair, error: str | None, at: datetime) -> None:
        """Record the class name of what the lane in production raised; None when a later attempt of it went well."""
        self._move(pair, {"control_error": error}, at, only_from=frozenset(StartState))

    def _move(self, pair: Pair, changes: Mapping[str, str | None], at: datetime, *, only_from: frozenset[StartState]) -> None:
        """Apply `changes` to the pair as it is now, reading it again where someone else was faster.

        Raises `LedgerConflict` after `ATTEMPTS`.
        """
        known: Pair | None = pair
        for _ in range(ATTEMPTS):
            if known is None or known.start_state not in only_from:
                return
            try:
                self._transact(known, changes, at)
            except ClientError as error:
                if _code(error) not in {"TransactionCanceledException", "TransactionConflictException"}:
                    raise
                known = self._read(pair.plan_id)
            else:
                return
        raise LedgerConflict(f"pair {pair.plan_id}: expected version {pair.version}, was changed by others {ATTEMPTS} times")

    def _transact(self, pair: Pair, changes: Mapping[str, str | None], at: datetime) -> None:
        version = pair.version + 1
        entry = AuditEntry(pair.plan_id, version, at, ACTOR, {name: value or "" for name, value in changes.items()})
        kept = {name: value for name, value in changes.items() if value is not None}
        dropped = [name for name in changes if name not in kept]
        expression = "SET " + ", ".join(f"{name} = :{name}" for name in [*kept, "version"])
        if dropped:
            expression += " REMOVE " + ", ".join(dropped)
        values: dict[str, AttributeValueTypeDef] = {f":{name}": to_attribute(value) for name, value in kept.items()}
        values |= {":version": to_attribute(version), ":known": to_attribute(pair.version)}
        self._client.transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": self._table,
                        "Key": pair_key(pair.plan_id),
                        "UpdateExpression": expression,
                        "ConditionExpression": "version = :known",
                        "ExpressionAttributeValues": values,
                    }
                },
                {"Put": {"TableName": self._table, "Item": audit_to_item(entry)}},
            ]
        )

    def _read(self, plan_id: str) -> Pair | None:
        answer = self._client.get_item(TableName=self._table, Key=pair_key(plan_id), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else pair_from_item(item)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
