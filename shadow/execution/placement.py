"""Business Unit: execution | Status: current.

From a sized trade to final orders, once. Four rules make a second order for one step impossible, whatever crashes:
the intent is written before the order is sent; its client order id follows from trade and step; an order whose fate
is unknown is looked up, never sent again; and a process takes the trade over before anything else, so that one which was
given up, and lives, writes no further intent. A retry, in this process or the next, resumes the chain where the log says it is.

The end of a run that did not end by itself: no order of ours is left working. Whatever the run recorded of an order that is not
final is looked up once more, cancelled if it is open, and written down. Each trade is taken over first, so that a process
which lives on can intend no further order. Closing a run again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from shadow.broker.port import Broker, BrokerProtocolError, OrderType, Quote, QuoteUnavailable
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, candidate_pk, intent_sk
from shadow.contracts.errors import ShadowError
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.vocabulary import ExecutionMode, Side, SizingBasis
from shadow.contracts.workflow import ClosedRun, WorkflowTrade
from shadow.execution.orders import OrderDesk
from shadow.execution.ports import Clock, IntentLog, QuoteContradicted, WorkTimeSpent
from shadow.execution.walk import Step, WalkPolicy, filled_shares

_ENDS_ATTEMPT = frozenset({IntentStatus.REJECTED})
_HELD_BACK = "code 40310000"
"""How the broker refuses for want of buying power or of shares, which an open or just cancelled order may still hold back."""


@dataclass(frozen=True, slots=True)
class SizedTrade:
    """What a trade asks for: `asked` shares, decided on `quote`."""

    run_id: str
    trade_id: str
    symbol: str
    side: Side
    asked: Decimal
    basis: SizingBasis
    quote: Quote
    mode: ExecutionMode
    fractionable: bool | None = None
    market_at: datetime | None = None

    @classmethod
    def of(cls, trade: WorkflowTrade, asked: Decimal, basis: SizingBasis, quote: Quote, mode: ExecutionMode) -> SizedTrade:
        """Take the trade's identity over."""
        return cls(trade.run_id, trade.trade_id, trade.symbol, trade.action, asked, basis, quote, mode)

    @classmethod
    def resumed(cls, first: IntentRecord) -> SizedTrade:
        """Take over what was decided before: a resumed trade is never sized again."""
        quote = Quote(first.symbol, first.bid, first.ask, first.quote_at or first.intended_at)
        return cls(
            first.run_id,
            first.trade_id,
            first.symbol,
            first.side,
            first.asked_quantity,
            first.sizing_basis,
            quote,
            first.execution_mode,
            first.fractionable,
            first.market_at,
        )


class Placement:
    """Walks the book for one trade at a time."""

    def __init__(self, broker: Broker, log: IntentLog, clock: Clock, policy: WalkPolicy) -> None:
        """Trade through `broker`, remember in `log`."""
        self._broker = broker
        self._log = log
        self._clock = clock
        self._policy = policy
        self._desk = OrderDesk(broker, log, clock, policy)

    def place(self, trade: SizedTrade, turn: int) -> tuple[IntentRecord, ...]:
        """Take steps until `trade` is filled or the policy has no more; give all of its orders, final. `turn` is this process's.

        Raises what means "try again later, everything is recorded": BrokerTransientError, OrderFateUnknown,
        OrderStillOpen, WorkTimeSpent, StateUnavailable; OrderMismatch when the broker's order is not ours, QuoteContradicted,
        and TradeTakenOver.
        """
        known = {intent.step: intent for intent in self._log.of_trade(trade.run_id, trade.trade_id)}
        trade = SizedTrade.resumed(known[min(known)]) if known else trade
        ended_attempt = -1
        quote = trade.quote
        began = self._clock.now()
        decided_at = known[min(known)].intended_at if known else began
        last_start = began + timedelta(seconds=self._policy.work_seconds)
        for step in self._policy.steps(trade.side):
            rest = trade.asked - filled_shares(known.values())
            if rest <= 0:
                break
            if step.attempt == ended_attempt or self._was_passed_over(step, known):
                continue
            intent, is_new = known.get(step.number), False
            if intent is None:
                if self._clock.now() > last_start:
                    raise WorkTimeSpent(f"{trade.symbol}: {rest} of {trade.asked} shares are left to ask for")
                quote = self._quote_for(step, trade, quote, decided_at)
                drafted = self._intent(trade, step, rest, quote, turn)
                intent = self._log.record(drafted)
                is_new = intent is drafted
            known[step.number] = self._desk.settle(intent, step.seconds, turn=turn, is_new=is_new)
            if known[step.number].status in _ENDS_ATTEMPT and not _may_be_freed(known, step):
                ended_attempt = step.attempt
        return tuple(known[number] for number in sorted(known))

    @staticmethod
    def _was_passed_over(step: Step, known: dict[int, IntentRecord]) -> bool:
        """Tell whether an earlier process went past `step` without an order (its attempt had ended)."""
        return step.number not in known and any(number > step.number for number in known)

    def _quote_for(self, step: Step, trade: SizedTrade, last: Quote, decided_at: datetime) -> Quote:
        """Price the first step on the decision quote, later ones on a fresh quote where there is a plausible one.

        A BUY keeps within a limit price near the decision's, and takes no market order where the market is far above it. The
        market's own time is that of the decision and what has passed since `decided_at`.
        """
        if step.number == 0:
            return trade.quote
        if step.position == 0:
            self._clock.sleep(self._policy.pause_seconds)
        try:
            fresh = self._broker.quote(trade.symbol)
        except (QuoteUnavailable, BrokerProtocolError):
            return last
        now = self._clock.now()
        at = None if trade.market_at is None else trade.market_at + (now - decided_at)
        if self._policy.fault_in(fresh, at, now):
            return last
        if trade.side is Side.SELL or not self._policy.is_beyond(fresh, trade.quote):
            return fresh
        if step.order_type is OrderType.LIMIT:
            return last
        raise QuoteContradicted(f"{trade.symbol}: expected a mid near {trade.quote.mid} USD to buy at, was {fresh.mid}")

    def _intent(self, trade: SizedTrade, step: Step, rest: Decimal, quote: Quote, turn: int) -> IntentRecord:
        return IntentRecord(
            PK=candidate_pk(trade.run_id),
            SK=intent_sk(trade.trade_id, step.number),
            run_id=trade.run_id,
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            side=trade.side,
            step=step.number,
            attempt=step.attempt,
            client_order_id=client_order_id_of(trade.trade_id, step.number),
            order_type=step.order_type.value,
            quantity=rest,
            limit_price=step.limit_price(trade.side, quote),
            asked_quantity=trade.asked,
            sizing_basis=trade.basis,
            bid=trade.quote.bid,
            ask=trade.quote.ask,
            quote_at=trade.quote.at,
            market_at=trade.market_at,
            decision_price=trade.quote.mid,
            execution_mode=trade.mode,
            fractionable=trade.fractionable,
            intended_at=self._clock.now(),
            turn=turn,
        )

    def look(self, run_id: str, trade_id: str, turn: int) -> tuple[IntentRecord, ...]:
        """Find out what became of a trade's orders, cancelling what is open and sending nothing. `turn` is this process's."""
        intents = self._log.of_trade(run_id, trade_id)
        return tuple(self._desk.look(intent, turn) for intent in intents)


def _may_be_freed(known: dict[int, IntentRecord], step: Step) -> bool:
    """Tell whether `step` was refused for means that this trade's own cancelled order of the same attempt may still hold back."""
    before = (intent for number, intent in known.items() if number < step.number and intent.attempt == step.attempt)
    return _HELD_BACK in (known[step.number].detail or "") and any(intent.status is IntentStatus.CANCELED for intent in before)


SHOWN_ORDERS = 20
_CLOSED = "closed after its run: "
_DETAIL_LENGTH = 300


class RunCloser:
    """Brings what is left of a run's orders to an end."""

    def __init__(self, broker: Broker, log: IntentLog, clock: Clock, policy: WalkPolicy) -> None:
        """Cancel at `broker`, remember in `log`."""
        self._log = log
        self._clock = clock
        self._policy = policy
        self._desk = OrderDesk(broker, log, clock, policy)

    def close(self, run_id: str) -> ClosedRun:
        """Look up every order of the run that may be working, cancel what is open, and tell; sends nothing.

        Goes through all orders before it raises what the first of them brought: BrokerError, OrderStillOpen, StateUnavailable and
        TradeTakenOver.
        """
        problem: ShadowError | None = None
        trades = dict.fromkeys(intent.trade_id for intent in self._log.of_run(run_id) if _is_open(intent))
        for trade_id in trades:
            try:
                self._close_trade(run_id, trade_id)
            except ShadowError as error:
                problem = problem or error
        if problem is not None:
            raise problem
        intents = self._log.of_run(run_id)
        closed = [intent for intent in intents if (intent.detail or "").startswith(_CLOSED)]
        return ClosedRun(
            run_id=run_id,
            closed=_lines(closed),
            unknown=_lines([intent for intent in intents if intent.may_work]),
        )

    def _close_trade(self, run_id: str, trade_id: str) -> None:
        turn = self._log.take(run_id, trade_id)
        for intent in self._log.of_trade(run_id, trade_id):
            if not _is_open(intent):
                continue
            seen = self._desk.look(intent, turn)
            if seen is intent and intent.may_work and self._is_past(intent):
                seen = seen.model_copy(update={"status": IntentStatus.NOT_ACCEPTED})
                self._note(seen, "the broker has never seen it", turn)
            elif seen is not intent and seen.status.is_final:
                self._note(seen, f"was {intent.status}", turn)

    def _is_past(self, intent: IntentRecord) -> bool:
        """Tell whether no process that could still send the order can be alive: the broker's "not found" is its last word."""
        return self._clock.now() - intent.intended_at > timedelta(seconds=self._policy.abandoned_seconds)

    def _note(self, intent: IntentRecord, what: str, turn: int) -> None:
        before = f"; {intent.detail}" if intent.detail else ""
        detail = f"{_CLOSED}{what}{before}"[:_DETAIL_LENGTH]
        self._log.update(intent.model_copy(update={"detail": detail, "turn": turn, "updated_at": self._clock.now()}))


def _is_open(intent: IntentRecord) -> bool:
    """Tell whether the order is to be looked up: it may be working, or was refused and may have been accepted all the same."""
    refused = intent.status.is_final and intent.order_id is None
    return intent.may_work or (refused and intent.execution_mode is not ExecutionMode.DRY_RUN)


def _lines(intents: list[IntentRecord]) -> tuple[str, ...]:
    lines = [_line(intent) for intent in intents]
    more = len(lines) - SHOWN_ORDERS
    return (*lines[:SHOWN_ORDERS], f"and {more} more") if more > 0 else tuple(lines)


def _line(intent: IntentRecord) -> str:
    filled = f"{intent.filled_quantity} of {intent.quantity} shares filled"
    return f"{intent.side} {intent.symbol}, order {intent.client_order_id}: {intent.status}, {filled}"
