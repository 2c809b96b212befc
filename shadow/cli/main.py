"""Business Unit: command line | Status: current.

The root of the `shadow` command. Whatever goes wrong below it ends in a sentence and a stable exit code, never in a traceback.
"""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from shadow import __version__
from shadow.cli.commands import COMMANDS, LaterCommand
from shadow.cli.errors import BadInput
from shadow.cli.installed import install_command
from shadow.cli.output import ExitCode, fail, refuse
from shadow.contracts.errors import ConfigurationError, ContractViolation, ShadowError, UnknownPair

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
        except KeyboardInterrupt:
            fail(ExitCode.INTERRUPTED, "interrupted", as_json=bool(ctx.meta.get(_JSON)))
        except _UsageError as error:
            _refuse_usage(error, as_json=bool(ctx.meta.get(_JSON)))
        except ModuleNotFoundError as error:
            how = install_command(error, ctx.invoked_subcommand)
            if how is None:
                raise
            fail(ExitCode.UNAVAILABLE, how, as_json=bool(ctx.meta.get(_JSON)), details={"kind": type(error).__name__})
        except OSError as error:
            if error.filename is None:
                raise
            told = f"{error.filename}: {(error.strerror or type(error).__name__).lower()}"
            fail(ExitCode.BAD_INPUT, told, as_json=bool(ctx.meta.get(_JSON)), details={"kind": type(error).__name__})
        except Exception as error:
            if not (isinstance(error, ShadowError) or _is_of_aws(error)):
                raise
            explain_failure(error, as_json=bool(ctx.meta.get(_JSON)))


class RootGroup(ShadowGroup):
    """The group of all commands, none of which is loaded before it is used."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override] # typer's own context
        """Give the names in the order of help."""
        del ctx
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override] # typer's own context
        """Give the stand-in of a command, which loads it when it is used."""
        del ctx
        return next((LaterCommand(entry) for entry in COMMANDS if entry.name == cmd_name), None)


def _is_of_aws(error: Exception) -> bool:
    """Tell whether AWS or the way to it failed; help does without loading what defines such errors."""
    found = sys.modules.get("botocore.exceptions")
    return found is not None and isinstance(error, (found.BotoCoreError, found.ClientError))


def _refuse_usage(error: Exception, *, as_json: bool) -> NoReturn:
    """End the command because of arguments that it does not take: as JSON where that was asked for, else with typer's help."""
    if not as_json:
        raise error
    fail(ExitCode.BAD_INPUT, str(error), as_json=True, details={"kind": type(error).__name__})


def explain_failure(error: Exception, *, as_json: bool) -> NoReturn:
    """End the command because of `error`: 2 where the input or the configuration is wrong, 3 where something is unavailable."""
    from shadow.compare.policy_text import InvalidPolicy  # noqa: PLC0415 - help does without the models

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
    cls=RootGroup,
    help="Publish every plan to both lanes, explain every difference in dollars, and say when it is safe to cut over.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 fine · 1 diverged or not ready · 2 bad input · 3 unavailable · 4 incomplete · 130 interrupted.",
)


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    """Hold the options of the command itself."""
    if version:
        typer.echo(f"shadow {__version__}")
        raise typer.Exit
