"""Business Unit: AWS adapters | Status: current.

The equity reservations of a run's BUYs: one item each, and their sum on the run's item. Both change in one transaction or
neither does, so the sum is exact whatever crashes; and the run's item stays small however many trades there are.

A single conditional write on the run's item would meet less contention, but it could not tell a repeated reservation from a
new one without keeping all of them in that item. So the transaction is used sparingly: whoever asks for what is held
already only reads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING

from shadow.aws.intent_log import DynamoIntentLog, taken_over
from shadow.aws.items import to_attribute
from shadow.aws.state_table import ALWAYS_NEW, ATTEMPTS, CHECK_FAILED, expiry, item_of, key_of
from shadow.contracts.candidate_state import RUN_SK, ReservationRecord, RunRecord, candidate_pk, reservation_sk
from shadow.contracts.workflow import EquityCheck
from shadow.execution.equity import equity_check
from shadow.execution.errors import RunNotPrepared, StateUnavailable
from shadow.execution.ports import RunOpening

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

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
        more = wanted.amount - (held or Decimal(0))
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
