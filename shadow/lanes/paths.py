"""Business Unit: lanes | Status: current.

Where a value stands in a JSON document that somebody else wrote, and what of such a document nobody reads.

A path is names with dots between: `a.b` steps into objects, `[2]` takes an element of a list, `[*]` goes through a list and `{*}`
through the values of an object. A name with a dot or a bracket in it stands in quotes. A path may go on below a text: that is
JSON inside of JSON, as the answer of a nested execution has it, or the body of one to HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache

from shadow.lanes.records import ABSENT, Absent, Unreadable, as_json


class Each(Enum):
    """A step into all that something holds: the elements of a list, or the values of an object."""

    ELEMENT = "[*]"
    MEMBER = "{*}"


Step = str | int | Each
Way = tuple[Step, ...]
_NAME = r'[^.\[\]{}"]+'
_STEP = re.compile(
    rf'(?:^|\.)(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<name>{_NAME}))|(?P<each>\[\*\]|\{{\*\}})|\[(?P<number>\d{{1,6}})\]'
)
_UNQUOTED = re.compile(_NAME)


@lru_cache(maxsize=4096)
def steps(path: str) -> Way:
    """Split a path into its steps. Raises `Unreadable` where one is empty or none."""
    text = path.strip(".")
    found: list[Step] = []
    at = 0
    while at < len(text) or (path and not text):
        match = _STEP.match(text, at)
        name = (match["name"] or as_json(match["quoted"] or "")) if match else None
        if match is None or (name is None and match["each"] is None and match["number"] is None):
            raise Unreadable(f"a path of names with dots between, was {path!r}")
        found.append(Each(match["each"]) if match["each"] else int(match["number"]) if match["number"] else str(name))
        at = match.end()
    return tuple(found)


def written(way: str, step: Step) -> str:
    """Write a path and one more step as `steps` reads them."""
    if isinstance(step, str):
        name = step if _UNQUOTED.fullmatch(step) else json.dumps(step, ensure_ascii=False)
        return f"{way}.{name}" if way else name
    return f"{way}[{step}]" if isinstance(step, int) else f"{way}{step.value}"


def below(document: object, step: Step) -> object:
    """Take one step, into what a text holds as JSON too; `ABSENT` where it leads nowhere.

    The step `{*}` gives the name that `named` put into a row.
    """
    inside = as_json(document) if isinstance(document, str) else document
    if isinstance(step, int):
        return inside[step] if isinstance(inside, list) and step < len(inside) else ABSENT
    return inside[step] if isinstance(inside, Mapping) and step in inside else ABSENT


def members(document: object, each: Each) -> list[tuple[Step, object]] | None:
    """Give all that a list or an object holds, each with its step; None where the document is not such a one."""
    inside = as_json(document) if isinstance(document, str) else document
    if each is Each.ELEMENT:
        return list(enumerate(inside)) if isinstance(inside, list) else None
    return [(str(name), value) for name, value in inside.items()] if isinstance(inside, Mapping) else None


def named(row: object, step: Step | None) -> object:
    """Let an object carry the name that it stands under in another one, where no JSON has a key."""
    return {**row, Each.MEMBER: step} if isinstance(row, Mapping) and isinstance(step, str) else row


def value_at(document: object, path: str) -> object:
    """Give the value at a path that leads to one; `ABSENT` where a step leads nowhere."""
    for step in steps(path):
        document = below(document, step)
    return document


def values_at(document: object, path: str) -> list[object] | Absent:
    """Give every value at a path; `ABSENT` where the way to the first list or object that it goes through leads nowhere."""
    return _values(document, steps(path))


def _values(document: object, way: Way) -> list[object] | Absent:
    for number, step in enumerate(way, 1):
        if isinstance(step, Each):
            held = members(document, step)
            inner = [] if held is None else [_values(value, way[number:]) for _, value in held]
            return ABSENT if held is None else [value for values in inner if isinstance(values, list) for value in values]
        document = below(document, step)
    return ABSENT if document is ABSENT else [document]


def unread(document: object, ways: Iterable[Way], place: str = "") -> Iterator[tuple[str, object]]:
    """Give every single value that no way leads to, and that stands in nothing that one leads to, with its path.

    A null on a way is nothing: the object that the way goes on in was not set.
    """
    ways = list(ways)
    if () in ways:
        return
    inside = as_json(document) if isinstance(document, str) and ways else None
    inside = inside if isinstance(inside, Mapping | list) else document
    if isinstance(inside, Mapping):
        are_rows = any(way[0] is Each.MEMBER for way in ways)
        for name, value in inside.items():
            rest = [way[1:] for way in ways if way[0] is Each.MEMBER or way[0] == name]
            yield from unread(value, rest, written(place, Each.MEMBER if are_rows else str(name)))
    elif isinstance(inside, list):
        by_number = any(isinstance(way[0], int) for way in ways)
        for number, value in enumerate(inside):
            rest = [way[1:] for way in ways if way[0] is Each.ELEMENT or way[0] == number]
            yield from unread(value, rest, written(place, number if by_number else Each.ELEMENT))
    elif not (document is None and ways):
        yield place, document


def is_listed(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether a path is listed as unread: `*` in a pattern stands for any text, and every other character for itself."""
    return any(_pattern(pattern).fullmatch(path) for pattern in patterns)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\[\*\]|\{\*\}|\*)", pattern)
    return re.compile("".join(".*" if part == "*" else re.escape(part) for part in parts), re.DOTALL)
