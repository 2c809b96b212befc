"""Business Unit: local cloud | Status: current.

Candidate functions that faults can be planted in: the built zip as it is, with its handler renamed and the variant's in its
place. The template, the environment and everything else of the function stay as they are deployed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from local.cloud.archive import digest, unzipped_bytes
from local.cloud.build import Artefact, Artefacts
from local.scenarios.candidate_variant import FUNCTIONS

HANDLER = "lambda_handler.py"
SOUND = "sound_handler.py"
PACKAGE = "local/scenarios"
MODULES = ("candidate_variant.py", "candidate_defects.py")
_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16
_SHIM = '''"""Business Unit: local cloud | Status: current.

The handler of a function that faults can be planted in. Local cloud only.
"""

from pathlib import Path

import sound_handler
from local.scenarios.candidate_variant import planted

lambda_handler = planted(sound_handler.lambda_handler, {function!r}, Path({faults_file!r}))
'''


def plantable(artefacts: Artefacts, faults_file: Path, out: Path, *, functions: Iterable[str] = FUNCTIONS) -> Artefacts:
    """Give `artefacts` with `functions` replaced by plantable ones, built below `out`.

    Each reads `faults_file` (a JSON list) at every call. Raises KeyError for a function that was not built.
    """
    variants = {name: _variant(artefacts.functions[name], faults_file.absolute(), out) for name in functions}
    return replace(artefacts, functions={**artefacts.functions, **variants})


def _variant(sound: Artefact, faults_file: Path, out: Path) -> Artefact:
    variant = {name: Path(__file__).with_name(name) for name in MODULES}
    shim = _SHIM.format(function=sound.name, faults_file=str(faults_file))
    path = out / f"{sound.name}-planted-{digest({'sound': sound.path, **variant}, shim)}.zip"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(sound.path) as archive:
            files = {_renamed(entry.filename): archive.read(entry) for entry in archive.infolist()}
        package = {f"{folder}/__init__.py": b"" for folder in ("local", PACKAGE)}
        modules = {f"{PACKAGE}/{name}": module.read_bytes() for name, module in variant.items()}
        _write(path, {**files, **package, **modules, HANDLER: shim.encode()})
    return Artefact(sound.name, path, unzipped_bytes(path))


def _renamed(name: str) -> str:
    return SOUND if name == HANDLER else name


def _write(path: Path, files: dict[str, bytes]) -> None:
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = _FILE_MODE
            archive.writestr(entry, files[name])
    partial.rename(path)
