"""Each planted fault leaves the trace that the contract's section 9 describes, and nothing is planted by accident."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from local.scenarios.legacy_faults import Fault, PlantedFaults
from local.scenarios.legacy_variant import FaultyLane, FaultyPublisher
from shadow.broker.port import OrderRejected
from shadow.contracts.control_records import DetailType, ExecutionData, RunItem
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Side
from tests.fakes.legacy import World
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", T="-2000", MSFT="1000", KO="500", exits=("T",))


def run_with(*faults: dict[str, str], prepare: Callable[[World], None] = lambda _: None) -> World:
    """Publish PLAN with the faults planted in it and work the queue until it is empty."""
    world = World()
    world.broker.positions = {"T": Decimal("20.5")}
    prepare(world)
    planted = PlantedFaults(lambda: json.dumps(faults))
    FaultyPublisher(world.publisher(), planted).publish(PLAN)
    lane = FaultyLane(world.parts(), planted)
    for record in world.queue.sent:  # grows while it is worked
        lane.process(TradeMessage.parse_json(record.body))
    return world


def run_of(world: World) -> RunItem:
    return next(run for run in world.store.runs.values() if run.plan_id == PLAN.plan_id)


def status_of(world: World, symbol: str) -> str:
    return world.trade(symbol).status.value


def sold(world: World, symbol: str) -> Decimal:
    return sum((order.filled_quantity for order in world.broker.of(symbol)), Decimal(0))


def recorded(world: World, symbol: str) -> ExecutionData:
    return ExecutionData.parse_json(world.trade(symbol).execution_data or "")


def count_of(world: World, kind: DetailType) -> int:
    return len(world.bus.of(kind))


def fail_aapl(world: World) -> None:
    world.broker.refusals = {"AAPL": [OrderRejected("no")] * 3}


def small_account(world: World) -> None:
    world.broker.equity = Decimal(1200)


TRACES: dict[Fault, tuple[dict[str, str], Callable[[World], None], Callable[[World], bool]]] = {
    Fault.DUPLICATE_EXECUTION: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: len(w.broker.of("MSFT")) == 2 and run_of(w).completed_trades == 5,
    ),
    Fault.CRASH_BEFORE_COUNTERS: (
        {"symbol": "AAPL"},
        lambda _: None,
        lambda w: status_of(w, "AAPL") == "COMPLETED" and run_of(w).sell_completed == 1 and run_of(w).status == "SELL_PHASE",
    ),
    Fault.CRASH_AFTER_SUBMIT: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: sold(w, "MSFT") == 20 and recorded(w, "MSFT").shares == 10 and run_of(w).status == "COMPLETED",
    ),
    Fault.TRADE_LOST: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: status_of(w, "MSFT") == "PENDING" and run_of(w).status == "BUY_PHASE",
    ),
    Fault.FILLED_RECORDED_FAILED: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: status_of(w, "MSFT") == "FAILED" and sold(w, "MSFT") == 10 and bool(w.trade("MSFT").order_id),
    ),
    Fault.RESIDUE: ({"symbol": "T"}, lambda _: None, lambda w: sold(w, "T") == Decimal("20.479500")),
    Fault.OVERSELL: ({"symbol": "T"}, lambda _: None, lambda w: sold(w, "T") == Decimal("22.55")),
    Fault.WRONG_SIDE: ({"symbol": "MSFT"}, lambda _: None, lambda w: {o.side for o in w.broker.of("MSFT")} == {Side.SELL}),
    Fault.WRONG_SIZE: ({"symbol": "MSFT", "amount": "1.5"}, lambda _: None, lambda w: recorded(w, "MSFT").shares == 15),
    Fault.REJECTED: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: status_of(w, "MSFT") == "FAILED" and not w.broker.of("MSFT"),
    ),
    Fault.MARKET_CLOSED: ({"symbol": "MSFT"}, lambda _: None, lambda w: run_of(w).skipped_trades == 1),
    Fault.BREAKER_BLOCKS: ({"symbol": "KO"}, lambda _: None, lambda w: run_of(w).status == "FAILED"),
    Fault.BREAKER_STALE: (
        {"symbol": "KO"},
        small_account,
        lambda w: run_of(w).cumulative_buy_succeeded_value == 1500 and run_of(w).max_equity_limit_usd == 1200,
    ),
    Fault.WRONG_STATUS: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: status_of(w, "MSFT") == "FAILED" and run_of(w).failed_trades == 0,
    ),
    Fault.RECORDED_PRICE_OFF: ({"symbol": "MSFT"}, lambda _: None, lambda w: recorded(w, "MSFT").price == Decimal("102.0000")),
    Fault.RECORDED_THROUGH_FLOAT: (
        {"symbol": "MSFT"},
        lambda w: w.broker.quotes.update(MSFT=("33.32", "33.34")),
        lambda w: recorded(w, "MSFT").price == Decimal("33.330000000000005"),
    ),
    Fault.COUNTED_TWICE: ({"symbol": "MSFT"}, lambda _: None, lambda w: run_of(w).completed_trades == 5),
    Fault.SLOW: ({"symbol": "MSFT", "amount": "7"}, lambda _: None, lambda w: 7.0 in w.slept),
    Fault.LEDGER_LOST: ({"symbol": "MSFT"}, lambda _: None, lambda w: "MSFT" not in {e.symbol for e in w.ledger.entries}),
    Fault.BUY_SEND_FAILS: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: status_of(w, "MSFT") == "WAITING" and len(w.notes.failures) == 1 and run_of(w).status == "BUY_PHASE",
    ),
    Fault.EVENT_LOST: (
        {"event": "AllTradesCompleted"},
        lambda _: None,
        lambda w: count_of(w, DetailType.ALL_TRADES_COMPLETED) == 0 and count_of(w, DetailType.TRADE_EXECUTED) == 4,
    ),
    Fault.EVENT_TWICE: (
        {"event": "TradeExecuted", "symbol": "KO"},
        lambda _: None,
        lambda w: count_of(w, DetailType.TRADE_EXECUTED) == 5 and count_of(w, DetailType.ALL_TRADES_COMPLETED) == 1,
    ),
    Fault.CRASH_BEFORE_BUY_PHASE: (
        {},
        lambda _: None,
        lambda w: run_of(w).status == "SELL_PHASE" and run_of(w).sell_completed == 2 and status_of(w, "KO") == "WAITING",
    ),
    Fault.CRASH_BEFORE_BUY_SEND: (
        {},
        lambda _: None,
        lambda w: run_of(w).status == "BUY_PHASE" and status_of(w, "KO") == "WAITING" and len(w.queue.sent) == 2,
    ),
    Fault.STUCK_AGGREGATING: (
        {},
        lambda _: None,
        lambda w: run_of(w).status == "AGGREGATING" and count_of(w, DetailType.ALL_TRADES_COMPLETED) == 1,
    ),
    Fault.GUARD_BLIND: ({}, fail_aapl, lambda w: run_of(w).status == "COMPLETED" and run_of(w).sell_failed_amount == 600),
    Fault.GUARD_EAGER: ({}, lambda _: None, lambda w: run_of(w).status == "FAILED" and run_of(w).sell_failed_amount == 0),
    Fault.TRADE_NOT_PUBLISHED: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: run_of(w).total_trades == 3 and run_of(w).status == "COMPLETED" and not w.broker.of("MSFT"),
    ),
    Fault.EXTRA_TRADE: (
        {"symbol": "PEP", "amount": "900"},
        lambda _: None,
        lambda w: run_of(w).total_trades == 5 and sold(w, "PEP") == 9,
    ),
    Fault.PLANNED_AMOUNT_OFF: (
        {"symbol": "MSFT"},
        lambda _: None,
        lambda w: w.trade("MSFT").trade_amount == 1100 and sold(w, "MSFT") == 11,
    ),
    Fault.PLANNED_THROUGH_FLOAT: ({"symbol": "MSFT"}, lambda _: None, lambda w: w.trade("MSFT").trade_amount == 1000),
    Fault.RUN_NOT_PUBLISHED: ({}, lambda _: None, lambda w: not w.store.runs and not w.broker.orders),
    Fault.RUN_DOUBLED: ({}, lambda _: None, lambda w: len(w.store.runs) == 2 and len(w.broker.of("MSFT")) == 2),
}


def test_every_fault_has_a_trace() -> None:
    assert set(TRACES) == set(Fault)


@pytest.mark.parametrize("fault", Fault)
def test_a_planted_fault_leaves_its_trace_and_is_absent_without(fault: Fault) -> None:
    fields, prepare, trace = TRACES[fault]
    assert trace(run_with({"fault": fault.value, "plan_id": PLAN.plan_id, **fields}, prepare=prepare))
    if fault is not Fault.PLANNED_THROUGH_FLOAT:  # 1000 survives a float; the next test has an amount that does not
        elsewhere = run_with({"fault": fault.value, "plan_id": "another", **fields}, prepare=prepare)
        assert not trace(elsewhere)


def test_an_amount_with_cents_does_not_survive_a_float() -> None:
    plan = plan_of(MSFT="1000.10")
    world = World()
    planted = PlantedFaults(lambda: '[{"fault": "planned_through_float", "symbol": "MSFT"}]')
    FaultyPublisher(world.publisher(), planted).publish(plan)
    assert world.trade("MSFT").trade_amount == Decimal("1000.100000000000022737367544")
    assert world.plans.kept == [plan]


def test_the_plan_table_keeps_the_plan_as_it_came() -> None:
    assert run_with({"fault": "extra_trade", "symbol": "PEP"}).plans.kept == [PLAN]


@pytest.mark.parametrize("text", ["", "{}", '[{"fault": "no such"}]', '[{"fault": "slow", "unknown": 1}]'])
def test_malformed_faults_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="planted faults: "):
        PlantedFaults(lambda: text).of_plan("any")


def test_a_file_of_faults_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text("[]")
    planted = PlantedFaults.in_file(file)
    assert planted.of_plan("p") == ()
    file.write_text('[{"fault": "slow", "plan_id": "p"}]')
    assert [fault.fault for fault in planted.of_plan("p")] == [Fault.SLOW]
    assert planted.of_plan("q") == ()
    file.unlink()
    with pytest.raises(ConfigurationError, match="expected a readable file"):
        planted.of_plan("p")
