"""Business Unit: evidence | Status: current.

Settlement: take a pair as far towards its verdict as the lanes allow. It may run any number of times, on any hint or none, by
several comparators at once, and may die between any two of its steps: what it does is a function of what the lanes and the
ledger say, every object it stores is named by its content, and the ledger takes a move once.

The order is: look at both lanes (copying a lane's evidence as soon as it has settled), judge, store the comparison, move the
pair together with its announcement, announce.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shadow.contracts.comparison import Comparison, EvidenceRef, Verdict
from shadow.contracts.errors import EvidenceUnavailable, PairMoved, UnknownPair
from shadow.contracts.outcome import Gap
from shadow.contracts.pair import Announcement, Pair, PairLedger, PairState, StartState, Transition, moved
from shadow.contracts.vocabulary import Lane, Metric, Recorder, Role
from shadow.lanes.lane import Deadlines, Look, Presence, Settledness
from shadow.settlement.cases import CaseBuilder, Lanes, View, evidence_digest
from shadow.settlement.conservation import verdict_metrics
from shadow.settlement.documents import EvidenceStore
from shadow.settlement.judging import Case, Judge

_CLOSED = frozenset({PairState.JUDGED, PairState.RESOLVED_LATE})
_MISSING = frozenset({Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE})
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a pair stands after a call. `judged` says that this very call made the verdict.

    `imminent` says that the writes it waits for follow at once and no event will tell of them: look again soon.
    """

    plan_id: str
    run_id: str
    state: PairState
    verdict: Verdict
    judged: bool = False
    waiting_for: tuple[str, ...] = ()
    stuck: tuple[Role, ...] = ()
    comparison_key: str | None = None
    imminent: bool = False

    def to_wire(self) -> dict[str, object]:
        """Give a JSON-ready summary."""
        return {
            "plan_id": self.plan_id,
            "run_id": self.run_id,
            "state": self.state.value,
            "verdict": self.verdict.value,
            "judged": self.judged,
            "waiting_for": list(self.waiting_for),
            "stuck": [role.value for role in self.stuck],
            "comparison_key": self.comparison_key,
        }


@dataclass(frozen=True, slots=True)
class Parts:
    """What settlement works with. `actor` names this comparator in the audit; `tell` takes a verdict's document and key."""

    ledger: PairLedger
    lanes: Lanes
    store: EvidenceStore
    cases: CaseBuilder
    judge: Judge
    recorder: Recorder
    deadlines: Deadlines
    actor: str
    tell: Callable[[Comparison, str], None] = lambda _comparison, _key: None


class Settler:
    """Settles pairs."""

    def __init__(self, parts: Parts) -> None:
        """Settle with `parts`."""
        self._parts = parts

    def settle(self, plan_id: str, now: datetime) -> Settlement:
        """Take the pair of `plan_id` as far as its lanes allow at `now`.

        Raises `UnknownPair`, `EvidenceUnavailable` (ask again later) and `PairMoved` (others kept winning).
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._attempt(plan_id, now)
            except PairMoved as lost:
                self._parts.recorder.log("another comparator was first", {"reason": str(lost)}, problem=False)
        raise PairMoved(f"pair {plan_id}: expected to win within {_ATTEMPTS} attempts")

    def _attempt(self, plan_id: str, now: datetime) -> Settlement:
        pair = self._parts.ledger.get(plan_id)
        if pair is None:
            raise UnknownPair(f"plan {plan_id}: expected a pair in the ledger, was none")
        view = self._view(pair, now)
        if not view.both_settled and not view.final:
            self._keep_opening(view)
            return self._wait(view, view.waiting_for())
        if pair.evidence_sha256 is not None and pair.evidence_sha256 == self._parts.cases.settled_digest(view):
            return _standing(view, pair)
        case, missing_effects = self._parts.cases.build(view)
        if missing_effects and not view.final:
            return self._wait(view, (missing_effects,))
        return self._judge(view, case)

    def _view(self, pair: Pair, now: datetime) -> View:
        deadlines = self._parts.deadlines
        refs = self._parts.ledger.evidence_of(pair.plan_id)
        is_open = pair.state in (PairState.PENDING, PairState.LATE)
        overdue = is_open and (now - pair.published_at).total_seconds() >= deadlines.missing_after
        legacy = self._look(Lane.LEGACY, pair, refs, now, overdue=overdue)
        workflow = self._look(Lane.WORKFLOW, pair, refs, now, overdue=overdue)
        view = View(pair, refs, legacy, workflow, now, final=overdue)
        control, candidate = view.looks
        refused = (
            is_open
            and pair.start_state is StartState.REFUSED
            and candidate.presence is Presence.ABSENT
            and control.presence is Presence.SETTLED
        )
        called_missing = {Verdict.MISSING_CONTROL: control, Verdict.MISSING_CANDIDATE: candidate}.get(pair.verdict)
        turned_up = called_missing is not None and (called_missing.stuck or called_missing.presence is Presence.SETTLED)
        return replace(view, final=overdue or refused or turned_up)

    def _look(self, lane: Lane, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime, *, overdue: bool) -> Look:
        look = self._parts.lanes.legacy if lane is Lane.LEGACY else self._parts.lanes.workflow
        try:
            return look(pair, refs, now)
        except EvidenceUnavailable as error:
            if not overdue:
                raise
            self._parts.recorder.log("a lane could not be read by its last deadline", {"reason": str(error)}, problem=True)
            gap = Gap(what=f"{lane} records", reason=str(error))
            return Look(lane, Presence.UNREADABLE, Settledness(settled=False), gaps=(gap,))

    def _keep_opening(self, view: View) -> None:
        """Keep what the accounts hold before the lanes end. A broker that does not answer is asked at the next look."""
        try:
            self._parts.cases.keep_opening(view)
        except EvidenceUnavailable as error:
            self._parts.recorder.log("what the accounts hold could not be kept", {"reason": str(error)}, problem=True)

    def _wait(self, view: View, waiting_for: tuple[str, ...]) -> Settlement:
        """Note that the pair is late, when it is; else change nothing."""
        pair = view.pair
        age = (view.now - pair.published_at).total_seconds()
        if pair.state is PairState.PENDING and age >= self._parts.deadlines.late_after:
            pair = self._move(pair, view.now, None, state=PairState.LATE)
        return replace(_standing(view, pair), waiting_for=waiting_for, imminent=view.imminent)

    def _judge(self, view: View, case: Case) -> Settlement:
        """Judge, store, move, announce, tell."""
        pair = view.pair
        judgement = self._parts.judge(case)
        comparison = judgement.comparison
        key, digest = self._parts.store.keep_comparison(pair.trading_day, pair.run_id, judgement.body)
        if digest == pair.comparison_sha256:
            return _standing(view, pair)
        missing = comparison.verdict in _MISSING
        if missing and pair.state is PairState.PENDING:
            pair = self._move(pair, view.now, None, state=PairState.LATE)
        first = pair.state not in _CLOSED
        after = self._move(
            pair,
            view.now,
            verdict_metrics(comparison, first=first),
            state=_next_state(pair.state, missing=missing),
            verdict=comparison.verdict,
            previous_verdict=pair.previous_verdict if pair.verdict is Verdict.PENDING else pair.verdict,
            settled_at=view.now,
            comparison_key=key,
            comparison_sha256=digest,
            evidence_sha256=evidence_digest(ref.sha256 for ref in case.evidence),
            state_transitions=comparison.transitions,
        )
        self._parts.tell(comparison, key)
        return replace(_standing(view, after), judged=True)

    def _move(self, pair: Pair, now: datetime, announces: Mapping[Metric, float] | None, **changes: object) -> Pair:
        """Make one move and announce it."""
        parts = self._parts
        after = parts.ledger.move(Transition(pair, moved(pair, **changes), parts.actor, now, announces or None))
        if announces:
            announce(parts.ledger, parts.recorder, Announcement(after.plan_id, after.version, now, announces))
        return after


def announce(ledger: PairLedger, recorder: Recorder, announcement: Announcement) -> None:
    """Emit a verdict's metrics, then note that they have been."""
    recorder.emit(announcement.metrics)
    ledger.announced(announcement)


def _next_state(state: PairState, *, missing: bool) -> PairState:
    if missing:
        return PairState.MISSING
    return {PairState.MISSING: PairState.RESOLVED_LATE, PairState.RESOLVED_LATE: PairState.RESOLVED_LATE}.get(
        state, PairState.JUDGED
    )


def _standing(view: View, pair: Pair) -> Settlement:
    stuck = tuple(view.role_of(look) for look in view.looks if look.stuck)
    return Settlement(
        plan_id=pair.plan_id,
        run_id=pair.run_id,
        state=pair.state,
        verdict=pair.verdict,
        stuck=stuck,
        comparison_key=pair.comparison_key,
    )
