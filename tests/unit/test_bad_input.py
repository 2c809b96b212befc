"""What fuzzing found in the contracts, kept: each of these once ended in an error that nobody had declared."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shadow.broker.alpaca_wire import parse_order
from shadow.broker.port import BrokerProtocolError
from shadow.contracts.errors import InvalidPlan
from shadow.contracts.model import parse_decimal
from shadow.contracts.plan import RebalancePlan
from shadow.lanes.records import Fields, as_moment
from tests.factories.broker import ORDER_JSON
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="1000").to_wire()


@pytest.mark.parametrize("name", ["items.7", "items.²", "items.", "items.99999999999999999999"])
def test_an_unknown_field_that_looks_like_an_items_path_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidPlan, match="no such field") as caught:
        RebalancePlan.read(PLAN | {name: 1})
    assert [fault.field for fault in caught.value.faults] == [name]


@pytest.mark.parametrize("value", ["1E+999999", "1E+18", "-1E+40", "1E-999999", 10**30, Decimal("1E+6144"), "0E-9999"])
def test_a_number_that_nothing_can_be_reckoned_with_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a number below 1e18 with at most 60 places"):
        parse_decimal(value)
    faults: list[str] = []
    assert Fields("run", {"amount": value}, faults).number("amount") is None
    assert faults


@pytest.mark.parametrize("value", ["999999999999999999.99", "0.000000000123456789", "1E+3", "-0.00", "0E+2"])
def test_a_number_of_a_size_that_money_has_is_kept(value: str) -> None:
    assert parse_decimal(value) == Decimal(value)


@pytest.mark.parametrize("metadata", [{"\ud800": 1}, {"notes": [{"a\udfff": "x"}]}])
def test_a_name_of_half_a_character_is_refused_because_it_cannot_be_written_as_it_was_read(metadata: object) -> None:
    with pytest.raises(InvalidPlan, match="metadata: expected names of whole characters"):
        RebalancePlan.read(PLAN | {"metadata": metadata})


def test_a_plan_whose_amounts_have_no_sum_is_refused_by_field() -> None:
    with pytest.raises(InvalidPlan, match=r"total_trade_value: expected a number below 1e18"):
        RebalancePlan.read(PLAN | {"total_trade_value": "1E+999999"})


def test_a_count_with_an_endless_exponent_is_not_written_out() -> None:
    faults: list[str] = []
    assert Fields("AggregateResults", {"totalTrades": Decimal("1E+999999999")}, faults).count("totalTrades") is None
    assert faults == ["AggregateResults.totalTrades: expected a whole number, zero or more, was Decimal('1E+999999999')"]


FAR = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59+00:00"]


@pytest.mark.parametrize("text", FAR)
def test_a_time_that_no_zone_can_give_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlan, match=r"timestamp: expected a time from the year 1970 to 9998"):
        RebalancePlan.read(PLAN | {"timestamp": text})
    assert as_moment(text) is None
    with pytest.raises(BrokerProtocolError, match=r"order.submitted_at: expected a time with a zone"):
        parse_order(ORDER_JSON | {"submitted_at": text})


SECRET = "AKcanary0secret7Q9"


@pytest.mark.parametrize(
    "damage",
    [
        {"api_key": SECRET},
        {"metadata": [{"api_key": SECRET}]},
        {"items": {"api_key": SECRET}},
        {"items": [PLAN["items"][0] | {"secret": SECRET, "action": "BUY"}]},  # type: ignore[index] # the plan's wire form
        {"total_trade_value": "1", "plan_id": {"token": SECRET}},
    ],
)
def test_a_refusal_shows_no_value_of_a_field_that_nobody_knows(damage: dict[str, object]) -> None:
    with pytest.raises(InvalidPlan) as caught:
        RebalancePlan.read(PLAN | damage)
    assert SECRET not in str(caught.value)
    assert all(fault.field and fault.expected and fault.found for fault in caught.value.faults)


def test_a_number_without_an_end_is_told_by_its_size() -> None:
    with pytest.raises(InvalidPlan, match=r"total_trade_value: expected .*, was a number of 20001 bits"):
        RebalancePlan.read(PLAN | {"total_trade_value": 1 << 20_000})


def test_a_refusal_is_short_whatever_was_given() -> None:
    long = "x" * 70_000
    for damage in ({long: 1}, {"items": [PLAN["items"][0] | {"symbol": long, "priority": 9}]}, {"plan_id": long}):  # type: ignore[index] # the wire
        with pytest.raises(InvalidPlan) as caught:
            RebalancePlan.read(PLAN | damage)
        assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"plan_id": "a b"}, "plan_id: expected an id of visible ASCII characters, for example plan-2026-11-24, was 'a b'"),
        ({"plan_id": ""}, "plan_id: expected at least 1 character, was ''"),
        ({"items": []}, "items: expected at least 1 item, was a list of 0"),
    ],
)
def test_a_form_is_told_by_an_example_and_a_length_in_words(damage: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidPlan) as refused:
        RebalancePlan.read(PLAN | damage)
    assert told in map(str, refused.value.faults)


def test_a_symbol_is_told_by_an_example() -> None:
    item = dict(PLAN["items"][0]) | {"symbol": "aapl"}  # type: ignore[index,call-overload]
    with pytest.raises(InvalidPlan) as refused:
        RebalancePlan.read(PLAN | {"items": [item]})
    assert "expected a symbol in upper case, for example AAPL, was 'aapl'" in str(refused.value)
