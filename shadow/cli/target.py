"""Business Unit: command line | Status: current.

What a command talks to: the local cloud where one is running (`shadow up` leaves a note of it), else AWS with the ordinary
credentials. Names of tables, functions and buckets are read from the outputs of the stack `shadow-{stage}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from shadow.cli.output import ExitCode, fail

LOCAL_NOTE = Path("build/local/cloud.json")
StageOption = Annotated[str, typer.Option("--stage", help="The deployed stage to talk to on AWS.", envvar="SHADOW_STAGE")]
AwsOption = Annotated[bool, typer.Option("--aws", help="Talk to AWS even while a local cloud is running.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@dataclass(frozen=True, slots=True)
class Target:
    """One deployed stack. `outputs` maps output keys to values; `endpoint` is None on AWS."""

    stage: str
    outputs: Mapping[str, str]
    endpoint: str | None

    def name(self, output: str) -> str:
        """Give one output; raises KeyError with the stack's name when the stack lacks it."""
        try:
            return self.outputs[output]
        except KeyError:
            raise KeyError(f"stack shadow-{self.stage} has no output {output}: deploy this version of the template") from None


def find_target(stage: str, *, aws: bool, as_json: bool) -> Target:
    """Find the stack to talk to, or end the command with exit code 3 and what to do about it."""
    endpoint = None if aws else _use_local_cloud()
    try:
        stacks = boto3.client("cloudformation").describe_stacks(StackName=f"shadow-{stage}")["Stacks"]
    except (BotoCoreError, ClientError) as error:
        hint = "start a local cloud with `shadow up`, or set AWS credentials and deploy with `make deploy-dev`"
        fail(ExitCode.UNAVAILABLE, f"stack shadow-{stage} cannot be read ({error}): {hint}", as_json=as_json)
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stacks[0].get("Outputs", [])}
    return Target(stage=stage, outputs=outputs, endpoint=endpoint)


def _use_local_cloud() -> str | None:
    """Point the AWS clients at the running local cloud, if there is one."""
    if not LOCAL_NOTE.exists():
        return os.environ.get("AWS_ENDPOINT_URL")
    note = json.loads(LOCAL_NOTE.read_text(encoding="utf-8"))
    endpoint = str(note["endpoint"])
    os.environ.update(
        AWS_ENDPOINT_URL=endpoint,
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",  # noqa: S106 - the local cloud takes any
        AWS_DEFAULT_REGION="us-east-1",
    )
    return endpoint
