"""Business Unit: evidence | Status: current.

What settlement needs from outside: the lanes' records, the plan, the judge, the broker's truth. Every reader may raise
`EvidenceUnavailable`, which means: ask again later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shadow.contracts.comparison import Comparison, EvidenceRef
from shadow.contracts.metrics import Metric
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a judge is given of one pair."""

    pair: Pair
    plan: RebalancePlan
    control: RunOutcome | None
    candidate: RunOutcome | None
    evidence: tuple[EvidenceRef, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A comparison, its canonical bytes, and the metrics it is announced by when it is a pair's first."""

    comparison: Comparison
    body: bytes


Judge = Callable[[Case], Judgement]


Starter = Callable[[Pair], StartState]
"""Completes a pair's start under the very name and input it was published with, and records what came of it."""


class Recorder(Protocol):
    """Metrics and logs."""

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Write metrics."""
        ...

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Write one log line, without payloads."""
        ...


Now = Callable[[], datetime]
