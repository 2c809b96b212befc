"""What was asked for and executed of a trade, at the bounds, held against the plan and the other lane."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.case import LaneTrade, TradePair
from shadow.compare.checks.decisions import damage_findings, plan_findings, presence_findings
from shadow.compare.checks.fills import net_findings
from shadow.compare.checks.sizing import asked_quantity, decision_price, sizing_findings
from shadow.contracts.vocabulary import Role, Side, SizingBasis, TradeStatus
from tests.factories.one_trade import (
    CANDIDATE,
    CONTROL,
    ENTRY,
    FAILED,
    NONE,
    POLICY,
    PRICE,
    TEN,
    TRUTH,
    USD,
    D,
    Said,
    alone,
    closing,
    decided,
    lane,
    of,
    pair,
    said,
    sent,
)


def exits(control: dict[str, Any], candidate: dict[str, Any]) -> list[tuple[str, Role | None]]:
    """Two full exits, each of so many shares: what is told of them beside each other."""

    def own(changes: dict[str, Any]) -> dict[str, Any]:
        quantity = changes.pop("quantity")
        intent = decided(quantity=quantity, sizing_basis=SizingBasis.HELD_QUANTITY)
        base: dict[str, Any] = {"action": Side.SELL, "intent": intent, "filled_quantity": quantity, "orders": ()}
        return base | changes

    found = sizing_findings(pair(lane(CONTROL, **own(control)), lane(**own(candidate)), closing()), POLICY)
    return [(each.kind, each.role) for each in found]


@pytest.mark.parametrize(
    ("intent", "told"),
    [
        (decided(), of()),
        (decided(quantity=D("10.000001")), of()),
        (decided(quantity=D("10.000002")), of("ASKED_QUANTITY")),
        (decided(quantity=D("9.999998")), of("ASKED_QUANTITY")),
        (decided(quantity=D(9), decision_price=D(101)), of()),
        (decided(quantity=D(9)), of("ASKED_QUANTITY")),
        (decided(quantity=D(50)), of("SIZING_BASIS")),
        (decided(quantity=D(0)), of()),
        (decided(quantity=None), of()),
        (decided(decision_price=None), of()),
        (decided(decision_price=None, bid=None), of()),
        (decided(decision_price=D(0)), of()),
        (decided(sizing_basis=SizingBasis.HELD_VALUE), of("SIZING_BASIS")),
        (decided(sizing_basis=None), of()),
    ],
)
def test_a_quantity_is_the_planned_dollars_at_the_decision_price(intent: Any, told: Said) -> None:
    found = list(sizing_findings(alone(lane(intent=intent, orders=())), POLICY))
    assert said(found) == told
    assert [each.planned for each in found] == ["trade_amount" if kind == "SIZING_BASIS" else "1000 USD" for kind, _ in told]
    assert said(sizing_findings(TradePair(None, None, lane(intent=intent)), POLICY)) == []


@pytest.mark.parametrize(
    ("intent", "plan", "told"),
    [
        # an exit sells what is held, as far as a price may move
        (decided(quantity=D(8), sizing_basis=SizingBasis.HELD_QUANTITY), closing(), of()),
        (decided(quantity=D("7.4"), sizing_basis=SizingBasis.HELD_QUANTITY), closing(), of("EXIT_QUANTITY")),
        (decided(quantity=D("13.3"), sizing_basis=SizingBasis.HELD_QUANTITY), closing(), of()),
        (decided(quantity=D("13.4"), sizing_basis=SizingBasis.HELD_QUANTITY), closing(), of("OVERSELL")),
        (decided(quantity=D("10.1"), sizing_basis=SizingBasis.HELD_VALUE), closing(), of("OVERSELL")),
        (decided(quantity=D("9.9"), sizing_basis=SizingBasis.HELD_VALUE), closing(), of("EXIT_QUANTITY")),
        (decided(quantity=D(10), sizing_basis=SizingBasis.TRADE_AMOUNT), closing(), of("SIZING_BASIS")),
        # a part
        (decided(quantity=D(11)), closing(is_full_exit=False, current_value=D(2000), target_value=USD * 9), of("ASKED_QUANTITY")),
        (decided(quantity=D(30)), closing(is_full_exit=False, current_value=D(2000), target_value=USD * 9), of("OVERSELL")),
        (
            decided(quantity=D("20.1")),
            closing(is_full_exit=False, current_value=D(2000), target_value=USD * 9),
            of("ASKED_QUANTITY"),
        ),
    ],
)
def test_a_sell_is_held_against_what_is_held(intent: Any, plan: Any, told: Said) -> None:
    own: dict[str, Any] = {"intent": intent, "action": Side.SELL, "orders": ()}
    found = list(sizing_findings(alone(lane(**own), plan), POLICY))
    assert said(found) == told
    goals = {"SIZING_BASIS": "held_quantity", "ASKED_QUANTITY": "1000 USD"}
    assert [each.planned for each in found] == [goals.get(kind, f"{plan.current_value} USD") for kind, _ in told]
    if plan.is_full_exit:
        kept = [each for each in told if each[0] == "SIZING_BASIS"]
        assert said(sizing_findings(alone(lane(**own, residual_position=D(0)), plan), POLICY)) == kept


def test_two_exits_sell_the_same_shares() -> None:
    ten, nine, twelve, least = D(10), D(9), D(12), D("9.999998")
    assert exits({"quantity": ten}, {"quantity": D("9.999999")}) == []
    assert exits({"quantity": ten}, {"quantity": least}) == [("EXIT_QUANTITY", CANDIDATE)]
    assert exits({"quantity": nine}, {"quantity": ten, "run": TRUTH}) == [("EXIT_QUANTITY", CONTROL)]
    assert exits({"quantity": ten}, {"quantity": twelve}) == [("OVERSELL", CANDIDATE)]
    assert exits({"quantity": ten}, {"quantity": twelve, "run": TRUTH}) == [("EXIT_QUANTITY", CONTROL)]
    assert exits({"quantity": ten}, {"quantity": twelve, "effects": [ENTRY]}) == [("EXIT_QUANTITY", CONTROL)]
    assert exits({"quantity": ten}, {"quantity": D("10.4")}) == [("EXIT_QUANTITY", CONTROL)]
    assert exits({"quantity": ten}, {"quantity": D("10.5")}) == [("OVERSELL", CANDIDATE)]
    assert exits({"quantity": nine, "residual_position": D(0)}, {"quantity": ten}) == [("OVERSELL", CANDIDATE)]
    assert exits({"quantity": nine}, {"quantity": ten, "residual_position": D(0)}) == [("EXIT_QUANTITY", CONTROL)]
    assert exits({"quantity": nine, "residual_position": D(0)}, {"quantity": ten, "residual_position": D(0)}) == [
        ("EXIT_QUANTITY", None)
    ]
    assert exits({"quantity": nine, "filled_quantity": ten}, {"quantity": ten}) == []
    assert exits({"quantity": nine, "filled_quantity": ten, "status": TradeStatus.FAILED}, {"quantity": ten}) != []


@pytest.mark.parametrize(
    ("control", "candidate", "told"),
    [
        ((D(9), None), (D("9.9"), None), [None]),
        ((D(9), None), (D(9), None), []),
        ((D("9.9"), None), (D("9.9"), None), []),
        ((D(9), True), (D("9.9"), True), [CONTROL]),
        ((D(9), True), (D("9.9"), None), [CONTROL]),
        ((D(9), False), (D("9.9"), False), [CANDIDATE]),
        ((D(9), False), (D("9.9"), None), [CANDIDATE]),
        ((D(9), True), (D("9.9"), False), [None]),
        ((D(9), False), (D(9), False), []),
        ((D("9.9"), True), (D("9.9"), True), []),
    ],
)
def test_whole_shares_and_fractions_are_held_against_what_is_known_of_the_asset(
    control: tuple[Decimal, bool | None], candidate: tuple[Decimal, bool | None], told: list[Role | None]
) -> None:
    def own(size: tuple[Decimal, bool | None]) -> dict[str, Any]:
        price = D(101) if size[0] == 9 else USD / D("9.9")
        intent = decided(quantity=size[0], fractionable=size[1], decision_price=price)
        return {"intent": intent, "orders": (), "filled_quantity": size[0]}

    def rounding(real: dict[str, Any]) -> list[Role | None]:
        both = pair(lane(CONTROL, **own(control)), lane(run=real, **own(candidate)))
        return [each.role for each in sizing_findings(both, POLICY) if each.kind == "QUANTITY_ROUNDING"]

    assert rounding({}) == told
    filled_in_fractions = candidate[1] is None and control[1] is False
    assert rounding(TRUTH) == ([] if filled_in_fractions else told)


def test_what_was_asked_for_and_at_what_price_is_read_from_the_best_record() -> None:
    assert asked_quantity(lane()) == TEN
    assert asked_quantity(lane(**FAILED, intent=decided(quantity=D(7)))) == 7
    assert asked_quantity(lane(**FAILED, intent=decided(quantity=D(7), sizing_basis=None))) == TEN
    assert asked_quantity(lane(intent=decided(quantity=D(7), sizing_basis=None))) == 7
    named = (sent(quantity=D(3)), sent(quantity=D(8)), sent(quantity=D(20), client_order_id=None), sent(quantity=None))
    assert asked_quantity(lane(intent=None, orders=named)) == 8
    assert asked_quantity(lane(intent=None, orders=())) is None
    assert decision_price(None) is None
    assert decision_price(decided()) == PRICE
    assert decision_price(decided(decision_price=None, bid=D(98))) == D("99.05")
    assert decision_price(decided(decision_price=None, ask=None)) is None
    assert decision_price(decided(decision_price=D(0))) is None
    assert decision_price(decided(decision_price=D("0.01"))) == D("0.01")


@pytest.mark.parametrize(
    ("trade", "told"),
    [
        ({}, of()),
        ({"symbol": "MSFT"}, of("SYMBOL")),
        ({"symbol": "EQUITIES::AAPL//USD"}, of()),
        ({"orders": (sent(symbol="AAPL"), sent(symbol="MSFT"))}, of("ORDER_SYMBOL")),
        ({"action": Side.SELL}, of("SIDE")),
        ({"trade_id": "x"}, of("TRADE_ID")),
        ({"planned_amount": D("1000.01")}, of("PLANNED_AMOUNT")),
        ({"planned_amount": D("1000.0000000001")}, of()),
        ({"planned_amount": None}, of()),
        ({"is_complete_exit": True}, of("FULL_EXIT_FLAG")),
        ({"is_complete_exit": None}, of()),
    ],
)
def test_a_trade_is_held_against_the_plan(trade: dict[str, Any], told: Said) -> None:
    found = list(plan_findings(pair(lane(CONTROL), lane(**trade)), POLICY))
    assert said(found) == told
    for each in found:
        if each.kind != "ORDER_SYMBOL":
            field = {"SYMBOL": "AAPL", "SIDE": "BUY", "TRADE_ID": "t", "PLANNED_AMOUNT": "1000", "FULL_EXIT_FLAG": "no"}[
                each.kind
            ]
            assert (each.planned, each.control) == (field, field)
    assert said(plan_findings(TradePair(None, None, lane(**trade)), POLICY)) == []
    own_ids = plan_findings(alone(lane(CONTROL, trade_id="x")), POLICY)
    assert said(own_ids) == []


def test_a_trade_is_there_once_in_each_lane_that_ran() -> None:
    def presence(both: TradePair, *ran: Role) -> list[tuple[str, Role | None, str | None, str | None]]:
        return [(each.kind, each.role, each.control, each.candidate) for each in presence_findings(both, frozenset(ran), POLICY)]

    done = TradeStatus.COMPLETED.value
    assert presence(pair(lane(CONTROL), lane()), *Role) == []
    assert presence(alone(lane()), *Role) == [("MISSING_TRADE", CONTROL, None, done)]
    assert presence(alone(lane()), CANDIDATE) == []
    assert presence(pair(None, None), *Role) == [("MISSING_TRADE", role, None, None) for role in Role]
    assert presence(TradePair(None, lane(CONTROL), None), *Role) == [("EXTRA_TRADE", CONTROL, done, None)]
    assert presence(TradePair(None, lane(CONTROL), lane()), *Role) == [("EXTRA_TRADE", role, done, done) for role in Role]
    one = lane()
    twice = LaneTrade(CANDIDATE, one.run, one.trade, (), (one.trade,))
    assert presence(pair(lane(CONTROL), twice), *Role) == [("DUPLICATE_TRADE", CANDIDATE, "1", "2")]


DRY: dict[str, Any] = {"orders": (sent(accepted=None, client_order_id=None),), "intent": None}


@pytest.mark.parametrize(
    ("control", "candidate", "words"),
    [
        (None, {}, "The plan does not ask for this trade."),
        (None, DRY, "The plan does not ask for this trade. Its 10 shares are not valued: there is no price but the lane's own."),
        (DRY, None, "The plan does not ask for this trade. Its 10 shares are not valued: there is no price but the lane's own."),
        (None, DRY | {"orders": (), **NONE, **FAILED}, "The plan does not ask for this trade."),
        ({}, DRY, "The plan does not ask for this trade."),
    ],
)
def test_of_a_trade_that_nobody_asked_for_it_is_said_where_nothing_values_it(control: Any, candidate: Any, words: str) -> None:
    sides = [None if trade is None else lane(role, **trade) for role, trade in ((CONTROL, control), (CANDIDATE, candidate))]
    found = list(presence_findings(TradePair(None, *sides), frozenset(Role), POLICY))
    assert {(each.kind, each.explanation) for each in found} == {("EXTRA_TRADE", words)}


@pytest.mark.parametrize(("plan", "words"), [(None, "a BUY of 1000 USD"), (closing(), "a SELL of 1000 USD")])
def test_a_trade_that_is_missing_is_told_with_what_the_plan_asks_for(plan: Any, words: str) -> None:
    (found,) = presence_findings(alone(lane(), plan), frozenset(Role), POLICY)
    assert found.explanation == f"The plan asks for {words}; there is no such trade."
    assert found.planned == ("1000" if plan is None else "-1000")


@pytest.mark.parametrize(
    ("trade", "told"),
    [
        ({}, []),
        ({"planned_amount": D("1000.0000000001")}, ["planned_amount"]),
        ({"planned_amount": D("1000.00000001")}, []),
        ({"filled_quantity": D("9.899999999999999")}, ["filled_quantity"]),
        ({"average_price": D("100.10000000000001")}, ["average_price"]),
        ({"value": D("1000.3000000000001")}, ["value"]),
        ({"intent": decided(quantity=D("9.899999999999999"))}, ["intent.quantity"]),
        ({"intent": None}, []),
    ],
)
def test_a_number_that_went_through_a_binary_float_is_told(trade: dict[str, Any], told: list[str]) -> None:
    found = list(damage_findings(pair(lane(CONTROL), lane(**trade))))
    assert [(each.field, each.role) for each in found] == [(field, CANDIDATE) for field in told]
    right = {"planned_amount": "1000", "intent.quantity": "10", "filled_quantity": "10", "average_price": "100", "value": "1000"}
    assert [each.control for each in found] == [right[field] for field in told]
    assert [each.planned for each in found] == ["1000" if field == "planned_amount" else None for field in told]


@pytest.mark.parametrize(
    ("trade", "told"),
    [
        ({}, of()),
        ({"filled_quantity": D("10.3")}, of()),
        ({"filled_quantity": D("10.4")}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D("9.7")}, of()),
        ({"filled_quantity": D("9.6")}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D("9.6"), **FAILED}, of()),
        ({"filled_quantity": D("10.4"), **FAILED}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D(9), "intent": decided(decision_price=D(101))}, of()),
        ({"filled_quantity": D(8), "intent": decided(decision_price=D(101))}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D(0), "intent": decided(decision_price=D(2000))}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D("10.4"), "run": TRUTH}, of()),
        ({"orders": (sent(filled_quantity=D("10.4")),), "run": TRUTH}, of("EXECUTED_VALUE")),
        ({"orders": (sent(filled_quantity=D("10.4")),), **NONE}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D("10.4"), "intent": None, "orders": (sent(filled_quantity=None),)}, of("EXECUTED_VALUE")),
        ({"filled_quantity": D("10.4"), "intent": None, "orders": (), "average_price": None}, of()),
        ({"orders": (), **NONE}, of()),
        ({"intent": None, "average_price": D(120)}, of()),
        ({"intent": None, "average_price": D(120), "orders": ()}, of("EXECUTED_VALUE")),
    ],
)
def test_what_was_executed_is_worth_what_the_plan_asks_for(trade: dict[str, Any], told: Said) -> None:
    assert said(net_findings(alone(lane(**trade)), POLICY)) == told
    assert said(net_findings(TradePair(None, None, lane(**trade)), POLICY)) == []


def test_where_no_price_is_known_the_shares_of_both_lanes_are_held_against_each_other() -> None:
    def told(control: str, candidate: str | None, control_too: dict[str, Any] | None = None, **changes: Any) -> Said:
        bare: dict[str, Any] = {"intent": None, "orders": (), "average_price": None, "value": None}
        shares = None if candidate is None else D(candidate)
        return said(
            net_findings(
                pair(
                    lane(CONTROL, filled_quantity=D(control), **bare, **(control_too or {})),
                    lane(**(bare | {"filled_quantity": shares} | changes)),
                ),
                POLICY,
            )
        )

    assert told("10", "10.3") == []
    assert told("10", "10.4") == [("EXECUTED_VALUE", None)]
    assert told("10", None) == [("EXECUTED_VALUE", None)]
    assert told("10", "10.4", status=TradeStatus.FAILED) == []
    assert told("10", "10.4", control_too={"status": TradeStatus.FAILED}) == []
    both_failed: dict[str, Any] = {"status": TradeStatus.FAILED}
    assert told("10", "10.4", control_too=both_failed, **both_failed) == [("EXECUTED_VALUE", None)]
    assert told("10", "10.4", average_price=PRICE) == of("EXECUTED_VALUE")
    assert told("10.4", "10", average_price=PRICE) == [("EXECUTED_VALUE", "control")]


@pytest.mark.parametrize(
    ("find", "trade", "shown", "why"),
    [
        (
            sizing_findings,
            {"intent": decided(quantity=D(50))},
            "target_value",
            "bought the target value, 5000 USD, instead of the trade amount, 1000 USD",
        ),
        (
            sizing_findings,
            {"intent": decided(sizing_basis=SizingBasis.HELD_VALUE)},
            "held_value",
            "sized the trade by held_value",
        ),
        (
            sizing_findings,
            {"intent": decided(quantity=D(9))},
            "9",
            "asked for 9 shares; the 1000 USD planned are 10.000000 at its decision price of 100",
        ),
        (
            net_findings,
            {"filled_quantity": D(11)},
            "1100.00",
            "executed 11 shares, 1100.00 USD, where the plan asks for 1000 USD",
        ),
        (plan_findings, {"symbol": "MSFT"}, "MSFT", "trades MSFT where the plan says AAPL"),
        (plan_findings, {"orders": (sent(symbol="MSFT"),)}, "MSFT", "sent an order for MSFT where its trade is in AAPL"),
        (plan_findings, {"action": Side.SELL}, "SELL", "does a SELL where the plan says BUY"),
        (plan_findings, {"trade_id": "x"}, "x", "names the trade x"),
        (plan_findings, {"planned_amount": D(1001)}, "1001", "works on 1001 USD, 1 off the plan"),
        (plan_findings, {"is_complete_exit": True}, "yes", "takes the trade for a full exit"),
    ],
)
def test_what_is_wrong_with_a_size_or_against_the_plan_is_said_in_words(find: Any, trade: Any, shown: str, why: str) -> None:
    found = {each.explanation: each.candidate for each in find(alone(lane(**trade)), POLICY)}
    assert (found.get(f"The candidate {why}."), list(found)) == (shown, list(found))
