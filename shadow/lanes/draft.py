"""Business Unit: lanes | Status: current.

Writes an evidence document, a line of canonical JSON a record, without holding more than one record.
"""

from __future__ import annotations

import zlib
from hashlib import sha256

from shadow.contracts.model import canonical
from shadow.lanes.redaction import Redactor

_COMPRESSION = 6


_GZIP = 31  # zlib's way of asking for gzip's format, which then has no time stamp


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
        line = f"{canonical({'record': what, 'value': self._redactor.clean(value)})}\n".encode()
        self._digest.update(line)
        self._size += len(line)
        self._compressed += self._compress.compress(line)

    def finish(self) -> tuple[str, int, bytes]:
        """End the document: the digest and size of its text, and its compressed bytes."""
        self._compressed += self._compress.flush()
        return self._digest.hexdigest(), self._size, bytes(self._compressed)
