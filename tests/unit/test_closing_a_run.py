"""No order of ours is left working after its run (L2, L3): closing looks up, cancels, writes down and tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from shadow.broker.port import BrokerUnavailable, OrderStatus
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.vocabulary import ExecutionMode, Side
from shadow.execution.placement import RunCloser
from shadow.execution.ports import OrderStillOpen, TradeTakenOver
from tests.fakes.candidate import (
    ACCEPTED_UNSEEN,
    LOST,
    POLICY,
    REST,
    RUN_ID,
    FakeBroker,
    TradeWorld,
    d,
    partly,
    trade,
)

LATER = timedelta(seconds=POLICY.abandoned_seconds + 1)


class World(TradeWorld):
    """A run whose processes died."""

    def begin(self, symbol: str = "ABC", amount: str = "1000") -> None:
        """Trade until the process dies, at its first pause."""
        self.dies_in(partial(self.place, trade(symbol, amount)))

    def close(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        answer = RunCloser(self.broker, self.log, self.clock, POLICY).close(RUN_ID)
        return answer.closed, answer.unknown

    @property
    def symbols(self) -> list[str]:
        return [order.symbol for order in self.working]

    @property
    def intents(self) -> tuple[IntentRecord, ...]:
        return self.log.of_run(RUN_ID)


def test_an_open_order_is_cancelled_and_its_fills_are_written_down_and_told() -> None:
    world = World(partly("4"))
    world.begin()
    world.begin("XYZ", "-500")
    assert world.symbols == ["ABC", "XYZ"]

    closed, unknown = world.close()

    assert (world.symbols, unknown) == ([], ())
    assert {intent.status for intent in world.intents} == {IntentStatus.CANCELED}
    assert [intent.filled_quantity for intent in world.intents] == [d(4), d(4)]
    assert sorted(line.partition(",")[0] for line in closed) == [f"{Side.BUY} ABC", f"{Side.SELL} XYZ"]
    assert all("canceled, 4 of 10 shares filled" in line for line in closed)
    assert len(world.broker.submitted) == 2


def test_closing_again_changes_nothing_and_tells_the_same() -> None:
    world = World(REST)
    world.begin()
    first = world.close()
    written = len(world.log.history)

    assert world.close() == first
    assert len(world.log.history) == written


def test_an_order_accepted_without_an_answer_is_found_and_cancelled() -> None:
    world = World(replace(ACCEPTED_UNSEEN, filled=d(0), rests=True))
    world.broker.hidden_lookups = 1
    world.begin()
    assert world.symbols == ["ABC"]

    closed, unknown = world.close()

    assert (world.symbols, len(closed), unknown) == ([], 1, ())


def test_one_that_the_broker_does_not_show_stays_unknown_until_no_process_can_have_sent_it() -> None:
    world = World(LOST)
    world.begin()

    closed, unknown = world.close()
    assert (closed, len(unknown)) == ((), 1)
    assert world.intents[0].may_work

    world.clock.time += LATER
    closed, unknown = world.close()
    assert (len(closed), unknown) == (1, ())
    assert world.intents[0].status is IntentStatus.NOT_ACCEPTED


def test_a_process_that_lives_on_orders_nothing_more() -> None:
    world = World(REST)
    world.begin()
    old = world.intents[0]
    world.close()

    with pytest.raises(TradeTakenOver):
        world.log.record(old.model_copy(update={"SK": f"{old.SK[:-1]}1", "step": 1}))


def test_one_that_was_refused_and_accepted_all_the_same_is_cancelled() -> None:
    world = World(REST)
    world.begin()
    intent = world.intents[0]
    world.log.intents[intent.SK] = intent.model_copy(update={"status": IntentStatus.REJECTED, "order_id": None})

    closed, _ = world.close()

    assert (world.symbols, len(closed)) == ([], 1)
    assert world.intents[0].status is IntentStatus.CANCELED


def test_a_dry_run_has_nothing_to_close() -> None:
    world = World(REST)
    world.begin()
    for key, intent in world.log.intents.items():
        world.log.intents[key] = intent.model_copy(update={"execution_mode": ExecutionMode.DRY_RUN})

    assert world.close() == ((), ())
    assert world.broker.cancelled == []


class Stubborn(FakeBroker):
    """A broker that cancels no order of one symbol."""

    def cancel(self, order_id: str) -> None:
        if self.orders[order_id.removeprefix("order-")].symbol != "ABC":
            super().cancel(order_id)


def test_an_order_that_stays_open_is_raised_after_the_others_were_closed() -> None:
    world = World(REST)
    world.broker = Stubborn(script=[REST])
    world.begin()
    world.begin("XYZ")

    with pytest.raises(OrderStillOpen, match="ABC"):
        world.close()

    assert world.symbols == ["ABC"]


def test_a_broker_that_cannot_be_reached_is_worth_another_try() -> None:
    world = World(REST)
    world.begin()
    world.broker.unreachable = True
    with pytest.raises(BrokerUnavailable):
        world.close()

    world.broker.unreachable = False
    world.close()
    assert world.symbols == []


def test_l3_another_ones_order_under_our_id_is_ended_and_stays_for_a_person_to_see() -> None:
    world = World(REST)
    world.begin()
    for key, order in world.broker.orders.items():
        world.broker.orders[key] = replace(order, symbol="OTHER")

    world.close()

    (intent,) = world.intents
    assert [order.status for order in world.broker.accepted] == [OrderStatus.CANCELED]
    assert (intent.status, intent.may_work) == (IntentStatus.AMBIGUOUS, False)
    assert "expected ABC BUY 10 limit at 100.05, was OTHER BUY 10 limit" in (intent.detail or "")
