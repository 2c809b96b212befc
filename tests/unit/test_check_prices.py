"""A trade's prices, at the bounds, held against its own quote, the fills and the market."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shadow.compare.checks.prices import (
    closed_departs,
    is_off_every_witness,
    price_findings,
    seconds_between,
    slippage_cost,
    witnessed_price,
)
from shadow.contracts.outcome import MarketQuote
from shadow.contracts.vocabulary import Role, Side
from tests.factories.one_trade import (
    AT,
    BOTH,
    CANDIDATE,
    CLOSED,
    CONTROL,
    EMPTY,
    ENTRY,
    EXECUTED,
    FAILED,
    GUARDED,
    NONE,
    POLICY,
    PRICE,
    TRUTH,
    ZERO_FILL,
    D,
    Said,
    alone,
    decided,
    effect,
    lane,
    of,
    pair,
    said,
    seconds,
    sent,
)


@pytest.mark.parametrize(
    ("intent", "told"),
    [
        (decided(), of()),
        (decided(decision_price=D("100.000001")), of()),
        (decided(decision_price=D("100.000002")), of("PRICE_NOT_THE_MID")),
        (decided(bid=None, decision_price=D("100.1")), of()),
        (decided(decision_price=D(0)), of("PRICE_NOT_THE_MID", "DECISION_PRICE")),
        (decided(decision_price=D(105), bid=D("104.9"), ask=D("105.1")), of("DECISION_PRICE", "SLIPPAGE")),
        (decided(quote_at=AT, market_at=AT + seconds(60)), of()),
        (decided(quote_at=AT, market_at=AT + seconds(60.5)), of("QUOTE_STALE")),
        (decided(quote_at=AT + seconds(60), market_at=AT), of()),
        (decided(quote_at=AT + seconds(61), market_at=AT), of("QUOTE_STALE")),
        (decided(quote_at=None, market_at=AT), of()),
        (decided(bid=D(99), ask=D(101)), of()),
        (decided(bid=D("98.99"), ask=D("101.01")), of("QUOTE_WIDE")),
        (decided(bid=D(101), ask=D(99)), of("QUOTE_WIDE")),
        (decided(bid=D(100), ask=D(100)), of()),
        (decided(bid=D(0), ask=D(200)), of("QUOTE_WIDE")),
        (decided(bid=D(0), ask=None), of()),
    ],
)
def test_a_lanes_price_is_held_against_its_own_quote_and_its_fills(intent: Any, told: Said) -> None:
    assert said(price_findings(alone(lane(intent=intent)), POLICY)) == told


@pytest.mark.parametrize(
    ("limit", "changes", "intent", "told"),
    [
        ("99.9", {}, decided(), False),
        ("102.1", {}, decided(), False),
        ("102.2", {}, decided(), True),
        ("97.91", {}, decided(), False),
        ("97.9", {}, decided(), True),
        ("102.2", {"accepted": False}, decided(), False),
        ("102.2", {}, None, False),
        ("102.2", {}, decided(bid=None, decision_price=None), False),
        ("102", {}, decided(bid=None, ask=None), False),
        ("102.05", {}, decided(bid=None, ask=None), True),
        ("102.05", {}, decided(bid=D(200), ask=D(1)), True),
        ("0.019", {}, decided(bid=D("0.01"), ask=D("0.01"), decision_price=D("0.01")), False),
        ("0.021", {}, decided(bid=D("0.01"), ask=D("0.01"), decision_price=D("0.01")), True),
    ],
)
def test_a_limit_is_not_far_outside_of_the_quote(limit: str, changes: dict[str, Any], intent: Any, *, told: bool) -> None:
    orders = (sent(limit_price=None), sent(limit_price=D(limit), **changes))
    found = price_findings(alone(lane(intent=intent, orders=orders)), POLICY)
    assert ("LIMIT_PRICE" in [each.kind for each in found]) is told


@pytest.mark.parametrize(
    ("control", "candidate", "told"),
    [
        ({}, {}, []),
        ({"orders": (), **NONE}, {"orders": (), **NONE, "intent": decided(decision_price=D(101))}, []),
        ({"orders": (), **NONE}, {"orders": (), **NONE, "intent": decided(decision_price=D("101.1"))}, [None]),
        (
            {"orders": (), **NONE},
            {"orders": (), **NONE, "intent": decided(decision_price=D("101.1")), "started_at": AT + seconds(60)},
            [],
        ),
        ({"orders": (), **NONE}, {"orders": (), **NONE, "intent": decided(decision_price=D("101.1")), "symbol": "MSFT"}, []),
        ({"run": TRUTH}, {"orders": (), **NONE, "intent": decided(decision_price=D("101.1"))}, [CANDIDATE]),
        ({"run": TRUTH, "symbol": "MSFT"}, {"orders": (), **NONE, "intent": decided(decision_price=D("101.1"))}, []),
    ],
)
def test_two_prices_are_held_against_each_other_where_no_witness_names_one(
    control: dict[str, Any], candidate: dict[str, Any], told: list[Role | None]
) -> None:
    both = pair(lane(CONTROL, **control), lane(**candidate))
    assert [each.role for each in price_findings(both, POLICY) if each.kind == "DECISION_PRICE"] == told


@pytest.mark.parametrize(
    ("bid", "ask", "minutes", "told"),
    [
        ("97", "98", 0, True),
        ("97", "99", 0, False),
        ("97", "98", 9, True),
        ("97", "98", 11, False),
        ("97", "98", 31, False),
        ("98", "97", 0, False),
        ("0", "98", 0, False),
        ("101.1", "103", 0, True),
        ("101", "103", 0, False),
    ],
)
def test_the_markets_quote_is_a_witness_as_near_as_it_was_seen(bid: str, ask: str, minutes: int, *, told: bool) -> None:
    market = MarketQuote(bid=D(bid), ask=D(ask), at=AT + timedelta(minutes=minutes))
    found = price_findings(alone(lane(orders=(), **NONE, market=market)), POLICY)
    assert ("DECISION_PRICE" in [each.kind for each in found]) is told


@pytest.mark.parametrize(
    ("one", "two", "apart"),
    [
        ({}, {}, 0),
        ({}, {"started_at": AT + seconds(59.9)}, 59),
        ({"started_at": AT + seconds(30)}, {}, 30),
        ({}, {"started_at": None}, 60),
        ({}, {"started_at": None, "run": {"completed_at": None}}, None),
        ({}, {"started_at": None, "run": {"started_at": None}}, None),
        ({"started_at": AT + seconds(20)}, {"started_at": None}, 40),
        ({}, {"started_at": AT - seconds(5)}, 5),
        ({}, {"started_at": AT - seconds(6)}, 60),
        ({}, {"started_at": AT + seconds(65)}, 65),
        ({}, {"started_at": AT + seconds(66)}, 60),
        ({}, {"started_at": AT + seconds(900), "run": {"completed_at": None}}, 900),
        ({}, {"started_at": AT - seconds(900), "run": {"started_at": None}}, 900),
    ],
)
def test_the_time_between_two_decisions_is_what_their_starts_or_else_their_runs_say(
    one: Any, two: Any, apart: int | None
) -> None:
    assert seconds_between(pair(lane(CONTROL, **one), lane(**two))) == apart
    assert seconds_between(alone(lane())) is None


def test_a_price_is_witnessed_by_fills_that_the_lane_did_not_write_down() -> None:
    assert witnessed_price(lane()) is None
    assert witnessed_price(lane(run=TRUTH)) == PRICE
    assert witnessed_price(lane(run=TRUTH, orders=(EMPTY,))) is None
    assert witnessed_price(lane(run=TRUTH, orders=(sent(average_price=D(0)),))) is None
    assert witnessed_price(lane(effects=[effect(price=D(101))])) == 101
    assert witnessed_price(lane(effects=[effect(price=D("101.1"))])) is None
    assert witnessed_price(lane(effects=[effect(price=D("101.1"))], average_price=None)) == D("101.1")
    assert witnessed_price(lane(effects=[effect(emitted=False)])) is None
    assert witnessed_price(lane(effects=[effect(symbol="MSFT")])) is None
    assert witnessed_price(lane(effects=[effect(symbol=None)])) == PRICE
    assert witnessed_price(lane(effects=[effect(price=None)])) is None
    assert witnessed_price(lane(run=TRUTH, orders=(EMPTY,), effects=[ENTRY])) == PRICE


def test_where_one_lane_found_the_market_closed_what_was_filled_tells_whether_it_was() -> None:
    def departs(went: dict[str, Any], shut: dict[str, Any] | None = None) -> frozenset[Role]:
        one, two = lane(CONTROL, **went), lane(**(CLOSED | (shut or {})))
        assert closed_departs(one, two) == closed_departs(two, one)
        return closed_departs(one, two)

    other = lane().trade.model_copy(update={"trade_id": "u", "symbol": "MSFT", "started_at": AT + seconds(1)})
    real = (effect(symbol="MSFT"),)
    assert departs({}) == {CONTROL}
    assert departs({"run": TRUTH}) == {CANDIDATE}
    assert departs({"run": TRUTH, **FAILED}) == BOTH
    assert departs({**FAILED}) == {CONTROL}
    assert departs(CLOSED) == departs(GUARDED) == frozenset()
    assert departs({}, {"run": {"trades": (other,)}}) == {CANDIDATE}
    assert departs({}, {"run": {"trades": (other.model_copy(update=ZERO_FILL),)}}) == {CONTROL}
    assert departs({"run": {"trades": (other,), "effects": real}}) == {CANDIDATE}
    assert departs({"run": {"trades": (other,), "effects": (effect(symbol="MSFT", emitted=False),)}}) == {CONTROL}
    assert departs({"run": {"trades": (other,), "effects": (effect(EXECUTED, symbol="MSFT"),)}}) == {CONTROL}
    early = other.model_copy(update={"started_at": AT})
    assert departs({"run": {"trades": (early,), "effects": real}}) == {CONTROL}
    assert departs({"started_at": None, "run": {"trades": (other,), "effects": real}}) == {CONTROL}


@pytest.mark.parametrize(
    ("price", "control", "told"),
    [
        ("100.25", {}, []),
        ("100.26", {}, ["26.00 bps"]),
        ("99.74", {}, ["-26.00 bps"]),
        ("100.26", {"intent": decided(decision_price=D("100.02"))}, []),
        ("100.26", {"intent": decided(decision_price=D("100.02")), "symbol": "MSFT"}, ["26.00 bps"]),
        ("100.26", {"intent": None}, ["26.00 bps"]),
    ],
)
def test_a_fill_is_held_against_the_market_between_the_two_decisions(
    price: str, control: dict[str, Any], told: list[str]
) -> None:
    filled: dict[str, Any] = {"orders": (sent(average_price=D(price)),)}
    both = pair(lane(CONTROL, **({"orders": (), **NONE} | control)), lane(**filled))
    assert [each.candidate for each in price_findings(both, POLICY) if each.kind == "SLIPPAGE"] == told


@pytest.mark.parametrize(
    ("trade", "shown", "why"),
    [
        (
            {"intent": decided(decision_price=D(101))},
            "101",
            "sized at 101 USD where its quote's mid is 100.0",
        ),
        (
            {"intent": decided(decision_price=D(105))},
            "105",
            "decided on 105 USD a share, 500.00 bps off its own recorded fills at 100.0000",
        ),
        ({"intent": decided(decision_price=D(0))}, "0", "decided on 0 USD a share"),
        (
            {"intent": decided(quote_at=AT, market_at=AT + seconds(90.5))},
            "2026-11-27T15:00:00+00:00",
            "sized on a quote 90 s old",
        ),
        (
            {"intent": decided(quote_at=AT, market_at=AT - seconds(61))},
            "2026-11-27T15:00:00+00:00",
            "sized on a quote 61 s ahead of the broker's clock",
        ),
        ({"intent": decided(bid=D(98), ask=D(102))}, "98 / 102", "sized on a quote of 98 / 102, 400.00 bps wide"),
        ({"intent": decided(bid=D(102), ask=D(98))}, "102 / 98", "sized on a quote of 102 / 98, which no market has"),
        (
            {"orders": (sent(limit_price=D("110.11")),)},
            "110.11",
            "sent a BUY order limited at 110.11 USD, 1000.00 bps outside its quote",
        ),
        (
            {"orders": (sent(limit_price=D("89.91"), side=Side.SELL),)},
            "89.91",
            "sent a SELL order limited at 89.91 USD, -1000.00 bps outside its quote",
        ),
    ],
)
def test_what_is_wrong_with_a_price_is_said_in_words(trade: dict[str, Any], shown: str, why: str) -> None:
    found = {each.explanation: each.candidate for each in price_findings(alone(lane(**trade)), POLICY)}
    assert (found.get(f"The candidate {why}."), list(found)) == (shown, list(found))


@pytest.mark.parametrize(
    ("side", "filled_at", "usd"),
    [(Side.BUY, "101", "10"), (Side.BUY, "99", "-10"), (Side.SELL, "99", "10"), (Side.SELL, "101", "-10")],
)
def test_what_slippage_cost_is_what_was_paid_more_for_a_buy_and_got_less_for_a_sell(side: Side, filled_at: str, usd: str) -> None:
    price = D(filled_at)
    trade = lane(action=side, average_price=price, value=10 * price, orders=(sent(side=side, average_price=price),))
    assert slippage_cost(trade) == D(usd)


FILLED_AT_130: dict[str, Any] = {"orders": (sent(average_price=D(130)),)}


@pytest.mark.parametrize(
    ("trade", "market", "off"),
    [
        ({}, ("99", "101"), False),
        ({"orders": (), **NONE}, ("99", "101"), False),
        # the price decided on, and the price that was filled at, whatever the record says of it
        ({"orders": (), **NONE, "intent": decided(decision_price=D(130))}, ("99", "101"), True),
        (FILLED_AT_130, ("99", "101"), True),
        (FILLED_AT_130 | {"intent": None}, ("99", "101"), True),
        ({"average_price": D(130)}, ("99", "101"), False),
        # the recorded price, where no fill says one
        ({"orders": (), "filled_quantity": None, "average_price": D(130), "intent": None}, ("99", "101"), True),
        ({"orders": (), "filled_quantity": None, "intent": None}, ("99", "101"), False),
        # one witness that agrees is enough, and without any nobody denies
        (FILLED_AT_130 | {"intent": None}, ("99", "131"), False),
        (FILLED_AT_130 | {"intent": None}, None, False),
        (FILLED_AT_130 | {"intent": None, "run": TRUTH}, ("99", "101"), False),
        # no price at all
        ({"orders": (), **NONE, "intent": None}, ("99", "101"), False),
    ],
)
def test_a_lane_is_off_every_witness_where_nobody_saw_the_price_that_it_decided_on_or_filled_at(
    trade: dict[str, Any], market: tuple[str, str] | None, *, off: bool
) -> None:
    quote = None if market is None else MarketQuote(bid=D(market[0]), ask=D(market[1]), at=AT)
    side = lane(**trade, market=quote)
    assert is_off_every_witness(side, alone(side), POLICY) is off
