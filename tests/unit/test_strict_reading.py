"""Numbers, times and JSON are read as their standards write them; what Python would also take is refused, by name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.compare.document import read_comparison
from shadow.contracts.errors import InvalidPayload, InvalidPlan
from shadow.contracts.model import MAGNITUDES, Exact, Frozen, Moment, Total, decimal_text, load_json, parse_decimal, parse_moment
from shadow.contracts.outcome import Gap
from shadow.contracts.plan import RebalancePlan
from shadow.intake.payload import read_message
from shadow.lanes.records import Fields, as_json, as_moment


class _Record(Frozen):
    number: Exact = Decimal(0)
    total: Total = Decimal(0)
    at: Moment = datetime(2026, 11, 27, tzinfo=UTC)


LAX_NUMBERS = (
    "1 ",
    " 1",
    "1\n",
    "\t1",
    "1_000",
    "\uff11\uff12",
    "\u0661\u0662",
    "1,000",
    "0x10",
    "1e",
    "",
    ".",
    "--1",
    "1\x00",
)
LAX_TIMES = (
    "20261127",
    20261127,
    "1795737600",
    1795737600.5,
    Decimal(20261127),
    "2026-11-27",
    "20261127T150000Z",
    "2026-11-27 15:00:00Z",
    "2026-11-27T15:00:00Z\n",
    "2026-W48-5T15:00:00Z",
    "\u0662\u0660\u0662\u0666-11-27T15:00:00Z",
    True,
)


@pytest.mark.parametrize("text", LAX_NUMBERS)
def test_a_number_is_ascii_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="expected a decimal string"):
        parse_decimal(text)
    for field in ("number", "total"):
        with pytest.raises(InvalidPayload, match=field):
            _Record.parse({field: text})
    faults: list[str] = []
    assert Fields("record", {"price": text}, faults).number("price") is None
    assert faults


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "inf", "sNaN"])
def test_what_is_not_finite_is_told_as_that(text: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        parse_decimal(text)


@pytest.mark.parametrize("text", ["1E+999999", "1E+99999999999999999999", "9" * 5_000, "1" + "0" * 40])
def test_a_number_of_no_size_that_money_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_decimal(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**15), max_value=10**15))
def test_every_number_that_we_write_is_read_back(value: Decimal) -> None:
    assert parse_decimal(decimal_text(value)) == value
    assert parse_decimal(str(value)) == value


@given(st.text(max_size=12))
def test_no_text_is_read_as_a_number_unless_it_is_ascii(text: str) -> None:
    try:
        value = parse_decimal(text)
    except ValueError:
        return
    assert text.isascii()
    assert text == text.strip()
    assert "_" not in text
    assert value.adjusted() in MAGNITUDES


@pytest.mark.parametrize("value", LAX_TIMES)
def test_a_time_is_iso_8601_with_date_time_and_zone(value: object) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_moment(value)
    with pytest.raises(InvalidPayload, match="at: expected an ISO 8601 time with a zone"):
        _Record.parse({"at": value})
    assert as_moment(value) is None


def test_a_time_without_a_zone_is_no_moment() -> None:
    with pytest.raises(InvalidPayload, match="at: expected"):
        _Record.parse({"at": "2026-11-27T15:00:00"})
    assert as_moment("2026-11-27T15:00:00") is None


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9990, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_every_time_that_we_write_is_read_back(at: datetime) -> None:
    whole = at.astimezone(UTC)
    assert as_moment(whole.isoformat()) == whole
    assert _Record.parse({"at": whole.isoformat()}).at == whole


TWICE = '{"plan_id": "a", "items": [{"symbol": "BIL", "symbol": "AMZN"}]}'


def test_a_key_that_stands_twice_is_refused_by_name_everywhere() -> None:
    with pytest.raises(ValueError, match="the key symbol more than once"):
        load_json(TWICE)
    with pytest.raises(InvalidPlan, match="the key symbol more than once"):
        RebalancePlan.read_json(TWICE)
    with pytest.raises(InvalidPayload, match="the key symbol more than once"):
        read_message(TWICE)
    with pytest.raises(InvalidPayload, match="the key symbol more than once"):
        read_comparison(TWICE)
    with pytest.raises(InvalidPayload, match="the key number more than once"):
        _Record.parse_json('{"number": "1", "number": "2"}')
    assert as_json(TWICE) is None


READERS: dict[str, tuple[object, object, tuple[object, ...]]] = {
    "text": ("a", "a", (1, "\ud800", [], True)),
    "identifier": ("a-1", "a-1", (1, "a b", "\u00e9", "x" * 201)),
    "number": ("1.50", Decimal("1.50"), ("NaN", "x", True, [])),
    "amount": ("0", Decimal(0), ("-0.01", "x")),
    "count": (3, 3, (-1, True, "3", 1.5, Decimal("1.5"), Decimal(-1))),
    "flag": (False, False, (0, 1, "true", [])),
    "moment": ("2026-11-27T15:00:00Z", datetime(2026, 11, 27, 15, tzinfo=UTC), ("2026-11-27", 1)),
    "mapping": ({"a": 1}, {"a": 1}, ([], "{}", 1)),
    "document": ('{"a": 1}', {"a": 1}, ("[]", "{", 1)),
}


@pytest.mark.parametrize("kind", READERS)
def test_each_kind_of_field_is_read_or_told_by_its_name_and_an_absent_one_is_nothing(kind: str) -> None:
    good, read, bad = READERS[kind]
    for value, expected, faults in ((good, read, 0), (None, None, 0), *((each, None, 1) for each in bad)):
        told: list[str] = []
        found = getattr(Fields("here", {"it": value}, told), kind)("it")
        assert (found, len(told)) == (expected, faults), value
        assert all(fault.startswith("here.it: expected ") for fault in told)
    assert getattr(Fields("here", {}, []), kind)("it") is None


def test_a_whole_decimal_is_a_count_and_a_text_is_no_exact_number() -> None:
    told: list[str] = []
    fields = Fields("here", {"count": Decimal(3), "text": "1", "number": Decimal(1)}, told, exact_numbers=True)
    assert (fields.count("count"), fields.number("text"), fields.number("number")) == (3, None, Decimal(1))
    assert told == ["here.text: expected a number, was '1'"]


@pytest.mark.parametrize(("length", "shown"), [(58, "'" + "x" * 58 + "'"), (59, "'" + "x" * 59 + "\u2026")])
def test_of_a_long_value_sixty_characters_are_shown(length: int, shown: str) -> None:
    told: list[str] = []
    Fields("here", {"it": "x" * length}, told).fault("it", "a number")
    assert told == [f"here.it: expected a number, was {shown}"]


@pytest.mark.parametrize("half", ["\\ud800", "\\uDFFF", "\\udc00\\ud800"])
def test_a_document_with_half_of_a_character_is_refused_and_one_with_the_whole_is_read(half: str) -> None:
    text = '{"what": "broker", "reason": "it said HERE"}'
    for document in (text.replace("HERE", half), text.replace("HERE", half).encode()):
        with pytest.raises(InvalidPayload, match="expected a JSON document"):
            Gap.parse_json(document)
    assert Gap.parse_json(text.replace("HERE", "\\ud83d\\ude00")).reason == "it said \U0001f600"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "utf-8-sig"])
def test_a_document_in_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(InvalidPayload, match="expected a JSON document"):
        Gap.parse_json('{"what": "é", "reason": "r"}'.encode(encoding))
