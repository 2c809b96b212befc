"""Business Unit: reports | Status: current.

The commands that look back: `shadow report`, `shadow readiness`, and those of modules of their own. pandas and what draws are
loaded by the command that needs them, so that help and completion stay quick.
"""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape

from reports.data.errors import NoTradingDay, UnreachableSource
from reports.noise_cli import noise
from reports.rejudge_cli import PolicyOption, rejudge
from shadow.cli.errors import BadInput
from shadow.cli.output import ExitCode, finish, print_json, progress, say
from shadow.cli.status import DayOption, parse_day
from shadow.cli.stored import FileOption, FolderOption
from shadow.cli.target import AwsOption, JsonOption, StageOption
from shadow.cli.words import count, usd

if TYPE_CHECKING:
    from reports.daily.values import DailyReport
    from reports.readiness.readiness import Criterion, Statement

T = TypeVar("T")
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Where the page is written.", metavar="FILE")]
_CRITERION_STYLE = {"pass": "green", "wait": "yellow", "fail": "bold red"}
_READINESS_STYLE = {"READY": "bold green", "NOT_YET": "yellow", "BLOCKED": "bold red"}


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    for command in (report, readiness, rejudge, noise):
        app.command()(command)


def report(
    *,
    day: DayOption = None,
    open_page: OpenOption = False,
    out: OutOption = None,
    policy: PolicyOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the divergence report of a trading day: the page that the daily mail links to.

    [bold]Examples[/bold]

      shadow report --open

      shadow report --folder build/demo --date 2022-12-28 --out report.html

      shadow report --json | jq .counts

    Exit code 1 where the day's verdict is not MATCHED.
    """
    chosen = parse_day(day)

    def build() -> tuple[DailyReport, str]:
        from reports.daily.build import build_report  # noqa: PLC0415
        from reports.daily.html import render_page  # noqa: PLC0415
        from reports.material import Place, open_material  # noqa: PLC0415

        material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
        wanted = chosen or material.latest_day()
        built = build_report(material.source, wanted, ledger=material.ledger, settings=material.settings)
        return built, render_page(built)

    built, page = _worked("building the report", build, quiet=as_json)
    path = out or Path("build/reports") / f"{built.day}.html"
    _write(path, page)
    print_json(built.to_wire() | {"page": str(path)}) if as_json else _print_report(built, path)
    if open_page:
        webbrowser.open(path.resolve().as_uri())
    finish(ExitCode.FINE if built.verdict.value == "MATCHED" else ExitCode.DIVERGED)


def readiness(
    *,
    day: DayOption = None,
    policy: PolicyOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether it is safe to cut over: READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason.

    [bold]Examples[/bold]

      shadow readiness

      shadow readiness --folder build/demo --json | jq -r .readiness

    Exit code 0 only when READY.
    """
    chosen = parse_day(day)

    def state() -> Statement:
        from reports.daily.build import build_statement  # noqa: PLC0415
        from reports.material import Place, open_material  # noqa: PLC0415

        material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
        wanted = chosen or material.latest_day()
        return build_statement(material.source, wanted, ledger=material.ledger, settings=material.settings)

    statement = _worked("weighing the evidence", state, quiet=as_json)
    print_json(statement.to_wire()) if as_json else _print_statement(statement)
    finish(ExitCode.FINE if statement.readiness.value == "READY" else ExitCode.DIVERGED)


def _worked(text: str, work: Callable[[], T], *, quiet: bool) -> T:
    """Do the work with progress shown; a wrong day or place of the user's is bad input."""
    try:
        with progress(text, quiet=quiet):
            return work()
    except NoTradingDay as error:
        raise BadInput(str(error)) from None


def _write(path: Path, page: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UnreachableSource(str(path), "to be written", error.strerror or type(error).__name__) from None


def _print_report(built: DailyReport, path: Path) -> None:
    say(f"[bold]{built.day} {built.verdict.value}[/bold]   {escape(built.sentence)}")
    say(escape(built.counts.line))
    say(
        f"impact: net notional {usd(built.impact.notional, signed=True)}, cash {usd(built.impact.cash, signed=True)}, "
        f"gross {usd(built.impact.gross)} ({usd(built.impact.unexplained)} unexplained)"
    )
    style = _READINESS_STYLE[built.readiness.readiness.value]
    say(f"cut-over: [{style}]{built.readiness.readiness.value}[/], {built.readiness.days} of {built.readiness.days_needed} days")
    if built.kinds:
        say()
        say(f"[dim]{'kind':<32}{'severity':<10}{'count':>6}{'unexplained':>13}{'gross':>18}[/dim]")
    for group in built.kinds:
        say(f"{escape(group.kind):<32}{group.severity.value:<10}{group.count:>6}{group.unexplained:>13}{usd(group.gross):>18}")
    say(f"\npage: {escape(str(path))}")


def _print_statement(statement: Statement) -> None:
    style = _READINESS_STYLE[statement.readiness.value]
    since = f" since {statement.first_day}" if statement.first_day else ""
    say(f"[{style}]{statement.readiness.value}[/] as of {statement.as_of}")
    if statement.workflow_in_production:
        say("[bold]The workflow is in production: there is nothing to cut over to.[/bold] No day of it counts below.")
        say("How well its shadow agrees with it is in `shadow report`; after a roll back the evidence begins anew.")
    say(
        f"evidence: {statement.days} of {count(statement.days_needed, 'trading day')} in a row{since}, "
        f"{count(statement.runs, 'run')}, {count(statement.trades, 'trade')} "
        f"(and {count(statement.drills, 'drill')}, not counted)"
    )
    say()
    for criterion in statement.criteria:
        _print_criterion(criterion)
    say()
    if statement.never_exercised:
        say(f"never exercised live: {escape(', '.join(statement.never_exercised))}")
    if statement.only_drilled:
        say(f"only in replays and planted runs: {escape(', '.join(statement.only_drilled))}")
    more = _needed(statement.more_days, statement.more_trades)
    if more:
        say(f"at the present rate the evidence needs {more}")


def _print_criterion(criterion: Criterion) -> None:
    state = criterion.state.value
    say(f"[{_CRITERION_STYLE[state]}]{state:<5}[/][bold]{escape(criterion.title)}[/bold]")
    say(f"     {escape(criterion.figure)}  [dim](target: {escape(criterion.target)})[/dim]")
    if state != "pass":
        more = _needed(criterion.more_days, criterion.more_trades)
        say(f"     {escape(criterion.reason)}{f' Needs {more}.' if more else ''}")


def _needed(days: int | None, trades: int | None) -> str:
    parts = [f"{count(days, 'more day')}" if days else "", f"{count(trades, 'more trade')}" if trades else ""]
    return " and ".join(part for part in parts if part)
