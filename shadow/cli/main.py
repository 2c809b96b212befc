"""Business Unit: command line | Status: current.

The root of the `shadow` command: its own commands, and those that other rooms registered.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from shadow import __version__
from shadow.cli.output import ERR, ExitCode
from shadow.contracts.errors import ConfigurationError, ContractViolation

COMMAND_GROUP = "shadow.commands"
app = typer.Typer(
    name="shadow",
    help="Publish every plan to both lanes, explain every difference in dollars, and say when it is safe to cut over.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 fine · 1 diverged or not ready · 2 bad input · 3 unavailable.",
)


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    """Hold the options of the command itself."""
    if version:
        typer.echo(f"shadow {__version__}")
        raise typer.Exit


def load_commands() -> None:
    """Let every room add its commands."""
    for entry in sorted(entry_points(group=COMMAND_GROUP), key=lambda point: point.name):
        entry.load()(app)


def main() -> None:
    """Run the command; an AWS or configuration failure ends it with a sentence instead of a traceback."""
    load_commands()
    try:
        app()
    except (ContractViolation, ConfigurationError) as error:
        ERR.print(f"[bold red]{type(error).__name__}[/bold red]: ", end="")
        ERR.print(str(error), markup=False)
        sys.exit(int(ExitCode.BAD_INPUT))
    except (BotoCoreError, ClientError) as error:
        ERR.print("[bold red]unavailable[/bold red]: ", end="")
        ERR.print(str(error), markup=False)
        sys.exit(int(ExitCode.UNAVAILABLE))
