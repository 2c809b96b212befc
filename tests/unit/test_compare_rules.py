"""What equal means: exact, symmetric, and defined for everything that can come in."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.compare.rules import (
    AbsoluteRule,
    BpsRule,
    DriftRule,
    DurationRatioRule,
    ExactRule,
    Numeric,
    OrderedRule,
    SetRule,
    TicksRule,
    is_float_artefact,
    shares_of,
    within,
)

EXACTLY = ExactRule(rule="exact")
CENT = AbsoluteRule(rule="absolute", tolerance=Decimal("0.01"))
BPS = BpsRule(rule="bps", tolerance=Decimal(25))
TICK = TicksRule(rule="ticks", tick=Decimal("0.000001"), ticks=2)
RULES: tuple[Numeric, ...] = (EXACTLY, CENT, BPS, TICK)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9)
anything = st.one_of(st.none(), numbers, st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")]))


@pytest.mark.parametrize(
    ("rule", "left", "right", "equal"),
    [
        (CENT, "100.01", "100.00", True),
        (CENT, "100.0100001", "100.00", False),
        (CENT, "-0.005", "0.005", True),
        (EXACTLY, "1.0", "1.00", True),
        (EXACTLY, "0.1", "0.1000000000000000055511151231", False),
        (BPS, "100.25", "100.00", True),
        (BPS, "100.26", "100.00", False),
        (BPS, "0", "0", True),
        (BPS, "0", "0.0000001", False),
        (TICK, "1.000002", "1", True),
        (TICK, "1.0000021", "1", False),
    ],
)
def test_a_tolerance_includes_its_edge_and_nothing_beyond(rule: Numeric, left: str, right: str, equal: bool) -> None:  # noqa: FBT001
    assert within(rule, Decimal(left), Decimal(right)) is equal
    assert within(rule, Decimal(right), Decimal(left)) is equal


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_null_nan_and_infinity_are_defined(rule: Numeric) -> None:
    nan, infinity = Decimal("NaN"), Decimal("Infinity")
    assert within(rule, None, None)
    assert not within(rule, None, Decimal(0))
    assert not within(rule, Decimal(0), None)
    assert not within(rule, nan, nan)
    assert not within(rule, nan, Decimal(1))
    assert not within(rule, nan, None)
    assert within(rule, infinity, infinity)
    assert not within(rule, infinity, -infinity)
    assert not within(rule, infinity, Decimal(10) ** 27)


@given(st.sampled_from(RULES), anything, anything)
def test_every_rule_is_symmetric(rule: Numeric, left: Decimal | None, right: Decimal | None) -> None:
    assert within(rule, left, right) is within(rule, right, left)


@given(st.sampled_from(RULES), numbers)
def test_every_number_equals_itself(rule: Numeric, value: Decimal) -> None:
    assert within(rule, value, value)


@given(numbers, numbers, st.decimals(min_value=0, max_value=100, places=4))
def test_a_wider_tolerance_never_makes_equals_differ(left: Decimal, right: Decimal, more: Decimal) -> None:
    wider = AbsoluteRule(rule="absolute", tolerance=CENT.tolerance + more)
    assert within(wider, left, right) or not within(CENT, left, right)


@given(numbers, numbers, st.decimals(min_value=Decimal("0.01"), max_value=1000, places=2))
def test_a_tolerance_is_scaled_with_what_both_sides_are_multiplied_by(left: Decimal, right: Decimal, unit: Decimal) -> None:
    for rule in RULES:
        assert within(rule, left * unit, right * unit, unit) is within(rule, left, right)


def test_every_rule_reads_as_a_phrase() -> None:
    rules = (
        *RULES,
        SetRule(rule="set", members=("limit", "market")),
        SetRule(rule="set"),
        OrderedRule(rule="ordered"),
        DurationRatioRule(rule="duration_ratio", ratio=Decimal(3), floor_seconds=Decimal(60)),
    )
    assert [str(rule) for rule in rules] == [
        "exact",
        "within 0.01",
        "within 25 bps",
        "within 2 * 0.000001",
        "one of limit, market",
        "the same set",
        "in order, 0 s of overlap forgiven",
        "at most 3 * the other lane, from 60 s",
    ]


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        ("0.30000000000000004", True),
        ("199.99999999999997", True),
        ("1234.5600000000002", True),
        ("0.3", False),
        ("33.33333333333333333333333333", False),
        ("0.1234567890123456", False),
        ("1234567.890123", False),
    ],
)
def test_a_decimal_that_went_through_a_float_is_known_by_its_digits(text: str, damaged: bool) -> None:  # noqa: FBT001
    assert is_float_artefact(Decimal(text)) is damaged


@given(st.decimals(min_value=Decimal("0.01"), max_value=10**7, places=2))
def test_money_in_cents_is_never_taken_for_damaged(value: Decimal) -> None:
    assert not is_float_artefact(value)


def test_shares_are_rounded_to_six_decimals_half_even() -> None:
    assert shares_of(Decimal(-200), Decimal("100.10")) == Decimal("1.998002")
    assert shares_of(Decimal(1), Decimal(0)) is None


@pytest.mark.parametrize(("overlap", "forgiven"), [("0", True), ("1.9", True), ("2", True), ("2.000001", False)])
def test_an_overlap_is_forgiven_up_to_its_slack(overlap: str, *, forgiven: bool) -> None:
    rule = OrderedRule(rule="ordered", slack_seconds=Decimal(2))
    assert rule.permits(Decimal(overlap), Decimal(60), Decimal(1)) is forgiven


@pytest.mark.parametrize(("seconds", "reasonable"), [("0", True), ("299.9", True), ("300", True), ("300.000001", False)])
def test_a_duration_is_reasonable_up_to_and_with_so_many_times_the_other_lanes(seconds: str, *, reasonable: bool) -> None:
    rule = DurationRatioRule(rule="duration_ratio", ratio=Decimal(3), floor_seconds=Decimal(60))
    duration, other = Decimal(seconds), Decimal(100)
    assert rule.permits(duration, duration, other) is reasonable
    assert rule.allowance(duration, other) == 300
    assert rule.needs(duration, duration, other) == duration / 100
    assert (rule.most, rule.bound, rule.measure) == (3, ("absolute", 3), "times the other run")


@pytest.mark.parametrize(
    ("other", "seconds", "equal"),
    [
        ("200", "0", True),
        ("198", "0", True),
        ("197.9999", "0", False),
        ("197.8", "59", False),
        ("197.8", "60", True),
        ("197.8", "61", True),
        ("197.6", "119", False),
        ("197.6", "120", True),
    ],
)
def test_two_prices_may_be_further_apart_the_more_time_lies_between(other: str, seconds: str, *, equal: bool) -> None:
    rule = DriftRule(rule="drift", bps=Decimal(100), bps_a_minute=Decimal(10))
    larger, smaller = Decimal(200), Decimal(other)
    assert rule.permits_after(larger, smaller, Decimal(seconds)) is equal
    assert rule.permits_after(smaller, larger, Decimal(seconds)) is equal
    assert str(rule) == "within 100 bps, and 10 more a minute"


def test_the_bounds_of_each_rule_are_its_tolerance_in_its_own_measure() -> None:
    assert [(rule.most, rule.measure, rule.bound) for rule in RULES] == [
        (0, "the field's own unit", ("absolute", 0)),
        (Decimal("0.01"), "the field's own unit", ("absolute", Decimal("0.01"))),
        (25, "bps", ("bps", 25)),
        (2, "steps of 0.000001", ("absolute", Decimal("0.000002"))),
    ]
