"""Each check of one trade by itself, at its bounds: what it tells, of which lane, and where it is silent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.case import LaneTrade, TradePair
from shadow.compare.checks.decisions import damage_findings, plan_findings, presence_findings, skip_findings
from shadow.compare.checks.effects import trade_effect_findings
from shadow.compare.checks.executed import claimed_shares, executed, is_refused, is_simulated, is_uncertain
from shadow.compare.checks.fills import ends_apart, fill_findings, net_findings
from shadow.compare.checks.orders import order_findings
from shadow.compare.checks.prices import closed_departs, price_findings, seconds_between, witnessed_price
from shadow.compare.checks.sizing import asked_quantity, decision_price, sizing_findings
from shadow.contracts.comparison import Word
from shadow.contracts.outcome import Gap, MarketQuote
from shadow.contracts.vocabulary import EffectKind, Reason, Role, Side, SizingBasis, TradeStatus
from tests.factories.one_trade import (
    AT,
    CANDIDATE,
    CONTROL,
    POLICY,
    PRICE,
    TEN,
    USD,
    Said,
    alone,
    closing,
    decided,
    duties,
    effect,
    lane,
    pair,
    planned,
    said,
    sent,
)

D = Decimal
TRUTH = {"broker_truth": True}
FAILED: dict[str, Any] = {"status": TradeStatus.FAILED, "reason": Reason.NOT_FILLED}
NONE: dict[str, Any] = {"filled_quantity": None, "average_price": None, "value": None}
ZERO_FILL: dict[str, Any] = {"filled_quantity": D(0), "average_price": None, "value": D(0)}
EMPTY = sent(status="canceled", filled_quantity=D(0), average_price=None)
PART = sent(status="canceled", filled_quantity=D(4))


def of(*kinds: str) -> Said:
    return [(kind, "candidate") for kind in kinds]


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


# Fills


@pytest.mark.parametrize(
    ("trade", "told"),
    [
        ({}, of()),
        # an end that is none
        ({"status": TradeStatus.UNFINISHED, **NONE, "orders": ()}, of("TRADE_UNFINISHED")),
        ({"status": TradeStatus.NOT_SENT, **NONE, "orders": ()}, of("TRADE_UNFINISHED")),
        ({"status": TradeStatus.UNKNOWN, **NONE, "orders": ()}, of("TRADE_UNKNOWN")),
        # filled, and recorded otherwise
        ({**FAILED}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, "filled_quantity": D("9.9999990")}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, **NONE}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, "orders": (), "filled_quantity": D("9.999998")}, of()),
        ({**FAILED, "orders": (), "filled_quantity": D("9.999999")}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, "orders": (), "intent": None}, of()),
        ({"status": TradeStatus.SKIPPED, **NONE}, of("FILLED_RECORDED_AS_FAILED")),
        (
            {"status": TradeStatus.BLOCKED, "orders": (), "filled_quantity": D("0.1"), "value": None},
            of("FILLED_RECORDED_AS_FAILED"),
        ),
        ({"status": TradeStatus.SKIPPED, **NONE, "orders": ()}, of()),
        # a part, and recorded less
        ({**FAILED, "orders": (PART,), "filled_quantity": D(4), "value": None}, of()),
        ({**FAILED, "orders": (PART,), **NONE}, of("PARTIAL_FILL_LOST")),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("3.999999"), "value": None}, of()),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("3.999998"), "value": None}, of("PARTIAL_FILL_LOST")),
        # executed, and nothing or other filled
        ({"orders": (), **ZERO_FILL}, of("COMPLETED_WITHOUT_FILL")),
        ({"orders": (), **NONE}, of()),
        ({"orders": (EMPTY,)}, of("COMPLETED_WITHOUT_FILL", "FILLED_QUANTITY")),
        ({"orders": (sent(status="rejected"),)}, of("COMPLETED_WITHOUT_FILL", "FILLED_QUANTITY")),
        ({"orders": (sent(accepted=False),)}, of("COMPLETED_WITHOUT_FILL", "FILLED_QUANTITY")),
        ({"orders": (EMPTY,), **NONE}, of()),
        ({"filled_quantity": D("9.999999"), "value": D("999.9999")}, of()),
        ({"filled_quantity": D("9.999998"), "value": D("999.9998")}, of("FILLED_QUANTITY")),
        ({"filled_quantity": D("10.000002"), "value": D("1000.0002")}, of("FILLED_QUANTITY")),
        ({"orders": (sent(filled_quantity=D("9.999999")),)}, of()),
        ({"orders": (sent(filled_quantity=D("9.999998")),)}, of("FILLED_QUANTITY")),
        ({"orders": (sent(filled_quantity=D(11)),)}, of()),
        # quantity times price is the value
        ({"value": D("1000.01")}, of()),
        ({"value": D("1000.0101")}, of("VALUE")),
        ({"value": None}, of()),
        ({"value": D(7), "average_price": None}, of()),
        # the recorded price is the fills'
        ({"average_price": D("100.01"), "value": D("1000.1")}, of()),
        ({"average_price": D("100.02"), "value": D("1000.2")}, of("PRICE_NOT_THE_FILL")),
    ],
)
def test_what_came_of_a_trade_is_told_where_its_record_and_its_orders_are_apart(trade: dict[str, Any], told: Said) -> None:
    assert said(fill_findings(alone(lane(**trade)), POLICY, duties(ran=(CANDIDATE,)))) == told


@pytest.mark.parametrize(
    ("left", "trade", "told"),
    [
        ("0", {}, of()),
        ("1.5", {}, of("RESIDUAL_POSITION")),
        ("0.5", {}, of()),
        ("1", {}, of("RESIDUAL_POSITION")),
        ("0.5", {"filled_quantity": D("9.5"), "value": D(950)}, of("RESIDUAL_POSITION")),
        ("1.5", {"status": TradeStatus.FAILED, "orders": (PART,), "filled_quantity": D(4), "value": D(400)}, of()),
        ("-0.5", {}, of("OVERSELL")),
        ("-0.5", {"status": TradeStatus.FAILED, "orders": (PART,), "filled_quantity": D(4), "value": D(400)}, of("OVERSELL")),
        ("-0.5", {"action": Side.BUY}, of()),
    ],
)
def test_what_is_left_of_an_exit_is_a_residue_and_less_than_nothing_an_oversell(
    left: str, trade: dict[str, Any], told: Said
) -> None:
    side: dict[str, Any] = {"action": Side.SELL, "residual_position": D(left), "intent": decided(fractionable=False)} | trade
    residues = fill_findings(pair(lane(CONTROL, **side), lane(**side), closing()), POLICY, duties())
    found = [each for each in said(residues) if each[0] in ("RESIDUAL_POSITION", "OVERSELL")]
    assert found == [(kind, role.value) for kind, _ in told for role in Role]
    plain = fill_findings(pair(lane(CONTROL, **side), lane(**side), planned(side=Side.SELL, amount=-USD)), POLICY, duties())
    assert [each for each in said(plain) if each[0] == "RESIDUAL_POSITION"] == []


def test_a_part_of_a_share_is_a_residue_where_a_lane_was_told_that_the_asset_trades_in_fractions() -> None:
    def residues(first: dict[str, Any], second: dict[str, Any]) -> Said:
        own: dict[str, Any] = {"action": Side.SELL, "residual_position": D("0.5")}
        both = pair(lane(CONTROL, **(own | first)), lane(**(own | second)), closing())
        return [each for each in said(fill_findings(both, POLICY, duties())) if each[0] == "RESIDUAL_POSITION"]

    unknown: dict[str, Any] = {"intent": None, "orders": (), **NONE, "residual_position": None}
    assert residues({}, unknown) == []
    assert residues({"intent": decided(fractionable=True)}, unknown) == [("RESIDUAL_POSITION", "control")]
    assert residues({"intent": decided(fractionable=True)}, {}) == []
    assert residues({"filled_quantity": D("9.5"), "orders": ()}, {}) == [
        ("RESIDUAL_POSITION", "control"),
        ("RESIDUAL_POSITION", "candidate"),
    ]
    assert len(residues({"run": TRUTH, "orders": (sent(filled_quantity=D("9.5")),)}, {})) == 2


BLOCKED: dict[str, Any] = {"status": TradeStatus.BLOCKED, **NONE, "orders": (), "intent": None}
GUARDED = BLOCKED | {"reason": Reason.SELL_GUARD}
LIMITED = BLOCKED | {"reason": Reason.EQUITY_LIMIT}
CLOSED = BLOCKED | {"status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED}
NO_QUOTE = BLOCKED | {"status": TradeStatus.FAILED, "reason": Reason.NO_QUOTE}
REJECTED = NO_QUOTE | {"reason": Reason.BROKER_REJECTED}
UNSENT = BLOCKED | {"status": TradeStatus.NOT_SENT}
UNKNOWN = BLOCKED | {"status": TradeStatus.UNKNOWN}
NEARLY = FAILED | {"orders": (), "filled_quantity": D("9.8"), "value": D(980)}
BOTH = {CONTROL, CANDIDATE}


@pytest.mark.parametrize(
    ("control", "candidate", "demanded", "departs"),
    [
        # the guard: a lane that had to block does not depart
        ({}, GUARDED, duties(), {CANDIDATE}),
        ({}, GUARDED, duties(CANDIDATE), {CANDIDATE}),
        ({}, GUARDED, duties(CONTROL, CANDIDATE), {CONTROL}),
        ({}, GUARDED, duties(CONTROL), BOTH),
        (GUARDED, {}, duties(), {CONTROL}),
        ({}, UNSENT, duties(CONTROL, CANDIDATE), set()),
        ({}, UNSENT, duties(CANDIDATE), {CANDIDATE}),
        # the breaker
        ({}, LIMITED, duties(), set()),
        ({}, LIMITED, duties(breaker=(CANDIDATE,)), {CANDIDATE}),
        (REJECTED, LIMITED, duties(breaker=(CANDIDATE,)), BOTH),
        (GUARDED, LIMITED, duties(CONTROL), {CONTROL, CANDIDATE}),
        # the market was closed for one of them
        ({"orders": ()}, CLOSED, duties(), {CONTROL}),
        ({"run": TRUTH}, CLOSED, duties(), {CANDIDATE}),
        # no quote, and a success that is only the other's word
        ({"orders": ()}, NO_QUOTE, duties(), set()),
        ({"run": TRUTH}, NO_QUOTE, duties(), {CANDIDATE}),
        ({}, REJECTED, duties(), {CANDIDATE}),
        # a rest that nobody minds
        (UNKNOWN, NEARLY, duties(), {CONTROL}),
        (UNKNOWN, NEARLY | {"filled_quantity": D("9.6")}, duties(), BOTH),
        (UNKNOWN, NEARLY | {"filled_quantity": D("9.7")}, duties(), {CONTROL}),
        ({}, NEARLY, duties(), {CANDIDATE}),
    ],
)
def test_of_two_ends_the_lane_departs_that_did_not_do_what_it_had_to(
    control: dict[str, Any], candidate: dict[str, Any], demanded: Any, departs: set[Role]
) -> None:
    assert ends_apart(pair(lane(CONTROL, **control), lane(**candidate)), demanded) == departs
    assert ends_apart(alone(lane(**candidate)), demanded) == frozenset()


@pytest.mark.parametrize(
    ("candidate", "demanded", "told"),
    [
        ({}, duties(), []),
        (REJECTED, duties(), [("TRADE_STATUS", "candidate")]),
        (CLOSED, duties(), []),
        (GUARDED, duties(CANDIDATE), []),
        (GUARDED, duties(), [("TRADE_STATUS", "candidate")]),
        (NEARLY, duties(), []),
        (REJECTED, duties(ran=(CANDIDATE,)), []),
    ],
)
def test_a_trade_that_one_lane_alone_has_is_held_against_the_plan(candidate: dict[str, Any], demanded: Any, told: Said) -> None:
    found = [each for each in fill_findings(alone(lane(**candidate)), POLICY, demanded) if each.kind == "TRADE_STATUS"]
    assert said(found) == told
    for each in found:
        assert (each.planned, each.control, each.candidate) == ("COMPLETED", None, candidate["status"].value)
    unplanned = TradePair(None, None, lane(**candidate))
    assert "TRADE_STATUS" not in [kind for kind, _ in said(fill_findings(unplanned, POLICY, demanded))]


@pytest.mark.parametrize(
    ("control", "candidate", "told"),
    [
        (D(4), D(4), []),
        (D(4), D("3.97"), []),
        (D(4), D("3.95"), [None]),
        (D(4), None, [None]),
    ],
)
def test_the_parts_that_two_failed_trades_filled_are_held_against_each_other(
    control: Decimal, candidate: Decimal | None, told: list[Role | None]
) -> None:
    def part(role: Role, shares: Decimal | None, truth: dict[str, Any] | None = None) -> LaneTrade:
        value = None if shares is None else shares * PRICE
        return lane(role, truth, **FAILED, orders=(), filled_quantity=shares, average_price=shares and PRICE, value=value)

    def parts(both: TradePair) -> list[Role | None]:
        return [each.role for each in fill_findings(both, POLICY, duties()) if each.field == "filled_usd"]

    assert parts(pair(part(CONTROL, control), part(CANDIDATE, candidate))) == told
    assert parts(pair(part(CONTROL, control, TRUTH), part(CANDIDATE, candidate, TRUTH))) == [CANDIDATE for _ in told]
    assert parts(pair(part(CANDIDATE, control), lane(CONTROL))) == []


def test_of_two_parts_the_lane_departs_whose_orders_say_otherwise_or_that_failed_alone() -> None:
    def departs(control: dict[str, Any], candidate: dict[str, Any]) -> list[Role | None]:
        both = pair(lane(CONTROL, **(FAILED | control)), lane(**(FAILED | candidate)))
        return [each.role for each in fill_findings(both, POLICY, duties()) if each.field == "filled_usd"]

    part: dict[str, Any] = {"orders": (PART,), "filled_quantity": D(4), "value": D(400)}
    nothing: dict[str, Any] = {"orders": (), **NONE}
    empty: dict[str, Any] = {"orders": (EMPTY,), **ZERO_FILL}
    assert departs(part, nothing) == [None]
    assert departs(part | {"run": TRUTH}, nothing) == [CANDIDATE]
    assert departs(part | {"run": TRUTH}, empty) == [None]
    assert departs(part, nothing | {"orders": (sent(status="canceled", filled_quantity=D(1)),)}) == [CANDIDATE]
    assert departs({"run": TRUTH}, empty) == [CONTROL, CANDIDATE]
    assert departs({"run": TRUTH}, empty | {"reason": Reason.NO_QUOTE}) == [CONTROL, CANDIDATE]
    assert departs(part | {"run": TRUTH}, nothing | {"reason": Reason.NO_QUOTE}) == [CANDIDATE]


# Orders


@pytest.mark.parametrize(
    ("trade", "told"),
    [
        ({}, of()),
        ({"orders": (sent(side=Side.BUY, symbol="AAPL"),)}, of()),
        ({"orders": (sent(side=Side.SELL),)}, of("ORDER_SIDE")),
        ({"orders": (sent(order_type="Market"),)}, of("ORDER_TYPE")),
        ({"orders": (sent(order_type="LIMIT"),)}, of()),
        ({"orders": (), "intent": decided(order_type="market")}, of("ORDER_TYPE")),
        ({"intent": decided(order_type="market")}, of()),
        ({"orders": (sent(client_order_id=None),), "intent": decided(order_type="market")}, of()),
        # two that count
        ({"orders": (sent(), sent(client_order_id="t-step-1", order_id="o1"))}, of("DOUBLE_ORDER", "ORDER_CHAINS")),
        ({"orders": (sent(status="canceled", filled_quantity=D("10.000001")),)}, of()),
        ({"orders": (sent(status="canceled", filled_quantity=D("10.000002")),)}, of("DOUBLE_ORDER")),
        # one chain
        ({"orders": (EMPTY, sent(client_order_id="t-step-1", order_id="o1"))}, of()),
        ({"orders": (EMPTY, sent(order_id="o1"))}, of("ORDER_CHAINS")),
        ({"orders": (EMPTY, sent(client_order_id="t-step-2", order_id="o1"))}, of("ORDER_CHAINS")),
        ({"orders": (sent(client_order_id="t-step-1"),)}, of("ORDER_CHAINS")),
        ({"orders": (sent(status="rejected", filled_quantity=None), sent(client_order_id="t-step-10", order_id="o"))}, of()),
        ({"orders": (EMPTY, sent(client_order_id="else", order_id="o1"))}, of("ORDER_CHAINS", "CLIENT_ORDER_ID")),
        ({"orders": (sent(client_order_id="t-step-x"),)}, of("CLIENT_ORDER_ID")),
        ({"order_id": "else"}, of("ORDER_CHAINS")),
        ({"order_id": "else", "orders": (sent(order_id=None),)}, of()),
        ({"order_id": None}, of()),
        (
            {
                "orders": (
                    sent(submitted_at=AT),
                    EMPTY.model_copy(update={"client_order_id": "t-step-1", "submitted_at": AT + seconds(1)}),
                )
            },
            of("ORDER_CHAINS"),
        ),
        (
            {
                "orders": (
                    sent(submitted_at=AT + seconds(1)),
                    EMPTY.model_copy(update={"client_order_id": "t-step-1", "submitted_at": AT}),
                )
            },
            of(),
        ),
        # the whole of what was decided
        ({"orders": (sent(quantity=D("10.000001")),)}, of()),
        ({"orders": (sent(quantity=D("10.000002")),)}, of("ORDER_QUANTITY")),
        ({"orders": (sent(quantity=None),)}, of()),
        ({"orders": (sent(quantity=D(11)),), "intent": None}, of()),
        # tries
        ({"attempts": 2}, of("ATTEMPTS")),
        ({"attempts": None}, of()),
        # an order that is not over
        ({**FAILED, "orders": (sent(status="open"),)}, of("ORDER_LIVE_WHILE_FAILED")),
        ({**FAILED, "orders": (sent(status="open", accepted=False),)}, of()),
        ({"orders": (sent(status="open"),)}, of("ORDER_LEFT_WORKING")),
        ({"orders": (sent(status="open"),), "run": {"completed_at": None}}, of()),
        ({"orders": (sent(status="odd"),)}, of("ORDER_FATE_UNKNOWN")),
        ({"orders": (sent(status="odd", accepted=False),), **FAILED}, of()),
        ({"orders": (sent(status="odd"),), "status": TradeStatus.UNFINISHED}, of()),
        ({"orders": (sent(status=None),)}, of()),
        # executed without an order, and against the broker's word
        ({"orders": ()}, of()),
        ({"orders": (EMPTY,)}, of("COMPLETED_WITHOUT_ORDER")),
        ({"orders": (sent(accepted=False),)}, of("COMPLETED_WITHOUT_ORDER")),
        ({"orders": (PART,)}, of()),
        ({**FAILED, "orders": (EMPTY,)}, of()),
        ({"orders": (sent(status="not_found", accepted=False),), "run": TRUTH}, of("COMPLETED_WITHOUT_ORDER", "ORDER_DENIED")),
        ({"orders": (sent(status="not_found", accepted=False),), **FAILED}, of()),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("4.000001"), "run": TRUTH}, of()),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("4.000002"), "run": TRUTH}, of("ORDER_DENIED")),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("4.000002")}, of()),
        ({"orders": (PART,), "run": TRUTH}, of()),
    ],
)
def test_the_orders_of_a_trade_are_one_chain_that_is_over(trade: dict[str, Any], told: Said) -> None:
    assert said(order_findings(alone(lane(**trade)), POLICY)) == told


@pytest.mark.parametrize(
    ("side", "tries", "told"), [(Side.SELL, 3, False), (Side.SELL, 4, True), (Side.BUY, 1, False), (Side.BUY, 2, True)]
)
def test_a_sell_may_be_tried_three_times_and_a_buy_once(side: Side, tries: int, *, told: bool) -> None:
    plan = planned(side=side, amount=USD if side is Side.BUY else -USD)
    both = pair(lane(CONTROL, action=side), lane(action=side, attempts=tries), plan)
    found = [each for each in order_findings(both, POLICY) if each.kind == "ATTEMPTS"]
    assert [(each.role, each.planned, each.control, each.candidate) for each in found] == (
        [(CANDIDATE, "3" if side is Side.SELL else "1", "1", str(tries))] if told else []
    )


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([effect(order_id="a", quantity=D(5)), effect(order_id="b", quantity=D("5.000001"))], False),
        ([effect(order_id="a", quantity=D(5)), effect(order_id="b", quantity=D("5.000002"))], True),
        ([effect(order_id="a", quantity=D(11))], False),
        ([effect(order_id="a", quantity=D(6)), effect(order_id="a", quantity=D(6))], False),
        ([effect(order_id=None, quantity=D(6)), effect(order_id="b", quantity=D(6))], False),
        ([effect(EffectKind.TRADE_EXECUTED, order_id="a"), effect(order_id="b")], False),
    ],
)
@pytest.mark.parametrize("intent", [decided(), None])
def test_orders_of_the_ledger_that_filled_more_than_was_asked_for_are_a_double(entries: Any, intent: Any, *, told: bool) -> None:
    found = order_findings(alone(lane(effects=entries, intent=intent, orders=())), POLICY)
    assert said(found) == (of("DOUBLE_ORDER") if told else [])


# Effects

EXECUTED = EffectKind.TRADE_EXECUTED
DONE = effect(EXECUTED)


@pytest.mark.parametrize(
    ("trade", "events", "told"),
    [
        ({}, [DONE], of()),
        ({}, [], of("TRADE_EXECUTED_MISSING")),
        ({}, [DONE, DONE], of("TRADE_EXECUTED_TWICE")),
        ({**FAILED, "orders": (), **NONE}, [effect(EXECUTED, success=False, quantity=None, price=None, amount=None)], of()),
        ({**FAILED, "orders": (), **NONE}, [], of("TRADE_EXECUTED_MISSING")),
        (CLOSED, [], of("TRADE_EXECUTED_MISSING")),
        (LIMITED, [], of("TRADE_EXECUTED_MISSING")),
        (GUARDED, [], of()),
        (GUARDED, [effect(EXECUTED, success=False)], of("TRADE_EXECUTED_EXTRA")),
        (UNSENT, [effect(EXECUTED, success=False)], of("TRADE_EXECUTED_EXTRA")),
        (UNKNOWN, [effect(EXECUTED, success=False)], of()),
        ({}, [effect(EXECUTED, success=False)], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, success=None)], of("TRADE_EXECUTED_DIFFERENT")),
        ({**FAILED, "orders": (), **NONE}, [effect(EXECUTED, quantity=None, amount=None)], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, symbol="MSFT")], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, symbol=None, action=None)], of()),
        ({}, [effect(EXECUTED, action=Side.SELL)], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, quantity=D("10.000001"))], of()),
        ({}, [effect(EXECUTED, quantity=D("10.000002"))], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, quantity=None)], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, price=D("100.5"))], of()),
        ({}, [effect(EXECUTED, price=D("100.6"))], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, price=None)], of("TRADE_EXECUTED_DIFFERENT")),
        ({"average_price": None}, [effect(EXECUTED, price=D(1))], of()),
        ({}, [effect(EXECUTED, amount=-USD)], of()),
        ({}, [effect(EXECUTED, amount=None)], of()),
        ({}, [effect(EXECUTED, amount=D(1006))], of("TRADE_EXECUTED_DIFFERENT")),
        ({"value": None}, [effect(EXECUTED, amount=D(7))], of()),
        ({}, [effect(EXECUTED, order_id="else")], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, order_id=None)], of()),
        ({"order_id": "last"}, [effect(EXECUTED, order_id="last")], of()),
        ({"orders": ()}, [effect(EXECUTED, order_id="else")], of()),
        ({"orders": (sent(client_order_id=None),)}, [effect(EXECUTED, order_id="else")], of()),
        # what was filled is not known
        ({"orders": (), **NONE}, [effect(EXECUTED, quantity=D(3))], of()),
        ({**FAILED, "orders": (), **NONE}, [effect(EXECUTED, success=False, amount=None)], of("TRADE_EXECUTED_DIFFERENT")),
        (
            {**FAILED, "orders": (), **NONE, "run": {"gaps": (Gap(what="w", reason="r"),)}},
            [effect(EXECUTED, success=False, amount=None)],
            of(),
        ),
        ({**FAILED, "orders": (), **NONE, "run": {"violations": ("v",)}}, [effect(EXECUTED, success=False, amount=None)], of()),
        # the ids that it carries
        ({"run": {"correlation_id": "c"}}, [effect(EXECUTED, correlation_id="c", run_id="r", plan_id="p")], of()),
        ({"run": {"correlation_id": "c"}}, [effect(EXECUTED, correlation_id="x")], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, correlation_id="x")], of()),
        ({}, [effect(EXECUTED, run_id="x")], of("TRADE_EXECUTED_DIFFERENT")),
        ({}, [effect(EXECUTED, plan_id="x")], of("TRADE_EXECUTED_DIFFERENT")),
    ],
)
def test_the_event_about_a_trade_says_what_became_of_it(trade: dict[str, Any], events: list[Any], told: Said) -> None:
    side = lane(effects=events, **(trade | {"run": {"effect_kinds": (EXECUTED,)} | trade.get("run", {})}))
    assert said(trade_effect_findings(alone(side), POLICY)) == told


ENTRY = effect()


@pytest.mark.parametrize(
    ("trade", "entries", "told"),
    [
        ({}, [ENTRY], of()),
        ({}, [], of("LEDGER_MISSING")),
        ({**FAILED, "orders": (), **NONE}, [], of()),
        ({**FAILED, "orders": (), **NONE}, [ENTRY], of("LEDGER_EXTRA")),
        ({"orders": (), **NONE}, [ENTRY], of()),
        ({}, [effect(quantity=D(4)), effect(quantity=D(6))], of()),
        ({}, [effect(quantity=D(5)), effect(quantity=D("5.000001"))], of()),
        ({}, [effect(quantity=D(5)), effect(quantity=D("5.000002"))], of("LEDGER_TWICE")),
        ({}, [ENTRY, ENTRY], of("LEDGER_TWICE")),
        ({}, [effect(quantity=D("10.000002"))], of("LEDGER_DIFFERENT")),
        ({}, [effect(quantity=D(4)), effect(quantity=D(5))], of("LEDGER_DIFFERENT")),
        ({}, [effect(quantity=None)], of("LEDGER_DIFFERENT")),
        ({}, [ENTRY, effect(quantity=None)], of("LEDGER_DIFFERENT")),
        ({}, [effect(symbol="MSFT")], of("LEDGER_DIFFERENT")),
        ({}, [effect(action=Side.SELL)], of("LEDGER_DIFFERENT")),
        ({}, [effect(symbol=None, action=None)], of()),
        ({}, [effect(order_id="else")], of("LEDGER_DIFFERENT")),
        ({}, [effect(price=D("100.5"))], of()),
        ({}, [effect(price=D("100.6"))], of("LEDGER_DIFFERENT")),
        ({}, [effect(price=None)], of("LEDGER_DIFFERENT")),
        ({"average_price": None}, [effect(price=None)], of()),
        ({}, [effect(run_id="x")], of("LEDGER_DIFFERENT")),
    ],
)
def test_the_ledger_holds_what_a_trade_filled(trade: dict[str, Any], entries: list[Any], told: Said) -> None:
    run = {"effect_kinds": (EffectKind.LEDGER_ENTRY,)}
    assert said(trade_effect_findings(alone(lane(run=run, effects=entries, **trade)), POLICY)) == told


def test_effects_that_nobody_watched_for_are_not_missing() -> None:
    assert said(trade_effect_findings(alone(lane(run={"effects": None})), POLICY)) == []
    assert said(trade_effect_findings(alone(lane(run={"effect_kinds": ()})), POLICY)) == []
    assert said(trade_effect_findings(alone(lane()), POLICY)) == of("TRADE_EXECUTED_MISSING", "LEDGER_MISSING")


# Sizes


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
    assert said(sizing_findings(alone(lane(intent=intent, orders=())), POLICY)) == told
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
    assert said(sizing_findings(alone(lane(**own), plan), POLICY)) == told
    if plan.is_full_exit:
        kept = [each for each in told if each[0] == "SIZING_BASIS"]
        assert said(sizing_findings(alone(lane(**own, residual_position=D(0)), plan), POLICY)) == kept


def exits(control: dict[str, Any], candidate: dict[str, Any]) -> list[tuple[str, Role | None]]:
    """Two full exits, each of so many shares: what is told of them beside each other."""

    def own(changes: dict[str, Any]) -> dict[str, Any]:
        quantity = changes.pop("quantity")
        intent = decided(quantity=quantity, sizing_basis=SizingBasis.HELD_QUANTITY)
        base: dict[str, Any] = {"action": Side.SELL, "intent": intent, "filled_quantity": quantity, "orders": ()}
        return base | changes

    found = sizing_findings(pair(lane(CONTROL, **own(control)), lane(**own(candidate)), closing()), POLICY)
    return [(each.kind, each.role) for each in found]


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


# Prices


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
        ({}, {"started_at": None}, None),
        ({}, {"started_at": AT - seconds(5)}, 5),
        ({}, {"started_at": AT - seconds(6)}, None),
        ({}, {"started_at": AT + seconds(65)}, 65),
        ({}, {"started_at": AT + seconds(66)}, None),
        ({}, {"started_at": AT + seconds(900), "run": {"completed_at": None}}, 900),
        ({}, {"started_at": AT - seconds(900), "run": {"started_at": None}}, 900),
    ],
)
def test_the_time_between_two_decisions_is_known_where_each_lies_in_its_run(one: Any, two: Any, apart: int | None) -> None:
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


# The plan


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
    ("control", "candidate", "demanded", "told"),
    [
        (CLOSED, CLOSED, duties(), []),
        (CLOSED, CLOSED | {"reason": Reason.NOTHING_HELD}, duties(), [("SKIP_REASON", None)]),
        (CLOSED, CLOSED | {"reason": Reason.OTHER}, duties(), []),
        (CLOSED | {"reason": None}, CLOSED, duties(), []),
        (CLOSED, GUARDED, duties(), [("SKIP_REASON", "candidate")]),
        (CLOSED, GUARDED, duties(CANDIDATE), [("SKIP_REASON", "candidate")]),
        (CLOSED, GUARDED, duties(CONTROL, CANDIDATE), [("SKIP_REASON", None)]),
        (NO_QUOTE, NO_QUOTE | {"reason": Reason.TIMED_OUT}, duties(), [("TRADE_REASON", None)]),
        (NO_QUOTE, REJECTED, duties(), []),
        (NO_QUOTE | {"filled_quantity": D(1)}, REJECTED, duties(), [("TRADE_REASON", None)]),
        (CLOSED, NO_QUOTE, duties(), []),
    ],
)
def test_two_trades_left_alone_or_failed_say_the_same_reason(control: Any, candidate: Any, demanded: Any, told: Said) -> None:
    assert said(skip_findings(pair(lane(CONTROL, **control), lane(**candidate)), demanded)) == told
    assert said(skip_findings(alone(lane(**candidate)), demanded)) == []


# What was executed


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
    ],
)
def test_what_was_executed_is_worth_what_the_plan_asks_for(trade: dict[str, Any], told: Said) -> None:
    assert said(net_findings(alone(lane(**trade)), POLICY)) == told
    assert said(net_findings(TradePair(None, None, lane(**trade)), POLICY)) == []


def test_where_no_price_is_known_the_shares_of_both_lanes_are_held_against_each_other() -> None:
    def told(control: str, candidate: str | None, **changes: Any) -> Said:
        bare: dict[str, Any] = {"intent": None, "orders": (), "average_price": None, "value": None}
        shares = None if candidate is None else D(candidate)
        return said(
            net_findings(
                pair(lane(CONTROL, filled_quantity=D(control), **bare), lane(**(bare | {"filled_quantity": shares} | changes))),
                POLICY,
            )
        )

    assert told("10", "10.3") == []
    assert told("10", "10.4") == [("EXECUTED_VALUE", None)]
    assert told("10", None) == [("EXECUTED_VALUE", None)]
    assert told("10", "10.4", status=TradeStatus.FAILED) == []
    assert told("10", "10.4", average_price=PRICE) == of("EXECUTED_VALUE")
    assert told("10.4", "10", average_price=PRICE) == [("EXECUTED_VALUE", "control")]


@pytest.mark.parametrize(
    ("trade", "shares", "value", "word"),
    [
        ({"run": TRUTH}, D(10), USD, Word.BROKER),
        ({"run": TRUTH, "orders": ()}, D(0), D(0), Word.BROKER),
        ({"run": TRUTH, "orders": (sent(side=Side.SELL),)}, D(-10), -USD, Word.BROKER),
        ({"run": TRUTH, "orders": (sent(average_price=None),)}, D(10), USD, Word.BROKER),
        ({"run": TRUTH, "orders": (sent(average_price=None),), "intent": None}, D(10), None, Word.BROKER),
        ({"run": TRUTH, "orders": (sent(symbol="MSFT"),)}, D(0), D(0), Word.BROKER),
        ({"run": TRUTH | {"gaps": (Gap(what="broker orders of AAPL", reason="r"),)}, "orders": ()}, D(10), USD, Word.LANE),
        ({"run": TRUTH | {"gaps": (Gap(what="broker orders of MSFT", reason="r"),)}, "orders": ()}, D(0), D(0), Word.BROKER),
        ({}, D(10), USD, Word.LANE),
        ({"action": Side.SELL}, D(-10), -USD, Word.LANE),
        ({"orders": (sent(accepted=False),)}, D(0), D(0), Word.LANE),
        ({"orders": (sent(side=Side.SELL), sent(order_id="p", filled_quantity=D(4)))}, D(-6), D(-600), Word.LANE),
        ({"orders": (), "effects": [effect(quantity=D(3))]}, D(3), D(300), Word.LANE),
        ({"orders": (), "filled_quantity": D(2)}, D(2), D(200), Word.LANE),
        ({"orders": (), **NONE}, D(10), USD, Word.LANE),
        ({"orders": (), **NONE, "intent": None}, None, None, Word.NOT_KNOWN),
        ({"orders": (), **NONE, "status": TradeStatus.UNKNOWN}, None, None, Word.NOT_KNOWN),
        ({"orders": (), **NONE, "status": TradeStatus.UNFINISHED}, None, None, Word.NOT_KNOWN),
        ({"orders": (), **NONE, **FAILED}, D(0), D(0), Word.LANE),
        ({"orders": (sent(average_price=None),), "average_price": None}, D(10), USD, Word.LANE),
    ],
)
def test_what_a_lane_executed_is_told_by_the_best_word_there_is(trade: Any, shares: Any, value: Any, word: Word) -> None:
    done = executed(lane(**trade))
    assert (done.shares, done.value, done.word) == (shares, value, word)


def test_an_order_is_refused_uncertain_or_simulated_by_what_is_recorded_of_it() -> None:
    assert is_refused(sent(order_id=None, accepted=False))
    assert not is_refused(sent(accepted=False))
    assert not is_refused(sent(order_id=None))
    assert [is_uncertain(sent(status=word)) for word in ("odd", "OPEN", None, "filled", "not_found")] == [True] + [False] * 4
    assert is_simulated(lane(orders=(sent(accepted=None), EMPTY)))
    assert not is_simulated(lane(orders=(sent(accepted=None), sent())))
    assert not is_simulated(lane(orders=(sent(accepted=None),), run=TRUTH))
    assert not is_simulated(lane(orders=()))
    assert claimed_shares(lane(filled_quantity=D(3))) == 3
    assert claimed_shares(lane(**NONE)) == TEN
    assert claimed_shares(lane(**NONE, intent=None, orders=())) == 0
    assert claimed_shares(lane(**NONE, **FAILED)) == 0
