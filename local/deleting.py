"""Business Unit: local cloud | Status: current.

`python -m local.deleting STAGE`: delete the stack with the SAM CLI, unless a function or a role outside of the stack still names
what would go with it. The publisher's layer is kept by the stack, so whoever uses that alone is not in the way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import boto3

from local.cloud.errors import LocalCloudError
from local.deploying import stack_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient

GOES = ("IntakeQueueUrl", "ShadowEventBusName", "ShadowTradeLedgerTableName")
"""Outputs of the stack that functions outside of it are given in their environment, and that go with the stack."""
_USAGE, _REFUSED = 2, 1


class RolePages(Protocol):
    """Pages of what a policy is attached to."""

    def paginate(self, *, PolicyArn: str) -> Iterable[Mapping[str, Sequence[Mapping[str, str]]]]:  # noqa: N803 - as boto3 has it
        """Give the pages."""


class Roles(Protocol):
    """IAM, as far as it is asked."""

    def get_paginator(self, operation_name: Literal["list_entities_for_policy"]) -> RolePages:
        """Give the pages of one operation."""


class NotDeletable(LocalCloudError):
    """Something outside of the stack names what would be deleted; the message says what and where."""


def command(  # noqa: PLR0917 - the stage, and the three services that are asked
    checkout: Path, stage: str, stacks: CloudFormationClient, functions: LambdaClient, roles: Roles, sam: str = "sam"
) -> list[str]:
    """Give the SAM CLI's command that deletes the stack of `stage`.

    Raises NotDeletable while a function or role outside of the stack names what would go; ClientError where there is no stack.
    """
    stack, region = stack_of(checkout, stage)
    described = stacks.describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {str(each.get("OutputKey")): str(each.get("OutputValue")) for each in described.get("Outputs", [])}
    pages = stacks.get_paginator("list_stack_resources").paginate(StackName=stack)
    own = {each.get("PhysicalResourceId") for page in pages for each in page["StackResourceSummaries"]}
    named = [*_by_functions(outputs, own, functions), *_by_roles(outputs, own, roles)]
    if named:
        raise NotDeletable("\n".join((*named, f"{stack} is left as it is: take these out first, then delete it")))
    return [sam, "delete", "--no-prompts", "--stack-name", stack, "--region", region]


def _by_functions(outputs: Mapping[str, str], own: set[str | None], client: LambdaClient) -> Iterator[str]:
    goes = {outputs[name]: name for name in GOES if name in outputs}
    for page in client.get_paginator("list_functions").paginate():
        for each in page["Functions"]:
            name, variables = each["FunctionName"], each.get("Environment", {}).get("Variables", {})
            if name not in own:
                named = ((key, value) for key, value in variables.items() if value in goes)
                yield from (f"function {name}: {key} is {value}, the stack's {goes[value]}" for key, value in named)


def _by_roles(outputs: Mapping[str, str], own: set[str | None], client: Roles) -> Iterator[str]:
    policy = outputs.get("DualPublishPolicyArn")
    if policy is None:
        return
    for page in client.get_paginator("list_entities_for_policy").paginate(PolicyArn=policy):
        attached = [each.get("RoleName", "") for each in page["PolicyRoles"]]
        yield from (f"role {name}: {policy} is attached to it" for name in attached if name not in own)


def main(arguments: list[str]) -> int:
    """Delete; give the SAM CLI's exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m local.deleting STAGE\n")
        return _USAGE
    checkout = Path(__file__).parents[1]
    _, region = stack_of(checkout, arguments[0])
    session = boto3.Session(region_name=region)
    try:
        asked = command(checkout, arguments[0], session.client("cloudformation"), session.client("lambda"), session.client("iam"))
    except NotDeletable as error:
        sys.stderr.write(f"delete: {error}\n")
        return _REFUSED
    return subprocess.run(asked, check=False, env=os.environ | {"SAM_CLI_TELEMETRY": "0"}).returncode  # noqa: S603 - the SAM CLI with our own arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
