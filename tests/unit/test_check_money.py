"""What one trade is worth where the lanes differ: by whose price, how it splits, and what a broker denies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.case import Finding, TradePair
from shadow.compare.checks.executed import DEAD, LIVE, NOT_FOUND
from shadow.compare.money import (
    NOTHING,
    executed_impact,
    impacts_of,
    residual_impact,
    slippage_impact,
    trade_money,
    working_dollars,
)
from shadow.contracts.comparison import Word
from shadow.contracts.outcome import MarketQuote, OrderRecord
from shadow.contracts.vocabulary import Role, Side, TradeStatus
from tests.factories.one_trade import (
    AT,
    CANDIDATE,
    CONTROL,
    EMPTY,
    FAILED,
    NONE,
    PART,
    TRUTH,
    D,
    closing,
    decided,
    lane,
    pair,
    sent,
)

IDLE: dict[str, Any] = {**FAILED, **NONE, "orders": ()}
MUTE: dict[str, Any] = IDLE | {"intent": None}
MARKET = MarketQuote(bid=D(99), ask=D(103), at=AT)


def simulated(shares: str, **changes: Any) -> dict[str, Any]:
    """A trade as in dry run: filled at 50 USD, the lane's own price, and never put to a broker."""
    order = {"accepted": None, "filled_quantity": D(shares), "average_price": D(50)}
    return {"orders": (sent(**order),), "filled_quantity": D(shares), "average_price": D(50), "value": None} | changes


def unasked(shares: str, **changes: Any) -> dict[str, Any]:
    """The same, where nothing says what the lane asked for."""
    return simulated(
        shares, intent=None, orders=(sent(accepted=None, client_order_id=None, filled_quantity=D(shares)),), **changes
    )


@pytest.mark.parametrize(
    ("dry", "other", "shares", "value", "word"),
    [
        # the other lane's fills, else the price it decided on
        (simulated("10"), {}, "10", "1000", Word.OTHER_LANE),
        (simulated("4"), {}, "4", "400", Word.OTHER_LANE),
        (simulated("4"), {"orders": (PART,), "filled_quantity": D(4)}, "4", "400", Word.OTHER_LANE),
        (simulated("10", action=Side.SELL), {}, "-10", "-1000", Word.OTHER_LANE),
        (simulated("10"), IDLE | {"intent": decided(decision_price=D(90))}, "10", "900", Word.OTHER_LANE),
        # the plan's dollars, in proportion to what was asked for
        (simulated("10"), MUTE, "10", "1000", Word.PLAN),
        (simulated("4"), MUTE, "4", "400", Word.PLAN),
        (simulated("12"), MUTE, "12", "1200", Word.PLAN),
        (simulated("10.000001"), MUTE, "10.000001", "1000.0001", Word.PLAN),
        (simulated("12", action=Side.SELL), MUTE, "-12", "-1200", Word.PLAN),
        (simulated("10", market=MARKET), MUTE, "10", "1000", Word.PLAN),
        # the market, where nothing says what was asked for; and nothing at all
        (unasked("4", market=MARKET), MUTE, "4", "404", Word.MARKET),
        (unasked("4"), MUTE, "4", None, Word.NOT_VALUED),
        # what filled nothing has no price to be valued at
        (simulated("0"), {}, "0", "0", Word.LANE),
    ],
)
def test_what_no_broker_filled_is_valued_at_a_price_that_is_not_the_lanes_own(
    dry: Any, other: Any, shares: str, value: str | None, word: Word
) -> None:
    for role in Role:
        lanes = {each: lane(each, **(dry if each is role else other)) for each in Role}
        money = trade_money(pair(lanes[CONTROL], lanes[CANDIDATE]))
        done = money.control if role is CONTROL else money.candidate
        assert (done.shares, done.value, done.word) == (D(shares), value if value is None else D(value), word)


def test_two_lanes_that_no_broker_filled_keep_their_own_prices() -> None:
    money = trade_money(pair(lane(CONTROL, **simulated("10")), lane(**simulated("4"))))
    assert (money.control.value, money.candidate.value) == (500, 200)
    assert (money.control.word, money.candidate.word) == (Word.LANE, Word.LANE)


def bought(shares: str, price: str, **changes: Any) -> dict[str, Any]:
    return {"orders": (), "filled_quantity": D(shares), "average_price": D(price), "value": D(shares) * D(price)} | changes


UNKNOWN = MUTE | {"status": TradeStatus.UNKNOWN}


@pytest.mark.parametrize(
    ("control", "candidate", "exposure", "cash", "price"),
    [
        (bought("10", "100"), bought("10", "100"), "0", "0", "0"),
        (bought("10", "100"), bought("12", "110"), "210", "-320", "-110"),
        (bought("12", "110"), bought("10", "100"), "-210", "320", "110"),
        # parts of a share are shares
        (bought("0.5", "100"), bought("0.4", "110"), "-10.5", "6", "-4.5"),
        (bought("0.1", "100"), bought("0.1", "110"), "0", "-1", "-1"),
        (bought("0.5", "100", action=Side.SELL), bought("0.4", "110", action=Side.SELL), "10.5", "-6", "4.5"),
        # one lane alone, and two that went opposite ways: no price of the other's to hold it against
        (IDLE, bought("0.5", "100"), "50", "-50", "0"),
        (bought("0.5", "100"), IDLE, "-50", "50", "0"),
        (bought("0.5", "100"), bought("0.5", "110", action=Side.SELL), "-105", "105", "0"),
        # what is not known is worth nothing that anybody could say
        (UNKNOWN, bought("10", "100"), "0", "0", "0"),
        (bought("10", "100"), UNKNOWN, "0", "0", "0"),
    ],
)
def test_what_two_lanes_paid_apart_is_shares_at_the_middle_price_and_the_rest_is_price(
    control: Any, candidate: Any, exposure: str, cash: str, price: str
) -> None:
    both = pair(lane(CONTROL, **control), lane(**candidate))
    money = trade_money(both)
    assert (money.exposure, money.cash, money.price) == (D(exposure), D(cash), D(price))
    slipped = slippage_impact(both)
    assert (slipped.notional, slipped.cash, slipped.gross) == (0, D(price), abs(D(price)))


DENIED: dict[str, Any] = {"run": TRUTH, "orders": (EMPTY,), "intent": None}
LOST = sent(status="not_found", filled_quantity=None, average_price=None, quantity=D(7), limit_price=D(90))


@pytest.mark.parametrize(
    ("trade", "gross"),
    [
        # ten claimed and none filled: at the price that the lane records, else at the one it decided on
        (DENIED | {"average_price": D(110)}, "1100"),
        (DENIED | {"average_price": D(110), "intent": decided()}, "1100"),
        (DENIED | {"average_price": None, "intent": decided(decision_price=D(105))}, "1050"),
        (DENIED | {"average_price": None}, "0"),
        # more than was filled: at the price of what was
        (DENIED | {"orders": (PART,), "average_price": D(110)}, "600"),
        (DENIED | {"orders": (PART,), "filled_quantity": D("4.000001")}, "0"),
        (DENIED | {"orders": (PART,), "filled_quantity": D("4.000002")}, "0.0002"),
        (DENIED | {"orders": (PART,), "filled_quantity": D(3)}, "0"),
        # an order that the broker does not know: all of it, at its limit where there is no other price
        (DENIED | NONE | {**FAILED, "orders": (LOST,)}, "630"),
        (DENIED | NONE | {**FAILED, "orders": (LOST,), "intent": decided(decision_price=D(105))}, "735"),
        (DENIED | NONE | {**FAILED, "orders": (LOST.model_copy(update={"quantity": None}),), "intent": decided()}, "1000"),
        (DENIED | NONE | {**FAILED, "orders": (LOST.model_copy(update={"quantity": None}),)}, "1000"),
        (DENIED | NONE | {**FAILED, "orders": (LOST.model_copy(update={"limit_price": None}),)}, "1000"),
        # without a broker's word there is nobody who denies it; and of what is not known nothing is claimed
        (bought("10", "100"), "0"),
        (UNKNOWN, "0"),
    ],
)
def test_what_a_lane_claims_and_its_broker_denies_is_worth_the_claim_in_either_lane(trade: Any, gross: str) -> None:
    for one, two in ((trade, trade), (trade, IDLE), (IDLE, trade)):
        both = pair(lane(CONTROL, **one), lane(**two))
        found, moved = executed_impact(both), trade_money(both).exposure
        assert (found.notional, found.gross) == (moved, max(D(gross), abs(moved)))
    assert (executed_impact(pair(lane(CONTROL, **trade), lane(**trade))) == NOTHING) is (D(gross) == 0)


@pytest.mark.parametrize("status", sorted(LIVE | DEAD | {"filled", "odd"}))
def test_of_orders_that_filled_nothing_only_one_that_its_broker_does_not_know_is_worth_all_of_it(status: str) -> None:
    trade: dict[str, Any] = DENIED | NONE | FAILED | {"orders": (LOST.model_copy(update={"status": status}),)}
    found = executed_impact(pair(lane(CONTROL, **IDLE), lane(**trade)))
    assert found.gross == (630 if status == NOT_FOUND else 0)


@pytest.mark.parametrize(
    ("control", "candidate", "notional", "gross"),
    [
        ("0", "0", 0, 0),
        ("0", "2", 200, 200),
        ("3", "0", -300, 300),
        ("3", "2", -100, 300),
        ("-1", "0", 100, 100),
        ("0", "-3", -300, 300),
        (None, "0.5", 50, 50),
        ("0.5", None, -50, 50),
    ],
)
def test_what_is_left_of_an_exit_is_worth_the_trades_own_price(
    control: str | None, candidate: str | None, notional: int, gross: int
) -> None:
    left = {CONTROL: control, CANDIDATE: candidate}
    sides = [
        lane(role, action=Side.SELL, residual_position=None if shares is None else D(shares)) for role, shares in left.items()
    ]
    found = residual_impact(pair(sides[0], sides[1], closing()))
    assert (found.notional, found.cash, found.gross) == (notional, 0, gross)
    priceless = [lane(role, **MUTE, residual_position=D(3)) for role in Role]
    assert residual_impact(pair(priceless[0], priceless[1], closing())) == NOTHING


@pytest.mark.parametrize(
    ("order", "mark", "usd"),
    [
        (sent(), None, "0"),
        (sent(status="open", filled_quantity=D(4), limit_price=D(90)), None, "540"),
        (sent(status="open", filled_quantity=D(4)), D(70), "600"),
        (sent(status="open", filled_quantity=None, average_price=None), D(70), "700"),
        (sent(status="open", filled_quantity=None, average_price=None), None, None),
        (sent(status="open", quantity=None), D(70), None),
        (sent(status="open", accepted=False), D(70), "0"),
        (sent(status="Canceled", filled_quantity=D(4)), D(70), "0"),
    ],
)
def test_what_an_order_may_still_fill_is_valued_at_its_limit_or_else_at_what_is_known(
    order: OrderRecord, mark: Decimal | None, usd: str | None
) -> None:
    assert working_dollars(order, mark) == (None if usd is None else D(usd))


def told(kind: str, both: TradePair | None, role: Role | None = CANDIDATE) -> Finding:
    return Finding(kind=kind, field="f", rule="r", explanation="e", role=role, pair=both)


def test_a_trades_dollars_stand_once_at_the_first_difference_that_can_move_money() -> None:
    dearer = pair(lane(CONTROL, **bought("10", "100")), lane(**bought("10", "101")))
    more = pair(lane(CONTROL, **bought("10", "100")), lane(**bought("12", "100")))

    def worth(*findings: Finding, both_ran: bool = True) -> list[tuple[Decimal, Decimal]]:
        return [(each.notional, each.cash) for each in impacts_of(findings, both_ran=both_ran)]

    nothing = (D(0), D(0))
    assert worth(told("SLIPPAGE", dearer)) == [(D(0), D(-10))]
    assert worth(told("SLIPPAGE", dearer), told("SLIPPAGE", dearer, CONTROL)) == [(D(0), D(-10)), nothing]
    assert worth(told("SLIPPAGE", dearer), told("SLIPPAGE", more)) == [(D(0), D(-10)), nothing]
    assert worth(told("SLIPPAGE", dearer), both_ran=False) == worth(told("RUN_STATUS", None)) == [nothing]
    assert worth(told("ORDER_TYPE", dearer)) == [nothing]
    assert worth(told("ASKED_QUANTITY", more), told("SLIPPAGE", more)) == [(D(200), D(-200)), nothing]
    assert worth(told("SLIPPAGE", more), told("ASKED_QUANTITY", more)) == [nothing, (D(200), D(-200))]
    assert worth(told("ASKED_QUANTITY", more, None), told("TRADE_STATUS", more)) == [nothing, (D(200), D(-200))]
