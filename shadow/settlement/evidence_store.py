"""Business Unit: evidence | Status: current.

The evidence store: what both lanes' records were, kept immutable. A document is a line of canonical JSON a record, without
secrets. Its key holds the digest of that text, not of the compressed bytes, which differ between builds of zlib: the same
records make the same key, whoever stores them and however often. The comparisons lie beside them, uncompressed, one a verdict.

    evidence/day=2026-11-24/{run_id}/{name}-{sha256}.jsonl.gz
    comparisons/day=2026-11-24/{run_id}-{sha256[:16]}.json
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Protocol

from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import EvidenceCorrupt
from shadow.contracts.plan import RebalancePlan
from shadow.lanes.draft import DocumentWriter
from shadow.lanes.redaction import Redactor


class ObjectStore(Protocol):
    """Where bytes are kept. The adapters are S3 and a local folder; they raise `EvidenceUnavailable`."""

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """Store `body` unless the key exists already; say whether this call stored it."""
        ...

    def get(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        ...


Record = tuple[str, object]
"""One record of an evidence document: what it is, and itself."""

_PIECE = 1 << 20
_OVERHEAD = 4_096
"""Bytes that packing may add to a text, at most."""
_DECODE = json.JSONDecoder(parse_float=Decimal).decode


class EvidenceStore:
    """Keeps and reads evidence documents and comparisons."""

    def __init__(self, objects: ObjectStore, redactor: Redactor) -> None:
        """Keep documents in `objects`, cleaned by `redactor`."""
        self._objects = objects
        self._redactor = redactor

    def writer(self) -> DocumentWriter:
        """Begin a document."""
        return DocumentWriter(self._redactor)

    def without_secrets(self, plan: RebalancePlan) -> RebalancePlan:
        """Give a plan as a comparison keeps it: whoever made it may have put anything into its metadata."""
        cleaned = self._redactor.clean(plan.metadata) if plan.metadata else plan.metadata
        return plan if cleaned == plan.metadata else plan.model_copy(update={"metadata": cleaned})

    def keep(self, day: date, run_id: str, name: str, writer: DocumentWriter) -> EvidenceRef:
        """Store a written document of a run and say where it lies. Storing it again changes nothing."""
        digest, size, body = writer.finish()
        key = f"evidence/day={day.isoformat()}/{run_id}/{name}-{digest}.jsonl.gz"
        self._objects.put_if_absent(key, body, "application/gzip")
        return EvidenceRef(name=name, key=key, sha256=digest, size=size)

    def read(self, ref: EvidenceRef) -> Iterator[Record]:
        """Read evidence back, record by record, after all of it has been found to be what `ref` says.

        Raises `EvidenceCorrupt`. No more is unpacked than `ref` says that there is.
        """
        body = self._objects.get(ref.key)
        if body is None:
            raise EvidenceCorrupt(f"{ref.key}: expected an object, was nothing")
        digest, size = sha256(), 0
        for piece in _unpacked(body, ref):
            digest.update(piece)
            size += len(piece)
            if size > ref.size:
                raise EvidenceCorrupt(f"{ref.key}: expected {ref.size} bytes unpacked, was more")
        if digest.hexdigest() != ref.sha256:
            raise EvidenceCorrupt(f"{ref.key}: expected sha256 {ref.sha256}, was {digest.hexdigest()}")
        return _records(body, ref)

    def keep_comparison(self, day: date, run_id: str, body: bytes) -> tuple[str, str]:
        """Store a comparison's canonical bytes; gives its key and digest."""
        digest = sha256(body).hexdigest()
        key = comparison_key(day, run_id, digest)
        self._objects.put_if_absent(key, body, "application/json")
        return key, digest

    def read_bytes(self, key: str) -> bytes | None:
        """Read any stored object, such as a comparison or a plan; None where there is none."""
        return self._objects.get(key)


def _unpacked(body: bytes, ref: EvidenceRef) -> Iterator[bytes]:
    """Unpack a document piece by piece; raises `EvidenceCorrupt`."""
    if len(body) > ref.size + _OVERHEAD:
        raise EvidenceCorrupt(f"{ref.key}: expected {ref.size} bytes packed, was {len(body)} bytes")
    try:
        with gzip.open(io.BytesIO(body)) as text:
            while piece := text.read(_PIECE):
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise EvidenceCorrupt(f"{ref.key}: expected records in gzip, was {type(error).__name__}") from None


def _records(body: bytes, ref: EvidenceRef) -> Iterator[Record]:
    """Read the records of a document that has been verified; raises `EvidenceCorrupt`."""
    with gzip.open(io.BytesIO(body)) as lines:
        for line in lines:
            try:
                record = _DECODE(line.decode("utf-8", "surrogatepass"))
                found = record["record"], record["value"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise EvidenceCorrupt(f"{ref.key}: expected a record a line, was {type(error).__name__}") from None
            yield found


def comparison_key(day: date, run_id: str, digest: str) -> str:
    """Name a comparison by day, run and content."""
    return f"comparisons/day={day.isoformat()}/{run_id}-{digest[:16]}.json"
