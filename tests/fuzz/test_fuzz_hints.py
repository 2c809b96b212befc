"""A batch of the comparator's queue: the poisoned messages come again, each with its reason, and the good ones are done."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.cli.redriving import DeadQueue, read_letter
from shadow.contracts import errors as contract_errors
from shadow.contracts import errors as evidence_errors
from shadow.contracts.errors import ShadowError
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.model import canonical
from shadow.contracts.vocabulary import Metric, Role
from shadow.lanes.legacy.source import CapturedEvent
from shadow.settlement.hints import Hints, Message
from tests.factories.control_items import ControlRun
from tests.factories.histories import BEGIN, Scenario, execution_arn, play
from tests.factories.pairs import pair_of
from tests.fakes.evidence import FakeCandidate, FakeControl, World, settler_of
from tests.fakes.plans import plan_of
from tests.fuzz.mutations import SECRET, as_text, damaged, json_values, raw_texts

PLAN = plan_of(AAPL="-600", MSFT="1000")
RUN_ID = run_id_of(PLAN.plan_id)
NOW = BEGIN + timedelta(minutes=3)
ENDED = {
    "id": "event-1",
    "source": "alchemiser.trade_aggregator",
    "detail-type": "AllTradesCompleted",
    "time": BEGIN.isoformat(),
    "detail": {
        "correlation_id": PLAN.correlation_id,
        "run_id": RUN_ID,
        "plan_id": PLAN.plan_id,
        "timestamp": BEGIN.isoformat(),
        "total_trades": 2,
        "succeeded_trades": 2,
        "failed_trades": 0,
        "skipped_trades": 0,
    },
}
CHANGED = {
    "id": "event-2",
    "source": "aws.states",
    "detail-type": "Step Functions Execution Status Change",
    "time": BEGIN.isoformat(),
    "detail": {
        "executionArn": execution_arn(RUN_ID),
        "stateMachineArn": "arn:machine",
        "name": execution_name_of(RUN_ID),
        "status": "SUCCEEDED",
        "stopDate": 1710531905000,
        "input": json.dumps({"planId": PLAN.plan_id}),
    },
}
TYPED = {
    name
    for module in (contract_errors, evidence_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, ShadowError)
}


@dataclass
class Kept:
    """What was captured."""

    events: list[CapturedEvent] = field(default_factory=list)
    noted: list[tuple[str, Role, str]] = field(default_factory=list)

    def record(self, event: CapturedEvent, now: datetime) -> bool:
        assert now
        canonical(event.detail).encode()
        self.events.append(event)
        return True

    def knows_other_run(self, run_id: str, role: Role, name: str) -> bool:
        return (run_id, role, name) in self.noted

    def note_other_run(self, run_id: str, role: Role, name: str, now: datetime, created_at: str = "") -> bool:
        assert now
        assert created_at or role is Role.CANDIDATE
        self.noted.append((run_id, role, name))
        return True

    def has_terminal(self, run_id: str) -> bool:
        return any(event.run_id == run_id and event.is_terminal for event in self.events)


@dataclass
class Told:
    """What was logged."""

    problems: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def emit(self, values: Mapping[Metric, float]) -> None:
        assert values

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        if problem:
            self.problems.append((message, fields))


@cache
def settled_world() -> World:
    """Give a world in which both lanes have ended."""
    world = World()
    pair = pair_of(PLAN)
    world.pairs[pair.plan_id] = pair
    world.control_items[str(pair.control_run_id)] = ControlRun(PLAN).items()  # type: ignore[assignment] # raw items
    execution = play(Scenario(PLAN))
    world.executions[execution_arn(RUN_ID)] = (execution.describe, list(execution.history))
    world.events[str(pair.control_run_id)] = {str(event["SK"]): event for event in ControlRun(PLAN).events()}  # type: ignore[misc] # raw items
    return world


def taken(*bodies: str) -> tuple[list[str], Kept, Told]:
    """Take a batch; the messages are named by their places."""
    world = copy.deepcopy(settled_world())
    kept, told = Kept(), Told()
    hints = Hints(settler_of(world), FakeControl(world), FakeCandidate(world), kept, told, lambda: NOW, lambda _: None)  # type: ignore[arg-type]
    return hints.take(Message(str(place), body) for place, body in enumerate(bodies)), kept, told


@settings(max_examples=50)
@given(st.lists(raw_texts(ENDED) | raw_texts(CHANGED) | json_values.map(as_text), min_size=1, max_size=4), st.integers(0, 4))
def test_poisoned_messages_come_again_and_no_other(bodies: list[str], place: int) -> None:
    good = json.dumps(ENDED)
    batch = [*bodies[:place], good, *bodies[place:]]

    failed, kept, told = taken(*batch)

    assert str(batch.index(good)) not in failed
    assert "event-1" in {event.event_id for event in kept.events}
    reasons = {fields["message_id"]: fields for message, fields in told.problems if message.startswith("a message")}
    assert set(reasons) <= set(failed)
    for fields in reasons.values():
        assert fields["error"] in TYPED, fields
        assert fields["reason"]
        assert SECRET not in fields["reason"]


@settings(max_examples=50)
@given(raw_texts(ENDED) | raw_texts(CHANGED) | json_values.map(as_text))
def test_the_command_tells_of_a_dead_hint_what_the_comparator_does(body: str) -> None:
    _, _, told = taken(body)
    letter = read_letter(DeadQueue.COMPARATOR, {"MessageId": "m", "ReceiptHandle": "r", "Body": body})
    refused = any(fields.get("error") == "InvalidPayload" for _, fields in told.problems)
    assert refused == (letter.fault is not None), (letter, told.problems)
    assert json.dumps(letter.to_wire())


@settings(max_examples=30)
@given(
    damaged({"requestPayload": {"detail-type": "RebalancePlanned", "detail": PLAN.to_wire()}, "responsePayload": {}}), st.data()
)
def test_a_dead_publication_is_always_told_of(record: Any, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from((as_text(record), as_text(record)[:-9])))
    letter = read_letter(DeadQueue.PUBLISH, {"MessageId": "m", "ReceiptHandle": "r", "Body": body})
    assert letter.reason
    assert (letter.plan is None) == (letter.fault is not None)
