"""Business Unit: tests | Status: current.

A record in another notation of its symbol, under an id of the lane's own, is joined to the trade that the plan asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import permutations, product

import pytest

from shadow.compare.case import PairCase, PairView, Planned, _match
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import Effect, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import EffectKind, Reason, Role, Side, TradeStatus
from tests.factories.one_trade import CANDIDATE, CONTROL
from tests.factories.pairs import minted
from tests.factories.two_runs import ran, view
from tests.strategies.outcomes import random_case
from tests.strategies.planting import run_of

Notation = Callable[[str], str]
OTHER = {CONTROL: CANDIDATE, CANDIDATE: CONTROL}


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


def with_another(case: PairCase, role: Role, trade_id: str, **changes: object) -> PairCase:
    """Let a lane have another record of its first filled trade, in which `changes` stand."""
    run = run_of(case, role)
    first = next(trade for trade in run.trades if trade.filled_quantity)
    orders = tuple(order.model_copy(update={"order_id": f"{trade_id}-{place}"}) for place, order in enumerate(first.orders))
    more = first.model_copy(update={"trade_id": trade_id, "order_id": f"{trade_id}-0", "orders": orders, **changes})
    return replace(case, **{role.value: run.model_copy(update={"trades": (more, *run.trades)})})


def renamed(case: PairCase, seed: str) -> PairCase:
    """Give every trade of the control another id, as a lane that mints them would have."""
    run = run_of(case, CONTROL)
    names = {trade.trade_id: minted(f"{seed}{trade.trade_id}") for trade in run.trades}
    trades = tuple(trade.model_copy(update={"trade_id": names[trade.trade_id]}) for trade in run.trades)
    effects = tuple(e.model_copy(update={"trade_id": names.get(e.trade_id or "")}) for e in run.effects or ())
    return replace(case, control=run.model_copy(update={"trades": trades, "effects": effects}))


def told(comparison: Comparison) -> object:
    """Give what is said of a pair, without the names of its trades."""
    found = [(d.kind, d.field, d.symbol, d.action, d.attribution, d.severity, d.impact) for d in comparison.differences]
    money = comparison.money
    assert money is not None
    lines = [(line.symbol, line.side, line.exposure) for line in money.lines]
    return comparison.verdict, sorted(map(str, found)), money.gross, money.net, money.rows, sorted(map(str, lines))


UNFILLED = {"status": TradeStatus.FAILED, "reason": Reason.BROKER_REJECTED, "filled_quantity": Decimal(0), "value": None}
BEYOND = {
    "nothing": lambda case: case,
    "a trade of the control": lambda case: with_another(case, CONTROL, "a", symbol="ELSE"),
    "a trade of the candidate": lambda case: with_another(case, CANDIDATE, "a", symbol="ELSE"),
    "one trade of both": lambda case: with_another(
        with_another(case, CONTROL, "a", symbol="ELSE"), CANDIDATE, "a", symbol="ELSE"
    ),
    "the other side": lambda case: with_another(case, CONTROL, "a", action=Side.BUY),
    "a second record": lambda case: with_another(case, CONTROL, "a"),
    "a first try that filled nothing": lambda case: with_another(case, CONTROL, "a", **UNFILLED),
}


@pytest.mark.parametrize("beyond", BEYOND)
def test_which_ids_the_control_minted_changes_nothing_that_is_said_of_a_pair(beyond: str) -> None:
    for number in range(3):
        case = BEYOND[beyond](random_case(number))
        assert [told(judge(renamed(case, seed), default_policy())) for seed in "abcde"] == [
            told(judge(case, default_policy()))
        ] * 5


@pytest.mark.parametrize(("ids", "symbols"), [("ab", ("ELSE", "ELSE")), ("ba", ("ELSE", "EQUITIES::ELSE//USD"))])
def test_a_trade_beyond_the_plan_that_both_lanes_made_under_ids_of_their_own_is_one_trade(
    ids: str, symbols: tuple[str, str]
) -> None:
    one = with_another(with_another(random_case(1), CONTROL, "a", symbol="ELSE"), CANDIDATE, "a", symbol="ELSE")
    case = with_another(with_another(random_case(1), CONTROL, ids[0], symbol=symbols[0]), CANDIDATE, ids[1], symbol=symbols[1])
    joined, apart = judge(one, default_policy()).money, judge(case, default_policy()).money
    assert joined is not None
    assert apart is not None
    assert (len(apart.lines), apart.gross, apart.net) == (len(joined.lines), joined.gross, joined.net)


def test_each_of_two_trades_beyond_the_plan_is_joined_once() -> None:
    case = random_case(1)
    for role, ids in ((CONTROL, "ab"), (CANDIDATE, "cd")):
        for name in ids:
            case = with_another(case, role, name, symbol="ELSE")
    beyond = [pair for pair in PairView(case).trades if pair.planned is None]
    assert sorted(pair.control.trade.trade_id for pair in beyond if pair.both and pair.control) == ["a", "b"]
    assert sorted(pair.candidate.trade.trade_id for pair in beyond if pair.candidate) == ["c", "d"]


def extended(symbol: str) -> str:
    return f"EQUITIES::{symbol}//USD"


def in_notations(case: PairCase, lane: Role, trades: Notation, effects: Notation, rows: Notation) -> PairCase:
    """Let the plan have the extended notation and a lane these of its own; its broker names the orders as it always does."""
    run, run_id = run_of(case, lane), run_id_of(case.plan.plan_id)
    items = tuple(item.model_copy(update={"symbol": extended(item.symbol)}) for item in case.plan.items)
    names = {
        t.trade_id: trade_id_of(run_id, extended(t.symbol), t.action) for t in (*run.trades, *run_of(case, OTHER[lane]).trades)
    }

    def renamed_run(each: RunOutcome) -> RunOutcome:
        text = each.model_dump_json()
        for old, new in names.items():
            text = text.replace(old, new)
        return RunOutcome.parse_json(text)

    def told_of(effect: Effect) -> Effect:
        way = rows if effect.kind is EffectKind.LEDGER_ENTRY else effects
        return effect.model_copy(update={"symbol": effect.symbol and way(effect.symbol)})

    def traded(trade: TradeOutcome) -> TradeOutcome:
        orders = tuple(order.model_copy(update={"symbol": trade.symbol, "side": trade.action}) for order in trade.orders)
        return trade.model_copy(update={"symbol": trades(trade.symbol), "orders": orders})

    runs = {role.value: renamed_run(run_of(case, role)) for role in Role}
    mine = runs[lane.value]
    runs[lane.value] = mine.model_copy(
        update={"trades": tuple(map(traded, mine.trades)), "effects": tuple(map(told_of, mine.effects or ()))}
    )
    return replace(case, plan=case.plan.model_copy(update={"items": items}), **runs)


@pytest.mark.parametrize("lane", Role)
@pytest.mark.parametrize("notations", list(product((str, extended), repeat=3)))
def test_no_notation_of_a_symbol_is_a_difference(lane: Role, notations: tuple[Notation, Notation, Notation]) -> None:
    for number in range(3):
        comparison = judge(in_notations(random_case(number), lane, *notations), default_policy())
        assert (comparison.verdict, comparison.differences) == (Verdict.MATCHED, ())
