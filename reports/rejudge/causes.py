"""Business Unit: reports | Status: current.

Which difference of a trade follows from which, over columns: the rule of `shadow.compare.causes` within one trade.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from reports.rejudge.lanes import Slot
from reports.rejudge.scaled import Bools, Codes
from shadow.compare.kinds import KINDS


def roots_in_trade(departs: Codes, slots: tuple[Slot, ...]) -> npt.NDArray[np.intp]:
    """Give for every trade (row) and slot the slot it follows from in the end; its own where it stands alone.

    `departs` has the lanes that depart (bit 1 control, bit 2 candidate, 0 nobody), -1 where a slot finds nothing.
    """
    rows, count = departs.shape
    own = np.arange(count, dtype=np.intp)
    causes = np.tile(own, (rows, 1))
    for slot in range(count):
        for cause in _possible(slot, slots):
            explains = (causes[:, slot] == slot) & _share(departs[:, cause], departs[:, slot])
            causes[explains, slot] = cause
    for _ in range(count):
        further = np.take_along_axis(causes, causes, axis=1)
        if np.array_equal(further, causes):
            break
        causes = further
    return causes


def _possible(slot: int, slots: tuple[Slot, ...]) -> Iterator[int]:
    """Give the slots that may explain `slot`, most telling first: its own kind seen before, then what the table of kinds says."""
    kind = slots[slot][0]
    yield from (other for other in range(slot) if slots[other][0] == kind)
    for cause in KINDS[kind].follows:
        yield from (other for other, (name, _) in enumerate(slots) if name == cause)


def _share(first: Codes, second: Codes) -> Bools:
    """Tell where both are found and share a departing lane, or one of them blames nobody."""
    both = (first >= 0) & (second >= 0)
    shared: Bools = both & ((first == 0) | (second == 0) | ((first & second) > 0))
    return shared
