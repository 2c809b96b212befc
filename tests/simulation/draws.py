"""Business Unit: tests | Status: current.

Draws by seed: the situation, the faults, the run and the auditor's word on it. A seed draws the same in either role of the lanes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from shadow.contracts.vocabulary import ExecutionMode, Lane
from tests.factories.aa_lanes import Situation
from tests.factories.aa_situations import EVENTS, SHAPES, _situation
from tests.simulation.auditor import audit
from tests.simulation.faults import draw
from tests.simulation.world import Seen, Simulation, simulation, without_logs

A_WORLD = 8
"""How many draws share one situation, whose honest world is then run once."""


@dataclass
class Result:
    """What was drawn and found. `failures` are by seed."""

    draws: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    failures: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: Result) -> None:
        """Take another result in."""
        self.draws += other.draws
        self.verdicts = dict(sorted((Counter(self.verdicts) + Counter(other.verdicts)).items()))
        self.places = dict(sorted((Counter(self.places) + Counter(other.places)).items()))
        self.failures |= other.failures


def mode_of(seed: int) -> ExecutionMode:
    """Give the mode of a draw: two of three in paper, where both accounts tell the truth."""
    return ExecutionMode.DRY_RUN if seed // A_WORLD % 3 == 2 else ExecutionMode.PAPER


@lru_cache(maxsize=4)
def situation_of(number: int, mode: ExecutionMode) -> Situation:
    """Make the situation that the draws of one world share."""
    random = Random(f"world-{number}")
    shape = random.choice(sorted(SHAPES))
    change = random.choice([change for name, (change, modes) in sorted(EVENTS.items()) if mode in modes])
    return change(_situation(random, shape, number), random)


class Draws:
    """Draws in one mode, one after another; the honest world of a situation is kept while its draws last."""

    def __init__(self, lanes: Simulation) -> None:
        self._lanes = lanes
        self._honest: tuple[int, Seen] | None = None

    def run(self, seed: int) -> tuple[Seen, Seen]:
        """Give what is seen of one draw, and of the same world without a fault."""
        number = seed // A_WORLD
        situation = situation_of(number, self._lanes.mode)
        if self._honest is None or self._honest[0] != number:
            self._honest = number, self._lanes.run(situation, ())
        faults = draw(Random(f"draw-{seed}"), self._lanes.mode)
        return self._lanes.run(situation, faults), self._honest[1]


def simulate_swapped(seeds: Iterable[int]) -> Result:
    """Run draws with the workflow in production and the legacy lane as its shadow, and audit them."""
    return simulate(seeds, Lane.WORKFLOW)


def simulate(seeds: Iterable[int], in_production: Lane = Lane.LEGACY) -> Result:
    """Run draws and audit them."""
    chosen, result = list(seeds), Result()
    for mode in ExecutionMode:
        of_mode = [seed for seed in chosen if mode_of(seed) is mode]
        if not of_mode:
            continue
        with without_logs(), simulation(mode, in_production) as lanes:
            draws = Draws(lanes)
            for seed in of_mode:
                result.add(_audited(draws, seed))
    return result


def _audited(draws: Draws, seed: int) -> Result:
    """Run one draw and audit it. A draw that raises is a failure like any other: the next ones are run all the same."""
    try:
        seen, honest = draws.run(seed)
    except Exception as error:  # noqa: BLE001 - whatever was raised is told with its seed
        return Result(1, {"crashed": 1}, {}, {seed: [f"crashed: {error!r}"]})
    verdict = seen.comparison.verdict.value if seen.comparison else "none"
    places = Counter(f"{fault.place} {fault.how}" for fault in seen.faults)
    wrong = audit(seen, honest)
    return Result(1, {verdict: 1}, dict(places), {seed: [*map(str, seen.faults), *wrong]} if wrong else {})
