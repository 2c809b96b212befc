"""Business Unit: reports | Status: current.

Judging stored pairs again, offline, under another policy: which verdicts flip, and which kinds of difference appear, vanish or
weigh otherwise. `rejudge` does it over columns that are kept of the stored documents, `rejudge_one_by_one` with the one-pair
judge alone; a property test holds the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

import numpy as np
import pandas as pd

from reports.rejudge.again import Chosen, Found, judged_again
from reports.rejudge.changes import changed_kinds, in_place, verdicts, within_budgets
from reports.rejudge.coded import Longs, table_of
from reports.rejudge.columns import comparison_in
from reports.rejudge.kept import KeptPair
from reports.rejudge.shelf import Shelf, Told
from reports.rejudge.units import Unit, library_of
from reports.sources import Source
from shadow.compare.budgets import apply_budgets
from shadow.compare.judge import case_of, judge
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Difference, Verdict
from shadow.contracts.vocabulary import Lane
from shadow.settlement.judging import code_version, policy_for

Flip = tuple[str, str]
Kinds = dict[str, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One pair whose judgement changes: its verdicts, and the kinds of difference that came and went (with how many)."""

    plan_id: str
    trading_day: date
    before: Verdict
    after: Verdict
    came: Mapping[str, int]
    went: Mapping[str, int]

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "plan_id": self.plan_id,
            "trading_day": self.trading_day.isoformat(),
            "before": self.before.value,
            "after": self.after.value,
            "came": dict(self.came),
            "went": dict(self.went),
        }


@dataclass(slots=True)
class Rejudged:
    """What judging again came to. `rules` counts, by kind of difference, what came (+) and went (-)."""

    policy_hash: str
    pairs: int = 0
    trades: int = 0
    before: Counter[Verdict] = field(default_factory=Counter)
    after: Counter[Verdict] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)

    @property
    def flips(self) -> Counter[Flip]:
        """Count the verdicts that flip, by what they were and become."""
        return Counter((change.before.value, change.after.value) for change in self.changes if change.before is not change.after)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        kinds = sorted(self.came.keys() | self.went.keys())
        return {
            "policy_hash": self.policy_hash,
            "pairs": self.pairs,
            "trades": self.trades,
            "before": {verdict.value: amount for verdict, amount in sorted(self.before.items())},
            "after": {verdict.value: amount for verdict, amount in sorted(self.after.items())},
            "flips": [{"before": old, "after": new, "pairs": amount} for (old, new), amount in sorted(self.flips.items())],
            "rules": {kind: {"came": self.came[kind], "went": self.went[kind]} for kind in kinds},
            "changes": [change.to_wire() for change in self.changes],
        }


def rejudge(
    source: Source, policy: Policy, first: date, last: date, *, keep: bool = True, tell: Told = lambda _done, _all: None
) -> Rejudged:
    """Judge the stored pairs of the trading days `first` to `last` again by `policy`.

    What is read of the documents is kept, where `keep` says so, for the next time; `tell` hears how many portions of how many
    have been read. Raises `UnreachableSource`, and `UnreadableDocument` naming document and field.
    """
    library = library_of(source)
    if library is None:
        return rejudge_one_by_one(source, policy, first, last)
    shelf = Shelf(library, policy, library.shelf if keep else None)
    pairs = [(unit, pair) for unit, kept in shelf.pairs(list(library.units(first, last)), tell) for pair in kept]
    days = (first.isoformat(), last.isoformat())
    latest = {pair.plan_id: (unit, pair) for unit, pair in pairs if days[0] <= pair.trading_day <= days[1]}
    chosen, numbered = _by_unit(list(latest.values()))
    found, ranks = judged_again(shelf, chosen)
    return _told(numbered, found, ranks, policy)


def _by_unit(pairs: Sequence[tuple[Unit, KeptPair]]) -> tuple[list[Chosen], list[KeptPair]]:
    """Give numbers to the pairs, those of a unit one after the other."""
    units: dict[str, tuple[Unit, list[KeptPair]]] = {}
    for unit, pair in pairs:
        units.setdefault(unit.name, (unit, []))[1].append(pair)
    chosen: list[Chosen] = []
    numbered: list[KeptPair] = []
    for unit, mine in units.values():
        mine.sort(key=lambda pair: pair.document)
        chosen.append(Chosen(unit, tuple(range(len(numbered), len(numbered) + len(mine))), tuple(mine)))
        numbered += mine
    return chosen, numbered


def _told(pairs: Sequence[KeptPair], found: Found, ranks: Longs, policy: Policy) -> Rejudged:
    """Hold both judgements to the budgets of each day, and note what changed in the order of days, publication and plans."""
    groups: dict[tuple[str, str], int] = {}
    days = np.array([groups.setdefault((pair.trading_day, pair.origin), len(groups)) for pair in pairs], dtype=np.int64)
    order = sorted(range(len(pairs)), key=lambda number: _place(pairs[number]))
    places = np.empty(len(pairs), dtype=np.int64)
    places[order] = np.arange(len(pairs))
    words = found.words
    old, new = (pd.concat([table_of([]), *tables], ignore_index=True) for tables in (found.old, found.new))
    in_columns = np.zeros(len(pairs), dtype=np.bool_)
    in_columns[sorted(found.in_columns)] = True
    for entry in policy.known:
        words.code(entry.id)
    if policy.known:
        new, _ = within_budgets(in_place(new, in_columns, ranks, words), days, places, policy, words)
    after = verdicts(new, [found.fixed.get(number, "") for number in range(len(pairs))])
    old, before = _as_stored(old, pairs, (days, places), policy, found)
    kinds = changed_kinds(old, new, words)
    result = Rejudged(policy.hash, len(pairs), sum(pair.trades for pair in pairs), Counter(before), Counter(after))
    for number in order:
        came, went = kinds.get(number, ({}, {}))
        _note(result, pairs[number], (before[number], after[number]), came, went)
    return result


def _place(pair: KeptPair) -> tuple[str, str, str, str]:
    return (pair.trading_day, pair.origin, pair.published_at, pair.plan_id)


def _as_stored(
    old: pd.DataFrame, pairs: Sequence[KeptPair], order: tuple[Longs, Longs], policy: Policy, found: Found
) -> tuple[pd.DataFrame, list[Verdict]]:
    """Hold what was stored to the budgets where they are known: where this very policy judged it."""
    before = [Verdict(pair.verdict) for pair in pairs]
    ours = np.array(_are_ours(pairs, policy), dtype=np.bool_)
    if not policy.known or not ours.any():
        return old, before
    mine = ours[old["pair"].to_numpy()]
    held, concerned = within_budgets(old[mine], *order, policy, found.words)
    again = verdicts(held, [pair.fixed for pair in pairs])
    for number in concerned.tolist():
        before[number] = again[number]
    return pd.concat([held, old[~mine]], ignore_index=True), before


def rejudge_one_by_one(source: Source, policy: Policy, first: date, last: date) -> Rejudged:
    """Do what `rejudge` does with the one-pair judge alone, reading every document: what `rejudge` is held to."""
    result = Rejudged(policy.hash)
    for _, day in groupby(_in_order(source, first, last), key=lambda entry: (entry.trading_day, entry.origin)):
        stored = list(day)
        before = {entry.plan_id: entry for entry in _budgeted(stored, policy)}
        for again in apply_budgets([_again(entry, policy) for entry in stored], policy):
            _compare(result, before[again.plan_id], again)
    return result


def _again(comparison: Comparison, policy: Policy) -> Comparison:
    return judge(case_of(comparison, code_version()), policy_for(policy, comparison.production_lane))


def _are_ours(pairs: Sequence[Comparison] | Sequence[KeptPair], policy: Policy) -> list[bool]:
    """Tell of each stored pair whether `policy` judged it."""
    hashes = {lane: policy_for(policy, lane).hash for lane in Lane}
    return [pair.policy_hash == hashes[pair.production_lane] for pair in pairs]


def _budgeted(stored: list[Comparison], policy: Policy) -> list[Comparison]:
    """Hold a day as stored to its budgets where they are known: where this very policy judged it."""
    by_us = list(zip(stored, _are_ours(stored, policy), strict=True))
    return [*apply_budgets([entry for entry, ours in by_us if ours], policy), *(entry for entry, ours in by_us if not ours)]


def _in_order(source: Source, first: date, last: date) -> Iterable[Comparison]:
    """Read the comparisons of the days asked for, each plan's last, by day and origin."""
    read = (comparison_in(name, content) for name, content in source.documents(first, last))
    latest = {entry.plan_id: entry for entry in read if first <= entry.trading_day <= last}
    return sorted(latest.values(), key=lambda entry: (entry.trading_day, entry.origin, entry.published_at, entry.plan_id))


def _compare(result: Rejudged, before: Comparison, after: Comparison) -> None:
    result.pairs += 1
    result.trades += len(before.plan.tradable_items)
    result.before[before.verdict] += 1
    result.after[after.verdict] += 1
    old, new = Counter(_marks(before.differences)), Counter(_marks(after.differences))
    _note(result, before, (before.verdict, after.verdict), _kinds(new - old), _kinds(old - new))


def _note(result: Rejudged, pair: Comparison | KeptPair, verdicts: tuple[Verdict, Verdict], came: Kinds, went: Kinds) -> None:
    before, after = verdicts
    if came or went or before is not after:
        day = pair.trading_day if isinstance(pair.trading_day, date) else date.fromisoformat(pair.trading_day)
        result.changes.append(Change(pair.plan_id, day, before, after, came, went))
        result.came.update(came)
        result.went.update(went)


def _marks(differences: Iterable[Difference]) -> Iterator[tuple[str, tuple[str | None, ...]]]:
    """Tell differences apart by all that a policy decides: severity, cover, cause; a change of these is a coming and a going."""
    for entry in differences:
        cover = (entry.covered_by, entry.over_budget, entry.caused_by)
        yield entry.kind, (entry.key, entry.severity, entry.attribution, *cover)


def _kinds(marks: Counter[tuple[str, tuple[str | None, ...]]]) -> Kinds:
    kinds: Counter[str] = Counter()
    for (kind, _), amount in marks.items():
        kinds[kind] += amount
    return dict(sorted(kinds.items()))
