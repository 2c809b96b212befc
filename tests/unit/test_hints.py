"""A hint that comes a moment before the control writes its end down is followed by another look, a few times, not for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from shadow.contracts.comparison import Verdict
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.pair import PairState
from shadow.contracts.vocabulary import Lane, Metric
from shadow.settlement.hints import PAUSES_SECONDS, Hints, Message
from shadow.settlement.settler import Settlement

NOW = datetime(2026, 1, 5, 21, tzinfo=UTC)
COMPLETED = {
    "source": "alchemiser.trade_aggregator",
    "detail-type": "AllTradesCompleted",
    "id": "event-1",
    "time": NOW.isoformat(),
    "detail": {
        "correlation_id": "workflow-1",
        "run_id": run_id_of("plan-1"),
        "plan_id": "plan-1",
        "timestamp": NOW.isoformat(),
        "total_trades": 1,
        "succeeded_trades": 1,
        "failed_trades": 0,
        "skipped_trades": 0,
    },
}


def settlement(*, imminent: bool) -> Settlement:
    state, verdict = (PairState.PENDING, Verdict.PENDING) if imminent else (PairState.JUDGED, Verdict.MATCHED)
    return Settlement("plan-1", "run-1", state, verdict, judged=not imminent, imminent=imminent)


class Settler:
    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.looks = 0

    def settle(self, plan_id: str, now: datetime) -> Settlement:
        assert (plan_id, now) == ("plan-1", NOW)
        self.looks += 1
        return settlement(imminent=self.answers.pop(0) if self.answers else True)


class Control:
    """The runs table, in which the plan's own run and `run-2` are."""

    def run_items(self, run_id: str) -> list[dict[str, Any]]:
        known = {"SK": {"S": "METADATA"}, "plan_id": {"S": "plan-1"}, "created_at": {"S": NOW.isoformat()}}
        return [known] if run_id in ("run-2", run_id_of("plan-1")) else []


class Known:
    """Step Functions, which knows every execution but `nowhere`."""

    def describe(self, execution_arn: str) -> dict[str, object] | None:
        return None if execution_arn.endswith(":nowhere") else {"input": '{"planId":"plan-1"}'}


class Captured:
    def __init__(self) -> None:
        self.other_runs: list[tuple[str, Lane, str]] = []

    def record(self, event: Any, now: datetime) -> None:
        assert (event.plan_id, now) == ("plan-1", NOW)

    def knows_other_run(self, run_id: str, lane: Lane, name: str) -> bool:
        return (run_id, lane, name) in self.other_runs

    def has_terminal(self, run_id: str) -> bool:
        assert run_id
        return False

    def note_other_run(self, run_id: str, lane: Lane, name: str, now: datetime, created_at: str = "") -> bool:
        assert now == NOW
        assert created_at or lane is Lane.WORKFLOW
        self.other_runs.append((run_id, lane, name))
        return True


@pytest.mark.parametrize(
    ("imminent", "looks", "pauses"),
    [
        ((False,), 1, ()),
        ((True, False), 2, PAUSES_SECONDS[:1]),
        ((True, True, True, True, True), 4, PAUSES_SECONDS),
    ],
    ids=["settled at once", "a moment early", "the write never comes"],
)
def test_a_look_that_is_a_moment_early_is_repeated(imminent: tuple[bool, ...], looks: int, pauses: tuple[float, ...]) -> None:
    settler, paused = Settler(*imminent), []
    hints = Hints(settler, Control(), Known(), Captured(), None, lambda: NOW, paused.append)  # type: ignore[arg-type]
    assert hints.take([Message("m-1", json.dumps(COMPLETED))]) == []
    assert settler.looks == looks
    assert tuple(paused) == pauses


class Recorder:
    def __init__(self) -> None:
        self.problems: list[str] = []

    def emit(self, values: Any) -> None:
        assert values

    def log(self, message: str, fields: Any, *, problem: bool) -> None:
        assert (message, problem) == ("a message goes back to the queue", True)
        self.problems.append(f"{fields['error']}: {fields['reason']}")


DONE = (False,)
POISON: list[tuple[dict[str, Any], str]] = [
    ({"source": []}, "source"),
    ({"detail-type": ["TradeExecuted"]}, "detail-type"),
    ({"detail-type": {}}, "detail-type"),
    ({"id": ""}, "id"),
    ({"detail": {"run_id": "r" * 3_000, "plan_id": "plan-1"}}, "detail.run_id"),
    ({"detail": {"run_id": run_id_of("plan-1"), "plan_id": "\ud800"}}, "detail.plan_id"),
    ({"source": "aws.states", "detail": {"status": []}}, "detail.status"),
]


@pytest.mark.parametrize(("damage", "field"), POISON, ids=[f"{field} {number}" for number, (_, field) in enumerate(POISON)])
def test_a_poisoned_message_comes_again_alone_and_its_fault_is_told(damage: dict[str, Any], field: str) -> None:
    recorder, settler = Recorder(), Settler(*DONE, *DONE)
    hints = Hints(settler, Control(), Known(), Captured(), recorder, lambda: NOW, lambda _: None)  # type: ignore[arg-type]
    batch = [Message("good", json.dumps(COMPLETED)), Message("bad", json.dumps(COMPLETED | damage))]

    assert hints.take(batch) == ["bad"]
    assert hints.take(reversed(batch)) == ["bad"]
    assert all(problem.startswith("InvalidPayload: ") and field in problem for problem in recorder.problems)
    assert settler.looks == 2


def test_whatever_else_one_message_brings_keeps_no_other_from_being_done() -> None:
    class Failing(Captured):
        def record(self, event: Any, now: datetime) -> None:
            if event.event_id == "bad":
                raise RuntimeError("nobody thought of this")
            super().record(event, now)

    recorder, settler = Recorder(), Settler(*DONE)
    hints = Hints(settler, Control(), Known(), Failing(), recorder, lambda: NOW, lambda _: None)  # type: ignore[arg-type]

    assert hints.take([Message("bad", json.dumps(COMPLETED | {"id": "bad"})), Message("good", json.dumps(COMPLETED))]) == ["bad"]
    assert recorder.problems == ["RuntimeError: nobody thought of this"]
    assert settler.looks == 1


class Quiet(Recorder):
    def log(self, message: str, fields: Any, *, problem: bool) -> None:
        assert problem
        self.problems.append(f"{message}: {fields['lane']} {fields['run']}")


def ended(name: str) -> dict[str, Any]:
    arn = f"arn:aws:states:us-east-1:123456789012:execution:workflow:{name}"
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:workflow"
    detail = {
        "executionArn": arn,
        "stateMachineArn": machine,
        "name": name,
        "status": "SUCCEEDED",
        "input": '{"planId":"plan-1"}',
    }
    return {
        "id": "event-2",
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": NOW.isoformat(),
        "detail": detail,
    }


@pytest.mark.parametrize(
    ("event", "noted"),
    [
        (ended(execution_name_of(run_id_of("plan-1"))), []),
        (ended("by-hand"), [(run_id_of("plan-1"), Lane.WORKFLOW, "by-hand")]),
        (
            ended(execution_name_of(run_id_of("plan-2"))),
            [(run_id_of("plan-1"), Lane.WORKFLOW, execution_name_of(run_id_of("plan-2")))],
        ),
        (COMPLETED, []),
        (COMPLETED | {"detail": COMPLETED["detail"] | {"run_id": "run-2"}}, [(run_id_of("plan-1"), Lane.LEGACY, "run-2")]),
    ],
    ids=["the plan's own execution", "started by hand", "another plan's name", "the control's own run", "the control again"],
)
def test_a_plan_that_a_lane_ran_under_another_name_is_noted_and_its_pair_judged(event: dict[str, Any], noted: list[Any]) -> None:
    captured, recorder, settler = Captured(), Quiet(), Settler(*DONE)
    hints = Hints(settler, Control(), Known(), captured, recorder, lambda: NOW, lambda _: None)  # type: ignore[arg-type]
    assert hints.take([Message("m-1", json.dumps(event))]) == []
    assert captured.other_runs == noted
    assert len(recorder.problems) == sum(lane is Lane.WORKFLOW for _, lane, _ in noted)
    assert settler.looks == 1


TRADED = COMPLETED | {"detail-type": "TradeExecuted", "source": "alchemiser.execution"}


@pytest.mark.parametrize(
    "event",
    [
        ended("nowhere"),
        ended("by-hand") | {"detail": ended("by-hand")["detail"] | {"name": "another"}},
        COMPLETED | {"detail": COMPLETED["detail"] | {"run_id": "run-3"}},
        COMPLETED | {"detail": COMPLETED["detail"] | {"run_id": "run-2", "plan_id": "plan-2"}},
    ],
    ids=["no such execution", "another name than its ARN's", "no such run", "a run of another plan"],
)
def test_what_no_service_confirms_is_counted_and_believed_in_nothing(event: dict[str, Any]) -> None:
    class Untouched(Captured):
        def record(self, event: Any, now: datetime) -> None:
            raise AssertionError(event, now)

    captured, recorder, settler = Untouched(), Quiet(), Settler(*DONE)
    hints = Hints(settler, Control(), Known(), captured, recorder, lambda: NOW, lambda _: None)  # type: ignore[arg-type]
    assert hints.take([Message("m-1", json.dumps(event))]) == []
    assert (captured.other_runs, settler.looks) == ([], 0)
    assert [problem.partition(":")[0] for problem in recorder.problems] == ["an event tells of a run that is not there"]


def test_a_run_is_asked_for_once_however_many_events_it_has() -> None:
    class Counting(Control):
        asked = 0

        def run_items(self, run_id: str) -> list[dict[str, Any]]:
            self.asked += 1
            return super().run_items(run_id)

    control, captured = Counting(), Captured()
    hints = Hints(Settler(*DONE), control, Known(), captured, Quiet(), lambda: NOW, lambda _: None)  # type: ignore[arg-type]
    detail = COMPLETED["detail"] | {"run_id": "run-2"}
    events = [TRADED | {"id": f"event-{number}", "detail": detail | {"trade_id": f"t-{number}"}} for number in range(5)]
    assert hints.take([Message(str(number), json.dumps(event)) for number, event in enumerate(events)]) == []
    assert control.asked == 1


def test_a_run_without_a_plan_is_counted_once_and_named() -> None:
    class Nameless(Known):
        def describe(self, execution_arn: str) -> dict[str, object] | None:
            assert execution_arn
            return {"input": "{}"}

    class Counted:
        def __init__(self) -> None:
            self.emitted: list[Mapping[Metric, float]] = []
            self.told: list[tuple[str, Mapping[str, str], bool]] = []

        def emit(self, values: Mapping[Metric, float]) -> None:
            self.emitted.append(values)

        def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
            self.told.append((message, fields, problem))

    recorder, settler = Counted(), Settler(*DONE)
    hints = Hints(settler, Control(), Nameless(), Captured(), recorder, lambda: NOW, lambda _: None)  # type: ignore[arg-type]
    assert hints.take([Message("m-1", json.dumps(ended("by-hand")))]) == []
    assert (recorder.emitted, settler.looks) == ([{Metric.RUNS_WITHOUT_PAIR: 1.0}], 0)
    assert recorder.told == [("a run ended that no pair is recorded for", {"plan": "by-hand"}, True)]
