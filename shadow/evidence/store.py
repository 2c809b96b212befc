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
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Protocol

from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.model import plain
from shadow.evidence.errors import EvidenceCorrupt
from shadow.evidence.redaction import Redactor

_COMPRESSION = 6
_GZIP = 31  # zlib's way of asking for gzip's format, which then has no time stamp


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


class DocumentWriter:
    """Writes an evidence document record by record, so that none but the one being written is held."""

    def __init__(self, redactor: Redactor) -> None:
        """Begin a document, cleaned by `redactor`."""
        self._redactor = redactor
        self._digest = sha256()
        self._size = 0
        self._compressed = bytearray()
        self._compress = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, _GZIP)

    def add(self, what: str, value: object) -> None:
        """Write one record."""
        line = f"{self._redactor.clean(canonical({'record': what, 'value': value}))}\n".encode()
        self._digest.update(line)
        self._size += len(line)
        self._compressed += self._compress.compress(line)

    def finish(self) -> tuple[str, int, bytes]:
        """End the document: the digest and size of its text, and its compressed bytes."""
        self._compressed += self._compress.flush()
        return self._digest.hexdigest(), self._size, bytes(self._compressed)


class EvidenceStore:
    """Keeps and reads evidence documents and comparisons."""

    def __init__(self, objects: ObjectStore, redactor: Redactor) -> None:
        """Keep documents in `objects`, cleaned by `redactor`."""
        self._objects = objects
        self._redactor = redactor

    def writer(self) -> DocumentWriter:
        """Begin a document."""
        return DocumentWriter(self._redactor)

    def keep(self, day: date, run_id: str, name: str, writer: DocumentWriter) -> EvidenceRef:
        """Store a written document of a run and say where it lies. Storing it again changes nothing."""
        digest, size, body = writer.finish()
        key = f"evidence/day={day.isoformat()}/{run_id}/{name}-{digest}.jsonl.gz"
        self._objects.put_if_absent(key, body, "application/gzip")
        return EvidenceRef(name=name, key=key, sha256=digest, size=size)

    def read(self, ref: EvidenceRef) -> Iterator[Record]:
        """Read evidence back, record by record; raises `EvidenceCorrupt` where it is not what `ref` says."""
        body = self._objects.get(ref.key)
        if body is None:
            raise EvidenceCorrupt(f"{ref.key}: expected an object, was nothing")
        digest = sha256()
        try:
            with gzip.open(io.BytesIO(body)) as lines:
                for line in lines:
                    digest.update(line)
                    record = json.loads(line, parse_float=Decimal)
                    yield record["record"], record["value"]
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
            raise EvidenceCorrupt(f"{ref.key}: expected records in gzip, was {type(error).__name__}") from None
        if digest.hexdigest() != ref.sha256:
            raise EvidenceCorrupt(f"{ref.key}: expected sha256 {ref.sha256}, was {digest.hexdigest()}")

    def keep_comparison(self, day: date, run_id: str, body: bytes) -> tuple[str, str]:
        """Store a comparison's canonical bytes; gives its key and digest."""
        digest = sha256(body).hexdigest()
        key = comparison_key(day, run_id, digest)
        self._objects.put_if_absent(key, body, "application/json")
        return key, digest

    def read_bytes(self, key: str) -> bytes | None:
        """Read any stored object, such as a comparison or a plan; None where there is none."""
        return self._objects.get(key)


def comparison_key(day: date, run_id: str, digest: str) -> str:
    """Name a comparison by day, run and content."""
    return f"comparisons/day={day.isoformat()}/{run_id}-{digest[:16]}.json"


def canonical(document: object) -> str:
    """Write canonical JSON: sorted keys, no spaces, decimals as plain texts, moments in UTC.

    Half of a surrogate pair (a text that somebody cut in the middle of a character), which UTF-8 does not have, becomes `?`.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_as_json)
    return text if text.isascii() else text.encode(errors="replace").decode()


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"evidence: expected a JSON value, was {type(value).__name__}")
