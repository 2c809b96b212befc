"""Business Unit: tests | Status: current.

Behind the queue: every publication leaves a pair or a reason, whatever order, copies and failures its messages come with; one
plan id is one plan; nothing is started twice or too late.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.contracts.errors import InvalidPayload, InvalidPlan, PairMoved, UnknownPair
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.pair import Pair, PairState, StartState, Transition, Unpaired, UnpairedPlan
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Metric, Origin
from shadow.contracts.workflow import WorkflowInput
from shadow.intake.aws import PublishMode, StartRefused
from shadow.intake.composition import take_batch
from shadow.intake.intake import START_WITHIN, Intake, OtherContent, StartedTooLate
from shadow.intake.payload import digest, message_of
from shadow.lanes.lane_file import LaneFile
from tests.factories.foreign_lane import LANE_FILE
from tests.factories.plans import example_plan
from tests.fakes.plans import MemoryPlans

PLAN = example_plan(3)
OTHER = RebalancePlan.read(PLAN.to_wire() | {"metadata": {"note": "other"}})
AT = datetime(2026, 1, 12, 20, 45, 1, tzinfo=UTC)
RUN = "2f1c9a52-7c2e-4b57-9a0f-0c8d8c3b9d11"


class Ledger:
    def __init__(self) -> None:
        self.pairs: dict[str, Pair] = {}
        self.reasons: list[UnpairedPlan] = []
        self.conflicts = 0

    def create(self, pair: Pair) -> Pair | None:
        standing = self.pairs.setdefault(pair.plan_id, pair)
        return None if standing is pair else standing

    def get(self, plan_id: str) -> Pair | None:
        return self.pairs.get(plan_id)

    def move(self, transition: Transition) -> Pair:
        if self.conflicts:
            self.conflicts -= 1
            raise PairMoved("somebody was faster")
        assert self.pairs[transition.after.plan_id].version == transition.before.version
        self.pairs[transition.after.plan_id] = transition.after
        return transition.after

    def note_unpaired(self, plan: UnpairedPlan) -> bool:
        is_new = (plan.plan_id, plan.reason) not in {(kept.plan_id, kept.reason) for kept in self.reasons}
        if is_new:
            self.reasons.append(plan)
        return is_new

    def is_unpaired(self, plan_id: str) -> bool:
        return any(kept.plan_id == plan_id for kept in self.reasons)


class World:
    """The intake between fakes of everything it touches."""

    def __init__(self, mode: str = "shadow") -> None:
        self.ledger, self.plans = Ledger(), MemoryPlans()
        self.executions: dict[str, str] = {}
        self.starts = 0
        self.failures: list[BaseException] = []
        self.counted: dict[Metric, float] = {}
        self.problems: list[Mapping[str, str]] = []
        self.at = AT
        self.mode = mode
        self.intake = Intake(
            ledger=self.ledger,
            starter=self,
            store=self.plans,
            recorder=self,
            mode=lambda: PublishMode.parse(self.mode),
            now=lambda: self.at,
        )

    def start(self, name: str, document: str, accepted: frozenset[str]) -> tuple[str, str]:
        self.starts += 1
        if self.failures:
            raise self.failures.pop()
        standing = self.executions.setdefault(name, document)
        if digest(standing) not in accepted:
            raise StartRefused("another input")
        return f"arn:{name}", digest(standing)

    def found(self, name: str, accepted: frozenset[str]) -> tuple[str, str] | None:
        return self.start(name, "", accepted) if name in self.executions else None

    def emit(self, values: Mapping[Metric, float]) -> None:
        for metric, value in values.items():
            self.counted[metric] = self.counted.get(metric, 0) + value

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        if problem:
            self.problems.append({"message": message, **fields})

    def pair(self, plan: RebalancePlan = PLAN) -> Pair:
        return self.ledger.pairs[plan.plan_id]

    def input(self, plan: RebalancePlan = PLAN) -> WorkflowInput:
        return WorkflowInput.parse_json(self.executions[execution_name_of(run_id_of(plan.plan_id))])

    def why(self) -> list[Unpaired]:
        return [kept.reason for kept in self.ledger.reasons]


def sent(plan: RebalancePlan = PLAN, at: datetime = AT, **parts: Any) -> str:
    return message_of(plan, at, **parts)


def note(**parts: Any) -> str:
    head = {"schema": "shadow.publication.1", "kind": "note", "published_at": AT.isoformat(), "plan_id": PLAN.plan_id}
    return json.dumps(head | parts)


class TestAPublication:
    def test_it_is_a_pair_and_its_candidate_runs(self) -> None:
        world = World()
        world.intake.take(sent(production_lane="legacy"))

        pair = world.pair()
        assert (pair.start_state, pair.production_lane, pair.trade_count) == (StartState.STARTED, Lane.LEGACY, 3)
        assert pair.published_at == AT
        assert pair.input_sha256 == digest(world.executions[execution_name_of(pair.run_id)])
        assert world.input().production_lane is Lane.LEGACY
        assert world.counted[Metric.PLANS_PUBLISHED] == 1

    def test_a_lane_that_a_file_describes_is_started_with_its_own_input(self) -> None:
        world = World()
        world.intake = replace(world.intake, lane_file=LaneFile.read(LANE_FILE))
        world.intake.take(sent(production_lane="legacy"))

        document = json.loads(world.executions[execution_name_of(world.pair().run_id)])
        assert document["request"]["plan_id"] == world.pair().plan_id
        assert {order["side"] for order in document["orders"]} <= {"buy", "sell"}
        assert len(document["orders"]) == world.pair().trade_count
        assert world.pair().start_state is StartState.STARTED

    def test_a_compressed_message_and_json_text_say_the_same(self) -> None:
        plain, packed, text = World(), World(), World()
        plain.intake.take(sent())
        packed.intake.take(
            json.dumps({"schema": "shadow.publication.1", "zlib": b64encode(zlib.compress(sent().encode())).decode()})
        )
        message = json.loads(sent())
        text.intake.take(json.dumps(message | {"plan": json.dumps(message["plan"])}))

        assert plain.executions == packed.executions == text.executions
        assert plain.ledger.pairs == packed.ledger.pairs == text.ledger.pairs

    def test_positions_reach_the_full_exits_alone(self) -> None:
        world = World()
        world.intake.take(sent(held={"S0000": "1.5", "S0001": "7"}))

        held = {trade.symbol: trade.current_position for trade in world.input().rebalance_plan.trade_messages}
        assert held == {"S0000": Decimal("1.5"), "S0001": None, "S0002": None}

    @pytest.mark.parametrize(
        ("held", "known", "unread"),
        [
            ({"S0000": "1.5", "brk.b": "NaN", "SPY 260116C00500000": "1"}, Decimal("1.5"), []),
            ({"EQUITIES::S0000//USD": "1.5"}, Decimal("1.5"), []),
            ({"EQUITIES::S0000//USD": "1.5", "S0000": "2"}, Decimal(2), []),
            ({"S0000": "NaN"}, None, ["S0000"]),
            ({"S0000": {"qty": "1.5"}}, None, ["S0000"]),
            ([{"symbol": "S0000", "qty": "1.5"}], None, ["(whole)"]),
            (None, None, []),
        ],
    )
    def test_positions_that_cannot_be_read_cost_no_plan_and_are_told(
        self, held: object, known: Decimal | None, unread: list[str]
    ) -> None:
        world = World()
        world.intake.take(sent(held=held))

        assert world.pair().start_state is StartState.STARTED
        assert world.input().rebalance_plan.trade_messages[0].current_position == known
        assert [problem["held"] for problem in world.problems] == unread

    def test_a_class_of_a_long_name_that_production_raised_costs_no_plan(self) -> None:
        world = World()
        world.intake.take(sent(control={"error": "E" * 500}))

        assert world.pair().control_error == "E" * 200

    @given(st.permutations(["first", "copy", "error", "run"]))
    @settings(max_examples=30, deadline=None)
    def test_copies_and_notes_in_any_order_end_the_same(self, order: list[str]) -> None:
        world = World()
        messages = {
            "first": sent(),
            "copy": sent(),
            "error": note(control={"error": "ValueError"}),
            "run": note(control={"error": "ValueError", "run_id": RUN}),
        }
        waiting = list(order)
        while waiting:
            failed = take_batch(world.intake.take, world, [(name, messages[name]) for name in waiting], pause=lambda _: None)
            assert len(failed) < len(waiting)
            waiting = failed

        assert len(world.executions) == 1
        assert (world.pair().control_error, world.pair().control_run_id) == ("ValueError", RUN)
        assert world.pair().start_state is StartState.STARTED
        assert world.counted[Metric.PLANS_PUBLISHED] == 1

    def test_a_later_publication_that_went_well_takes_the_error_away(self) -> None:
        world = World()
        world.intake.take(sent(control={"error": "ValueError"}))
        world.intake.take(sent(at=AT + timedelta(seconds=30)))

        assert world.pair().control_error is None
        assert world.pair().published_at == AT

    def test_the_run_that_the_first_publication_named_stays_the_plans(self) -> None:
        world = World()
        world.intake.take(sent(control={"run_id": RUN}))
        world.intake.take(sent(at=AT + timedelta(seconds=30), control={"run_id": RUN[::-1]}))

        assert world.pair().control_run_id == RUN

    def test_a_pair_that_others_change_meanwhile_is_read_again(self) -> None:
        world = World()
        world.ledger.conflicts = 3
        world.intake.take(sent())

        assert world.pair().start_state is StartState.STARTED


class TestOneIdIsOnePlan:
    """Case C6."""

    @pytest.mark.parametrize("confirmed", ["confirmed", ""])
    def test_the_first_is_kept_and_the_other_refused_loudly(self, confirmed: str) -> None:
        world = World()
        if not confirmed:
            world.failures = [ConnectionError()]
            with pytest.raises(ConnectionError):
                world.intake.take(sent())
        world.intake.take(sent())
        first = world.pair()
        world.intake.take(sent(OTHER, AT + timedelta(seconds=5)))
        world.intake.take(sent(OTHER, AT + timedelta(seconds=5)))

        assert world.pair() == first
        assert len(world.executions) == 1
        assert world.why() == [Unpaired.OTHER_CONTENT]
        assert world.counted[Metric.PLANS_REFUSED] == 1
        assert PLAN.plan_id in str(world.problems)

    def test_a_plan_that_is_text_is_refused_under_its_id_too(self) -> None:
        world = World()
        world.intake.take(sent())
        message = json.loads(sent(OTHER, AT + timedelta(seconds=5)))
        world.intake.take(json.dumps(message | {"plan": json.dumps(message["plan"])}))
        world.intake.take(json.dumps(message | {"plan": json.dumps(message["plan"])[:-9]}))

        assert world.ledger.reasons[0].plan_id == PLAN.plan_id
        assert world.why() == [Unpaired.OTHER_CONTENT, Unpaired.INVALID]

    def test_a_replay_of_other_content_is_raised(self) -> None:
        world = World()
        world.intake.start(PLAN, {}, Origin.REPLAY)

        with pytest.raises(OtherContent):
            world.intake.start(OTHER, {}, Origin.REPLAY)

    def test_a_large_plan_is_compared_whole(self) -> None:
        large = RebalancePlan.read(PLAN.to_wire() | {"metadata": {"note": "x" * 300_000}})
        world = World()
        world.intake.take(sent(large))
        world.intake.take(sent(large))
        assert world.why() == []
        world.intake.take(sent(PLAN))

        assert world.why() == [Unpaired.OTHER_CONTENT]


class TestWhatGetsNoPair:
    """Case V16: no publication goes without a trace."""

    @pytest.mark.parametrize(("mode", "reason"), [("off", Unpaired.OFF), ("shadow:0.01", Unpaired.NOT_SAMPLED)])
    def test_the_switch_and_the_ramp_leave_a_reason(self, mode: str, reason: Unpaired) -> None:
        world = World(mode)
        world.intake.take(sent())
        world.intake.take(note(control={"error": "ValueError"}))

        assert (world.why(), world.executions, world.ledger.pairs) == ([reason], {}, {})
        assert world.ledger.reasons[0].trading_day.isoformat() == "2026-01-12"
        assert world.counted == {Metric.PLANS_NOT_SAMPLED: 1}

    def test_holds_alone_leave_a_reason(self) -> None:
        item = PLAN.items[0].to_wire() | {"action": "HOLD", "trade_amount": "0"}
        world = World()
        world.intake.take(sent(RebalancePlan.read(PLAN.to_wire() | {"items": [item], "total_trade_value": "0"})))

        assert world.why() == [Unpaired.HOLD_ONLY]

    def test_what_the_publisher_could_not_copy_leaves_a_reason(self) -> None:
        world = World()
        head = {"schema": "shadow.publication.1", "kind": "plan", "published_at": AT.isoformat()}
        world.intake.take(json.dumps(head | {"plan_id": "plan-1", "refused": "copy: Refused.items"}))
        world.intake.take(json.dumps(head | {"plan_id": "not an id\n", "refused": "copy: Refused"}))

        assert world.why() == [Unpaired.NOT_COPIED] * 2
        assert world.ledger.reasons[0].plan_id == "plan-1"
        assert world.counted[Metric.PLANS_REFUSED] == 2

    def test_an_invalid_plan_leaves_its_faulty_fields(self) -> None:
        world = World()
        message = json.loads(sent())
        message["plan"]["items"][0]["priority"] = 9
        world.intake.take(json.dumps(message))

        assert world.why() == [Unpaired.INVALID]
        assert "items.0 (S0000).priority" in world.ledger.reasons[0].detail
        assert world.ledger.reasons[0].plan_id == PLAN.plan_id

    @pytest.mark.parametrize(
        "body", ["", "[]", "{}", "null", '{"schema": "other"}', '{"zlib": "!"}', '{"zlib": "eJw="}', sent()[:-5], '{"a": NaN}']
    )
    def test_what_is_no_message_is_refused_by_name(self, body: str) -> None:
        with pytest.raises(InvalidPayload):
            World().intake.take(body)

    def test_of_a_batch_only_what_failed_comes_again(self) -> None:
        world = World()

        assert take_batch(world.intake.take, world, [("bad", "{}"), ("good", sent())]) == ["bad"]
        assert world.pair().start_state is StartState.STARTED
        assert world.counted[Metric.INTAKE_FAILURES] == 1


class TestTheStart:
    def test_a_start_of_unknown_fate_is_completed_by_the_next_delivery(self) -> None:
        world = World()
        world.failures = [TimeoutError()]
        with pytest.raises(TimeoutError):
            world.intake.take(sent())
        assert world.pair().start_state is StartState.INTENDED
        world.intake.take(sent())

        assert world.pair().start_state is StartState.STARTED

    @pytest.mark.parametrize("state", PairState)
    def test_the_sweeper_completes_a_start_whatever_became_of_the_pair(self, state: PairState) -> None:
        world = World()
        world.failures = [TimeoutError()]
        with pytest.raises(TimeoutError):
            world.intake.take(sent())
        world.ledger.pairs[PLAN.plan_id] = world.pair().model_copy(update={"state": state})

        assert world.intake.complete(world.pair()) is StartState.STARTED
        assert world.pair().state is state
        assert world.input().plan_id == PLAN.plan_id

    def test_a_refusal_is_a_fact_and_a_later_publication_tries_again(self) -> None:
        world = World()
        world.failures = [StartRefused("StateMachineDoesNotExist")]
        world.intake.take(sent())
        assert (world.pair().start_state, world.pair().start_reason) == (StartState.REFUSED, "StateMachineDoesNotExist")
        world.intake.take(sent())
        assert world.pair().start_state is StartState.REFUSED
        world.intake.take(sent(at=AT + timedelta(seconds=60)))

        assert (world.pair().start_state, world.pair().start_reason) == (StartState.STARTED, None)

    def test_a_candidate_is_not_started_long_after_its_plan(self) -> None:
        world = World()
        world.at = AT + START_WITHIN + timedelta(seconds=1)
        world.intake.take(sent())

        assert (world.pair().start_state, world.executions) == (StartState.REFUSED, {})

    def test_a_start_that_nobody_lived_to_record_is_found_however_late(self) -> None:
        for lane in Lane.LEGACY, Lane.WORKFLOW:
            world = World()
            world.intake.take(sent(production_lane=lane.value))
            started = world.pair().model_copy(update={"start_state": StartState.INTENDED, "execution_arn": None})
            world.ledger.pairs[PLAN.plan_id] = started
            world.at = AT + START_WITHIN + timedelta(seconds=1)
            world.intake.take(sent(production_lane=lane.value))

            assert world.pair().execution_arn is not None
            assert world.pair().start_state is (StartState.STARTED if lane is Lane.LEGACY else StartState.INTENDED)
            assert len(world.executions) == 1

    def test_a_note_before_its_plan_comes_again(self) -> None:
        with pytest.raises(UnknownPair):
            World().intake.take(note(control={"run_id": RUN}))

    def test_a_note_that_overtook_its_plan_in_a_batch_is_taken_after_it(self) -> None:
        world = World()
        early = ("note", note(control={"run_id": RUN}))
        assert take_batch(world.intake.take, world, [early, ("plan", sent())], pause=lambda _: None) == []

        assert world.pair().control_run_id == RUN
        assert Metric.INTAKE_FAILURES not in world.counted

    def test_a_note_waits_for_a_plan_that_is_taken_beside_it(self) -> None:
        world = World()

        def beside(_: float) -> None:
            world.intake.take(sent())

        assert take_batch(world.intake.take, world, [("note", note(control={"run_id": RUN}))], pause=beside) == []
        assert world.pair().control_run_id == RUN

    def test_a_note_whose_plan_does_not_come_fails_once_after_a_few_seconds(self) -> None:
        world, waited = World(), list[float]()
        assert take_batch(world.intake.take, world, [("note", note(control={"run_id": RUN}))], pause=waited.append) == ["note"]

        assert sum(waited) == 10
        assert world.counted[Metric.INTAKE_FAILURES] == 1
        assert [problem["error"] for problem in world.problems] == ["UnknownPair"]

    def test_a_replay_goes_the_same_road(self) -> None:
        world = World("off")
        pair = world.intake.start(PLAN, {"S0000": Decimal(2)}, Origin.REPLAY)

        assert (pair.origin, pair.start_state) == (Origin.REPLAY, StartState.STARTED)
        assert world.input().origin == "replay"
        assert Metric.PLANS_PUBLISHED not in world.counted


class TestTheWorkflowInProduction:
    def published(self, **parts: Any) -> str:
        return sent(production_lane="workflow", **parts)

    def test_it_is_started_live_and_the_legacy_lane_confirmed_by_a_note(self) -> None:
        world = World("off")
        world.intake.take(self.published(shadowed=True))
        assert world.input().production_lane is Lane.WORKFLOW
        assert (world.pair().start_state, world.pair().execution_arn is not None) == (StartState.INTENDED, True)
        world.intake.take(note(shadow="published"))

        assert world.pair().start_state is StartState.STARTED

    def test_a_shadow_that_was_never_confirmed_is_not_published_to_again_for_it_would_run_twice(self) -> None:
        world = World()
        world.intake.take(self.published(shadowed=True))
        before = world.pair()

        assert world.intake.complete(before) is StartState.INTENDED
        assert world.pair() == before
        assert len(world.executions) == 1

    def test_without_a_shadow_it_is_started_all_the_same(self) -> None:
        world = World()
        world.intake.take(self.published(shadowed=False))

        assert (world.why(), len(world.executions), world.ledger.pairs) == ([Unpaired.NOT_SHADOWED], 1, {})

    def test_what_goes_wrong_is_raised_for_the_queue_to_bring_again_and_to_alarm(self) -> None:
        world = World()
        world.failures = [TimeoutError()]
        with pytest.raises(TimeoutError):
            world.intake.take(self.published())
        world.intake.take(self.published())
        assert len(world.executions) == 1
        with pytest.raises(OtherContent):
            world.intake.take(message_of(OTHER, AT, production_lane="workflow"))
        broken = json.loads(self.published())
        broken["plan"]["items"] = []
        with pytest.raises(InvalidPlan):
            world.intake.take(json.dumps(broken))

    def test_a_plan_that_waited_too_long_is_not_traded(self) -> None:
        world = World()
        world.at = AT + START_WITHIN + timedelta(seconds=1)
        for shadowed in (True, False):
            with pytest.raises(StartedTooLate):
                world.intake.take(self.published(shadowed=shadowed))
        assert world.executions == {}
