"""How many mails a run sent is read from its history, however the history tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from shadow.lanes.workflow.history import HistoryFacts, Payload
from shadow.lanes.workflow.reader import mails_of

RECEIPT = {"status": "SENT", "messageId": "m-1"}
TRADE = {"tradeId": "t-1", "status": "COMPLETED", "messageId": "no receipt"}


def facts(
    results: list[Mapping[str, object]], outputs: Mapping[str, Mapping[str, object] | None], events: int = 10
) -> HistoryFacts:
    return HistoryFacts(
        events=events,
        end_type="ExecutionAborted" if events > 10 else "ExecutionSucceeded",
        results=[Payload(json.dumps(each)) for each in results],
        outputs={state: Payload(None if each is None else json.dumps(each)) for state, each in outputs.items()},
    )


@pytest.mark.parametrize(
    ("results", "outputs", "mails"),
    [
        ([TRADE, RECEIPT], {"SendNotification": {"runId": "r", "notification": RECEIPT}}, 1),
        ([{"Payload": RECEIPT}], {}, 1),
        ([], {"NotifyBuyPhaseBlocked": {"notification": RECEIPT}}, 1),
        ([RECEIPT, RECEIPT], {"SendNotification": {"notification": RECEIPT}}, 2),
        ([TRADE], {"SendNotification": {"runId": "r", "notificationError": {"Error": "NotificationUnavailable"}}}, 0),
        ([TRADE], {}, 0),
        ([RECEIPT], {"SendNotification": None}, None),
    ],
    ids=["answered", "wrapped", "held only", "sent twice", "refused", "never asked", "left out of the history"],
)
def test_receipts_are_counted_once(
    results: list[Mapping[str, object]], outputs: Mapping[str, Mapping[str, object] | None], mails: int | None
) -> None:
    assert mails_of(facts(results, outputs)) == mails


def test_a_history_that_was_cut_off_does_not_tell() -> None:
    assert mails_of(facts([RECEIPT], {}, events=25_000)) is None


def test_a_receipt_that_cannot_be_read_does_not_tell() -> None:
    read = facts([RECEIPT], {})
    read.results.append(Payload('{"status":"SENT","messageId":"m-2","messageId":"m-3"}'))
    assert mails_of(read) is None
