"""Business Unit: AWS adapters | Status: current.

The intents of a run's orders, and whose turn it is to order for a trade, in the candidate's state table.
"""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.exceptions import ClientError

from shadow.aws.errors import code_of, transient_as
from shadow.aws.items import from_item, to_attribute
from shadow.aws.state_table import ALWAYS_NEW, StateTable, expiry, item_of, key_of
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, TurnRecord, candidate_pk, intent_sk_prefix, turn_sk
from shadow.execution.errors import StateUnavailable, TradeTakenOver

_CANCELLED, _CHECK_FAILED = "TransactionCanceledException", "ConditionalCheckFailed"
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
        try:
            with transient_as():
                self._client.transact_write_items(
                    TransactItems=[
                        {
                            "ConditionCheck": {
                                "TableName": self._table,
                                "Key": key_of(intent.PK, turn_sk(intent.trade_id)),
                                "ConditionExpression": "turn = :turn",
                                "ExpressionAttributeValues": {":turn": to_attribute(intent.turn)},
                            }
                        },
                        {"Put": {"TableName": self._table, "Item": item_of(_kept(intent)), "ConditionExpression": condition}},
                    ]
                )
        except ClientError as error:
            if code_of(error) != _CANCELLED:
                raise
            turn, put = _reasons(error)
            if turn == _CHECK_FAILED:
                raise TradeTakenOver(f"trade {intent.trade_id}: expected turn {intent.turn}, was a later one") from error
            if put == _CHECK_FAILED:
                return False
            raise StateUnavailable(f"{error.operation_name}: {turn}, {put}") from error
        return True

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


def _reasons(error: ClientError) -> tuple[str, str]:
    """Give the codes of a cancelled transaction's two conditions: the turn's and the intent's."""
    reasons = error.response.get("CancellationReasons", [])
    codes = [str(reason.get("Code", "None")) for reason in reasons]
    return (codes[0], codes[1]) if len(codes) > 1 else ("unknown", "unknown")
