"""Business Unit: evidence | Status: current.

Where the lanes' records are read from in AWS. Every page is followed; whatever the services cannot answer just now is
`EvidenceUnavailable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.contracts.candidate_state import candidate_pk
from shadow.contracts.identity import execution_name_of
from shadow.contracts.outcome import Gap
from shadow.contracts.runs_table import run_pk
from shadow.evidence.captured import CapturedEvents
from shadow.evidence.dynamodb import Reader, code_of, unavailable
from shadow.evidence.errors import EvidenceUnavailable
from shadow.evidence.history import MAX_EVENTS
from shadow.evidence.map_runs import MapRunReader
from shadow.evidence.ports import RawItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import GetExecutionHistoryInputTypeDef

PAGE_EVENTS = 1_000
_MAX_PAGES = 2 * MAX_EVENTS // PAGE_EVENTS
_NOT_THERE = frozenset({"ExecutionDoesNotExist", "StateMachineDoesNotExist"})
_LEFT_OUT = frozenset({"ResponseMetadata", "traceHeader"})


class AwsControlSource:
    """The control's tables, and the events captured from its bus."""

    def __init__(
        self, client: DynamoDBClient, runs_table: str, ledger_table: str | None, captured: CapturedEvents | None
    ) -> None:
        """Read `runs_table`; `ledger_table` and `captured` where they are there."""
        self._runs = Reader(client, runs_table)
        self._ledger = Reader(client, ledger_table) if ledger_table else None
        self._captured = captured

    def run_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's item and its trades' items, as they are now: the run's first, so that what it says has ended has."""
        return self._runs.query("PK", run_pk(run_id))

    def captured_events(self, run_id: str) -> Iterable[RawItem] | None:
        """Read the events captured of the run; None where nobody captures them."""
        return None if self._captured is None else self._captured.of_run(run_id)

    def other_runs(self, run_id: str) -> Iterable[RawItem]:
        """Read which further runs of the run's plan were seen, in either lane."""
        return () if self._captured is None else self._captured.other_runs(run_id)

    def ledger_rows(self, correlation_id: str) -> Iterable[RawItem] | None:
        """Read the trade ledger's rows of a plan; None where there is no such table."""
        return None if self._ledger is None else self._ledger.query("GSI1PK", f"CORR#{correlation_id}", index="GSI1")


class AwsCandidateSource:
    """Step Functions, and the candidate's state table."""

    def __init__(self, stepfunctions: SFNClient, state_machine_arn: str, dynamodb: DynamoDBClient, state_table: str) -> None:
        """Read the executions of one state machine."""
        self._stepfunctions = stepfunctions
        self._state_machine_arn = state_machine_arn
        self._state = Reader(dynamodb, state_table)
        self._map_runs = MapRunReader(stepfunctions)

    def execution_arn(self, run_id: str) -> str:
        """Name the execution of a run."""
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{execution_name_of(run_id)}"

    def describe(self, execution_arn: str) -> Mapping[str, object] | None:
        """Read DescribeExecution's answer; None where the execution does not exist."""
        try:
            answer: Mapping[str, object] = self._stepfunctions.describe_execution(executionArn=execution_arn)
        except ClientError as error:
            if code_of(error) in _NOT_THERE:
                return None
            raise unavailable("DescribeExecution", error) from error
        except BotoCoreError as error:
            raise unavailable("DescribeExecution", error) from error
        return {name: value for name, value in answer.items() if name not in _LEFT_OUT}

    def history(self, execution_arn: str) -> list[Mapping[str, object]]:
        """Read the whole history, page by page."""
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
        return self._state.query("PK", candidate_pk(run_id))
