"""Business Unit: reports | Status: current.

Where stored comparisons come from: the evidence bucket, a folder like it, or a file with one document a line. A source
gives bytes with a name; what they mean is decided elsewhere. A pair judged again has several documents: the last one that a
source gives is the one that holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from reports.data.errors import UnreachableSource
from shadow.aws import clients

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "comparisons/"
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})/")
_RUN = re.compile(r"day=\d{4}-\d{2}-\d{2}/(?P<run>.+)-[0-9a-f]{16}\.json$")


class Source(Protocol):
    """Stored comparisons of trading days, by name and content, older documents of a run before newer ones."""

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents from `first` to `last`, both included (a source may give more days)."""
        ...


def day_of(key: str) -> date | None:
    """Read the trading day from a key or path; None when it has none."""
    found = _DAY.search(key)
    return date.fromisoformat(found[1]) if found else None


def _latest(keys: list[tuple[str, float]], first: date, last: date) -> list[str]:
    """Keep the keys from `first` to `last`, and of each run only the newest, in order of day and name."""
    newest: dict[str, tuple[float, str]] = {}
    for key, written in keys:
        day, run = day_of(key), _RUN.search(key)
        if day is None or not first <= day <= last:
            continue
        name = f"{day}/{run['run']}" if run else key
        newest[name] = max(newest.get(name, (written, key)), (written, key))
    return sorted(key for _, key in newest.values())


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A local folder: `comparisons/day=YYYY-MM-DD/*.json` below it, or a `comparisons.jsonl` in it."""

    folder: Path

    @property
    def has_store(self) -> bool:
        """Whether there is a folder of comparisons, or no file of them either."""
        return (self.folder / PREFIX).is_dir() or not self.lines.is_file()

    @property
    def lines(self) -> Path:
        """The file that stands for a folder of comparisons."""
        return self.folder / "comparisons.jsonl"

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the folder's documents. Raises `UnreachableSource` where there are none to look through."""
        if not self.has_store:
            yield from JsonlSource(self.lines).documents(first, last)
            return
        for key in self.keys(first, last):
            yield key, self.read(key)

    def keys(self, first: date, last: date) -> list[str]:
        """Name the documents of the folder of comparisons, of each run the newest. Raises `UnreachableSource`."""
        store = self.folder / PREFIX
        if not store.is_dir():
            raise UnreachableSource(str(self.folder), "a folder comparisons/ or a file comparisons.jsonl in it", "neither")
        found = [(path.relative_to(self.folder).as_posix(), path.stat().st_mtime) for path in store.glob("day=*/*.json")]
        return _latest(found, first, last)

    def read(self, key: str) -> bytes:
        """Read one document of the folder of comparisons."""
        return (self.folder / key).read_bytes()


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """A file with one document a line."""

    path: Path

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give every line, whatever its day: the day stands in the document. Raises `UnreachableSource`."""
        del first, last
        try:
            with self.path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield f"{self.path.name}:{number}", line
        except OSError as error:
            raise UnreachableSource(str(self.path), "a readable file", error.strerror or type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class S3Source:
    """The evidence bucket."""

    bucket: str
    client: S3Client | None = None

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the bucket's documents, listing no key before `first` and none after `last`.

        Raises `UnreachableSource`.
        """
        for key in self.keys(first, last):
            yield f"s3://{self.bucket}/{key}", self.read(key)

    def keys(self, first: date, last: date) -> list[str]:
        """Name the bucket's documents, of each run the newest. Raises `UnreachableSource`."""
        with self._told():
            return _latest(list(self._keys(self.client or clients.s3(), first, last)), first, last)

    def read(self, key: str) -> bytes:
        """Read one document. Raises `UnreachableSource`."""
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

    def _keys(self, s3: S3Client, first: date, last: date) -> Iterator[tuple[str, float]]:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=PREFIX + "day=", StartAfter=f"{PREFIX}day={first}"
        )
        end = f"{PREFIX}day={last}/~"
        for page in pages:
            for entry in page.get("Contents", []):
                if entry["Key"] > end:
                    return
                yield entry["Key"], entry["LastModified"].timestamp()


def source_of(place: str) -> Source:
    """Open what `place` names: `s3://bucket`, a `.jsonl` file, or a folder."""
    if place.startswith("s3://"):
        return S3Source(place.removeprefix("s3://").split("/", 1)[0])
    path = Path(place)
    return JsonlSource(path) if path.suffix == ".jsonl" else FolderSource(path)
