"""Business Unit: execution | Status: current.

Which downstream effects a result implies: the trade ledger's rows and the three events, as the control makes them (legacy
contract, section 5). Whether they are emitted or only recorded is not decided here.

The mails of a run: what happened, which trades need a look, and what to do, in plain text (SNS sends nothing else). A subject is
at most 100 printable ASCII characters, by SNS's rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from pydantic import JsonValue

from shadow.contracts.control_records import AllTradesCompleted, FailureStep, LedgerEntry, TradeExecuted, WorkflowFailed
from shadow.contracts.identity import is_replay
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, RunStatus, TradeStatus
from shadow.contracts.workflow import (
    ClosedRun,
    CompletionNotice,
    FailureNotice,
    FailureType,
    GuardResult,
    OrderTrace,
    RunSummary,
    TradeResult,
    WorkflowTrade,
)
from shadow.execution.ports import PlannedEffect


def effects_of_trade(trade: WorkflowTrade, result: TradeResult, at: datetime) -> tuple[PlannedEffect, ...]:
    """Give one ledger row for each order that filled, and one TradeExecuted whichever way the trade ended.

    A trade of unknown fate implies nothing yet: nobody knows what to tell.
    """
    if result.status is TradeStatus.UNKNOWN:
        return ()
    filled = [order for order in result.orders if order.filled_quantity > 0 and order.order_id]
    rows = tuple(_ledger_row(trade, result, order, part, at) for part, order in enumerate(filled))
    return (*rows, _trade_executed(trade, result, at))


def _ledger_row(trade: WorkflowTrade, result: TradeResult, order: OrderTrace, part: int, at: datetime) -> PlannedEffect:
    moment = result.filled_at or at
    entry = LedgerEntry(
        order_id=order.order_id or order.client_order_id,
        correlation_id=trade.correlation_id,
        symbol=trade.symbol,
        direction=trade.action,
        filled_qty=order.filled_quantity,
        fill_price=order.average_price,
        timestamp=moment,
    )
    return PlannedEffect(trade.run_id, EffectKind.LEDGER_ENTRY, trade.trade_id, entry, moment, part)


def _trade_executed(trade: WorkflowTrade, result: TradeResult, at: datetime) -> PlannedEffect:
    detail = TradeExecuted(
        correlation_id=trade.correlation_id,
        causation_id=trade.causation_id,
        run_id=trade.run_id,
        plan_id=trade.plan_id,
        timestamp=at,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        action=trade.action,
        success=result.status is TradeStatus.COMPLETED,
        quantity=result.quantity if result.orders else None,
        price=result.average_price,
        trade_amount=result.total_value if result.orders else None,
        order_id=result.order_id,
        error_message=result.error_message,
    )
    return PlannedEffect(trade.run_id, EffectKind.TRADE_EXECUTED, trade.trade_id, detail, at)


def effects_of_run(summary: RunSummary, at: datetime) -> tuple[PlannedEffect, ...]:
    """Give the AllTradesCompleted of a run in which every trade has ended and no safety rule refused one.

    The control emits it when its last trade is counted, and never for a run that the breaker failed; a plan without
    trades makes no run there.
    """
    if summary.outcome != RunStatus.COMPLETED or not summary.total_trades:
        return ()
    detail = AllTradesCompleted(
        correlation_id=summary.correlation_id,
        run_id=summary.run_id,
        plan_id=summary.plan_id,
        timestamp=at,
        total_trades=summary.total_trades,
        succeeded_trades=summary.succeeded_trades,
        failed_trades=summary.failed_trades,
        skipped_trades=summary.skipped_trades,
    )
    return (PlannedEffect(summary.run_id, EffectKind.ALL_TRADES_COMPLETED, None, detail, at),)


def effect_of_failure(
    *, run_id: str, plan_id: str, correlation_id: str, step: FailureStep, reason: str, at: datetime
) -> PlannedEffect:
    """Give the WorkflowFailed of a run that a safety rule stopped."""
    detail = WorkflowFailed(
        correlation_id=correlation_id,
        run_id=run_id,
        plan_id=plan_id,
        timestamp=at,
        failure_step=step,
        failure_reason=reason,
    )
    return PlannedEffect(run_id, EffectKind.WORKFLOW_FAILED, None, detail, at)


SUBJECT_LENGTH = 100
_CAUSE_LENGTH = 1000
_STEPS = {
    "prepareTradesError": "preparing the trades",
    "sellPhaseError": "the SELL phase",
    "sellGuardError": "the SELL guard",
    "buyPhaseError": "the BUY phase",
    "aggregateResultsError": "summing the results up",
    "sendNotificationError": "sending the completion mail",
}
_BEFORE_ORDERS = frozenset({"prepareTradesError"})


@dataclass(frozen=True, slots=True)
class RunNames:
    """How a run is named in a mail. Absent ids are "unknown": a mail is sent however little is known."""

    run_id: str
    plan_id: str
    correlation_id: str
    stage: str
    mode: ExecutionMode
    execution: str = ""

    @classmethod
    def of(cls, notice: CompletionNotice | FailureNotice, stage: str, mode: ExecutionMode) -> RunNames:
        """Take the names out of a notice."""
        plan_id = notice.named("planId")
        runs = ExecutionMode.DRY_RUN if is_replay(plan_id) else mode
        return cls(notice.run_id, plan_id, notice.named("correlationId"), stage, runs, notice.execution_id)

    def lines(self) -> list[str]:
        """List the names, one a line."""
        named = [f"Plan: {self.plan_id}", f"Run: {self.run_id}", f"Correlation: {self.correlation_id}"]
        named += [f"Stage: {self.stage}, mode: {self.mode}{_MODE_NOTE[self.mode]}"]
        return [*named, f"Execution: {self.execution}"] if self.execution else named


_MODE_NOTE = {
    ExecutionMode.DRY_RUN: " (no order was sent to a broker)",
    ExecutionMode.PAPER: " (paper account)",
    ExecutionMode.LIVE: " (real orders)",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A subject and a body."""

    subject: str
    body: str


def completion_mail(summary: RunSummary, names: RunNames) -> Mail:
    """Tell that a run finished; lists what did not execute, with what to do about it."""
    partial = summary.succeeded_trades < summary.total_trades
    word = "finished with open points" if partial else "completed"
    lines = [*_figures(summary)]
    if summary.failures:
        lines += ["", "Not executed in full:", *(f"- {line}" for line in summary.failures)]
    if summary.failed_trades:
        lines += [
            "",
            "What to do: check these positions; the next plan starts from what is held, or trade by hand before the close.",
        ]
    return _mail(f"run {word}: {summary.summary}", lines, names)


def blocked_mail(guard: GuardResult, buy_count: int, names: RunNames, closing: Sequence[str] = ()) -> Mail:
    """Tell that nothing was bought because too much failed to sell; `closing` says what became of orders that were still open."""
    lines = [
        f"Planned sells of {guard.sell_failed_amount} USD failed; the threshold is {guard.failure_threshold_usd} USD.",
        f"{guard.sell_failed_count} sells failed; sells of {guard.sell_succeeded_amount} USD were executed.",
        f"{buy_count} BUY trades were not started.",
        "",
        "Failed sells:",
        *(f"- {line}" for line in guard.failures),
        "",
        "What to do: find out why the sells failed, sell by hand if still wanted, and publish a new plan for the buys.",
        *closing,
    ]
    return _mail(f"BUYs blocked: sells of {guard.sell_failed_amount} USD failed", lines, names)


def equity_limit_mail(summary: RunSummary, names: RunNames) -> Mail:
    """Tell that the equity breaker refused buys."""
    lines = [
        f"The equity deployment limit refused {summary.equity_blocked_trades} BUY trades; the others went on.",
        "",
        *_figures(summary),
        "",
        "Not executed in full:",
        *(f"- {line}" for line in summary.failures),
        "",
        "What to do: check the account's equity against the plan; raise the limit or publish a smaller plan.",
    ]
    refused = summary.equity_blocked_trades
    return _mail(f"equity limit reached: {refused} BUY{'' if refused == 1 else 's'} refused", lines, names)


def unknown_trades_mail(summary: RunSummary, names: RunNames, closing: Sequence[str] = ()) -> Mail:
    """Tell that a run ended with orders of unknown fate; `closing` says what became of those that were still open."""
    lines = [
        f"{summary.unknown_trades} trades ended without a known fate: their orders may be live.",
        "",
        *_figures(summary),
        "",
        *(f"- {line}" for line in summary.failures),
        "",
        "What to do NOW: look these orders up at the broker (client order id: the trade's id) and cancel or book them.",
        *closing,
    ]
    return _mail(f"ACTION NEEDED: {summary.unknown_trades} trades of unknown fate", lines, names)


def failure_mail(state: Mapping[str, object], names: RunNames, closing: Sequence[str] = ()) -> Mail:
    """Tell that a run broke, at which step and by which error; `state` is the workflow's state at that point."""
    key = broken_step(state) or ""
    error, cause = _error_of(state.get(key))
    step = _STEPS.get(key, "an unknown step")
    todo = (
        "No order was sent. Publish the plan again once the cause is removed."
        if key in _BEFORE_ORDERS
        else "Orders may have been sent: check the trades of this run before publishing again (a new run would not know of them)."
    )
    lines = [f"The run broke at {step}.", f"Error: {error}", f"Cause: {cause}", "", f"What to do: {todo}", *closing]
    return _mail(f"run FAILED at {step}: {error}", lines, names)


def broken_step(state: Mapping[str, object]) -> str | None:
    """Tell which step's error the state carries; None where no step broke."""
    return next((key for key in _STEPS if key in state), None)


def _closing(state: Mapping[str, object], run_id: str) -> list[str]:
    """Say what became of orders that were still open when the run ended; nothing where there were none."""
    command = f"shadow orders {quote(run_id)} --cancel"
    if "closingError" in state:
        error, cause = _error_of(state["closingError"])
        return ["", f"Orders may still be working: closing the run failed ({error}: {cause}).", f"What to do NOW: {command}"]
    if "closing" not in state:
        return []
    run = ClosedRun.parse(state["closing"])
    lines = ["", "Orders that were still open, closed now:", *(f"- {line}" for line in run.closed)] if run.closed else []
    if run.unknown:
        lines += ["", "Orders that the broker does not show, which may have been accepted:"]
        lines += [*(f"- {line}" for line in run.unknown), f"What to do in ten minutes: {command}"]
    return lines


def _error_of(value: object) -> tuple[str, str]:
    """Read what a Catch put into the state."""
    if not isinstance(value, Mapping):
        return "unknown", "unknown"
    return str(value.get("Error") or "unknown"), str(value.get("Cause") or "none given")[:_CAUSE_LENGTH]


def _figures(summary: RunSummary) -> list[str]:
    return [
        f"{summary.summary}.",
        f"Sold {summary.total_sell_value:,.2f} USD in {summary.sell_count} trades.",
        f"Bought {summary.total_buy_value:,.2f} USD in {summary.buy_count} trades.",
    ]


def _mail(what: str, lines: list[str], names: RunNames) -> Mail:
    subject = f"[{names.stage}] {names.mode}: {what}"
    printable = "".join(character if " " <= character <= "~" else "?" for character in subject)
    return Mail(printable[:SUBJECT_LENGTH].rstrip(), "\n".join([*lines, "", *names.lines()]))


def mail_of_failure(notice: FailureNotice, names: RunNames) -> Mail:
    """Write the mail. Raises InvalidPayload when a safety rule's notice lacks what the rule saw."""
    state = notice.state
    closing = _closing(state, notice.run_id)
    match notice.failure_type:
        case FailureType.BUY_PHASE_BLOCKED:
            return blocked_mail(GuardResult.parse(state.get("guard")), _count(state.get("buyCount")), names, closing)
        case FailureType.EQUITY_LIMIT_REACHED:
            return equity_limit_mail(RunSummary.parse(state), names)
        case FailureType.WORKFLOW_FAILED:
            broke = "unknownTrades" not in state or broken_step(state) is not None
            return failure_mail(state, names, closing) if broke else unknown_trades_mail(RunSummary.parse(state), names, closing)


def effects_of_failure(notice: FailureNotice, at: datetime) -> tuple[PlannedEffect, ...]:
    """Give the WorkflowFailed of a run that a safety rule stopped; nothing for one that broke."""
    stop = _stop_of(notice)
    if stop is None:
        return ()
    step, reason = stop
    plan_id, correlation_id = notice.named("planId"), notice.named("correlationId")
    return (
        effect_of_failure(run_id=notice.run_id, plan_id=plan_id, correlation_id=correlation_id, step=step, reason=reason, at=at),
    )


def _stop_of(notice: FailureNotice) -> tuple[FailureStep, str] | None:
    """Say which safety rule stopped the run, and why; None where it broke."""
    match notice.failure_type:
        case FailureType.BUY_PHASE_BLOCKED:
            guard = GuardResult.parse(notice.state.get("guard"))
            return FailureStep.SELL_PHASE_GUARD, guard.reason or "the SELL guard blocked the BUY phase"
        case FailureType.EQUITY_LIMIT_REACHED:
            refused = RunSummary.parse(notice.state).equity_blocked_trades
            return FailureStep.EQUITY_CIRCUIT_BREAKER, f"the equity deployment limit refused {refused} BUY trades"
        case FailureType.WORKFLOW_FAILED:
            return None


def _count(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
