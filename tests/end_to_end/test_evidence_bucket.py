"""The evidence bucket's own policy, held by the local cloud: nobody writes over evidence, whatever they may do otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from local.cloud.access import ACCOUNT, REGION, CloudAccess
from local.cloud.cfn_yaml import read_template
from local.cloud.emulator import emulator
from local.cloud.environment import ensure_environment
from local.iam_proof.policies import resolved_policy
from local.iam_proof.proof import DEPLOYED_WITH
from local.stack import CHECKOUT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.local_cloud]
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
KEPT = ("evidence/day=2026-11-24/run/legacy-aa.jsonl.gz", "comparisons/day=2026-11-24/run-aa.json")


@pytest.fixture(scope="module")
def bucket() -> str:
    template = read_template(CHECKOUT / "template.yaml")
    return str(resolved_policy(template, DEPLOYED_WITH, "EvidenceBucketPolicy")["Statement"][0]["Resource"][0]).rpartition(":")[2]  # type: ignore[index]


@pytest.fixture(scope="module")
def somebody(bucket: str) -> Iterator[S3Client]:
    """A role that may do anything with S3, beside the bucket with the template's policy."""
    with emulator(ensure_environment(CHECKOUT), enforce_iam=True) as running:
        access = CloudAccess(running.endpoint, running.token)
        policy = resolved_policy(read_template(CHECKOUT / "template.yaml"), DEPLOYED_WITH, "EvidenceBucketPolicy")
        access.s3().create_bucket(Bucket=bucket)
        access.s3().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        iam, sts = (access.session.client(name, endpoint_url=access.endpoint, config=access.config) for name in ("iam", "sts"))
        trusted = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
        role = iam.create_role(RoleName="somebody", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName="somebody", PolicyName="s3", PolicyDocument=json.dumps(ANYTHING))
        given = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        yield boto3.client(
            "s3",
            endpoint_url=running.endpoint,
            region_name=REGION,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )


def refusal(call: object, **arguments: object) -> str:
    """Make a call; give the service's code of refusal, empty where it did what was asked."""
    try:
        call(**arguments)  # type: ignore[operator]
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


@pytest.mark.parametrize("key", KEPT)
def test_evidence_is_written_once_and_never_over_and_never_deleted(somebody: S3Client, bucket: str, key: str) -> None:
    def put(**more: object) -> str:
        return refusal(somebody.put_object, Bucket=bucket, Key=key, Body=b"{}", **more)

    assert put() == "AccessDenied", "without the condition not even the first time: the service would not know"
    assert put(IfNoneMatch="*") == ""
    assert put(IfNoneMatch="*") == "PreconditionFailed"
    assert put() == "AccessDenied"
    assert refusal(somebody.delete_object, Bucket=bucket, Key=key) == "AccessDenied"


def test_what_is_no_evidence_may_be_written_again(somebody: S3Client, bucket: str) -> None:
    for _ in range(2):
        assert refusal(somebody.put_object, Bucket=bucket, Key="reports/site/index.html", Body=b"page") == ""
