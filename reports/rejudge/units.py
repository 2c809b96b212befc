"""Business Unit: reports | Status: current.

Stored comparisons in portions that are read, kept and judged together: the documents of a day, or of a stretch of a file. A
portion's stamp changes with any of its documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import groupby
from os import environ
from pathlib import Path
from typing import Protocol

from reports.data.errors import UnreachableSource
from reports.sources import FolderSource, JsonlSource, S3Source, Source, day_of

LINES = 64
KEPT = ".rejudge"


@dataclass(frozen=True, slots=True)
class Document:
    """One stored document: its name, and where in a file it stands, in bytes (length 0: all of it)."""

    name: str
    offset: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """Documents that are kept together, in the order of their source."""

    name: str
    stamp: str
    documents: tuple[Document, ...]


class Library(Protocol):
    """Stored comparisons as units."""

    def units(self, first: date, last: date) -> Iterator[Unit]:
        """Give the units from `first` to `last` (a library may give more days). Raises `UnreachableSource`."""
        ...

    def read(self, document: Document) -> bytes:
        """Read one document. Raises `UnreachableSource`."""
        ...

    @property
    def shelf(self) -> Path:
        """Where columns are kept."""
        ...

    @property
    def can_be_sent(self) -> bool:
        """Whether another process can read from it."""
        ...


def library_of(source: Source) -> Library | None:
    """Give what `source` reads as a library; None for a source that has no names to keep anything under."""
    if isinstance(source, FolderSource):
        return _Folder(source) if source.has_store else _Lines(source.lines)
    if isinstance(source, JsonlSource):
        return _Lines(source.path)
    return _Bucket(source) if isinstance(source, S3Source) else None


def _by_day(keys: list[tuple[str, str]], lead: str = "") -> Iterator[Unit]:
    """Make one unit of each day's keys, each given with what tells its content from another's; names begin with `lead`."""
    for day, group in groupby(keys, key=lambda entry: day_of(entry[0])):
        entries = list(group)
        stamp = sha256("\n".join(f"{key} {mark}" for key, mark in entries).encode()).hexdigest()
        yield Unit(str(day), stamp, tuple(Document(lead + key) for key, _ in entries))


@dataclass(frozen=True, slots=True)
class _Folder:
    source: FolderSource
    can_be_sent: bool = True

    def units(self, first: date, last: date) -> Iterator[Unit]:
        keys = self.source.keys(first, last)
        paths = [(key, (self.source.folder / key).stat()) for key in keys]
        yield from _by_day([(key, f"{stat.st_size} {stat.st_mtime_ns}") for key, stat in paths])

    def read(self, document: Document) -> bytes:
        return self.source.read(document.name)

    @property
    def shelf(self) -> Path:
        return self.source.folder / KEPT


@dataclass(frozen=True, slots=True)
class _Bucket:
    source: S3Source

    def units(self, first: date, last: date) -> Iterator[Unit]:
        yield from _by_day([(key, "") for key in self.source.keys(first, last)], self._lead)

    def read(self, document: Document) -> bytes:
        return self.source.read(document.name.removeprefix(self._lead))

    @property
    def _lead(self) -> str:
        return f"s3://{self.source.bucket}/"

    @property
    def can_be_sent(self) -> bool:
        return self.source.client is None

    @property
    def shelf(self) -> Path:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "shadow" / "rejudge" / self.source.bucket


@dataclass(frozen=True, slots=True)
class _Lines:
    path: Path
    can_be_sent: bool = True

    def units(self, first: date, last: date) -> Iterator[Unit]:
        del first, last
        documents: list[Document] = []
        digest, offset, count = sha256(), 0, 0
        for number, line in enumerate(self._lines(), start=1):
            if line.strip():
                documents.append(Document(f"{self.path.name}:{number}", offset, len(line)))
                digest.update(f"{number} ".encode() + line)
            offset += len(line)
            if len(documents) == LINES:
                yield Unit(f"{self.path.name}-{count:05d}", digest.hexdigest(), tuple(documents))
                documents, digest, count = [], sha256(), count + 1
        if documents:
            yield Unit(f"{self.path.name}-{count:05d}", digest.hexdigest(), tuple(documents))

    def read(self, document: Document) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(document.offset)
                return file.read(document.length)
        except OSError as error:
            raise UnreachableSource(str(self.path), "a readable file", error.strerror or type(error).__name__) from error

    @property
    def shelf(self) -> Path:
        return self.path.parent / KEPT

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as lines:
                yield from lines
        except OSError as error:
            raise UnreachableSource(str(self.path), "a readable file", error.strerror or type(error).__name__) from error
