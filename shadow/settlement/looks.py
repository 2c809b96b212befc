"""Business Unit: evidence | Status: current.

One look at one lane: is it there, has it settled, and where is its evidence? A lane's evidence is copied the moment it has
settled and recorded beside the pair, the first copy standing; from then on the copy is read and the lane is not asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from shadow.aws.table import plain_item
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.control_records import MAX_EVENTS
from shadow.contracts.errors import PairMoved
from shadow.contracts.model import canonical
from shadow.contracts.outcome import Gap
from shadow.contracts.pair import Pair, PairLedger
from shadow.contracts.vocabulary import Lane
from shadow.lanes.lane import (
    CandidateSource,
    ControlSource,
    Deadlines,
    Look,
    Presence,
    Settledness,
    candidate_settledness,
    control_settledness,
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
    captured_effects,
    recorded,
)

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
