"""Business Unit: command line | Status: current.

Where a stored comparison is found: in the deployed stack by the pair ledger, or offline in a folder like the evidence bucket
or a file with one document a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Annotated, Protocol

import typer

from shadow.aws import clients
from shadow.aws.objects import S3Objects
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.cli.errors import BadInput, UnreadableStore
from shadow.cli.target import Target
from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import Pair

LINES_FILE = "comparisons.jsonl"
_SUGGESTIONS = 3
_MAX_SUGGESTED_FROM = 2_000
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="Read stored comparisons below this folder instead, such as build/demo.", metavar="DIR"),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Read stored comparisons of this file instead, one a line.", metavar="JSONL")
]


@dataclass(frozen=True, slots=True)
class Found:
    """A stored comparison and where it lies; `pair` is what the ledger has of it, where there is one."""

    comparison: Comparison
    place: str
    pair: Pair | None = None


class Stored(Protocol):
    """Finds stored comparisons."""

    def find(self, plan_id: str) -> Found | None:
        """Find the comparison of a plan; None where none is stored. Raises `UnreadableStore`."""
        ...


@dataclass(frozen=True, slots=True)
class StackStore:
    """The deployed stack: the ledger says which object, the bucket has it."""

    target: Target

    @property
    def ledger(self) -> DynamoDbPairLedger:
        """Give the pair ledger."""
        return DynamoDbPairLedger(clients.dynamodb(), self.target.name("PairLedgerTableName"))

    def pair(self, plan_id: str) -> Pair:
        """Read the pair of a plan; raises `BadInput` where the plan was never published."""
        pair = self.ledger.get(plan_id)
        if pair is None:
            raise BadInput(f"plan {plan_id}: expected a published plan, was none: `shadow status` lists what is there")
        return pair

    def find(self, plan_id: str) -> Found | None:
        """Find the comparison of a plan; None where its pair has none yet. Raises `BadInput`, `UnreadableStore`."""
        return self.of_pair(self.pair(plan_id))

    def of_pair(self, pair: Pair) -> Found | None:
        """Find the comparison of a pair; None where it has none yet. Raises `UnreadableStore`."""
        if pair.comparison_key is None:
            return None
        bucket = self.target.name("EvidenceBucketName")
        place = f"s3://{bucket}/{pair.comparison_key}"
        body = S3Objects(clients.s3(), bucket).get(pair.comparison_key)
        if body is None:
            raise UnreadableStore(f"{place}: expected the comparison that the ledger names, was nothing")
        return Found(read_comparison(body, place), place, pair)


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A folder: `comparisons/day=YYYY-MM-DD/*.json` below it, or a `comparisons.jsonl` in it."""

    folder: Path

    def find(self, plan_id: str) -> Found | None:
        """Find the comparison of a plan; of several the last that was written."""
        documents = self.folder / "comparisons"
        if not documents.is_dir():
            return FileStore(self.folder / LINES_FILE).find(plan_id)
        paths = sorted(documents.glob(f"day=*/{run_id_of(plan_id)}-*.json"), key=lambda path: (path.stat().st_mtime, path.name))
        return Found(read_comparison(paths[-1].read_bytes(), str(paths[-1])), str(paths[-1])) if paths else None

    def everything(self) -> list[Comparison]:
        """Read every comparison, each plan's last; the oldest day first."""
        documents = self.folder / "comparisons"
        if not documents.is_dir():
            return FileStore(self.folder / LINES_FILE).everything()
        paths = sorted(documents.glob("day=*/*.json"), key=lambda path: (path.parent.name, path.stat().st_mtime, path.name))
        read = (read_comparison(path.read_bytes(), str(path)) for path in paths)
        return list({comparison.plan_id: comparison for comparison in read}.values())


@dataclass(frozen=True, slots=True)
class FileStore:
    """A file with one document a line. Lines are looked through as text, and only one that names the plan is read."""

    path: Path

    def find(self, plan_id: str) -> Found | None:
        """Find the comparison of a plan; of several the last."""
        wanted = plan_id.encode()
        found = None
        for place, line in self._lines():
            if wanted in line:
                comparison = read_comparison(line, place)
                found = Found(comparison, place) if comparison.plan_id == plan_id else found
        return found

    def everything(self) -> list[Comparison]:
        """Read every comparison, each plan's last."""
        read = (read_comparison(line, place) for place, line in self._lines())
        return list({comparison.plan_id: comparison for comparison in read}.values())

    def plan_ids(self) -> list[str]:
        """Give the plans of the file's first lines, to suggest from."""
        lines = islice(self._lines(), _MAX_SUGGESTED_FROM)
        return [read_comparison(line, place).plan_id for place, line in lines]

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        try:
            with self.path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield f"{self.path}:{number}", line
        except OSError as error:
            raise BadInput(f"{self.path}: expected a file of comparisons, was {error.strerror or type(error).__name__}") from None


def offline_store(folder: Path | None, file: Path | None) -> FolderStore | FileStore | None:
    """Give the offline store that was asked for; None where the stack is to be asked. Raises `BadInput`."""
    if folder is not None and file is not None:
        raise BadInput("--folder and --file: expected one of them, were both")
    if file is not None:
        return FileStore(file)
    if folder is None:
        return None
    if not (folder / "comparisons").is_dir() and not (folder / LINES_FILE).is_file():
        raise BadInput(f"{folder}: expected a folder with comparisons/ or {LINES_FILE} in it, was none")
    return FolderStore(folder)


def demand(store: Stored, plan_id: str) -> Found:
    """Find the comparison of a plan offline; raises `BadInput` with the closest plans there are."""
    found = store.find(plan_id)
    if found is not None:
        return found
    close = get_close_matches(plan_id, dict.fromkeys(_plans_of(store)), n=_SUGGESTIONS, cutoff=0.3)
    hint = f"; there are {', '.join(close)}" if close else ""
    raise BadInput(f"plan {plan_id}: expected a stored comparison, was none{hint}")


def _plans_of(store: Stored) -> list[str]:
    if isinstance(store, FolderStore):
        lines = store.folder / LINES_FILE
        return FileStore(lines).plan_ids() if lines.is_file() else []
    return store.plan_ids() if isinstance(store, FileStore) else []


def read_comparison(body: bytes, place: str) -> Comparison:
    """Read a stored comparison; raises `UnreadableStore` naming place and fields."""
    try:
        return Comparison.parse_json(body)
    except InvalidPayload as fault:
        raise UnreadableStore(f"{place}: {fault}") from None
