"""Business Unit: publish | Status: current.

The harness's ports on AWS: pair ledger in DynamoDB, starter in Step Functions, plan store in S3, switch in SSM, metrics and
logs by Powertools. Calls are tried once and have short time limits: what fails here is completed by the sweeper.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shadow.aws.mode_parameter import TextParameter
from shadow.aws.observability import emit, logger
from shadow.contracts.metrics import Metric
from shadow.publish.errors import StartRefused
from shadow.publish.mode import PublishMode
from shadow.publish.ports import Started, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

ALREADY_EXISTS = "ExecutionAlreadyExists"
PERMANENT_REFUSALS = frozenset(
    {
        "InvalidArn",
        "InvalidExecutionInput",
        "InvalidName",
        "StateMachineDeleting",
        "StateMachineDoesNotExist",
        "ValidationException",
    }
)


class ParameterMode:
    """The operators' switch in SSM."""

    def __init__(self, parameter: TextParameter) -> None:
        """Read the switch from `parameter`."""
        self._parameter = parameter

    def mode(self) -> PublishMode:
        """Give the mode; raises `ConfigurationError` when the value is none, `GetParameterError` when it cannot be read."""
        return PublishMode.parse(self._parameter.read())


class StepFunctionsStarter:
    """Starts executions of one state machine."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        """Start executions of `state_machine_arn`."""
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, name: str, document: str, accepted: frozenset[str]) -> Started:
        """Start the execution `name`, or find that it runs (or ran) with an accepted input; raises `StartRefused`."""
        try:
            answer = self._client.start_execution(stateMachineArn=self._state_machine_arn, name=name, input=document)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == ALREADY_EXISTS:
                return self._found(name, accepted)
            if code in PERMANENT_REFUSALS:
                raise StartRefused(code) from error
            raise
        return Started(answer["executionArn"], _digest(document))

    def _found(self, name: str, accepted: frozenset[str]) -> Started:
        arn = f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
        digest = _digest(self._client.describe_execution(executionArn=arn)["input"])
        if digest not in accepted:
            raise StartRefused(f"{ALREADY_EXISTS}: with another input, of SHA-256 {digest[:16]}…")
        return Started(arn, digest)


class S3PlanStore:
    """Keeps plans in the evidence bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Keep plans in `bucket`."""
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> StoredObject:
        """Store `body` under `key`, which names it by its content."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        return StoredObject(self._bucket, key)

    def get(self, key: str) -> bytes:
        """Read what is stored under `key`."""
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()


class PowertoolsRecorder:
    """EMF metrics and JSON log lines on standard output."""

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Write one EMF line."""
        emit(values)

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Write one log line; a problem is an error."""
        write = logger().error if problem else logger().info
        write(message, extra=dict(fields))


def _digest(document: str) -> str:
    return sha256(document.encode()).hexdigest()
