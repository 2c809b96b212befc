"""The noise floor: what two runs of one lane are apart is what a tolerance must at least be."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.daily.build import build_report
from reports.daily.composition import settings_of
from reports.daily.html import render_page
from reports.noise import to_toml, tolerances_of
from shadow.compare.across_pairs import TwoRuns, noise_floor
from shadow.compare.judge import judge
from shadow.compare.margins import numeric_rules
from shadow.compare.policy import NoiseFloor, Policy, Standing, default_policy
from shadow.compare.policy_text import InvalidPolicy
from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, Numeric, TicksRule, within
from shadow.contracts.comparison import Severity
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane, Role, TradeStatus
from shadow.settlement.stored import JsonlSource
from tests.factories.comparisons import comparison_of, write_jsonl
from tests.strategies.outcomes import random_case
from tests.strategies.policies import TEXT

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9)


def twice(seed: int, second: RunOutcome | None = None) -> TwoRuns:
    case = random_case(seed)
    assert case.control is not None
    return TwoRuns(case.plan, case.trading_day, case.published_at, case.control, second or case.control)


def drifted(run: RunOutcome, bps: Decimal) -> RunOutcome:
    """The same run with every fill so many basis points dearer than its quote, and all that repeats it."""

    def moved(price: Decimal | None) -> Decimal | None:
        return None if price is None else (price * (1 + bps / 10_000)).quantize(Decimal("0.0001"))

    trades = tuple(
        trade.model_copy(
            update={
                "average_price": moved(trade.average_price),
                "value": moved(trade.value),
                "orders": tuple(o.model_copy(update={"average_price": moved(o.average_price)}) for o in trade.orders),
            }
        )
        for trade in run.trades
    )
    effects = None if run.effects is None else tuple(e.model_copy(update={"price": moved(e.price)}) for e in run.effects)
    return run.model_copy(update={"trades": trades, "effects": effects})


@given(numbers, numbers, st.decimals(min_value=Decimal("0.01"), max_value=1000, places=2))
def test_a_rule_says_what_tolerance_it_would_have_needed(left: Decimal, right: Decimal, unit: Decimal) -> None:
    apart, largest = abs(left - right), max(abs(left), abs(right))
    if apart == 0:
        return
    needs = BpsRule(rule="bps", tolerance=Decimal(0)).needs(apart, largest, unit)
    nudge = Decimal("1e-12")
    assert within(BpsRule.model_construct(rule="bps", tolerance=needs + nudge), left, right, unit)
    assert not within(BpsRule.model_construct(rule="bps", tolerance=needs - nudge), left, right, unit)
    needs = AbsoluteRule(rule="absolute", tolerance=Decimal(0)).needs(apart, largest, unit)
    assert within(AbsoluteRule.model_construct(rule="absolute", tolerance=needs + nudge), left, right, unit)
    assert not within(AbsoluteRule.model_construct(rule="absolute", tolerance=needs - nudge), left, right, unit)
    steps = TicksRule(rule="ticks", tick=Decimal("0.000001")).needs(apart, largest, Decimal(1))
    assert within(TicksRule(rule="ticks", tick=Decimal("0.000001"), ticks=int(-(-steps // 1))), left, right)
    assert ExactRule(rule="exact").needs(apart, largest, Decimal(1)) == apart


def test_a_run_beside_itself_has_no_noise_between_the_two() -> None:
    faultless = [seed for seed in range(60) if not judge(random_case(seed), default_policy()).differences]
    floor = noise_floor([twice(seed) for seed in faultless], default_policy())
    assert floor.pairs == len(faultless) > 20
    assert floor.role is Role.CONTROL
    assert floor.rules.keys() >= numeric_rules(default_policy()).keys()
    across = ("partial_fill", "equity_limit", "filled_quantity", "guard_amounts")
    assert [floor.rules[name].largest for name in across] == [0] * len(across)
    assert floor.rules["average_price"].largest < Decimal("8.1")  # held against its own quote: each fill is up to 8 bps off it
    assert floor.rules["asked_quantity"].largest <= 1  # held against the plan: what rounding to a step does


def test_a_drift_between_two_runs_is_the_noise_of_their_prices() -> None:
    pairs = [twice(seed, drifted(twice(seed).first, Decimal(seed % 10))) for seed in range(40)]
    noise = noise_floor(pairs, default_policy()).rules["average_price"]
    executed = sum(t.status is TradeStatus.COMPLETED for two in pairs for t in two.first.trades)
    assert executed > 40
    assert noise.measure == "bps"
    assert Decimal(8) < noise.largest < Decimal("17.1")  # up to 9 bps of drift on fills that are up to 8 bps off their quotes
    assert noise.p50 < noise.p95 <= noise.p99 <= noise.largest
    assert noise.observations == sum(len(two.plan.tradable_items) for two in pairs)


def test_a_trade_that_one_run_lacks_is_left_out_and_those_after_it_are_not() -> None:
    one = twice(3)
    first = one.plan.tradable_items[0].symbol
    second = one.first.model_copy(update={"trades": tuple(trade for trade in one.first.trades if trade.symbol != first)})
    noise = noise_floor([twice(3, second)], default_policy()).rules["average_price"]
    assert noise.observations == len(one.plan.tradable_items) - 1 > 1


def wide_enough(rule: Numeric, largest: Decimal) -> Numeric:
    match rule:
        case BpsRule() | AbsoluteRule():
            return rule.model_copy(update={"tolerance": largest})
        case TicksRule():
            return rule.model_copy(update={"ticks": int(-(-largest // 1))})
        case _:
            return AbsoluteRule(rule="absolute", tolerance=largest)


@given(st.integers(0, 500), st.decimals(min_value=0, max_value=80, places=2))
def test_tolerances_at_the_floor_find_no_difference_between_two_runs_of_a_lane(seed: int, bps: Decimal) -> None:
    two = twice(seed, drifted(twice(seed).first, bps))
    policy = default_policy()
    floor = noise_floor([two], policy)
    rules = {name: wide_enough(rule, floor.rules[name].largest) for name, rule in numeric_rules(policy).items()}
    widened = policy.model_copy(
        update={
            "rules": policy.rules.model_copy(update=rules),
            "applies": policy.applies.model_copy(update=dict.fromkeys(type(policy.applies).model_fields, ())),
        }
    )
    case = replace(random_case(seed), control=two.first, candidate=two.second.model_copy(update={"role": Role.CANDIDATE}))
    before = {
        each.kind
        for each in judge(replace(case, candidate=two.first.model_copy(update={"role": Role.CANDIDATE})), widened).differences
    }
    found = [each.kind for each in judge(case, widened).differences if each.severity is not Severity.INFO]
    assert set(found) <= before


def two_by(lane: Lane, name: str = "") -> TwoRuns:
    """Give two runs of the lane that is in production, whichever that is."""
    two = twice(2)
    ran = {"lane": lane, "lane_name": name}
    return replace(two, first=two.first.model_copy(update=ran), second=two.second.model_copy(update=ran))


def test_runs_of_two_lanes_and_no_runs_have_no_noise() -> None:
    case = random_case(1)
    assert case.candidate is not None
    with pytest.raises(ValueError, match=r"runs of one lane, was candidate \(workflow\), control \(legacy\)"):
        noise_floor([twice(1, case.candidate)], default_policy())
    after = [two_by(Lane.WORKFLOW), two_by(Lane.DECLARED, "mine")]
    with pytest.raises(ValueError, match=r"was control \(legacy\), control \(mine\), control \(workflow\)"):
        noise_floor([twice(1), *after], default_policy())
    with pytest.raises(ValueError, match="run twice, was none"):
        noise_floor([], default_policy())


def measured(bps: int = 9) -> NoiseFloor:
    return noise_floor([twice(seed, drifted(twice(seed).first, Decimal(bps))) for seed in range(5)], default_policy())


def test_a_policy_takes_what_was_measured_and_is_the_same_policy() -> None:
    policy = Policy.read(TEXT + "\n" + to_toml(measured()))
    assert policy.noise == measured()
    assert policy.hash == default_policy().hash
    tomllib.loads(to_toml(measured()))


def test_noise_of_a_rule_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="names of rules, was average_prize"):
        Policy.read(TEXT + "\n" + to_toml(measured()).replace("average_price", "average_prize"))


@pytest.mark.parametrize(
    ("bps", "standing"), [(30, Standing.BELOW_NOISE), (9, Standing.CLOSE), (1, Standing.CLEAR), (None, Standing.NOT_MEASURED)]
)
def test_every_tolerance_stands_beside_its_noise(bps: int | None, standing: Standing) -> None:
    policy = default_policy().model_copy(update={"noise": None if bps is None else measured(bps)})
    rows = {row.rule: row for row in tolerances_of(policy)}
    assert rows.keys() == {*numeric_rules(policy), "duration_ratio"}
    assert rows["average_price"].standing is standing
    assert rows["average_price"].tolerance == "within 25 bps"


@pytest.mark.parametrize("noise", [None, measured()])
def test_the_page_shows_every_tolerance_beside_the_noise(noise: NoiseFloor | None, tmp_path: Path) -> None:
    policy = default_policy().model_copy(update={"noise": noise})
    entry = comparison_of(date(2025, 11, 3))
    source = JsonlSource(write_jsonl(tmp_path / "comparisons.jsonl", [entry]))
    page = render_page(build_report(source, entry.trading_day, settings=settings_of(policy)))
    told = page.partition('id="tolerances"')[2].partition("</section>")[0]
    assert "within 25 bps" in told
    if noise is None:
        assert "has not been measured" in told
        assert "clear of the noise" not in told
    else:
        assert "5 plans, each run twice by the control" in told
        assert f">{noise.rules['average_price'].largest.normalize():f}<" in told
        assert "clear of the noise" in told
