"""Plans by the portfolio side's rules: always valid, always the same, always adding up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.market import ClosingPrices, InvalidPrices, publication_time
from local.planner import (
    HELD_NAMES,
    MOMENTUM_DAYS,
    CannotPlan,
    Portfolio,
    make_plan,
    momentum_weights,
    priority_of,
    smallest_trade,
)
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Action

AT = datetime(2022, 12, 28, 20, 45, tzinfo=UTC)
SYMBOLS = ("AAPL", "AMD", "KO", "MSFT", "PEP", "T")
PRICES = st.decimals(min_value="0.5", max_value="3000", places=3)
SHARES = st.decimals(min_value="0", max_value="500", places=6)


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, Decimal], Portfolio, dict[str, Decimal]]:
    prices = {symbol: draw(PRICES) for symbol in SYMBOLS}
    positions = draw(st.dictionaries(st.sampled_from(SYMBOLS), SHARES))
    cash = draw(st.decimals(min_value="1", max_value="1000000", places=2))
    parts = draw(st.dictionaries(st.sampled_from(SYMBOLS), st.integers(0, 100), min_size=1))
    whole = max(sum(parts.values()), 1)
    weights = {symbol: Decimal(part) / (whole * Decimal("1.02")) for symbol, part in parts.items()}
    return prices, Portfolio(positions, cash), weights


@given(situations())
def test_a_plan_keeps_its_contract_and_adds_up(situation: tuple[dict[str, Decimal], Portfolio, dict[str, Decimal]]) -> None:
    prices, portfolio, weights = situation
    held = {symbol for symbol, shares in portfolio.positions.items() if shares}
    if not held and not any(weights.values()):
        with pytest.raises(CannotPlan):
            make_plan(AT, prices, portfolio, weights)
        return
    plan = make_plan(AT, prices, portfolio, weights)
    assert RebalancePlan.read_json(plan.model_dump_json()) == plan
    assert {item.symbol for item in plan.items} == held | {s for s, w in weights.items() if w}
    assert plan.total_trade_value == sum(abs(item.trade_amount) for item in plan.items)
    for item in plan.items:
        if item.action is Action.HOLD:
            assert abs(item.target_value - item.current_value) < smallest_trade(plan.total_portfolio_value)
            assert str(item.trade_amount) == "0.00"
        else:
            assert item.trade_amount == item.target_value - item.current_value
            assert abs(item.trade_amount) >= smallest_trade(plan.total_portfolio_value)
        assert item.priority == priority_of(item.trade_amount)
        assert item.is_full_exit == (item.action is Action.SELL and item.target_value == 0)
    places = [(["SELL", "BUY", "HOLD"].index(item.action.value), item.priority) for item in plan.items]
    assert places == sorted(places)
    assert plan == make_plan(AT, prices, portfolio, weights)


@pytest.mark.parametrize(
    ("amount", "rank"),
    [("10000", 1), ("-10000", 1), ("9999.99", 2), ("1000", 2), ("999.99", 3), ("100", 3), ("99.99", 4), ("50", 4), ("49.99", 5)],
)
def test_priority_follows_the_absolute_amount(amount: str, rank: int) -> None:
    assert priority_of(Decimal(amount)) == rank


@pytest.mark.parametrize(("total", "least"), [("1000", "5"), ("999.99", "9.9999"), ("100", "1"), ("100000", "5")])
def test_the_smallest_trade_depends_on_the_portfolio(total: str, least: str) -> None:
    assert smallest_trade(Decimal(total)) == Decimal(least)


@pytest.mark.parametrize(("shares", "action"), [("9.951", Action.HOLD), ("9.950", Action.BUY), ("10.050", Action.SELL)])
def test_a_trade_below_five_dollars_is_held(shares: str, action: Action) -> None:
    shares_held = Decimal(shares)
    portfolio = Portfolio({"KO": shares_held}, Decimal(10_000) - shares_held * 100)
    plan = make_plan(AT, {"KO": Decimal(100)}, portfolio, {"KO": Decimal("0.1")})
    assert [item.action for item in plan.items] == [action]


def test_ids_have_the_portfolio_side_s_form_and_follow_from_the_day() -> None:
    plan = make_plan(AT, {"KO": Decimal(60)}, Portfolio({}, Decimal(1000)), {"KO": Decimal("0.5")})
    lead, _, correlation = plan.correlation_id.partition("-")
    assert (lead, UUID(correlation).version) == ("workflow", 4)
    assert plan.plan_id == f"portfolio_v2_{plan.correlation_id}_{int(AT.timestamp())}"


@pytest.mark.parametrize(
    ("positions", "cash", "weights", "says"),
    [
        ({}, "0", {"KO": "1"}, "a value above 0"),
        ({}, "-1", {"KO": "1"}, "without debts"),
        ({"KO": "-1"}, "100", {"KO": "1"}, "short positions"),
        ({}, "100", {"KO": "1.01"}, "at most 1"),
        ({}, "100", {"XX": "1"}, "no price of XX, which the weights name"),
        ({"XX": "1"}, "100", {"KO": "1"}, "no price of XX, which the account holds"),
        ({}, "100", {"KO": "0"}, "no symbol is held"),
    ],
)
def test_what_cannot_be_planned_is_refused(positions: dict[str, str], cash: str, weights: dict[str, str], says: str) -> None:
    portfolio = Portfolio({symbol: Decimal(shares) for symbol, shares in positions.items()}, Decimal(cash))
    with pytest.raises(CannotPlan, match=says):
        make_plan(AT, {"KO": Decimal(60)}, portfolio, {symbol: Decimal(weight) for symbol, weight in weights.items()})


def test_ten_days_of_the_bundled_prices_bring_buys_sells_full_exits_and_holds() -> None:
    prices = ClosingPrices.bundled()
    assert (len(prices.days), len(prices.symbols)) == (60, 20)
    portfolio, seen = Portfolio({}, Decimal(100_000)), Counter[str]()
    for day in prices.days[-10:]:
        history = prices.before(day, MOMENTUM_DAYS + 1)
        plan = make_plan(publication_time(day), history[-1], portfolio, momentum_weights(history, portfolio))
        seen += Counter(item.action.value for item in plan.items) + Counter({"EXIT": sum(i.is_full_exit for i in plan.items)})
        positions, cash = dict(portfolio.positions), portfolio.cash
        for item in plan.tradable_items:
            shares = (item.trade_amount / history[-1][item.symbol]).quantize(Decimal("0.000001"))
            if item.is_full_exit:
                shares = -positions[item.symbol]
            positions[item.symbol] = positions.get(item.symbol, Decimal(0)) + shares
            cash -= (shares * history[-1][item.symbol]).quantize(Decimal("0.01"))
        portfolio = Portfolio({s: q for s, q in positions.items() if q}, cash)
        assert len(portfolio.positions) == HELD_NAMES
    assert all(seen[kind] >= 5 for kind in ("BUY", "SELL", "EXIT", "HOLD")), seen


def test_plans_are_made_fifteen_minutes_before_the_close_half_days_too() -> None:
    assert publication_time(date(2022, 11, 25)).strftime("%H:%M %z") == "12:45 -0500"
    assert publication_time(date(2022, 10, 4)).strftime("%H:%M %z") == "15:45 -0400"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: expected the columns date, symbol, close, was nothing"),
        ("day,symbol,close\n", "was day, symbol, close"),
        ("date,symbol,close\n", "at least one price"),
        ("date,symbol,close\n2022-12-28,KO\n", "line 2: expected 3 values, was 2"),
        ("date,symbol,close\n2022-12-28,KO,nan\n", "line 2, close"),
        ("date,symbol,close\n2022-12-28,KO,-1\n", "a price above 0"),
        ("date,symbol,close\n2022-12-25,KO,1\n", "a trading day"),
        ("date,symbol,close\n2022-12-28,ko,1\n", "line 2, symbol"),
        ("date,symbol,close\n2022-12-28,KO,1\n2022-12-28,KO,1\n", "line 3: expected one price a day and symbol"),
        ("date,symbol,close\n2022-12-28,KO,1\n2022-12-27,PEP,1\n", "2022-12-27: expected a close of KO, was none"),
    ],
)
def test_a_faulty_file_of_prices_is_refused_with_its_lines(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(text)
    with pytest.raises(InvalidPrices, match=r"prices\.csv") as caught:
        ClosingPrices.read(file)
    assert says in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPrices, match="a readable file"):
        ClosingPrices.read(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidPrices, match="UTF-8"):
        ClosingPrices.read(tmp_path / "binary.csv")
