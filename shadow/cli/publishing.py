"""Business Unit: command line | Status: current.

`shadow publish`: check a plan file here, and hand it to the publishing function only when every field is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.config import Config
from rich.markup import escape

from shadow.cli.output import OUT, ExitCode, fail, print_json, progress, refuse
from shadow.cli.target import AwsOption, JsonOption, StageOption, Target, find_target
from shadow.contracts.errors import FieldFault, InvalidPlan
from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan

_WAIT = Config(connect_timeout=5, read_timeout=120, retries={"total_max_attempts": 1})
PlanFile = Annotated[Path, typer.Argument(help="A rebalance plan as JSON.", metavar="PLAN.json")]


def read_plan(path: Path, *, as_json: bool) -> RebalancePlan:
    """Read a plan that has something to execute, or end the command with exit code 2 and every faulty field."""
    try:
        text = path.read_bytes()
    except OSError as error:
        fail(ExitCode.BAD_INPUT, f"{path}: expected a readable file, was {type(error).__name__}", as_json=as_json)
    try:
        plan = RebalancePlan.read_json(text)
        if not plan.tradable_items:
            found = f"{len(plan.items)} HOLD: nothing to execute"
            raise InvalidPlan("plan", [FieldFault("items", "at least one BUY or SELL", found)])  # noqa: TRY301 - one way out
    except InvalidPlan as invalid:
        refuse(invalid, as_json=as_json)
    return plan


def publish(plan_file: PlanFile, *, stage: StageOption = "dev", aws: AwsOption = False, as_json: JsonOption = False) -> None:
    """Publish a plan to both lanes.

    [bold]Examples[/bold]

      shadow publish plan.json

      shadow publish plan.json --json | jq .planId

    A plan with a faulty field is refused whole: exit code 2, every field named, nothing published.
    """
    plan = read_plan(plan_file, as_json=as_json)
    target = find_target(stage, aws=aws, as_json=as_json)
    with progress(f"publishing {plan.plan_id} to both lanes", quiet=as_json):
        answer = invoke(target, "PublishPlanFunctionName", plan.to_wire(), as_json=as_json)
    if as_json:
        print_json(answer)
        return
    OUT.print(f"[green]published[/green] {escape(plan.plan_id)}: {answer['tradeCount']} trades, run {run_id_of(plan.plan_id)}")
    OUT.print(
        f"next: [bold]shadow status {escape(plan.plan_id)}[/bold], then [bold]shadow compare[/bold] or [bold]explain[/bold]"
    )


def invoke(target: Target, output: str, payload: object, *, as_json: bool) -> dict[str, object]:
    """Call one function of the stack and give its answer; a failure inside it ends the command with exit code 3."""
    client = boto3.client("lambda", config=_WAIT)
    if output not in target.outputs:
        fail(ExitCode.UNAVAILABLE, f"stack shadow-{target.stage} has no {output}: it publishes elsewhere", as_json=as_json)
    response = client.invoke(FunctionName=target.name(output), Payload=json.dumps(payload).encode())
    answer: dict[str, object] = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        kind, message = answer.get("errorType", "error"), answer.get("errorMessage", "")
        code = ExitCode.BAD_INPUT if kind in {"InvalidPlan", "InvalidPayload"} else ExitCode.UNAVAILABLE
        fail(code, f"{kind}: {message}", as_json=as_json)
    return answer
