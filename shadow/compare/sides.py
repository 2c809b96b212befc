"""Business Unit: compare | Status: current.

What one lane decided, sent and got for a trade, and how its run went, as short texts to be laid side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from shadow.compare.case import LaneTrade
from shadow.compare.checks.executed import ledger_fill
from shadow.compare.rules import EXACT
from shadow.contracts.outcome import OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.visible import one_line
from shadow.contracts.vocabulary import TradeStatus
from shadow.contracts.words import clock, count, number, price, usd

SideT = TypeVar("SideT")
Line = tuple[str, str, str]
"""A label, the control's text, the candidate's text: what is foreign in them is visible, a line end only between orders."""


def run_lines(control: RunOutcome | None, candidate: RunOutcome | None) -> list[Line]:
    """Lay both runs side by side, leaving out what neither says anything of."""
    asked: tuple[tuple[str, Callable[[RunOutcome], str | list[str]]], ...] = (
        ("ended as", _ended),
        ("time", _time),
        ("sell guard", _guard),
        ("breaker", _limit),
        ("trades", _trades),
        ("effects", _effects),
        ("own", _own),
    )
    return _lines(asked, control, candidate, "no run found")


def trade_lines(control: LaneTrade | None, candidate: LaneTrade | None) -> list[Line]:
    """Lay one trade of both lanes side by side."""
    asked: tuple[tuple[str, Callable[[TradeOutcome], str | list[str]]], ...] = (
        ("decided", _decided),
        ("breaker", _equity),
        ("sent", _sent),
        ("got", _got),
        ("why", _why),
        ("own", _own),
    )
    left, right = (lane.trade if lane else None for lane in (control, candidate))
    ours, theirs = (_entered(lane) if lane else "" for lane in (control, candidate))
    return _lines(asked, left, right, "no such trade") + ([("ledger", ours, theirs)] if ours or theirs else [])


def _lines(
    asked: tuple[tuple[str, Callable[[SideT], str | list[str]]], ...], left: SideT | None, right: SideT | None, absent: str
) -> list[Line]:
    lines = []
    for index, (label, ask) in enumerate(asked):
        texts = [_shown(ask(side)) if side is not None else absent if index == 0 else "" for side in (left, right)]
        if any(texts):
            lines.append((label, texts[0], texts[1]))
    return lines


def _shown(text: str | list[str]) -> str:
    return "\n".join(map(one_line, [text] if isinstance(text, str) else text))


def _ended(run: RunOutcome) -> str:
    details = [text for text in (run.terminal_state, run.failure_step, run.failure_reason) if text]
    return run.status.value + (f" ({', '.join(details)})" if details else "")


def _time(run: RunOutcome) -> str:
    seconds = run.duration_seconds
    return f"{clock(run.started_at)} to {clock(run.completed_at)}" + ("" if seconds is None else f", {seconds:.1f} s")


def _guard(run: RunOutcome) -> str:
    guard = run.guard
    if guard is None:
        return ""
    word = "BUYs allowed" if guard.buy_phase_allowed else "BUYs BLOCKED"
    limit = "" if guard.threshold is None else f" of at most {usd(guard.threshold)}"
    return f"{word}: failed SELLs {usd(guard.sell_failed_amount)}{limit}"


def _limit(run: RunOutcome) -> str:
    if run.equity_limit is None:
        return ""
    return "off" if run.equity_limit == 0 else f"limit {usd(run.equity_limit)}"


def _trades(run: RunOutcome) -> str:
    found = [(status, sum(trade.status is status for trade in run.trades)) for status in TradeStatus]
    return ", ".join(f"{amount} {status.value}" for status, amount in found if amount) or "none"


def _effects(run: RunOutcome) -> str:
    if run.effects is None:
        return ""
    emitted = sum(effect.emitted for effect in run.effects)
    parts = [
        f"{emitted} emitted" if emitted else "",
        f"{len(run.effects) - emitted} intended" if emitted < len(run.effects) else "",
    ]
    return ", ".join(part for part in parts if part) or "none"


def _decided(trade: TradeOutcome) -> str:
    intent = trade.intent
    if intent is None:
        return "not recorded"
    parts = [f"{number(intent.quantity)} shares" if intent.quantity is not None else "quantity not recorded"]
    if intent.sizing_basis is not None:
        parts.append(f"by {intent.sizing_basis.value}")
    if intent.decision_price is not None:
        quote = "" if intent.bid is None or intent.ask is None else f" ({price(intent.bid)} / {price(intent.ask)})"
        parts.append(f"at {price(intent.decision_price)}{quote}")
    return " ".join(parts)


def _equity(trade: TradeOutcome) -> str:
    equity = trade.equity
    if equity is None:
        return ""
    word = "allowed" if equity.allowed else "BLOCKED"
    if equity.limit is None:
        return word
    if equity.cumulative is None:
        return f"{word}, limit {usd(equity.limit)}"
    return f"{word}: {usd(equity.cumulative)} of {usd(equity.limit)}"


def _sent(trade: TradeOutcome) -> list[str]:
    return [_order(order) for order in trade.orders] or ["nothing"]


def _order(order: OrderRecord) -> str:
    parts = [order.order_type or "order"]
    if order.quantity is not None:
        parts.append(number(order.quantity))
    if order.limit_price is not None:
        parts.append(f"at {price(order.limit_price)}")
    states = [order.status or "", "not accepted" if order.accepted is False else ""]
    filled = order.filled_quantity
    if filled is not None and order.quantity is not None and 0 < filled < order.quantity:
        states.append(f"{number(filled)} of it")
    known = ", ".join(state for state in states if state)
    if not known and len(parts) == 1:
        return f"{parts[0]}, the rest not recorded"
    return " ".join(parts) + (f" → {known}" if known else "")


def _got(trade: TradeOutcome) -> str:
    text = trade.status.value
    if trade.filled_quantity:
        text += f" {number(trade.filled_quantity)} at {price(trade.average_price)} = {usd(_value(trade))}"
    if trade.residual_position:
        text += f", {number(trade.residual_position)} left over"
    if trade.attempts is not None and trade.attempts > 1:
        text += f", {count(trade.attempts, 'attempt')}"
    return text


def _entered(side: LaneTrade) -> str:
    """Show what the trade ledger says was filled, where its dollars are not those of the trade's record."""
    fill = ledger_fill(side)
    if fill is None or fill.value is None or not fill.quantity or usd(fill.value) == usd(_value(side.trade)):
        return ""
    return f"{number(fill.quantity)} at {price(round(EXACT.divide(fill.value, fill.quantity), 6))} = {usd(fill.value)}"


def _value(trade: TradeOutcome) -> Decimal | None:
    if trade.value is not None or trade.filled_quantity is None or trade.average_price is None:
        return trade.value
    return trade.filled_quantity * trade.average_price


def _why(trade: TradeOutcome) -> str:
    return ": ".join(text for text in (trade.reason.value if trade.reason else "", trade.error_message or "") if text)


def _own(record: TradeOutcome | RunOutcome) -> list[str]:
    """Show the fields of the user's own, one a line; one that the lane does not have is left out."""
    return [f"{field.name} {'null' if field.text is None else field.text}" for field in record.own if not field.absent]
