"""Business Unit: AWS adapters | Status: current.

The intents of a run's orders, and whose turn it is to order for a trade, in the candidate's state table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shadow.aws.errors import transient_as
from shadow.aws.items import from_item, to_attribute
from shadow.aws.state_table import ALWAYS_NEW, CHECK_FAILED, StateTable, expiry, item_of, key_of
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, TurnRecord, candidate_pk, intent_sk_prefix, turn_sk
from shadow.execution.errors import StateUnavailable, TradeTakenOver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_UNSAID = "attribute_not_exists(order_id)"
_FINAL = {f":final{at}": to_attribute(str(status)) for at, status in enumerate(IntentStatus) if status.is_final}


class DynamoIntentLog(StateTable):
    """The state table as `IntentLog`."""

    def take(self, run_id: str, trade_id: str) -> int:
        """Take the trade over; give the turn, counted from 1."""
        with transient_as():
            answer = self._client.update_item(
                TableName=self._table,
                Key=key_of(candidate_pk(run_id), turn_sk(trade_id)),
                UpdateExpression="SET #ttl = if_not_exists(#ttl, :ttl) ADD turn :one",
                ExpressionAttributeNames={"#ttl": "TTL"},
                ExpressionAttributeValues={":one": to_attribute(1), ":ttl": to_attribute(expiry(datetime.now(UTC)))},
                ReturnValues="ALL_NEW",
            )
        return TurnRecord.parse(from_item(answer["Attributes"])).turn

    def record(self, intent: IntentRecord) -> IntentRecord:
        """Keep `intent` unless its step has one; give the kept one, `intent` itself when it was new; raises TradeTakenOver."""
        if self._put_in_turn(intent, ALWAYS_NEW):
            return intent
        kept = self._get(intent.PK, intent.SK)
        if kept is None:
            raise StateUnavailable(f"{intent.SK}: expected an intent, was none after a refused write")
        return IntentRecord.parse(kept)

    def update(self, intent: IntentRecord) -> None:
        """Write down what became of an intent; what the broker said stands. Raises TradeTakenOver."""
        if intent.order_id is None:
            self._put_in_turn(intent, _UNSAID)
        elif intent.status.is_final:
            self._put(_kept(intent))
        else:
            self._put_if(_kept(intent), f"{_UNSAID} OR NOT #status IN ({', '.join(_FINAL)})", {"#status": "status"}, _FINAL)

    def _put_in_turn(self, intent: IntentRecord, condition: str) -> bool:
        """Put an intent where `condition` holds; tell whether it did. Raises TradeTakenOver when its turn is over."""
        kept: TransactWriteItemTypeDef = {
            "Put": {"TableName": self._table, "Item": item_of(_kept(intent)), "ConditionExpression": condition}
        }
        turn, put = self._transact(self._in_turn(intent.run_id, intent.trade_id, intent.turn), kept)
        if turn == CHECK_FAILED:
            raise taken_over(intent.trade_id, intent.turn)
        return put != CHECK_FAILED

    def _in_turn(self, run_id: str, trade_id: str, turn: int) -> TransactWriteItemTypeDef:
        """Make the condition that the trade's turn still is `turn`."""
        return self._check(key_of(candidate_pk(run_id), turn_sk(trade_id)), "turn = :turn", turn=to_attribute(turn))

    def of_trade(self, run_id: str, trade_id: str) -> tuple[IntentRecord, ...]:
        """Give a trade's intents in the order of their steps. A trade has a dozen at most, so one page holds them."""
        with transient_as():
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="PK = :run AND begins_with(SK, :trade)",
                ExpressionAttributeValues={
                    ":run": to_attribute(candidate_pk(run_id)),
                    ":trade": to_attribute(intent_sk_prefix(trade_id)),
                },
                ConsistentRead=True,
            )
        return tuple(IntentRecord.parse(from_item(item)) for item in answer["Items"])


def _kept(intent: IntentRecord) -> IntentRecord:
    return intent.model_copy(update={"TTL": expiry(intent.intended_at)})


def taken_over(trade_id: str, turn: int) -> TradeTakenOver:
    """Say that a process works on a trade whose turn is over."""
    return TradeTakenOver(f"trade {trade_id}: expected turn {turn}, was a later one")
