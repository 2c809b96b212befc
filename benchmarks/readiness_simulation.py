"""Business Unit: benchmarks | Status: current.

How often would a migration that must not be called READY be called READY all the same? Simulates whole migrations, every
planned look of them, vectorised, with the bounds and looks that readiness itself uses. Run it with
`python -m benchmarks.readiness_simulation [--migrations N] [--json]`.

A migration's true divergence rate stands exactly at the target; everything else about it is perfect, so nothing but the rate
can hold it back. It counts as READY when any look within the horizon passes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.readiness.day_evidence import Stratum
from reports.readiness.readiness import ReadinessPolicy
from reports.readiness.statistics import Looks, upper_bound

SEED = 20_261_124
HORIZON_DAYS = 60
TRADES_A_DAY = 15
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Which share of a day's trades is in which stratum. Buys and sells, large and small part the trades; full exits are sells.
SHARES = {Stratum.BUYS: 0.5, Stratum.FULL_EXITS: 0.15, Stratum.LARGE: 0.7}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of migration: what its true rate is of, and what the share of READY within the horizon came out as."""

    name: str
    migrations: int
    ready_ever: float
    ready_on_day_10: float


Strata = dict[Stratum, tuple[Ints, Ints]]


def simulate_strata(rng: np.random.Generator, migrations: int, rate: float, trades_a_day: int) -> Strata:
    """Draw cumulative (diverged, total) of each stratum, migration by day, at one true `rate` a trade."""
    shape = (migrations, HORIZON_DAYS)
    total = rng.poisson(trades_a_day, shape)
    buys = rng.binomial(total, SHARES[Stratum.BUYS])
    exits = rng.binomial(total - buys, SHARES[Stratum.FULL_EXITS] / (1 - SHARES[Stratum.BUYS]))
    diverged_buys, diverged_exits = rng.binomial(buys, rate), rng.binomial(exits, rate)
    diverged_rest = rng.binomial(total - buys - exits, rate)
    diverged = diverged_buys + diverged_exits + diverged_rest
    large_bad = rng.binomial(diverged, SHARES[Stratum.LARGE])
    large_good = rng.binomial(total - diverged, SHARES[Stratum.LARGE])
    daily = {
        Stratum.ALL: (diverged, total),
        Stratum.BUYS: (diverged_buys, buys),
        Stratum.SELLS: (diverged_exits + diverged_rest, total - buys),
        Stratum.FULL_EXITS: (diverged_exits, exits),
        Stratum.LARGE: (large_bad, large_bad + large_good),
        Stratum.SMALL: (diverged - large_bad, total - large_bad - large_good),
        Stratum.RUNS: ((diverged > 0).astype(np.int64), np.ones(shape, dtype=np.int64)),
    }
    return {stratum: (bad.cumsum(axis=1), every.cumsum(axis=1)) for stratum, (bad, every) in daily.items()}


def passes(strata: Strata, targets: dict[Stratum, float], looks: Looks) -> Flags:
    """Tell, migration by look, whether every stratum's bound is below its target."""
    numbers = range(1, looks.number(HORIZON_DAYS) + 1)
    return np.stack([_look(strata, targets, looks.days(number) - 1, looks.share(number)) for number in numbers], axis=1)


def _look(strata: Strata, targets: dict[Stratum, float], column: int, alpha: float) -> Flags:
    held = [upper_bound(strata[s][0][:, column], strata[s][1][:, column], alpha) < target for s, target in targets.items()]
    return np.asarray(np.stack(held).all(axis=0))


def rate_scenarios(migrations: int, policy: ReadinessPolicy) -> list[Scenario]:
    """Simulate rates at the limit: judged by the overall rate alone, by all strata together, and every day without spending."""
    rng = np.random.default_rng(SEED)
    limit = policy.rate_targets[Stratum.ALL]
    strata = simulate_strata(rng, migrations, limit, TRADES_A_DAY)
    overall, every = {Stratum.ALL: limit}, dict(policy.rate_targets)
    return [
        _scenario("overall rate at its limit, no other criterion", passes(strata, overall, policy.looks)),
        _scenario("every stratum at the overall limit, all rates judged", passes(strata, every, policy.looks)),
        _scenario("the same looked at every day at 5 % (what is not done)", _unspent(strata, overall, policy)),
        *[_alone(rng, migrations, stratum, target, policy) for stratum, target in policy.rate_targets.items()],
        _clustered(rng, migrations, policy.rate_targets[Stratum.RUNS], policy),
        _clustered(rng, migrations, limit, policy),
    ]


def _unspent(strata: Strata, targets: dict[Stratum, float], policy: ReadinessPolicy) -> Flags:
    return np.stack([_look(strata, targets, day, policy.alpha) for day in range(policy.days - 1, HORIZON_DAYS)], axis=1)


def _alone(rng: np.random.Generator, migrations: int, stratum: Stratum, target: float, policy: ReadinessPolicy) -> Scenario:
    """One stratum at its own limit, judged alone."""
    shares = {Stratum.ALL: 1.0, Stratum.BUYS: 0.5, Stratum.SELLS: 0.5, Stratum.FULL_EXITS: 0.15, Stratum.LARGE: 0.7}
    a_day = TRADES_A_DAY * shares.get(stratum, 0.3)
    shape = (migrations, HORIZON_DAYS)
    total = np.ones(shape, dtype=np.int64) if stratum is Stratum.RUNS else rng.poisson(a_day, shape)
    diverged = rng.binomial(total, target)
    cumulative = {stratum: (diverged.cumsum(axis=1), total.cumsum(axis=1))}
    return _scenario(f"{stratum.value} at their own limit of {target:.0%}", passes(cumulative, {stratum: target}, policy.looks))


def _clustered(rng: np.random.Generator, migrations: int, rate: float, policy: ReadinessPolicy) -> Scenario:
    """All trades of a run diverge together: what a bound on trades can't see, and the bound on runs is there for."""
    shape = (migrations, HORIZON_DAYS)
    total = rng.poisson(TRADES_A_DAY, shape)
    bad_runs = rng.random(shape) < rate
    strata = {
        Stratum.ALL: ((total * bad_runs).cumsum(axis=1), total.cumsum(axis=1)),
        Stratum.RUNS: (bad_runs.astype(np.int64).cumsum(axis=1), np.ones(shape, dtype=np.int64).cumsum(axis=1)),
    }
    targets = {stratum: policy.rate_targets[stratum] for stratum in strata}
    return _scenario(f"{rate:.0%} of runs diverge, each with all its trades", passes(strata, targets, policy.looks))


def latency_scenario(migrations: int, policy: ReadinessPolicy) -> Scenario:
    """Simulate a candidate that is exactly the margin slower (log-normal noise of 20 %), one run a day."""
    rng = np.random.default_rng(SEED + 1)
    logs = rng.normal(np.log1p(policy.latency_margin), 0.2, (migrations, HORIZON_DAYS))
    looks = policy.looks
    flags = []
    for number in range(1, looks.number(HORIZON_DAYS) + 1):
        seen = logs[:, : looks.days(number)]
        bound = seen.mean(axis=1) + stats.t.ppf(1 - looks.share(number), seen.shape[1] - 1) * stats.sem(seen, axis=1)
        flags.append(bound < np.log1p(policy.latency_margin))
    return _scenario(f"duration exactly {policy.latency_margin:.0%} above the control", np.stack(flags, axis=1))


def _scenario(name: str, flags: Flags) -> Scenario:
    return Scenario(name, len(flags), float(flags.any(axis=1).mean()), float(flags[:, 0].mean()))


def run(migrations: int = 10_000) -> list[Scenario]:
    """Simulate every scenario with the default policy."""
    policy = ReadinessPolicy()
    return [*rate_scenarios(migrations, policy), latency_scenario(migrations, policy)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--migrations", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = run(options.migrations)
    if options.json:
        print(json.dumps([asdict(scenario) for scenario in found], indent=2))
        return
    print(f"| migration ({options.migrations:,} each, {HORIZON_DAYS} trading days) | READY at any look | READY on day 10 |")
    print("|---|---|---|")
    for scenario in found:
        print(f"| {scenario.name} | {scenario.ready_ever:.2%} | {scenario.ready_on_day_10:.2%} |")


if __name__ == "__main__":
    main()
