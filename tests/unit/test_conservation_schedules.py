"""Whatever is lost, doubled, delayed or reordered, and wherever comparators die: once things are quiet, every published pair is
accounted for exactly, and each verdict stands on the very document that an undisturbed run would have made.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

import pytest

from shadow.contracts.comparison import Verdict
from shadow.contracts.control_records import LegacyRunStatus
from shadow.contracts.errors import PairMoved
from shadow.contracts.pair import Pair, PairState, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Metric, Origin, TradeStatus
from shadow.lanes.lane import Deadlines
from shadow.settlement.conservation import conservation
from shadow.settlement.sweeper import Sweeper
from tests.factories.control_items import ControlRun
from tests.factories.histories import BEGIN, DIALECTS, Execution, Scenario, execution_arn, play
from tests.factories.pairs import pair_of
from tests.fakes.evidence import Crash, FakeCandidate, FakeLedger, FakeRecorder, Fuse, World, settler_of
from tests.fakes.plans import plan_of

DEADLINES = Deadlines()
PLANS = tuple(plan_of(name=f"p{number}", AAPL="-600", GOOG="1000") for number in range(5))
KINDS = ("alike", "differs", "no candidate", "no control", "redriven", "late control", "replay")


@dataclass(frozen=True)
class Fate:
    """What really happens to one plan. Times are seconds after publication."""

    plan: RebalancePlan
    kind: str
    dialect: str

    @property
    def origin(self) -> Origin:
        return Origin.REPLAY if self.kind == "replay" else Origin.LIVE

    def control_at(self) -> float | None:
        return {"no control": None, "late control": DEADLINES.missing_after + 600}.get(self.kind, 8.0)

    def candidate_at(self) -> float | None:
        return None if self.kind == "no candidate" else 10.0

    def candidate(self, *, redriven: bool) -> Execution:
        return _played(self.plan.plan_id, self.kind, self.dialect, redriven)


@cache
def _played(plan_id: str, kind: str, dialect: str, redriven: bool) -> Execution:  # noqa: FBT001 - a cache key
    plan = next(plan for plan in PLANS if plan.plan_id == plan_id)
    if kind == "redriven" and not redriven:
        return play(Scenario(plan, dialect, fail_in="AggregateResults"))
    statuses = {"GOOG": TradeStatus.FAILED} if kind == "differs" else {}
    return play(Scenario(plan, dialect, statuses=statuses, redrives=1 if kind == "redriven" else 0))


@dataclass
class Schedule:
    """One run of the world: what happens when, to whom, and where comparators die."""

    fates: tuple[Fate, ...]
    seed: int | None
    world: World = field(default_factory=World)
    now: datetime = BEGIN

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for fate in self.fates:
            pair = pair_of(fate.plan, start_state=StartState.STARTED, origin=fate.origin)
            self.world.pairs[pair.plan_id] = pair

    @property
    def disturbed(self) -> bool:
        return self.seed is not None

    def run(self) -> World:
        for moment, act in sorted(self._happenings(), key=lambda happening: happening[0]):
            self.now = BEGIN + timedelta(seconds=moment)
            act()
        self._quiet()
        return self.world

    def _happenings(self) -> list[tuple[float, Callable[[], None]]]:
        acts: list[tuple[float, Callable[[], None]]] = []
        for fate in self.fates:
            acts += self._control_acts(fate) + self._candidate_acts(fate)
        sweeps = range(60, int(DEADLINES.missing_after) + 1_800, 900)
        acts += [(float(at), self._sweep) for at in sweeps if not self.disturbed or self.random.random() < 0.5]
        return acts

    def _control_acts(self, fate: Fate) -> list[tuple[float, Callable[[], None]]]:
        at = fate.control_at()
        if at is None:
            return []
        run = ControlRun(fate.plan, at=BEGIN + timedelta(seconds=at - 8))
        run_id = run.run_id
        running = ControlRun(fate.plan, {"GOOG": "RUNNING"}, LegacyRunStatus.BUY_PHASE, at=run.at)

        def begins() -> None:
            self.world.control_items[run_id] = running.items()

        def ends() -> None:
            self.world.control_items[run_id] = run.items()

        acts: list[tuple[float, Callable[[], None]]] = [(at - 4, begins), (at, ends)]
        for item in run.events():
            capture = self._capture(run_id, item, fate.plan.plan_id)
            acts += [(at + delay, capture) for delay in self._deliveries(60)]
        return acts

    def _capture(self, run_id: str, item: dict[str, object], plan_id: str) -> Callable[[], None]:
        def act() -> None:
            self.world.events.setdefault(run_id, {})[str(item["SK"])] = item
            self._settle(plan_id)

        return act

    def _candidate_acts(self, fate: Fate) -> list[tuple[float, Callable[[], None]]]:
        at = fate.candidate_at()
        if at is None:
            return []
        arn = execution_arn(self.world.pairs[fate.plan.plan_id].run_id)

        def ends(*, redriven: bool) -> None:
            execution = fate.candidate(redriven=redriven)
            self.world.executions[arn] = (execution.describe, list(execution.history))

        moments = [(at, False)] + ([(at + 1_500, True)] if fate.kind == "redriven" else [])
        acts: list[tuple[float, Callable[[], None]]] = []
        for moment, redriven in moments:
            acts.append((moment, lambda redriven=redriven: ends(redriven=redriven)))
            acts += [
                (moment + delay, lambda: self._settle(fate.plan.plan_id)) for delay in self._deliveries(3_000, may_be_lost=True)
            ]
        return acts

    def _deliveries(self, latest: float, *, may_be_lost: bool = False) -> list[float]:
        """Say when copies of one event arrive: once at once when undisturbed; else late, doubled, or (hints only) never."""
        if not self.disturbed:
            return [0.5]
        count = self.random.choice((0, 1, 2) if may_be_lost else (1, 1, 2))
        return [self.random.uniform(0.1, latest) for _ in range(count)]

    def _settle(self, plan_id: str) -> None:
        """One comparator; when disturbed it may die at any call, before or after its effect, or find another at work."""
        fuse = self._fuse()
        if self.disturbed and self.random.random() < 0.3:
            fuse.between = lambda: self._rival(plan_id)
        try:
            settler_of(self.world, fuse=fuse).settle(plan_id, self.now)
        except (Crash, PairMoved):
            self.world.logs.append("died")

    def _rival(self, plan_id: str) -> None:
        try:
            settler_of(self.world, fuse=self._fuse()).settle(plan_id, self.now)
        except (Crash, PairMoved):
            self.world.logs.append("rival died")

    def _fuse(self) -> Fuse:
        if not self.disturbed or self.random.random() < 0.5:
            return Fuse()
        return Fuse(self.random.randint(1, 14), after=self.random.random() < 0.5)

    def _sweep(self) -> None:
        try:
            self._sweeper(self._fuse()).sweep(self.now)
        except Crash:
            self.world.logs.append("sweeper died")

    def _sweeper(self, fuse: Fuse) -> Sweeper:
        ledger = FakeLedger(self.world, fuse)
        settler = settler_of(self.world, fuse=fuse)
        recorder = FakeRecorder(self.world, fuse)
        return Sweeper(ledger, settler, FakeCandidate(self.world), lambda pair: pair.start_state, recorder, DEADLINES, "sweep")

    def _quiet(self) -> None:
        """Nothing new happens: two sweeps without a fault bring everything to its end."""
        for minutes in (0, 10):
            self.now = BEGIN + timedelta(seconds=DEADLINES.missing_after + 3_600 + 60 * minutes)
            self._sweeper(Fuse()).sweep(self.now)


def fates_of(seed: int) -> tuple[Fate, ...]:
    chooser = random.Random(f"fates-{seed}")
    return tuple(Fate(plan, chooser.choice(KINDS), chooser.choice(DIALECTS)) for plan in PLANS)


def check(seed: int) -> World:
    fates = fates_of(seed)
    calm, world = Schedule(fates, None).run(), Schedule(fates, seed).run()
    for origin in (Origin.LIVE, Origin.REPLAY):
        sums = conservation(_day(world), world.pairs.values(), origin)
        assert sums == conservation(_day(calm), calm.pairs.values(), origin)
        assert sums.error == 0
        assert sums.pending == 0
        assert sums.published == sum(fate.origin is origin for fate in fates)
    for plan_id, pair in world.pairs.items():
        assert _end(pair) == _end(calm.pairs[plan_id])
        assert world.objects[pair.comparison_key or ""] == calm.objects[calm.pairs[plan_id].comparison_key or ""]
        moves = [move for move in world.audit if move.before.plan_id == plan_id]
        assert [move.after.version for move in moves] == list(range(1, len(moves) + 1))
    assert world.waiting == {}
    return world


def _day(world: World) -> object:
    return next(iter(world.pairs.values())).trading_day


def _end(pair: Pair) -> tuple[Verdict, str | None, str | None]:
    return pair.verdict, pair.comparison_key, pair.comparison_sha256


@pytest.mark.parametrize("seed", range(25))
def test_a_disturbed_schedule_ends_as_an_undisturbed_one(seed: int) -> None:
    world = check(seed)
    assert all(pair.state in (PairState.JUDGED, PairState.MISSING, PairState.RESOLVED_LATE) for pair in world.pairs.values())


@pytest.mark.long
@pytest.mark.parametrize("block", range(40))
def test_a_thousand_disturbed_schedules_end_as_undisturbed_ones(block: int) -> None:
    for seed in range(1_000 + 25 * block, 1_025 + 25 * block):
        check(seed)


def test_the_schedules_do_disturb() -> None:
    logs = [line for seed in range(12) for line in Schedule(fates_of(seed), seed).run().logs]
    assert logs.count("died") > 10
    assert "rival died" in logs
    assert "another comparator was first" in logs


def test_an_undisturbed_schedule_counts_each_pair_once() -> None:
    for seed in range(5):
        fates = fates_of(seed)
        world = Schedule(fates, None).run()
        live = [pair for pair in world.pairs.values() if pair.origin is Origin.LIVE]
        assert world.total(Metric.PAIRS_JUDGED) == sum(pair.state is not PairState.MISSING for pair in live)
