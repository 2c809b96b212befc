"""Business Unit: execution | Status: current.

From a notice that a run was stopped or broke to its mail and its effect. A safety rule that stopped a run has a
WorkflowFailed; a run that broke has none, as in the control.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from shadow.contracts.events import FailureStep
from shadow.contracts.workflow import GuardResult, RunSummary
from shadow.contracts.workflow_requests import FailureNotice, FailureType
from shadow.execution.effects import effect_of_failure
from shadow.execution.notifications import (
    Mail,
    RunNames,
    blocked_mail,
    broken_step,
    equity_limit_mail,
    failure_mail,
    unknown_trades_mail,
)
from shadow.execution.ports import PlannedEffect

_STEP_OF = {
    FailureType.BUY_PHASE_BLOCKED: FailureStep.SELL_PHASE_GUARD,
    FailureType.EQUITY_LIMIT_REACHED: FailureStep.EQUITY_CIRCUIT_BREAKER,
}


def mail_of_failure(notice: FailureNotice, names: RunNames) -> Mail:
    """Write the mail. Raises InvalidPayload when a safety rule's notice lacks what the rule saw."""
    state = notice.state
    match notice.failure_type:
        case FailureType.BUY_PHASE_BLOCKED:
            return blocked_mail(GuardResult.parse(state.get("guard")), _count(state.get("buyCount")), names)
        case FailureType.EQUITY_LIMIT_REACHED:
            return equity_limit_mail(RunSummary.parse(state), names)
        case FailureType.WORKFLOW_FAILED:
            broke = "unknownTrades" not in state or broken_step(state) is not None
            return failure_mail(state, names) if broke else unknown_trades_mail(RunSummary.parse(state), names)


def effects_of_failure(notice: FailureNotice, at: datetime) -> tuple[PlannedEffect, ...]:
    """Give the WorkflowFailed of a run that a safety rule stopped; nothing for one that broke."""
    step = _STEP_OF.get(notice.failure_type)
    if step is None:
        return ()
    return (
        effect_of_failure(
            run_id=notice.run_id,
            plan_id=notice.named("planId"),
            correlation_id=notice.named("correlationId"),
            step=step,
            reason=_reason(notice),
            at=at,
        ),
    )


def _reason(notice: FailureNotice) -> str:
    if notice.failure_type is FailureType.BUY_PHASE_BLOCKED:
        return GuardResult.parse(notice.state.get("guard")).reason or "the SELL guard blocked the BUY phase"
    summary = RunSummary.parse(notice.state)
    return f"the equity deployment limit refused {summary.equity_blocked_trades} BUY trades"


def _count(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
