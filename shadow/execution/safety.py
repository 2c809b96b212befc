"""Business Unit: execution | Status: current.

The sell guard: when too many planned dollars failed to sell, nothing is bought. It sums **planned** amounts, because a failed
sell has executed nothing, and blocks above the threshold, not at it (legacy contract, section 5 rule 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from shadow.contracts.model import MONEY, exact_sum
from shadow.contracts.vocabulary import Reason, TradeStatus
from shadow.contracts.workflow import EquityCheck, GuardInput, GuardResult, TradeResult
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
    return exact_sum(result.planned_amount.copy_abs() for result in results)


MAX_DEPLOYMENT = Decimal("1.5")
SMALLEST_LIMIT = Decimal("0.01")


def equity_limit(equity: Decimal, deployment: Decimal) -> Decimal:
    """Compute the limit in USD: account equity times min(deployment fraction, 1.5); 0, the breaker off, for a fraction of 0.

    An account without equity gets the smallest limit there is, not 0: "nothing to deploy" must not read as "no limit".
    """
    if deployment <= 0:
        return Decimal(0)
    return max(MONEY.multiply(equity, min(deployment, MAX_DEPLOYMENT)), SMALLEST_LIMIT)


def equity_check(*, allowed: bool, reserved: Decimal, limit: Decimal) -> EquityCheck:
    """Answer one reservation; `reserved` (USD) counts the trade when it was allowed."""
    return EquityCheck(
        allowed=allowed,
        cumulative=max(reserved, Decimal(0)),
        limit=limit,
        headroom=MONEY.subtract(limit, reserved),
        reason=None if allowed else Reason.EQUITY_LIMIT.value,
    )
