"""Business Unit: shared contracts | Status: current.

One name for one thing, everywhere. All names derive from `plan_id`, so publishing twice, retrying or redriving creates
nothing new. The functions are pure; both lanes, the publisher and the comparator use the same ones.

How a broker calls what a plan names, and how finely it counts it. Plans may use the extended notation
(`EQUITIES::AAPL//USD`, `CRYPTO::BTC//USD`); the broker calls these AAPL and BTC/USD, and a held pair BTCUSD.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from hashlib import sha1
from uuid import UUID, uuid5

from shadow.contracts.vocabulary import Action, Side

NAMESPACE = UUID("6f0d1f0a-5a8e-5e0b-9d63-2b8f0f3f7a11")
MAX_CLIENT_ORDER_ID = 48
REPLAY_MARK = "~replay-"
"""Stands in the id of a plan that is replayed, between the id that was published and the replay's label."""


def run_id_of(plan_id: str) -> str:
    """Name the run of a plan: the same in both lanes."""
    return str(uuid5(NAMESPACE, plan_id))


def is_replay(plan_id: str) -> bool:
    """Tell whether a plan is another run of a plan that was published: such a run is dry, whatever its functions may do."""
    return REPLAY_MARK in plan_id


def trade_id_of(run_id: str, symbol: str, action: Action | Side) -> str:
    """Name one trade of a run: a plan has one item a symbol, so symbol and action identify it."""
    return str(uuid5(UUID(run_id), f"{symbol}:{action.value}"))


def trade_namer(run_id: str) -> Callable[[str, Action | Side], str]:
    """Give `trade_id_of` for the many trades of one run, at a quarter of its cost: RFC 4122's name-based form, written out."""
    namespace = UUID(run_id).bytes

    def name(symbol: str, action: Action | Side) -> str:
        digest = sha1(namespace + f"{symbol}:{action.value}".encode(), usedforsecurity=False).hexdigest()
        variant = "89ab"[int(digest[16], 16) & 3]
        return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"

    return name


def execution_name_of(run_id: str) -> str:
    """Name the candidate's execution (at most 80 characters of `0-9 A-Z a-z - _`)."""
    return f"execution-{run_id}"


def run_id_of_execution(name: str) -> str | None:
    """Read the run id back from an execution's name; None when the execution is not one of ours."""
    lead, _, run_id = name.partition("-")
    try:
        return str(UUID(run_id)) if lead == "execution" else None
    except ValueError:
        return None


def client_order_id_of(trade_id: str, step: int) -> str:
    """Name the order of one step of a trade, counted from 0 over all of the trade's attempts.

    A client order id stays used for ever, also after a cancel, so every re-priced step has its own.
    """
    name = trade_id if step == 0 else f"{trade_id}-step-{step}"
    if len(name) > MAX_CLIENT_ORDER_ID:
        raise ValueError(f"client order id: expected at most {MAX_CLIENT_ORDER_ID} characters, was {len(name)}")
    return name


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
