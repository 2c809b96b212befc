"""Business Unit: lanes | Status: current.

Values by path in a JSON document that somebody else wrote: `a.b` steps into objects, `[*]` into every element of a list.
Null, absent and unreadable are three answers, and stay three. No number passes through a binary float.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from shadow.contracts.model import is_in_calendar, parse_decimal

EACH = "[*]"


class Absent(Enum):
    """There is no such path; null is a value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Unreadable(ValueError):
    """A value is there and is not what it should be; the text says what was expected."""


def steps(path: str) -> tuple[str, ...]:
    """Split a path into its steps. Raises `Unreadable` where a step is empty."""
    parts = tuple(path.replace(EACH, f".{EACH}").strip(".").split(".")) if path else ()
    if any(not part for part in parts):
        raise Unreadable(f"a path of names with dots between, was {path!r}")
    return parts


def value_at(document: object, path: str) -> object:
    """Give the value at a path without `[*]`; `ABSENT` where a step leads nowhere."""
    for step in steps(path):
        if not isinstance(document, Mapping) or step not in document:
            return ABSENT
        document = document[step]
    return document


def values_at(document: object, path: str) -> list[object] | Absent:
    """Give every value at a path that may have `[*]`; `ABSENT` where the way to its first list leads nowhere."""
    head, each, rest = path.partition(EACH)
    found = value_at(document, head)
    if not each:
        return ABSENT if found is ABSENT else [found]
    if not isinstance(found, list):
        return ABSENT
    inner = [values_at(element, rest.lstrip(".")) for element in found]
    return [value for values in inner if isinstance(values, list) for value in values]


def leaves(document: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Give every value that is no object and no list, with its path, in which elements of lists are `[*]`."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from leaves(value, f"{path}.{name}" if path else str(name))
    elif isinstance(document, list):
        for value in document:
            yield from leaves(value, path + EACH)
    else:
        yield path, document


def is_covered(path: str, known: set[str], ignored: tuple[str, ...]) -> bool:
    """Tell whether a leaf is read (itself or something that it is inside of) or listed as unread (`*` stands for any text)."""
    if any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in known):
        return True
    plain = path.replace(EACH, "<>")
    return any(fnmatchcase(plain, pattern.replace(EACH, "<>")) for pattern in ignored)


def number_of(value: object, forms: frozenset[str]) -> Decimal:
    """Read an exact decimal from the forms that are allowed, `string` and `number`. Raises `Unreadable`."""
    form = "string" if isinstance(value, str) else "number"
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal) or form not in forms:
        raise Unreadable(f"a number as {' or '.join(sorted(forms))}")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise Unreadable("a finite decimal")
    try:
        return parse_decimal(value)
    except ValueError:
        raise Unreadable("a finite decimal") from None


def instant_of(value: object, zone: str | None) -> datetime:
    """Read an ISO 8601 time; one without a zone is in `zone`, and unreadable where none is given. Raises `Unreadable`."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and "-" in value else None
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    if moment is None or moment.tzinfo is None or not is_in_calendar(moment):
        raise Unreadable("an ISO 8601 time with a zone")
    return moment
