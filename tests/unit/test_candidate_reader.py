"""An execution is read into the same outcome, whichever service told its history and in whatever order."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.vocabulary import Reason, RunStatus, Side, TradeStatus
from shadow.lanes.records import Fields
from shadow.lanes.workflow.history import (
    Payload,
    answer_in,
    collect_one,
    collect_results,
    function_versions,
    list_in,
    mapping_in,
    read_history,
    version_of,
)
from shadow.lanes.workflow.reader import CHILD_TRANSITIONS, CandidateRecords, read_candidate
from shadow.lanes.workflow.trades import read_state_items, trade_of_result
from tests.factories.histories import BEGIN, DIALECTS, Execution, Scenario, play
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="-300.5", GOOG="1000", TSLA="250", NVDA="80", exits=("AAPL",))


def read(execution: Execution, scenario: Scenario) -> RunOutcome:
    records = CandidateRecords(execution.describe, execution.history, state_items=[])
    return read_candidate(scenario.run_id, scenario.plan.plan_id, records, scenario.plan)


def by_symbol(outcome: RunOutcome) -> dict[str, TradeStatus]:
    return {trade.symbol: trade.status for trade in outcome.trades}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_completed_run_has_every_trade_with_intent_fill_and_planned_amount(dialect: str) -> None:
    outcome = read(play(scenario := Scenario(PLAN, dialect)), scenario)

    assert outcome.status is RunStatus.COMPLETED
    assert outcome.terminal_state == "WorkflowCompleted"
    assert outcome.gaps == ()
    assert outcome.violations == ()
    assert set(by_symbol(outcome).values()) == {TradeStatus.COMPLETED}
    assert len(outcome.trades) == 5
    apple = next(trade for trade in outcome.trades if trade.symbol == "AAPL")
    assert apple.planned_amount == Decimal(-600)
    assert apple.is_complete_exit is True
    assert apple.intent is not None
    assert apple.intent.quantity == Decimal(12)
    assert apple.intent.decision_price == Decimal(50)
    assert apple.orders[0].client_order_id == apple.trade_id
    assert outcome.guard is not None
    assert outcome.guard.buy_phase_allowed is True
    assert outcome.guard.threshold == Decimal(500)
    assert outcome.equity_limit == Decimal(100_000)
    assert outcome.counters is not None
    assert outcome.counters.succeeded == 5
    assert outcome.buy_phase_started_at is not None
    assert outcome.duration_seconds is not None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_run_blocked_by_the_guard_is_told_by_its_terminal_state(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, statuses={"AAPL": TradeStatus.FAILED})
    outcome = read(play(scenario), scenario)

    assert outcome.raw_status == "FAILED"
    assert outcome.status is RunStatus.BLOCKED_BY_GUARD
    assert outcome.failure_step == "SELL_PHASE_GUARD"
    assert outcome.guard is not None
    assert outcome.guard.sell_failed_amount == Decimal(600)
    buys = [trade for trade in outcome.trades if trade.action is Side.BUY]
    assert {(trade.status, trade.reason) for trade in buys} == {(TradeStatus.BLOCKED, Reason.SELL_GUARD)}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_run_that_reached_its_equity_limit_is_told_by_its_terminal_state(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, statuses={"TSLA": TradeStatus.BLOCKED})
    outcome = read(play(scenario), scenario)

    assert outcome.status is RunStatus.BLOCKED_BY_EQUITY_LIMIT
    assert outcome.failure_step == "EQUITY_CIRCUIT_BREAKER"
    assert by_symbol(outcome)["TSLA"] is TradeStatus.BLOCKED
    assert by_symbol(outcome)["GOOG"] is TradeStatus.COMPLETED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_trades_of_a_broken_phase_keep_the_results_they_have(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, fail_in="ExecuteBuyPhase")
    outcome = read(play(scenario), scenario)

    assert outcome.status is RunStatus.FAILED
    assert outcome.failure_step == "ExecuteBuyPhase"
    assert set(by_symbol(outcome).values()) == {TradeStatus.COMPLETED}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_run_whose_preparation_failed_sent_nothing(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, fail_in="PrepareTrades")
    outcome = read(play(scenario), scenario)

    assert outcome.status is RunStatus.FAILED
    assert outcome.failure_step == "PrepareTrades"
    assert {(trade.status, trade.reason) for trade in outcome.trades} == {(TradeStatus.NOT_SENT, Reason.RUN_FAILED)}
    assert len(outcome.trades) == 5


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("stop", "status"), [("ABORTED", RunStatus.ABORTED), ("TIMED_OUT", RunStatus.TIMED_OUT)])
def test_a_stopped_run_is_complete_evidence_of_unfinished_trades(dialect: str, stop: str, status: RunStatus) -> None:
    length = len(play(Scenario(PLAN, dialect)).history)
    for cut in range(1, length - 1):
        scenario = Scenario(PLAN, dialect, stop=stop, stop_after=cut)
        outcome = read(play(scenario), scenario)
        assert outcome.status is status
        assert outcome.gaps == ()
        assert len(outcome.trades) == 5
        assert {trade.symbol for trade in outcome.trades} == {"AAPL", "MSFT", "GOOG", "TSLA", "NVDA"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_retry_is_a_state_transition_and_no_second_result(dialect: str) -> None:
    plain, retried = Scenario(PLAN, dialect), Scenario(PLAN, dialect, retries={"GOOG": 2})
    one, two = read(play(plain), plain), read(play(retried), retried)

    assert one.state_transitions is not None
    assert two.state_transitions == one.state_transitions + 2
    assert two.trades == one.trades


def test_transitions_are_the_states_entered_and_the_retries() -> None:
    counted = {dialect: read(play(s := Scenario(PLAN, dialect)), s).state_transitions for dialect in DIALECTS}
    assert len(set(counted.values())) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_redriven_run_is_read_from_its_last_end(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, redrives=1)
    outcome = read(play(scenario), scenario)

    assert outcome.status is RunStatus.COMPLETED
    assert outcome.redrive_count == 1
    assert outcome.gaps == ()
    assert set(by_symbol(outcome).values()) == {TradeStatus.COMPLETED}


def test_a_history_at_the_limit_is_a_gap() -> None:
    scenario = Scenario(PLAN, "aws")
    execution = play(scenario)
    padding = [{"id": 10_000 + n, "type": "TaskStateAborted", "timestamp": None} for n in range(25_000)]
    outcome = read(replace(execution, history=[*execution.history[:-1], *padding]), scenario)

    assert any("truncated at 25" in gap.reason for gap in outcome.gaps)


@pytest.mark.parametrize("dialect", ["aws", "moto"])
def test_payloads_left_out_are_read_from_the_tasks_inside(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, leave_out=True)
    outcome = read(play(scenario), scenario)

    assert outcome.gaps == ()
    assert set(by_symbol(outcome).values()) == {TradeStatus.COMPLETED}


def test_a_result_that_is_nowhere_is_a_gap_not_a_status() -> None:
    scenario = Scenario(PLAN, "aws", leave_out=True)
    execution = play(scenario)
    detail = "lambdaFunctionSucceededEventDetails"
    history = [event | {detail: {}} if "TSLA" in str(event.get(detail)) else event for event in execution.history]
    outcome = read(replace(execution, history=history), scenario)

    assert [gap.reason for gap in outcome.gaps] == ["result left out of the history"]


def test_a_history_without_its_end_is_a_gap() -> None:
    scenario = Scenario(PLAN, "aws")
    execution = play(scenario)
    outcome = read(replace(execution, history=execution.history[:-1]), scenario)

    assert [gap.reason for gap in outcome.gaps] == ["ends before the execution did"]


@settings(max_examples=60, deadline=None)
@given(
    dialect=st.sampled_from(DIALECTS),
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    failing=st.sampled_from(["", "AAPL", "MSFT", "GOOG"]),
    shuffled=st.booleans(),
)
def test_interleaving_and_order_change_nothing(dialect: str, seeds: tuple[int, int], failing: str, *, shuffled: bool) -> None:
    statuses = {failing: TradeStatus.FAILED} if failing else {}
    first, second = (Scenario(PLAN, dialect, seed=seed, statuses=statuses) for seed in seeds)
    execution = play(second)
    if shuffled:
        events = list(execution.history)
        random.Random(seeds[0]).shuffle(events)
        execution = replace(execution, history=events + events[:3])
    one, two = read(play(first), first), read(execution, second)

    moving = {"started_at", "completed_at", "buy_phase_started_at"}
    assert one.model_dump(exclude=moving) == two.model_dump(exclude=moving)


@settings(max_examples=80, deadline=None)
@given(
    values=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    where=st.integers(0, 400),
    name=st.sampled_from(["stateExitedEventDetails", "type", "id", "executionStartedEventDetails", "timestamp"]),
)
def test_a_damaged_event_never_raises(values: object, where: int, name: str) -> None:
    scenario = Scenario(PLAN, "aws")
    execution = play(scenario)
    history = [dict(event) for event in execution.history]
    history[where % len(history)][name] = values
    outcome = read(replace(execution, history=history), scenario)

    assert outcome.run_id == scenario.run_id


@pytest.mark.parametrize("state", ["ExecuteSellPhase", "ExecuteBuyPhase", "AggregateResults"])
def test_a_state_whose_failure_was_caught_exits_and_has_not_succeeded(state: str) -> None:
    aws, plain = (
        read(play(scenario), scenario) for dialect in ("aws", "moto") for scenario in [Scenario(PLAN, dialect, fail_in=state)]
    )
    assert aws.status is RunStatus.FAILED
    assert (aws.counters, by_symbol(aws)) == (plain.counters, by_symbol(plain))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_event_that_is_missing_from_the_middle_is_a_gap(data: st.DataObject) -> None:
    scenario = Scenario(PLAN, data.draw(st.sampled_from(DIALECTS)))
    execution = play(scenario)
    lost = data.draw(st.sets(st.integers(0, len(execution.history) - 2), min_size=1))
    history = [event for place, event in enumerate(execution.history) if place not in lost]
    outcome = read(replace(execution, history=history), scenario)
    assert f"{len(lost)} events are missing from it" in [gap.reason for gap in outcome.gaps]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_run_that_failed_and_ended_as_a_success_is_not_completed(dialect: str) -> None:
    scenario = Scenario(PLAN, dialect, fail_in="AggregateResults")
    execution = play(scenario)
    last = execution.history[-1]
    end = {name: last[name] for name in ("timestamp", "id")} | {"type": "ExecutionSucceeded"}
    entered = [
        event | {"type": "PassStateEntered"} if event["type"] == "FailStateEntered" else event for event in execution.history[:-1]
    ]
    ended = replace(execution, history=[*entered, end], describe=execution.describe | {"status": "SUCCEEDED"})
    outcome = read(ended, scenario)
    assert (outcome.status, outcome.raw_status) == (RunStatus.FAILED, "SUCCEEDED")


_STOPPED = [
    ({"fail_in": "AggregateResults"}, RunStatus.FAILED),
    ({"fail_in": "PrepareTrades"}, RunStatus.FAILED),
    ({"statuses": {"AAPL": TradeStatus.FAILED}}, RunStatus.BLOCKED_BY_GUARD),
    ({"statuses": {"TSLA": TradeStatus.BLOCKED}}, RunStatus.BLOCKED_BY_EQUITY_LIMIT),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("stopped", "status"), _STOPPED)
def test_a_run_that_told_of_its_stop_and_ended_there_as_a_success_is_not_completed(
    dialect: str, stopped: dict[str, object], status: RunStatus
) -> None:
    """No Fail state is entered at all: what leads to one is enough."""
    scenario = Scenario(PLAN, dialect, **stopped)  # type: ignore[arg-type]
    execution = play(scenario)
    kept = [event for event in execution.history[:-1] if event["type"] != "FailStateEntered"]
    end = {"timestamp": execution.history[-1]["timestamp"], "id": len(kept) + 1, "type": "ExecutionSucceeded"}
    outcome = read(replace(execution, history=[*kept, end], describe=execution.describe | {"status": "SUCCEEDED"}), scenario)
    assert (outcome.status, outcome.raw_status, outcome.gaps) == (status, "SUCCEEDED", ())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_end_that_the_workflow_does_not_have_is_a_gap(dialect: str) -> None:
    execution = play(scenario := Scenario(PLAN, dialect))
    history = json.loads(json.dumps(execution.history, default=str).replace("WorkflowCompleted", "GivenUp"))
    outcome = read(replace(execution, history=history), scenario)
    assert [gap.reason for gap in outcome.gaps] == ["ends in GivenUp, which is none of the workflow's ends"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_record_of_a_trade_that_a_phase_gives_twice_is_kept(dialect: str) -> None:
    execution = play(scenario := Scenario(PLAN, dialect))
    history = []
    for event in execution.history:
        details = event.get("stateExitedEventDetails")
        if isinstance(details, dict) and details["name"] == "ExecuteBuyPhase":
            output = json.loads(details["output"])
            results = output["buyResults"]
            output["buyResults"] = [*results, results[0] | {"quantity": "9999"}]
            history.append(event | {"stateExitedEventDetails": details | {"output": json.dumps(output)}})
        else:
            history.append(event)
    outcome = read(replace(execution, history=history), scenario)
    named = [trade for trade in outcome.trades if trade.symbol == "GOOG"]
    assert [trade.filled_quantity for trade in named] == [Decimal(20), Decimal(9999)]
    assert len(outcome.trades) == len(PLAN.tradable_items) + 1


MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:workflow"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"


def test_the_versions_that_ran_are_named() -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))
    called = iter([f"{FUNCTION}prepare:4", f"{FUNCTION}trade:7", f"{FUNCTION}trade:7", f"{FUNCTION}unqualified"])
    for event in execution.history:
        details = event.get("lambdaFunctionScheduledEventDetails") or event.get("taskScheduledEventDetails")
        if isinstance(details, dict):
            details["resource"] = next(called, "arn:function")
    described = {**execution.describe, "stateMachineVersionArn": f"{MACHINE}:3", "stateMachineAliasArn": f"{MACHINE}:live"}

    outcome = read(replace(execution, describe=described), scenario)

    assert (outcome.version, outcome.functions) == ("workflow:3", ("prepare:4", "trade:7"))


@pytest.mark.parametrize("named", [None, "", "no-arn", 7])
def test_a_run_that_names_no_version_has_none(named: object) -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))

    outcome = read(replace(execution, describe={**execution.describe, "stateMachineVersionArn": named}), scenario)

    assert (outcome.version, outcome.functions) == (None, ())


def history_of(*events: tuple[str, dict[str, object]]) -> list[dict[str, object]]:
    """Number events, a second apart, each linked to the one before it."""
    return [
        {"id": number, "previousEventId": number - 1, "type": kind, "timestamp": f"2026-11-27T15:00:{number:02}Z", **details}
        for number, (kind, details) in enumerate(events, 1)
    ]


def exited(name: str, **details: object) -> dict[str, object]:
    return {"stateExitedEventDetails": {"name": name, **details}}


@pytest.mark.parametrize(
    ("about", "text"),
    [({}, "{}"), ({"truncated": False, "included": True}, "{}"), ({"truncated": True}, None), ({"included": False}, None)],
)
def test_an_output_that_the_service_left_out_is_not_known(about: dict[str, object], text: str | None) -> None:
    facts = read_history(history_of(("PassStateExited", exited("P", output="{}", outputDetails=about))))
    assert facts.outputs["P"].text == text
    assert [payload.text for payload in facts.results] == [text]


@pytest.mark.parametrize(("link", "outputs"), [(1, {}), (2, {"S": "{}"}), (0, {"S": "{}"}), (None, {"S": "{}"})])
def test_whether_a_failure_was_caught_is_told_by_the_event_that_an_exit_is_linked_to(
    link: int | None, outputs: dict[str, str]
) -> None:
    events = history_of(
        ("TaskFailed", {"taskFailedEventDetails": {"error": "E"}}),
        ("TaskSucceeded", {}),
        ("TaskStateExited", exited("S", output="{}")),
    )
    events[-1]["previousEventId"] = link
    assert {name: payload.text for name, payload in read_history(events).outputs.items()} == outputs


@pytest.mark.parametrize("kind", ["Map", "Parallel"])
@pytest.mark.parametrize(
    ("failed", "is_caught"), [("TaskFailed", False), ("LambdaFunctionFailed", False), ("{}StateFailed", True)]
)
def test_a_failure_that_an_iteration_took_is_not_one_of_its_map(kind: str, failed: str, *, is_caught: bool) -> None:
    events = history_of((failed.format(kind), {}), (f"{kind}StateExited", exited("S", output="{}")))
    assert (read_history(events).outputs == {}) is is_caught


def test_after_a_redrive_the_end_and_its_state_are_those_of_the_second_time() -> None:
    entered = {"stateEnteredEventDetails": {"name": "F"}}
    failed = {"executionFailedEventDetails": {"error": "E", "cause": "C"}}
    facts = read_history(
        history_of(
            ("FailStateEntered", entered),
            ("ExecutionFailed", failed),
            ("ExecutionRedriven", {}),
            ("FailStateEntered", entered),
        )
    )
    assert facts.entered == {"F": "2026-11-27T15:00:04Z"}
    assert (facts.redrives, facts.end_type, facts.ended_at, facts.error, facts.cause) == (1, None, None, None, None)
    assert facts.terminal_state == "F"


@pytest.mark.parametrize(
    ("kinds", "transitions"),
    [
        (("WaitStateEntered", "TaskScheduled"), 2),
        (("TaskStateEntered", "TaskScheduled", "TaskScheduled"), 2),
        (("TaskStateEntered", "TaskStateEntered", "LambdaFunctionScheduled"), 2),
        (("ChoiceStateEntered", "PassStateEntered", "MapStateEntered", "SucceedStateEntered"), 4),
    ],
)
def test_a_transition_is_a_state_entered_or_a_task_sent_again(kinds: tuple[str, ...], transitions: int) -> None:
    entered: dict[str, object] = {"stateEnteredEventDetails": {"name": "S"}}
    facts = read_history(history_of(*((kind, entered if kind.endswith("Entered") else {}) for kind in kinds)))
    assert (facts.transitions, facts.unreadable) == (transitions, [])


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("kind", ["LambdaFunction", "Task"])
def test_a_failed_task_is_told_with_what_it_was_asked_where_events_are_linked(kind: str, *, linked: bool) -> None:
    holder = "lambdaFunction" if kind == "LambdaFunction" else "task"
    name = "input" if kind == "LambdaFunction" else "parameters"
    arn = "arn:aws:lambda:us-east-1:1:function:trade:7"
    events = history_of(
        (f"{kind}Scheduled", {f"{holder}ScheduledEventDetails": {"resource": arn, name: "asked"}}),
        (f"{kind}Started", {}),
        (f"{kind}Failed", {f"{holder}FailedEventDetails": {"error": "E", "cause": "C"}}),
        (f"{kind}TimedOut", {f"{holder}TimedOutEventDetails": {}}),
    )
    if not linked:
        events = [{key: value for key, value in event.items() if key != "previousEventId"} for event in events]
    facts = read_history(reversed(events))
    first, second = facts.task_failures
    assert (first.error, first.cause, first.request) == ("E", "C", "asked" if linked else None)
    assert (second.error, second.cause, second.request) == (f"{kind}TimedOut", "", None)
    assert function_versions(facts) == ("trade:7",)


def test_a_run_that_goes_on_has_not_counted_its_mails_yet() -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))
    assert read(execution, scenario).notifications is not None
    assert read(replace(execution, describe=execution.describe | {"status": "RUNNING"}), scenario).notifications is None


@pytest.mark.parametrize(("emitted", "told"), [(True, True), (False, False), (None, False)])
def test_an_effect_is_emitted_where_its_record_says_so(*, emitted: bool | None, told: bool) -> None:
    item = {"SK": "EFFECT#1", "kind": "TradeExecuted", "detail": "{}", "emitted": emitted}
    assert [effect.emitted for effect in read_state_items([item]).effects] == [told]


@pytest.mark.parametrize("total", [3, None, "3"])
def test_a_child_of_a_map_counts_its_states_by_the_phase_of_the_map(total: object) -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))
    counted = []
    for arn in ("x/SellPhase:1", "x/BuyPhase:1"):
        runs = [{"mapRunArn": arn, "children": {"total": total}}]
        records = CandidateRecords(execution.describe, execution.history, state_items=[], map_runs=runs)
        outcome = read_candidate(scenario.run_id, scenario.plan.plan_id, records, scenario.plan)
        counted.append((outcome.state_transitions or 0) - (read(execution, scenario).state_transitions or 0))
    times = 3 if total == 3 else 0
    assert counted == [CHILD_TRANSITIONS[side] * times for side in (Side.SELL, Side.BUY)]


def test_a_run_without_a_version_is_named_by_twelve_digits_of_its_definition() -> None:
    describe = {"stateMachineArn": f"{MACHINE}", "definitionSha256": "0123456789abcdef"}
    assert version_of(describe) == "workflow@0123456789ab"
    assert version_of(describe | {"stateMachineVersionArn": f"{MACHINE}:3"}) == "workflow:3"
    assert version_of({"definitionSha256": "0123456789abcdef"}) is None


@pytest.mark.parametrize(
    ("decided", "price", "quantity"),
    [({"decisionPrice": "10"}, Decimal(10), None), ({"askedQuantity": "2"}, None, Decimal(2))],
)
def test_a_half_of_a_decision_is_that_half(decided: dict[str, str], price: Decimal | None, quantity: Decimal | None) -> None:
    result = {"tradeId": "t", "symbol": "AAPL", "action": "BUY", "status": "COMPLETED"}
    trade = trade_of_result(Fields("t", {**result, **decided}, []), None, [])
    assert trade is not None
    assert trade.intent is not None
    assert (trade.intent.decision_price, trade.intent.quantity) == (price, quantity)
    bare = trade_of_result(Fields("t", result, []), None, [])
    assert bare is not None
    assert bare.intent is None


def test_the_children_of_a_map_are_found_by_the_names_of_its_runs() -> None:
    facts = read_history(
        history_of(
            ("MapRunStarted", {"mapRunStartedEventDetails": {"mapRunArn": "arn:map"}}),
            ("MapRunStarted", {"mapRunStartedEventDetails": {"mapRunArn": 7}}),
            ("MapRunStarted", {}),
        )
    )
    assert facts.map_runs == ["arn:map"]
    assert facts.unreadable == [f"event {number}: MapRunStarted without its ARN" for number in (2, 3)]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {"id": 1, "type": "TaskStateEntered", "timestamp": "T", "stateEnteredEventDetails": {}},
            "TaskStateEntered without a state",
        ),
        ({"id": 1, "timestamp": "T"}, "no type"),
        ({"id": 1, "type": "WaitStateExited"}, "no timestamp"),
        ({"id": "1", "type": "WaitStateExited", "timestamp": "T"}, "without an id"),
        ({"type": "WaitStateExited", "timestamp": "T"}, "without an id"),
    ],
)
def test_an_event_that_cannot_be_read_is_told(event: dict[str, object], told: str) -> None:
    (fault,) = read_history([event]).unreadable
    assert told in fault


@pytest.mark.parametrize(
    ("changes", "gaps"),
    [
        ({}, []),
        ({"status": "ELSE"}, ["unknown: 'ELSE'"]),
        ({"status": None}, ["unknown: None"]),
        ({"status": "RUNNING"}, []),
    ],
)
def test_an_execution_whose_status_is_not_known_is_a_gap(changes: dict[str, object], gaps: list[str]) -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))
    outcome = read(replace(execution, describe=execution.describe | changes), scenario)
    assert [gap.reason for gap in outcome.gaps] == gaps
    assert (outcome.status is RunStatus.COMPLETED) is (changes == {})
    assert (outcome.completed_at is None) is (changes != {})
    assert outcome.raw_status == str(changes.get("status", "SUCCEEDED") or "")


def test_a_state_table_that_could_not_be_read_and_events_without_a_time_are_gaps() -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))
    history = [event | {"timestamp": None} if place < 4 else event for place, event in enumerate(execution.history)]
    records = CandidateRecords(execution.describe, history, state_items=None, map_runs=[Gap(what="map run", reason="gone")])
    outcome = read_candidate(scenario.run_id, scenario.plan.plan_id, records, scenario.plan)
    assert outcome.effects is None
    assert [(gap.what, gap.reason) for gap in outcome.gaps] == [
        ("map run", "gone"),
        ("execution history", "; ".join(f"event {number}: no timestamp" for number in (1, 2, 3))),
        ("candidate state items", "could not be read"),
    ]
    assert read(execution, scenario).effects == ()


@pytest.mark.parametrize(
    ("changes", "redrives", "violations"),
    [
        ({"redriveCount": 2}, 2, []),
        ({"redriveCount": "2"}, 0, ["execution.redriveCount"]),
        ({"redriveCount": None}, 0, []),
        ({"startDate": "yesterday"}, 0, ["execution.startDate"]),
        ({"stopDate": 7}, 0, ["execution.stopDate"]),
        ({"redriveDate": 7}, 0, ["execution.redriveDate"]),
    ],
)
def test_what_describes_an_execution_is_read_or_told(changes: dict[str, object], redrives: int, violations: list[str]) -> None:
    execution = play(scenario := Scenario(PLAN, "aws"))
    outcome = read(replace(execution, describe=execution.describe | changes), scenario)
    assert outcome.redrive_count == redrives
    assert [told.partition(":")[0] for told in outcome.violations] == violations
    assert outcome.started_at == (execution.history[0]["timestamp"] if "startDate" in changes else BEGIN)
    assert outcome.completed_at == execution.history[-1]["timestamp"]


def test_an_execution_that_says_nothing_of_itself_is_named_by_its_input_and_else_by_what_it_was_asked_as() -> None:
    execution = play(scenario := Scenario(PLAN, "aws", fail_in="PrepareTrades"))
    asked = read_candidate("r", "p", CandidateRecords(execution.describe, execution.history, []), PLAN)
    assert (asked.run_id, asked.plan_id, asked.correlation_id) == (scenario.run_id, PLAN.plan_id, PLAN.correlation_id)
    silent = [event for event in execution.history if event["type"] != "ExecutionStarted"]
    described = read_candidate("r", "p", CandidateRecords(execution.describe, silent, []), PLAN)
    assert (described.run_id, described.plan_id) == (scenario.run_id, PLAN.plan_id)
    bare = read_candidate("r", "p", CandidateRecords({"status": "FAILED", "cause": "C"}, silent, []), None)
    assert (bare.run_id, bare.plan_id, bare.trades) == ("r", "p", ())


def test_why_a_run_failed_is_its_history_s_cause_then_its_error_then_what_describes_it() -> None:
    def reason(details: dict[str, object], **described: object) -> str | None:
        events = history_of(("ExecutionStarted", {}), ("ExecutionFailed", {"executionFailedEventDetails": details}))
        return read_candidate("r", "p", CandidateRecords({"status": "FAILED"} | described, events, [])).failure_reason

    assert reason({"error": "E", "cause": "C"}, cause="D") == "C"
    assert reason({"error": "E"}, cause="D") == "E"
    assert reason({}, cause="D") == "D"
    assert reason({}, cause=7) is None


@pytest.mark.parametrize(
    ("wrap", "found"),
    [
        (lambda result: result, True),
        (lambda result: {"Payload": result}, True),
        (lambda result: {"result": result}, True),
        (lambda result: [result], False),
        (lambda result: {name: result[name] for name in result if name != "status"}, False),
        (lambda result: result | {"tradeId": 7}, False),
    ],
)
def test_a_trades_result_is_found_in_a_tasks_output_however_it_is_wrapped(wrap: Callable[[Any], Any], *, found: bool) -> None:
    collected: dict[str, Any] = {}
    collect_one(Payload(json.dumps(wrap({"tradeId": "t", "status": "COMPLETED"}))), collected)
    collect_one(Payload(None), collected)
    assert collected == ({"t": {"tradeId": "t", "status": "COMPLETED"}} if found else {})


def test_the_results_of_a_phase_are_found_in_any_of_its_lists() -> None:
    one, two, again = ({"tradeId": name, "status": status} for name, status in (("a", "X"), ("b", "X"), ("a", "Y")))
    kept: dict[str, Any] = {"z": [1]}
    collect_results({"sellResults": [one, "torn", two, again, {"tradeId": "c"}], "else": [7, one], "text": "t", "none": []}, kept)
    assert kept == {"z": [1], "a": [one, again], "b": [two]}
    direct: dict[str, Any] = {}
    collect_results([two], direct)
    assert direct == {"b": [two]}


def test_the_answer_and_the_lists_of_an_output_may_stand_inside_of_it() -> None:
    assert answer_in({"mark": 1, "other": {"mark": 2}}, "mark") == {"mark": 1, "other": {"mark": 2}}
    assert answer_in({"a": 1, "b": {"c": 1}, "d": {"mark": 2}}, "mark") == {"mark": 2}
    assert answer_in({"a": {"c": 1}}, "mark") == {}
    assert list_in({"it": [1], "a": {"it": [2]}}, "it") == [1]
    assert list_in({"it": 7, "b": {"it": None}, "a": {"it": [2]}}, "it") == [2]
    assert list_in({"a": 1}, "it") == []
    assert (mapping_in({"a": {"b": 1}}, "a"), mapping_in({"a": 1}, "a"), mapping_in({}, "a")) == ({"b": 1}, {}, {})


def test_what_lies_among_results_and_names_no_trade_is_told() -> None:
    execution = play(scenario := Scenario(PLAN, "moto"))
    history = []
    for event in execution.history:
        details = event.get("stateExitedEventDetails")
        if isinstance(details, dict) and details["name"] == "ExecuteBuyPhase":
            output = json.loads(details["output"])
            output["buyResults"] = [*output["buyResults"], "torn", {"tradeId": "x"}]
            event = event | {"stateExitedEventDetails": details | {"output": json.dumps(output)}}  # noqa: PLW2901
        history.append(event)
    outcome = read(replace(execution, history=history), scenario)
    assert outcome.violations == (
        "tradeResult.status: expected a value, was nothing",
        "tradeResult.tradeId: expected a value, was nothing",
    )
    assert len(outcome.trades) == 5


@pytest.mark.parametrize("state", ["CheckIfBuyTradesExist", "ExecuteBuyPhase"])
def test_where_a_run_was_when_it_failed_is_the_last_step_that_it_entered(state: str) -> None:
    events = history_of(
        ("ExecutionStarted", {}),
        *((("TaskStateEntered", {"stateEnteredEventDetails": {"name": name}})) for name in ("PrepareTrades", state)),
        ("ExecutionTimedOut", {}),
    )
    outcome = read_candidate("r", "p", CandidateRecords({"status": "TIMED_OUT"}, events, []))
    assert outcome.failure_step == ("ExecuteBuyPhase" if state == "ExecuteBuyPhase" else "PrepareTrades")
    assert outcome.terminal_state == state
    alone = history_of(("ExecutionStarted", {}), ("WaitStateEntered", {"stateEnteredEventDetails": {"name": "W"}}))
    assert read_candidate("r", "p", CandidateRecords({"status": "ABORTED"}, alone, [])).failure_step == "W"


def test_v11_a_sum_keeps_all_of_its_38_digits() -> None:
    long = "367419.63691346912469134691255678"
    names = ("sellFailedAmount", "sellSucceededAmount", "equityLimit", "totalValue")
    execution = play(scenario := Scenario(PLAN))

    def lengthened(value: object) -> object:
        if isinstance(value, dict):
            return {name: long if name in names else lengthened(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [lengthened(inner) for inner in value]
        return json.dumps(lengthened(json.loads(value))) if isinstance(value, str) and value[:1] in ("{", "[") else value

    history = lengthened(execution.history)
    assert isinstance(history, list)
    outcome = read(replace(execution, history=history), scenario)

    assert outcome.violations == ()
    assert outcome.guard is not None
    told = {outcome.guard.sell_failed_amount, outcome.guard.sell_succeeded_amount, outcome.equity_limit}
    assert told | {trade.value for trade in outcome.trades} == {Decimal(long)}
    result = {"tradeId": "t", "symbol": "AAPL", "action": "BUY", "status": "COMPLETED"}
    check = {"allowed": True, "cumulative": long, "limit": long}
    trade = trade_of_result(Fields("t", {**result, "equityCheck": check}, []), None, [])
    assert trade is not None
    assert trade.equity is not None
    assert trade.equity.cumulative == trade.equity.limit == Decimal(long)


def order_item(trade_id: str, **changes: object) -> dict[str, object]:
    """Give the item of a filled order of AMZN."""
    values: dict[str, object] = {
        "SK": f"INTENT#{trade_id}#0000",
        "trade_id": trade_id,
        "symbol": "AMZN",
        "side": "BUY",
        "client_order_id": trade_id,
        "status": "filled",
        "quantity": Decimal(3),
        "filled_quantity": Decimal(3),
        "average_price": Decimal(100),
    }
    return values | changes


def test_v1_an_order_of_a_trade_that_nothing_else_names_is_a_trade_that_the_plan_does_not_ask_for() -> None:
    execution = play(scenario := Scenario(PLAN))
    records = CandidateRecords(execution.describe, execution.history, [order_item("stray"), order_item("odd", symbol="amzn")])
    outcome = read_candidate(scenario.run_id, PLAN.plan_id, records, PLAN)
    (stray,) = [trade for trade in outcome.trades if trade.symbol == "AMZN"]
    assert (stray.trade_id, stray.action, stray.status, stray.filled_quantity) == ("stray", Side.BUY, TradeStatus.UNKNOWN, 3)
    assert [gap.what for gap in outcome.gaps] == ["candidate trade odd"]


def test_v1_a_result_of_a_trade_that_no_list_names_is_kept_wherever_it_stands() -> None:
    execution = play(scenario := Scenario(PLAN))
    result = json.dumps({"tradeId": "stray", "symbol": "AMZN", "action": "BUY", "status": "COMPLETED"})
    last = execution.history[-1]
    told = {"type": "LambdaFunctionSucceeded", "lambdaFunctionSucceededEventDetails": {"output": result}}
    history = [*execution.history[:-1], last | told, last | {"id": int(str(last["id"])) + 1}]
    for events, items in ((history, ()), (execution.history, [{"SK": "RESULT#stray", "result": result}])):
        records = CandidateRecords(execution.describe, events, items)
        outcome = read_candidate(scenario.run_id, PLAN.plan_id, records, PLAN)
        assert [trade.symbol for trade in outcome.trades if trade.trade_id == "stray"] == ["AMZN"]


def test_v12_a_history_that_ends_otherwise_than_the_execution_is_a_gap() -> None:
    execution = play(scenario := Scenario(PLAN))
    history = [*execution.history[:-1], execution.history[-1] | {"type": "ExecutionFailed"}]
    outcome = read(replace(execution, history=history), scenario)
    assert [gap.reason for gap in outcome.gaps] == ["ends with ExecutionFailed, and the execution is SUCCEEDED"]


RUN = {"runId": "r", "planId": "p", "correlationId": "c"}


def trade(name: str, side: str = "BUY", **more: object) -> dict[str, object]:
    return {"tradeId": name, "symbol": f"S{name.upper()}", "action": side, "tradeAmount": "10", **more}


def result(name: str, side: str = "BUY", **more: object) -> dict[str, object]:
    values: dict[str, object] = {"status": "COMPLETED", "plannedAmount": "10", "runId": "r"}
    return {"tradeId": name, "symbol": f"S{name.upper()}", "action": side, **values, **more}


def told(
    *events: tuple[str, dict[str, object]],
    status: str = "SUCCEEDED",
    state: list[dict[str, object]] | None = None,
    given: dict[str, object] | None = None,
    plan: Any = None,
    **records: Any,
) -> RunOutcome:
    """Read an execution that began with an input, went through `events` and ended."""
    started = ("ExecutionStarted", {"executionStartedEventDetails": {"input": json.dumps(RUN if given is None else given)}})
    kinds = {"SUCCEEDED": "ExecutionSucceeded", "FAILED": "ExecutionFailed", "TIMED_OUT": "ExecutionTimedOut"}
    history = history_of(started, *events, *([(kinds[status], {})] if status in kinds else []))
    return read_candidate("r", "p", CandidateRecords({"status": status}, history, state or [], **records), plan)


def step(kind: str, name: str, output: object = None) -> list[tuple[str, dict[str, object]]]:
    """Enter a state, and leave it where it has an output."""
    entered: tuple[str, dict[str, object]] = (f"{kind}StateEntered", {"stateEnteredEventDetails": {"name": name}})
    if output is None:
        return [entered]
    text = output if isinstance(output, str) else json.dumps(output)
    return [entered, (f"{kind}StateExited", exited(name, output=text))]


def task(output: object) -> tuple[str, dict[str, object]]:
    text = output if isinstance(output, str) else json.dumps(output)
    return "TaskSucceeded", {"taskSucceededEventDetails": {"output": text}}


PREPARED = {**RUN, "sellTrades": [], "buyTrades": [trade("a"), trade("b")]}
BOTH_DONE = {**PREPARED, "buyResults": [result("a"), result("b")]}


def test_the_children_of_every_map_run_that_was_read_are_counted_and_each_that_was_not_is_a_gap() -> None:
    lost = Gap(what="map run", reason="gone")
    runs = [lost, {"mapRunArn": "x/BuyPhase:1", "children": {"total": 2}}, lost, {"mapRunArn": "x/SellPhase:1", "children": 7}]
    outcome = told(map_runs=[*runs, {"children": {"total": 5}}])
    assert outcome.state_transitions == 7 * CHILD_TRANSITIONS[Side.BUY]
    assert [gap.what for gap in outcome.gaps] == ["map run", "map run"]


def test_a_task_s_answer_that_cannot_be_read_is_told_only_where_a_trade_is_without_its_result() -> None:
    torn = task('{"tradeId": "b", "status": "COMP')
    phase = [*step("Task", "PrepareTrades", PREPARED), *step("Map", "ExecuteBuyPhase")]
    missing = told(*phase, task(result("a")), torn, status="FAILED")
    assert missing.violations == ("output of a task: expected a trade's result as a JSON object, was none",)
    assert [(each.trade_id, each.status) for each in missing.trades] == [("a", TradeStatus.COMPLETED)]
    assert [(gap.what, gap.reason) for gap in missing.gaps] == [("candidate trade b", "its result cannot be read")]
    whole = told(*phase, task(result("a")), torn, ("MapStateExited", exited("ExecuteBuyPhase", output=json.dumps(BOTH_DONE))))
    assert (whole.violations, whole.gaps, len(whole.trades)) == ((), (), 2)


@pytest.mark.parametrize(
    ("output", "given", "planned"),
    [
        ({"isLarge": True}, {}, True),
        ({"isLarge": False}, {"claimCheck": "s3://plan"}, True),
        ({"isLarge": "true"}, {}, False),
        ({"isLarge": False}, {"claimCheck": None}, False),
        ({"isLarge": False}, {}, False),
        (None, {}, True),
    ],
)
def test_the_trades_are_the_plan_s_where_the_state_does_not_carry_them(
    output: dict[str, object] | None, given: dict[str, object], *, planned: bool
) -> None:
    outcome = told(*step("Task", "PrepareTrades", output and RUN | output), given=RUN | given, plan=PLAN)
    assert len(outcome.trades) == (5 if planned else 0)


def test_the_trades_are_those_of_the_workflow_s_own_preparation_and_else_of_its_input() -> None:
    messages = {"rebalancePlan": {"tradeMessages": [trade("m")]}}
    assert [each.trade_id for each in told(given=RUN | messages, plan=PLAN).trades] == ["m"]
    prepared = told(*step("Task", "PrepareTrades", PREPARED), given=RUN | messages, plan=PLAN)
    assert [(each.trade_id, each.planned_amount) for each in prepared.trades] == [("a", 10), ("b", 10)]
    sells = {**PREPARED, "sellTrades": [trade("s", "SELL", isCompleteExit=True)]}
    both = told(*step("Task", "PrepareTrades", sells))
    assert [(each.trade_id, each.action, each.is_complete_exit) for each in both.trades] == [
        ("a", Side.BUY, None),
        ("b", Side.BUY, None),
        ("s", Side.SELL, True),
    ]


def test_of_two_records_of_a_result_the_phase_s_own_comes_first_then_a_task_s_then_the_state_table_s() -> None:
    phase = {**PREPARED, "buyResults": [result("a", quantity="1")]}
    kept = [{"SK": f"RESULT#{name}", "result": json.dumps(result(name, quantity="3"))} for name in ("a", "b", "c")]
    events = [*step("Map", "ExecuteBuyPhase"), task(result("a", quantity="2")), task(result("b", quantity="2"))]
    outcome = told(*events, ("MapStateExited", exited("ExecuteBuyPhase", output=json.dumps(phase))), state=kept)
    assert [(each.trade_id, each.filled_quantity) for each in outcome.trades] == [("a", 1), ("b", 2), ("c", 3)]


def test_a_result_of_the_state_table_that_cannot_be_read_is_told_by_its_trade() -> None:
    kept = [{"SK": "RESULT#a", "result": "{"}, {"SK": "RESULT#b", "result": json.dumps(result("b"))}]
    outcome = told(*step("Task", "PrepareTrades", PREPARED), *step("Map", "ExecuteBuyPhase"), status="FAILED", state=kept)
    assert outcome.violations == ("result of a: expected a JSON object with tradeId and status, was '{'",)
    assert [each.trade_id for each in outcome.trades] == ["b"]
    assert [(gap.what, gap.reason) for gap in outcome.gaps] == [("candidate trade a", "its result cannot be read")]


@pytest.mark.parametrize(
    ("results", "lost"),
    [
        ([result("a"), result("b", status="ELSE")], ["b"]),
        ([result("a"), {"status": "COMPLETED"}], ["b"]),
        ([result("a"), "torn"], ["b"]),
        ([result("a"), result("z", status="ELSE")], ["b"]),
        ([result("a"), result("b")], []),
    ],
)
def test_a_trade_is_without_a_result_that_can_be_read_where_one_among_the_results_cannot(
    results: list[object], lost: list[str]
) -> None:
    outcome = told(*step("Map", "ExecuteBuyPhase", {**PREPARED, "buyResults": results}))
    assert [gap.what for gap in outcome.gaps] == [f"candidate trade {name}" for name in lost]
    assert [each.trade_id for each in outcome.trades] == [name for name in ("a", "b") if name not in lost]


def test_an_output_of_a_phase_that_is_no_object_is_told_and_leaves_the_trades_of_its_side_alone_unclear() -> None:
    sells = {**PREPARED, "sellTrades": [trade("s", "SELL")]}
    outcome = told(
        *step("Task", "PrepareTrades", sells),
        *step("Map", "ExecuteSellPhase", {**sells, "sellResults": [result("s", "SELL")]}),
        *step("Map", "ExecuteBuyPhase", "[1, 2, 3]"),
    )
    assert outcome.violations == ("output of ExecuteBuyPhase: expected a JSON object, was '[1, 2, 3]'",)
    assert [gap.what for gap in outcome.gaps] == ["candidate trade a", "candidate trade b"]
    assert [(each.trade_id, each.status) for each in outcome.trades] == [("s", TradeStatus.COMPLETED)]


@pytest.mark.parametrize(
    ("events", "status", "expected"),
    [
        ([], "SUCCEEDED", (TradeStatus.NOT_SENT, None)),
        ([], "FAILED", (TradeStatus.NOT_SENT, Reason.RUN_FAILED)),
        ([], "TIMED_OUT", (TradeStatus.NOT_SENT, Reason.RUN_FAILED)),
        ([], "RUNNING", (TradeStatus.UNFINISHED, None)),
        (step("Pass", "BuyPhaseBlocked"), "FAILED", (TradeStatus.BLOCKED, Reason.SELL_GUARD)),
        (step("Map", "ExecuteBuyPhase"), "FAILED", (TradeStatus.UNFINISHED, None)),
        (step("Map", "ExecuteBuyPhase", PREPARED), "SUCCEEDED", (TradeStatus.NOT_SENT, None)),
        (step("Map", "ExecuteLargeBuyPhase"), "FAILED", (TradeStatus.UNFINISHED, None)),
        (step("Map", "ExecuteLargeBuyPhase", PREPARED), "SUCCEEDED", (TradeStatus.FAILED, Reason.OTHER)),
        (step("Map", "ExecuteSellPhase", PREPARED), "SUCCEEDED", (TradeStatus.NOT_SENT, None)),
    ],
)
def test_a_trade_without_a_result_is_what_its_phase_and_run_tell(
    events: list[tuple[str, dict[str, object]]], status: str, expected: tuple[TradeStatus, Reason | None]
) -> None:
    outcome = told(*step("Task", "PrepareTrades", PREPARED), *events, status=status)
    assert {(each.status, each.reason) for each in outcome.trades} == {expected}
    assert len(outcome.trades) == 2


def test_a_sell_is_not_blocked_by_the_guard_that_it_made() -> None:
    sells = {**PREPARED, "sellTrades": [trade("s", "SELL")], "buyTrades": []}
    outcome = told(*step("Task", "PrepareTrades", sells), *step("Pass", "BuyPhaseBlocked"), status="FAILED")
    assert [(each.status, each.reason) for each in outcome.trades] == [(TradeStatus.NOT_SENT, Reason.RUN_FAILED)]


@pytest.mark.parametrize(
    ("events", "status", "ended", "failed_in"),
    [
        (step("Succeed", "WorkflowCompleted"), "SUCCEEDED", RunStatus.COMPLETED, None),
        (step("Fail", "BuyPhaseBlocked"), "FAILED", RunStatus.BLOCKED_BY_GUARD, "SELL_PHASE_GUARD"),
        (step("Fail", "EquityLimitReached"), "FAILED", RunStatus.BLOCKED_BY_EQUITY_LIMIT, "EQUITY_CIRCUIT_BREAKER"),
        (step("Fail", "WorkflowFailed"), "FAILED", RunStatus.FAILED, "WorkflowFailed"),
        (step("Task", "AggregateResults"), "FAILED", RunStatus.FAILED, "AggregateResults"),
        (step("Task", "CloseOrdersOfBlockedRun"), "SUCCEEDED", RunStatus.BLOCKED_BY_GUARD, "SELL_PHASE_GUARD"),
        (step("Task", "NotifyBuyPhaseBlocked"), "SUCCEEDED", RunStatus.BLOCKED_BY_GUARD, "SELL_PHASE_GUARD"),
        (step("Task", "NotifyEquityLimit"), "SUCCEEDED", RunStatus.BLOCKED_BY_EQUITY_LIMIT, "EQUITY_CIRCUIT_BREAKER"),
        (step("Task", "CloseOrders"), "SUCCEEDED", RunStatus.FAILED, "CloseOrders"),
        (step("Task", "NotifyWorkflowFailed"), "SUCCEEDED", RunStatus.FAILED, "NotifyWorkflowFailed"),
        (step("Task", "NotifyBuyPhaseBlocked"), "FAILED", RunStatus.FAILED, "NotifyBuyPhaseBlocked"),
        (step("Task", "NotifyBuyPhaseBlocked"), "TIMED_OUT", RunStatus.TIMED_OUT, "NotifyBuyPhaseBlocked"),
        (step("Task", "PrepareTrades"), "RUNNING", RunStatus.UNFINISHED, None),
        (step("Task", "PrepareTrades"), "ELSE", RunStatus.UNFINISHED, None),
    ],
)
def test_a_run_ended_as_the_states_that_it_went_through_say(
    events: list[tuple[str, dict[str, object]]], status: str, ended: RunStatus, failed_in: str | None
) -> None:
    outcome = told(*events, status=status)
    assert (outcome.status, outcome.failure_step) == (ended, failed_in)


@pytest.mark.parametrize("error", ["BuyPhaseBlocked", "EquityLimitReached", "WorkflowFailed", "Else", None])
def test_a_failed_run_whose_history_lacks_its_last_state_is_told_by_its_error(error: str | None) -> None:
    ended = {"BuyPhaseBlocked": RunStatus.BLOCKED_BY_GUARD, "EquityLimitReached": RunStatus.BLOCKED_BY_EQUITY_LIMIT}
    events = history_of(("ExecutionStarted", {}), ("ExecutionFailed", {}))
    outcome = read_candidate("r", "p", CandidateRecords({"status": "FAILED", "error": error}, events, []))
    assert outcome.status is ended.get(str(error), RunStatus.FAILED)


GUARD = {"buyPhaseAllowed": True, "sellFailedAmount": "1", "sellSucceededAmount": "2", "failureThresholdUsd": "500"}


@pytest.mark.parametrize(
    ("changes", "sells", "known"),
    [
        ({}, [trade("s", "SELL")], True),
        ({"buyPhaseAllowed": False}, [trade("s", "SELL")], True),
        ({}, [], False),
        ({"buyPhaseAllowed": None}, [trade("s", "SELL")], False),
        ({"buyPhaseAllowed": "yes"}, [trade("s", "SELL")], False),
    ],
)
def test_the_guard_s_answer_is_read_where_it_was_asked_about_a_sell(
    changes: dict[str, object], sells: list[dict[str, object]], *, known: bool
) -> None:
    carried = {**PREPARED, "sellTrades": sells, "guard": GUARD | changes, "equityLimit": "7"}
    outcome = told(*step("Task", "EvaluateSellPhaseGuard", carried))
    assert (outcome.guard is not None) is known
    if outcome.guard is not None:
        assert outcome.guard.buy_phase_allowed is (changes == {})
        assert (outcome.guard.sell_failed_amount, outcome.guard.sell_succeeded_amount, outcome.guard.threshold) == (1, 2, 500)
    assert outcome.equity_limit == 7
    assert (outcome.run_id, outcome.plan_id, outcome.correlation_id) == ("r", "p", "c")
