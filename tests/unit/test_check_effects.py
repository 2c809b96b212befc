"""The event and the ledger entries about a trade, each field of them held against the trade."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.compare.checks.effects import trade_effect_findings
from shadow.contracts.outcome import Gap
from shadow.contracts.vocabulary import EffectKind, Side, TradeStatus
from tests.factories.one_trade import (
    CLOSED,
    ENTRY,
    EXECUTED,
    FAILED,
    GUARDED,
    LIMITED,
    NONE,
    POLICY,
    UNKNOWN,
    UNSENT,
    USD,
    D,
    Said,
    alone,
    effect,
    lane,
    of,
    said,
    sent,
)

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


@pytest.mark.parametrize(
    ("events", "trade", "shown", "why"),
    [
        ([], {}, "none", "ended the trade as COMPLETED and sent no TradeExecuted"),
        ([DONE], UNSENT, "1", "sent a TradeExecuted for a trade that is NOT_SENT"),
        ([DONE, DONE], {}, "2", "sent 2 TradeExecuted"),
        ([effect(EXECUTED, success=None)], {}, "absent", "sent a TradeExecuted with success absent"),
        ([effect(EXECUTED, success=False)], {}, "no", "sent a TradeExecuted with success no"),
        ([effect(EXECUTED, symbol="MSFT")], {}, "BUY MSFT", "has a TradeExecuted about a BUY of MSFT"),
        ([effect(EXECUTED, quantity=D(9))], {}, "9", "has a TradeExecuted with 9 shares, filled 10"),
        ([effect(EXECUTED, price=D(9))], {}, "9", "has a TradeExecuted at 9 USD a share, recorded 100"),
        ([effect(EXECUTED, amount=D(9))], {}, "9", "has a TradeExecuted of 9 USD, recorded 1000"),
        ([effect(EXECUTED, order_id="x")], {}, "x", "has a TradeExecuted of the order x, which is none of the trade's"),
        ([effect(EXECUTED, run_id="x")], {}, "x", "has a TradeExecuted of the run id x, not r"),
        ([DONE], {"status": TradeStatus.COMPLETED}, "none", "filled 10 shares and has no ledger entry"),
        ([ENTRY], {**FAILED, "orders": (), **NONE}, "10", "records no fill and has 10 shares in the ledger"),
        ([ENTRY, ENTRY], {}, "20", "has 2 ledger entries of 20 shares together, filled 10"),
        ([effect(quantity=D(9))], {}, "9", "has 9 shares in the ledger, filled 10"),
        ([effect(symbol="MSFT")], {}, "BUY MSFT", "has a BUY of MSFT in the ledger"),
        ([effect(price=D(9))], {}, "9", "has 9 USD a share in the ledger"),
    ],
)
def test_what_is_wrong_with_an_effect_is_said_in_words(events: Any, trade: dict[str, Any], shown: str, why: str) -> None:
    found = {each.explanation: each.candidate for each in trade_effect_findings(alone(lane(effects=events, **trade)), POLICY)}
    assert (found.get(f"The candidate {why}."), list(found)) == (shown, list(found))
