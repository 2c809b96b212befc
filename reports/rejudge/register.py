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


def covering(table: pd.DataFrame, slots: tuple[Slot, ...], frames: TradeFrames, policy: Policy) -> npt.NDArray[np.int16]:
    """Give the place of the first entry that covers each difference, -1 for none; a consequence has its cause's."""
    known = np.full(len(table), -1, dtype=np.int16)
    rows = table["row"].to_numpy()
    sides, days = frames.plan["side"].to_numpy()[rows], frames.plan["day"].to_numpy()[rows]
    named = any(entry.symbol != "*" for entry in policy.known)
    groups = pd.DataFrame(
        {"slot": table["slot"], "attribution": table["attribution"], "side": sides, "day": days, "row": rows if named else 0}
    )
    alone = table["cause"].to_numpy() < 0
    told_apart = groups[alone].to_numpy(dtype=np.int64)
    keys, places = np.unique(told_apart, axis=0, return_inverse=True)
    entries = np.empty(len(keys), dtype=np.int16)
    for number, (slot, attribution, side, day, row) in enumerate(keys.tolist()):
        difference = _stand_in(slots[slot], attribution, side, frames.source(row).symbol if named and frames.source else None)
        on = date.fromordinal(day)
        entry = next((place for place, entry in enumerate(policy.known) if entry.covers(difference, on)), -1)
        entries[number] = entry
    known[alone] = entries[places]
    causes = pd.Series(known[alone], index=pd.MultiIndex.from_arrays([rows[alone], table["slot"].to_numpy()[alone]]))
    follow = np.flatnonzero(~alone)
    if len(follow):
        wanted = pd.MultiIndex.from_arrays([rows[follow], table["cause"].to_numpy()[follow]])
        known[follow] = causes.reindex(wanted).to_numpy()
    return known


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
