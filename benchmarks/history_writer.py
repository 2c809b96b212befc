"""Business Unit: benchmarks | Status: current.

Write an execution's history as Step Functions does for a standard workflow of Lambda tasks: the kinds, the links and the payloads
as texts. Source: AWS Step Functions API reference, HistoryEvent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

_RESOURCE = "arn:aws:lambda:us-east-1:123456789012:function"
_TICK = timedelta(milliseconds=10)
State = dict[str, object]


class HistoryWriter:
    """Collects events, each linked to the one before it."""

    def __init__(self, at: datetime) -> None:
        """Begin at `at`."""
        self.events: list[State] = []
        self._at = at

    def start(self, given: object) -> None:
        """Start the execution."""
        self._add("ExecutionStarted", "executionStarted", _payload("input", given))

    def task(self, name: str, before: object, answer: object, after: object) -> None:
        """Run a Lambda task that answers `answer`."""
        self._add("TaskStateEntered", "stateEntered", {"name": name, **_payload("input", before)})
        self._call(before, answer)
        self._add("TaskStateExited", "stateExited", {"name": name, **_payload("output", after)})

    def choice(self, name: str, state: object) -> None:
        """Pass a Choice."""
        self._add("ChoiceStateEntered", "stateEntered", {"name": name, **_payload("input", state)})
        self._add("ChoiceStateExited", "stateExited", {"name": name, **_payload("output", state)})

    def succeed(self, name: str, state: object) -> None:
        """End the execution."""
        self._add("SucceedStateEntered", "stateEntered", {"name": name, **_payload("input", state)})
        self._add("SucceedStateExited", "stateExited", {"name": name, **_payload("output", state)})
        self._add("ExecutionSucceeded", "executionSucceeded", _payload("output", state))

    def inline_map(self, name: str, inner: str, before: State, after: State, pairs: Iterable[tuple[State, State]]) -> None:
        """Run an inline Map: of each trade its input and its result."""
        made = list(pairs)
        self._add("MapStateEntered", "stateEntered", {"name": name, **_payload("input", before)})
        self._add("MapStateStarted", "mapStateStarted", {"length": len(made)})
        for index, (trade, result) in enumerate(made):
            about = {"name": name, "index": index}
            self._add("MapIterationStarted", "mapIterationStarted", about)
            check = result.get("equityCheck")
            given = trade if check is None else trade | {"equityCheck": check}
            if check is not None:
                self.task("CheckEquityLimit", trade, check, given)
                self.choice("IsEquityAvailable", given)
            self.task(inner, given, result, result)
            self._add("MapIterationSucceeded", "mapIterationSucceeded", about)
        self._add("MapStateSucceeded", None, {})
        self._add("MapStateExited", "stateExited", {"name": name, **_payload("output", after)})

    def distributed_map(self, name: str, state: State, arn: str) -> None:
        """Run a Distributed Map, whose trades are executions of their own."""
        self._add("MapStateEntered", "stateEntered", {"name": name, **_payload("input", state)})
        self._add("MapRunStarted", "mapRunStarted", {"mapRunArn": arn})
        self._add("MapRunSucceeded", None, {})
        self._add("MapStateExited", "stateExited", {"name": name, **_payload("output", state)})

    def _call(self, request: object, answer: object) -> None:
        self._add("LambdaFunctionScheduled", "lambdaFunctionScheduled", {"resource": _RESOURCE, **_payload("input", request)})
        self._add("LambdaFunctionStarted", None, {})
        self._add("LambdaFunctionSucceeded", "lambdaFunctionSucceeded", _payload("output", answer))

    def _add(self, kind: str, details: str | None, values: State) -> None:
        number = len(self.events) + 1
        event: State = {
            "timestamp": self._at + number * _TICK,
            "type": kind,
            "id": number,
            "previousEventId": number - 1,
        }
        if details is not None:
            event[f"{details}EventDetails"] = values
        self.events.append(event)


def _payload(name: str, value: object) -> State:
    return {name: json.dumps(value), f"{name}Details": {"truncated": False}}
