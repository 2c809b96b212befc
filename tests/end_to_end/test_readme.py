"""README from the top to the end, line by line, in a fresh clone: every line works as it is written.

Taken as done: the environments that `make` and the local cloud make once (`.venv`, `.venv-local`; they need the network), and
`make test`, which is long itself. A word in capitals stands for something of the reader's own, and gets a value below.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.cloud.environment import ensure_environment
from local.stack import CHECKOUT
from tests.end_to_end.test_report_browser import CHROMIUM, DRIVER, holds_first_screens_of_demo

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
RUN = """#!/bin/sh
exec {python} -m shadow "$@"
"""
JUDGES = ("explain", "report", "readiness", "rejudge", "noise", "replay", "candidate", "week", "publish")
"""Commands whose exit code is a verdict: 1 says that something diverged, or is not ready; 4 that nothing was compared yet."""
TAKEN_AS_DONE = ("make test",)
SECONDS = 600


def lines_of(readme: Path) -> list[str]:
    """Give what README's blocks of console lines say, without remarks; what a command prints is no line."""
    blocks = re.findall(r"```console\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("  #")[0].split(" # ")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("make ", "shadow ", "export "))]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone what is committed, with the environments that were made before."""
    ensure_environment(CHECKOUT)
    folder = tmp_path_factory.mktemp("fresh") / "shadow"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(folder)], check=True)  # noqa: S603, S607 - our own checkout
    (folder / ".venv" / "bin").mkdir(parents=True)
    script = folder / ".venv" / "bin" / "shadow"
    script.write_text(RUN.format(python=sys.executable))
    script.chmod(0o755)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / ".venv-local").symlink_to(CHECKOUT / ".venv-local")
    (folder / ".venv" / ".made-from-requirements").touch()
    return folder


def filled(line: str, folder: Path) -> str:
    """Give a line with the reader's own things in it."""
    plan = folder / "plan.json"
    plan_id = json.loads(plan.read_text())["plan_id"] if plan.is_file() and plan.stat().st_size else "PLAN_ID"
    if "plans/" in line:
        (folder / "plans").mkdir(exist_ok=True)
        shutil.copyfile(plan, folder / "plans" / "plan.json")
    if "--second B" in line:
        shutil.copytree(folder / "build" / "demo", folder / "build" / "again", dirs_exist_ok=True)
    values = {"PLAN_ID": plan_id, "KIND": "FILLED_QUANTITY", "FILE": "shadow/compare/default_policy.toml", "N": "1"}
    values |= {"A": "build/demo", "B": "build/again"}
    return re.sub(r"\b(PLAN_ID|KIND|FILE|N|A|B)\b", lambda found: values[found[1]], line)


def test_every_line_of_it_works_as_written(clone: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"PYTHONPATH": str(clone), "BROWSER": "/bin/true", "XDG_STATE_HOME": str(clone / "state")}
    lines = lines_of(clone / "README.md")
    assert {"make demo", "shadow up", "shadow example > plan.json", "shadow down"} <= set(lines)
    wrong: list[str] = []
    try:
        for line in lines:
            if line in TAKEN_AS_DONE:
                continue
            if line.startswith("export PATH="):
                environment["PATH"] = f"{clone}/.venv/bin:{environment['PATH']}"
                continue
            command = filled(line, clone)
            done = subprocess.run(  # noqa: S602 - README's own lines, as a reader types them
                command, shell=True, executable="/bin/bash", cwd=clone, env=environment, capture_output=True, text=True,
                check=False, timeout=SECONDS,
            )  # fmt: skip
            fine = (0, 1, 4) if command.split()[1] in JUDGES else (0,)
            if done.returncode not in fine or "Traceback" in done.stderr:
                wrong.append(f"{command}: {done.returncode}\n{done.stdout[-600:]}\n{done.stderr[-1200:]}")
    finally:
        subprocess.run([".venv/bin/shadow", "down"], cwd=clone, env=environment, check=False, capture_output=True)
    assert not wrong, "\n\n".join(wrong)
    if CHROMIUM and DRIVER:
        holds_first_screens_of_demo(clone / "build" / "demo", tmp_path)
