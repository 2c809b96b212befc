"""Whose turn it is to order for a trade: a process that was given up, and lives, must not hurt the one started in its place."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import boto3
import pytest
from moto import mock_aws

from shadow.aws.candidate_state import DynamoCandidateState
from shadow.broker.port import Asset, OrderRejected, OrderRequest
from shadow.contracts.candidate_state import IntentStatus
from shadow.contracts.vocabulary import ExecutionMode, TradeStatus
from shadow.execution.ports import IntentLog, OrderFateUnknown, RunOpening, TradeTakenOver
from shadow.execution.trade import TradeExecutor, TradeSettings
from shadow.execution.walk import WalkPolicy
from tests.factories.cloud_tables import make_table
from tests.fakes.candidate import (
    FILL,
    MODE,
    NOON,
    REJECT,
    REST,
    FakeBroker,
    FakeClock,
    MemoryLedger,
    MemoryLog,
    d,
    intent_of,
    trade,
)

BUY, SELL = trade(), trade(amount="-1000")
TABLE = "alchemiser-dev-candidate-state"


class World:
    def __init__(self, broker: FakeBroker) -> None:
        self.broker, self.log, self.ledger, self.clock = broker, MemoryLog(), MemoryLedger(), FakeClock()
        self.ledger.turns = self.log.turns

    def executor(self) -> TradeExecutor:
        settings = TradeSettings(MODE, WalkPolicy(), lambda item: self.broker.held.get(item.symbol, d(100)))
        return TradeExecutor(broker=self.broker, log=self.log, ledger=self.ledger, clock=self.clock, settings=settings)


class Dies(BaseException):
    pass


def dies(_: OrderRequest) -> None:
    raise Dies


def test_a_process_that_lives_on_orders_no_more_once_its_trade_was_reconciled() -> None:
    world = World(FakeBroker(script=[REST]))
    answers = []

    def given_up() -> None:
        world.clock.on_sleep = lambda: None
        answers.append(world.executor().reconcile(SELL, "Lambda.Unknown"))

    world.clock.on_sleep = given_up
    with pytest.raises(TradeTakenOver):
        world.executor().execute(SELL)

    assert [order.client_order_id for order in world.broker.accepted] == [SELL.trade_id]
    assert [answer.status for answer in answers] == [TradeStatus.FAILED]


def test_a_refusal_of_the_second_sending_says_nothing_about_the_first() -> None:
    world = World(FakeBroker(script=[REJECT]))
    world.broker.on_submit = dies
    with pytest.raises(Dies):
        world.executor().execute(SELL)
    world.broker.on_submit = lambda _: None

    with pytest.raises(OrderFateUnknown):
        world.executor().execute(SELL)

    assert [order.client_order_id for order in world.broker.submitted] == [SELL.trade_id]
    assert world.executor().reconcile(SELL, "OrderFateUnknown").status is TradeStatus.UNKNOWN


def test_a_refusal_that_comes_after_the_trade_was_taken_over_is_not_written_over_the_fill() -> None:
    world = World(FakeBroker(script=[FILL]))

    def overtaken(_: OrderRequest) -> None:
        world.broker.on_submit = lambda _: None
        assert world.executor().execute(SELL).status is TradeStatus.COMPLETED
        raise OrderRejected("too late")

    world.broker.on_submit = overtaken
    with pytest.raises(TradeTakenOver):
        world.executor().execute(SELL)

    (intent,) = world.log.intents.values()
    assert intent.status is IntentStatus.FILLED
    assert len(world.broker.accepted) == 1


@pytest.mark.parametrize(("room", "orders"), [("1000", 2), ("999.99", 1)])
def test_a_trade_that_gave_its_reservation_back_orders_again_only_where_there_is_room_again(room: str, orders: int) -> None:
    world = World(FakeBroker(script=[REST, FILL]))
    world.ledger.limit = d("2000")
    world.clock.on_sleep = _raises
    with pytest.raises(Dies):
        world.executor().execute(BUY)
    world.clock.on_sleep = lambda: None
    assert world.executor().reconcile(BUY, "Lambda.Unknown").status is TradeStatus.FAILED
    world.ledger.reserve(BUY.run_id, "another", d("2000") - d(room))

    world.executor().execute(BUY)

    assert len(world.broker.accepted) == orders
    assert world.ledger.reserved <= world.ledger.limit


def _raises() -> None:
    raise Dies


@pytest.fixture(params=["memory", "table"])
def log(request: pytest.FixtureRequest) -> Iterator[IntentLog]:
    if request.param == "memory":
        yield MemoryLog()
        return
    with mock_aws():
        make_table(TABLE)
        yield DynamoCandidateState(boto3.client("dynamodb"), TABLE)


def status_in(log: IntentLog) -> IntentStatus:
    (kept,) = log.of_trade(BUY.run_id, BUY.trade_id)
    return kept.status


def test_turns_are_counted_and_only_the_last_one_writes_intents(log: IntentLog) -> None:
    assert [log.take(BUY.run_id, BUY.trade_id) for _ in range(3)] == [1, 2, 3]
    for past in (0, 1, 2, 4):
        with pytest.raises(TradeTakenOver):
            log.record(intent_of(turn=past))
    assert log.of_trade(BUY.run_id, BUY.trade_id) == ()

    first = intent_of(turn=3)
    assert log.record(first) is first
    assert log.record(intent_of(turn=3, quantity=d(9))).quantity == d(10)


def test_what_we_think_is_written_in_turn_only(log: IntentLog) -> None:
    log.record(intent_of(turn=log.take(BUY.run_id, BUY.trade_id)))
    log.update(intent_of(turn=1, status=IntentStatus.AMBIGUOUS))
    log.take(BUY.run_id, BUY.trade_id)

    with pytest.raises(TradeTakenOver):
        log.update(intent_of(turn=1, status=IntentStatus.REJECTED))

    assert status_in(log) is IntentStatus.AMBIGUOUS


def test_what_the_broker_said_stands_and_gives_way_to_its_later_word_only(log: IntentLog) -> None:
    log.record(intent_of(turn=log.take(BUY.run_id, BUY.trade_id)))
    log.take(BUY.run_id, BUY.trade_id)

    log.update(intent_of(turn=1, status=IntentStatus.OPEN, order_id="o"))
    log.update(intent_of(turn=2, status=IntentStatus.AMBIGUOUS))
    assert status_in(log) is IntentStatus.OPEN
    log.update(intent_of(turn=1, status=IntentStatus.FILLED, order_id="o", filled_quantity=d(10), average_price=d(100)))
    log.update(intent_of(turn=2, status=IntentStatus.OPEN, order_id="o"))
    log.update(intent_of(turn=2, status=IntentStatus.REJECTED))
    assert status_in(log) is IntentStatus.FILLED


def test_a_reservation_given_back_in_part_is_made_whole_where_there_is_room(log: IntentLog) -> None:
    ledger = log if isinstance(log, DynamoCandidateState) else MemoryLedger()
    ledger.open_run(RunOpening(BUY.run_id, BUY.plan_id, "workflow-1", ExecutionMode.PAPER, d(1000), NOON))

    def reserve(name: str, amount: str) -> tuple[bool, Decimal]:
        check = ledger.reserve(BUY.run_id, name, d(amount))
        return check.allowed, check.cumulative

    assert reserve("trade-a", "600") == (True, d(600))
    ledger.release(BUY.run_id, "trade-a", d(200))
    assert reserve("trade-b", "500") == (True, d(700))
    assert reserve("trade-a", "600") == (False, d(700))
    ledger.release(BUY.run_id, "trade-b", d(0))
    assert reserve("trade-a", "600") == (True, d(600))
    assert reserve("trade-a", "600") == (True, d(600))
    assert reserve("trade-b", "400") == (True, d(1000))
    assert reserve("trade-c", "0.01") == (False, d(1000))


def test_a_process_that_was_overtaken_while_it_decided_against_ordering_gives_no_reservation_back() -> None:
    world = World(FakeBroker(script=[REST]))
    world.ledger.limit = d("2000")
    late = world.executor()
    asset = world.broker.asset

    def overtaken(symbol: str) -> Asset:
        world.broker.asset = asset  # type: ignore[method-assign]
        world.clock.on_sleep = _raises
        with pytest.raises(Dies):
            world.executor().execute(BUY)
        world.clock.on_sleep = lambda: None
        return Asset(symbol, tradable=False, fractionable=True)

    world.broker.asset = overtaken  # type: ignore[method-assign]
    with pytest.raises(TradeTakenOver):
        late.execute(BUY)

    assert world.ledger.reservations == {BUY.trade_id: d("1000")}


def test_a_process_that_is_overtaken_just_before_it_gives_its_reservation_back_does_not() -> None:
    world = World(FakeBroker(script=[REST]))
    world.ledger.limit = d("2000")
    world.broker.is_open = False
    late = world.executor()
    release = world.ledger.release

    def overtaken(*arguments: object) -> None:
        world.ledger.release = release  # type: ignore[method-assign]
        world.broker.is_open = True
        world.clock.on_sleep = _raises
        with pytest.raises(Dies):
            world.executor().execute(BUY)
        release(*arguments)  # type: ignore[arg-type]

    world.ledger.release = overtaken  # type: ignore[method-assign, assignment]
    with pytest.raises(TradeTakenOver):
        late.execute(BUY)

    assert world.ledger.reservations == {BUY.trade_id: d("1000")}
