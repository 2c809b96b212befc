"""Business Unit: reports | Status: current.

The commands that look back: `shadow report`, `shadow readiness`, and those of modules of their own. pandas and what draws are
loaded by the command that needs them, so that help and completion stay quick.
"""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, TypeVar

from rich.progress import Progress

from reports.data.errors import NoTradingDay
from shadow.cli.errors import BadInput
from shadow.cli.output import ERR, ExitCode, escape, finish, print_json, progress, say, write_whole
from shadow.cli.status import parse_day
from shadow.contracts.vocabulary import Role
from shadow.contracts.words import count, usd

if TYPE_CHECKING:
    from reports.daily.values import DailyReport
    from reports.material import Material
    from reports.noise import Matching, ToleranceRow
    from reports.readiness.readiness import Criterion, Statement
    from reports.rejudge import Rejudged, Told
    from reports.rejudge_cloud import Cloud
    from reports.site.write import Written
    from reports.weekly import Weekly
    from shadow.compare.noise_floor import NoiseFloor
    from shadow.compare.policy import Policy

T = TypeVar("T")
EVER = (date(2000, 1, 1), date(2999, 12, 31))
SHOWN = 20
_STANDING_STYLE = {
    "below the noise": "bold red",
    "close to the noise": "yellow",
    "clear of the noise": "green",
    "not measured": "dim",
}
_DAY_CODES = {
    "MATCHED": ExitCode.FINE,
    **dict.fromkeys(("INCOMPLETE", "PENDING", "NOTHING PUBLISHED"), ExitCode.INCOMPLETE),
}
_CRITERION_STYLE = {"pass": "green", "wait": "yellow", "fail": "bold red"}
_READINESS_STYLE = {"READY": "bold green", "NOT_YET": "yellow", "BLOCKED": "bold red"}


def report(
    *,
    day: str | None,
    version: str | None,
    open_page: bool,
    out: Path | None,
    markdown_file: Path | None,
    junit_file: Path | None,
    everything: bool,
    policy: Path | None,
    folder: Path | None,
    file: Path | None,
    stage: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Do what `shadow report` is told to: its options are in `usage`."""
    chosen = parse_day(day)

    def build() -> tuple[DailyReport, str]:
        from reports.daily.build import build_report  # noqa: PLC0415
        from reports.daily.html import render_page  # noqa: PLC0415
        from reports.daily.pipeline import junit, markdown  # noqa: PLC0415
        from reports.material import Place, evidence, open_material  # noqa: PLC0415

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
    version: str | None,
    open_page: bool,
    out: Path,
    runbooks: str,
    folder: Path | None,
    file: Path | None,
    stage: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Do what `shadow site` is told to: its options are in `usage`."""

    def write() -> Written:
        from reports.daily.build import build_statement  # noqa: PLC0415
        from reports.material import Place, evidence, open_material  # noqa: PLC0415
        from reports.site.write import Folder, Options, write_days  # noqa: PLC0415
        from reports.versions import versions_told  # noqa: PLC0415

        material = open_material(Place(folder, file, stage, aws), None, as_json=as_json)
        source, ledger, whose = evidence(material, version)
        statement = build_statement(source, material.latest_day(), ledger=ledger, settings=material.settings)
        versions = versions_told(material.source) if version is None else ()
        options = Options(f"shadow {whose}", runbooks, versions=versions)
        return write_days(source, Folder(out), EVER, options=options, ledger=ledger, statement=statement)

    written = _worked("writing the pages", write, quiet=as_json)
    index = (out / "index.html").resolve()
    if as_json:
        print_json({"index": str(index), "pages": written.pages, "changed": written.changed})
    else:
        say(f"{count(written.pages, 'page')}, {written.changed} new or changed: {escape(index.as_uri())}")
    if open_page:
        webbrowser.open(index.as_uri())
    finish(ExitCode.FINE)


def week(*, day: str | None, folder: Path | None, file: Path | None, stage: str, aws: bool, as_json: bool) -> None:
    """Do what `shadow week` is told to: its options are in `usage`."""
    chosen = parse_day(day)

    def build() -> Weekly:
        from reports.material import Place, open_material  # noqa: PLC0415
        from reports.weekly import build_week  # noqa: PLC0415

        material = open_material(Place(folder, file, stage, aws), None, as_json=as_json)
        return build_week(material.source, chosen or material.shown_day(), stage=stage, ledger=material.ledger)

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
        said = f"{each.who} departs; first {each.first}, last {each.last}"
        say(f"[dim]{'':<12}{escape(said)}[/dim]")


def readiness(
    *,
    day: str | None,
    version: str | None,
    policy: Path | None,
    decided: Path | None,
    folder: Path | None,
    file: Path | None,
    stage: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Do what `shadow readiness` is told to: its options are in `usage`."""
    chosen = parse_day(day)

    def state() -> Statement:
        from reports.daily.build import build_statement  # noqa: PLC0415
        from reports.material import Place, open_material, version_named  # noqa: PLC0415
        from reports.promoting import weighed  # noqa: PLC0415

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
    try:
        with progress(text, quiet=quiet):
            return work()
    except NoTradingDay as error:
        raise BadInput(str(error)) from None


def _print_report(built: DailyReport, path: Path) -> None:
    say(f"[bold]{built.day} {built.verdict.value}[/bold]   {escape(built.sentence)}")
    say(escape(built.counts.line))
    say(
        f"impact: net notional {usd(built.impact.notional, signed=True)}, cash {usd(built.impact.cash, signed=True)}, "
        f"gross {usd(built.impact.gross)} ({usd(built.impact.unexplained)} unexplained)"
    )
    say(f"money: {escape(built.money.line)}")
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
        say(f"     {escape(criterion.reason)}{f' Needs {more}.' if more else ''}")


def _needed(days: int | None, trades: int | None) -> str:
    parts = [f"{count(days, 'more day')}" if days else "", f"{count(trades, 'more trade')}" if trades else ""]
    return " and ".join(part for part in parts if part)


def rejudge(
    *,
    policy: Path | None,
    first: str | None,
    last: str | None,
    folder: Path | None,
    file: Path | None,
    stage: str,
    aws: bool,
    no_cache: bool,
    whole: bool,
    in_cloud: bool,
    as_json: bool,
) -> None:
    """Do what `shadow rejudge` is told to: its options are in `usage`."""
    days = (parse_day(first) or EVER[0], parse_day(last) or EVER[1])
    if days[0] > days[1]:
        raise BadInput(f"--from and --to: expected {days[0]} to be no later than {days[1]}")

    from reports.material import Place, open_material  # noqa: PLC0415 - loads pandas
    from reports.rejudge import rejudge as judge_again  # noqa: PLC0415

    material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
    cloud = _cloud_of(material) if in_cloud else None
    with _counted("judging again", quiet=as_json) as tell:
        result = judge_again(material.source, material.policy, *days, keep=not no_cache, whole=whole, cloud=cloud, tell=tell)
    print_json(result.to_wire()) if as_json else _print_rejudged(result)
    finish(ExitCode.DIVERGED if result.flips else ExitCode.FINE)


def _cloud_of(material: Material) -> Cloud:
    """Give the stack's Distributed Map. Raises `BadInput` offline, and where the stack was deployed without it."""
    from reports.rejudge_cloud import Cloud  # noqa: PLC0415
    from shadow.aws import clients  # noqa: PLC0415

    if material.target is None:
        raise BadInput("--in-cloud: expected a deployed stack, was a folder or a file: leave out --folder and --file")
    machine = material.target.outputs.get("RejudgeStateMachineArn")
    if machine is None:
        raise BadInput("--in-cloud: expected a stack that can, was one without: deploy it with RejudgeInCloud=true")
    return Cloud(clients.stepfunctions(), clients.s3(), machine, material.target.name("EvidenceBucketName"))


@contextmanager
def _counted(text: str, *, quiet: bool) -> Iterator[Told]:
    """Show how far reading has come: a bar on a terminal, a line elsewhere, nothing where it is to be quiet."""
    if quiet or not ERR.is_terminal:
        with progress(text, quiet=quiet):
            yield lambda _done, _units: None
        return
    with Progress(console=ERR, transient=True) as bars:
        bar = bars.add_task(escape(text), total=None)
        yield lambda done, units: bars.update(bar, completed=done, total=units)


def _print_rejudged(result: Rejudged) -> None:
    pairs, trades = count(result.pairs, "pair"), count(result.trades, "trade")
    say(f"[bold]{pairs}[/bold], {trades}, judged by policy {result.policy_hash[:12]}")
    say(f"[dim]{count(result.judged, 'pair')} given to the judge; margins tell that the others are found alike[/dim]")
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


def noise(
    *,
    first: str,
    second: str,
    role: Role,
    begin: str | None,
    end: str | None,
    policy: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Do what `shadow noise` is told to: its options are in `usage`."""
    from reports.noise import Matching, to_toml, tolerances_of  # noqa: PLC0415 - help and completion stay quick
    from shadow.compare.noise import noise_floor  # noqa: PLC0415
    from shadow.settlement.judging import policy_at  # noqa: PLC0415
    from shadow.settlement.stored import source_of  # noqa: PLC0415

    days = (parse_day(begin) or EVER[0], parse_day(end) or EVER[1])
    if days[0] > days[1]:
        raise BadInput(f"--from and --to: expected {days[0]} to be no later than {days[1]}")
    rules = policy_at(str(policy or ""))
    matching = Matching(source_of(first), source_of(second), role)
    try:
        with progress("measuring the noise floor", quiet=as_json):
            floor = noise_floor(matching.runs(*days), rules)
    except ValueError as error:
        raise BadInput(f"{error} ({_left_out(matching)})") from None
    measured = rules.model_copy(update={"noise": floor})
    rows = tolerances_of(measured)
    if out is not None:
        write_whole(out, to_toml(floor))
    print_json(_noise_document(floor, rows, matching)) if as_json else _print_noise(floor, rows, matching, measured)
    below = any(row.standing.value == "below the noise" for row in rows)
    finish(ExitCode.DIVERGED if below else ExitCode.FINE)


def _noise_document(floor: NoiseFloor, rows: tuple[ToleranceRow, ...], matching: Matching) -> dict[str, object]:
    return {"noise": floor.to_wire(), "tolerances": [row.to_wire() for row in rows], "left_out": matching.left_out}


def _print_noise(floor: NoiseFloor, rows: tuple[ToleranceRow, ...], matching: Matching, policy: Policy) -> None:
    say(
        f"[bold]{count(floor.pairs, 'plan')}[/bold], each run twice by the {floor.role.value}, {floor.first_day} to"
        f" {floor.last_day}; policy {policy.hash[:12]}"
    )
    if matching.left_out:
        say(f"[dim]left out: {escape(_left_out(matching))}[/dim]")
    say(f"\n[dim]{'rule':<20}{'tolerance':<34}{'seen':>6}{'p95':>12}{'p99':>12}{'largest':>12}  counted in[/dim]")
    for row in rows:
        figures = "".join(
            f"{'-' if value is None else f'{value.normalize():f}':>12}" for value in (row.p95, row.p99, row.largest)
        )
        say(
            f"{row.rule:<20}{escape(row.tolerance):<34}{row.observations or 0:>6}{figures}  {escape(row.measure)}"
            f"  [{_STANDING_STYLE[row.standing.value]}]{row.standing.value}[/]"
        )


def _left_out(matching: Matching) -> str:
    return ", ".join(f"{amount} {why}" for why, amount in sorted(matching.left_out.items())) or "nothing left out"
