"""Business Unit: execution | Status: current.

The end of a run that did not end by itself: no order of ours is left working. Whatever the run recorded of an order that is not
final is looked up once more, cancelled if it is open, and written down. Each trade is taken over first, so that a process
which lives on can intend no further order. Closing a run again changes nothing.
"""

from __future__ import annotations

from datetime import timedelta

from shadow.broker.port import Broker
from shadow.contracts.candidate_state import IntentRecord, IntentStatus
from shadow.contracts.errors import ShadowError
from shadow.contracts.vocabulary import ExecutionMode
from shadow.contracts.workflow import ClosedRun
from shadow.execution.orders import OrderDesk
from shadow.execution.ports import Clock, IntentLog
from shadow.execution.walk import WalkPolicy

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
