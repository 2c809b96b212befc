"""Business Unit: evidence | Status: current.

Settle pairs, on three kinds of call: a batch of the comparator's queue (hints from EventBridge), the sweeper's schedule
(`{"sweep": true}`), and a direct call about one plan (`{"plan_id": "…"}`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import ConfigDict, StrictBool

from shadow.broker.pacing import RequestGate
from shadow.broker.port import AlpacaCredentials
from shadow.broker.recording import AccountBook
from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.model import Frozen, Identifier, Wire
from shadow.intake.composition import IntakeEnvironment, intake_from
from shadow.lanes.brokers.truth import BrokerTruthEnvironment, broker_truth_from
from shadow.settlement.composition import Comparator, ComparatorEnvironment, comparator_from
from shadow.settlement.hints import Message


class _Record(Wire):
    message_id: str
    body: str


class _Call(Frozen):
    model_config = ConfigDict(extra="ignore")

    Records: tuple[_Record, ...] | None = None
    sweep: StrictBool = False
    plan_id: Identifier | None = None


@cache
def _comparator() -> Comparator:
    truth = broker_truth_from(BrokerTruthEnvironment.load(), _connect)
    return comparator_from(ComparatorEnvironment.load(), intake_from(IntakeEnvironment.load()).complete, truth)


def _connect(credentials: AlpacaCredentials, gate: RequestGate) -> AccountBook:
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - heavy: only a comparator that asks a broker pays for it

    return AlpacaBroker.connect(credentials, gate=gate)


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Settle what the call is about. Of a batch, the messages that failed are answered, so that they alone come again.

    Raises `InvalidPayload` for a call of another kind, `UnknownPair` and `EvidenceUnavailable` for a direct call.
    """
    del context
    call = _Call.parse(event)
    if call.Records is not None:
        failed = _comparator().hints.take(Message(record.message_id, record.body) for record in call.Records)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
    if call.sweep:
        return _comparator().sweeper.sweep(datetime.now(UTC)).to_wire()
    if call.plan_id is not None:
        return _comparator().settler.settle(call.plan_id, datetime.now(UTC)).to_wire()
    raise InvalidPayload("call", [FieldFault("(whole)", "Records, sweep or plan_id", ", ".join(sorted(event)) or "nothing")])
