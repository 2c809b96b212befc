"""Business Unit: evidence | Status: current.

Finding answers inside state payloads. A task's answer is the state's output itself, or lies in it where the ResultPath put
it, or under `Payload` as the Lambda integration wraps it: the reading does not depend on which.
"""

from __future__ import annotations

from collections.abc import Mapping

from shadow.evidence.fields import as_json
from shadow.evidence.history import Payload


def answer_in(output: Mapping[str, object], mark: str) -> Mapping[str, object]:
    """Find the task's answer in its state's output: the mapping that has the field `mark`; empty where there is none."""
    if mark in output:
        return output
    return next((value for value in output.values() if isinstance(value, Mapping) and mark in value), {})


def mapping_in(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Take the object `name`; empty where there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}


def list_in(value: Mapping[str, object], name: str) -> list[object]:
    """Take the list `name` from an output, or from an answer inside it."""
    for holder in (value, *(inner for inner in value.values() if isinstance(inner, Mapping))):
        found = holder.get(name)
        if isinstance(found, list):
            return found
    return []


def collect_results(value: object, found: dict[str, Mapping[str, object]]) -> None:
    """Add to `found`, by trade id, every trade result in the lists of `value`."""
    lists = value.values() if isinstance(value, Mapping) else (value,)
    for items in lists:
        if isinstance(items, list | tuple) and items and _is_result(items[0]):
            found.update((str(item["tradeId"]), item) for item in items if isinstance(item, Mapping) and _is_result(item))


def collect_one(payload: Payload, found: dict[str, Mapping[str, object]]) -> None:
    """Add to `found` the trade result that one task's output is, or wraps."""
    if payload.text is None or '"tradeId"' not in payload.text or '"status"' not in payload.text:
        return
    value = as_json(payload.text)
    wrapped = value.get("Payload", value) if isinstance(value, Mapping) else value
    for item in (wrapped, *(wrapped.values() if isinstance(wrapped, Mapping) else ())):
        if isinstance(item, Mapping) and _is_result(item):
            found[str(item["tradeId"])] = item


def _is_result(value: object) -> bool:
    return isinstance(value, Mapping) and "status" in value and isinstance(value.get("tradeId"), str)
