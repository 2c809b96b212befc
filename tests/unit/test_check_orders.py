"""A trade's orders, at the bounds: one chain that is over, under names of its own, and what the broker knows of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.checks.executed import claimed_shares, is_refused, is_simulated, is_uncertain
from shadow.compare.checks.orders import order_findings
from shadow.compare.money import strays_of
from shadow.contracts.outcome import OrderRecord
from shadow.contracts.vocabulary import EffectKind, Role, Side, TradeStatus
from tests.factories.one_trade import (
    AT,
    CANDIDATE,
    CONTROL,
    EMPTY,
    FAILED,
    NONE,
    PART,
    POLICY,
    TEN,
    TRUTH,
    USD,
    D,
    Said,
    alone,
    decided,
    effect,
    lane,
    of,
    pair,
    planned,
    said,
    seconds,
    sent,
)

_FIRST = sent(status="canceled", filled_quantity=D(4), submitted_at=AT)


def _again(quantity: str, **changes: Any) -> OrderRecord:
    """Ask for the rest, which fills the trade."""
    other = {"client_order_id": "t-step-1", "order_id": "o1", "quantity": D(quantity), "filled_quantity": D(6)}
    return sent(**{**other, "submitted_at": AT + seconds(1), **changes})


def _third(quantity: str) -> OrderRecord:
    return _again(quantity, client_order_id="t-step-2", order_id="o2", submitted_at=AT + seconds(2))


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
        # no more than was left: 4 of 10 were filled before
        ({"orders": (_FIRST, _again("6"))}, of()),
        ({"orders": (_FIRST, _again("6.2"))}, of()),
        ({"orders": (_FIRST, _again("6.201"))}, of("ORDER_CHAINS")),
        ({"orders": (_FIRST, _again("10"))}, of("ORDER_CHAINS")),
        ({"orders": (_FIRST, _again("10", status="rejected", accepted=False, filled_quantity=D(0)), _third("6"))}, of()),
        ({"orders": (_FIRST, _again("10", submitted_at=None))}, of()),
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


def test_an_order_is_refused_uncertain_or_simulated_by_what_is_recorded_of_it() -> None:
    assert is_refused(sent(order_id=None, accepted=False))
    assert not is_refused(sent(accepted=False))
    assert not is_refused(sent(order_id=None))
    assert [is_uncertain(sent(status=word)) for word in ("odd", "OPEN", None, "filled", "not_found")] == [True] + [False] * 4
    assert is_simulated(lane(orders=(sent(accepted=None), EMPTY)))
    assert not is_simulated(lane(orders=(sent(accepted=None), sent())))
    assert not is_simulated(lane(orders=(sent(accepted=None),), run=TRUTH))
    assert not is_simulated(lane(orders=()))


@pytest.mark.parametrize("status", TradeStatus)
def test_a_lane_claims_the_shares_it_recorded_and_of_a_completed_trade_without_them_what_it_asked_for(
    status: TradeStatus,
) -> None:
    is_completed = status is TradeStatus.COMPLETED
    assert claimed_shares(lane(status=status, filled_quantity=D(3))) == 3
    assert claimed_shares(lane(status=status, filled_quantity=D(0))) == 0
    assert claimed_shares(lane(**NONE, status=status)) == (TEN if is_completed else 0)
    assert claimed_shares(lane(**NONE, status=status, intent=None, orders=())) == 0


@pytest.mark.parametrize(
    ("trade", "shown", "why"),
    [
        ({"orders": (sent(side=Side.SELL), EMPTY)}, "SELL", "sent a SELL order for a BUY, 10 shares filled"),
        ({"orders": (sent(side=Side.SELL, filled_quantity=None),)}, "SELL", "sent a SELL order for a BUY, 0 shares filled"),
        (
            {"orders": (EMPTY, sent(order_id="p", status="OPEN"), sent(order_id="q", status="held"))},
            "open",
            "left an order working (open) after the trade was recorded as executed",
        ),
        (
            {"orders": (sent(), sent(order_id="p", status="odd"), sent(order_id="q", status="strange"))},
            "odd",
            "does not know what became of an order (odd)",
        ),
        (
            {"orders": (sent(order_id="p", status="expired", filled_quantity=D(0)), EMPTY)},
            "canceled",
            "records the trade as executed, and no order was accepted or filled",
        ),
        (
            {"orders": (EMPTY, sent(order_id=None, status=None, accepted=False, filled_quantity=None))},
            "refused",
            "records the trade as executed, and no order was accepted or filled",
        ),
        (
            {"orders": (PART, _again("6", client_order_id="x"), _third("6").model_copy(update={"client_order_id": "y"}))},
            "x",
            "sent an order under the client id x",
        ),
        ({"orders": (sent(order_type="market"),)}, "market", "begins with a market order"),
        (
            {"orders": (sent(), sent(client_order_id="t-step-1", order_id="p"))},
            "2 orders",
            "has 2 accepted orders that are live or filled",
        ),
        (
            {"orders": (sent(status="canceled", filled_quantity=D(11)),)},
            "11",
            "filled 11 shares where 10 were asked for",
        ),
        (
            {"orders": (), "effects": [effect(order_id="a", quantity=D(6)), effect(order_id="b", quantity=D(6))]},
            "12",
            "has 2 orders in the ledger that filled 12 shares",
        ),
        ({"orders": (EMPTY, sent(order_id="p"))}, "2 orders", "records one client order id twice"),
        ({"orders": (EMPTY, sent(client_order_id="t-step-2"))}, "steps 0, 2", "has orders of the steps 0, 2 only"),
        ({"order_id": "x"}, "x", "names the order x, which is none of its orders"),
        ({"orders": (sent(client_order_id="x"),)}, "x", "sent an order under the client id x"),
        ({"orders": (sent(quantity=D(9)),)}, "9", "decided on 10 shares and sent an order for 9"),
        ({"attempts": 2}, "2", "tried 2 times"),
        ({**FAILED, "orders": (sent(status="OPEN"),)}, "open", "records the trade as FAILED while an order of it is open"),
        (
            {"orders": (sent(status="open"),)},
            "open",
            "left an order working (open) after the trade was recorded as executed",
        ),
        ({"orders": (sent(status="odd"),)}, "odd", "does not know what became of an order (odd)"),
        ({"orders": (EMPTY,)}, "canceled", "records the trade as executed, and no order was accepted or filled"),
        (
            {"orders": (sent(accepted=False, status=None),)},
            "refused",
            "records the trade as executed, and no order was accepted or filled",
        ),
        (
            {**FAILED, "orders": (sent(status="not_found", accepted=False),), "run": TRUTH},
            "t",
            "records the order t, which its broker does not know",
        ),
        (
            {**FAILED, "orders": (sent(status="not_found", accepted=False, client_order_id=None),), "run": TRUTH},
            "o",
            "records the order o, which its broker does not know",
        ),
        (
            {**FAILED, "orders": (PART,), "filled_quantity": D(5), "run": TRUTH},
            "5",
            "records 5 shares filled where its broker filled 4",
        ),
    ],
)
def test_what_is_wrong_with_the_orders_is_said_in_words(trade: dict[str, Any], shown: str, why: str) -> None:
    found = {each.explanation: each.candidate for each in order_findings(alone(lane(**trade)), POLICY)}
    assert found.get(f"The candidate {why}.") == shown


def test_an_order_left_working_is_worth_what_it_may_still_fill() -> None:
    def worth(**trade: Any) -> Decimal:
        found = order_findings(alone(lane(**trade)), POLICY)
        return next(each.impact.gross for each in found if each.kind == "ORDER_LEFT_WORKING" and each.impact is not None)

    working = sent(status="open", filled_quantity=D(4), average_price=None)
    assert worth(orders=(working,)) == 600
    assert worth(orders=(working, working.model_copy(update={"order_id": "p", "limit_price": D(50)}))) == 900
    assert worth(orders=(working,), intent=None, average_price=D(90)) == 540
    assert worth(orders=(working,), intent=None, average_price=None) == 0


def test_of_orders_in_another_symbol_the_last_filled_what_the_lane_records_where_no_broker_says_it() -> None:
    def strays(**trade: Any) -> list[tuple[Role, str | None, Side | None, Decimal | None, Decimal | None]]:
        found = strays_of(alone(lane(**trade)))
        return [(role, order.symbol, order.side, order.filled_quantity, order.average_price) for role, order in found]

    bare: dict[str, Any] = {"symbol": "MSFT", "filled_quantity": None, "average_price": None}
    two = (sent(**bare), sent(**bare, order_id="p", client_order_id="t-step-1"))
    none, all_of_it = (CANDIDATE, "MSFT", Side.BUY, None, None), (CANDIDATE, "MSFT", Side.BUY, D(10), D(100))
    assert strays(orders=two) == [none, all_of_it]
    assert strays(orders=two, run=TRUTH) == [none, none]
    assert strays(orders=(sent(symbol="MSFT", side=Side.SELL),)) == [(CANDIDATE, "MSFT", Side.SELL, D(10), D(100))]
    assert strays(orders=(sent(symbol="MSFT", accepted=False),)) == strays() == []
    assert strays(symbol="MSFT") == [all_of_it]
    assert strays(symbol="MSFT", action=Side.SELL) == [(CANDIDATE, "MSFT", Side.SELL, D(10), D(100))]


@pytest.mark.parametrize(("recorded", "denied"), [("3", False), ("4", False), ("4.000001", False), ("4.000002", True)])
def test_a_failed_trade_records_no_more_than_its_broker_filled(recorded: str, *, denied: bool) -> None:
    side = lane(run=TRUTH, **FAILED, orders=(PART,), filled_quantity=D(recorded), value=None)
    assert (("ORDER_DENIED", "candidate") in said(order_findings(alone(side), POLICY))) is denied


@pytest.mark.parametrize(("status", "denied"), [("not_found", True), ("canceled", False), ("open", False), ("rejected", False)])
def test_an_order_is_denied_where_its_broker_does_not_know_it(status: str, *, denied: bool) -> None:
    side = lane(run=TRUTH, **FAILED, **NONE, orders=(EMPTY.model_copy(update={"status": status}),))
    assert (("ORDER_DENIED", "candidate") in said(order_findings(alone(side), POLICY))) is denied
