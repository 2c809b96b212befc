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
    Entry(
        "example",
        "local.cli",
        "Print a rebalance plan to publish: the newest day of the closing prices, from an account with 100,000 USD in cash.",
    ),
    Entry("up", "local.cli", "Start a local cloud with the template deployed, and leave it running."),
    Entry("down", "local.cli", "End the local cloud that `shadow up` left running."),
    Entry("publish", "shadow.cli.pairs", "Publish a plan to both lanes."),
    Entry("status", "shadow.cli.pairs", "Show where the pairs of a trading day stand, or one pair in full."),
    Entry("compare", "shadow.cli.pairs", "Settle one pair now, and print its verdict and differences."),
    Entry(
        "explain",
        "shadow.cli.pairs",
        "Explain one pair: plan, decisions, orders, fills, and the cause, rule and dollars of each difference.",
    ),
    Entry("report", "reports.cli", "Write the divergence report of a trading day: the page that the daily mail links to."),
    Entry(
        "site",
        "reports.cli",
        "Write pages to browse: an index, a page a day, a pair, a kind, a symbol and a difference. They ask nobody for anything.",
    ),
    Entry(
        "week",
        "reports.cli",
        "Say which plans of a week diverged and why, and which differences are new, still there or gone.",
    ),
    Entry(
        "rule",
        "reports.policies",
        "Explain one kind of difference: meaning, severity, what it follows from, runbook, and what the policy says of it.",
    ),
    Entry(
        "accept",
        "reports.policies",
        "Register a known divergence: add the narrowest entry that covers a plan's differences of one kind to a policy file.",
    ),
    Entry(
        "readiness",
        "reports.cli",
        "Say whether it is safe to cut over: READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason.",
    ),
    Entry(
        "rejudge",
        "reports.policies",
        "Judge stored pairs again under a policy, and show which verdicts flip and by which rule. Nothing stored is changed.",
    ),
    Entry(
        "noise",
        "reports.policies",
        "Measure the noise floor: what two runs of the same lane differ by, beside each tolerance. Nothing stored is changed.",
    ),
    Entry(
        "replay",
        "shadow.cli.runs",
        "Replay historical plans to the candidate in dry run, and compare with the control's archived outcomes.",
    ),
    Entry("version", "shadow.cli.runs", "Publish what is deployed as a version of the workflow, and list the versions."),
    Entry(
        "candidate",
        "shadow.cli.runs",
        "Shadow production with a published version: run each plan of the day by it, in dry run, and compare.",
    ),
    Entry(
        "promote",
        "reports.promoting",
        "Put a version into production: the alias names it from now on, and a record says who, when and why.",
    ),
    Entry(
        "rollback",
        "reports.promoting",
        "Put the version back that was in production before the last promotion. It needs no evidence: production judged it.",
    ),
    Entry(
        "redrive",
        "shadow.cli.operations",
        "Give dead letters another try: hints and publications go back to their queues, plans to the publishing function.",
    ),
    Entry(
        "orders",
        "shadow.cli.operations",
        "Show the orders of a run that may still be working at the broker; with --cancel, leave none of them.",
    ),
    Entry(
        "doctor",
        "shadow.cli.operations",
        "Check an AWS account before deployment: who, what, where, and what to do about each failure.",
    ),
    Entry("lane", "shadow.cli.operations", "Describe a workflow of your own by a file, so that it can be shadowed."),
    Entry(
        "demo",
        "local.cli",
        "Run ten trading days of real closing prices through both lanes, with planted differences, and find them all.",
    ),
    Entry(
        "chaos",
        "local.chaos.cli",
        "Kill, stall and lie at random while plans are published, then show that nothing was lost, doubled or hurt.",
    ),
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
