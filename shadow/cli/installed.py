"""Business Unit: command line | Status: current.

Which part of an installation a missing package belongs to, and the command that installs it.
"""

from __future__ import annotations

DISTRIBUTION = "shadow-lanes"
_NEEDS_LOCAL = ("up", "down", "demo", "chaos", "example")
_PART_OF = {
    "reports": ("exchange_calendars", "jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "scipy"),
    "broker": ("alpaca", "requests"),
    "local": ("ipykernel", "nbclient", "nbformat", "packaging"),
}


def install_command(missing: ModuleNotFoundError, command: str | None = None) -> str | None:
    """Say what to install for a package that is not there; None where no part of the installation brings it."""
    package = (missing.name or "").partition(".")[0]
    part = next((part for part, packages in _PART_OF.items() if package in packages), None)
    if part is None:
        return None
    if command in _NEEDS_LOCAL:
        part = "local"
    return f"{package} is not installed, and the command needs it: pip install '{DISTRIBUTION}[{part}]'"
