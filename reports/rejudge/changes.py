"""Business Unit: reports | Status: current.

What changed, over rows of differences: the budgets of a day, verdicts, and the kinds that came and went of each pair. The
budgets are those of `shadow.compare.budgets`, the verdicts those of `shadow.compare.judge`; a property test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.rejudge.coded import MARK, NOTHING, RUN_ITSELF, Longs, Words
from reports.rejudge.judged import INFO
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Verdict

Bools = npt.NDArray[np.bool_]


def in_place(table: pd.DataFrame, in_columns: Bools, ranks: Longs, words: Words) -> pd.DataFrame:
    """Give the differences of the pairs marked by `in_columns` the place at which the one-pair judge tells each."""
    mine = np.flatnonzero(in_columns[table["pair"].to_numpy()])
    slots, subjects = table["slot"].to_numpy()[mine], table["subject"].to_numpy()[mine]
    orders, fields = _orders(words)
    rank = np.where(subjects >= 0, ranks[np.maximum(subjects, 0)], RUN_ITSELF) if len(ranks) else subjects
    by = (fields[slots], rank, orders[slots], table["pair"].to_numpy()[mine])
    places = table["place"].to_numpy().copy()
    places[mine[np.lexsort(by)]] = np.arange(len(mine))
    return table.assign(place=places)


def _orders(words: Words) -> tuple[Longs, Longs]:
    """Give for every word, as far as it is a slot, the place of its kind in the table of kinds, and of its field among fields."""
    parts = [word.partition("/") for word in words.codes]
    fields = {name: place for place, name in enumerate(sorted({field for _, _, field in parts}))}
    kinds = [KINDS[kind].order if kind in KINDS else NOTHING for kind, _, _ in parts]
    return np.array(kinds, dtype=np.int64), np.array([fields[field] for _, _, field in parts], dtype=np.int64)


def within_budgets(table: pd.DataFrame, days: Longs, order: Longs, policy: Policy, words: Words) -> tuple[pd.DataFrame, Longs]:
    """Uncover what lies beyond the budgets of a day; give the pairs that are concerned, too.

    `days` are the day and origin of each pair, `order` its place in the day.
    """
    budgets = {words.code(entry.id): entry.budget_a_day for entry in policy.known}
    known, pairs = table["known"].to_numpy(), table["pair"].to_numpy()
    limits = np.full(len(words.codes), np.iinfo(np.int64).max, dtype=np.int64)
    for code, budget in budgets.items():
        limits[code] = budget
    counting = np.flatnonzero(_counts(table) & np.isin(known, list(budgets)))
    keys = days[pairs[counting]] * len(limits) + known[counting]
    counting = counting[np.lexsort((table["place"].to_numpy()[counting], order[pairs[counting]], keys))]
    keys = days[pairs[counting]] * len(limits) + known[counting]
    used = pd.Series(keys).groupby(keys).cumcount().to_numpy() + 1
    beyond = counting[used > limits[known[counting]]]
    if len(beyond) == 0:
        return table, np.empty(0, dtype=np.int64)
    follows = table["cause_slot"].to_numpy() >= 0
    root = [np.where(follows, table[f"cause_{name}"], table[name]) for name in ("slot", "subject")]
    marks = pd.MultiIndex.from_arrays([table[name].to_numpy()[beyond] for name in ("pair", "slot", "subject")])
    over = pd.MultiIndex.from_arrays([pairs, *root]).isin(marks)
    changed = table.assign(over=np.where(over, known, table["over"]), known=np.where(over, NOTHING, known))
    return changed, np.unique(pairs[beyond])


def _counts(table: pd.DataFrame) -> Bools:
    """Tell which differences count: more than INFO, and no consequence."""
    counts: Bools = (table["severity"].to_numpy() != INFO) & (table["cause_slot"].to_numpy() < 0)
    return counts


def verdicts(table: pd.DataFrame, fixed: Sequence[str]) -> list[Verdict]:
    """Give each pair's verdict: the one that is `fixed`, else what its differences come to."""
    counting = _counts(table)
    pairs = table["pair"].to_numpy()
    codes = np.zeros(len(fixed), dtype=np.int8)
    codes[pairs[counting]] = 1
    codes[pairs[counting & (table["known"].to_numpy() < 0)]] = 2
    found = (Verdict.MATCHED, Verdict.IGNORED, Verdict.DIVERGED)
    return [Verdict(word) if word else found[code] for word, code in zip(fixed, codes.tolist(), strict=True)]


def changed_kinds(old: pd.DataFrame, new: pd.DataFrame, words: Words) -> dict[int, tuple[dict[str, int], dict[str, int]]]:
    """Give, of every pair in which differences came or went, how many of each kind."""
    table = pd.concat([old[["pair", *MARK]], new[["pair", *MARK]]], ignore_index=True)
    sign = np.repeat([-1, 1], [len(old), len(new)])
    order = np.lexsort([table[name].to_numpy() for name in ("pair", *MARK)])
    rows = table.to_numpy()[order]
    if len(rows) == 0:
        return {}
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)])
    amounts = np.add.reduceat(sign[order], starts)
    names = [word.partition("/")[0] for word in words.codes]
    found: dict[int, tuple[dict[str, int], dict[str, int]]] = {}
    kept = amounts != 0
    for (pair, slot), amount in zip(rows[starts[kept]][:, :2].tolist(), amounts[kept].tolist(), strict=True):
        kinds = found.setdefault(pair, ({}, {}))[0 if amount > 0 else 1]
        kinds[names[slot]] = kinds.get(names[slot], 0) + abs(amount)
    return {pair: (_sorted(came), _sorted(went)) for pair, (came, went) in found.items()}


def _sorted(kinds: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(kinds.items()))
