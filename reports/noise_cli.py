"""Business Unit: reports | Status: current.

`shadow noise`: how far two runs of the same lane are apart, beside each tolerance of the policy.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from reports.data.errors import UnreachableSource
from shadow.cli.errors import BadInput
from shadow.cli.output import ExitCode, finish, print_json, progress, say
from shadow.cli.status import parse_day
from shadow.cli.target import JsonOption
from shadow.cli.words import count
from shadow.contracts.vocabulary import Role

if TYPE_CHECKING:
    from reports.noise import Matching, ToleranceRow
    from shadow.compare.noise_floor import NoiseFloor
    from shadow.compare.policy import Policy

EVER = (date(2000, 1, 1), date(2999, 12, 31))
_STYLE = {"below the noise": "bold red", "close to the noise": "yellow", "clear of the noise": "green", "not measured": "dim"}


def noise(
    *,
    first: Annotated[str, typer.Option("--first", help="Where the first runs are stored: folder, .jsonl or s3://bucket.")],
    second: Annotated[str, typer.Option("--second", help="Where the second runs of the same plans are stored.")],
    role: Annotated[Role, typer.Option("--lane", help="The lane that ran twice.")] = Role.CONTROL,
    begin: Annotated[str | None, typer.Option("--from", help="From this trading day on.", metavar="DAY")] = None,
    end: Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="The policy; else the one packaged with the code.", metavar="FILE")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the tables that the policy takes.", metavar="FILE")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the noise floor: what two runs of the same lane differ by, beside each tolerance. Nothing stored is changed.

    [bold]Examples[/bold]

      shadow noise --first s3://alchemiser-prod-shadow-evidence-1 --second s3://alchemiser-aa-shadow-evidence-1

      shadow noise --first build/one --second build/two --out noise.toml && cat noise.toml >> policy.toml

    Exit code 1 where a tolerance lies below the noise: it would raise false alarms.
    """
    from reports.noise import Matching, to_toml, tolerances_of  # noqa: PLC0415 - help and completion stay quick
    from reports.sources import source_of  # noqa: PLC0415
    from shadow.compare.noise import noise_floor  # noqa: PLC0415
    from shadow.settlement.judging import policy_at  # noqa: PLC0415

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
        _write(out, to_toml(floor))
    print_json(_document(floor, rows, matching)) if as_json else _print(floor, rows, matching, measured)
    below = any(row.standing.value == "below the noise" for row in rows)
    finish(ExitCode.DIVERGED if below else ExitCode.FINE)


def _document(floor: NoiseFloor, rows: tuple[ToleranceRow, ...], matching: Matching) -> dict[str, object]:
    return {"noise": floor.to_wire(), "tolerances": [row.to_wire() for row in rows], "left_out": matching.left_out}


def _print(floor: NoiseFloor, rows: tuple[ToleranceRow, ...], matching: Matching, policy: Policy) -> None:
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
            f"  [{_STYLE[row.standing.value]}]{row.standing.value}[/]"
        )


def _left_out(matching: Matching) -> str:
    return ", ".join(f"{amount} {why}" for why, amount in sorted(matching.left_out.items())) or "nothing left out"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnreachableSource(str(path), "to be written", error.strerror or type(error).__name__) from None
