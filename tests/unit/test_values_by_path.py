"""A value of a document that somebody else wrote: where it stands, whether anybody reads it, and what it is read as."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from shadow.contracts.outcome import OwnField, OwnType
from shadow.lanes.records import (
    ABSENT,
    Fields,
    Unreadable,
    instant_of,
    is_covered,
    is_identifier,
    is_own_name,
    is_symbol,
    leaves,
    number_of,
    own_field,
    own_of,
    steps,
    value_at,
    values_at,
)

DOCUMENT = {"a": {"b": None, "c": [{"d": 1}, {"d": [2, 3]}, {"e": 4}, 5], "none": []}, "z": 0, "": 6}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        (".a.b.", ("a", "b")),
        ("a[*].b", ("a", "[*]", "b")),
        ("[*].b", ("[*]", "b")),
        ("a[*][*]", ("a", "[*]", "[*]")),
    ],
)
def test_a_path_is_its_names_and_each_list_a_step_of_its_own(path: str, parts: tuple[str, ...]) -> None:
    assert steps(path) == parts


@pytest.mark.parametrize("path", ["a..b", ".", "a.[*]", "..a[*]..b"])
def test_a_path_with_an_empty_step_is_none(path: str) -> None:
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
    ],
)
def test_every_element_of_a_list_is_gone_through_and_one_without_the_value_is_passed_over(path: str, values: object) -> None:
    assert values_at(DOCUMENT, path) == values


def test_the_leaves_of_a_document_are_its_single_values_in_its_own_order() -> None:
    assert list(leaves(DOCUMENT)) == [
        ("a.b", None),
        ("a.c[*].d", 1),
        ("a.c[*].d[*]", 2),
        ("a.c[*].d[*]", 3),
        ("a.c[*].e", 4),
        ("a.c[*]", 5),
        ("z", 0),
        ("", 6),
    ]
    assert list(leaves(7)) == [("", 7)]
    assert list(leaves([7, [8]], "at")) == [("at[*]", 7), ("at[*][*]", 8)]


@pytest.mark.parametrize(
    ("path", "known", "ignored", "covered"),
    [
        ("a", {"a"}, (), True),
        ("a.b", {"x", "a"}, (), True),
        ("a[*].b", {"a"}, (), True),
        ("a[*].b", {"a[*]"}, (), True),
        ("ab", {"a"}, (), False),
        ("a", {"a.b"}, (), False),
        ("a.b", {"a.b.c"}, (), False),
        ("a", set(), (), False),
        ("a.b", set(), ("a.b",), True),
        ("a.b.c", set(), ("x", "a.*"), True),
        ("a[*].b", set(), ("a[*].*",), True),
        ("a[*].b", set(), ("a[*].b",), True),
        ("a[*].b", set(), ("a.b",), False),
        ("a*", set(), ("a[*]",), False),
        ("a.b", set(), ("a",), False),
        ("A.b", set(), ("a.*",), False),
        ("a.b", {"x"}, ("y.*",), False),
    ],
)
def test_a_leaf_is_covered_where_it_or_what_it_stands_in_is_read_or_listed(
    path: str, known: set[str], ignored: tuple[str, ...], *, covered: bool
) -> None:
    assert is_covered(path, known, ignored) is covered


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
