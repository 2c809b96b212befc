"""A deletion is refused while something outside of the stack names what would go with it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from moto import mock_aws

from local.deleting import NotDeletable, command

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

ROOT = Path(__file__).parents[2]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
OUTPUTS = {
    "IntakeQueueUrl": "https://sqs.us-east-1.amazonaws.com/1/intake",
    "ShadowEventBusName": "shadow-events",
    "DualPublishPolicyArn": "arn:aws:iam::123456789012:policy/dual-publish",
}


class Stacks:
    """One stack as CloudFormation tells of it, with a role of its own."""

    def describe_stacks(self, StackName: str) -> dict[str, object]:  # noqa: N803 - as boto3 has it
        assert StackName == "shadow-dev"
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]}]}

    def get_paginator(self, name: str) -> Stacks:
        assert name == "list_stack_resources"
        return self

    def paginate(self, StackName: str) -> list[dict[str, object]]:  # noqa: N803 - as boto3 has it
        assert StackName == "shadow-dev"
        return [{"StackResourceSummaries": [{"PhysicalResourceId": "own"}]}, {"StackResourceSummaries": []}]


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        iam = boto3.client("iam")
        document = {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}], "Version": "2012-10-17"}
        iam.create_policy(PolicyName="dual-publish", PolicyDocument=json.dumps(document))
        iam.create_role(RoleName="own", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="own", PolicyArn=OUTPUTS["DualPublishPolicyArn"])
        yield


def asked() -> list[str]:
    return command(ROOT, "dev", cast("CloudFormationClient", Stacks()), boto3.client("lambda"), boto3.client("iam"))


def outside(variables: dict[str, str]) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("lambda_handler.py", "")
    role = boto3.client("iam").create_role(RoleName="portfolio", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    boto3.client("lambda").create_function(
        FunctionName="portfolio",
        Runtime="python3.12",
        Role=role,
        Handler="x.y",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": variables},
    )


def test_a_stack_that_nothing_outside_names_is_deleted_where_samconfig_says_it_is() -> None:
    outside({"SHADOW_INTAKE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/another", "EVENT_BUS_NAME": "trading"})

    assert asked() == ["sam", "delete", "--no-prompts", "--stack-name", "shadow-dev", "--region", "us-east-1"]


@pytest.mark.parametrize(
    ("variable", "output"), [("SHADOW_INTAKE_QUEUE_URL", "IntakeQueueUrl"), ("EVENT_BUS_NAME", "ShadowEventBusName")]
)
def test_a_function_that_is_given_something_of_the_stack_is_in_the_way(variable: str, output: str) -> None:
    outside({variable: OUTPUTS[output]})

    with pytest.raises(NotDeletable, match=rf"function portfolio: {variable} is .*, the stack's {output}\nshadow-dev is left"):
        asked()


def test_a_role_that_has_the_stacks_policy_is_in_the_way() -> None:
    iam = boto3.client("iam")
    iam.create_role(RoleName="portfolio", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="portfolio", PolicyArn=OUTPUTS["DualPublishPolicyArn"])

    with pytest.raises(NotDeletable, match=r"role portfolio: arn:.* is attached to it"):
        asked()

    iam.detach_role_policy(RoleName="portfolio", PolicyArn=OUTPUTS["DualPublishPolicyArn"])
    assert asked()[0] == "sam"
