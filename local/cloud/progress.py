"""Business Unit: local cloud | Status: current.

Anything over two seconds says what it is doing. Callers choose how that is shown: a line, a spinner, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(message: str) -> None:
    """Show nothing of `message`."""
