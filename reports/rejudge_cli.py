"""Business Unit: reports | Status: current.

`shadow rejudge`: yesterday under tomorrow's rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from shadow.cli.errors import BadInput
from shadow.cli.output import ERR, ExitCode, finish, print_json, progress, say
from shadow.cli.status import parse_day
from shadow.cli.stored import FileOption, FolderOption
from shadow.cli.target import AwsOption, JsonOption, StageOption
from shadow.cli.words import count

if TYPE_CHECKING:
    from reports.rejudge.shelf import Told
    from reports.rejudged import Rejudged

PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="The policy; else the one packaged with the code.", metavar="FILE")
]
FromOption = Annotated[str | None, typer.Option("--from", help="From this trading day on.", metavar="DAY")]
ToOption = Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Read every document, and keep nothing for the next time.")]
EVER = (date(2000, 1, 1), date(2999, 12, 31))
SHOWN = 20


def rejudge(
    *,
    policy: PolicyOption = None,
    first: FromOption = None,
    last: ToOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    no_cache: NoCacheOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge stored pairs again under a policy, and show which verdicts flip and by which rule. Nothing stored is changed.

    [bold]Examples[/bold]

      shadow rejudge --policy tighter.toml --folder build/demo

      shadow rejudge --policy tighter.toml --from 2026-11-02 --to 2026-11-20 --json | jq .flips

    The first time, every document is read, on all cores. What judging needs of it is kept, a file a day, in .rejudge/ of the
    folder or beside the file, of a bucket in ~/.cache/shadow/rejudge/: from then on a million trades take seconds. A new or
    changed document has its day read again; a policy that asks for other evidence, or other code, every day.

    A wrong policy is refused with line, key and expectation. Exit code 1 where a verdict flips.
    """
    days = (parse_day(first) or EVER[0], parse_day(last) or EVER[1])
    if days[0] > days[1]:
        raise BadInput(f"--from and --to: expected {days[0]} to be no later than {days[1]}")

    from reports.material import Place, open_material  # noqa: PLC0415 - loads pandas
    from reports.rejudged import rejudge as judge_again  # noqa: PLC0415

    material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
    with _counted("judging again", quiet=as_json) as tell:
        result = judge_again(material.source, material.policy, *days, keep=not no_cache, tell=tell)
    print_json(result.to_wire()) if as_json else _print_rejudged(result)
    finish(ExitCode.DIVERGED if result.flips else ExitCode.FINE)


@contextmanager
def _counted(text: str, *, quiet: bool) -> Iterator[Told]:
    """Show how far reading has come: a bar on a terminal, a line elsewhere, nothing where it is to be quiet."""
    if quiet or not ERR.is_terminal:
        with progress(text, quiet=quiet):
            yield lambda _done, _units: None
        return
    with Progress(console=ERR, transient=True) as bars:
        bar = bars.add_task(escape(text), total=None)
        yield lambda done, units: bars.update(bar, completed=done, total=units, description="reading stored pairs")


def _print_rejudged(result: Rejudged) -> None:
    pairs, trades = count(result.pairs, "pair"), count(result.trades, "trade")
    say(f"[bold]{pairs}[/bold], {trades}, judged by policy {result.policy_hash[:12]}")
    verdicts: Sequence[str] = sorted({verdict.value for verdict in result.before | result.after})
    say(f"[dim]{'verdict':<20}{'before':>8}{'after':>8}[/dim]")
    before = {verdict.value: amount for verdict, amount in result.before.items()}
    after = {verdict.value: amount for verdict, amount in result.after.items()}
    for verdict in verdicts:
        say(f"{verdict:<20}{before.get(verdict, 0):>8}{after.get(verdict, 0):>8}")
    if not result.changes:
        say("\n[green]nothing changes[/green]")
        return
    say(f"\n[dim]{'rule':<32}{'came':>8}{'went':>8}[/dim]")
    for kind in sorted(result.came.keys() | result.went.keys()):
        say(f"{escape(kind):<32}{result.came[kind]:>8}{result.went[kind]:>8}")
    flipped = [change for change in result.changes if change.before is not change.after]
    say(f"\n{count(len(flipped), 'verdict')} flip{'s' if len(flipped) == 1 else ''}")
    for change in flipped[:SHOWN]:
        why = ", ".join([*(f"+{kind}" for kind in change.came), *(f"-{kind}" for kind in change.went)])
        say(f"{change.trading_day}  {change.before.value} → {change.after.value}  {escape(change.plan_id)}")
        say(f"            [dim]{escape(why)}[/dim]")
    if len(flipped) > SHOWN:
        say(f"… and {len(flipped) - SHOWN} more (--json has them all)")
