"""Business Unit: execution | Status: current.

From planned dollars to shares, by the rules of the legacy contract, section 6: `|tradeAmount|` at the mid quote to 6 decimals
(never `targetValue`: topping 1,000 up to 1,200 buys 200), a full exit sells what is held, a non-fractionable asset
rounds down to whole shares, any other to the broker's nine decimals, and nothing sells more than is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from shadow.contracts.symbols import QUANTITY_STEP
from shadow.contracts.vocabulary import Reason, Side, SizingBasis
from shadow.contracts.workflow import WorkflowTrade

QUANTUM = Decimal("0.000001")
WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Sized:
    """How many shares a trade asks for, and from what that was computed."""

    quantity: Decimal
    basis: SizingBasis


@dataclass(frozen=True, slots=True)
class Unsizable:
    """Why a trade comes to no shares at all."""

    reason: Reason
    basis: SizingBasis
    message: str


def size(trade: WorkflowTrade, *, mid: Decimal, fractionable: bool, held: Decimal | None) -> Sized | Unsizable:
    """Compute the shares of `trade` at `mid` (USD a share, above 0); `held` is shares, None where it is not known."""
    basis, wanted = _wanted(trade, mid, held)
    if trade.action is Side.SELL and held is not None:
        if held <= 0:
            return Unsizable(Reason.NOTHING_HELD, basis, f"{trade.symbol}: expected shares to sell, was {held} held")
        wanted = min(wanted, held)
    quantity = wanted.quantize(QUANTITY_STEP if fractionable else WHOLE, rounding=ROUND_DOWN)
    quantity = min(wanted, quantity)
    if quantity <= 0:
        return Unsizable(Reason.ROUNDS_TO_ZERO, basis, f"{trade.symbol}: {wanted} shares rounds to zero")
    return Sized(quantity, basis)


def _wanted(trade: WorkflowTrade, mid: Decimal, held: Decimal | None) -> tuple[SizingBasis, Decimal]:
    """Give the shares before rounding to whole ones, and their basis."""
    if trade.action is Side.SELL and trade.is_complete_exit:
        if held is not None:
            return SizingBasis.HELD_QUANTITY, held
        return SizingBasis.HELD_VALUE, _shares(trade.current_value, mid)
    return SizingBasis.TRADE_AMOUNT, _shares(abs(trade.trade_amount), mid)


def _shares(amount: Decimal, mid: Decimal) -> Decimal:
    """Divide USD by USD a share, to 6 decimals."""
    return (amount / mid).quantize(QUANTUM, rounding=ROUND_HALF_EVEN)
