"""Business Unit: tests | Status: current.

`make simulate`: many seeded simulations, each with faults drawn anew, and an auditor's word on each. In a schedule publishing,
intake, comparator and sweeper run over services that fail, and the lanes are played; in a draw both lanes are real and misbehave,
in swapped ones with the workflow in production. What an auditor does not agree with is printed with its seed, which runs it
again: `make simulate SCHEDULE=…`, `SEED=…` or `SWAPPED_SEED=…`. Exit code 1 where there is any.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context

from shadow.contracts.vocabulary import Lane
from tests.simulation.auditor import audit
from tests.simulation.draws import Draws, Result, mode_of, simulate, simulate_swapped
from tests.simulation.schedule_audit import audit_schedule, simulate_schedules
from tests.simulation.schedules import composed, schedule
from tests.simulation.world import simulation, without_logs

BLOCK = 200
SHOWN = 20


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{line}\n")


def show(seed: int, in_production: Lane) -> Result:
    """Run one draw again and print what the world saw."""
    with without_logs(), simulation(mode_of(seed), in_production) as lanes:
        seen, honest = Draws(lanes).run(seed)
    wrong = audit(seen, honest)
    say(f"seed {seed}, {seen.mode}, {in_production} in production: {len(seen.situation.plan.tradable_items)} trades")
    for fault in seen.faults:
        say(f"  fault {fault}")
    for role, account in seen.accounts.items():
        for order in account.orders:
            price = order.average_price
            say(f"  {role} {order.side} {order.quantity} {order.symbol} {order.status} {order.filled_quantity} at {price}")
    if seen.comparison is not None:
        say(f"  {seen.comparison.verdict}, gross {seen.comparison.gross_impact:.2f} USD")
        for each in seen.comparison.differences:
            say(f"    {each.severity} {each.kind} {each.symbol or ''} [{each.attribution}] {each.explanation}")
        for gap in seen.comparison.gaps:
            say(f"    gap {gap}")
    for line in wrong or ["nothing is wrong"]:
        say(f"  {line}")
    return Result(1, {}, {}, {seed: wrong} if wrong else {})


def show_schedule(seed: int) -> Result:
    """Run one schedule again and print what happened."""
    with composed():
        world = schedule(seed)
        wrong = audit_schedule(world)
    lane = "the workflow" if world.swapped else "the legacy lane"
    say(f"schedule {seed}: {lane} is in production, the world heals after {world.heals_at:.0f} s, {dict(world.wire.struck)}")
    for call in world.calls:
        say(f"  {call.fate}; called {len(call.reached)} times, the caller got {call.outcome!r}")
    for message, fields, _ in world.recorder.lines:
        say(f"  {message}: {dict(fields)}")
    for line in wrong or ["nothing is wrong"]:
        say(f"  {line}")
    return Result(1, {}, {}, {seed: wrong} if wrong else {})


def blocks(first: int, count: int) -> Iterator[range]:
    """Cut the seeds into blocks of whole worlds."""
    for begin in range(first, first + count, BLOCK):
        yield range(begin, min(begin + BLOCK, first + count))


def run(name: str, work: Callable[[Iterable[int]], Result], seeds: Iterator[range], count: int, processes: int) -> Result:
    """Do the work of all seeds, saying how far it is and what failed."""
    total, begun = Result(), time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(work, block) for block in seeds]):
            found = done.result()
            total.add(found)
            seconds = time.monotonic() - begun
            left = seconds / total.draws * (count - total.draws)
            told = f"{total.draws} of {count} {name}, {len(total.failures)} failed, {seconds:.0f} s, {left:.0f} s to go"
            failed = "".join(f"  seed {seed}: {'; '.join(lines)}\n" for seed, lines in sorted(found.failures.items()))
            sys.stderr.write(f"{told}\n{failed}")
            sys.stderr.flush()
    return total


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="make simulate", description="Simulate worlds in which things fail, and audit them.")
    parser.add_argument("--schedules", type=int, default=100_000, help="how many schedules")
    parser.add_argument("--draws", type=int, default=5_000, help="how many draws")
    parser.add_argument("--swapped", type=int, default=0, help="how many draws with the workflow in production")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--schedule", type=int, help="run the schedule of this seed alone again, and show it")
    parser.add_argument("--seed", type=int, help="run the draw of this seed alone again, and show it")
    parser.add_argument("--swapped-seed", type=int, help="the same with the workflow in production")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    if options.schedule is not None:
        return 1 if show_schedule(options.schedule).failures else 0
    for seed, lane in ((options.seed, Lane.LEGACY), (options.swapped_seed, Lane.WORKFLOW)):
        if seed is not None:
            return 1 if show(seed, lane).failures else 0
    works = {
        "schedules": (simulate_schedules, options.schedules, "SCHEDULE"),
        "draws": (simulate, options.draws, "SEED"),
        "swapped draws": (simulate_swapped, options.swapped, "SWAPPED_SEED"),
    }
    totals = {
        name: run(name, work, blocks(options.first, count), count, options.processes)
        for name, (work, count, _) in works.items()
        if count
    }
    if options.json:
        say(json.dumps({name: asdict(total) for name, total in totals.items()}))
    for name, total in totals.items() if not options.json else ():
        say(f"{total.draws} {name}: " + ", ".join(f"{count} {verdict}" for verdict, count in total.verdicts.items()))
        for seed, lines in sorted(total.failures.items())[:SHOWN]:
            say(f"seed {seed} (make simulate {works[name][2]}={seed})\n  " + "\n  ".join(lines))
        more = len(total.failures) - SHOWN
        say(f"{len(total.failures)} failed" + (f", {more} of them not shown" if more > 0 else ""))
    return 1 if any(total.failures for total in totals.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
