"""Business Unit: execution | Status: current.

One request budget for the account. The broker counts the requests of an account in a minute, whoever sends them; ten functions
that trade at once share no memory. So before each request a place in the current short window is taken from a budget that all
of them share. Looks that could wait stop first, then other reads; submits, cancels and looks for an order of unknown fate may
use the whole window. Who finds it full waits for the next one; a broker that refuses all the same closes the windows it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

from shadow.broker.port import Account, Asset, Broker, BrokerError, BrokerThrottled, MarketClock, Order, OrderRequest, Quote
from shadow.contracts.errors import ShadowError

_MINUTE = 60
_Answer = TypeVar("_Answer")


class RequestBudget(Protocol):
    """The windows of one account, shared by everybody who asks it. A window is named by its start, in epoch seconds.

    Raises a ShadowError that is no BrokerError where it cannot be asked.
    """

    def take(self, window: int, most: int) -> bool:
        """Take one of at most `most` places of `window`; tell whether there was one. Atomic."""

    def close(self, window: int) -> None:
        """Let nobody take a place of `window` any more."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How many requests may be made. `per_minute` is this system's part of the account's limit, in any 60 seconds.

    Seconds: `window` is the length of one window, `closed` how long to stay away from a broker that refuses and does not say
    how long, `patience` the longest wait for one request; since a process took its work up, it waits for no read or order longer
    than `work`, for nothing longer than `last`, so that a function of 300 s ends by itself and says why. `reserve` places of a
    window are for orders and cancels alone; looks that can wait use at most half of it.
    """

    per_minute: int = 150
    window: int = 6
    closed: float = 15
    patience: float = 140
    work: float = 220
    last: float = 270
    reserve: int = 2

    def __post_init__(self) -> None:
        """Refuse a budget of which nothing could ever be asked."""
        if self.most < 1 or _MINUTE % self.window:
            raise ValueError(
                f"request limits: expected windows that divide a minute and at least one request in each, was {self.per_minute}"
                f" a minute in windows of {self.window} s"
            )

    @property
    def most(self) -> int:
        """Give the requests of one window: any 60 seconds touch one window more than they hold."""
        return self.per_minute // (_MINUTE // self.window + 1)

    @property
    def reads(self) -> int:
        """Give how many of them may be reads that a trade needs."""
        return max(self.most - self.reserve, 1)

    @property
    def glances(self) -> int:
        """Give how many of them may be looks that can wait."""
        return self.most // 2

    def window_at(self, moment: datetime) -> int:
        """Name the window of a moment."""
        return int(moment.timestamp()) // self.window * self.window


class RequestGate:
    """Lets a request out when there is a place for it in the account's budget. A 429 closes the windows that it names."""

    def __init__(
        self,
        budget: RequestBudget,
        limits: RequestLimits,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        """Keep within `limits`; `now` tells the time, `sleep` waits for some seconds."""
        self.limits = limits
        self._budget = budget
        self._now = now
        self._sleep = sleep

    def enter(self) -> None:
        """Take a place, waiting for one as long as the limits' patience. Raises BrokerThrottled."""
        self.wait(self.limits.most, self._now() + timedelta(seconds=self.limits.patience))

    def take(self, most: int) -> bool:
        """Take one of the first `most` places of this moment's window; tell whether there was one."""
        return self._budget.take(self.limits.window_at(self._now()), most)

    def wait(self, most: int, end: datetime) -> None:
        """Take one of the first `most` places of a window, by `end` at the latest. Raises BrokerThrottled."""
        while not self.take(most):
            now = self._now()
            following = datetime.fromtimestamp(self.limits.window_at(now) + self.limits.window, UTC)
            if following > end:
                left = max((end - now).total_seconds(), 0)
                raise BrokerThrottled(f"request budget: expected a place within {left:.0f} s, was none")
            self._sleep((following - now).total_seconds())

    def refused(self, error: BrokerThrottled) -> None:
        """Close this window and those that follow, for as long as the broker asks."""
        now = self._now()
        seconds = self.limits.closed if error.retry_after is None else min(error.retry_after, _MINUTE)
        last = self.limits.window_at(now + timedelta(seconds=seconds))
        for window in range(self.limits.window_at(now), last + 1, self.limits.window):
            self._budget.close(window)


class PacedBroker:
    """A `Broker` that makes no request without a place in the account's budget."""

    def __init__(
        self,
        inner: Broker,
        budget: RequestBudget,
        limits: RequestLimits,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        """Ask `inner` within `limits`; `now` tells the time, `sleep` waits for some seconds."""
        self._inner = inner
        self._gate = RequestGate(budget, limits, now=now, sleep=sleep)
        self._limits = limits
        self._now = now
        self._began = now()

    def begin(self) -> None:
        """Take a new piece of work up: how long may be waited is counted from now."""
        self._began = self._now()

    def clock(self) -> MarketClock:
        """Tell whether the market is open."""
        return self._paced(self._limits.reads, self._inner.clock)

    def account(self) -> Account:
        """Read the account's number, equity (USD) and cash (USD)."""
        return self._paced(self._limits.reads, self._inner.account)

    def asset(self, symbol: str) -> Asset:
        """Read whether `symbol` trades, and in fractions; raises AssetUnknown."""
        return self._paced(self._limits.reads, lambda: self._inner.asset(symbol))

    def quote(self, symbol: str) -> Quote:
        """Read the latest quote; raises QuoteUnavailable."""
        return self._paced(self._limits.reads, lambda: self._inner.quote(symbol))

    def position(self, symbol: str) -> Decimal:
        """Read the held quantity in shares; zero when nothing is held."""
        return self._paced(self._limits.reads, lambda: self._inner.position(symbol))

    def submit(self, request: OrderRequest) -> Order:
        """Send one order exactly once: a refusal for the limit is not repeated here, it raises BrokerThrottled."""
        self._gate.wait(self._limits.most, self._patience_ends(self._limits.work))
        try:
            return self._inner.submit(request)
        except BrokerThrottled as error:
            self._gate.refused(error)
            raise

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker has never seen it."""
        return self._paced(self._limits.most, lambda: self._inner.order_by_client_id(client_order_id))

    def glance(self, client_order_id: str) -> Order | None:
        """Look one order up if there are requests to spare; None when there are none, or the order is not shown."""
        if not self._gate.take(self._limits.glances):
            return None
        try:
            return self._inner.order_by_client_id(client_order_id)
        except BrokerThrottled as error:
            self._gate.refused(error)
            return None

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id; None when the broker does not know it."""
        return self._paced(self._limits.most, lambda: self._inner.order_by_id(order_id))

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; asking again does no harm, so a full window is waited out. A budget that fails keeps none back."""
        try:
            self._paced(self._limits.most, lambda: self._inner.cancel(order_id))
        except BrokerError:
            raise
        except ShadowError:
            self._inner.cancel(order_id)

    def _paced(self, most: int, ask: Callable[[], _Answer]) -> _Answer:
        """Ask when there is a place, and again when the broker's own window turns out to be full. Raises BrokerThrottled."""
        end = self._patience_ends(self._limits.work if most == self._limits.reads else self._limits.last)
        while True:
            self._gate.wait(most, end)
            try:
                return ask()
            except BrokerThrottled as error:
                self._gate.refused(error)

    def _patience_ends(self, seconds: float) -> datetime:
        """Tell until when a request may wait: `seconds` after the work was taken up at the latest."""
        return min(self._now() + timedelta(seconds=self._limits.patience), self._began + timedelta(seconds=seconds))
