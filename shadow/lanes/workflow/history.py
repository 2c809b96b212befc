"""Business Unit: evidence | Status: current.

One pass over an execution's history, event by event. It takes from each event what the outcome needs and keeps references to
payload texts without parsing them; who reads the outcome decides which few of them are worth parsing.

Histories differ by who wrote them, and all of these are read: AWS and moto link events by `previousEventId` and tell of Map
iterations; MiniStack does neither, and leaves the states inside a Map unnamed. So nothing here rests on those links except
what cannot be had otherwise (which trade a failed task inside an unfinished Map belonged to).

Source of the event types and their details: AWS Step Functions API reference, HistoryEvent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shadow.contracts.control_records import MAX_EVENTS, ExecutionStatus
from shadow.contracts.outcome import Gap
from shadow.lanes.records import as_json

Event = Mapping[str, object]
_FUNCTION, _MACHINE = ":function:", ":stateMachine:"


@dataclass(frozen=True, slots=True)
class Payload:
    """A state's or task's input or output as text; None where the service left it out."""

    text: str | None


@dataclass(slots=True)
class HistoryFacts:
    """What a history says. Times are as the event has them (ISO texts or datetimes).

    `outputs` and `entered` are the last output and first entry by state name; `reached` are the states entered since the last
    redrive, and the one it went on from; `iterated` those inside of a Map, whose last output is that of one iteration. A state
    whose failure was caught exits too, with what it hands to the catcher: that is no output of its own, and is left out. `lost`
    counts the events between the first and the last that are not there: a service numbers them from 1 without a hole. `results`
    are the outputs of tasks and of Pass states (which write the result of a trade whose task failed for good), in order.
    `functions` are the ARNs that were called.
    """

    events: int = 0
    input: Payload | None = None
    started_at: object = None
    ended_at: object = None
    end_type: str | None = None
    error: str | None = None
    cause: str | None = None
    terminal_state: str | None = None
    last_state: str | None = None
    entered: dict[str, object] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    outputs: dict[str, Payload] = field(default_factory=dict)
    iterated: set[str] = field(default_factory=set)
    results: list[Payload] = field(default_factory=list)
    task_failures: list[TaskFailure] = field(default_factory=list)
    map_runs: list[str] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    redrives: int = 0
    states_entered: int = 0
    tasks_entered: int = 0
    tasks_scheduled: int = 0
    unreadable: list[str] = field(default_factory=list)
    lost: int = 0

    @property
    def transitions(self) -> int:
        """How many state transitions were made. A retry is one; a task inside a Map that has no entry of its own is one."""
        return self.states_entered + max(self.tasks_entered, self.tasks_scheduled)

    @property
    def is_truncated(self) -> bool:
        """Whether the history stopped at the service's limit before the execution did."""
        return self.events >= MAX_EVENTS and self.end_type not in ("ExecutionSucceeded", "ExecutionFailed")


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """One task that failed, and what it was asked, where the history tells."""

    error: str
    cause: str
    request: str | None


def read_history(events: Iterable[Event]) -> HistoryFacts:
    """Read `events`, in any order, into facts. Nothing raises: what cannot be read is listed in `unreadable`."""
    facts = HistoryFacts()
    requests: dict[object, str] = {}
    ordered = _in_order(events, facts)
    before = _Before(ordered)
    for event in ordered:
        facts.events += 1
        kind = event.get("type")
        if not isinstance(event.get("timestamp"), str | datetime):
            facts.unreadable.append(f"event {event.get('id')}: no timestamp")
        if not isinstance(kind, str):
            facts.unreadable.append(f"event {event.get('id')}: no type")
        elif kind.endswith("StateExited") and _was_caught(event, before):
            pass
        elif kind in _HANDLERS:
            _HANDLERS[kind](facts, event)
            if kind.endswith("StateExited") and before.is_iterated(event):
                facts.iterated.add(_name_in(event, "stateExited"))
        elif kind in _SCHEDULED or kind in _FAILED:
            _task(facts, event, kind, requests)
    return facts


def _in_order(events: Iterable[Event], facts: HistoryFacts) -> list[Event]:
    """Sort by event id: pages and interleaved iterations may come in any order. A doubled event counts once."""
    kept: dict[int, Event] = {}
    for event in events:
        number = event.get("id") if isinstance(event, Mapping) else None
        if isinstance(number, int):
            kept[number] = event
        else:
            facts.unreadable.append("event without an id")
    facts.lost = max(kept, default=0) - len(kept)
    return [kept[number] for number in sorted(kept)]


def _name_in(event: Event, holder: str) -> str:
    return str(mapping_in(event, f"{holder}EventDetails").get("name"))


class _Before:
    """Tells which event led to an event (the one it is linked to, else the one before it), and whether inside of a Map."""

    def __init__(self, ordered: list[Event]) -> None:
        self._kinds = {event["id"]: kind for event in ordered if isinstance(kind := event.get("type"), str)}
        self._depths: dict[object, int] = {}
        if "MapIterationStarted" in self._kinds.values():
            self._measure(ordered)

    def _measure(self, ordered: list[Event]) -> None:
        """Count for each event in how many Maps it is. An iteration goes by its Map's name: it is linked to whatever was last."""
        around: dict[str, int] = {}
        for event in ordered:
            kind, link = str(event.get("type")), event.get("previousEventId")
            depth = self._depths.get(link, 0) if isinstance(link, int) else 0
            if kind == "MapStateEntered":
                around[_name_in(event, "stateEntered")] = depth
            elif kind == "MapStateExited":
                depth = around.get(_name_in(event, "stateExited"), 0)
            elif kind.startswith("MapIteration"):
                name = _name_in(event, kind[:1].lower() + kind[1:])
                depth = around.get(name, 0) + (kind == "MapIterationStarted")
            self._depths[event["id"]] = depth

    def is_iterated(self, event: Event) -> bool:
        """Tell whether an event is one of an iteration of a Map, where the history tells of iterations."""
        return self._depths.get(event["id"], 0) > 0

    def kind_before(self, event: Event) -> str | None:
        link, number = event.get("previousEventId"), event.get("id")
        if isinstance(link, int) and link > 0:
            return self._kinds.get(link)
        return self._kinds.get(number - 1) if isinstance(number, int) else None


def _was_caught(event: Event, before: _Before) -> bool:
    """Tell whether a state exits because a Catch took its failure: then its last event is the failure.

    A Map or a Parallel fails by an event of its own: a task's failure before its exit is one that an iteration took.
    """
    kinds = _CAUGHT_AROUND if event.get("type") in ("MapStateExited", "ParallelStateExited") else _CAUGHT
    return before.kind_before(event) in kinds


def payload_of(details: Mapping[str, object], name: str) -> Payload:
    """Read a payload. `included: false` and `truncated: true` both say that it was left out."""
    text = details.get(name)
    about = details.get(f"{name}Details")
    if isinstance(about, Mapping) and (about.get("truncated") is True or about.get("included") is False):
        return Payload(None)
    return Payload(text if isinstance(text, str) else None)


def _started(facts: HistoryFacts, event: Event) -> None:
    facts.input = payload_of(mapping_in(event, "executionStartedEventDetails"), "input")
    facts.started_at = event.get("timestamp")


def _ended(detail: str | None) -> Callable[[HistoryFacts, Event], None]:
    def handle(facts: HistoryFacts, event: Event) -> None:
        facts.end_type = str(event["type"])
        facts.ended_at = event.get("timestamp")
        details = mapping_in(event, detail) if detail else {}
        facts.error = _text(details.get("error"))
        facts.cause = _text(details.get("cause"))

    return handle


def _redriven(facts: HistoryFacts, event: Event) -> None:
    """Forget the earlier end: the execution goes on from where it failed."""
    facts.redrives += 1
    facts.entered.pop(facts.terminal_state or "", None)
    facts.reached = {facts.last_state} if facts.last_state and facts.last_state != facts.terminal_state else set()
    facts.end_type = facts.ended_at = facts.error = facts.cause = facts.terminal_state = None
    del event


def _entered(facts: HistoryFacts, event: Event) -> None:
    kind = str(event["type"])
    name = _text(mapping_in(event, "stateEnteredEventDetails").get("name"))
    if kind == "TaskStateEntered":
        facts.tasks_entered += 1
    else:
        facts.states_entered += 1
    if name is None:
        facts.unreadable.append(f"event {event.get('id')}: {kind} without a state name")
        return
    facts.entered.setdefault(name, event.get("timestamp"))
    facts.reached.add(name)
    facts.last_state = name
    if kind in ("FailStateEntered", "SucceedStateEntered"):
        facts.terminal_state = name


def _exited(facts: HistoryFacts, event: Event) -> None:
    details = mapping_in(event, "stateExitedEventDetails")
    name = details.get("name")
    if isinstance(name, str):
        output = facts.outputs[name] = payload_of(details, "output")
        if event["type"] == "PassStateExited":
            facts.results.append(output)


def _succeeded(detail: str) -> Callable[[HistoryFacts, Event], None]:
    def handle(facts: HistoryFacts, event: Event) -> None:
        facts.results.append(payload_of(mapping_in(event, detail), "output"))

    return handle


def _map_run(facts: HistoryFacts, event: Event) -> None:
    arn = mapping_in(event, "mapRunStartedEventDetails").get("mapRunArn")
    if isinstance(arn, str):
        facts.map_runs.append(arn)
    else:
        facts.unreadable.append(f"event {event.get('id')}: MapRunStarted without its ARN")


def _task(facts: HistoryFacts, event: Event, kind: str, requests: dict[object, str]) -> None:
    """Follow a task from what it was asked to how it failed, along `previousEventId` where there is one."""
    link = event.get("previousEventId")
    before = link if isinstance(link, int) else None
    if kind in _SCHEDULED:
        holder, name = _SCHEDULED[kind]
        facts.tasks_scheduled += 1
        resource = _text(mapping_in(event, holder).get("resource"))
        if resource is not None and _FUNCTION in resource:
            facts.functions.add(resource)
        request = _text(mapping_in(event, holder).get(name))
        if request is not None and before is not None:
            requests[event.get("id")] = request
        return
    request = requests.get(before) if before is not None else None
    detail = _FAILED[kind]
    if detail is None:
        if request is not None:
            requests[event.get("id")] = request
        return
    details = mapping_in(event, detail)
    facts.task_failures.append(TaskFailure(_text(details.get("error")) or kind, _text(details.get("cause")) or "", request))


def _text(value: object) -> str | None:
    """Take a text; half of a surrogate pair in it, which no document can hold, becomes `?`."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode(errors="replace").decode()


_SCHEDULED = {
    "TaskScheduled": ("taskScheduledEventDetails", "parameters"),
    "LambdaFunctionScheduled": ("lambdaFunctionScheduledEventDetails", "input"),
}
_FAILED: dict[str, str | None] = {
    "TaskStarted": None,
    "LambdaFunctionStarted": None,
    "TaskFailed": "taskFailedEventDetails",
    "TaskTimedOut": "taskTimedOutEventDetails",
    "TaskStartFailed": "taskStartFailedEventDetails",
    "TaskSubmitFailed": "taskSubmitFailedEventDetails",
    "LambdaFunctionFailed": "lambdaFunctionFailedEventDetails",
    "LambdaFunctionTimedOut": "lambdaFunctionTimedOutEventDetails",
    "LambdaFunctionScheduleFailed": "lambdaFunctionScheduleFailedEventDetails",
    "LambdaFunctionStartFailed": "lambdaFunctionStartFailedEventDetails",
}
_CAUGHT_AROUND = frozenset(
    {"MapStateFailed", "MapStateAborted", "MapRunFailed", "MapRunAborted", "ParallelStateFailed", "ParallelStateAborted"}
    | {"EvaluationFailed"}
)
_CAUGHT = frozenset(
    {name for name, detail in _FAILED.items() if detail is not None}
    | {"ActivityFailed", "ActivityScheduleFailed", "ActivityTimedOut", "EvaluationFailed"}
    | _CAUGHT_AROUND
)
_END_OF = {
    ExecutionStatus.SUCCEEDED: "ExecutionSucceeded",
    ExecutionStatus.FAILED: "ExecutionFailed",
    ExecutionStatus.ABORTED: "ExecutionAborted",
    ExecutionStatus.TIMED_OUT: "ExecutionTimedOut",
}
_STATE_KINDS = ("Task", "Choice", "Pass", "Wait", "Map", "Parallel", "Fail", "Succeed")
_HANDLERS: dict[str, Callable[[HistoryFacts, Event], None]] = {
    "ExecutionStarted": _started,
    "ExecutionSucceeded": _ended(None),
    "ExecutionFailed": _ended("executionFailedEventDetails"),
    "ExecutionAborted": _ended("executionAbortedEventDetails"),
    "ExecutionTimedOut": _ended("executionTimedOutEventDetails"),
    "ExecutionRedriven": _redriven,
    "TaskSucceeded": _succeeded("taskSucceededEventDetails"),
    "LambdaFunctionSucceeded": _succeeded("lambdaFunctionSucceededEventDetails"),
    "MapRunStarted": _map_run,
    **{f"{kind}StateEntered": _entered for kind in _STATE_KINDS},
    **{f"{kind}StateExited": _exited for kind in _STATE_KINDS},
}


def status_of(describe: Mapping[str, object]) -> ExecutionStatus | None:
    """Read an execution's status; None where it is none of the service's words."""
    value = describe.get("status")
    return ExecutionStatus(value) if isinstance(value, str) and value in ExecutionStatus.__members__ else None


def gaps_in(facts: HistoryFacts, describe: Mapping[str, object]) -> list[Gap]:
    """Name what is not known of an execution: its status, and what its history does not have or cannot be read of it."""
    status, gaps = status_of(describe), []
    if status is None:
        gaps.append(Gap(what="execution status", reason=f"unknown: {describe.get('status')!r}"))
    if facts.is_truncated:
        gaps.append(Gap(what="execution history", reason=f"truncated at {facts.events} events"))
    elif status and status.is_terminal and facts.end_type is None:
        gaps.append(Gap(what="execution history", reason="ends before the execution did"))
    elif status and status.is_terminal and facts.end_type != _END_OF[status]:
        gaps.append(Gap(what="execution history", reason=f"ends with {facts.end_type}, and the execution is {status.value}"))
    if facts.lost:
        gaps.append(Gap(what="execution history", reason=f"{facts.lost} events are missing from it"))
    if facts.unreadable:
        gaps.append(Gap(what="execution history", reason="; ".join(facts.unreadable[:3])))
    return gaps


def version_of(describe: Mapping[str, object]) -> str | None:
    """Name the published version that an execution ran, as `name:number`; without one the definition, as `name@digest`.

    None where neither is known.
    """
    name, definition = _text(describe.get("stateMachineVersionArn")), _text(describe.get("definitionSha256"))
    if name is None and definition is not None:
        name = f"{_text(describe.get('stateMachineArn'))}@{definition[:12]}"
    return None if name is None or _MACHINE not in name else name.split(_MACHINE, 1)[1]


def function_versions(facts: HistoryFacts) -> tuple[str, ...]:
    """Name the published versions of functions that an execution called, as `name:number`; without one, nothing is named."""
    names = {arn.split(_FUNCTION, 1)[1] for arn in facts.functions}
    return tuple(sorted(name for name in names if ":" in name))


def answer_in(output: Mapping[str, object], mark: str) -> Mapping[str, object]:
    """Find the task's answer in its state's output: the mapping that has the field `mark`; empty where there is none."""
    if mark in output:
        return output
    return next((value for value in output.values() if isinstance(value, Mapping) and mark in value), {})


def mapping_in(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Take the object `name`; empty where there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}


def list_in(value: Mapping[str, object], name: str) -> list[object]:
    """Take the list `name` from an output, or from an answer inside it."""
    for holder in (value, *(inner for inner in value.values() if isinstance(inner, Mapping))):
        found = holder.get(name)
        if isinstance(found, list):
            return found
    return []


Results = dict[str, list[Mapping[str, object]]]
"""Trade results by trade id. More than one of an id: the lane recorded the trade more than once."""


def collect_results(value: object, found: Results) -> None:
    """Put into `found`, by trade id, every trade result in the lists of `value`."""
    lists = value.values() if isinstance(value, Mapping) else (value,)
    for items in lists:
        if isinstance(items, list | tuple) and items and _is_result(items[0]):
            named: Results = {}
            for item in items:
                if isinstance(item, Mapping) and _is_result(item):
                    named.setdefault(str(item["tradeId"]), []).append(item)
            found.update(named)


def collect_one(payload: Payload, found: dict[str, Mapping[str, object]]) -> bool:
    """Add to `found` the trade result that one task's output is, or wraps; tell whether what may be one could be read."""
    if payload.text is None or '"tradeId"' not in payload.text or '"status"' not in payload.text:
        return True
    value = as_json(payload.text)
    wrapped = value.get("Payload", value) if isinstance(value, Mapping) else value
    for item in (wrapped, *(wrapped.values() if isinstance(wrapped, Mapping) else ())):
        if isinstance(item, Mapping) and _is_result(item):
            found[str(item["tradeId"])] = item
    return value is not None


def _is_result(value: object) -> bool:
    return isinstance(value, Mapping) and "status" in value and isinstance(value.get("tradeId"), str)
