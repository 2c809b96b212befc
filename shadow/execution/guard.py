"""Business Unit: execution | Status: current.

The sell guard: when too many planned dollars failed to sell, nothing is bought. It sums **planned** amounts, because a failed
sell has executed nothing, and blocks above the threshold, not at it (legacy contract, section 5 rule 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from shadow.contracts.vocabulary import TradeStatus
from shadow.contracts.workflow import GuardInput, GuardResult, TradeResult
from shadow.execution.results import SHOWN_FAILURES, failure_line

_FAILED = frozenset({TradeStatus.FAILED, TradeStatus.UNKNOWN, TradeStatus.BLOCKED, TradeStatus.UNFINISHED, TradeStatus.NOT_SENT})


def evaluate_guard(request: GuardInput) -> GuardResult:
    """Decide whether buying may start. A sell of unknown fate counts as failed; a skipped one counts as neither."""
    failed = [result for result in request.sell_results if result.status in _FAILED]
    succeeded = [result for result in request.sell_results if result.status is TradeStatus.COMPLETED]
    threshold = request.failure_threshold_usd
    if threshold is None:
        threshold = request.default_failure_threshold_usd
    failed_amount = planned_usd(failed)
    allowed = failed_amount <= threshold
    return GuardResult(
        buy_phase_allowed=allowed,
        sell_failed_amount=failed_amount,
        sell_succeeded_amount=planned_usd(succeeded),
        sell_failed_count=len(failed),
        failure_threshold_usd=threshold,
        failures=tuple(failure_line(result) for result in failed[:SHOWN_FAILURES]),
        reason=None if allowed else f"failed sells of {failed_amount} USD exceed the threshold of {threshold} USD",
    )


def planned_usd(results: Iterable[TradeResult]) -> Decimal:
    """Sum the planned absolute amounts, in USD."""
    return sum((abs(result.planned_amount) for result in results), Decimal(0))
