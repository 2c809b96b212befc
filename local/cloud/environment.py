"""Business Unit: local cloud | Status: current.

The emulator pins its own botocore, so it lives in an environment of its own, `.venv-local`. Beside it stands a bare
interpreter for the functions: it has no packages at all, so a function finds only what its zip and layers carry, and a
dependency that was not packaged is missed here and not first on AWS.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.cloud.errors import EnvironmentFailed
from local.cloud.locking import locked
from local.cloud.progress import Progress, silent

_FOLDER = ".venv-local"
_FUNCTIONS = "functions"
_LAYERS = "layers"
_STAMP = ".made-from"
_REQUIREMENTS = Path("requirements") / "local.txt"
_INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """Two interpreters: `python` runs the emulator, `function_python` runs the functions and has no packages.

    `layers` is where emulators keep unzipped layers, by the hash of their content, from one start to the next.
    """

    python: Path
    function_python: Path
    layers: Path


def ensure_environment(checkout: Path, progress: Progress = silent) -> LocalEnvironment:
    """Make `.venv-local` in `checkout` unless it was already made from the same requirements and interpreter.

    Raises EnvironmentFailed when a step of it fails; the half-made environment is made again the next time.
    """
    requirements = checkout / _REQUIREMENTS
    if not requirements.is_file():
        raise EnvironmentFailed(f"expected the pinned requirements at {_REQUIREMENTS}, found nothing there")
    folder = checkout.absolute() / _FOLDER
    environment = LocalEnvironment(_python(folder), _python(folder / _FUNCTIONS), folder / _LAYERS)
    fingerprint = _fingerprint(requirements)
    with locked(checkout / "build" / f"{_FOLDER}.lock"):
        if _stamp(folder) == fingerprint and environment.python.exists() and environment.function_python.exists():
            return environment
        progress("making the emulator's environment (once)")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "creating the environment")
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder / _FUNCTIONS)], "creating the functions' interpreter")
        progress("installing the emulator")
        _run([str(environment.python), *_pip_install(requirements)], "installing the emulator")
        (folder / _STAMP).write_text(fingerprint)
    return environment


def _pip_install(requirements: Path) -> list[str]:
    """Give pip's arguments for an install that takes exactly the pinned, hashed files."""
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    return ["-m", "pip", "install", *quiet, "--require-hashes", "--only-binary=:all:", "-r", str(requirements)]


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _fingerprint(requirements: Path) -> str:
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return f"{digest} {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"


def _stamp(folder: Path) -> str:
    stamp = folder / _STAMP
    return stamp.read_text() if stamp.is_file() else ""


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)  # noqa: S603 - our own interpreter and arguments
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailed(f"{what}: not done after {_INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        raise EnvironmentFailed(f"{what} failed: {done.stderr.strip()[-2000:]}")
