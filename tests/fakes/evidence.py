"""Everything that settlement needs from outside, in memory, with a counter of calls at which a crash can be planted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from shadow.aws.executions import MapRunReader
from shadow.aws.table import RawItem
from shadow.contracts.comparison import Comparison, EvidenceRef, Verdict
from shadow.contracts.errors import PairMoved
from shadow.contracts.model import canonical
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.pair import Announcement, Pair, PairState, SweepNotes, Transition, UnreadablePair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Metric, RunStatus
from shadow.lanes.lane import BrokerTruth, Deadlines
from shadow.lanes.lane_file import LaneFile
from shadow.lanes.redaction import Redactor
from shadow.settlement.cases import CaseBuilder, Lanes
from shadow.settlement.documents import EvidenceStore
from shadow.settlement.judging import Case, Judgement
from shadow.settlement.settler import Parts, Settler
from tests.factories.histories import execution_arn


class Crash(BaseException):
    """The process died here. No handler of errors may see it."""


@dataclass
class World:
    """What survives a crash: the lanes, the ledger, the store, the metrics that were emitted."""

    control_items: dict[str, list[RawItem]] = field(default_factory=dict)
    events: dict[str, dict[str, RawItem]] = field(default_factory=dict)
    other_runs: dict[str, list[RawItem]] = field(default_factory=dict)
    ledger_rows: dict[str, list[RawItem]] | None = None
    executions: dict[str, tuple[Mapping[str, object], list[Mapping[str, object]]]] = field(default_factory=dict)
    state_items: dict[str, list[RawItem]] = field(default_factory=dict)
    map_runs: dict[str, Mapping[str, object]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    audit: list[Transition] = field(default_factory=list)
    refs: dict[str, dict[str, EvidenceRef]] = field(default_factory=dict)
    waiting: dict[tuple[str, int], Announcement] = field(default_factory=dict)
    emitted: list[Mapping[Metric, float]] = field(default_factory=list)
    unreadable: list[UnreadablePair] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Of what was logged, what a person must see."""
    notes: SweepNotes = field(default_factory=SweepNotes)

    def describe_map_run(self, mapRunArn: str) -> Mapping[str, object]:  # noqa: N803 - the service's name
        return self.map_runs[mapRunArn]

    def total(self, metric: Metric) -> float:
        return sum(values.get(metric, 0.0) for values in self.emitted)


@dataclass
class Fuse:
    """Dies at call number `at`, before it has its effect (or after, when `after`). `between` is done once, before a call."""

    at: int | None = None
    after: bool = False
    calls: int = 0
    between: Callable[[], None] | None = None

    def burn(self, *, after: bool) -> None:
        if not after:
            self.calls += 1
            if self.between is not None and self.calls >= 2:
                self.between, act = None, self.between
                act()
        if self.at == self.calls and self.after is after:
            raise Crash(f"call {self.calls}")


class FakeObjects:
    def __init__(self, world: World, fuse: Fuse) -> None:
        self.world, self.fuse = world, fuse

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        del content_type
        self.fuse.burn(after=False)
        new = key not in self.world.objects
        self.world.objects.setdefault(key, body)
        self.fuse.burn(after=True)
        return new

    def get(self, key: str) -> bytes | None:
        return self.world.objects.get(key)


class FakeControl:
    def __init__(self, world: World) -> None:
        self.world = world

    def run_items(self, run_id: str) -> list[RawItem]:
        return sorted(self.world.control_items.get(run_id, ()), key=lambda item: str(item["SK"]))

    def captured_events(self, run_id: str) -> list[RawItem] | None:
        return [item for _, item in sorted(self.world.events.get(run_id, {}).items())]

    def other_runs(self, run_id: str) -> list[RawItem]:
        return self.world.other_runs.get(run_id, [])

    def ledger_rows(self, correlation_id: str) -> list[RawItem] | None:
        return None if self.world.ledger_rows is None else self.world.ledger_rows.get(correlation_id, [])


class FakeCandidate:
    def __init__(self, world: World) -> None:
        self.world = world

    def execution_arn(self, run_id: str) -> str:
        return execution_arn(run_id)

    def describe(self, execution_arn: str) -> Mapping[str, object] | None:
        found = self.world.executions.get(execution_arn)
        return found[0] if found else None

    def history(self, execution_arn: str) -> list[Mapping[str, object]]:
        return list(self.world.executions[execution_arn][1])

    def map_runs(self, history: list[Mapping[str, object]]) -> list[Mapping[str, object] | Gap]:
        return list(MapRunReader(self.world).read(history))  # type: ignore[arg-type] # describes map runs, and nothing else

    def state_items(self, run_id: str) -> list[RawItem]:
        return list(self.world.state_items.get(run_id, ()))


class FakeLedger:
    def __init__(self, world: World, fuse: Fuse) -> None:
        self.world, self.fuse = world, fuse

    def get(self, plan_id: str) -> Pair | None:
        return self.world.pairs.get(plan_id)

    def move(self, transition: Transition) -> Pair:
        self.fuse.burn(after=False)
        before, after = transition.before, transition.after
        if self.world.pairs[before.plan_id].version != before.version:
            raise PairMoved(before.plan_id)
        self.world.pairs[after.plan_id] = after
        self.world.audit.append(transition)
        if transition.announces:
            key = (after.plan_id, after.version)
            self.world.waiting[key] = Announcement(after.plan_id, after.version, transition.at, transition.announces)
        self.fuse.burn(after=True)
        return after

    def open_pairs(self) -> Iterable[Pair]:
        return [pair for pair in self.world.pairs.values() if pair.state in (PairState.PENDING, PairState.LATE)]

    def pairs_of(self, trading_day: date) -> list[Pair | UnreadablePair]:
        return [*(pair for pair in self.world.pairs.values() if pair.trading_day == trading_day), *self.world.unreadable]

    def evidence_of(self, plan_id: str) -> dict[str, EvidenceRef]:
        return dict(self.world.refs.get(plan_id, {}))

    def record_evidence(self, plan_id: str, ref: EvidenceRef) -> EvidenceRef:
        self.fuse.burn(after=False)
        standing = self.world.refs.setdefault(plan_id, {}).setdefault(ref.name, ref)
        self.fuse.burn(after=True)
        return standing

    def announcements(self, before: datetime) -> list[Announcement]:
        return [announcement for announcement in self.world.waiting.values() if announcement.at <= before]

    def claim(self, announcement: Announcement, at: datetime) -> Announcement | None:
        key = (announcement.plan_id, announcement.version)
        if self.world.waiting.get(key) != announcement:
            return None
        taken = Announcement(announcement.plan_id, announcement.version, at, announcement.metrics)
        self.world.waiting[key] = taken
        return taken

    def sweep_notes(self) -> SweepNotes:
        return self.world.notes

    def keep_sweep_notes(self, notes: SweepNotes) -> None:
        self.fuse.burn(after=False)
        self.world.notes = notes
        self.fuse.burn(after=True)

    def announced(self, announcement: Announcement) -> None:
        self.fuse.burn(after=False)
        self.world.waiting.pop((announcement.plan_id, announcement.version), None)
        self.fuse.burn(after=True)


class FakeRecorder:
    def __init__(self, world: World, fuse: Fuse) -> None:
        self.world, self.fuse = world, fuse

    def emit(self, values: Mapping[Metric, float]) -> None:
        self.fuse.burn(after=False)
        self.world.emitted.append(dict(values))
        self.fuse.burn(after=True)

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        del fields
        self.world.logs.append(message)
        if problem:
            self.world.problems.append(message)


class FakePlans:
    def plan_of(self, pair: Pair) -> RebalancePlan:
        return RebalancePlan.read_json(pair.plan_json or "")


def fake_judge(case: Case) -> Judgement:
    """Judge by the trades' statuses and amounts alone: enough to tell lanes apart, and a pure function of the case."""
    comparison = Comparison(
        plan_id=case.pair.plan_id,
        run_id=case.pair.run_id,
        trading_day=case.pair.trading_day,
        origin=case.pair.origin.value,
        published_at=case.pair.published_at,
        verdict=_verdict(case.control, case.candidate),
        differences=(),
        plan=case.plan,
        control=case.control,
        candidate=case.candidate,
        gross_impact=Decimal(0),
        evidence=case.evidence,
        policy_hash="0" * 64,
        code_version="test",
    )
    return Judgement(comparison, canonical(comparison.to_wire()).encode())


def _verdict(control: RunOutcome | None, candidate: RunOutcome | None) -> Verdict:
    if control is None and candidate is None:
        return Verdict.INCOMPLETE
    if control is None:
        return Verdict.MISSING_CONTROL
    if candidate is None:
        return Verdict.MISSING_CANDIDATE
    if control.gaps or candidate.gaps:
        return Verdict.INCOMPLETE
    same = control.status is candidate.status and _statuses(control) == _statuses(candidate)
    return Verdict.MATCHED if same and control.status is not RunStatus.UNFINISHED else Verdict.DIVERGED


def _statuses(outcome: RunOutcome) -> dict[tuple[str, str], str]:
    return {(trade.symbol, trade.action): trade.status.value for trade in outcome.trades}


def settler_of(
    world: World,
    *,
    fuse: Fuse | None = None,
    deadlines: Deadlines | None = None,
    lane_file: LaneFile | None = None,
    own: tuple[str, ...] = (),
    broker: BrokerTruth | None = None,
) -> Settler:
    """Put a comparator together over `world`."""
    fuse, deadlines = fuse or Fuse(), deadlines or Deadlines()
    ledger = FakeLedger(world, fuse)
    store = EvidenceStore(FakeObjects(world, fuse), Redactor())
    lanes = Lanes(FakeControl(world), FakeCandidate(world), store, ledger, deadlines, lane_file=lane_file)
    recorder = FakeRecorder(world, fuse)
    cases = CaseBuilder(
        lanes=lanes,
        store=store,
        plans=FakePlans(),
        ledger=ledger,
        deadlines=deadlines,
        broker=broker,
        recorder=recorder,
        own=own,
    )
    return Settler(Parts(ledger, lanes, store, cases, fake_judge, recorder, deadlines, "test"))


def document_of(world: World, plan_id: str) -> dict[str, object]:
    """Read the comparison that a pair's verdict stands on."""
    document: dict[str, object] = json.loads(world.objects[world.pairs[plan_id].comparison_key or ""])
    return document
