"""Small valid plans, said in a line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from shadow.contracts.plan import RebalancePlan
from shadow.intake.payload import StoredObject

PORTFOLIO = Decimal(100_000)
AT = datetime(2024, 3, 15, 19, 45, tzinfo=UTC)


def plan_of(*, name: str = "one", exits: tuple[str, ...] = (), holds: tuple[str, ...] = (), **amounts: str) -> RebalancePlan:
    """Make a plan: `AAPL="-600", MSFT="1000"`. A symbol in `exits` is sold whole; one in `holds` is kept."""
    items = [_item(symbol, Decimal(amount), whole=symbol in exits) for symbol, amount in amounts.items()]
    items += [_item(symbol, Decimal(0), whole=False) for symbol in holds]
    return RebalancePlan.read(
        {
            "correlation_id": f"workflow-{name}",
            "causation_id": f"cause-{name}",
            "plan_id": f"portfolio_v2_workflow-{name}_1710531900",
            "timestamp": AT,
            "items": items,
            "total_portfolio_value": PORTFOLIO,
            "total_trade_value": sum((abs(Decimal(amount)) for amount in amounts.values()), Decimal(0)),
        }
    )


def _item(symbol: str, amount: Decimal, *, whole: bool) -> dict[str, object]:
    current = abs(amount) if whole else Decimal(20_000)
    target = current + amount
    return {
        "symbol": symbol,
        "current_weight": current / PORTFOLIO,
        "target_weight": target / PORTFOLIO,
        "weight_diff": amount / PORTFOLIO,
        "target_value": target,
        "current_value": current,
        "trade_amount": amount,
        "action": "BUY" if amount > 0 else "SELL" if amount < 0 else "HOLD",
        "priority": 1 if abs(amount) >= 10_000 else 2 if abs(amount) >= 1_000 else 3,
    }


class MemoryPlans:
    """Where plans go that are too large for a record or a state payload."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> StoredObject:
        self.objects[key] = body
        return StoredObject("bucket", key)

    def get(self, key: str) -> bytes:
        return self.objects[key]
