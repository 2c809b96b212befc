"""Business Unit: command line | Status: current.

What a command talks to: the local cloud where one is running (`shadow up` leaves a note of it), else AWS with the ordinary
credentials. Names of tables, functions and buckets are read from the stack `shadow-{stage}`.

The options that commands of several modules have in common, and how a day on the command line is read.

Calling a function of the stack and understanding its answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, overload

import typer

from shadow.cli.output import ERR, BadInput, ExitCode, FunctionFailed, MissingOutput, escape, fail
from shadow.contracts.identity import execution_name_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


LOCAL_NOTE = Path("build/local/cloud.json")
"""Where `shadow up` notes its cloud, below the folder that it was called in."""
NO_STACK = "start a local cloud with `shadow up`, or set AWS credentials and deploy with `make deploy-dev`"


@dataclass(frozen=True, slots=True)
class Target:
    """One deployed stack. `outputs` and `parameters` map their names to values; `endpoint` is None on AWS.

    `status` is CloudFormation's word for what is being done to it.
    """

    stage: str
    outputs: Mapping[str, str]
    endpoint: str | None
    parameters: Mapping[str, str] = field(default_factory=dict)
    status: str = ""

    def name(self, output: str) -> str:
        """Give one output; raises `MissingOutput` when the stack lacks it."""
        try:
            return self.outputs[output]
        except KeyError:
            raise MissingOutput(
                f"stack shadow-{self.stage} has no output {output}: deploy this version of the template"
            ) from None

    def of_stage(self, what: str) -> str:
        """Name a resource of this stage by the project's rule."""
        return f"alchemiser-{self.stage}-{what}"

    def control_name(self, parameter: str, what: str) -> str:
        """Name one of the control's resources: as the stack was told, else by the project's rule."""
        return self.parameters.get(parameter) or self.of_stage(what)

    def execution_arn(self, run_id: str) -> str:
        """Name the candidate's execution of a run."""
        machine = self.name("StateMachineArn")
        return f"{machine.replace(':stateMachine:', ':execution:', 1)}:{execution_name_of(run_id)}"

    def console_url(self, execution_arn: str) -> str | None:
        """Give the execution's page in the AWS console; None in a local cloud, which has none."""
        if self.endpoint is not None:
            return None
        region = execution_arn.split(":")[3]
        return f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{execution_arn}"


def find_target(stage: str, *, aws: bool, as_json: bool) -> Target:
    """Find the stack to talk to, or end the command with exit code 3 and what to do about it."""
    from botocore.exceptions import BotoCoreError, ClientError

    endpoint = point_clients(aws=aws)
    try:
        stack = describe_stack(stage)
    except (BotoCoreError, ClientError) as error:
        fail(
            ExitCode.UNAVAILABLE,
            f"stack shadow-{stage} cannot be read ({error}): {NO_STACK}",
            as_json=as_json,
            details={"kind": type(error).__name__},
        )
    return Target(
        stage=stage,
        outputs={entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])},
        endpoint=endpoint,
        parameters={entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])},
        status=stack.get("StackStatus", ""),
    )


def describe_stack(stage: str) -> StackTypeDef:
    """Read the stack of a stage, as CloudFormation has it."""
    import boto3

    from shadow.aws.clients import DEFAULT_LIMITS

    client = boto3.client("cloudformation", config=DEFAULT_LIMITS.config())
    return client.describe_stacks(StackName=f"shadow-{stage}")["Stacks"][0]


def remember_folder(folder: Path) -> None:
    """Note for commands in other folders that the local cloud below `folder` was started last, beside those that still run."""
    note, newest = _last_started(), folder.absolute()
    folders = [newest, *(other for other in other_folders() if other != newest)]
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"folders": [str(each) for each in folders]}), encoding="utf-8")


def local_folder() -> Path | None:
    """Find the folder of the running local cloud: this folder's, else the one started last; None where none runs."""
    if _noted(LOCAL_NOTE) is not None:
        return LOCAL_NOTE.parent
    return next(iter(other_folders()), None)


def other_folders() -> list[Path]:
    """List the folders of the local clouds that run, wherever they were started, the last one first."""
    try:
        folders = [Path(each) for each in json.loads(_last_started().read_text(encoding="utf-8"))["folders"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [folder for folder in folders if _noted(folder / LOCAL_NOTE.name) is not None]


def _last_started() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "shadow" / "local-cloud.json"


def _noted(note: Path) -> tuple[str, str] | None:
    """Read a local cloud's endpoint and token; None where there is none, or its process is gone."""
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        os.kill(int(noted["pid"]), 0)
        return str(noted["endpoint"]), str(noted.get("token", ""))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def point_clients(*, aws: bool) -> str | None:
    """Point the AWS clients at the running local cloud, if there is one and `aws` does not forbid it; give its endpoint."""
    folder = None if aws else local_folder()
    noted = None if folder is None else _noted(folder / LOCAL_NOTE.name)
    if folder is None or noted is None:
        return None if aws else os.environ.get("AWS_ENDPOINT_URL")
    endpoint, token = noted
    if folder.absolute() != LOCAL_NOTE.parent.absolute():
        ERR.print(f"[dim]local cloud of {escape(str(folder))}[/dim]", soft_wrap=True)
    os.environ.update(
        AWS_ENDPOINT_URL=endpoint,
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",  # noqa: S106 - the local cloud takes any
        AWS_SESSION_TOKEN=token,
        AWS_DEFAULT_REGION="us-east-1",
    )
    return endpoint


_CALL_SECONDS = 310
EVER = (date(2000, 1, 1), date(2999, 12, 31))
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
DayOption = Annotated[
    str | None,
    typer.Option("--date", help="The trading day, YYYY-MM-DD; else today, or the latest day that has pairs.", metavar="DAY"),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", help="The policy; else the packaged one.", metavar="FILE", exists=True, dir_okay=False),
]
DecidedOption = Annotated[
    Path | None,
    typer.Option(
        "--decided", help="Targets, accepted strata, restarts and closures, in TOML.", metavar="FILE", exists=True, dir_okay=False
    ),
]
FromOption = Annotated[str | None, typer.Option("--from", help="From this trading day on.", metavar="DAY")]
ToOption = Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")]


class DeadQueue(StrEnum):
    """A dead-letter queue by the function that could not handle its messages."""

    COMPARATOR = "comparator"
    INTAKE = "intake"
    PUBLISH = "publish"


@overload
def parse_day(text: str) -> date: ...
@overload
def parse_day(text: str | None) -> date | None: ...
def parse_day(text: str | None) -> date | None:
    """Read a day given on the command line; raises `BadInput`."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is no day: write YYYY-MM-DD, for example 2026-11-24") from None


def days_between(first: str | None, last: str | None) -> tuple[date, date]:
    """Read the first and the last day of a span; one that is not given leaves the span open. Raises `BadInput`."""
    days = parse_day(first) or EVER[0], parse_day(last) or EVER[1]
    if days[0] > days[1]:
        raise BadInput(f"--from {days[0]} is after --to {days[1]}")
    return days


def invoke(target: Target, output: str, payload: object) -> dict[str, object]:
    """Call the function that the stack's `output` names and give its answer. Raises `MissingOutput`, `FunctionFailed`."""
    return invoke_named(target.name(output), payload)


def invoke_named(name: str, payload: object) -> dict[str, object]:
    """Call the function of that name and give its answer. Raises `FunctionFailed`."""
    import boto3
    from botocore.config import Config

    wait = Config(connect_timeout=5, read_timeout=_CALL_SECONDS, retries={"total_max_attempts": 1})
    response = boto3.client("lambda", config=wait).invoke(FunctionName=name, Payload=json.dumps(payload).encode())
    answer: object = json.loads(response["Payload"].read() or b"null")
    values = answer if isinstance(answer, dict) else {}
    if response.get("FunctionError"):
        raise FunctionFailed(name, str(values.get("errorType", "error")), str(values.get("errorMessage", "")))
    return values
