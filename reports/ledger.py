"""Business Unit: reports | Status: current.

What reports need of the pair ledger: the pairs of a trading day. The ledger knows what was published, so it alone can say
that nothing was lost; comparisons are held against it, and a verdict without its stored comparison is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from reports.errors import UnreachableSource, UnreadableDocument
from reports.tables import Value
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.pair import Origin, Pair, PairState

LedgerRow = dict[str, Value]
_COLUMNS = {
    "matched": Verdict.MATCHED,
    "diverged": Verdict.DIVERGED,
    "ignored": Verdict.IGNORED,
    "incomplete": Verdict.INCOMPLETE,
    "missing_control": Verdict.MISSING_CONTROL,
    "missing_candidate": Verdict.MISSING_CANDIDATE,
    "pending": Verdict.PENDING,
}
_LATE = {PairState.LATE, PairState.MISSING, PairState.RESOLVED_LATE}


class Ledger(Protocol):
    """The pair ledger, read by trading day."""

    def pairs_of(self, trading_day: date) -> Iterable[Pair]:
        """Give every pair published on `trading_day`, whatever became of it."""
        ...


@dataclass(frozen=True, slots=True)
class JsonlLedger:
    """A ledger written to a file, one pair a line (what `shadow demo` leaves)."""

    path: Path

    def pairs_of(self, trading_day: date) -> Iterable[Pair]:
        """Give the day's pairs. Raises `UnreachableSource`, `UnreadableDocument`."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError as error:
            raise UnreachableSource(str(self.path), "a readable file", error.strerror or type(error).__name__) from error
        pairs = [self._pair(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        return [pair for pair in pairs if pair.trading_day == trading_day]

    def _pair(self, number: int, line: bytes) -> Pair:
        try:
            return Pair.parse_json(line)
        except InvalidPayload as error:
            fault = error.faults[0]
            raise UnreadableDocument(f"{self.path.name}:{number}", fault.field, f"expected {fault.expected}") from None


def day_row(day: date, pairs: Sequence[Pair], compared: Mapping[str, Verdict]) -> LedgerRow:
    """Count one trading day's pairs; `compared` gives the verdict of each run's stored comparison."""
    live = [pair for pair in pairs if pair.origin is Origin.LIVE]
    verdicts = Counter(pair.verdict for pair in live)
    uncompared = sum(1 for pair in live if pair.verdict is not Verdict.PENDING and compared.get(pair.run_id) is not pair.verdict)
    waits = [(pair.settled_at - pair.published_at).total_seconds() for pair in live if pair.settled_at]
    counts = {name: verdicts.get(verdict, 0) for name, verdict in _COLUMNS.items()}
    return {
        "trading_day": day,
        "published": len(live),
        **counts,
        "uncompared": uncompared,
        "late": sum(1 for pair in live if pair.state in _LATE),
        "conserved": len(live) == sum(counts.values()) and uncompared == 0,
        "settle_seconds": max(waits, default=None),
        "drills": len(pairs) - len(live),
    }


def derived_row(day: date, compared: Mapping[str, Verdict], drills: int) -> LedgerRow:
    """Count a day from its comparisons alone, where no ledger is at hand: what was published and lost can't be seen."""
    verdicts = Counter(compared.values())
    counts = {name: verdicts.get(verdict, 0) for name, verdict in _COLUMNS.items()}
    return {
        "trading_day": day,
        "published": len(compared),
        **counts,
        "uncompared": 0,
        "late": 0,
        "conserved": True,
        "settle_seconds": None,
        "drills": drills,
    }
