"""Business Unit: evidence | Status: current.

The pair ledger as the comparator sees it: which moves a pair may make, and the port through which it makes them. Each move
is conditional on the version it was decided on and leaves an audit entry in the same transaction, so of two comparators one
wins and the other reads again.

    PENDING ──► JUDGED                      both lanes settled and compared
       └──► LATE ──► JUDGED                 the same, after the first deadline
              └──► MISSING ──► RESOLVED_LATE   a lane absent at the last deadline; it turned up after all
    JUDGED ──► JUDGED, RESOLVED_LATE ──► RESOLVED_LATE   judged again: a redrive, or evidence that came late

What a verdict announces (metrics) is written in the same transaction and taken away once it has been emitted: a crash
between the two leaves it for the sweeper. So it is announced exactly once, except when the process dies between emitting and
noting that it did: then it is announced twice, and never not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from pydantic import Field

from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import PairMoved
from shadow.contracts.metrics import Metric
from shadow.contracts.model import Frozen
from shadow.contracts.pair import Pair, PairState

MOVES = {
    PairState.PENDING: frozenset({PairState.PENDING, PairState.LATE, PairState.JUDGED}),
    PairState.LATE: frozenset({PairState.LATE, PairState.JUDGED, PairState.MISSING}),
    PairState.JUDGED: frozenset({PairState.JUDGED}),
    PairState.MISSING: frozenset({PairState.MISSING, PairState.RESOLVED_LATE}),
    PairState.RESOLVED_LATE: frozenset({PairState.RESOLVED_LATE}),
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """The metrics of one verdict, until they have been emitted. `at` is when it was written or last claimed."""

    plan_id: str
    version: int
    at: datetime
    metrics: Mapping[Metric, float]


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of a pair: from what it was decided on to what it becomes, by whom, when, and what it announces."""

    before: Pair
    after: Pair
    actor: str
    at: datetime
    announces: Mapping[Metric, float] | None = None

    def changes(self) -> dict[str, str]:
        """Give the changed fields with their new values as texts, for the audit entry."""
        old, new = self.before.to_wire(), self.after.to_wire()
        return {name: "" if value is None else str(value) for name, value in new.items() if value != old[name]}


@dataclass(frozen=True, slots=True)
class UnreadablePair:
    """An item of the ledger that is not what its key says.

    One that should be a pair is counted as published, in no category, and so as a conservation error.
    """

    key: str
    reason: str


class SweepNotes(Frozen):
    """What one sweep leaves for the next: the plan to go on with, and what the last visit of each pair found, by plan.

    `stuck` counts lanes that stand still, `left_working` orders that may be working after their run; a pair with none is not
    in them.
    """

    resume_at: str | None = None
    stuck: dict[str, int] = Field(default_factory=dict)
    left_working: dict[str, int] = Field(default_factory=dict)


class PairLedger(Protocol):
    """The comparator's side of the pair ledger. Every method may raise `EvidenceUnavailable`."""

    def get(self, plan_id: str) -> Pair | None:
        """Read a pair as it is now; None where the plan has none."""
        ...

    def move(self, transition: Transition) -> Pair:
        """Make a transition; gives the pair as it then is. Raises `PairMoved` when it is not as decided on any more."""
        ...

    def open_pairs(self) -> Iterable[Pair]:
        """Give the PENDING and LATE pairs, the oldest first."""
        ...

    def pairs_of(self, trading_day: date) -> list[Pair | UnreadablePair]:
        """Give every pair of a trading day."""
        ...

    def evidence_of(self, plan_id: str) -> dict[str, EvidenceRef]:
        """Give the evidence recorded for a pair, by name."""
        ...

    def record_evidence(self, plan_id: str, ref: EvidenceRef) -> EvidenceRef:
        """Record a piece of evidence unless one of its name is recorded; gives the one that stands."""
        ...

    def announcements(self, before: datetime) -> Sequence[Announcement | UnreadablePair]:
        """Give the announcements that have waited since `before`, and those that cannot be read."""
        ...

    def claim(self, announcement: Announcement, at: datetime) -> Announcement | None:
        """Take an announcement over; None when somebody else did."""
        ...

    def announced(self, announcement: Announcement) -> None:
        """Take an announcement away: it has been emitted."""
        ...

    def sweep_notes(self) -> SweepNotes:
        """Give what the last sweep left; nothing before the first one."""
        ...

    def keep_sweep_notes(self, notes: SweepNotes) -> None:
        """Leave `notes` for the next sweep."""
        ...


def moved(before: Pair, **changes: object) -> Pair:
    """Give `before` with `changes` and the next version; raises `PairMoved` for a move that the states do not have."""
    after = Pair.model_validate(before.model_dump() | changes | {"version": before.version + 1})
    if after.state not in MOVES[before.state]:
        raise PairMoved(f"pair {before.plan_id}: expected a move from {before.state}, was {after.state}")
    return after
