"""Business Unit: AWS adapters | Status: current.

The candidate's own state table, whole: reservations, order intents, results and effects of a run. Whatever must not happen
twice, or too often, is one conditional write; what is read before says only what to ask for.
"""

from __future__ import annotations

import json
from datetime import datetime

from shadow.aws.errors import transient_as
from shadow.aws.items import to_attribute
from shadow.aws.reservations import DynamoEquityLedger
from shadow.aws.state_table import expiry, key_of
from shadow.contracts.candidate_state import EffectRecord, ResultRecord, candidate_pk, result_sk
from shadow.contracts.workflow import TradeResult


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
