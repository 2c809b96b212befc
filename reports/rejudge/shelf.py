"""Business Unit: reports | Status: current.

The shelf of kept columns: one file a unit, under a key that changes with its documents, with the code, and with what a policy
says must be known. What is not there, is stale or is damaged is made anew, many units at a time.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from reports.rejudge.columns import comparison_in, kept_of
from reports.rejudge.kept import DamagedColumns, Kept, KeptPair, key_in, packed, unpacked
from reports.rejudge.sections import code_digest, evidence_digest
from reports.rejudge.units import Library, Unit
from shadow.compare.policy import Policy

FEW = 64
"""So many documents are read by this process alone: starting others takes longer."""
_LOG = logging.getLogger(__name__)
_NAME = 8
Task = TypeVar("Task")
Answer = TypeVar("Answer")
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Making:
    """One unit that is to be read: everything that another process needs to know."""

    library: Library
    unit: Unit
    policy: Policy
    key: str


def made(task: Making) -> bytes:
    """Read the documents of a unit and write down what is to be kept. Raises `UnreadableDocument`, `UnreachableSource`."""
    documents = task.unit.documents
    comparisons = (comparison_in(document.name, task.library.read(document)) for document in documents)
    with _uncollected():
        return packed(task.key, kept_of(comparisons, task.policy))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make many objects that live until all are made without looking for garbage among them: it takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def in_processes(work: Callable[[Task], Answer], tasks: Sequence[Task], workers: int) -> Iterator[Answer]:
    """Do the tasks in up to `workers` processes and give the answers in order."""
    if workers < 2 or len(tasks) < 2:  # noqa: PLR2004 - one alone is this process
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks)


def workers_for(library: Library, documents: int) -> int:
    """Give how many processes reading so many documents is worth."""
    return (os.cpu_count() or 1) if library.can_be_sent and documents >= FEW else 1


@dataclass(slots=True)
class Shelf:
    """The kept columns of a library for a policy. `folder` is where they lie, None where nothing is kept.

    `made` counts the units read anew, `damaged` those that were kept and could not be used.
    """

    library: Library
    policy: Policy
    folder: Path | None
    made: int = 0
    damaged: int = 0
    _contents: dict[str, bytes] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)

    def pairs(self, units: Sequence[Unit], tell: Told) -> Iterator[tuple[Unit, tuple[KeptPair, ...]]]:
        """Give the pairs of every unit, making what is not kept; `tell` hears how many units of how many are made.

        Raises `UnreadableDocument`, `UnreachableSource`.
        """
        found = [self._kept(unit) for unit in units]
        missing = [self._making(unit) for unit, kept in zip(units, found, strict=True) if kept is None]
        workers = workers_for(self.library, sum(len(task.unit.documents) for task in missing))
        answers = in_processes(made, missing, workers)
        for unit, kept in zip(units, found, strict=True):
            if kept is not None:
                yield unit, kept
                continue
            content = next(answers)
            self._put(unit, content)
            self.made += 1
            tell(self.made, len(missing))
            yield unit, unpacked(content, self._key(unit)).pairs

    def whole(self, unit: Unit) -> Kept:
        """Give all that is kept of a unit whose pairs were given."""
        content = self._contents.pop(unit.name, None) or self._read(unit)
        try:
            if content is not None and key_in(content) == self._key(unit):
                return unpacked(content, self._key(unit))
        except DamagedColumns as damage:
            self._note(unit, damage)
        return unpacked(made(self._making(unit)), self._key(unit))

    def _kept(self, unit: Unit) -> tuple[KeptPair, ...] | None:
        content = self._read(unit)
        if content is None:
            return None
        try:
            return unpacked(content, self._key(unit)).pairs if key_in(content) == self._key(unit) else None
        except DamagedColumns as damage:
            self._note(unit, damage)
            return None

    def _note(self, unit: Unit, damage: DamagedColumns) -> None:
        self.damaged += 1
        _LOG.warning("%s: what was kept of %s is damaged (%s) and is made anew", self._path(unit), unit.name, damage)

    def _read(self, unit: Unit) -> bytes | None:
        path = self._path(unit)
        if path is None:
            return None
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("%s: expected a readable file, was %s", path, error.strerror)
            return None

    def _put(self, unit: Unit, content: bytes) -> None:
        """Keep a unit's content: on the shelf, or where that cannot be, in memory for as long as this lasts."""
        path = self._path(unit)
        if path is None:
            self._contents[unit.name] = content
            return
        part = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            _LOG.warning("%s: expected to be written, was %s; nothing is kept", path.parent, error.strerror)
            self.folder = None
            self._contents[unit.name] = content
            with suppress(OSError):
                part.unlink()

    def _path(self, unit: Unit) -> Path | None:
        return None if self.folder is None else self.folder / f"{unit.name}-{evidence_digest(self.policy)[:_NAME]}.kept"

    def _key(self, unit: Unit) -> str:
        if unit.name not in self._keys:
            parts = (code_digest(), evidence_digest(self.policy), unit.stamp)
            self._keys[unit.name] = sha256("\n".join(parts).encode()).hexdigest()
        return self._keys[unit.name]

    def _making(self, unit: Unit) -> Making:
        return Making(self.library, unit, self.policy, self._key(unit))
