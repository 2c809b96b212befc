"""Business Unit: AWS adapters | Status: current.

The candidate's own state table: reservations, order intents and effects of a run. Whatever must not happen twice, or too
often, is one conditional write here; nothing reads and then acts.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

from shadow.aws.errors import transient_as
from shadow.aws.intent_log import DynamoIntentLog
from shadow.aws.items import to_attribute
from shadow.aws.state_table import expiry, key_of
from shadow.contracts.candidate_state import (
    RUN_SK,
    EffectRecord,
    ResultRecord,
    RunRecord,
    candidate_pk,
    reservation_key,
    result_sk,
)
from shadow.contracts.workflow import EquityCheck, TradeResult
from shadow.execution.equity import equity_check
from shadow.execution.errors import RunNotPrepared, StateUnavailable
from shadow.execution.ports import RunOpening

_TURNS = 5
_CHANGE = "SET reservations.#trade = :amount, reserved = reserved + :more, headroom = headroom - :more"
_HAS_ROOM = "(equity_limit = :off OR headroom >= :more)"


class DynamoCandidateState(DynamoIntentLog):
    """The state table as `EquityLedger` and `IntentLog`, and the store of effect records."""

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
        """Reserve `amount` USD for a trade in one conditional write, or refuse it; raises RunNotPrepared.

        A trade that gave a part back reserves it again, where there still is room.
        """
        key = reservation_key(trade_id)
        held: Decimal | None = None
        for _ in range(_TURNS):
            changed = self._change(run_id, key, held, amount)
            if changed is not None:
                return _answer(changed, allowed=True)
            run = self._run(run_id)
            before, held = held, run.reservations.get(key)
            if held is not None and held >= amount:
                return _answer(run, allowed=True)
            if held == before:
                return _answer(run, allowed=False)
        raise StateUnavailable(f"run {run_id}: the reservation of trade {trade_id} kept changing")

    def release(self, run_id: str, trade_id: str, spent: Decimal) -> None:
        """Lower a trade's reservation to `spent` USD, conditional on what it was; never raise it."""
        key = reservation_key(trade_id)
        for _ in range(_TURNS):
            held = self._run(run_id).reservations.get(key, Decimal(0))
            if held <= spent or self._change(run_id, key, held, spent) is not None:
                return
        raise StateUnavailable(f"run {run_id}: the reservation of trade {trade_id} kept changing")

    def _change(self, run_id: str, key: str, held: Decimal | None, amount: Decimal) -> RunRecord | None:
        """Change one reservation from `held` (None: not made) to `amount`; None where it was another or has no room."""
        more = amount - (held or Decimal(0))
        values = {":amount": to_attribute(amount), ":more": to_attribute(more)}
        conditions = ["attribute_exists(PK)"]
        if held is None:
            conditions.append("attribute_not_exists(reservations.#trade)")
        else:
            conditions.append("reservations.#trade = :held")
            values[":held"] = to_attribute(held)
        if more > 0:
            conditions.append(_HAS_ROOM)
            values[":off"] = to_attribute(Decimal(0))
        found = self._update_if(key_of(candidate_pk(run_id), RUN_SK), _CHANGE, " AND ".join(conditions), {"#trade": key}, values)
        return None if found is None else RunRecord.parse(found)

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

    def _run(self, run_id: str) -> RunRecord:
        found = self._get(candidate_pk(run_id), RUN_SK)
        if found is None:
            raise RunNotPrepared(f"run {run_id}: expected a record with an equity limit, was none")
        return RunRecord.parse(found)


def _answer(run: RunRecord, *, allowed: bool) -> EquityCheck:
    return equity_check(allowed=allowed, reserved=run.reserved, limit=run.equity_limit)
