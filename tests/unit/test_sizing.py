"""Business Unit: execution | Status: current.

Dollars to shares (contract section 6 and C1).
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.vocabulary import Reason, SizingBasis
from shadow.execution.trade import QUANTUM, Sized, Unsizable, size
from tests.fakes.candidate import d, trade

MID = Decimal(100)
amounts = st.decimals("0.01", "1000000", places=2)
prices = st.decimals("0.01", "5000", places=4)
shares = st.decimals("0", "100000", places=6)


def test_c1_topping_a_thousand_up_to_twelve_hundred_buys_two_hundred() -> None:
    topping_up = trade(amount="200")

    assert topping_up.target_value == d("1200")
    assert size(topping_up, mid=MID, fractionable=True, held=None) == Sized(d("2.000000"), SizingBasis.TRADE_AMOUNT)


def test_a_sell_is_sized_on_its_absolute_amount() -> None:
    assert size(trade(amount="-250"), mid=MID, fractionable=True, held=d("50")) == Sized(d("2.500000"), SizingBasis.TRADE_AMOUNT)


def test_a_full_exit_sells_exactly_what_is_held() -> None:
    sized = size(trade(amount="-1000", exits=True), mid=MID, fractionable=True, held=d("10.123456789"))

    assert sized == Sized(d("10.123456789"), SizingBasis.HELD_QUANTITY)


def test_a_full_exit_of_an_unknown_holding_is_sized_on_its_value() -> None:
    sized = size(trade(amount="-1000", exits=True), mid=d("30"), fractionable=True, held=None)

    assert sized == Sized(d("33.333333"), SizingBasis.HELD_VALUE)


@pytest.mark.parametrize(("amount", "whole"), [("250", "2"), ("100", "1"), ("199.99", "1")])
def test_a_non_fractionable_asset_rounds_down(amount: str, whole: str) -> None:
    sized = size(trade(amount=amount), mid=MID, fractionable=False, held=None)

    assert sized == Sized(d(whole), SizingBasis.TRADE_AMOUNT)


def test_what_rounds_to_zero_says_so() -> None:
    unsizable = size(trade(amount="99.99"), mid=MID, fractionable=False, held=None)

    assert isinstance(unsizable, Unsizable)
    assert unsizable.reason is Reason.ROUNDS_TO_ZERO


@pytest.mark.parametrize("exits", [True, False])
def test_nothing_held_is_not_sold(exits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    unsizable = size(trade(amount="-100", exits=exits), mid=MID, fractionable=True, held=d("0"))

    assert isinstance(unsizable, Unsizable)
    assert unsizable.reason is Reason.NOTHING_HELD


@given(amount=amounts, price=prices, held=shares, fractionable=st.booleans(), exits=st.booleans())
def test_never_sells_more_than_is_held(amount: Decimal, price: Decimal, held: Decimal, fractionable: bool, exits: bool) -> None:  # noqa: FBT001
    sized = size(trade(amount=str(-amount), exits=exits), mid=price, fractionable=fractionable, held=held)

    assert isinstance(sized, Unsizable) or 0 < sized.quantity <= held


@given(amount=amounts, price=prices)
def test_a_buy_costs_its_amount_to_half_a_millionth_of_a_share(amount: Decimal, price: Decimal) -> None:
    sized = size(trade(amount=str(amount)), mid=price, fractionable=True, held=None)

    if isinstance(sized, Unsizable):
        assert amount / price <= QUANTUM / 2
    else:
        assert abs(sized.quantity * price - amount) <= price * QUANTUM / 2
        assert sized.quantity == sized.quantity.quantize(QUANTUM)


@given(amount=amounts, price=prices)
def test_whole_shares_never_cost_more_than_the_amount_and_its_rounding(amount: Decimal, price: Decimal) -> None:
    sized = size(trade(amount=str(amount)), mid=price, fractionable=False, held=None)

    if isinstance(sized, Sized):
        assert sized.quantity == sized.quantity.to_integral_value()
        assert sized.quantity * price <= amount + price * QUANTUM
