"""Business Unit: local cloud | Status: current.

`python -m local.rehearse`: rehearse the deployment, step by step, and end with 1 at the first step that does not come out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from local.cloud.emulator import emulator
from local.cloud.environment import ensure_environment
from local.cloud.errors import LocalCloudError
from local.rehearse.project import Project, sam_cli
from local.rehearse.steps import STEPS


def main() -> int:
    """Rehearse; give the exit code."""
    checkout = Path(__file__).parents[2]
    started = time.monotonic()
    try:
        environment = ensure_environment(checkout, _say)
        _say("the SAM CLI and the artefacts (once: a few minutes)")
        sam = sam_cli(checkout)
        with emulator(environment) as cloud:
            project = Project(checkout, checkout / "build" / "rehearsal", sam, cloud.access)
            project.fill()
            for number, step in enumerate(STEPS, 1):
                began = time.monotonic()
                told = step(project)
                _say(
                    f"{number:2} of {len(STEPS)}  {step.__name__.replace('_', ' '):34} {time.monotonic() - began:5.0f} s  {told}"
                )
    except LocalCloudError as error:
        sys.stderr.write(f"rehearse: {error}\n")
        return 1
    _say(f"rehearsed in {time.monotonic() - started:.0f} s")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
