"""Business Unit: benchmarks | Status: current.

On which day are honest desks READY? Portfolios of the project's own planner trade the bundled prices day by day, both
lanes agree on every trade, and `assess` is asked every day. Run it with `python -m benchmarks.readiness_portfolios [--json]`.

What a desk hardly has is accepted by name, as a person would; what seldom happens was drilled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

from benchmarks.readiness_simulation import ACCEPTED, EVERYTHING, is_ready
from local.market import ClosingPrices, publication_time
from local.planner import MOMENTUM_DAYS, Portfolio, make_plan, momentum_weights
from reports.data.columns import Path
from reports.data.extract import LARGE_USD
from reports.readiness.day_evidence import DayEvidence, Stratum, Tally
from reports.readiness.readiness import Acceptance, ReadinessPolicy
from shadow.contracts.plan import PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Side

CASH = (Decimal(5_000), Decimal(25_000), Decimal(100_000), Decimal(1_000_000))
DEADLINE = 20
"""Days within which an honest desk should be READY."""
NAMES = (3, 5, 8, 10, 12, 15)
FEWEST = 5
"""Names from which a desk trades often enough to be READY by then; what fewer names give is shown beside it."""
_SHARE = Decimal("0.000001")
_PATHS = {
    (True, True): Path.BOTH_PHASES,
    (True, False): Path.SELLS_ONLY,
    (False, True): Path.BUYS_ONLY,
}


@dataclass(frozen=True, slots=True)
class Desk:
    """One portfolio: what it began with (USD), how many names it holds, its trades a day, and when it was READY (from 1)."""

    cash: int
    names: int
    trades_a_day: float
    days: int
    ready_on: int | None


def plans(prices: ClosingPrices, cash: Decimal, names: int) -> Iterator[tuple[date, RebalancePlan]]:
    """Trade one portfolio from the first day that the planner can plan to the last; everything is filled at the close."""
    portfolio = Portfolio({}, cash)
    for day in prices.days[MOMENTUM_DAYS:]:
        history = prices.before(day, MOMENTUM_DAYS + 1)
        weights = momentum_weights(history, portfolio, names=names)
        plan = make_plan(publication_time(day), history[-1], portfolio, weights)
        yield day, plan
        portfolio = _traded(portfolio, plan, history[-1])


def _traded(portfolio: Portfolio, plan: RebalancePlan, closes: Mapping[str, Decimal]) -> Portfolio:
    held, cash = dict(portfolio.positions), portfolio.cash
    for item in plan.tradable_items:
        shares = (item.trade_amount / closes[item.symbol]).quantize(_SHARE)
        if item.is_full_exit:
            shares = -held[item.symbol]
        held[item.symbol] = held.get(item.symbol, Decimal(0)) + shares
        cash -= shares * closes[item.symbol]
    return Portfolio({symbol: shares for symbol, shares in held.items() if shares}, max(cash, Decimal(0)))


def evidence(day: date, plan: RebalancePlan) -> DayEvidence:
    """Make the day's evidence where both lanes agree on every trade. A plan that only holds is no evidence."""
    items = plan.tradable_items
    if not items:
        return DayEvidence(day=day, planned=0, held=1)
    sides = {item.side for item in items}
    return DayEvidence(
        day=day,
        planned=1,
        published=1,
        judged=1,
        transitions=50,
        strata={stratum: Tally(0, sum(_is_in(item, stratum) for item in items)) for stratum in Stratum},
        runs=Tally(0, 1),
        paths={_PATHS[Side.SELL in sides, Side.BUY in sides]: Tally(0, len(items))},
        log_ratios=(0.0,),
        drilled=EVERYTHING,
    )


def _is_in(item: PlanItem, stratum: Stratum) -> bool:
    is_large = abs(item.trade_amount) >= LARGE_USD
    return {
        Stratum.ALL: True,
        Stratum.BUYS: item.side is Side.BUY,
        Stratum.SELLS: item.side is Side.SELL,
        Stratum.FULL_EXITS: item.is_full_exit,
        Stratum.LARGE: is_large,
        Stratum.SMALL: not is_large,
    }[stratum]


def desks(accepted: Sequence[Acceptance]) -> list[Desk]:
    """Ask every day of every portfolio."""
    prices, policy, found = ClosingPrices.bundled(), ReadinessPolicy(accepted=tuple(accepted)), []
    for cash in CASH:
        for names in NAMES:
            days = [evidence(day, plan) for day, plan in plans(prices, cash, names)]
            ready = (end for end in range(policy.days, len(days) + 1) if is_ready(days[:end], (), policy))
            trades = sum(day.strata[Stratum.ALL].total for day in days if day.published)
            found.append(Desk(int(cash), names, round(trades / len(days), 1), len(days), next(ready, None)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print when each portfolio was READY."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = desks(ACCEPTED)
    if options.json:
        print(json.dumps([asdict(desk) for desk in found], indent=2))
        return
    for desk in found:
        when = "never" if desk.ready_on is None else f"on day {desk.ready_on}"
        print(f"{desk.cash:>9,} USD, {desk.names:>2} names, {desk.trades_a_day:>4} trades a day: READY {when} of {desk.days}")
    large = [desk for desk in found if desk.names >= FEWEST]
    by_then = sum(desk.ready_on is not None and desk.ready_on <= DEADLINE for desk in large)
    print(f"{by_then} of {len(large)} with {FEWEST} names or more READY by day {DEADLINE}")


if __name__ == "__main__":
    main()
