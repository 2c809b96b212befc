"""Business Unit: command line | Status: current.

What a command talks to: the local cloud where one is running (`shadow up` leaves a note of it), else AWS with the ordinary
credentials. Names of tables, functions and buckets are read from the stack `shadow-{stage}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shadow.cli.errors import MissingOutput
from shadow.cli.output import ERR, ExitCode, escape, fail
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
    """Note for commands in other folders that the local cloud below `folder` was started last."""
    note = _last_started()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"folder": str(folder.absolute())}), encoding="utf-8")


def local_folder() -> Path | None:
    """Find the folder of the running local cloud: this folder's, else the one started last; None where none runs."""
    if _noted(LOCAL_NOTE) is not None:
        return LOCAL_NOTE.parent
    try:
        last = Path(json.loads(_last_started().read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return last if _noted(last / LOCAL_NOTE.name) is not None else None


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
