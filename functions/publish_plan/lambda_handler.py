"""Business Unit: publish | Status: current.

Publish one plan to the control, and to the candidate beside it. The plan comes as the detail of an EventBridge event or as the
event itself. The portfolio function of production wraps its own enqueue function instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from shadow.contracts.plan import RebalancePlan
from shadow.legacy.composition import LegacyPublisherEnvironment, control_broker, publisher_from
from shadow.legacy.publishing import NothingToExecute, Published
from shadow.publish import DualPublisher, dual_publisher_from_environment


@cache
def _publisher() -> DualPublisher[RebalancePlan, [], Published | NothingToExecute]:
    environment = LegacyPublisherEnvironment.load()

    def positions(plan: RebalancePlan) -> Mapping[str, Decimal]:
        broker = control_broker(environment)
        return {item.symbol: broker.position(item.symbol) for item in plan.items if item.is_full_exit}

    return dual_publisher_from_environment(publisher_from(environment).publish, positions=positions)


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Publish the plan; raises `InvalidPlan` that names every faulty field, and whatever the control raises."""
    del context
    plan = RebalancePlan.read(_payload(event))
    published = _publisher().publish(plan)
    return {
        "planId": published.plan_id,
        "runId": published.run_id,
        "tradeCount": len(published.trade_ids) if isinstance(published, Published) else 0,
    }


def _payload(event: object) -> object:
    """Give the plan that an EventBridge event carries, or that was given as it is."""
    return event["detail"] if isinstance(event, Mapping) and {"detail-type", "detail"} <= event.keys() else event
