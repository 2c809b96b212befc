"""Business Unit: evidence | Status: current.

The evidence store's objects in a folder: for the local command line and the demo. Keys are paths below the folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from shadow.evidence.errors import EvidenceUnavailable


class FolderObjects:
    """Objects below a folder, each written whole or not at all."""

    def __init__(self, root: Path) -> None:
        """Keep objects below `root`."""
        self._root = root.resolve()

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """Store `body` unless the key exists already; say whether this call stored it."""
        del content_type
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(body)
        try:
            os.link(file.name, path)
        except FileExistsError:
            return False
        finally:
            Path(file.name).unlink()
        return True

    def get(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        path = self._path(key)
        return path.read_bytes() if path.is_file() else None

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root):
            raise EvidenceUnavailable(f"{key}: expected a key below the folder")
        return path
