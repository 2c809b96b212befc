"""Business Unit: local cloud | Status: current.

The corpus: each plant alone, in several instances. An instance is a trading day, its own symbols and its own amounts; a case is
one plant in one instance, under symbols that no other case has, so that all cases of a day can run beside each other in one
account. The plan of a case sells one position whole, takes exactly 500.00 USD out of another, tops one up and opens one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from local.market import ClosingPrices, publication_time
from local.planner import Portfolio, make_plan
from local.scenarios.planting import Plant, Planting, bundled_scenario, plant_in, symbol_at
from shadow.contracts.plan import RebalancePlan

INSTANCES = 3
EQUITY = Decimal(4_000_000)
_SHARE_STEP = Decimal("0.000001")
_CENT = Decimal("0.01")
_SYMBOLS = 5
_TRIMMED_BY = Decimal("500.00")


@dataclass(frozen=True, slots=True)
class CorpusCase:
    """One case. `closes` are the prices (USD) of its symbols, `positions` what of them is held (shares) before its plan runs.

    `untradable` are symbols that do not trade. Case 0 of every instance is clean.
    """

    number: int
    instance: int
    day: date
    closes: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]
    plan: RebalancePlan
    planting: Planting
    untradable: tuple[str, ...]

    @property
    def plant(self) -> Plant | None:
        """What is planted; None in a clean case."""
        return next((each.plant for each in self.planting.planted), None)


def corpus(
    prices: ClosingPrices, *, instances: int = INSTANCES, plants: Iterable[Plant] | None = None, first: int = 0
) -> Iterator[CorpusCase]:
    """Give every case, instance by instance: an instance is one of the last days of `prices`, the last one first.

    Cases are numbered from `first`: two runs of the corpus in one local cloud need numbers of their own.
    """
    chosen = bundled_scenario("corpus.toml") if plants is None else tuple(plants)
    for instance in range(instances):
        for number, plant in enumerate((None, *chosen), start=first):
            yield case_of(prices, number, instance, plant)


def cash_of(cases: Iterable[CorpusCase]) -> Decimal:
    """Give the cash (USD) that makes the account of these cases worth `EQUITY`, which every plan is made on."""
    held = (shares * case.closes[symbol] for case in cases for symbol, shares in case.positions.items())
    return (EQUITY - sum(held, Decimal(0))).quantize(_CENT)


def case_of(prices: ClosingPrices, number: int, instance: int, plant: Plant | None) -> CorpusCase:
    """Make case `number` of an instance: its plan, and the plant in its place."""
    day = prices.days[-1 - instance]
    names = _names(prices, instance)
    renamed = {name: f"{name}.{number:03}" for name in names}
    closes = {renamed[name]: prices.closes[day][name] for name in names}
    sold, trimmed, topped, opened, _ = closes
    worth = {sold: 900 + 37 * instance, trimmed: 4_000, topped: 9_000 + 113 * instance}
    positions = {symbol: (Decimal(usd) / closes[symbol]).quantize(_SHARE_STEP) for symbol, usd in worth.items()}
    values = {symbol: (shares * closes[symbol]).quantize(_CENT) for symbol, shares in positions.items()}
    portfolio = Portfolio(positions, EQUITY - sum(values.values(), Decimal(0)))
    targets = {
        trimmed: values[trimmed] - _TRIMMED_BY,
        topped: values[topped] + Decimal("480.37") + 11 * instance,
        opened: Decimal("9876.54") + 123 * instance,
    }
    weights = {symbol: usd / EQUITY for symbol, usd in targets.items()}
    plan = make_plan(publication_time(day), closes, portfolio, weights, strategy_id=f"corpus-{number:03}-{instance}")
    plants = () if plant is None else (plant,)
    place = None if plant is None or plant.untradable is None else symbol_at(plant.untradable, plan, closes)
    return CorpusCase(
        number, instance, day, closes, positions, plan, plant_in(plan, plants, closes), () if place is None else (place,)
    )


def _names(prices: ClosingPrices, instance: int) -> tuple[str, ...]:
    """Give an instance's symbols: other ones each time, as far as there are any."""
    symbols = prices.symbols
    return tuple(symbols[(instance * _SYMBOLS + step) % len(symbols)] for step in range(_SYMBOLS))
