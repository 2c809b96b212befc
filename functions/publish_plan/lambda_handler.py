"""Business Unit: publish | Status: current.

Publish one plan to the lane in production, and to the one that shadows beside it. The plan comes as the detail of an EventBridge
event or as the event itself. The portfolio function of production wraps its own enqueue function instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, dual_publisher_from_environment
from shadow.reference.composition import LegacyPublisherEnvironment, control_broker, publisher_from
from shadow.reference.publishing import NothingToExecute, Published
from shadow.reference.shadowing import PlanPublisher


@cache
def _legacy() -> PlanPublisher:
    return publisher_from(LegacyPublisherEnvironment.load())


def _enqueue(plan: RebalancePlan) -> Published | NothingToExecute:
    """Publish to the legacy lane. What it needs is put together at the first call: as a shadow it must not hold up production."""
    return _legacy().publish(plan)


def _positions(copy: object) -> Mapping[str, Decimal]:
    plan = RebalancePlan.read(copy)
    broker = control_broker(LegacyPublisherEnvironment.load())
    return {item.symbol: broker.position(item.symbol) for item in plan.items if item.is_full_exit}


@cache
def _publisher() -> DualPublisher[[RebalancePlan], Published | NothingToExecute]:
    return dual_publisher_from_environment(_enqueue, positions=_positions)


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Publish the plan; raises `InvalidPlan` that names every faulty field, and whatever the lane in production raises."""
    del context
    plan = RebalancePlan.read(_payload(event))
    _publisher().publish(plan)
    return {"planId": plan.plan_id, "runId": run_id_of(plan.plan_id), "tradeCount": len(plan.tradable_items)}


def _payload(event: object) -> object:
    """Give the plan that an EventBridge event carries, or that was given as it is."""
    return event["detail"] if isinstance(event, Mapping) and {"detail-type", "detail"} <= event.keys() else event
