"""Business Unit: evidence | Status: current.

What the control's own words mean. The control has no status for a skipped, blocked or never-sent trade, and says by free
text why a run failed: the translation to the glossary's words stands here, alone, because everything downstream rests on it.

How a safety stop is recognised, strongest sign first:

1. the `failure_step` of the run's captured WorkflowFailed event;
2. the run item's `failure_reason` (matched on the words below);
3. the shape of the items: BUYs still WAITING while more than the guard's threshold of sells failed.

How a BUY that the equity breaker refused is recognised: it FAILED, it has no order, and its `error_message` (or, where it
has none, the run's `failure_reason`) speaks of the equity limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from shadow.contracts.events import FailureStep
from shadow.contracts.runs_table import (
    GUARD_THRESHOLD_USD,
    MARKET_CLOSED_MESSAGE,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
)
from shadow.contracts.vocabulary import Reason, RunStatus, Side, TradeStatus

_EQUITY = re.compile(r"equity|circuit.?breaker|deployment limit", re.IGNORECASE)
_GUARD = re.compile(r"guard|sell.{0,20}(fail|threshold)|fail.{0,20}sell", re.IGNORECASE)
_REASONS = (
    (re.compile(r"rounds? to zero", re.IGNORECASE), Reason.ROUNDS_TO_ZERO),
    (re.compile(r"no (open )?position|nothing (is )?held|position does not exist", re.IGNORECASE), Reason.NOTHING_HELD),
    (re.compile(r"no (usable )?quote|quote (is )?(missing|unavailable|not available)", re.IGNORECASE), Reason.NO_QUOTE),
    (re.compile(r"partial", re.IGNORECASE), Reason.PARTIAL_FILL),
    (re.compile(r"not filled|unfilled|no fill", re.IGNORECASE), Reason.NOT_FILLED),
    (re.compile(r"time[d -]*out|timeout", re.IGNORECASE), Reason.TIMED_OUT),
    (re.compile(r"unavailable|throttl|rate limit|\b(429|5\d\d)\b|connection", re.IGNORECASE), Reason.BROKER_UNAVAILABLE),
    (re.compile(r"reject|refus|insufficient|not tradable|forbidden|\b(403|422)\b", re.IGNORECASE), Reason.BROKER_REJECTED),
)
_AFTER_SELLS = (LegacyRunStatus.BUY_PHASE, LegacyRunStatus.AGGREGATING, LegacyRunStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What of the run decides how its trades are read. `stop` is the safety rule that stopped it, if one did."""

    status: LegacyRunStatus | None
    stop: FailureStep | None
    failure_reason: str | None
    buys_were_sent: bool


def safety_stop(
    status: LegacyRunStatus | None,
    failure_reason: str | None,
    captured: FailureStep | None,
    *,
    buys_waiting: bool,
    sell_failed_amount: Decimal | None,
) -> FailureStep | None:
    """Tell which safety rule stopped a FAILED run; None where none did. `sell_failed_amount` is planned absolute USD."""
    if status is not LegacyRunStatus.FAILED:
        return None
    if captured is not None:
        return captured
    if failure_reason and _EQUITY.search(failure_reason):
        return FailureStep.EQUITY_CIRCUIT_BREAKER
    if failure_reason and _GUARD.search(failure_reason):
        return FailureStep.SELL_PHASE_GUARD
    over = sell_failed_amount is not None and sell_failed_amount > GUARD_THRESHOLD_USD
    return FailureStep.SELL_PHASE_GUARD if buys_waiting and over else None


def run_status(facts: RunFacts) -> RunStatus:
    """Translate the run's status."""
    if facts.status is LegacyRunStatus.COMPLETED:
        return RunStatus.COMPLETED
    if facts.status is not LegacyRunStatus.FAILED:
        return RunStatus.UNFINISHED
    if facts.stop is FailureStep.SELL_PHASE_GUARD:
        return RunStatus.BLOCKED_BY_GUARD
    if facts.stop is FailureStep.EQUITY_CIRCUIT_BREAKER:
        return RunStatus.BLOCKED_BY_EQUITY_LIMIT
    return RunStatus.FAILED


def buys_were_sent(status: LegacyRunStatus | None, phase: LegacyPhase | None, stop: FailureStep | None, *, began: bool) -> bool:
    """Tell whether the BUYs' turn has come: `began` is whether the run has a `buy_phase_started_at`."""
    if stop is FailureStep.SELL_PHASE_GUARD:
        return False
    return began or status in _AFTER_SELLS or phase in (LegacyPhase.BUY, LegacyPhase.ALL)


def trade_status(
    facts: RunFacts, side: Side, status: LegacyTradeStatus, message: str | None, *, has_order: bool, has_fill: bool
) -> tuple[TradeStatus, Reason | None]:
    """Translate one trade's status and say why it ended otherwise than COMPLETED."""
    if status is LegacyTradeStatus.COMPLETED:
        closed = message is not None and message.startswith(MARKET_CLOSED_MESSAGE.partition(" - ")[0])
        return (TradeStatus.SKIPPED, Reason.MARKET_CLOSED) if closed else (TradeStatus.COMPLETED, None)
    if status is LegacyTradeStatus.FAILED:
        if side is Side.BUY and not has_order and _is_breaker(facts, message):
            return TradeStatus.BLOCKED, Reason.EQUITY_LIMIT
        reason = _reason(message)
        return TradeStatus.FAILED, Reason.PARTIAL_FILL if has_fill and reason is Reason.NOT_FILLED else reason
    if status is LegacyTradeStatus.WAITING:
        if facts.stop is FailureStep.SELL_PHASE_GUARD:
            return TradeStatus.BLOCKED, Reason.SELL_GUARD
        if facts.buys_were_sent or facts.status is LegacyRunStatus.FAILED:
            return TradeStatus.NOT_SENT, None
    return TradeStatus.UNFINISHED, None


def _is_breaker(facts: RunFacts, message: str | None) -> bool:
    words = message or (facts.failure_reason if facts.stop is FailureStep.EQUITY_CIRCUIT_BREAKER else None)
    return words is not None and _EQUITY.search(words) is not None


def _reason(message: str | None) -> Reason:
    return next((reason for words, reason in _REASONS if message and words.search(message)), Reason.OTHER)
