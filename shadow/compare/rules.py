"""Business Unit: compare | Status: current.

The rules that a field can be judged by, as data. Every rule is symmetric, exact, and has an answer for everything:

- null equals null; null equals no value. An absent field is null. Where a field must be there, `completeness` asks for it;
- NaN equals nothing, not even NaN; an infinity equals only the same infinity, under every numeric rule;
- a tolerance includes its edge: 100.01 against 100.00 at tolerance 0.01 is equal;
- basis points are taken of the larger absolute value of the two, so that the order of the two cannot matter.

Exact decimal arithmetic. Contracts let 28 significant digits in; three of them multiplied need 84, so a context of 120 digits
adds, subtracts and multiplies them without ever rounding. Ratios are compared by multiplying out, never by dividing.
"""

from __future__ import annotations

from abc import abstractmethod
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from shadow.contracts.model import Frozen, NonNegative, decimal_text

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


ONE = Decimal(1)
_MINUTE = Decimal(60)
Measure = Literal["absolute", "bps"]
"""What a tolerance is counted in: the field's own unit (times the question's unit), or basis points of the larger value."""


class _Tolerance(Frozen):
    """What the numeric rules have in common. `apart` is the distance, `largest` the larger absolute value of the two."""

    def permits(self, apart: Decimal, largest: Decimal, unit: Decimal) -> bool:
        """Tell whether two numbers so far apart are equal."""
        return apart <= self.allowance(largest, unit)

    @abstractmethod
    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Give the largest distance that is equal, scaled by `unit`."""

    def needs(self, apart: Decimal, largest: Decimal, unit: Decimal) -> Decimal:
        """Give the tolerance that would just make them equal, in this rule's measure (rounded, to be shown)."""
        del largest
        return EXACT.divide(apart, unit)

    @property
    def most(self) -> Decimal:
        """Give the tolerance, in the rule's measure."""
        return ZERO

    @property
    def measure(self) -> str:
        """Name what a tolerance of this rule is counted in."""
        return "the field's own unit"

    @property
    def bound(self) -> tuple[Measure, Decimal]:
        """Give the tolerance as one number, and what that number is of: rules of one measure differ by it alone."""
        return "absolute", self.most


class ExactRule(_Tolerance):
    """Equal means the same value; 1.0 and 1.00 are the same value."""

    rule: Literal["exact"]

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Allow nothing."""
        del largest, unit
        return ZERO

    def __str__(self) -> str:
        """Read as one phrase."""
        return "exact"


class AbsoluteRule(_Tolerance):
    """Equal means at most `tolerance` apart, in the field's own unit."""

    rule: Literal["absolute"]
    tolerance: Annotated[NonNegative, Field(description="largest distance that is equal, in the field's own unit")]

    @property
    def most(self) -> Decimal:
        """Give the tolerance, in the rule's measure."""
        return self.tolerance

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Allow the tolerance, scaled by `unit`."""
        del largest
        return EXACT.multiply(self.tolerance, unit)

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"within {decimal_text(self.tolerance)}"


class BpsRule(_Tolerance):
    """Equal means at most `tolerance` basis points apart, of the larger absolute value."""

    rule: Literal["bps"]
    tolerance: Annotated[NonNegative, Field(description="largest distance that is equal, in basis points")]

    @property
    def most(self) -> Decimal:
        """Give the tolerance, in the rule's measure."""
        return self.tolerance

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Allow a fraction of the larger absolute value."""
        del unit
        return EXACT.divide(EXACT.multiply(largest, self.tolerance), TEN_THOUSAND)

    def needs(self, apart: Decimal, largest: Decimal, unit: Decimal) -> Decimal:
        """Give the distance in basis points."""
        del unit
        return EXACT.divide(EXACT.multiply(apart, TEN_THOUSAND), largest)

    @property
    def measure(self) -> str:
        """Name what a tolerance of this rule is counted in."""
        return "bps"

    @property
    def bound(self) -> tuple[Measure, Decimal]:
        """Give the tolerance in basis points."""
        return "bps", self.tolerance

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"within {decimal_text(self.tolerance)} bps"


class TicksRule(_Tolerance):
    """Equal means at most `ticks` steps of `tick` apart: what a declared rounding can do."""

    rule: Literal["ticks"]
    tick: Annotated[NonNegative, Field(description="one step, in the field's own unit")]
    ticks: Annotated[StrictInt, Field(ge=0, description="how many steps apart is still equal")] = 1

    @property
    def most(self) -> Decimal:
        """Give the tolerance, in the rule's measure."""
        return Decimal(self.ticks if self.tick else 0)

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Allow the steps, scaled by `unit`."""
        del largest
        return EXACT.multiply(EXACT.multiply(self.tick, Decimal(self.ticks)), unit)

    def needs(self, apart: Decimal, largest: Decimal, unit: Decimal) -> Decimal:
        """Give the distance in steps; in the field's own unit where a step is nothing."""
        del largest
        return EXACT.divide(apart, EXACT.multiply(self.tick or ONE, unit))

    @property
    def measure(self) -> str:
        """Name what a tolerance of this rule is counted in."""
        return f"steps of {decimal_text(self.tick or ONE)}"

    @property
    def bound(self) -> tuple[Measure, Decimal]:
        """Give the steps together, in the field's own unit."""
        return "absolute", EXACT.multiply(self.tick, Decimal(self.ticks))

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"within {self.ticks} * {decimal_text(self.tick)}"


class SetRule(Frozen):
    """Equal means the same members, whatever their order. A single value is right when it is one of `members`."""

    rule: Literal["set"]
    members: Annotated[tuple[str, ...], Field(description="the values that are right; empty where the plan says which")] = ()

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"one of {', '.join(self.members)}" if self.members else "the same set"


class OrderedRule(Frozen):
    """Right means one after the other; an overlap of at most `slack_seconds` is forgiven."""

    rule: Literal["ordered"]
    slack_seconds: Annotated[NonNegative, Field(description="largest overlap that is forgiven, in seconds")] = ZERO

    def permits(self, apart: Decimal, largest: Decimal, unit: Decimal) -> bool:
        """Tell whether an overlap of `apart` seconds is forgiven."""
        return apart <= self.allowance(largest, unit)

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Forgive so many seconds."""
        del largest, unit
        return self.slack_seconds

    def needs(self, apart: Decimal, largest: Decimal, unit: Decimal) -> Decimal:
        """Give the overlap in seconds."""
        del largest, unit
        return apart

    @property
    def most(self) -> Decimal:
        """Give the slack, in seconds."""
        return self.slack_seconds

    @property
    def measure(self) -> str:
        """Name what the slack is counted in."""
        return "seconds"

    @property
    def bound(self) -> tuple[Measure, Decimal]:
        """Give the slack in seconds."""
        return "absolute", self.slack_seconds

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"in order, {decimal_text(self.slack_seconds)} s of overlap forgiven"


class DurationRatioRule(Frozen):
    """Right means: at most `ratio` times the other lane's seconds, or below `floor_seconds`."""

    rule: Literal["duration_ratio"]
    ratio: Annotated[NonNegative, Field(gt=0, description="largest ratio to the other lane's duration")]
    floor_seconds: Annotated[NonNegative, Field(description="durations below this many seconds are never judged")] = ZERO

    def permits(self, apart: Decimal, largest: Decimal, unit: Decimal) -> bool:
        """Tell whether a duration `apart` is reasonable beside the other lane's, `unit`; the floor is not looked at."""
        return apart <= self.allowance(largest, unit)

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Give the longest duration that is reasonable beside the other lane's, `unit`."""
        del largest
        return EXACT.multiply(self.ratio, unit)

    def needs(self, apart: Decimal, largest: Decimal, unit: Decimal) -> Decimal:
        """Give how many times the other lane's duration it is."""
        del largest
        return EXACT.divide(apart, unit)

    @property
    def most(self) -> Decimal:
        """Give the ratio."""
        return self.ratio

    @property
    def measure(self) -> str:
        """Name what the ratio is counted in."""
        return "times the other run"

    @property
    def bound(self) -> tuple[Measure, Decimal]:
        """Give the ratio."""
        return "absolute", self.ratio

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"at most {decimal_text(self.ratio)} * the other lane, from {decimal_text(self.floor_seconds)} s"


class DriftRule(Frozen):
    """Equal means at most `bps` basis points apart, of the larger, and `bps_a_minute` more for each minute in between."""

    rule: Literal["drift"]
    bps: Annotated[NonNegative, Field(description="largest distance that is equal at one moment, in basis points")]
    bps_a_minute: Annotated[NonNegative, Field(description="how much more is equal a minute later, in basis points")] = ZERO

    def permits_after(self, left: Decimal, right: Decimal, seconds: Decimal) -> bool:
        """Tell whether two prices so many seconds apart are equal."""
        allowed = EXACT.add(EXACT.multiply(self.bps, _MINUTE), EXACT.multiply(self.bps_a_minute, seconds))
        apart = EXACT.multiply(abs(EXACT.subtract(left, right)), EXACT.multiply(TEN_THOUSAND, _MINUTE))
        return apart <= EXACT.multiply(max(abs(left), abs(right)), allowed)

    def __str__(self) -> str:
        """Read as one phrase."""
        return f"within {decimal_text(self.bps)} bps, and {decimal_text(self.bps_a_minute)} more a minute"


NumericRule = Annotated[ExactRule | AbsoluteRule | BpsRule | TicksRule, Field(discriminator="rule")]
ToleranceRule = Annotated[AbsoluteRule | BpsRule | TicksRule, Field(discriminator="rule")]
Numeric = ExactRule | AbsoluteRule | BpsRule | TicksRule
Tolerant = Numeric | OrderedRule | DurationRatioRule
"""The rules whose every answer depends on one number: they have margins."""


def within(rule: Numeric, left: Decimal | None, right: Decimal | None, unit: Decimal = ONE) -> bool:
    """Tell whether two numbers are equal under `rule`. `unit` scales the tolerance where both sides were multiplied by it."""
    if left is None or right is None:
        return left is right
    if left == right:
        return True
    if not (left.is_finite() and right.is_finite()):
        return False
    return rule.permits(abs(EXACT.subtract(left, right)), max(abs(left), abs(right)), unit)
