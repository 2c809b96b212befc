"""Business Unit: reports | Status: current.

The statistics that readiness rests on: two named methods from the literature, computed by scipy.

- Divergence rate: the exact one-sided upper confidence bound of Clopper and Pearson (Biometrika 26, 1934, 404-413), the
  beta quantile form. With no divergence in n trades it is 1 - alpha^(1/n), near 3/n at 95 % (the "rule of three",
  Hanley and Lippman-Hand, JAMA 249, 1983, 1743-1745).
- Latency: the one-sided t test on log duration ratios against a margin, the non-inferiority half of the two one-sided tests
  of Schuirmann (J. Pharmacokinet. Biopharm. 15, 1987, 657-680). Its bound is on the ratio of geometric means.
- Repeated looks at growing data: the error alpha is spent over the looks, alpha / (k (k + 1)) at look k, which sums to alpha over
  infinitely many (Bonferroni with unequal shares). No look beyond the planned ones decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def upper_bound(diverged: Ints, total: Ints, alpha: float) -> Floats:
    """Bound the true rate from above with error `alpha`: Clopper-Pearson, one-sided, for arrays of counts.

    Where `total` is 0 the bound is 1: no data bounds nothing.
    """
    bound = stats.beta.ppf(1 - alpha, diverged + 1, np.maximum(total - diverged, 1))
    return np.where(diverged >= total, 1.0, bound).astype(np.float64)


def rate_bound(diverged: int, total: int, alpha: float) -> float:
    """Bound one rate, as `upper_bound`. Raises ValueError for counts that are none."""
    if not 0 <= diverged <= total:
        raise ValueError(f"diverged: expected 0 to {total}, was {diverged}")
    return float(upper_bound(np.array([diverged]), np.array([total]), alpha)[0])


def trades_for(target: float, alpha: float) -> int:
    """Give the least number of trades without any divergence whose bound is below `target`."""
    return int(np.floor(np.log(alpha) / np.log1p(-target))) + 1


@dataclass(frozen=True, slots=True)
class RatioBound:
    """Candidate's duration over control's: estimate and upper bound (1.0: as fast), and how many runs they rest on."""

    estimate: float | None
    upper: float | None
    runs: int


def ratio_bound(log_ratios: Sequence[float], alpha: float) -> RatioBound:
    """Bound the ratio of geometric mean durations from above with error `alpha` (one-sided t on `log_ratios`).

    Fewer than two runs bound nothing.
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    runs = len(values)
    if runs == 0:
        return RatioBound(None, None, 0)
    mean = float(values.mean())
    estimate = float(np.exp(mean))
    if runs == 1:
        return RatioBound(estimate, None, runs)
    if np.ptp(values) == 0:
        return RatioBound(estimate, estimate, runs)
    interval = stats.ttest_1samp(values, 0.0, alternative="less").confidence_interval(1 - alpha)
    return RatioBound(estimate, float(np.exp(interval.high)), runs)


@dataclass(frozen=True, slots=True)
class Looks:
    """When evidence is looked at: after `first` trading days, then every `step`; and what each look may err by.

    Between two looks the last one holds; nothing is decided on a day that is no look.
    """

    first: int = 10
    step: int = 5
    alpha: float = 0.05

    def number(self, days: int) -> int:
        """Give the number of the last look at or before `days` days of evidence; 0 before the first."""
        return 0 if days < self.first else 1 + (days - self.first) // self.step

    def days(self, number: int) -> int:
        """Give the days of evidence that look `number` (from 1) sees."""
        return self.first + (number - 1) * self.step

    def share(self, number: int) -> float:
        """Give the error that look `number` (from 1) may make."""
        return self.alpha / (number * (number + 1))
