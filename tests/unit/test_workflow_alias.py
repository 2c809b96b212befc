"""Business Unit: tests | Status: current.

What the intake starts: what was deployed last, or the version that an alias or a number names. An execution is found by its name
whichever version it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from shadow.intake.aws import StepFunctionsStarter
from shadow.intake.payload import digest

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:workflow"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:workflow:execution-1"


@dataclass
class Service:
    """Step Functions, with one execution once it was started."""

    started: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)

    def start_execution(self, **request: str) -> dict[str, str]:
        self.started.append(request["stateMachineArn"])
        if len(self.started) > 1:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution")
        return {"executionArn": EXECUTION}

    def describe_execution(self, **request: str) -> dict[str, str]:
        self.described.append(request["executionArn"])
        return {"input": "{}"}


@pytest.mark.parametrize(
    ("qualifier", "started"), [("", MACHINE), ("production", f"{MACHINE}:production"), ("3", f"{MACHINE}:3")]
)
def test_the_named_version_is_started_and_a_second_start_finds_the_first(qualifier: str, started: str) -> None:
    service = Service()
    starter = StepFunctionsStarter(service, MACHINE, qualifier)  # type: ignore[arg-type]

    first = starter.start("execution-1", "{}", frozenset({digest("{}")}))
    again = starter.start("execution-1", "{}", frozenset({digest("{}")}))

    assert first == again == (EXECUTION, digest("{}"))
    assert service.started == [started, started]
    assert service.described == [EXECUTION]
