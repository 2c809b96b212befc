"""Business Unit: benchmarks | Status: current.

`python -m benchmarks`: measure every row, print the table, write `benchmarks/results/latest.json`, the plots and the page.

    --quick      small sizes and few repetitions, under a minute; writes build/bench-quick.json only
    --only ROW   measure only these rows (may be given several times) and put them into the recorded results
    --render     measure nothing: write the page and the plots from the recorded results
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import cloud, cold_start, judging, memory, rejudging
from benchmarks.environment import CHECKOUT, measured, peers_python
from benchmarks.judging import growth_line
from benchmarks.machine import description
from benchmarks.plots import draw
from benchmarks.render import Results, page, terminal
from benchmarks.rows import ROWS, Growth, Measurement, Verdict

RESULTS = CHECKOUT / "benchmarks" / "results"
LATEST, QUICK = RESULTS / "latest.json", CHECKOUT / "build" / "bench-quick.json"
PAGE = CHECKOUT / "benchmarks" / "README.md"
T = TypeVar("T")
CLOUD_ROWS = frozenset({"B1", "B2", "B9", "B10", "B11", "B12"})


class Run:
    """One run: what is wanted, and what has been found."""

    def __init__(self, wanted: frozenset[str], *, quick: bool) -> None:
        """Measure the rows of `wanted`."""
        self.wanted, self.quick = wanted, quick
        self.found: dict[str, Measurement] = {}
        self.growth: list[Growth] = []
        self._begun = time.monotonic()

    def measure(self) -> None:
        """Measure everything that is wanted; what fails is told, and the rest goes on."""
        python = self._try("B3", peers_python)
        if python is not None:
            self._row("B3", lambda: measured(python, "publishing", {"quick": self.quick}))
            self._try("B4", lambda: self._rejudging(python))
        self._row("B5", lambda: judging.measure_pair(quick=self.quick))
        self._row("B6", lambda: judging.measure_history(quick=self.quick))
        self._row("B7", lambda: cold_start.measure(self.say, quick=self.quick))
        self._row("B8", lambda: memory.measure_all(quick=self.quick))
        self._row("B13", lambda: measured(Path(sys.executable), "loading", {"quick": self.quick}))
        if python is not None and self.wanted & CLOUD_ROWS:
            self._try("B9", lambda: self._cloud(python))
        self._try("B12", self._growth)

    def say(self, message: str) -> None:
        """Tell what is being done, and since when; what the local cloud adapts is told elsewhere."""
        if not message.startswith(" "):
            print(f"{time.monotonic() - self._begun:6.0f} s  {message}", flush=True)

    def _row(self, name: str, work: Callable[[], Measurement]) -> None:
        if name in self.wanted:
            made = self._try(name, work)
            if made is not None:
                self.found[name] = made

    def _rejudging(self, python: Path) -> None:
        if self.wanted & {"B4", "B12"}:
            made, grown = rejudging.measure_all(python, quick=self.quick)
            self.found["B4"] = made
            self.growth.append(grown)

    def _cloud(self, python: Path) -> None:
        found, grown = cloud.measure_all(python, self.say, quick=self.quick)
        self.found |= found
        self.growth.append(grown)

    def _growth(self) -> None:
        if "B12" in self.wanted:
            made = judging.measure_growth(quick=self.quick)
            grown = (*self.growth, *made.growth)
            self.found["B12"] = Measurement(tuple(growth_line(each) for each in grown), grown)

    def _try(self, name: str, work: Callable[[], T]) -> T | None:
        """Do `work` for a row; where it fails, say so in the row."""
        self.say(f"{name}: {next(row.what for row in ROWS if row.id == name)}" if name in self.wanted else name)
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - one row that cannot be measured must not keep the others from it
            self.say(f"{name} could not be measured: {error}")
            self.found[name] = Measurement(verdict=Verdict.FAILED, notes=(f"{type(error).__name__}: {error}",))
            return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code: 1 where a row that was wanted could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=[row.id for row in ROWS], metavar="ROW")
    parser.add_argument("--render", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.render:
        write(recorded())
        return 0
    begun, machine = time.monotonic(), description()
    run = Run(frozenset(chosen.only or [row.id for row in ROWS]), quick=chosen.quick)
    run.measure()
    before: Mapping[str, Measurement] = recorded().rows if chosen.only and not chosen.quick and LATEST.is_file() else {}
    found = {name: made for name, made in run.found.items() if name in run.wanted}
    earlier = ", ".join(row.id for row in ROWS if row.id in before.keys() - found.keys())
    machine = {**machine, "earlier": earlier} if earlier else machine
    results = Results(machine, {**before, **found}, chosen.quick, time.monotonic() - begun)
    print(terminal(results))
    if chosen.quick:
        QUICK.write_text(json.dumps(results.to_wire(), indent=1), encoding="utf-8")
    else:
        LATEST.parent.mkdir(parents=True, exist_ok=True)
        LATEST.write_text(json.dumps(results.to_wire(), indent=1) + "\n", encoding="utf-8")
        write(recorded())
    unmeasured = [name for name in sorted(run.wanted) if results.rows.get(name, Measurement()).judged() is Verdict.FAILED]
    if unmeasured:
        print(f"could not be measured: {', '.join(unmeasured)}", file=sys.stderr)
    return 1 if unmeasured else 0


def recorded() -> Results:
    """Read the recorded results."""
    return Results.read(json.loads(LATEST.read_text(encoding="utf-8")))


def write(results: Results) -> None:
    """Write the page and the plots."""
    PAGE.write_text(page(results), encoding="utf-8")
    draw((each for made in results.rows.values() for each in made.growth), RESULTS)


if __name__ == "__main__":
    sys.exit(main())
