"""Business Unit: execution | Status: current.

The answer about one trade: its orders summed up, or the reason why there are none. Partial fills are always kept: shares
that were traded are told, whatever the trade's status.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shadow.broker.port import Quote
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.vocabulary import Reason, SizingBasis, TradeStatus
from shadow.contracts.workflow import EquityCheck, OrderTrace, TradeResult, WorkflowTrade
from shadow.execution.walk import filled_shares, filled_value

SHOWN_ORDERS = 3
RESULT_BYTES = 1_700
"""What a result takes of a state payload at most, in bytes of JSON."""
MESSAGE_LENGTH = 200
_LONGEST_CHARACTER = 12  # bytes of JSON, where it is written in ASCII
_PRICE_QUANTUM = Decimal("0.000001")
_REASON_OF_ERROR = {
    "BrokerUnavailable": Reason.BROKER_UNAVAILABLE,
    "BrokerThrottled": Reason.BROKER_UNAVAILABLE,
    "QuoteContradicted": Reason.IMPLAUSIBLE_QUOTE,
    "States.Timeout": Reason.TIMED_OUT,
    "Sandbox.Timedout": Reason.TIMED_OUT,
}
_UNDECIDED = frozenset({IntentStatus.INTENDED, IntentStatus.AMBIGUOUS, IntentStatus.OPEN})
_REFUSED = frozenset({IntentStatus.REJECTED, IntentStatus.NOT_ACCEPTED})


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a trade ended without an order."""

    status: TradeStatus
    reason: Reason
    message: str
    quote: Quote | None = None
    basis: SizingBasis | None = None
    attempts: int = 0
    market_at: datetime | None = None

    @classmethod
    def of_error(cls, error: str) -> Ending:
        """End a trade whose execution failed by the error named `error` before it had any order."""
        return cls(TradeStatus.FAILED, _reason_of(error), f"{error or 'an unnamed error'} before any order was sent")

    @classmethod
    def equity_limit(cls) -> Ending:
        """End a BUY that the equity breaker refused."""
        return cls(TradeStatus.BLOCKED, Reason.EQUITY_LIMIT, "the equity deployment limit is reached")


def result_without_orders(
    trade: WorkflowTrade, ending: Ending, started: datetime, completed: datetime, check: EquityCheck | None = None
) -> TradeResult:
    """Answer for a trade that sent no order."""
    quote = ending.quote
    return TradeResult(
        run_id=trade.run_id,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        action=trade.action,
        status=ending.status,
        quantity=Decimal(0),
        total_value=Decimal(0),
        error_message=ending.message[:MESSAGE_LENGTH],
        planned_amount=trade.trade_amount,
        reason=ending.reason,
        asked_quantity=Decimal(0) if quote else None,
        sizing_basis=ending.basis,
        bid=quote.bid if quote else None,
        ask=quote.ask if quote else None,
        quote_at=quote.at if quote else None,
        market_at=ending.market_at,
        decision_price=quote.mid if quote else None,
        attempts=ending.attempts,
        equity_check=check,
        started_at=started,
        completed_at=completed,
    )


def result_of_orders(
    trade: WorkflowTrade, intents: tuple[IntentRecord, ...], started: datetime, completed: datetime, error: str = ""
) -> TradeResult:
    """Sum a trade's orders up. `error` names what interrupted it, if anything did. At least one intent is expected."""
    first = intents[0]
    filled, value = filled_shares(intents), filled_value(intents)
    status, reason = _status(intents, filled, error)
    telling = [intent for intent in intents if intent.filled_quantity > 0] or list(intents)
    return TradeResult(
        run_id=trade.run_id,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        action=trade.action,
        status=status,
        quantity=filled,
        average_price=_average(telling, filled, value),
        total_value=value,
        order_id=telling[-1].order_id,
        error_message=None if status is TradeStatus.COMPLETED else _message(intents, filled, error)[:MESSAGE_LENGTH],
        planned_amount=trade.trade_amount,
        reason=reason,
        asked_quantity=first.asked_quantity,
        sizing_basis=first.sizing_basis,
        bid=first.bid,
        ask=first.ask,
        quote_at=first.quote_at,
        market_at=first.market_at,
        decision_price=first.decision_price,
        order_type=first.order_type,
        attempts=max(intent.attempt for intent in intents) + 1,
        orders=tuple(_trace(intent) for intent in intents),
        started_at=started,
        completed_at=completed,
        filled_at=max((intent.filled_at for intent in intents if intent.filled_at), default=None),
    )


def _status(intents: tuple[IntentRecord, ...], filled: Decimal, error: str) -> tuple[TradeStatus, Reason | None]:
    if filled >= intents[0].asked_quantity:
        return TradeStatus.COMPLETED, None
    if any(intent.status in _UNDECIDED for intent in intents):
        return TradeStatus.UNKNOWN, _reason_of(error)
    if filled > 0:
        return TradeStatus.FAILED, Reason.PARTIAL_FILL
    if error:
        return TradeStatus.FAILED, _reason_of(error)
    refused = all(intent.status in _REFUSED for intent in intents)
    return TradeStatus.FAILED, Reason.BROKER_REJECTED if refused else Reason.NOT_FILLED


def _reason_of(error: str) -> Reason:
    return _REASON_OF_ERROR.get(error, Reason.OTHER)


def _message(intents: tuple[IntentRecord, ...], filled: Decimal, error: str) -> str:
    asked = intents[0].asked_quantity
    last = next((intent.detail for intent in reversed(intents) if intent.detail), None)
    parts = (f"filled {filled} of {asked} shares", error, last)
    return "; ".join(part for part in parts if part)


def _average(telling: list[IntentRecord], filled: Decimal, value: Decimal | None) -> Decimal | None:
    """Average the fills in USD a share: the broker's own figure where one order filled, else to 6 decimals."""
    if filled == 0 or value is None:
        return None
    if len(telling) == 1:
        return telling[0].average_price
    return (value / filled).quantize(_PRICE_QUANTUM)


def compact(result: TradeResult) -> TradeResult:
    """Carry few enough orders for `RESULT_BYTES`, fills first, and what they leave of the message; the log has all."""
    by_weight = sorted(enumerate(result.orders), key=lambda entry: (entry[1].filled_quantity == 0, -entry[0]))
    for shown in range(min(SHOWN_ORDERS, len(by_weight)), -1, -1):
        kept = tuple(order for _, order in sorted(by_weight[:shown], key=_place))
        small = result.model_copy(update={"orders": kept})
        if len(json.dumps(small.to_wire())) <= RESULT_BYTES:
            return small
    small = result.model_copy(update={"orders": ()})
    while (over := len(json.dumps(small.to_wire())) - RESULT_BYTES) > 0 and small.error_message:
        message = small.error_message[: -max(over // _LONGEST_CHARACTER, 1)]
        small = small.model_copy(update={"error_message": message})
    return small


def _place(entry: tuple[int, OrderTrace]) -> int:
    return entry[0]


def _trace(intent: IntentRecord) -> OrderTrace:
    return OrderTrace(
        client_order_id=intent.client_order_id,
        order_id=intent.order_id,
        order_type=intent.order_type,
        quantity=intent.quantity,
        limit_price=intent.limit_price,
        status=intent.status.value,
        filled_quantity=intent.filled_quantity,
        average_price=intent.average_price,
    )
