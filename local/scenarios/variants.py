"""Business Unit: local cloud | Status: current.

Functions of either lane that faults can be planted in: the built zip as it is, with its handler renamed and the variant's in its
place. The template, the environment and everything else of the function stay as they are deployed.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from local.cloud.archive import digest, unzipped_bytes
from local.cloud.build import Artefact, Artefacts
from local.scenarios import candidate_variant, legacy_variant

HANDLER = "lambda_handler.py"
SOUND = "sound_handler.py"
PACKAGE = __name__.rpartition(".")[0]
_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16
_SHIM = '''"""Business Unit: local cloud | Status: current.

The handler of a function that faults can be planted in. Local cloud only.
"""

from pathlib import Path

import sound_handler
from {package}.{variant} import planted

lambda_handler = planted({sound}, {function!r}, Path({faults_file!r}))
'''


@dataclass(frozen=True, slots=True)
class Variant:
    """What is put around the functions of a lane: the modules that are shipped, the first of which wraps what `sound` names."""

    functions: tuple[str, ...]
    modules: tuple[str, ...]
    sound: str


CANDIDATE = Variant(candidate_variant.FUNCTIONS, ("candidate_variant", "candidate_defects"), "sound_handler.lambda_handler")
LEGACY = Variant(legacy_variant.FUNCTIONS, ("legacy_variant", "legacy_defects", "legacy_faults"), "sound_handler")


def plantable(artefacts: Artefacts, variant: Variant, faults_file: Path, out: Path) -> Artefacts:
    """Give `artefacts` with the functions of `variant` replaced by plantable ones, built below `out`.

    Each reads `faults_file` (a JSON list) at every call. Raises KeyError for a function that was not built.
    """
    made = {name: _function(artefacts.functions[name], variant, faults_file.absolute(), out) for name in variant.functions}
    return replace(artefacts, functions={**artefacts.functions, **made})


def _function(sound: Artefact, variant: Variant, faults_file: Path, out: Path) -> Artefact:
    shipped = {f"{name}.py": Path(__file__).with_name(f"{name}.py") for name in variant.modules}
    wrapped = {"sound": variant.sound, "function": sound.name, "faults_file": str(faults_file)}
    shim = _SHIM.format(package=PACKAGE, variant=variant.modules[0], **wrapped)
    path = out / f"{sound.name}-planted-{digest({'sound': sound.path, **shipped}, shim)}.zip"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(sound.path) as archive:
            files = {_renamed(entry.filename): archive.read(entry) for entry in archive.infolist()}
        inner = PACKAGE.replace(".", "/")
        package = {f"{folder}/__init__.py": b"" for folder in (inner, inner.partition("/")[0])}
        modules = {f"{inner}/{name}": module.read_bytes() for name, module in shipped.items()}
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
