"""Business Unit: command line | Status: current.

Calling a function of the stack and understanding its answer.
"""

from __future__ import annotations

import json

import boto3
from botocore.config import Config

from shadow.cli.errors import FunctionFailed
from shadow.cli.target import Target

WAIT_SECONDS = 310
_WAIT = Config(connect_timeout=5, read_timeout=WAIT_SECONDS, retries={"total_max_attempts": 1})


def invoke(target: Target, output: str, payload: object) -> dict[str, object]:
    """Call the function that the stack's `output` names and give its answer. Raises `MissingOutput`, `FunctionFailed`."""
    return invoke_named(target.name(output), payload)


def invoke_named(name: str, payload: object) -> dict[str, object]:
    """Call the function of that name and give its answer. Raises `FunctionFailed`."""
    response = boto3.client("lambda", config=_WAIT).invoke(FunctionName=name, Payload=json.dumps(payload).encode())
    answer: object = json.loads(response["Payload"].read() or b"null")
    values = answer if isinstance(answer, dict) else {}
    if response.get("FunctionError"):
        raise FunctionFailed(name, str(values.get("errorType", "error")), str(values.get("errorMessage", "")))
    return values
