"""Business Unit: shared contracts | Status: current.

How amounts, quantities, times and ages read. Amounts are exact decimals with thousands apart; what is not known is said so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

MARKET_ZONE = ZoneInfo("America/New_York")
UNKNOWN = "?"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def usd(amount: Decimal | None, *, signed: bool = False) -> str:
    """Write an amount in USD to the cent; what is nothing to the cent has no sign."""
    if amount is None:
        return UNKNOWN
    text = f"{amount:{'+' if signed else ''},.2f} USD"
    return "0.00 USD" if text in ("+0.00 USD", "-0.00 USD") else text


def number(value: Decimal | None) -> str:
    """Write a quantity or price with all its digits but trailing zeros."""
    if value is None:
        return UNKNOWN
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(value: Decimal | None) -> str:
    """Write a price with at least its cents."""
    if value is None:
        return UNKNOWN
    exponent = value.normalize().as_tuple().exponent
    decimals = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{value:,.{decimals}f}"


def clock(moment: datetime | None) -> str:
    """Write the time of day in New York."""
    if moment is None:
        return UNKNOWN
    return moment.astimezone(MARKET_ZONE).strftime("%H:%M:%S")


def moment_text(moment: datetime | None) -> str:
    """Write a moment in New York, with the day."""
    return UNKNOWN if moment is None else moment.astimezone(MARKET_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def age(span: timedelta) -> str:
    """Write how long something took or has been going on."""
    seconds = int(span.total_seconds())
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02d} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02d} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def count(amount: int, noun: str) -> str:
    """Write a number of things."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"
