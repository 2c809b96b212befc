"""Business Unit: execution | Status: current.

One order, from its written intent to a final state. Whatever the broker answers, or fails to answer, ends in a recorded status.

Only the broker's own coded word refuses an order, and even then the order is looked up by its id, after a settling time, before
another id is used: a refusal can follow an acceptance. "Not accepted" is certain only from the one process that can have sent
the order: when an order is sent again because its first sender is gone, the first sending may still be on its way, and a refusal
of the second says nothing about it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from shadow.broker.port import (
    Broker,
    BrokerError,
    BrokerProtocolError,
    BrokerRefused,
    BrokerThrottled,
    BrokerUnavailable,
    DuplicateClientOrderId,
    Order,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderUnreadable,
    SubmitAmbiguous,
)
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.identity import is_same_symbol
from shadow.contracts.model import MONEY, exact_sum
from shadow.execution.ports import Clock, IntentLog, OrderFateUnknown, OrderMismatch, OrderStillOpen, StateUnavailable
from shadow.execution.walk import WalkPolicy

_DETAIL_LENGTH = 300
_LONGEST_CHAIN = 20


class OrderDesk:
    """Brings single orders to an end."""

    def __init__(self, broker: Broker, log: IntentLog, clock: Clock, policy: WalkPolicy) -> None:
        """Trade through `broker`, remember in `log`."""
        self._broker = broker
        self._log = log
        self._clock = clock
        self._policy = policy

    def settle(self, intent: IntentRecord, seconds: float, *, turn: int, is_new: bool) -> IntentRecord:
        """Bring the order of `intent` to an end: send it unless that was done, let it rest for `seconds`, cancel the rest.

        `turn` is this process's; `is_new` says that it wrote the intent, so nobody can have sent it yet. Raises
        BrokerTransientError, OrderFateUnknown, OrderStillOpen, OrderMismatch, TradeTakenOver and StateUnavailable, each after
        a cancel was asked for where an order is known to be open.
        """
        if intent.status.is_final and intent.status is not IntentStatus.NOT_ACCEPTED:
            return self.look(intent, turn) if _is_unpriced(intent) else intent
        intent = intent.model_copy(update={"turn": turn})
        if intent.status is IntentStatus.NOT_ACCEPTED:
            intent, is_new = self._note(intent, IntentStatus.INTENDED), True
        order = self._submit(intent, is_first=True) if is_new else self._resume(intent)
        if isinstance(order, IntentRecord):
            return order
        if not _difference(intent, order):
            order, intent = self._finish(intent, order, seconds)
            if not _difference(intent, order):
                return intent
        raise OrderMismatch(self._end_other(intent, order).detail or "")

    def look(self, intent: IntentRecord, turn: int) -> IntentRecord:
        """Find out what became of `intent` and cancel it if it is open, sending nothing; unchanged if nobody knows.

        One that counts as refused, and has no order, is looked up once more; so is one whose fills had no price yet. `turn` is
        this process's.
        """
        if intent.status.is_final:
            is_told = intent.order_id is not None and not _is_unpriced(intent)
            order = None if is_told else self._shown(intent.client_order_id)
        else:
            order = self._find(intent)
        if order is None:
            return intent
        intent = intent.model_copy(update={"turn": turn})
        order = self._followed(order)
        if not _difference(intent, order):
            order, intent = self._finish(intent, order, 0)
        return self._end_other(intent, order) if _difference(intent, order) else intent

    # ------------------------------------------------------------------ sending, once

    def _resume(self, intent: IntentRecord) -> Order | IntentRecord:
        """Give the order that an earlier process may have sent; send it if the broker has never seen it.

        An order known to be ambiguous or accepted is only looked for. Sending an intended one again cannot make a second
        order: the broker refuses a client order id that it has.
        """
        if intent.status is not IntentStatus.INTENDED:
            return self._found_or(intent, _refusal_in(intent))
        order = self._shown(intent.client_order_id)
        return self._submit(intent, is_first=False) if order is None else self._followed(order)

    def _submit(self, intent: IntentRecord, *, is_first: bool) -> Order | IntentRecord:
        """Send the order once; give it as the broker has it, or the intent if the broker refused its first sending."""
        try:
            order = self._broker.submit(_request(intent))
        except BrokerUnavailable as error:
            if is_first:
                self._note(intent, IntentStatus.NOT_ACCEPTED, error)
            raise
        except (OrderRejected, BrokerThrottled) as error:
            noted = self._note(intent, IntentStatus.AMBIGUOUS, error if is_first else OrderFateUnknown(f"sent again: {error}"))
            return self._found_or(noted, _refusal_in(noted))
        except (DuplicateClientOrderId, SubmitAmbiguous, BrokerProtocolError, BrokerRefused) as error:
            return self._found_or(self._note(intent, IntentStatus.AMBIGUOUS, error), None)
        return self._followed(order)

    def _found_or(self, intent: IntentRecord, refusal: IntentStatus | None) -> Order | IntentRecord:
        """Give the order that the broker shows after all; else write `refusal` down, where its own word was one.

        Raises OrderFateUnknown where it was none, BrokerThrottled where the same id is to be sent again.
        """
        order = self._find(intent) if refusal is None else self._find_settled(intent)
        if order is not None:
            return self._followed(order)
        if refusal is None:
            raise OrderFateUnknown(
                f"{intent.symbol}: order {intent.client_order_id} may have been accepted; the broker does not show it"
            )
        refused = self._write(intent.model_copy(update={"status": refusal, "updated_at": self._clock.now()}))
        if refusal is IntentStatus.NOT_ACCEPTED:
            raise BrokerThrottled(f"{intent.symbol}: {intent.detail}")
        return refused

    def _find(self, intent: IntentRecord) -> Order | None:
        """Look the order up, a few times: it can take the broker a moment to show what it accepted."""
        for turn in range(self._policy.lookups):
            if turn:
                self._clock.sleep(self._policy.poll_seconds)
            order = self._shown(intent.client_order_id)
            if order is not None:
                return order
        return None

    def _find_settled(self, intent: IntentRecord) -> Order | None:
        """Look a refused order up until the settling time is over: only then is the broker's "not found" its last word."""
        for pause in self._policy.pauses(self._policy.refusal_seconds):
            self._clock.sleep(pause)
            order = self._shown(intent.client_order_id)
            if order is not None:
                return order
        return None

    def _shown(self, client_order_id: str) -> Order | None:
        """Give the order that the broker shows under our id; one of ours that cannot be read is cancelled, and raised."""
        try:
            return self._broker.order_by_client_id(client_order_id)
        except OrderUnreadable as error:
            if error.client_order_id in (None, client_order_id):
                self._cancel_given_up(error.order_id, error)
            raise

    # ------------------------------------------------------------------ ending

    def _finish(self, intent: IntentRecord, order: Order, seconds: float) -> tuple[Order, IntentRecord]:
        """Let our order rest for `seconds`, then cancel what is left and wait until nothing can change any more.

        An order that the broker shows as another one by then is given as it is, and is not written down.
        """
        try:
            intent = self._adopt(intent, order)
            order = self._ended(self._wait(order, seconds))
            order = order if _is_settled(order) else self._seen_again(order)
        except (BrokerError, StateUnavailable) as error:
            self._give_up(order, error)
            raise
        if _difference(intent, order) or not _differs(intent, order):
            return order, intent
        return order, self._adopt(intent, order)

    def _confirmed(self, order: Order) -> Order:
        """Cancel an order that is said to have ended unfilled, of which nobody asked the cancel, and look once more."""
        if not order.status.is_final or order.status is OrderStatus.FILLED:
            return order
        self._cancel(order)
        return self._seen_again(order)

    def _ended(self, order: Order) -> Order:
        """Cancel what is left of `order` and look until it is final; ask a second time where the first had no effect."""
        refusal = ""
        order = self._confirmed(order)
        for _ in range(2):
            if order.status.is_final:
                return order
            refusal = self._cancel(order)
            order = self._wait(self._seen_again(order), self._policy.settle_seconds)
            order = order if order.status.is_final else self._seen_again(order)
        if not order.status.is_final:
            told = f"order {order.client_order_id} is still {order.status} after its cancel"
            raise OrderStillOpen(f"{order.symbol}: {told}{refusal}")
        return order

    def _cancel(self, order: Order) -> str:
        """Ask for a cancel; give what was said against it. The look that follows tells what became of the order."""
        try:
            self._broker.cancel(order.order_id)
        except (BrokerRefused, BrokerProtocolError) as error:
            return f" ({type(error).__name__}: {error})"
        return ""

    def _give_up(self, order: Order, error: Exception) -> None:
        """Ask for a cancel before the trade is given up, so that nothing is left working while nobody looks."""
        if not order.status.is_final:
            self._cancel_given_up(order.order_id, error)

    def _cancel_given_up(self, order_id: str, error: Exception) -> None:
        try:
            self._broker.cancel(order_id)
        except BrokerError as refusal:
            error.add_note(f"order {order_id} may still be working: its cancel failed ({refusal})")

    def _end_other(self, intent: IntentRecord, order: Order) -> IntentRecord:
        """End an order under our id that is not the one that was intended, and write down what it was.

        Fills of another symbol or side are not counted as the trade's: its fate stays open for a person to see.
        """
        difference = _difference(intent, order)
        order = self._ended(order)
        told = f"OrderMismatch: {difference}; {order.filled_quantity} filled, the rest is {order.status}"
        detail = told[:_DETAIL_LENGTH]
        if order.side is not intent.side or not is_same_symbol(order.symbol, intent.symbol):
            return self._note(intent, IntentStatus.AMBIGUOUS, OrderMismatch(told.partition(": ")[2]))
        return self._adopt(intent.model_copy(update={"detail": detail}), order)

    # ------------------------------------------------------------------ looking

    def _wait(self, order: Order, seconds: float) -> Order:
        """Look at the order until it is final and its fill has a price, for at most `seconds`, as requests are to spare."""
        end = self._clock.now() + timedelta(seconds=seconds)
        for pause in self._policy.pauses(seconds):
            if _is_settled(order) or self._clock.now() >= end:
                break
            self._clock.sleep(pause)
            order = self._glanced(order)
        return order

    def _glanced(self, order: Order) -> Order:
        """Look once; a look that fails is made up for by the next one, and the last is one that must not fail."""
        try:
            found = self._broker.glance(order.client_order_id)
            return order if found is None else _later(order, self._followed(found))
        except BrokerError:
            return order

    def _seen_again(self, order: Order) -> Order:
        found = self._shown(order.client_order_id)
        return order if found is None else _later(order, self._followed(found))

    def _followed(self, order: Order) -> Order:
        """Follow an order that was replaced to the one that can still fill, under our own id; fills are summed over the chain."""
        chain = [order]
        while chain[-1].status is OrderStatus.UNKNOWN and chain[-1].replaced_by and len(chain) < _LONGEST_CHAIN:
            successor = self._broker.order_by_id(chain[-1].replaced_by)
            if successor is None or successor.order_id in {link.order_id for link in chain} or not _is_heir(successor, order):
                break
            chain.append(successor)
        if len(chain) == 1:
            return order
        filled = exact_sum(link.filled_quantity for link in chain)
        return replace(
            chain[-1],
            client_order_id=order.client_order_id,
            quantity=order.quantity,
            order_type=order.order_type,
            limit_price=order.limit_price,
            filled_quantity=filled,
            average_price=_average(chain, filled),
            submitted_at=order.submitted_at,
        )

    # ------------------------------------------------------------------ writing down

    def _adopt(self, intent: IntentRecord, order: Order) -> IntentRecord:
        """Take what the broker says of our order over into the record."""
        return self._write(
            intent.model_copy(
                update={
                    "status": _STATUS_OF[order.status],
                    "order_id": order.order_id,
                    "filled_quantity": order.filled_quantity,
                    "average_price": order.average_price,
                    "submitted_at": order.submitted_at,
                    "filled_at": order.filled_at,
                    "updated_at": self._clock.now(),
                }
            )
        )

    def _note(self, intent: IntentRecord, status: IntentStatus, error: Exception | None = None) -> IntentRecord:
        """Write a status down that the broker did not give."""
        detail = None if error is None else f"{type(error).__name__}: {error}"[:_DETAIL_LENGTH]
        return self._write(intent.model_copy(update={"status": status, "detail": detail, "updated_at": self._clock.now()}))

    def _write(self, intent: IntentRecord) -> IntentRecord:
        self._log.update(intent)
        return intent


_STATUS_OF = {
    OrderStatus.OPEN: IntentStatus.OPEN,
    OrderStatus.UNKNOWN: IntentStatus.OPEN,
    OrderStatus.FILLED: IntentStatus.FILLED,
    OrderStatus.CANCELED: IntentStatus.CANCELED,
    OrderStatus.EXPIRED: IntentStatus.EXPIRED,
    OrderStatus.REJECTED: IntentStatus.REJECTED,
}


def _request(intent: IntentRecord) -> OrderRequest:
    return OrderRequest(
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        order_type=OrderType(intent.order_type),
        limit_price=intent.limit_price,
    )


def _refusal_in(intent: IntentRecord) -> IntentStatus | None:
    """Read in an ambiguous intent what it comes to if its order does not show, by what its sender was told; None: unknown.

    An order that the broker has shown was accepted, whatever its sender was told.
    """
    if intent.order_id is not None:
        return None
    word = (intent.detail or "").partition(":")[0]
    return {OrderRejected.__name__: IntentStatus.REJECTED, BrokerThrottled.__name__: IntentStatus.NOT_ACCEPTED}.get(word)


def _difference(intent: IntentRecord, order: Order) -> str:
    """Say in what the broker's order is not the intended one; empty where it is."""
    asked = (intent.client_order_id, intent.side, intent.quantity, intent.order_type, intent.limit_price)
    found = (order.client_order_id, order.side, order.quantity, order.order_type.value, order.limit_price)
    if asked == found and is_same_symbol(order.symbol, intent.symbol) and order.is_of_the_day:
        return ""
    expected = f"{intent.symbol} {intent.side} {intent.quantity} {_terms(intent.order_type, intent.limit_price)}"
    was = f"{order.symbol} {order.side} {order.quantity} {_terms(order.order_type.value, order.limit_price)}"
    beyond = "" if order.is_of_the_day else ", for longer than the day"
    return f"order {intent.client_order_id}: expected {expected}, was {was}{beyond}"


def _terms(order_type: str, limit_price: Decimal | None) -> str:
    return order_type if limit_price is None else f"{order_type} at {limit_price}"


def _is_heir(successor: Order, order: Order) -> bool:
    """Tell whether `successor` can have taken the place of `order`: what it trades, and which way, cannot be replaced."""
    return successor.side is order.side and is_same_symbol(successor.symbol, order.symbol)


def _later(order: Order, found: Order) -> Order:
    """Give what a look found; an answer that lacks shares which were filled before is of an earlier time, and is left out."""
    return order if found.filled_quantity < order.filled_quantity else found


def _average(chain: list[Order], filled: Decimal) -> Decimal | None:
    """Average the fills of a chain of replaced orders, USD a share; None where nothing filled or a price is not known yet."""
    links = [link for link in chain if link.filled_quantity > 0]
    if not links or any(link.average_price is None for link in links):
        return None
    if len(links) == 1:
        return links[0].average_price
    value = exact_sum(MONEY.multiply(link.filled_quantity, link.average_price or Decimal(0)) for link in links)
    return (value / filled).quantize(Decimal("1e-9"))


def _is_settled(order: Order) -> bool:
    """Tell whether the order is final and, where it filled anything, its price has arrived."""
    return order.status.is_final and (order.filled_quantity == 0 or order.average_price is not None)


def _is_unpriced(intent: IntentRecord) -> bool:
    """Tell whether the order's fills had no price when it was looked at last."""
    return intent.filled_quantity > 0 and intent.average_price is None


def _differs(intent: IntentRecord, order: Order) -> bool:
    seen = (intent.status, intent.filled_quantity, intent.average_price)
    return seen != (_STATUS_OF[order.status], order.filled_quantity, order.average_price)
