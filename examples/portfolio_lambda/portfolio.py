"""Business Unit: example | Status: current.

A portfolio function as the legacy lane's contract describes it: its plan is a model of its own, its metadata has floats, its
publisher is an object made for each event, called by keyword, and mints random ids.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

from pydantic import BaseModel


class Queue(Protocol):
    """What is used of the execution queue."""

    def send_message(self, **message: str) -> object:
        """Send one trade."""


class Item(BaseModel):
    """One symbol of the portfolio's own plan."""

    symbol: str
    current_weight: Decimal
    target_weight: Decimal
    weight_diff: Decimal
    target_value: Decimal
    current_value: Decimal
    trade_amount: Decimal
    action: str
    priority: int


class Plan(BaseModel):
    """The portfolio's own plan."""

    plan_id: str
    correlation_id: str
    causation_id: str
    timestamp: datetime
    items: list[Item]
    total_portfolio_value: Decimal
    total_trade_value: Decimal
    metadata: dict[str, Any]


class PlanPublisher:
    """Publishes the plan of one event."""

    def __init__(self, queue: Queue, queue_url: str) -> None:
        """Publish to this queue."""
        self._queue, self._url = queue, queue_url

    def publish_plan(self, *, rebalance_plan: Plan) -> str:
        """Send one message a trade; give the id of the run, minted anew each time."""
        run_id = str(uuid4())
        for item in rebalance_plan.items:
            if item.action != "HOLD":
                body = {"run_id": run_id, "trade_id": str(uuid4()), "plan_id": rebalance_plan.plan_id, "symbol": item.symbol}
                body["trade_amount"] = str(item.trade_amount)
                self._queue.send_message(QueueUrl=self._url, MessageBody=json.dumps(body), MessageGroupId=item.symbol)
        return run_id


def make_plan(event: dict[str, Any]) -> Plan:
    """Make the day's plan from the event."""
    now = datetime.now(timezone.utc)
    correlation_id = f"workflow-{uuid4()}"
    amount = Decimal(event["buy_usd"])
    item = Item(
        symbol=event["symbol"],
        current_weight=Decimal(0),
        target_weight=amount / Decimal(10_000),
        weight_diff=amount / Decimal(10_000),
        target_value=amount,
        current_value=Decimal(0),
        trade_amount=amount,
        action="BUY",
        priority=2,
    )
    return Plan(
        plan_id=f"portfolio_v2_{correlation_id}_{int(now.timestamp())}",
        correlation_id=correlation_id,
        causation_id=correlation_id,
        timestamp=now,
        items=[item],
        total_portfolio_value=Decimal(10_000),
        total_trade_value=amount,
        metadata={"strategy_attribution": {item.symbol: {"momentum": 0.7, "value": 0.3}}, "min_trade_threshold": 5.0},
    )
