"""A pair goes as far towards its verdict as its lanes allow, and no further; whatever happens, it gets there once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from shadow.aws.table import RawItem
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.control_records import LegacyRunStatus
from shadow.contracts.errors import EvidenceUnavailable, MissingPermission, UnknownPair
from shadow.contracts.pair import Pair, PairState, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Metric, Role, TradeStatus
from shadow.lanes.lane import Deadlines
from shadow.settlement.judging import judge_by
from shadow.settlement.settler import Settler
from tests.factories.control_items import GUARD_MESSAGE, ControlRun
from tests.factories.histories import BEGIN, Scenario, execution_arn, play
from tests.factories.pairs import pair_of
from tests.fakes.evidence import Crash, Fuse, World, document_of, settler_of
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="-300.5", GOOG="1000", TSLA="250")
SOON = BEGIN + timedelta(seconds=20)
DEADLINES = Deadlines()
LATE = BEGIN + timedelta(seconds=DEADLINES.late_after)
MISSING = BEGIN + timedelta(seconds=DEADLINES.missing_after)


def world_of(*pairs: Pair) -> World:
    return World(pairs={pair.plan_id: pair for pair in pairs or (pair_of(PLAN),)})


def control(world: World, run: ControlRun | None = None) -> None:
    run = run or ControlRun(PLAN)
    run_id = run.run_id
    world.control_items[run_id] = run.items()
    world.events[run_id] = {str(item["SK"]): item for item in run.events()}


def candidate(world: World, scenario: Scenario | None = None) -> None:
    scenario = scenario or Scenario(PLAN)
    execution = play(scenario)
    world.executions[execution_arn(scenario.run_id)] = (execution.describe, list(execution.history))


def pair_in(world: World, plan: RebalancePlan = PLAN) -> Pair:
    return world.pairs[plan.plan_id]


def test_two_settled_lanes_that_agree_match() -> None:
    world = world_of()
    control(world)
    candidate(world)

    settlement = settler_of(world).settle(PLAN.plan_id, SOON)

    assert settlement.judged is True
    assert (settlement.state, settlement.verdict) == (PairState.JUDGED, Verdict.MATCHED)
    assert pair_in(world).comparison_key == settlement.comparison_key
    assert settlement.comparison_key in world.objects
    assert {ref["name"] for ref in document_of(world, PLAN.plan_id)["evidence"]} == {"workflow-00", "legacy", "legacy-effects"}


@pytest.mark.parametrize("role", list(Role))
def test_a_lane_that_ran_the_plan_again_is_told_of_even_after_the_verdict(role: Role) -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler = Settler(replace(settler_of(world)._parts, judge=judge_by(default_policy())))
    settler.settle(PLAN.plan_id, SOON)
    before = {each["kind"] for each in document_of(world, PLAN.plan_id)["differences"]}
    lane = "legacy" if role is Role.CONTROL else "workflow"
    noted = {"PK": {"S": "RUN#x"}, "SK": {"S": f"OTHER_RUN#{lane}#again"}, "lane": {"S": lane}, "name": {"S": "again"}}
    world.other_runs[pair_in(world).run_id] = [noted]

    settler.settle(PLAN.plan_id, SOON)

    found = [each for each in document_of(world, PLAN.plan_id)["differences"] if each["kind"] not in before]
    assert [(each["kind"], each["attribution"], each["severity"]) for each in found] == [
        ("DUPLICATE_RUN", role.value, "CRITICAL")
    ]
    assert settler.settle(PLAN.plan_id, SOON).judged is False


@pytest.mark.parametrize("age", [timedelta(minutes=5), timedelta(days=31), timedelta(days=400)])
def test_what_was_copied_is_what_is_judged_whatever_has_expired_since(age: timedelta) -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler = Settler(replace(settler_of(world)._parts, judge=judge_by(default_policy())))
    settler.settle(PLAN.plan_id, SOON)
    judged, document = pair_in(world), document_of(world, PLAN.plan_id)
    assert judged.verdict is not Verdict.PENDING

    world.events.clear()
    world.control_items.clear()
    world.executions.clear()
    world.state_items.clear()
    world.other_runs.clear()
    again = settler.settle(PLAN.plan_id, SOON + age)

    assert again.judged is False
    assert pair_in(world) == judged
    assert document_of(world, PLAN.plan_id) == document

    stricter = Settler(replace(settler._parts, judge=judge_by(default_policy().model_copy(update={"name": "another"}))))
    world.pairs[PLAN.plan_id] = judged.model_copy(update={"evidence_sha256": None})
    stricter.settle(PLAN.plan_id, SOON + age)
    after = document_of(world, PLAN.plan_id)
    assert after["verdict"] == document["verdict"]
    assert after["control"] == document["control"]
    assert after["candidate"] == document["candidate"]
    assert after["evidence"] == document["evidence"]


def test_effects_that_come_late_are_added_to_the_copy_and_take_nothing_from_it() -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler = Settler(replace(settler_of(world)._parts, judge=judge_by(default_policy())))
    settler.settle(PLAN.plan_id, SOON)
    before, effects = (document_of(world, PLAN.plan_id)[name] for name in ("differences", "control"))
    effects = len(effects["effects"])
    run_id = ControlRun(PLAN).run_id
    first = next(iter(world.events[run_id].values()))
    world.events[run_id] = {"late": {**first, "SK": {"S": "EVENT#late"}}}

    assert settler.settle(PLAN.plan_id, SOON + timedelta(minutes=1)).judged is True
    document = document_of(world, PLAN.plan_id)
    assert {ref["name"] for ref in document["evidence"]} == {"workflow-00", "legacy", "legacy-effects"}
    assert {"legacy-effects-00", "legacy-effects-01"} <= world.refs[PLAN.plan_id].keys()
    missing = [each for each in document["differences"] if "MISSING" in each["kind"]]
    assert all(each in before for each in missing)
    assert len(document["control"]["effects"]) == effects + 1
    assert settler.settle(PLAN.plan_id, SOON + timedelta(minutes=2)).judged is False

    world.events[run_id] = {"forged": {**first, "SK": {"S": "EVENT#forged"}}}
    assert settler.settle(PLAN.plan_id, SOON + timedelta(days=6)).judged is False


class Brokers:
    """What both brokers answer."""

    def __init__(self, **answered: object) -> None:
        self.answered = answered

    def read(self, *_asked: object) -> Mapping[str, object]:
        return self.answered

    def look(self, *_asked: object) -> Mapping[str, object]:
        return {}


@pytest.mark.parametrize(
    ("market", "counted"),
    [([{"fault": "BrokerRefused"}], 1), ([], 0), ([{"symbol": "AAPL", "bid": "99", "ask": "101", "at": BEGIN.isoformat()}], 0)],
    ids=["refused", "no quotes", "quoted"],
)
def test_a_market_that_could_not_be_asked_is_counted_once_and_logged(market: list[object], counted: int) -> None:
    world = world_of()
    control(world)
    candidate(world)

    settler = settler_of(world, broker=Brokers(market=market))
    assert settler.settle(PLAN.plan_id, SOON).verdict is Verdict.MATCHED
    settler.settle(PLAN.plan_id, SOON + timedelta(minutes=1))

    assert sum(Metric.MARKET_UNANSWERED in emitted for emitted in world.emitted) == counted
    assert world.logs.count("the market's quotes could not be had") == counted


def test_a_plan_that_no_pair_is_recorded_for_is_named() -> None:
    with pytest.raises(UnknownPair, match="nobody"):
        settler_of(world_of()).settle("nobody", SOON)


@pytest.mark.parametrize("present", [Role.CONTROL, Role.CANDIDATE])
def test_one_lane_alone_waits(present: Role) -> None:
    world = world_of()
    (control if present is Role.CONTROL else candidate)(world)

    settlement = settler_of(world).settle(PLAN.plan_id, SOON)

    assert settlement.state is PairState.PENDING
    assert settlement.judged is False
    assert len(settlement.waiting_for) == 1
    assert world.audit == []


def test_the_controls_evidence_is_kept_before_its_items_expire() -> None:
    world = world_of()
    control(world)
    settler_of(world).settle(PLAN.plan_id, SOON)
    world.control_items.clear()
    candidate(world)

    assert settler_of(world).settle(PLAN.plan_id, SOON + timedelta(days=2)).verdict is Verdict.MATCHED


@pytest.mark.parametrize(("present", "verdict"), [(control, Verdict.MISSING_CANDIDATE), (candidate, Verdict.MISSING_CONTROL)])
def test_a_lane_that_never_turns_up_is_late_then_missing_then_resolved(present: object, verdict: Verdict) -> None:
    world = world_of()
    present(world)
    assert settler_of(world).settle(PLAN.plan_id, LATE).state is PairState.LATE
    missing = settler_of(world).settle(PLAN.plan_id, MISSING)
    assert (missing.state, missing.verdict) == (PairState.MISSING, verdict)
    assert settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(minutes=1)).judged is False

    control(world)
    candidate(world)
    resolved = settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=1))

    assert (resolved.state, resolved.verdict) == (PairState.RESOLVED_LATE, Verdict.MATCHED)
    assert pair_in(world).previous_verdict is verdict
    assert [move.after.state for move in world.audit] == [PairState.LATE, PairState.MISSING, PairState.RESOLVED_LATE]


def test_a_lane_that_turned_up_is_not_called_missing_though_the_other_never_ends() -> None:
    world = world_of()
    candidate(world, Scenario(PLAN, stop="RUNNING"))
    assert settler_of(world).settle(PLAN.plan_id, MISSING).verdict is Verdict.MISSING_CONTROL

    control(world)
    resolved = settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=1))
    assert (resolved.state, resolved.verdict) == (PairState.RESOLVED_LATE, Verdict.DIVERGED)
    assert settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=2)).judged is False

    candidate(world)
    assert settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=3)).verdict is Verdict.MATCHED


def test_a_lane_that_turned_up_and_hangs_is_not_called_missing_and_one_still_at_work_is_waited_for() -> None:
    world = world_of()
    candidate(world)
    assert settler_of(world).settle(PLAN.plan_id, MISSING).verdict is Verdict.MISSING_CONTROL

    control(world, ControlRun(PLAN, {"GOOG": "RUNNING"}, LegacyRunStatus.BUY_PHASE))
    patient = Deadlines(stuck_after=DEADLINES.missing_after * 3)
    assert settler_of(world, deadlines=patient).settle(PLAN.plan_id, MISSING + timedelta(hours=1)).judged is False

    hangs = settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=1))
    assert (hangs.state, hangs.verdict) == (PairState.RESOLVED_LATE, Verdict.DIVERGED)
    assert settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=2)).judged is False

    control(world)
    assert settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(hours=3)).verdict is Verdict.MATCHED


def test_a_pair_first_seen_after_its_last_deadline_passes_through_late() -> None:
    world = world_of()
    control(world)
    settler_of(world).settle(PLAN.plan_id, MISSING)
    assert [move.after.state for move in world.audit] == [PairState.LATE, PairState.MISSING]


def test_a_refused_candidate_is_missing_as_soon_as_the_control_has_settled() -> None:
    world = world_of(pair_of(PLAN, start_state=StartState.REFUSED, start_reason="no such machine"))
    control(world)
    assert settler_of(world).settle(PLAN.plan_id, SOON).verdict is Verdict.MISSING_CANDIDATE


def test_a_breaker_failed_run_is_not_settled_while_other_buys_go_on() -> None:
    world = world_of()
    candidate(world, Scenario(PLAN, statuses={"TSLA": TradeStatus.BLOCKED}))
    going_on = ControlRun(PLAN, {"TSLA": "BREAKER", "GOOG": "RUNNING"}, LegacyRunStatus.FAILED, "Equity circuit breaker")
    control(world, going_on)
    waiting = settler_of(world).settle(PLAN.plan_id, SOON)
    assert waiting.waiting_for == ("1 control trades",)

    control(world, replace(going_on, endings={"TSLA": "BREAKER"}))
    assert settler_of(world).settle(PLAN.plan_id, SOON).verdict is Verdict.MATCHED


def test_a_failed_run_waits_for_its_second_write_but_not_for_ever() -> None:
    world = world_of()
    candidate(world, Scenario(PLAN, statuses={"TSLA": TradeStatus.BLOCKED}))
    control(world, ControlRun(PLAN, {"TSLA": "BREAKER"}, LegacyRunStatus.FAILED, "Equity circuit breaker", counted=False))

    assert settler_of(world).settle(PLAN.plan_id, SOON).waiting_for == ("control counters",)
    assert settler_of(world).settle(PLAN.plan_id, BEGIN + timedelta(seconds=60)).judged is True


def test_a_guard_block_leaves_its_buys_waiting_and_is_settled() -> None:
    world = world_of()
    candidate(world, Scenario(PLAN, statuses={"AAPL": TradeStatus.FAILED}))
    endings = {"AAPL": "FAILED", "GOOG": "WAITING", "TSLA": "WAITING"}
    control(world, ControlRun(PLAN, endings, LegacyRunStatus.FAILED, GUARD_MESSAGE))

    assert settler_of(world).settle(PLAN.plan_id, SOON).verdict is Verdict.MATCHED


def test_control_effects_still_on_their_way_are_waited_for_within_their_grace() -> None:
    world = world_of()
    control(world)
    candidate(world)
    events = world.events[ControlRun(PLAN).run_id]
    late = events.popitem()

    assert settler_of(world).settle(PLAN.plan_id, SOON).waiting_for == ("1 legacy effects",)
    settled = settler_of(world).settle(PLAN.plan_id, BEGIN + timedelta(seconds=200))
    assert settled.judged is True

    events[late[0]] = late[1]
    again = settler_of(world).settle(PLAN.plan_id, BEGIN + timedelta(seconds=300))
    assert again.judged is True
    assert again.comparison_key != settled.comparison_key
    assert world.total(Metric.PAIRS_JUDGED) == 1.0


def test_a_stuck_run_is_found_by_the_age_of_its_state_and_judged_at_the_last_deadline() -> None:
    world = world_of()
    candidate(world)
    control(world, ControlRun(PLAN, {"GOOG": "RUNNING"}, LegacyRunStatus.BUY_PHASE))

    assert settler_of(world).settle(PLAN.plan_id, SOON).stuck == ()
    stuck = settler_of(world).settle(PLAN.plan_id, BEGIN + timedelta(seconds=DEADLINES.stuck_after + 5))
    assert stuck.stuck == (Role.CONTROL,)
    judged = settler_of(world).settle(PLAN.plan_id, MISSING)
    assert (judged.state, judged.verdict) == (PairState.JUDGED, Verdict.DIVERGED)
    assert settler_of(world).settle(PLAN.plan_id, MISSING + timedelta(minutes=1)).judged is False


def test_control_items_that_expired_unread_make_the_pair_incomplete() -> None:
    world = world_of()
    candidate(world)
    settlement = settler_of(world).settle(PLAN.plan_id, BEGIN + timedelta(hours=25))
    assert settlement.verdict is Verdict.INCOMPLETE


def test_an_aborted_execution_is_given_time_for_its_last_functions() -> None:
    world = world_of()
    control(world)
    candidate(world, Scenario(PLAN, stop="ABORTED", stop_after=30))

    assert settler_of(world).settle(PLAN.plan_id, SOON).judged is False
    assert settler_of(world).settle(PLAN.plan_id, BEGIN + timedelta(seconds=400)).verdict is Verdict.DIVERGED


def test_a_redrive_after_the_verdict_is_judged_again_and_the_old_verdict_kept() -> None:
    world = world_of()
    control(world)
    candidate(world, Scenario(PLAN, fail_in="AggregateResults"))
    assert settler_of(world).settle(PLAN.plan_id, SOON).verdict is Verdict.DIVERGED
    old_key = pair_in(world).comparison_key

    candidate(world, Scenario(PLAN, redrives=1))
    again = settler_of(world).settle(PLAN.plan_id, SOON + timedelta(minutes=5))

    assert (again.state, again.verdict) == (PairState.JUDGED, Verdict.MATCHED)
    assert pair_in(world).previous_verdict is Verdict.DIVERGED
    assert old_key in world.objects
    assert world.total(Metric.PAIRS_JUDGED) == 1.0


def test_settling_again_changes_nothing() -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler_of(world).settle(PLAN.plan_id, SOON)
    before = (dict(world.pairs), dict(world.objects), list(world.emitted))

    for minutes in range(3):
        settler_of(world).settle(PLAN.plan_id, SOON + timedelta(minutes=minutes))

    assert (dict(world.pairs), dict(world.objects), list(world.emitted)) == before


def test_a_cut_over_swaps_the_roles_and_says_the_same_of_each_lane() -> None:
    told = {}
    for production in (Lane.LEGACY, Lane.WORKFLOW):
        world = world_of(pair_of(PLAN, production_lane=production))
        control(world)
        candidate(world)
        Settler(replace(settler_of(world)._parts, judge=judge_by(default_policy()))).settle(PLAN.plan_id, MISSING)
        document = document_of(world, PLAN.plan_id)
        assert [document["control"][name] for name in ("role", "lane")] == ["control", production]
        found = [(each["kind"], each["symbol"], each["lane"], each["attribution"]) for each in document["differences"]]
        assert {(lane, role) for *_, lane, role in found} == {
            (lane, lane.role_beside(production)) for lane in (Lane.LEGACY, Lane.WORKFLOW)
        }
        told[production] = {(kind, symbol, lane) for kind, symbol, lane, _ in found}
    assert told[Lane.LEGACY] == told[Lane.WORKFLOW]


@pytest.mark.parametrize(("present", "verdict"), [(candidate, Verdict.MISSING_CANDIDATE), (control, Verdict.MISSING_CONTROL)])
def test_after_a_cut_over_the_lane_that_is_missing_is_named_by_its_role(present: object, verdict: Verdict) -> None:
    world = world_of(pair_of(PLAN, production_lane=Lane.WORKFLOW))
    present(world)
    missing = settler_of(world).settle(PLAN.plan_id, MISSING)
    assert (missing.state, missing.verdict) == (PairState.MISSING, verdict)


class Refusing(Fuse):
    """The role is refused at call number `at`."""

    def burn(self, *, after: bool) -> None:
        self.calls += not after
        if self.calls == self.at and not after:
            raise MissingPermission("table: Query is refused (AccessDeniedException)")


def test_a_missing_permission_never_becomes_a_verdict() -> None:
    counter = Fuse()
    world = world_of()
    control(world)
    candidate(world)
    settler_of(world, fuse=counter).settle(PLAN.plan_id, MISSING)

    for call in range(1, counter.calls + 1):
        world = world_of()
        control(world)
        candidate(world)
        with pytest.raises(MissingPermission):
            settler_of(world, fuse=Refusing(call)).settle(PLAN.plan_id, MISSING)
        assert pair_in(world).verdict in (Verdict.PENDING, Verdict.MATCHED)
        assert settler_of(world).settle(PLAN.plan_id, MISSING).verdict is Verdict.MATCHED


def test_a_crash_at_any_call_and_a_second_try_give_the_same_end() -> None:
    undisturbed = world_of()
    control(undisturbed)
    candidate(undisturbed)
    counter = Fuse()
    settler_of(undisturbed, fuse=counter).settle(PLAN.plan_id, SOON)

    for after in (False, True):
        for call in range(1, counter.calls + 1):
            world = world_of()
            control(world)
            candidate(world)
            with pytest.raises(Crash):
                settler_of(world, fuse=Fuse(call, after)).settle(PLAN.plan_id, SOON)
            settler_of(world).settle(PLAN.plan_id, SOON)
            assert world.pairs == undisturbed.pairs
            assert world.objects == undisturbed.objects


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_a_candidate_that_is_read_mid_flight_is_never_judged(status: str) -> None:
    """Whatever part of its history is there already, whether the service says that it runs or is ahead of its history."""
    whole, arn = play(Scenario(PLAN)), execution_arn(Scenario(PLAN).run_id)
    for events in range(0, len(whole.history), 7):
        world = world_of()
        control(world)
        world.executions[arn] = ({**whole.describe, "status": status}, list(whole.history[:events]))
        settlement = settler_of(world).settle(PLAN.plan_id, SOON)
        assert (settlement.judged, settlement.state) == (False, PairState.PENDING), events
        candidate(world)
        assert settler_of(world).settle(PLAN.plan_id, SOON).verdict is Verdict.MATCHED


@pytest.mark.parametrize("lane", [Lane.LEGACY, Lane.WORKFLOW])
def test_a_lane_that_cannot_be_read_is_asked_again_until_its_last_deadline_and_is_then_a_gap(lane: Lane) -> None:
    world = world_of()
    control(world)
    candidate(world)
    settler = settler_of(world)

    def unreadable(*_: object) -> list[RawItem]:
        raise EvidenceUnavailable("throttled")

    lanes = settler._parts.lanes
    if lane is Lane.LEGACY:
        lanes._control.run_items = unreadable  # type: ignore[method-assign]
    else:
        lanes._candidate.describe = unreadable  # type: ignore[method-assign,assignment]
    with pytest.raises(EvidenceUnavailable):
        settler.settle(PLAN.plan_id, SOON)
    assert pair_in(world).state is PairState.PENDING

    settled = settler.settle(PLAN.plan_id, MISSING)

    assert (settled.judged, settled.verdict) == (True, Verdict.INCOMPLETE)
    gaps = document_of(world, PLAN.plan_id)["control" if lane is Lane.LEGACY else "candidate"]["gaps"]
    assert gaps == [{"what": f"{lane.value} records", "reason": "throttled"}]
    assert "a lane could not be read by its last deadline" in world.logs
