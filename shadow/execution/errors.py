"""Business Unit: execution | Status: current.

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

from shadow.contracts.errors import ConfigurationError, ShadowError


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
