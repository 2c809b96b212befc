"""Business Unit: command line | Status: current.

The commands of `shadow`: name, the line that help shows, and the module that has each. A command's module is imported when the
command is used, so that `shadow --help` takes a fraction of a second, and a part that is not installed costs only its commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import typer
from typer.core import TyperCommand
from typer.main import get_command


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
