"""Business Unit: reports | Status: current.

Writes the pages. Every page is a pure function of what it shows, so a page that did not change is not written again: the list
of digests beside the pages, `pages.json`, says what lies there.

What the pages show, gathered from comparisons one by one: only short rows are held, so a year of pairs fits into memory.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from jinja2 import Environment

from reports.daily.html import TEMPLATES, environment
from reports.data.extract import decode
from reports.headline import Headline, headline_of, runbook_of, tone_of, worst_first
from reports.readiness.readiness import Statement
from reports.versions import VersionTold
from shadow.compare.across_pairs import beyond_the_register, within
from shadow.compare.case import PairView, case_of
from shadow.compare.kinds import KINDS
from shadow.compare.sides import run_lines, trade_lines
from shadow.contracts.comparison import Comparison, Difference, Severity
from shadow.contracts.identity import joined_symbol
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Origin
from shadow.settlement.stored import Ledger, Source

ZERO = Decimal(0)


def identity_of(difference: Difference) -> str:
    """Name what keeps being different, whatever the plan: kind, field, trade and lane. 12 hexadecimal digits, always the same.

    The lane is what it is, where that is known: a cut-over gives it another role, and the role another lane.
    """
    trade = (joined_symbol(difference.symbol or ""), str(difference.action or ""))
    lane = difference.attribution.value if difference.lane is None else difference.lane.value
    return sha256("|".join((difference.kind, difference.field, *trade, lane)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Row:
    """One difference of one pair, as a line of a table."""

    identity: str
    day: date
    run_id: str
    plan_id: str
    origin: str
    kind: str
    severity: Severity
    who: str
    symbol: str
    action: str
    gross: Decimal
    explanation: str
    unexplained: bool
    covered_by: str

    @property
    def is_live(self) -> bool:
        """Whether it is no drill's: a replayed or planted run is shown, and its dollars are in no sum."""
        return self.origin == Origin.LIVE


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
    """One difference that keeps its address: when it was first and last seen, how often, and what it was worth.

    What drills showed counts only where no live pair had it, and in no sum of dollars.
    """

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
        return min(row.day for row in self._counted)

    @property
    def last(self) -> date:
        """The last day."""
        return max(row.day for row in self._counted)

    @property
    def gross(self) -> Decimal:
        """USD over all days."""
        return sum((row.gross for row in self.rows if row.is_live), ZERO)

    @property
    def _counted(self) -> list[Row]:
        return [row for row in self.rows if row.is_live] or self.rows

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
        """Unexplained USD of the day's live pairs."""
        return sum((row.gross for row in self.rows if row.unexplained and row.is_live), ZERO)


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


@dataclass(frozen=True, slots=True)
class Register:
    """What of the register counts: what each entry may cover a day, and the ids in force (None: all), as in the frames."""

    budgets: Mapping[str, int] = field(default_factory=dict)
    ids: Collection[str] | None = None

    def holding(self, comparisons: Iterable[Comparison]) -> list[Comparison]:
        """Give each run's last document, with what no entry covers any more uncovered."""
        last = {comparison.run_id: comparison for comparison in comparisons}
        beyond = beyond_the_register(last.values(), self.budgets, self.ids)
        return [within(comparison, beyond.get(run_id)) for run_id, comparison in last.items()]


def gather(
    comparisons: Iterable[Comparison], published: Published = lambda _: None, register: Register | None = None
) -> Gathered:
    """Gather the rows of `comparisons`. Of a run with several documents the last one holds."""
    by_day: dict[date, list[Comparison]] = defaultdict(list)
    for comparison in (register or Register()).holding(comparisons):
        by_day[comparison.trading_day].append(comparison)
    seen: dict[str, Seen] = {}
    days = []
    for day in sorted(by_day):
        found = by_day[day]
        rows = [row for comparison in found for row in _rows(comparison)]
        for row in rows:
            each = seen.setdefault(row.identity, Seen(row.identity, row.kind, row.symbol, row.action, row.who, row.severity))
            each.rows.append(row)
            each.who = row.who
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
            origin=comparison.origin,
            kind=entry.kind,
            severity=entry.severity,
            who=entry.who,
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
        trades=len(comparison.money.lines if comparison.money else PairView(case_of(comparison)).trades),
        differences=sum(entry.counts for entry in comparison.differences),
        unexplained=sum(entry.unexplained for entry in comparison.differences),
        gross=sum((entry.gross for entry in comparison.differences if entry.counts), ZERO),
        gaps=len(comparison.gaps),
        headline=headline.sentence,
        who=headline.who,
    )


LIST = "pages.json"
ROWS_A_PAGE = 2_000
"""A row is about 400 bytes: 2,000 of them stay below 1 MB."""


class Shelf(Protocol):
    """Where pages lie: a folder or a bucket."""

    def read(self, name: str) -> bytes | None:
        """Read a page; None where there is none."""

    def write(self, name: str, body: bytes) -> None:
        """Write a page whole, or not at all."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    path: Path

    def read(self, name: str) -> bytes | None:
        """Read a page; None where there is none."""
        place = self.path / name
        return place.read_bytes() if place.is_file() else None

    def write(self, name: str, body: bytes) -> None:
        """Write a page whole: beside its place first, then moved there."""
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as beside:
            beside.write(body)
        Path(beside.name).chmod(0o644)
        Path(beside.name).replace(place)


@dataclass(frozen=True, slots=True)
class Options:
    """How the pages are made. `runbooks` is the address that a runbook's name is put behind; empty: only named.

    `versions` were held against production, and have pages of their own: nothing of them is in these.
    """

    title: str = "shadow"
    runbooks: str = ""
    evidence: str = ""
    readiness: str = ""
    readiness_reason: str = ""
    versions: tuple[VersionTold, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What was done: pages in all, and how many of them were new or changed."""

    pages: int
    changed: int


def write_site(
    comparisons: Callable[[], Iterable[Comparison]],
    shelf: Shelf,
    *,
    options: Options | None = None,
    published: Published = lambda _: None,
    register: Register | None = None,
) -> Written:
    """Write the pages of all `comparisons` (read twice) to `shelf`: only those that changed."""
    options, register = options or Options(), register or Register()
    gathered = gather(comparisons(), published, register)
    known = json.loads(shelf.read(LIST) or b"{}")
    listed: dict[str, str] = {}
    changed = 0
    for name, text in _pages(gathered, lambda: register.holding(comparisons()), options):
        body = text.encode()
        listed[name] = sha256(body).hexdigest()
        if known.get(name) != listed[name]:
            shelf.write(name, body)
            changed += 1
    shelf.write(LIST, json.dumps(listed, indent=0, sort_keys=True).encode())
    return Written(len(listed), changed)


def write_days(
    source: Source,
    shelf: Shelf,
    days: tuple[date, date],
    *,
    options: Options,
    ledger: Ledger | None,
    statement: Statement | None,
    register: Register | None = None,
) -> Written:
    """Write the pages of the stored comparisons from the first to the last of `days`. Raises what the source raises."""

    def comparisons() -> Iterator[Comparison]:
        found = (decode(name, content) for name, content in source.documents(*days))
        return (each for each in found if days[0] <= each.trading_day <= days[1])

    if statement is not None:
        options = replace(options, readiness=statement.readiness.value, readiness_reason=statement.progress)
    return write_site(comparisons, shelf, options=options, published=published_by(ledger), register=register)


def _pages(gathered: Gathered, comparisons: Callable[[], Iterable[Comparison]], options: Options) -> Iterator[tuple[str, str]]:
    """Give every page's name and text."""
    render = _Renderer(gathered, options)
    own = TEMPLATES / "site"
    yield "style.css", (TEMPLATES / "page.css").read_text("utf-8") + (own / "site.css").read_text("utf-8")
    yield "script.js", (own / "site.js").read_text("utf-8")
    yield "index.html", render("index", "", kinds=gathered.by_kind(), symbols=gathered.by_symbol())
    for at, day in enumerate(gathered.days):
        before = gathered.days[at - 1].day if at else None
        after = gathered.days[at + 1].day if at + 1 < len(gathered.days) else None
        yield from render.parted(f"day/{day.day}", "day", day.rows, day=day, before=before, after=after)
    for kind, seen in gathered.by_kind().items():
        yield from render.parted(f"kind/{kind}", "kind", _by_weight(seen), kind=kind, about=KINDS.get(kind))
    for symbol, seen in gathered.by_symbol().items():
        yield from render.parted(f"symbol/{quote(symbol, safe='')}", "symbol", _by_weight(seen), symbol=symbol)
    for each in gathered.seen.values():
        yield from render.parted(f"difference/{each.identity}", "difference", _newest_first(each), seen=each)
    for comparison in comparisons():
        yield f"pair/{comparison.run_id}.html", render.pair(comparison)


def _newest_first(seen: Seen) -> list[Row]:
    return sorted(seen.rows, key=lambda row: (-row.day.toordinal(), row.plan_id))


def _by_weight(seen: Sequence[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda each: (-each.last.toordinal(), -each.gross, each.identity))


class _Renderer:
    """Renders templates with what all pages need."""

    def __init__(self, gathered: Gathered, options: Options) -> None:
        self._gathered, self._options = gathered, options
        self._templates: Environment = environment()

    def __call__(self, template: str, up: str, **values: object) -> str:
        page = self._templates.get_template(f"site/{template}.html.j2")
        return page.render(
            up=up,
            site=self._gathered,
            options=self._options,
            tone=tone_of,
            runbook_of=runbook_of,
            identity_of=identity_of,
            **values,
        )

    def parted(self, name: str, template: str, rows: Sequence[object], **values: object) -> Iterator[tuple[str, str]]:
        """Render one page, or several where its table is too long for one."""
        parts = max(-(-len(rows) // ROWS_A_PAGE), 1)
        for part in range(parts):
            here = f"{name}.html" if part == 0 else f"{name}-{part + 1}.html"
            stem = name.rsplit("/", 1)[-1]
            links = [f"{stem}.html" if each == 0 else f"{stem}-{each + 1}.html" for each in range(parts)] if parts > 1 else []
            shown = list(islice(rows, part * ROWS_A_PAGE, (part + 1) * ROWS_A_PAGE))
            yield here, self(template, "../", rows=shown, total=len(rows), part=part, parts=links, **values)

    def pair(self, comparison: Comparison) -> str:
        """Render the page of one pair."""
        view = PairView(case_of(comparison))
        trades = [(pair, trade_lines(pair.control, pair.candidate)) for pair in view.trades]
        return self(
            "pair",
            "../",
            comparison=comparison,
            headline=headline_of([comparison]),
            run=run_lines(comparison.control, comparison.candidate),
            trades=trades,
            differences=worst_first([entry for entry in comparison.differences if entry.caused_by is None]),
            consequences=sum(entry.caused_by is not None for entry in comparison.differences),
        )
