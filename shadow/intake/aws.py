"""Business Unit: intake | Status: current.

What the intake needs of AWS: the operators' switch in SSM, the workflow in Step Functions, plans in S3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shadow.aws.errors import code_of
from shadow.aws.mode_parameter import TextParameter
from shadow.contracts.errors import ShadowError
from shadow.intake.mode import PublishMode
from shadow.intake.payload import StoredObject, digest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

ALREADY_EXISTS, DOES_NOT_EXIST = "ExecutionAlreadyExists", "ExecutionDoesNotExist"
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


class StartRefused(ShadowError):
    """The workflow was certainly not started with this plan, and trying again will not help."""


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

    def __init__(self, client: SFNClient, state_machine_arn: str, qualifier: str = "") -> None:
        """Start executions of `state_machine_arn`, of the version that `qualifier` (a number, an alias) names if given."""
        self._client = client
        self._state_machine_arn = state_machine_arn
        self._started = f"{state_machine_arn}:{qualifier}" if qualifier else state_machine_arn

    def start(self, name: str, document: str, accepted: frozenset[str]) -> tuple[str, str]:
        """Start the execution `name`; give its ARN and the SHA-256 of the input it runs with.

        One of that name which exists already is a success when the digest of its input is in `accepted`. Raises `StartRefused`;
        whatever else it raises means that the start's fate is unknown.
        """
        try:
            answer = self._client.start_execution(stateMachineArn=self._started, name=name, input=document)
        except ClientError as error:
            standing = self.found(name, accepted) if code_of(error) == ALREADY_EXISTS else None
            if standing is not None:
                return standing
            if code_of(error) in PERMANENT_REFUSALS:
                raise StartRefused(code_of(error)) from error
            raise
        return answer["executionArn"], digest(document)

    def found(self, name: str, accepted: frozenset[str]) -> tuple[str, str] | None:
        """Give the execution `name` where it exists, as `start` does; None where it does not.

        Raises `StartRefused` where it runs with another input than one of `accepted`.
        """
        arn = f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
        try:
            found = digest(self._client.describe_execution(executionArn=arn)["input"])
        except ClientError as error:
            if code_of(error) == DOES_NOT_EXIST:
                return None
            raise
        if found not in accepted:
            raise StartRefused(f"{ALREADY_EXISTS}: with another input, of SHA-256 {found[:16]}…")
        return arn, found


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
