"""Business Unit: execution | Status: current.

The Broker port: the little that trading needs of a broker, in the broker-neutral terms that `shadow.execution`
is written against. Prices and amounts are USD, quantities are shares, both `Decimal`; times carry a zone.

The adapters are `shadow.broker.alpaca` (a real account) and `shadow.broker.recording` (dry run).

What can go wrong with a broker. Class names are public API: the state machine's `ErrorEquals` matches on them.

BrokerError
├── BrokerTransientError        worth another try, nothing was accepted
│   ├── BrokerThrottled         429
│   └── BrokerUnavailable       connection, timeout on a read, 5xx on a read
├── BrokerRefused               the broker said no; the same call again gives the same answer
│   ├── BrokerUnauthorized      401, 403 about credentials
│   ├── AssetUnknown            404 on an asset
│   ├── QuoteUnavailable        no quote with both sides
│   ├── OrderRejected           the broker's own coded word: not accepted
│   └── DuplicateClientOrderId  the client order id was used before: the order exists
├── SubmitAmbiguous             the order may or may not exist: look it up, never repeat it
└── BrokerProtocolError         the answer could not be understood
    └── OrderUnreadable         the answer is an order, and little but its id could be understood

What it takes to reach one brokerage account, apart from the adapter, so that a safety check can look at an endpoint
without importing an HTTP client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from shadow.contracts.errors import ConfigurationError, ShadowError
from shadow.contracts.vocabulary import Side


class OrderType(StrEnum):
    """How an order asks to be priced."""

    LIMIT = "limit"
    MARKET = "market"


class OrderStatus(StrEnum):
    """What became of an order, reduced to the distinctions execution acts on."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the order can no longer change."""
        return self not in (OrderStatus.OPEN, OrderStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask of one symbol, in USD a share. Both are positive and `ask >= bid`."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime

    @property
    def mid(self) -> Decimal:
        """The middle of bid and ask, USD a share, exact."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it is to be sent. `limit_price` is set for LIMIT orders only. Every order is a DAY order."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the broker knows it. `average_price` is None while nothing is filled.

    `replaced_by` is the broker's id of the order that took this one's place, where one did. `is_of_the_day` says that it ends
    with the session at the latest.
    """

    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    status: OrderStatus
    filled_quantity: Decimal
    average_price: Decimal | None
    submitted_at: datetime | None
    filled_at: datetime | None
    created_at: datetime | None = None
    replaced_by: str | None = None
    is_of_the_day: bool = True


@dataclass(frozen=True, slots=True)
class OddOrder:
    """One order of a list that an `Order` cannot say (sized in dollars, a stop, a new status word). What could be read, and why.

    `quantity` and `filled_quantity` are shares, `average_price` USD a share; None: not known.
    """

    order_id: str | None
    client_order_id: str | None
    symbol: str | None
    side: Side | None
    status: str | None
    quantity: Decimal | None
    filled_quantity: Decimal | None
    average_price: Decimal | None
    submitted_at: datetime | None
    fault: str


@dataclass(frozen=True, slots=True)
class OrderList:
    """Every order of an account in a stretch of time: those that could be read, the oldest first, and those that could not."""

    orders: Sequence[Order] = ()
    odd: Sequence[OddOrder] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """One position: signed shares, and the broker's own mark in USD a share, where it gives one."""

    symbol: str
    quantity: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of an account's own journal: a fill (`order_id`, signed by `side`), or money booked for another reason.

    `amount` is signed USD, None for a fill; `quantity` shares, `price` USD a share.
    """

    activity_id: str
    kind: str
    symbol: str | None
    amount: Decimal | None
    order_id: str | None = None
    side: Side | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One brokerage account. `account_number` is secret: compare it, never log or store it."""

    account_number: str
    equity: Decimal
    cash: Decimal


@dataclass(frozen=True, slots=True)
class Asset:
    """What can be traded of one symbol. `tradable` is false for an asset that is not active, too."""

    symbol: str
    tradable: bool
    fractionable: bool


@dataclass(frozen=True, slots=True)
class MarketClock:
    """Whether the regular session is open now."""

    at: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


class Broker(Protocol):
    """What execution asks of a broker. Every method raises only errors of this module."""

    def clock(self) -> MarketClock:
        """Tell whether the market is open."""

    def account(self) -> Account:
        """Read the account's number, equity (USD) and cash (USD)."""

    def asset(self, symbol: str) -> Asset:
        """Read whether `symbol` trades, and in fractions; raises `AssetUnknown`."""

    def quote(self, symbol: str) -> Quote:
        """Read the latest quote; raises `QuoteUnavailable` where a side is missing or zero."""

    def position(self, symbol: str) -> Decimal:
        """Read the held quantity in shares; zero when nothing is held."""

    def submit(self, request: OrderRequest) -> Order:
        """Send one order exactly once, never repeating it.

        Raises `OrderRejected` when the broker refused in its own coded words, `DuplicateClientOrderId` when that id was
        used before, `BrokerUnavailable` when the broker was never reached, `BrokerThrottled` on a full request window,
        and `SubmitAmbiguous` for every other answer and for none. Whatever is raised after the broker was reached: look
        the order up by its id before another id is used.
        """

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker has never seen it."""

    def glance(self, client_order_id: str) -> Order | None:
        """Look one order up if there are requests to spare; None when there are none, or the order is not shown."""

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id; None when the broker does not know it."""

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel. Not an error when the order is already final; `BrokerRefused` when it is not known."""


class OrderHistory(Protocol):
    """What a broker tells of an account's orders, whoever sent them. Raises only errors of this module."""

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        """Give every order of the account submitted after `after` and before `until`, whatever its symbol and its end.

        All pages. `until` None: up to now.
        """


class BrokerError(ShadowError):
    """Anything a broker adapter raises."""


class BrokerTransientError(BrokerError):
    """Worth another try: nothing was accepted."""


class BrokerThrottled(BrokerTransientError):
    """The account's request limit was hit (HTTP 429). `retry_after` is the broker's own word in seconds, None without one."""

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        """Remember how long the broker asks to wait, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class BrokerUnavailable(BrokerTransientError):
    """A read could not be answered: connection refused, timed out, or a 5xx."""


class BrokerRefused(BrokerError):
    """The broker said no, and would again."""


class BrokerUnauthorized(BrokerRefused):
    """The credentials are wrong or lack a permission."""


class AssetUnknown(BrokerRefused):
    """The broker does not know the symbol."""


class QuoteUnavailable(BrokerRefused):
    """There is no quote with both sides."""


class OrderRejected(BrokerRefused):
    """The broker said with an error code of its own that it did not accept the order; or it was never sent."""


class DuplicateClientOrderId(BrokerRefused):
    """The client order id was used before, so the order exists: fetch it by that id."""


class SubmitAmbiguous(BrokerError):
    """The order's fate is unknown: look it up by its client id, never send it again."""


class BrokerProtocolError(BrokerError):
    """The broker's answer could not be understood."""


class OrderUnreadable(BrokerProtocolError):
    """The broker shows an order of which little but its own id could be understood: it can be cancelled, and no more."""

    def __init__(self, message: str, order_id: str, client_order_id: str | None) -> None:
        """Remember the broker's id of the order, and ours, where that could be read."""
        super().__init__(message)
        self.order_id = order_id
        self.client_order_id = client_order_id


@dataclass(frozen=True, slots=True)
class AlpacaCredentials:
    """One account's key, secret and endpoints. Neither key nor secret is ever shown.

    `endpoint` is the trading API's address, the paper account's when empty (the contract's `ALPACA__ENDPOINT`);
    `data_endpoint` is the market data API's, the broker's own when empty. Raises ConfigurationError when a key is
    missing or would travel unencrypted to another machine.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    endpoint: str = ""
    data_endpoint: str = ""

    def __post_init__(self) -> None:
        """Refuse what could never work, or would give the secret away."""
        for name, value in (("key", self.key), ("secret", self.secret)):
            if not value.strip():
                raise ConfigurationError(f"alpaca {name}: expected a value, was empty")
            if not value.isascii() or not value.isprintable():
                raise ConfigurationError(f"alpaca {name}: expected printable ASCII, was something else")
        for name, url in (("endpoint", self.endpoint), ("data_endpoint", self.data_endpoint)):
            if url and not _is_safe(url):
                raise ConfigurationError(f"alpaca {name}: expected an https address (http on loopback only), was {url!r}")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one call may wait, in seconds: for a connection, and for the answer's next byte."""

    connect: float = 3.0
    read: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a wait that is not bounded."""
        for name, value in (("connect", self.connect), ("read", self.read)):
            if not 0 < value < float("inf"):
                raise ConfigurationError(f"alpaca timeout {name}: expected seconds above 0, was {value}")


def is_paper_endpoint(url: str) -> bool:
    """Tell whether `url` is a paper endpoint: empty or containing "paper" (the legacy contract's rule, section 6)."""
    return not url.strip() or "paper" in url.lower()


def _is_safe(url: str) -> bool:
    """Allow https anywhere and http on this machine only."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
