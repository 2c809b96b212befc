"""Business Unit: local cloud | Status: current.

`python -m local.security`: scan with bandit and checkov, in an environment of their own below `build/`, and end with 1 when they
report what no written reason covers, or a reason covers nothing any more. Where npm is, asl-validator reads the machines too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from shadow.contracts.model import Frozen

ROOT = Path(__file__).parents[2]
ENVIRONMENT = Path("build/security-venv")
PINNED = ("bandit==1.9.4", "checkov==3.3.30")
ASL_VALIDATOR = "asl-validator@4.0.0"
CODE = ("shadow", "functions", "reports", "local")
_INSTALL_SECONDS, _SCAN_SECONDS = 600, 300


class Finding(Frozen):
    """One thing that a scanner reports: its rule, the file or resource, and its words."""

    id: str
    where: str
    told: str


class Exempted(Frozen):
    """What is reported and is as it is on purpose."""

    id: str
    where: str
    why: str

    def covers(self, finding: Finding) -> bool:
        """Tell whether this is the reason of `finding`."""
        return self.id == finding.id and fnmatchcase(finding.where, self.where)


def judged(findings: list[Finding], exceptions: list[Exempted]) -> list[str]:
    """Say what is wrong: findings without a reason, reasons without a finding."""
    unexplained = [each for each in findings if not any(reason.covers(each) for reason in exceptions)]
    idle = [reason for reason in exceptions if not any(reason.covers(each) for each in findings)]
    return [f"{each.id} {each.where}: {each.told}" for each in unexplained] + [
        f"{each.id} {each.where}: this exception covers nothing any more" for each in idle
    ]


def exceptions() -> list[Exempted]:
    """Read the written reasons."""
    text = files("local.security").joinpath("exceptions.toml").read_text(encoding="utf-8")
    return TypeAdapter(list[Exempted]).validate_python(tomllib.loads(text)["exceptions"])


def _bandit() -> Iterator[Finding]:
    answer = json.loads(_scan("bandit", "--quiet", "--recursive", "--format", "json", *CODE))
    for result in answer["results"]:
        place = f"{result['filename']}".removeprefix("./")
        yield Finding(id=result["test_id"], where=place, told=f"line {result['line_number']}: {result['issue_text']}")


def _checkov() -> Iterator[Finding]:
    answer = json.loads(
        _scan("checkov", "--file", "template.yaml", "--framework", "cloudformation", "--output", "json", "--quiet")
    )
    for result in answer["results"]["failed_checks"]:
        yield Finding(id=result["check_id"], where=result["resource"], told=result["check_name"])


def _asl_validator(npm: str) -> Iterator[Finding]:
    for path in sorted((ROOT / "statemachines").glob("*.asl.json")):
        command = [npm, "exec", "--yes", f"--prefix={ROOT / 'build'}", ASL_VALIDATOR, "--", "--json-path", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SCAN_SECONDS, check=False)  # noqa: S603 - npm and our own arguments
        if done.returncode or "is valid" not in done.stdout:
            told = " ".join((done.stdout + done.stderr).split())[-500:]
            yield Finding(id="asl-validator", where=path.name, told=told or f"no opinion (exit {done.returncode})")


def _scan(tool: str, *arguments: str) -> str:
    command = [str(ROOT / ENVIRONMENT / "bin" / tool), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SCAN_SECONDS, check=False)  # noqa: S603 - our own environment and arguments
    return done.stdout


def _ensure_environment() -> None:
    if (ROOT / ENVIRONMENT / "bin" / "checkov").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(ROOT / ENVIRONMENT)], check=True, timeout=_INSTALL_SECONDS)  # noqa: S603 - our own interpreter
    pip = [str(ROOT / ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", *PINNED]
    subprocess.run(pip, check=True, timeout=_INSTALL_SECONDS)  # noqa: S603 - our own interpreter


def main() -> int:
    """Scan; give the exit code."""
    _ensure_environment()
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("security: no npm here, so asl-validator did not read the state machines\n")
    machines = [] if npm is None else [*_asl_validator(npm)]
    wrong = judged([*_bandit(), *_checkov(), *machines], exceptions())
    for line in wrong:
        sys.stderr.write(f"security: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
