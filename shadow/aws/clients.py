"""Business Unit: AWS adapters | Status: current.

The one place that makes AWS clients. Every call has a time limit. Endpoint and region come
from the environment, as boto3 reads it.

A function's environment as a model: each handler declares what it needs, and a missing or malformed variable is named at
start. Nothing else in the library reads `os.environ`.

From AWS's errors to ours. What may work a moment later becomes `StateUnavailable`, which the state machine retries by name;
everything else (denied, missing table, malformed call) is left as it is, because a retry would hide it. A source of evidence that
does not answer is `EvidenceUnavailable`; one that refuses the role is `MissingPermission`, of which no verdict is made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from pydantic import BaseModel, ConfigDict, ValidationError

from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable, MissingPermission, faults_of
from shadow.execution.ports import ExecutionTransientError, StateUnavailable

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long one call may take, in seconds, and how often it is tried in all."""

    connect_seconds: float = 3.0
    read_seconds: float = 10.0
    attempts: int = 4

    def config(self) -> Config:
        """Express the limits as botocore's configuration."""
        return Config(
            connect_timeout=self.connect_seconds,
            read_timeout=self.read_seconds,
            retries={"total_max_attempts": self.attempts, "mode": "standard"},
        )


DEFAULT_LIMITS = CallLimits()


@cache
def dynamodb() -> DynamoDBClient:
    """Give the DynamoDB client."""
    return boto3.client("dynamodb", config=DEFAULT_LIMITS.config())


@cache
def stepfunctions(limits: CallLimits = DEFAULT_LIMITS) -> SFNClient:
    """Give the Step Functions client."""
    return boto3.client("stepfunctions", config=limits.config())


@cache
def sqs() -> SQSClient:
    """Give the SQS client."""
    return boto3.client("sqs", config=DEFAULT_LIMITS.config())


@cache
def sns(limits: CallLimits = DEFAULT_LIMITS) -> SNSClient:
    """Give the SNS client."""
    return boto3.client("sns", config=limits.config())


@cache
def s3() -> S3Client:
    """Give the S3 client."""
    return boto3.client("s3", config=DEFAULT_LIMITS.config())


@cache
def lambda_() -> LambdaClient:
    """Give the Lambda client."""
    return boto3.client("lambda", config=DEFAULT_LIMITS.config())


@cache
def events() -> EventBridgeClient:
    """Give the EventBridge client."""
    return boto3.client("events", config=DEFAULT_LIMITS.config())


@cache
def ssm() -> SSMClient:
    """Give the Systems Manager client."""
    return boto3.client("ssm", config=DEFAULT_LIMITS.config())


@cache
def secretsmanager(limits: CallLimits = DEFAULT_LIMITS) -> SecretsManagerClient:
    """Give the Secrets Manager client."""
    return boto3.client("secretsmanager", config=limits.config())


@cache
def ses() -> SESClient:
    """Give the SES client."""
    return boto3.client("ses", config=DEFAULT_LIMITS.config())


@cache
def cloudwatch() -> CloudWatchClient:
    """Give the CloudWatch client."""
    return boto3.client("cloudwatch", config=DEFAULT_LIMITS.config())


class Environment(BaseModel):
    """Base of a handler's environment. A field `pair_ledger_table_name` is read from `PAIR_LEDGER_TABLE_NAME`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str = "dev"

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises `ConfigurationError` that names every faulty variable."""
        values = {name: os.environ[name.upper()] for name in cls.model_fields if name.upper() in os.environ}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(
                "environment: " + "; ".join(f"{f.field.upper()}: expected {f.expected}, was {f.found}" for f in faults_of(error))
            ) from None


def text_of(variable: str, path: str) -> str:
    """Read the file that a variable names: by its path, or by its name alone where it lies in a layer's folder `python`.

    Raises `ConfigurationError` that names the variable.
    """
    folders = sys.path if path and Path(path).name == path else []
    found = next((place for place in (Path(path), *(Path(folder, path) for folder in folders)) if place.is_file()), None)
    try:
        return (found or Path(path)).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{variable}: expected a readable file, was {path} ({type(error).__name__})") from None


TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_SERVER_ERROR = 500


def is_transient(error: ClientError) -> bool:
    """Tell whether AWS may answer the same call a moment later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in TRANSIENT_CODES or status >= _SERVER_ERROR


def code_of(error: ClientError) -> str:
    """Give AWS's error code."""
    return error.response.get("Error", {}).get("Code", "")


def is_denied(error: ClientError) -> bool:
    """Tell whether AWS refuses the role, for the call itself or for the key that its data is encrypted with."""
    code = code_of(error)
    return "AccessDenied" in code or "Unauthorized" in code


def unavailable(what: str, error: Exception) -> EvidenceUnavailable | MissingPermission:
    """Say that `what` did not answer, or refuses the role, by the error's class and code alone."""
    if isinstance(error, ClientError) and is_denied(error):
        return MissingPermission(f"{what}: {error.operation_name} is refused ({code_of(error)}): allow it to this role")
    detail = code_of(error) if isinstance(error, ClientError) else ""
    return EvidenceUnavailable(f"{what}: {type(error).__name__} {detail}".rstrip())


@contextmanager
def transient_as(raised: type[ExecutionTransientError] = StateUnavailable) -> Iterator[None]:
    """Raise `raised` instead of an AWS error that is worth another try."""
    try:
        yield
    except ClientError as error:
        if not is_transient(error):
            raise
        raise raised(f"{error.operation_name}: {code_of(error)}") from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise raised(f"{type(error).__name__}: {error}") from error
