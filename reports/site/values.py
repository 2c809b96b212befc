"""Business Unit: reports | Status: current.

What the pages show, gathered from comparisons one by one: only short rows are held, so a year of pairs fits into memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256

from reports.headline import Headline, headline_of
from shadow.contracts.comparison import Comparison, Difference, Severity
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Origin
from shadow.settlement.stored import Ledger

ZERO = Decimal(0)


def identity_of(difference: Difference) -> str:
    """Name what keeps being different, whatever the plan: kind, field, trade and lane. 12 hexadecimal digits, always the same."""
    trade = (difference.symbol or "", str(difference.action or ""))
    return sha256("|".join((difference.kind, difference.field, *trade, difference.attribution.value)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Row:
    """One difference of one pair, as a line of a table."""

    identity: str
    day: date
    run_id: str
    plan_id: str
    kind: str
    severity: Severity
    who: str
    symbol: str
    action: str
    gross: Decimal
    explanation: str
    unexplained: bool
    covered_by: str


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair, as a line of a table."""

    day: date
    run_id: str
    plan_id: str
    origin: str
    verdict: str
    trades: int
    differences: int
    unexplained: int
    gross: Decimal
    gaps: int
    headline: str
    who: str


@dataclass(slots=True)
class Seen:
    """One difference that keeps its address: when it was first and last seen, how often, and what it was worth."""

    identity: str
    kind: str
    symbol: str
    action: str
    who: str
    severity: Severity
    rows: list[Row] = field(default_factory=list)

    @property
    def first(self) -> date:
        """The first day."""
        return min(row.day for row in self.rows)

    @property
    def last(self) -> date:
        """The last day."""
        return max(row.day for row in self.rows)

    @property
    def gross(self) -> Decimal:
        """USD over all days."""
        return sum((row.gross for row in self.rows), ZERO)

    def state(self, last: date, before: date | None) -> str:
        """Say whether it is new, still there or gone on the last day that was compared."""
        if self.last < last:
            return "gone"
        return "new" if self.first == last and before is not None else "still there"


@dataclass(slots=True)
class Day:
    """One day: its headline and its pairs. `published` counts live pairs: by the ledger where there is one."""

    day: date
    headline: Headline
    pairs: list[PairRow]
    rows: list[Row]
    published: int

    @property
    def gross(self) -> Decimal:
        """Unexplained USD of the day."""
        return sum((row.gross for row in self.rows if row.unexplained), ZERO)


@dataclass(slots=True)
class Gathered:
    """Everything that the pages need but the pairs themselves."""

    days: list[Day]
    seen: dict[str, Seen]
    symbols: frozenset[str]

    @property
    def last(self) -> date | None:
        """The last day that was compared."""
        return self.days[-1].day if self.days else None

    @property
    def before(self) -> date | None:
        """The day compared before it."""
        return self.days[-2].day if len(self.days) > 1 else None

    @property
    def conservation(self) -> str:
        """Say where every published pair went, over all days."""
        verdicts = Counter(pair.verdict for day in self.days for pair in day.pairs if pair.origin == Origin.LIVE)
        published, compared = sum(day.published for day in self.days), verdicts.total()
        told = " + ".join(f"{number} {verdict.lower().replace('_', ' ')}" for verdict, number in sorted(verdicts.items()))
        if published == compared:
            return f"{published} published = {told or '0 compared'}."
        return f"{published} published ≠ {told or '0 compared'}: {abs(published - compared)} unaccounted for."

    def state(self, seen: Seen) -> str:
        """Say whether a difference is new, still there or gone."""
        return seen.state(self.last, self.before) if self.last is not None else "gone"

    def by_kind(self) -> dict[str, list[Seen]]:
        """Sort differences to their kinds, the worst kind first."""
        kinds: dict[str, list[Seen]] = defaultdict(list)
        for each in self.seen.values():
            kinds[each.kind].append(each)
        return dict(sorted(kinds.items(), key=lambda item: (self.worst(item[1]).rank, item[0])))

    @staticmethod
    def worst(seen: Iterable[Seen]) -> Severity:
        """Give the worst severity of some differences."""
        return min((each.severity for each in seen), key=lambda severity: severity.rank)

    def by_symbol(self) -> dict[str, list[Seen]]:
        """Sort differences to their symbols."""
        symbols: dict[str, list[Seen]] = defaultdict(list)
        for each in self.seen.values():
            if each.symbol:
                symbols[each.symbol].append(each)
        return dict(sorted(symbols.items()))


Published = Callable[[date], int | None]
"""How many live pairs the ledger has of a day; None: there is no ledger."""


def published_by(ledger: Ledger | None) -> Published:
    """Count the live pairs that a ledger has of a day."""
    if ledger is None:
        return lambda _: None
    return lambda day: sum(not isinstance(pair, Pair) or pair.origin == Origin.LIVE for pair in ledger.pairs_of(day))


def gather(comparisons: Iterable[Comparison], published: Published = lambda _: None) -> Gathered:
    """Gather the rows of `comparisons`."""
    by_day: dict[date, list[Comparison]] = defaultdict(list)
    for comparison in comparisons:
        by_day[comparison.trading_day].append(comparison)
    seen: dict[str, Seen] = {}
    days = []
    for day in sorted(by_day):
        found = by_day[day]
        rows = [row for comparison in found for row in _rows(comparison)]
        for row in rows:
            each = seen.setdefault(row.identity, Seen(row.identity, row.kind, row.symbol, row.action, row.who, row.severity))
            each.rows.append(row)
            each.severity = min(each.severity, row.severity, key=lambda severity: severity.rank)
        counted = published(day)
        headline = headline_of(found, counted)
        live = sum(comparison.origin == Origin.LIVE for comparison in found)
        pairs = sorted(
            (_pair(comparison) for comparison in found), key=lambda pair: (-pair.unexplained, -pair.gross, pair.plan_id)
        )
        days.append(Day(day, headline, pairs, sorted(rows, key=_place), live if counted is None else counted))
    return Gathered(days, seen, frozenset(each.symbol for each in seen.values() if each.symbol))


def _place(row: Row) -> tuple[bool, int, Decimal, str]:
    return (not row.unexplained, row.severity.rank, -row.gross, row.plan_id)


def _rows(comparison: Comparison) -> list[Row]:
    return [
        Row(
            identity=identity_of(entry),
            day=comparison.trading_day,
            run_id=comparison.run_id,
            plan_id=comparison.plan_id,
            kind=entry.kind,
            severity=entry.severity,
            who=entry.attribution.value,
            symbol=entry.symbol or "",
            action=str(entry.action or ""),
            gross=entry.gross,
            explanation=entry.explanation,
            unexplained=entry.unexplained,
            covered_by=entry.covered_by or "",
        )
        for entry in comparison.differences
        if entry.caused_by is None
    ]


def _pair(comparison: Comparison) -> PairRow:
    headline = headline_of([comparison])
    return PairRow(
        day=comparison.trading_day,
        run_id=comparison.run_id,
        plan_id=comparison.plan_id,
        origin=comparison.origin,
        verdict=comparison.verdict.value,
        trades=len(comparison.plan.tradable_items),
        differences=sum(entry.counts for entry in comparison.differences),
        unexplained=sum(entry.unexplained for entry in comparison.differences),
        gross=sum((entry.gross for entry in comparison.differences if entry.counts), ZERO),
        gaps=len(comparison.gaps),
        headline=headline.sentence,
        who=headline.who,
    )
