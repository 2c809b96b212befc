"""Business Unit: benchmarks | Status: current.

The plans that are measured with: any number of trades, half of them SELLs, every tenth a full exit, with weights, prices and
holdings that agree, so that both lanes can execute every trade and come to the same.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from shadow.contracts.plan import RebalancePlan

DAY = date(2024, 3, 15)
AT = datetime(2024, 3, 15, 19, 45, tzinfo=UTC)
SOLD_FROM, BOUGHT_FROM, AMOUNT = Decimal("5000.00"), Decimal("2000.00"), Decimal("1000.00")
_EXIT_EVERY = 10
_PRICES = tuple(Decimal(price) for price in ("20", "25", "40", "50", "80", "100", "125", "200", "250", "500"))


def plan_of(trades: int, name: str = "benchmark") -> RebalancePlan:
    """Make the plan called `name`, of `trades` trades. The same arguments make the same plan."""
    total = total_of(trades)
    items = [_item(number, total) for number in range(trades)]
    items.sort(key=lambda item: str(item["action"]), reverse=True)
    return RebalancePlan.read(
        {
            "correlation_id": f"workflow-{name}",
            "causation_id": f"strategy-{name}",
            "plan_id": f"portfolio_v2_workflow-{name}_{int(AT.timestamp())}",
            "timestamp": AT.isoformat(),
            "strategy_id": "benchmark",
            "items": items,
            "total_portfolio_value": str(total),
            "total_trade_value": str(sum((abs(Decimal(str(item["trade_amount"]))) for item in items), Decimal(0))),
        }
    )


def prices(trades: int) -> dict[str, Decimal]:
    """Give a price to each symbol of a plan of `trades` trades, USD a share."""
    return {symbol_of(number): _PRICES[number % len(_PRICES)] for number in range(trades)}


def holdings(trades: int) -> dict[str, Decimal]:
    """Give what the account holds before such a plan, shares by symbol."""
    closes = prices(trades)
    return {symbol_of(number): _held(number) / closes[symbol_of(number)] for number in range(trades)}


def cash(trades: int) -> Decimal:
    """Give the cash with which the account's equity is exactly what such a plan says, USD."""
    return total_of(trades) - sum((_held(number) for number in range(trades)), Decimal(0))


def total_of(trades: int) -> Decimal:
    """Give the portfolio's value, USD."""
    return Decimal(10_000 * trades)


def symbol_of(number: int) -> str:
    """Name a symbol."""
    return f"S{number:05d}"


def _held(number: int) -> Decimal:
    return BOUGHT_FROM if number % 2 else SOLD_FROM


def _item(number: int, total: Decimal) -> dict[str, object]:
    current = _held(number)
    sold_to = Decimal("0.00") if number % _EXIT_EVERY == 0 else current - AMOUNT
    target = current + AMOUNT if number % 2 else sold_to
    return {
        "symbol": symbol_of(number),
        "current_weight": str(current / total),
        "target_weight": str(target / total),
        "weight_diff": str((target - current) / total),
        "target_value": str(target),
        "current_value": str(current),
        "trade_amount": str(target - current),
        "action": "BUY" if number % 2 else "SELL",
        "priority": 2,
    }
