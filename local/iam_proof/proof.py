"""Business Unit: local cloud | Status: current.

The proof: every call that was made is allowed by its role's policy in the template, and everything that is allowed was called or
carries a written reason.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from local.iam_proof.calls import Call
from local.iam_proof.policies import Statement
from shadow.contracts.model import Frozen

RECORD = Path("local/iam_proof/recorded_calls.json")
DEPLOYED_WITH = {
    "Stage": "dev",
    "ControlLane": "reference",
    "ReportSender": "shadow@example.com",
    "ReportRecipients": "desk@example.com",
}
_CALLS = TypeAdapter(tuple[Call, ...])


class Reason(Frozen):
    """Why something is allowed that the recorded run does not call. The first three are patterns; all must match."""

    role: str = "*"
    sid: str = "*"
    action: str = "*"
    why: str

    def covers(self, line: Line) -> bool:
        """Tell whether this is the reason of `line`."""
        wanted = ((line.role, self.role), (line.sid, self.sid), (line.action, self.action))
        return all(fnmatchcase(found, pattern) for found, pattern in wanted)


_REASONS = TypeAdapter(tuple[Reason, ...])


@dataclass(frozen=True, slots=True)
class Line:
    """One allowed action: the resources it was called on, or the reason why it was not."""

    role: str
    sid: str
    action: str
    resources: tuple[str, ...]
    called_on: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came out: the lines, and what speaks against them."""

    lines: tuple[Line, ...]
    beyond: tuple[Call, ...]
    refused: tuple[Call, ...]
    unexplained: tuple[Line, ...]
    idle_reasons: tuple[Reason, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not (self.beyond or self.refused or self.unexplained or self.idle_reasons)


def prove(calls: Iterable[Call], statements: Iterable[Statement], reasons: Iterable[Reason]) -> Proof:
    """Hold `calls` against `statements`."""
    made, allowed, given = tuple(calls), tuple(statements), tuple(reasons)
    beyond = tuple(call for call in made if not any(_allows(statement, call) for statement in allowed))
    lines = [
        _explained(Line(each.role, each.sid, action, each.resources, _called_on(each, action, made)), given)
        for each in allowed
        for action in each.actions
    ]
    return Proof(
        lines=tuple(lines),
        beyond=beyond,
        refused=tuple(call for call in made if not call.allowed),
        unexplained=tuple(line for line in lines if not line.called_on and not line.why),
        idle_reasons=tuple(reason for reason in given if not any(not line.called_on and reason.covers(line) for line in lines)),
    )


def _allows(statement: Statement, call: Call) -> bool:
    return statement.role == call.role and statement.allows(call.action, call.resource, {"ses:fromaddress": call.sender})


def _called_on(statement: Statement, action: str, calls: Iterable[Call]) -> tuple[str, ...]:
    return tuple(call.resource for call in calls if call.action == action and _allows(statement, call))


def _explained(line: Line, reasons: Iterable[Reason]) -> Line:
    if line.called_on:
        return line
    why = next((reason.why for reason in reasons if reason.covers(line)), "")
    return Line(line.role, line.sid, line.action, line.resources, (), why)


def reasons() -> tuple[Reason, ...]:
    """Read the written reasons. Raises ValueError when the file is not well formed."""
    text = files("local.iam_proof").joinpath("reasons.toml").read_text(encoding="utf-8")
    return _REASONS.validate_python(tomllib.loads(text)["reasons"])


def read_record(root: Path) -> tuple[Call, ...]:
    """Read the recorded calls. Raises ValueError when the file is not well formed."""
    return _CALLS.validate_json((root / RECORD).read_text(encoding="utf-8"))


def write_record(root: Path, calls: Iterable[Call]) -> None:
    """Write the calls down for the page, one a line."""
    lines = ",\n".join(json.dumps(call.to_wire(), sort_keys=True) for call in calls)
    (root / RECORD).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
