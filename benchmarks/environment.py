"""Business Unit: benchmarks | Status: current.

The peers live in an environment of their own, `build/bench-venv`: datacompy holds pandas back, and what is only measured against
must not stand among what is deployed. Measurements run there as child processes (`benchmarks.probe`) that answer in JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.rows import Measurement
from local.cloud.locking import locked

CHECKOUT = Path(__file__).parents[1]
PEERS = CHECKOUT / "build" / "bench-venv"
_REQUIREMENTS = CHECKOUT / "requirements" / "bench.txt"
_STAMP = PEERS / ".made-from"
_INSTALL_SECONDS = 300
_PROBE_SECONDS = 400


class ProbeFailed(Exception):
    """A measurement's process ended with an error."""


def peers_python() -> Path:
    """Give the interpreter of the peers' environment, making it unless it was made from the same pinned requirements."""
    python = PEERS / "bin" / "python"
    fingerprint = f"{hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()} {sys.version.split()[0]}"
    with locked(CHECKOUT / "build" / "bench-venv.lock"):
        if python.exists() and _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == fingerprint:
            return python
        _call([sys.executable, "-m", "venv", "--clear", str(PEERS)], _INSTALL_SECONDS)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        _call([*pip, "--require-hashes", "--only-binary=:all:", "-r", str(_REQUIREMENTS)], _INSTALL_SECONDS)
        _STAMP.write_text(fingerprint, encoding="utf-8")
    return python


def probe(
    python: Path,
    module: str,
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = _PROBE_SECONDS,
) -> object:
    """Run `measure(**options)` of `benchmarks.MODULE` in a process of `python` and give its answer. Raises ProbeFailed."""
    command = [str(python), "-m", "benchmarks.probe", module, json.dumps(options or {})]
    answer = _call(command, seconds, environment)
    return json.loads(answer.splitlines()[-1])


def measured(python: Path, module: str, options: Mapping[str, object] | None = None) -> Measurement:
    """Run a probe that gives a whole measurement."""
    answer = probe(python, module, options)
    if not isinstance(answer, Mapping):
        raise ProbeFailed(f"{module}: expected an object, was {type(answer).__name__}")
    return Measurement.read(answer)


def _call(command: list[str], seconds: float, environment: Mapping[str, str] | None = None) -> str:
    variables = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "0", **(environment or {})}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreters and modules
            command, capture_output=True, text=True, timeout=seconds, check=False, cwd=CHECKOUT, env=variables
        )
    except subprocess.TimeoutExpired:
        raise ProbeFailed(f"{' '.join(command[1:4])}: not done after {seconds:.0f} s") from None
    if done.returncode != 0:
        raise ProbeFailed(f"{' '.join(command[1:4])}: {done.stderr.strip()[-1500:]}")
    return done.stdout
