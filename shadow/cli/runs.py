"""Business Unit: command line | Status: current.

The commands that run plans again or by another version: `shadow replay`, `candidate` and `version`. A command imports what it
works with when it runs, so that help needs neither the models nor AWS.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from shadow.cli.output import BadInput, progress
from shadow.cli.target import (
    AwsOption,
    FileOption,
    FolderOption,
    FromOption,
    JsonOption,
    PolicyOption,
    StageOption,
    ToOption,
    days_between,
    find_target,
    parse_day,
)

MOST_PLANS = 1_000
PlanIds = Annotated[list[str] | None, typer.Argument(help="Plans to replay, by id.", metavar="[PLAN_ID]...")]
CorrelationOption = Annotated[str | None, typer.Option("--correlation", help="Replay the plans of this correlation id.")]
PlansOption = Annotated[Path | None, typer.Option("--plans", help="Replay the plan files of this folder.", metavar="DIR")]
LabelOption = Annotated[str | None, typer.Option("--label", help="Names this replay; today's date unless given.")]
RateOption = Annotated[float, typer.Option("--rate", min=0.1, max=600, help="Plans a minute.")]
WindowOption = Annotated[int, typer.Option("--window", min=1, max=50, help="Plans running at the same time.")]
PatienceOption = Annotated[int, typer.Option("--patience", min=1, max=7_200, help="Seconds to wait for one run.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST_PLANS, help="At most so many plans.")]
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
CandidateDayOption = Annotated[str | None, typer.Option("--date", help="The trading day; else the newest.", metavar="DAY")]
PublisherOption = Annotated[str, typer.Option("--by", help="Who publishes it; else $USER.", metavar="NAME")]
NoteOption = Annotated[str, typer.Option("--note", help="What is new in it, in a sentence.", metavar="TEXT")]


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
    """Run past plans through the candidate, and compare.

    The candidate runs in dry run; its outcomes are compared with the control's archived ones.

    For example:

      shadow replay PLAN_ID --label after-fix

      shadow replay --from 2026-11-02 --to 2026-11-20 --rate 4

      shadow replay --folder build/demo --label again --json | jq .verdicts

      shadow replay --gate --last 5-days --candidate HEAD --folder build/demo --junit gate.xml

    Replays carry names of their own and are never counted as live coverage. The same label resumes where it stopped. Refused
    unless the candidate is in dry run. Replay while the market is open: the candidate skips trades when it is closed. With --gate
    the market shows what was recorded of each plan's day; what a recording cannot answer is INCONCLUSIVE, and never passes.
    """
    from shadow.cli.replaying import (
        STATE_FOLDER,
        GateRequest,
        ReplaySource,
        archive_of,
        check_dry_run,
        gather,
        replayer_for,
        run_gate,
        run_replay,
    )
    from shadow.replay.ports import checked_label
    from shadow.replay.replayer import Pace, StateFile

    if gate:
        run_gate(
            GateRequest(
                candidate, recorded, folder, file, policy, markdown, junit, against_itself, stage=stage, aws=aws, as_json=as_json
            )
        )
        return
    if (first is None) is not (last is None):
        raise BadInput("--from and --to: give both days")
    days = days_between(first, last) if first is not None else None
    name = checked_label(label or datetime.now(UTC).date().isoformat())
    target = find_target(stage, aws=aws, as_json=as_json)
    check_dry_run(target)
    archive = archive_of(target, folder, file)
    source = ReplaySource(tuple(plan_ids or ()), correlation, plans, days)
    with progress("gathering plans", quiet=as_json):
        found = gather(target, source, archive, limit)
    pace = Pace(rate=rate, window=window, patience_seconds=float(patience))
    states = StateFile(state or STATE_FOLDER / target.stage / f"{name}.jsonl")
    run_replay(replayer_for(target, archive, pace, policy), found, name, states, as_json=as_json)


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
    """Let a published version shadow production.

    The version runs each plan of the day, in dry run, and its outcomes are compared with production's.

    For example:

      shadow candidate --version 3

      shadow candidate --version 3 --date 2026-11-27 --json | jq .verdicts

      shadow candidate --against-itself

    Call it on each trading day, soon after production's run and while the market is open; what was run already is not run again.
    Its comparisons are the version's evidence, which `shadow promote` weighs. With --against-itself nothing should differ: what
    does is noise of the harness. Call it after the version's own runs; its result is no evidence.
    """
    from shadow.cli.candidate import run_version, version_asked
    from shadow.cli.verdicts import StackStore
    from shadow.contracts.pair import trading_day_of
    from shadow.replay.replayer import Pace

    target = find_target(stage, aws=aws, as_json=as_json)
    found = version_asked(target, version, against_itself=against_itself)
    chosen = parse_day(day) or StackStore(target).newest_local_day() or trading_day_of(datetime.now(UTC))
    pace = Pace(rate=60, window=5, patience_seconds=float(patience))
    run_version(target, found, chosen, pace, policy, against_itself=against_itself, as_json=as_json)


version = typer.Typer(
    help="Publish or list versions of the workflow.",
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
    from shadow.cli.candidate import publish_deployed

    publish_deployed(find_target(stage, aws=aws, as_json=as_json), by, note, as_json=as_json)


@version.command("list")
def list_versions(*, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False) -> None:
    """List the published versions, the newest first, and say which is in production, who published it and what was new.

    For example:

      shadow version list

      shadow version list --json | jq -r '.versions[] | select(.in_production) | .number'
    """
    from shadow.cli.candidate import show_versions

    show_versions(find_target(stage, aws=aws, as_json=as_json), as_json=as_json)
