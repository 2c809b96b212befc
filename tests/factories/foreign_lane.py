"""A workflow that is none of ours: its lane file, and what it answers for a plan, as its own names have it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from shadow.contracts.plan import RebalancePlan
from tests.factories.histories import BEGIN, PRICE

LANE_FILE = """
schema = "shadow.lane/1"
name = "orders-v2"
owner = "execution@example.com"
numbers = "string|number"

[input]
"request.plan_id" = "plan_id"
"request.correlation" = "correlation_id"
trades = "orders"
[input.trade]
ticker = "symbol"
side = { from = "action", map = "side" }
target_usd = { from = "trade_amount", form = "absolute" }

[run]
from = "execution.output"
root = "Payload"
plan_id = { at = "request.plan_id", required = true }
status = { at = "run_status", map = "run_status", required = true }
started_at = { at = "timing.started_at", zone = "UTC" }
completed_at = { at = "timing.finished_at", zone = "UTC" }

[trades]
from = "execution.output"
root = "Payload.order_results[*]"
key = "client_ref"
symbol = { at = "ticker", required = true }
action = { at = "side", map = "side", required = true }
status = { at = "order_status", map = "trade_status", required = true }
reason = { at = "error.code", map = "reason" }
planned_amount = { at = "target_usd", sign_from = "action" }
asked_quantity = "requested_qty"
decision_price = "quote_usd"
filled_quantity = { at = "filled_qty", when_null = "0" }
average_price = "avg_fill_price"
value = { at = "filled_usd", else = "filled_quantity * average_price" }
order_id = "broker_order_id"
completed_at = { at = "done_at", zone = "UTC" }

[maps]
side = { buy = "BUY", sell = "SELL" }
run_status = { ok = "COMPLETED", error = "FAILED" }
reason = { EQ_LIMIT = "EQUITY_LIMIT", REJECTED = "BROKER_REJECTED" }
trade_status = { filled = "COMPLETED", rejected = "FAILED", refused = "BLOCKED", skipped = "SKIPPED" }

[ends]
GuardStopped = "BLOCKED_BY_GUARD"

[unread]
ignore = ["Payload.debug.*", "Payload.order_results[*].latency_ms"]
"""


def answer_of(plan: RebalancePlan) -> dict[str, Any]:
    """Give what the workflow answers when every trade of a plan fills at the price of the tests."""
    rows = []
    for number, item in enumerate(plan.tradable_items):
        quantity = (abs(item.trade_amount) / PRICE).quantize(Decimal("0.000001"))
        rows.append(
            {
                "client_ref": f"ref-{number}",
                "ticker": item.symbol,
                "side": item.action.value.lower(),
                "order_status": "filled",
                "error": None,
                "target_usd": str(abs(item.trade_amount)),
                "requested_qty": str(quantity),
                "quote_usd": str(PRICE),
                "filled_qty": str(quantity),
                "avg_fill_price": str(PRICE),
                "broker_order_id": f"b-{number}",
                "done_at": BEGIN.replace(tzinfo=None).isoformat(),
                "latency_ms": 12,
            }
        )
    timing = {"started_at": BEGIN.replace(tzinfo=None).isoformat(), "finished_at": BEGIN.isoformat()}
    body = {
        "request": {"plan_id": plan.plan_id},
        "run_status": "ok",
        "timing": timing,
        "order_results": rows,
        "debug": {"host": "a"},
    }
    return {"Payload": body}


def execution_of(answer: object, **changes: object) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Give DescribeExecution's answer and the history of an execution that ended with `answer`."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    describe: dict[str, object] = {"status": "SUCCEEDED", "output": text, "startDate": BEGIN, "stopDate": BEGIN} | changes
    history: list[dict[str, object]] = [
        {"id": 1, "type": "ExecutionStarted", "timestamp": BEGIN, "executionStartedEventDetails": {"input": "{}"}},
        {"id": 2, "type": "PassStateEntered", "timestamp": BEGIN, "stateEnteredEventDetails": {"name": "PlaceOrders"}},
        {"id": 3, "type": "PassStateExited", "timestamp": BEGIN, "stateExitedEventDetails": {"name": "PlaceOrders"}},
        {"id": 4, "type": "ExecutionSucceeded", "timestamp": BEGIN},
    ]
    return describe, history


Edit = Callable[[dict[str, Any]], None]
