"""Business Unit: local cloud | Status: current.

The calls that were really made, from the emulator's record, in a form that the next run repeats: ids and digests in names
become stars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from local.cloud.emulator import CALLS_FILE
from shadow.contracts.model import Frozen

_ROLE = re.compile(r"[:-]role/[^/]*?-(?P<role>[A-Za-z]+Role)-[0-9A-F]+(?:/|$)")
_CHANGES = (
    (re.compile(r"(:secret:[^:]*)-[0-9a-zA-Z]{6}$"), r"\1-??????"),
    (re.compile(r"(:execution:[^:]+):.*$"), r"\1:*"),
    (re.compile(r"(:key/)[0-9a-f-]{36}$"), r"\1*"),
    (re.compile(r"^(arn:aws:s3:::[^/]+/(?:plans/map-results|[^/]+))/.*$"), r"\1/*"),
    (re.compile(r"(:stateMachine:[^/]+)/.*$"), r"\1/*"),
)


class Call(Frozen):
    """One kind of call: who, what, on what (ids as stars), and whether it was let through. `sender` is a mail's."""

    role: str
    action: str
    resource: str
    allowed: bool = True
    sender: str = ""


def generalised(resource: str) -> str:
    """Replace what differs from run to run in an ARN by a star."""
    for pattern, replacement in _CHANGES:
        resource = pattern.sub(replacement, resource)
    return resource


def recorded_by(folder: Path) -> tuple[Call, ...]:
    """Read the record of an emulator that ran below `folder`; calls of nobody's role are not the system's."""
    return _sorted(_calls((folder / CALLS_FILE).read_text(encoding="utf-8").splitlines()))


def _calls(lines: Iterable[str]) -> Iterator[Call]:
    for line in lines:
        entry = json.loads(line)
        role = _ROLE.search(entry["principal"])
        if role is not None:
            yield Call(
                role=role["role"],
                action=entry["action"],
                resource=generalised(entry["resource"]),
                allowed=entry["decision"] == "Allow",
                sender=entry["context"].get("ses:fromaddress", ""),
            )


def _sorted(calls: Iterable[Call]) -> tuple[Call, ...]:
    return tuple(sorted(set(calls), key=lambda call: (call.role, call.action, call.resource, call.allowed, call.sender)))
