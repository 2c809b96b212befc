"""Business Unit: compare | Status: current.

The stored form of a comparison: one canonical JSON document (sorted keys, no spaces, UTF-8, decimals as plain strings), and the
strict way back. A document in which a key stands twice, or a number is a binary float, is refused: somebody else wrote it.
"""

from __future__ import annotations

import json
from hashlib import sha256

from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import FieldFault, InvalidPayload


def canonical_bytes(comparison: Comparison) -> bytes:
    """Write `comparison` as its canonical document: the same comparison is the same bytes."""
    text = json.dumps(
        comparison.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def digest_of(document: bytes) -> str:
    """Name a document by the sha256 of its bytes, in hexadecimal."""
    return sha256(document).hexdigest()


def read_comparison(document: bytes | str) -> Comparison:
    """Read a stored document back. Raises InvalidPayload for anything that is not one, duplicate keys included."""
    try:
        value = json.loads(document, object_pairs_hook=_once, parse_float=_refuse_number, parse_constant=_refuse_number)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("comparison", [FieldFault("(whole)", "a canonical JSON document", str(error))]) from None
    return Comparison.parse(value)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the key {', '.join(twice)} more than once in one object")
    return values


def _refuse_number(text: str) -> object:
    raise ValueError(f"the number {text}, where decimals are strings")
