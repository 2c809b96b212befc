"""Business Unit: legacy | Status: current.

How the control turns a planned amount into shares, and where it puts its limits (legacy contract, section 6).
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from shadow.broker.port import Asset, Quote
from shadow.contracts.errors import ShadowError
from shadow.contracts.trade_message import TradeMessage
from shadow.contracts.vocabulary import Side

SHARE_STEP = Decimal("0.000001")
CENT = Decimal("0.01")
WALK_FRACTIONS = (Decimal("0.75"), Decimal("0.85"), Decimal("0.95"))


class CannotBeSized(ShadowError):
    """A trade comes to no shares at all."""


def shares_for(message: TradeMessage, asset: Asset, quote: Quote, held: Decimal) -> Decimal:
    """Compute the shares to ask for: what is held on a full exit, else |trade_amount| / mid to 6 decimals.

    A non-fractionable asset rounds down to whole shares. Raises CannotBeSized when nothing is left.
    """
    if message.is_complete_exit:
        shares = held
    else:
        shares = (abs(message.trade_amount) / quote.mid).quantize(SHARE_STEP, rounding=ROUND_HALF_EVEN)
    if not asset.fractionable:
        shares = shares.quantize(Decimal(1), rounding=ROUND_DOWN)
    if shares <= 0:
        what = "nothing is held" if message.is_complete_exit and held <= 0 else "quantity rounds to zero"
        raise CannotBeSized(f"{message.symbol}: {what}")
    return shares


def limit_price(side: Side, quote: Quote, fraction: Decimal) -> Decimal:
    """Place a limit `fraction` of the way from the passive to the aggressive side of `quote`, to a cent."""
    width = quote.ask - quote.bid
    price = quote.bid + fraction * width if side is Side.BUY else quote.ask - fraction * width
    return price.quantize(CENT, rounding=ROUND_HALF_UP)
