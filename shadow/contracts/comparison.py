"""Business Unit: shared contracts | Status: current.

What a comparison says: differences, each with kind, severity, attribution and dollars, and the verdict of a pair. The
document is a pure function of plan, outcomes, policy and code version: judged twice, it is the same to the byte.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from shadow.contracts.model import Exact, Frozen, Identifier, Moment
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Side


class Level(StrEnum):
    """Where a difference was made."""

    DECISION = "decision"
    ORDER = "order"
    FILL = "fill"
    EFFECT = "effect"
    LANE = "lane"


class Severity(StrEnum):
    """How much a difference matters. CRITICAL would move money or safety."""

    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    INFO = "INFO"


class Attribution(StrEnum):
    """Which lane departs from the plan."""

    CONTROL = "control"
    CANDIDATE = "candidate"
    BOTH = "both"
    NEITHER = "neither"


class Verdict(StrEnum):
    """What is known of a pair."""

    PENDING = "PENDING"
    MATCHED = "MATCHED"
    DIVERGED = "DIVERGED"
    IGNORED = "IGNORED"
    INCOMPLETE = "INCOMPLETE"
    MISSING_CONTROL = "MISSING_CONTROL"
    MISSING_CANDIDATE = "MISSING_CANDIDATE"


class Impact(Frozen):
    """What a difference is worth, candidate minus control, in signed USD.

    `notional` is the difference in exposure (a buy adds, a sell removes), `cash` the difference in money on the account.
    """

    notional: Exact = Decimal(0)
    cash: Exact = Decimal(0)


class Difference(Frozen):
    """One field that differs beyond its rule."""

    kind: str
    level: Level
    severity: Severity
    attribution: Attribution
    field: str
    trade_id: str | None = None
    symbol: str | None = None
    action: Side | None = None
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    rule: str
    explanation: str
    impact: Impact = Impact()
    covered_by: str | None = None


class EvidenceRef(Frozen):
    """Where one piece of evidence lies. The digest is of its bytes and part of its key."""

    name: str
    key: str
    sha256: str
    size: int


class Comparison(Frozen):
    """The document that is stored for a pair, one JSON object, judged again later without AWS."""

    plan_id: Identifier
    run_id: Identifier
    trading_day: date
    origin: str = "live"
    published_at: Moment
    verdict: Verdict
    differences: tuple[Difference, ...]
    plan: RebalancePlan
    control: RunOutcome | None
    candidate: RunOutcome | None
    gaps: tuple[str, ...] = ()
    impact: Impact = Impact()
    gross_impact: Exact = Decimal(0)
    evidence: tuple[EvidenceRef, ...] = ()
    policy_hash: str
    code_version: str
