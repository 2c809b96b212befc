"""Business Unit: shared contracts | Status: current.

The metrics' closed list. The code emits them by these names, the template's alarms and dashboard are checked against them.
"""

from __future__ import annotations

from enum import StrEnum

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
