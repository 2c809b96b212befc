"""Business Unit: reports | Status: current.

Tidy pandas frames of what was compared: `pairs`, `trades`, `differences`, `durations`, `margins` and `ledger`, with the columns
of `reports.data.columns`. Money stays exact: object columns of `Decimal`, which every pandas operation that judges money can use
without pyarrow (it would not fit beside the rest in a Lambda layer). Documents are decoded one by one and let go, so memory
grows with the rows, not with the JSON.

What reports need of the pair ledger: the pairs of a trading day, and the plans that got none. The ledger knows what was
published, so it alone can say that nothing was lost; comparisons are held against it, and a verdict without its stored
comparison is counted.

`AthenaSource` reads the same stored comparisons as a table: for months that one machine should not list and download object by
object. The table has one text column, `document`, and the partition `day` (projected, so no crawler); a document is read by the
same decoder whether it comes from here, from the bucket or from a folder.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from time import sleep
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError

from reports.data.columns import DIFFERENCES, DURATIONS, LEDGER, MARGINS, PAIRS, TRADES, Column, Kind, Unit
from reports.data.extract import (
    Value,
    add_differences,
    add_margins,
    add_pair,
    add_trades,
    categorical,
    decode,
    empty_lists,
    frame_of,
    path_of,
)
from shadow.compare.across_pairs import Budgeted, beyond_the_register
from shadow.contracts.comparison import Comparison, Severity, Verdict
from shadow.contracts.errors import UnreachableSource, UnreadableDocument
from shadow.contracts.pair import Pair, PairState, Unpaired, UnpairedPlan, UnreadablePair
from shadow.contracts.vocabulary import Lane, Origin, Role
from shadow.settlement.conservation import conservation
from shadow.settlement.stored import Ledger, Source

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_s3 import S3Client


LedgerRow = dict[str, Value]
_JUDGED = frozenset({Verdict.MATCHED, Verdict.DIVERGED, Verdict.IGNORED, Verdict.INCOMPLETE})
_Noted = Sequence[UnpairedPlan | UnreadablePair]
_LATE = frozenset({PairState.LATE, PairState.MISSING, PairState.RESOLVED_LATE})


def day_row(
    day: date, pairs: Sequence[Pair | UnreadablePair], compared: Mapping[str, Verdict], noted: _Noted | None = None
) -> LedgerRow:
    """Count one trading day's pairs; `compared` gives the verdict of each run's stored comparison.

    `noted` are the plans that were published and got no pair, None where that is not known.
    """
    sums = conservation(day, pairs)
    live = [pair for pair in pairs if isinstance(pair, Pair) and pair.origin is Origin.LIVE]
    uncompared = sum(pair.verdict in _JUDGED and compared.get(pair.run_id) is not pair.verdict for pair in live)
    waits = [(pair.settled_at - pair.published_at).total_seconds() for pair in live if pair.settled_at]
    return {
        "trading_day": day,
        "published": sums.published,
        "matched": sums.matched,
        "diverged": sums.diverged,
        "ignored": sums.ignored,
        "incomplete": sums.incomplete,
        "missing": sums.missing,
        "pending": sums.pending,
        "unaccounted": sums.error,
        "uncompared": uncompared,
        "late": sum(pair.state in _LATE for pair in live),
        "conserved": sums.error == 0 and uncompared == 0,
        "settle_seconds": max(waits, default=None),
        "drills": len(pairs) - sums.published,
        "swapped": sum(pair.production_lane is Lane.WORKFLOW for pair in live),
        "unpaired": None if noted is None else _unpaired(noted, {pair.plan_id for pair in live}),
        "held": None if noted is None else sum(_only_holds(plan) for plan in noted),
    }


def _unpaired(noted: _Noted, paired: Collection[str]) -> int:
    """Count the plans that should have been compared and have no pair.

    A plan that only holds has nothing to compare. One that got its pair with a later message is not counted, unless what
    came was another plan under the same id. An item that cannot be read counts as a plan.
    """
    plans = {
        (plan.plan_id, plan.reason is Unpaired.OTHER_CONTENT)
        for plan in noted
        if isinstance(plan, UnpairedPlan) and not _only_holds(plan)
    }
    unreadable = sum(isinstance(plan, UnreadablePair) for plan in noted)
    return unreadable + sum(is_other or plan_id not in paired for plan_id, is_other in plans)


def _only_holds(plan: UnpairedPlan | UnreadablePair) -> bool:
    return isinstance(plan, UnpairedPlan) and plan.reason is Unpaired.HOLD_ONLY


def derived_row(day: date, compared: Mapping[str, Verdict], drills: int, swapped: int) -> LedgerRow:
    """Count a day from its comparisons alone, where no ledger is at hand: what was published and lost can't be seen.

    `swapped` of the pairs compared were published with the workflow in production.
    """
    verdicts = Counter(compared.values())
    return {
        "trading_day": day,
        "published": len(compared),
        "matched": verdicts[Verdict.MATCHED],
        "diverged": verdicts[Verdict.DIVERGED],
        "ignored": verdicts[Verdict.IGNORED],
        "incomplete": verdicts[Verdict.INCOMPLETE],
        "missing": verdicts[Verdict.MISSING_CONTROL] + verdicts[Verdict.MISSING_CANDIDATE],
        "pending": verdicts[Verdict.PENDING],
        "unaccounted": 0,
        "uncompared": 0,
        "late": 0,
        "conserved": True,
        "settle_seconds": None,
        "drills": drills,
        "swapped": swapped,
        "unpaired": None,
        "held": None,
    }


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
    covered: dict[str, Budgeted] = {}
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
    beyond = beyond_the_register(covered.values(), budgets or {}, register)
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


def _covered(document: Comparison) -> Budgeted:
    about = (document.plan_id, document.run_id, document.trading_day, document.origin, document.published_at)
    return Budgeted(*about, tuple(entry for entry in document.differences if entry.covered_by is not None))


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
    pairs["unexplained"] = _counted(unexplained, pairs, _RUN)
    pairs["critical"] = _counted(unexplained[unexplained["severity"] == Severity.CRITICAL.value], pairs, _RUN)
    pairs["major"] = _counted(unexplained[unexplained["severity"] == Severity.MAJOR.value], pairs, _RUN)
    trades["unexplained"] = _counted(unexplained, trades, _TRADE)
    diverges = (pairs["verdict"] == Verdict.IGNORED.value) & (pairs["unexplained"] > 0)
    pairs.loc[diverges, "verdict"] = Verdict.DIVERGED.value
    return pairs, trades, changed


_RUN = ["run_id"]
_TRADE = ["run_id", "trade_id"]
"""What names a trade: a lane's own ids are its runs' own, another run may have them too."""


def _counted(rows: pd.DataFrame, target: pd.DataFrame, key: list[str]) -> npt.NDArray[np.int64]:
    counts = rows.groupby(key).size()
    names = pd.MultiIndex.from_frame(target[key]) if len(key) > 1 else pd.Index(target[key[0]])
    return np.asarray(counts.reindex(names, fill_value=0), dtype=np.int64)


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
    drills: Counter[date] = Counter()
    swapped: Counter[date] = Counter()
    columns = ("trading_day", "run_id", "origin", "verdict", "production_lane")
    for stamp, run_id, origin, verdict, lane in zip(*(pairs[name] for name in columns), strict=True):
        day = stamp.date()
        if origin == Origin.LIVE:
            compared.setdefault(day, {})[run_id] = Verdict(verdict)
            swapped[day] += lane == Lane.WORKFLOW
        else:
            drills[day] += 1
    rows = [
        derived_row(day, compared.get(day, {}), drills[day], swapped[day])
        if ledger is None
        else day_row(day, list(ledger.pairs_of(day)), compared.get(day, {}), ledger.unpaired_of(day))
        for day in days
    ]
    return frame_of(LEDGER, {column.name: [row[column.name] for row in rows] for column in LEDGER})


_NAME = re.compile(r"[a-z0-9_]{1,128}")
_DONE = {"SUCCEEDED", "FAILED", "CANCELLED"}
_POLLS, _PAUSE_SECONDS = 600, 0.5

DOCUMENTS = """
SELECT "$path" AS path, document FROM "{table}"
WHERE day BETWEEN '{first}' AND '{last}' ORDER BY "$file_modified_time", "$path"
"""


@dataclass(frozen=True, slots=True)
class AthenaSource:
    """The table of comparisons. `database` and `table` are plain names, `workgroup` says where results go."""

    athena: AthenaClient
    s3: S3Client
    database: str
    table: str = "comparisons"
    workgroup: str = "primary"
    pause: Callable[[float], None] = sleep

    def __post_init__(self) -> None:
        """Refuse names that are more than names: they become part of a query."""
        for name in (self.database, self.table):
            if not _NAME.fullmatch(name):
                raise ValueError(f"database and table: expected a plain lower-case name, was {name!r}")

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents from `first` to `last`, of each run the newest last. Raises `UnreachableSource`."""
        sql = DOCUMENTS.format(table=self.table, first=first, last=last)
        try:
            for row in self._rows(sql):
                yield row["path"], row["document"].encode()
        except (ClientError, BotoCoreError) as error:
            raise UnreachableSource(self._place, "an answer", type(error).__name__) from error

    @property
    def _place(self) -> str:
        return f"athena:{self.database}.{self.table}"

    def _rows(self, sql: str) -> Iterator[dict[str, str]]:
        execution = self.athena.start_query_execution(
            QueryString=sql, QueryExecutionContext={"Database": self.database}, WorkGroup=self.workgroup
        )["QueryExecutionId"]
        bucket, key = self._result(execution).removeprefix("s3://").split("/", 1)
        csv.field_size_limit(sys.maxsize)
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"]
        yield from csv.DictReader(io.TextIOWrapper(io.BytesIO(body.read()), encoding="utf-8", newline=""))

    def _result(self, execution: str) -> str:
        """Wait for the query, a bounded time, and give where its result lies."""
        state = "QUEUED"
        for _ in range(_POLLS):
            found = self.athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
            status = found.get("Status", {})
            state = str(status.get("State", "QUEUED"))
            if state == "SUCCEEDED":
                return found["ResultConfiguration"]["OutputLocation"]
            if state in _DONE:
                state = f"{state}: {status.get('StateChangeReason', 'no reason given')}"
                break
            self.pause(_PAUSE_SECONDS)
        raise UnreachableSource(self._place, "the query to succeed", state)
