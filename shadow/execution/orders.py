"""Business Unit: execution | Status: current.

One order, from its written intent to a final state. Whatever the broker answers, or fails to answer, ends in a recorded status.
"Not accepted" is certain only from the one process that can have sent the order: when an order is sent again because its first
sender is gone, the first sending may still be on its way, and a refusal of the second says nothing about it.
"""

from __future__ import annotations

from shadow.broker.errors import (
    BrokerError,
    BrokerProtocolError,
    BrokerRefused,
    BrokerTransientError,
    DuplicateClientOrderId,
    SubmitAmbiguous,
)
from shadow.broker.port import Broker, Order, OrderRequest, OrderStatus, OrderType
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.execution.errors import OrderFateUnknown, OrderMismatch, OrderStillOpen
from shadow.execution.ports import Clock, IntentLog
from shadow.execution.walk import WalkPolicy

_DETAIL_LENGTH = 300


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
        BrokerTransientError, OrderFateUnknown, OrderStillOpen, OrderMismatch, TradeTakenOver and StateUnavailable.
        """
        if intent.status.is_final and intent.status is not IntentStatus.NOT_ACCEPTED:
            return intent
        intent = intent.model_copy(update={"turn": turn})
        if intent.status is IntentStatus.NOT_ACCEPTED:
            intent, is_new = self._note(intent, IntentStatus.INTENDED), True
        order = self._submit(intent, is_first=True) if is_new else self._resume(intent)
        if isinstance(order, IntentRecord):
            return order
        return self._finish(self._adopt(intent, order), order, seconds)

    def look(self, intent: IntentRecord) -> IntentRecord:
        """Find out what became of `intent` and cancel it if it is open, sending nothing; unchanged if nobody knows."""
        if intent.status.is_final:
            return intent
        order = self._find(intent)
        return intent if order is None else self._finish(self._adopt(intent, order), order, 0)

    def _resume(self, intent: IntentRecord) -> Order | IntentRecord:
        """Give the order that an earlier process may have sent; send it if the broker has never seen it.

        An order known to be ambiguous or accepted is only looked for. Sending an intended one again cannot make a second
        order: the broker refuses a client order id that it has.
        """
        if intent.status is not IntentStatus.INTENDED:
            return self._find_or_raise(intent)
        order = self._broker.order_by_client_id(intent.client_order_id)
        return self._submit(intent, is_first=False) if order is None else order

    def _submit(self, intent: IntentRecord, *, is_first: bool) -> Order | IntentRecord:
        """Send the order once; give it as the broker has it, or the intent if the broker refused its first sending."""
        try:
            return self._broker.submit(_request(intent))
        except BrokerTransientError as error:
            if is_first:
                self._note(intent, IntentStatus.NOT_ACCEPTED, error)
            raise
        except (DuplicateClientOrderId, SubmitAmbiguous, BrokerProtocolError) as error:
            return self._find_or_raise(self._note(intent, IntentStatus.AMBIGUOUS, error))
        except BrokerRefused as error:
            if not is_first:
                raise OrderFateUnknown(f"{intent.symbol}: refused, and it may have been sent before ({error})") from error
            return self._note(intent, IntentStatus.REJECTED, error)

    def _find(self, intent: IntentRecord) -> Order | None:
        """Look the order up, a few times: it can take the broker a moment to show what it accepted."""
        for turn in range(self._policy.lookups):
            if turn:
                self._clock.sleep(self._policy.poll_seconds)
            order = self._broker.order_by_client_id(intent.client_order_id)
            if order is not None:
                return order
        return None

    def _find_or_raise(self, intent: IntentRecord) -> Order:
        order = self._find(intent)
        if order is None:
            raise OrderFateUnknown(
                f"{intent.symbol}: order {intent.client_order_id} may have been accepted; the broker does not show it"
            )
        return order

    def _adopt(self, intent: IntentRecord, order: Order) -> IntentRecord:
        """Take what the broker says of our order over into the record. Raises OrderMismatch when it is not ours."""
        found = (order.client_order_id, order.symbol, order.side, order.quantity)
        expected = (intent.client_order_id, intent.symbol, intent.side, intent.quantity)
        if found != expected:
            raise OrderMismatch(f"order {intent.client_order_id}: expected {_shown(expected)}, was {_shown(found)}")
        seen = intent.model_copy(
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
        self._log.update(seen)
        return seen

    def _finish(self, intent: IntentRecord, order: Order, seconds: float) -> IntentRecord:
        """Let the order rest for `seconds`, then cancel what is left and wait until nothing can change any more."""
        order = self._wait(order, seconds)
        if not order.status.is_final:
            self._broker.cancel(order.order_id)
            order = self._wait(self._seen_again(order), self._policy.settle_seconds)
        if not order.status.is_final:
            raise OrderStillOpen(f"{order.symbol}: order {order.client_order_id} is still {order.status} after its cancel")
        return self._adopt(intent, order) if _differs(intent, order) else intent

    def _wait(self, order: Order, seconds: float) -> Order:
        """Look at the order until it is final and its fill has a price, for at most `seconds`."""
        for pause in self._policy.pauses(seconds):
            if _is_settled(order):
                break
            self._clock.sleep(pause)
            order = self._seen_again(order)
        return order

    def _seen_again(self, order: Order) -> Order:
        return self._broker.order_by_client_id(order.client_order_id) or order

    def _note(self, intent: IntentRecord, status: IntentStatus, error: BrokerError | None = None) -> IntentRecord:
        """Write a status down that the broker did not give."""
        detail = None if error is None else f"{type(error).__name__}: {error}"[:_DETAIL_LENGTH]
        noted = intent.model_copy(update={"status": status, "detail": detail, "updated_at": self._clock.now()})
        self._log.update(noted)
        return noted


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


def _is_settled(order: Order) -> bool:
    """Tell whether the order is final and, where it filled anything, its price has arrived."""
    return order.status.is_final and (order.filled_quantity == 0 or order.average_price is not None)


def _differs(intent: IntentRecord, order: Order) -> bool:
    seen = (intent.status, intent.filled_quantity, intent.average_price)
    return seen != (_STATUS_OF[order.status], order.filled_quantity, order.average_price)


def _shown(identity: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in identity)
