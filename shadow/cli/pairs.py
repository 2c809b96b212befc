"""Business Unit: command line | Status: current.

The commands for one plan and one day: `shadow publish`, `status`, `compare` and `explain`. A command imports what it works with
when it runs, so that help needs neither the models nor AWS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shadow.cli.output import finish
from shadow.cli.target import AwsOption, DayOption, FileOption, FolderOption, JsonOption, StageOption, find_target, parse_day

WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until both lanes have run and are compared.")]
PlanFile = Annotated[Path, typer.Argument(help="A rebalance plan as JSON.", metavar="PLAN.json")]
PlanId = Annotated[str | None, typer.Argument(help="One plan; without it, all pairs of a trading day.", metavar="[PLAN_ID]")]
ComparePlanId = Annotated[str, typer.Argument(help="The plan whose pair is to be settled.", metavar="PLAN_ID")]
ExplainPlanId = Annotated[str, typer.Argument(help="The plan to explain.", metavar="PLAN_ID")]
AllOption = Annotated[bool, typer.Option("--all", help="Show the trades without a difference too.")]
StatusVersionOption = Annotated[str | None, typer.Option("--version", help="Only the runs of this version.", metavar="N|ARN")]


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
    from shadow.cli.publishing import publish_plan, read_plan

    plan = read_plan(plan_file, as_json=as_json)
    finish(publish_plan(find_target(stage, aws=aws, as_json=as_json), plan, wait=wait, as_json=as_json))


def status(
    plan_id: PlanId = None,
    *,
    day: DayOption = None,
    version: StatusVersionOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the pairs of a trading day, or one pair in full.

    For example:

      shadow status

      shadow status --date 2026-11-24 --json | jq '.pairs[].verdict'

      shadow status --version 3

      shadow status portfolio_v2_workflow-2026-11-24_1795466700

    Exit code 1 where a pair diverged, a lane is missing or a sum is off; 4 where pairs are pending or incomplete.
    """
    from shadow.cli.status import show_day, show_pair

    chosen = parse_day(day)
    target = find_target(stage, aws=aws, as_json=as_json)
    finish(show_day(target, chosen, version, as_json=as_json) if plan_id is None else show_pair(target, plan_id, as_json=as_json))


def compare(plan_id: ComparePlanId, *, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False) -> None:
    """Settle one pair now, and print its verdict and differences.

    For example:

      shadow compare portfolio_v2_workflow-2026-11-24_1795466700

      shadow compare PLAN_ID --json | jq -r .verdict

    Exit code 0 when MATCHED or IGNORED, 1 on any other verdict, also while a lane is still running.
    """
    from shadow.cli.publishing import compare_now

    finish(compare_now(find_target(stage, aws=aws, as_json=as_json), plan_id, as_json=as_json))


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
    """Explain one pair: both lanes side by side, each difference.

    It shows the plan, decisions, orders and fills, and the cause, rule and dollars of each difference.

    For example:

      shadow explain portfolio_v2_workflow-2026-11-24_1795466700

      shadow explain PLAN_ID --folder build/demo --all

      shadow explain PLAN_ID --json | jq '.comparison.differences[].kind'

    Exit code 0 when MATCHED or IGNORED, 1 on any other verdict.
    """
    from shadow.cli.explaining import explain_found, find_in_stack
    from shadow.cli.verdicts import demand, offline_store

    offline = offline_store(folder, file)
    if offline is not None:
        finish(explain_found(demand(offline, plan_id), None, stage, everything=everything, as_json=as_json))
        return
    target = find_target(stage, aws=aws, as_json=as_json)
    finish(explain_found(find_in_stack(target, plan_id, as_json=as_json), target, stage, everything=everything, as_json=as_json))
