"""Business Unit: compare | Status: current.

Where in a policy's text a fault lies. The TOML parser of the standard library gives lines for faults of syntax only, so the
lines of keys are found here, and the faults that the models find are reported at them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from shadow.contracts.errors import ShadowError, faults_of

_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_LAST_LINE = re.compile(r"\(at end of document\)")
_ENDLESS = re.compile(r"[0-9_]{4300}")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """One fault of a policy: its line (from 1), its key, what was expected, and what was there instead."""

    line: int
    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Read as a sentence."""
        return f"line {self.line}: {self.key}: expected {self.expected}, was {self.found}"


class InvalidPolicy(ShadowError):
    """A policy that cannot be judged by. Carries every fault."""

    def __init__(self, name: str, faults: Iterable[PolicyFault]) -> None:
        """Remember which policy it was, and each of its faults in the order of their lines."""
        self.name = name
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.key)))
        super().__init__(f"{name}: " + "; ".join(str(fault) for fault in self.faults))


class PolicyText:
    """A policy's text and the values in it."""

    def __init__(self, text: str, name: str) -> None:
        """Parse `text`; raises InvalidPolicy where it is not TOML (a key given twice included)."""
        self._text = text.replace("\r\n", "\n")
        try:
            self.values = tomllib.loads(self._text)
        except (ValueError, RecursionError) as error:
            raise InvalidPolicy(name, [self._syntax_fault(str(error))]) from None

    def faults(self, error: ValidationError) -> list[PolicyFault]:
        """Turn what the models found into faults with lines."""
        found = []
        for entry, fault in zip(error.errors(include_url=False), faults_of(error), strict=True):
            key = _without_tags(map(str, entry["loc"]), self.values)
            line = self.line_of(key)
            expected = "no such key" if entry["type"] == "extra_forbidden" else fault.expected
            found.append(PolicyFault(line, ".".join(key) or "(whole)", expected, fault.found))
        return found

    def line_of(self, key: Sequence[str]) -> int:
        """Find the line (from 1) of the deepest part of `key` that stands in the text; 1 where none does."""
        lengths = range(len(key), 0, -1)
        return next((line for length in lengths if (line := self._lines.get(tuple(key[:length]))) is not None), 1)

    @cached_property
    def _lines(self) -> dict[Path, int]:
        return dict(_key_lines(self._text))

    def _syntax_fault(self, message: str) -> PolicyFault:
        match = _SYNTAX_LINE.search(message)
        count = self._text.count("\n") + 1
        endless = next((number for number, line in enumerate(self._text.split("\n"), start=1) if _ENDLESS.search(line)), count)
        line = min(int(match.group(1)), count) if match else endless
        what = _LAST_LINE.sub("", _SYNTAX_LINE.sub("", message)).strip()
        return PolicyFault(line, "(syntax)", "TOML", f"no TOML ({what[:1].lower() + what[1:]})")


def _without_tags(parts: Iterable[str], values: object) -> Path:
    """Leave out the name of the rule that was chosen, as in rules.value.absolute.tolerance: it is no key of the text."""
    kept: list[str] = []
    for part in parts:
        if isinstance(values, Mapping):
            if part not in values and values.get("rule") == part:
                continue
            values = values.get(part)
        elif isinstance(values, list):
            values = values[int(part)] if part.isdigit() and int(part) < len(values) else None
        kept.append(part)
    return tuple(kept)


def _key_lines(text: str) -> Iterator[tuple[Path, int]]:
    """Give the path of every table and every key, with its line. Keys of inline tables stand at their table's line."""
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, statement in _statements(text):
        if statement.startswith("[["):
            name = _path_of(statement)
            counts[name] = counts.get(name, -1) + 1
            table = (*name, str(counts[name]))
            yield name, number
            yield table, number
        elif statement.startswith("["):
            table = _path_of(statement)
            yield table, number
        else:
            yield from (((*table, *path), number) for path in _keys_of(statement))


def _keys_of(statement: str) -> Iterator[Path]:
    """Give the path of a `key = value` statement, and those of its parts that its value spells out."""
    try:
        values: object = tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return
    yield from _paths_in(values, ())


def _paths_in(values: object, lead: Path) -> Iterator[Path]:
    if isinstance(values, dict):
        entries = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, list):
        entries = [(str(index), value) for index, value in enumerate(values)]
    else:
        return
    for key, value in entries:
        yield (*lead, key)
        yield from _paths_in(value, (*lead, key))


def _path_of(header: str) -> Path:
    """Read a table's dotted name with the parser itself, so that quoted parts and comments are read as it reads them."""
    values: object = tomllib.loads(header)
    path: list[str] = []
    while isinstance(values, dict) and values:
        key = next(iter(values))
        path.append(str(key))
        values = values[key]
    return tuple(path)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Split a valid TOML text into statements, blank lines and remarks, each with the number of its first line."""
    pending: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), start=1):
        if not pending:
            first = number
        pending.append(line)
        statement = "\n".join(pending)
        if _is_whole(statement):
            pending = []
            yield first, statement.strip()


def _is_whole(statement: str) -> bool:
    """Tell whether a statement ends here: the parser accepts it."""
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True
