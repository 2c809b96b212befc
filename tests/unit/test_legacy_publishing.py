"""What the control writes and sends for a plan."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from shadow.contracts.errors import ConfigurationError
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.runs_table import LegacyPhase, LegacyRunStatus, LegacyTradeStatus
from shadow.contracts.trade_message import TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.reference.publishing import NothingToExecute, Published, equity_limit
from tests.fakes.legacy import NOON, World
from tests.fakes.plans import plan_of


def test_sells_are_sent_and_buys_wait() -> None:
    world, plan = World(), plan_of(AAPL="-600", MSFT="1000", holds=("KO",))
    published = world.publisher().publish(plan)
    assert isinstance(published, Published)
    assert [record.symbol for record in world.queue.sent] == ["AAPL"]
    assert (world.trade("AAPL").status, world.trade("MSFT").status) == (LegacyTradeStatus.PENDING, LegacyTradeStatus.WAITING)
    run = world.store.runs[published.run_id]
    assert (run.status, run.current_phase) == (LegacyRunStatus.SELL_PHASE, LegacyPhase.SELL)
    assert (run.total_trades, run.sell_total, run.buy_total) == (2, 1, 1)
    assert timedelta(seconds=run.TTL) == timedelta(seconds=NOON.timestamp(), hours=24)
    assert world.plans.kept == [plan]


def test_a_plan_without_sells_sends_its_buys_at_once() -> None:
    world = World()
    published = world.publisher().publish(plan_of(MSFT="1000", AAPL="2000"))
    run = world.store.runs[published.run_id]
    assert len(world.queue.sent) == 2
    assert (run.status, run.current_phase, run.buy_phase_started_at) == (LegacyRunStatus.BUY_PHASE, LegacyPhase.BUY, None)
    assert {trade.status for trade in world.store.trades.values()} == {LegacyTradeStatus.PENDING}


def test_the_run_is_written_before_the_trades_and_those_before_any_message() -> None:
    world = World()
    world.queue.refuse = {"AAPL"}
    with pytest.raises(ConnectionError):
        world.publisher().publish(plan_of(AAPL="-600", MSFT="1000"))
    assert world.store.log == ["put_run", "put_trade", "put_trade"]


def test_names_are_the_ones_both_lanes_share() -> None:
    world, plan = World(), plan_of(AAPL="-600")
    world.publisher().publish(plan)
    (record,) = world.queue.sent
    assert record.run_id == run_id_of(plan.plan_id)
    assert record.trade_id == trade_id_of(record.run_id, "AAPL", Side.SELL)
    body = TradeMessage.parse_json(record.body)
    assert (body.trade_id, body.sequence_number, body.shares) == (record.trade_id, 1003, None)
    assert world.trade("AAPL").message_body == record.body


def test_holds_alone_leave_no_trace() -> None:
    world, plan = World(), plan_of(holds=("KO", "PEP"))
    assert world.publisher().publish(plan) == NothingToExecute(plan.plan_id, run_id_of(plan.plan_id))
    assert (world.store.log, world.queue.sent, world.plans.kept) == ([], [], [])


def test_publishing_again_completes_what_is_missing_and_resets_nothing() -> None:
    world, plan = World(), plan_of(AAPL="-600", MSFT="1000")
    world.queue.refuse = {"AAPL"}
    with pytest.raises(ConnectionError):
        world.publisher().publish(plan)
    world.queue.refuse = set()
    done = world.run_all(plan)
    assert done.status is LegacyRunStatus.COMPLETED
    orders = len(world.broker.orders)
    world.publisher().publish(plan)
    assert world.drain(done.run_id) == done
    assert len(world.broker.orders) == orders


@pytest.mark.parametrize(
    ("equity", "fraction", "limit"),
    [("100000", "1.0", "100000"), ("100000", "2", "150000"), ("100000", "0", "0"), ("-5", "1", "0"), ("0.1", "0.5", "0.05")],
)
def test_the_equity_limit_is_equity_times_the_capped_fraction(equity: str, fraction: str, limit: str) -> None:
    assert equity_limit(Decimal(equity), Decimal(fraction)) == Decimal(limit)


def test_a_negative_deployment_fraction_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected zero or more"):
        equity_limit(Decimal(1), Decimal(-1))
