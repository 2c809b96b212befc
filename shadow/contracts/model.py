"""Business Unit: shared contracts | Status: current.

The bases of every model, and the exact number types. A wire never carries a binary float: money, prices, quantities and
weights are decimal strings in JSON and `Decimal` in memory, finite, with at most 28 significant digits and of a size that money
has: a short text such as 1E+999999 is a number that no sum and no page survives. Sums have more digits: a table adds with 38, and
so do we wherever amounts are added (`MONEY`, `exact_sum`, `Total`); nothing that is planned is rounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from shadow.contracts.errors import IDENTIFIER_PATTERN, SYMBOL_PATTERN, FieldFault, InvalidPayload, faults_of

MAX_SIGNIFICANT_DIGITS = 28
MAX_SUM_DIGITS = 38
"""How many digits DynamoDB adds with, and gives back."""
MONEY = Context(prec=MAX_SUM_DIGITS)
"""The one arithmetic for sums and differences of amounts (Python's own context rounds at 28 digits)."""
MAGNITUDES = range(-60, 18)
"""Where the first digit of a number may stand: from 60 places after the point up to a quintillion less one."""
YEARS = range(1970, 9999)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SHORT = re.compile(r"-?[0-9]{1,13}(?:\.[0-9]{1,14})?")
"""Numbers that are within every bound: most are, and are read at once."""
_NOT_FINITE = frozenset({"nan", "snan", "inf", "infinity"})
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?")
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN = 80


def parse_decimal(value: object, most: int = MAX_SIGNIFICANT_DIGITS) -> Decimal:
    """Read an exact decimal from a string, an integer or a Decimal.

    A string is read as JSON writes numbers, in ASCII digits and nothing else: Python's own reading also takes spaces, line ends,
    underscores and the digits of other scripts. Raises ValueError for those, for floats (cents are already lost), NaN,
    infinities, more than `most` significant digits and numbers whose first digit is out of `MAGNITUDES`.
    """
    if isinstance(value, str) and _SHORT.fullmatch(value) is not None:
        return Decimal(value)
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"expected a decimal string, not {type(value).__name__}")  # noqa: TRY004 - pydantic reads it
    else:
        number = Decimal(value) if isinstance(value, int) else decimal_of(value)
    if not number.is_finite():
        raise ValueError("expected a finite decimal")
    if number.adjusted() not in MAGNITUDES:
        raise ValueError(f"expected a number below 1e{MAGNITUDES.stop} with at most {-MAGNITUDES.start} places")
    if len(str(value)) > most and len(number.as_tuple().digits) > most:
        raise ValueError(f"expected at most {most} significant digits")
    return number


def decimal_of(text: str) -> Decimal:
    """Read a number written in ASCII digits, of whatever size. Raises ValueError for any other text."""
    try:
        if _NUMBER.fullmatch(text) is not None:
            return Decimal(text)
    except InvalidOperation:  # an exponent of a size that no number has
        pass
    if text.lstrip("+-").lower() in _NOT_FINITE:
        raise ValueError("expected a finite decimal")
    raise ValueError("expected a decimal string such as '1234.56'")


def parse_total(value: object) -> Decimal:
    """Read a sum of exact decimals: as `parse_decimal`, with as many digits as a table adds with. Raises ValueError."""
    return parse_decimal(value, MAX_SUM_DIGITS)


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """Add with 38 digits, as a table does; 0 for nothing."""
    total = Decimal(0)
    for value in values:
        total = MONEY.add(total, value)
    return total


def _whole_names(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse names with half a character (a lone surrogate): they are not written as they were read."""
    inside: list[JsonValue] = [value]
    while inside:
        each = inside.pop()
        if isinstance(each, dict):
            broken = next((name for name in each if not is_unicode(name)), None)
            if broken is not None:
                raise ValueError(f"expected names of whole characters, not {ascii(broken)[:_SHOWN]}")
            inside.extend(each.values())
        elif isinstance(each, list):
            inside.extend(each)
    return value


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written in UTF-8: one that was cut in the middle of a character may not."""
    return text.isascii() or _SURROGATE.search(text) is None


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_whole_names)]
"""Any JSON object, whose names can be written as they were read. Values keep even half a character."""


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("expected zero or more")
    return value


def _fraction(value: Decimal) -> Decimal:
    if not 0 <= value <= 1:
        raise ValueError("expected a fraction from 0 to 1")
    return value


def is_in_calendar(moment: datetime) -> bool:
    """Tell whether a zoned moment can be given in every zone: the first and last years have moments that cannot."""
    return YEARS.start <= moment.year < YEARS.stop


def _in_calendar(moment: datetime) -> datetime:
    if not is_in_calendar(moment):
        raise ValueError(f"expected a time from the year {YEARS.start} to {YEARS.stop - 1}")
    return moment


def parse_moment(value: object) -> datetime:
    """Read a time from ISO 8601 text with date and time, such as 2026-11-27T15:00:00Z; a datetime is given back.

    Whether it has its zone, the caller checks. Raises ValueError for anything else: numbers, and texts of digits alone, would be
    read as seconds since 1970.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _MOMENT.fullmatch(value) is not None:
        return datetime.fromisoformat(value)
    raise ValueError("expected an ISO 8601 time with a zone, such as 2026-11-27T15:00:00Z")


def decimal_text(value: Decimal) -> str:
    """Write `value` without an exponent, keeping its digits: what JSON and people get to see."""
    text = str(value)
    return format(value, "f") if "E" in text else text


def iso(value: datetime) -> str:
    """Write `value` as ISO 8601 with its zone."""
    return value.isoformat()


_AS_TEXT = PlainSerializer(decimal_text, when_used="json")
Exact = Annotated[Decimal, BeforeValidator(parse_decimal), _AS_TEXT]
NonNegative = Annotated[Exact, AfterValidator(_not_negative)]


def _whole(value: object) -> object:
    """DynamoDB gives every number as Decimal; counters are whole."""
    if not isinstance(value, Decimal) or not value.is_finite() or value != value.to_integral_value():
        return value
    return int(value)


Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Total = Annotated[Decimal, BeforeValidator(parse_total), _AS_TEXT]
NonNegativeTotal = Annotated[Total, AfterValidator(_not_negative)]
Fraction = Annotated[Exact, AfterValidator(_fraction)]
Moment = Annotated[
    AwareDatetime, BeforeValidator(parse_moment), AfterValidator(_in_calendar), PlainSerializer(iso, when_used="json")
]
MAX_SYMBOL = 50
Symbol = Annotated[str, StringConstraints(min_length=1, max_length=MAX_SYMBOL, pattern=SYMBOL_PATTERN)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=IDENTIFIER_PATTERN)]


class Frozen(BaseModel):
    """A value: frozen, and closed (an unknown field is a fault, not a surprise)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Validate `value`, raising `InvalidPayload` that names every faulty field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InvalidPayload(cls.__name__, faults_of(error)) from None

    @classmethod
    def parse_json(cls, text: str | bytes) -> Self:
        """Validate JSON `text`, raising `InvalidPayload` that names every faulty field, and a key that stands twice.

        Half of a surrogate pair, which JSON can name and no text can hold, is refused as well.
        """
        try:
            value = load_json(text)
            if _HALVES.search(text if isinstance(text, str) else text.decode(errors="replace")):
                json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise InvalidPayload(cls.__name__, [FieldFault("(whole)", "a JSON document", f"no JSON ({error})")]) from None
        return cls.parse(value)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form: decimal strings, ISO times, the wire's own field names."""
        return self.model_dump(mode="json", by_alias=True)


class Wire(Frozen):
    """A value that crosses the candidate's wire: camelCase there, tolerant of fields that are newer than the reader."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def load_json(text: str | bytes, *, parse_float: Callable[[str], object] | None = None) -> object:
    """Read JSON text as the standard has it.

    Raises ValueError, also for bytes that are no UTF-8, for a key that stands twice in one object (of which the last would win in
    silence) and for the constants NaN and Infinity, and RecursionError for what is too deep.
    """
    return _decoder(parse_float)(text if isinstance(text, str) else text.decode())


@lru_cache(maxsize=8)
def _decoder(parse_float: Callable[[str], object] | None) -> Callable[[str], object]:
    """Give the reading of JSON texts; to make one takes as long as reading a short text."""
    return json.JSONDecoder(object_pairs_hook=_once, parse_float=parse_float, parse_constant=_refuse_constant).decode


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name[:_SHOWN] for name in names if names.count(name) > 1})
        raise ValueError(f"the key {', '.join(twice)} more than once in one object")
    return values


def _refuse_constant(name: str) -> object:
    raise ValueError(f"the constant {name}, which JSON does not have")


def canonical(document: object) -> str:
    """Write canonical JSON: sorted keys, no spaces, decimals as plain texts, moments in UTC.

    Half of a surrogate pair (a text that somebody cut in the middle of a character), which UTF-8 does not have, becomes `?`.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_as_json)
    return text if text.isascii() else text.encode(errors="replace").decode()


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"evidence: expected a JSON value, was {type(value).__name__}")
