"""Business Unit: reports | Status: current.

How figures are written for people, the same on the page, in the mail and on a terminal.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")


def usd(value: Decimal) -> str:
    """Write USD with thousands separators and cents."""
    return f"{value:,.2f} USD"


def signed_usd(value: Decimal) -> str:
    """Write USD with its sign."""
    return f"{value:+,.2f} USD"


def seconds(value: float | None) -> str:
    """Write seconds; a dash where nothing was measured."""
    return "–" if value is None else f"{value:,.1f} s"  # noqa: RUF001 - an en dash on purpose


def basis_points(value: float) -> str:
    """Write basis points with their sign."""
    return f"{round(value, 1) + 0.0:+,.1f} bp"


def clock(value: datetime) -> str:
    """Write a time of day in New York."""
    return f"{value.astimezone(_NEW_YORK):%H:%M:%S}"


def when(value: datetime) -> str:
    """Write date and time in New York."""
    return f"{value.astimezone(_NEW_YORK):%Y-%m-%d %H:%M} New York"


def count(number: int, one: str) -> str:
    """Write a number with its noun, in the plural where it is not one."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def figure(value: Decimal | None) -> str:
    """Write a measured figure without trailing zeros; a dash where there is none."""
    return "–" if value is None else f"{value.normalize():f}"  # noqa: RUF001 - an en dash on purpose
