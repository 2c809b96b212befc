"""Business Unit: command line | Status: current.

The commands of this room as a person meets them: options and help. What a command does is in a module of its own, which is
imported when the command runs, so that help imports none of it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MOST = 1_000
"""Plans that are replayed at a time, and dead letters that are taken from a queue, at most."""


class DeadQueue(StrEnum):
    """A dead-letter queue by the function that could not handle its messages."""

    COMPARATOR = "comparator"
    INTAKE = "intake"
    PUBLISH = "publish"


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
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until both lanes have run and are compared.")]
PlanFile = Annotated[Path, typer.Argument(help="A rebalance plan as JSON.", metavar="PLAN.json")]
PlanId = Annotated[str | None, typer.Argument(help="One plan; without it, all pairs of a trading day.", metavar="[PLAN_ID]")]
DayOption = Annotated[
    str | None,
    typer.Option("--date", help="The trading day, YYYY-MM-DD; else today, or the latest day that has pairs.", metavar="DAY"),
]
ComparePlanId = Annotated[str, typer.Argument(help="The plan whose pair is to be settled.", metavar="PLAN_ID")]
ExplainPlanId = Annotated[str, typer.Argument(help="The plan to explain.", metavar="PLAN_ID")]
AllOption = Annotated[bool, typer.Option("--all", help="Show the trades without a difference too.")]
PlanIds = Annotated[list[str] | None, typer.Argument(help="Plans to replay, by id.", metavar="[PLAN_ID]...")]
CorrelationOption = Annotated[str | None, typer.Option("--correlation", help="Replay the plans of this correlation id.")]
PlansOption = Annotated[Path | None, typer.Option("--plans", help="Replay the plan files of this folder.", metavar="DIR")]
FromOption = Annotated[str | None, typer.Option("--from", help="Replay stored plans from this trading day on.", metavar="DAY")]
ToOption = Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")]
LabelOption = Annotated[str | None, typer.Option("--label", help="Names this replay; today's date unless given.")]
RateOption = Annotated[float, typer.Option("--rate", min=0.1, max=600, help="Plans a minute.")]
WindowOption = Annotated[int, typer.Option("--window", min=1, max=50, help="Plans running at the same time.")]
PatienceOption = Annotated[int, typer.Option("--patience", min=1, max=7_200, help="Seconds to wait for one run.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many plans.")]
PolicyOption = Annotated[Path | None, typer.Option("--policy", help="Judge by this policy.", metavar="FILE")]
GateOption = Annotated[
    bool, typer.Option("--gate", help="Run recorded plans through a version on a local cloud, without an account.")
]
CandidateOption = Annotated[
    str, typer.Option("--candidate", help="With --gate: the version, a checkout's folder or a git revision.", metavar="VERSION")
]
LastOption = Annotated[str | None, typer.Option("--last", help="With --gate: the last N recorded days.", metavar="N-days")]
ItselfOption = Annotated[
    bool, typer.Option("--against-itself", help="With --gate: run each plan twice; what differs is noise of the harness.")
]
MarkdownOption = Annotated[Path | None, typer.Option("--markdown", help="With --gate: write it as a table.", metavar="FILE")]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="With --gate: write it for a build server.", metavar="FILE")]
StateOption = Annotated[Path | None, typer.Option("--state", help="Where the state is kept, to resume.", metavar="FILE")]
CandidateVersionOption = Annotated[
    str | None, typer.Option("--version", help="The version's number, or its ARN; else the one in production.", metavar="N|ARN")
]
CandidateItselfOption = Annotated[
    bool, typer.Option("--against-itself", help="Run the plans once more and compare with the version's own first runs.")
]
StatusVersionOption = Annotated[str | None, typer.Option("--version", help="Only the runs of this version.", metavar="N|ARN")]
CandidateDayOption = Annotated[str | None, typer.Option("--date", help="The trading day; else the newest.", metavar="DAY")]
ListOption = Annotated[bool, typer.Option("--list", help="Only show what lies there, and why.")]
QueueOption = Annotated[DeadQueue | None, typer.Option("--queue", help="One of the queues; else all that there are.")]
RedriveLimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many messages a queue.")]
StaleOption = Annotated[bool, typer.Option("--stale", help="Also publish plans of an earlier trading day. They will be traded.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Also send hints that cannot be read; they will come back.")]
Named = Annotated[str, typer.Argument(help="The plan, or the run's own id.", metavar="PLAN_OR_RUN_ID")]
CancelOption = Annotated[bool, typer.Option("--cancel", help="Cancel what is open, and write down what was filled.")]
History = Annotated[Path, typer.Option(help="A file as `aws stepfunctions get-execution-history` answers.")]
HistoryToRead = Annotated[Path | None, typer.Option("--history", help="An execution's history to read by the file.")]
LanePath = Annotated[Path, typer.Argument(help="The lane file.", metavar="FILE")]
PublisherOption = Annotated[str, typer.Option("--by", help="Who publishes it; else $USER.", metavar="NAME")]
NoteOption = Annotated[str, typer.Option("--note", help="What is new in it, in a sentence.", metavar="TEXT")]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="A parameter of the deployment, over samconfig.toml's.", metavar="NAME=VALUE"),
]


def publish(
    plan_file: PlanFile,
    *,
    wait: WaitOption = False,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a plan to both lanes.

    For example:

      shadow publish plan.json

      shadow publish plan.json --wait

      shadow publish plan.json --json | jq .plan_id

    A plan with a faulty field is refused whole: exit code 2, every field named, nothing published. With --wait, the exit code
    is the verdict's: 0 matched, 1 diverged or a lane missing, 4 not compared within ten minutes.
    """
    from shadow.cli.publishing import run  # noqa: PLC0415

    run(plan_file, wait=wait, stage=stage, aws=aws, as_json=as_json)


def status(
    plan_id: PlanId = None,
    *,
    day: DayOption = None,
    version: StatusVersionOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show where the pairs of a trading day stand, or one pair in full.

    For example:

      shadow status

      shadow status --date 2026-11-24 --json | jq '.pairs[].verdict'

      shadow status --version 3

      shadow status portfolio_v2_workflow-2026-11-24_1795466700

    Exit code 1 where a pair diverged, a lane is missing or a sum is off; 4 where pairs are pending or incomplete.
    """
    from shadow.cli.status import run  # noqa: PLC0415

    run(plan_id, day=day, version=version, stage=stage, aws=aws, as_json=as_json)


def compare(plan_id: ComparePlanId, *, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False) -> None:
    """Settle one pair now, and print its verdict and differences.

    For example:

      shadow compare portfolio_v2_workflow-2026-11-24_1795466700

      shadow compare PLAN_ID --json | jq -r .verdict

    Exit code 0 when MATCHED or IGNORED, 1 on any other verdict, also while a lane is still running.
    """
    from shadow.cli.comparing import run  # noqa: PLC0415

    run(plan_id, stage=stage, aws=aws, as_json=as_json)


def explain(
    plan_id: ExplainPlanId,
    *,
    everything: AllOption = False,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Explain one pair: plan, decisions, orders, fills, and the cause, rule and dollars of each difference.

    For example:

      shadow explain portfolio_v2_workflow-2026-11-24_1795466700

      shadow explain PLAN_ID --folder build/demo --all

      shadow explain PLAN_ID --json | jq '.comparison.differences[].kind'

    Exit code 0 when MATCHED or IGNORED, 1 on any other verdict.
    """
    from shadow.cli.explaining import run  # noqa: PLC0415

    run(plan_id, everything=everything, folder=folder, file=file, stage=stage, aws=aws, as_json=as_json)


def replay(
    plan_ids: PlanIds = None,
    *,
    correlation: CorrelationOption = None,
    plans: PlansOption = None,
    first: FromOption = None,
    last: ToOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    label: LabelOption = None,
    rate: RateOption = 10.0,
    window: WindowOption = 5,
    patience: PatienceOption = 900,
    limit: LimitOption = 200,
    state: StateOption = None,
    policy: PolicyOption = None,
    gate: GateOption = False,
    candidate: CandidateOption = ".",
    recorded: LastOption = None,
    against_itself: ItselfOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay historical plans to the candidate in dry run, and compare with the control's archived outcomes.

    For example:

      shadow replay PLAN_ID --label after-fix

      shadow replay --from 2026-11-02 --to 2026-11-20 --rate 4

      shadow replay --folder build/demo --label again --json | jq .verdicts

      shadow replay --gate --last 5-days --candidate HEAD --folder build/demo --junit gate.xml

    Replays carry names of their own and are never counted as live coverage. The same label resumes where it stopped. Refused
    unless the candidate is in dry run. Replay while the market is open: the candidate skips trades when it is closed. With --gate
    the market shows what was recorded of each plan's day; what a recording cannot answer is INCONCLUSIVE, and never passes.
    """
    from shadow.cli.replaying import run  # noqa: PLC0415

    run(
        plan_ids,
        correlation=correlation,
        plans=plans,
        first=first,
        last=last,
        folder=folder,
        file=file,
        label=label,
        rate=rate,
        window=window,
        patience=patience,
        limit=limit,
        state=state,
        policy=policy,
        gate=gate,
        candidate=candidate,
        recorded=recorded,
        against_itself=against_itself,
        markdown=markdown,
        junit=junit,
        stage=stage,
        aws=aws,
        as_json=as_json,
    )


def candidate(
    *,
    version: CandidateVersionOption = None,
    day: CandidateDayOption = None,
    against_itself: CandidateItselfOption = False,
    patience: PatienceOption = 900,
    policy: PolicyOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Shadow production with a published version: run each plan of the day by it, in dry run, and compare.

    For example:

      shadow candidate --version 3

      shadow candidate --version 3 --date 2026-11-27 --json | jq .verdicts

      shadow candidate --against-itself

    Call it on each trading day, soon after production's run and while the market is open; what was run already is not run again.
    Its comparisons are the version's evidence, which `shadow promote` weighs. With --against-itself nothing should differ: what
    does is noise of the harness. It is called after the version's own runs, and is nobody's evidence.
    """
    from shadow.cli.candidate import run  # noqa: PLC0415

    run(
        version=version,
        day=day,
        against_itself=against_itself,
        patience=patience,
        policy=policy,
        stage=stage,
        aws=aws,
        as_json=as_json,
    )


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
    """Give dead letters another try: hints and publications go back to their queues, plans to the publishing function.

    For example:

      shadow redrive --list

      shadow redrive --queue comparator --limit 10

      shadow redrive --json | jq '.messages[] | select(.fate == "left") | .why'

    A plan of an earlier trading day is left alone unless --stale: publishing it would trade it. Exit code 1 where messages lie
    there after all, those beyond --limit included.
    """
    from shadow.cli.redriving import run  # noqa: PLC0415

    run(only_list=only_list, queue=queue, limit=limit, stale=stale, force=force, stage=stage, aws=aws, as_json=as_json)


def orders(
    named: Named, *, cancel: CancelOption = False, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False
) -> None:
    """Show the orders of a run that may still be working at the broker; with --cancel, leave none of them.

    For example:

      shadow orders portfolio_v2_workflow-2026-11-24_1795466700

      shadow orders PLAN_ID --cancel

    Cancelling again does no harm. Exit code 1 while an order may be working.
    """
    from shadow.cli.orders import run  # noqa: PLC0415

    run(named, cancel=cancel, stage=stage, aws=aws, as_json=as_json)


def doctor(
    *,
    parameter: ParameterOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check an AWS account before deployment: who, what, where, and what to do about each failure.

    For example:

      shadow doctor --stage prod --aws

      shadow doctor --parameter ExecutionQueueUrl=https://… --parameter EventBusName=trading

      shadow doctor --json | jq '.findings[] | select(.level == "fail")'

    Exit code 0 where nothing fails, 1 where something does, 3 where AWS cannot be asked at all.
    """
    from shadow.cli.doctoring import run  # noqa: PLC0415

    run(parameter=parameter, stage=stage, aws=aws, as_json=as_json)


lane = typer.Typer(
    help="Describe a workflow of your own by a file, so that it can be shadowed.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@lane.command()
def draft(*, history: History) -> None:
    """Write a first lane file from an execution's output, to be finished by hand: what was guessed, and what is left."""
    from shadow.cli.lane import draft as run  # noqa: PLC0415

    run(history)


@lane.command()
def check(file: LanePath, *, history: HistoryToRead = None, as_json: JsonOption = False) -> None:
    """Show what a lane file reads, field by field, and hold it against its own examples. Exit 1 where anything is missing."""
    from shadow.cli.lane import check as run  # noqa: PLC0415

    run(file, history, as_json_=as_json)


version = typer.Typer(
    help="Publish what is deployed as a version of the workflow, and list the versions.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@version.command("publish")
def publish_version(
    *,
    by: PublisherOption = "",
    note: NoteOption = "",
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish what is deployed as a version: its functions and the workflow that names them, together.

    For example:

      shadow version publish --note "sizes by the trade amount again"

      shadow version publish --json | jq -r .number

    What runs and what is in production stays as it is. Where nothing has changed since the newest version, that is given.
    """
    from shadow.cli.versions import publish as run  # noqa: PLC0415

    run(by=by, note=note, stage=stage, aws=aws, as_json=as_json)


@version.command("list")
def list_versions(*, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False) -> None:
    """List the published versions, the newest first, and say which is in production, who published it and what was new.

    For example:

      shadow version list

      shadow version list --json | jq -r '.versions[] | select(.in_production) | .number'
    """
    from shadow.cli.versions import list_versions as run  # noqa: PLC0415

    run(stage=stage, aws=aws, as_json=as_json)
