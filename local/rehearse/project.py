"""Business Unit: local cloud | Status: current.

A copy of what is deployed, which the rehearsal may change, and the SAM CLI in an environment of its own to deploy it with.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.cloud.access import CloudAccess, dummy_environment
from local.cloud.build import build_artefacts, publish_layers
from local.cloud.errors import EnvironmentFailed, LocalCloudError
from local.deploying import CONFIGURED, command, to_toml

_ENVIRONMENT = ".venv-sam"
_REQUIREMENTS = "requirements/sam.txt"
_PARTS = ("functions", "statemachines", "shadow", "reports", "requirements")
_FILES = ("template.yaml", CONFIGURED)
_INSTALL_SECONDS, _DEPLOY_SECONDS = 600, 240


class StepFailed(LocalCloudError):
    """A step of the rehearsal did not come out as it must; the message says what was expected and what was found."""


def sam_cli(checkout: Path) -> Path:
    """Give the SAM CLI, installed once from the pinned requirements. Raises EnvironmentFailed when that fails."""
    folder, pinned = checkout.absolute() / _ENVIRONMENT, checkout / _REQUIREMENTS
    stamp, wanted = folder / "made-from", f"{hashlib.sha256(pinned.read_bytes()).hexdigest()} {sys.version}"
    if not stamp.is_file() or stamp.read_text() != wanted:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        # The list is complete; the resolver of pip would ask for pins of what is asked for with extras.
        complete = ["--no-deps", "--require-hashes", "-r", str(pinned)]
        for step in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, *complete]):
            done = subprocess.run(step, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)  # noqa: S603 - our own interpreter and arguments
            if done.returncode != 0:
                raise EnvironmentFailed(f"installing the SAM CLI failed: {done.stderr.strip()[-1000:]}")
        stamp.write_text(wanted)
    return folder / "bin" / "sam"


@dataclass(frozen=True, slots=True)
class Project:
    """The copy at `folder`, deployed with `sam` into the cloud that `access` reaches."""

    checkout: Path
    folder: Path
    sam: Path
    access: CloudAccess

    def fill(self) -> None:
        """Copy what is deployed, and build it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "home").mkdir(parents=True)
        for part in _PARTS:
            shutil.copytree(self.checkout / part, self.folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for name in _FILES:
            shutil.copyfile(self.checkout / name, self.folder / name)
        self.build()

    def build(self) -> None:
        """Build the layers for this machine, where the template looks for them."""
        publish_layers(build_artefacts(self.folder, self.checkout / "build" / "artefacts"), self.folder / "build" / "layers")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the copy. Raises StepFailed when `old` does not stand there."""
        text = (self.folder / name).read_text()
        if old not in text:
            raise StepFailed(f"{name}: expected {old!r} to stand there")
        (self.folder / name).write_text(text.replace(old, new, 1))

    def configured(self, stage: str) -> dict[str, str]:
        """Read the parameters of `stage` as samconfig.toml has them."""
        tables = tomllib.loads((self.folder / CONFIGURED).read_text())
        return dict(tables[stage]["deploy"]["parameters"]["parameter_overrides"])

    def configure(self, stage: str, changes: Mapping[str, str]) -> None:
        """Edit parameters of `stage` in samconfig.toml, as a person would."""
        tables = tomllib.loads((self.folder / CONFIGURED).read_text())
        tables[stage]["deploy"]["parameters"]["parameter_overrides"].update(changes)
        (self.folder / CONFIGURED).write_text(to_toml((), tables))

    def deploy(self, stage: str) -> tuple[bool, str]:
        """Deploy as `make deploy-dev` does; tell whether the SAM CLI was content, and what it said."""
        return self.run(command(self.folder, stage, str(self.sam)))

    def run(self, arguments: list[str]) -> tuple[bool, str]:
        """Run the SAM CLI; tell whether it was content, and what it said."""
        quiet = {"HOME": str(self.folder / "home"), "PATH": os.defpath, "SAM_CLI_TELEMETRY": "0", "LANG": "C.UTF-8"}
        done = subprocess.run(  # noqa: S603 - the SAM CLI with our own arguments
            arguments,
            cwd=self.folder,
            env=dummy_environment(self.access.endpoint, self.access.token) | quiet,
            capture_output=True,
            text=True,
            timeout=_DEPLOY_SECONDS,
            check=False,
        )
        return done.returncode == 0, done.stdout + done.stderr
