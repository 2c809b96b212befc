"""Business Unit: command line | Status: current.

How every command speaks: tables and colours for people (colours only on a terminal), one JSON document with `--json` for
programs, progress on standard error, and stable exit codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shadow.contracts.errors import ContractViolation

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)


class ExitCode(IntEnum):
    """What a program can rely on."""

    FINE = 0
    DIVERGED = 1
    BAD_INPUT = 2
    UNAVAILABLE = 3


VERDICT_STYLE = {
    "MATCHED": "green",
    "IGNORED": "yellow",
    "PENDING": "cyan",
    "INCOMPLETE": "magenta",
    "DIVERGED": "bold red",
    "MISSING_CONTROL": "bold red",
    "MISSING_CANDIDATE": "bold red",
}


def styled_verdict(verdict: str) -> str:
    """Colour a verdict for a person."""
    style = VERDICT_STYLE.get(verdict, "white")
    return f"[{style}]{verdict}[/{style}]"


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; cells may carry rich markup, so whoever builds them escapes foreign text."""
    view = Table(title=title, title_justify="left", header_style="bold", expand=False)
    for column in columns:
        view.add_column(column, overflow="fold")
    for row in rows:
        view.add_row(*row)
    OUT.print(view)


def fail(code: ExitCode, message: str, *, as_json: bool, details: Mapping[str, object] | None = None) -> NoReturn:
    """End the command with `code`, saying why on standard error (or as JSON on standard output)."""
    if as_json:
        print_json({"error": message, "exit_code": int(code), **(details or {})})
    else:
        ERR.print(f"[bold red]{escape(message)}[/bold red]")
    raise typer.Exit(int(code))


def refuse(violation: ContractViolation, *, as_json: bool) -> NoReturn:
    """End the command because its input breaks a contract, naming every faulty field."""
    faults = [{"field": f.field, "expected": f.expected, "found": f.found} for f in violation.faults]
    if not as_json:
        ERR.print(f"[bold red]{escape(violation.what)} refused: {len(faults)} faulty field(s). Nothing was published.[/bold red]")
        for fault in faults:
            where, expected, found = escape(fault["field"]), escape(fault["expected"]), escape(fault["found"])
            ERR.print(f"  [bold]{where}[/bold]: expected {expected}, was {found}")
        raise typer.Exit(int(ExitCode.BAD_INPUT))
    message = f"{violation.what} refused"
    fail(ExitCode.BAD_INPUT, message, as_json=True, details={"faults": faults})


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Show that something is going on: a spinner on a terminal, a line elsewhere."""
    if quiet:
        yield
    elif ERR.is_terminal:
        with ERR.status(escape(text)):
            yield
    else:
        ERR.print(escape(text) + " …")
        yield
