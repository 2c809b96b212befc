"""Business Unit: local cloud | Status: current.

What can go wrong while the local cloud is built, started and deployed to, each with what to look at next.

LocalCloudError
├── EnvironmentFailed   the emulator's Python environment could not be made
├── EmulatorFailed      the emulator did not start, or is not running
├── BuildFailed         an artefact could not be built
├── TemplateFailed      the template names something that does not exist, or cannot be adapted
└── StackFailed         CloudFormation refused or rolled back the stack
"""

from __future__ import annotations

from dataclasses import dataclass

from shadow.contracts.errors import ShadowError


class LocalCloudError(ShadowError):
    """The root of everything the local cloud raises on purpose."""


class EnvironmentFailed(LocalCloudError):
    """The emulator's Python environment could not be made."""


class EmulatorFailed(LocalCloudError):
    """The emulator did not start, or is not running."""


class BuildFailed(LocalCloudError):
    """An artefact could not be built."""


class TemplateFailed(LocalCloudError):
    """The template names something that does not exist, or it cannot be adapted."""


@dataclass(frozen=True, slots=True)
class ResourceFailure:
    """One resource that CloudFormation could not make: its logical id, its type, and the reason given."""

    logical_id: str
    resource_type: str
    reason: str

    def __str__(self) -> str:
        """Read as a line."""
        return f"{self.logical_id} ({self.resource_type}): {self.reason}"


class StackFailed(LocalCloudError):
    """CloudFormation refused or rolled back the stack. Carries the status and every failed resource's reason."""

    def __init__(self, stack: str, status: str, failures: tuple[ResourceFailure, ...], reason: str = "") -> None:
        """Remember which `stack` ended in which `status`, and why."""
        self.stack = stack
        self.status = status
        self.failures = failures
        details = "; ".join(str(failure) for failure in failures) or reason or "no reason given"
        super().__init__(f"stack {stack} ended {status}: {details}")
