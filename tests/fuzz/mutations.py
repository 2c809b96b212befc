"""Business Unit: tests | Status: current.

Bad input: arbitrary JSON, and valid values damaged in the ways that the world damages them. A value is what `json.loads` can
give: floats that are no numbers, texts that are no UTF-8, numbers with exponents, names that look like paths.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from shadow.contracts.errors import ContractViolation, ShadowError

Json = Any
Path = tuple[str | int, ...]

SECRET = "AKcanary0secret7Q9"
SECRET_FIELDS = ("account_number", "apiKey", "secret", "APCA-API-SECRET-KEY", "password")
MAX_TEXT = 4_000


def _nested(depth: int) -> Json:
    value: Json = 0
    for _ in range(depth):
        value = [value]
    return value


TEXTS = (
    "",
    " ",
    "x",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "\u202e",
    "é" * 60,
    "x" * 300,
    "x" * 70_000,
    "NaN",
    "-Infinity",
    "1E+999999",
    "1E-999999",
    "1E+40",
    "-0",
    "1_000",
    "\uff11\uff12",
    "9" * 29,
    "0.1",
    "-1",
    "BUY",
    "COMPLETED",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2024-03-15T19:45:00",
    "2024-03-15T19:45:00Z",
    "{}",
    "[]",
    '{"a":',
    "{'a': 1}",
    "[red]markup[/red]",
)
VALUES: tuple[Json, ...] = (
    None,
    True,
    False,
    0,
    -1,
    10**30,
    0.1,
    1e300,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": 1},
    _nested(60),
)
NAMES = ("items.7", "items.²", "items", "", "x", "__class__", "\ud800", "extra", "PK", "detail", *SECRET_FIELDS)

hostile = st.sampled_from(VALUES) | st.sampled_from(TEXTS)
json_values: st.SearchStrategy[Json] = st.recursive(
    hostile | st.text(st.characters(), max_size=12) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
json_objects: st.SearchStrategy[dict[str, Json]] = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=12), json_values, max_size=5
)


def paths_of(value: Json, lead: Path = ()) -> Iterator[Path]:
    """Give every place in `value`, the whole first."""
    yield lead
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from paths_of(inner, (*lead, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths_of(inner, (*lead, index))


def at(value: Json, path: Path) -> Json:
    """Give what stands at a place."""
    for part in path:
        value = value[part]
    return value


def replaced(value: Json, path: Path, new: Json) -> Json:
    """Give a copy of `value` with `new` at a place."""
    if not path:
        return new
    copied = copy.deepcopy(value)
    at(copied, path[:-1])[path[-1]] = new
    return copied


def dropped(value: Json, path: Path) -> Json:
    """Give a copy of `value` without a place."""
    copied = copy.deepcopy(value)
    del at(copied, path[:-1])[path[-1]]
    return copied


def renamed(value: Json, path: Path, name: str) -> Json:
    """Give a copy of `value` with the field at a place under another name."""
    copied = copy.deepcopy(value)
    holder = at(copied, path[:-1])
    holder[name] = holder.pop(path[-1])
    return copied


def _inside_text(text: str, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Damage a JSON text inside the value; any other text is damaged as a text."""
    try:
        inner = json.loads(text)
    except ValueError:
        inner = None
    if isinstance(inner, dict | list):
        return json.dumps(draw(damaged(inner, most=1)))
    cut = draw(st.integers(0, len(text)))
    return text[:cut] + draw(st.sampled_from(TEXTS)) + text[cut:]


def _change(value: Json, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Json:
    places = list(paths_of(value))
    path = draw(st.sampled_from(places))
    kind = draw(st.sampled_from(("drop", "replace", "rename", "nest", "add", "inside", "double")))
    found = at(value, path)
    if kind in ("drop", "rename") and path:
        inside = kind == "rename" and isinstance(path[-1], str)
        return renamed(value, path, draw(st.sampled_from(NAMES))) if inside else dropped(value, path)
    if kind == "nest":
        return replaced(value, path, draw(st.sampled_from([[found], {"value": found}])))
    if kind == "add" and isinstance(found, Mapping):
        name = draw(st.sampled_from(NAMES))
        new = SECRET if name in SECRET_FIELDS else draw(json_values)
        return replaced(value, path, {**found, name: new})
    if kind == "inside" and isinstance(found, str):
        return replaced(value, path, _inside_text(found, draw))
    if kind == "double" and isinstance(found, list):
        return replaced(value, path, [*found, *found])
    return replaced(value, path, draw(hostile | json_values))


@st.composite
def damaged(draw: Callable[[st.SearchStrategy[Any]], Any], valid: Json, most: int = 3) -> Json:
    """Give `valid` with one to `most` changes: dropped, retyped, renamed, nested, doubled, oversized, or damaged in a text."""
    value = valid
    for _ in range(draw(st.integers(1, most))):
        value = _change(value, draw)
    return value


def as_text(value: Json, *, twice: bool = False) -> str:
    """Write a value as JSON text; `twice` gives every key of the whole two times, the first with null."""
    if not twice or not isinstance(value, Mapping):
        return json.dumps(value)
    members = [f"{json.dumps(name)}:{text}" for name, inner in value.items() for text in ("null", json.dumps(inner))]
    return "{" + ",".join(members) + "}"


def raw_texts(valid: Json) -> st.SearchStrategy[str]:
    """Give texts that should be the JSON of `valid`: damaged as values, cut off, with keys twice, or no JSON at all."""
    texts = damaged(valid).map(as_text)
    whole = json.dumps(valid)
    return (
        texts
        | st.integers(0, len(whole) - 1).map(lambda end: whole[:end])
        | st.just(as_text(valid, twice=True))
        | st.sampled_from(("[" * 100_000, '{"a":' * 50_000, "NaN", "1e999999999", "\ufeff{}", "null", '"\\ud800"'))
        | st.text(max_size=40)
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a call: its answer, or the typed error that it raised."""

    answer: Json = None
    error: ShadowError | None = None


def ended(call: Callable[[], Json]) -> Ended:
    """Make a call that may end in a typed error only, one that tells what is wrong in few words and gives no secret away."""
    try:
        return Ended(answer=call())
    except ShadowError as caught:
        error = caught
    check_told(error)
    return Ended(error=error)


def check_told(error: ShadowError) -> None:
    """Check that an error says what is wrong, in few words, and gives no secret away."""
    text = str(error)
    assert text.strip(), type(error)
    assert SECRET not in text, text
    assert SECRET not in repr(error), repr(error)
    if isinstance(error, ContractViolation):
        assert error.faults
        assert all(fault.expected and fault.found for fault in error.faults), text
        assert all(len(str(fault)) < MAX_TEXT for fault in error.faults), text[:MAX_TEXT]
