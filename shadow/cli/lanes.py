"""Business Unit: command line | Status: current.

What both lanes of a pair are doing just now, read only: nothing is copied, nothing is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shadow.aws import clients
from shadow.aws.executions import AwsCandidateSource
from shadow.aws.table import plain_item
from shadow.cli.target import Target
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Lane, Role
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.legacy.source import AwsControlSource, CapturedEvents, run_of_plan
from shadow.lanes.records import as_moment
from shadow.lanes.settledness import Deadlines, Settledness, candidate_settledness, control_settledness, is_stuck
from shadow.settlement.composition import deadlines_from
from shadow.settlement.looks import LEGACY, WORKFLOW

_Clock = tuple[datetime, Deadlines]


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane of a pair now. `state` is the lane's own word, `since` when it last showed a sign of life."""

    lane: Lane
    role: Role
    state: str
    settled: bool
    since: datetime | None = None
    waiting_for: str = ""
    stuck: bool = False

    def to_wire(self, now: datetime) -> dict[str, object]:
        """Give the JSON-ready form; the age is in seconds."""
        return {
            "lane": self.lane.value,
            "state": self.state,
            "settled": self.settled,
            "since": self.since.isoformat() if self.since else None,
            "age_seconds": (now - self.since).total_seconds() if self.since else None,
            "waiting_for": self.waiting_for or None,
            "stuck": self.stuck,
        }


def lane_states(target: Target, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> tuple[LaneState, LaneState]:
    """Look at both lanes, control first, by the default policy's deadlines and the stack's own. Raises `EvidenceUnavailable`."""
    dynamodb = clients.dynamodb()
    captured = CapturedEvents(dynamodb, target.name("PairLedgerTableName"))
    control = AwsControlSource(dynamodb, target.control_name("ExecutionRunsTableName", "execution-runs"), None, captured)
    candidate = AwsCandidateSource(
        clients.stepfunctions(),
        target.name("StateMachineArn"),
        dynamodb,
        target.outputs.get("CandidateStateTableName", ""),
    )
    deadlines = deadlines_from(target.parameters.get("SettlementDeadlines", ""), default_policy().deadlines)
    states = _legacy(control, pair, refs, (now, deadlines)), _workflow(candidate, pair, refs, (now, deadlines))
    return states if pair.production_lane is Lane.LEGACY else states[::-1]


def _legacy(source: AwsControlSource, pair: Pair, refs: Mapping[str, EvidenceRef], clock: _Clock) -> LaneState:
    now, deadlines = clock
    run_id = run_of_plan(source, pair)
    outcome = run_id and read_control(run_id, pair.plan_id, map(plain_item, source.run_items(run_id)), None)
    if not outcome:
        kept = LEGACY in refs
        return _ended(Lane.LEGACY, pair, "records expired, evidence kept" if kept else "no run found", kept=kept)
    found = control_settledness(outcome, now, deadlines)
    since = found.since or outcome.completed_at or outcome.started_at
    return _state(_ended(Lane.LEGACY, pair, outcome.raw_status or outcome.status.value), found, since, clock)


def _workflow(source: AwsCandidateSource, pair: Pair, refs: Mapping[str, EvidenceRef], clock: _Clock) -> LaneState:
    now, deadlines = clock
    describe = source.describe(pair.execution_arn or source.execution_arn(pair.run_id))
    if describe is None:
        kept = any(name.startswith(f"{WORKFLOW}-") for name in refs)
        reason = f": start {pair.start_state.value}" + (f", {pair.start_reason}" if pair.start_reason else "")
        return _ended(Lane.WORKFLOW, pair, "history expired, evidence kept" if kept else f"no execution{reason}", kept=kept)
    stopped = as_moment(describe.get("stopDate"))
    found = candidate_settledness(describe.get("status"), stopped, now, deadlines.aborted_quiet)
    since = found.since or stopped or as_moment(describe.get("redriveDate")) or as_moment(describe.get("startDate"))
    return _state(_ended(Lane.WORKFLOW, pair, str(describe.get("status"))), found, since, clock)


def _ended(lane: Lane, pair: Pair, state: str, *, kept: bool = False) -> LaneState:
    return LaneState(lane, lane.role_beside(pair.production_lane), state, settled=kept)


def _state(lane: LaneState, found: Settledness, since: datetime | None, clock: _Clock) -> LaneState:
    active = Settledness(settled=found.settled, waiting_for=found.waiting_for, since=since)
    stuck = is_stuck(active, *clock)
    return replace(lane, settled=found.settled, since=since, waiting_for=found.waiting_for, stuck=stuck)
