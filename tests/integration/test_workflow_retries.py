"""Business Unit: execution | Status: current.

Retries by error name, reconciliation, ids in every item, and ten at a time, in moto's interpreter with the real handlers
(C8, C10 and the breaker under concurrency).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.port import OrderStatus
from tests.fakes.candidate import ACCEPTED_UNSEEN, FILL, LOST, REJECT, Behaviour, partly, trade, workflow_input
from tests.fakes.workflow_cloud import Cloud, Run, cloud

SELL = trade("AAA", "-300", held="100")
BUY = trade("CCC", "1000")
TRANSIENT = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
    "Sandbox.Timedout",
    "BrokerUnavailable",
    "BrokerThrottled",
    "OrderFateUnknown",
    "OrderStillOpen",
    "StateUnavailable",
]


@pytest.fixture
def paper() -> Iterator[Cloud]:
    with cloud(EXECUTION_MODE="paper", CONTROL_ACCOUNT_FINGERPRINT="0" * 64) as built:
        built.broker.held = {"AAA": Decimal(100)}
        yield built


def failing(times: int, error: str) -> Any:
    """Fail the first calls."""
    left = [times]

    def fault(event: dict[str, Any]) -> str | None:
        del event
        left[0] -= 1
        return error if left[0] >= 0 else None

    return fault


@pytest.mark.parametrize("error", TRANSIENT)
def test_a_transient_error_is_tried_three_more_times(paper: Cloud, error: str) -> None:
    paper.faults["execute_trade_sfn"] = failing(3, error)

    run = paper.run(workflow_input(BUY))

    assert (run.end, run.output["succeededTrades"]) == ("WorkflowCompleted", 1)
    assert len(paper.calls_of("execute_trade_sfn")) == 4
    assert len(paper.broker.accepted) == 1


def test_w5_a_trade_that_is_throttled_while_another_plan_runs_is_executed_in_the_end(paper: Cloud) -> None:
    """Ten invocations are reserved, and another plan has them all for a while: nothing is reconciled, nothing unknown."""
    paper.faults["execute_trade_sfn"] = failing(20, "Lambda.TooManyRequestsException")

    run = paper.run(workflow_input(BUY))

    assert (run.end, run.output["succeededTrades"], run.output["unknownTrades"]) == ("WorkflowCompleted", 1, 0)
    assert [call.get("reconcile", False) for call in paper.calls_of("execute_trade_sfn")] == [False] * 21
    assert len(paper.broker.accepted) == 1


@pytest.mark.parametrize("error", ["KeyError", "OrderMismatch", "InterlockViolation", "Runtime.ExitError"])
def test_any_other_error_is_not_tried_again_but_reconciled(paper: Cloud, error: str) -> None:
    paper.faults["execute_trade_sfn"] = failing(1, error)

    run = paper.run(workflow_input(BUY))

    calls = paper.calls_of("execute_trade_sfn")
    assert [call.get("reconcile", False) for call in calls] == [False, True]
    assert calls[1]["error"] == error
    assert (run.end, run.output["failedTrades"], paper.broker.submitted) == ("WorkflowCompleted", 1, [])


@pytest.mark.parametrize("died", ["Lambda.Unknown", "Runtime.ExitError"])
@pytest.mark.parametrize(
    "function", ["prepare_trades", "evaluate_sell_guard", "check_equity_limit", "aggregate_results", "notify_completion"]
)
def test_a_step_whose_function_died_is_done_again_with_the_same_end(paper: Cloud, function: str, died: str) -> None:
    paper.faults[function] = failing(2, died)

    run = paper.run(workflow_input(SELL, BUY))

    assert (run.end, run.output["succeededTrades"]) == ("WorkflowCompleted", 2)
    assert len(paper.calls_of(function)) == 3
    assert len(paper.broker.accepted) == 2


def test_c10_a_function_that_times_out_after_the_order_was_filled_completes(paper: Cloud) -> None:
    paper.broker.after_submit = lambda _: paper.faults.update(execute_trade_sfn=_times_out)
    paper.broker.script = [ACCEPTED_UNSEEN]
    paper.broker.hidden_lookups = 3

    run = paper.run(workflow_input(BUY))

    assert "ReconcileBuyTrade" in run.states
    assert (run.end, run.output["succeededTrades"]) == ("WorkflowCompleted", 1)
    assert len(paper.broker.submitted) == 1


def _times_out(event: dict[str, Any]) -> str | None:
    return None if event.get("reconcile") else "Sandbox.Timedout"


@pytest.mark.parametrize("item", [SELL, BUY], ids=["sell", "buy"])
def test_c10_an_order_nobody_can_find_is_unknown_and_never_failed(paper: Cloud, item: Any) -> None:
    paper.broker.script = [LOST]

    run = paper.run(workflow_input(item), threshold="1000")

    summary = run.result_of("AggregateResults")
    assert (summary["unknownTrades"], summary["failedTrades"]) == (1, 0)
    assert (run.status, run.end) == ("FAILED", "WorkflowFailed")
    ((subject, body),) = paper.mails()
    assert subject == "[dev] paper: ACTION NEEDED: 1 trades of unknown fate"
    assert f"{item.action} {item.symbol}" in body
    assert len(paper.broker.submitted) == 1


@pytest.mark.parametrize("item", [SELL, BUY], ids=["sell", "buy"])
def test_c10_when_even_reconciling_fails_the_trade_is_unknown(paper: Cloud, item: Any) -> None:
    paper.faults["execute_trade_sfn"] = lambda _: "Sandbox.Timedout"

    run = paper.run(workflow_input(item), threshold="1000")

    phase = run.result_of("ExecuteSellPhase" if item is SELL else "ExecuteBuyPhase")
    (result,) = phase["sellResults" if item is SELL else "buyResults"]
    assert (result["status"], result["errorMessage"], result["quantity"]) == ("UNKNOWN", "Sandbox.Timedout", None)
    assert (run.end, run.result_of("AggregateResults")["unknownTrades"]) == ("WorkflowFailed", 1)


@pytest.mark.parametrize(
    ("item", "threshold", "closing", "end"),
    [
        (BUY, "1000", "CloseOrders", "WorkflowFailed"),
        (SELL, "1000", "CloseOrders", "WorkflowFailed"),
        (SELL, "200", "CloseOrdersOfBlockedRun", "BuyPhaseBlocked"),
    ],
    ids=["buy", "sell", "sell that blocks"],
)
def test_l2_an_order_that_nobody_could_finish_is_cancelled_before_the_run_ends_and_told(
    paper: Cloud, item: Any, threshold: str, closing: str, end: str
) -> None:
    paper.broker.script = [partly("1")]
    paper.broker.after_submit = lambda _: _die_for_good(paper)

    run = paper.run(workflow_input(item), threshold=threshold)

    assert (run.end, run.counts[closing]) == (end, 1)
    assert [order.status for order in paper.broker.accepted] == [OrderStatus.CANCELED]
    ((_, body),) = paper.mails()
    assert "Orders that were still open, closed now:" in body
    assert f"{item.action} {item.symbol}, order {item.trade_id}: canceled, 1 of" in body
    (intent,) = [entry for entry in paper.items() if entry["SK"].startswith("INTENT#")]
    assert (intent["status"], intent["filled_quantity"]) == ("canceled", 1)


def test_l2_a_run_whose_orders_cannot_be_closed_says_so_and_ends(paper: Cloud) -> None:
    paper.broker.script = [partly("1")]
    paper.broker.after_submit = lambda _: _die_for_good(paper, closes=False)

    run = paper.run(workflow_input(BUY))

    assert run.end == "WorkflowFailed"
    ((_, body),) = paper.mails()
    assert "Orders may still be working: closing the run failed (Sandbox.Timedout" in body
    assert f"shadow orders {BUY.run_id} --cancel" in body


def _die_for_good(paper: Cloud, *, closes: bool = True) -> None:
    """Let this process die, and every later one but the one that closes the run."""
    paper.faults["execute_trade_sfn"] = lambda event: None if closes and event.get("closeRun") else "Sandbox.Timedout"
    raise RuntimeError


def test_c4_a_buy_whose_equity_cannot_be_checked_is_not_placed(paper: Cloud) -> None:
    paper.faults["check_equity_limit"] = lambda _: "StateUnavailable"

    run = paper.run(workflow_input(BUY))

    assert (run.end, run.output["failedTrades"], paper.broker.submitted) == ("WorkflowCompleted", 1, [])
    assert len(paper.calls_of("check_equity_limit")) == 4


def test_a_sell_costs_one_transition_and_a_buy_three(paper: Cloud) -> None:
    few = paper.run(workflow_input(SELL, BUY))
    more = paper.run(
        workflow_input(
            trade("AAA", "-300", plan_id="more", held="100"),
            *(trade(f"S{n}", "-1", plan_id="more", held="100") for n in range(4)),
            *(trade(f"B{n}", "10", plan_id="more") for n in range(6)),
        ),
        threshold="1000",
    )

    assert (sum(few.counts.values()), sum(more.counts.values())) == (11 + 1 + 3, 11 + 5 + 18)


def test_eleven_attempts_at_a_limit_of_ten_leave_ten(paper: Cloud) -> None:
    paper.broker.equity = Decimal(1000)

    run = paper.run(workflow_input(*(trade(f"B{n}", "100") for n in range(11))))

    summary = run.result_of("AggregateResults")
    assert (summary["succeededTrades"], summary["equityBlockedTrades"], run.end) == (10, 1, "EquityLimitReached")
    assert _reserved(paper) == Decimal(1000)


@settings(max_examples=8, deadline=None)
@given(
    amounts=st.lists(st.integers(1, 60), min_size=2, max_size=14),
    limit=st.integers(10, 200),
    behaviours=st.lists(st.sampled_from([FILL, FILL, REJECT]), min_size=1, max_size=14),
    flaky=st.lists(st.sampled_from(["check_equity_limit", "execute_trade_sfn"]), max_size=2),
)
def test_no_order_of_failures_and_retries_overshoots_the_limit(
    amounts: list[int], limit: int, behaviours: list[Behaviour], flaky: list[str]
) -> None:
    with cloud(EXECUTION_MODE="paper", CONTROL_ACCOUNT_FINGERPRINT="0" * 64) as world:
        world.broker.equity = Decimal(limit)
        world.broker.script = [*behaviours, FILL]
        for function in flaky:
            world.faults[function] = failing(2, "StateUnavailable")

        run = world.run(workflow_input(*(trade(f"B{n}", str(amount)) for n, amount in enumerate(amounts))))

        bought = sum((order.filled_quantity * 100 for order in world.broker.accepted), Decimal(0))
        assert bought <= limit
        assert bought <= _reserved(world) <= limit
        assert _settled(run)


def _reserved(world: Cloud) -> Decimal:
    (item,) = [item for item in world.items() if item["SK"] == "RUN"]
    assert item["reserved"] == sum(item["amount"] for item in world.items() if item["SK"].startswith("RESERVATION#"))
    assert item["reserved"] + item["headroom"] == item["equity_limit"]
    return Decimal(item["reserved"])


def _settled(run: Run) -> bool:
    return run.end in ("WorkflowCompleted", "EquityLimitReached")
