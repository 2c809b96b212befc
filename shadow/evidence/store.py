"""Business Unit: evidence | Status: current.

The evidence store: what both lanes' records were, kept immutable. A document is canonical JSON without secrets, and its key
holds the digest of that text (before compression, which may differ between builds of zlib): the same records make the same
key, whoever stores them and however often. The comparisons lie beside them, uncompressed, one a verdict.

    evidence/day=2026-11-24/{run_id}/{name}-{sha256}.json.gz
    comparisons/day=2026-11-24/{run_id}-{sha256[:16]}.json
"""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Protocol

from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.model import plain
from shadow.evidence.errors import EvidenceCorrupt
from shadow.evidence.redaction import Redactor

_COMPRESSION = 6


class ObjectStore(Protocol):
    """Where bytes are kept. The adapters are S3 and a local folder; they raise `EvidenceUnavailable`."""

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """Store `body` unless the key exists already; say whether this call stored it."""
        ...

    def get(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        ...


class EvidenceStore:
    """Keeps and reads evidence documents and comparisons."""

    def __init__(self, objects: ObjectStore, redactor: Redactor) -> None:
        """Keep documents in `objects`, cleaned by `redactor`."""
        self._objects = objects
        self._redactor = redactor

    def keep(self, day: date, run_id: str, name: str, document: object) -> EvidenceRef:
        """Store the evidence `document` of a run and say where it lies. Storing it again changes nothing."""
        text = self.encode(document)
        digest = sha256(text).hexdigest()
        key = f"evidence/day={day.isoformat()}/{run_id}/{name}-{digest}.json.gz"
        self._objects.put_if_absent(key, gzip.compress(text, _COMPRESSION, mtime=0), "application/gzip")
        return EvidenceRef(name=name, key=key, sha256=digest, size=len(text))

    def read(self, ref: EvidenceRef) -> object:
        """Read evidence back; raises `EvidenceCorrupt` where it is not what `ref` says."""
        body = self._objects.get(ref.key)
        if body is None:
            raise EvidenceCorrupt(f"{ref.key}: expected an object, was nothing")
        try:
            text = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise EvidenceCorrupt(f"{ref.key}: expected gzip, was {type(error).__name__}") from None
        if sha256(text).hexdigest() != ref.sha256:
            raise EvidenceCorrupt(f"{ref.key}: expected sha256 {ref.sha256}, was {sha256(text).hexdigest()}")
        document: object = json.loads(text, parse_float=Decimal)
        return document

    def keep_comparison(self, day: date, run_id: str, body: bytes) -> tuple[str, str]:
        """Store a comparison's canonical bytes; gives its key and digest."""
        digest = sha256(body).hexdigest()
        key = comparison_key(day, run_id, digest)
        self._objects.put_if_absent(key, body, "application/json")
        return key, digest

    def read_bytes(self, key: str) -> bytes | None:
        """Read any stored object, such as a comparison or a plan; None where there is none."""
        return self._objects.get(key)

    def digest_of(self, document: object) -> str:
        """Name `document` as it would be stored, without storing it."""
        return sha256(self.encode(document)).hexdigest()

    def encode(self, document: object) -> bytes:
        """Write `document` as it will be stored: canonical, and without secrets."""
        return self._redactor.clean(canonical(document)).encode()


def comparison_key(day: date, run_id: str, digest: str) -> str:
    """Name a comparison by day, run and content."""
    return f"comparisons/day={day.isoformat()}/{run_id}-{digest[:16]}.json"


def canonical(document: object) -> str:
    """Write canonical JSON: sorted keys, no spaces, decimals as plain texts, moments in UTC."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_as_json)


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
