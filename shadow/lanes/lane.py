"""Business Unit: lanes | Status: current.

The seam: what a lane's adapter offers, and what one look at a lane found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shadow.aws.environment import text_of
from shadow.aws.table import RawItem
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane
from shadow.lanes.brokers.orders import Neighbours
from shadow.lanes.draft import DocumentWriter
from shadow.lanes.lane_file import LaneFile
from shadow.lanes.settledness import Settledness


class Presence(StrEnum):
    """What one look at a lane found."""

    ABSENT = "ABSENT"
    ACTIVE = "ACTIVE"
    SETTLED = "SETTLED"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a lane found.

    Of a lane that has not settled, `draft` (legacy) is its evidence as it is just now, and `describe` (workflow) what its
    execution says of itself.
    """

    lane: Lane
    presence: Presence
    settledness: Settledness
    ref: EvidenceRef | None = None
    draft: DocumentWriter | None = None
    describe: Mapping[str, object] | None = None
    gaps: tuple[Gap, ...] = ()
    stuck: bool = False


class ControlSource(Protocol):
    """The control's records."""

    def run_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's item and its trades' items, by sort key."""
        ...

    def captured_events(self, run_id: str) -> Iterable[RawItem] | None:
        """Read the events captured of the run, by sort key; None where nobody captures them."""
        ...

    def other_runs(self, run_id: str) -> Iterable[RawItem]:
        """Read which further runs of the run's plan were seen, in either lane, by sort key."""
        ...

    def ledger_rows(self, correlation_id: str) -> Iterable[RawItem] | None:
        """Read the trade ledger's rows of a plan, by sort key; None where there is no such table."""
        ...


class CandidateSource(Protocol):
    """The candidate's records."""

    def execution_arn(self, run_id: str) -> str:
        """Name the execution of a run."""
        ...

    def describe(self, execution_arn: str) -> Mapping[str, object] | None:
        """Read DescribeExecution's answer; None where the execution does not exist."""
        ...

    def history(self, execution_arn: str) -> list[Mapping[str, object]]:
        """Read the whole history."""
        ...

    def map_runs(self, history: list[Mapping[str, object]]) -> Iterable[Mapping[str, object] | Gap]:
        """Read a summary of each map run that the history names, and what of them could not be read."""
        ...

    def state_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's items of the candidate's state table, by sort key."""
        ...


class PlanSource(Protocol):
    """Where a pair's plan is read."""

    def plan_of(self, pair: Pair) -> RebalancePlan:
        """Read the plan of a pair."""
        ...


class BrokerTruth(Protocol):
    """What the brokers say of both lanes' orders."""

    def read(
        self,
        control: RunOutcome | None,
        candidate: RunOutcome | None,
        neighbours: Neighbours,
        published_at: datetime,
        now: datetime,
    ) -> Mapping[str, object]:
        """Fetch both accounts as an evidence document. `neighbours`: the day's other runs."""
        ...

    def look(self, published_at: datetime, now: datetime) -> Mapping[str, object]:
        """Fetch what both accounts hold now, and what has been ordered since the plan, as an evidence document."""
        ...


def lane_file_at(path: str) -> LaneFile | None:
    """Read the lane file at `path`; None when it is empty. Raises `InvalidPayload`, `ConfigurationError`."""
    if not path:
        return None
    return LaneFile.read(text_of("LANE_FILE_PATH", path), path)
