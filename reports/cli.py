"""Business Unit: reports | Status: current.

The commands that look back: `shadow report`, `site`, `week` and `readiness`. A command imports what it works with when it runs,
so that help needs neither the models nor pandas.
"""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from shadow.cli.output import BadInput, ExitCode, escape, finish, print_json, progress, say, write_whole
from shadow.cli.target import (
    EVER,
    AwsOption,
    DayOption,
    DecidedOption,
    FileOption,
    FolderOption,
    JsonOption,
    PolicyOption,
    StageOption,
    parse_day,
)
from shadow.contracts.words import count, usd

if TYPE_CHECKING:
    from reports.daily.values import DailyReport
    from reports.readiness.readiness import Criterion, Statement
    from reports.site import Written
    from reports.weekly import Weekly

OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Where the page is written.", metavar="FILE")]
MarkdownOption = Annotated[Path | None, typer.Option("--markdown", help="Also write it for a pull request.", metavar="FILE")]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Also write it for a build server.", metavar="FILE")]
AllOption = Annotated[bool, typer.Option("--all", help="Give every difference in full, not the worst three of each kind.")]
SiteOption = Annotated[Path, typer.Option("--out", help="The folder that the pages are written to.", metavar="DIR")]
RunbooksOption = Annotated[str, typer.Option("--runbooks", help="The address that runbooks lie below.", metavar="URL")]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Of a published version, by its own runs (shadow candidate).", metavar="N|ARN")
]
T = TypeVar("T")
_DAY_CODES = {
    "MATCHED": ExitCode.FINE,
    **dict.fromkeys(("INCOMPLETE", "PENDING", "NOTHING PUBLISHED"), ExitCode.INCOMPLETE),
}
_CRITERION_STYLE = {"pass": "green", "wait": "yellow", "fail": "bold red"}
_READINESS_STYLE = {"READY": "bold green", "NOT_YET": "yellow", "BLOCKED": "bold red"}


def report(
    *,
    day: DayOption = None,
    version: VersionOption = None,
    open_page: OpenOption = False,
    out: OutOption = None,
    markdown_file: MarkdownOption = None,
    junit_file: JunitOption = None,
    everything: AllOption = False,
    policy: PolicyOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the daily report: verdict, dollars, differences.

    It is the page that the daily mail links to.

    For example:

      shadow report --open

      shadow report --folder build/demo --date 2022-12-28 --out report.html

      shadow report --json --all | jq '.kinds[].examples[]'

      shadow report --version 3 --date 2026-11-27

      shadow report --markdown report.md --junit report.xml

    Exit code 1 where the day diverged, a lane is missing or pairs are unaccounted for; 4 where nothing diverged and not
    everything was compared, or nothing was published.
    """
    chosen = parse_day(day)

    def build() -> tuple[DailyReport, str]:
        from reports.daily.build import build_report
        from reports.daily.html import render_page
        from reports.daily.pipeline import junit, markdown
        from reports.material import Place, evidence, open_material

        material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
        wanted = chosen or material.shown_day()
        source, ledger, whose = evidence(material, version)
        shown = None if everything else material.settings.examples
        changes = {"examples": None if markdown_file or junit_file else shown, "stage": whose}
        settings = material.settings.model_copy(update=changes)
        whole = build_report(source, wanted, ledger=ledger, settings=settings)
        for path, written in ((markdown_file, markdown), (junit_file, junit)):
            if path is not None:
                write_whole(path, written(whole))
        built = whole if shown is None else whole.with_examples(shown)
        return built, render_page(built)

    built, page = _worked("building the report", build, quiet=as_json)
    path = out or Path("build/reports") / f"{built.day}.html"
    write_whole(path, page)
    print_json(built.to_wire() | {"page": str(path)}) if as_json else _print_report(built, path)
    if open_page:
        webbrowser.open(path.resolve().as_uri())
    finish(_DAY_CODES.get(built.verdict.value, ExitCode.DIVERGED))


def site(
    *,
    version: VersionOption = None,
    open_page: OpenOption = False,
    out: SiteOption = Path("build/site"),
    runbooks: RunbooksOption = "",
    policy: PolicyOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write pages to browse without a server.

    An index, and a page for each day, pair, kind, symbol and difference. They load nothing from anywhere.

    For example:

      shadow site --open

      shadow site --folder build/demo --out build/site

      shadow site --version 3 --out build/version-3
    """

    def write() -> Written:
        from reports.daily.build import build_statement
        from reports.material import Place, evidence, open_material
        from reports.site import Folder, Options, Register, write_days
        from reports.versions import versions_told

        material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
        source, ledger, whose = evidence(material, version)
        statement = build_statement(source, material.latest_day(), ledger=ledger, settings=material.settings)
        versions = versions_told(material.source) if version is None else ()
        options = Options(f"shadow {whose}", runbooks, versions=versions)
        counted = Register(material.settings.budgets, material.settings.register)
        return write_days(source, Folder(out), EVER, options=options, ledger=ledger, statement=statement, register=counted)

    written = _worked("writing the pages", write, quiet=as_json)
    index = (out / "index.html").resolve()
    if as_json:
        print_json({"index": str(index), "pages": written.pages, "changed": written.changed})
    else:
        say(f"{count(written.pages, 'page')}, {written.changed} new or changed: {escape(index.as_uri())}")
    if open_page:
        webbrowser.open(index.as_uri())
    finish(ExitCode.FINE)


def week(
    *,
    day: DayOption = None,
    policy: PolicyOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say which plans of a week diverged, and why.

    It also says which differences are new, still there or gone.

    For example:

      shadow week

      shadow week --folder build/demo --date 2022-12-23

      shadow week --json | jq '.differences[] | select(.state == "new")'

    The week of the trading day, up to that day. Exit code 1 where a plan's lanes do not agree, 4 where nothing was compared.
    """
    chosen = parse_day(day)

    def build() -> Weekly:
        from reports.material import Place, open_material
        from reports.site import Register
        from reports.weekly import build_week

        material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
        counted = Register(material.settings.budgets, material.settings.register)
        wanted = chosen or material.shown_day()
        return build_week(material.source, wanted, stage=stage, ledger=material.ledger, register=counted)

    built = _worked("gathering the week", build, quiet=as_json)
    print_json(built.to_wire() | {"sentence": built.sentence}) if as_json else _print_week(built)
    finish(ExitCode.DIVERGED if built.plans else ExitCode.FINE if built.pairs else ExitCode.INCOMPLETE)


def _print_week(week: Weekly) -> None:
    say(f"[bold]{week.first} to {week.last}[/bold]   {escape(week.sentence)}")
    say(escape(week.moved))
    for plan in week.plans:
        say(f"\n[bold]{plan.day} {escape(plan.verdict)}[/bold]  {usd(plan.gross)}  shadow explain {escape(quote(plan.plan_id))}")
        say(f"  {escape(plan.why)} {escape(plan.who)}")
    if week.differences:
        say()
    for each in week.differences:
        told = f"{each.severity.value:<9} {each.kind}, {each.trade}: {count(each.times, 'time')}, {usd(each.gross)}"
        say(f"[bold]{each.state:<12}[/bold]{escape(told)}")
        said = f"{each.departs}; first {each.first}, last {each.last}"
        say(f"[dim]{'':<12}{escape(said)}[/dim]")


def readiness(
    *,
    day: DayOption = None,
    version: VersionOption = None,
    policy: PolicyOption = None,
    decided: DecidedOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether it is safe to cut over, and why.

    READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason.

    For example:

      shadow readiness

      shadow readiness --folder build/demo --json | jq -r .readiness

      shadow readiness --decided readiness.toml

      shadow readiness --version 3

    Exit code 0 only when READY.
    """
    chosen = parse_day(day)

    def state() -> Statement:
        from reports.daily.build import build_statement
        from reports.material import Place, open_material, version_named
        from reports.promoting import weighed

        material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
        wanted, settings = chosen or material.latest_day(), material.decided(decided)
        if version is not None:
            return weighed(material, version_named(material, version), wanted, settings)
        return build_statement(material.source, wanted, ledger=material.ledger, settings=settings)

    statement = _worked("weighing the evidence", state, quiet=as_json)
    print_json(statement.to_wire()) if as_json else _print_statement(statement)
    finish(ExitCode.FINE if statement.readiness.value == "READY" else ExitCode.DIVERGED)


def _worked(text: str, work: Callable[[], T], *, quiet: bool) -> T:
    """Do the work with progress shown; a wrong day or place of the user's is bad input."""
    from reports.data.trading_calendar import NoTradingDay

    try:
        with progress(text, quiet=quiet):
            return work()
    except NoTradingDay as error:
        raise BadInput(str(error)) from None


def _print_report(built: DailyReport, path: Path) -> None:
    told = built.headline
    say(f"[bold]{built.day} {built.verdict.value}[/bold]   {escape(told.sentence)}")
    say(escape(f"{told.who} Worth {told.worth}. {told.todo}".strip()))
    if told.command:
        say(f"  [bold]{escape(told.command)}[/bold]")
    say(escape(built.counts.line))
    say(
        f"impact: net notional {usd(built.impact.notional, signed=True)}, cash {usd(built.impact.cash, signed=True)}, "
        f"gross {usd(built.impact.gross)} ({usd(built.impact.unexplained)} unexplained)"
    )
    say(f"money: {escape(built.money.line)}")
    style = _READINESS_STYLE[built.readiness.readiness.value]
    say(f"cut-over: [{style}]{built.readiness.readiness.value}[/], {escape(built.readiness.progress)}")
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
        say("How well its shadow agrees with it is in `shadow report`; after a roll back the evidence starts again.")
    for line in statement.accepted:
        say(f"[bold]decided by a person:[/bold] {escape(line)}")
    say(
        f"evidence: {count(statement.days, 'covered trading day')}{since} ({escape(statement.period_began)}), "
        f"{statement.in_a_row} of {statement.days_needed} in a row, "
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
    say(f"The bounds on trades assume that {escape(statement.assumption)}.")
    say(f"Assuming nothing: {escape(statement.without_assumption)}.")
    more = _needed(statement.more_days, statement.more_trades)
    if more:
        say(f"At today's rate the evidence needs {more}.")


def _print_criterion(criterion: Criterion) -> None:
    state = criterion.state.value
    say(f"[{_CRITERION_STYLE[state]}]{state:<5}[/][bold]{escape(criterion.title)}[/bold]")
    say(f"     {escape(criterion.figure)}  [dim](target: {escape(criterion.target)})[/dim]")
    if state != "pass":
        more = _needed(criterion.more_days, criterion.more_trades)
        reason = criterion.reason.removesuffix(".")
        say(f"     {escape(reason)}.{f' Needs {more}.' if more else ''}")


def _needed(days: int | None, trades: int | None) -> str:
    parts = [f"{count(days, 'more day')}" if days else "", f"{count(trades, 'more trade')}" if trades else ""]
    return " and ".join(part for part in parts if part)
