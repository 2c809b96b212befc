"""Business Unit: local cloud | Status: current.

The plan of a day, by the rules that the portfolio side makes plans by (legacy contract, section 1), and a simple allocation to
make them from. Same day, prices, holdings and allocation: the same plan, ids included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from hashlib import sha256
from uuid import UUID

from shadow.contracts.errors import ShadowError
from shadow.contracts.model import MAX_SIGNIFICANT_DIGITS
from shadow.contracts.plan import CENT, RebalancePlan
from shadow.contracts.vocabulary import Action

PRIORITY_STEPS = (Decimal(10_000), Decimal(1_000), Decimal(100), Decimal(50))
MINIMUM_TRADE = Decimal(5)
SMALL_PORTFOLIO = Decimal(1_000)
SMALL_PORTFOLIO_MINIMUM = Decimal("0.01")
STRATEGY = "momentum-20"
MOMENTUM_DAYS = 20
HELD_NAMES = 10
INVESTED = Decimal("0.98")
LEFT_ALONE_WITHIN = Decimal("0.0004")
_ORDER = {Action.SELL: 0, Action.BUY: 1, Action.HOLD: 2}
_EXACT = Context(prec=MAX_SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)


class CannotPlan(ShadowError):
    """A plan cannot be made of these holdings, prices and weights."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What an account holds: shares a symbol, and cash in USD."""

    positions: Mapping[str, Decimal]
    cash: Decimal

    def values(self, prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Value each position at `prices`, in USD to a cent. Raises CannotPlan for a symbol without a price."""
        held = {symbol: shares for symbol, shares in self.positions.items() if shares}
        unpriced = sorted(set(held) - set(prices))
        if unpriced:
            raise CannotPlan(f"prices: no price of {', '.join(unpriced)}, which the account holds")
        return {symbol: (shares * prices[symbol]).quantize(CENT) for symbol, shares in held.items()}

    def total(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Value the whole portfolio at `prices`, in USD to a cent."""
        return sum(self.values(prices).values(), self.cash).quantize(CENT)


def momentum_weights(
    history: Sequence[Mapping[str, Decimal]], portfolio: Portfolio, *, names: int = HELD_NAMES
) -> dict[str, Decimal]:
    """Give target weights: the `names` symbols that rose most from the first to the last day of `history`, equally.

    98 % is invested. A name that is held within 0.04 percentage points of its weight is left alone, so that it becomes a
    HOLD; every other is brought back to its weight. Everything that is not among the strongest is sold.
    """
    first, last = history[0], history[-1]
    risen = sorted(last, key=lambda symbol: (-last[symbol] / first[symbol], symbol))
    chosen = risen[: min(names, len(risen))]
    even = INVESTED / len(chosen)
    values, total = portfolio.values(last), portfolio.total(last)
    weights = {}
    for symbol in chosen:
        held = values.get(symbol, Decimal(0)) / total if total else Decimal(0)
        weights[symbol] = held if abs(held - even) <= LEFT_ALONE_WITHIN else even
    return weights


def make_plan(
    at: datetime,
    prices: Mapping[str, Decimal],
    portfolio: Portfolio,
    weights: Mapping[str, Decimal],
    *,
    strategy_id: str = STRATEGY,
) -> RebalancePlan:
    """Make the plan that takes `portfolio` to `weights` (fractions of its value; a symbol without one is sold) at `prices`.

    Raises CannotPlan for a portfolio without value or with debts, weights above 1 in all, and symbols without a price.
    """
    with localcontext(_EXACT):
        current = portfolio.values(prices)
        total = portfolio.total(prices)
        _refuse_impossible(total, portfolio, weights, prices)
        minimum = smallest_trade(total)
        items = [
            _item(symbol, current.get(symbol, Decimal(0)), weights.get(symbol, Decimal(0)), total, minimum)
            for symbol in sorted({*current, *(name for name, weight in weights.items() if weight)})
        ]
    if not items:
        raise CannotPlan("plan: no symbol is held or wanted")
    items.sort(key=lambda item: (_ORDER[Action(str(item["action"]))], item["priority"], item["symbol"]))
    return RebalancePlan.read(
        plan_identity(at, strategy_id)
        | {
            "timestamp": at,
            "strategy_id": strategy_id,
            "items": items,
            "total_portfolio_value": total,
            "total_trade_value": sum((abs(Decimal(str(item["trade_amount"]))) for item in items), Decimal(0)),
        }
    )


def plan_identity(at: datetime, strategy_id: str) -> dict[str, str]:
    """Name the plan of `at`: a `workflow-{uuid4}` that follows from time and strategy, so that a second run repeats it."""
    seed = sha256(f"{strategy_id} {at.isoformat()}".encode()).digest()
    correlation_id = f"workflow-{UUID(bytes=seed[:16], version=4)}"
    return {
        "correlation_id": correlation_id,
        "causation_id": f"strategy-{UUID(bytes=seed[16:], version=4)}",
        "plan_id": f"portfolio_v2_{correlation_id}_{int(at.timestamp())}",
    }


def smallest_trade(total: Decimal) -> Decimal:
    """Tell below how many USD a trade is not made: 5, or 1 % of a portfolio smaller than 1,000."""
    return total * SMALL_PORTFOLIO_MINIMUM if total < SMALL_PORTFOLIO else MINIMUM_TRADE


def priority_of(amount: Decimal) -> int:
    """Rank a trade by its absolute USD: 1 from 10,000, 2 from 1,000, 3 from 100, 4 from 50, else 5."""
    return next((rank for rank, step in enumerate(PRIORITY_STEPS, start=1) if abs(amount) >= step), len(PRIORITY_STEPS) + 1)


def _item(symbol: str, current: Decimal, weight: Decimal, total: Decimal, minimum: Decimal) -> dict[str, object]:
    target = (weight * total).quantize(CENT)
    amount = target - current
    if abs(amount) < minimum:
        action, amount = Action.HOLD, Decimal("0.00")
    else:
        action = Action.BUY if amount > 0 else Action.SELL
    current_weight, target_weight = current / total, target / total
    return {
        "symbol": symbol,
        "current_weight": current_weight,
        "target_weight": target_weight,
        "weight_diff": target_weight - current_weight,
        "target_value": target,
        "current_value": current,
        "trade_amount": amount,
        "action": action,
        "priority": priority_of(amount),
    }


def _refuse_impossible(
    total: Decimal, portfolio: Portfolio, weights: Mapping[str, Decimal], prices: Mapping[str, Decimal]
) -> None:
    if total <= 0 or portfolio.cash < 0 or any(shares < 0 for shares in portfolio.positions.values()):
        raise CannotPlan(f"portfolio: expected a value above 0 without debts or short positions, was {total} USD")
    if any(weight < 0 for weight in weights.values()) or sum(weights.values()) > 1:
        raise CannotPlan("weights: expected fractions that come to at most 1, was something else")
    unpriced = sorted(set(weights) - set(prices))
    if unpriced:
        raise CannotPlan(f"prices: no price of {', '.join(unpriced)}, which the weights name")
