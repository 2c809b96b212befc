"""Business Unit: compare | Status: current.

Exact decimal arithmetic. Contracts let 28 significant digits in; three of them multiplied need 84, so a context of 120 digits
adds, subtracts and multiplies them without ever rounding. Ratios are compared by multiplying out, never by dividing.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
ZERO = Decimal(0)
TEN_THOUSAND = Decimal(10_000)
SHARE_STEP = Decimal("0.000001")
_SHOWN_BPS = Decimal("0.01")
_FLOAT_DIGITS = (16, 17)
_CLEAN_DIGITS = 12
_SHORT_DIGITS = 10
_CLEAN = Context(prec=_CLEAN_DIGITS, rounding=ROUND_HALF_EVEN)


def shares_of(amount: Decimal, price: Decimal) -> Decimal | None:
    """Give |amount| USD in shares at `price` (USD a share), to 6 decimals; None where the price is not above zero."""
    return EXACT.quantize(EXACT.divide(abs(amount), price), SHARE_STEP) if price > 0 else None


def basis_points(part: Decimal, whole: Decimal) -> Decimal:
    """Give `part / whole` in basis points to two decimals, for people to read; judging multiplies out instead."""
    return EXACT.quantize(EXACT.divide(EXACT.multiply(part, TEN_THOUSAND), whole), _SHOWN_BPS)


def is_float_artefact(value: Decimal) -> bool:
    """Tell whether `value` looks like a decimal that went through a binary float, as 0.30000000000000004 did.

    It has the 16 or 17 digits that a float prints, prints as that float, and a nearby number is much shorter.
    """
    if len(value.as_tuple().digits) not in _FLOAT_DIGITS or Decimal(repr(float(value))) != value:
        return False
    near = _CLEAN.plus(value).normalize(_CLEAN)
    return near != value and len(near.as_tuple().digits) <= _SHORT_DIGITS
