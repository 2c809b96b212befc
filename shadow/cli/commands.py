"""Business Unit: command line | Status: current.

The commands of `shadow`: name, the line that help shows, and the module that has each. A command's module is imported when the
command is used, so that `shadow --help` takes a fraction of a second, and a part that is not installed costs only its commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import typer
from typer.core import TyperCommand
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its name, the module that has it under that name, and its summary, which begins its help."""

    name: str
    module: Callable[[], ModuleType]
    summary: str


def _own() -> ModuleType:
    from shadow.cli import usage  # noqa: PLC0415 - loaded when one of its commands is used

    return usage


def _reports() -> ModuleType:
    from reports import usage  # noqa: PLC0415 - the reports are not part of a plain installation

    return usage


def _local() -> ModuleType:
    from local import cli  # noqa: PLC0415

    return cli


def _chaos() -> ModuleType:
    from local.chaos import cli  # noqa: PLC0415

    return cli


COMMANDS = (
    Entry(
        "example",
        _local,
        "Print a rebalance plan to publish: the newest day of the closing prices, from an account with 100,000 USD in cash.",
    ),
    Entry("up", _local, "Start a local cloud with the template deployed, and leave it running."),
    Entry("down", _local, "End the local cloud that `shadow up` left running."),
    Entry("publish", _own, "Publish a plan to both lanes."),
    Entry("status", _own, "Show where the pairs of a trading day stand, or one pair in full."),
    Entry("compare", _own, "Settle one pair now, and print its verdict and differences."),
    Entry(
        "explain",
        _own,
        "Explain one pair: plan, decisions, orders, fills, and the cause, rule and dollars of each difference.",
    ),
    Entry("report", _reports, "Write the divergence report of a trading day: the page that the daily mail links to."),
    Entry(
        "site",
        _reports,
        "Write pages to browse: an index, a page a day, a pair, a kind, a symbol and a difference. They ask nobody for anything.",
    ),
    Entry(
        "week",
        _reports,
        "Say which plans of a week diverged and why, and which differences are new, still there or gone.",
    ),
    Entry(
        "rule",
        _reports,
        "Explain one kind of difference: meaning, severity, what it follows from, runbook, and what the policy says of it.",
    ),
    Entry(
        "accept",
        _reports,
        "Register a known divergence: add the narrowest entry that covers a plan's differences of one kind to a policy file.",
    ),
    Entry(
        "readiness",
        _reports,
        "Say whether it is safe to cut over: READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason.",
    ),
    Entry(
        "rejudge",
        _reports,
        "Judge stored pairs again under a policy, and show which verdicts flip and by which rule. Nothing stored is changed.",
    ),
    Entry(
        "noise",
        _reports,
        "Measure the noise floor: what two runs of the same lane differ by, beside each tolerance. Nothing stored is changed.",
    ),
    Entry(
        "replay",
        _own,
        "Replay historical plans to the candidate in dry run, and compare with the control's archived outcomes.",
    ),
    Entry("version", _own, "Publish what is deployed as a version of the workflow, and list the versions."),
    Entry(
        "candidate",
        _own,
        "Shadow production with a published version: run each plan of the day by it, in dry run, and compare.",
    ),
    Entry(
        "promote",
        _reports,
        "Put a version into production: the alias names it from now on, and a record says who, when and why.",
    ),
    Entry(
        "rollback",
        _reports,
        "Put the version back that was in production before the last promotion. It needs no evidence: production judged it.",
    ),
    Entry(
        "redrive",
        _own,
        "Give dead letters another try: hints and publications go back to their queues, plans to the publishing function.",
    ),
    Entry(
        "orders",
        _own,
        "Show the orders of a run that may still be working at the broker; with --cancel, leave none of them.",
    ),
    Entry(
        "doctor",
        _own,
        "Check an AWS account before deployment: who, what, where, and what to do about each failure.",
    ),
    Entry("lane", _own, "Describe a workflow of your own by a file, so that it can be shadowed."),
    Entry(
        "demo",
        _local,
        "Run ten trading days of real closing prices through both lanes, with planted differences, and find them all.",
    ),
    Entry(
        "chaos",
        _chaos,
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
    found = getattr(entry.module(), entry.name)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(entry.name)(found)
        found = app
    command = get_command(found)
    command.name = entry.name
    return command  # type: ignore[return-value]
