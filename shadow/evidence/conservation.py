"""Business Unit: evidence | Status: current.

Nothing is silently dropped: published = matched + diverged + ignored + incomplete + missing + pending, for each trading day,
exactly. Pure. The left side counts the ledger's items of the day, the right side what their states and verdicts say; an item
that cannot be read, or whose state and verdict contradict each other, is on the left and nowhere on the right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import Pair, PairState
from shadow.contracts.vocabulary import Origin
from shadow.evidence.ledger import UnreadablePair

_OPEN = frozenset({PairState.PENDING, PairState.LATE})
_MISSING = frozenset({Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE})
_COLUMN = {
    Verdict.MATCHED: "matched",
    Verdict.DIVERGED: "diverged",
    Verdict.IGNORED: "ignored",
    Verdict.INCOMPLETE: "incomplete",
}


@dataclass(frozen=True, slots=True)
class Conservation:
    """The sums of one trading day, of pairs of one origin. `late` pairs are within `pending`."""

    trading_day: date
    origin: Origin
    published: int = 0
    matched: int = 0
    diverged: int = 0
    ignored: int = 0
    incomplete: int = 0
    missing: int = 0
    pending: int = 0
    late: int = 0

    @property
    def error(self) -> int:
        """How many pairs are unaccounted for: 0 when conservation holds."""
        return self.published - self.accounted

    @property
    def accounted(self) -> int:
        """The right side of the equation."""
        return self.matched + self.diverged + self.ignored + self.incomplete + self.missing + self.pending

    @property
    def judged(self) -> int:
        """How many pairs have been compared, both lanes being there."""
        return self.matched + self.diverged + self.ignored + self.incomplete

    def sentence(self) -> str:
        """Write the equation as one line."""
        sign = "=" if self.error == 0 else "≠"
        return (
            f"published {self.published} {sign} matched {self.matched} + diverged {self.diverged} + ignored {self.ignored}"
            f" + incomplete {self.incomplete} + missing {self.missing} + pending {self.pending}"
        )


def conservation(trading_day: date, pairs: Iterable[Pair | UnreadablePair], origin: Origin = Origin.LIVE) -> Conservation:
    """Count the pairs of one trading day. An unreadable item counts as live: it is better looked into than overlooked."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        if (pair.origin if isinstance(pair, Pair) else Origin.LIVE) is not origin:
            continue
        counts["published"] += 1
        column = _column(pair) if isinstance(pair, Pair) else None
        if column is not None:
            counts[column] += 1
        if isinstance(pair, Pair) and pair.state is PairState.LATE:
            counts["late"] += 1
    return Conservation(trading_day, origin, **counts)


def _column(pair: Pair) -> str | None:
    """Tell where a pair is counted; None where its state and its verdict contradict each other."""
    if pair.state in _OPEN:
        return "pending" if pair.verdict is Verdict.PENDING else None
    if pair.state is PairState.MISSING:
        return "missing" if pair.verdict in _MISSING else None
    if pair.verdict in _MISSING:
        return None
    return _COLUMN.get(pair.verdict)
