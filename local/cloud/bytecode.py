"""Business Unit: local cloud | Status: current.

Bytecode for the layers. A layer is read-only, so what it carries as source alone is compiled again at every cold start: three
quarters of one. Bytecode is of one Python version; where this machine has no interpreter of the target's, there is none.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from local.cloud.errors import BuildFailed

UNPACKED_AT = "/opt"
_SECONDS = 300
_ASK = "import sys; print(sys.implementation.cache_tag)"


def compiler_for(version: str) -> Path | None:
    """Find an interpreter of Python `version` (`3.14`) on this machine; None where there is none."""
    for name in (sys.executable, shutil.which(f"python{version}")):
        if name and _cache_tag(Path(name)) == f"cpython-{version.replace('.', '')}":
            return Path(name)
    return None


def compiled(python: Path, root: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Compile the modules of `files` below `root`, as they lie there, and list their bytecode by the name it gets in the zip.

    The bytecode does not look at its source again (a layer cannot change), and names it as it will lie in Lambda. A module that
    is not of this Python's grammar has none, and fails where it is imported, as ever. Raises BuildFailed when nothing compiles.
    """
    command = [
        str(python),
        "-m",
        "compileall",
        "-qq",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(root),
        "-p",
        UNPACKED_AT,
    ]
    try:
        done = subprocess.run([*command, str(root)], capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 - an interpreter of this machine
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"the modules below {root.name} were not compiled: {type(error).__name__}") from error
    tag = _cache_tag(python)
    found = {}
    for name, path in files.items():
        bytecode = path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"
        if path.suffix == ".py" and bytecode.is_file():
            found[str(PurePosixPath(name).parent / "__pycache__" / bytecode.name)] = bytecode
    if not found and any(path.suffix == ".py" for path in files.values()):
        raise BuildFailed(f"the modules below {root.name} were not compiled: {done.stderr.strip()[-500:]}")
    return found


def _cache_tag(python: Path) -> str:
    try:
        done = subprocess.run([str(python), "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 - an interpreter of this machine
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
