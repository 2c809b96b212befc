"""Business Unit: AWS adapters | Status: current.

The one place that makes AWS clients. Every call has a time limit; whoever is on the control's path asks for tighter ones and
no retries. Endpoint and region come from the environment, as boto3 reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

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
PUBLISHING_LIMITS = CallLimits(connect_seconds=1.0, read_seconds=2.0, attempts=1)


@cache
def dynamodb(limits: CallLimits = DEFAULT_LIMITS) -> DynamoDBClient:
    """Give the DynamoDB client."""
    return boto3.client("dynamodb", config=limits.config())


@cache
def stepfunctions(limits: CallLimits = DEFAULT_LIMITS) -> SFNClient:
    """Give the Step Functions client."""
    return boto3.client("stepfunctions", config=limits.config())


@cache
def sqs(limits: CallLimits = DEFAULT_LIMITS) -> SQSClient:
    """Give the SQS client."""
    return boto3.client("sqs", config=limits.config())


@cache
def sns(limits: CallLimits = DEFAULT_LIMITS) -> SNSClient:
    """Give the SNS client."""
    return boto3.client("sns", config=limits.config())


@cache
def s3(limits: CallLimits = DEFAULT_LIMITS) -> S3Client:
    """Give the S3 client."""
    return boto3.client("s3", config=limits.config())


@cache
def lambda_(limits: CallLimits = DEFAULT_LIMITS) -> LambdaClient:
    """Give the Lambda client."""
    return boto3.client("lambda", config=limits.config())


@cache
def events(limits: CallLimits = DEFAULT_LIMITS) -> EventBridgeClient:
    """Give the EventBridge client."""
    return boto3.client("events", config=limits.config())


@cache
def ssm(limits: CallLimits = DEFAULT_LIMITS) -> SSMClient:
    """Give the Systems Manager client."""
    return boto3.client("ssm", config=limits.config())


@cache
def secretsmanager(limits: CallLimits = DEFAULT_LIMITS) -> SecretsManagerClient:
    """Give the Secrets Manager client."""
    return boto3.client("secretsmanager", config=limits.config())


@cache
def ses(limits: CallLimits = DEFAULT_LIMITS) -> SESClient:
    """Give the SES client."""
    return boto3.client("ses", config=limits.config())


@cache
def cloudwatch(limits: CallLimits = DEFAULT_LIMITS) -> CloudWatchClient:
    """Give the CloudWatch client."""
    return boto3.client("cloudwatch", config=limits.config())
