"""How the control executes one trade at its broker (contract, section 6)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.broker.port import Asset, AssetUnknown, OrderRejected, OrderType, Quote, SubmitAmbiguous
from shadow.contracts.plan import TradeMessage, trade_messages
from shadow.contracts.vocabulary import Side
from shadow.reference.execution import CannotBeSized, Execution, Pace, TradeExecutor, limit_price, shares_for
from tests.fakes.legacy import NOON, FakeBroker
from tests.fakes.plans import plan_of


def message_of(amount: str, *, whole: bool = False) -> TradeMessage:
    (message,) = trade_messages(plan_of(AAPL=amount, exits=("AAPL",) if whole else ()))
    return message


def execute(broker: FakeBroker, message: TradeMessage) -> tuple[Execution, list[float]]:
    slept: list[float] = []
    return TradeExecutor(broker, Pace(), slept.append).execute(message), slept


def test_a_trade_is_sized_by_its_amount_at_the_mid_to_six_decimals() -> None:
    done, _ = execute(FakeBroker(quotes={"AAPL": ("299.90", "300.10")}), message_of("1000"))
    assert (done.asked, done.filled, done.mid, done.error) == (Decimal("3.333333"), Decimal("3.333333"), Decimal(300), None)


def test_a_full_exit_sells_what_is_held() -> None:
    broker = FakeBroker(positions={"AAPL": Decimal("7.654321")})
    done, _ = execute(broker, message_of("-1000", whole=True))
    assert [order.quantity for order in broker.of("AAPL")] == [Decimal("7.654321")]
    assert done.error is None


def test_a_full_exit_of_nothing_fails_without_an_order() -> None:
    broker = FakeBroker()
    done, _ = execute(broker, message_of("-1000", whole=True))
    assert not broker.orders
    assert "nothing is held" in (done.error or "")


@pytest.mark.parametrize(("amount", "shares"), [("1999", "19"), ("2000", "20")])
def test_an_asset_that_has_no_fractions_rounds_down(amount: str, shares: str) -> None:
    broker = FakeBroker(whole_only={"AAPL"})
    done, _ = execute(broker, message_of(amount))
    assert done.asked == Decimal(shares)


def test_rounding_to_zero_is_an_error() -> None:
    done, _ = execute(FakeBroker(whole_only={"AAPL"}), message_of("99"))
    assert done.error == "CannotBeSized: AAPL: quantity rounds to zero"


@pytest.mark.parametrize(("amount", "limits"), [("1000", ["100.50", "100.70", "100.90"]), ("-1000", ["99.50", "99.30", "99.10"])])
def test_the_book_is_walked_at_75_85_95_percent_and_then_left_to_the_market(amount: str, limits: list[str]) -> None:
    broker = FakeBroker(fills={"AAPL": ["0", "0", "0", "1"]})
    done, slept = execute(broker, message_of(amount))
    assert [order.limit_price for order in broker.of("AAPL")] == [*map(Decimal, limits), None]
    assert broker.kinds("AAPL") == [OrderType.LIMIT] * 3 + [OrderType.MARKET]
    assert done.error is None
    assert sum(slept) >= 30


def test_only_the_rest_is_ordered_after_a_partial_fill() -> None:
    broker = FakeBroker(fills={"AAPL": ["0.4", "0.5", "1"]})
    done, _ = execute(broker, message_of("1000"))
    assert [order.quantity for order in broker.of("AAPL")] == [Decimal(10), Decimal(6), Decimal(3)]
    assert done.filled == Decimal(10)


def test_a_step_waits_ten_seconds_and_the_market_order_thirty() -> None:
    _, slept = execute(FakeBroker(fills={"AAPL": ["0"] * 4}), message_of("1000"))
    assert sum(slept) == 3 * 11 + 30 + 1  # each step's wait, and one look for the cancel


def test_a_sell_has_three_attempts_five_seconds_apart_and_a_buy_one() -> None:
    refusals = {"AAPL": [OrderRejected("no"), OrderRejected("no"), OrderRejected("no"), OrderRejected("no")]}
    sell, slept = execute(FakeBroker(refusals={"AAPL": list(refusals["AAPL"])}), message_of("-1000"))
    assert (sell.error, slept) == ("OrderRejected: no", [5.0, 5.0])
    buy, slept = execute(FakeBroker(refusals={"AAPL": list(refusals["AAPL"])}), message_of("1000"))
    assert (buy.error, slept) == ("OrderRejected: no", [])


def test_a_second_attempt_sells_only_what_the_first_left() -> None:
    broker = FakeBroker(fills={"AAPL": ["0.25", "0", "0", "0", "1"]})
    done, _ = execute(broker, message_of("-1000"))
    assert sum(order.filled_quantity for order in broker.of("AAPL")) == Decimal(10)
    assert done.error is None


def test_a_partial_fill_is_kept_when_the_trade_fails() -> None:
    done, _ = execute(FakeBroker(fills={"AAPL": ["0.25", "0", "0", "0"]}), message_of("1000"))
    assert done.error == "partially filled: 2.500000 of 10.000000 shares"
    assert done.last_order is not None
    assert done.last_order.filled_quantity == Decimal("2.5")


@pytest.mark.parametrize(
    ("broker", "says"),
    [
        (FakeBroker(quotes={"AAPL": ("0", "0")}), "no quote: AAPL"),
        (FakeBroker(refusals={"AAPL": [AssetUnknown("AAPL")]}), "rejected, unknown asset: AAPL"),
        (FakeBroker(fills={"AAPL": ["0"] * 4}), "not filled: 0.000000 of 10.000000 shares"),
    ],
)
def test_a_failure_is_told_in_words_that_a_reader_can_sort(broker: FakeBroker, says: str) -> None:
    done, _ = execute(broker, message_of("1000"))
    assert done.error == says


def test_a_filled_order_without_a_price_counts_as_failed_and_is_not_tried_again() -> None:
    broker = FakeBroker(priceless={"AAPL"})
    done, _ = execute(broker, message_of("-1000"))
    assert len(broker.orders) == 1
    assert done.filled == 0
    assert "no fill price" in (done.error or "")


def test_order_ids_are_random_so_an_ambiguous_sell_is_sent_again() -> None:
    broker = FakeBroker(refusals={"AAPL": [SubmitAmbiguous("timeout")]})
    first, _ = execute(broker, message_of("-1000"))
    second, _ = execute(broker, message_of("-1000"))
    assert first.error is None
    assert second.error is None
    assert len({order.client_order_id for order in broker.of("AAPL")}) == 2


PRICES = st.decimals(min_value="1", max_value="5000", places=2)


@given(bid=PRICES, width=st.decimals(min_value="0.01", max_value="20", places=2), side=st.sampled_from(Side))
def test_limits_stay_inside_the_quote_and_become_more_aggressive(bid: Decimal, width: Decimal, side: Side) -> None:
    quote = Quote("AAPL", bid, bid + width, NOON)
    limits = [limit_price(side, quote, Decimal(f)) for f in ("0.75", "0.85", "0.95")]
    assert limits == sorted(limits, reverse=side is Side.SELL)
    assert all(quote.bid <= limit <= quote.ask for limit in limits)


@given(amount=st.decimals(min_value="5", max_value="1000000", places=2), bid=PRICES)
def test_sizing_is_exact_to_half_a_millionth_of_a_share(amount: Decimal, bid: Decimal) -> None:
    quote = Quote("AAPL", bid, bid + Decimal("0.02"), NOON)
    message = message_of("1000").model_copy(update={"trade_amount": amount})
    shares = shares_for(message, Asset("AAPL", tradable=True, fractionable=True), quote, Decimal(0))
    assert abs(shares * quote.mid - amount) <= quote.mid * Decimal("0.0000005")
    whole = Asset("AAPL", tradable=True, fractionable=False)
    if amount >= quote.mid:
        assert 0 <= shares - shares_for(message, whole, quote, Decimal(0)) < 1
    else:
        with pytest.raises(CannotBeSized):
            shares_for(message.model_copy(update={"trade_amount": amount / 2}), whole, quote, Decimal(0))


PARTS = st.lists(st.sampled_from(["0", "0.25", "0.5", "1"]), max_size=12)
REFUSALS = st.lists(st.sampled_from([None, None, OrderRejected("no"), SubmitAmbiguous("lost")]), max_size=12)


@given(amount=st.integers(-90_000, 90_000).filter(bool), parts=PARTS, refusals=REFUSALS)
def test_a_trade_never_fills_more_than_it_asked_for_and_succeeds_exactly_when_it_is_whole(
    amount: int, parts: list[str], refusals: list[OrderRejected | SubmitAmbiguous | None]
) -> None:
    broker = FakeBroker(fills={"AAPL": list(parts)}, refusals={"AAPL": list(refusals)})
    message = message_of("1000" if amount > 0 else "-1000").model_copy(update={"trade_amount": Decimal(amount) / 100})
    done, _ = execute(broker, message)
    filled = sum((order.filled_quantity for order in broker.of("AAPL")), Decimal(0))
    assert done.filled == filled <= (done.asked or 0)
    assert (done.error is None) == (done.asked is not None and filled == done.asked)
    assert len(broker.orders) <= 4 * (1 if amount > 0 else 3)
    assert len({order.client_order_id for order in broker.of("AAPL")}) == len(broker.orders)
