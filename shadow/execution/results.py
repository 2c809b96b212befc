"""Business Unit: execution | Status: current.

The end of a run, summed up: what its trades came to, and which of the workflow's ends that is. A trade that should have a
result and has none counts as unknown: nothing is dropped from the sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

from shadow.contracts.model import MONEY, exact_sum
from shadow.contracts.vocabulary import Reason, RunStatus, Side, TradeStatus
from shadow.contracts.workflow import AggregateInput, RunSummary, TradeResult

SHOWN_FAILURES = 20
_FAILED = frozenset({TradeStatus.FAILED, TradeStatus.BLOCKED, TradeStatus.NOT_SENT})
_UNCERTAIN = frozenset({TradeStatus.UNKNOWN, TradeStatus.UNFINISHED})


def aggregate(request: AggregateInput) -> RunSummary:
    """Sum a run's results up. A trade blocked by the equity breaker is within the failed ones, as the control counts it."""
    results = (*request.sell_results, *request.buy_results)
    counts = Counter(result.status for result in results)
    failed = sum(counts[status] for status in _FAILED)
    unknown = sum(counts[status] for status in _UNCERTAIN) + max(request.total_trades - len(results), 0)
    blocked = sum(result.reason is Reason.EQUITY_LIMIT for result in results)
    bought, sold = _value(results, Side.BUY), _value(results, Side.SELL)
    outcome = _outcome(unknown, blocked)
    succeeded, skipped = counts[TradeStatus.COMPLETED], counts[TradeStatus.SKIPPED]
    return RunSummary(
        total_trades=request.total_trades,
        succeeded_trades=succeeded,
        failed_trades=failed,
        skipped_trades=skipped,
        unknown_trades=unknown,
        equity_blocked_trades=blocked,
        sell_count=len(request.sell_results),
        buy_count=len(request.buy_results),
        total_value=MONEY.add(bought, sold),
        total_buy_value=bought,
        total_sell_value=sold,
        outcome=outcome.value,
        summary=_sentence(request.total_trades, succeeded, failed, skipped, unknown),
        failures=_failures(results),
        run_id=request.run_id,
        plan_id=request.plan_id,
        correlation_id=request.correlation_id,
    )


def _outcome(unknown: int, blocked: int) -> RunStatus:
    """Choose the workflow's end. Orders of unknown fate weigh more than a breaker that did its work."""
    if unknown:
        return RunStatus.FAILED
    return RunStatus.BLOCKED_BY_EQUITY_LIMIT if blocked else RunStatus.COMPLETED


def _value(results: Iterable[TradeResult], side: Side) -> Decimal:
    """Sum the executed USD of a side, partial fills included; a fill whose price is unknown counts at the decision quote."""
    return exact_sum(_executed(result) for result in results if result.action is side)


def _executed(result: TradeResult) -> Decimal:
    if result.total_value is not None:
        return result.total_value
    return MONEY.multiply(result.quantity or Decimal(0), result.decision_price or Decimal(0))


def _sentence(total: int, succeeded: int, failed: int, skipped: int, unknown: int) -> str:
    parts = [f"{succeeded} of {total} trades executed"]
    parts += [f"{count} {word}" for count, word in ((failed, "failed"), (skipped, "skipped"), (unknown, "unknown")) if count]
    return ", ".join(parts)


def _failures(results: Sequence[TradeResult]) -> tuple[str, ...]:
    """Put the first trades that did not execute into words, the rest into a count."""
    lines = [failure_line(result) for result in results if result.status is not TradeStatus.COMPLETED]
    more = len(lines) - SHOWN_FAILURES
    return (*lines[:SHOWN_FAILURES], f"and {more} more") if more > 0 else tuple(lines)


def failure_line(result: TradeResult) -> str:
    """Say in one line what became of a trade that did not execute in full."""
    filled = f", {result.quantity} shares filled" if result.quantity else ""
    why = f" ({result.error_message})" if result.error_message else ""
    planned = format(abs(result.planned_amount), ",.2f")
    return f"{result.action} {result.symbol} {planned} USD: {result.status}{filled}{why}"
