"""Business Unit: evidence | Status: current.

What the comparator's queue brings: EventBridge events, each of them a hint to look. A status change of an execution names a
run; an event of the control's bus is also kept as an effect. A batch is taken whole: all events are kept first, then each
plan that one of them may have settled is settled once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from shadow.aws.table import plain_item
from shadow.contracts.control_records import METADATA_SK, EventSource, StatusChangeEvent
from shadow.contracts.errors import FieldFault, InvalidPayload, UnknownPair, faults_of
from shadow.contracts.identity import run_id_of, run_id_of_execution
from shadow.contracts.vocabulary import Lane, Metric, Recorder
from shadow.lanes.lane import CandidateSource, ControlSource
from shadow.lanes.legacy.source import CapturedEvent, CapturedEvents, captured_event
from shadow.lanes.paths import value_at
from shadow.lanes.records import as_json, is_identifier
from shadow.settlement.settler import Settler

STEP_FUNCTIONS = "aws.states"
PAUSES_SECONDS = (0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the queue."""

    message_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Hints:
    """Takes batches of hints.

    The control announces its end before it writes it down, so a look on its last event can come a moment too early. Where
    nothing but such a write is missing, the pair is looked at again after short pauses instead of at the next sweep.
    `plan_id_at` is where an execution's input has the plan's id.
    """

    settler: Settler
    control: ControlSource
    candidate: CandidateSource
    captured: CapturedEvents
    recorder: Recorder
    now: Callable[[], datetime]
    pause: Callable[[float], None] = time.sleep
    plan_id_at: str = "planId"

    def take(self, messages: Iterable[Message]) -> list[str]:
        """Act on a batch; gives the ids of the messages that failed and are to come again (or end in the dead-letter queue)."""
        failed: list[str] = []
        plans: dict[str, list[str]] = {}
        for message in messages:
            try:
                plan_id = self._plan_to_settle(message)
            except Exception as error:  # noqa: BLE001 - whatever one message brings is counted, logged, and comes again by itself
                self._failed(message.message_id, error)
                failed.append(message.message_id)
                continue
            if plan_id is not None:
                plans.setdefault(plan_id, []).append(message.message_id)
        for plan_id, message_ids in plans.items():
            try:
                self._settle(plan_id)
            except UnknownPair:
                self._unpaired(plan_id)
            except Exception as error:  # noqa: BLE001 - one pair's trouble never keeps another from its verdict
                self._failed(message_ids[0], error)
                failed += message_ids
        return failed

    def _settle(self, plan_id: str) -> None:
        """Settle a pair, looking again a few times while what it waits for is imminent."""
        settlement = self.settler.settle(plan_id, self.now())
        for seconds in PAUSES_SECONDS:
            if not settlement.imminent:
                return
            self.pause(seconds)
            settlement = self.settler.settle(plan_id, self.now())

    def _plan_to_settle(self, message: Message) -> str | None:
        """Keep what the message brings; gives the plan to settle because of it, if any."""
        event = _event(message.body)
        if event.get("source") == STEP_FUNCTIONS:
            return self._plan_of_status_change(event)
        if event.get("source") in list(EventSource):
            captured = captured_event(event)
            if captured.run_id != run_id_of(captured.plan_id) and not self._names_a_run(captured):
                return None
            self.captured.record(captured, self.now())
            return captured.plan_id if self._may_be_over(captured) else None
        sources = " or ".join((STEP_FUNCTIONS, *EventSource))
        raise InvalidPayload("event", [FieldFault("source", sources, repr(event.get("source")))])

    def _names_a_run(self, event: CapturedEvent) -> bool:
        """Note the run that an event names beside its plan, where the runs table has it: an event alone proves nothing.

        The control mints its run ids, so this is how its run of a plan is found. The run item is written before a trade is sent,
        hence before any event: a run that is not there does not exist, or expired long ago.
        """
        own = run_id_of(event.plan_id)
        if self.captured.knows_other_run(own, Lane.LEGACY, event.run_id):
            return True
        run = next((item for item in self.control.run_items(event.run_id) if item.get("SK") == {"S": METADATA_SK}), {})
        values = plain_item(run)
        if values.get("plan_id") != event.plan_id:
            self._disbelieved(event.plan_id, Lane.LEGACY, event.run_id, "the runs table has no such run of the plan")
            return False
        self.captured.note_other_run(own, Lane.LEGACY, event.run_id, self.now(), str(values.get("created_at") or ""))
        return True

    def _disbelieved(self, plan_id: str, lane: Lane, name: str, reason: str) -> None:
        """Count and log a hint that no service confirms."""
        self.recorder.emit({Metric.HINTS_DISBELIEVED: 1.0})
        fields = {"plan": plan_id, "lane": lane.value, "run": name, "reason": reason}
        self.recorder.log("an event tells of a run that is not there", fields, problem=True)

    def _may_be_over(self, captured: CapturedEvent) -> bool:
        """Tell whether the run's terminal event is known, this one or one that overtook it."""
        if captured.is_terminal:
            return True
        return self.captured.has_terminal(captured.run_id)

    def _plan_of_status_change(self, event: Mapping[str, object]) -> str | None:
        try:
            change = StatusChangeEvent.model_validate(event).detail
        except ValidationError as error:
            raise InvalidPayload("status change event", faults_of(error)) from None
        if not change.status.is_terminal:
            return None
        run_id = run_id_of_execution(change.name)
        detail = event.get("detail")
        told = self._plan_id(detail.get("input") if isinstance(detail, Mapping) else None)
        if told is not None and run_id_of(told) == run_id:
            return told
        is_named = change.execution_arn.rpartition(":")[2] == change.name
        describe = self.candidate.describe(change.execution_arn) if is_named else None
        if describe is None:
            self._disbelieved(told or "", Lane.WORKFLOW, change.name, "the service knows no such execution")
            return None
        plan_id = self._plan_id(describe.get("input"))
        if plan_id is None:
            self._unpaired(change.name)
            return None
        if run_id_of(plan_id) == run_id:
            return plan_id
        fields = {"plan": plan_id, "lane": Lane.WORKFLOW.value, "run": change.name}
        self.captured.note_other_run(run_id_of(plan_id), Lane.WORKFLOW, change.name, self.now())
        self.recorder.log("a plan was run under another name", fields, problem=True)
        return plan_id

    def _plan_id(self, text: object) -> str | None:
        """Read the plan's id from an execution's input."""
        plan_id = value_at(as_json(text), self.plan_id_at) if isinstance(text, str) else None
        return plan_id if is_identifier(plan_id) else None

    def _unpaired(self, name: str) -> None:
        """Count and log a run that no pair was recorded for: it was published past the harness, or is none of ours."""
        self.recorder.emit({Metric.RUNS_WITHOUT_PAIR: 1.0})
        self.recorder.log("a run ended that no pair is recorded for", {"plan": name}, problem=True)

    def _failed(self, message_id: str, error: Exception) -> None:
        self.recorder.emit({Metric.COMPARATOR_ERRORS: 1.0})
        fields = {"message_id": message_id, "error": type(error).__name__, "reason": str(error)}
        self.recorder.log("a message goes back to the queue", fields, problem=True)


def _event(body: str) -> Mapping[str, object]:
    """Read a message's body. Raises `InvalidPayload`."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("message", [FieldFault("body", "a JSON object", f"no JSON ({error})")]) from None
    if not isinstance(event, dict):
        raise InvalidPayload("message", [FieldFault("body", "a JSON object", type(event).__name__)])
    return event
