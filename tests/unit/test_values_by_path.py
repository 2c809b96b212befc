"""A value of a document that somebody else wrote: where it stands, whether anybody reads it, and what it is read as."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.outcome import OwnField, OwnType
from shadow.lanes.paths import Each, is_listed, members, named, steps, unread, value_at, values_at, written
from shadow.lanes.records import (
    ABSENT,
    Fields,
    Unreadable,
    instant_of,
    is_identifier,
    is_own_name,
    is_symbol,
    number_of,
    own_field,
    own_of,
)

ELEMENT, MEMBER = Each.ELEMENT, Each.MEMBER
DOCUMENT = {"a": {"b": None, "c": [{"d": 1}, {"d": [2, 3]}, {"e": 4}, 5], "none": []}, "z": 0, "": 6}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        (".a.b.", ("a", "b")),
        ("a[*].b", ("a", ELEMENT, "b")),
        ("[*].b", (ELEMENT, "b")),
        ("a[*][*]", ("a", ELEMENT, ELEMENT)),
        ("a[2].b", ("a", 2, "b")),
        ("[0][*]", (0, ELEMENT)),
        ("a{*}.b", ("a", MEMBER, "b")),
        ("{*}", (MEMBER,)),
        ('a."b.c"[*]."[*]"', ("a", "b.c", ELEMENT, "[*]")),
        ('"\\"x\\""."\u00e9[1]"', ('"x"', "\u00e9[1]")),
        ("a b.c-d*", ("a b", "c-d*")),
        ('a.""', ("a", "")),
    ],
)
def test_a_path_is_its_names_and_each_list_a_step_of_its_own(path: str, parts: tuple[object, ...]) -> None:
    assert steps(path) == parts
    shown = ""
    for step in steps(path):
        shown = written(shown, step)
    assert steps(shown) == parts


@pytest.mark.parametrize(
    "path", ["a..b", ".", "a.[*]", "..a[*]..b", "a[b]", "a]", 'a"b"', '"a', "[1]x", "a.{*}", "a{b}", "[-1]", 'a."b', '"\\q"']
)
def test_a_path_with_an_empty_step_or_a_stray_bracket_is_none(path: str) -> None:
    with pytest.raises(Unreadable, match="a path of names with dots between, was "):
        steps(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", DOCUMENT),
        ("z", 0),
        ("a.b", None),
        ("a.c", DOCUMENT["a"]["c"]),  # type: ignore[index] # an object
        ("x", ABSENT),
        ("a.x", ABSENT),
        ("z.a", ABSENT),
        ("a.b.c", ABSENT),
        ("a.c.d", ABSENT),
        ("a.c[1].d[0]", 2),
        ("a.c[4]", ABSENT),
        ("a[0]", ABSENT),
        ("a{*}", ABSENT),
    ],
)
def test_null_is_a_value_and_a_step_that_leads_nowhere_is_absent(path: str, value: object) -> None:
    assert value_at(DOCUMENT, path) is value


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("z", [0]),
        ("a.b", [None]),
        ("a.c", [DOCUMENT["a"]["c"]]),  # type: ignore[index] # an object
        ("a.c[*]", DOCUMENT["a"]["c"]),  # type: ignore[index]
        ("a.c[*].d", [1, [2, 3]]),
        ("a.c[*].d[*]", [2, 3]),
        ("a.none[*].d", []),
        ("x", ABSENT),
        ("x[*]", ABSENT),
        ("a.b[*]", ABSENT),
        ("z[*].d", ABSENT),
        ("a.c[1].d[*]", [2, 3]),
        ("{*}.b", [None]),
        ("z{*}", ABSENT),
    ],
)
def test_every_element_of_a_list_is_gone_through_and_one_without_the_value_is_passed_over(path: str, values: object) -> None:
    assert values_at(DOCUMENT, path) == values


INNER = {"s": '{"a": [{"b": "1"}, {"b": "2", "c": "[3]"}]}', "t": "[not json", "n": None}


def test_a_path_goes_on_below_a_text_that_is_json_and_nowhere_below_another() -> None:
    assert value_at(INNER, "s.a[1].b") == "2"
    assert value_at(INNER, "s.a[1].c[0]") == 3
    assert values_at(INNER, "s.a[*].b") == ["1", "2"]
    assert value_at(INNER, "s") == INNER["s"]
    assert [value_at(INNER, path) for path in ("t.a", "t[0]", "n.a", "s.x")] == [ABSENT] * 4
    assert values_at(INNER, "t[*]") is ABSENT


def test_what_an_object_holds_is_gone_through_with_the_name_of_each() -> None:
    assert members({"A": 1, "B": 2}, MEMBER) == [("A", 1), ("B", 2)]
    assert members('{"A": 1}', MEMBER) == [("A", 1)]
    assert members([7], ELEMENT) == [(0, 7)]
    assert members({"A": 1}, ELEMENT) is None
    assert members([7], MEMBER) is None
    row = named({"qty": 1}, "A")
    assert (value_at(row, "{*}"), value_at(row, "qty")) == ("A", 1)
    assert named([1], "A") == [1]
    assert value_at(named({"qty": 1}, None), "{*}") is ABSENT


def test_where_nobody_reads_every_single_value_is_told_in_the_documents_own_order() -> None:
    assert list(unread(DOCUMENT, [])) == [
        ("a.b", None),
        ("a.c[*].d", 1),
        ("a.c[*].d[*]", 2),
        ("a.c[*].d[*]", 3),
        ("a.c[*].e", 4),
        ("a.c[*]", 5),
        ("z", 0),
        ('""', 6),
    ]
    assert list(unread(7, [])) == [("", 7)]
    assert list(unread({"a.b": {"[x]": 1}}, [])) == [('"a.b"."[x]"', 1)]
    assert next(unread(INNER, [])) == ("s", INNER["s"])


@pytest.mark.parametrize(
    ("document", "read", "left"),
    [
        ({"a": 1}, ["a"], []),
        ({"a": {"b": 1}}, ["x", "a"], []),
        ({"a": [{"b": 1}]}, ["a"], []),
        ({"a": [{"b": 1}]}, ["a[*]"], []),
        ({"ab": 1}, ["a"], ["ab"]),
        ({"a": 1}, ["a.b"], ["a"]),
        ({"a": None}, ["a.b"], []),
        ({"a": None}, ["ab.c"], ["a"]),
        ({"a": [None]}, ["a[*].b"], []),
        ({"a": {"b": 1, "c": 2}}, ["a.b.c"], ["a.b", "a.c"]),
        ([[1], [2], [3]], ["[1][*]"], ["[0][*]", "[2][*]"]),
        ([{"a": 1}, {"b": 1}], ["[0].a", "[*].b"], []),
        ({"m": {"A": {"q": 1, "x": 2}, "B": {"q": 3, "y": 4}}}, ["m{*}.q"], ["m{*}.x", "m{*}.y"]),
        (INNER, ["s.a[*].b"], ["s.a[*].c", "t", "n"]),
        (INNER, ["t.a", "n.a"], ["s", "t"]),
        (INNER, ["s"], ["t", "n"]),
    ],
)
def test_what_no_path_leads_to_is_unread_and_an_object_that_was_not_set_is_nothing(
    document: object, read: list[str], left: list[str]
) -> None:
    assert [path for path, _ in unread(document, [steps(path) for path in read])] == left


@pytest.mark.parametrize(
    ("path", "listed", "is_in"),
    [
        ("a.b", ("a.b",), True),
        ("a.b.c", ("x", "a.*"), True),
        ("a[*].b", ("a[*].*",), True),
        ("a[*].b", ("a[*].b",), True),
        ("a[*].b", ("a.b",), False),
        ("a*", ("a[*]",), False),
        ("a.b", ("a",), False),
        ("A.b", ("a.*",), False),
        ("a.b", ("y.*",), False),
        ("a.b", (), False),
        ('a."st[a]te"', ('a."st[a]te"',), True),
        ('a."what?"', ('a."what?"',), True),
        ("a.what1", ("a.what?",), False),
        ("m{*}.x", ("m{*}.x",), True),
        ("m.A.x", ("m{*}.x",), False),
        ("a.b\nc", ("a.*",), True),
    ],
)
def test_a_star_in_a_listed_path_is_any_text_and_all_else_stands_for_itself(
    path: str, listed: tuple[str, ...], *, is_in: bool
) -> None:
    assert is_listed(path, listed) is is_in


@given(
    st.recursive(
        st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    )
)
def test_every_path_that_is_written_leads_back_to_what_stands_there(document: object) -> None:
    found = list(unread(document, []))
    for path, value in found:
        values = values_at(document, path)
        assert isinstance(values, list)
        assert value in values
        assert is_listed(path, [path])
    assert list(unread(document, [steps(path) for path, _ in found if path])) == [each for each in found if not each[0]]


BOTH = frozenset({"string", "number"})


@pytest.mark.parametrize(
    ("value", "forms", "number"),
    [
        ("1.50", BOTH, Decimal("1.50")),
        ("-1", {"string"}, Decimal(-1)),
        ("+.5", {"string"}, Decimal("0.5")),
        ("5.", {"string"}, Decimal(5)),
        ("1e3", {"string"}, Decimal(1000)),
        (7, BOTH, Decimal(7)),
        (Decimal("-0.1"), {"number"}, Decimal("-0.1")),
    ],
)
def test_a_number_is_read_from_the_forms_that_the_file_allows(value: object, forms: set[str], number: Decimal) -> None:
    assert number_of(value, frozenset(forms)) == number


@pytest.mark.parametrize(
    ("value", "forms", "told"),
    [
        (7, {"string"}, "a number as string"),
        ("7", {"number"}, "a number as number"),
        (7.5, BOTH, "a number as number or string"),
        (True, BOTH, "a number as number or string"),
        (None, BOTH, "a number as number or string"),
        ([], BOTH, "a number as number or string"),
        ("1_0", BOTH, "a finite decimal"),
        ("1 ", BOTH, "a finite decimal"),
        ("NaN", BOTH, "a finite decimal"),
        ("", BOTH, "a finite decimal"),
        (Decimal("NaN"), BOTH, "a finite decimal"),
        ("1e18", BOTH, "a number below 1e18 with at most 60 places"),
        (10**18, BOTH, "a number below 1e18 with at most 60 places"),
        ("0." + "1" * 29, BOTH, "at most 28 significant digits"),
    ],
)
def test_what_is_no_number_is_told_by_what_was_expected(value: object, forms: set[str], told: str) -> None:
    with pytest.raises(Unreadable) as refused:
        number_of(value, frozenset(forms))
    assert str(refused.value) == told


THREE = datetime(2026, 11, 27, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-11-27T15:00:00Z", None),
        ("2026-11-27T10:00:00-05:00", None),
        ("2026-11-27T10:00:00-05:00", "UTC"),
        ("2026-11-27T10:00:00", "America/New_York"),
        ("2026-11-27T15:00:00", "UTC"),
    ],
)
def test_a_time_has_a_zone_of_its_own_or_the_files(text: str, zone: str | None) -> None:
    assert instant_of(text, zone) == THREE


@pytest.mark.parametrize(
    "value", ["2026-11-27T15:00:00", "20261127", "noon-ish", "", 20261127, None, THREE, "0001-01-01T00:00:00Z"]
)
def test_what_is_no_time_with_a_zone_is_told(value: object) -> None:
    with pytest.raises(Unreadable, match=r"^an ISO 8601 time with a zone$"):
        instant_of(value, None)


@pytest.mark.parametrize(
    ("value", "identifier", "symbol"),
    [
        ("AAPL", True, True),
        ("EQUITIES::SYM//USD", True, True),
        ("BRK.B", True, True),
        ("aapl", True, False),
        (".B", True, False),
        ("A" * 50, True, True),
        ("A" * 51, True, False),
        ("A" * 200, True, False),
        ("A" * 201, False, False),
        ("", False, False),
        ("A B", False, False),
        ("A\n", False, False),
        ("\u00c9", False, False),
        ("\x7f", False, False),
        (7, False, False),
        (None, False, False),
    ],
)
def test_an_identifier_is_visible_ascii_and_a_symbol_capitals_of_it(value: object, *, identifier: bool, symbol: bool) -> None:
    assert is_identifier(value) is identifier
    if isinstance(value, str):
        assert is_symbol(value) is symbol


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("fee", True),
        ("_x9", True),
        ("F" * 64, True),
        ("F" * 65, False),
        ("9a", False),
        ("a-b", False),
        ("", False),
        ("a\n", False),
    ],
)
def test_a_field_of_a_users_own_is_called_as_a_variable_is(name: str, *, may: bool) -> None:
    assert is_own_name(name) is may


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (OwnType.TEXT, 5, "a text of at most 500 characters"),
        (OwnType.TEXT, "x" * 501, "a text of at most 500 characters"),
        (OwnType.INTEGER, "7.5", "a whole number"),
        (OwnType.INTEGER, True, "a number as number or string"),
        (OwnType.DECIMAL, "x", "a finite decimal"),
        (OwnType.BOOLEAN, 0, "true or false"),
        (OwnType.TIME, "noon", "an ISO 8601 time with a zone"),
    ],
)
def test_a_value_of_a_users_own_that_is_none_of_its_type_is_told(kind: OwnType, value: object, told: str) -> None:
    with pytest.raises(Unreadable) as refused:
        own_field("x", value, kind)
    assert str(refused.value) == told


def test_the_limits_of_a_users_own_value_are_inside() -> None:
    assert own_field("x", "x" * 500, OwnType.TEXT).text == "x" * 500
    assert own_field("x", Decimal("7.00"), OwnType.INTEGER).text is not None
    assert own_field("x", found=True, kind=OwnType.BOOLEAN).text == "true"
    with pytest.raises(Unreadable, match="a number as string"):
        own_field("x", 7, OwnType.DECIMAL, ("string",))


def test_a_field_of_a_users_own_is_of_the_first_record_that_has_it_as_it_is_called_or_in_camel_case() -> None:
    told: list[str] = []
    names = ("desk_fee", "late", "tag", "torn", "none")
    first = Fields("first", {"late": None, "deskFee": 2, "torn": []}, told, own=names)
    second = Fields("second", {"late": True, "desk_fee": 3, "tag": "a", "torn": "whole"}, told)
    assert own_of(first, second) == (
        OwnField(name="desk_fee", type=OwnType.DECIMAL, text="2"),
        OwnField(name="late", type=OwnType.TEXT),
        OwnField(name="tag", type=OwnType.TEXT, text="a"),
        OwnField(name="none", type=OwnType.TEXT, absent=True),
    )
    assert told == ["first.torn: expected a text of at most 500 characters, was []"]
    both = Fields("both", {"desk_fee": Decimal("0.5"), "deskFee": 2, "late": False}, told, own=("desk_fee", "late"))
    assert [(each.type, each.text) for each in own_of(both)] == [(OwnType.DECIMAL, "0.5"), (OwnType.BOOLEAN, "false")]
    assert own_of(second) == ()
