"""Business Unit: execution | Status: current.

One trade, from the workflow's item to its result: is the market open, is there equity reserved, how many shares, place, and tell.
The same item executed again, after a crash or a timeout at any point, resumes and answers the same.

From planned dollars to shares, by the rules of the legacy contract, section 6: `|tradeAmount|` at the mid quote to 6 decimals
(never `targetValue`: topping 1,000 up to 1,200 buys 200), a full exit sells what is held, a non-fractionable asset
rounds down to whole shares, any other to the broker's nine decimals, and nothing sells more than is held.

The answer about one trade: its orders summed up, or the reason why there are none. Partial fills are always kept: shares
that were traded are told, whatever the trade's status.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from shadow.broker.port import AssetUnknown, Broker, BrokerProtocolError, MarketClock, Quote, QuoteUnavailable
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.identity import QUANTITY_STEP
from shadow.contracts.vocabulary import ExecutionMode, Reason, Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import EquityCheck, OrderTrace, TradeResult, WorkflowTrade
from shadow.execution.placement import Placement, SizedTrade
from shadow.execution.ports import Clock, EquityLedger, IntentLog, InterlockViolation, TradeTakenOver
from shadow.execution.walk import WalkPolicy, filled_shares, filled_value

QUANTUM = Decimal("0.000001")
WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Sized:
    """How many shares a trade asks for, and from what that was computed."""

    quantity: Decimal
    basis: SizingBasis


@dataclass(frozen=True, slots=True)
class Unsizable:
    """Why a trade comes to no shares at all."""

    reason: Reason
    basis: SizingBasis
    message: str


def size(trade: WorkflowTrade, *, mid: Decimal, fractionable: bool, held: Decimal | None) -> Sized | Unsizable:
    """Compute the shares of `trade` at `mid` (USD a share, above 0); `held` is shares, None where it is not known."""
    basis, wanted = _wanted(trade, mid, held)
    if trade.action is Side.SELL and held is not None:
        if held <= 0:
            return Unsizable(Reason.NOTHING_HELD, basis, f"{trade.symbol}: expected shares to sell, was {held} held")
        wanted = min(wanted, held)
    quantity = wanted.quantize(QUANTITY_STEP if fractionable else WHOLE, rounding=ROUND_DOWN)
    quantity = min(wanted, quantity)
    if quantity <= 0:
        return Unsizable(Reason.ROUNDS_TO_ZERO, basis, f"{trade.symbol}: {wanted} shares rounds to zero")
    return Sized(quantity, basis)


def _wanted(trade: WorkflowTrade, mid: Decimal, held: Decimal | None) -> tuple[SizingBasis, Decimal]:
    """Give the shares before rounding to whole ones, and their basis."""
    if trade.action is Side.SELL and trade.is_complete_exit:
        if held is not None:
            return SizingBasis.HELD_QUANTITY, held
        return SizingBasis.HELD_VALUE, _shares(trade.current_value, mid)
    return SizingBasis.TRADE_AMOUNT, _shares(abs(trade.trade_amount), mid)


def _shares(amount: Decimal, mid: Decimal) -> Decimal:
    """Divide USD by USD a share, to 6 decimals."""
    return (amount / mid).quantize(QUANTUM, rounding=ROUND_HALF_EVEN)


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


Holding = Callable[[WorkflowTrade], Decimal | None]


@dataclass(frozen=True, slots=True)
class TradeSettings:
    """How trades are executed. `holding` tells the shares held of a trade's symbol, None where it is not known."""

    mode: ExecutionMode
    policy: WalkPolicy
    holding: Holding


class TradeExecutor:
    """Executes single trades."""

    def __init__(self, *, broker: Broker, log: IntentLog, ledger: EquityLedger, clock: Clock, settings: TradeSettings) -> None:
        """Trade through `broker`; what is decided and reserved is in `log` and `ledger`."""
        self._broker = broker
        self._log = log
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._placement = Placement(broker, log, clock, settings.policy)

    def execute(self, trade: WorkflowTrade) -> TradeResult:
        """Execute `trade`, or resume it, and release what it did not spend.

        Raises what is worth another try: BrokerTransientError and ExecutionTransientError; and OrderMismatch,
        QuoteContradicted, BrokerProtocolError, RunNotPrepared and InterlockViolation, which are not.
        """
        started = self._clock.now()
        turn = self._log.take(trade.run_id, trade.trade_id)
        intents = self._log.of_trade(trade.run_id, trade.trade_id)
        if intents:
            self._refuse_other_mode(intents[0])
            return self._resumed(trade, intents[0], turn, started)
        check = self._reserve(trade, turn)
        market = self._broker.clock()
        decided = self._obstacle(check, market) or self._decide(trade, market)
        if isinstance(decided, SizedTrade):
            return self._placed(trade, decided, turn, started)
        ending = decided
        result = result_without_orders(trade, ending, started, self._clock.now(), check)
        if self._log.of_trade(trade.run_id, trade.trade_id):
            raise TradeTakenOver(f"trade {trade.trade_id}: expected no orders, was another process's")
        self._release(result, turn)
        return result

    def reconcile(self, trade: WorkflowTrade, error: str) -> TradeResult:
        """Tell the truth about a trade whose execution failed with `error`: look its orders up, cancel what is open.

        Sends nothing. UNKNOWN when an order may exist that the broker does not show. Raises as `execute` does.
        """
        started = self._clock.now()
        turn = self._log.take(trade.run_id, trade.trade_id)
        intents = self._placement.look(trade.run_id, trade.trade_id, turn)
        if not intents:
            result = result_without_orders(trade, Ending.of_error(error), started, self._clock.now())
        else:
            result = result_of_orders(trade, intents, intents[0].intended_at, self._clock.now(), error=error)
        self._release(result, turn)
        return result

    def _resumed(self, trade: WorkflowTrade, first: IntentRecord, turn: int, started: datetime) -> TradeResult:
        """Go on where an earlier process stopped; a BUY that gave its reservation back and gets none again orders no more."""
        check = self._reserve(trade, turn)
        if check is not None and not check.allowed:
            return self.reconcile(trade, Reason.EQUITY_LIMIT.value)
        return self._placed(trade, SizedTrade.resumed(first), turn, started)

    def _placed(self, trade: WorkflowTrade, sized: SizedTrade, turn: int, started: datetime) -> TradeResult:
        intents = self._placement.place(sized, turn)
        result = result_of_orders(trade, intents, min(started, intents[0].intended_at), self._clock.now())
        self._release(result, turn)
        return result

    def _reserve(self, trade: WorkflowTrade, turn: int) -> EquityCheck | None:
        """Hold the reservation that the breaker made, or make it: no BUY is placed without one. None for a SELL."""
        if trade.action is Side.SELL:
            return None
        return self._ledger.reserve(trade.run_id, trade.trade_id, abs(trade.trade_amount), turn)

    def _obstacle(self, check: EquityCheck | None, market: MarketClock) -> Ending | None:
        if check is not None and not check.allowed:
            return Ending.equity_limit()
        return None if market.is_open else Ending(TradeStatus.SKIPPED, Reason.MARKET_CLOSED, "the market is closed")

    def _decide(self, trade: WorkflowTrade, market: MarketClock) -> SizedTrade | Ending:
        """Size the trade on a quote; or say why there is nothing to place. A symbol that nobody knows has no quote."""
        try:
            quote = self._quote(trade, market)
            if isinstance(quote, Ending):
                return quote
            asset = self._broker.asset(trade.symbol)
        except AssetUnknown as error:
            return Ending(TradeStatus.FAILED, Reason.BROKER_REJECTED, str(error))
        if not asset.tradable:
            return Ending(TradeStatus.FAILED, Reason.BROKER_REJECTED, f"{trade.symbol}: not tradable")
        sized = size(trade, mid=quote.mid, fractionable=asset.fractionable, held=self._held(trade))
        if isinstance(sized, Unsizable):
            return Ending(TradeStatus.FAILED, sized.reason, sized.message, quote=quote, basis=sized.basis, market_at=market.at)
        placed = SizedTrade.of(trade, sized.quantity, sized.basis, quote, self._settings.mode)
        return replace(placed, fractionable=asset.fractionable, market_at=market.at)

    def _quote(self, trade: WorkflowTrade, market: MarketClock) -> Quote | Ending:
        """Read the decision quote, as often as the trade's side has attempts: one that is neither old nor absurdly wide."""
        began = self._clock.now()
        reason = Reason.NO_QUOTE
        attempts = self._settings.policy.attempts(trade.action)
        problem = ""
        for attempt in range(attempts):
            if attempt:
                self._clock.sleep(self._settings.policy.pause_seconds)
            try:
                quote = self._broker.quote(trade.symbol)
            except (QuoteUnavailable, BrokerProtocolError) as error:
                problem, reason = str(error), Reason.NO_QUOTE
                continue
            now = self._clock.now()
            problem = self._settings.policy.fault_in(quote, market.at + (now - began), now)
            if not problem:
                return quote
            reason = Reason.IMPLAUSIBLE_QUOTE
        return Ending(TradeStatus.FAILED, reason, problem, attempts=attempts)

    def _held(self, trade: WorkflowTrade) -> Decimal | None:
        return self._settings.holding(trade) if trade.action is Side.SELL else None

    def _release(self, result: TradeResult, turn: int) -> None:
        """Give back what the trade reserved and certainly did not spend (USD); a trade of unknown fate keeps all of it."""
        kept = result.status in (TradeStatus.COMPLETED, TradeStatus.UNKNOWN, TradeStatus.BLOCKED)
        if result.action is Side.SELL or kept:
            return
        unpriced = bool(result.quantity) and result.total_value is None
        if not unpriced:
            self._ledger.release(result.run_id, result.trade_id, result.total_value or Decimal(0), turn)

    def _refuse_other_mode(self, first: IntentRecord) -> None:
        if first.execution_mode is not self._settings.mode:
            raise InterlockViolation(
                f"trade {first.trade_id}: expected mode {first.execution_mode}, in which it was begun, was {self._settings.mode}"
            )
