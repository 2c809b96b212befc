"""One record, one run through the control: statuses, counters, guard, breaker, events (contract, sections 4 and 5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shadow.broker.port import BrokerUnavailable, OrderRejected
from shadow.contracts.control_records import (
    MARKET_CLOSED_MESSAGE,
    AllTradesCompleted,
    DetailType,
    ExecutionData,
    FailureStep,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    TradeExecuted,
    TradeItem,
    WorkflowFailed,
)
from shadow.contracts.plan import TradeMessage, trade_messages
from shadow.reference.lane import UnknownTrade
from tests.fakes.legacy import World
from tests.fakes.plans import plan_of

REFUSED = [OrderRejected("no")] * 3


def data_of(trade: TradeItem) -> ExecutionData:
    assert trade.execution_data is not None
    return ExecutionData.parse_json(trade.execution_data)


def test_a_run_sells_then_buys_then_completes() -> None:
    world = World()
    run = world.run_all(plan_of(AAPL="-600", MSFT="1000", KO="500"))
    assert (run.status, run.current_phase) == (LegacyRunStatus.COMPLETED, LegacyPhase.BUY)
    assert (run.completed_trades, run.succeeded_trades, run.failed_trades, run.skipped_trades) == (3, 3, 0, 0)
    assert (run.sell_completed, run.buy_completed) == (1, 2)
    assert (run.sell_succeeded_amount, run.cumulative_buy_succeeded_value) == (Decimal(600), Decimal(1500))
    assert run.buy_phase_started_at is not None
    assert run.completed_at is not None
    assert [record.symbol for record in world.queue.sent] == ["AAPL", "MSFT", "KO"]


def test_the_recorded_price_is_the_mid_and_the_ledger_has_the_fill() -> None:
    world = World()
    world.run_all(plan_of(MSFT="1000"))
    trade = world.trade("MSFT")
    data = data_of(trade)
    assert (data.shares, data.price, data.trade_amount, data.order_type) == (Decimal(10), Decimal(100), Decimal(1000), "limit")
    (entry,) = world.ledger.entries
    assert (entry.order_id, entry.filled_qty, entry.fill_price) == (trade.order_id, Decimal(10), Decimal("100.50"))


def test_the_trade_is_written_before_the_counters_in_a_second_write() -> None:
    world = World()
    world.run_all(plan_of(MSFT="1000"))
    assert world.store.log[world.store.log.index("end_trade") :] == ["end_trade", "count", "claim_aggregation", "complete_run"]


def test_an_ended_trade_is_acknowledged_and_not_executed_again() -> None:
    world = World()
    run = world.run_all(plan_of(MSFT="1000"))
    world.parts().assemble().process(TradeMessage.parse_json(world.queue.sent[0].body))
    assert world.store.runs[run.run_id] == run
    assert len(world.broker.orders) == 1
    assert "duplicate record acknowledged" in world.notes.lines


def test_a_running_trade_is_executed_again_so_a_redelivery_doubles_its_order() -> None:
    world, plan = World(), plan_of(MSFT="1000")
    published = world.publisher().publish(plan)
    world.store.mark_running(published.run_id, published.trade_ids[0], plan.timestamp)
    world.drain(published.run_id)
    assert world.trade("MSFT").status is LegacyTradeStatus.COMPLETED


def test_a_record_without_an_item_is_refused() -> None:
    (message,) = trade_messages(plan_of(MSFT="1000"))
    with pytest.raises(UnknownTrade, match="expected an item, was none"):
        World().parts().assemble().process(message)


def test_a_closed_market_completes_the_trade_and_counts_it_as_skipped() -> None:
    world = World()
    world.broker.is_open = False
    run = world.run_all(plan_of(AAPL="-600", MSFT="1000"))
    assert (run.status, run.skipped_trades, run.succeeded_trades) == (LegacyRunStatus.COMPLETED, 2, 0)
    assert (run.sell_succeeded_amount, run.sell_failed_amount, run.cumulative_buy_succeeded_value) == (0, 0, 0)
    trade = world.trade("AAPL")
    assert (trade.status, trade.error_message) == (LegacyTradeStatus.COMPLETED, MARKET_CLOSED_MESSAGE)
    assert (trade.execution_data, trade.order_id) == (None, None)


def test_a_broker_that_cannot_be_reached_fails_the_trade() -> None:
    world = World()

    def down() -> None:
        raise BrokerUnavailable("down")

    world.broker.clock = down  # type: ignore[assignment,method-assign]
    run = world.run_all(plan_of(MSFT="1000"))
    assert (run.status, run.failed_trades) == (LegacyRunStatus.COMPLETED, 1)
    assert world.trade("MSFT").error_message == "BrokerUnavailable: down"


@pytest.mark.parametrize(("failed", "blocked"), [("-500.00", False), ("-500.01", True), ("-499.99", False), ("-10000", True)])
def test_the_guard_blocks_above_500_and_not_at_it(failed: str, *, blocked: bool) -> None:
    world = World()
    world.broker.refusals = {"AAPL": list(REFUSED)}
    run = world.run_all(plan_of(AAPL=failed, KO="-300", MSFT="1000"))
    assert run.sell_failed_amount == abs(Decimal(failed))
    assert run.sell_succeeded_amount == Decimal(300)
    failures = world.bus.of(DetailType.WORKFLOW_FAILED)
    if blocked:
        assert (run.status, run.buy_phase_started_at) == (LegacyRunStatus.FAILED, None)
        assert run.failure_reason is not None
        assert world.trade("MSFT").status is LegacyTradeStatus.WAITING
        assert [f.failure_step for f in failures if isinstance(f, WorkflowFailed)] == [FailureStep.SELL_PHASE_GUARD]
        assert not world.bus.of(DetailType.ALL_TRADES_COMPLETED)
    else:
        assert run.status is LegacyRunStatus.COMPLETED
        assert world.trade("MSFT").status is LegacyTradeStatus.COMPLETED
        assert not failures


def test_the_guard_looks_at_a_run_of_sells_only_too() -> None:
    world = World()
    world.broker.refusals = {"AAPL": list(REFUSED)}
    assert world.run_all(plan_of(AAPL="-501")).status is LegacyRunStatus.FAILED


def test_sells_only_complete_without_a_buy_phase() -> None:
    run = World().run_all(plan_of(AAPL="-600"))
    assert (run.status, run.current_phase, run.buy_phase_started_at) == (LegacyRunStatus.COMPLETED, LegacyPhase.SELL, None)


def test_a_blocked_buy_fails_the_run_once_and_the_other_buys_go_on() -> None:
    world = World()
    world.broker.equity = Decimal(1500)
    run = world.run_all(plan_of(MSFT="1000", KO="600", PEP="700", V="500"))
    assert {t.symbol: t.status.value for t in world.store.trades.values()} == {
        "MSFT": "COMPLETED",
        "KO": "FAILED",
        "PEP": "FAILED",
        "V": "COMPLETED",
    }
    assert (run.status, run.completed_trades, run.failed_trades) == (LegacyRunStatus.FAILED, 4, 2)
    (failure,) = world.bus.of(DetailType.WORKFLOW_FAILED)
    assert isinstance(failure, WorkflowFailed)
    assert failure.failure_step is FailureStep.EQUITY_CIRCUIT_BREAKER
    assert not world.bus.of(DetailType.ALL_TRADES_COMPLETED)
    assert not world.broker.of("KO")


def test_the_limit_itself_may_be_reached_and_zero_turns_the_breaker_off() -> None:
    world = World()
    world.broker.equity = Decimal(1600)
    assert world.run_all(plan_of(MSFT="1000", KO="600")).status is LegacyRunStatus.COMPLETED
    off = World(deployment=Decimal(0))
    assert off.run_all(plan_of(MSFT="1000")).status is LegacyRunStatus.COMPLETED


def test_a_buy_that_cannot_be_sent_waits_for_ever() -> None:
    world = World()
    world.queue.refuse = {"MSFT"}
    run = world.run_all(plan_of(AAPL="-600", MSFT="1000", KO="500"))
    assert (run.status, run.completed_trades) == (LegacyRunStatus.BUY_PHASE, 2)
    assert world.trade("MSFT").status is LegacyTradeStatus.WAITING
    assert [failure["error"] for failure in world.notes.failures] == ["ConnectionError"]


def test_each_trade_is_announced_and_the_end_once() -> None:
    world = World()
    world.broker.refusals = {"KO": list(REFUSED)}
    world.run_all(plan_of(AAPL="-600", MSFT="1000", KO="500"))
    told = {t.symbol: t for t in world.bus.of(DetailType.TRADE_EXECUTED) if isinstance(t, TradeExecuted)}
    assert {symbol: trade.success for symbol, trade in told.items()} == {"AAPL": True, "MSFT": True, "KO": False}
    assert (told["MSFT"].quantity, told["MSFT"].price, told["MSFT"].trade_amount) == (Decimal(10), Decimal(100), Decimal(1000))
    assert (told["KO"].quantity, told["KO"].error_message) == (None, "OrderRejected: no")
    (end,) = world.bus.of(DetailType.ALL_TRADES_COMPLETED)
    assert isinstance(end, AllTradesCompleted)
    assert (end.total_trades, end.succeeded_trades, end.failed_trades, end.skipped_trades) == (3, 2, 1, 0)


def test_a_partial_fill_is_recorded_with_the_failure() -> None:
    world = World()
    world.broker.fills = {"MSFT": ["0.3", "0", "0", "0"]}
    world.run_all(plan_of(MSFT="1000"))
    trade = world.trade("MSFT")
    assert trade.status is LegacyTradeStatus.FAILED
    assert (data_of(trade).shares, data_of(trade).trade_amount) == (Decimal(3), Decimal(300))
    assert [entry.filled_qty for entry in world.ledger.entries] == [Decimal(3)]
