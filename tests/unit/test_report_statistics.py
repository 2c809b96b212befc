"""The statistics behind readiness, held against published values and against scipy's own exact test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.readiness.statistics import (
    Looks,
    chance_of_at_most,
    ratio_bound,
    region,
    upper_bound,
    within_day_correlation,
)

# Two-sided 95 % limits, so 2.5 % on each side: the four examples of Newcombe (Statist. Med. 17, 1998, 857-872, Table I,
# method 5), and 0 of 10, which every table of exact limits has.
TABLED = [(81, 263, 0.3676), (15, 148, 0.1617), (0, 20, 0.1684), (1, 29, 0.1776), (0, 10, 0.3085)]


@pytest.mark.parametrize(("diverged", "total", "limit"), TABLED)
def test_the_bound_is_the_tabulated_clopper_pearson_limit(diverged: int, total: int, limit: float) -> None:
    assert upper_bound(diverged, total, 0.025) == pytest.approx(limit, abs=0.00006)


@pytest.mark.parametrize("total", [30, 100, 300, 1000])
def test_without_any_divergence_the_bound_keeps_the_rule_of_three(total: int) -> None:
    assert upper_bound(0, total, 0.05) == pytest.approx(3 / total, rel=0.06)
    assert upper_bound(0, total, 0.05) == pytest.approx(1 - 0.05 ** (1 / total), rel=1e-9)


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.05, 0.025, 0.004]))
def test_the_bound_is_scipys_exact_binomial_test_inverted(diverged: int, total: int, alpha: float) -> None:
    diverged = min(diverged, total)
    exact = stats.binomtest(diverged, total, alternative="less").proportion_ci(1 - alpha, method="exact").high
    assert upper_bound(diverged, total, alpha) == pytest.approx(exact, abs=1e-9)


def test_no_data_bounds_nothing() -> None:
    assert upper_bound(0, 0, 0.05) == 1.0


def test_a_count_beyond_its_total_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 3, was 4"):
        upper_bound(4, 3, 0.05)


def test_the_bound_covers_the_true_rate_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20261124)
    for rate in (0.01, 0.05, 0.3):
        counts = rng.binomial(150, rate, size=20_000)
        missed = float(np.mean([upper_bound(int(count), 150, 0.05) < rate for count in counts[:2_000]]))
        assert missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2_000)


@pytest.mark.parametrize("correlation", [0.0, 0.05, 0.1, 0.3])
def test_no_other_way_to_go_wrong_together_leaves_more_days_clean(correlation: float) -> None:
    """The oracle mixes days freely: beta, two and three levels, all with the same share and at most the same correlation."""
    rng, trades, share = np.random.default_rng(5), 15, 0.05
    least_favourable = chance_of_at_most(0, (trades,), share, correlation)
    variance = correlation * share * (1 - share)
    for _ in range(400):
        levels = rng.random(3) ** 4
        weights = rng.dirichlet((1, 1, 1))
        levels *= share / (weights @ levels)
        if levels.max() > 1 or weights @ levels**2 - share**2 > variance:
            continue
        assert weights @ (1 - levels) ** trades <= least_favourable + 1e-12
    if correlation:
        scale = 1 / correlation - 1
        assert stats.betabinom(trades, share * scale, (1 - share) * scale).pmf(0) <= least_favourable + 1e-12


def test_five_trades_a_day_pass_on_day_twenty_with_one_that_diverged_early() -> None:
    chosen = region((5,) * 20, 0.05, 0.1, 0.045)
    assert chosen is not None
    assert (chosen.most, chosen.clean_days) == (1, 9)
    assert chosen.holds([0] * 10 + [1] + [0] * 9)
    assert not chosen.holds([0] * 11 + [1] + [0] * 8)


def test_a_look_that_nothing_could_pass_costs_nothing() -> None:
    assert region((5,) * 10, 0.05, 0.1, 0.025) is None
    assert region((0,) * 10, 0.05, 0.1, 0.025) is None


def test_the_correlation_of_days_that_go_wrong_as_a_whole_is_one_and_of_single_trades_none() -> None:
    assert within_day_correlation([(10, 10), (0, 10), (0, 10), (10, 10)]) == pytest.approx(1.0)
    assert within_day_correlation([(1, 10)] * 10) == 0.0
    rng = np.random.default_rng(3)
    drawn = rng.beta(0.05 * 9, 0.95 * 9, 20_000)
    seen = within_day_correlation([(int(rng.binomial(12, p)), 12) for p in drawn])
    assert seen == pytest.approx(0.1, abs=0.01)


def test_looks_are_taken_on_day_ten_and_every_fifth_day_after() -> None:
    looks = Looks()
    assert [looks.number(days) for days in (0, 9, 10, 14, 15, 19, 20)] == [0, 0, 1, 1, 2, 2, 3]
    assert [looks.days(number) for number in (1, 2, 3)] == [10, 15, 20]


def test_days_that_follow_each_other_count_for_less() -> None:
    rng, value, values = np.random.default_rng(2), 0.0, []
    for _ in range(60):
        value = 0.9 * value + float(rng.normal(0, 0.1))
        values.append(value)
    shuffled = list(rng.permutation(values))
    assert (ratio_bound(tuple(values), 0.05, 0.0).upper or 0) > (ratio_bound(tuple(shuffled), 0.05, 0.0).upper or 9)


def test_too_few_days_bound_no_duration() -> None:
    assert ratio_bound((), 0.05, 0.5).estimate is None
    assert ratio_bound((0.1, 0.1), 0.05, 0.5).upper is None


def test_days_that_all_take_the_same_share_are_bounded_by_it() -> None:
    assert ratio_bound((0.0,) * 10, 0.05, 0.5).upper == 1.0
