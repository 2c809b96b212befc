"""Business Unit: reports | Status: current.

Where stored comparisons come from: the evidence bucket, a folder like it, or a file with one document a line. A source
gives bytes with a name; what they mean is decided elsewhere. A pair judged again has several documents: the last one that a
source gives is the one that holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from reports.data.errors import UnreachableSource
from shadow.aws import clients

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "comparisons/"
INDEX = ".margins"
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})/")
_RUN = re.compile(r"day=\d{4}-\d{2}-\d{2}/(?P<run>.+)-[0-9a-f]{16}\.json$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored document: its name, what changes when it does, and where in a file it stands, in bytes (length 0: all of it)."""

    name: str
    stamp: str
    offset: int = 0
    length: int = 0


class Source(Protocol):
    """Stored comparisons of trading days, by name and content, older documents of a run before newer ones."""

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents from `first` to `last`, both included (a source may give more days)."""
        ...


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
        ...

    def read(self, entry: Entry) -> bytes:
        """Read one document. Raises `UnreachableSource`."""
        ...


def day_of(key: str) -> date | None:
    """Read the trading day from a key or path; None when it has none."""
    found = _DAY.search(key)
    return date.fromisoformat(found[1]) if found else None


def _latest(found: list[tuple[Entry, float]], first: date, last: date) -> list[Entry]:
    """Keep the documents from `first` to `last`, and of each run only the one that was written last, in order of day and name."""
    newest: dict[str, tuple[float, str, Entry]] = {}
    for entry, written in found:
        day, run = day_of(entry.name), _RUN.search(entry.name)
        if day is None or not first <= day <= last:
            continue
        name = f"{day}/{run['run']}" if run else entry.name
        newest[name] = max(newest.get(name, (written, entry.name, entry)), (written, entry.name, entry), key=itemgetter(0, 1))
    return sorted((entry for _, _, entry in newest.values()), key=attrgetter("name"))


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A local folder: `comparisons/day=YYYY-MM-DD/*.json` below it, or a `comparisons.jsonl` in it."""

    folder: Path
    can_be_sent: bool = True

    @property
    def index(self) -> Path:
        """The index of margins, in the folder."""
        return self.folder / INDEX

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the folder's documents. Raises `UnreachableSource` where there are none to look through."""
        for entry in self.entries(first, last):
            yield entry.name, self.read(entry)

    def entries(self, first: date, last: date) -> list[Entry]:
        """List the documents, of each run the newest. Raises `UnreachableSource`."""
        store = self.folder / PREFIX
        if not store.is_dir():
            if self._lines.path.is_file():
                return self._lines.entries(first, last)
            raise UnreachableSource(str(self.folder), "a folder comparisons/ or a file comparisons.jsonl in it", "neither")
        found = []
        for day in os.scandir(store):
            if day.name.startswith("day=") and day.is_dir():
                found += [_entry_of(day.name, file) for file in os.scandir(day) if file.name.endswith(".json")]
        return _latest(found, first, last)

    def read(self, entry: Entry) -> bytes:
        """Read one document."""
        return self._lines.read(entry) if entry.length else (self.folder / entry.name).read_bytes()

    @property
    def _lines(self) -> JsonlSource:
        return JsonlSource(self.folder / "comparisons.jsonl")


def _entry_of(day: str, file: os.DirEntry[str]) -> tuple[Entry, float]:
    stat = file.stat()
    return Entry(f"{PREFIX}{day}/{file.name}", f"{stat.st_size} {stat.st_mtime_ns}"), stat.st_mtime


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """A file with one document a line."""

    path: Path
    can_be_sent: bool = True

    @property
    def index(self) -> Path:
        """The index of margins, beside the file."""
        return self.path.with_name(f".{self.path.name}{INDEX}")

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give every line, whatever its day: the day stands in the document. Raises `UnreachableSource`."""
        del first, last
        for entry, line in self._lines():
            yield entry.name, line

    def entries(self, first: date, last: date) -> list[Entry]:
        """List every line. Raises `UnreachableSource`."""
        del first, last
        return [entry for entry, _ in self._lines()]

    def read(self, entry: Entry) -> bytes:
        """Read one line. Raises `UnreachableSource`."""
        with self._told(), self.path.open("rb") as file:
            file.seek(entry.offset)
            return file.read(entry.length)

    def _lines(self) -> Iterator[tuple[Entry, bytes]]:
        with self._told(), self.path.open("rb") as lines:
            stat = os.fstat(lines.fileno())
            stamp, offset = f"{stat.st_size} {stat.st_mtime_ns}", 0
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield Entry(f"{self.path.name}:{number}", stamp, offset, len(line)), line
                offset += len(line)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnreachableSource(str(self.path), "a readable file", error.strerror or type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class S3Source:
    """The evidence bucket."""

    bucket: str
    client: S3Client | None = None

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
        """Give the bucket's documents, listing no key before `first` and none after `last`.

        Raises `UnreachableSource`.
        """
        for entry in self.entries(first, last):
            yield entry.name, self.read(entry)

    def entries(self, first: date, last: date) -> list[Entry]:
        """List the bucket's documents, of each run the newest. Raises `UnreachableSource`."""
        with self._told():
            return _latest(list(self._entries(self.client or clients.s3(), first, last)), first, last)

    def read(self, entry: Entry) -> bytes:
        """Read one document. Raises `UnreachableSource`."""
        key = entry.name.removeprefix(f"s3://{self.bucket}/")
        with self._told():
            return (self.client or clients.s3()).get_object(Bucket=self.bucket, Key=key)["Body"].read()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            found = error.response["Error"].get("Code", "an error")
            raise UnreachableSource(f"s3://{self.bucket}", "a bucket that can be read", found) from error
        except BotoCoreError as error:
            raise UnreachableSource(f"s3://{self.bucket}", "a bucket that can be read", type(error).__name__) from error

    def _entries(self, s3: S3Client, first: date, last: date) -> Iterator[tuple[Entry, float]]:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=PREFIX + "day=", StartAfter=f"{PREFIX}day={first}"
        )
        end = f"{PREFIX}day={last}/~"
        for page in pages:
            for entry in page.get("Contents", []):
                if entry["Key"] > end:
                    return
                written = entry["LastModified"].timestamp()
                yield Entry(f"s3://{self.bucket}/{entry['Key']}", f"{entry['ETag']} {written}"), written


def source_of(place: str) -> Store:
    """Open what `place` names: `s3://bucket`, a `.jsonl` file, or a folder."""
    if place.startswith("s3://"):
        return S3Source(place.removeprefix("s3://").split("/", 1)[0])
    path = Path(place)
    return JsonlSource(path) if path.suffix == ".jsonl" else FolderSource(path)
