"""Business Unit: command line | Status: current.

The checks of `shadow doctor`, one module a subject. Each looks at one thing of the account, read only, and says what it found
and what to do about it. Here is what a check finds, and the account it looks at. A service that denies or does not know a thing
is a finding too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws.clients import code_of, is_denied


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `advice` says what to do where it is not ok."""

    check: str
    level: Level
    found: str
    advice: str = ""

    def to_wire(self) -> dict[str, str | None]:
        """Give the JSON-ready form."""
        return {"check": self.check, "level": self.level.value, "found": self.found, "advice": self.advice or None}


@dataclass(frozen=True, slots=True)
class Account:
    """What is known before anything is asked: the stage, its parameters and where they were read, and the stack as it stands.

    `region` is where samconfig.toml deploys to; `unread` is why the stack could not be read, or nothing.
    """

    stage: str
    parameters: Mapping[str, str]
    source: str
    deployed: bool = False
    local: bool = False
    state: str = ""
    stack_parameters: Mapping[str, str] = field(default_factory=dict)
    configured: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    unread: str = ""

    def parameter(self, name: str, default: str = "") -> str:
        """Give a parameter of the stack."""
        return self.parameters.get(name) or default

    @property
    def existing_control(self) -> bool:
        """Whether the control is there already, rather than deployed by the stack."""
        return self.parameter("ControlLane", "existing") == "existing"

    def of_stage(self, what: str) -> str:
        """Name a resource by the project's rule."""
        return f"alchemiser-{self.stage}-{what}"

    def control_name(self, parameter: str, what: str) -> str:
        """Name one of the control's resources."""
        return self.parameter(parameter, self.of_stage(what))


Check = Callable[[Account], Iterator[Finding]]


def ok(check: str, found: str) -> Finding:
    """Say that all is well."""
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, advice: str) -> Finding:
    """Say that something deserves a look."""
    return Finding(check, Level.WARN, found, advice)


def bad(check: str, found: str, advice: str) -> Finding:
    """Say that a deployment would not work."""
    return Finding(check, Level.FAIL, found, advice)


def judged(check: str, found: str, expected: Mapping[str, tuple[object, object]], advice: str) -> Finding:
    """Hold `name: (expected, was)` together, and name everything that differs."""
    wrong = [f"{name}: expected {want}, was {was}" for name, (want, was) in expected.items() if want != was]
    return bad(check, "; ".join(wrong), advice) if wrong else ok(check, found)


def findings(name: str, check: Check, account: Account) -> list[Finding]:
    """Run one check; what the services refuse becomes a finding."""
    try:
        return list(check(account))
    except ClientError as error:
        advice = f"allow {error.operation_name} to who runs the doctor" if is_denied(error) else "the check could not be made"
        return [bad(name, f"{error.operation_name}: {code_of(error)}", advice)]
    except BotoCoreError as error:
        return [bad(name, f"{type(error).__name__}: {error}", "check the network and the endpoint")]
