"""Business Unit: AWS adapters | Status: current.

Where downstream effects go. While the lane is a candidate each is recorded as intended and nothing leaves: a second
TradeExecuted would wake production. In live mode it is recorded, emitted, and marked; a crash in between emits it again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from shadow.aws.candidate_state import DynamoCandidateState
from shadow.aws.errors import transient_as
from shadow.aws.table import to_item
from shadow.contracts.candidate_state import EffectRecord, candidate_pk, effect_sk
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.events import SOURCE_OF, DetailType, LedgerEntry
from shadow.contracts.identity import is_replay
from shadow.contracts.model import iso
from shadow.execution.errors import StateUnavailable
from shadow.execution.ports import PlannedEffect

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient


class Emitter(Protocol):
    """The way out into production."""

    def emit(self, effect: PlannedEffect) -> None:
        """Send `effect` out, at least once. Raises StateUnavailable."""
        ...


class ProductionEmitter:
    """The control's event bus and trade ledger, as the control itself writes to them."""

    def __init__(self, events: EventBridgeClient, bus: str, dynamodb: DynamoDBClient, ledger_table: str) -> None:
        """Emit on `bus`, enter rows in `ledger_table` (empty where the function makes none)."""
        self._events = events
        self._bus = bus
        self._dynamodb = dynamodb
        self._table = ledger_table

    def emit(self, effect: PlannedEffect) -> None:
        """Send `effect` out: a ledger row into the table, an event onto the bus."""
        with transient_as():
            if isinstance(effect.detail, LedgerEntry):
                self._enter(effect.detail)
            else:
                self._put(effect)

    def _enter(self, entry: LedgerEntry) -> None:
        if not self._table:
            raise ConfigurationError("TRADE_LEDGER_TABLE_NAME: expected a value in live mode, was nothing")
        values = entry.model_dump() | {
            "PK": f"TRADE#{entry.order_id}",
            "SK": "METADATA",
            "GSI1PK": f"CORR#{entry.correlation_id}",
            "GSI1SK": f"TRADE#{entry.order_id}",
            "direction": entry.direction.value,
            "timestamp": iso(entry.timestamp),
        }
        self._dynamodb.put_item(TableName=self._table, Item=to_item(values))

    def _put(self, effect: PlannedEffect) -> None:
        kind = DetailType(effect.kind.value)
        answer = self._events.put_events(
            Entries=[
                {
                    "EventBusName": self._bus,
                    "Source": SOURCE_OF[kind].value,
                    "DetailType": kind.value,
                    "Detail": effect.detail.model_dump_json(),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise StateUnavailable(f"{kind}: expected the bus to accept it, was {answer['Entries'][0].get('ErrorCode')}")


class RecordedEffects:
    """Every effect in the candidate's state table, and out through an emitter where there is one."""

    def __init__(self, state: DynamoCandidateState, emitter: Emitter | None = None) -> None:
        """Record in `state`; emit only with an `emitter` (live mode)."""
        self._state = state
        self._emitter = emitter

    def apply(self, effect: PlannedEffect, plan_id: str) -> None:
        """Record `effect` of a run of `plan_id` once and, in live mode, emit it unless that was done or the plan is a replay."""
        kept = self._state.keep_effect(
            EffectRecord(
                PK=candidate_pk(effect.run_id),
                SK=effect_sk(effect.kind, effect.trade_id, effect.part),
                run_id=effect.run_id,
                kind=effect.kind,
                trade_id=effect.trade_id,
                emitted=False,
                detail=json.dumps(effect.detail.to_wire(), sort_keys=True, separators=(",", ":")),
                at=effect.at,
            )
        )
        if self._emitter is not None and not kept.emitted and not is_replay(plan_id):
            self._emitter.emit(effect)
            self._state.mark_emitted(kept)
