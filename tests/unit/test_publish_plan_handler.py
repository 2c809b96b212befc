"""Business Unit: tests | Status: current.

The Lambda form of the shim: a plan as an event's detail or by itself, an invalid one refused whole and by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace

import pytest

from functions.publish_plan import lambda_handler as function
from shadow.contracts.errors import InvalidPlan
from shadow.contracts.plan import RebalancePlan
from shadow.publish import as_json
from shadow.reference.publishing import NothingToExecute, Published
from tests.factories.pairs import minted
from tests.factories.plans import example_plan

PLAN = example_plan()


class Control:
    """Stands in for the legacy publisher."""

    def __init__(self) -> None:
        self.plans: list[RebalancePlan] = []

    def publish(self, *, rebalance_plan: RebalancePlan) -> Published | NothingToExecute:
        self.plans.append(rebalance_plan)
        if not rebalance_plan.tradable_items:
            return NothingToExecute(rebalance_plan.plan_id)
        return Published(rebalance_plan.plan_id, minted(rebalance_plan.plan_id), ("one", "two"), ("one",))


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    made = Control()
    for name in (
        "CONTROL_BROKER_SECRET_ID",
        "EXECUTION_RUNS_TABLE_NAME",
        "EXECUTION_QUEUE_URL",
        "REBALANCE_PLAN_TABLE_NAME",
    ):
        monkeypatch.setenv(name, "given")
    monkeypatch.setattr(function, "publisher_from", lambda _: made)
    function._publisher.cache_clear()
    yield made
    function._publisher.cache_clear()


@pytest.mark.parametrize(
    "event",
    [PLAN.to_wire(), {"detail-type": "RebalancePlanned", "source": "alchemiser.portfolio", "detail": PLAN.to_wire()}],
    ids=["direct", "EventBridge"],
)
def test_a_plan_is_published_and_named(control: Control, event: dict[str, object]) -> None:
    answer = function.lambda_handler(event, None)
    assert answer == {"planId": PLAN.plan_id, "runId": minted(PLAN.plan_id), "tradeCount": len(PLAN.tradable_items)}
    assert control.plans == [PLAN]


def test_a_plan_of_holds_only_is_answered_with_no_trade(control: Control) -> None:
    item = PLAN.items[0].to_wire() | {"action": "HOLD", "trade_amount": "0.00"}
    answer = function.lambda_handler(PLAN.to_wire() | {"items": [item], "total_trade_value": "0"}, None)
    assert (answer["tradeCount"], answer["runId"]) == (0, None)
    assert len(control.plans) == 1


@pytest.mark.parametrize(
    "event", [{}, {"detail-type": "x", "detail": None}, PLAN.to_wire() | {"items": []}, {"detail": "a plan"}]
)
def test_an_invalid_plan_is_refused_and_nothing_published(control: Control, event: dict[str, object]) -> None:
    with pytest.raises(InvalidPlan, match="expected"):
        function.lambda_handler(event, None)
    assert control.plans == []


def test_every_faulty_field_is_named(control: Control) -> None:
    item = PLAN.items[0].to_wire() | {"action": "SHORT", "priority": 9}
    with pytest.raises(InvalidPlan) as refused:
        function.lambda_handler(PLAN.to_wire() | {"items": [item], "timestamp": "today"}, None)
    assert {fault.field for fault in refused.value.faults} >= {"items.0 (S0000).action", "items.0 (S0000).priority", "timestamp"}
    assert control.plans == []


def test_full_exits_are_asked_for_at_the_controls_broker(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def position(symbol: str) -> Decimal:
        asked.append(symbol)
        return Decimal("1.5")

    monkeypatch.setattr(function, "control_broker", lambda _: SimpleNamespace(position=position))
    held = function._positions(as_json(PLAN))

    assert asked == [item.symbol for item in PLAN.items if item.is_full_exit]
    assert held == dict.fromkeys(asked, Decimal("1.5"))
    assert control.plans == []
