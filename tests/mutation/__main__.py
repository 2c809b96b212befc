"""Business Unit: tests | Status: current.

`make mutants`: change one place of the code at a time, run the nearest tests, and count the changes that no test notices. The
places are drawn by a fixed seed; `targets.toml` says from which files, with which tests, and how many must be killed. Exit code 1
where a share is missed, 3 where the tests fail without any change or Cosmic Ray is not there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, sample
from tests.mutation.trying import Tried, attempt, attempt_mutant

SEED = 20261128
AT_ONCE = 2
TOLD_EVERY = 10
OUT = Path("build/mutants.json")
FIRST_LIMIT = 300.0
"""Seconds of processor for the tests of one group without a change."""
SLACK_SECONDS = 5.0
"""Seconds of processor that a mutant's tests may take beyond twice what they take without a change."""
KILLED = ("killed", "timeout")
Tests = tuple[str, ...]


@dataclass(frozen=True)
class Area:
    """A part of the code: the files in it with their nearest tests, how many mutants are drawn, and the share to kill."""

    name: str
    share: float
    mutants: int
    tests: Mapping[str, Tests]


def areas(only: str) -> Iterator[Area]:
    """Read what is to be mutated. Raises ValueError where a pattern finds no file, or a test is not there."""
    table = tomllib.loads(Path(__file__).with_name("targets.toml").read_text(encoding="utf-8"))
    for name, entry in table.items():
        tests: dict[str, Tests] = {}
        for pattern, nearest in entry["tests"].items():
            found = {str(path) for path in Path().glob(pattern) if path.stat().st_size}
            absent = [test for test in nearest if not Path(test).is_file()]
            if not found or absent:
                raise ValueError(
                    f"targets.toml, {name}, {pattern}: expected files and tests, found {len(found)}, absent {absent}"
                )
            tests |= dict.fromkeys(found, tuple(nearest))
        if only in name:
            yield Area(name, entry["share"], entry["mutants"], tests)


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Draw, try, and say what survived."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Change the code in one place at a time and run the tests.")
    parser.add_argument("--only", default="", help="areas whose name holds this text")
    parser.add_argument("--mutants", type=int, help="draw so many in each area")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="processes")
    options = parser.parse_args(arguments)
    if find_spec("cosmic_ray") is None:
        sys.stderr.write("mutants: expected Cosmic Ray (requirements/mutants.txt), was not there\n")
        return 3
    chosen = list(areas(options.only))
    drawn = [
        (area, mutant)
        for area in chosen
        for mutant in sample(sorted(map(Path, area.tests)), options.mutants or area.mutants, options.seed)
    ]
    with ProcessPoolExecutor(options.at_once, mp_context=get_context("spawn")) as pool:
        lists = sorted({area.tests[mutant.path] for area, mutant in drawn})
        unchanged = dict(
            zip(
                lists,
                pool.map(attempt, lists, [FIRST_LIMIT] * len(lists), map("unchanged-{}.log".format, range(len(lists)))),
                strict=True,
            )
        )
        broken = [f"{' '.join(tests)}: {tried}" for tests, tried in unchanged.items() if tried.outcome != "survived"]
        if broken:
            sys.stderr.write(
                "mutants: the tests fail without any change (build/mutants/unchanged-*.log)\n" + "\n".join(broken) + "\n"
            )
            return 3
        running = {}
        for area, mutant in drawn:
            tests = area.tests[mutant.path]
            running[pool.submit(attempt_mutant, mutant, tests, 2 * unchanged[tests].seconds + SLACK_SECONDS)] = area, mutant
        results = []
        for done in as_completed(running):
            area, mutant = running[done]
            results.append((area.name, mutant, done.result()))
            if done.result().outcome not in KILLED:
                say(f"{done.result().outcome:<9}{mutant}")
            if not len(results) % TOLD_EVERY:
                killed = sum(tried.outcome in KILLED for *_, tried in results)
                say(f"so far {killed} of {len(results)} killed, {len(running)} drawn")
    return report(chosen, sorted(results, key=lambda each: each[:2]))


def report(chosen: Iterable[Area], results: list[tuple[str, Mutant, Tried]]) -> int:
    """Print the table and write the file. Give 1 where an area misses its share, or a run was no run of tests."""
    table: dict[str, Any] = {}
    for area in chosen:
        counts = Counter(tried.outcome for name, _, tried in results if name == area.name)
        total = counts.total()
        share = sum(counts[word] for word in KILLED) / total if total else 0.0
        table[area.name] = {"mutants": total, **counts, "share": round(share, 4), "wanted": area.share}
        told = f"{total:>4} mutants, {share:>6.1%} killed ({counts['timeout']} by the limit), {area.share:.0%} wanted"
        say(f"{area.name:<12}{told}{'' if share >= area.share else ': MISSED'}")
    seconds = sum(tried.seconds for *_, tried in results)
    rows = [{"area": name, "mutant": str(m), "outcome": t.outcome, "seconds": t.seconds} for name, m, t in results]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"areas": table, "seconds": round(seconds), "mutants": rows}, indent=1) + "\n", encoding="utf-8")
    errors = sum(tried.outcome == "error" for *_, tried in results)
    say(f"{seconds:.0f} s of processor, {errors} errors; every mutant: {OUT}")
    return 1 if errors or any(each["share"] < each["wanted"] for each in table.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
