"""Business Unit: tests | Status: current.

The deployed stack as the command line sees it, in moto: outputs, pair ledger, control's table, state machine and bucket.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from shadow.aws.pair_ledger import pair_to_item
from shadow.cli import target
from shadow.cli.main import app
from shadow.contracts.comparison import Comparison
from shadow.contracts.pair import Pair
from tests.factories.cloud_tables import fresh_aws, make_table
from tests.factories.comparisons import document, key_of
from tests.factories.pairs import judged

ACCOUNT = "123456789012"
TABLE, RUNS, STATE, BUCKET = (
    "alchemiser-dev-shadow-pairs",
    "alchemiser-dev-execution-runs",
    "alchemiser-dev-candidate-state",
    f"alchemiser-dev-shadow-evidence-{ACCOUNT}",
)
_MACHINE = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


def shadow(*arguments: str) -> Result:
    """Run the command as a user does, output not being a terminal."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


class CliCloud:
    """One deployed stack `shadow-dev`."""

    def __init__(self, *, deployed: bool) -> None:
        self.deployed = deployed
        self.status = "UPDATE_COMPLETE"
        make_table(TABLE, "GSI1", "GSI2")
        make_table(RUNS)
        make_table(STATE)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        self.machine = boto3.client("stepfunctions").create_state_machine(
            name="alchemiser-dev-execution-workflow",
            definition=json.dumps(_MACHINE),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow",
        )["stateMachineArn"]
        self.outputs = {
            "StateMachineArn": self.machine,
            "PublishPlanFunctionName": "alchemiser-dev-publish-plan",
            "CompareOutcomesFunctionName": "alchemiser-dev-compare-outcomes",
            "PairLedgerTableName": TABLE,
            "CandidateStateTableName": STATE,
            "EvidenceBucketName": BUCKET,
        }
        self.parameters = {"Stage": "dev", "ControlLane": "existing", "ExecutionMode": "dry_run", "DualPublishing": "true"}

    def describe(self, stage: str) -> dict[str, object]:
        """Answer as CloudFormation does (moto's own needs packages that the project has no use for)."""
        if not self.deployed or stage != "dev":
            error = {"Error": {"Code": "ValidationError", "Message": f"Stack with id shadow-{stage} does not exist"}}
            raise ClientError(error, "DescribeStacks")
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in self.outputs.items()]
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"StackName": "shadow-dev", "StackStatus": self.status, "Outputs": outputs, "Parameters": parameters}

    def record(self, pair: Pair) -> Pair:
        """Put a pair in the ledger."""
        boto3.client("dynamodb").put_item(TableName=TABLE, Item=pair_to_item(pair))
        return pair

    def store(self, comparison: Comparison, **changes: object) -> Pair:
        """Put a judged pair in the ledger and its comparison in the bucket."""
        key = key_of(comparison)
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=document(comparison))
        return self.record(judged(comparison, **({"comparison_key": key} | changes)))


@contextmanager
def cli_cloud(monkeypatch: pytest.MonkeyPatch, folder: Path, *, deployed: bool = True) -> Iterator[CliCloud]:
    """Have the stack for the length of a block; the working folder has no local cloud in it."""
    monkeypatch.chdir(folder)
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with fresh_aws(executes=True):
        stack = CliCloud(deployed=deployed)
        monkeypatch.setattr(target, "describe_stack", stack.describe)
        yield stack


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
