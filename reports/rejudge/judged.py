"""Business Unit: reports | Status: current.

What judging many trades gives: differences in columns, verdicts, and exact totals of days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.rejudge.lanes import Slot
from reports.rejudge.scaled import USD, Ints
from shadow.compare.exact import EXACT
from shadow.contracts.comparison import Attribution, Difference, Severity

ATTRIBUTIONS = (Attribution.NEITHER, Attribution.CONTROL, Attribution.CANDIDATE, Attribution.BOTH)
SEVERITIES = tuple(Severity)
INFO = SEVERITIES.index(Severity.INFO)


@dataclass(frozen=True)
class DayTotals:
    """One day of trades: how many, by verdict, and their dollars, exact."""

    trades: int = 0
    diverged: int = 0
    ignored: int = 0
    notional: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    gross: Decimal = Decimal(0)


class JudgedTrades:
    """The differences of many trades: columns, and the differences of the rows that were judged one by one.

    `table` has one row a difference: row, slot, severity, attribution, cause (a slot, -1 for none), notional and cash (USD with
    12 decimals), known (a place in the policy's register, -1 for none). `slots` are the (kind, field) behind the codes.
    """

    def __init__(
        self, table: pd.DataFrame, slots: tuple[Slot, ...], single: Mapping[int, tuple[Difference, ...]], plan: pd.DataFrame
    ) -> None:
        """Keep what was found in the trades of `plan`."""
        self.table = table
        self.slots = slots
        self.single = single
        self._plan = plan

    def differences(self, row: int) -> list[tuple[object, ...]]:
        """Give what was found in one trade: kind, field, severity, attribution, cause, notional, cash, known (by its place)."""
        found = self.table[self.table["row"] == row]
        return [self._told(entry) for entry in found.itertuples(index=False)]

    def _told(self, entry: tuple[int, ...]) -> tuple[object, ...]:
        _, slot, severity, attribution, cause, notional, cash, known = entry
        kind, field = self.slots[slot]
        return (
            kind,
            field,
            SEVERITIES[severity],
            ATTRIBUTIONS[attribution],
            None if cause < 0 else self.slots[cause],
            Decimal(int(notional)).scaleb(-USD),
            Decimal(int(cash)).scaleb(-USD),
            int(known),
        )

    def verdicts(self) -> pd.Series[int]:
        """Give each trade's verdict: 0 matched, 1 ignored, 2 diverged."""
        verdicts = np.zeros(len(self._plan), dtype=np.int8)
        counts = self.table[(self.table["severity"] != INFO) & (self.table["cause"] < 0)]
        verdicts[counts["row"].to_numpy()] = 1
        verdicts[counts["row"].to_numpy()[counts["known"].to_numpy() < 0]] = 2
        for row, differences in self.single.items():
            counting = [difference for difference in differences if difference.counts]
            covered = all(difference.covered_by for difference in counting)
            verdicts[row] = (1 if covered else 2) if counting else 0
        return pd.Series(verdicts, name="verdict")

    def day_totals(self) -> dict[date, DayTotals]:
        """Add each day up, exactly."""
        days = self._plan["day"].to_numpy()
        verdicts = self.verdicts().to_numpy()
        rows = self.table["row"].to_numpy()
        money = [self.table[name].to_numpy() for name in ("notional", "cash")]
        gross = np.maximum(np.abs(money[0]), np.abs(money[1]))
        totals: dict[date, DayTotals] = {}
        names, places = np.unique(days, return_inverse=True)
        sums = [_exact_sums(values, places[rows], len(names)) for values in (*money, gross)]
        counted = [np.bincount(places[verdicts == code] if code else places, minlength=len(names)) for code in (0, 2, 1)]
        for place, day in enumerate(names.tolist()):
            trades, diverged, ignored = (int(count[place]) for count in counted)
            notional, cash, gross_usd = (Decimal(values[place]).scaleb(-USD) for values in sums)
            totals[date.fromordinal(day)] = DayTotals(trades, diverged, ignored, notional, cash, gross_usd)
        for row, differences in self.single.items():
            day = date.fromordinal(int(days[row]))
            totals[day] = _with_single(totals[day], differences)
        return totals


def _exact_sums(values: Ints, places: npt.NDArray[np.intp], count: int) -> list[int]:
    """Add 64-bit numbers by place without overflow: in two halves, and these in whole numbers."""
    order = np.argsort(places, kind="stable")
    sums = [0] * count
    if len(order) == 0:
        return sums
    ordered, sorted_places = values[order], places[order]
    starts = np.flatnonzero(np.r_[True, sorted_places[1:] != sorted_places[:-1]])
    high, low = np.add.reduceat(ordered >> 31, starts), np.add.reduceat(ordered & (2**31 - 1), starts)
    for start, top, bottom in zip(starts.tolist(), high.tolist(), low.tolist(), strict=True):
        sums[int(sorted_places[start])] = (top << 31) + bottom
    return sums


def _with_single(totals: DayTotals, differences: tuple[Difference, ...]) -> DayTotals:
    with localcontext(EXACT):
        return DayTotals(
            totals.trades,
            totals.diverged,
            totals.ignored,
            totals.notional + sum((d.impact.notional for d in differences), Decimal(0)),
            totals.cash + sum((d.impact.cash for d in differences), Decimal(0)),
            totals.gross + sum((max(abs(d.impact.notional), abs(d.impact.cash)) for d in differences), Decimal(0)),
        )
