"""Business Unit: tests | Status: current.

Plans of a chosen size.
"""

from __future__ import annotations

from shadow.contracts.plan import RebalancePlan


def example_plan(trades: int = 15, plan_id: str = "portfolio_v2_workflow-1_1768250700") -> RebalancePlan:
    """Give a plan of `trades` trades of 1,000 USD, every second one a SELL and every fourth a full exit."""
    items = [
        {
            "symbol": f"S{number:04d}",
            "current_weight": "0.0512345678901234567890123456",
            "target_weight": "0.0612345678901234567890123456" if number % 2 else ("0" if number % 4 == 0 else "0.02"),
            "weight_diff": "0.01",
            "target_value": "6123.45",
            "current_value": "5123.45",
            "trade_amount": "1000.00" if number % 2 else "-1000.00",
            "action": "BUY" if number % 2 else "SELL",
            "priority": 2,
        }
        for number in range(trades)
    ]
    return RebalancePlan.read(
        {
            "correlation_id": "workflow-1",
            "causation_id": "cause-1",
            "plan_id": plan_id,
            "timestamp": "2026-01-12T20:45:00+00:00",
            "items": items,
            "total_portfolio_value": "100000",
            "total_trade_value": str(1000 * trades),
        }
    )
