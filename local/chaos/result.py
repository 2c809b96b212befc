"""Business Unit: local cloud | Status: current.

What a chaos run leaves: every fault with what became of it, the checks with their figures, and one word.
"""

from __future__ import annotations

from shadow.contracts.model import Frozen


class Injected(Frozen):
    """One fault: when (seconds from the start), what, at what, while which plan ran, and what became of it."""

    at: float
    fault: str
    target: str
    plan_id: str
    effect: str
    outcome: str = ""


class Check(Frozen):
    """One thing that must hold, whether it does, and the figures that say so."""

    name: str
    holds: bool
    told: str


class ChaosResult(Frozen):
    """Everything a chaos run has to say."""

    seed: int
    minutes: float
    seconds: float
    plans: int
    faults: tuple[Injected, ...]
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether everything held."""
        return all(check.holds for check in self.checks)
