"""Business Unit: reports | Status: current.

Judging the kept pairs of many units again: in columns where the trades of a pair can be judged each by itself, and where they
cannot, from the stored documents with the one-pair judge. Either way the differences come out as rows of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from reports.rejudge.coded import NOTHING, Longs, Words, moved, table_of
from reports.rejudge.columns import comparison_in, fixed_verdict, frames_of_columns, view_of
from reports.rejudge.judge import InColumns, judge_in_columns
from reports.rejudge.kept import Columns, KeptPair
from reports.rejudge.runs import RunFinding, found_in_runs, run_differences
from reports.rejudge.shelf import Shelf, in_processes, workers_for
from reports.rejudge.units import Document, Library, Unit
from shadow.compare.judge import case_of, judge, judge_trade
from shadow.compare.policy import Policy
from shadow.contracts.vocabulary import Lane
from shadow.settlement.judging import code_version, policy_for

ROWS = 1 << 17
"""So many trades are judged at once."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The pairs of one unit that are judged again: their numbers among all, and who they are."""

    unit: Unit
    numbers: tuple[int, ...]
    pairs: tuple[KeptPair, ...]


@dataclass(slots=True)
class Found:
    """What was found: the stored differences and the new ones, coded with `words`; `fixed` as `KeptPair.fixed`, by pair."""

    words: Words
    old: list[pd.DataFrame] = field(default_factory=list)
    new: list[pd.DataFrame] = field(default_factory=list)
    fixed: dict[int, str] = field(default_factory=dict)
    in_columns: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Entry:
    """One document to be read: the pair's number, where its rows start, and which of them are judged (None: the whole pair)."""

    number: int
    document: Document
    start: int
    rows: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Documents to be judged from; `base` and `ranks` as everywhere."""

    library: Library
    policy: Policy
    base: int
    entries: tuple[Entry, ...]


Alone = tuple[Longs, tuple[str, ...], dict[int, str]]


def judged_alone(task: Reading) -> Alone:
    """Judge pairs, or some of their trades, from their documents: rows, the words behind them, and verdicts that are fixed."""
    words, fixed = Words(), {}
    rows: list[tuple[int, ...]] = []
    for entry in task.entries:
        comparison = comparison_in(entry.document.name, task.library.read(entry.document))
        view = view_of(comparison)
        places = {pair.trade_id: task.base + entry.start + place for place, pair in enumerate(view.trades)}
        if entry.rows is None:
            again = judge(case_of(comparison, code_version()), policy_for(task.policy, comparison.production_lane))
            fixed[entry.number] = fixed_verdict(again)
            rows += words.rows(entry.number, again.differences, places)
            continue
        for row in entry.rows:
            differences = judge_trade(view.trades[row - entry.start], task.policy, comparison.trading_day)
            rows += words.rows(entry.number, differences, places)
    return table_of(rows).to_numpy(), tuple(words.codes), fixed


def judged_again(shelf: Shelf, chosen: Sequence[Chosen]) -> tuple[Found, Longs]:
    """Judge the chosen pairs again. Give what was found, and where each row's trade stands among its pair's."""
    found, base = Found(Words()), 0
    readings: list[Reading] = []
    ranks: list[np.ndarray] = []
    for batch in _batches(chosen):
        parts: list[_Part] = []
        for part in batch:
            columns = shelf.whole(part.unit).columns
            parts.append(_Part(part, columns, base, shelf.policy))
            ranks.append(columns.rank)
            base += len(columns.rank)
        found.old += [part.stored(found.words) for part in parts]
        found.in_columns.update(number for part in parts for number in part.quiet)
        found.new += [part.told_of_runs(shelf.policy, found.words) for part in parts]
        readings += _in_columns(parts, shelf, found)
    documents = sum(len(reading.entries) for reading in readings)
    for rows, words, fixed in in_processes(judged_alone, readings, workers_for(shelf.library, documents)):
        found.new.append(moved(table_of(rows), words, found.words))
        found.fixed |= fixed
    return found, np.concatenate([*ranks, np.empty(0, dtype=np.int32)]).astype(np.int64)


def _batches(chosen: Sequence[Chosen]) -> Iterator[list[Chosen]]:
    batch: list[Chosen] = []
    rows = 0
    for part in chosen:
        batch.append(part)
        rows += sum(pair.rows for pair in part.pairs)
        if rows >= ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


class _Part:
    """One unit in a batch: which of its rows are judged in columns, and which pair each is of."""

    def __init__(self, chosen: Chosen, columns: Columns, base: int, policy: Policy) -> None:
        self.chosen, self.columns, self.base = chosen, columns, base
        both = list(zip(chosen.numbers, chosen.pairs, strict=True))
        self.quiet: dict[int, KeptPair] = {}
        self.in_runs: dict[int, tuple[RunFinding, ...]] = {}
        self.loud: list[tuple[int, KeptPair]] = []
        policies = {lane: policy_for(policy, lane) for lane in Lane}
        for number, pair in both:
            found = None if pair.facts is None else found_in_runs(pair.facts, policies[pair.production_lane])
            if found is None:
                self.loud.append((number, pair))
                continue
            self.quiet[number] = pair
            if found:
                self.in_runs[number] = found
        spans = [np.arange(pair.start, pair.start + pair.rows) for pair in self.quiet.values()]
        self.rows = np.concatenate([*spans, np.empty(0, dtype=np.int64)]).astype(np.int64)
        counts = [pair.rows for pair in self.quiet.values()]
        self.numbers = np.repeat(np.array(list(self.quiet), dtype=np.int64), counts)
        days = np.array([_ordinal(pair.trading_day) for pair in self.quiet.values()], dtype=np.int64)
        self.days = np.repeat(days, counts)

    def stored(self, words: Words) -> pd.DataFrame:
        """Give the stored differences of the chosen pairs."""
        table = table_of(self.columns.stored)
        numbers = np.full(int(table["pair"].max()) + 1 if len(table) else 0, NOTHING, dtype=np.int64)
        for number, pair in zip(self.chosen.numbers, self.chosen.pairs, strict=True):
            if pair.document < len(numbers):
                numbers[pair.document] = number
        table["pair"] = numbers[table["pair"].to_numpy()]
        return moved(table[table["pair"] >= 0], self.columns.words, words, row=self.base)

    def told_of_runs(self, policy: Policy, words: Words) -> pd.DataFrame:
        """Give what differs in the runs of the pairs that are judged in columns."""
        rows: list[tuple[int, ...]] = []
        judged: dict[tuple[tuple[RunFinding, ...], str], list[tuple[int, ...]]] = {}
        for number, found in self.in_runs.items():
            day = self.quiet[number].trading_day
            if (found, day) not in judged:
                judged[found, day] = words.rows(NOTHING, run_differences(found, policy, date.fromisoformat(day)), {})
            rows += [(number, *row[1:]) for row in judged[found, day]]
        return table_of(rows)

    def entry(self, number: int, pair: KeptPair, rows: tuple[int, ...] | None) -> Entry:
        """Say what is to be read of a pair."""
        return Entry(number, self.chosen.unit.documents[pair.document], pair.start, rows)


def _ordinal(day: str) -> int:

    return date.fromisoformat(day).toordinal()


def _in_columns(parts: Sequence[_Part], shelf: Shelf, found: Found) -> Iterator[Reading]:
    """Judge what columns can hold of some units, and say what of them is to be read."""
    some = [part for part in parts if len(part.rows)]
    alone: Mapping[int, list[int]] = {}
    if some:
        frames = frames_of_columns([(part.columns, part.rows, part.days) for part in some])
        judged = judge_in_columns(frames, shelf.policy)
        numbers = np.concatenate([part.numbers for part in some])
        subjects = np.concatenate([part.rows + part.base for part in some])
        found.new.append(_coded(judged, numbers, subjects, shelf.policy, found.words))
        alone = _by_pair(judged.alone, numbers, subjects)
    for part in parts:
        entries = [part.entry(number, pair, None) for number, pair in part.loud]
        entries += [
            part.entry(number, pair, tuple(row - part.base for row in alone[number]))
            for number, pair in part.quiet.items()
            if number in alone
        ]
        if entries:
            yield Reading(shelf.library, shelf.policy, part.base, tuple(entries))


def _by_pair(rows: Sequence[int], numbers: Longs, subjects: Longs) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(int(numbers[row]), []).append(int(subjects[row]))
    return found


def _coded(judged: InColumns, numbers: Longs, subjects: Longs, policy: Policy, words: Words) -> pd.DataFrame:
    """Give differences found in columns as rows of numbers."""
    table = judged.table
    rows = table["row"].to_numpy()
    slots = np.array([words.slot(*slot) for slot in judged.slots], dtype=np.int64)
    entries = np.array([words.code(entry.id) for entry in policy.known], dtype=np.int64)
    cause, known = table["cause"].to_numpy(), table["known"].to_numpy()
    follows = cause >= 0
    return pd.DataFrame(
        {
            "pair": numbers[rows],
            "slot": slots[table["slot"].to_numpy()] if len(rows) else np.empty(0, dtype=np.int64),
            "subject": subjects[rows],
            "severity": table["severity"].to_numpy(dtype=np.int64),
            "attribution": table["attribution"].to_numpy(dtype=np.int64),
            "known": np.where(known >= 0, entries[known], NOTHING) if len(entries) else np.full(len(rows), NOTHING),
            "over": np.full(len(rows), NOTHING),
            "cause_slot": np.where(follows, slots[cause], NOTHING) if len(rows) else np.empty(0, dtype=np.int64),
            "cause_subject": np.where(follows, subjects[rows], NOTHING),
            "place": np.zeros(len(rows), dtype=np.int64),
        }
    )
