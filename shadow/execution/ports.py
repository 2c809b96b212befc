"""Business Unit: execution | Status: current.

What execution asks of the world besides a broker: ports, so that every rule can be read and tested like arithmetic. The AWS
adapters are in `shadow.aws`; tests bring fakes. Every method may raise `StateUnavailable`.

What can go wrong while a run executes. Class names are public API: the state machine's `ErrorEquals` matches on them.

ShadowError
├── ConfigurationError
│   └── InterlockViolation        this mode must not trade with this account, endpoint or setting
└── ExecutionError
    ├── RunNotPrepared            the run has no record: prepare_trades did not run
    ├── PlanObjectCorrupt         a claim-checked object is not the one that was written
    ├── TradeTakenOver            a later process works on this trade
    ├── OrderMismatch             the broker's order is not the one that was intended
    ├── QuoteContradicted         a BUY's shares were sized on a quote that a later one contradicts
    └── ExecutionTransientError   worth another try
        ├── OrderFateUnknown      an ambiguous order that the broker does not show (yet)
        ├── OrderStillOpen        an order that did not become final after its cancel was asked for
        ├── WorkTimeSpent         a process has no time for another step; the next one goes on
        ├── StateUnavailable      the candidate's state table, bucket or bus did not answer
        └── NotificationUnavailable  the notification topic did not answer
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from time import sleep
from typing import Protocol

from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.control_records import AllTradesCompleted, LedgerEntry, TradeExecuted, WorkflowFailed
from shadow.contracts.errors import ConfigurationError, ShadowError
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Side
from shadow.contracts.workflow import ClaimCheck, EquityCheck, TradeResult, WorkflowTrade


class Clock(Protocol):
    """Time, injected so that nothing in a test waits."""

    def now(self) -> datetime:
        """Give the time, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        sleep(seconds)


@dataclass(frozen=True, slots=True)
class RunOpening:
    """What is written down when a run starts. `equity_limit` is USD; 0 means the breaker is off."""

    run_id: str
    plan_id: str
    correlation_id: str
    execution_mode: ExecutionMode
    equity_limit: Decimal
    opened_at: datetime


class EquityLedger(Protocol):
    """The equity reservations of a run's BUYs. Amounts are USD."""

    def open_run(self, opening: RunOpening) -> Decimal:
        """Write the run down unless it is; give the limit in force, which the first opening set."""

    def reserve(self, run_id: str, trade_id: str, amount: Decimal, turn: int | None = None) -> EquityCheck:
        """Reserve `amount` for a trade in one atomic step, or refuse it.

        The same trade again gets the same answer; one that gave a part back needs room for it again. `turn` is that of the
        process that orders for the trade (None: nobody does yet). Raises RunNotPrepared when the run was never opened, and
        TradeTakenOver when the turn is over and something would change.
        """

    def release(self, run_id: str, trade_id: str, spent: Decimal, turn: int | None = None) -> None:
        """Lower a trade's reservation to what was `spent`. Doing it again, or with more, changes nothing.

        Raises TradeTakenOver when the turn is over and something would change, in one atomic step with the change.
        """


class IntentLog(Protocol):
    """Every order's intent, written before the order is sent."""

    def take(self, run_id: str, trade_id: str) -> int:
        """Take the trade over; give the turn, counted from 1. From now on no intent of an earlier turn is kept. Atomic."""

    def record(self, intent: IntentRecord) -> IntentRecord:
        """Keep `intent` unless its step has one; give the kept one, `intent` itself when it was new. Atomic.

        Raises TradeTakenOver when the intent's turn is over.
        """

    def update(self, intent: IntentRecord) -> None:
        """Write down what became of an intent. What the broker said stands: it gives way only to what it said later.

        Raises TradeTakenOver when the intent's turn is over and it is not the broker's word (it has no `order_id`).
        """

    def of_trade(self, run_id: str, trade_id: str) -> tuple[IntentRecord, ...]:
        """Give a trade's intents in the order of their steps."""

    def of_run(self, run_id: str) -> tuple[IntentRecord, ...]:
        """Give the intents of all trades of a run, those of one trade in the order of their steps."""


EffectDetail = TradeExecuted | AllTradesCompleted | WorkflowFailed | LedgerEntry


@dataclass(frozen=True, slots=True)
class PlannedEffect:
    """One downstream effect that a result implies.

    `trade_id` is None for an effect of the whole run; `part` tells several effects of one kind and trade apart.
    """

    run_id: str
    kind: EffectKind
    trade_id: str | None
    detail: EffectDetail
    at: datetime
    part: int = 0


class PlanStore(Protocol):
    """Where a plan is that is too large for a state payload. A missing or altered object raises PlanObjectCorrupt."""

    @property
    def bucket(self) -> str:
        """Name the bucket that phases are written to."""

    def read_plan(self, check: ClaimCheck) -> tuple[WorkflowTrade, ...]:
        """Read a claim-checked plan's trades, holding digest and count against the claim."""

    def write_phase(self, run_id: str, side: Side, trades: tuple[WorkflowTrade, ...]) -> str:
        """Write the trades of one phase as one JSON list; give its key. Writing it again changes nothing."""

    def read_phase(self, bucket: str, key: str) -> tuple[WorkflowTrade, ...]:
        """Read the trades of one phase."""


class ResultLog(Protocol):
    """What every trade of a run came to, read back at once."""

    def results_of(self, run_id: str) -> dict[str, TradeResult]:
        """Give the recorded results by trade id."""

    def with_intents(self, run_id: str) -> frozenset[str]:
        """Give the ids of the trades that intended an order."""


class InterlockViolation(ConfigurationError):
    """Trading in this mode with this account, endpoint or setting is refused."""


class ExecutionError(ShadowError):
    """Anything the candidate's execution raises."""


class RunNotPrepared(ExecutionError):
    """The run has no record, so no limit is known: nothing may be bought."""


class PlanObjectCorrupt(ExecutionError):
    """A claim-checked object is not the one that was written."""


class TradeTakenOver(ExecutionError):
    """A later process works on this trade: this one must not order for it any more."""


class OrderMismatch(ExecutionError):
    """The broker's order under our client order id is not the order that was intended."""


class QuoteContradicted(ExecutionError):
    """A later quote is so far above the one that a BUY was sized on that a market order could cost much more than is reserved."""


class ExecutionTransientError(ExecutionError):
    """Worth another try: what was done so far is recorded and will be found again."""


class OrderFateUnknown(ExecutionTransientError):
    """An order may have been accepted, and the broker does not show it (yet)."""


class OrderStillOpen(ExecutionTransientError):
    """An order did not become final although its cancel was asked for."""


class WorkTimeSpent(ExecutionTransientError):
    """A process has no time left for another step of the walk: every order so far is final, and the next process goes on."""


class StateUnavailable(ExecutionTransientError):
    """The candidate's state table, bucket or bus did not answer."""


class NotificationUnavailable(ExecutionTransientError):
    """The notification topic did not answer."""
