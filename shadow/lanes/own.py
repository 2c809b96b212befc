"""Business Unit: lanes | Status: current.

Fields of a user's own, which no contract of ours has: one value of a record, read as what it is said to be. Null, absent and
unreadable are three answers, and no number passes through a binary float.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC
from decimal import Decimal

from pydantic.alias_generators import to_camel

from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import MAX_OWN_TEXT, OwnField, OwnType
from shadow.lanes.paths import ABSENT, Unreadable, instant_of, number_of
from shadow.lanes.records import Fields, is_unicode

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ANY_NUMBER = frozenset({"string", "number"})


def is_own_name(name: str) -> bool:
    """Tell whether a field of a user's own may be called so."""
    return _NAME.fullmatch(name) is not None


def own_field(
    name: str, found: object, kind: OwnType, numbers: Collection[str] = _ANY_NUMBER, zone: str | None = None
) -> OwnField:
    """Read one value, `ABSENT` where there is none, as a `kind`. Raises `Unreadable` where it is none."""
    if found is None or found is ABSENT:
        return OwnField(name=name, type=kind, absent=found is ABSENT)
    return OwnField(name=name, type=kind, text=_text(found, kind, frozenset(numbers), zone))


def _text(found: object, kind: OwnType, numbers: frozenset[str], zone: str | None) -> str:
    if kind in (OwnType.DECIMAL, OwnType.INTEGER):
        number = number_of(found, numbers)
        if kind is OwnType.INTEGER and number != number.to_integral_value():
            raise Unreadable("a whole number")
        return decimal_text(number)
    if kind is OwnType.TIME:
        return instant_of(found, zone).astimezone(UTC).isoformat()
    if kind is OwnType.BOOLEAN:
        if not isinstance(found, bool):
            raise Unreadable("true or false")
        return "true" if found else "false"
    if not isinstance(found, str) or len(found) > MAX_OWN_TEXT or not is_unicode(found):
        raise Unreadable(f"a text of at most {MAX_OWN_TEXT} characters")
    return found


def own_of(*places: Fields) -> tuple[OwnField, ...]:
    """Read the fields of the user's own that `places` name, each from the first that has it, on the workflow's wire in camelCase.

    Nobody says what type it has: a number is a decimal, and what is neither number, text, boolean nor null is a fault.
    """
    fields = []
    for name in places[0].own:
        ways = ((place, key) for place in places for key in (name, to_camel(name)) if key in place.values)
        place, key = next(ways, (places[0], name))
        found = place.values.get(key, ABSENT)
        kind = OwnType.TEXT
        if isinstance(found, bool):
            kind = OwnType.BOOLEAN
        elif isinstance(found, int | Decimal):
            kind = OwnType.DECIMAL
        try:
            fields.append(own_field(name, found, kind))
        except Unreadable as error:
            place.fault(key, str(error))
    return tuple(fields)
