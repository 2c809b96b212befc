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
from shadow.compare.margins import ToleranceRecorder, Unchanged, basis_of, tolerant_rules
from shadow.compare.policy import OWN, OwnBpsRule, Policy, default_policy
from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, TicksRule
from shadow.contracts.comparison import Comparison, Margin, Needs
from shadow.contracts.model import MAGNITUDES
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


@pytest.mark.parametrize(
    ("tolerance", "alike"),
    [("1.9", False), ("2", True), ("3", True), ("4.9", True), ("5", False), ("6", False)],
)
def test_another_tolerance_answers_alike_from_what_was_permitted_up_to_what_was_refused(tolerance: str, *, alike: bool) -> None:
    margin = Margin(
        rule="value", words="as it was", measure="bps", needs={"bps": Needs(permitted=Decimal(2), refused=Decimal(5))}
    )
    other = Unchanged(with_rule("value", bps(tolerance)))
    assert other.answers_alike(margin) is alike
    # a rule of another measure was asked nothing here, and one that was shown reads otherwise now
    assert Unchanged(with_rule("value", absolute(tolerance))).answers_alike(margin)
    assert not other.answers_alike(margin.model_copy(update={"shown": True}))
    assert other.answers_alike(margin.model_copy(update={"shown": True, "words": f"within {tolerance} bps"}))
    # nothing was refused: whatever is wider
    wide = margin.model_copy(update={"needs": {"bps": Needs(permitted=Decimal(2))}})
    assert other.answers_alike(wide) is (Decimal(tolerance) >= 2)


def test_what_a_question_needed_is_kept_in_both_measures_rounded_away_from_each_other() -> None:
    recorder = ToleranceRecorder(with_rule("value", absolute("0.5")))
    for apart, largest, unit in (("0.1", "0.3", "0.3"), ("0.1", "0.4", "0.3"), ("0.3", "0.7", "0.3"), ("0.4", "0.7", "0.3")):
        recorder.watched.rules.value.permits(Decimal(apart), Decimal(largest), Decimal(unit))
    recorder.taken("t", found=True)
    (margin,) = recorder.margins().rules
    assert margin.needs == {
        "absolute": Needs(permitted=Decimal("0.333333333334"), refused=Decimal(1)),
        "bps": Needs(permitted=Decimal("3333.33333334"), refused=Decimal("4285.71428571")),
    }


def test_what_needed_more_than_a_document_can_say_is_never_called_alike() -> None:
    most = Decimal(1).scaleb(MAGNITUDES.stop - 1)
    margin = Margin(rule="value", words="as it was", measure="bps", needs={"bps": Needs(permitted=most)})
    assert not Unchanged(with_rule("value", BpsRule.model_construct(rule="bps", tolerance=most))).answers_alike(margin)


def test_margins_of_another_basis_or_of_one_rule_that_answers_otherwise_are_not_held() -> None:
    policy = default_policy()
    comparison = judge(random_case(2, trades=6), policy)
    assert comparison.margins is not None
    assert Unchanged(policy).holds(comparison.margins)
    assert not Unchanged(policy).holds(None)
    assert not Unchanged(policy).holds(comparison.margins.model_copy(update={"basis": "0" * 64}))
    wrong = Margin(rule="value", words="as it was", measure="bps", shown=True)
    rules = (*comparison.margins.rules, wrong)
    assert not Unchanged(policy).holds(comparison.margins.model_copy(update={"rules": rules}))


@pytest.mark.parametrize(
    ("rule", "question", "needed", "used"),
    [
        (bps("25"), ("0", "100", "1"), "0", "0"),
        (bps("25"), ("0.1", "100", "1"), "10", "0.4"),
        (bps("25"), ("0.001", "100", "1"), "0.1", "0.004"),
        (bps("25"), ("0.25", "100", "1"), "25", "1"),
        (bps("25"), ("0.5", "100", "1"), "50", "2"),
        (bps("25"), ("0.0001", "0.5", "1"), "2", "0.08"),
        # to 12 digits, and rounded up
        (bps("25"), ("0.01", "30", "1"), "3.33333333334", "0.133333333334"),
        (absolute("3"), ("1", "100", "1"), "1", "0.333333333334"),
        # basis points are of the larger value, whatever the unit
        (bps("25"), ("0.1", "100", "0"), "10", "0.4"),
        (bps("0"), ("0", "100", "1"), "0", "0"),
        (bps("0"), ("0.1", "100", "1"), "10", None),
        (absolute("2"), ("0", "100", "1"), "0", "0"),
        (absolute("2"), ("0.5", "100", "1"), "0.5", "0.25"),
        (absolute("2"), ("0.5", "100", "10"), "0.05", "0.025"),
        (absolute("2"), ("0.5", "100", "0"), None, None),
        (absolute("0"), ("0", "100", "1"), "0", "0"),
        (absolute("0"), ("0.5", "100", "1"), "0.5", None),
        (ExactRule(rule="exact"), ("0.5", "100", "1"), "0.5", None),
        (TicksRule(rule="ticks", tick=Decimal("0.01"), ticks=2), ("0.01", "100", "1"), "1", "0.5"),
    ],
)
def test_a_margin_is_the_tolerance_that_was_needed_and_its_share_of_the_one_there_is(
    rule: BpsRule | AbsoluteRule | ExactRule | TicksRule, question: tuple[str, str, str], needed: str | None, used: str | None
) -> None:
    recorder = ToleranceRecorder(with_rule("value", rule))
    apart, largest, unit = map(Decimal, question)
    assert recorder.watched.rules.value.permits(apart, largest, unit) is rule.permits(apart, largest, unit)
    recorder.taken("t", found=True)
    (margin,) = recorder.margins().rules
    assert margin.needed == (None if needed is None else Decimal(needed))
    assert margin.used == (None if used is None else Decimal(used))
    assert margin.trade_id == ("t" if apart else None)


def test_of_several_trades_the_margin_is_of_the_one_that_needed_most() -> None:
    recorder = ToleranceRecorder(with_rule("value", absolute("2")))
    value = recorder.watched.rules.value
    needs = {"a": ("0.5",), "b": ("0.5", "1.5"), "c": ("1.5",), "d": ("1",)}
    told = {}
    for trade_id, distances in needs.items():
        for distance in distances:
            value.permits(Decimal(distance), Decimal(100), Decimal(1))
        told[trade_id] = recorder.taken(trade_id, found=False)
    assert told == {name: {"value": max(map(Decimal, each))} for name, each in needs.items()}
    assert recorder.taken("e", found=False) == {}
    (margin,) = recorder.margins().rules
    assert (margin.trade_id, margin.needed, margin.used) == ("b", Decimal("1.5"), Decimal("0.75"))


def test_what_was_refused_where_nothing_was_found_needed_nothing() -> None:
    for found, needed in ((False, 0), (True, 5)):
        recorder = ToleranceRecorder(with_rule("value", absolute("2")))
        assert not recorder.watched.rules.value.permits(Decimal(5), Decimal(100), Decimal(1))
        assert recorder.taken("t", found=found) == {"value": needed}
        (margin,) = recorder.margins().rules
        assert (margin.needed, margin.trade_id) == (needed, "t" if found else None)
        assert margin.needs == {"absolute": Needs(refused=Decimal(5)), "bps": Needs(refused=Decimal(500))}
