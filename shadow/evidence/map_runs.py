"""Business Unit: evidence | Status: current.

What the child executions of a Distributed Map did: the results that its map runs wrote to S3, found through the manifest that
each names, and where there is none, the children one by one.

Source of the manifest and result files' form: AWS Step Functions developer guide, "ResultWriter".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.contracts.outcome import Gap
from shadow.evidence.dynamodb import unavailable
from shadow.evidence.fields import as_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

_MAX_CHILDREN = 20_000
_LISTED = "mapRunStartedEventDetails"


class S3MapRunReader:
    """Reads the children of a history's map runs."""

    def __init__(self, stepfunctions: SFNClient, s3: S3Client) -> None:
        """Read children from Step Functions, and what they wrote from S3."""
        self._stepfunctions = stepfunctions
        self._s3 = s3

    def read(self, history: list[Mapping[str, object]]) -> Iterator[Mapping[str, object] | Gap]:
        """Give the trades' results of every map run in `history`, a gap for each child without. Raises `EvidenceUnavailable`."""
        for arn in _map_runs(history):
            for child in self._children(arn):
                output = child.get("output")
                found = list(_results(as_json(output) if isinstance(output, str) else None))
                yield from found
                if not found:
                    yield Gap(what=f"child execution {child.get('name')}", reason=f"no result, status {child.get('status')}")

    def _children(self, map_run_arn: str) -> Iterator[Mapping[str, object]]:
        try:
            pages = self._stepfunctions.get_paginator("list_executions").paginate(mapRunArn=map_run_arn)
            for number, child in enumerate(entry for page in pages for entry in page["executions"]):
                if number >= _MAX_CHILDREN:
                    return
                yield dict(self._stepfunctions.describe_execution(executionArn=child["executionArn"]))
        except (ClientError, BotoCoreError) as error:
            raise unavailable("map run children", error) from error


def _map_runs(history: list[Mapping[str, object]]) -> Iterator[str]:
    for event in history:
        details = event.get(_LISTED)
        if isinstance(details, Mapping) and isinstance(details.get("mapRunArn"), str):
            yield details["mapRunArn"]


def _results(value: object) -> Iterator[Mapping[str, object]]:
    """Find trade results in a child's output: the result itself, or lists of them."""
    if isinstance(value, Mapping) and "tradeId" in value and "status" in value:
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _results(inner) if isinstance(inner, list | Mapping) else ()
    elif isinstance(value, list):
        for inner in value:
            yield from _results(inner)
