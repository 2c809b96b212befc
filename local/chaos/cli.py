"""Business Unit: local cloud | Status: current.

The command `shadow chaos`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shadow.cli.output import ERR, OUT, ExitCode, escape, fail, print_json
from shadow.cli.target import JsonOption

if TYPE_CHECKING:
    from local.chaos.result import ChaosResult

CHAOS_FOLDER = Path("build/chaos")
REPORT = "chaos.json"
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed strikes in the same order.")]
MinutesOption = Annotated[float, typer.Option("--minutes", min=0.05, max=30, help="How long plans are published under fire.")]


def chaos(*, seed: SeedOption = 1, minutes: MinutesOption = 1.0, as_json: JsonOption = False) -> None:
    """Break things at random while plans run, and check the end.

    It kills, stalls and lies, then shows that nothing was lost, doubled or harmed.

    For example:

      shadow chaos --seed 7 --minutes 2

      shadow chaos --minutes 1 --json | jq '.checks[] | select(.holds | not)'

    Leaves every fault with what became of it in build/chaos/chaos.json; ends with 1 when a check does not hold.
    """
    from local.chaos.run import run_chaos
    from local.cloud.errors import LocalCloudError

    try:
        result = run_chaos(seed, minutes, CHAOS_FOLDER, progress=_silent if as_json else _say)
    except LocalCloudError as error:
        fail(ExitCode.UNAVAILABLE, str(error), as_json=as_json)
    (CHAOS_FOLDER / REPORT).write_text(result.model_dump_json(indent=2), encoding="utf-8")
    if as_json:
        print_json(result.to_wire())
    else:
        _show(result)
    if not result.holds:
        raise typer.Exit(int(ExitCode.DIVERGED))


def _show(result: ChaosResult) -> None:
    from rich.table import Table

    faults = Table("fault", "times", title=f"{len(result.faults)} faults while {result.plans} plans ran (seed {result.seed})")
    for name, times in Counter(each.fault for each in result.faults).most_common():
        faults.add_row(name, str(times))
    ends = Table("plan", "faults", "what became of it")
    for plan_id, times in Counter(each.plan_id for each in result.faults).items():
        outcome = next(each.outcome for each in result.faults if each.plan_id == plan_id)
        ends.add_row(plan_id[-10:], str(times), outcome)
    checks = Table("", "check", "figures")
    for check in result.checks:
        checks.add_row("[green]✓[/green]" if check.holds else "[bold red]✗[/bold red]", check.name, escape(check.told))
    for table in (faults, ends, checks):
        OUT.print(table)
    OUT.print(f"{CHAOS_FOLDER / REPORT}   {result.seconds:.0f} s")


def _say(message: str) -> None:
    ERR.print(f"[dim]{escape(message)}[/dim]")


def _silent(message: str) -> None:
    del message
