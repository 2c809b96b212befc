"""Business Unit: evidence | Status: current.

From what lies in evidence to what a judge is given. Outcomes are read from the stored documents, never from what was fetched:
so a judgement today and one in a year read the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import EvidenceUnavailable
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.pair import Pair, PairLedger
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Metric, Recorder, Role
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.brokers.truth import neighbours_of
from shadow.lanes.lane import BrokerTruth, Deadlines, Look, PlanSource, Presence, effects_settled
from shadow.lanes.redaction import DocumentWriter
from shadow.settlement.documents import EvidenceStore, candidate_outcome, control_outcome, unread, watches_ledger, with_other_runs
from shadow.settlement.judging import Case
from shadow.settlement.looks import LEGACY, LEGACY_EFFECTS, WORKFLOW, Lanes

BROKER = "broker"
OPENING = "broker-opening"


@dataclass(frozen=True, slots=True)
class View:
    """Both lanes of a pair, at one moment. `final` says that the pair will not be waited for any longer."""

    pair: Pair
    refs: Mapping[str, EvidenceRef]
    legacy: Look
    workflow: Look
    now: datetime
    final: bool

    @property
    def looks(self) -> tuple[Look, Look]:
        """Give both looks, the control's first."""
        return (self.legacy, self.workflow) if self.pair.production_lane is Lane.LEGACY else (self.workflow, self.legacy)

    def role_of(self, look: Look) -> Role:
        """Say what the lane was for when the plan was published."""
        return look.lane.role_beside(self.pair.production_lane)

    @property
    def both_settled(self) -> bool:
        """Whether neither lane's evidence will change."""
        return all(look.presence is Presence.SETTLED for look in self.looks)

    def waiting_for(self) -> tuple[str, ...]:
        """Say what each lane that has not settled is waiting for."""
        return tuple(
            look.settledness.waiting_for or f"the {self.role_of(look)}"
            for look in self.looks
            if look.presence is not Presence.SETTLED
        )

    @property
    def imminent(self) -> bool:
        """Whether all that is being waited for are writes that follow at once."""
        return all(look.settledness.imminent for look in self.looks if look.presence is not Presence.SETTLED)


class CaseBuilder:
    """Builds what a judge is given."""

    def __init__(
        self,
        *,
        lanes: Lanes,
        store: EvidenceStore,
        plans: PlanSource,
        ledger: PairLedger,
        deadlines: Deadlines,
        broker: BrokerTruth | None,
        recorder: Recorder,
        own: Collection[str] = (),
    ) -> None:
        """Read evidence from `store`; with `broker`, what both accounts' brokers say goes beside it.

        `own` names the fields of a user's own that the policy compares.
        """
        self._own = own
        self._recorder = recorder
        self._lanes = lanes
        self._store = store
        self._plans = plans
        self._ledger = ledger
        self._deadlines = deadlines
        self._broker = broker

    def build(self, view: View) -> tuple[Case, str]:
        """Read both outcomes; the text says which effects of the legacy lane are still on their way (empty: none).

        Raises `EvidenceUnavailable`.
        """
        plan = self._store.without_secrets(self._plans.plan_of(view.pair))
        refs: list[EvidenceRef] = []
        legacy, waiting = self._legacy(view, refs)
        workflow = self._workflow(view, plan, refs)
        effects = next((ref for ref in refs if ref.name == LEGACY_EFFECTS), None)
        if effects is not None:
            legacy, workflow = (with_other_runs(run, self._store.read(effects)) for run in (legacy, workflow))
        control, candidate = in_their_roles(legacy, workflow, view.pair.production_lane)
        if self._broker is not None and (view.final or not waiting):
            control, candidate = self._with_broker_truth(view, self._broker, (control, candidate), refs)
        evidence = tuple(sorted(refs, key=lambda ref: ref.name))
        return Case(view.pair, plan, control, candidate, evidence), waiting

    def settled_digest(self, view: View) -> str | None:
        """Name the evidence of two settled lanes as it is now, reading and storing nothing; None where a lane has not settled.

        Raises `EvidenceUnavailable`.
        """
        if not view.both_settled:
            return None
        broker = view.refs.get(_broker_name(view)) if self._broker is not None else None
        opening = view.refs.get(OPENING) if broker is not None else None
        digests = [ref.sha256 for ref in (view.legacy.ref, view.workflow.ref, broker, opening) if ref is not None]
        effects = self._lanes.effects(view.pair, view.refs, view.now)
        if effects is not None:
            digests.append(effects.sha256 if isinstance(effects, EvidenceRef) else effects.finish()[0])
        return evidence_digest(digests)

    def _legacy(self, view: View, refs: list[EvidenceRef]) -> tuple[RunOutcome | None, str]:
        look, pair = view.legacy, view.pair
        ref = self._ref(pair, look)
        if ref is None:
            return (unread(pair, look.lane, look.gaps) if look.gaps else None), ""
        refs.append(ref)
        gaps = look.gaps
        effects: EvidenceRef | None = None
        try:
            found = self._lanes.effects(pair, view.refs, view.now)
            if isinstance(found, DocumentWriter):
                found = self._lanes.keep_unrecorded(pair, LEGACY_EFFECTS, found)
            effects = found
        except EvidenceUnavailable as error:
            if not view.final:
                raise
            gaps = (*gaps, Gap(what="legacy effects", reason=str(error)))
        if effects is not None:
            refs.append(effects)
        emitted = None if effects is None else self._store.read(effects)
        outcome = _with_gaps(control_outcome(pair, self._store.read(ref), emitted, self._own), gaps)
        if outcome is None or effects is None or look.presence is not Presence.SETTLED:
            return outcome, ""
        ledger_rows = watches_ledger(self._store.read(effects))
        waiting = effects_settled(outcome, view.now, self._deadlines, ledger_rows=ledger_rows).waiting_for
        if view.final or not waiting:
            self._lanes.record(pair, view.refs, effects)
        return outcome, waiting

    def _workflow(self, view: View, plan: RebalancePlan, refs: list[EvidenceRef]) -> RunOutcome | None:
        look, pair = view.workflow, view.pair
        try:
            ref = self._ref(pair, look)
        except EvidenceUnavailable as error:
            if not view.final:
                raise
            return unread(pair, look.lane, (*look.gaps, Gap(what="workflow records", reason=str(error))))
        if ref is None:
            return unread(pair, look.lane, look.gaps) if look.gaps else None
        refs.append(ref)
        return _with_gaps(candidate_outcome(pair, self._store.read(ref), plan, self._own), look.gaps)

    def _ref(self, pair: Pair, look: Look) -> EvidenceRef | None:
        """Say where a lane's evidence lies, storing it first where the lane has not settled."""
        if look.ref is not None:
            return look.ref
        draft = self._lanes.draft(pair, look)
        name = LEGACY if look.lane is Lane.LEGACY else WORKFLOW
        return None if draft is None else self._lanes.keep_unrecorded(pair, f"{name}-unsettled", draft)

    def _is_old(self, view: View) -> bool:
        """Tell whether a pair was judged so long ago that only what was copied then is read."""
        judged = view.pair.evidence_sha256 is not None
        return judged and (view.now - view.pair.published_at).total_seconds() >= self._deadlines.effects_final

    def _with_broker_truth(
        self, view: View, broker: BrokerTruth, outcomes: tuple[RunOutcome | None, RunOutcome | None], refs: list[EvidenceRef]
    ) -> tuple[RunOutcome | None, RunOutcome | None]:
        """Put the brokers' own records beside both outcomes. They are asked once a judgement of settled lanes."""
        control, candidate = outcomes
        name = _broker_name(view)
        ref = view.refs.get(name)
        if ref is None and self._is_old(view):
            return outcomes
        if ref is None:
            try:
                draft = self._store.writer()
                neighbours = neighbours_of(view.pair, control, self._ledger, self._plans)
                found = broker.read(control, candidate, neighbours, view.pair.published_at, view.now)
                self._note_unanswered(view.pair, found)
                draft.add(BROKER, found)
                ref = self._lanes.keep_unrecorded(view.pair, name, draft)
            except EvidenceUnavailable as error:
                if not view.final:
                    raise
                gap = Gap(what="broker orders", reason=str(error))
                return _with_gaps(control, (gap,)), _with_gaps(candidate, (gap,))
            if view.both_settled:
                ref = self._ledger.record_evidence(view.pair.plan_id, ref)
        opening = view.refs.get(OPENING)
        refs.extend(each for each in (ref, opening) if each is not None)
        document, earlier = self._document(ref), self._document(opening)
        return broker_corrected(control, document, earlier), broker_corrected(candidate, document, earlier)

    def _note_unanswered(self, pair: Pair, found: Mapping[str, object]) -> None:
        """Count and log that the market's quotes could not be had: the pair is judged with one witness less."""
        rows = found.get("market")
        faults = [str(row["fault"]) for row in rows if "fault" in row] if isinstance(rows, list) else []
        if faults:
            self._recorder.emit({Metric.MARKET_UNANSWERED: 1.0})
            self._recorder.log(
                "the market's quotes could not be had", {"plan_id": pair.plan_id, "error": faults[0]}, problem=True
            )

    def _document(self, ref: EvidenceRef | None) -> object:
        """Read what the brokers said; None where nothing was kept."""
        return None if ref is None else next((value for what, value in list(self._store.read(ref)) if what == BROKER), None)

    def keep_opening(self, view: View) -> None:
        """Keep what both accounts hold, at the first look at a pair that is not settled. Raises `EvidenceUnavailable`."""
        if self._broker is None or OPENING in view.refs:
            return
        draft = self._store.writer()
        draft.add(BROKER, self._broker.look(view.pair.published_at, view.now))
        self._ledger.record_evidence(view.pair.plan_id, self._lanes.keep_unrecorded(view.pair, OPENING, draft))


def evidence_digest(digests: Iterable[str]) -> str:
    """Name all pieces of evidence together, whatever their order."""
    return sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _broker_name(view: View) -> str:
    """Name the broker's records after the workflow's evidence: a redrive may have sent more orders."""
    return f"{BROKER}-{view.workflow.ref.name if view.workflow.ref else 'unsettled'}"


def in_their_roles(
    legacy: RunOutcome | None, workflow: RunOutcome | None, production: Lane
) -> tuple[RunOutcome | None, RunOutcome | None]:
    """Give control and candidate: the lane that was in production when the plan was published, and the one that shadowed it."""
    control, candidate = (legacy, workflow) if production is Lane.LEGACY else (workflow, legacy)
    return _in_role(control, Role.CONTROL), _in_role(candidate, Role.CANDIDATE)


def _in_role(outcome: RunOutcome | None, role: Role) -> RunOutcome | None:
    return outcome if outcome is None or outcome.role is role else outcome.model_copy(update={"role": role})


def _with_gaps(outcome: RunOutcome | None, gaps: tuple[Gap, ...]) -> RunOutcome | None:
    if outcome is None or not gaps:
        return outcome
    return outcome.model_copy(update={"gaps": (*outcome.gaps, *gaps)})
