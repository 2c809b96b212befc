"""Business Unit: local cloud | Status: current.

How to reach the local cloud: an endpoint on loopback, one region, and credentials that are made up. Real credentials,
profiles and endpoints of the surrounding environment are never read.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.session import Session as BareSession

from local.cloud.emulator_side.strangers import token_header

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

REGION = "us-east-1"
ACCOUNT = "000000000000"
_SECRET = "local-cloud-only"  # noqa: S105 - made up, and of use nowhere else
_CONFIG = Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=70, max_pool_connections=50)
_LOOPBACK_SECONDS = 60
_NOTHING_FROM_OUTSIDE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def dummy_environment(endpoint: str, token: str) -> dict[str, str]:
    """Give the environment variables with which an AWS SDK or tool reaches only the local cloud at `endpoint`, by its `token`."""
    return {
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_SESSION_TOKEN": token,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


@dataclass(frozen=True, slots=True)
class CloudAccess:
    """One local cloud, by its endpoint and token. More clients: `session.client(name, endpoint_url=endpoint, config=config)`."""

    endpoint: str
    token: str = field(repr=False)

    @property
    def session(self) -> boto3.Session:
        """Give a session with the made-up credentials, whatever the surrounding environment holds."""
        bare = BareSession(session_vars=_NOTHING_FROM_OUTSIDE)
        return boto3.Session(
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=_SECRET,
            aws_session_token=self.token,
            region_name=REGION,
            botocore_session=bare,
        )

    @property
    def config(self) -> Config:
        """Give the client configuration: bounded waits, few retries, a pool for many threads."""
        return _CONFIG

    def s3(self) -> S3Client:
        """Give an S3 client."""
        return self.session.client("s3", endpoint_url=self.endpoint, config=self.config)

    def cloudformation(self) -> CloudFormationClient:
        """Give a CloudFormation client."""
        return self.session.client("cloudformation", endpoint_url=self.endpoint, config=self.config)

    def lambda_(self) -> LambdaClient:
        """Give a Lambda client."""
        return self.session.client("lambda", endpoint_url=self.endpoint, config=self.config)

    def logs(self) -> CloudWatchLogsClient:
        """Give a CloudWatch Logs client."""
        return self.session.client("logs", endpoint_url=self.endpoint, config=self.config)

    def cloudwatch(self) -> CloudWatchClient:
        """Give a CloudWatch client."""
        return self.session.client("cloudwatch", endpoint_url=self.endpoint, config=self.config)

    def stepfunctions(self) -> SFNClient:
        """Give a Step Functions client."""
        return self.session.client("stepfunctions", endpoint_url=self.endpoint, config=self.config)

    def sqs(self) -> SQSClient:
        """Give an SQS client."""
        return self.session.client("sqs", endpoint_url=self.endpoint, config=self.config)

    def open(self, address: str) -> HTTPResponse:
        """Send a GET that no AWS client sends to an `address` of this cloud, with its token."""
        request = urllib.request.Request(address, headers=dict(token_header(self.token)))  # noqa: S310 - our own loopback endpoint
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=_LOOPBACK_SECONDS)  # noqa: S310 - as above
        return answer

    def sent_mails(self) -> Sequence[Mapping[str, object]]:
        """Read every mail that SES accepted: Source, To, Subject, BodyText, BodyHtml, Timestamp (epoch seconds)."""
        with self.open(f"{self.endpoint}/_ministack/ses/messages") as answer:
            messages: Mapping[str, Sequence[Mapping[str, object]]] = json.load(answer)["messages"]
        return messages.get(ACCOUNT, ())
