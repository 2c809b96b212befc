"""Business Unit: reports | Status: current.

Exact decimals as scaled 64-bit integers, and exact comparisons of them. USD carry 12 decimals, prices and quantities 6, so that
a quantity times a price is a USD amount without any rounding. What does not fit is not rounded: its row is judged elsewhere.

A comparison with a tolerance is made in floating point where the two sides are clearly apart, and in whole numbers where they
are not: fast, and exact.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, Numeric, TicksRule

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

USD, SHARES, PRICE = 12, 6, 6
NULL = int(np.iinfo(np.int64).min)
LIMIT = 2**62
_CLEARLY = 1e-9
_BPS = 10_000


def scaled(value: Decimal | None, decimals: int) -> int | None:
    """Give `value` as an integer of `decimals` decimals: NULL for null, None where it does not fit exactly."""
    if value is None:
        return NULL
    moved = value.scaleb(decimals)
    whole = int(moved)
    return whole if moved == whole and abs(whole) < LIMIT else None


def truncated(value: Decimal, decimals: int) -> tuple[int, bool] | None:
    """Give `value` cut to an integer of `decimals` decimals, and whether anything was cut off; None where it is too large."""
    moved = value.scaleb(decimals)
    whole = int(moved)
    return (whole, moved != whole) if abs(whole) < LIMIT else None


def exceeds(apart: Ints, base: Ints, factor: Fraction) -> Bools:
    """Tell where `apart > factor * base`, exactly. Both are zero or more."""
    if factor == 0:
        return apart > 0
    left = apart.astype(np.float64)
    right = base.astype(np.float64) * float(factor)
    more: Bools = left > right
    near = np.flatnonzero((np.abs(left - right) <= _CLEARLY * left) & (apart > 0))
    for place in near.tolist():
        more[place] = int(apart[place]) * factor.denominator > factor.numerator * int(base[place])
    return more


def ratios_exceed(first: tuple[Ints, Ints], second: tuple[Ints, Ints], bps: Decimal) -> Bools:
    """Tell where two ratios (part, whole) are more than so many basis points apart, exactly. Wholes are above zero."""
    tolerance = Fraction(bps)
    apart = np.abs(first[0] / first[1] - second[0] / second[1]) * _BPS
    limit = float(tolerance)
    more: Bools = apart > limit
    for place in np.flatnonzero(np.abs(apart - limit) <= _CLEARLY * max(limit, 1.0)).tolist():
        exact = Fraction(int(first[0][place]), int(first[1][place])) - Fraction(int(second[0][place]), int(second[1][place]))
        more[place] = abs(exact) * _BPS > tolerance
    return more


def differs(rule: Numeric, left: Ints, right: Ints, *, decimals: int, unit: Ints | None = None) -> Bools:
    """Tell where two columns of `decimals` decimals are not equal under `rule`.

    `unit` (prices, 6 decimals) scales an absolute tolerance where both sides were multiplied by it.
    """
    if isinstance(rule, ExactRule):
        answer: Bools = left != right
        return answer
    apart = np.abs(left - right)
    if isinstance(rule, BpsRule):
        return exceeds(apart, np.maximum(np.abs(left), np.abs(right)), Fraction(rule.tolerance) / _BPS)
    tolerance = _allowance(rule)
    if unit is None:
        return exceeds(apart, np.ones_like(apart), tolerance * 10**decimals)
    return exceeds(apart, unit, tolerance * 10 ** (decimals - PRICE))


def _allowance(rule: AbsoluteRule | TicksRule) -> Fraction:
    if isinstance(rule, TicksRule):
        return Fraction(rule.tick) * rule.ticks
    return Fraction(rule.tolerance)


def fits(left: Ints, right: Ints) -> Bools:
    """Tell where the product of two columns fits a column."""
    small: Bools = np.abs(left.astype(np.float64) * right.astype(np.float64)) < LIMIT
    return small
