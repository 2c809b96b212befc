"""Business Unit: local cloud | Status: current.

The demonstration's days: the last ten trading days of the prices, each with its plan to be made and what is planted in it. Data
only: who runs the lanes gives the portfolio that is held by then and gets back plan and faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from local.market import ClosingPrices, publication_time
from local.planner import MOMENTUM_DAYS, Portfolio, make_plan, momentum_weights
from local.scenarios.planting import Plant, Planting, demo_plants, plant_in
from reports.data.trading_calendar import is_half_day
from shadow.contracts.errors import ShadowError
from shadow.contracts.plan import RebalancePlan

DEMO_DAYS = 10
FIRST_CASH = Decimal(100_000)


class TooFewDays(ShadowError):
    """The prices do not reach back far enough."""


@dataclass(frozen=True, slots=True)
class DemoDay:
    """One day: when its plan is made, its closes (USD), and what is planted. `number` counts from 1."""

    number: int
    day: date
    at: datetime
    half_day: bool
    history: Sequence[Mapping[str, Decimal]]
    plants: tuple[Plant, ...]

    @property
    def closes(self) -> Mapping[str, Decimal]:
        """The day's closing prices, USD a share."""
        return self.history[-1]

    def plan(self, portfolio: Portfolio) -> RebalancePlan:
        """Make the day's plan for what is held by now. The same holdings give the same plan."""
        return make_plan(self.at, self.closes, portfolio, momentum_weights(self.history, portfolio))

    def planting(self, plan: RebalancePlan) -> Planting:
        """Place what is planted in the day's plan."""
        return plant_in(plan, self.plants, self.closes)


def demo_days(prices: ClosingPrices, *, count: int = DEMO_DAYS, plants: tuple[Plant, ...] | None = None) -> Iterator[DemoDay]:
    """Give the last `count` days of `prices`, oldest first; raises TooFewDays.

    `plants` replaces what the demonstration plants; an empty tuple makes every day a clean one.
    """
    chosen = demo_plants() if plants is None else plants
    needed = count + MOMENTUM_DAYS
    if len(prices.days) < needed:
        raise TooFewDays(f"prices: expected at least {needed} trading days, was {len(prices.days)}")
    return (
        DemoDay(
            number=number,
            day=day,
            at=publication_time(day),
            half_day=is_half_day(day),
            history=prices.before(day, MOMENTUM_DAYS + 1),
            plants=tuple(plant for plant in chosen if plant.day == number),
        )
        for number, day in enumerate(prices.days[-count:], start=1)
    )
