"""The state machine's own definition, run in this process by as little of an interpreter as it needs, with the history that
Step Functions would keep. Nothing waits, Map items go one after another; a state or rule that is not known here is an error.
A Distributed Map reads its items from where `read` does and runs each as an execution of its own, with a history of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from shadow.contracts.identity import execution_name_of
from shadow.lanes.workflow.history import read_history
from tests.factories.histories import execution_arn

Json = Any
_NOT_IN_ALL = frozenset({"States.DataLimitExceeded", "States.Runtime"})
Invoke = Callable[[str, Json], Json]


class TaskError(Exception):
    """A state failed: the error's name, as States knows it."""

    def __init__(self, error: str, cause: str) -> None:
        self.error, self.cause = error, cause
        super().__init__(error, cause)


@dataclass(frozen=True)
class Child:
    """The end of one child execution."""

    action: str
    status: str
    transitions: int
    events: int


@dataclass
class SmallExecution:
    """One execution. `invoke(function, event)` answers, or raises TaskError; `read(bucket, key)` gives an object.

    `largest` is the longest payload in its history or a child's, in characters; `children` are the ends of the children.
    """

    definition: Mapping[str, Json]
    run_id: str
    invoke: Invoke
    events: list[dict[str, object]] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    read: Callable[[str, str], bytes] | None = None
    map_runs: dict[str, Mapping[str, object]] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    largest: int = 0

    def run(self, request: Json) -> tuple[Mapping[str, object], list[Mapping[str, object]]]:
        """Run it to its end; give DescribeExecution's answer and the history."""
        self._add("ExecutionStarted", 0, executionStartedEventDetails=_payload("input", request))
        try:
            output, _ = self._states(self.definition, request, 1)
        except TaskError as end:
            self._add("ExecutionFailed", executionFailedEventDetails={"error": end.error, "cause": end.cause})
            return self._described("FAILED", request, error=end.error, cause=end.cause), [*self.events]
        self._add("ExecutionSucceeded", executionSucceededEventDetails=_payload("output", output))
        return self._described("SUCCEEDED", request, output=json.dumps(output)), [*self.events]

    def _described(self, status: str, request: Json, **more: object) -> dict[str, object]:
        arn = execution_arn(self.run_id)
        return {
            "executionArn": arn,
            "stateMachineArn": arn.rpartition(":")[0].replace(":execution:", ":stateMachine:"),
            "name": execution_name_of(self.run_id),
            "status": status,
            "startDate": self.started_at,
            "stopDate": datetime.now(UTC),
            "input": json.dumps(request),
            "redriveCount": 0,
            **more,
        }

    def _add(self, kind: str, previous: int | None = None, **details: object) -> int:
        number = len(self.events) + 1
        texts = [
            len(text) for held in details.values() if isinstance(held, Mapping) for text in held.values() if isinstance(text, str)
        ]
        self.largest = max(self.largest, *texts, 0)
        link = number - 1 if previous is None else previous
        self.events.append({"timestamp": datetime.now(UTC), "type": kind, "id": number, "previousEventId": link, **details})
        return number

    def _states(self, machine: Mapping[str, Json], value: Json, last: int) -> tuple[Json, int]:
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            last = self._add(
                f"{state['Type']}StateEntered", last, stateEnteredEventDetails={"name": name, **_payload("input", value)}
            )
            if state["Type"] == "Fail":
                raise TaskError(state["Error"], state["Cause"])
            try:
                value, following, last = self._one(name, state, value, last)
            except TaskError as error:
                catcher = _catcher(state, error)
                value = _put(value, catcher["ResultPath"], {"Error": error.error, "Cause": error.cause})
                following = catcher["Next"]
            last = self._add(
                f"{state['Type']}StateExited", last, stateExitedEventDetails={"name": name, **_payload("output", value)}
            )
            if following is None:
                return value, last
            name = following

    def _one(self, name: str, state: Mapping[str, Json], value: Json, last: int) -> tuple[Json, str | None, int]:
        following = None if state.get("End") or state["Type"] == "Succeed" else state.get("Next")
        context = {"Execution": {"Id": execution_arn(self.run_id), "Name": execution_name_of(self.run_id)}}
        context["State"] = {"EnteredTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        if state["Type"] == "Choice":
            chosen = next((each["Next"] for each in state["Choices"] if _holds(each, value)), state["Default"])
            return value, chosen, last
        given = _filled(state["Parameters"], value, context) if "Parameters" in state else value
        if state["Type"] == "Pass":
            return given, following, last
        if state["Type"] == "Task":
            answer, last = self._task(state, given, last)
            return _put(value, state.get("ResultPath", "$"), answer), following, last
        if state["Type"] == "Map" and state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED":
            answer, last = self._map_run(state, value, last)
            return _put(value, state["ResultPath"], answer), following, last
        if state["Type"] == "Map":
            answers, last = self._map(name, state, _at(value, state["ItemsPath"]), last)
            return _put(value, state["ResultPath"], answers), following, last
        return value, following, last

    def _task(self, state: Mapping[str, Json], given: Json, last: int) -> tuple[Json, int]:
        retried = [0] * len(state["Retry"])
        while True:
            asked = {"resource": state["Resource"], **_payload("input", given)}
            last = self._add("LambdaFunctionScheduled", last, lambdaFunctionScheduledEventDetails=asked)
            last = self._add("LambdaFunctionStarted", last)
            try:
                answer = self.invoke(state["Resource"], given)
            except TaskError as error:
                failed = {"error": error.error, "cause": error.cause}
                last = self._add("LambdaFunctionFailed", last, lambdaFunctionFailedEventDetails=failed)
                matching = (place for place, each in enumerate(state["Retry"]) if error.error in each["ErrorEquals"])
                place = next(matching, None)
                if place is None or retried[place] == state["Retry"][place]["MaxAttempts"]:
                    raise
                retried[place] += 1
            else:
                succeeded = _payload("output", answer)
                return answer, self._add("LambdaFunctionSucceeded", last, lambdaFunctionSucceededEventDetails=succeeded)

    def _map(self, name: str, state: Mapping[str, Json], items: Sequence[Json], last: int) -> tuple[list[Json], int]:
        opened = self._add("MapStateStarted", last, mapStateStartedEventDetails={"length": len(items)})
        answers = []
        for index, item in enumerate(items):
            about = {"name": name, "index": index}
            started = self._add("MapIterationStarted", opened, mapIterationStartedEventDetails=about)
            answer, ended = self._states(state["ItemProcessor"], item, started)
            self._add("MapIterationSucceeded", ended, mapIterationSucceededEventDetails=about)
            answers.append(answer)
        return answers, self._add("MapStateSucceeded")

    def _map_run(self, state: Mapping[str, Json], value: Json, last: int) -> tuple[Json, int]:
        assert self.read is not None
        place = _filled(state["ItemReader"]["Parameters"], value, {})
        items = json.loads(self.read(place["Bucket"], place["Key"]))
        machine = execution_arn(self.run_id).rpartition(":")[0].replace(":execution:", ":mapRun:")
        arn = f"{machine}/{state['Label']}:{len(self.map_runs)}"
        opened = self._add("MapStateStarted", last, mapStateStartedEventDetails={"length": len(items)})
        last = self._add("MapRunStarted", opened, mapRunStartedEventDetails={"mapRunArn": arn})
        ends = [self._child(state["ItemProcessor"], item) for item in items]
        counts = {"total": len(ends), **Counter(end.status.lower() for end in ends)}
        self.map_runs[arn] = {"mapRunArn": arn, "status": "SUCCEEDED", "executionCounts": counts}
        assert state["ToleratedFailurePercentage"] == 100
        self._add("MapRunSucceeded", last)
        written = {"Bucket": state["ResultWriter"]["Parameters"]["Bucket"], "Key": f"{arn}/manifest.json"}
        return {"MapRunArn": arn, "ResultWriterDetails": written}, self._add("MapStateSucceeded")

    def _child(self, machine: Mapping[str, Json], item: Json) -> Child:
        execution = SmallExecution(machine, self.run_id, self.invoke)
        described, history = execution.run(item)
        facts = read_history(history)
        self.largest = max(self.largest, execution.largest)
        self.children.append(Child(item["action"], str(described["status"]), facts.transitions, len(history)))
        return self.children[-1]


def _payload(name: str, value: Json) -> dict[str, object]:
    return {name: json.dumps(value), f"{name}Details": {"truncated": False}}


def _catcher(state: Mapping[str, Json], error: TaskError) -> Mapping[str, Json]:
    for catcher in state.get("Catch", ()):
        if error.error in catcher["ErrorEquals"] or ("States.ALL" in catcher["ErrorEquals"] and error.error not in _NOT_IN_ALL):
            return cast("Mapping[str, Json]", catcher)
    raise error


def _at(value: Json, path: str) -> Json:
    for part in path.removeprefix("$").removeprefix(".").split("."):
        value = value[part] if part else value
    return value


def _put(value: Json, path: str | None, result: Json) -> Json:
    if path is None:
        return value
    if path == "$":
        return result
    return {**value, path.removeprefix("$."): result}


def _filled(template: Json, value: Json, context: Json) -> Json:
    if not isinstance(template, Mapping):
        return template
    return {
        name.removesuffix(".$"): _read(given, value, context) if name.endswith(".$") else _filled(given, value, context)
        for name, given in template.items()
    }


def _read(path: str, value: Json, context: Json) -> Json:
    return _at(context, path[1:]) if path.startswith("$$.") else _at(value, path)


def _holds(rule: Mapping[str, Json], value: Json) -> bool:
    if "And" in rule:
        return all(_holds(each, value) for each in rule["And"])
    found = _at(value, rule["Variable"])
    if "NumericGreaterThan" in rule:
        return bool(found > rule["NumericGreaterThan"])
    return bool(found == rule.get("BooleanEquals", rule.get("StringEquals")))
