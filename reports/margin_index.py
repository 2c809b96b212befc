"""Business Unit: reports | Status: current.

The index of margins: of every stored comparison the little that judging again asks first, one line each, beside the documents. It
can be thrown away at any time: the stored document is the only copy that counts. A line names its document, that document's stamp
and sha256; what is new, changed or damaged is read again from the documents.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reports.data.errors import UnreadableDocument
from shadow.contracts.comparison import Difference, Margin, Margins, Needs, Verdict
from shadow.contracts.errors import faults_of
from shadow.contracts.vocabulary import Lane, Origin

_FORM = "shadow margins 1"
_LOG = logging.getLogger(__name__)
_Asked = tuple[str, str, bool, str | None, dict[str, tuple[str, str | None]]]


class _Part(BaseModel):
    """Reads only the fields that it names."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Item(_Part):
    action: str


class _Plan(_Part):
    items: tuple[_Item, ...]


class _Head(_Part):
    """What is read of a stored comparison for the index."""

    plan_id: str
    run_id: str
    trading_day: date
    origin: Origin = Origin.LIVE
    production_lane: Lane = Lane.LEGACY
    published_at: datetime
    verdict: Verdict
    differences: tuple[Difference, ...]
    margins: Margins | None = None
    plan: _Plan
    policy_hash: str
    code_version: str


@dataclass(frozen=True, slots=True)
class Line:
    """A stored pair without its trades, in plain values, so that a line is read as fast as its text.

    `asked` has its margins: rule, words, whether a difference shows them, what was needed, and the needs by measure.
    """

    name: str
    stamp: str
    sha256: str
    plan_id: str
    run_id: str
    day: str
    origin: str
    lane: str
    published: str
    verdict: Verdict
    policy_hash: str
    code_version: str
    trades: int
    basis: str
    asked: list[_Asked]
    found: list[Mapping[str, object]]

    @property
    def trading_day(self) -> date:
        """The trading day."""
        return date.fromisoformat(self.day)

    @property
    def published_at(self) -> datetime:
        """When the plan was published."""
        return datetime.fromisoformat(self.published)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The differences, as stored."""
        return tuple(map(Difference.model_validate, self.found))

    def margin(self, asked: _Asked) -> Margin:
        """Make the margin of what one rule was asked."""
        rule, words, shown, needed, needs = asked
        made = {name: Needs.model_validate({"permitted": low, "refused": high}) for name, (low, high) in needs.items()}
        return Margin.model_validate(
            {"rule": rule, "words": words, "measure": "", "shown": shown, "needed": needed, "needs": made}
        )


def line_of(name: str, stamp: str, content: bytes) -> Line:
    """Read what the index keeps of one stored document. Raises `UnreadableDocument` naming the document and the field."""
    try:
        head = _Head.model_validate_json(content)
    except ValidationError as error:
        fault = faults_of(error)[0]
        raise UnreadableDocument(name, fault.field, f"expected {fault.expected}, was {fault.found}") from None
    return _line(name, stamp, sha256(content).hexdigest(), head)


def _line(name: str, stamp: str, digest: str, head: _Head) -> Line:
    margins = head.margins or Margins(basis="")
    return Line(
        name=name,
        stamp=stamp,
        sha256=digest,
        plan_id=head.plan_id,
        run_id=head.run_id,
        day=head.trading_day.isoformat(),
        origin=head.origin.value,
        lane=head.production_lane.value,
        published=head.published_at.isoformat(),
        verdict=head.verdict,
        policy_hash=head.policy_hash,
        code_version=head.code_version,
        trades=sum(item.action != "HOLD" for item in head.plan.items),
        basis=margins.basis,
        asked=[_asked(margin) for margin in margins.rules],
        found=[difference.model_dump(mode="json") for difference in head.differences],
    )


def _asked(margin: Margin) -> _Asked:
    needs = {name: (str(need.permitted), _text(need.refused)) for name, need in margin.needs.items()}
    return (margin.rule, margin.words, margin.shown, _text(margin.needed), needs)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def read_index(path: Path | None) -> dict[str, Line]:
    """Read the index at `path`, by document name; empty where there is none. A damaged one is told and not used."""
    if path is None or not path.is_file():
        return {}
    try:
        lines = (Line(*json.loads(text)) for text in _body(path.read_bytes()).splitlines())
        return {line.name: line for line in lines}
    except (OSError, ValueError, TypeError) as damage:
        _LOG.warning("%s: the index of margins is damaged (%s) and is made again from the documents", path, damage)
        return {}


def _body(content: bytes) -> bytes:
    """Give the lines of an index. Raises ValueError where they are not what was written."""
    form, digest, body = content.split(b"\n", 2)
    if form != _FORM.encode() or sha256(body).hexdigest().encode() != digest:
        raise ValueError("it is not what was written")
    return body


def write_index(path: Path, lines: Iterable[Line]) -> None:
    """Write the index; where that cannot be, a warning says so and nothing is kept."""
    body = b"".join(json.dumps(astuple(line), separators=(",", ":")).encode() + b"\n" for line in lines)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"\n".join((_FORM.encode(), sha256(body).hexdigest().encode(), body)))
        part.replace(path)
    except OSError as error:
        _LOG.warning("%s: expected to be written, was %s; the index of margins is not kept", path, error.strerror)
        with suppress(OSError):
            part.unlink()
