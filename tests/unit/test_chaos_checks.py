"""What the checks after chaos notice: each is shown one sound world and one that breaks its rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from local.broker_simulator.values import SimulatedOrder
from local.chaos.checks import ControlRecord, check_conservation, check_control, check_orders
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.vocabulary import Role
from tests.fakes.candidate import NOON, intent_of, trade

TRADE = trade("ABC")


def order(**changes: object) -> SimulatedOrder:
    sound = SimulatedOrder(
        account=Role.CANDIDATE,
        sequence=1,
        order_id="o",
        client_order_id=TRADE.trade_id,
        symbol="ABC",
        side="buy",
        order_type="market",
        quantity=Decimal(10),
        limit_price=None,
        status="filled",
        filled_quantity=Decimal(10),
        average_price=Decimal(100),
        submitted_at=NOON,
    )
    return sound.model_copy(update=changes)


def intent(**changes: object) -> IntentRecord:
    return intent_of(TRADE, **({"status": IntentStatus.FILLED, "filled_quantity": Decimal(10)} | changes))


def broken(orders: list[SimulatedOrder], intents: list[IntentRecord]) -> set[str]:
    return {check.name for check in check_orders(orders, intents) if not check.holds}


@pytest.mark.parametrize(
    ("orders", "intents", "rules"),
    [
        ([order()], [intent()], set()),
        ([], [], {"the candidate traded"}),
        ([order()], [], {"no order is without an intent", "no trade fills more than it asked for"}),
        ([order(), order()], [intent()], {"no order is accepted twice", "no trade fills more than it asked for"}),
        (
            [order(status="new", filled_quantity=Decimal(0))],
            [intent(status=IntentStatus.OPEN, filled_quantity=Decimal(0))],
            {"no order is left open", "every order ends recorded as the broker has it"},
        ),
        ([order()], [intent(status=IntentStatus.AMBIGUOUS)], {"every order ends recorded as the broker has it"}),
        ([order()], [intent(filled_quantity=Decimal(9))], {"every order ends recorded as the broker has it"}),
    ],
    ids=["sound", "nothing", "no intent", "twice", "open", "in doubt", "other figures"],
)
def test_a_broken_rule_of_orders_is_noticed(orders: list[SimulatedOrder], intents: list[IntentRecord], rules: set[str]) -> None:
    assert broken(orders, intents) == rules


def test_a_plan_without_a_pair_breaks_conservation() -> None:
    day = date(2026, 1, 6)
    assert check_conservation([day], {day: []}, 0).holds
    assert not check_conservation([day], {day: []}, 1).holds


def test_a_control_that_did_something_else_is_noticed() -> None:
    record = ControlRecord((("ABC", "buy"),), ())
    other = ControlRecord((("ABC", "sell"),), ())

    assert check_control({"p": record}, {"p": record}).holds
    assert not check_control({"p": record}, {"p": other}).holds
    assert not check_control({"p": record}, {}).holds
