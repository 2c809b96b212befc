"""Business Unit: command line | Status: current.

The root of the `shadow` command. Whatever goes wrong below it ends in a sentence and a stable exit code, never in a traceback.

The commands of `shadow`: name, the line that help shows, and the module that has each. A command's module is imported when the
command is used, so that `shadow --help` takes a fraction of a second, and a part that is not installed costs only its commands.

Which part of an installation a missing package belongs to, and the command that installs it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from shadow import __version__
from shadow.cli.output import BadInput, ExitCode, fail, refuse
from shadow.contracts.errors import ConfigurationError, ContractViolation, ShadowError, UnknownPair


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its name, the module that has it under that name, and its summary, which begins its help."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Entry("example", "local.cli", "Print a rebalance plan to publish."),
    Entry("up", "local.cli", "Start a local cloud with the template deployed."),
    Entry("down", "local.cli", "End the local cloud that `shadow up` left running."),
    Entry("publish", "shadow.cli.pairs", "Publish a plan to both lanes."),
    Entry("status", "shadow.cli.pairs", "Show the pairs of a trading day, or one pair in full."),
    Entry("compare", "shadow.cli.pairs", "Settle one pair now, and print its verdict and differences."),
    Entry("explain", "shadow.cli.pairs", "Explain one pair: both lanes side by side, each difference."),
    Entry("report", "reports.cli", "Write the daily report: verdict, dollars, differences."),
    Entry("site", "reports.cli", "Write pages to browse without a server."),
    Entry("week", "reports.cli", "Say which plans of a week diverged, and why."),
    Entry("rule", "reports.policies", "Explain one kind of difference."),
    Entry("accept", "reports.policies", "Register differences as known, with owner and expiry."),
    Entry("readiness", "reports.cli", "Say whether it is safe to cut over, and why."),
    Entry("rejudge", "reports.policies", "Judge stored pairs again under another policy."),
    Entry("noise", "reports.policies", "Measure how much two runs of the same lane differ."),
    Entry("replay", "shadow.cli.runs", "Run past plans through the candidate, and compare."),
    Entry("version", "shadow.cli.runs", "Publish or list versions of the workflow."),
    Entry("candidate", "shadow.cli.runs", "Let a published version shadow production."),
    Entry("promote", "reports.promoting", "Put a version into production."),
    Entry("rollback", "reports.promoting", "Put back the version before the last promotion."),
    Entry("redrive", "shadow.cli.operations", "Send dead letters once more."),
    Entry("orders", "shadow.cli.operations", "Show the orders of a run that may still be working."),
    Entry("doctor", "shadow.cli.operations", "Check an AWS account before or after a deployment."),
    Entry("lane", "shadow.cli.operations", "Describe a workflow of your own by a file."),
    Entry("demo", "local.cli", "Run ten trading days through both lanes, and compare."),
    Entry("chaos", "local.chaos.cli", "Break things at random while plans run, and check the end."),
)


class LaterCommand(TyperCommand):
    """Stands for a command that is not loaded yet: help shows its summary, and the first use loads it."""

    def __init__(self, entry: Entry) -> None:
        """Remember what to load."""
        super().__init__(entry.name, help=entry.summary)
        self._entry = entry

    def make_context(self, *given: object, **named: object) -> typer.Context:
        """Load the command and let it parse its arguments. Raises ModuleNotFoundError where a part is not installed."""
        return load(self._entry).make_context(*given, **named)  # type: ignore[arg-type,return-value]


def load(entry: Entry) -> TyperCommand:
    """Import a command's module and give the command (a group, where the module has commands of its own below it)."""
    found = getattr(import_module(entry.module), entry.name)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(entry.name)(found)
        found = app
    command = get_command(found)
    command.name = entry.name
    return command  # type: ignore[return-value]


DISTRIBUTION = "shadow-lanes"
_NEEDS_LOCAL = ("up", "down", "demo", "chaos", "example")
_PART_OF = {
    "reports": ("exchange_calendars", "jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "scipy"),
    "broker": ("alpaca", "requests"),
    "local": ("ipykernel", "nbclient", "nbformat", "packaging"),
}


def install_command(missing: ModuleNotFoundError, command: str | None = None) -> str | None:
    """Say what to install for a package that is not there; None where no part of the installation brings it."""
    package = (missing.name or "").partition(".")[0]
    part = next((part for part, packages in _PART_OF.items() if package in packages), None)
    if part is None:
        return None
    if command in _NEEDS_LOCAL:
        part = "local"
    return f"{package} is not installed, and the command needs it: pip install '{DISTRIBUTION}[{part}]'"


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
