"""Business Unit: reports | Status: current.

The columns of some rows as arrays, and how what is found in two lanes is said in one column: who departs, in bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.rejudge.frame import SIDES
from reports.rejudge.scaled import NULL, Bools, Codes, Ints
from shadow.contracts.vocabulary import Role, Side

BUY, SELL = SIDES.index(Side.BUY), SIDES.index(Side.SELL)
Slot = tuple[str, str]
Found = tuple[Slot, Codes]


@dataclass
class PlanColumns:
    """The plan's columns of some rows."""

    side: Codes
    exit: Bools
    cut: Codes
    amount: Ints
    target: Ints
    current: Ints


@dataclass
class LaneColumns:
    """One lane's columns of the same rows, NULL and -1 where the lane does not have the trade."""

    role: Role
    present: Bools
    action: Codes
    status: Codes
    reason: Codes
    basis: Codes
    exit_flag: Codes
    fractionable: Codes
    order_type: Codes
    attempts: Codes
    amount: Ints
    asked: Ints
    price: Ints
    filled: Ints
    average: Ints
    value: Ints
    fill_quantity: Ints
    fill_price: Ints
    ledger_price: Ints
    residual: Ints

    @property
    def sign(self) -> Ints:
        """Give 1 for a BUY, -1 for a SELL."""
        return np.where(self.action == BUY, 1, -1).astype(np.int64)

    @property
    def is_filled(self) -> Bools:
        """Tell where a fill with a price is known."""
        known: Bools = (self.fill_quantity != NULL) & (self.fill_quantity > 0) & (self.fill_price != NULL)
        return known

    @property
    def is_sized(self) -> Bools:
        """Tell where the quantity asked for and a decision price are known."""
        known: Bools = (self.asked != NULL) & (self.asked > 0) & (self.price != NULL)
        return known


def either(control: Bools, candidate: Bools) -> Codes:
    """Combine what two lanes do wrong into one column of who departs."""
    bits = control.astype(np.int8) + 2 * candidate.astype(np.int8)
    return np.where(bits == 0, np.int8(-1), bits).astype(np.int8)


def across(found: Bools, control: Bools | None = None, candidate: Bools | None = None) -> Codes:
    """Give who departs where something was `found` between the lanes; nobody unless a lane is named."""
    bits = np.zeros(len(found), dtype=np.int8)
    if control is not None and candidate is not None:
        bits = (control.astype(np.int8) + 2 * candidate.astype(np.int8)).astype(np.int8)
    return np.where(found, bits, np.int8(-1)).astype(np.int8)
