"""Business Unit: command line | Status: current.

The options that commands of several modules have in common, and how a day on the command line is read.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, overload

import typer

from shadow.cli.errors import BadInput

EVER = (date(2000, 1, 1), date(2999, 12, 31))
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="Read stored comparisons below this folder instead, such as build/demo.", metavar="DIR"),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Read stored comparisons of this file instead, one a line.", metavar="JSONL")
]
StageOption = Annotated[str, typer.Option("--stage", help="The deployed stage to talk to on AWS.", envvar="SHADOW_STAGE")]
AwsOption = Annotated[bool, typer.Option("--aws", help="Talk to AWS even while a local cloud is running.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DayOption = Annotated[
    str | None,
    typer.Option("--date", help="The trading day, YYYY-MM-DD; else today, or the latest day that has pairs.", metavar="DAY"),
]
FromOption = Annotated[str | None, typer.Option("--from", help="From this trading day on.", metavar="DAY")]
ToOption = Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")]


@overload
def parse_day(text: str) -> date: ...
@overload
def parse_day(text: str | None) -> date | None: ...
def parse_day(text: str | None) -> date | None:
    """Read a day given on the command line; raises `BadInput`."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is no day: write YYYY-MM-DD, for example 2026-11-24") from None


def days_between(first: str | None, last: str | None) -> tuple[date, date]:
    """Read the first and the last day of a span; one that is not given leaves the span open. Raises `BadInput`."""
    days = parse_day(first) or EVER[0], parse_day(last) or EVER[1]
    if days[0] > days[1]:
        raise BadInput(f"--from {days[0]} is after --to {days[1]}")
    return days
