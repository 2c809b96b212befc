"""Business Unit: tests | Status: current.

`make fuzz`: every property of this folder, driven by coverage for a share of the given time, two at a time, each in a process of
its own. The engine is Atheris (libFuzzer for Python): it changes the bytes that Hypothesis makes its examples of, and keeps those
that reach new code of this project. Exit code 1 where a property failed; the example that failed is printed.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
OUT = Path("build/fuzz")
START_SECONDS = 4.0
SLACK_SECONDS = 60
AT_ONCE = 2
_LAST = re.compile(rb"cov: (\d+) ft: (\d+)")
_UNITS = re.compile(rb"stat::number_of_executed_units:\s+(\d+)")
_ERROR = re.compile(rb"=== Uncaught Python exception: ===\s*\n([^\n]*)")
_EXAMPLE = re.compile(rb"(@example\(.*)\n")


@dataclass(frozen=True)
class Fuzzed:
    """What became of one property: inputs tried, edges of our code reached at first and at last, and how it failed, if it did."""

    target: str
    inputs: int
    covered_first: int
    covered: int
    features: int
    seconds: float
    failure: str | None
    reproduce: str | None


def targets() -> Iterator[str]:
    """Give every property of this folder that needs no fixture: `module:function`."""
    for path in sorted(HERE.glob("test_fuzz_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names = {ast.unparse(call.func) for call in node.decorator_list if isinstance(call, ast.Call)}
                if "given" in names and not any("parametrize" in name for name in names):
                    yield f"{path.stem}:{node.name}"


def fuzz(target: str, seconds: float) -> Fuzzed:
    """Fuzz one property for so long, in a process of its own."""
    module, _, function = target.partition(":")
    corpus = OUT / "corpus" / module / function
    corpus.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.engine", module, function, str(max(1, round(seconds))), str(corpus.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + SLACK_SECONDS, check=False)  # noqa: S603 - ours
        told, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        told, code = (late.stdout or b"") + (late.stderr or b"") + b"\n=== Uncaught Python exception: ===\nit did not end", 1
    (OUT / f"{module}-{function}.log").write_bytes(told)
    covered = [(int(match[1]), int(match[2])) for match in _LAST.finditer(told)] or [(0, 0)]
    units = _UNITS.search(told)
    return Fuzzed(
        target=target,
        inputs=int(units[1]) if units else 0,
        covered_first=covered[0][0],
        covered=covered[-1][0],
        features=covered[-1][1],
        seconds=round(time.monotonic() - began, 1),
        failure=_failure(told) if code else None,
        reproduce=_text(_EXAMPLE.search(told)) if code else None,
    )


def _failure(told: bytes) -> str:
    found = _ERROR.search(told)
    return (_text(found) or told[-300:].decode(errors="replace")).strip()


def _text(match: re.Match[bytes] | None) -> str | None:
    return None if match is None else match[1].decode(errors="replace")


def main() -> int:
    """Fuzz, and say what was done."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for all properties together")
    parser.add_argument("--only", default="", help="properties whose name holds this text")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        sys.stderr.write("fuzz: expected Atheris (requirements/fuzz.txt: Linux on x86-64), was not there\n")
        return 3
    chosen = [target for target in targets() if options.only in target]
    share = max(1.0, options.seconds * AT_ONCE / max(1, len(chosen)) - START_SECONDS)
    results = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(lambda target: fuzz(target, share), chosen):
            results.append(result)
            if not options.json:
                sys.stdout.write(_line(result))
                sys.stdout.flush()
    failed = [result for result in results if result.failure is not None]
    if options.json:
        sys.stdout.write(json.dumps({"results": [asdict(result) for result in results], "failed": len(failed)}, indent=2) + "\n")
    else:
        inputs = sum(result.inputs for result in results)
        sys.stdout.write(f"{len(results)} properties, {inputs} inputs, {len(failed)} failed (logs and corpus: {OUT}/)\n")
    return 1 if failed else 0


def _line(result: Fuzzed) -> str:
    state = "FAILED" if result.failure is not None else "ok"
    new = result.covered - result.covered_first
    line = f"{state:<7}{result.target:<100} {result.inputs:>7} inputs {result.covered:>6} edges (+{new})\n"
    if result.failure is not None:
        line += f"       {result.failure}\n{result.reproduce or '       (see the log)'}\n"
    return line


if __name__ == "__main__":
    sys.exit(main())
