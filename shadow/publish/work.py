"""Business Unit: publish | Status: current.

The harness's steps for one publication, in the order that loses least: snapshot, switch, validation, sample, documents, pair,
start, the control's end, report. Once a plan is known to be valid and in the sample, a pair is recorded whatever happens to
the rest, so that nothing published goes unaccounted for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.metrics import Metric
from shadow.contracts.pair import Pair, StartState, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.publish import payload
from shadow.publish.errors import Late, MalformedAnswer, StartRefused
from shadow.publish.mode import PublishMode
from shadow.publish.ports import CandidateStarter, ModeSource, PairLedgerWriter, PlanStore, Positions, Recorder, Started
from shadow.publish.publication import Publication
from shadow.publish.report import Operation, Report


@dataclass(frozen=True, slots=True)
class Ports:
    """What the harness works with. `to_plan` maps the portfolio code's plan to one of the forms that `read_plan` takes."""

    mode: ModeSource
    ledger: PairLedgerWriter
    starter: CandidateStarter
    store: PlanStore
    recorder: Recorder
    positions: Positions | None = None
    to_plan: Callable[[object], object] | None = None


class ShadowHarness:
    """Publishes to the lane that shadows, beside the lane in production."""

    def __init__(self, ports: Ports) -> None:
        """Work with `ports`, any of which may fail in any way."""
        self.ports = ports

    def run(self, publication: Publication) -> None:
        """Publish to the lane that shadows and report; raises only what the report itself raises."""
        report = Report(publication.lost_before)
        try:
            plan = self._admitted(publication, report)
            if plan is not None:
                _Publishing(self.ports, publication, report, plan).run()
        except BaseException as error:  # noqa: BLE001 - SystemExit and MemoryError are faults of the harness like any other
            report.fault(error)
        self._tell(publication, report)

    def bound_exceeded(self) -> None:
        """Count and log that a caller went on without waiting any longer."""
        self.ports.recorder.emit({Metric.PUBLISH_BOUND_EXCEEDED: 1.0})
        self.ports.recorder.log("the caller went on before the shadow was published to", {}, problem=True)

    def _admitted(self, publication: Publication, report: Report) -> RebalancePlan | None:
        """Take the snapshot; give the plan when it is to go to the candidate as well."""
        given = publication.plan
        copy = payload.snapshot(given if self.ports.to_plan is None else self.ports.to_plan(given))
        del given
        if not publication.snapshot_taken():
            raise Late("the control had begun before the snapshot was taken")
        report.operation = Operation.MODE
        mode = self.ports.mode.mode()
        if not isinstance(mode, PublishMode):
            raise MalformedAnswer(f"mode: expected a PublishMode, was {type(mode).__name__}")
        report.fields["mode"] = str(mode)
        if mode.is_off:
            report.count(Metric.PLANS_NOT_SAMPLED)
            return None
        report.operation = Operation.VALIDATION
        plan = payload.read_plan(copy)
        report.fields |= {"plan_id": plan.plan_id, "correlation_id": plan.correlation_id}
        report.operation = Operation.SAMPLING
        if not mode.covers(plan.plan_id):
            report.count(Metric.PLANS_NOT_SAMPLED)
            return None
        if not plan.tradable_items:
            report.count(Metric.PLANS_WITHOUT_TRADES)
            return None
        return plan

    def _tell(self, publication: Publication, report: Report) -> None:
        """Write the metrics and the log line; the line is tried whatever becomes of the metrics."""
        report.counts[Metric.PUBLISH_ADDED_MS] = publication.added_seconds() * 1000
        try:
            self.ports.recorder.emit(report.counts)
        except BaseException as error:
            report.operation = Operation.METRICS
            report.fault(error)
            raise
        finally:
            shadow = "candidate" if publication.legacy_start is None else "legacy lane as the shadow"
            message = f"publishing to the {shadow} {'met a fault' if report.is_problem else 'is done'}"
            self.ports.recorder.log(message, report.fields, problem=report.is_problem)


class _Publishing:
    """One admitted plan on its way to the lane that shadows."""

    def __init__(self, ports: Ports, publication: Publication, report: Report, plan: RebalancePlan) -> None:
        self.ports = ports
        self._why = payload.SHADOWING if publication.legacy_start is None else payload.IN_PRODUCTION
        self._publication = publication
        self._report = report
        self._plan = plan
        self._document: str | None = None

    def run(self) -> None:
        new = self._pair()
        self._due(Operation.LEDGER)
        existing = self.ports.ledger.create(new)
        if existing is not None and not isinstance(existing, Pair):
            raise MalformedAnswer(f"ledger: expected a Pair or None, was {type(existing).__name__}")
        if existing is None:
            self._report.count(Metric.PLANS_PUBLISHED)
        else:
            self._report.fields["published_before"] = existing.start_state.value
        pair = existing or new
        try:
            if self._document is not None and pair.start_state is not StartState.STARTED:
                self._start(pair, self._document)
        except BaseException as error:  # noqa: BLE001 - the start's fate is unknown: the pair stays INTENDED, the sweeper completes it
            self._report.fault(error)
        self._record_control(pair)

    def _pair(self) -> Pair:
        """Build the pair and the documents; a pair whose documents fail is REFUSED from the start."""
        report, plan = self._report, self._plan
        report.operation = Operation.IDENTITY
        run_id = run_id_of(plan.plan_id)
        report.fields["run_id"] = run_id
        values: dict[str, object] = {
            "plan_id": plan.plan_id,
            "run_id": run_id,
            "correlation_id": plan.correlation_id,
            "trading_day": trading_day_of(plan.timestamp),
            "published_at": datetime.fromtimestamp(self._publication.wall_begun, UTC),
            "trade_count": len(plan.tradable_items),
            "production_lane": self._why.production_lane,
        }
        held = self._held()
        try:
            report.operation = Operation.PAYLOAD
            built = payload.candidate_input(plan, run_id, held, self._why)
            values["held_json"] = payload.held_document(held)
            values |= self._kept_plan(run_id)
            self._document = self._sendable(built)
            values["input_sha256"] = payload.digest(self._document.encode())
        except BaseException as error:  # noqa: BLE001 - see the docstring
            self._document = None
            values |= {"start_state": StartState.REFUSED, "start_reason": report.fault(error)}
        return Pair.model_validate(values)

    def _held(self) -> dict[str, Decimal]:
        """Ask for the control's positions; without an answer the candidate sizes exits by value. In production it needs none."""
        if self.ports.positions is None or self._publication.legacy_start is not None:
            return {}
        self._report.operation = Operation.POSITIONS
        try:
            return payload.checked_positions(self._plan, self.ports.positions(self._plan))
        except BaseException as error:  # noqa: BLE001 - a plan is published without positions rather than not at all
            self._report.fault(error)
            return {}

    def _kept_plan(self, run_id: str) -> dict[str, object]:
        """Keep the plan in the ledger's record, or, when it is too large for that, in the store."""
        document = payload.plan_document(self._plan)
        body = document.encode()
        if len(body) <= payload.MAX_RECORD_BYTES:
            return {"plan_json": document}
        self._due(Operation.CLAIM_CHECK)
        return {"plan_key": self.ports.store.put(payload.stored_key(run_id, "plan", body), body).key}

    def _sendable(self, built: payload.CandidateInput) -> str:
        """Give the input as it will be sent; a large one needs the store."""
        if built.workflow_plan is not None:
            self._due(Operation.CLAIM_CHECK)
        return built.sendable(self.ports.store)

    def _start(self, pair: Pair, document: str) -> None:
        self._due(Operation.START)
        try:
            started = self._started(pair, document)
        except StartRefused as refusal:
            self._report.fault(refusal)
            self._due(Operation.LEDGER_UPDATE)
            self.ports.ledger.mark_refused(pair, str(refusal), self._now())
            return
        if not isinstance(started, Started):
            raise MalformedAnswer(f"starter: expected Started, was {type(started).__name__}")
        if started.execution_arn:
            self._report.fields["execution_arn"] = started.execution_arn
        self._due(Operation.LEDGER_UPDATE)
        self.ports.ledger.mark_started(pair, started, self._now())

    def _started(self, pair: Pair, document: str) -> Started:
        """Start the lane that shadows: the candidate, or, with the workflow in production, the legacy lane."""
        digest = payload.digest(document.encode())
        if self._publication.legacy_start is not None:
            self._publication.legacy_start()
            return Started("", digest)
        accepted = frozenset(filter(None, (digest, pair.input_sha256)))
        return self.ports.starter.start(execution_name_of(pair.run_id), document, accepted)

    def _record_control(self, pair: Pair) -> None:
        """Record what the lane in production raised, as a fact of the pair; and that a later attempt of it went well."""
        self._report.operation = Operation.CONTROL_RECORD
        end = self._publication.await_control()
        if end is None:
            raise Late("the control had not returned before the publication expired")
        if end.error is not None:
            self._report.count(Metric.CONTROL_PUBLISH_ERRORS)
            self._report.fields["control_error"] = end.error
        if end.error != pair.control_error:
            self._due(Operation.CONTROL_RECORD)
            self.ports.ledger.mark_control_error(pair, end.error, self._now())

    def _due(self, operation: Operation) -> None:
        """Begin an operation that has effects; raises `Late` when the publication is too old for any."""
        self._report.operation = operation
        if self._publication.is_expired():
            raise Late(f"{operation.value}: the publication has expired")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._publication.clocks.wall(), UTC)
