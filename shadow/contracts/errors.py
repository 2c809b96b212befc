"""Business Unit: shared contracts | Status: current.

The exceptions that cross rooms. Each room adds its own below `ShadowError`. Class names are public API:
the state machine's `ErrorEquals` matches on them.

ShadowError
├── ContractViolation      something that crossed a wire is not what its contract says
│   ├── InvalidPlan
│   └── InvalidPayload
├── ConfigurationError     the environment or a parameter is wrong: no retry will help
└── (shadow.broker.port, shadow.aws.clients, …)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError

SYMBOL_PATTERN = r"^[A-Z0-9][A-Z0-9.:/\-]*$"
IDENTIFIER_PATTERN = r"^[\x21-\x7e]+$"
OWN_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_FORMS = {
    SYMBOL_PATTERN: "a symbol in upper case, for example AAPL",
    IDENTIFIER_PATTERN: "an id of visible ASCII characters, for example plan-2026-11-24",
    OWN_NAME_PATTERN: "a name of letters, digits and _, for example commission",
}
"""What people are told of a text that has not the form of its field."""
_LENGTH = re.compile(r"\w+ should have (at (?:least|most) \d+ \w+)")
_SHOWN = 80
_MAX_BITS = 10_000


class ShadowError(Exception):
    """The root of everything this library raises on purpose."""


class ConfigurationError(ShadowError):
    """The environment or a parameter is wrong; no retry will help."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One faulty field: where it is, what was expected there, and what was there instead."""

    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"{self.field}: expected {self.expected}, was {self.found}"


class ContractViolation(ShadowError):
    """Something that crossed a wire is not what its contract says. Carries every faulty field."""

    def __init__(self, what: str, faults: Iterable[FieldFault]) -> None:
        """Remember `what` was malformed and each of its `faults`."""
        self.what = what
        self.faults = tuple(faults)
        super().__init__(f"{what}: " + "; ".join(str(fault) for fault in self.faults))


class InvalidPlan(ContractViolation):
    """A rebalance plan that does not keep its contract."""


class InvalidPayload(ContractViolation):
    """A message, item, event or state payload that does not keep its contract."""


def faults_of(error: ValidationError) -> tuple[FieldFault, ...]:
    """Turn pydantic's `error` into faults that name the field, what was expected, and what was there."""
    faults = []
    for entry in error.errors(include_url=False):
        path = ".".join(str(part)[:_SHOWN] for part in entry["loc"]) or "(whole)"
        found = _found(entry["type"], entry["input"])
        faults.append(FieldFault(path, _expected(entry["type"], entry["msg"], entry.get("ctx", {})), found))
    return tuple(faults)


_WORDS = {
    "missing": "a value",
    "extra_forbidden": "no such field",
    "json_invalid": "a JSON document",
    "model_type": "a JSON object",
    "dict_type": "a JSON object",
}


def _expected(kind: str, message: str, context: Mapping[str, object]) -> str:
    """Reword pydantic's message as the thing that was expected."""
    told = _WORDS.get(kind) or (_FORMS.get(str(context.get("pattern"))) if kind == "string_pattern_mismatch" else None)
    if told is not None:
        return told
    if length := _LENGTH.match(message):
        return length[1]
    for lead in ("Value error, expected ", "Value error, ", "Input should be ", "Assertion failed, "):
        if message.startswith(lead):
            return message.removeprefix(lead)
    return message[:1].lower() + message[1:]


def _found(kind: str, value: object) -> str:
    """Say what was there. What stands in a field that nobody knows, or deeper in an object, may be a secret: it is not shown."""
    if kind == "missing":
        return "nothing"
    if kind == "json_invalid":
        return "no JSON"
    if isinstance(value, dict):
        return f"an object with {len(value)} field{'' if len(value) == 1 else 's'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return type(value).__name__ if kind == "extra_forbidden" else _shown(value)


def _shown(value: object) -> str:
    """Show what was found, short enough for one line."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


class EvidenceUnavailable(ShadowError):
    """A source of evidence did not answer; worth another try."""


class MissingPermission(ShadowError):
    """AWS refuses the role. No verdict is made of what could not be read for that: the call fails, is counted, and alarms."""


class EvidenceCorrupt(ShadowError):
    """Stored bytes do not have the digest that their key promises."""


class UnknownPair(ShadowError):
    """No pair is recorded for this plan or run."""


class PairMoved(ShadowError):
    """Another comparator changed the pair first; read it again."""


class UnreadableDocument(ShadowError):
    """A stored document does not keep its contract: which one, which field, what was expected or found."""

    def __init__(self, document: str, field: str, problem: str) -> None:
        """Remember the `document`'s name, the `field` (`$` is the whole) and the `problem`."""
        self.document = document
        self.field = field
        self.problem = problem
        super().__init__(f"{document}: {field}: {problem}")

    def __reduce__(self) -> tuple[type[UnreadableDocument], tuple[str, str, str]]:
        """Come out of another process as it went in."""
        return type(self), (self.document, self.field, self.problem)


class UnreachableSource(ShadowError):
    """The store, folder, file or table can't be read: which one, what was expected, what was there."""

    def __init__(self, source: str, expected: str, found: str) -> None:
        """Remember the `source`, what was `expected` and what was `found`."""
        self.source = source
        self.expected = expected
        self.found = found
        super().__init__(f"{source}: expected {expected}, was {found}")

    def __reduce__(self) -> tuple[type[UnreachableSource], tuple[str, str, str]]:
        """Come out of another process as it went in."""
        return type(self), (self.source, self.expected, self.found)
