"""Business Unit: AWS adapters | Status: current.

The candidate's own state table: reservations, order intents and effects of a run. Whatever must not happen twice, or too
often, is one conditional write here; nothing reads and then acts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shadow.aws.errors import code_of, transient_as
from shadow.aws.items import from_item, to_attribute, to_item
from shadow.contracts.candidate_state import (
    RUN_SK,
    TTL_DAYS,
    EffectRecord,
    IntentRecord,
    IntentStatus,
    ResultRecord,
    RunRecord,
    TurnRecord,
    candidate_pk,
    intent_sk_prefix,
    reservation_key,
    result_sk,
    turn_sk,
)
from shadow.contracts.model import Frozen
from shadow.contracts.workflow import EquityCheck, TradeResult
from shadow.execution.equity import equity_check
from shadow.execution.errors import RunNotPrepared, StateUnavailable, TradeTakenOver
from shadow.execution.ports import RunOpening

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_CONDITION_FAILED = "ConditionalCheckFailedException"
_CANCELLED, _CHECK_FAILED = "TransactionCanceledException", "ConditionalCheckFailed"
_FINAL = {f":final{at}": to_attribute(str(status)) for at, status in enumerate(IntentStatus) if status.is_final}
_RELEASE_TURNS = 5
_RESERVE = "SET reservations.#trade = :amount, reserved = reserved + :amount, headroom = headroom - :amount"
_MAY_RESERVE = (
    "attribute_exists(PK) AND attribute_not_exists(reservations.#trade) AND (equity_limit = :off OR headroom >= :amount)"
)
_LOWER = "SET reserved = reserved - :back, headroom = headroom + :back"


class DynamoCandidateState:
    """The state table as `EquityLedger` and `IntentLog`, and the store of effect records."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on `table`."""
        self._client = client
        self._table = table

    def open_run(self, opening: RunOpening) -> Decimal:
        """Write the run down unless it is; give the limit in force (USD), which the first opening set."""
        record = RunRecord(
            PK=candidate_pk(opening.run_id),
            SK=RUN_SK,
            TTL=expiry(opening.opened_at),
            run_id=opening.run_id,
            plan_id=opening.plan_id,
            correlation_id=opening.correlation_id,
            execution_mode=opening.execution_mode,
            equity_limit=opening.equity_limit,
            reserved=Decimal(0),
            headroom=opening.equity_limit,
            reservations={},
            opened_at=opening.opened_at,
        )
        return opening.equity_limit if self._put_new(record) else self._run(opening.run_id).equity_limit

    def reserve(self, run_id: str, trade_id: str, amount: Decimal) -> EquityCheck:
        """Reserve `amount` USD for a trade in one conditional write, or refuse it; raises RunNotPrepared."""
        try:
            with transient_as():
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_run_key(run_id),
                    UpdateExpression=_RESERVE,
                    ConditionExpression=_MAY_RESERVE,
                    ExpressionAttributeNames={"#trade": reservation_key(trade_id)},
                    ExpressionAttributeValues={":amount": to_attribute(amount), ":off": to_attribute(Decimal(0))},
                    ReturnValues="ALL_NEW",
                )
        except ClientError as error:
            if code_of(error) != _CONDITION_FAILED:
                raise
            run = self._run(run_id)
            return _answer(run, allowed=reservation_key(trade_id) in run.reservations)
        return _answer(RunRecord.parse(from_item(answer["Attributes"])), allowed=True)

    def release(self, run_id: str, trade_id: str, spent: Decimal) -> None:
        """Lower a trade's reservation to `spent` USD, conditional on what it was; never raise it."""
        key = reservation_key(trade_id)
        for _ in range(_RELEASE_TURNS):
            held = self._run(run_id).reservations.get(key, Decimal(0))
            if held <= spent or self._lower(run_id, key, held, spent):
                return
        raise StateUnavailable(f"run {run_id}: the reservation of trade {trade_id} kept changing")

    def _lower(self, run_id: str, key: str, held: Decimal, spent: Decimal) -> bool:
        """Change one reservation from `held` to `spent`; tell whether it still was `held`."""
        values = {":back": to_attribute(held - spent), ":held": to_attribute(held)}
        change = " REMOVE reservations.#trade" if spent == 0 else ", reservations.#trade = :spent"
        if spent != 0:
            values[":spent"] = to_attribute(spent)
        try:
            with transient_as():
                self._client.update_item(
                    TableName=self._table,
                    Key=_run_key(run_id),
                    UpdateExpression=_LOWER + change,
                    ConditionExpression="reservations.#trade = :held",
                    ExpressionAttributeNames={"#trade": key},
                    ExpressionAttributeValues=values,
                )
        except ClientError as error:
            if code_of(error) != _CONDITION_FAILED:
                raise
            return False
        return True

    def take(self, run_id: str, trade_id: str) -> int:
        """Take the trade over; give the turn, counted from 1."""
        with transient_as():
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(candidate_pk(run_id), turn_sk(trade_id)),
                UpdateExpression="ADD turn :one SET #ttl = if_not_exists(#ttl, :ttl)",
                ExpressionAttributeNames={"#ttl": "TTL"},
                ExpressionAttributeValues={":one": to_attribute(1), ":ttl": to_attribute(expiry(datetime.now(UTC)))},
                ReturnValues="ALL_NEW",
            )
        return TurnRecord.parse(from_item(answer["Attributes"])).turn

    def record(self, intent: IntentRecord) -> IntentRecord:
        """Keep `intent` unless its step has one; give the kept one, `intent` itself when it was new; raises TradeTakenOver."""
        if self._put_in_turn(intent.model_copy(update={"TTL": expiry(intent.intended_at)})):
            return intent
        kept = self._get(intent.PK, intent.SK)
        if kept is None:
            raise StateUnavailable(f"{intent.SK}: expected an intent, was none after a refused write")
        return IntentRecord.parse(kept)

    def update(self, intent: IntentRecord) -> None:
        """Write down what became of an intent; what is known to be final is not made doubtful again."""
        kept = intent.model_copy(update={"TTL": expiry(intent.intended_at)})
        if intent.status.is_final:
            with transient_as():
                self._client.put_item(TableName=self._table, Item=_item(kept))
            return
        self._put_if(kept, f"NOT #status IN ({', '.join(_FINAL)})", {"#status": "status"}, _FINAL)

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

    def keep_result(self, result: TradeResult, at: datetime) -> None:
        """Write down what a trade came to; a later answer about the same trade stands."""
        record = ResultRecord(
            PK=candidate_pk(result.run_id),
            SK=result_sk(result.trade_id),
            TTL=expiry(at),
            run_id=result.run_id,
            trade_id=result.trade_id,
            action=result.action,
            result=json.dumps(result.to_wire(), sort_keys=True, separators=(",", ":")),
            at=at,
        )
        with transient_as():
            self._client.put_item(TableName=self._table, Item=_item(record))

    def keep_effect(self, effect: EffectRecord) -> EffectRecord:
        """Keep `effect` unless there is one of its key; give the one that is kept."""
        if self._put_new(effect.model_copy(update={"TTL": expiry(effect.at)})):
            return effect
        kept = self._get(effect.PK, effect.SK)
        return effect if kept is None else EffectRecord.parse(kept)

    def mark_emitted(self, effect: EffectRecord) -> None:
        """Write down that an effect went out."""
        with transient_as():
            self._client.update_item(
                TableName=self._table,
                Key={"PK": to_attribute(effect.PK), "SK": to_attribute(effect.SK)},
                UpdateExpression="SET emitted = :yes",
                ExpressionAttributeValues={":yes": to_attribute(value=True)},
            )

    def _run(self, run_id: str) -> RunRecord:
        found = self._get(candidate_pk(run_id), RUN_SK)
        if found is None:
            raise RunNotPrepared(f"run {run_id}: expected a record with an equity limit, was none")
        return RunRecord.parse(found)

    def _get(self, pk: str, sk: str) -> dict[str, object] | None:
        with transient_as():
            answer = self._client.get_item(
                TableName=self._table, Key=_key(pk, sk), ConsistentRead=True
            )
        return from_item(answer["Item"]) if "Item" in answer else None

    def _put_new(self, record: Frozen) -> bool:
        """Put an item unless its key is taken; tell whether it was put."""
        return self._put_if(record, "attribute_not_exists(PK)")

    def _put_if(
        self,
        record: Frozen,
        condition: str,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, AttributeValueTypeDef] | None = None,
    ) -> bool:
        """Put an item where `condition` holds; tell whether it did."""
        extra = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values} if names and values else {}
        try:
            with transient_as():
                self._client.put_item(TableName=self._table, Item=_item(record), ConditionExpression=condition, **extra)
        except ClientError as error:
            if code_of(error) != _CONDITION_FAILED:
                raise
            return False
        return True

    def _put_in_turn(self, intent: IntentRecord) -> bool:
        """Put an intent unless its key is taken; tell whether it was put. Raises TradeTakenOver when its turn is over."""
        try:
            with transient_as():
                self._client.transact_write_items(
                    TransactItems=[
                        {
                            "ConditionCheck": {
                                "TableName": self._table,
                                "Key": _key(intent.PK, turn_sk(intent.trade_id)),
                                "ConditionExpression": "turn = :turn",
                                "ExpressionAttributeValues": {":turn": to_attribute(intent.turn)},
                            }
                        },
                        {
                            "Put": {
                                "TableName": self._table,
                                "Item": _item(intent),
                                "ConditionExpression": "attribute_not_exists(PK)",
                            }
                        },
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


def expiry(at: datetime) -> int:
    """Give the epoch second at which an item of `at` expires."""
    return int((at + timedelta(days=TTL_DAYS)).timestamp())


def _run_key(run_id: str) -> dict[str, AttributeValueTypeDef]:
    return _key(candidate_pk(run_id), RUN_SK)


def _key(pk: str, sk: str) -> dict[str, AttributeValueTypeDef]:
    return {"PK": to_attribute(pk), "SK": to_attribute(sk)}


def _reasons(error: ClientError) -> tuple[str, str]:
    """Give the code of each of an intent's two conditions in a cancelled transaction."""
    reasons = error.response.get("CancellationReasons", [])
    check, put = [reason.get("Code", "None") for reason in reasons] if len(reasons) == 2 else ("unknown", "unknown")  # noqa: PLR2004 - a check and a put
    return check, put


def _item(record: Frozen) -> dict[str, AttributeValueTypeDef]:
    """Write a record: numbers as numbers, times as ISO 8601, enumerations as their words."""
    return to_item({name: _plain(value) for name, value in record.model_dump().items()})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value


def _answer(run: RunRecord, *, allowed: bool) -> EquityCheck:
    return equity_check(allowed=allowed, reserved=run.reserved, limit=run.equity_limit)
