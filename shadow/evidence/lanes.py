"""Business Unit: evidence | Status: current.

One look at one lane: is it there, has it settled, and where is its evidence? A lane's evidence is copied the moment it has
settled and recorded beside the pair, the first copy standing; from then on the copy is read and the lane is not asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shadow.aws.items import from_item
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.outcome import Effect, EffectKind, Gap, RunOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.trade_message import trade_messages
from shadow.contracts.vocabulary import Lane, RunStatus
from shadow.evidence.candidate_reader import CandidateRecords, read_candidate
from shadow.evidence.control_reader import read_control
from shadow.evidence.effects import read_effect
from shadow.evidence.fields import as_json, as_moment
from shadow.evidence.history import MAX_EVENTS
from shadow.evidence.ledger import PairLedger
from shadow.evidence.ports import CandidateSource, ControlSource, RawItem
from shadow.evidence.settledness import Deadlines, Settledness, candidate_settledness, control_settledness, is_stuck
from shadow.evidence.store import EvidenceStore

CONTROL = "control"
CONTROL_EFFECTS = "control-effects"
CANDIDATE = "candidate"
_DETAIL_TYPE_KINDS = {kind.value: kind for kind in EffectKind}
_ENDS = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


class Presence(StrEnum):
    """What one look at a lane found."""

    ABSENT = "ABSENT"
    ACTIVE = "ACTIVE"
    SETTLED = "SETTLED"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a lane found. `document` is the evidence of a lane that has not settled, as it is just now."""

    lane: Lane
    presence: Presence
    settledness: Settledness
    ref: EvidenceRef | None = None
    document: Mapping[str, object] | None = None
    gaps: tuple[Gap, ...] = ()
    stuck: bool = False


class Lanes:
    """Looks at both lanes of a pair."""

    def __init__(
        self, control: ControlSource, candidate: CandidateSource, store: EvidenceStore, ledger: PairLedger, deadlines: Deadlines
    ) -> None:
        """Read from `control` and `candidate`, copy into `store`, record in `ledger`."""
        self._control = control
        self._candidate = candidate
        self._store = store
        self._ledger = ledger
        self._deadlines = deadlines

    def control(self, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> Look:
        """Look at the control. Raises `EvidenceUnavailable`."""
        if CONTROL in refs:
            return Look(Lane.CONTROL, Presence.SETTLED, Settledness(settled=True), refs[CONTROL])
        items = sorted(self._control.run_items(pair.run_id), key=lambda item: str(item.get("SK")))
        if not items:
            expired = (now - pair.published_at).total_seconds() >= self._deadlines.control_expiry
            gap = Gap(what="control items", reason="expired before they were read")
            return Look(Lane.CONTROL, Presence.ABSENT, Settledness(settled=False), gaps=(gap,) if expired else ())
        document = {"items": items}
        events = self._control.captured_events(pair.run_id)
        outcome = control_outcome(pair, document, {"events": events, "ledger_rows": None})
        if outcome is None:
            return Look(Lane.CONTROL, Presence.ABSENT, Settledness(settled=False))
        settledness = control_settledness(outcome, now, self._deadlines)
        if not settledness.settled:
            stuck = is_stuck(settledness, now, self._deadlines)
            return Look(Lane.CONTROL, Presence.ACTIVE, settledness, document=document, stuck=stuck)
        return Look(Lane.CONTROL, Presence.SETTLED, settledness, self._keep(pair, CONTROL, document))

    def candidate(self, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> Look:
        """Look at the candidate. Raises `EvidenceUnavailable`."""
        arn = pair.execution_arn or self._candidate.execution_arn(pair.run_id)
        describe = self._candidate.describe(arn)
        if describe is None:
            return Look(Lane.CANDIDATE, Presence.ABSENT, Settledness(settled=False))
        count = describe.get("redriveCount")
        name = f"{CANDIDATE}-{count if isinstance(count, int) else 0:02d}"
        stopped = as_moment(describe.get("stopDate"))
        settledness = candidate_settledness(describe.get("status"), stopped, now, self._deadlines.aborted_quiet)
        if not settledness.settled:
            since = settledness.since or as_moment(describe.get("redriveDate")) or as_moment(describe.get("startDate"))
            active = Settledness(settled=False, waiting_for=settledness.waiting_for, since=since)
            stuck = is_stuck(active, now, self._deadlines)
            return Look(Lane.CANDIDATE, Presence.ACTIVE, active, document={"describe": describe}, stuck=stuck)
        if name in refs:
            return Look(Lane.CANDIDATE, Presence.SETTLED, settledness, refs[name])
        document = self._candidate_document(pair, arn, describe)
        if not document["complete"]:
            behind = Settledness(settled=False, waiting_for="the end of the candidate's history", since=stopped)
            return Look(Lane.CANDIDATE, Presence.ACTIVE, behind, document=document)
        return Look(Lane.CANDIDATE, Presence.SETTLED, settledness, self._keep(pair, name, document))

    def unfinished_candidate(self, pair: Pair, look: Look) -> Mapping[str, object]:
        """Read what there is of a candidate that has not settled by its last deadline."""
        describe = (look.document or {}).get("describe")
        arn = pair.execution_arn or self._candidate.execution_arn(pair.run_id)
        return self._candidate_document(pair, arn, describe if isinstance(describe, Mapping) else {})

    def effects(self, pair: Pair, correlation_id: str | None) -> dict[str, object]:
        """Read what the control emitted for the run, as an evidence document."""
        rows = self._control.ledger_rows(correlation_id) if correlation_id else None
        return {"events": _sorted(self._control.captured_events(pair.run_id)), "ledger_rows": _sorted(rows)}

    def keep_unrecorded(self, pair: Pair, name: str, document: Mapping[str, object]) -> EvidenceRef:
        """Copy evidence that may yet change: it belongs to one judgement, and does not stand for the lane."""
        return self._store.keep(pair.trading_day, pair.run_id, name, document)

    def _candidate_document(self, pair: Pair, arn: str, describe: Mapping[str, object]) -> dict[str, object]:
        history = self._candidate.history(arn)
        children, gaps = self._candidate.child_results(history)
        ended = bool(history) and (history[-1].get("type") in _ENDS or len(history) >= MAX_EVENTS)
        return {
            "describe": describe,
            "history": history,
            "child_results": children,
            "gaps": [gap.to_wire() for gap in gaps],
            "state_items": _sorted(self._candidate.state_items(pair.run_id)),
            "complete": ended,
        }

    def _keep(self, pair: Pair, name: str, document: Mapping[str, object]) -> EvidenceRef:
        return self._ledger.record_evidence(pair.plan_id, self.keep_unrecorded(pair, name, document))


def control_outcome(pair: Pair, document: Mapping[str, object], effects: Mapping[str, object]) -> RunOutcome | None:
    """Read the control's outcome from its evidence documents."""
    faults: list[str] = []
    items = [plain_item(item) for item in _maps(document.get("items"))]
    events, rows = effects.get("events"), effects.get("ledger_rows")
    found: list[Effect] | None = None if events is None else _captured(_maps(events), faults)
    if found is not None and rows is not None:
        by_order = {
            str(item["order_id"]): str(item["trade_id"]) for item in items if item.get("order_id") and item.get("trade_id")
        }
        for row in map(plain_item, _maps(rows)):
            trade_id = by_order.get(str(row.get("order_id")))
            found.append(read_effect(EffectKind.LEDGER_ENTRY, row, emitted=True, faults=faults, trade_id=trade_id))
    outcome = read_control(pair.run_id, pair.plan_id, items, found)
    if outcome is None or not faults:
        return outcome
    return outcome.model_copy(update={"violations": tuple(sorted({*outcome.violations, *faults}))})


def candidate_outcome(pair: Pair, document: Mapping[str, object], plan: RebalancePlan) -> RunOutcome:
    """Read the candidate's outcome from its evidence document."""
    describe = document.get("describe")
    records = CandidateRecords(
        describe=describe if isinstance(describe, Mapping) else {},
        history=_maps(document.get("history")),
        state_items=[plain_item(item) for item in _maps(document.get("state_items"))],
        child_results=_maps(document.get("child_results")),
        gaps=tuple(Gap.parse(gap) for gap in _maps(document.get("gaps"))),
    )
    return read_candidate(pair.run_id, pair.plan_id, records, trade_messages(plan))


def unread(pair: Pair, lane: Lane, gaps: tuple[Gap, ...]) -> RunOutcome:
    """Stand in for a lane that could not be read: it has gaps, so that no verdict but INCOMPLETE can come of it."""
    return RunOutcome(lane=lane, run_id=pair.run_id, plan_id=pair.plan_id, status=RunStatus.UNFINISHED, trades=(), gaps=gaps)


def plain_item(item: Mapping[str, object]) -> dict[str, object]:
    """Turn a raw DynamoDB item into plain values; an attribute that is none is left as it lies, for the reader to name."""
    plain: dict[str, object] = {}
    for name, value in item.items():
        try:
            plain |= from_item({name: value})  # type: ignore[dict-item] # it was written by the service, and is checked here
        except (TypeError, AttributeError, ValueError):
            plain[name] = value
    return plain


def _captured(items: Sequence[Mapping[str, object]], faults: list[str]) -> list[Effect]:
    effects = []
    for item in map(plain_item, items):
        kind = _DETAIL_TYPE_KINDS.get(str(item.get("detail_type")))
        text = item.get("detail")
        detail = as_json(text) if isinstance(text, str) else None
        if kind is None or not isinstance(detail, Mapping):
            faults.append(f"captured event {item.get('SK')}: expected a known detail type with a JSON detail")
            continue
        effects.append(read_effect(kind, detail, emitted=True, faults=faults))
    return effects


def _maps(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _sorted(items: list[RawItem] | None) -> list[RawItem] | None:
    return None if items is None else sorted(items, key=lambda item: (str(item.get("PK")), str(item.get("SK"))))
