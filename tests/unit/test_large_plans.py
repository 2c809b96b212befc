"""Business Unit: execution | Status: current.

Large plans: trades and results that do not travel in the state, and none of them lost.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.vocabulary import ExecutionMode, Side, TradeStatus
from shadow.contracts.workflow import AggregateInput, ClaimCheck, GuardInput, TradeResult, WorkflowTrade
from shadow.execution.phases import (
    MAX_STATE_BYTES,
    RunSettings,
    aggregate_request,
    gathered,
    guard_request,
    is_large,
    moved_out,
    prepare,
    trades_of,
)
from tests.fakes.candidate import RUN_ID, FakeClock, MemoryLedger, d, trade, workflow_input

TRADES = tuple(trade(f"S{number}", "-10") for number in range(4)) + tuple(trade(f"B{number}", "10") for number in range(4))
IDS = {"run_id": RUN_ID, "plan_id": "plan", "correlation_id": "correlation"}


class MemoryStore:
    """The plan store in memory."""

    bucket = "bucket"

    def __init__(self) -> None:
        self.phases: dict[str, tuple[WorkflowTrade, ...]] = {}

    def read_plan(self, check: ClaimCheck) -> tuple[WorkflowTrade, ...]:
        return TRADES[: check.trade_count]

    def write_phase(self, run_id: str, side: Side, trades: tuple[WorkflowTrade, ...]) -> str:
        self.phases[f"{run_id}/{side}"] = trades
        return f"{run_id}/{side}"

    def read_phase(self, bucket: str, key: str) -> tuple[WorkflowTrade, ...]:
        assert bucket == self.bucket
        return self.phases[key]


class Log:
    """Results and intents in memory."""

    def __init__(self, *done: WorkflowTrade, intended: tuple[WorkflowTrade, ...] = ()) -> None:
        self.results = {item.trade_id: result(item) for item in done}
        self.intended = frozenset(item.trade_id for item in intended)

    def results_of(self, run_id: str) -> dict[str, TradeResult]:
        assert run_id == RUN_ID
        return dict(self.results)

    def with_intents(self, run_id: str) -> frozenset[str]:
        assert run_id == RUN_ID
        return self.intended


def result(item: WorkflowTrade) -> TradeResult:
    return TradeResult(
        run_id=item.run_id,
        trade_id=item.trade_id,
        symbol=item.symbol,
        action=item.action,
        status=TradeStatus.COMPLETED,
        planned_amount=item.trade_amount,
        quantity=d(1),
        total_value=d(10),
    )


def test_a_missing_result_is_unknown_only_where_an_order_may_live() -> None:
    sells = TRADES[:3]

    found = gathered(RUN_ID, sells, Log(sells[0], intended=(sells[0], sells[1])))

    assert [entry.status for entry in found] == [TradeStatus.COMPLETED, TradeStatus.UNKNOWN, TradeStatus.FAILED]
    assert [entry.quantity for entry in found] == [d(1), None, d(0)]
    assert [entry.total_value for entry in found] == [d(10), None, d(0)]
    assert [entry.trade_id for entry in found] == [item.trade_id for item in sells]


@given(st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
def test_every_trade_has_exactly_one_result(done: set[int], intended: set[int]) -> None:
    log = Log(*(TRADES[number] for number in done), intended=tuple(TRADES[number] for number in intended))

    found = gathered(RUN_ID, TRADES, log)

    assert [entry.trade_id for entry in found] == [item.trade_id for item in TRADES]
    unknown = {number for number, entry in enumerate(found) if entry.status is TradeStatus.UNKNOWN}
    assert unknown == intended - done


def test_a_large_runs_trades_move_out_and_come_back_for_guard_and_sum() -> None:
    store, log = MemoryStore(), Log(*TRADES)
    settings = RunSettings(ExecutionMode.PAPER, Decimal(0), lambda _: d(0))

    run = moved_out(prepare(workflow_input(*TRADES), TRADES, settings=settings, ledger=MemoryLedger(), clock=FakeClock()), store)

    assert (run.sell_trades, run.buy_trades, run.sell_count, run.buy_count, run.is_large) == ((), (), 4, 4, True)
    places = {"is_large": True, "bucket": run.bucket, "sell_key": run.sell_key}
    guard = guard_request(GuardInput(sell_results=(), default_failure_threshold_usd=d(500), **IDS, **places), store, log)
    summed = aggregate_request(
        AggregateInput(sell_results=(), buy_results=(), total_trades=8, buy_key=run.buy_key, **IDS, **places), store, log
    )
    assert len(guard.sell_results) == 4
    assert (len(summed.sell_results), len(summed.buy_results)) == (4, 4)


def test_a_small_runs_requests_are_left_alone() -> None:
    guard = GuardInput(sell_results=(result(TRADES[0]),), default_failure_threshold_usd=d(500), **IDS)
    summed = AggregateInput(sell_results=(), buy_results=(), total_trades=0, **IDS)

    assert guard_request(guard, MemoryStore(), Log()) is guard
    assert guard_request(guard.model_copy(update={"is_large": True}), MemoryStore(), Log()).sell_results == ()
    assert aggregate_request(summed, MemoryStore(), Log()) is summed


def test_trades_come_from_the_input_or_from_its_claim() -> None:
    request = workflow_input(*TRADES[:2])
    check = ClaimCheck(bucket="bucket", key="key", sha256="0" * 64, trade_count=5)

    assert trades_of(request, MemoryStore()) == TRADES[:2]
    assert trades_of(request.model_copy(update={"claim_check": check}), MemoryStore()) == TRADES[:5]


@pytest.mark.parametrize(("count", "large"), [(0, False), (2, False), (3, True)])
def test_a_plan_is_large_by_count(count: int, large: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert is_large(TRADES[:count], 2) is large


def test_a_plan_is_large_by_size() -> None:
    wide = tuple(item.model_copy(update={"strategy_id": "x" * (MAX_STATE_BYTES // 8)}) for item in TRADES)

    assert is_large(wide)
    assert not is_large(TRADES)
