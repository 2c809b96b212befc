"""Business Unit: local cloud | Status: current.

Deploy a prepared template by CloudFormation, as the deployment to AWS does: create or update, wait, and say which resource
failed and why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local.cloud.access import CloudAccess
from local.cloud.adaptations import Adaptation, summary
from local.cloud.build import Artefacts
from local.cloud.errors import ResourceFailure, StackFailed
from local.cloud.progress import Progress, silent
from local.cloud.template import PreparedTemplate, prepare_template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import CapabilityType
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef
    from mypy_boto3_s3 import S3Client

_BUCKET = "shadow-local-artefacts"
_CAPABILITIES: list[CapabilityType] = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.05
_GONE = frozenset({"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"})


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack: its name, its outputs, the gaps of the emulator it met, and how long it took, in seconds."""

    stack: str
    outputs: Mapping[str, str]
    adaptations: tuple[Adaptation, ...]
    seconds: float


def deploy(
    access: CloudAccess,
    template: Path,
    artefacts: Artefacts,
    *,
    stack: str,
    parameters: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Deployment:
    """Upload the artefacts, deploy `template` as `stack`, wait for it, and give its outputs.

    Raises TemplateFailed when the template cannot be prepared, StackFailed when CloudFormation refuses it or rolls it back.
    """
    started = time.monotonic()
    progress("uploading the artefacts")
    prepared = prepare_template(template, artefacts, _Uploader(access.s3()))
    progress(f"deploying stack {stack}")
    cloudformation = access.cloudformation()
    _submit(cloudformation, stack, _template_url(access, stack, prepared), parameters or {})
    finished = _wait(cloudformation, stack)
    progress("waiting for the functions' first start")
    _wait_for_versions(access, stack)
    outputs = {str(each.get("OutputKey")): str(each.get("OutputValue")) for each in finished.get("Outputs", [])}
    for line in summary(prepared.adaptations):
        progress(f"  {line}")
    return Deployment(stack, outputs, prepared.adaptations, time.monotonic() - started)


class _Uploader:
    """Puts content into the artefact bucket, once a key: keys carry the content's hash."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3
        try:
            s3.head_bucket(Bucket=_BUCKET)
        except ClientError:
            s3.create_bucket(Bucket=_BUCKET)
        listed = self._s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
        self._present = {str(each.get("Key")) for page in listed for each in page.get("Contents", [])}

    def __call__(self, key: str, content: bytes) -> str:
        if key not in self._present:
            self._s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
            self._present.add(key)
        return f"s3://{_BUCKET}/{key}"


def _template_url(access: CloudAccess, stack: str, prepared: PreparedTemplate) -> str:
    """Store the template where CloudFormation reads it: a body in the call may have 51,200 bytes, and ours may be larger."""
    key = f"templates/{stack}.json"
    access.s3().put_object(Bucket=_BUCKET, Key=key, Body=prepared.body.encode())
    return f"{access.endpoint}/{_BUCKET}/{key}"


def _submit(cloudformation: CloudFormationClient, stack: str, template_url: str, parameters: Mapping[str, str]) -> None:
    values: list[ParameterTypeDef] = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    try:
        existing = _described(cloudformation, stack)
        if existing is not None and existing["StackStatus"] in _GONE:
            delete_stack(cloudformation, stack)
            existing = None
        if existing is None:
            cloudformation.create_stack(StackName=stack, TemplateURL=template_url, Capabilities=_CAPABILITIES, Parameters=values)
        else:
            cloudformation.update_stack(StackName=stack, TemplateURL=template_url, Capabilities=_CAPABILITIES, Parameters=values)
    except ClientError as error:
        message = error.response.get("Error", {}).get("Message", "")
        if "No updates are to be performed" in message:
            return
        raise StackFailed(stack, "REFUSED", (), message) from error


def _described(cloudformation: CloudFormationClient, stack: str) -> StackTypeDef | None:
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError:
        return None


def _wait(cloudformation: CloudFormationClient, stack: str) -> StackTypeDef:
    """Wait for `stack` to come to rest. Raises StackFailed when it is not complete then."""
    deadline = time.monotonic() + _WAIT_SECONDS
    described = _described(cloudformation, stack)
    while described is not None and described["StackStatus"].endswith("_IN_PROGRESS") and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        described = _described(cloudformation, stack)
    if described is None:
        raise StackFailed(stack, "GONE", ())
    if described["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise StackFailed(
            stack, described["StackStatus"], _failures(cloudformation, stack), described.get("StackStatusReason", "")
        )
    return described


def _wait_for_versions(access: CloudAccess, stack: str) -> None:
    """Wait until every published version is active, as CloudFormation on AWS does before it calls a stack complete.

    Raises StackFailed naming each function whose first start failed, and why.
    """
    pages = access.cloudformation().get_paginator("list_stack_resources").paginate(StackName=stack)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    functions = access.lambda_()
    failures = []
    deadline = time.monotonic() + _WAIT_SECONDS
    for resource in resources:
        if resource["ResourceType"] != "AWS::Lambda::Version":
            continue
        version = resource.get("PhysicalResourceId", "")
        found = functions.get_function_configuration(FunctionName=version)
        while found.get("State") == "Pending" and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            found = functions.get_function_configuration(FunctionName=version)
        if found.get("State") != "Active":
            reason = found.get("StateReason") or f"state {found.get('State')}"
            failures.append(ResourceFailure(resource["LogicalResourceId"], resource["ResourceType"], reason))
    if failures:
        raise StackFailed(stack, "INACTIVE", tuple(failures))


def _failures(cloudformation: CloudFormationClient, stack: str) -> tuple[ResourceFailure, ...]:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return tuple(
        ResourceFailure(event.get("LogicalResourceId", "?"), event.get("ResourceType", "?"), event["ResourceStatusReason"])
        for event in events
        if "FAILED" in event.get("ResourceStatus", "") and event.get("ResourceStatusReason")
    )


def delete_stack(cloudformation: CloudFormationClient, stack: str) -> None:
    """Delete `stack` and wait until it is gone. Raises StackFailed when something of it stays."""
    cloudformation.delete_stack(StackName=stack)
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        described = _described(cloudformation, stack)
        if described is None or described["StackStatus"] == "DELETE_COMPLETE":
            return
        if described["StackStatus"] == "DELETE_FAILED":
            raise StackFailed(stack, "DELETE_FAILED", _failures(cloudformation, stack))
        time.sleep(_POLL_SECONDS)
    raise StackFailed(stack, "DELETE_IN_PROGRESS", (), f"not gone after {_WAIT_SECONDS:.0f} s")
