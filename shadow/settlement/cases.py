"""Business Unit: evidence | Status: current.

One look at one lane: is it there, has it settled, and where is its evidence? A lane's evidence is copied the moment it has
settled and recorded beside the pair, the first copy standing; from then on the copy is read and the lane is not asked again.

From what lies in evidence to what a judge is given. Outcomes are read from the stored documents, never from what was fetched:
so a judgement today and one in a year read the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from shadow.aws.table import plain_item
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.control_records import MAX_EVENTS
from shadow.contracts.errors import EvidenceUnavailable, PairMoved
from shadow.contracts.model import canonical
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.pair import Pair, PairLedger
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Metric, Recorder, Role
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.brokers.truth import neighbours_of
from shadow.lanes.lane import (
    BrokerTruth,
    CandidateSource,
    ControlSource,
    Deadlines,
    Look,
    PlanSource,
    Presence,
    Settledness,
    candidate_settledness,
    control_settledness,
    effects_settled,
    is_stuck,
)
from shadow.lanes.lane_file import LaneFile
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.legacy.source import run_of_plan
from shadow.lanes.records import as_moment
from shadow.lanes.redaction import DocumentWriter
from shadow.settlement.documents import (
    DESCRIBE,
    EVENT,
    ITEM,
    LANE,
    LEDGER_ROW,
    MAP_RUN,
    OTHER_RUN,
    STATE_ITEM,
    WATCHED,
    EvidenceStore,
    Record,
    candidate_outcome,
    captured_effects,
    control_outcome,
    recorded,
    unread,
    watches_ledger,
    with_other_runs,
)
from shadow.settlement.judging import Case

LEGACY = "legacy"
LEGACY_EFFECTS = "legacy-effects"
WORKFLOW = "workflow"
"""What a lane's documents are called, whatever its role."""
_ENDS = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


class Lanes:
    """Looks at both lanes of a pair."""

    def __init__(
        self,
        control: ControlSource,
        candidate: CandidateSource,
        store: EvidenceStore,
        ledger: PairLedger,
        deadlines: Deadlines,
        *,
        as_shadow: ControlSource | None = None,
        lane_file: LaneFile | None = None,
    ) -> None:
        """Read from `control` and `candidate`, copy into `store`, record in `ledger`.

        `lane_file` describes the candidate where it is a declared lane; it is copied with the evidence that it explains.
        `as_shadow` is the control's record of the runs in which it was the shadow: it has another trade ledger then.
        """
        self._control = control
        self._roles = {Lane.LEGACY: control, Lane.WORKFLOW: as_shadow or control}
        self._candidate = candidate
        self._store = store
        self._ledger = ledger
        self._deadlines = deadlines
        self._lane_file = lane_file

    def legacy(self, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> Look:
        """Look at the legacy lane. Raises `EvidenceUnavailable`."""
        if LEGACY in refs:
            return Look(Lane.LEGACY, Presence.SETTLED, Settledness(settled=True), refs[LEGACY])
        draft = self._store.writer()
        run_id = run_of_plan(self._control, pair)
        items = recorded(draft, ITEM, self._control.run_items(run_id) if run_id else ())
        events = self._control.captured_events(run_id) if run_id else ()
        outcome = read_control(run_id or "", pair.plan_id, map(plain_item, items), captured_effects(events or (), []))
        if outcome is None:
            expired = (now - pair.published_at).total_seconds() >= self._deadlines.control_expiry
            gap = Gap(what="legacy items", reason="expired before they were read")
            return Look(Lane.LEGACY, Presence.ABSENT, Settledness(settled=False), gaps=(gap,) if expired else ())
        settledness = control_settledness(outcome, now, self._deadlines)
        if not settledness.settled:
            stuck = is_stuck(settledness, now, self._deadlines)
            return Look(Lane.LEGACY, Presence.ACTIVE, settledness, draft=draft, stuck=stuck)
        return Look(Lane.LEGACY, Presence.SETTLED, settledness, self._keep(pair, LEGACY, draft))

    def workflow(self, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> Look:
        """Look at the workflow, ours or a declared one. Raises `EvidenceUnavailable`."""
        lane = Lane.WORKFLOW if self._lane_file is None else Lane.DECLARED
        describe = self._candidate.describe(self._arn(pair))
        if describe is None:
            copies = sorted(name for name in refs if name.startswith(f"{WORKFLOW}-"))
            if copies:
                return Look(lane, Presence.SETTLED, Settledness(settled=True), refs[copies[-1]])
            return Look(lane, Presence.ABSENT, Settledness(settled=False))
        count = describe.get("redriveCount")
        name = f"{WORKFLOW}-{count if isinstance(count, int) else 0:02d}"
        stopped = as_moment(describe.get("stopDate"))
        settledness = candidate_settledness(describe.get("status"), stopped, now, self._deadlines.aborted_quiet)
        if not settledness.settled:
            since = settledness.since or as_moment(describe.get("redriveDate")) or as_moment(describe.get("startDate"))
            active = Settledness(settled=False, waiting_for=settledness.waiting_for, since=since)
            stuck = is_stuck(active, now, self._deadlines)
            return Look(lane, Presence.ACTIVE, active, describe=describe, stuck=stuck)
        if name in refs:
            return Look(lane, Presence.SETTLED, settledness, refs[name])
        history = self._candidate.history(self._arn(pair))
        if not _is_whole(history):
            behind = Settledness(settled=False, waiting_for="the end of the workflow's history", since=stopped)
            return Look(lane, Presence.ACTIVE, behind, describe=describe)
        draft = self._draft_candidate(pair, describe, history)
        return Look(lane, Presence.SETTLED, settledness, self._keep(pair, name, draft))

    def draft(self, pair: Pair, look: Look) -> DocumentWriter | None:
        """Write what there is of a lane that has not settled by its last deadline; None where there is nothing."""
        if look.describe is None:
            return look.draft
        return self._draft_candidate(pair, look.describe, self._candidate.history(self._arn(pair)))

    def effects(self, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> EvidenceRef | DocumentWriter | None:
        """Give what the control emitted for the run, and which further runs were seen.

        What was copied stands: the copy where nothing has come since, or the pair is so old that records expire; else a document
        with what was copied and what has come. None where nobody captures the control's events. Raises `EvidenceUnavailable`.
        """
        copy = latest_effects(refs)
        if copy is not None and (now - pair.published_at).total_seconds() >= self._deadlines.effects_final:
            return copy
        kept = list(self._store.read(copy)) if copy is not None else []
        found = self._effects_now(pair)
        if found is None:
            return copy
        merged = merged_effects(kept, found)
        if copy is not None and len(merged) == len(kept) and merged[:1] == kept[:1]:
            return copy
        draft = self._store.writer()
        for what, value in merged:
            draft.add(what, value)
        return draft

    def _effects_now(self, pair: Pair) -> list[Record] | None:
        run_id = run_of_plan(self._control, pair)
        events = self._control.captured_events(run_id or pair.run_id)
        if events is None:
            return None
        rows = self._roles[pair.production_lane].ledger_rows(pair.correlation_id)
        watched = {"ledger_rows": rows is not None, "shared_by_plans": rows is not None and self._is_shared(pair)}
        others = self._control.other_runs(pair.run_id)
        sections = ((EVENT, events), (LEDGER_ROW, rows or ()), (OTHER_RUN, others))
        return [(WATCHED, watched), *((what, item) for what, items in sections for item in items)]

    def record(self, pair: Pair, refs: Mapping[str, EvidenceRef], ref: EvidenceRef) -> None:
        """Record effects that are judged, so that they are judged for ever; raises `PairMoved` where others came first."""
        if latest_effects(refs) == ref:
            return
        number = sum(name.startswith(LEGACY_EFFECTS) for name in refs)
        numbered = ref.model_copy(update={"name": f"{LEGACY_EFFECTS}-{number:02d}"})
        if self._ledger.record_evidence(pair.plan_id, numbered) != numbered:
            raise PairMoved(f"pair {pair.plan_id}: other effects have been recorded as {numbered.name}")

    def _is_shared(self, pair: Pair) -> bool:
        """Tell whether another plan of the day has the pair's correlation id, as when the publishing function was retried."""
        others = (other for other in self._ledger.pairs_of(pair.trading_day) if isinstance(other, Pair))
        return any(other.correlation_id == pair.correlation_id and other.plan_id != pair.plan_id for other in others)

    def keep_unrecorded(self, pair: Pair, name: str, draft: DocumentWriter) -> EvidenceRef:
        """Copy evidence that may yet change: it belongs to one judgement, and does not stand for the lane."""
        return self._store.keep(pair.trading_day, pair.run_id, name, draft)

    def _draft_candidate(self, pair: Pair, describe: Mapping[str, object], history: list[Mapping[str, object]]) -> DocumentWriter:
        draft = self._store.writer()
        if self._lane_file is not None:
            draft.add(LANE, {"sha256": self._lane_file.digest, "text": self._lane_file.text})
        draft.add(DESCRIBE, describe)
        for event in history:
            draft.add(EVENT, event)
        for item in self._candidate.state_items(pair.run_id):
            draft.add(STATE_ITEM, item)
        for run in self._candidate.map_runs(history):
            draft.add(MAP_RUN, {"gap": run.to_wire()} if isinstance(run, Gap) else {"summary": run})
        return draft

    def _arn(self, pair: Pair) -> str:
        return pair.execution_arn or self._candidate.execution_arn(pair.run_id)

    def _keep(self, pair: Pair, name: str, draft: DocumentWriter) -> EvidenceRef:
        return self._ledger.record_evidence(pair.plan_id, self.keep_unrecorded(pair, name, draft))


def latest_effects(refs: Mapping[str, EvidenceRef]) -> EvidenceRef | None:
    """Give the last copy of the control's effects that was recorded, without its number; None where there is none."""
    names = sorted(name for name in refs if name.startswith(LEGACY_EFFECTS))
    return refs[names[-1]].model_copy(update={"name": LEGACY_EFFECTS}) if names else None


def merged_effects(kept: Sequence[Record], found: Sequence[Record]) -> list[Record]:
    """Add to the records that were copied those that are new, by their keys: the first copy of each stands."""
    flags = [value for what, value in (*kept, *found) if what == WATCHED and isinstance(value, Mapping)]
    watched = {name: any(bool(each.get(name)) for each in flags) for name in ("ledger_rows", "shared_by_plans")}
    known = {_identity(what, value): (what, value) for what, value in reversed((*kept, *found)) if what != WATCHED}
    sections = (EVENT, LEDGER_ROW, OTHER_RUN)
    return [(WATCHED, watched), *(known[name] for name in sorted(known, key=lambda name: (sections.index(known[name][0]), name)))]


def _identity(what: str, value: object) -> str:
    if isinstance(value, Mapping) and "PK" in value and "SK" in value:
        return canonical([what, value["PK"], value["SK"]])
    return canonical([what, value])


def _is_whole(history: list[Mapping[str, object]]) -> bool:
    """Tell whether a history has come to its end, or to the service's limit: it may lag behind DescribeExecution."""
    return bool(history) and (str(history[-1].get("type")) in _ENDS or len(history) >= MAX_EVENTS)


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
        control, candidate = map(self._store.gaps_without_secrets, (control, candidate))
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
