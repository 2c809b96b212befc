"""Business Unit: settlement | Status: current.

Where stored comparisons are found: the evidence bucket, a folder like it, or a file with one document a line. The one finder, for
the command line and the reports. Of a pair that was judged several times, the document that the pair ledger names, by key and
digest, is the one that counts; beside a folder or a file the ledger is `ledger.jsonl`, one pair a line. Without a ledger a run
has one document in a folder; a file's later line replaces an earlier one of the same pair, as it was written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws import clients
from shadow.aws.clients import code_of
from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import InvalidPayload, UnreachableSource, UnreadableDocument
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import Pair, UnpairedPlan, UnreadablePair

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "comparisons/"
LINES_FILE = "comparisons.jsonl"
LEDGER_FILE = "ledger.jsonl"
INDEX = ".margins"
MAX_BYTES = 256 << 20
"""The size of the largest document that is read, in bytes: a pair of 5,000 trades has about 15 MB."""
_DAY = re.compile(r"day=([0-9]{4}-[0-9]{2}-[0-9]{2})/")
_RUN = re.compile(r"day=[0-9]{4}-[0-9]{2}-[0-9]{2}/(?P<run>.+)-[0-9a-f]{16}\.json$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored document: its name, what changes when it does, and where in a file it stands, in bytes (length 0: all of it).

    `sha256` is what the pair ledger says of it; empty where there is no ledger.
    """

    name: str
    stamp: str
    offset: int = 0
    length: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored comparison and where it lies; `pair` is what the ledger has of it, where there is one."""

    comparison: Comparison
    place: str
    pair: Pair | None = None


class Ledger(Protocol):
    """The pair ledger, read by trading day."""

    def pairs_of(self, trading_day: date) -> Sequence[Pair | UnreadablePair]:
        """Give every pair published on `trading_day`, whatever became of it."""

    def unpaired_of(self, trading_day: date) -> Sequence[UnpairedPlan | UnreadablePair] | None:
        """Give the plans published on `trading_day` that have no pair; None where the ledger does not keep them."""


class Source(Protocol):
    """Stored comparisons of trading days, by name and content."""

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents from `first` to `last`, both included (a source may give more days).

        Raises `UnreachableSource`, and `UnreadableDocument` for one that is not what the ledger names.
        """


class Store(Source, Protocol):
    """Stored comparisons that can be listed and read one by one. `can_be_sent` says that another process can read them too.

    `index` is where the index of margins is kept.
    """

    @property
    def index(self) -> Path: ...  # noqa: D102 - told above
    @property
    def can_be_sent(self) -> bool: ...  # noqa: D102

    def entries(self, first: date, last: date) -> list[Entry]:
        """List the documents from `first` to `last` (a store may give more days). Raises `UnreachableSource`."""

    def read(self, entry: Entry) -> bytes:
        """Read one document. Raises `UnreachableSource`, `UnreadableDocument`."""


@dataclass(frozen=True)
class JsonlLedger:
    """A ledger written to a file, one pair a line (what `shadow demo` leaves)."""

    path: Path

    def pairs_of(self, trading_day: date) -> Sequence[Pair]:
        """Give the day's pairs. Raises `UnreachableSource`, `UnreadableDocument`."""
        return self._by_day.get(trading_day, ())

    def unpaired_of(self, trading_day: date) -> None:
        """Give None: the file has a line a pair, and a plan without a pair has no line."""

    def digests(self) -> frozenset[str]:
        """Give the digests of the comparisons that hold. Raises `UnreachableSource`, `UnreadableDocument`."""
        pairs = (pair for day in self._by_day.values() for pair in day)
        return frozenset(pair.comparison_sha256 for pair in pairs if pair.comparison_sha256 is not None)

    @cached_property
    def _by_day(self) -> Mapping[date, list[Pair]]:
        days: dict[date, list[Pair]] = {}
        for entry, line in _lines_of(self.path):
            try:
                pair = Pair.parse_json(line)
            except InvalidPayload as error:
                raise _unreadable(entry.name, error) from None
            days.setdefault(pair.trading_day, []).append(pair)
        return days


def day_of(key: str) -> date | None:
    """Read the trading day from a key or path; None when it has none."""
    found = _DAY.search(key)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _holding(found: Iterable[Entry], first: date, last: date, ledger: Ledger | None, place: str) -> list[Entry]:
    """Keep the documents from `first` to `last` that hold, in order of day and name.

    Raises `UnreachableSource` where a run has several and no ledger says which.
    """
    days: dict[date, list[Entry]] = {}
    for entry in found:
        day = day_of(entry.name)
        if day is not None and first <= day <= last:
            days.setdefault(day, []).append(entry)
    kept: list[Entry] = []
    for day, entries in days.items():
        kept += _only_ones(entries, place) if ledger is None else _named(entries, ledger.pairs_of(day))
    return sorted(kept, key=attrgetter("name"))


def _only_ones(entries: Sequence[Entry], place: str) -> Sequence[Entry]:
    seen: set[str] = set()
    for entry in entries:
        found = _RUN.search(entry.name)
        name = found[0].rpartition("-")[0] if found else entry.name
        if name in seen:
            expected = f"one document of {name}, or a {LEDGER_FILE} that names the one that holds"
            raise UnreachableSource(place, expected, f"several, of them {entry.name}")
        seen.add(name)
    return entries


def _named(entries: Sequence[Entry], pairs: Iterable[Pair | UnreadablePair]) -> list[Entry]:
    named = {pair.comparison_key: pair.comparison_sha256 or "" for pair in pairs if isinstance(pair, Pair)}
    keys = [(entry, entry.name[entry.name.index(PREFIX) :]) for entry in entries]
    return [replace(entry, sha256=named[key]) for entry, key in keys if key in named]


def _verified(entry: Entry, content: bytes) -> bytes:
    digest = sha256(content).hexdigest() if entry.sha256 else ""
    if digest != entry.sha256:
        raise UnreadableDocument(
            entry.name, "$", f"expected the document that the ledger names, sha256 {entry.sha256}, was {digest}"
        )
    return content


@contextmanager
def _reading(place: Path) -> Iterator[None]:
    """Refuse what is no file; of a file that cannot be read say why."""
    try:
        if not place.is_file():
            kind = "a folder" if place.is_dir() else "a dangling link" if place.is_symlink() else "no file"
            raise UnreachableSource(
                str(place), "a readable file", kind if place.exists() or place.is_symlink() else "nothing there"
            )
        yield
    except OSError as error:
        raise UnreachableSource(str(place), "a readable file", error.strerror or type(error).__name__) from error


def _lines_of(path: Path) -> Iterator[tuple[Entry, bytes]]:
    """Give a file's lines that are not empty, with where they stand. Raises `UnreachableSource`, `UnreadableDocument`."""
    with _reading(path), path.open("rb") as file:
        stat = os.fstat(file.fileno())
        stamp, offset, number = f"{stat.st_size} {stat.st_mtime_ns}", 0, 0
        while line := file.readline(MAX_BYTES + 1):
            number += 1
            name = f"{path.name}:{number}"
            if len(line) > MAX_BYTES:
                raise UnreadableDocument(name, "$", f"expected at most {MAX_BYTES} bytes, was more")
            if line.strip():
                yield Entry(name, stamp, offset, len(line)), line
            offset += len(line)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A local folder: `comparisons/day=YYYY-MM-DD/*.json` below it, or a `comparisons.jsonl` in it, and a `ledger.jsonl`."""

    folder: Path
    can_be_sent: bool = True

    @property
    def index(self) -> Path:
        """The index of margins, in the folder."""
        return self.folder / INDEX

    @property
    def ledger(self) -> JsonlLedger | None:
        """The ledger in the folder; None where there is none."""
        return ledger_beside(self.folder)

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents that hold. Raises `UnreachableSource` where there are none to look through."""
        for entry in self.entries(first, last):
            yield entry.name, self.read(entry)

    def entries(self, first: date, last: date) -> list[Entry]:
        """List the documents that hold. Raises `UnreachableSource`."""
        store = self.folder / PREFIX
        if not store.is_dir():
            if self._lines.path.is_file():
                return self._lines.entries(first, last)
            raise UnreachableSource(str(self.folder), f"a folder comparisons/ or a file {LINES_FILE} in it", "neither")
        found = []
        for day in os.scandir(store):
            if day.name.startswith("day=") and day.is_dir():
                found += [_entry_of(day.name, file) for file in os.scandir(day) if file.name.endswith(".json")]
        return _holding(found, first, last, self.ledger, str(self.folder))

    def read(self, entry: Entry) -> bytes:
        """Read one document."""
        if entry.length:
            return self._lines.read(entry)
        path = self.folder / entry.name
        with _reading(path), path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UnreadableDocument(entry.name, "$", f"expected at most {MAX_BYTES} bytes, was more")
        return _verified(entry, content)

    @property
    def _lines(self) -> JsonlSource:
        return JsonlSource(self.folder / LINES_FILE)


def _entry_of(day: str, file: os.DirEntry[str]) -> Entry:
    with _reading(Path(file.path)):
        stat = file.stat()
    return Entry(f"{PREFIX}{day}/{file.name}", f"{stat.st_size} {stat.st_mtime_ns}")


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """A file with one document a line. A `ledger.jsonl` beside it says which lines hold."""

    path: Path
    can_be_sent: bool = True

    @property
    def index(self) -> Path:
        """The index of margins, beside the file."""
        return self.path.with_name(f".{self.path.name}{INDEX}")

    @property
    def ledger(self) -> JsonlLedger | None:
        """The ledger beside the file; None where there is none."""
        return ledger_beside(self.path.parent)

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give every line that holds, whatever its day: the day stands in the document. Raises `UnreachableSource`."""
        del first, last
        for entry, line in self._holding():
            yield entry.name, line

    def entries(self, first: date, last: date) -> list[Entry]:
        """List every line that holds. Raises `UnreachableSource`."""
        del first, last
        return [entry for entry, _ in self._holding()]

    def read(self, entry: Entry) -> bytes:
        """Read one line. Raises `UnreachableSource`."""
        with _reading(self.path), self.path.open("rb") as file:
            file.seek(entry.offset)
            return file.read(entry.length)

    def _holding(self) -> Iterator[tuple[Entry, bytes]]:
        named = self.ledger.digests() if self.ledger is not None else None
        for entry, line in _lines_of(self.path):
            if named is None or sha256(line.strip()).hexdigest() in named:
                yield entry, line


@dataclass(frozen=True, slots=True)
class S3Source:
    """The evidence bucket. `ledger` says which of its documents hold."""

    bucket: str
    client: S3Client | None = None
    ledger: Ledger | None = None

    def __reduce__(self) -> tuple[type[S3Source], tuple[str]]:
        """Go to another process, which only reads what it is told to, with a client of its own."""
        return type(self), (self.bucket,)

    @property
    def can_be_sent(self) -> bool:
        """Whether another process can read from it: not where it is to use a client of this one."""
        return self.client is None

    @property
    def index(self) -> Path:
        """The index of margins, in this user's cache."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "shadow" / f"{self.bucket}{INDEX}"

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents that hold, listing no key before `first` and none after `last`. Raises `UnreachableSource`."""
        for entry in self.entries(first, last):
            yield entry.name, self.read(entry)

    def entries(self, first: date, last: date) -> list[Entry]:
        """List the documents that hold. Raises `UnreachableSource`."""
        with self._told():
            found = list(self._entries(self.client or clients.s3(), first, last))
        return _holding(found, first, last, self.ledger, f"s3://{self.bucket}")

    def read(self, entry: Entry) -> bytes:
        """Read one document. Raises `UnreachableSource`, `UnreadableDocument`."""
        key = entry.name.removeprefix(f"s3://{self.bucket}/")
        with self._told(entry.name):
            answer = (self.client or clients.s3()).get_object(Bucket=self.bucket, Key=key)
            if answer["ContentLength"] > MAX_BYTES:
                raise UnreadableDocument(entry.name, "$", f"expected at most {MAX_BYTES} bytes, was {answer['ContentLength']}")
            return _verified(entry, answer["Body"].read())

    def of_pair(self, pair: Pair) -> Found | None:
        """Find the comparison of a pair; None where it has none yet. Raises `UnreachableSource`, `UnreadableDocument`."""
        if pair.comparison_key is None:
            return None
        place = f"s3://{self.bucket}/{pair.comparison_key}"
        return Found(read_comparison(self.read(Entry(place, "", sha256=pair.comparison_sha256 or "")), place), place, pair)

    @contextmanager
    def _told(self, document: str = "") -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if document and code_of(error) == "NoSuchKey":
                raise UnreachableSource(document, "the comparison that the ledger names", "nothing") from error
            raise UnreachableSource(f"s3://{self.bucket}", "a bucket that can be read", code_of(error) or "an error") from error
        except BotoCoreError as error:
            raise UnreachableSource(f"s3://{self.bucket}", "a bucket that can be read", type(error).__name__) from error

    def _entries(self, s3: S3Client, first: date, last: date) -> Iterator[Entry]:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=PREFIX + "day=", StartAfter=f"{PREFIX}day={first}"
        )
        end = f"{PREFIX}day={last}/~"
        for page in pages:
            for entry in page.get("Contents", []):
                if entry["Key"] > end:
                    return
                yield Entry(f"s3://{self.bucket}/{entry['Key']}", f"{entry['ETag']} {entry['LastModified'].timestamp()}")


def ledger_beside(folder: Path) -> JsonlLedger | None:
    """Open the `ledger.jsonl` in `folder`; None where there is none."""
    path = folder / LEDGER_FILE
    return JsonlLedger(path) if path.is_file() else None


def source_of(place: str) -> Store:
    """Open what `place` names: `s3://bucket`, a `.jsonl` file, or a folder."""
    if place.startswith("s3://"):
        return S3Source(place.removeprefix("s3://").split("/", 1)[0])
    path = Path(place)
    return JsonlSource(path) if path.suffix == ".jsonl" else FolderSource(path)


def find(source: FolderSource | JsonlSource, plan_id: str) -> Found | None:
    """Find the comparison of a plan offline; None where none is stored. Raises `UnreachableSource`, `UnreadableDocument`."""
    wanted, run_id = plan_id.encode(), run_id_of(plan_id)
    found = None
    entries = source.entries(date.min, date.max)
    for entry in (entry for entry in entries if entry.length or run_id in entry.name):
        content = source.read(entry)
        if wanted in content:
            root = source.folder if isinstance(source, FolderSource) else source.path.parent
            comparison = read_comparison(content, str(root / entry.name))
            found = Found(comparison, str(root / entry.name)) if comparison.plan_id == plan_id else found
    return found


def everything(source: Source) -> list[Comparison]:
    """Read every comparison that holds, each plan's last. Raises `UnreachableSource`, `UnreadableDocument`."""
    read = (read_comparison(content, name) for name, content in source.documents(date.min, date.max))
    return list({comparison.plan_id: comparison for comparison in read}.values())


def read_comparison(body: bytes, place: str) -> Comparison:
    """Read a stored comparison; raises `UnreadableDocument` naming place and field."""
    try:
        return Comparison.parse_json(body)
    except InvalidPayload as fault:
        raise _unreadable(place, fault) from None


def _unreadable(place: str, invalid: InvalidPayload) -> UnreadableDocument:
    fault = invalid.faults[0]
    return UnreadableDocument(place, fault.field, f"expected {fault.expected}, was {fault.found}")
