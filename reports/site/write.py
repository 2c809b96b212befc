"""Business Unit: reports | Status: current.

Writes the pages. Every page is a pure function of what it shows, so a page that did not change is not written again: the list
of digests beside the pages, `pages.json`, says what lies there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from jinja2 import Environment

from reports.daily.html import TEMPLATES, environment
from reports.data.extract import decode
from reports.headline import headline_of, runbook_of, tone_of, worst_first
from reports.readiness.readiness import Statement
from reports.site.values import Gathered, Published, Row, Seen, gather, identity_of, published_by
from reports.versions import VersionTold
from shadow.compare.case import PairCase, PairView
from shadow.compare.kinds import KINDS
from shadow.compare.sides import run_lines, trade_lines
from shadow.contracts.comparison import Comparison
from shadow.settlement.stored import Ledger, Source

LIST = "pages.json"
ROWS_A_PAGE = 2_000
"""A row is about 400 bytes: 2,000 of them stay below 1 MB."""


class Shelf(Protocol):
    """Where pages lie: a folder or a bucket."""

    def read(self, name: str) -> bytes | None:
        """Read a page; None where there is none."""
        ...

    def write(self, name: str, body: bytes) -> None:
        """Write a page whole, or not at all."""
        ...


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
) -> Written:
    """Write the pages of all `comparisons` (read twice) to `shelf`: only those that changed."""
    options = options or Options()
    gathered = gather(comparisons(), published)
    known = json.loads(shelf.read(LIST) or b"{}")
    listed: dict[str, str] = {}
    changed = 0
    for name, text in _pages(gathered, comparisons, options):
        body = text.encode()
        listed[name] = sha256(body).hexdigest()
        if known.get(name) != listed[name]:
            shelf.write(name, body)
            changed += 1
    shelf.write(LIST, json.dumps(listed, indent=0, sort_keys=True).encode())
    return Written(len(listed), changed)


def write_days(
    source: Source, shelf: Shelf, days: tuple[date, date], *, options: Options, ledger: Ledger | None, statement: Statement | None
) -> Written:
    """Write the pages of the stored comparisons from the first to the last of `days`. Raises what the source raises."""

    def comparisons() -> Iterator[Comparison]:
        found = (decode(name, content) for name, content in source.documents(*days))
        return (each for each in found if days[0] <= each.trading_day <= days[1])

    if statement is not None:
        options = replace(options, readiness=statement.readiness.value, readiness_reason=reason_of(statement))
    return write_site(comparisons, shelf, options=options, published=published_by(ledger))


def reason_of(statement: Statement) -> str:
    """Say how far the evidence is, and the first criterion that does not pass."""
    failing = next((each for each in statement.criteria if each.state.value != "pass"), None)
    because = f" {failing.title}: {failing.figure} (target: {failing.target})." if failing else ""
    return f"Day {statement.days} of {statement.days_needed}.{because}"


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
        view = PairView(
            PairCase(
                plan=comparison.plan,
                trading_day=comparison.trading_day,
                published_at=comparison.published_at,
                control=comparison.control,
                candidate=comparison.candidate,
                code_version=comparison.code_version,
            )
        )
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
