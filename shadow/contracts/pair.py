"""Business Unit: shared contracts | Status: current.

The pair: the two runs of one plan, from publication to verdict, as the pair ledger keeps it.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo

from shadow.contracts.comparison import Verdict
from shadow.contracts.model import Frozen, Identifier, Moment
from shadow.contracts.vocabulary import Lane, Origin


@cache
def _market_zone() -> ZoneInfo:
    return ZoneInfo("America/New_York")


def trading_day_of(moment: datetime) -> date:
    """Name the trading day of a plan: the New York date of its timestamp."""
    return moment.astimezone(_market_zone()).date()


class PairState(StrEnum):
    """Where a pair is on its way to a verdict.

    PENDING: waiting for both lanes. LATE: past the first deadline, still waiting. JUDGED: both lanes compared.
    MISSING: past the last deadline with a lane absent. RESOLVED_LATE: was MISSING, the absent side turned up and was judged;
    the old verdict is kept.
    """

    PENDING = "PENDING"
    LATE = "LATE"
    JUDGED = "JUDGED"
    MISSING = "MISSING"
    RESOLVED_LATE = "RESOLVED_LATE"


class StartState(StrEnum):
    """What is known of the start of the lane that shadows: the candidate's, or after a cut-over the legacy lane's.

    INTENDED: recorded, and the call's fate unknown until confirmed. STARTED: confirmed. REFUSED: certainly not started, with
    a reason.
    """

    INTENDED = "INTENDED"
    STARTED = "STARTED"
    REFUSED = "REFUSED"


class Pair(Frozen):
    """One pair. `trading_day` is the New York date of the plan's timestamp; times are UTC.

    `plan_json` is the plan where it is small, else `plan_key` says where it lies. `held_json` is what the control's account
    held of each symbol at publication, in shares, where the publisher knew it: with it the candidate's input can be built
    again to the byte. `production_lane` was in production when the plan was published: the pair is settled and judged by that,
    whatever is in production by then. `control_error` is the class name of what its publishing raised, `control_run_id` the run
    that its answer named, where it named one.
    `evidence_sha256` names the evidence that the verdict was made from, all pieces together. `state_transitions` is how many
    the candidate's execution made.
    """

    plan_id: Identifier
    run_id: Identifier
    correlation_id: Identifier
    trading_day: date
    origin: Origin = Origin.LIVE
    production_lane: Lane = Lane.LEGACY
    published_at: Moment
    state: PairState = PairState.PENDING
    verdict: Verdict = Verdict.PENDING
    previous_verdict: Verdict | None = None
    start_state: StartState = StartState.INTENDED
    start_reason: str | None = None
    execution_arn: str | None = None
    input_sha256: str | None = None
    plan_key: str | None = None
    plan_json: str | None = None
    held_json: str | None = None
    control_error: str | None = None
    control_run_id: str | None = None
    trade_count: int
    settled_at: Moment | None = None
    comparison_key: str | None = None
    comparison_sha256: str | None = None
    evidence_sha256: str | None = None
    state_transitions: int | None = None
    version: int = 0


class Unpaired(StrEnum):
    """Why a published plan has no pair. OTHER_CONTENT: another plan of this id came first.

    NOT_PUBLISHED: the control keeps it in its plan table, and no publication of it was ever seen.
    """

    OFF = "OFF"
    NOT_SAMPLED = "NOT_SAMPLED"
    HOLD_ONLY = "HOLD_ONLY"
    NOT_SHADOWED = "NOT_SHADOWED"
    NOT_COPIED = "NOT_COPIED"
    INVALID = "INVALID"
    OTHER_CONTENT = "OTHER_CONTENT"
    NOT_PUBLISHED = "NOT_PUBLISHED"


class UnpairedPlan(Frozen):
    """A plan that was published and got no pair, so that it is not missed. `detail` names what was faulty, never a value.

    Where the workflow was in production alone, the plan is kept as a pair keeps it: a version may run it too.
    """

    plan_id: Identifier
    trading_day: date
    published_at: Moment
    reason: Unpaired
    detail: str = ""
    plan_json: str | None = None
    plan_key: str | None = None
    held_json: str | None = None
