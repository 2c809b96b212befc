"""Business Unit: replay | Status: current.

A replay sends plans of the past to the candidate, so it runs only where the candidate records its orders and sends none. Both
the stack's parameter and what its functions were really configured with must say so.
"""

from __future__ import annotations

from collections.abc import Mapping

from shadow.contracts.vocabulary import ExecutionMode
from shadow.replay.errors import ReplayRefused

MODE_VARIABLE = "EXECUTION_MODE"


def refuse_unless_dry_run(parameter: str | None, functions: Mapping[str, str | None]) -> None:
    """Raise `ReplayRefused` unless everything that is known says dry_run, and something is known of every function.

    `parameter` is the stack's `ExecutionMode` (None: the stack does not say), `functions` maps their names to their modes.
    """
    wanted = ExecutionMode.DRY_RUN.value
    if parameter is not None and parameter != wanted:
        raise ReplayRefused(f"stack parameter ExecutionMode: expected {wanted} for a replay, was {parameter}")
    wrong = [
        f"{name}: expected {MODE_VARIABLE} {wanted}, was {mode or 'nothing'}"
        for name, mode in functions.items()
        if mode != wanted
    ]
    if wrong or not functions:
        raise ReplayRefused("; ".join(wrong) or f"expected functions with {MODE_VARIABLE} {wanted}, was none")
