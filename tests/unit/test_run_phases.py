"""Business Unit: execution | Status: current.

The start of a run, and its equity limit.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.errors import InvalidPayload
from shadow.contracts.vocabulary import ExecutionMode, Lane, Origin
from shadow.contracts.workflow import PreparedRun, WorkflowInput, WorkflowTrade
from shadow.execution.phases import SMALLEST_LIMIT, RunSettings, equity_limit, prepare
from shadow.execution.ports import InterlockViolation
from tests.fakes.candidate import FakeClock, MemoryLedger, d, trade, workflow_input


def prepared(request: WorkflowInput, *, ledger: MemoryLedger | None = None, equity: str = "1000", pct: str = "1") -> PreparedRun:
    settings = RunSettings(ExecutionMode.PAPER, d(pct), lambda _: d(equity))
    trades = request.rebalance_plan.trade_messages
    return prepare(request, trades, settings=settings, ledger=ledger or MemoryLedger(), clock=FakeClock())


def numbered(symbol: str, amount: str, sequence: int) -> WorkflowTrade:
    return trade(symbol, amount).model_copy(update={"sequence_number": sequence})


def test_trades_are_split_by_side_and_ordered_by_sequence() -> None:
    request = workflow_input(
        numbered("A", "10", 2002), numbered("B", "-10", 1003), numbered("C", "10", 2001), numbered("D", "-10", 1001)
    )

    run = prepared(request)

    assert [item.symbol for item in run.sell_trades] == ["D", "B"]
    assert [item.symbol for item in run.buy_trades] == ["C", "A"]
    assert (run.sell_count, run.buy_count, run.total_trades) == (2, 2, 4)


def test_c7_a_prepared_run_leaves_no_path_absent() -> None:
    wire = prepared(workflow_input()).to_wire()

    assert wire["sellTrades"] == wire["buyTrades"] == wire["sellResults"] == wire["buyResults"] == []
    assert "failureThresholdUsd" in wire


def test_c8_ids_are_in_the_run_and_in_every_trade() -> None:
    request = workflow_input(trade("A", "-10"), trade("B", "10"))

    wire = prepared(request).to_wire()

    for holder in (wire, *wire["sellTrades"], *wire["buyTrades"]):  # type: ignore[misc]
        assert (holder["runId"], holder["planId"], holder["correlationId"]) == (request.run_id, request.plan_id, "workflow-1")


def test_c4_a_run_opened_again_keeps_its_limit() -> None:
    ledger = MemoryLedger()
    request = workflow_input(trade())

    assert prepared(request, ledger=ledger, equity="1000").equity_limit == d("1000")
    assert prepared(request, ledger=ledger, equity="5").equity_limit == d("1000")


def test_a_breaker_that_is_off_reads_no_equity() -> None:
    settings = RunSettings(ExecutionMode.PAPER, d(0), lambda _: pytest.fail("the account was read"))
    request = workflow_input(trade())

    run = prepare(request, request.rebalance_plan.trade_messages, settings=settings, ledger=MemoryLedger(), clock=FakeClock())

    assert run.equity_limit == 0


@pytest.mark.parametrize(
    ("strangers", "field"),
    [
        ((trade("A", "10", plan_id="another"),), "runId"),
        ((trade("A", "10"), trade("A", "20")), "tradeId"),
        ((trade("A", "10").model_copy(update={"trade_amount": d("-10")}),), "tradeAmount: expected more than 0 for BUY, was -10"),
        ((trade("A", "-10").model_copy(update={"trade_amount": d("10")}),), "tradeAmount: expected less than 0 for SELL, was 10"),
        ((trade("A", "10").model_copy(update={"trade_amount": d("0")}),), "tradeAmount: expected more than 0 for BUY, was 0"),
        ((trade("A", "-10").model_copy(update={"trade_amount": d("0")}),), "tradeAmount: expected less than 0 for SELL, was 0"),
        ((trade("A", "10"), trade("A/B/C", "10")), r"tradeMessages.1 \(.*symbol: expected a symbol that the broker"),
    ],
    ids=["another run", "twice", "wrong sign", "wrong sign of a sale", "zero", "zero of a sale", "no symbol"],
)
def test_a_trade_that_does_not_belong_is_named(strangers: tuple[WorkflowTrade, ...], field: str) -> None:
    ledger = MemoryLedger()
    request = workflow_input(*strangers).model_copy(update={"run_id": trade().run_id})

    with pytest.raises(InvalidPayload, match=field):
        prepared(request, ledger=ledger)
    assert ledger.openings == []


@pytest.mark.parametrize(
    ("equity", "pct", "limit"),
    [
        ("1000", "0.95", "950"),
        ("1000", "1.5", "1500"),
        ("1000", "2", "1500"),
        ("1000", "0", "0"),
        ("123456.78", "0.5", "61728.39"),
    ],
)
def test_the_limit(equity: str, pct: str, limit: str) -> None:
    assert equity_limit(d(equity), d(pct)) == d(limit)


@given(st.decimals("-1000000", "0", places=2), st.decimals("0.01", "2", places=2))
def test_no_equity_never_switches_the_breaker_off(equity: Decimal, pct: Decimal) -> None:
    assert equity_limit(equity, pct) == SMALLEST_LIMIT > 0


REPLAY = {"origin": Origin.REPLAY.value, "plan_id": "plan~replay-a"}


@pytest.mark.parametrize("mode", list(ExecutionMode))
@pytest.mark.parametrize("changes", [REPLAY, {"plan_id": "plan~replay-a"}])
def test_a_replayed_plan_is_opened_dry_whatever_the_lane_may_do(mode: ExecutionMode, changes: dict[str, str]) -> None:
    ledger = MemoryLedger()
    request = workflow_input(trade()).model_copy(update=changes)
    settings = RunSettings(mode, d(1), lambda _: d(1000))

    run = prepare(request, request.rebalance_plan.trade_messages, settings=settings, ledger=ledger, clock=FakeClock())

    assert (run.execution_mode, run.buy_count) == ("dry_run", 1)
    assert [opening.execution_mode for opening in ledger.openings] == [ExecutionMode.DRY_RUN]


@pytest.mark.parametrize("mode", list(ExecutionMode))
@pytest.mark.parametrize("changes", [{"origin": Origin.REPLAY.value}, REPLAY | {"production_lane": Lane.WORKFLOW}])
def test_a_replay_that_later_steps_would_not_know_or_that_is_to_trade_is_refused(
    mode: ExecutionMode, changes: dict[str, object]
) -> None:
    ledger = MemoryLedger()
    request = workflow_input(trade()).model_copy(update=changes)
    settings = RunSettings(mode, d(1), lambda _: d(1000))

    with pytest.raises(InterlockViolation):
        prepare(request, request.rebalance_plan.trade_messages, settings=settings, ledger=ledger, clock=FakeClock())

    assert ledger.openings == []


@pytest.mark.parametrize(("pct", "is_read"), [("-0.1", False), ("0", False), ("0.01", True)])
def test_the_equity_is_read_for_a_fraction_above_0(pct: str, *, is_read: bool) -> None:
    assert prepared(workflow_input(trade()), equity="1000", pct=pct).equity_limit == (d(10) if is_read else 0)
    assert equity_limit(d(1000), d(pct)) == (d(10) if is_read else 0)


@pytest.mark.parametrize("mode", list(ExecutionMode))
@pytest.mark.parametrize("lane", list(Lane))
def test_a_plan_is_traded_live_by_the_lane_in_production_alone(mode: ExecutionMode, lane: Lane) -> None:
    request = workflow_input(trade()).model_copy(update={"production_lane": lane})
    settings = RunSettings(mode, d(1), lambda _: d(1000))

    def begin() -> PreparedRun:
        trades = request.rebalance_plan.trade_messages
        return prepare(request, trades, settings=settings, ledger=MemoryLedger(), clock=FakeClock())

    if (lane is Lane.WORKFLOW) is (mode is ExecutionMode.LIVE):
        assert begin().execution_mode == mode.value
    else:
        expected = (
            "live for a plan that it is to trade" if lane is Lane.WORKFLOW else "dry_run or paper for a plan that it shadows"
        )
        with pytest.raises(InterlockViolation, match=f"expected mode {expected}, was {mode}"):
            begin()
