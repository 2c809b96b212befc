"""Business Unit: reports | Status: current.

The register of known divergences over columns: differences that no entry can tell apart are looked up once.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.rejudge.frame import SIDES, TradeFrames
from reports.rejudge.judged import ATTRIBUTIONS
from reports.rejudge.lanes import Slot
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Difference

_SHAPES = ("slot", "attribution", "side", "day", "symbol")


def covering(table: pd.DataFrame, slots: tuple[Slot, ...], frames: TradeFrames, policy: Policy) -> npt.NDArray[np.int16]:
    """Give the place of the first entry that covers each difference, -1 for none; a consequence has its cause's."""
    known = np.full(len(table), -1, dtype=np.int16)
    rows = table["row"].to_numpy()
    named = any(entry.symbol != "*" for entry in policy.known)
    alone = table["cause"].to_numpy() < 0
    shapes = {
        "slot": table["slot"].to_numpy()[alone],
        "attribution": table["attribution"].to_numpy()[alone],
        "side": frames.plan["side"].to_numpy()[rows[alone]],
        "day": frames.plan["day"].to_numpy()[rows[alone]],
        "symbol": frames.plan["symbol"].to_numpy()[rows[alone]] if named else np.zeros(int(alone.sum()), dtype=np.int64),
    }
    first, places = _told_apart([shapes[name].astype(np.int64) for name in _SHAPES])
    entries = np.empty(len(first), dtype=np.int16)
    for number, place in enumerate(first.tolist()):
        slot, attribution, side, day, symbol = (int(shapes[name][place]) for name in _SHAPES)
        difference = _stand_in(slots[slot], attribution, side, frames.symbols[symbol] if named else None)
        on = date.fromordinal(day)
        entries[number] = next((place for place, entry in enumerate(policy.known) if entry.covers(difference, on)), -1)
    known[alone] = entries[places]
    follow = np.flatnonzero(~alone)
    if len(follow):
        causes = pd.Series(known[alone], index=_keys(rows[alone], table["slot"].to_numpy()[alone], len(slots)))
        known[follow] = causes.reindex(_keys(rows[follow], table["cause"].to_numpy()[follow], len(slots))).to_numpy()
    return known


def _told_apart(columns: list[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Give where each distinct combination of the columns stands first, and which of them each row is."""
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        packed = packed * (int(values.max(initial=0)) + 1) + values
    _, first, places = np.unique(packed, return_index=True, return_inverse=True)
    return first, places


def _keys(rows: npt.NDArray[np.int64], slots: npt.NDArray[np.int8], count: int) -> pd.Index[int]:
    keys: pd.Index[int] = pd.Index(rows * count + slots)
    return keys


def _stand_in(slot: Slot, attribution: int, side: int, symbol: str | None) -> Difference:
    kind, field = slot
    return Difference(
        kind=kind,
        level=KINDS[kind].level,
        severity=KINDS[kind].severity,
        attribution=ATTRIBUTIONS[attribution],
        field=field,
        symbol=symbol,
        action=SIDES[side],
        rule="",
        explanation="",
    )
