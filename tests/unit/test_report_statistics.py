"""The statistics behind readiness, held against published values and against scipy's own exact test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.readiness.statistics import Looks, rate_bound, ratio_bound, trades_for, upper_bound

# Two-sided 95 % limits, so 2.5 % on each side: the four examples of Newcombe (Statist. Med. 17, 1998, 857-872, Table I,
# method 5), and 0 of 10, which every table of exact limits has.
TABLED = [(81, 263, 0.3676), (15, 148, 0.1617), (0, 20, 0.1684), (1, 29, 0.1776), (0, 10, 0.3085)]


@pytest.mark.parametrize(("diverged", "total", "limit"), TABLED)
def test_the_bound_is_the_tabulated_clopper_pearson_limit(diverged: int, total: int, limit: float) -> None:
    assert rate_bound(diverged, total, 0.025) == pytest.approx(limit, abs=0.00006)


@pytest.mark.parametrize("total", [30, 100, 300, 1000])
def test_without_any_divergence_the_bound_keeps_the_rule_of_three(total: int) -> None:
    assert rate_bound(0, total, 0.05) == pytest.approx(3 / total, rel=0.06)
    assert rate_bound(0, total, 0.05) == pytest.approx(1 - 0.05 ** (1 / total), rel=1e-9)


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.05, 0.025, 0.004]))
def test_the_bound_is_scipys_exact_binomial_test_inverted(diverged: int, total: int, alpha: float) -> None:
    diverged = min(diverged, total)
    exact = stats.binomtest(diverged, total, alternative="less").proportion_ci(1 - alpha, method="exact").high
    assert rate_bound(diverged, total, alpha) == pytest.approx(exact, abs=1e-9)


def test_no_data_bounds_nothing() -> None:
    assert rate_bound(0, 0, 0.05) == 1.0


def test_a_count_beyond_its_total_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 3, was 4"):
        rate_bound(4, 3, 0.05)


def test_the_bound_covers_the_true_rate_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20261124)
    for rate in (0.01, 0.05, 0.3):
        counts = rng.binomial(150, rate, size=20_000)
        missed = float(np.mean(upper_bound(counts, np.full_like(counts, 150), 0.05) < rate))
        assert missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 20_000)


@pytest.mark.parametrize(("target", "alpha"), [(0.05, 0.025), (0.10, 0.025), (0.25, 0.025), (0.05, 0.05)])
def test_the_least_number_of_trades_is_the_least(target: float, alpha: float) -> None:
    least = trades_for(target, alpha)
    assert rate_bound(0, least, alpha) < target <= rate_bound(0, least - 1, alpha)


def test_fifty_nine_trades_without_a_divergence_bound_the_rate_below_five_percent() -> None:
    assert trades_for(0.05, 0.05) == 59


def test_the_looks_spend_the_whole_error_and_no_more() -> None:
    looks = Looks()
    spent = sum(looks.share(number) for number in range(1, 5_000))
    assert spent < looks.alpha
    assert spent == pytest.approx(looks.alpha, rel=1e-3)


def test_looks_are_taken_on_day_ten_and_every_fifth_day_after() -> None:
    looks = Looks()
    assert [looks.number(days) for days in (0, 9, 10, 14, 15, 19, 20)] == [0, 0, 1, 1, 2, 2, 3]
    assert [looks.days(number) for number in (1, 2, 3)] == [10, 15, 20]


def test_the_duration_ratio_is_bounded_by_the_one_sided_t_interval() -> None:
    # Student's t, 9 degrees of freedom, 97.5 %: 2.262 in every table.
    logs = [0.1, -0.1, 0.05, -0.05, 0.2, 0.0, 0.1, -0.2, 0.0, -0.1]
    spread = float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    bound = ratio_bound(logs, 0.025)
    assert bound.estimate == pytest.approx(math.exp(float(np.mean(logs))))
    assert math.log(bound.upper or 0) == pytest.approx(float(np.mean(logs)) + 2.262 * spread, abs=1e-3)


def test_too_few_runs_bound_no_duration() -> None:
    assert ratio_bound([], 0.05).estimate is None
    assert ratio_bound([0.1], 0.05).upper is None


def test_runs_that_all_take_the_same_share_are_bounded_by_it() -> None:
    assert ratio_bound([0.0, 0.0, 0.0], 0.05).upper == 1.0
