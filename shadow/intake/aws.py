"""Business Unit: intake | Status: current.

What the intake needs of AWS: the operators' switch in SSM, the workflow in Step Functions, plans in S3.

The kill switch and the ramp: `off`, `shadow` (every plan), or `shadow:PERCENT` (a sticky sample by plan id).

One text in SSM Parameter Store, read through Powertools Parameters with a short cache. Powertools measures the cache's age by
the wall clock, which can jump back and leave a kill switch unseen; here the monotonic clock has to agree that it is fresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import TYPE_CHECKING, Self

from aws_lambda_powertools.utilities.parameters import SSMProvider
from botocore.exceptions import ClientError

from shadow.aws.clients import code_of
from shadow.contracts.errors import ConfigurationError, ShadowError
from shadow.intake.payload import StoredObject, digest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient


_SLOTS = 10_000
_SALT = b"shadow-ramp:"


@dataclass(frozen=True, slots=True)
class PublishMode:
    """How many of the plans go to the candidate as well, in hundredths of a percent."""

    slots: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read the parameter's value; raises `ConfigurationError` that says what was expected."""
        if isinstance(text, str):
            word, colon, share = text.strip().partition(":")
            if word == "off" and not colon:
                return cls(0)
            if word == "shadow":
                slots = _slots_of(share) if colon else _SLOTS
                if slots is not None:
                    return cls(slots)
        raise ConfigurationError(f"publishing mode: expected off, shadow or shadow:PERCENT (0 to 100), was {text!r:.80}")

    @property
    def is_off(self) -> bool:
        """Whether no plan at all goes to the candidate."""
        return self.slots == 0

    def covers(self, plan_id: str) -> bool:
        """Whether this plan is in the sample: always the same answer for the same plan, and a larger share keeps it in."""
        return slot_of(plan_id) < self.slots

    def __str__(self) -> str:
        """Write as the parameter's value is written."""
        if self.is_off:
            return "off"
        return "shadow" if self.slots == _SLOTS else f"shadow:{Decimal(self.slots) / 100}"


def slot_of(plan_id: str) -> int:
    """Give the plan its place from 0 to 9,999, evenly spread over plan ids."""
    return int.from_bytes(sha256(_SALT + plan_id.encode()).digest()[:8]) % _SLOTS


def _slots_of(share: str) -> int | None:
    try:
        slots = Decimal(share) * 100
    except InvalidOperation:
        return None
    return int(slots) if slots.is_finite() and 0 <= slots <= _SLOTS else None


DEFAULT_MAX_AGE_SECONDS = 30


class TextParameter:
    """A parameter's value, at most `max_age_seconds` old."""

    def __init__(
        self,
        client: SSMClient,
        name: str,
        max_age_seconds: int = DEFAULT_MAX_AGE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the parameter `name` through `client`."""
        self._provider = SSMProvider(boto3_client=client)
        self._name = name
        self._max_age = max_age_seconds
        self._monotonic = monotonic
        self._fetched: float | None = None

    def read(self) -> str:
        """Give the value; raises Powertools' `GetParameterError` when it has to be fetched and cannot be."""
        now = self._monotonic()
        stale = self._fetched is None or not 0 <= now - self._fetched < self._max_age
        value: object = self._provider.get(self._name, max_age=self._max_age, force_fetch=stale)
        if stale:
            self._fetched = now
        return str(value)


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
