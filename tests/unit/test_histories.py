"""What a history of events says, event by event, and what of it is a gap."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from shadow.contracts.control_records import MAX_EVENTS, ExecutionStatus
from shadow.lanes.workflow.history import (
    HistoryFacts,
    Payload,
    TaskFailure,
    collect_one,
    function_versions,
    gaps_in,
    read_history,
    status_of,
    version_of,
)
from tests.factories.histories import BEGIN

Events = list[dict[str, object]]


def events_of(*events: tuple[str, dict[str, object]], linked: bool = True) -> Events:
    """Number events, each linked to the one before it."""
    return [
        {"id": number, "type": kind, "timestamp": f"T{number}", **({"previousEventId": number - 1} if linked else {}), **details}
        for number, (kind, details) in enumerate(events, 1)
    ]


def entered(name: str) -> dict[str, object]:
    return {"stateEnteredEventDetails": {"name": name}}


def exited(name: str, output: str = "{}") -> dict[str, object]:
    return {"stateExitedEventDetails": {"name": name, "output": output}}


KINDS = ("Task", "Choice", "Pass", "Wait", "Map", "Parallel", "Fail", "Succeed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_each_kind_is_entered_and_has_its_output_and_that_of_a_pass_is_a_result_too(kind: str) -> None:
    facts = read_history(events_of((f"{kind}StateEntered", entered("S")), (f"{kind}StateExited", exited("S", '"o"'))))
    assert facts.entered == {"S": "T1"}
    assert (facts.reached, facts.last_state, facts.events, facts.unreadable) == ({"S"}, "S", 2, [])
    assert facts.outputs == {"S": Payload('"o"')}
    assert facts.results == ([Payload('"o"')] if kind == "Pass" else [])
    assert facts.terminal_state == ("S" if kind in ("Fail", "Succeed") else None)
    assert (facts.tasks_entered, facts.states_entered) == ((1, 0) if kind == "Task" else (0, 1))


@pytest.mark.parametrize(("kind", "detail"), [("TaskSucceeded", "task"), ("LambdaFunctionSucceeded", "lambdaFunction")])
def test_what_a_task_answered_is_a_result_in_the_order_of_the_events(kind: str, detail: str) -> None:
    named = [(kind, {f"{detail}SucceededEventDetails": {"output": text}}) for text in ("1", "2")]
    facts = read_history(reversed(events_of(*named, (kind, {}))))
    assert facts.results == [Payload("1"), Payload("2"), Payload(None)]
    assert facts.outputs == {}


@pytest.mark.parametrize(
    "failure",
    [
        "TaskFailed",
        "TaskTimedOut",
        "TaskStartFailed",
        "TaskSubmitFailed",
        "LambdaFunctionFailed",
        "LambdaFunctionTimedOut",
        "LambdaFunctionScheduleFailed",
        "LambdaFunctionStartFailed",
        "ActivityFailed",
        "ActivityScheduleFailed",
        "ActivityTimedOut",
        "EvaluationFailed",
        "MapStateFailed",
        "MapStateAborted",
        "MapRunFailed",
        "MapRunAborted",
        "ParallelStateFailed",
        "ParallelStateAborted",
    ],
)
@pytest.mark.parametrize("linked", [True, False])
def test_a_state_that_exits_behind_a_failure_was_caught_and_has_no_output_of_its_own(failure: str, *, linked: bool) -> None:
    events = events_of((failure, {}), ("TaskStateExited", exited("S")), ("PassStateExited", exited("P")), linked=linked)
    assert set(read_history(events).outputs) == {"P"}


@pytest.mark.parametrize("kind", ["TaskStarted", "LambdaFunctionStarted", "TaskSucceeded", "WaitStateEntered"])
def test_a_state_that_exits_behind_anything_else_was_not_caught(kind: str) -> None:
    assert set(read_history(events_of((kind, {}), ("TaskStateExited", exited("S")))).outputs) == {"S"}


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("TaskFailed", "taskFailedEventDetails"),
        ("TaskTimedOut", "taskTimedOutEventDetails"),
        ("TaskStartFailed", "taskStartFailedEventDetails"),
        ("TaskSubmitFailed", "taskSubmitFailedEventDetails"),
        ("LambdaFunctionFailed", "lambdaFunctionFailedEventDetails"),
        ("LambdaFunctionTimedOut", "lambdaFunctionTimedOutEventDetails"),
        ("LambdaFunctionScheduleFailed", "lambdaFunctionScheduleFailedEventDetails"),
        ("LambdaFunctionStartFailed", "lambdaFunctionStartFailedEventDetails"),
    ],
)
def test_each_way_in_which_a_task_fails_is_told(kind: str, detail: str) -> None:
    facts = read_history(events_of((kind, {detail: {"error": "E", "cause": "half \ud800"}}), (kind, {detail: {"error": 7}})))
    assert facts.task_failures == [TaskFailure("E", "half ?", None), TaskFailure(kind, "", None)]


def test_what_a_task_was_asked_follows_its_own_links_among_those_of_others() -> None:
    function = "arn:aws:lambda:us-east-1:1:function:trade:7"
    asked = [
        ("TaskScheduled", {"taskScheduledEventDetails": {"resource": "arn:aws:states:::sns", "parameters": "a"}}),
        ("LambdaFunctionScheduled", {"lambdaFunctionScheduledEventDetails": {"resource": function, "input": "b"}}),
    ]
    events = events_of(
        *asked,
        ("TaskStarted", {}),
        ("LambdaFunctionStarted", {}),
        ("TaskFailed", {"taskFailedEventDetails": {"error": "A"}}),
        ("LambdaFunctionFailed", {"lambdaFunctionFailedEventDetails": {"error": "B"}}),
        ("TaskStarted", {}),
        ("TaskFailed", {}),
    )
    for event, link in zip(events, (9, 9, 1, 2, 3, 4, 5, 7), strict=True):
        event["previousEventId"] = link
    facts = read_history(events)
    assert [(each.error, each.request) for each in facts.task_failures] == [("A", "a"), ("B", "b"), ("TaskFailed", None)]
    assert (facts.functions, facts.tasks_scheduled) == ({function}, 2)


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("ExecutionSucceeded", None),
        ("ExecutionFailed", "executionFailedEventDetails"),
        ("ExecutionAborted", "executionAbortedEventDetails"),
        ("ExecutionTimedOut", "executionTimedOutEventDetails"),
    ],
)
def test_each_end_of_an_execution_is_told_with_its_error_and_cause(kind: str, detail: str | None) -> None:
    started = {"executionStartedEventDetails": {"input": "i"}}
    facts = read_history(events_of(("ExecutionStarted", started), (kind, {detail or "x": {"error": "E", "cause": "C"}})))
    assert (facts.input, facts.started_at) == (Payload("i"), "T1")
    assert (facts.end_type, facts.ended_at) == (kind, "T2")
    assert (facts.error, facts.cause) == (("E", "C") if detail else (None, None))
    again = read_history(events_of((kind, {detail or "x": {"error": "E", "cause": "C"}}), ("ExecutionRedriven", {})))
    assert (again.end_type, again.ended_at, again.error, again.cause, again.redrives) == (None, None, None, None, 1)


@pytest.mark.parametrize(
    ("before", "reached", "known"),
    [
        ((), set(), set()),
        ((("MapStateEntered", "M"),), {"M"}, {"M"}),
        ((("MapStateEntered", "M"), ("FailStateEntered", "F")), set(), {"M"}),
        ((("FailStateEntered", "F"), ("MapStateEntered", "M")), {"M"}, {"M"}),
    ],
)
def test_a_redriven_execution_goes_on_from_the_state_that_failed_and_forgets_the_end_state(
    before: tuple[tuple[str, str], ...], reached: set[str], known: set[str]
) -> None:
    facts = read_history(events_of(*((kind, entered(name)) for kind, name in before), ("ExecutionRedriven", {})))
    assert (facts.reached, set(facts.entered), facts.terminal_state) == (reached, known, None)
    assert facts.last_state == (before[-1][1] if before else None)


@pytest.mark.parametrize(("about", "text"), [({"truncated": 1}, "{}"), ({"included": 0}, "{}"), (7, "{}"), (None, "{}")])
def test_an_output_is_left_out_only_where_the_service_says_so(about: object, text: str) -> None:
    details = {"name": "S", "output": "{}", "outputDetails": about}
    assert read_history(events_of(("MapStateExited", {"stateExitedEventDetails": details}))).outputs["S"].text == text


def test_an_event_counts_once_and_what_is_no_event_is_told() -> None:
    events: list[object] = [*events_of(("ExecutionStarted", {}), ("WaitStateEntered", entered("W")))]
    facts = read_history([*events, events[1], 7, {"id": "3"}])  # type: ignore[list-item] # no events
    assert (facts.events, facts.lost, facts.states_entered) == (2, 0, 1)
    assert facts.unreadable == ["event without an id"] * 2
    assert (read_history([]).lost, read_history(events[1:]).lost) == (0, 1)  # type: ignore[arg-type]
    dated = read_history([{"id": 1, "type": "ExecutionStarted", "timestamp": BEGIN}])
    assert (dated.unreadable, isinstance(dated.started_at, datetime)) == ([], True)


ENDS = {
    "SUCCEEDED": "ExecutionSucceeded",
    "FAILED": "ExecutionFailed",
    "ABORTED": "ExecutionAborted",
    "TIMED_OUT": "ExecutionTimedOut",
}


@pytest.mark.parametrize("end", [*ENDS.values(), None])
@pytest.mark.parametrize("status", [*ENDS, "RUNNING", "PENDING_REDRIVE"])
def test_an_execution_that_ended_has_a_history_that_ends_as_it_did(status: str, end: str | None) -> None:
    told = [(gap.what, gap.reason) for gap in gaps_in(HistoryFacts(events=3, end_type=end), {"status": status})]
    if ENDS.get(status, end) == end:
        assert told == []
    elif end is None:
        assert told == [("execution history", "ends before the execution did")]
    else:
        assert told == [("execution history", f"ends with {end}, and the execution is {status}")]


@pytest.mark.parametrize("status", ["SUCCEEDED", "RUNNING", "ELSE"])
@pytest.mark.parametrize("end", [None, "ExecutionAborted", "ExecutionSucceeded", "ExecutionFailed"])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_history_at_the_services_limit_is_truncated_unless_it_has_the_executions_own_end(
    status: str, end: str | None, more: int
) -> None:
    facts = HistoryFacts(events=MAX_EVENTS + more, end_type=end)
    truncated = more >= 0 and end in (None, "ExecutionAborted")
    assert facts.is_truncated is truncated
    reasons = [gap.reason for gap in gaps_in(facts, {"status": status})]
    assert (f"truncated at {MAX_EVENTS + more} events" in reasons) is truncated
    assert ("unknown: 'ELSE'" in reasons) is (status == "ELSE")
    assert len(reasons) <= 1 + (status == "ELSE")


def test_lost_and_unreadable_events_are_gaps_and_of_many_three_are_named() -> None:
    facts = HistoryFacts(lost=2, unreadable=["a", "b", "c", "d"])
    assert [gap.reason for gap in gaps_in(facts, {"status": "RUNNING"})] == ["2 events are missing from it", "a; b; c"]
    assert {gap.what for gap in gaps_in(facts, {"status": "RUNNING"})} == {"execution history"}
    assert [(gap.what, gap.reason) for gap in gaps_in(HistoryFacts(), {})] == [("execution status", "unknown: None")]


@pytest.mark.parametrize("value", [None, 7, "succeeded", "", "ELSE", []])
def test_a_status_is_a_word_of_the_service_or_unknown(value: object) -> None:
    assert status_of({"status": value}) is None
    assert [status_of({"status": status.value}) for status in ExecutionStatus] == list(ExecutionStatus)


MACHINE = "arn:aws:states:us-east-1:1:stateMachine:workflow"


@pytest.mark.parametrize(
    ("describe", "version"),
    [
        ({"stateMachineVersionArn": f"{MACHINE}:3"}, "workflow:3"),
        ({"stateMachineVersionArn": f"{MACHINE}:3", "definitionSha256": "f" * 64, "stateMachineArn": MACHINE}, "workflow:3"),
        ({"definitionSha256": "0123456789abcdef", "stateMachineArn": MACHINE}, "workflow@0123456789ab"),
        ({"stateMachineArn": MACHINE}, None),
        ({"definitionSha256": 7, "stateMachineArn": MACHINE}, None),
        ({"stateMachineVersionArn": "workflow:3"}, None),
        ({}, None),
    ],
)
def test_a_version_is_the_published_one_or_else_the_definition_s_digest(describe: dict[str, object], version: str | None) -> None:
    assert version_of(describe) == version


def test_published_versions_of_functions_are_named_in_order() -> None:
    arns = {f"arn:aws:lambda:us-east-1:1:function:{name}" for name in ("b:2", "a:1", "a:10", "plain")}
    assert function_versions(HistoryFacts(functions=arns)) == ("a:1", "a:10", "b:2")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (None, True),
        ("{", True),
        ('{"tradeId": "t"}', True),
        ('{"status": "COMPLETED"}', True),
        ('{"tradeId": "t", "status": "COMPLETED"', False),
        ('{"tradeId": "t", "status": "COMPLETED", "status": "FAILED"}', False),
        ('{"tradeId": 7, "status": "COMPLETED"}', True),
        ('[{"tradeId": "t", "status": "COMPLETED"}]', True),
    ],
)
def test_what_may_be_a_trade_s_result_is_read_or_told(text: str | None, *, read: bool) -> None:
    found: dict[str, object] = {}
    assert collect_one(Payload(text), found) is read  # type: ignore[arg-type] # nothing is put there
    assert found == {}


def test_every_result_that_a_task_s_output_wraps_is_found() -> None:
    one, two = ({"tradeId": name, "status": "COMPLETED"} for name in ("a", "b"))
    for value, names in (({"x": one, "y": two, "z": 7}, ["a", "b"]), ({"Payload": two, "x": one}, ["b"]), (one, ["a"])):
        found: dict[str, object] = {}
        assert collect_one(Payload(json.dumps(value)), found)  # type: ignore[arg-type] # results alone are put there
        assert list(found) == names
