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
from shadow.contracts.vocabulary import Side
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


@pytest.mark.parametrize(
    ("kind", "value", "exact", "expected"),
    [
        ("text", 1, False, "a text, was 1"),
        ("identifier", "a b", False, "an identifier, was 'a b'"),
        ("symbol", "aapl", False, "a symbol in capitals, was 'aapl'"),
        ("number", "x", False, "a decimal string, was 'x'"),
        ("number", True, True, "a finite decimal, was True"),
        ("number", Decimal("NaN"), True, "a finite decimal, was Decimal('NaN')"),
        ("number", "1", True, "a number, was '1'"),
        ("number", "0." + "1" * 29, False, f"a decimal string, was '0.{'1' * 29}'"),
        ("total", "0." + "1" * 39, False, f"a decimal string, was '0.{'1' * 39}'"),
        ("amount", "-0.01", False, "zero or more, was '-0.01'"),
        ("amount_total", "-1", False, "zero or more, was '-1'"),
        ("count", Decimal("NaN"), True, "a whole number, zero or more, was Decimal('NaN')"),
        ("count", Decimal("1E+18"), True, "a whole number, zero or more, was Decimal('1E+18')"),
        ("flag", 0, False, "true or false, was 0"),
        ("moment", "noon", False, "an ISO 8601 time with a zone, was 'noon'"),
        ("mapping", [], False, "an object, was []"),
        ("document", "[]", False, "a JSON object, was '[]'"),
    ],
)
def test_what_a_field_is_not_is_told_whole_and_once(kind: str, value: object, expected: str, *, exact: bool) -> None:
    told: list[str] = []
    assert getattr(Fields("here", {"it": value}, told, exact_numbers=exact), kind)("it") is None
    assert told == [f"here.it: expected {expected}"]


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("text", "", None),
        ("identifier", "", None),
        ("symbol", "", None),
        ("symbol", "BRK.B", "BRK.B"),
        ("total", "0." + "1" * 38, Decimal("0." + "1" * 38)),
        ("total", "-1", Decimal(-1)),
        ("amount_total", "0", Decimal(0)),
        ("number", "-0." + "1" * 28, Decimal("-0." + "1" * 28)),
        ("count", 0, 0),
        ("count", Decimal("3.0"), 3),
        ("flag", True, True),
        ("document", "", None),
        ("moment", datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)),
    ],
)
def test_what_a_field_may_be_is_read_and_not_told(kind: str, value: object, read: object) -> None:
    told: list[str] = []
    found = getattr(Fields("here", {"it": value}, told), kind)("it")
    assert (found, type(found), told) == (read, type(read), [])


@pytest.mark.parametrize(
    ("value", "read"), [("BUY", Side.BUY), (None, None), ("HOLD", None), ("buy", None), (7, None), ("", None)]
)
def test_a_word_is_of_its_closed_list_or_told(value: object, read: Side | None) -> None:
    told: list[str] = []
    assert Fields("here", {"it": value}, told).choice("it", Side) is read
    assert told == ([] if read or value is None else [f"here.it: expected BUY or SELL, was {value!r}"])


def test_a_missing_value_an_unknown_attribute_and_a_broken_model_are_each_told_by_name() -> None:
    told: list[str] = []
    fields = Fields("here", {"what": 7, "b": 1, "a": "x", "mine": 1, "null": None}, told, own=("mine",))
    fields.require("what", "null", "gone")
    assert told == ["here.null: expected a value, was nothing", "here.gone: expected a value, was nothing"]
    told.clear()
    fields.refuse_unknown({"what", "null"})
    assert told == ["here.a: expected no such attribute, was str", "here.b: expected no such attribute, was int"]
    told.clear()
    inner = Fields("here", {"what": 7}, told, own=("mine",)).below("in", {"what": 7, "mine": 1})
    assert (inner.where, inner.own, inner.exact_numbers) == ("here.in", ("mine",), False)
    assert inner.text("what") is None
    inner.hold_against(Gap)
    assert [each.partition(",")[0] for each in told] == [
        "here.in.what: expected a text",
        "here.in.reason: expected a value",
        "here.in.mine: expected no such field",
    ]
    told.clear()
    Fields("here", {"what": "w"}, told).hold_against(Gap, reason="r")
    assert told == []


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("0001-06-01T00:00:00Z", False),
        ("9999-06-01T00:00:00Z", False),
        ("2026-11-27T15:00:00+05:30", True),
        (datetime(2026, 11, 27), False),  # noqa: DTZ001 - the zone that is not there
        (datetime(2026, 11, 27, tzinfo=UTC), True),
        (None, False),
    ],
)
def test_a_moment_has_a_zone_and_can_be_told_in_each(value: object, *, read: bool) -> None:
    assert (as_moment(value) is not None) is read


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000, '{"a": 1, "a": 2}'])
def test_what_is_no_json_is_nothing(text: str) -> None:
    assert as_json(text) is None


def test_the_numbers_of_a_json_text_are_exact() -> None:
    assert as_json('{"a": 0.10, "b": 7}') == {"a": Decimal("0.10"), "b": 7}
    assert isinstance((as_json("[0.1]") or [0])[0], Decimal)  # type: ignore[index] # a list
