"""Business Unit: local cloud | Status: current.

The corpus: one plan and one plant a case, so that each kind of difference is planted alone. The plan sells two positions whole,
trims two, tops one up a little and opens two; every case has the same amounts under ids of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from local.market import ClosingPrices, publication_time
from local.planner import Portfolio, make_plan
from local.scenarios.planting import Planting, bundled_scenario, plant_in, symbol_at
from shadow.contracts.plan import RebalancePlan

CASH = Decimal("60000.37")
_HELD_USD = {"PEP": "9600", "HD": "700", "BBY": "9900", "PG": "11000", "KO": "9000"}
_WEIGHTS = {"BBY": "0.09", "PG": "0.02", "KO": "0.095", "LLY": "0.10", "MSFT": "0.012"}
_SHARE_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class CorpusCase:
    """One case: what the control's account holds before it, the plan, the plant, and the symbols that do not trade."""

    number: int
    portfolio: Portfolio
    plan: RebalancePlan
    planting: Planting
    untradable: tuple[str, ...]


def corpus(prices: ClosingPrices) -> Iterator[CorpusCase]:
    """Give every case, all on the last day of `prices`. Case 0 is clean."""
    day = prices.days[-1]
    closes = prices.closes[day]
    held = {symbol: (Decimal(value) / closes[symbol]).quantize(_SHARE_STEP) for symbol, value in _HELD_USD.items()}
    weights = {symbol: Decimal(weight) for symbol, weight in _WEIGHTS.items()}
    portfolio = Portfolio(held, CASH)
    for number, plants in enumerate([(), *((plant,) for plant in bundled_scenario("corpus.toml"))]):
        plan = make_plan(publication_time(day), closes, portfolio, weights, strategy_id=f"corpus-{number:03}")
        places = {plant.untradable for plant in plants if plant.untradable is not None}
        untradable = tuple(symbol for place in sorted(places) if (symbol := symbol_at(place, plan, closes)) is not None)
        yield CorpusCase(number, portfolio, plan, plant_in(plan, plants, closes), untradable)
