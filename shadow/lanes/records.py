"""Business Unit: evidence | Status: current.

Reading one record field by field. A lane's record is somebody else's: a field of the wrong type or a new attribute must
not lose the rest of the record. So every faulty field is noted as a contract violation that names it, and read as absent.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeGuard, TypeVar

from pydantic import BaseModel, ValidationError

from shadow.contracts.errors import faults_of
from shadow.contracts.model import MAGNITUDES, is_in_calendar, load_json, parse_decimal, parse_moment

_Choice = TypeVar("_Choice", bound=StrEnum)
_Model = TypeVar("_Model", bound=BaseModel)
_NOTHING: set[str] = set()
_SHOWN = 60
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_IDENTIFIER = 200


class Fields:
    """One record, named `where`; faulty fields are appended to `faults`.

    With `exact_numbers` a number must be a number (a table item); without, a decimal string (the JSON wire). `own` names
    attributes of a user's own, which are not unknown: `shadow.lanes.own` reads them.
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

    def number(self, name: str) -> Decimal | None:
        """Read an exact decimal."""
        value = self.values.get(name)
        if value is None:
            return None
        if self.exact_numbers and isinstance(value, str):
            self.fault(name, "a number")
            return None
        try:
            return parse_decimal(value)
        except ValueError:
            self.fault(name, "a finite decimal" if self.exact_numbers else "a decimal string")
            return None

    def amount(self, name: str) -> Decimal | None:
        """Read an exact decimal that is zero or more."""
        value = self.number(name)
        if value is not None and value < 0:
            self.fault(name, "zero or more")
            return None
        return value

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


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written in UTF-8: one that was cut in the middle of a character may not."""
    return text.isascii() or _SURROGATE.search(text) is None


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
