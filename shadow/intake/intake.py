"""Business Unit: intake | Status: current.

The one road on which a lane is started beside the control, and on which the workflow is started once it is in production. What
comes from the queue, a start of unknown fate that the sweeper completes, and a replay all end in `_start`.

Whatever may work later is raised, and the queue brings the message again; a message that can never work leaves a record of why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from shadow.contracts.errors import ConfigurationError, ContractViolation, FieldFault, PairMoved, ShadowError, UnknownPair
from shadow.contracts.identity import execution_name_of, joined_symbol, run_id_of
from shadow.contracts.model import canonical, load_json, parse_decimal
from shadow.contracts.pair import Pair, StartState, Transition, Unpaired, UnpairedPlan, moved, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Metric, Origin, Recorder
from shadow.intake import payload
from shadow.intake.aws import PublishMode, StartRefused
from shadow.intake.payload import ControlEnd, Note, PlanMessage, PlanStore, StartContext, read_message
from shadow.lanes.declared import input_of
from shadow.lanes.lane_file import LaneFile

ACTOR = "intake"
ATTEMPTS = 5
MAX_FIELDS = 10
MAX_ID = 200
START_WITHIN = timedelta(seconds=900)
"""A plan older than this is not started any more: the market that it was made for has moved on."""


class OtherContent(ShadowError):
    """A plan of this id was published before with other content. The first is kept, and nothing of this one is started."""


class StartedTooLate(ShadowError):
    """The workflow is in production, and its plan came too late to be traded."""


class Ledger(Protocol):
    """The pair ledger, as the intake uses it."""

    def create(self, pair: Pair) -> Pair | None:
        """Record a new pair; when there is one already, change nothing and give that."""

    def get(self, plan_id: str) -> Pair | None:
        """Read a pair as it is now; None where the plan has none."""

    def move(self, transition: Transition) -> Pair:
        """Make a transition; raises `PairMoved` when the pair is not as decided on any more."""

    def note_unpaired(self, plan: UnpairedPlan) -> bool:
        """Record why a plan has no pair; False when that reason stands already."""

    def is_unpaired(self, plan_id: str) -> bool:
        """Whether a reason is recorded why the plan has no pair."""


class Starter(Protocol):
    """Starts the workflow."""

    def start(self, name: str, document: str, accepted: frozenset[str]) -> tuple[str, str]:
        """Start the execution `name`; give its ARN and the SHA-256 of the input it runs with. Raises `StartRefused`."""

    def found(self, name: str, accepted: frozenset[str]) -> tuple[str, str] | None:
        """Give the same of an execution that was started before, None where it was not. Raises `StartRefused`."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes publications.

    `lane_file` describes the candidate where it is not our workflow: its input is made by that.
    """

    ledger: Ledger
    starter: Starter
    store: PlanStore
    recorder: Recorder
    mode: Callable[[], PublishMode]
    now: Callable[[], datetime] = _utc_now
    lane_file: LaneFile | None = None

    def take(self, body: str) -> None:
        """Do what one message asks for. Raises what may work later, and `InvalidPayload` for what is no message at all."""
        message = read_message(body)
        if isinstance(message, Note):
            self._note(message)
        elif message.plan is None:
            detail = message.refused or "the message carries no plan"
            self._unpaired(_id_in(message), message, Unpaired.NOT_COPIED, detail)
        else:
            self._publication(message)

    def _publication(self, message: PlanMessage) -> None:
        in_production = message.production_lane is Lane.WORKFLOW
        plan: RebalancePlan | None = None
        try:
            plan = message.read_plan()
            reason = self._why_unpaired(plan, message)
            if reason is None:
                self._pair_up(plan, message)
                return
        except ContractViolation as refusal:
            fields = ", ".join(fault.field for fault in refusal.faults[:MAX_FIELDS])
            detail = f"{type(refusal).__name__}: {fields}"
            self._unpaired(_id_in(message), message, Unpaired.INVALID, detail)
            if in_production:
                raise
            return
        except OtherContent as refusal:
            self._unpaired(_id_in(message), message, Unpaired.OTHER_CONTENT, str(refusal), plan)
            if in_production:
                raise
            return
        alone = self._pair(plan, message) if in_production and plan.tradable_items else None
        self._unpaired(plan.plan_id, message, reason, "", plan, alone=alone)
        if alone is not None:
            self._start_production(alone, plan)

    def _pair_up(self, plan: RebalancePlan, message: PlanMessage) -> None:
        pair = self._recorded(plan, self._pair(plan, message, self._held_of_exits(plan, message)))
        is_anew = message.published_at > pair.published_at
        if pair.production_lane is Lane.WORKFLOW:
            self._start_production(pair, plan)
        elif pair.start_state is StartState.INTENDED or is_anew:
            self._start(pair, plan, message.published_at)
        if message.control is not None or is_anew:
            self._note_end(plan.plan_id, message.control or ControlEnd())

    def start(self, plan: RebalancePlan, held: Mapping[str, Decimal], origin: Origin) -> Pair:
        """Record a pair of another origin than a publication, start its candidate, and give the pair as it then is.

        Raises `UnknownPair` where what was just recorded is not there.
        """
        message = PlanMessage.parse(
            {"schema": "shadow.publication.1", "kind": "plan", "published_at": self.now(), "origin": origin}
        )
        self._start(self._recorded(plan, self._pair(plan, message, held)), plan, message.published_at)
        found = self.ledger.get(plan.plan_id)
        if found is None:
            raise UnknownPair(f"plan {plan.plan_id}: expected the pair just recorded, was none")
        return found

    def complete(self, pair: Pair) -> StartState:
        """Complete the start of a candidate whose fate is unknown; what had succeeded is found and nothing is made twice.

        A legacy lane that shadows is left alone: it mints a run with each publication, so only its publisher may publish to it.
        """
        if pair.start_state is not StartState.INTENDED or pair.production_lane is not Lane.LEGACY:
            return pair.start_state
        try:
            plan = RebalancePlan.read_json(self._kept_plan(pair))
        except ContractViolation as refusal:
            return self._moved(pair.plan_id, start_state=StartState.REFUSED, start_reason=str(refusal)).start_state
        return self._start(pair, plan, pair.published_at).start_state

    def _start(self, pair: Pair, plan: RebalancePlan, published_at: datetime) -> Pair:
        """Start the candidate of a pair, or find that it was; record which. Every candidate is started here."""
        if pair.start_state is StartState.STARTED:
            return pair
        try:
            execution = self._execution(pair, plan, published_at)
        except (StartRefused, ContractViolation) as refusal:
            return self._refused(pair, str(refusal))
        if execution is None:
            return self._refused(pair, f"came more than {START_WITHIN.total_seconds():.0f} s after it was published")
        arn, found = execution
        return self._moved(pair.plan_id, start_state=StartState.STARTED, start_reason=None, execution_arn=arn, input_sha256=found)

    def _start_production(self, pair: Pair, plan: RebalancePlan) -> None:
        """Start the workflow as the lane in production. What goes wrong is raised: the queue brings it again, then alarms."""
        execution = self._execution(pair, plan, pair.published_at)
        if execution is None:
            raise StartedTooLate(f"plan {pair.plan_id}: expected within {START_WITHIN.total_seconds():.0f} s of its publication")
        if self.ledger.get(pair.plan_id) is not None:
            self._moved(pair.plan_id, execution_arn=execution[0])

    def _execution(self, pair: Pair, plan: RebalancePlan, published_at: datetime) -> tuple[str, str] | None:
        """Start a pair's execution, or find that it was started, which an earlier try may not have lived to record.

        None where it was not, and it is too late to.
        """
        held = payload.read_held(pair.held_json)
        context = StartContext(pair.origin, pair.production_lane)
        if self.lane_file is None:
            document = payload.candidate_input(plan, pair.run_id, held, self.store, context)
        elif pair.production_lane is Lane.LEGACY:
            document = canonical(input_of(self.lane_file, plan, pair.run_id))
        else:
            raise ConfigurationError(f"{self.lane_file.name}: expected to shadow, a lane of a file is never in production")
        accepted = frozenset(filter(None, (payload.digest(document), pair.input_sha256)))
        name = execution_name_of(pair.run_id)
        if self.now() - published_at > START_WITHIN:
            return self.starter.found(name, accepted)
        return self.starter.start(name, document, accepted)

    def _recorded(self, plan: RebalancePlan, new: Pair) -> Pair:
        """Record the pair; one that exists stands. Raises `OtherContent` where that is of another plan of the same id."""
        standing = self.ledger.create(new)
        if standing is None:
            if new.origin is Origin.LIVE:
                self.recorder.emit({Metric.PLANS_PUBLISHED: 1.0})
            return new
        if self._kept_plan(standing) != payload.plan_document(plan):
            raise OtherContent(f"plan {plan.plan_id}: expected the plan that was published first, was one with other content")
        return standing

    def _kept_plan(self, pair: Pair) -> str:
        if pair.plan_json is not None:
            return pair.plan_json
        if pair.plan_key is not None:
            return self.store.get(pair.plan_key).decode()
        raise ContractViolation("pair", [FieldFault("plan_json", "the plan, or a plan_key", "nothing")])

    def _pair(self, plan: RebalancePlan, message: PlanMessage, held: Mapping[str, Decimal] | None = None) -> Pair:
        run_id, document = run_id_of(plan.plan_id), payload.plan_document(plan)
        body = document.encode()
        small = len(body) <= payload.MAX_RECORD_BYTES
        return Pair(
            plan_id=plan.plan_id,
            run_id=run_id,
            correlation_id=plan.correlation_id,
            trading_day=trading_day_of(plan.timestamp),
            origin=message.origin,
            production_lane=message.production_lane,
            published_at=message.published_at,
            plan_json=document if small else None,
            plan_key=None if small else self.store.put(payload.stored_key(run_id, "plan", body), body).key,
            held_json=payload.held_document(held or {}),
            trade_count=len(plan.tradable_items),
        )

    def _why_unpaired(self, plan: RebalancePlan, message: PlanMessage) -> Unpaired | None:
        """Say why a valid plan gets no pair; None where it gets one. With the workflow in production the publisher decides."""
        if not plan.tradable_items:
            return Unpaired.HOLD_ONLY
        if message.production_lane is Lane.WORKFLOW:
            return None if message.shadowed else Unpaired.NOT_SHADOWED
        mode = self.mode()
        if mode.is_off:
            return Unpaired.OFF
        return None if mode.covers(plan.plan_id) else Unpaired.NOT_SAMPLED

    def _unpaired(
        self,
        plan_id: str,
        message: PlanMessage,
        reason: Unpaired,
        detail: str,
        plan: RebalancePlan | None = None,
        *,
        alone: Pair | None = None,
    ) -> None:
        """Record, count and log why a plan has no pair; once, however often its message comes. `alone` is production's own."""
        day = trading_day_of(message.published_at if plan is None else plan.timestamp)
        record = UnpairedPlan(
            plan_id=plan_id, trading_day=day, published_at=message.published_at, reason=reason, detail=detail[:500]
        )
        if alone is not None and plan is not None:
            held = payload.held_document(self._held_of_exits(plan, message))
            kept = {"plan_json": alone.plan_json, "plan_key": alone.plan_key, "held_json": held}
            record = record.model_copy(update=kept)
        if self.ledger.note_unpaired(record):
            self.recorder.emit({_METRIC_OF.get(reason, Metric.PLANS_REFUSED): 1.0})
            fields = {"plan_id": plan_id, "reason": reason.value, "detail": detail[:500]}
            self.recorder.log("a published plan has no pair", fields, problem=reason not in _METRIC_OF)

    def _note(self, note: Note) -> None:
        if note.plan_id is None:
            return
        if self.ledger.get(note.plan_id) is None:
            if self.ledger.is_unpaired(note.plan_id):
                return
            raise UnknownPair(f"plan {note.plan_id}: expected its pair, was none yet")
        self._note_end(note.plan_id, note.control)
        if note.shadow is not None:
            self._moved(note.plan_id, start_state=StartState.STARTED, start_reason=None)

    def _note_end(self, plan_id: str, end: ControlEnd | None) -> None:
        """Record how production's call ended: the first run it named stays the plan's, a later success takes an error away."""
        if end is None:
            return
        if end.error is not None:
            self.recorder.log("production's publishing raised", {"plan_id": plan_id, "error": end.error}, problem=True)
        pair = self.ledger.get(plan_id)
        is_first = end.run_id is not None and (pair is None or pair.control_run_id is None)
        self._moved(plan_id, control_error=end.error, **({"control_run_id": end.run_id} if is_first else {}))

    def _held_of_exits(self, plan: RebalancePlan, message: PlanMessage) -> dict[str, Decimal]:
        """Give what the control's account held of what the plan leaves wholly, in shares, where the publisher knew it.

        Whatever else the account holds is not looked at. What cannot be read is left out, and logged: the plan does not need it.
        The broker may have another notation of a symbol than the plan: the plan's comes first.
        """
        told = message.held if isinstance(message.held, Mapping) else {}
        held: dict[str, Decimal] = {}
        unread = ["(whole)"] if message.held is not None and told is not message.held else []
        names = {joined_symbol(name): name for name in told if isinstance(name, str)}
        for symbol in (item.symbol for item in plan.items if item.is_full_exit):
            name = symbol if symbol in told else names.get(joined_symbol(symbol))
            if name is None:
                continue
            try:
                held[symbol] = parse_decimal(told[name])
            except ValueError:
                unread.append(symbol)
        if unread:
            fields = {"plan_id": plan.plan_id, "held": ", ".join(unread[:MAX_FIELDS])}
            self.recorder.log("positions of the control's account: expected decimals by symbol", fields, problem=True)
        return held

    def _refused(self, pair: Pair, reason: str) -> Pair:
        self.recorder.emit({Metric.PLANS_REFUSED: 1.0})
        self.recorder.log("a candidate was not started", {"plan_id": pair.plan_id, "reason": reason}, problem=True)
        return self._moved(pair.plan_id, start_state=StartState.REFUSED, start_reason=reason)

    def _moved(self, plan_id: str, **changes: object) -> Pair:
        """Change a pair as it is now, reading it again where somebody else was faster; a start that is confirmed stays so."""
        for _ in range(ATTEMPTS):
            pair = self.ledger.get(plan_id)
            if pair is None:
                raise UnknownPair(f"plan {plan_id}: expected its pair, was none yet")
            wanted = moved(pair, **changes)
            is_settled = pair.start_state is StartState.STARTED and wanted.start_state is StartState.REFUSED
            if is_settled or wanted == pair.model_copy(update={"version": wanted.version}):
                return pair
            try:
                return self.ledger.move(Transition(pair, wanted, ACTOR, self.now()))
            except PairMoved:
                continue
        raise PairMoved(f"plan {plan_id}: expected to change its pair within {ATTEMPTS} attempts")


_METRIC_OF = {
    Unpaired.OFF: Metric.PLANS_NOT_SAMPLED,
    Unpaired.NOT_SAMPLED: Metric.PLANS_NOT_SAMPLED,
    Unpaired.NOT_SHADOWED: Metric.PLANS_NOT_SAMPLED,
    Unpaired.HOLD_ONLY: Metric.PLANS_WITHOUT_TRADES,
}


def _id_in(message: PlanMessage) -> str:
    """Give the id of a plan that cannot be read; where that is none, a name by the moment of its publication."""
    plan = message.plan
    if isinstance(plan, str):
        try:
            plan = load_json(plan)
        except (ValueError, RecursionError):
            plan = None
    found = plan.get("plan_id") if isinstance(plan, Mapping) else message.plan_id
    is_id = isinstance(found, str) and found.isascii() and found.isprintable() and " " not in found
    return str(found)[:MAX_ID] if is_id and found else f"unknown@{message.published_at.isoformat()}"
