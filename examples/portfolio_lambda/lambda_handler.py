"""Business Unit: example | Status: current.

The portfolio function's handler, with the README's three lines in it.
"""

from __future__ import annotations

import os
from typing import Any

import boto3
from portfolio import PlanPublisher, make_plan

from shadow.publish import dual_publisher_from_environment, no_control

dual = dual_publisher_from_environment(no_control)  # once, at import


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Plan and publish."""
    del context
    plan = make_plan(event)
    publisher = PlanPublisher(boto3.client("sqs"), os.environ["EXECUTION_QUEUE_URL"])
    run_id = dual.beside(publisher.publish_plan)(rebalance_plan=plan)  # was: publisher.publish_plan(rebalance_plan=plan)
    return {"plan_id": plan.plan_id, "run_id": run_id}
