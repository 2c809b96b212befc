"""Business Unit: AWS adapters | Status: current.

The intents of a run's orders, and whose turn it is to order for a trade, in the candidate's state table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shadow.aws.clients import code_of, transient_as
from shadow.aws.table import (
    ALWAYS_NEW,
    ATTEMPTS,
    CHECK_FAILED,
    CONDITION_FAILED,
    StateTable,
    expiry,
    from_item,
    item_of,
    key_of,
    to_attribute,
)
from shadow.contracts.candidate_state import (
    INTENT_SK_PREFIX,
    REQUESTS_PK,
    RESULT_SK_PREFIX,
    RUN_SK,
    EffectRecord,
    IntentRecord,
    IntentStatus,
    ReservationRecord,
    ResultRecord,
    RunRecord,
    TurnRecord,
    candidate_pk,
    intent_sk_prefix,
    request_window_sk,
    reservation_sk,
    result_sk,
    turn_sk,
)
from shadow.contracts.identity import is_replay
from shadow.contracts.model import MONEY
from shadow.contracts.vocabulary import ExecutionMode
from shadow.contracts.workflow import EquityCheck, TradeResult
from shadow.execution.phases import equity_check
from shadow.execution.ports import InterlockViolation, RunNotPrepared, RunOpening, StateUnavailable, TradeTakenOver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_CLOSED = 1_000_000
_WINDOW_TTL = 3600
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
        """Keep `intent` unless its step has one; give the one that is kept. Raises TradeTakenOver, StateUnavailable."""
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

    def of_run(self, run_id: str) -> tuple[IntentRecord, ...]:
        """Give the intents of all trades of a run, those of one trade in the order of their steps."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :run AND begins_with(SK, :intents)",
            ExpressionAttributeValues={":run": to_attribute(candidate_pk(run_id)), ":intents": to_attribute(INTENT_SK_PREFIX)},
            ConsistentRead=True,
        )
        with transient_as():
            return tuple(IntentRecord.parse(from_item(item)) for page in pages for item in page["Items"])


def _kept(intent: IntentRecord) -> IntentRecord:
    return intent.model_copy(update={"TTL": expiry(intent.intended_at)})


def taken_over(trade_id: str, turn: int) -> TradeTakenOver:
    """Say that a process works on a trade whose turn is over."""
    return TradeTakenOver(f"trade {trade_id}: expected turn {turn}, was a later one")


_SUMS = "SET reserved = reserved + :more, headroom = headroom - :more"
_IS_OPEN = "attribute_exists(PK)"
_HAS_ROOM = f"{_IS_OPEN} AND (equity_limit = :off OR headroom >= :more)"


class Outcome(Enum):
    """What became of a change. OUTDATED: the reservation was another than was read before."""

    CHANGED = auto()
    REFUSED = auto()
    OUTDATED = auto()


class DynamoEquityLedger(DynamoIntentLog):
    """The state table as `EquityLedger`, and as `IntentLog`, on whose turns it depends."""

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
            opened_at=opening.opened_at,
        )
        return opening.equity_limit if self._put_new(record) else self._run(opening.run_id).equity_limit

    def reserve(self, run_id: str, trade_id: str, amount: Decimal, turn: int | None = None) -> EquityCheck:
        """Reserve `amount` USD for a trade, or refuse it; raises RunNotPrepared, TradeTakenOver and StateUnavailable.

        A trade that gave a part back reserves it again, where there still is room.
        """
        for _ in range(ATTEMPTS):
            held = self._held(run_id, trade_id)
            if held is not None and held >= amount:
                return _answer(self._run(run_id), allowed=True)
            outcome = self._change(_reservation(run_id, trade_id, amount), held, turn)
            if outcome is not Outcome.OUTDATED:
                return _answer(self._run(run_id), allowed=outcome is Outcome.CHANGED)
        raise _kept_changing(run_id, trade_id)

    def release(self, run_id: str, trade_id: str, spent: Decimal, turn: int | None = None) -> None:
        """Lower a trade's reservation to `spent` USD, never raise it; raises TradeTakenOver and StateUnavailable."""
        for _ in range(ATTEMPTS):
            held = self._held(run_id, trade_id)
            if held is None or held <= spent:
                return
            if self._change(_reservation(run_id, trade_id, spent), held, turn) is not Outcome.OUTDATED:
                return
        raise _kept_changing(run_id, trade_id)

    def _change(self, wanted: ReservationRecord, held: Decimal | None, turn: int | None) -> Outcome:
        """Bring one reservation from `held` (None: not made) to `wanted`, and the sums with it; in `turn`, if one is given."""
        more = MONEY.subtract(wanted.amount, held or Decimal(0))
        changes = [self._sums(wanted.run_id, more), self._reservation_was(wanted, held)]
        if turn is not None:
            changes.append(self._in_turn(wanted.run_id, wanted.trade_id, turn))
        sums, reservation, *turns = self._transact(*changes)
        if turn is not None and turns == [CHECK_FAILED]:
            raise taken_over(wanted.trade_id, turn)
        if reservation == CHECK_FAILED:
            return Outcome.OUTDATED
        return Outcome.REFUSED if sums == CHECK_FAILED else Outcome.CHANGED

    def _sums(self, run_id: str, more: Decimal) -> TransactWriteItemTypeDef:
        """Add `more` USD (less than 0: take away) to the run's sums, where there is room for it."""
        values = {":more": to_attribute(more)} | ({":off": to_attribute(Decimal(0))} if more > 0 else {})
        return {
            "Update": {
                "TableName": self._table,
                "Key": key_of(candidate_pk(run_id), RUN_SK),
                "UpdateExpression": _SUMS,
                "ConditionExpression": _HAS_ROOM if more > 0 else _IS_OPEN,
                "ExpressionAttributeValues": values,
            }
        }

    def _reservation_was(self, wanted: ReservationRecord, held: Decimal | None) -> TransactWriteItemTypeDef:
        """Write `wanted` down, where the trade's reservation still is `held`."""
        if held is None:
            return {"Put": {"TableName": self._table, "Item": item_of(wanted), "ConditionExpression": ALWAYS_NEW}}
        return {
            "Put": {
                "TableName": self._table,
                "Item": item_of(wanted),
                "ConditionExpression": "amount = :held",
                "ExpressionAttributeValues": {":held": to_attribute(held)},
            }
        }

    def _held(self, run_id: str, trade_id: str) -> Decimal | None:
        """Read what is reserved for a trade (USD); None where nothing ever was."""
        found = self._get(candidate_pk(run_id), reservation_sk(trade_id))
        return None if found is None else ReservationRecord.parse(found).amount

    def _run(self, run_id: str) -> RunRecord:
        found = self._get(candidate_pk(run_id), RUN_SK)
        if found is None:
            raise RunNotPrepared(f"run {run_id}: expected a record with an equity limit, was none")
        return RunRecord.parse(found)


def _reservation(run_id: str, trade_id: str, amount: Decimal) -> ReservationRecord:
    now = datetime.now(UTC)
    return ReservationRecord(
        PK=candidate_pk(run_id),
        SK=reservation_sk(trade_id),
        TTL=expiry(now),
        run_id=run_id,
        trade_id=trade_id,
        amount=amount,
        at=now,
    )


def _answer(run: RunRecord, *, allowed: bool) -> EquityCheck:
    return equity_check(allowed=allowed, reserved=run.reserved, limit=run.equity_limit)


def _kept_changing(run_id: str, trade_id: str) -> StateUnavailable:
    return StateUnavailable(f"run {run_id}: the reservation of trade {trade_id} kept changing")


class DynamoResultLog(StateTable):
    """The state table as `ResultLog`."""

    def results_of(self, run_id: str) -> dict[str, TradeResult]:
        """Give the recorded results by trade id."""
        results = (TradeResult.parse_json(str(item["result"])) for item in self._items(run_id, RESULT_SK_PREFIX, "result"))
        return {result.trade_id: result for result in results}

    def with_intents(self, run_id: str) -> frozenset[str]:
        """Give the ids of the trades that intended an order."""
        return frozenset(str(item["trade_id"]) for item in self._items(run_id, INTENT_SK_PREFIX, "trade_id"))

    def _items(self, run_id: str, prefix: str, attribute: str) -> Iterator[dict[str, object]]:
        """Give one attribute of every item of the run whose key begins with `prefix`."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :run AND begins_with(SK, :prefix)",
            ExpressionAttributeValues={":run": to_attribute(candidate_pk(run_id)), ":prefix": to_attribute(prefix)},
            ProjectionExpression="#attribute",
            ExpressionAttributeNames={"#attribute": attribute},
            ConsistentRead=True,
        )
        with transient_as():
            for page in pages:
                yield from (from_item(item) for item in page["Items"])


class DynamoRequestBudget(StateTable):
    """A table as `RequestBudget`: one item a window, which counts the requests of everybody who shares it.

    `whose` names the budget, where a table keeps several.
    """

    def __init__(self, client: DynamoDBClient, table: str, whose: str = "") -> None:
        """Count in `table`."""
        super().__init__(client, table)
        self._pk = f"{REQUESTS_PK}#{whose}" if whose else REQUESTS_PK

    def take(self, window: int, most: int) -> bool:
        """Take one of at most `most` places of `window`; tell whether there was one."""
        try:
            self._count(window, "SET #ttl = :ttl ADD used :one", "attribute_not_exists(used) OR used < :most", one=1, most=most)
        except ClientError as error:
            if code_of(error) != CONDITION_FAILED:
                raise
            return False
        return True

    def close(self, window: int) -> None:
        """Let nobody take a place of `window` any more."""
        self._count(window, "SET used = :all, #ttl = :ttl", "attribute_not_exists(used) OR used <= :all", all=_CLOSED)

    def _count(self, window: int, change: str, condition: str, **values: int) -> None:
        with transient_as():
            self._client.update_item(
                TableName=self._table,
                Key=key_of(self._pk, request_window_sk(window)),
                UpdateExpression=change,
                ExpressionAttributeNames={"#ttl": "TTL"},
                ExpressionAttributeValues={
                    **{f":{name}": to_attribute(value) for name, value in values.items()},
                    ":ttl": to_attribute(window + _WINDOW_TTL),
                },
                ConditionExpression=condition,
            )


class RunModes(StateTable):
    """Knows the runs of the state table by their mode."""

    def mode_of(self, run_id: str, mode: ExecutionMode) -> ExecutionMode:
        """Give the mode of a run in a lane of `mode`: dry for a replay, whatever the lane may do.

        Raises InterlockViolation for a run that was opened in another one, RunNotPrepared where there is none.
        """
        found = self._get(candidate_pk(run_id), RUN_SK)
        if found is None:
            raise RunNotPrepared(f"run {run_id}: expected a record with the mode it was opened in, was none")
        record = RunRecord.parse(found)
        wanted = ExecutionMode.DRY_RUN if is_replay(record.plan_id) else mode
        if record.execution_mode is not wanted:
            raise InterlockViolation(f"run {run_id}: expected mode {record.execution_mode}, in which it was opened, was {wanted}")
        return wanted


class DynamoCandidateState(DynamoEquityLedger):
    """The state table as `EquityLedger` and `IntentLog`, and the store of effect records."""

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
        self._put(record)

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
                Key=key_of(effect.PK, effect.SK),
                UpdateExpression="SET emitted = :yes",
                ExpressionAttributeValues={":yes": to_attribute(value=True)},
            )
