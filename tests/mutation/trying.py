"""Business Unit: tests | Status: current.

Try one mutant: a child process, forked before anything of this project is imported, reads the changed text in place of the file
and runs the nearest tests until the first that fails. The limit is in seconds of processor, so that a busy machine kills nobody.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import boto3  # noqa: F401 - imported once here, and not by each child
import hypothesis  # noqa: F401
import moto  # noqa: F401
import pydantic  # noqa: F401
import pytest

from tests.mutation.mutants import Mutant, mutated

LOGS = Path("build/mutants")
MOST_WALL = 20
"""How many seconds of the clock a child may take for each second of processor. One that takes more hangs, and kills nothing."""
_POLL_SECONDS = 0.05
_MEANING = {0: "survived", 1: "killed", 2: "killed"}
"""pytest's exit codes: all passed, some failed, or the tests could not even be collected. Any other is an error of this run."""


@dataclass(frozen=True)
class Tried:
    """What became of one run of tests: `survived`, `killed`, `timeout`, `hung` or `error`, and its seconds of processor."""

    outcome: str
    seconds: float


def attempt(tests: tuple[str, ...], limit: float, log: str, path: str | None = None, text: str | None = None) -> Tried:
    """Run tests in a child, with the file at `path` read as `text`, for at most `limit` seconds of processor."""
    LOGS.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        _run(tests, limit, LOGS / log, path, text)
    ends = time.monotonic() + limit * MOST_WALL
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    seconds = round(used.ru_utime + used.ru_stime, 1)
    if os.WIFSIGNALED(status):
        return Tried(
            {signal.SIGXCPU: "timeout", signal.SIGKILL: "hung"}.get(signal.Signals(os.WTERMSIG(status)), "killed"), seconds
        )
    return Tried(_MEANING.get(os.WEXITSTATUS(status), "error"), seconds)


def attempt_mutant(mutant: Mutant, tests: tuple[str, ...], limit: float) -> Tried:
    """Run the tests nearest to a mutant with its change made."""
    log = f"{mutant.path.replace('/', '-')}-{mutant.line}-{mutant.column}-{mutant.operator}-{mutant.occurrence}.log"
    return attempt(tests, limit, log, mutant.path, mutated(mutant))


def _run(tests: tuple[str, ...], limit: float, log: Path, path: str | None, text: str | None) -> None:
    code = 3
    try:
        with log.open("w", encoding="utf-8") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (round(limit), round(limit) + 5))
            if path is not None and text is not None:
                _read_as(path, text)
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=line", "-m", "not long", *tests]))
    finally:
        os._exit(code)


def _read_as(path: str, text: str) -> None:
    """Let the interpreter take `text` for what stands in the file at `path`."""
    target, original = str(Path(path).resolve()), SourceFileLoader.get_code

    def get_code(self: Any, fullname: str) -> CodeType | None:
        if str(Path(self.path).resolve()) == target:
            return compile(text, target, "exec", dont_inherit=True)
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
