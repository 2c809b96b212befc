"""Business Unit: reports | Status: current.

Tidy pandas frames of what was compared: `pairs`, `trades`, `differences`, `durations`, `margins` and `ledger`, with the columns
of `reports.data.columns`. Money stays exact: object columns of `Decimal`, which every pandas operation that judges money can use
without pyarrow (it would not fit beside the rest in a Lambda layer). Documents are decoded one by one and let go, so memory
grows with the rows, not with the JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

import numpy as np
import pandas as pd

from reports.data.columns import DIFFERENCES, DURATIONS, LEDGER, MARGINS, PAIRS, TRADES, Column, Kind, Unit
from reports.data.extract import add_differences, add_margins, add_pair, add_trades, decode, path_of
from reports.data.ledger import LedgerRow, day_row, derived_row
from reports.data.tables import categorical, empty_lists, frame_of
from shadow.compare.budgets import over_budget
from shadow.contracts.comparison import Comparison, Difference, Severity, Verdict
from shadow.contracts.errors import UnreadableDocument
from shadow.contracts.vocabulary import Origin, Role
from shadow.settlement.stored import Ledger, Source

_COLUMNS = (PAIRS, TRADES, DIFFERENCES, DURATIONS, MARGINS, LEDGER)
EVER = (date(2000, 1, 1), date(2999, 12, 31))


@dataclass(frozen=True, slots=True)
class Frames:
    """The six frames. Columns and dtypes: `reports.data.columns`."""

    pairs: pd.DataFrame
    trades: pd.DataFrame
    differences: pd.DataFrame
    durations: pd.DataFrame
    margins: pd.DataFrame
    ledger: pd.DataFrame

    def as_float(self) -> Frames:
        """Give the same frames with floats for exact decimals, to plot and describe; money is judged by the exact ones."""
        tables = (getattr(self, each.name) for each in fields(self))
        return Frames(*map(_with_floats, tables, _COLUMNS))


@dataclass(frozen=True, slots=True)
class _Covered:
    """What the budgets look at of a comparison, kept while its trades are let go."""

    plan_id: str
    run_id: str
    trading_day: date
    origin: str
    published_at: datetime
    differences: tuple[Difference, ...]


def _with_floats(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    return table.astype({column.name: "float64" for column in columns if column.kind is Kind.DECIMAL})


def load_frames(
    source: Source,
    first: date = EVER[0],
    last: date = EVER[1],
    *,
    ledger: Ledger | None = None,
    budgets: Mapping[str, int] | None = None,
    register: Collection[str] | None = None,
    days: Sequence[date] | None = None,
) -> Frames:
    """Load the comparisons of the trading days `first` to `last`, both included.

    Without `ledger` the daily counts are derived from the comparisons. Of a run with several documents the last one holds.
    `budgets` gives what each known divergence may cover a day; without it everything that is covered stays so. With `register`,
    the ids in force, an entry that was taken out of it covers nothing any more.
    `days` are the days to count in the frame `ledger`, also those without a pair; without it those that have one.
    Raises `UnreachableSource`, and `UnreadableDocument` naming document and field.
    """
    pairs, trades, differences, margins = map(empty_lists, (PAIRS, TRADES, DIFFERENCES, MARGINS))
    covered: dict[str, _Covered] = {}
    for name, content in source.documents(first, last):
        document = decode(name, content)
        if not first <= document.trading_day <= last:
            continue
        try:
            path = path_of(document)
            add_pair(pairs, document, path, add_trades(trades, document, path), name)
            add_differences(differences, document)
            add_margins(margins, document)
        except (ArithmeticError, ValueError) as error:
            raise UnreadableDocument(name, "$", f"{type(error).__name__}: {error}") from error
        if budgets or register is not None:
            covered[document.run_id] = _covered(document)
    pair_frame = frame_of(PAIRS, pairs)
    trade_frame, difference_frame = frame_of(TRADES, trades), frame_of(DIFFERENCES, differences)
    margin_frame = frame_of(MARGINS, margins)
    if pair_frame["run_id"].duplicated().any():
        trade_frame = _of_last_documents(pair_frame, trade_frame, "trade_count")
        difference_frame = _of_last_documents(pair_frame, difference_frame, "rows")
        margin_frame = _of_last_documents(pair_frame, margin_frame, "margins")
        pair_frame = pair_frame.drop_duplicates("run_id", keep="last", ignore_index=True)
    stored = pair_frame
    beyond = dict(over_budget(covered.values(), budgets or {}))
    for run_id, kept in covered.items():
        if gone := _taken_out(kept, register):
            beyond[run_id] = beyond.get(run_id, frozenset()) | gone
    if beyond:
        pair_frame, trade_frame, difference_frame = _uncover(pair_frame, trade_frame, difference_frame, beyond)
    counted = days if days is not None else sorted({stamp.date() for stamp in pair_frame["trading_day"]})
    return Frames(
        pairs=pair_frame,
        trades=trade_frame,
        differences=difference_frame,
        durations=_durations(pair_frame, trade_frame),
        margins=margin_frame,
        ledger=_ledger(pair_frame if ledger is None else stored, counted, ledger),
    )


def _covered(document: Comparison) -> _Covered:
    about = (document.plan_id, document.run_id, document.trading_day, document.origin, document.published_at)
    return _Covered(*about, tuple(entry for entry in document.differences if entry.covered_by is not None))


def _taken_out(document: _Covered, register: Collection[str] | None) -> frozenset[str]:
    """Name the differences that an entry covers which the register no longer has."""
    if register is None:
        return frozenset()
    return frozenset(entry.key for entry in document.differences if entry.covered_by not in register)


def _uncover(
    pairs: pd.DataFrame, trades: pd.DataFrame, differences: pd.DataFrame, beyond: Mapping[str, frozenset[str]]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give the frames with what lies beyond its budget, and what follows from it, uncovered; and what is counted of it."""
    marks = pd.MultiIndex.from_tuples([(run_id, key) for run_id, keys in beyond.items() for key in keys])
    roots = differences["caused_by"].fillna(differences["key"])
    over = pd.MultiIndex.from_arrays([differences["run_id"], roots]).isin(marks)
    changed = differences.copy()
    changed.loc[over, "over_budget"] = changed.loc[over, "covered_by"]
    changed.loc[over, "covered_by"] = None
    changed["unexplained"] = changed["counts"] & changed["covered_by"].isna()
    unexplained = changed[changed["unexplained"]]
    pairs, trades = pairs.copy(), trades.copy()
    pairs["unexplained"] = _counted(unexplained, pairs, "run_id")
    pairs["critical"] = _counted(unexplained[unexplained["severity"] == Severity.CRITICAL.value], pairs, "run_id")
    pairs["major"] = _counted(unexplained[unexplained["severity"] == Severity.MAJOR.value], pairs, "run_id")
    trades["unexplained"] = _counted(unexplained, trades, "trade_id")
    diverges = (pairs["verdict"] == Verdict.IGNORED.value) & (pairs["unexplained"] > 0)
    pairs.loc[diverges, "verdict"] = Verdict.DIVERGED.value
    return pairs, trades, changed


def _counted(rows: pd.DataFrame, target: pd.DataFrame, key: str) -> pd.Series[int]:
    return target[key].map(rows[key].value_counts()).fillna(0).astype("int64")


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
    return day_row(day, list(ledger.pairs_of(day)), compared, ledger.unpaired_of(day))
