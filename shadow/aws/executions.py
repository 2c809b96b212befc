"""Business Unit: evidence | Status: current.

Where the lanes' records are read from in AWS. Every page is followed; whatever the services cannot answer just now is
`EvidenceUnavailable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws.clients import code_of, unavailable
from shadow.aws.table import RawItem, Reader
from shadow.contracts.candidate_state import candidate_pk
from shadow.contracts.control_records import MAX_EVENTS
from shadow.contracts.errors import EvidenceUnavailable
from shadow.contracts.identity import execution_name_of
from shadow.contracts.outcome import Gap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import GetExecutionHistoryInputTypeDef

PAGE_EVENTS = 1_000
_MAX_PAGES = 2 * MAX_EVENTS // PAGE_EVENTS
_NOT_THERE = frozenset({"ExecutionDoesNotExist", "StateMachineDoesNotExist"})
_LEFT_OUT = frozenset({"ResponseMetadata", "traceHeader"})


class AwsCandidateSource:
    """Step Functions, and the candidate's state table."""

    def __init__(self, stepfunctions: SFNClient, state_machine_arn: str, dynamodb: DynamoDBClient, state_table: str) -> None:
        """Read the executions of one state machine; `state_table` is empty where it keeps no state table."""
        self._stepfunctions = stepfunctions
        self._state_machine_arn = state_machine_arn
        self._state = Reader(dynamodb, state_table) if state_table else None
        self._map_runs = MapRunReader(stepfunctions)

    def execution_arn(self, run_id: str) -> str:
        """Name the execution of a run."""
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{execution_name_of(run_id)}"

    def describe(self, execution_arn: str) -> Mapping[str, object] | None:
        """Read DescribeExecution's answer; None where the execution does not exist.

        Of an ended execution that was started without a version it also has `definitionSha256`, of the definition that it ran.
        """
        try:
            answer: Mapping[str, object] = self._stepfunctions.describe_execution(executionArn=execution_arn)
        except ClientError as error:
            if code_of(error) in _NOT_THERE:
                return None
            raise unavailable("DescribeExecution", error) from error
        except BotoCoreError as error:
            raise unavailable("DescribeExecution", error) from error
        if answer["status"] != "RUNNING" and not answer.get("stateMachineVersionArn"):
            answer = {**answer, "definitionSha256": self._definition(execution_arn)}
        return {name: value for name, value in answer.items() if name not in _LEFT_OUT}

    def _definition(self, execution_arn: str) -> str:
        try:
            ran = self._stepfunctions.describe_state_machine_for_execution(executionArn=execution_arn)
        except (ClientError, BotoCoreError) as error:
            raise unavailable("DescribeStateMachineForExecution", error) from error
        return sha256(ran["definition"].encode()).hexdigest()

    def history(self, execution_arn: str) -> list[Mapping[str, object]]:
        """Read the whole history, page by page. Raises `EvidenceUnavailable`."""
        events: list[Mapping[str, object]] = []
        request: GetExecutionHistoryInputTypeDef = {
            "executionArn": execution_arn,
            "maxResults": PAGE_EVENTS,
            "includeExecutionData": True,
        }
        for _ in range(_MAX_PAGES):
            try:
                page = self._stepfunctions.get_execution_history(**request)
            except (ClientError, BotoCoreError) as error:
                raise unavailable("GetExecutionHistory", error) from error
            events.extend(page["events"])
            if not page.get("nextToken"):
                return events
            request["nextToken"] = page["nextToken"]
        raise EvidenceUnavailable(f"GetExecutionHistory: expected at most {_MAX_PAGES} pages, was more")

    def map_runs(self, history: list[Mapping[str, object]]) -> Iterable[Mapping[str, object] | Gap]:
        """Read a summary of each map run that the history names, and what of them could not be read."""
        return self._map_runs.read(history)

    def state_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's items of the candidate's state table."""
        return self._state.query("PK", candidate_pk(run_id)) if self._state is not None else ()


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
