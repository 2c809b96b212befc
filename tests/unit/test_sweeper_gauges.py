"""What the sweeper states after every sweep, for the alarms that wait for it: days without a comparison, and the month's cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count

import boto3
import pytest
from moto import mock_aws

from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.aws.table import RawItem, item_of
from shadow.contracts.candidate_state import IntentStatus, candidate_pk, intent_sk
from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import Announcement, Pair, PairState, StartState, SweepNotes, UnreadablePair
from shadow.contracts.vocabulary import ExecutionMode, Metric, Origin, Role
from shadow.lanes.lane import Deadlines
from shadow.settlement.conservation import Conservation
from shadow.settlement.settler import Settlement
from shadow.settlement.sweeper import Sweeper, SweepReport, _divergence_rate
from tests.factories.cloud_tables import make_table
from tests.factories.pairs import pair_of
from tests.fakes.candidate import intent_of, trade
from tests.fakes.evidence import FakeCandidate, FakeLedger, FakeRecorder, Fuse, World, settler_of
from tests.fakes.plans import plan_of

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
TUESDAY_NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)


def judged(day: date, plan_id: str = "p", transitions: int | None = None) -> Pair:
    values = {"trading_day": day, "plan_id": plan_id, "state": PairState.JUDGED, "verdict": Verdict.MATCHED}
    return pair_of(plan_of(KO="100"), start_state=StartState.STARTED, **{**values, "state_transitions": transitions})


def gauges(*pairs: Pair) -> dict[Metric, float]:
    world, fuse = World(), Fuse()
    ledger = FakeLedger(world, fuse)
    world.pairs = {pair.plan_id: pair for pair in pairs}
    recorder, lane = FakeRecorder(world, fuse), FakeCandidate(world)
    sweeper = Sweeper(ledger, settler_of(world), lane, lambda _: StartState.STARTED, recorder, Deadlines(), "s")
    sweeper._gauge(SweepReport(), TUESDAY_NOON)
    return dict(world.emitted[-1])


@pytest.mark.parametrize(
    ("days", "uncompared"),
    [((MONDAY,), 0), ((FRIDAY,), 1), ((), 2), ((date(2026, 11, 24),), 2), ((FRIDAY, MONDAY), 0)],
)
def test_trading_days_that_are_over_are_counted_back_to_the_last_comparison(days: tuple[date, ...], uncompared: int) -> None:
    pairs = [judged(day, f"plan-{number}") for number, day in enumerate(days)]
    assert gauges(*pairs)[Metric.UNCOMPARED_TRADING_DAYS] == uncompared


class _WithDamage(FakeLedger):
    def announcements(self, before: datetime) -> list[Announcement | UnreadablePair]:  # type: ignore[override] # as the port has it
        return [UnreadablePair("PAIR#lost ANNOUNCE#000001", "GSI2SK: expected a time"), *super().announcements(before)]


def test_an_announcement_that_cannot_be_read_is_counted_and_the_sweep_goes_on() -> None:
    world, fuse = World(), Fuse()
    waiting = Announcement("p", 1, datetime(2026, 11, 24, 12, tzinfo=UTC), {Metric.PAIRS_JUDGED: 1.0})
    world.waiting[("p", 1)] = waiting
    recorder, lane = FakeRecorder(world, fuse), FakeCandidate(world)
    parts = _WithDamage(world, fuse), settler_of(world), lane, lambda _: StartState.STARTED, recorder, Deadlines(), "s"

    report = Sweeper(*parts).sweep(TUESDAY_NOON)

    assert (report.errors, report.announced) == (1, 1)
    assert world.total(Metric.COMPARATOR_ERRORS) == 1.0
    assert "an announcement cannot be read" in world.logs


def test_an_open_pair_is_no_comparison() -> None:
    pair = pair_of(plan_of(KO="100"), trading_day=MONDAY)
    assert gauges(pair)[Metric.UNCOMPARED_TRADING_DAYS] == 2


def test_the_month_costs_what_its_transitions_do() -> None:
    of_month = [judged(MONDAY, "a", 300), judged(date(2026, 11, 1), "b", 100), judged(FRIDAY, "c")]
    before = judged(date(2026, 10, 31), "d", 9_000)
    assert gauges(*of_month, before)[Metric.MONTH_TRANSITION_COST_USD] == pytest.approx(0.01)


def intent(status: IntentStatus, run_id: str, mode: ExecutionMode = ExecutionMode.PAPER, detail: str | None = None) -> RawItem:
    about = {"PK": candidate_pk(run_id), "SK": intent_sk(f"trade-{status}", 0), "run_id": run_id, "trade_id": f"trade-{status}"}
    at = TUESDAY_NOON - timedelta(minutes=5)
    return item_of(intent_of(trade("KO"), **about, execution_mode=mode, status=status, detail=detail, intended_at=at))


@pytest.mark.parametrize("status", IntentStatus)
@pytest.mark.parametrize("execution", ["ABORTED", "TIMED_OUT", "FAILED", "RUNNING", "SUCCEEDED", None])
def test_l2_the_sweep_counts_the_orders_that_a_dead_run_left(status: IntentStatus, execution: str | None) -> None:
    world, fuse = World(), Fuse()
    pair = judged(MONDAY)
    world.pairs = {pair.plan_id: pair}
    world.state_items[pair.run_id] = [intent(status, pair.run_id)]
    recorder, lane = FakeRecorder(world, fuse), FakeCandidate(world)
    if execution is not None:
        world.executions[pair.execution_arn or lane.execution_arn(pair.run_id)] = ({"status": execution}, [])
    sweeper = Sweeper(FakeLedger(world, fuse), settler_of(world), lane, lambda _: StartState.STARTED, recorder, Deadlines(), "s")

    sweeper.sweep(TUESDAY_NOON)

    left = 0 if status.is_final or execution == "RUNNING" else 1
    assert world.emitted[-1][Metric.ORDERS_LEFT_WORKING] == left
    assert ("orders of ours may have been left working" in world.logs) is bool(left)
    sweeper.sweep(TUESDAY_NOON + timedelta(hours=1))
    assert world.emitted[-1][Metric.ORDERS_LEFT_WORKING] == (0 if status.is_final else 1)


@pytest.mark.parametrize(("execution", "left"), [("SUCCEEDED", 0), ("FAILED", 1), (None, 1)])
def test_the_records_of_a_large_run_that_succeeded_are_not_read_at_every_sweep(execution: str | None, left: int) -> None:
    world, fuse = World(), Fuse()
    pair = judged(MONDAY).model_copy(update={"trade_count": 5000})
    world.pairs = {pair.plan_id: pair}
    world.state_items[pair.run_id] = [intent(IntentStatus.OPEN, pair.run_id)]
    lane = FakeCandidate(world)
    if execution is not None:
        world.executions[pair.execution_arn or lane.execution_arn(pair.run_id)] = ({"status": execution}, [])
    parts = FakeLedger(world, fuse), settler_of(world), lane, lambda _: StartState.STARTED
    report = Sweeper(*parts, FakeRecorder(world, fuse), Deadlines(), "s").sweep(TUESDAY_NOON)
    assert report.left_working == left


@pytest.mark.parametrize(
    "item",
    [
        intent(IntentStatus.INTENDED, "r", ExecutionMode.DRY_RUN),
        intent(IntentStatus.AMBIGUOUS, "r", detail="OrderMismatch: expected KO, was PEP"),
    ],
    ids=["a dry run sends none", "another order was ended"],
)
def test_an_order_that_cannot_be_working_is_not_counted(item: RawItem) -> None:
    world, fuse = World(), Fuse()
    pair = judged(MONDAY)
    world.pairs = {pair.plan_id: pair}
    world.state_items[pair.run_id] = [item]
    parts = FakeLedger(world, fuse), settler_of(world), FakeCandidate(world), lambda _: StartState.STARTED
    report = Sweeper(*parts, FakeRecorder(world, fuse), Deadlines(), "s").sweep(TUESDAY_NOON)
    assert report.left_working == 0


def sweeper_of(world: World, seconds: float = 0.0) -> Sweeper:
    """Give a sweeper for which a look at the time takes `seconds`; it looks once before the first pair, and once for each."""
    passed = (number * seconds for number in count())
    parts = FakeLedger(world, Fuse()), settler_of(world), FakeCandidate(world), lambda _: StartState.STARTED
    return Sweeper(*parts, FakeRecorder(world, Fuse()), Deadlines(), "s", lambda: next(passed))


def test_a_sweep_that_takes_too_long_leaves_the_rest_to_the_next_and_comes_to_its_gauges() -> None:
    world = World()
    world.pairs = {f"plan-{number}": judged(MONDAY, f"plan-{number}") for number in range(5)}

    report = sweeper_of(world, 10).sweep(TUESDAY_NOON)

    assert (report.visited, report.postponed, world.notes.resume_at) == (2, 3, "plan-2")
    assert world.emitted[-1][Metric.PAIRS_PENDING] == 0
    assert "the sweep's time is over, the other pairs wait for the next one" in world.logs
    report = sweeper_of(world, 10).sweep(TUESDAY_NOON + timedelta(minutes=1))
    assert (report.visited, world.notes.resume_at) == (2, "plan-4")
    report = sweeper_of(world, 1).sweep(TUESDAY_NOON + timedelta(minutes=2))
    assert (report.visited, report.postponed, world.notes.resume_at) == (5, 0, None)


def open_pairs(number: int) -> dict[str, Pair]:
    plan, at = plan_of(KO="100"), TUESDAY_NOON - timedelta(minutes=1)
    return {f"plan-{n}": pair_of(plan, at, plan_id=f"plan-{n}", run_id=f"run-{n}") for n in range(number)}


def test_s9_a_thousand_open_pairs_are_gone_round_and_every_sweep_comes_to_its_gauges_within_its_minute() -> None:
    """At a tenth of a second for each pair a sweep reaches some three hundred of them."""
    world = World()
    world.pairs = open_pairs(1000)
    visited = 0
    for minute in range(4):
        report = sweeper_of(world, 0.1).sweep(TUESDAY_NOON + timedelta(minutes=minute))
        visited += report.visited
        assert world.emitted[-1][Metric.PAIRS_PENDING] == 1000
        assert 290 <= report.visited <= 300
    assert (visited >= 1000, report.errors) == (True, 0)


@pytest.mark.parametrize("left", [0, 7, 999])
def test_the_gauge_of_orders_left_working_does_not_depend_on_the_pairs_that_one_sweep_reached(left: int) -> None:
    world = World()
    world.pairs = open_pairs(1000)
    world.state_items[f"run-{left}"] = [intent(IntentStatus.OPEN, f"run-{left}")]
    told = []
    for minute in range(9):
        sweeper_of(world, 0.1).sweep(TUESDAY_NOON + timedelta(minutes=minute))
        told.append(world.emitted[-1][Metric.ORDERS_LEFT_WORKING])

    assert sorted(told) == told, "once counted it stays counted, also by sweeps that do not come to it"
    assert told[-1] == 1
    world.state_items.clear()
    for minute in range(4):
        sweeper_of(world, 0.1).sweep(TUESDAY_NOON + timedelta(minutes=10 + minute))
    assert world.emitted[-1][Metric.ORDERS_LEFT_WORKING] == 0


class _Stuck:
    """A settler that finds a lane of one pair standing still."""

    def settle(self, plan_id: str, now: datetime) -> Settlement:
        del now
        stuck = (Role.CONTROL,) if plan_id == "plan-999" else ()
        return Settlement(plan_id, "r", PairState.PENDING, Verdict.PENDING, stuck=stuck)


def test_the_gauge_of_stuck_runs_does_not_depend_on_the_pairs_that_one_sweep_reached() -> None:
    world = World()
    world.pairs = open_pairs(1000)
    told = []
    for minute in range(9):
        sweeper = replace(sweeper_of(world, 0.1), settler=_Stuck())  # type: ignore[arg-type] # what is used of it
        sweeper.sweep(TUESDAY_NOON + timedelta(minutes=minute))
        told.append(world.emitted[-1][Metric.STUCK_RUNS])
    assert sorted(told) == told
    assert told[-1] == 1


@pytest.mark.parametrize("later", [0, 500])
def test_s9_the_start_of_a_judged_pair_is_completed_however_many_were_judged_after_it(later: int) -> None:
    world = World()
    first = judged(MONDAY, "first").model_copy(update={"start_state": StartState.INTENDED, "run_id": "run-first"})
    world.pairs = {"first": first} | {f"plan-{number}": judged(MONDAY, f"plan-{number}") for number in range(later)}
    lane = FakeCandidate(world)
    world.executions[lane.execution_arn("run-first")] = ({"status": "SUCCEEDED"}, [])

    report = sweeper_of(world).sweep(TUESDAY_NOON)

    assert report.starts_completed == 1
    assert world.pairs["first"].start_state is StartState.STARTED


def test_what_a_sweep_leaves_is_kept_in_the_table() -> None:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        make_table("pairs", "GSI1", "GSI2")
        ledger = DynamoDbPairLedger(client, "pairs")
        assert ledger.sweep_notes() == SweepNotes()
        notes = SweepNotes(resume_at="plan-7", stuck={"plan-1": 2}, left_working={"plan-2": 1})
        ledger.keep_sweep_notes(notes)
        assert ledger.sweep_notes() == notes
        assert list(ledger.open_pairs()) == []


@pytest.mark.parametrize(("counts", "rate"), [((), None), (((0, 0),), None), (((1, 2),), 50), (((1, 3), (2, 2)), 60)])
def test_the_divergence_rate_is_the_share_of_the_judged_pairs(counts: tuple[tuple[int, int], ...], rate: float | None) -> None:
    days = [Conservation(FRIDAY, Origin.LIVE, diverged=diverged, matched=judged - diverged) for diverged, judged in counts]
    assert _divergence_rate(days) == rate
