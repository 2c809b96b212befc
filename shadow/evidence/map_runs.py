"""Business Unit: evidence | Status: current.

What the map runs of a large plan did. Their trades' results are in the candidate's state table; asking thousands of child
executions one by one would only say the same again, slowly. What the map run itself tells is how many children it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.contracts.outcome import Gap
from shadow.evidence.dynamodb import code_of, unavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_ABSENT = frozenset({"ResourceNotFound", "ResourceNotFoundException", "MapRunDoesNotExist"})


class MapRunReader:
    """Reads the map runs that a history names."""

    def __init__(self, stepfunctions: SFNClient) -> None:
        """Read from Step Functions."""
        self._stepfunctions = stepfunctions

    def read(self, history: list[Mapping[str, object]]) -> Iterator[Mapping[str, object] | Gap]:
        """Give a summary of each map run, and a gap for one that is gone. Raises `EvidenceUnavailable`."""
        for arn in _named_in(history):
            try:
                answer = self._stepfunctions.describe_map_run(mapRunArn=arn)
            except ClientError as error:
                if code_of(error) not in _ABSENT:
                    raise unavailable("DescribeMapRun", error) from error
                yield Gap(what="map run", reason="named by the history, does not exist")
            except BotoCoreError as error:
                raise unavailable("DescribeMapRun", error) from error
            else:
                children = {name: count for name, count in answer.get("executionCounts", {}).items() if count}
                yield {"mapRunArn": arn, "status": answer.get("status"), "children": children}


def _named_in(history: list[Mapping[str, object]]) -> Iterator[str]:
    for event in history:
        details = event.get("mapRunStartedEventDetails")
        if isinstance(details, Mapping) and isinstance(details.get("mapRunArn"), str):
            yield details["mapRunArn"]
