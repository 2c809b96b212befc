"""What a lane decided, sent and got, and how its run went, as the texts that stand side by side."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.sides import run_lines, trade_lines
from shadow.contracts.outcome import EquityDecision, GuardDecision, OwnField, OwnType
from shadow.contracts.vocabulary import EffectKind, Reason, SizingBasis, TradeStatus
from shadow.contracts.words import usd
from tests.factories.one_trade import AT, CANDIDATE, CONTROL, decided, effect, lane, sent

D = Decimal
NONE: dict[str, Any] = {"filled_quantity": None, "average_price": None, "value": None}


def told(label: str, **trade: Any) -> str | None:
    """What the line of a trade says of the candidate; None where there is no such line."""
    lines = {name: (left, right) for name, left, right in trade_lines(None, lane(**trade))}
    assert lines["decided"][0] == "no such trade"
    assert all(left == "" for name, (left, _) in lines.items() if name != "decided")
    return lines[label][1] if label in lines else None


def run_told(label: str, **run: Any) -> str | None:
    lines = {name: right for name, _, right in run_lines(None, lane(run=run).run)}
    return lines.get(label)


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        (None, "not recorded"),
        (decided(), "10 shares by trade_amount at 100.00 (99.90 / 100.10)"),
        (decided(sizing_basis=SizingBasis.HELD_VALUE, bid=None), "10 shares by held_value at 100.00"),
        (decided(ask=None), "10 shares by trade_amount at 100.00"),
        (decided(quantity=None, sizing_basis=None), "quantity not recorded at 100.00 (99.90 / 100.10)"),
        (decided(decision_price=None), "10 shares by trade_amount"),
    ],
)
def test_what_was_decided(intent: Any, text: str) -> None:
    assert told("decided", intent=intent) == text


@pytest.mark.parametrize(
    ("equity", "text"),
    [
        (None, None),
        (EquityDecision(allowed=True), "allowed"),
        (EquityDecision(allowed=False), "BLOCKED"),
        (EquityDecision(allowed=False, limit=D(100)), "BLOCKED, limit 100.00 USD"),
        (EquityDecision(allowed=True, limit=D(100), cumulative=D(40)), "allowed: 40.00 USD of 100.00 USD"),
        (EquityDecision(allowed=True, cumulative=D(40)), "allowed"),
    ],
)
def test_what_the_breaker_said(equity: Any, text: str | None) -> None:
    assert told("breaker", equity=equity) == text


@pytest.mark.parametrize(
    ("orders", "text"),
    [
        ((), "nothing"),
        ((sent(),), "limit 10 → filled"),
        (
            (sent(limit_price=D("100.1")), sent(status="canceled", filled_quantity=D(4))),
            "limit 10 at 100.10 → filled\nlimit 10 → canceled, 4 of it",
        ),
        ((sent(filled_quantity=D(0)),), "limit 10 → filled"),
        ((sent(accepted=False, status=None),), "limit 10 → not accepted"),
        ((sent(accepted=None, status=None),), "limit 10"),
        ((sent(quantity=None, status=None, accepted=None),), "limit, the rest not recorded"),
        ((sent(order_type=None, quantity=None, status=None, accepted=None),), "order, the rest not recorded"),
        ((sent(quantity=None),), "limit → filled"),
        ((sent(quantity=D(10), filled_quantity=None),), "limit 10 → filled"),
    ],
)
def test_what_was_sent(orders: Any, text: str) -> None:
    assert told("sent", orders=orders) == text


@pytest.mark.parametrize(
    ("trade", "text"),
    [
        ({}, "COMPLETED 10 at 100.00 = 1,000.00 USD"),
        ({"value": None}, "COMPLETED 10 at 100.00 = 1,000.00 USD"),
        ({"value": D(7)}, "COMPLETED 10 at 100.00 = 7.00 USD"),
        ({"status": TradeStatus.FAILED, **NONE}, "FAILED"),
        ({"filled_quantity": D(0), "value": D(0)}, "COMPLETED"),
        ({"residual_position": D("0.5")}, "COMPLETED 10 at 100.00 = 1,000.00 USD, 0.5 left over"),
        ({"residual_position": D(0)}, "COMPLETED 10 at 100.00 = 1,000.00 USD"),
        ({"attempts": 2}, "COMPLETED 10 at 100.00 = 1,000.00 USD, 2 attempts"),
        ({"attempts": None}, "COMPLETED 10 at 100.00 = 1,000.00 USD"),
    ],
)
def test_what_came_of_it(trade: dict[str, Any], text: str) -> None:
    assert told("got", **trade) == text


@pytest.mark.parametrize(
    ("trade", "text"),
    [
        ({}, None),
        ({"reason": Reason.NOT_FILLED}, "NOT_FILLED"),
        ({"error_message": "why"}, "why"),
        ({"reason": Reason.NOT_FILLED, "error_message": "why"}, "NOT_FILLED: why"),
    ],
)
def test_why_it_came_so(trade: dict[str, Any], text: str | None) -> None:
    assert told("why", **trade) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ((), None),
        ((effect(),), None),
        ((effect(price=D("99.5")),), "10 at 99.50 = 995.00 USD"),
        ((effect(quantity=D(4)),), "4 at 100.00 = 400.00 USD"),
        ((effect(quantity=D(1)), effect(quantity=D(2), price=D(101))), "3 at 100.666667 = 302.00 USD"),
        ((effect(price=None),), None),
        ((effect(quantity=D(0), price=D(1)),), None),
    ],
)
def test_what_the_ledger_says_where_its_dollars_are_not_those_of_the_record(rows: Any, text: str | None) -> None:
    assert told("ledger", effects=rows) == text


def test_the_users_own_fields_stand_one_a_line() -> None:
    own = tuple(
        OwnField(name=name, type=OwnType.TEXT, text=text, absent=absent)
        for name, text, absent in (("fee", "1", False), ("venue", None, False), ("gone", None, True))
    )
    assert told("own", own=own) == run_told("own", own=own) == "fee 1\nvenue null"
    assert told("own") is None


@pytest.mark.parametrize(
    ("label", "run", "text"),
    [
        ("ended as", {}, "COMPLETED"),
        ("ended as", {"terminal_state": "S", "failure_reason": "R"}, "COMPLETED (S, R)"),
        ("time", {}, "10:00:00 to 10:01:00, 60.0 s"),
        ("time", {"completed_at": AT + timedelta(seconds=1.25)}, "10:00:00 to 10:00:01, 1.2 s"),
        ("sell guard", {}, None),
        (
            "sell guard",
            {"guard": GuardDecision(buy_phase_allowed=True, sell_failed_amount=D(3))},
            "BUYs allowed: failed SELLs 3.00 USD",
        ),
        (
            "sell guard",
            {"guard": GuardDecision(buy_phase_allowed=False, sell_failed_amount=D(3), threshold=D(2))},
            "BUYs BLOCKED: failed SELLs 3.00 USD of at most 2.00 USD",
        ),
        ("breaker", {}, None),
        ("breaker", {"equity_limit": D(0)}, "off"),
        ("breaker", {"equity_limit": D(5)}, "limit 5.00 USD"),
        ("trades", {}, "1 COMPLETED"),
        ("trades", {"trades": ()}, "none"),
        ("trades", {"trades": (lane().trade, lane().trade, lane(status=TradeStatus.FAILED).trade)}, "2 COMPLETED, 1 FAILED"),
        ("effects", {"effects": None}, None),
        ("effects", {"effects": ()}, "none"),
        ("effects", {"effects": (effect(), effect(emitted=False), effect(EffectKind.TRADE_EXECUTED))}, "2 emitted, 1 intended"),
        ("effects", {"effects": (effect(),)}, "1 emitted"),
        ("effects", {"effects": (effect(emitted=False),)}, "1 intended"),
    ],
)
def test_how_a_run_went(label: str, run: dict[str, Any], text: str | None) -> None:
    assert run_told(label, **run) == text


def test_a_line_stands_where_either_lane_says_something_and_a_lane_that_is_absent_says_so_once() -> None:
    silent, loud = lane(CONTROL).run, lane(run={"equity_limit": D(0)}).run
    lines = {name: (left, right) for name, left, right in run_lines(silent, loud)}
    assert lines["breaker"] == ("", "off")
    assert run_lines(None, None) == [("ended as", "no run found", "no run found")]
    unknown = lane(run={"started_at": None}).run
    assert ("time", "", "? to 10:01:00") in run_lines(None, unknown)
    assert trade_lines(lane(CONTROL), None)[0][2] == "no such trade"
    assert [name for name, *_ in trade_lines(lane(CONTROL), lane(CANDIDATE))] == ["decided", "sent", "got"]
    assert "\n" not in (told("why", error_message="two\nlines") or "")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0.00 USD"), ("-0.00000001", "0.00 USD"), ("0.004", "0.00 USD"), ("40", "+40.00 USD"), ("-0.005000001", "-0.01 USD")],
)
def test_an_amount_that_is_nothing_to_the_cent_has_no_sign(amount: str, text: str) -> None:
    assert usd(D(amount), signed=True) == text
