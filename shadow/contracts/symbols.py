"""Business Unit: shared contracts | Status: current.

How a broker calls what a plan names, and how finely it counts it. Plans may use the extended notation
(`EQUITIES::AAPL//USD`, `CRYPTO::BTC//USD`); the broker calls these AAPL and BTC/USD, and a held pair BTCUSD.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

QUANTITY_STEP = Decimal("1e-9")
"""The smallest part of a share that an order or a position can have."""

_EXTENDED = re.compile(r"(EQUITIES|CRYPTO)::([A-Z0-9.\-]+)//USD")
_PLAIN = re.compile(r"[A-Z0-9.\-]+(/[A-Z0-9]+)?")


def broker_symbol(symbol: str) -> str | None:
    """Give the broker's name of `symbol`; None for a notation that no broker symbol answers to."""
    extended = _EXTENDED.fullmatch(symbol)
    if extended is None:
        return symbol if _PLAIN.fullmatch(symbol) else None
    kind, name = extended.groups()
    return name if kind == "EQUITIES" else f"{name}/USD"


def is_same_symbol(one: str, other: str) -> bool:
    """Tell whether two notations name one thing: `EQUITIES::AAPL//USD` and AAPL, BTC/USD and BTCUSD."""
    return joined_symbol(one) == joined_symbol(other)


@lru_cache(maxsize=4096)
def joined_symbol(symbol: str) -> str:
    """Give the one form that every notation of a symbol has in common, to join records by."""
    return (broker_symbol(symbol) or symbol).replace("/", "")
