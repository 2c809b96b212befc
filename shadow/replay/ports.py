"""Business Unit: replay | Status: current.

What a replay needs from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import ConfigurationError, ShadowError
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan


@dataclass(frozen=True, slots=True)
class Archived:
    """What is kept of a plan's live run: the control's outcome, its evidence, and what the control's account held (shares)."""

    control: RunOutcome
    evidence: tuple[EvidenceRef, ...] = ()
    held: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """One started replay: its pair, its plan under the replay's name, and what it will be compared with."""

    pair: Pair
    plan: RebalancePlan
    archived: Archived


class Archive(Protocol):
    """Where the control's outcomes are kept."""

    def archived(self, plan_id: str) -> Archived | None:
        """Give what is kept of the plan's live run; None where its control was never read."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive that is at hand: what production did, by plan."""

    archives: Mapping[str, Archived]

    def archived(self, plan_id: str) -> Archived | None:
        """Give what is kept of the plan's live run."""
        return self.archives.get(plan_id)


class Candidate(Protocol):
    """The candidate, as a replay uses it."""

    def start(self, plan: RebalancePlan, held: Mapping[str, Decimal], now: datetime) -> Pair:
        """Record the replay's pair and start its execution; a pair that exists already is given as it is."""
        ...

    def outcome(self, pair: Pair, plan: RebalancePlan, now: datetime) -> tuple[RunOutcome, EvidenceRef] | None:
        """Read what the candidate did, its evidence copied; None while it is running."""
        ...


class Judging(Protocol):
    """Judges a replay and keeps the verdict."""

    def judge(self, run: ReplayRun, candidate: RunOutcome, ref: EvidenceRef, now: datetime) -> tuple[Verdict, str]:
        """Store the comparison and close the pair; gives the verdict and the comparison's key."""
        ...


class ReplayEnd(StrEnum):
    """What became of one plan. WAITING and FAILED are taken up again when the replay is resumed."""

    JUDGED = "judged"
    SKIPPED = "skipped"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One plan and what became of its replay. `comparison` is the key it is stored under; `reason` where there is none."""

    plan_id: str
    replay_id: str
    end: ReplayEnd
    verdict: Verdict = Verdict.PENDING
    comparison: str | None = None
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether resuming leaves this plan alone."""
        return self.end in (ReplayEnd.JUDGED, ReplayEnd.SKIPPED)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "plan_id": self.plan_id,
            "replay_id": self.replay_id,
            "end": self.end.value,
            "verdict": self.verdict.value,
            "comparison": self.comparison,
            "reason": self.reason or None,
        }


class ReplayRefused(ConfigurationError):
    """Nothing is replayed: the candidate could do more than record its orders."""


class ReplayState(ShadowError):
    """The state file of a replay cannot be read or written."""
