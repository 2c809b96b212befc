"""The columnar judge says exactly what the one-pair judge says, trade by trade, and adds days up to the same."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.rejudge.frame import TradeFrames, frames_of, frames_of_pairs
from reports.rejudge.judge import JudgedTrades, judge_trades
from reports.rejudge.scaled import NULL, differs, exceeds, ratios_exceed, scaled
from shadow.compare.case import PairCase, PairView, TradePair
from shadow.compare.judge import judge_trade
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, TicksRule, within
from shadow.contracts.comparison import Difference
from shadow.contracts.outcome import Intent
from shadow.contracts.plan import PlanItem
from shadow.contracts.vocabulary import EffectKind, Reason, Role, SizingBasis, TradeStatus
from tests.strategies.outcomes import DAY, SCENARIOS, random_case
from tests.strategies.planting import run_of, with_run
from tests.strategies.plants import PLANTS
from tests.strategies.policies import policy_with

RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FACTORS = (Decimal(0), Decimal("0.5"), Decimal("0.9"), Decimal("0.98"), Decimal("1.0000001"), Decimal("1.002"), Decimal(2))


def jolted(case: PairCase, rng: random.Random) -> PairCase:
    """Change a few fields of a few trades at random, in ways that columns can hold and in ways that they cannot."""
    for _ in range(rng.randint(0, 4)):
        role = rng.choice((Role.CONTROL, Role.CANDIDATE))
        run = run_of(case, role)
        if not run.trades:
            return case
        place = rng.randrange(len(run.trades))
        if rng.random() < 0.1:
            case = with_run(case, role, trades=run.trades[:place] + run.trades[place + 1 :])
            continue
        if rng.random() < 0.3:
            case = _repriced(case, role, place, rng)
            continue
        trade = run.trades[place].model_copy(update=_jolt(run.trades[place].model_dump(), rng))
        case = with_run(case, role, trades=(*run.trades[:place], trade, *run.trades[place + 1 :]))
    return case


def _repriced(case: PairCase, role: Role, place: int, rng: random.Random) -> PairCase:
    """Change a trade's recorded price and what was filled in every record of it but, at times, the orders and the ledger."""
    run = run_of(case, role)
    trade = run.trades[place]
    if not trade.average_price or not trade.filled_quantity:
        return case
    price = (trade.average_price * rng.choice(FACTORS[1:])).quantize(Decimal("0.0001"))
    part = rng.choice((Decimal(1), Decimal("0.3"), Decimal("0.9")))
    filled = (trade.filled_quantity * part).quantize(Decimal("0.000001"))
    orders = tuple(o.model_copy(update={"filled_quantity": filled}) if o.filled_quantity else o for o in trade.orders)
    update: dict[str, object] = {"average_price": price, "value": filled * price, "filled_quantity": filled, "orders": orders}
    told: dict[str, object] = {"price": price}
    if rng.random() < 0.3:
        update |= {"status": TradeStatus.FAILED, "reason": Reason.NOT_FILLED}
        told["success"] = False
    effects = tuple(
        e.model_copy(update={"quantity": filled} | (told if e.kind is EffectKind.TRADE_EXECUTED else {}))
        if e.symbol == trade.symbol
        else e
        for e in run.effects or ()
    )
    trades = (*run.trades[:place], trade.model_copy(update=update), *run.trades[place + 1 :])
    return with_run(case, role, trades=trades, effects=effects)


def _jolt(trade: dict[str, object], rng: random.Random) -> dict[str, object]:
    def moved(value: object) -> Decimal | None:
        return (value * rng.choice(FACTORS)).quantize(Decimal("0.000001")) if isinstance(value, Decimal) else None

    name = rng.choice(
        (
            "planned_amount",
            "filled_quantity",
            "average_price",
            "value",
            "status",
            "reason",
            "is_complete_exit",
            "attempts",
            "residual_position",
            "intent",
            "intent",
            "intent",
        )
    )
    choices: dict[str, list[object]] = {
        "status": [*TradeStatus],
        "reason": [None, *Reason],
        "is_complete_exit": [None, True, False],
        "attempts": [None, 1, 2, 4],
        "residual_position": [Decimal(0), Decimal("0.000001"), Decimal(-1), Decimal("1e-9")],
    }
    if name in choices:
        return {name: rng.choice(choices[name])}
    if name == "intent":
        return _jolted_intent(trade["intent"], rng, moved)
    return {name: moved(trade[name])}


def _jolted_intent(intent: object, rng: random.Random, moved: object) -> dict[str, object]:
    if not isinstance(intent, dict) or not callable(moved):
        return {}
    field = rng.choice(("quantity", "decision_price", "sizing_basis", "fractionable"))
    value: object = moved(intent[field]) if field in ("quantity", "decision_price") else None
    if field == "quantity" and isinstance(value, Decimal) and rng.random() < 0.4:
        value = value.quantize(Decimal(1), rounding="ROUND_DOWN")
    if field == "sizing_basis":
        value = rng.choice([None, *SizingBasis])
    if field == "fractionable":
        value = rng.choice([True, False])
    return {"intent": Intent.model_construct(**(intent | {field: value}))}


def edged(case: PairCase, rng: random.Random) -> PairCase:
    """Give a trade an amount with more digits than a column has, at or beside the edge of what its quantity is worth."""
    run = run_of(case, rng.choice((Role.CONTROL, Role.CANDIDATE)))
    sized = [trade for trade in run.trades if trade.intent and trade.intent.quantity and trade.intent.decision_price]
    if not sized:
        return case
    trade = rng.choice(sized)
    assert trade.intent is not None
    price = trade.intent.decision_price or Decimal(1)
    worth = (trade.intent.quantity or Decimal(0)) * price
    steps = rng.choice((Decimal(0), Decimal("0.000001"), Decimal("-0.000001"), Decimal(1), Decimal("0.02") * worth / price))
    amount = abs(worth + steps * price + rng.choice((-1, 0, 1)) * Decimal("1e-14"))
    value = rng.choice(("target_value", "current_value"))

    def changed(item: PlanItem) -> PlanItem:
        signed = amount if item.trade_amount > 0 else -amount
        return item.model_copy(update={"trade_amount": signed} | ({value: amount} if rng.random() < 0.5 else {}))

    items = tuple(changed(item) if item.symbol == trade.symbol else item for item in case.plan.items)
    case = replace(case, plan=case.plan.model_copy(update={"items": items}))
    signed = {item.symbol: item.trade_amount for item in items}
    for role in (Role.CONTROL, Role.CANDIDATE):
        trades = run_of(case, role).trades
        told = tuple(t.model_copy(update={"planned_amount": signed[t.symbol]}) if t.symbol == trade.symbol else t for t in trades)
        case = with_run(case, role, trades=told if rng.random() < 0.9 else trades)
    return case


@st.composite
def histories(draw: st.DrawFn) -> list[PairCase]:
    """Draw a few pairs of a few days: honest ones, planted ones, jolted ones."""
    rng = random.Random(draw(st.integers(0, 10**9)))
    cases = []
    for number in range(draw(st.integers(1, 4))):
        case = random_case(rng.randint(0, 10**6), rng.randint(0, 8), rng.choice(SCENARIOS))
        if rng.random() < 0.5:
            plant = rng.choice(PLANTS)
            with suppress(StopIteration, AssertionError, IndexError, TypeError):
                case = plant.edit(case, rng.choice(plant.lanes))
        if rng.random() < 0.4:
            case = edged(case, rng)
        day = DAY + timedelta(days=number // 2)
        cases.append(replace(jolted(case, rng), trading_day=day))
    return cases


def pairs_of(cases: list[PairCase]) -> list[tuple[TradePair, date]]:
    return [(pair, case.trading_day) for case in cases for pair in PairView(case).trades]


def told(difference: Difference, all_of_them: tuple[Difference, ...], policy: Policy) -> tuple[object, ...]:
    cause = next((other for other in all_of_them if other.key == difference.caused_by), None)
    known = [entry.id for entry in policy.known]
    return (
        difference.kind,
        difference.field,
        difference.severity,
        difference.attribution,
        (cause.kind, cause.field) if cause else None,
        difference.impact.notional,
        difference.impact.cash,
        known.index(difference.covered_by) if difference.covered_by else -1,
    )


def assert_same(judged: JudgedTrades, pairs: list[tuple[TradePair, date]], policy: Policy) -> None:
    totals: dict[date, list[Decimal]] = {}
    for row, (pair, day) in enumerate(pairs):
        right = judge_trade(pair, policy, day)
        sums = totals.setdefault(day, [Decimal(0), Decimal(0), Decimal(0)])
        for difference in right:
            sums[0] += difference.impact.notional
            sums[1] += difference.impact.cash
            sums[2] += max(abs(difference.impact.notional), abs(difference.impact.cash))
        counting = [difference for difference in right if difference.counts]
        verdict = (1 if all(d.covered_by for d in counting) else 2) if counting else 0
        assert judged.verdicts()[row] == verdict
        if row in judged.single:
            assert judged.single[row] == right
        else:
            assert judged.differences(row) == [told(difference, right, policy) for difference in right]
    got = judged.day_totals()
    assert {day: [t.notional, t.cash, t.gross] for day, t in got.items()} == totals
    assert sum(t.trades for t in got.values()) == len(pairs)


@RELAXED
@given(histories())
def test_columns_and_pairs_are_judged_alike(cases: list[PairCase]) -> None:
    policy = default_policy()
    assert_same(judge_trades(frames_of(cases), policy), pairs_of(cases), policy)


@settings(RELAXED, max_examples=25)
@given(histories())
def test_they_are_judged_alike_under_a_policy_with_other_rules_and_a_register(cases: list[PairCase]) -> None:
    policy = policy_with(side="*", kind="*", role="*")
    rules = policy.rules.model_copy(
        update={
            "planned_amount": AbsoluteRule(rule="absolute", tolerance=Decimal("0.5")),
            "asked_quantity": BpsRule(rule="bps", tolerance=Decimal("12.5")),
            "exit_quantity": TicksRule(rule="ticks", tick=Decimal("0.01"), ticks=3),
            "filled_quantity": ExactRule(rule="exact"),
            "average_price": BpsRule(rule="bps", tolerance=Decimal(3)),
            "value": AbsoluteRule(rule="absolute", tolerance=Decimal("0.01")),
        }
    )
    other = policy.model_copy(update={"rules": rules})
    assert_same(judge_trades(frames_of(cases), other), pairs_of(cases), other)


def test_most_honest_rows_are_judged_in_columns() -> None:
    cases = [random_case(seed, 8, scenario) for seed in range(20) for scenario in SCENARIOS]
    frames = frames_of(cases)
    assert frames.plan["plain"].all()
    assert len(judge_trades(frames, default_policy()).table) == 0


def test_lanes_in_another_order_than_the_plan_are_joined_by_their_key() -> None:
    cases = [random_case(seed, 8) for seed in range(5)]
    frames = frames_of(cases)
    shuffled = frames.candidate.sample(frac=1, random_state=1)
    other = TradeFrames(frames.plan, frames.control, shuffled, frames.order_types, frames.symbols, frames.source)
    policy = default_policy()
    assert judge_trades(other, policy).table.equals(judge_trades(frames, policy).table)


def test_a_row_that_columns_cannot_hold_needs_a_source() -> None:
    pair = next(pair for pair, _ in pairs_of([random_case(3, 4)]))
    huge = pair.planned
    assert huge is not None
    wide = TradePair(replace(huge, amount=Decimal("1e20")), pair.control, pair.candidate)
    frames = frames_of_pairs([(wide, DAY)])
    assert judge_trades(frames, default_policy()).single.keys() == {0}
    with pytest.raises(ValueError, match="expected a source for 1 rows"):
        judge_trades(replace(frames, source=None), default_policy())


def test_an_empty_history_has_no_differences_and_no_days() -> None:
    judged = judge_trades(frames_of([]), default_policy())
    assert len(judged.table) == 0
    assert judged.day_totals() == {}


@given(st.lists(st.tuples(st.integers(0, 2**61), st.integers(0, 2**61)), min_size=1), st.fractions(0, 3, max_denominator=10**6))
def test_a_tolerance_over_columns_is_exact_also_at_its_edge(rows: list[tuple[int, int]], factor: Fraction) -> None:
    rows = [*rows, *((int(base * factor), base) for _, base in rows)]
    apart, base = (np.array(values, dtype=np.int64) for values in zip(*((a % 2**62, b) for a, b in rows), strict=True))
    right = [int(a) > factor * int(b) for a, b in zip(apart.tolist(), base.tolist(), strict=True)]
    assert exceeds(apart, base, factor).tolist() == right


@given(
    st.sampled_from(
        [
            ExactRule(rule="exact"),
            AbsoluteRule(rule="absolute", tolerance=Decimal("0.01")),
            BpsRule(rule="bps", tolerance=Decimal("2.5")),
            TicksRule(rule="ticks", tick=Decimal("0.000001"), ticks=2),
        ]
    ),
    st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(-4, 4)), min_size=1),
)
def test_a_rule_over_columns_is_the_rule_over_decimals(rule: ExactRule, rows: list[tuple[int, int]]) -> None:
    left = np.array([a for a, _ in rows], dtype=np.int64)
    right = np.array([a + b for a, b in rows], dtype=np.int64)
    expected = [
        not within(rule, Decimal(int(a)).scaleb(-6), Decimal(int(b)).scaleb(-6)) for a, b in zip(left, right, strict=True)
    ]
    assert differs(rule, left, right, decimals=6).tolist() == expected


def test_what_does_not_fit_exactly_is_not_rounded() -> None:
    assert scaled(Decimal("1.5"), 6) == 1_500_000
    assert scaled(None, 6) == NULL
    assert scaled(Decimal("0.0000001"), 6) is None
    assert scaled(Decimal("1e20"), 6) is None


def test_ratios_are_compared_exactly_at_the_edge() -> None:
    one = (np.array([25, 26]), np.array([10_000, 10_000]))
    zero = (np.array([0, 0]), np.array([10_000, 10_000]))
    assert ratios_exceed(one, zero, Decimal(25)).tolist() == [False, True]
