"""Business Unit: reports | Status: current.

The rules about quantities, over columns: the twin of `shadow.compare.checks.sizing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reports.rejudge.frame import BASES, CUTS, NONE
from reports.rejudge.lanes import SELL, Found, LaneColumns, PlanColumns, either
from reports.rejudge.scaled import SHARES, USD, Bools, Codes, differs
from shadow.compare.policy import Policy
from shadow.contracts.vocabulary import SizingBasis

WHOLE = 10**SHARES
_BY_VALUE, _BY_AMOUNT = BASES.index(SizingBasis.HELD_VALUE), BASES.index(SizingBasis.TRADE_AMOUNT)


@dataclass
class Sizes:
    """What is thought of one lane's quantities: masks by what is wrong with them."""

    sized: Bools
    floored: Bools
    fraction: Bools
    target: Bools
    oversold: Bools
    short_exit: Bools
    wrong: Bools

    @property
    def right(self) -> Bools:
        """Tell where nothing is wrong."""
        return self.sized & ~(self.target | self.oversold | self.short_exit | self.wrong)


def _sizes(plan: PlanColumns, role: LaneColumns, policy: Policy) -> Sizes:
    rules = policy.rules
    sized = role.is_sized
    asked, price = np.where(sized, role.asked, 0), np.where(sized, role.price, 1)
    worth = asked * price
    goal = np.where(plan.exit, plan.current, np.abs(plan.amount))
    by_quote = ~plan.exit | (role.basis == _BY_VALUE)
    by_rule = differs(rules.asked_quantity, worth, goal, decimals=USD, unit=price)
    by_exit = differs(rules.exit_quantity, worth, goal, decimals=USD, unit=price)
    off = sized & np.where(by_quote, by_rule, by_exit)
    fraction = sized & (asked % WHOLE != 0)
    short = goal - worth
    floored = off & ~fraction & (short >= 0) & (short < price * WHOLE)
    off &= ~floored
    target = off & ~plan.exit & ~differs(rules.asked_quantity, worth, plan.target, decimals=USD, unit=price)
    beyond = differs(rules.exit_quantity, worth, plan.current, decimals=USD, unit=price)
    oversold = off & ~target & (plan.side == SELL) & (worth > plan.current) & beyond
    left = off & ~target & ~oversold
    return Sizes(sized, floored, fraction, target, oversold, left & plan.exit, left & ~plan.exit)


def too_close(plan: PlanColumns, role: LaneColumns, policy: Policy) -> Bools:
    """Tell where the digits that were cut off the plan's amounts decide: where the amount and the next give other answers.

    What equals a quantity's worth under a rule is an interval around it, and a worth is never between an amount and the next: so
    where both ends give one answer, all that lies between them does. Larger and smaller are told by the lower end alone.
    """
    rules = policy.rules
    sized = role.is_sized & (plan.cut != 0)
    close: Bools = np.zeros(len(sized), dtype=np.bool_)
    if not sized.any():
        return close
    worth, price = role.asked[sized] * role.price[sized], role.price[sized]
    for name, bit in CUTS.items():
        low = np.abs(getattr(plan, name)[sized])
        high = low + ((plan.cut[sized] & bit) != 0)
        for rule in (rules.asked_quantity, rules.exit_quantity):
            ends = [differs(rule, worth, end, decimals=USD, unit=price) for end in (low, high)]
            close[sized] |= ends[0] != ends[1]
    return close


def sizing_checks(plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], policy: Policy) -> Iterator[Found]:
    """Find what is wrong with the quantities of every row."""
    sizes = tuple(_sizes(plan, role, policy) for role in lanes)
    control, candidate = sizes
    members = [BASES.index(SizingBasis(member)) for member in policy.rules.sizing_basis.members if member in list(SizingBasis)]
    basis = (
        size.target | ((role.basis != NONE) & np.where(plan.exit, ~np.isin(role.basis, members), role.basis != _BY_AMOUNT))
        for size, role in zip(sizes, lanes, strict=True)
    )
    yield ("SIZING_BASIS", "intent.sizing_basis"), either(*basis)
    yield ("OVERSELL", "intent.quantity"), either(control.oversold, candidate.oversold)
    unequal = _exits_differ(plan, lanes, (control, candidate), policy)
    own = either(control.short_exit, candidate.short_exit)
    yield ("EXIT_QUANTITY", "intent.quantity"), np.where(unequal, np.int8(0), own).astype(np.int8)
    yield ("QUANTITY_ROUNDING", "intent.quantity"), _rounding(lanes, (control, candidate))
    yield ("ASKED_QUANTITY", "intent.quantity"), either(control.wrong, candidate.wrong)


def _exits_differ(plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], sizes: tuple[Sizes, Sizes], policy: Policy) -> Bools:
    control, candidate = lanes
    comparable = plan.exit & sizes[0].right & sizes[1].right & (sizes[0].floored == sizes[1].floored)
    by_value = (control.basis == _BY_VALUE) | (candidate.basis == _BY_VALUE)
    first, second = np.where(comparable, control.asked, 0), np.where(comparable, candidate.asked, 0)
    loose = differs(policy.rules.exit_quantity, first, second, decimals=SHARES)
    tight = differs(policy.rules.filled_quantity, first, second, decimals=SHARES)
    answer: Bools = comparable & np.where(by_value, loose, tight)
    return answer


def _rounding(lanes: tuple[LaneColumns, LaneColumns], sizes: tuple[Sizes, Sizes]) -> Codes:
    yes = (lanes[0].fractionable == 1) | (lanes[1].fractionable == 1)
    no = (lanes[0].fractionable == 0) | (lanes[1].fractionable == 0)
    floored = [size.floored for size in sizes]
    fractions = [size.fraction & size.right for size in sizes]
    departs = [(yes & ~no & down) | (no & ~yes & part) for down, part in zip(floored, fractions, strict=True)]
    unknown = ~yes & ~no & (floored[0] | floored[1]) & (fractions[0] | fractions[1])
    named = either(departs[0], departs[1])
    return np.where(unknown, np.int8(0), named).astype(np.int8)
