"""Business Unit: reports | Status: current.

The statistics of readiness. The day is what is sampled: trades of one day may go wrong together.

- Share of diverging trades: an exact test of "the true share is at least the target". The distribution it assumes of a day is the
  least favourable one with that share and a within-day correlation of at most `correlation`: every trade of the day has the same
  chance, which is 0 on some days and `target + correlation * (1 - target)` on the others. Of all ways to go wrong together it
  leaves most days without a divergence (the extreme points of a moment problem; Karlin and Studden, Tchebycheff Systems, 1966).
  With correlation 0 it is the binomial test of Clopper and Pearson (Biometrika 26, 1934, 404-413).
- Share of bad days: the same test with a day as one trial, which assumes nothing about the trades within a day.
- Many looks, one budget: a look may pass only where the chance of passing wrongly is within what is left of the error, and what
  it used is taken off (Bonferroni; a discrete form of alpha spending after Lan and DeMets, Biometrika 70, 1983, 659-663).
  A look that nothing could pass costs nothing.
- Duration: one-sided non-inferiority on the log ratio of durations (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987, 657-680),
  a day's mean as one value, with the effective sample size of a first-order autoregression (Bayley and Hammersley, J. R. Stat.
  Soc. Suppl. 8, 1946, 184-197).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, sqrt

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
MOST_DIVERGED = 40
"""More diverging trades (or bad days) than this in a period never pass, whatever their number of trades."""
_ENOUGH_DAYS = 3
_HONEST_SHARE = 0.005


def upper_bound(diverged: int, total: int, alpha: float) -> float:
    """Bound a share from above with error `alpha`, each trial by itself: Clopper-Pearson, one-sided; 1 without a trial.

    Raises ValueError for counts that are none.
    """
    if not 0 <= diverged <= total:
        raise ValueError(f"diverged: expected 0 to {total}, was {diverged}")
    return 1.0 if diverged == total else float(special.betaincinv(diverged + 1, total - diverged, 1 - alpha))


@lru_cache(maxsize=4096)
def _of_a_day(trades: int, share: float, correlation: float) -> Floats:
    """Give the chances of 0, 1, 2, … diverging trades on one day under the least favourable distribution."""
    on_bad_days = min(share + correlation * (1 - share), 1 - 1e-12)
    most = min(trades, MOST_DIVERGED)
    counts = np.arange(most, dtype=np.float64)
    odds = on_bad_days / (1 - on_bad_days)
    steps = np.concatenate(([1.0], (trades - counts) / (counts + 1) * odds))
    chances = share / on_bad_days * (1 - on_bad_days) ** trades * steps.cumprod()
    chances[0] += 1 - share / on_bad_days
    return np.asarray(np.concatenate((chances, np.zeros(MOST_DIVERGED - most))), dtype=np.float64)


def _summed(days: tuple[int, ...], share: float, correlation: float) -> Floats:
    """Give the chances of 0, 1, 2, … diverging trades over all `days`."""
    total: Floats = np.zeros(MOST_DIVERGED + 1)
    total[0] = 1.0
    for trades in sorted(set(days)):
        factor, times = _of_a_day(trades, share, correlation), days.count(trades)
        while times:
            total = np.convolve(total, factor)[: MOST_DIVERGED + 1] if times & 1 else total
            factor, times = np.convolve(factor, factor)[: MOST_DIVERGED + 1], times >> 1
    return total


@lru_cache(maxsize=256)
def _over_days(days: tuple[int, ...], share: float, correlation: float) -> tuple[Floats, Floats]:
    """Give, for each number of first days, the chance of at most 0, 1, … diverging trades in them, and of none in the rest."""
    sums = np.zeros((len(days) + 1, MOST_DIVERGED + 1))
    sums[0, 0] = 1.0
    clean = np.ones(len(days) + 1)
    for at, trades in enumerate(days):
        sums[at + 1] = np.convolve(sums[at], _of_a_day(trades, share, correlation))[: MOST_DIVERGED + 1]
    for at in range(len(days) - 1, -1, -1):
        clean[at] = clean[at + 1] * _of_a_day(days[at], share, correlation)[0]
    return sums.cumsum(axis=1), clean


@dataclass(frozen=True, slots=True)
class Region:
    """What passes a look: at most `most` diverging trades, none on the last `clean_days` days. `error`: of passing wrongly."""

    most: int
    clean_days: int
    error: float

    def holds(self, diverged: Sequence[int]) -> bool:
        """Tell whether the days' numbers of diverging trades pass."""
        last = diverged[len(diverged) - self.clean_days :]
        return sum(diverged) <= self.most and not any(last)


@lru_cache(maxsize=512)
def _errors_and_powers(days: tuple[int, ...], target: float, correlation: float) -> tuple[Floats, Floats]:
    """Give, for each region (first days, most diverging), the chance that the target passes it, and that an honest lane does."""
    error = np.zeros((len(days) + 1, MOST_DIVERGED + 1))
    for within in sorted({0.0, correlation / 2, correlation}):
        sums, clean = _over_days(days, target, within)
        error = np.maximum(error, sums * clean[:, None])
    sums, clean = _over_days(days, min(_HONEST_SHARE, target / 4), 0.0)
    return error, sums * clean[:, None]


@lru_cache(maxsize=65536)
def region(days: tuple[int, ...], target: float, correlation: float, allowed: float) -> Region | None:
    """Choose what may pass after `days` (trades a day) with an error of at most `allowed`; None where nothing may.

    Of all regions within the error it takes the one that an honest lane passes most often, one whose trades diverge by 0.5 %
    each by itself. The choice depends on the numbers of trades alone, never on what diverged.
    """
    if not any(days):
        return None
    error, honest = _errors_and_powers(days, target, correlation)
    power = np.where(error <= allowed, honest, -1.0)
    first, most = divmod(int(power.argmax()), MOST_DIVERGED + 1)
    return Region(most, len(days) - first, float(error[first, most])) if power[first, most] >= 0 else None


@lru_cache(maxsize=65536)
def chance_of_at_most(diverged: int, days: tuple[int, ...], target: float, correlation: float) -> float:
    """Give the chance to see at most `diverged` where the true share is `target`; 1 where that many are too many to say."""
    if diverged > MOST_DIVERGED or not any(days):
        return 1.0
    return max(float(_summed(days, target, within)[: diverged + 1].sum()) for within in {0.0, correlation})


@lru_cache(maxsize=65536)
def share_bound(diverged: int, days: tuple[int, ...], correlation: float, alpha: float) -> float:
    """Bound the share of diverging trades from above with error `alpha`, within-day correlation at most `correlation`."""
    if diverged >= min(sum(days), MOST_DIVERGED + 1):
        return 1.0
    low, high = diverged / sum(days), 1.0
    for _ in range(12):
        middle = (low + high) / 2
        likely = float(_summed(days, middle, correlation)[: diverged + 1].sum())
        low, high = (middle, high) if likely > alpha else (low, middle)
    return high


def within_day_correlation(days: Sequence[tuple[int, int]]) -> float:
    """Estimate how much trades of one day go wrong together, from (diverged, trades) a day; 0 where that can't be said.

    The analysis of variance estimator of the intraclass correlation (Ridout, Demetrio and Firth, Biometrics 55, 1999, 137-148).
    """
    groups = [(bad, every) for bad, every in days if every > 0]
    total, bad = sum(every for _, every in groups), sum(bad for bad, _ in groups)
    k = len(groups)
    if k < _ENOUGH_DAYS or not 0 < bad < total or total == k:
        return 0.0
    size = (total - sum(every**2 for _, every in groups) / total) / (k - 1)
    between = (sum(b**2 / n for b, n in groups) - bad**2 / total) / (k - 1)
    within = (bad - sum(b**2 / n for b, n in groups)) / (total - k)
    spread = between + (size - 1) * within
    return max(0.0, (between - within) / spread) if spread > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RatioBound:
    """Candidate's duration over control's: estimate and upper bound (1.0: as fast), and how many days they rest on."""

    estimate: float | None
    upper: float | None
    days: int


@lru_cache(maxsize=4096)
def ratio_bound(day_means: tuple[float, ...], alpha: float, autocorrelation: float) -> RatioBound:
    """Bound the ratio of geometric mean durations from above with error `alpha`, from each day's mean log ratio.

    `autocorrelation` is the least that is allowed for from one day to the next; where the days show more, that is used.
    """
    values = np.asarray(day_means, dtype=np.float64)
    days = len(values)
    if days == 0:
        return RatioBound(None, None, 0)
    mean = float(values.mean())
    if days < _ENOUGH_DAYS:
        return RatioBound(exp(mean), None, days)
    spread = values - mean
    power = float(spread @ spread)
    seen = float(spread[1:] @ spread[:-1]) / power if power > 0 else 0.0
    phi = min(max(autocorrelation, seen + (1 + 4 * max(seen, 0.0)) / days), 0.95)
    effective = max(days * (1 - phi) / (1 + phi), 1.5)
    variance = power / days * effective / (effective - 1) if effective > 1 else inf
    bound = mean + float(special.stdtrit(effective - 1, 1 - alpha)) * sqrt(variance / effective)
    return RatioBound(exp(mean), exp(min(bound, 50.0)), days)


@dataclass(frozen=True, slots=True)
class Looks:
    """When evidence is looked at, and how much of what is left of the error each look may use.

    The first look is after `first` covered days, the next ones every `step`. A look may use half of what is left; the look
    of day `full`, and a later one where none used anything before, nine tenths: small desks can show nothing earlier.
    """

    first: int = 10
    step: int = 5
    full: int = 20
    alpha: float = 0.05

    def days(self, number: int) -> int:
        """Give the covered days that look `number` (from 1) sees."""
        return self.first + (number - 1) * self.step

    def number(self, days: int) -> int:
        """Give the number of the last look at or before `days` covered days; 0 before the first."""
        return 0 if days < self.first else 1 + (days - self.first) // self.step

    def allowed(self, days: int, left: float) -> float:
        """Give the error that a look at `days` may use of what is `left`."""
        is_main = self.full <= days and (days < self.full + self.step or left >= self.alpha)
        return left * (0.9 if is_main else 0.5)
