"""Business Unit: evidence | Status: current.

Settle pairs, on three kinds of call: a batch of the comparator's queue (hints from EventBridge), the sweeper's schedule
(`{"sweep": true}`), and a direct call about one plan (`{"plan_id": "…"}`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from shadow.broker.credentials import AlpacaCredentials
from shadow.broker.read_only import AccountBook
from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.evidence.broker_accounts import BrokerTruthEnvironment, broker_truth_from
from shadow.evidence.composition import Comparator, ComparatorEnvironment, comparator_from
from shadow.evidence.hints import Message
from shadow.publish.composition import completer_from_environment


@cache
def _comparator() -> Comparator:
    truth = broker_truth_from(BrokerTruthEnvironment.load(), _connect)
    return comparator_from(ComparatorEnvironment.load(), completer_from_environment().complete, truth)


def _connect(credentials: AlpacaCredentials) -> AccountBook:
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - heavy: only a comparator that asks a broker pays for it

    return AlpacaBroker.connect(credentials)


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Settle what the call is about. Of a batch, the messages that failed are answered, so that they alone come again.

    Raises `InvalidPayload` for a call of another kind, `UnknownPair` and `EvidenceUnavailable` for a direct call.
    """
    del context
    records, plan_id = event.get("Records"), event.get("plan_id")
    if isinstance(records, list):
        failed = _comparator().hints.take(_message(record) for record in records)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
    if event.get("sweep") is True:
        return _comparator().sweeper.sweep(datetime.now(UTC)).to_wire()
    if isinstance(plan_id, str):
        return _comparator().settler.settle(plan_id, datetime.now(UTC)).to_wire()
    raise InvalidPayload("call", [FieldFault("(whole)", "Records, sweep or plan_id", ", ".join(sorted(event)) or "nothing")])


def _message(record: dict[str, object]) -> Message:
    return Message(str(record.get("messageId")), str(record.get("body")))
