"""What the control writes and sends for a plan."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from shadow.contracts.control_records import LegacyPhase, LegacyRunStatus, LegacyTradeStatus
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.reference.publishing import NothingToExecute, Published, equity_limit, minted
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
    assert isinstance(published, Published)
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


def test_every_id_is_minted_and_the_message_carries_it() -> None:
    world, plan = World(), plan_of(AAPL="-600", MSFT="-700")
    published = world.publisher().publish(rebalance_plan=plan)
    assert isinstance(published, Published)
    assert published.run_id != run_id_of(plan.plan_id)
    assert {record.run_id for record in world.queue.sent} == {published.run_id}
    assert published.trade_ids == tuple(record.trade_id for record in world.queue.sent)
    assert not {*published.trade_ids} & {trade_id_of(published.run_id, symbol, Side.SELL) for symbol in ("AAPL", "MSFT")}
    body = TradeMessage.parse_json(world.queue.sent[0].body)
    assert (body.run_id, body.trade_id, body.sequence_number, body.shares) == (
        published.run_id,
        published.trade_ids[0],
        1003,
        None,
    )
    assert world.trade("AAPL").message_body == world.queue.sent[0].body


def test_production_mints_at_random() -> None:
    assert len({minted() for _ in range(9)}) == 9
    assert UUID(minted()).version == 4


def test_holds_alone_leave_no_trace() -> None:
    world, plan = World(), plan_of(holds=("KO", "PEP"))
    assert world.publisher().publish(plan) == NothingToExecute(plan.plan_id)
    assert (world.store.log, world.queue.sent, world.plans.kept) == ([], [], [])


def test_publishing_again_makes_another_run_as_production_does() -> None:
    world, plan = World(), plan_of(AAPL="-600", MSFT="1000")
    world.queue.refuse = {"AAPL"}
    with pytest.raises(ConnectionError):
        world.publisher().publish(plan)
    world.queue.refuse = set()
    first, second = world.run_all(plan), world.run_all(plan)
    assert first.status is second.status is LegacyRunStatus.COMPLETED
    assert (len(world.store.runs), len(world.broker.orders)) == (3, 4)
    assert {run.plan_id for run in world.store.runs.values()} == {plan.plan_id}


@pytest.mark.parametrize(
    ("equity", "fraction", "limit"),
    [("100000", "1.0", "100000"), ("100000", "2", "150000"), ("100000", "0", "0"), ("-5", "1", "0"), ("0.1", "0.5", "0.05")],
)
def test_the_equity_limit_is_equity_times_the_capped_fraction(equity: str, fraction: str, limit: str) -> None:
    assert equity_limit(Decimal(equity), Decimal(fraction)) == Decimal(limit)


def test_a_negative_deployment_fraction_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected zero or more"):
        equity_limit(Decimal(1), Decimal(-1))
