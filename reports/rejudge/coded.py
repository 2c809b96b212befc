"""Business Unit: reports | Status: current.

Differences as rows of numbers, whoever found them: stored ones, those of pairs judged one by one, and those found in columns.
Two rows are equal exactly where nothing that a policy decides tells the differences apart.

A row has, of the difference and of the one it follows from, a slot (kind and field) and a subject: the row of the trade, -1 for
the run itself, below that the code of a trade that the plan and the lanes do not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.rejudge.judged import ATTRIBUTIONS, SEVERITIES
from shadow.contracts.comparison import Difference

MARK = ("slot", "subject", "severity", "attribution", "known", "over", "cause_slot", "cause_subject")
COLUMNS = ("pair", *MARK, "place")
RUN_ITSELF = -1
NOTHING = -1
_SEVERITY = {severity: code for code, severity in enumerate(SEVERITIES)}
_ATTRIBUTION = {attribution: code for code, attribution in enumerate(ATTRIBUTIONS)}
Longs = npt.NDArray[np.int64]


class Words:
    """Words and their codes, in the order in which they came."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        """Begin with `words`."""
        self.codes = {word: code for code, word in enumerate(words)}

    def code(self, word: str) -> int:
        """Give the code of `word`."""
        return self.codes.setdefault(word, len(self.codes))

    def slot(self, kind: str, field: str) -> int:
        """Give the code of a kind and field."""
        return self.code(f"{kind}/{field}")

    def optional(self, word: str | None) -> int:
        """Give the code of `word`, NOTHING for None."""
        return NOTHING if word is None else self.code(word)

    def key(self, key: str, rows: Mapping[str, int]) -> tuple[int, int]:
        """Give slot and subject of a difference's key. `rows` are the rows of the pair's trades, by id."""
        slot, _, trade_id = key.rpartition("/")
        if trade_id == "-":
            return self.code(slot), RUN_ITSELF
        row = rows.get(trade_id)
        return self.code(slot), row if row is not None else -2 - self.code(trade_id)

    def rows(self, pair: int, differences: Iterable[Difference], rows: Mapping[str, int]) -> list[tuple[int, ...]]:
        """Give the rows of the differences of one pair, in their order."""
        return [self._row(pair, place, entry, rows) for place, entry in enumerate(differences)]

    def _row(self, pair: int, place: int, entry: Difference, rows: Mapping[str, int]) -> tuple[int, ...]:
        cause = (NOTHING, NOTHING) if entry.caused_by is None else self.key(entry.caused_by, rows)
        known, over = self.optional(entry.covered_by), self.optional(entry.over_budget)
        own = (_SEVERITY[entry.severity], _ATTRIBUTION[entry.attribution])
        return (pair, *self.key(entry.key, rows), *own, known, over, *cause, place)


def table_of(rows: Iterable[tuple[int, ...]] | Longs) -> pd.DataFrame:
    """Give rows as a table."""
    values = rows if isinstance(rows, np.ndarray) else np.array(list(rows), dtype=np.int64)
    return pd.DataFrame(values.reshape(-1, len(COLUMNS)), columns=list(COLUMNS))


def moved(table: pd.DataFrame, local: Iterable[str], words: Words, *, pair: int = 0, row: int = 0) -> pd.DataFrame:
    """Give a table that was coded with the words `local` in the codes of `words`, its pairs and rows counted from others on."""
    codes = np.array([words.code(word) for word in local], dtype=np.int64)
    changed = table.copy()
    changed["pair"] += pair
    for name in ("slot", "known", "over", "cause_slot"):
        values = table[name].to_numpy()
        changed[name] = np.where(values >= 0, codes[np.maximum(values, 0)] if len(codes) else values, values)
    for name in ("subject", "cause_subject"):
        values = table[name].to_numpy()
        named = values < RUN_ITSELF
        coded = -2 - codes[np.where(named, -2 - values, 0)] if len(codes) else values
        changed[name] = np.where(named, coded, np.where(values >= 0, values + row, values))
    return changed
