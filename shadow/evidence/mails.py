"""Business Unit: evidence | Status: current.

How many mails a run of the candidate sent, by its history: one a receipt that a task answered with, and one a state whose output
holds a receipt where the history does not tell of its task.
"""

from __future__ import annotations

from collections.abc import Mapping

from shadow.evidence.fields import as_json
from shadow.evidence.history import HistoryFacts, Payload
from shadow.evidence.payloads import answer_in

STATES = ("SendNotification", "NotifyBuyPhaseBlocked", "NotifyEquityLimit", "NotifyWorkflowFailed")
_MARK = "messageId"


def mails_of(facts: HistoryFacts) -> int | None:
    """Count the mails of a run that has ended; None where the history was cut off or left an output out."""
    outputs = [facts.outputs[state] for state in STATES if state in facts.outputs]
    if facts.is_truncated or any(payload.text is None for payload in outputs):
        return None
    answered = sum(_is_receipt(_read(payload)) for payload in facts.results)
    held = sum(_is_receipt(answer_in(_read(payload), _MARK)) for payload in outputs)
    return max(answered, held)


def _read(payload: Payload) -> Mapping[str, object]:
    """Read an answer, or what the Lambda integration wrapped it in; empty where no receipt can be in it."""
    if payload.text is None or f'"{_MARK}"' not in payload.text:
        return {}
    value = as_json(payload.text)
    answer = value.get("Payload", value) if isinstance(value, Mapping) else value
    return answer if isinstance(answer, Mapping) else {}


def _is_receipt(answer: Mapping[str, object]) -> bool:
    return isinstance(answer.get(_MARK), str) and answer.get("status") == "SENT"
