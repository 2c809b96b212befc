"""Business Unit: tests | Status: current.

A record in another notation of its symbol, under an id of the lane's own, is joined to the trade that the plan asked for.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from shadow.compare.case import Planned, _match
from shadow.contracts.outcome import TradeOutcome
from shadow.contracts.vocabulary import Side, TradeStatus


def planned(symbol: str, side: Side = Side.BUY) -> Planned:
    return Planned(f"planned-{symbol}", symbol, side, Decimal(100), Decimal(100), Decimal(0), is_full_exit=False)


def record(trade_id: str, symbol: str, side: Side = Side.BUY) -> list[TradeOutcome]:
    return [TradeOutcome(trade_id=trade_id, symbol=symbol, action=side, status=TradeStatus.COMPLETED)]


@pytest.mark.parametrize(
    ("asked", "recorded"),
    [("EQUITIES::AAPL//USD", "AAPL"), ("AAPL", "EQUITIES::AAPL//USD"), ("CRYPTO::BTC//USD", "BTCUSD"), ("BTC/USD", "BTCUSD")],
)
def test_another_notation_of_the_symbol_is_joined(asked: str, recorded: str) -> None:
    assert _match({"own": record("own", recorded)}, (planned(asked),)) == {"own": f"planned-{asked}"}


def test_the_plan_s_own_notation_comes_first_and_no_record_is_joined_twice() -> None:
    records = {"a": record("a", "AAPL"), "b": record("b", "EQUITIES::AAPL//USD")}

    assert _match(records, (planned("EQUITIES::AAPL//USD"), planned("AAPL"))) == {
        "a": "planned-AAPL",
        "b": "planned-EQUITIES::AAPL//USD",
    }
    assert _match({"a": record("a", "AAPL")}, (planned("EQUITIES::AAPL//USD"), planned("AAPL"))) == {"a": "planned-AAPL"}


def test_another_symbol_is_not_joined() -> None:
    assert _match({"own": record("own", "AAPLW")}, (planned("AAPL"),)) == {}
