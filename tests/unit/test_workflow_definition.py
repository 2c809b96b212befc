"""Business Unit: execution | Status: current.

What holds of the state machine's text, whatever runs it (C9, C10, C13's catch).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shadow.broker.port
import shadow.execution.ports

TEXT = (Path(__file__).parents[2] / "statemachines" / "execution_workflow.asl.json").read_text()
MACHINE = json.loads(TEXT)
NAMED = {
    "PrepareTrades",
    "CheckIfSellTradesExist",
    "ExecuteSellPhase",
    "EvaluateSellPhaseGuard",
    "CheckBuyPhaseGuard",
    "CheckIfBuyTradesExist",
    "BuyPhaseBlocked",
    "ExecuteBuyPhase",
    "AggregateResults",
    "SendNotification",
    "WorkflowFailed",
}
SUBSTITUTIONS = {
    "PrepareTradesFunctionArn",
    "EvaluateSellGuardFunctionArn",
    "CheckEquityLimitFunctionArn",
    "ExecuteTradeFunctionArn",
    "AggregateResultsFunctionArn",
    "NotifyCompletionFunctionArn",
    "NotifyFailureFunctionArn",
    "SellFailureThresholdUsd",
    "EvidenceBucketName",
    "Deployed",
}
LAMBDA_TRANSIENT = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
}


def states(machine: dict[str, Any] = MACHINE) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


TASKS = [(name, state) for name, state in states() if state["Type"] == "Task"]
GUARDED = [(name, state) for name, state in states() if state["Type"] in ("Task", "Map")]


def test_the_eleven_named_states_are_there() -> None:
    assert NAMED.issubset(MACHINE["States"])


def test_the_substitutions_are_the_templates() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == SUBSTITUTIONS


def test_it_runs_on_every_interpreter() -> None:
    assert "Assign" not in TEXT
    assert "QueryLanguage" not in TEXT


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_a_step_that_can_be_done_again_is_tried_again_when_its_function_died(name: str, task: dict[str, Any]) -> None:
    """A trade's function is not: what it did is found out first, by reconciling."""
    died = {"Lambda.Unknown", "Runtime.ExitError"} & set(task["Retry"][-1]["ErrorEquals"])

    assert len(died) == (0 if name.startswith(("Execute", "Reconcile")) else 2)


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_every_task_has_a_timeout_and_retries_what_is_transient(name: str, task: dict[str, Any]) -> None:
    *waits, throttled, retrier = task["Retry"]

    assert len(waits) <= 1
    assert throttled["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
    assert task["TimeoutSeconds"] > 0, name
    assert LAMBDA_TRANSIENT | {"States.Timeout", "Sandbox.Timedout"} <= set(retrier["ErrorEquals"])
    many = (14, 2, "NONE") if name.startswith("CloseOrders") else (3, 2, "FULL")
    assert (retrier["MaxAttempts"], retrier["BackoffRate"], retrier["JitterStrategy"]) == many
    assert retrier["MaxDelaySeconds"] >= retrier["IntervalSeconds"]


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_the_librarys_errors_are_named_as_their_classes(name: str, task: dict[str, Any]) -> None:
    ours = [error for retrier in task["Retry"] for error in retrier["ErrorEquals"] if "." not in error]
    broker = shadow.broker.port.BrokerTransientError
    if name.startswith("CloseOrders"):  # sends nothing, so whatever a broker brings is worth another try
        broker = shadow.broker.port.BrokerError
    transient = (broker, shadow.execution.ports.ExecutionTransientError)
    known = {
        error.__name__
        for module in (shadow.broker.port, shadow.execution.ports)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, transient)
    }

    assert set(ours) <= known, name


@pytest.mark.parametrize(("name", "state"), GUARDED)
def test_every_task_and_map_catches_everything_and_keeps_its_input(name: str, state: dict[str, Any]) -> None:
    catchers = state["Catch"]

    assert catchers[-1]["ErrorEquals"] == ["States.ALL"], name
    assert all("States.ALL" not in catcher["ErrorEquals"] for catcher in catchers[:-1])
    assert all(re.fullmatch(r"\$\.\w+Error", catcher["ResultPath"]) for catcher in catchers)


@pytest.mark.parametrize("name", ["PrepareTrades", "ExecuteSellPhase", "ExecuteBuyPhase", "AggregateResults"])
def test_c13_a_payload_that_is_too_large_is_caught_by_its_own_name(name: str) -> None:
    assert ["States.DataLimitExceeded"] in [catcher["ErrorEquals"] for catcher in MACHINE["States"][name]["Catch"]]


@pytest.mark.parametrize("name", ["ExecuteSellPhase", "ExecuteBuyPhase"])
def test_at_most_ten_at_a_time(name: str) -> None:
    assert MACHINE["States"][name]["MaxConcurrency"] == 10


def test_c9_the_run_succeeds_in_one_state_and_fails_in_states_of_their_own() -> None:
    ends = {name: state["Type"] for name, state in MACHINE["States"].items() if state["Type"] in ("Succeed", "Fail")}

    assert ends == {
        "WorkflowCompleted": "Succeed",
        "BuyPhaseBlocked": "Fail",
        "EquityLimitReached": "Fail",
        "WorkflowFailed": "Fail",
    }
    assert all(MACHINE["States"][name].get("Error") == name for name, kind in ends.items() if kind == "Fail")


def test_c9_every_failure_gives_notice_before_it_ends() -> None:
    for name, state in MACHINE["States"].items():
        for catcher in state.get("Catch", []):
            follows = catcher["Next"]
            ends = name.startswith(("Notify", "CloseOrders"))
            assert follows in ("NotifyWorkflowFailed", "CloseOrders") or (ends and follows == state["Next"])


def test_l2_a_full_window_of_requests_is_waited_out() -> None:
    """Six tries with full jitter wait 5, 10, 20, 40, 60, 60 seconds at most: the window is a minute."""
    for name, task in TASKS:
        if name.startswith(("Execute", "Reconcile", "CloseOrders")) or name == "PrepareTrades":
            window = task["Retry"][0]
            assert set(window["ErrorEquals"]) == {"BrokerThrottled", "WorkTimeSpent"} - (
                {"WorkTimeSpent"} if name == "PrepareTrades" else set()
            )
            waits = [
                min(window["IntervalSeconds"] * window["BackoffRate"] ** n, window["MaxDelaySeconds"])
                for n in range(window["MaxAttempts"])
            ]
            assert (waits, window["JitterStrategy"]) == ([5, 10, 20, 40, 60, 60], "FULL")


def test_l2_no_run_ends_with_an_unknown_trade_or_a_broken_step_before_its_orders_are_closed() -> None:
    states = MACHINE["States"]
    closing = {name: state["Next"] for name, state in states.items() if state.get("Parameters", {}).get("closeRun")}
    assert closing == {"CloseOrdersOfBlockedRun": "NotifyBuyPhaseBlocked", "CloseOrders": "NotifyWorkflowFailed"}
    assert states["CheckBuyPhaseGuard"]["Default"] == "CloseOrdersOfBlockedRun"
    assert states["CheckRunOutcome"]["Default"] == "CloseOrders"
    straight = {
        name for name, state in states.items() for catcher in state.get("Catch", []) if catcher["Next"] == "NotifyWorkflowFailed"
    }
    assert straight == {"PrepareTrades", "SendNotification", "CloseOrders"}


def test_c10_a_trade_that_cannot_be_executed_is_reconciled_and_then_unknown() -> None:
    for side in ("Sell", "Buy"):
        processor = MACHINE["States"][f"Execute{side}Phase"]["ItemProcessor"]["States"]
        assert processor[f"Execute{side}Trade"]["Catch"][-1]["Next"] == f"Reconcile{side}Trade"
        assert processor[f"Reconcile{side}Trade"]["Catch"][-1]["Next"] == f"{side}TradeUnknown"
        assert processor[f"{side}TradeUnknown"]["Parameters"]["status"] == "UNKNOWN"
