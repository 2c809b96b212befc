"""Random situations that both lanes meet alike: plans over the bundled prices, and everything a day can do to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from random import Random

from local.broker_simulator.values import Fault, FaultKind
from local.market import ClosingPrices, publication_time
from local.planner import Portfolio, make_plan
from shadow.contracts.vocabulary import Action, ExecutionMode
from tests.factories.aa_lanes import Situation

_STEP, _CENT = Decimal("0.000001"), Decimal("0.01")
_DRAWS = 100
Change = Callable[[Situation, Random], Situation]


@dataclass(frozen=True)
class Pair:
    """One situation with what it is called and the mode its candidate runs in."""

    name: str
    mode: ExecutionMode
    situation: Situation


@cache
def _prices() -> ClosingPrices:
    return ClosingPrices.bundled()


def pairs(count: int, seed: int) -> list[Pair]:
    """Give `count` pairs, every shape and every event among them in turn, the same ones for the same seed."""
    found = []
    shapes, events = tuple(SHAPES), tuple(EVENTS)
    for number in range(count):
        random = Random(f"{seed}:{number}")
        shape, event = shapes[number % len(shapes)], events[number // len(shapes) % len(events)]
        change, modes = EVENTS[event]
        situation = change(_situation(random, shape, number), random)
        found.append(Pair(f"{number} {shape} {event}", modes[number % len(modes)], situation))
    return found


def _situation(random: Random, shape: str, number: int) -> Situation:
    day = random.choice(_prices().days)
    symbols = random.sample(_prices().symbols, 7)
    closes = {symbol: _prices().closes[day][symbol] for symbol in symbols}
    held, weights = SHAPES[shape](random, symbols)
    total = Decimal(random.choice((3_000, 20_000, 100_000, 987_654)))
    positions = {s: (total * share / closes[s]).quantize(_STEP) for s, share in held.items()}
    worth = sum((shares * closes[s] for s, shares in positions.items()), Decimal(0))
    cash = (total - worth).quantize(_CENT)
    plan = make_plan(publication_time(day), closes, Portfolio(positions, cash), weights, strategy_id=f"aa-{number}")
    return Situation(plan, day, closes, positions, cash, spread=Decimal(random.choice((0, 2, 10, 40))))


def _percent(random: Random, low: int, high: int) -> Decimal:
    return Decimal(random.randint(low * 10, high * 10)) / 1000


Weights = dict[str, Decimal]


def _mixed(random: Random, symbols: list[str]) -> tuple[Weights, Weights]:
    held = {symbol: _percent(random, 5, 25) for symbol in symbols[:3]}
    kept = random.sample(symbols, random.randint(1, 3))
    return held, {symbol: _percent(random, 1, 18) for symbol in kept}


def _buys_only(random: Random, symbols: list[str]) -> tuple[Weights, Weights]:
    return {}, {symbol: _percent(random, 1, 19) for symbol in symbols[: random.randint(1, 4)]}


def _sells_only(random: Random, symbols: list[str]) -> tuple[Weights, Weights]:
    held = {symbol: _percent(random, 5, 20) for symbol in symbols[: random.randint(1, 4)]}
    return held, {symbol: share / 2 for symbol, share in held.items()}


def _exits(random: Random, symbols: list[str]) -> tuple[Weights, Weights]:
    held = {symbol: _percent(random, 1, 20) for symbol in symbols[: random.randint(1, 4)]}
    return held, {symbol: _percent(random, 1, 12) for symbol in symbols[4 : random.randint(4, 6)]}


def _top_ups(random: Random, symbols: list[str]) -> tuple[Weights, Weights]:
    held = {symbol: _percent(random, 2, 10) for symbol in symbols[: random.randint(1, 4)]}
    return held, {symbol: share + _percent(random, 1, 5) for symbol, share in held.items()}


SHAPES: dict[str, Callable[[Random, list[str]], tuple[Weights, Weights]]] = {
    "mixed": _mixed,
    "buys only": _buys_only,
    "sells only": _sells_only,
    "full exits": _exits,
    "top-ups": _top_ups,
}


def _symbol(situation: Situation, random: Random, action: Action | None = None) -> str:
    """Choose a traded symbol, one of `action` where there is one."""
    items = situation.plan.tradable_items
    wanted = [item.symbol for item in items if action in (None, item.action)]
    return random.choice(wanted or [item.symbol for item in items])


def _calm(situation: Situation, random: Random) -> Situation:
    del random
    return situation


def _closed(situation: Situation, random: Random) -> Situation:
    del random
    return replace(situation, is_open=False)


def _walked(situation: Situation, random: Random) -> Situation:
    return replace(situation, rest_limits=random.randint(1, 3))


def _untradable(action: Action | None) -> Change:
    return lambda situation, random: replace(situation, untradable=frozenset({_symbol(situation, random, action)}))


def _whole(situation: Situation, random: Random) -> Situation:
    count = random.randint(1, len(situation.closes))
    return replace(situation, whole_shares=frozenset(random.sample(sorted(situation.closes), count)))


def _struck(kind: FaultKind, **more: object) -> Change:
    """Let a fault strike every order (or quote) of one symbol, in both accounts."""

    def change(situation: Situation, random: Random) -> Situation:
        fault = Fault.model_validate({"kind": kind, "symbol": _symbol(situation, random), "count": None, **more})
        return replace(situation, faults=(fault,))

    return change


def _breaker(situation: Situation, random: Random) -> Situation:
    """Let so little of the equity be deployed that BUYs are refused, and none of them by a hair.

    A dry run's limit is made of the plan's portfolio value, the control's of what its account is worth at the quotes.
    """
    fractions = (_percent(random, 2, 12) for _ in range(_DRAWS))
    return replace(situation, deployment=next(each for each in fractions if not _is_close(situation, each)))


def _is_close(situation: Situation, fraction: Decimal) -> bool:
    """Tell whether a BUY, taken in the plan's order, would reach the limit to within 2 %."""
    limit, used = situation.plan.total_portfolio_value * fraction, Decimal(0)
    for item in situation.plan.tradable_items:
        if item.action is Action.BUY:
            reached = used + item.trade_amount
            if abs(reached - limit) < limit / 50:
                return True
            used = reached if reached <= limit else used
    return False


BOTH = (ExecutionMode.DRY_RUN, ExecutionMode.PAPER)
PAPER = (ExecutionMode.PAPER,)
EVENTS: Mapping[str, tuple[Change, tuple[ExecutionMode, ...]]] = {
    "calm": (_calm, BOTH),
    "market closed": (_closed, BOTH),
    "book walked": (_walked, BOTH),
    "a sell that does not trade": (_untradable(Action.SELL), BOTH),
    "a buy that does not trade": (_untradable(Action.BUY), BOTH),
    "whole shares": (_whole, BOTH),
    "little to deploy": (_breaker, BOTH),
    "no quote": (_struck(FaultKind.QUOTE_MISSING), BOTH),
    "refused": (_struck(FaultKind.REFUSE, method="POST"), PAPER),
    "rejected": (_struck(FaultKind.REJECT), PAPER),
    "filled by half": (_struck(FaultKind.PARTIAL_FILL), PAPER),
    "not filled": (_struck(FaultKind.REST), PAPER),
}
