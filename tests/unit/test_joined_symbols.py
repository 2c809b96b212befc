"""Business Unit: tests | Status: current.

A record in another notation of its symbol, under an id of the lane's own, is joined to the trade that the plan asked for.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from shadow.compare.case import Planned, _match
from shadow.contracts.outcome import TradeOutcome
from shadow.contracts.vocabulary import Side, TradeStatus
from tests.factories.one_trade import CANDIDATE
from tests.factories.two_runs import ran, view


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


def test_of_several_records_of_a_trade_the_same_one_comes_first_in_whichever_order_they_were_read() -> None:
    run = ran(CANDIDATE)
    first = run.trades[0]
    copies = [
        first.model_copy(update={"status": status}) for status in (TradeStatus.FAILED, TradeStatus.COMPLETED, TradeStatus.UNKNOWN)
    ]
    read = [view(None, run.model_copy(update={"trades": (*order, *run.trades[1:])})).trades for order in permutations(copies)]
    kept = [next(pair.candidate for pair in trades if pair.trade_id == first.trade_id) for trades in read]
    told = {(side.trade.status, tuple(copy.status for copy in side.copies_besides)) for side in kept if side is not None}
    assert told == {(TradeStatus.COMPLETED, (TradeStatus.FAILED, TradeStatus.UNKNOWN))}
    assert [side.copies for side in kept if side is not None] == [3] * len(read)
