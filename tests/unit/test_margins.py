"""Margins: what each rule needed, at which trade, and which other rules would answer alike."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.daily.build import build_report
from reports.daily.html import charts_of
from reports.data.frames import load_frames
from reports.noise import MULTIPLES, tolerance_use
from shadow.compare.judge import judge, weighed
from shadow.compare.margins import Unchanged, basis_of, tolerant_rules
from shadow.compare.policy import OWN, OwnBpsRule, Policy, default_policy
from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, TicksRule
from shadow.contracts.comparison import Comparison, Margin
from shadow.contracts.vocabulary import Role
from shadow.settlement.stored import JsonlSource
from tests.factories.comparisons import write_jsonl
from tests.strategies.outcomes import random_case
from tests.strategies.planting import is_buy, shifted, with_run
from tests.strategies.rejudging import KINDS, OWN_KINDS, drawn_case, drawn_policy

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def with_rule(name: str, rule: object, policy: Policy | None = None) -> Policy:
    policy = policy or default_policy()
    if name.startswith(OWN):
        return policy.model_copy(update={"own": policy.own | {name.removeprefix(OWN): rule}})
    return policy.model_copy(update={"rules": policy.rules.model_copy(update={name: rule})})


def bps(tolerance: Decimal | str) -> BpsRule:
    return BpsRule(rule="bps", tolerance=Decimal(tolerance))


def absolute(tolerance: Decimal | str) -> AbsoluteRule:
    return AbsoluteRule(rule="absolute", tolerance=Decimal(tolerance))


def margin_of(comparison: Comparison, rule: str) -> Margin:
    assert comparison.margins is not None
    return next(margin for margin in comparison.margins.rules if margin.rule == rule)


@SLOW
@given(st.integers(0, 10**9))
def test_what_the_margins_call_unchanged_is_found_again_exactly(seed: int) -> None:
    rng = random.Random(seed)
    case, first, second = drawn_case(rng), drawn_policy(rng), drawn_policy(rng)
    stored, again = judge(case, first), judge(case, second)
    if Unchanged(second).holds(stored.margins):
        assert weighed(stored.differences, second, case.trading_day) == again.differences
        assert stored.gaps == again.gaps


@SLOW
@given(st.integers(0, 10**9), st.sampled_from(("exact", "absolute", "bps", "ticks")))
def test_one_rule_at_the_edge_of_what_was_needed(seed: int, kind: str) -> None:
    """Every rule that was asked, at its need and a hair beside it: never called unchanged where something else is found."""
    rng = random.Random(seed)
    case, policy = drawn_case(rng), with_rule("own.fee", OwnBpsRule(rule="bps", tolerance=Decimal(rng.choice((0, 20)))))
    stored = judge(case, policy)
    assert stored.margins is not None
    for margin in stored.margins.rules:
        for needs in margin.needs.values():
            for edge in {needs.permitted, needs.refused} - {None}:
                assert isinstance(edge, Decimal)
                hair = rng.choice((Decimal(0), Decimal("1e-9"), Decimal("-1e-9")))
                tolerance = max(Decimal(0), min(edge + hair, Decimal(10) ** 17))
                rules = {
                    "exact": ExactRule(rule="exact"),
                    "absolute": AbsoluteRule.model_construct(rule="absolute", tolerance=tolerance),
                    "bps": BpsRule.model_construct(rule="bps", tolerance=tolerance),
                    "ticks": TicksRule.model_construct(rule="ticks", tick=tolerance, ticks=1),
                }
                rule = tolerant_rules(policy)[margin.rule]
                wanted = rules[kind] if kind in KINDS.get(margin.rule, ()) else rule
                if margin.rule.startswith(OWN) and kind in OWN_KINDS:
                    wanted = OWN_KINDS[kind].model_construct(**rules[kind].model_dump())
                other = with_rule(margin.rule, wanted)
                if Unchanged(other).holds(stored.margins):
                    again = judge(case, other)
                    assert weighed(stored.differences, other, case.trading_day) == again.differences


def test_the_margin_names_the_tolerance_that_would_just_have_been_enough_and_its_trade() -> None:
    case = random_case(1, trades=6)
    assert case.candidate is not None
    trades = list(case.candidate.trades)
    place = next(place for place, trade in enumerate(trades) if trade.value)
    trades[place] = trades[place].model_copy(update={"value": (trades[place].value or 0) + 25})
    case = with_run(case, Role.CANDIDATE, trades=tuple(trades))
    policy = with_rule("value", absolute("0.5"))
    margin = margin_of(judge(case, policy), "value")
    assert margin.needed is not None
    assert (margin.needed - 25).copy_abs() < 1
    assert margin.used == margin.needed / Decimal("0.5")
    assert (margin.trade_id, margin.shown) == (trades[place].trade_id, True)
    for tolerance, found in ((margin.needed, False), (margin.needed - Decimal("0.000001"), True)):
        kinds = {difference.kind for difference in judge(case, with_rule("value", absolute(tolerance))).differences}
        assert ("VALUE" in kinds) is found


def test_within_the_tolerance_the_share_is_at_most_one_and_no_pair_is_without_its_basis() -> None:
    comparison = judge(random_case(2, trades=6), default_policy())
    assert comparison.margins is not None
    assert comparison.margins.basis == basis_of(default_policy())
    assert not comparison.differences
    assert all(margin.used is None or 0 <= margin.used <= 1 for margin in comparison.margins.rules)


@pytest.mark.parametrize(
    ("changed", "same"),
    [({"severity": {"SLIPPAGE": "INFO"}}, True), ({"known": ()}, True), ({"limits": {"run_seconds": 5}}, False)],
)
def test_the_basis_is_of_what_decides_what_is_found(changed: dict[str, object], *, same: bool) -> None:
    policy = default_policy()
    values = policy.model_dump(mode="json")
    for name, value in changed.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    assert (basis_of(Policy.from_values(values)) == basis_of(policy)) is same


def test_another_tolerance_needs_no_other_basis() -> None:
    assert basis_of(with_rule("value", AbsoluteRule(rule="absolute", tolerance=Decimal(7)))) == basis_of(default_policy())
    ratio = default_policy().rules.duration_ratio
    floor = ratio.model_copy(update={"floor_seconds": ratio.floor_seconds + 1})
    assert basis_of(with_rule("duration_ratio", floor)) != basis_of(default_policy())


def test_the_frame_of_margins_says_how_many_pairs_each_tolerance_would_find(tmp_path: Path) -> None:
    cases = [random_case(seed, trades=6) for seed in (1, 2)] + [shifted(is_buy, 40)(random_case(3, trades=6), Role.CANDIDATE)]
    write_jsonl(tmp_path / "comparisons.jsonl", [judge(case, default_policy()) for case in cases])
    frames = load_frames(JsonlSource(tmp_path / "comparisons.jsonl"))
    assert int(frames.pairs["margins"].sum()) == len(frames.margins)
    use = next(use for use in tolerance_use(frames.margins) if use.rule == "average_price")
    assert use.pairs[MULTIPLES.index(Decimal(1))] == 1
    for multiple, pairs in zip(MULTIPLES, use.pairs, strict=True):
        tolerance = default_policy().rules.average_price.tolerance * multiple
        judged = [judge(case, with_rule("average_price", bps(tolerance))) for case in cases]
        assert sum(any(d.kind == "SLIPPAGE" for d in each.differences) for each in judged) == pairs


def test_the_report_draws_what_another_tolerance_would_find(tmp_path: Path) -> None:
    case = shifted(is_buy, 40)(random_case(3, trades=6), Role.CANDIDATE)
    write_jsonl(tmp_path / "comparisons.jsonl", [judge(case, default_policy())])
    report = build_report(JsonlSource(tmp_path / "comparisons.jsonl"), case.trading_day)
    chart = next(chart for chart in charts_of(report) if chart.name == "margins")
    assert f"average_price ({default_policy().rules.average_price}) 1, 1, " in chart.alt
    assert "average_price" in chart.svg
