"""Business Unit: shared contracts | Status: current.

The glossary's closed lists: the words that plans, lanes, trades and runs are described with. No synonyms elsewhere. One
of them names the metrics: the code emits them by these names, the template's alarms and dashboard are checked against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """What a lane is for: the control is in production, the candidate shadows it. A cut-over swaps the roles."""

    CONTROL = "control"
    CANDIDATE = "candidate"


class Lane(StrEnum):
    """What a lane is: the legacy SQS path, our Step Functions workflow, or one that a file describes, which only shadows.

    A lane keeps its name whatever its role.
    """

    LEGACY = "legacy"
    WORKFLOW = "workflow"
    DECLARED = "declared"

    @property
    def has_our_ids(self) -> bool:
        """Whether its run and trade ids derive from the plan's. The legacy lane mints its own for each publication."""
        return self is Lane.WORKFLOW

    def role_beside(self, production: Lane) -> Role:
        """Give what the lane is for while `production` is in production: control where it is that lane, else candidate.

        Example: `Lane.LEGACY.role_beside(Lane.WORKFLOW)` is `Role.CANDIDATE`.
        """
        return Role.CONTROL if self is production else Role.CANDIDATE


class Side(StrEnum):
    """The direction of a trade. Also the name of the phase it runs in."""

    BUY = "BUY"
    SELL = "SELL"


class Action(StrEnum):
    """What a plan says of one symbol. HOLD makes no trade."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class ExecutionMode(StrEnum):
    """What the candidate may do with an order.

    DRY_RUN records the intent and fills it from the decision quote; PAPER uses a paper account of its own; LIVE trades.
    """

    DRY_RUN = "dry_run"
    PAPER = "paper"
    LIVE = "live"


class SizingBasis(StrEnum):
    """What a quantity was computed from."""

    TRADE_AMOUNT = "trade_amount"
    HELD_QUANTITY = "held_quantity"
    HELD_VALUE = "held_value"


class TradeStatus(StrEnum):
    """How a trade ended, in the same words for both lanes.

    COMPLETED: executed in full. FAILED: tried, and not executed in full (a partial fill is kept). SKIPPED: deliberately
    not tried, harmlessly. BLOCKED: refused by a safety rule. NOT_SENT: should have been tried and never was.
    UNFINISHED: no end was reached. UNKNOWN: the lane itself does not know.
    """

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    BLOCKED = "BLOCKED"
    NOT_SENT = "NOT_SENT"
    UNFINISHED = "UNFINISHED"
    UNKNOWN = "UNKNOWN"


class Reason(StrEnum):
    """Why a trade ended otherwise than COMPLETED."""

    MARKET_CLOSED = "MARKET_CLOSED"
    EQUITY_LIMIT = "EQUITY_LIMIT"
    SELL_GUARD = "SELL_GUARD"
    ROUNDS_TO_ZERO = "ROUNDS_TO_ZERO"
    NOTHING_HELD = "NOTHING_HELD"
    NO_QUOTE = "NO_QUOTE"
    IMPLAUSIBLE_QUOTE = "IMPLAUSIBLE_QUOTE"
    BROKER_REJECTED = "BROKER_REJECTED"
    BROKER_UNAVAILABLE = "BROKER_UNAVAILABLE"
    PARTIAL_FILL = "PARTIAL_FILL"
    NOT_FILLED = "NOT_FILLED"
    TIMED_OUT = "TIMED_OUT"
    RUN_FAILED = "RUN_FAILED"
    OTHER = "OTHER"


class RunStatus(StrEnum):
    """How a lane's run ended. Both lanes are classified by what happened, not by their own word for it."""

    COMPLETED = "COMPLETED"
    BLOCKED_BY_GUARD = "BLOCKED_BY_GUARD"
    BLOCKED_BY_EQUITY_LIMIT = "BLOCKED_BY_EQUITY_LIMIT"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    UNFINISHED = "UNFINISHED"


class EffectKind(StrEnum):
    """What a downstream effect is."""

    TRADE_EXECUTED = "TradeExecuted"
    ALL_TRADES_COMPLETED = "AllTradesCompleted"
    WORKFLOW_FAILED = "WorkflowFailed"
    LEDGER_ENTRY = "LedgerEntry"


class Origin(StrEnum):
    """Why a pair exists. Only LIVE pairs count as coverage."""

    LIVE = "live"
    REPLAY = "replay"
    PLANTED = "planted"


NAMESPACE = "Shadow"


class Metric(StrEnum):
    """Every metric of the namespace `Shadow`; its one dimension is `Stage`."""

    PLANS_PUBLISHED = "PlansPublished"
    PLANS_NOT_SAMPLED = "PlansNotSampled"
    PLANS_WITHOUT_TRADES = "PlansWithoutTrades"
    PLANS_REFUSED = "PlansRefused"
    INTAKE_FAILURES = "IntakeFailures"
    PUBLISH_FAILURES = "CandidatePublishFailures"
    PUBLISH_BOUND_EXCEEDED = "PublishBoundExceeded"
    PUBLISH_ADDED_MS = "PublishAddedMilliseconds"
    CONTROL_PUBLISH_ERRORS = "ControlPublishErrors"
    CONTROL_SEND_FAILURES = "ControlSendFailures"
    PAIRS_JUDGED = "PairsJudged"
    PAIRS_MATCHED = "PairsMatched"
    PAIRS_DIVERGED = "PairsDiverged"
    PAIRS_IGNORED = "PairsIgnored"
    PAIRS_INCOMPLETE = "PairsIncomplete"
    PAIRS_MISSING_CONTROL = "PairsMissingControl"
    PAIRS_MISSING_CANDIDATE = "PairsMissingCandidate"
    PAIRS_PENDING = "PairsPending"
    PAIRS_LATE = "PairsLate"
    OLDEST_PENDING_SECONDS = "OldestPendingPairSeconds"
    CONSERVATION_ERROR = "ConservationError"
    DIVERGENCE_RATE = "DivergenceRatePercent"
    CRITICAL_DIFFERENCES = "CriticalDifferences"
    MAJOR_DIFFERENCES = "MajorDifferences"
    UNEXPLAINED_DIFFERENCES = "UnexplainedDifferences"
    IMPACT_USD = "GrossImpactUsd"
    DOUBLE_LIVE_ORDERS = "DoubleLiveOrders"
    KNOWN_DIVERGENCE_OVER_BUDGET = "KnownDivergenceOverBudget"
    STUCK_RUNS = "StuckRuns"
    ORDERS_LEFT_WORKING = "OrdersLeftWorking"
    COMPARATOR_ERRORS = "ComparatorErrors"
    CONTRACT_VIOLATIONS = "ContractViolations"
    DURATION_RATIO = "DurationRatioPercent"
    STATE_TRANSITIONS = "StateTransitions"
    MONTH_TRANSITION_COST_USD = "MonthTransitionCostUsd"
    EVIDENCE_GAPS = "EvidenceGaps"
    RUNS_WITHOUT_PAIR = "RunsWithoutPair"
    HINTS_DISBELIEVED = "HintsDisbelieved"
    MARKET_UNANSWERED = "MarketUnanswered"
    CANDIDATE_STARTS_COMPLETED = "CandidateStartsCompleted"
    NOTIFICATION_FAILURES = "NotificationFailures"
    UNCOMPARED_TRADING_DAYS = "UncomparedTradingDays"


class Recorder(Protocol):
    """Where metrics and log lines go."""

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Write metrics."""

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Write one log line, without payloads; a problem is an error."""
