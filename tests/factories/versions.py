"""Business Unit: tests | Status: current.

A stage in moto whose workflow has published versions, each with published versions of its functions.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.responses import ActionResult
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.responses import StepFunctionResponse

from tests.factories.cloud_tables import REGION
from tests.fakes.cli_cloud import ACCOUNT, CliCloud, cli_cloud

ALARM = "alchemiser-dev-shadow-executions-failed"
FUNCTIONS = ("alchemiser-dev-prepare-trades", "alchemiser-dev-execute-trade-sfn")


@dataclass
class Stage:
    """A machine whose versions 1, 2, … are published as their functions are."""

    cloud: CliCloud
    machine: str

    def publish(self, mode: str = "dry_run", *, qualified: bool = True, calls: bool = True) -> str:
        """Publish another version of the functions and of the machine; give its ARN. Without `calls` it calls none."""
        client, states = boto3.client("lambda"), {}
        for index, name in enumerate(FUNCTIONS):
            client.update_function_configuration(FunctionName=name, Environment={"Variables": {"EXECUTION_MODE": mode}})
            number = client.publish_version(FunctionName=name)["Version"]
            resource = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}{f':{number}' if qualified else ''}"
            states[f"Step{index}"] = {"Type": "Task", "Resource": resource} | (
                {"Next": f"Step{index + 1}"} if index + 1 < len(FUNCTIONS) else {"End": True}
            )
        begin = "Step0" if calls else "Done"
        definition = json.dumps({"StartAt": begin, "States": states | {"Done": {"Type": "Succeed"}}})
        steps = boto3.client("stepfunctions")
        answer = steps.update_state_machine(stateMachineArn=self.machine, definition=definition, publish=True)
        return str(answer["stateMachineVersionArn"])

    def delete(self, arn: str) -> None:
        """Delete a version, which moto has no call for."""
        base, number = arn.rsplit(":", 1)
        del stepfunctions_parser_backends[ACCOUNT][REGION].describe_state_machine(base).versions[int(number)]

    def production(self) -> str | None:
        steps = boto3.client("stepfunctions")
        try:
            answer = steps.describe_state_machine_alias(stateMachineAliasArn=f"{self.machine}:production")
        except steps.exceptions.ClientError:
            return None
        return str(answer["routingConfiguration"][0]["stateMachineVersionArn"])


@contextmanager
def versioned(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Stage]:
    """Have the stage for the length of a block; the intake starts the production alias."""
    _let_moto_start_versions(monkeypatch)
    with cli_cloud(monkeypatch, folder) as cloud:
        boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr("lambda_handler.py", "")
        for name in FUNCTIONS:
            boto3.client("lambda").create_function(
                FunctionName=name,
                Runtime="python3.13",
                Role=f"arn:aws:iam::{ACCOUNT}:role/any",
                Handler="lambda_handler.lambda_handler",
                Code={"ZipFile": body.getvalue()},
            )
        boto3.client("cloudwatch").put_metric_alarm(
            AlarmName=ALARM,
            MetricName="ExecutionsFailed",
            Namespace="AWS/States",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        cloud.parameters["WorkflowAlias"] = "production"
        yield Stage(cloud, cloud.machine)


def _let_moto_start_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the machine for one of its versions, say of the execution which, and list them: moto knows versions, and no more."""
    start, describe = StepFunctionsParserBackend.start_execution, StepFunctionResponse.describe_execution
    started: dict[str, str] = {}

    def start_version(backend: StepFunctionsParserBackend, state_machine_arn: str, *arguments: Any, **named: Any) -> Any:
        base, version = state_machine_arn.rsplit(":", 1)
        if not version.isdigit():
            return start(backend, state_machine_arn, *arguments, **named)
        execution = start(backend, base, *arguments, **named)
        started[execution.execution_arn] = state_machine_arn
        return execution

    def describe_version(response: StepFunctionResponse) -> Any:
        answer = describe(response)
        fields = dict(answer.result)
        version = started.get(str(fields["executionArn"]))
        return ActionResult(fields | ({"stateMachineVersionArn": version} if version else {}))

    def list_versions(response: StepFunctionResponse) -> Any:
        machine = response.stepfunction_backend.describe_state_machine(json.loads(response.body)["stateMachineArn"])
        found = [{"stateMachineVersionArn": version.arn, "creationDate": 0} for version in machine.versions.values()]
        return ActionResult({"stateMachineVersions": found})

    monkeypatch.setattr(StepFunctionResponse, "list_state_machine_versions", list_versions, raising=False)
    monkeypatch.setattr(StepFunctionsParserBackend, "start_execution", start_version)
    monkeypatch.setattr(StepFunctionResponse, "describe_execution", describe_version)
