"""Business Unit: publish | Status: current.

Publish one plan to the lane in production, and to the one that shadows beside it. The plan comes as the detail of an EventBridge
event or as the event itself. It does so as the portfolio function of production does: a method of an object that each event makes
is called with a keyword, and answers with the run that it minted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, dual_publisher_from_environment, no_control
from shadow.reference.composition import LegacyPublisherEnvironment, control_broker, publisher_from
from shadow.reference.publishing import NothingToExecute, Published


class _Legacy:
    """Publishes one event's plan. What it needs is put together when it does: as a shadow it must not hold up production."""

    def publish(self, *, rebalance_plan: RebalancePlan) -> Published | NothingToExecute:
        return publisher_from(LegacyPublisherEnvironment.load()).publish(rebalance_plan=rebalance_plan)


def _positions(copy: object) -> Mapping[str, Decimal]:
    plan = RebalancePlan.read(copy)
    broker = control_broker(LegacyPublisherEnvironment.load())
    return {item.symbol: broker.position(item.symbol) for item in plan.items if item.is_full_exit}


@cache
def _publisher() -> DualPublisher[..., None]:
    return dual_publisher_from_environment(no_control, positions=_positions)


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Publish the plan; raises `InvalidPlan` that names every faulty field, and whatever the lane in production raises."""
    del context
    plan = RebalancePlan.read(_payload(event))
    answer = _publisher().beside(_Legacy().publish)(rebalance_plan=plan)
    run_id = answer.run_id if isinstance(answer, Published) else None
    return {"planId": plan.plan_id, "runId": run_id, "tradeCount": len(plan.tradable_items)}


def _payload(event: object) -> object:
    """Give the plan that an EventBridge event carries, or that was given as it is."""
    return event["detail"] if isinstance(event, Mapping) and {"detail-type", "detail"} <= event.keys() else event
