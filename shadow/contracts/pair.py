"""Business Unit: shared contracts | Status: current.

The pair: the two runs of one plan, from publication to verdict, as the pair ledger keeps it.

Beside it the pair ledger as the comparator sees it: which moves a pair may make, and the port through which it makes them. Each
move is conditional on the version it was decided on and leaves an audit entry in the same transaction, so of two comparators one
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
from enum import StrEnum
from typing import Protocol

from pydantic import Field

from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import PairMoved
from shadow.contracts.model import Frozen, Identifier, Moment
from shadow.contracts.vocabulary import Lane, Metric, Origin
from shadow.contracts.words import MARKET_ZONE


def trading_day_of(moment: datetime) -> date:
    """Name the trading day of a plan: the New York date of its timestamp."""
    return moment.astimezone(MARKET_ZONE).date()


class PairState(StrEnum):
    """Where a pair is on its way to a verdict.

    PENDING: waiting for both lanes. LATE: past the first deadline, still waiting. JUDGED: both lanes compared.
    MISSING: past the last deadline with a lane absent. RESOLVED_LATE: was MISSING, the absent side turned up and was judged;
    the old verdict is kept.
    """

    PENDING = "PENDING"
    LATE = "LATE"
    JUDGED = "JUDGED"
    MISSING = "MISSING"
    RESOLVED_LATE = "RESOLVED_LATE"


class StartState(StrEnum):
    """What is known of the start of the lane that shadows: the candidate's, or after a cut-over the legacy lane's.

    INTENDED: recorded, and the call's fate unknown until confirmed. STARTED: confirmed. REFUSED: certainly not started, with
    a reason.
    """

    INTENDED = "INTENDED"
    STARTED = "STARTED"
    REFUSED = "REFUSED"


class Pair(Frozen):
    """One pair. `trading_day` is the New York date of the plan's timestamp; times are UTC.

    `plan_json` is the plan where it is small, else `plan_key` says where it lies. `held_json` is what the control's account
    held of each symbol at publication, in shares, where the publisher knew it: with it the candidate's input can be built
    again to the byte. `production_lane` was in production when the plan was published: the pair is settled and judged by that,
    whatever is in production by then. `control_error` is the class name of what its publishing raised, `control_run_id` the run
    that its answer named, where it named one.
    `evidence_sha256` names the evidence that the verdict was made from, all pieces together. `state_transitions` is how many
    its executions made, of a replay the candidate's.
    """

    plan_id: Identifier
    run_id: Identifier
    correlation_id: Identifier
    trading_day: date
    origin: Origin = Origin.LIVE
    production_lane: Lane = Lane.LEGACY
    published_at: Moment
    state: PairState = PairState.PENDING
    verdict: Verdict = Verdict.PENDING
    previous_verdict: Verdict | None = None
    start_state: StartState = StartState.INTENDED
    start_reason: str | None = None
    execution_arn: str | None = None
    input_sha256: str | None = None
    plan_key: str | None = None
    plan_json: str | None = None
    held_json: str | None = None
    control_error: str | None = None
    control_run_id: str | None = None
    trade_count: int
    settled_at: Moment | None = None
    comparison_key: str | None = None
    comparison_sha256: str | None = None
    evidence_sha256: str | None = None
    state_transitions: int | None = None
    version: int = 0


class Unpaired(StrEnum):
    """Why a published plan has no pair. OTHER_CONTENT: another plan of this id came first.

    NOT_PUBLISHED: the control keeps it in its plan table, and no publication of it was ever seen.
    """

    OFF = "OFF"
    NOT_SAMPLED = "NOT_SAMPLED"
    HOLD_ONLY = "HOLD_ONLY"
    NOT_SHADOWED = "NOT_SHADOWED"
    NOT_COPIED = "NOT_COPIED"
    INVALID = "INVALID"
    OTHER_CONTENT = "OTHER_CONTENT"
    NOT_PUBLISHED = "NOT_PUBLISHED"


class UnpairedPlan(Frozen):
    """A plan that was published and got no pair, so that it is not missed. `detail` names what was faulty, never a value.

    Where the workflow was in production alone, the plan is kept as a pair keeps it: a version may run it too.
    """

    plan_id: Identifier
    trading_day: date
    published_at: Moment
    reason: Unpaired
    detail: str = ""
    plan_json: str | None = None
    plan_key: str | None = None
    held_json: str | None = None


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

    def move(self, transition: Transition) -> Pair:
        """Make a transition; gives the pair as it then is. Raises `PairMoved` when it is not as decided on any more."""

    def open_pairs(self) -> Iterable[Pair]:
        """Give the PENDING and LATE pairs, the oldest first."""

    def pairs_of(self, trading_day: date) -> list[Pair | UnreadablePair]:
        """Give every pair of a trading day."""

    def evidence_of(self, plan_id: str) -> dict[str, EvidenceRef]:
        """Give the evidence recorded for a pair, by name."""

    def record_evidence(self, plan_id: str, ref: EvidenceRef) -> EvidenceRef:
        """Record a piece of evidence unless one of its name is recorded; gives the one that stands."""

    def announcements(self, before: datetime) -> Sequence[Announcement | UnreadablePair]:
        """Give the announcements that have waited since `before`, and those that cannot be read."""

    def claim(self, announcement: Announcement, at: datetime) -> Announcement | None:
        """Take an announcement over; None when somebody else did."""

    def announced(self, announcement: Announcement) -> None:
        """Take an announcement away: it has been emitted."""

    def sweep_notes(self) -> SweepNotes:
        """Give what the last sweep left; nothing before the first one."""

    def keep_sweep_notes(self, notes: SweepNotes) -> None:
        """Leave `notes` for the next sweep."""


def moved(before: Pair, **changes: object) -> Pair:
    """Give `before` with `changes` and the next version; raises `PairMoved` for a move that the states do not have."""
    after = Pair.model_validate(before.model_dump() | changes | {"version": before.version + 1})
    if after.state not in MOVES[before.state]:
        raise PairMoved(f"pair {before.plan_id}: expected a move from {before.state}, was {after.state}")
    return after
