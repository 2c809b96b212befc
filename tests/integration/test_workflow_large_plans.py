"""Business Unit: execution | Status: current.

Large plans in moto's interpreter: a Distributed Map over an object in S3, small states, and the same outcome as the small path.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

import boto3
import pytest

from shadow.broker.port import OrderRequest
from shadow.contracts.vocabulary import Reason, Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import ClaimCheck, OrderTrace, TradeResult, WorkflowInput, WorkflowTrade
from shadow.execution.phases import equity_check, is_large
from shadow.execution.trade import MESSAGE_LENGTH, SHOWN_ORDERS
from tests.fakes.candidate import NOON, REJECT, trade, workflow_input
from tests.fakes.quick_table import quick_tables
from tests.fakes.workflow_cloud import BUCKET, REGION, Cloud, cloud

PAPER = {"EXECUTION_MODE": "paper", "CONTROL_ACCOUNT_FINGERPRINT": "0" * 64}
SHOWN = ("totalTrades", "succeededTrades", "failedTrades", "skippedTrades", "unknownTrades", "equityBlockedTrades", "totalValue")


@pytest.fixture
def large() -> Iterator[Cloud]:
    """A world in which more than two trades are many."""
    with cloud(**PAPER, INLINE_TRADE_LIMIT="2") as built, quick_tables():
        yield stocked(built)


def stocked(world: Cloud) -> Cloud:
    world.broker.held = {f"S{number}": Decimal(100) for number in range(200)}
    return world


def many(sells: int, buys: int) -> tuple[WorkflowTrade, ...]:
    selling = (trade(f"S{number}", "-100", held="100") for number in range(sells))
    return (*selling, *(trade(f"B{number}", "100") for number in range(buys)))


def claimed(request: WorkflowInput, *, spoilt: bool = False, count: int | None = None) -> WorkflowInput:
    """Put a plan into S3, as the publisher does, and leave the claim check."""
    body = json.dumps(request.rebalance_plan.to_wire(), sort_keys=True, separators=(",", ":")).encode()
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key="plans/x.json", Body=body + b" " * spoilt)
    check = ClaimCheck(
        bucket=BUCKET,
        key="plans/x.json",
        sha256=sha256(body).hexdigest(),
        trade_count=len(request.rebalance_plan.trade_messages) if count is None else count,
    )
    emptied = request.rebalance_plan.model_copy(update={"trade_messages": ()})
    return request.model_copy(update={"rebalance_plan": emptied, "claim_check": check})


def test_a_large_plan_runs_as_distributed_maps(large: Cloud) -> None:
    run = large.run(workflow_input(*many(3, 4)))

    assert (run.status, run.end, run.output["succeededTrades"]) == ("SUCCEEDED", "WorkflowCompleted", 7)
    assert {"ExecuteLargeSellPhase", "ExecuteLargeBuyPhase"} <= set(run.states)
    assert not {"ExecuteSellPhase", "ExecuteBuyPhase"} & set(run.states)
    sold = [order.symbol for order in large.broker.submitted[:3]]
    assert sorted(sold) == ["S0", "S1", "S2"]


def test_c8_the_items_of_a_large_plan_carry_their_ids(large: Cloud) -> None:
    request = workflow_input(*many(2, 2))

    large.run(request)

    calls = large.calls_of("execute_trade_sfn")
    assert len(calls) == 4
    assert {(call["runId"], call["correlationId"]) for call in calls} == {(request.run_id, "workflow-1")}


@pytest.mark.parametrize(
    "scenario", ["all well", "some fail", "guard blocks", "breaker", "closed", "reconciled", "sells only", "buys only"]
)
def test_both_paths_give_the_same_outcome(scenario: str) -> None:
    small, big = played(scenario, "100"), played(scenario, "2")

    assert small == big


def played(scenario: str, limit: str) -> dict[str, Any]:
    with cloud(**PAPER, INLINE_TRADE_LIMIT=limit) as world, quick_tables():
        stocked(world)
        _arrange(world, scenario)
        trades = many(0 if scenario == "buys only" else 6, 0 if scenario == "sells only" else 5)
        run = world.run(workflow_input(*trades))
        state = run.result_of("EvaluateSellPhaseGuard")
        summary = run.result_of("AggregateResults") if "AggregateResults" in run.states else {}
        return {
            "end": (run.status, run.end),
            "guard": state["guard"],
            "mails": world.mails()[0][0],
            "effects": Counter(item["kind"] for item in world.items() if item["SK"].startswith("EFFECT#")),
            **{name: summary.get(name) for name in SHOWN},
        }


def _arrange(world: Cloud, scenario: str) -> None:
    match scenario:
        case "some fail":
            world.broker.by_symbol = {"S1": [REJECT], "B2": [REJECT]}
        case "guard blocks":
            world.broker.by_symbol = {f"S{number}": [REJECT] for number in range(6)}
        case "breaker":
            world.broker.equity = Decimal(300)
        case "closed":
            world.broker.is_open = False
        case "reconciled":
            world.faults["execute_trade_sfn"] = _fails_for_b1
        case _:
            pass


def _fails_for_b1(event: dict[str, Any]) -> str | None:
    return "KeyError" if event.get("symbol") == "B1" else None


def test_a_claim_checked_plan_is_read_and_run(large: Cloud) -> None:
    run = large.run(claimed(workflow_input(*many(3, 3))))

    assert (run.end, run.output["totalTrades"], run.output["succeededTrades"]) == ("WorkflowCompleted", 6, 6)


@pytest.mark.parametrize("how", ["another digest", "another count", "gone"])
def test_a_claim_that_does_not_hold_trades_nothing(large: Cloud, how: str) -> None:
    request = claimed(workflow_input(*many(3, 3)), spoilt=how == "another digest", count=7 if how == "another count" else None)
    if how == "gone":
        boto3.client("s3", region_name=REGION).delete_object(Bucket=BUCKET, Key="plans/x.json")

    run = large.run(request)

    assert (run.end, large.broker.submitted) == ("WorkflowFailed", [])
    ((subject, _),) = large.mails()
    assert subject.endswith("PlanObjectCorrupt")


def test_a_result_that_was_never_recorded_is_unknown_where_an_order_may_live(large: Cloud) -> None:
    def dies_once_it_has_ordered(request: OrderRequest) -> None:
        if request.symbol == "B1":
            raise KeyError("the process died here")

    large.broker.after_submit = dies_once_it_has_ordered
    large.faults["execute_trade_sfn"] = lambda event: "KeyError" if "trade" in event and _symbol(event) == "B1" else None

    run = large.run(workflow_input(*many(0, 4)))

    summary = run.result_of("AggregateResults")
    assert [request.symbol for request in large.broker.submitted].count("B1") == 1
    assert (summary["succeededTrades"], summary["failedTrades"], summary["unknownTrades"]) == (3, 0, 1)


def _symbol(event: dict[str, Any]) -> str:
    return str(event.get("symbol") or event.get("trade", {}).get("symbol"))


def test_c13_the_state_stays_small_however_many_trades_there_are() -> None:
    sizes = {}
    for count in (10, 40):
        with cloud(**PAPER, INLINE_TRADE_LIMIT="2") as world, quick_tables():
            run = stocked(world).run(claimed(workflow_input(*many(5, count - 5))))
            outputs = [event["stateExitedEventDetails"]["output"] for event in run.events if "stateExitedEventDetails" in event]
            assert (run.end, run.output["succeededTrades"]) == ("WorkflowCompleted", count)
            sizes[count] = max(len(output) for output in outputs)

    assert sizes[10] < 2000
    assert abs(sizes[40] - sizes[10]) < 50


def test_c13_a_hundred_trades_with_full_results_stay_below_the_limit_of_a_state() -> None:
    order = OrderTrace(
        client_order_id=f"{trade().trade_id}-step-11",
        order_id=trade().trade_id,
        order_type="limit",
        quantity=Decimal("12345.123456"),
        limit_price=Decimal("12345.67"),
        status="not_accepted",
        filled_quantity=Decimal("12345.123456"),
        average_price=Decimal("12345.123456"),
    )
    check = equity_check(allowed=True, reserved=Decimal("1234567.89"), limit=Decimal("12345678.90"))
    full = TradeResult(
        run_id=trade().run_id,
        trade_id=trade().trade_id,
        symbol="BRK.B",
        action=Side.BUY,
        status=TradeStatus.FAILED,
        quantity=order.quantity,
        average_price=order.average_price,
        total_value=Decimal("123456789.123456"),
        order_id=order.order_id,
        error_message="x" * MESSAGE_LENGTH,
        planned_amount=Decimal("1234567.89"),
        reason=Reason.BROKER_UNAVAILABLE,
        asked_quantity=order.quantity,
        sizing_basis=SizingBasis.HELD_QUANTITY,
        bid=order.limit_price,
        ask=order.limit_price,
        decision_price=order.limit_price,
        order_type="limit",
        attempts=3,
        orders=(order,) * SHOWN_ORDERS,
        equity_check=check,
        started_at=NOON,
        completed_at=NOON,
        filled_at=NOON,
    )
    trades = [item.to_wire() for item in many(50, 50)]

    assert not is_large(many(50, 50))
    assert is_large(many(50, 51))
    assert len(json.dumps({"trades": trades, "results": [full.to_wire()] * 100})) < 262_144 - 5_000
