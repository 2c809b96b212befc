"""Business Unit: tests | Status: current.

Settlement at its limits: each deadline to the second, each sum by hand, and what is counted and logged beside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import EvidenceUnavailable, PairMoved
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Announcement, Pair, PairState, StartState, SweepNotes, UnreadablePair
from shadow.contracts.vocabulary import Lane, Metric, Origin, Role
from shadow.lanes.lane import Deadlines, Presence
from shadow.replay.ports import replayed_plan
from shadow.settlement.cases import _is_whole, latest_effects, merged_effects
from shadow.settlement.conservation import Conservation, conservation, verdict_metrics
from shadow.settlement.documents import STATE_ITEM
from shadow.settlement.hints import Hints, Message
from shadow.settlement.settler import Settlement
from shadow.settlement.sweeper import Sweeper, SweepReport
from tests.factories.comparisons import comparison_of, diverged, missing_candidate, with_roles_swapped
from tests.factories.control_items import ControlRun
from tests.factories.histories import BEGIN, Scenario, execution_arn
from tests.factories.pairs import pair_of
from tests.fakes.evidence import FakeCandidate, FakeLedger, FakeRecorder, Fuse, World, settler_of
from tests.fakes.plans import plan_of
from tests.unit.test_settlement import PLAN, SOON, candidate, control, pair_in, world_of

DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)
DEADLINES = Deadlines()
COMPARISON = comparison_of(DAY, trades=4)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def ref(name: str, digest: str = "0") -> EvidenceRef:
    return EvidenceRef(name=name, key=f"evidence/{name}", sha256=digest * 64, size=1)


# ---------------------------------------------------------------------- sums of a day


def test_a_day_adds_up_column_by_column() -> None:
    whole = Conservation(DAY, Origin.LIVE, 63, matched=1, diverged=2, ignored=4, incomplete=8, missing=16, pending=32, late=3)

    assert (whole.accounted, whole.judged, whole.error) == (63, 15, 0)
    assert whole.sentence() == "published 63 = matched 1 + diverged 2 + ignored 4 + incomplete 8 + missing 16 + pending 32"
    for published, error in ((60, -3), (66, 3)):
        broken = replace(whole, published=published)
        assert (broken.error, broken.sentence().partition(" matched")[0]) == (error, f"published {published} ≠")


COLUMNS: Mapping[tuple[PairState, Verdict], str] = {
    **{(state, Verdict.PENDING): "pending" for state in (PairState.PENDING, PairState.LATE)},
    **{(PairState.MISSING, verdict): "missing" for verdict in (Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE)},
    **{
        (state, verdict): verdict.value.lower()
        for state in (PairState.JUDGED, PairState.RESOLVED_LATE)
        for verdict in (Verdict.MATCHED, Verdict.DIVERGED, Verdict.IGNORED, Verdict.INCOMPLETE)
    },
}


@pytest.mark.parametrize("state", list(PairState))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_pair_is_counted_once_or_contradicts_itself(state: PairState, verdict: Verdict) -> None:
    pair = pair_of(PLAN, state=state, verdict=verdict)
    found = conservation(DAY, [pair])
    column = COLUMNS.get((state, verdict))

    counts = {name: getattr(found, name) for name in ("matched", "diverged", "ignored", "incomplete", "missing", "pending")}
    assert {name for name, count in counts.items() if count} == ({column} if column else set())
    assert (found.published, found.error, found.late) == (1, 0 if column else 1, state is PairState.LATE)


def test_pairs_are_counted_by_origin_and_an_unreadable_one_is_live() -> None:
    pairs = [pair_of(PLAN), pair_of(PLAN, origin=Origin.REPLAY), UnreadablePair("PAIR#x", "no state")]

    assert [conservation(DAY, pairs, origin).published for origin in (Origin.LIVE, Origin.REPLAY, Origin.PLANTED)] == [2, 1, 0]
    assert conservation(DAY, pairs).error == 1


def lasting(run: RunOutcome | None, took: float | None) -> RunOutcome | None:
    end = None if run is None or run.started_at is None or took is None else run.started_at + seconds(took)
    return run and run.model_copy(update={"completed_at": end})


@pytest.mark.parametrize(
    ("took", "other", "ratio"),
    [
        (100, 50, 50),
        (60, 30, 50),
        (30, 60, 200),
        (59, 59, None),
        (0, 100, None),
        (None, 100, None),
        (100, None, None),
        (100, 0, 0),
    ],
)
def test_durations_are_compared_where_one_took_a_minute(took: float | None, other: float | None, ratio: float | None) -> None:
    changes = {"control": lasting(COMPARISON.control, took), "candidate": lasting(COMPARISON.candidate, other)}

    assert verdict_metrics(COMPARISON.model_copy(update=changes), first=True).get(Metric.DURATION_RATIO) == ratio


def test_the_workflow_s_transitions_are_counted_in_whichever_role_it_ran_and_once() -> None:
    plan = replayed_plan(COMPARISON.plan, "version-2")
    after = with_roles_swapped(COMPARISON)
    beside = after.model_copy(update={"candidate": COMPARISON.candidate})
    again = beside.model_copy(update={"plan_id": plan.plan_id, "plan": plan, "origin": "replay"})
    assert [each.transitions for each in (COMPARISON, after, beside, again)] == [22, 22, 44, 22]
    assert [each.transitions for each in map(missing_candidate, (COMPARISON, after, beside, again))] == [None, 22, 22, None]
    assert verdict_metrics(after, first=True)[Metric.STATE_TRANSITIONS] == 22


def test_what_a_verdict_counts() -> None:
    assert COMPARISON.control is not None
    violated = COMPARISON.control.model_copy(update={"violations": ("a", "b")})
    found = diverged(COMPARISON).model_copy(update={"control": violated})
    again = verdict_metrics(found, first=False)
    first = verdict_metrics(found, first=True)

    assert again == {
        Metric.CRITICAL_DIFFERENCES: 0.0,
        Metric.MAJOR_DIFFERENCES: 1.0,
        Metric.UNEXPLAINED_DIFFERENCES: 1.0,
        Metric.DOUBLE_LIVE_ORDERS: 0.0,
        Metric.IMPACT_USD: float(found.gross_impact),
        Metric.EVIDENCE_GAPS: 0.0,
        Metric.CONTRACT_VIOLATIONS: 2.0,
    }
    assert {name: value for name, value in first.items() if name not in again} == {
        Metric.PAIRS_DIVERGED: 1.0,
        Metric.PAIRS_JUDGED: 1.0,
        Metric.STATE_TRANSITIONS: 22.0,
    }
    missing = verdict_metrics(missing_candidate(COMPARISON), first=True)
    assert (missing[Metric.PAIRS_MISSING_CANDIDATE], Metric.PAIRS_JUDGED in missing) == (1.0, False)
    assert Metric.STATE_TRANSITIONS not in missing
    assert verdict_metrics(found.model_copy(update={"origin": "replay"}), first=True) == {}
    assert verdict_metrics(found.model_copy(update={"origin": "planted"}), first=False) == again


# ---------------------------------------------------------------------- looks


def test_effects_that_were_copied_are_the_last_by_their_number() -> None:
    refs = {name: ref(name) for name in ("legacy", "legacy-effects-01", "legacy-effects-00", "workflow-00")}

    found = latest_effects(refs)

    assert found is not None
    assert (found.name, found.key) == ("legacy-effects", "evidence/legacy-effects-01")
    assert latest_effects({"legacy": ref("legacy")}) is None


def test_new_effects_are_added_by_key_and_the_first_copy_stands() -> None:
    kept: list[tuple[str, object]] = [
        ("watched", {"ledger_rows": False, "shared_by_plans": True}),
        ("event", {"PK": "a", "SK": "1", "text": "first"}),
    ]
    found: list[tuple[str, object]] = [
        ("watched", {"ledger_rows": True, "shared_by_plans": False}),
        ("other_run", {"PK": "a", "SK": "3"}),
        ("ledger_row", {"PK": "a", "SK": "2"}),
        ("event", {"PK": "a", "SK": "1", "text": "second"}),
        ("event", {"PK": "a", "SK": "0"}),
        ("event", {"PK": "only"}),
    ]

    assert merged_effects(kept, found) == [
        ("watched", {"ledger_rows": True, "shared_by_plans": True}),
        ("event", {"PK": "a", "SK": "0"}),
        ("event", {"PK": "a", "SK": "1", "text": "first"}),
        ("event", {"PK": "only"}),
        ("ledger_row", {"PK": "a", "SK": "2"}),
        ("other_run", {"PK": "a", "SK": "3"}),
    ]


@pytest.mark.parametrize(
    ("history", "is_whole"),
    [
        ([], False),
        ([{"type": "ExecutionStarted"}], False),
        ([{"type": "ExecutionStarted"}, {"type": "ExecutionAborted"}], True),
        ([{"type": "ExecutionAborted"}, {"type": "TaskExited"}], False),
        ([{"type": "TaskExited"}] * 24_999, False),
        ([{"type": "TaskExited"}] * 25_000, True),
    ],
)
def test_a_history_is_whole_at_its_end_or_at_the_services_limit(history: list[Mapping[str, object]], *, is_whole: bool) -> None:
    assert _is_whole(history) is is_whole


def test_control_items_are_gone_after_a_day() -> None:
    for age, gaps in ((86_399, 0), (86_400, 1)):
        world = world_of()
        look = settler_of(world)._parts.lanes.legacy(pair_in(world), {}, BEGIN + seconds(age))
        assert (look.presence, len(look.gaps)) == (Presence.ABSENT, gaps)


@pytest.mark.parametrize("count", [None, 0, 3, "3"])
def test_a_workflows_copy_is_named_by_its_redrives_and_the_last_is_read(count: object) -> None:
    world = world_of()
    candidate(world)
    arn = execution_arn(Scenario(PLAN).run_id)
    describe, history = world.executions[arn]
    world.executions[arn] = (
        {
            **{name: value for name, value in describe.items() if name != "redriveCount"},
            **({} if count is None else {"redriveCount": count}),
        },
        history,
    )
    lanes, pair = settler_of(world)._parts.lanes, pair_in(world)
    look = lanes.workflow(pair, {}, SOON)
    assert look.ref is not None
    assert look.ref.name == f"workflow-{3 if count == 3 else 0:02d}"

    world.executions.clear()
    refs = {name: ref(name) for name in ("workflow-00", "workflow-10", "workflow-02", "legacy")}
    kept = lanes.workflow(pair, refs, SOON)
    assert (kept.presence, kept.ref) == (Presence.SETTLED, refs["workflow-10"])
    assert lanes.workflow(pair, {"legacy": ref("legacy")}, SOON).presence is Presence.ABSENT


@pytest.mark.parametrize(
    ("told", "since"),
    [
        ({"startDate": BEGIN}, BEGIN),
        ({"startDate": BEGIN, "redriveDate": BEGIN + seconds(60)}, BEGIN + seconds(60)),
        ({"startDate": "soon"}, None),
    ],
)
def test_a_workflow_that_runs_is_waited_for_from_its_last_start(told: Mapping[str, object], since: datetime | None) -> None:
    world = world_of()
    arn = execution_arn(Scenario(PLAN).run_id)
    world.executions[arn] = ({"executionArn": arn, "status": "RUNNING", **told}, [])
    lanes, pair = settler_of(world)._parts.lanes, pair_in(world)
    for quiet, stuck in ((DEADLINES.stuck_after - 1, False), (DEADLINES.stuck_after, since is not None)):
        look = lanes.workflow(pair, {}, (since or BEGIN) + seconds(quiet))
        assert (look.presence, look.settledness.since, look.stuck) == (Presence.ACTIVE, since, stuck)


def test_a_workflows_copy_has_what_the_run_recorded_of_itself() -> None:
    world = world_of()
    candidate(world)
    noted = {"PK": {"S": "RUN#x"}, "SK": {"S": "RESULT#1"}, "result": {"S": "{}"}}
    world.state_items[pair_in(world).run_id] = [noted]
    parts = settler_of(world)._parts
    look = parts.lanes.workflow(pair_in(world), {}, SOON)
    assert look.ref is not None
    assert [value for what, value in parts.store.read(look.ref) if what == STATE_ITEM] == [noted]


def test_effects_that_others_recorded_first_move_the_pair() -> None:
    world = world_of()
    lanes, pair = settler_of(world)._parts.lanes, pair_in(world)
    lanes.record(pair, {}, ref("legacy-effects", "a"))
    assert list(world.refs[pair.plan_id]) == ["legacy-effects-00"]
    lanes.record(pair, world.refs[pair.plan_id], ref("legacy-effects", "b"))
    assert list(world.refs[pair.plan_id]) == ["legacy-effects-00", "legacy-effects-01"]
    lanes.record(
        pair,
        world.refs[pair.plan_id],
        world.refs[pair.plan_id]["legacy-effects-01"].model_copy(update={"name": "legacy-effects"}),
    )
    assert len(world.refs[pair.plan_id]) == 2
    with pytest.raises(PairMoved, match="other effects have been recorded as legacy-effects-00"):
        lanes.record(pair, {}, ref("legacy-effects", "c"))


@pytest.mark.parametrize(("age", "judged"), [(431_999, True), (432_000, False)])
def test_effects_are_read_for_five_days(age: float, *, judged: bool) -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler = settler_of(world)
    settler.settle(PLAN.plan_id, SOON)
    events = world.events[ControlRun(PLAN).run_id]
    events["late"] = {**next(iter(events.values())), "SK": {"S": "EVENT#late"}}

    assert settler.settle(PLAN.plan_id, BEGIN + seconds(age)).judged is judged


# ---------------------------------------------------------------------- deadlines


@pytest.mark.parametrize("age", [20, 21_600])
def test_a_pair_whose_evidence_stands_is_looked_at_again_without_a_write(age: float) -> None:
    world, fuse = world_of(), Fuse()
    control(world)
    candidate(world)
    settler = settler_of(world, fuse=fuse)
    assert settler.settle(PLAN.plan_id, BEGIN + seconds(age)).judged
    calls = fuse.calls

    assert not settler.settle(PLAN.plan_id, BEGIN + seconds(age)).judged
    assert fuse.calls == calls


def test_where_nobody_captures_the_controls_events_its_effects_are_unknown_and_waited_for_by_nobody() -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler = settler_of(world)
    settler._parts.lanes._control.captured_events = lambda _run_id: None  # type: ignore[method-assign, assignment]

    found = settler.settle(PLAN.plan_id, SOON)

    assert (found.judged, found.verdict) == (True, Verdict.MATCHED)
    written = json.loads(world.objects[found.comparison_key or ""])
    assert written["control"]["effects"] is None
    assert {each["name"] for each in written["evidence"]} == {"legacy", "workflow-00"}


@pytest.mark.parametrize(
    ("age", "state"), [(3_599, PairState.PENDING), (3_600, PairState.LATE), (21_599, PairState.LATE), (21_600, PairState.MISSING)]
)
def test_a_pair_is_late_after_an_hour_and_missing_after_six(age: float, state: PairState) -> None:
    world = world_of()
    control(world)

    found = settler_of(world).settle(PLAN.plan_id, BEGIN + seconds(age))

    assert (found.state, found.judged) == (state, state is PairState.MISSING)
    assert found.waiting_for == (() if found.judged else ("the candidate",))


@pytest.mark.parametrize(
    ("start", "has_control", "has_candidate", "is_missing"),
    [
        (StartState.REFUSED, True, False, True),
        (StartState.REFUSED, False, False, False),
        (StartState.STARTED, True, False, False),
        (StartState.INTENDED, True, False, False),
    ],
)
def test_a_refused_start_alone_is_waited_for_no_longer(
    start: StartState, *, has_control: bool, has_candidate: bool, is_missing: bool
) -> None:
    world = world_of(pair_of(PLAN, start_state=start))
    if has_control:
        control(world)
    if has_candidate:
        candidate(world)

    found = settler_of(world).settle(PLAN.plan_id, SOON)

    assert (found.verdict is Verdict.MISSING_CANDIDATE) is is_missing
    assert found.judged is is_missing


class Losing(FakeLedger):
    """A ledger in which others are first so many times."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world, Fuse())
        self.times = times

    def get(self, plan_id: str) -> Pair | None:
        self.times -= 1
        if self.times >= 0:
            raise PairMoved(f"pair {plan_id}")
        return super().get(plan_id)


@pytest.mark.parametrize(("times", "is_settled"), [(4, True), (5, False)])
def test_a_pair_that_others_move_is_tried_five_times(times: int, *, is_settled: bool) -> None:
    world = world_of()
    settler = settler_of(world)
    parts = replace(settler._parts, ledger=Losing(world, times))
    losing = type(settler)(parts)
    if is_settled:
        assert losing.settle(PLAN.plan_id, SOON).state is PairState.PENDING
    else:
        with pytest.raises(PairMoved, match="expected to win within 5 attempts"):
            losing.settle(PLAN.plan_id, SOON)

    assert world.logs.count("another comparator was first") == times
    assert world.problems == []


def test_what_a_settlement_tells_on_the_wire() -> None:
    told = Settlement("p", "r", PairState.JUDGED, Verdict.MATCHED, judged=True, waiting_for=("w",), stuck=(Role.CONTROL,))

    assert told.to_wire() == {
        "plan_id": "p",
        "run_id": "r",
        "state": "JUDGED",
        "verdict": "MATCHED",
        "judged": True,
        "waiting_for": ["w"],
        "stuck": ["control"],
        "comparison_key": None,
    }


class Deaf:
    """A broker that never answers."""

    def read(self, *_asked: object) -> Mapping[str, object]:
        raise EvidenceUnavailable("the broker does not answer for account PA3CANARY")

    look = read


def test_a_broker_that_does_not_answer_is_waited_for_and_then_a_gap() -> None:
    world = world_of()
    control(world)
    settler = settler_of(world, broker=Deaf())
    settler.settle(PLAN.plan_id, SOON)
    assert world.problems == ["what the accounts hold could not be kept"]
    candidate(world)
    with pytest.raises(EvidenceUnavailable):
        settler.settle(PLAN.plan_id, SOON)

    found = settler.settle(PLAN.plan_id, BEGIN + seconds(21_600))

    assert (found.judged, found.verdict) == (True, Verdict.INCOMPLETE)
    written = json.loads(world.objects[found.comparison_key or ""])
    for role in ("control", "candidate"):
        assert written[role]["gaps"] == [{"what": "broker orders", "reason": "the broker does not answer for account [redacted]"}]


# ---------------------------------------------------------------------- the sweep


def sweeper_of(world: World, starter: Callable[[Pair], StartState] = lambda _: StartState.STARTED, **changes: object) -> Sweeper:
    parts = FakeLedger(world, Fuse()), settler_of(world), FakeCandidate(world), starter
    return replace(Sweeper(*parts, FakeRecorder(world, Fuse()), DEADLINES, "s", lambda: 0.0), **changes)  # type: ignore[arg-type]


def aged(age: float, **changes: object) -> Pair:
    return pair_of(plan_of(KO="100"), NOON - seconds(age), trading_day=DAY, **changes)


@pytest.mark.parametrize(
    ("age", "lane", "known", "state", "started"),
    [
        (119, Lane.LEGACY, True, StartState.INTENDED, 0),
        (120, Lane.LEGACY, True, StartState.STARTED, 0),
        (120, Lane.LEGACY, False, StartState.INTENDED, 1),
        (900, Lane.LEGACY, False, StartState.INTENDED, 1),
        (901, Lane.LEGACY, False, StartState.REFUSED, 0),
        (901, Lane.LEGACY, True, StartState.STARTED, 0),
        (120, Lane.WORKFLOW, True, StartState.INTENDED, 0),
        (900, Lane.WORKFLOW, False, StartState.INTENDED, 0),
        (901, Lane.WORKFLOW, True, StartState.REFUSED, 0),
    ],
)
def test_a_start_of_unknown_fate_is_looked_into_after_two_minutes_and_given_up_after_fifteen(
    age: float, lane: Lane, state: StartState, started: int, *, known: bool
) -> None:
    """A candidate's start is made again; a legacy lane that shadows is never published to a second time."""
    world, made = World(), []
    pair = aged(age, production_lane=lane)
    world.pairs = {pair.plan_id: pair}
    if known:
        world.executions[execution_arn(pair.run_id)] = ({"status": "RUNNING"}, [])

    def start(one: Pair) -> StartState:
        made.append(one)
        return StartState.STARTED

    report = sweeper_of(world, start).sweep(NOON)

    after = world.pairs[pair.plan_id]
    assert (after.start_state, len(made)) == (state, started)
    assert report.starts_completed == (state is not StartState.INTENDED) + started
    assert world.total(Metric.CANDIDATE_STARTS_COMPLETED) == report.starts_completed
    assert (after.execution_arn is not None) is (state is StartState.STARTED)
    assert (after.start_reason is not None) is (state is StartState.REFUSED)
    assert report.errors == 0


def test_the_gauges_are_of_live_pairs_that_wait() -> None:
    world = World()
    pairs = [
        aged(10, plan_id="a"),
        aged(30, plan_id="b", state=PairState.LATE),
        aged(4_000, plan_id="c", origin=Origin.REPLAY),
        aged(50, plan_id="d", state=PairState.JUDGED, verdict=Verdict.MATCHED),
        aged(60, plan_id="e", state=PairState.JUDGED, verdict=Verdict.PENDING),
    ]
    world.pairs = {pair.plan_id: pair for pair in pairs}
    told: list[Sequence[Conservation]] = []
    report = SweepReport(stuck=3, left_working=4)
    sweeper_of(world, tell=told.append)._gauge(report, NOON)
    found = world.emitted[-1]

    assert {name: found[name] for name in found if name is not Metric.UNCOMPARED_TRADING_DAYS} == {
        Metric.PAIRS_PENDING: 2.0,
        Metric.PAIRS_LATE: 1.0,
        Metric.OLDEST_PENDING_SECONDS: 30.0,
        Metric.STUCK_RUNS: 3.0,
        Metric.ORDERS_LEFT_WORKING: 4.0,
        Metric.CONSERVATION_ERROR: 1.0,
        Metric.MONTH_TRANSITION_COST_USD: 0.0,
        Metric.DIVERGENCE_RATE: 0.0,
    }
    assert [day.trading_day.day for day in told[0]] == [20, 21, 22, 23, 24]
    assert report.to_wire()["conservation"] == [f"{day.trading_day}: {day.sentence()}" for day in told[0]]
    assert report.to_wire()["oldest_pending_seconds"] == 30.0
    assert (report.to_wire()["pending"], report.to_wire()["late"], report.to_wire()["stuck"]) == (2, 1, 3)


def test_a_day_of_new_york_is_meant() -> None:
    """At 03:00 UTC it is still the day before there."""
    world = World()
    sweeper_of(world)._gauge(report := SweepReport(), datetime(2026, 11, 24, 3, tzinfo=UTC))

    assert [day.trading_day.day for day in report.days] == [19, 20, 21, 22, 23]


@pytest.mark.parametrize(("closed", "visited"), [(200, 200), (201, 200), (203, 201)])
def test_the_last_200_closed_pairs_and_those_with_something_left_are_looked_at_again(closed: int, visited: int) -> None:
    world = World()
    pairs = [
        aged(60, plan_id=f"p{n}", run_id=f"r{n}", state=PairState.JUDGED, verdict=Verdict.MATCHED, start_state=StartState.STARTED)
        for n in range(closed)
    ]
    world.pairs = {pair.plan_id: pair for pair in pairs}
    world.notes = SweepNotes(stuck={"p1": 1} if closed == 203 else {}, left_working={"gone": 2})

    report = sweeper_of(world).sweep(NOON)

    assert (report.visited, report.errors, report.left_working) == (visited, 0, 0)


@pytest.mark.parametrize(("waits", "announced"), [(119, 0), (120, 1), (121, 1)])
def test_a_verdict_is_announced_by_the_sweep_after_two_minutes(waits: float, announced: int) -> None:
    world = World()
    world.waiting[("p", 1)] = Announcement("p", 1, NOON - seconds(waits), {Metric.PAIRS_JUDGED: 1.0})

    report = sweeper_of(world).sweep(NOON)

    assert (report.announced, world.total(Metric.PAIRS_JUDGED), bool(world.waiting)) == (announced, announced, not announced)


def test_a_sweep_whose_time_is_over_announces_nothing_and_stops_at_thirty_seconds() -> None:
    world = World()
    world.waiting[("p", 1)] = Announcement("p", 1, NOON - seconds(500), {Metric.PAIRS_JUDGED: 1.0})
    world.pairs = {f"p{n}": aged(60, plan_id=f"p{n}") for n in range(3)}
    ticks = iter([0.0, 29.9, 29.9, 30.0, 31.0])
    report = sweeper_of(world, ticks=lambda: next(ticks)).sweep(NOON)
    assert (report.announced, report.visited, report.postponed, world.notes.resume_at) == (1, 1, 2, "p1")
    assert world.problems == ["the sweep's time is over, the other pairs wait for the next one"]

    world.waiting[("p", 2)] = Announcement("p", 2, NOON - seconds(500), {Metric.PAIRS_JUDGED: 1.0})
    late = iter([0.0, 30.0, 30.0, 30.0, 30.0])
    report = sweeper_of(world, ticks=lambda: next(late)).sweep(NOON)
    assert (report.announced, report.visited, report.postponed) == (0, 0, 3)


def test_one_pairs_trouble_is_counted_and_the_next_is_settled() -> None:
    world = World()
    world.pairs = {f"p{n}": aged(60, plan_id=f"p{n}", run_id=f"run{n}") for n in range(2)}

    class Troubled:
        def settle(self, plan_id: str, now: datetime) -> Settlement:
            if plan_id == "p0":
                raise RuntimeError(plan_id, now)
            return Settlement(plan_id, "r", PairState.JUDGED, Verdict.MATCHED, judged=True, stuck=(Role.CONTROL, Role.CANDIDATE))

    report = sweeper_of(world, settler=Troubled()).sweep(NOON)

    assert (report.errors, report.visited, report.judged, report.stuck) == (1, 2, 1, 2)
    assert world.total(Metric.COMPARATOR_ERRORS) == 1.0
    assert world.problems == ["a pair could not be settled"]
    replays = {plan_id: pair.model_copy(update={"origin": Origin.REPLAY}) for plan_id, pair in world.pairs.items()}
    world.pairs, world.notes = replays, SweepNotes()
    assert sweeper_of(world, settler=Troubled()).sweep(NOON).stuck == 0


# ---------------------------------------------------------------------- hints


class Seen:
    """What a hint leads to: what is recorded, noted, counted, told and settled."""

    def __init__(self, *, terminal: bool = False, input_text: object = '{"planId":"plan-1"}') -> None:
        self.terminal, self.input_text = terminal, input_text
        self.recorded: list[str] = []
        self.noted: list[tuple[object, ...]] = []
        self.counted: list[Mapping[Metric, float]] = []
        self.told: list[tuple[str, Mapping[str, str], bool]] = []
        self.settled: list[str] = []

    def hints(self) -> Hints:
        return Hints(self, self, self, self, self, lambda: NOON, lambda _: None)  # type: ignore[arg-type] # what is used of each

    def settle(self, plan_id: str, now: datetime) -> Settlement:
        assert now == NOON
        self.settled.append(plan_id)
        return Settlement(plan_id, "r", PairState.JUDGED, Verdict.MATCHED)

    def run_items(self, run_id: str) -> list[dict[str, Any]]:
        assert run_id
        return [
            {"SK": {"S": "TRADE#1"}, "plan_id": {"S": "another"}},
            {"SK": {"S": "METADATA"}, "plan_id": {"S": "plan-1"}},
        ]

    def describe(self, execution_arn: str) -> dict[str, object] | None:
        return None if execution_arn.endswith(":nowhere") else {"input": self.input_text}

    def record(self, event: Any, now: datetime) -> None:
        assert now == NOON
        self.recorded.append(event.run_id)

    def knows_other_run(self, *_known: object) -> bool:
        return False

    def has_terminal(self, run_id: str) -> bool:
        assert run_id
        return self.terminal

    def note_other_run(self, *noted: object) -> bool:
        self.noted.append(noted)
        return True

    def emit(self, values: Mapping[Metric, float]) -> None:
        self.counted.append(values)

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        self.told.append((message, fields, problem))


def executed(run_id: str = run_id_of("plan-1"), kind: str = "TradeExecuted") -> dict[str, Any]:
    return {
        "source": "alchemiser.execution",
        "detail-type": kind,
        "id": "event-1",
        "time": NOON.isoformat(),
        "detail": {"correlation_id": "w", "run_id": run_id, "plan_id": "plan-1", "timestamp": NOON.isoformat(), "trade_id": "t"},
    }


def ended(name: str, status: str = "SUCCEEDED", **detail: object) -> dict[str, Any]:
    arn = "arn:aws:states:us-east-1:123456789012"
    told = {
        "executionArn": f"{arn}:execution:w:{name}",
        "stateMachineArn": f"{arn}:stateMachine:w",
        "name": name,
        "status": status,
    }
    return {
        "id": "e",
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": NOON.isoformat(),
        "detail": told | detail,
    }


OWN = execution_name_of(run_id_of("plan-1"))


@pytest.mark.parametrize(("terminal", "settled"), [(False, []), (True, ["plan-1"])])
def test_an_event_that_ends_nothing_settles_only_what_has_ended_before(settled: list[str], *, terminal: bool) -> None:
    seen = Seen(terminal=terminal)

    assert seen.hints().take([Message("m", json.dumps(executed()))]) == []
    assert (seen.recorded, seen.settled) == ([run_id_of("plan-1")], settled)


def test_a_run_that_an_event_names_is_noted_by_its_own_item() -> None:
    seen = Seen()
    seen.hints().take([Message("m", json.dumps(executed("run-2")))])

    assert seen.noted == [(run_id_of("plan-1"), Lane.LEGACY, "run-2", NOON, "")]
    assert seen.recorded == ["run-2"]


@pytest.mark.parametrize(
    ("event", "input_text", "settled"),
    [
        (ended(OWN, "RUNNING"), None, []),
        (ended(OWN, input='{"planId":"plan-1"}'), None, ["plan-1"]),
        (ended(OWN, input='{"planId":"plan-2"}'), '{"planId":"plan-1"}', ["plan-1"]),
        (ended(OWN), '{"planId":"plan-1"}', ["plan-1"]),
        (ended(OWN, input=7), '{"planId":"plan-1"}', ["plan-1"]),
    ],
    ids=["still running", "by its input", "by the service", "without an input", "an input of no text"],
)
def test_the_plan_of_an_execution_is_the_one_that_its_name_is_made_of(
    event: dict[str, Any], input_text: object, settled: list[str]
) -> None:
    seen = Seen(input_text=input_text)

    assert seen.hints().take([Message("m", json.dumps(event))]) == []
    assert (seen.settled, seen.noted, seen.told) == (settled, [], [])


@pytest.mark.parametrize(("text", "plan"), [('{"planId":"plan-1"}', "plan-1"), ("{}", ""), (None, "")])
def test_an_execution_that_the_service_does_not_know_is_told_with_what_the_event_said(text: str | None, plan: str) -> None:
    seen = Seen()
    seen.hints().take([Message("m", json.dumps(ended("nowhere", **({} if text is None else {"input": text}))))])
    fields = {"plan": plan, "lane": "workflow", "run": "nowhere", "reason": "the service knows no such execution"}

    assert seen.told == [("an event tells of a run that is not there", fields, True)]
    assert seen.counted == [{Metric.HINTS_DISBELIEVED: 1.0}]


@pytest.mark.parametrize("body", ["", "[]", "7", "no JSON", "[" * 100_000])
def test_a_body_that_is_no_event_comes_again_and_is_told(body: str) -> None:
    seen = Seen()

    assert seen.hints().take([Message("m", body)]) == ["m"]
    ((message, fields, problem),) = seen.told
    assert (message, problem, fields["message_id"], fields["error"]) == (
        "a message goes back to the queue",
        True,
        "m",
        "InvalidPayload",
    )
    assert seen.counted == [{Metric.COMPARATOR_ERRORS: 1.0}]


def test_all_messages_of_a_plan_that_could_not_be_settled_come_again() -> None:
    class Failing(Seen):
        def settle(self, plan_id: str, now: datetime) -> Settlement:
            raise EvidenceUnavailable(f"{plan_id} {now}")

    seen = Failing(terminal=True)
    batch = [Message(name, json.dumps(executed() | {"id": name})) for name in ("a", "b")]

    assert seen.hints().take(batch) == ["a", "b"]
    assert [fields["message_id"] for _, fields, _ in seen.told] == ["a"]
