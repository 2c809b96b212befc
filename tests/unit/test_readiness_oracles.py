"""Business Unit: tests | Status: current.

The arithmetic of readiness held against its definitions, written out anew: mixtures of binomials, sums over days by hand, every
region tried, the analysis of variance of single trades. And what makes a day covered, quiet or open, from the rows of a day.
"""

from __future__ import annotations

import math
from datetime import date
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from reports.data.columns import Path
from reports.data.frames import Frames
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum, Tally, evidence_of
from reports.readiness.shares import _correlation, _is_worse
from reports.readiness.statistics import (
    Looks,
    Region,
    chance_of_at_most,
    ratio_bound,
    region,
    share_bound,
    within_day_correlation,
)

DAY = date(2025, 9, 2)
Days = tuple[int, ...]
DAYS = st.lists(st.integers(0, 45), min_size=1, max_size=7).map(tuple)
CORRELATIONS = st.sampled_from([0.0, 0.1, 0.4])


@lru_cache
def of_one_day(trades: int, share: float, correlation: float) -> np.ndarray:
    """Some days are good, and the others bad: there every trade goes wrong by the same chance."""
    on_bad = share + correlation * (1 - share)
    chances = share / on_bad * stats.binom.pmf(np.arange(trades + 1), trades, on_bad)
    chances[0] += 1 - share / on_bad
    return np.asarray(chances)


def of_days(days: Days, share: float, correlation: float) -> np.ndarray:
    total = np.ones(1)
    for trades in days:
        total = np.convolve(total, of_one_day(trades, share, correlation))
    return total


def passes(days: Days, share: float, correlation: float, first: int, most: int) -> float:
    """The chance of at most `most` on the first days and none on the others."""
    clean = math.prod(float(of_one_day(trades, share, correlation)[0]) for trades in days[first:])
    return float(of_days(days[:first], share, correlation)[: most + 1].sum()) * clean


@given(DAYS, CORRELATIONS, st.integers(0, 40), st.sampled_from([0.02, 0.05, 0.3]))
def test_the_chance_of_so_many_is_that_of_a_mixture_of_binomials(
    days: Days, correlation: float, diverged: int, share: float
) -> None:
    expected = max(float(of_days(days, share, within)[: diverged + 1].sum()) for within in (0.0, correlation))

    assert chance_of_at_most(diverged, days, share, correlation) == pytest.approx(expected if any(days) else 1.0, abs=1e-9)


def test_more_than_forty_are_too_many_to_say() -> None:
    assert chance_of_at_most(41, (100,), 0.9, 0.0) == 1.0
    assert chance_of_at_most(40, (100,), 0.9, 0.0) < 1e-6


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.4])
@pytest.mark.parametrize(
    ("days", "target", "allowed"),
    [
        ((12,) * 8, 0.05, 0.045),
        ((12,) * 8, 0.05, 0.2),
        ((9, 0, 3, 12, 12, 1), 0.3, 0.045),
        ((1, 2, 3, 4, 5, 6, 7), 0.3, 0.2),
        ((1,) * 12, 0.3, 0.2),
        ((1,) * 12, 0.3, 0.01),
        ((5,), 0.3, 0.2),
        ((5,), 0.01, 0.2),
        ((0, 0), 0.3, 0.2),
        ((20,) * 6, 0.01, 0.5),
    ],
)
def test_of_all_regions_within_the_error_the_one_is_taken_that_an_honest_lane_passes_most_often(
    days: Days, target: float, allowed: float, correlation: float
) -> None:
    chosen = region(days, target, correlation, allowed)
    honest = min(0.005, target / 4)
    every = [
        (first, most, max(passes(days, target, within, first, most) for within in (0.0, correlation / 2, correlation)))
        for first, most in product(range(len(days) + 1), range(8))
    ]
    within = [(first, most, error) for first, most, error in every if error <= allowed]
    assert (chosen is None) is (not within or not any(days))
    if chosen is None:
        return
    first = len(days) - chosen.clean_days
    best = max(passes(days, honest, 0.0, first, most) for first, most, _ in within)
    assert passes(days, honest, 0.0, first, chosen.most) == pytest.approx(best, abs=1e-12)
    found = max(passes(days, target, within, first, chosen.most) for within in (0.0, correlation / 2, correlation))
    assert chosen.error == pytest.approx(found, abs=1e-12)
    assert chosen.error <= allowed


@pytest.mark.parametrize(
    ("most", "clean", "diverged", "holds"),
    [
        (1, 2, [1, 0, 0], True),
        (1, 2, [0, 1, 0], False),
        (1, 2, [2, 0, 0], False),
        (1, 0, [0, 0, 1], True),
        (0, 3, [0, 0, 0], True),
        (0, 0, [0, 0, 1], False),
    ],
)
def test_a_region_holds_with_no_more_than_its_most_and_clean_last_days(
    most: int, clean: int, diverged: list[int], *, holds: bool
) -> None:
    assert Region(most, clean, 0.01).holds(diverged) is holds


@settings(max_examples=60, deadline=None)
@given(DAYS, CORRELATIONS, st.integers(0, 41), st.sampled_from([0.05, 0.2]))
def test_the_bound_on_a_share_is_where_so_few_become_unlikely(
    days: Days, correlation: float, diverged: int, alpha: float
) -> None:
    bound = share_bound(diverged, days, correlation, alpha)
    if diverged >= min(sum(days), 41):
        assert bound == 1.0
        return
    low = diverged / sum(days)

    def likely(share: float) -> float:
        return float(of_days(days, share, correlation)[: diverged + 1].sum()) - alpha

    root = optimize.brentq(likely, max(low, 1e-9), 1 - 1e-9, xtol=1e-9)
    assert -1e-6 <= bound - root <= (1 - low) / 2**12 + 1e-6
    assert (bound - low) / (1 - low) * 2**12 == pytest.approx(round((bound - low) / (1 - low) * 2**12), abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=9))
def test_the_correlation_within_a_day_is_the_analysis_of_variance_of_single_trades(days: list[tuple[int, int]]) -> None:
    days = [(min(bad, every), every) for bad, every in days]
    groups = [np.array([1] * bad + [0] * (every - bad)) for bad, every in days if every]
    trades = np.concatenate(groups) if groups else np.zeros(0)
    found = within_day_correlation(days)
    if len(groups) < 3 or len(set(trades)) < 2 or len(trades) == len(groups):
        assert found == 0.0
        return
    between = sum(len(g) * (g.mean() - trades.mean()) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (len(trades) - len(groups))
    size = (len(trades) - sum(len(g) ** 2 for g in groups) / len(trades)) / (len(groups) - 1)
    expected = max(0.0, (between - within) / (between + (size - 1) * within)) if between + (size - 1) * within > 0 else 0.0
    assert found == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.floats(-0.4, 0.4), min_size=1, max_size=25).map(tuple),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([0.05, 0.01]),
)
def test_the_bound_on_a_duration_allows_for_what_one_day_tells_of_the_next(
    logs: tuple[float, ...], least: float, alpha: float
) -> None:
    found = ratio_bound(logs, alpha, least)
    n, mean = len(logs), sum(logs) / len(logs)
    assert found.days == n
    assert found.estimate == pytest.approx(math.exp(mean))
    if n < 3:
        assert found.upper is None
        return
    off = [each - mean for each in logs]
    power = sum(each**2 for each in off)
    seen = sum(a * b for a, b in pairwise(off)) / power if power > 1e-300 else 0.0
    phi = min(max(least, seen + (1 + 4 * max(seen, 0)) / n), 0.95)
    effective = max(n * (1 - phi) / (1 + phi), 1.5)
    spread = math.sqrt(power / n * effective / (effective - 1) / effective)
    expected = mean + float(stats.t.ppf(1 - alpha, effective - 1)) * spread
    assert math.log(found.upper or 0) == pytest.approx(min(expected, 50.0), abs=1e-6)


def test_a_bound_beyond_all_reason_is_a_number_all_the_same() -> None:
    assert ratio_bound((0.0, 300.0, -300.0), 0.01, 0.9).upper == pytest.approx(math.exp(50))


@pytest.mark.parametrize(
    ("days", "left", "share"),
    [(10, 0.05, 0.5), (19, 0.05, 0.5), (20, 0.02, 0.9), (24, 0.02, 0.9), (25, 0.02, 0.5), (25, 0.05, 0.9), (40, 0.049, 0.5)],
)
def test_a_look_may_use_half_of_what_is_left_and_the_one_of_day_twenty_nine_tenths(days: int, left: float, share: float) -> None:
    assert Looks().allowed(days, left) == pytest.approx(left * share)


def test_looks_that_are_planned_otherwise() -> None:
    looks = Looks(first=6, step=3, full=9, alpha=0.1)
    assert [looks.number(days) for days in (0, 5, 6, 8, 9, 12)] == [0, 0, 1, 1, 2, 3]
    assert [looks.days(number) for number in (1, 2, 3)] == [6, 9, 12]
    assert [looks.allowed(days, 0.01) for days in (6, 9, 11, 12)] == pytest.approx([0.005, 0.009, 0.009, 0.005])
    assert [Looks().first, Looks().step, Looks().full, Looks().alpha] == [10, 5, 20, 0.05]


@pytest.mark.parametrize(
    ("bad", "sizes", "declared", "allowed"),
    [
        ((1, 1, 1, 1), (4, 4, 4, 4), 0.1, 0.1),  # four that diverged tell nothing of it yet
        ((4, 0, 0, 0), (4, 4, 4, 4), 0.1, 0.1),
        ((5, 0, 0, 0), (5, 5, 5, 5), 0.1, 0.95),
        ((5, 0, 0, 0), (5, 5, 5, 5), 0.0, 0.0),  # days themselves have nothing within
        ((2, 2, 1, 2), (5, 5, 5, 5), 0.1, 0.1),
        ((4, 0, 1, 0), (5, 5, 5, 5), 0.1, 0.60),  # 0.55 in the analysis of variance
        ((9, 0, 0, 0), (5, 5, 5, 5), 0.1, 0.95),  # more than there were: those of uncovered days before
    ],
)
def test_a_correlation_that_the_days_show_is_allowed_for_in_steps_of_a_twentieth(
    bad: Days, sizes: Days, declared: float, allowed: float
) -> None:
    assert _correlation(bad, sizes, declared) == pytest.approx(allowed)


@pytest.mark.parametrize(
    ("bad", "sizes", "is_worse"),
    [
        ((0,) * 20, (20,) * 20, False),
        ((0,) * 15 + (0, 0, 0, 0, 5), (20,) * 20, False),  # 5 of 100 is the target
        ((0,) * 15 + (0, 0, 0, 0, 6), (20,) * 20, True),
        ((0,) * 14 + (6, 0, 0, 0, 0, 0), (20,) * 20, False),  # a week ago
        ((0, 0, 0, 0, 0, 0, 1), (200, 200, 0, 0, 0, 0, 0), True),
        ((0, 0, 0, 0, 0, 0, 0), (200, 200, 0, 0, 0, 0, 0), True),  # two days tell too little
        ((20, 20, 20) + (0,) * 17, (20,) * 20, True),
    ],
)
def test_a_pass_is_taken_away_by_a_bad_week_or_a_whole_that_is_surely_not_below_the_target(
    bad: Days, sizes: Days, *, is_worse: bool
) -> None:
    assert _is_worse(bad, sizes, 0.05, 0.1, 0.05) is is_worse


def test_four_times_the_error_is_sure_enough_to_take_a_pass_away() -> None:
    """By single trades of 400: the chance of at most 16 is 0.22 and of at most 15 is 0.15."""
    for bad, is_worse in ((15, False), (16, True)):
        chance = float(stats.binom.cdf(bad, 400, 0.05))
        assert (chance > 4 * 0.05) is is_worse
        assert _is_worse((bad,) + (0,) * 19, (20,) * 20, 0.05, 0.0, 0.05) is is_worse


# ---------------------------------------------------------------------- a day


@pytest.mark.parametrize(
    ("changes", "covered", "unpublished", "quiet", "is_open"),
    [
        ({}, False, 0, False, False),
        ({"published": 2, "judged": 2}, True, 0, False, False),
        ({"published": 2, "judged": 2, "planned": 2}, True, 0, False, False),
        ({"published": 2, "judged": 2, "planned": 1}, True, 0, False, False),
        ({"published": 2, "judged": 2, "planned": 3}, False, 1, False, False),
        ({"published": 2, "judged": 1}, False, 0, False, False),
        ({"published": 2, "judged": 3}, False, 0, False, False),
        ({"published": 2, "judged": 2, "conserved": False}, False, 0, False, False),
        ({"published": 2, "judged": 2, "swapped": 1}, False, 0, False, False),
        ({"published": 2, "judged": 1, "pending": 1}, False, 0, False, True),
        ({"published": 3, "judged": 1, "pending": 1}, False, 0, False, False),
        ({"published": 2, "judged": 2, "pending": 1}, True, 0, False, False),
        ({"published": 2, "pending": 2}, False, 0, False, True),
        ({"published": 2, "judged": 1, "pending": 1, "conserved": False}, False, 0, False, False),
        ({"published": 2, "judged": 1, "pending": 1, "swapped": 1}, False, 0, False, False),
        ({"held": 1}, False, 0, True, False),
        ({"held": 1, "planned": 0}, False, 0, True, False),
        ({"held": 1, "planned": 1}, False, 1, False, False),
        ({"held": 1, "published": 1, "judged": 1}, True, 0, False, False),
        ({"published": 2, "judged": 2, "closed": True}, False, 0, False, False),
        ({"published": 2, "judged": 1, "pending": 1, "closed": True}, False, 0, False, False),
    ],
)
def test_what_a_day_is(changes: dict[str, int], unpublished: int, *, covered: bool, quiet: bool, is_open: bool) -> None:
    day = DayEvidence(DAY, **changes)  # type: ignore[arg-type]

    assert (day.is_covered, day.unpublished, day.is_quiet, day.is_open) == (covered, unpublished, quiet, is_open)


def pair(run: str, **changes: object) -> dict[str, object]:
    return {
        "trading_day": pd.Timestamp(DAY),
        "run_id": run,
        "origin": "live",
        "production_lane": "legacy",
        "verdict": "MATCHED",
        "code_version": "1",
        "policy_hash": "p" * 64,
        "control_version": None,
        "candidate_version": "workflow:2",
        "critical": 0,
        "major": 0,
        "violations": 0,
        "state_transitions": 50,
        "unexplained": 0,
        "candidate_seconds": 20.0,
        "control_seconds": 10.0,
        "path": "sells and buys",
    } | changes


def traded(run: str, side: str = "BUY", **changes: object) -> dict[str, object]:
    return {
        "trading_day": pd.Timestamp(DAY),
        "run_id": run,
        "origin": "live",
        "side": side,
        "full_exit": False,
        "size": "large",
        "path": "sells and buys",
        "unexplained": 0,
        "candidate_status": "COMPLETED",
        "candidate_reason": None,
    } | changes


def counted(
    pairs: list[dict[str, object]], trades: list[dict[str, object]], differences: list[dict[str, object]], **ledger: object
) -> DayEvidence:
    stamp = {"trading_day": pd.Timestamp(DAY)}
    row = {"published": 3, "unpaired": 1, "held": 2, "matched": 1, "diverged": 1, "ignored": 0, "pending": 1, "swapped": 0}
    usual = stamp | {"origin": "live", "attribution": "candidate", "kind": "QUANTITY", "over_budget": None}
    none = pd.DataFrame(columns=list(usual))
    found = pd.DataFrame([usual | each for each in differences]) if differences else none
    ledgers = pd.DataFrame([stamp | row | {"conserved": True} | ledger])
    (day,) = evidence_of(Frames(pd.DataFrame(pairs), pd.DataFrame(trades), found, none, none, ledgers), [DAY])
    return day


def test_a_day_is_counted_from_its_rows() -> None:
    day = counted(
        [
            pair("a", critical=1, major=2, violations=1, unexplained=1),
            pair("b", candidate_seconds=0.0, path="no trades"),
            pair("c", control_seconds=0.0, path=None),
            pair("d", origin="replay", path="sells only", state_transitions=7, unexplained=1),
            pair("e", origin="replay", path="buys only", candidate_version="workflow:3"),
            pair("f", origin="planted", path="guard blocked", verdict="DIVERGED"),
        ],
        [
            traded("a", unexplained=2, full_exit=True, candidate_status="FAILED", candidate_reason="PARTIAL_FILL"),
            traded("a", "SELL", size="small", candidate_reason="MARKET_CLOSED"),
            traded("b", "SELL", size="large", unexplained=1),
            traded("d", "SELL", origin="replay", full_exit=True, unexplained=1),
            traded("e", origin="replay"),
            traded("f", origin="planted", candidate_reason="BROKER_REJECTED"),
        ],
        [
            {"kind": "DOUBLE_ORDER", "over_budget": "KD-1"},
            {"kind": "DOUBLE_ORDER", "attribution": "control"},
            {"kind": "OVERSELL", "origin": "replay"},
            {"kind": "QUANTITY"},
        ],
    )

    assert (day.planned, day.held, day.published, day.judged, day.pending, day.conserved) == (4, 2, 3, 2, 1, True)
    assert (day.critical, day.major, day.safety, day.transitions, day.swapped) == (1, 2, 2, 257, 0)
    assert day.strata == {
        Stratum.ALL: Tally(2, 3),
        Stratum.BUYS: Tally(1, 1),
        Stratum.SELLS: Tally(1, 2),
        Stratum.FULL_EXITS: Tally(1, 1),
        Stratum.LARGE: Tally(2, 2),
        Stratum.SMALL: Tally(0, 1),
    }
    assert (day.replayed[Stratum.ALL], day.replayed[Stratum.FULL_EXITS]) == (Tally(1, 1), Tally(1, 1))
    assert (day.runs, day.paths) == (Tally(1, 3), {Path.BOTH_PHASES: Tally(2, 3)})
    assert day.version == f"1+{'p' * 12}+workflow:2"
    assert day.log_ratios == pytest.approx([math.log(2)])
    assert day.exercised == {Feature.BOTH_PHASES, Feature.PARTIAL_FILL}
    assert day.drilled == {Feature.SELLS_ONLY, Feature.BUYS_ONLY, Feature.FULL_EXIT}
    assert (day.drills, day.over_budget) == (3, frozenset({"KD-1"}))


def test_where_the_controls_plans_are_not_known_nothing_is_said_of_them() -> None:
    day = counted([pair("a")], [traded("a", full_exit=True)], [], unpaired=None, held=None, conserved=False, swapped=2)

    assert (day.planned, day.held, day.conserved, day.swapped) == (None, 0, False, 2)
    assert day.exercised == {Feature.BOTH_PHASES, Feature.FULL_EXIT}
