"""Business Unit: local cloud | Status: current.

Zips that are the same, byte for byte, whenever their contents are: names sorted, one fixed date, fixed permissions. What is
not needed to run (tests, caches, stubs of installers) is left out.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "tests", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyi", ".c", ".h", ".pxd", ".pyx", ".hpp", ".cpp", ".f90"})
_LEFT_OUT_RECORDS = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16


def contents(folder: Path, prefix: str = "", *, only: Iterable[str] | None = None) -> dict[str, Path]:
    """List what of `folder` goes into a zip, by the name it gets there: `prefix` and the path below the folder.

    `only` limits it to files with one of these suffixes.
    """
    wanted = None if only is None else frozenset(only)
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and _belongs(relative) and (wanted is None or path.suffix in wanted):
            found[str(PurePosixPath(prefix, *relative.parts))] = path
    return found


def _belongs(relative: Path) -> bool:
    if _LEFT_OUT_FOLDERS.intersection(relative.parts[:-1]) or relative.suffix in _LEFT_OUT_SUFFIXES:
        return False
    installed = len(relative.parts) > 1 and relative.parts[-2].endswith(".dist-info")
    return not (installed and relative.name in _LEFT_OUT_RECORDS) and relative.parts[0] != "bin"


def digest(files: Mapping[str, Path], *extra: str) -> str:
    """Give a hash of the names and contents of `files` and of each `extra` string: 20 hexadecimal digits."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256(files[name].read_bytes()).digest())
    for text in extra:
        total.update(b"\1" + text.encode())
    return total.hexdigest()[:20]


def write_zip(target: Path, files: Mapping[str, Path], *, onto: Path | None = None) -> None:
    """Write `files` into the zip `target`, which appears whole or not at all.

    With `onto`, the entries of that zip come first and are copied as they are, without being compressed again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(onto.read_bytes() if onto is not None else b"")
    with zipfile.ZipFile(partial, "a" if onto is not None else "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _FILE_MODE
            entry.create_system = 3
            archive.writestr(entry, files[name].read_bytes())
    partial.rename(target)


def unzipped_bytes(path: Path) -> int:
    """Give how many bytes the zip at `path` takes when it is unzipped."""
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())
