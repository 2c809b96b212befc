"""Business Unit: benchmarks | Status: current.

How often is a migration called READY, by what is true of it? Simulates whole migrations through the real `assess`, looked at
every day. Run it with `python -m benchmarks.readiness_simulation [--migrations N] [--only WORD] [--write PAGE | --json]`.

Dishonest lines hold one thing exactly at its limit and let nothing else stand in the way: only the criteria about that thing
are asked. Honest lines are asked everything; what a desk hardly has is accepted by name, as a person would.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
from scipy import stats

from reports.data.columns import Path
from reports.readiness.criteria import assess
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum, Tally
from reports.readiness.readiness import Acceptance, CriterionState, ReadinessPolicy, Restart, history_of
from reports.readiness.shares import bad_days_of, judge_share, latency_criteria, rate_of
from reports.readiness.statistics import MOST_DIVERGED, Region, region, upper_bound

SEED = 20_261_128
WEEK, FRIDAY = 5, 4
HORIZON_DAYS = 60
FIRST = date(2026, 1, 5)
Draw = Callable[[np.random.Generator], list[DayEvidence]]
EVERYTHING = frozenset(Feature)
ALONE = ReadinessPolicy(rate_targets={Stratum.ALL: 0.05}, bounded_paths=())
ONE_IN_TEN = 0.1
MONTH = 21
TIMES = 10
MARK = "<!-- made by benchmarks.readiness_simulation -->"


Found = tuple[int, ReadinessPolicy] | None
"""The first day (from 1) on which all that is asked passes, and what people had decided by then; None where there is none."""
Search = Callable[[Sequence[DayEvidence], Sequence[str], ReadinessPolicy], Found]


@dataclass(frozen=True, slots=True)
class Share:
    """What came out: the shares of migrations that were READY on any day, by day 10, by day 20, and on the last day.

    `low` and `high` are the 95 % limits of Clopper and Pearson of the share that were READY on any day.
    """

    name: str
    promise: str
    migrations: int
    ready_ever: float
    low: float
    high: float
    ready_by_10: float
    ready_by_20: float
    ready_at_end: float


def day(number: int, bad: int, trades: int, ratio: float = 0.0, **changes: object) -> DayEvidence:
    """Make a day of one run: `bad` of `trades` diverged, log duration ratio `ratio`. The first trades are the bad ones."""
    buys = (trades + 1) // 2
    exits, small = max(trades // 7, number % 2), max(trades // 3, 1)
    bad_buys = bad // 2 + (bad % 2) * (number % 2)
    strata = {
        Stratum.ALL: Tally(bad, trades),
        Stratum.BUYS: Tally(min(bad_buys, buys), buys),
        Stratum.SELLS: Tally(min(bad - min(bad_buys, buys), trades - buys), trades - buys),
        Stratum.FULL_EXITS: Tally(min(bad * exits // max(trades, 1), exits), exits),
        Stratum.SMALL: Tally(min(round(bad * small / max(trades, 1)), small), small),
        Stratum.LARGE: Tally(bad - min(round(bad * small / max(trades, 1)), small), trades - small),
    }
    made: dict[str, object] = {
        "day": FIRST + timedelta(days=number),
        "published": 1,
        "judged": 1,
        "transitions": 50,
        "strata": strata,
        "runs": Tally(int(bad > 0), 1),
        "paths": {Path.BOTH_PHASES: Tally(bad, trades)},
        "log_ratios": (ratio,),
        "exercised": EVERYTHING,
    }
    return DayEvidence(**made | changes)  # type: ignore[arg-type]


def _two_points(rng: np.random.Generator, share: float, correlation: float, trades: int) -> list[int]:
    """Days that are clean, or on which each trade diverges with one chance: the least favourable way to go wrong together."""
    on_bad = share + correlation * (1 - share)
    bad_days = rng.random(HORIZON_DAYS) < share / on_bad
    return [int(rng.binomial(trades, on_bad)) if bad else 0 for bad in bad_days]


def _beta(rng: np.random.Generator, share: float, correlation: float, trades: int) -> list[int]:
    """Days whose share is drawn from a beta distribution."""
    if correlation == 0:
        return [int(each) for each in rng.binomial(trades, share, HORIZON_DAYS)]
    scale = 1 / correlation - 1
    chances = rng.beta(share * scale, (1 - share) * scale, HORIZON_DAYS)
    return [int(rng.binomial(trades, chance)) for chance in chances]


def _spells(rng: np.random.Generator, share_of_days: float, on_bad: float, length: int, trades: int) -> list[int]:
    """Bad days come in spells of `length` days on average."""
    leave, enter = 1 / length, share_of_days / (1 - share_of_days) / length
    state, days = bool(rng.random() < share_of_days), []
    for _ in range(HORIZON_DAYS):
        days.append(int(rng.binomial(trades, on_bad)) if state else 0)
        state = bool(rng.random() >= leave) if state else bool(rng.random() < enter)
    return days


def _days(bads: Sequence[int], trades: int) -> list[DayEvidence]:
    return [day(number, bad, trades, paths={}) for number, bad in enumerate(bads)]


def _broken(rng: np.random.Generator, days: list[DayEvidence], share: float) -> list[DayEvidence]:
    """Leave pairs of some days without a verdict."""
    return [replace(each, judged=0) if rng.random() < share else each for each in days]


def _ratios(rng: np.random.Generator, autocorrelation: float, margin: float, noise: float = 0.2) -> list[float]:
    value, values = float(rng.normal(0, noise)), []
    for _ in range(HORIZON_DAYS):
        values.append(math.log1p(margin) + value)
        value = autocorrelation * value + float(rng.normal(0, noise * math.sqrt(1 - autocorrelation**2)))
    return values


def _timed(values: Sequence[float]) -> list[DayEvidence]:
    return [day(number, 0, 15, ratio, paths={}) for number, ratio in enumerate(values)]


RATE = ("coverage", "rate.all")
DURATION = ("coverage", "latency", "latency_tail")
LIMIT = 0.05


def _rate_lines() -> Iterator[Line]:
    promise = "at most 5 %"
    for trades in (5, 15, 50):
        for correlation in (0.0, 0.05, 0.10):
            yield Line(
                f"5 % of trades, correlation {correlation:.2f}, {trades} a day",
                lambda rng, c=correlation, n=trades: _days(_two_points(rng, LIMIT, c, n), n),  # type: ignore[misc]
                RATE,
                promise,
            )
        yield Line(
            f"5 % of trades, correlation 0.10 (beta), {trades} a day",
            lambda rng, n=trades: _days(_beta(rng, LIMIT, 0.10, n), n),  # type: ignore[misc]
            RATE,
            promise,
        )
    for trades in (5, 15, 50):
        yield Line(
            f"the same, {trades} a day, one day in ten without a verdict",
            lambda rng, n=trades: _broken(rng, _days(_two_points(rng, LIMIT, 0.1, n), n), 0.1),  # type: ignore[misc]
            RATE,
            promise,
        )
        yield Line(
            f"the same, {trades} a day, begun anew after the look of day 20",
            lambda rng, n=trades: _days(_two_points(rng, LIMIT, 0.1, n), n),  # type: ignore[misc]
            RATE,
            promise,
            _restarted(ALONE, 20),
        )
        yield Line(
            f"the same, {trades} a day, begun anew after every look that did not pass",
            lambda rng, n=trades: _days(_two_points(rng, LIMIT, 0.1, n), n),  # type: ignore[misc]
            RATE,
            promise,
            search=begun_anew,
        )


def _tricked_lines() -> Iterator[Line]:
    """List what somebody could try who wants to see READY."""

    def without_verdict(rng: np.random.Generator) -> list[DayEvidence]:
        return [replace(each, judged=0) if each.runs.diverged else each for each in _days(_two_points(rng, LIMIT, 0.1, 15), 15)]

    yield Line("the same, 15 a day, a pair of every bad day left without a verdict", without_verdict, RATE, "at most 5 %")
    yield Line(
        "the same, 15 a day, every bad day kept out of the comparison as a whole",
        lambda rng: [replace(each, strata={}, runs=Tally()) if not each.judged else each for each in without_verdict(rng)],
        RATE,
        "not covered: nobody sees what is not compared",
    )
    for trades in (5, 15):
        yield Line(
            f"the same, {trades} a day, the day of one restart chosen afterwards",
            lambda rng, n=trades: _days(_two_points(rng, LIMIT, 0.1, n), n),  # type: ignore[misc]
            RATE,
            "not covered: a restart is entered before its evidence is seen",
            search=best_begin,
        )


def _uneven_lines() -> Iterator[Line]:
    """Divergences that are spread unevenly: over time, the week, a symbol, or days of different size."""
    promise, outside = "at most 5 %", "not covered: the share is not the same on all days"
    every = range(HORIZON_DAYS)

    def weekly(rng: np.random.Generator, trades: int) -> list[DayEvidence]:
        return _days([int(rng.binomial(trades, 5 * LIMIT)) if at % WEEK == FRIDAY else 0 for at in every], trades)

    def rising(rng: np.random.Generator) -> list[DayEvidence]:
        return _days([int(rng.binomial(15, 2 * LIMIT * at / HORIZON_DAYS)) for at in every], 15)

    def month_ends(rng: np.random.Generator) -> list[DayEvidence]:
        begun = int(rng.integers(MONTH))
        return _days([int(rng.binomial(15, 0.5)) if (at + begun) % MONTH >= MONTH - 2 else 0 for at in every], 15)

    def sizes(rng: np.random.Generator, size: Callable[[int], int]) -> list[DayEvidence]:
        bads = [_two_points(rng, LIMIT, 0.1, size(at))[0] for at in every]
        return [day(at, bad, size(at), paths={}) for at, bad in enumerate(bads)]

    for trades in (5, 15):
        yield Line(
            f"Fridays only, 25 % of their trades, {trades} a day",
            lambda rng, n=trades: weekly(rng, n),  # type: ignore[misc]
            RATE,
            outside,
        )
    yield Line("the last two days of each month, half of their trades, 15 a day", month_ends, RATE, outside)
    yield Line("a share that rises evenly from 0 to 10 % within 60 days, 15 a day", rising, RATE, outside)
    yield Line(
        "one symbol whose every trade diverges, traded on one day in four at random, 5 a day",
        lambda rng: _days([int(rng.random() < 5 * LIMIT) for _ in every], 5),
        RATE,
        promise,
    )
    yield Line(
        "5 % of trades, correlation 0.10, one trade a day", lambda rng: _days(_two_points(rng, LIMIT, 0.1, 1), 1), RATE, promise
    )
    yield Line(
        "5 % of trades, correlation 0.10, 30 trades each Monday and 2 on the other days",
        lambda rng: sizes(rng, lambda at: 2 if at % WEEK else 30),
        RATE,
        promise,
    )


def _clustered_lines() -> Iterator[Line]:
    outside = "not covered: trades go wrong together more than declared"
    for days, on_bad in ((0.25, 0.20), (0.20, 0.25), (0.10, 0.50)):
        for length in (1, 3):
            spell = "" if length == 1 else " in spells of three"
            yield Line(
                f"{days:.0%} of days{spell}, {on_bad:.0%} of their trades",
                lambda rng, d=days, b=on_bad, n=length: _days(_spells(rng, d, b, n, 15), 15),  # type: ignore[misc]
                (*RATE, "bad_days"),
                outside,
            )
    yield Line(
        "5 % of days, all trades of them",
        lambda rng: _days(_two_points(rng, LIMIT, 0.999, 15), 15),
        (*RATE, "bad_days"),
        outside,
    )
    yield Line(
        "35 % of days, all trades of them",
        lambda rng: _days(_two_points(rng, 0.35, 0.999, 15), 15),
        ("coverage", "bad_days"),
        "at most 5 %",
    )


def _duration_lines() -> Iterator[Line]:
    for autocorrelation, promise in ((0.0, 5), (0.3, 5), (0.5, 5), (0.8, 10)):
        yield Line(
            f"duration at the margin, autocorrelation {autocorrelation:g}",
            lambda rng, a=autocorrelation: _timed(_ratios(rng, a, 0.25)),  # type: ignore[misc]
            ("coverage", "latency"),
            f"at most {promise} %",
        )
    yield Line(
        "duration at the margin on average: 1.05 times on Mondays to Thursdays, 2.5 times on Fridays",
        lambda rng: _timed(
            [v + math.log(1.25**5 / 1.05**4 if at % WEEK == FRIDAY else 1.05) for at, v in enumerate(_ratios(rng, 0.0, 0.0, 0.1))]
        ),
        ("coverage", "latency"),
        "at most 5 %",
    )
    yield Line(
        "duration that rises evenly from 1 to 1.56 times within 60 days",
        lambda rng: _timed([v + math.log(1.25) * 2 * at / HORIZON_DAYS for at, v in enumerate(_ratios(rng, 0.0, 0.0, 0.1))]),
        ("coverage", "latency"),
        "not covered: the duration is not the same on all days",
    )
    for times in (4, 8):
        yield Line(
            f"one run in ten {times} times slower",
            lambda rng, t=times: _timed(  # type: ignore[misc]
                [v + math.log(t) * (rng.random() < ONE_IN_TEN) for v in _ratios(rng, 0.0, 0.0, 0.1)]
            ),
            DURATION,
            "at most 5 %",
        )


ACCEPTED = tuple(
    Acceptance(name=name, owner="desk", reason="too few to judge", expires=date(2030, 1, 1))
    for name in ("rate.full_exits", "rate.small", "rate.large", "rate.buys", "rate.sells", "latency_tail", "path.both_phases")
)


def _honest_lines() -> Iterator[Line]:
    policy = ReadinessPolicy(accepted=ACCEPTED)
    for noise, promise in ((0.0, "by day 20 at least 90 %"), (0.005, "by day 20 at least 75 %")):
        for trades in (5, 8, 15):
            yield Line(
                f"honest, {trades} a day, {noise:.1%} MINOR noise",
                lambda rng, n=trades, e=noise: [  # type: ignore[misc]
                    day(at, int(rng.binomial(n, e)), n, ratio) for at, ratio in enumerate(_ratios(rng, 0.0, 0.0, 0.1))
                ],
                (),
                promise,
                policy,
            )


def lines() -> list[Line]:
    """Give every kind of migration that is simulated."""
    return [*_rate_lines(), *_tricked_lines(), *_clustered_lines(), *_uneven_lines(), *_duration_lines(), *_honest_lines()]


def first_ready(days: Sequence[DayEvidence], asked: Sequence[str], policy: ReadinessPolicy) -> Found:
    """Look every day.

    Days on which READY cannot begin are passed over: without a row of covered days, and, where every day is covered, between
    planned looks.
    """
    whole = all(each.is_covered for each in days)
    for end in range(policy.days, len(days) + 1):
        if whole and (end - policy.days) % policy.look_step:
            continue
        if all(each.is_covered for each in days[end - policy.days : end]) and is_ready(days[:end], asked, policy):
            return end, policy
    return None


def _restarted(policy: ReadinessPolicy, day: int) -> ReadinessPolicy:
    restart = Restart(day=FIRST + timedelta(days=day), owner="desk", reason="begun anew")
    return policy.model_copy(update={"restarts": (*policy.restarts, restart)})


def begun_anew(days: Sequence[DayEvidence], asked: Sequence[str], policy: ReadinessPolicy) -> Found:
    """Begin anew on the day after every look that did not pass."""
    begun = 0
    for end in range(policy.days, len(days) + 1):
        if end - begun == policy.days:
            if is_ready(days[:end], asked, policy):
                return end, policy
            begun, policy = end, _restarted(policy, end)
    return None


def best_begin(days: Sequence[DayEvidence], asked: Sequence[str], policy: ReadinessPolicy) -> Found:
    """Choose the day of one restart afterwards, by trying them all at every look."""
    for end in range(policy.days, len(days) + 1):
        for begin in range((end - policy.days) % policy.look_step, end - policy.days + 1, policy.look_step):
            tried = _restarted(policy, begin)
            if is_ready(days[:end], asked, tried):
                return end, tried
    return None


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of migration, which criteria are asked (all where empty), what the promise says of it, and how it is looked at."""

    name: str
    draw: Draw
    asked: tuple[str, ...]
    promise: str
    policy: ReadinessPolicy = ALONE
    search: Search = first_ready

    @property
    def at_most(self) -> float:
        """The most that the promise allows, 0..1; 1 where it is no upper limit."""
        return float(self.promise.split()[-2]) / 100 if self.promise.startswith("at most") else 1.0


def is_ready(days: Sequence[DayEvidence], asked: Sequence[str], policy: ReadinessPolicy) -> bool:
    """Tell whether all criteria that are asked (all where empty) pass on the last day."""
    if not _could_be(days, asked, policy):
        return False
    found = assess(days, as_of=days[-1].day, policy=policy)
    return all(each.state is CriterionState.PASS for each in found.criteria if not asked or each.name in asked)


def _could_be(days: Sequence[DayEvidence], asked: Sequence[str], policy: ReadinessPolicy) -> bool:
    """Ask first the one criterion that a dishonest line is about, as `assess` asks it, which takes a tenth of the time."""
    history = history_of(days, days[-1].day, policy)
    if "rate.all" in asked:
        return judge_share(history, rate_of(policy, Stratum.ALL)).passed
    if "latency" in asked:
        return latency_criteria(history)[0].state is CriterionState.PASS
    return not asked or judge_share(history, bad_days_of(policy)).passed


def simulate(name: str, migrations: int) -> Share:
    """Simulate one line, by its name; the name is the seed, so that a line comes out alike whatever stands beside it.

    Where so many cannot tell that a promised limit is kept, ten times as many are simulated, the first ones among them.
    """
    line = next(each for each in lines() if each.name == name)
    rng = np.random.default_rng((SEED, zlib.crc32(name.encode())))
    ready: list[int | None] = []
    at_end = 0
    for times in (1, TIMES):
        while len(ready) < times * migrations:
            days = line.draw(rng)
            found = line.search(days, line.asked, line.policy)
            ready.append(None if found is None else found[0])
            at_end += found is not None and is_ready(days, line.asked, found[1])
        if _limits(ready)[1] <= line.at_most:
            break
    by = {last: sum(each is not None and each <= last for each in ready) / len(ready) for last in (10, 20, HORIZON_DAYS)}
    return Share(line.name, line.promise, len(ready), by[HORIZON_DAYS], *_limits(ready), by[10], by[20], at_end / len(ready))


def _limits(ready: Sequence[int | None]) -> tuple[float, float]:
    seen, every = sum(each is not None for each in ready), len(ready)
    low = 1 - upper_bound(every - seen, every, 0.025)
    return low, upper_bound(seen, every, 0.025)


def power_table() -> str:
    """Write what the looks of days 10 to 30 let pass, and how often a lane at the limit passes any within 60 days.

    The latter is computed, without `assess`, at correlation 0.10: as it is, and with a restart after day 20.
    """
    rows = [
        "| trades a day | day 10 | day 15 | day 20 | day 25 | day 30 | passes wrongly | with a restart |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for trades in (3, 5, 8, 15, 30, 50):
        planned, cells = planned_looks(trades), []
        for days in (10, 15, 20, 25, 30):
            chosen = planned.get(days)
            clean = f", last {chosen.clean_days} days clean" if chosen and chosen.most and chosen.clean_days else ""
            cells.append(f"{chosen.most}{clean}" if chosen else "nothing")
        wrongly = [f"{chance_to_pass(trades, begins=begins):.1%}" for begins in ((), (20,))]
        rows.append(f"| {trades} | {' | '.join(cells + wrongly)} |")
    return "\n".join(rows)


def planned_looks(trades: int, begins: Sequence[int] = ()) -> dict[int, Region]:
    """Give what each look lets pass where none has passed before, by its day.

    The evidence begins anew after each of the days `begins`.
    """
    looks, left, found = ALONE.looks, ALONE.alpha, {}
    for begin, end in pairwise((0, *begins, HORIZON_DAYS)):
        for length in range(looks.first, end - begin + 1, looks.step):
            chosen = region((trades,) * length, LIMIT, ALONE.correlation, looks.allowed(length, left))
            if chosen is not None:
                found[begin + length] = chosen
                left -= chosen.error
    return found


def chance_to_pass(trades: int, correlation: float = 0.10, begins: Sequence[int] = ()) -> float:
    """Compute how often a lane whose trades diverge in 5 % passes any look within 60 days, days going wrong as a whole or not.

    It follows, day by day, the chances of each number of divergences in the period and of each number of clean days at its end.
    """
    planned, most = planned_looks(trades, begins), MOST_DIVERGED
    on_bad = LIMIT + correlation * (1 - LIMIT)
    of_a_day = LIMIT / on_bad * stats.binom.pmf(np.arange(most + 1), trades, on_bad)
    of_a_day[0] += 1 - LIMIT / on_bad
    chances, passed = np.zeros((most + 1, HORIZON_DAYS + 1)), 0.0
    chances[0, 0] = 1.0
    for day_ in range(1, HORIZON_DAYS + 1):
        if day_ - 1 in begins:
            chances[0, 0], chances[1:], chances[0, 1:] = chances.sum(), 0.0, 0.0
        after = np.zeros_like(chances)
        after[:, 1:] = chances[:, :-1] * of_a_day[0]
        after[1:, 0] = np.convolve(chances.sum(axis=1), of_a_day)[1 : most + 1] - chances.sum(axis=1)[1:] * of_a_day[0]
        chances = after
        if day_ in planned:
            chosen = planned[day_]
            passed += float(chances[: chosen.most + 1, chosen.clean_days :].sum())
            chances[: chosen.most + 1, chosen.clean_days :] = 0.0
    return passed


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--migrations", type=int, default=1_000)
    parser.add_argument("--only", default="", help="only lines whose name holds this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=FilePath, help="put each row into this page's table as it is made", metavar="PAGE")
    parser.add_argument("--processes", type=int, help="how many at once (default: one a core)", metavar="N")
    parser.add_argument("--power", action="store_true", help="print what each look lets pass, and simulate nothing")
    options = parser.parse_args(arguments)
    if options.power:
        print(power_table())
        return
    chosen = [line.name for line in lines() if options.only in line.name]
    found = []
    with ProcessPoolExecutor(options.processes) as pool:
        for share in pool.map(simulate, chosen, [options.migrations] * len(chosen)):
            found.append(share)
            print(f"{len(found)}/{len(chosen)} {share.name}: {share.ready_ever:.1%}", file=sys.stderr)
            if options.write is not None:
                write(options.write, share)
    if options.json:
        print(json.dumps([asdict(share) for share in found], indent=2))
    elif options.write is None:
        print("\n".join((*HEAD, *map(_row, found))))


HEAD = (
    "| what is true | promise | READY ever | 95 % interval | by day 10 | by day 20 | on day 60 | migrations |",
    "|---|---|---|---|---|---|---|---|",
)


def _row(share: Share) -> str:
    shares = " | ".join(f"{each:.1%}" for each in (share.ready_by_10, share.ready_by_20, share.ready_at_end))
    ever = f"{share.ready_ever:.1%} | {share.low:.1%} to {share.high:.1%}"
    return f"| {share.name} | {share.promise} | {ever} | {shares} | {share.migrations:,} |"


def write(page: FilePath, share: Share) -> None:
    """Put a line's row into the page's table; the other rows stay as they are, and those of no line any more go."""
    before, rest = page.read_text(encoding="utf-8").split(f"{MARK}\n")
    table, after = rest.split("<!-- end -->", 1)
    rows = {row.split(" | ", 1)[0].removeprefix("| "): row for row in table.splitlines()[len(HEAD) :]}
    rows[share.name] = _row(share)
    kept = [rows[line.name] for line in lines() if line.name in rows]
    text = "\n".join((*HEAD, *kept))
    page.write_text(f"{before}{MARK}\n{text}\n<!-- end -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
