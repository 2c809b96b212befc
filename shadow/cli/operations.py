"""Business Unit: command line | Status: current.

The commands of operating a stack: `shadow redrive`, `orders`, `doctor` and `lane`. A command imports what it works with when it
runs, so that help needs neither the models nor AWS.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from shadow.cli.output import finish
from shadow.cli.target import AwsOption, DeadQueue, JsonOption, StageOption, find_target, point_clients

MOST_MESSAGES = 1_000


ListOption = Annotated[bool, typer.Option("--list", help="Only list the messages, and why they are there.")]
QueueOption = Annotated[DeadQueue | None, typer.Option("--queue", help="One of the queues; else all.")]
RedriveLimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST_MESSAGES, help="At most so many messages a queue.")]
StaleOption = Annotated[bool, typer.Option("--stale", help="Also publish plans of an earlier trading day. They will be traded.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Also send hints that cannot be read; they will come back.")]
Named = Annotated[str, typer.Argument(help="The plan, or the run's own id.", metavar="PLAN_OR_RUN_ID")]
CancelOption = Annotated[bool, typer.Option("--cancel", help="Cancel what is open, and write down what was filled.")]
History = Annotated[Path, typer.Option(help="A file as `aws stepfunctions get-execution-history` answers.")]
HistoryToRead = Annotated[Path | None, typer.Option("--history", help="An execution's history to read by the file.")]
OwnPolicy = Annotated[
    Path | None,
    typer.Option("--policy", help="Name fields of your own that this policy compares and the file lacks.", metavar="FILE"),
]
LanePath = Annotated[Path, typer.Argument(help="The lane file.", metavar="FILE")]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="A parameter of the deployment, over samconfig.toml's.", metavar="NAME=VALUE"),
]


def redrive(
    *,
    only_list: ListOption = False,
    queue: QueueOption = None,
    limit: RedriveLimitOption = 100,
    stale: StaleOption = False,
    force: ForceOption = False,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters once more.

    Hints and publications go back to their queues, plans to the publishing function.

    For example:

      shadow redrive --list

      shadow redrive --queue comparator --limit 10

      shadow redrive --json | jq '.messages[] | select(.fate == "left") | .why'

    A plan of an earlier trading day is left alone unless --stale: publishing it would trade it. Exit code 1 where messages lie
    there after all, those beyond --limit included.
    """
    from shadow.cli.redriving import Choice, redrive_all

    target = find_target(stage, aws=aws, as_json=as_json)
    choice = Choice(only_list, stale, force, datetime.now(UTC))
    finish(redrive_all(target, queue, limit, choice, as_json=as_json))


def orders(
    named: Named, *, cancel: CancelOption = False, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False
) -> None:
    """Show the orders of a run that may still be working.

    With --cancel, it leaves none of them.

    For example:

      shadow orders portfolio_v2_workflow-2026-11-24_1795466700

      shadow orders PLAN_ID --cancel

    Cancelling again does no harm. Exit code 1 while an order may be working.
    """
    from shadow.cli.orders import show_orders

    finish(show_orders(find_target(stage, aws=aws, as_json=as_json), named, cancel=cancel, as_json=as_json))


def doctor(
    *,
    parameter: ParameterOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check an AWS account before or after a deployment.

    It says who, what and where, and what to do about each failure.

    For example:

      shadow doctor --stage prod --aws

      shadow doctor --parameter ExecutionQueueUrl=https://… --parameter EventBusName=trading

      shadow doctor --json | jq '.findings[] | select(.level == "fail")'

    Exit code 0 where nothing fails, 1 where something does, 3 where AWS cannot be asked at all.
    """
    from shadow.cli.doctoring import examine_account

    finish(examine_account(stage, parameter or [], local=point_clients(aws=aws) is not None, as_json=as_json))


lane = typer.Typer(
    help="Describe a workflow of your own by a file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@lane.command()
def draft(*, history: History) -> None:
    """Write a first lane file from an execution's output, to be finished by hand: what was guessed, and what is left."""
    from shadow.cli.drafting import first_lane_file

    typer.echo(first_lane_file(history))


@lane.command()
def check(file: LanePath, *, history: HistoryToRead = None, policy: OwnPolicy = None, as_json: JsonOption = False) -> None:
    """Show what a lane file reads, field by field, and hold it against its own examples. Exit 1 where anything is missing."""
    from shadow.cli.lane import check_lane_file

    finish(check_lane_file(file, history, policy, in_json=as_json))
