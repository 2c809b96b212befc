"""Business Unit: reports | Status: current.

Tidy pandas frames of what was compared: `pairs`, `trades`, `differences`, `durations` and `ledger`, with the columns of
`reports.data.columns`. Money stays exact: object columns of `Decimal`, which every pandas operation that judges money can use
without pyarrow (it would not fit beside the rest in a Lambda layer). Documents are decoded one by one and let go, so memory
grows with the rows, not with the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from reports.budgets import over_budget, uncover
from reports.data.columns import DIFFERENCES, DURATIONS, LEDGER, PAIRS, TRADES, Unit
from reports.data.errors import UnreadableDocument
from reports.data.extract import add_differences, add_pair, add_trades, path_of
from reports.data.ledger import Ledger, LedgerRow, day_row, derived_row
from reports.data.tables import categorical, empty_lists, frame_of
from reports.documents import decode
from reports.sources import Source
from shadow.contracts.comparison import Verdict
from shadow.contracts.vocabulary import Origin, Role

EVER = (date(2000, 1, 1), date(2999, 12, 31))


@dataclass(frozen=True, slots=True)
class Frames:
    """The five frames. Columns and dtypes: `reports.data.columns`."""

    pairs: pd.DataFrame
    trades: pd.DataFrame
    differences: pd.DataFrame
    durations: pd.DataFrame
    ledger: pd.DataFrame


def load_frames(
    source: Source,
    first: date = EVER[0],
    last: date = EVER[1],
    *,
    ledger: Ledger | None = None,
    budgets: Mapping[str, int] | None = None,
    days: Sequence[date] | None = None,
) -> Frames:
    """Load the comparisons of the trading days `first` to `last`, both included.

    Without `ledger` the daily counts are derived from the comparisons. Of a run with several documents the last one holds.
    `budgets` gives what each known divergence may cover a day; without it everything that is covered stays so.
    `days` are the days to count in the frame `ledger`, also those without a pair; without it those that have one.
    Raises `UnreachableSource`, and `UnreadableDocument` naming document and field.
    """
    pairs, trades, differences = empty_lists(PAIRS), empty_lists(TRADES), empty_lists(DIFFERENCES)
    for name, content in source.documents(first, last):
        document = decode(name, content)
        if not first <= document.trading_day <= last:
            continue
        try:
            path = path_of(document)
            add_pair(pairs, document, path, add_trades(trades, document, path), name)
            add_differences(differences, document)
        except (ArithmeticError, ValueError) as error:
            raise UnreadableDocument(name, "$", f"{type(error).__name__}: {error}") from error
    pair_frame = frame_of(PAIRS, pairs)
    trade_frame, difference_frame = frame_of(TRADES, trades), frame_of(DIFFERENCES, differences)
    if pair_frame["run_id"].duplicated().any():
        trade_frame = _of_last_documents(pair_frame, trade_frame, "trade_count")
        difference_frame = _of_last_documents(pair_frame, difference_frame, "rows")
        pair_frame = pair_frame.drop_duplicates("run_id", keep="last", ignore_index=True)
    stored = pair_frame
    if budgets and (beyond := over_budget(pair_frame, difference_frame, budgets)).any():
        pair_frame, trade_frame, difference_frame = uncover(pair_frame, trade_frame, difference_frame, beyond)
    counted = days if days is not None else sorted({stamp.date() for stamp in pair_frame["trading_day"]})
    return Frames(
        pairs=pair_frame,
        trades=trade_frame,
        differences=difference_frame,
        durations=_durations(pair_frame, trade_frame),
        ledger=_ledger(pair_frame if ledger is None else stored, counted, ledger),
    )


def _of_last_documents(pairs: pd.DataFrame, rows: pd.DataFrame, count: str) -> pd.DataFrame:
    """Keep the rows that came from the last document of each run; `count` is the number of rows a document gave."""
    last = ~pairs["run_id"].duplicated(keep="last").to_numpy()
    return rows[np.repeat(last, pairs[count].to_numpy())].reset_index(drop=True)


def _durations(pairs: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Stack the durations of runs and trades, both lanes; what has no end has no row."""
    runs = pairs[["trading_day", "run_id", "origin", "control_seconds", "candidate_seconds"]]
    parts, units, lanes = [], [], []
    for rows, unit in ((runs, Unit.RUN), (trades, Unit.TRADE)):
        for role in Role:
            column = f"{role.value}_seconds"
            names = ["trading_day", "run_id", "origin", column] + (["trade_id"] if unit is Unit.TRADE else [])
            part = rows.loc[rows[column].notna(), names].rename(columns={column: "seconds"})
            parts.append(part)
            units += [list(Unit).index(unit)] * len(part)
            lanes += [list(Role).index(role)] * len(part)
    stacked = pd.concat(parts, ignore_index=True)
    stacked["unit"] = categorical(np.array(units, dtype=np.int8), Unit)
    stacked["role"] = categorical(np.array(lanes, dtype=np.int8), Role)
    return stacked[[column.name for column in DURATIONS]]


def _ledger(pairs: pd.DataFrame, days: Iterable[date], ledger: Ledger | None) -> pd.DataFrame:
    """Count the pairs of each of `days` from the `ledger`, or from `pairs` where there is none."""
    compared: dict[date, dict[str, Verdict]] = {}
    drills: dict[date, int] = {}
    columns = ("trading_day", "run_id", "origin", "verdict")
    for stamp, run_id, origin, verdict in zip(*(pairs[name] for name in columns), strict=True):
        day = stamp.date()
        if origin == Origin.LIVE:
            compared.setdefault(day, {})[run_id] = Verdict(verdict)
        else:
            drills[day] = drills.get(day, 0) + 1
    rows = [_row(day, compared.get(day, {}), drills.get(day, 0), ledger) for day in days]
    return frame_of(LEDGER, {column.name: [row[column.name] for row in rows] for column in LEDGER})


def _row(day: date, compared: Mapping[str, Verdict], drills: int, ledger: Ledger | None) -> LedgerRow:
    if ledger is None:
        return derived_row(day, compared, drills)
    return day_row(day, list(ledger.pairs_of(day)), compared)
