"""Business Unit: evidence | Status: current.

Reading one record field by field. A lane's record is somebody else's: a field of the wrong type or a new attribute must
not lose the rest of the record. So every faulty field is noted as a contract violation that names it, and read as absent.

Null, absent and unreadable are three answers, and stay three. No number passes through a binary float.

Fields of a user's own, which no contract of ours has, are read so as well: one value of a record, as what it is said to be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TypeGuard, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from shadow.contracts.errors import SYMBOL_PATTERN, faults_of
from shadow.contracts.model import (
    MAGNITUDES,
    MAX_SIGNIFICANT_DIGITS,
    MAX_SUM_DIGITS,
    MAX_SYMBOL,
    decimal_text,
    is_in_calendar,
    is_unicode,
    load_json,
    parse_decimal,
    parse_moment,
)
from shadow.contracts.outcome import MAX_OWN_TEXT, OwnField, OwnType

_Choice = TypeVar("_Choice", bound=StrEnum)
_Model = TypeVar("_Model", bound=BaseModel)
_NOTHING: set[str] = set()
_SHOWN = 60
_MAX_IDENTIFIER = 200
_SYMBOL = re.compile(SYMBOL_PATTERN)


class Fields:
    """One record, named `where`; faulty fields are appended to `faults`.

    With `exact_numbers` a number must be a number (a table item); without, a decimal string (the JSON wire). `own` names
    attributes of a user's own, which are not unknown: `own_of` reads them.
    """

    __slots__ = ("exact_numbers", "faults", "own", "values", "where")

    def __init__(
        self,
        where: str,
        values: Mapping[str, object],
        faults: list[str],
        *,
        exact_numbers: bool = False,
        own: Collection[str] = (),
    ) -> None:
        """Read `values`."""
        self.own = own
        self.where = where
        self.values = values
        self.faults = faults
        self.exact_numbers = exact_numbers

    def fault(self, name: str, expected: str) -> None:
        """Note that the field `name` is not what was `expected`."""
        value = self.values.get(name)
        found = "nothing" if value is None else repr(value)
        shown = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…"
        self.faults.append(f"{self.where}.{name}: expected {expected}, was {shown}")

    def text(self, name: str) -> str | None:
        """Read a text; None where absent or empty."""
        value = self.values.get(name)
        if value is None or (isinstance(value, str) and is_unicode(value)):
            return value or None
        self.fault(name, "a text")
        return None

    def identifier(self, name: str) -> str | None:
        """Read an identifier: up to 200 visible ASCII characters. The same one is the same object, however often it is read."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if is_identifier(value):
            return sys.intern(value)
        self.fault(name, "an identifier")
        return None

    def symbol(self, name: str) -> str | None:
        """Read a symbol, in capitals as the contract has it; None where absent or empty."""
        value = self.identifier(name)
        if value is None or is_symbol(value):
            return value
        self.fault(name, "a symbol in capitals")
        return None

    def number(self, name: str, digits: int = MAX_SIGNIFICANT_DIGITS) -> Decimal | None:
        """Read an exact decimal of at most so many significant digits."""
        value = self.values.get(name)
        if value is None:
            return None
        if self.exact_numbers and isinstance(value, str):
            self.fault(name, "a number")
            return None
        try:
            return parse_decimal(value, digits)
        except ValueError:
            self.fault(name, "a finite decimal" if self.exact_numbers else "a decimal string")
            return None

    def total(self, name: str) -> Decimal | None:
        """Read a sum of exact decimals: a table, and whoever sums as exactly, gives more digits than one amount has."""
        return self.number(name, MAX_SUM_DIGITS)

    def amount(self, name: str, digits: int = MAX_SIGNIFICANT_DIGITS) -> Decimal | None:
        """Read an exact decimal that is zero or more."""
        value = self.number(name, digits)
        if value is not None and value < 0:
            self.fault(name, "zero or more")
            return None
        return value

    def amount_total(self, name: str) -> Decimal | None:
        """Read a sum of exact decimals that is zero or more."""
        return self.amount(name, MAX_SUM_DIGITS)

    def count(self, name: str) -> int | None:
        """Read a whole number that is zero or more."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if isinstance(value, Decimal) and _is_whole(value) and value >= 0:
            return int(value)
        self.fault(name, "a whole number, zero or more")
        return None

    def flag(self, name: str) -> bool | None:
        """Read a truth value."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.fault(name, "true or false")
        return None

    def moment(self, name: str) -> datetime | None:
        """Read an ISO 8601 time with a zone."""
        value = self.values.get(name)
        if value is None:
            return None
        moment = as_moment(value)
        if moment is None:
            self.fault(name, "an ISO 8601 time with a zone")
        return moment

    def choice(self, name: str, kind: type[_Choice]) -> _Choice | None:
        """Read a word of a closed list."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return kind(value) if isinstance(value, str) else kind("")
        except ValueError:
            self.fault(name, " or ".join(kind))
            return None

    def mapping(self, name: str) -> Mapping[str, object] | None:
        """Read an object."""
        value = self.values.get(name)
        if value is None or isinstance(value, Mapping):
            return value
        self.fault(name, "an object")
        return None

    def document(self, name: str) -> Mapping[str, object] | None:
        """Read a JSON text that holds an object."""
        text = self.text(name)
        if text is None:
            return None
        value = as_json(text)
        if isinstance(value, Mapping):
            return value
        self.fault(name, "a JSON object")
        return None

    def below(self, name: str, values: Mapping[str, object]) -> Fields:
        """Read the record `values` inside this one, a JSON document."""
        return Fields(f"{self.where}.{name}", values, self.faults, own=self.own)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Note every attribute that the contract does not have."""
        for name in sorted(self.values.keys() - {*known, *self.own}):
            self.faults.append(f"{self.where}.{name}: expected no such attribute, was {type(self.values[name]).__name__}")

    def hold_against(self, model: type[BaseModel], **given: object) -> None:
        """Note every field that `model` finds missing or of another type, and that has not been noted yet.

        `given` are fields that may be left out, as they are to be taken then.

        To be called when the record has been read: what nobody reads, and what is read only sometimes, is checked here.
        """
        try:
            model.model_validate({**self.values, **given})
        except ValidationError as error:
            noted = tuple(fault.partition(":")[0] for fault in self.faults)
            for fault in faults_of(error):
                place = f"{self.where}.{fault.field}"
                if place not in noted:
                    self.faults.append(f"{place}: expected {fault.expected}, was {fault.found}")

    def require(self, *names: str) -> None:
        """Note every named field that is absent."""
        for name in names:
            if self.values.get(name) is None:
                self.fault(name, "a value")


def is_symbol(value: str) -> bool:
    """Tell whether an identifier is written as the contract writes a symbol."""
    return len(value) <= MAX_SYMBOL and _SYMBOL.fullmatch(value) is not None


def is_identifier(value: object) -> TypeGuard[str]:
    """Tell whether a value is an identifier: 1 to 200 visible ASCII characters."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_IDENTIFIER:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def _is_whole(value: Decimal) -> bool:
    """Tell whether a number is whole, and of a size that may be written out."""
    return value.is_finite() and value.adjusted() in MAGNITUDES and value == value.to_integral_value()


def slim(model: _Model) -> _Model:
    """Drop pydantic's record of which fields were set, and return the model.

    That record is a set of names for each model and takes more memory than the values; nothing here reads it.
    """
    object.__setattr__(model, "__pydantic_fields_set__", _NOTHING)
    return model


def as_moment(value: object) -> datetime | None:
    """Read a zoned time from a datetime or ISO text; None where it is neither, or too far away to be given in every zone."""
    try:
        moment = parse_moment(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and is_in_calendar(moment) else None


def as_json(text: str) -> object:
    """Read a JSON text with exact numbers; None where it is not JSON, or has a key twice in one object."""
    try:
        return load_json(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


class Absent(Enum):
    """There is no such path; null is a value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Unreadable(ValueError):
    """A value is there and is not what it should be; the text says what was expected."""


def number_of(value: object, forms: frozenset[str]) -> Decimal:
    """Read an exact decimal from the forms that are allowed, `string` and `number`. Raises `Unreadable`."""
    form = "string" if isinstance(value, str) else "number"
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal) or form not in forms:
        raise Unreadable(f"a number as {' or '.join(sorted(forms))}")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise Unreadable("a finite decimal")
    try:
        return parse_decimal(value)
    except ValueError as error:
        raise Unreadable(str(error).removeprefix("expected ")) from None


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


ANY_NUMBER = frozenset({"string", "number"})
"""Both forms that `number_of` reads."""
_LATEST_MICROSECONDS = 32_503_680_000 * 1_000_000
EPOCHS = {"epoch_seconds": 1_000_000, "epoch_milliseconds": 1_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_of(value: object, form: str) -> datetime:
    """Read a time that is written as how long it is after the beginning of 1970. Raises `Unreadable`."""
    number = number_of(value, ANY_NUMBER)
    microseconds = number * EPOCHS[form]
    if not 0 <= microseconds < _LATEST_MICROSECONDS:
        raise Unreadable(f"{form.removeprefix('epoch_')} since 1970, before the year 3000")
    return _EPOCH + timedelta(microseconds=int(microseconds))


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def is_own_name(name: str) -> bool:
    """Tell whether a field of a user's own may be called so."""
    return _NAME.fullmatch(name) is not None


def own_field(
    name: str, found: object, kind: OwnType, numbers: Collection[str] = ANY_NUMBER, zone: str | None = None
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
