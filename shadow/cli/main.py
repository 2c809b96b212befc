"""Business Unit: command line | Status: current.

The root of the `shadow` command: its own commands, and those that other rooms registered. Whatever goes wrong below it ends
in a sentence and a stable exit code, never in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape
from typer.core import TyperGroup

from shadow import __version__
from shadow.cli.errors import BadInput
from shadow.cli.output import ERR, ExitCode, fail, refuse
from shadow.compare.policy_text import InvalidPolicy
from shadow.contracts.errors import ConfigurationError, ContractViolation, ShadowError, UnknownPair

COMMAND_GROUP = "shadow.commands"
_JSON = "shadow.as_json"
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer does not export the base of its own refusals


class ShadowGroup(TyperGroup):
    """Turns what a command raises into a sentence and an exit code."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # typer's own context
        """Note, before anything can fail, whether the answer is to be JSON."""
        ctx.meta[_JSON] = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            _refuse_usage(error, as_json=bool(ctx.meta[_JSON]))

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] # typer's own context
        """Run the command."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            _refuse_usage(error, as_json=bool(ctx.meta.get(_JSON)))
        except (ShadowError, BotoCoreError, ClientError) as error:
            explain_failure(error, as_json=bool(ctx.meta.get(_JSON)))


def _refuse_usage(error: Exception, *, as_json: bool) -> NoReturn:
    """End the command because of arguments that it does not take: as JSON where that was asked for, else with typer's help."""
    if not as_json:
        raise error
    fail(ExitCode.BAD_INPUT, str(error), as_json=True, details={"kind": type(error).__name__})


def explain_failure(error: Exception, *, as_json: bool) -> NoReturn:
    """End the command because of `error`: 2 where the input or the configuration is wrong, 3 where something is unavailable."""
    if isinstance(error, ContractViolation):
        refuse(error, as_json=as_json)
    wrong = isinstance(error, (BadInput, ConfigurationError, InvalidPolicy, UnknownPair))
    details: dict[str, object] = {"kind": type(error).__name__}
    if isinstance(error, InvalidPolicy):
        details["faults"] = [{"line": fault.line, "key": fault.key, "fault": str(fault)} for fault in error.faults]
    text = str(error)
    if isinstance(error, InvalidPolicy) and not as_json:
        text = "\n".join([f"{error.name} refused", *(f"  {fault}" for fault in error.faults)])
    fail(ExitCode.BAD_INPUT if wrong else ExitCode.UNAVAILABLE, text, as_json=as_json, details=details)


app = typer.Typer(
    name="shadow",
    cls=ShadowGroup,
    help="Publish every plan to both lanes, explain every difference in dollars, and say when it is safe to cut over.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine · 1 diverged or not ready · 2 bad input · 3 unavailable.",
)


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    """Hold the options of the command itself."""
    if version:
        typer.echo(f"shadow {__version__}")
        raise typer.Exit


def load_commands(target: typer.Typer = app, entries: Iterable[EntryPoint] | None = None) -> list[str]:
    """Let every room add its commands; gives a warning for each that could not, and goes on with the others."""
    warnings = []
    for entry in sorted(entry_points(group=COMMAND_GROUP) if entries is None else entries, key=lambda point: point.name):
        try:
            register: Callable[[typer.Typer], None] = entry.load()
        except (ImportError, AttributeError) as error:
            warnings.append(f"the commands of {entry.name} ({entry.value}) are missing: {type(error).__name__}: {error}")
            continue
        register(target)
    return warnings


def main() -> None:
    """Run the command."""
    for warning in load_commands():
        ERR.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)
    app()
