"""Business Unit: local cloud | Status: current.

What is said to the simulator and what it shows, as values: the same over HTTP and in one process.
Prices and cash are USD, quantities shares, spreads and shifts basis points; all Decimal.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from shadow.contracts.model import Exact, Fraction, Frozen, Identifier, Moment, NonNegative, Symbol
from shadow.contracts.vocabulary import Role


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("expected more than zero")
    return value


Positive = Annotated[Exact, AfterValidator(_positive)]


class FaultKind(StrEnum):
    """What can be made to go wrong, and where in a request's life."""

    # before the request is looked at: it has no effect
    THROTTLE = "throttle"  # 429
    SERVER_ERROR = "server_error"  # `status`, 500 unless given
    DOWN = "down"  # the connection is closed without an answer
    HANG = "hang"  # no answer for `seconds`, then the connection is closed
    SLOW = "slow"  # answered after `seconds`
    # after it took effect: only the answer is spoilt
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504 with an HTML body
    DROP_ANSWER = "drop_answer"  # the connection is closed
    HANG_ANSWER = "hang_answer"  # no answer for `seconds`
    MALFORMED = "malformed"  # 200 with a body that is not JSON
    EMPTY = "empty"  # 200 without a body
    REFUSED_IN_CODE = "refused_in_code"  # `status` in the broker's own words, 403 for want of buying power unless given
    REFUSED_BY_GATEWAY = "refused_by_gateway"  # `status`, which the body repeats as a code; 404 unless given
    REFUSED_BY_PROXY = "refused_by_proxy"  # `status` with an HTML body, 404 unless given
    REFUSED_BARELY = "refused_barely"  # `status` without an error code, 422 unless given
    REFUSED_EMPTY = "refused_empty"  # `status` without a body, 422 unless given
    OTHER_QUANTITY = "other_quantity"  # the answer names another quantity than was ordered
    UNKNOWN_STATUS = "unknown_status"  # an order status nobody documented
    MISSING_FIELD = "missing_field"  # the answer lacks `field`
    # what the exchange does with an order
    REFUSE = "refuse"  # 422 at once
    REJECT = "reject"  # accepted, then rejected
    PARTIAL_FILL = "partial_fill"  # `fraction` is filled, the rest stays open
    REST = "rest"  # stays open, unfilled
    PRICE_LATE = "price_late"  # a filled order is shown without its price
    FILL_ON_CANCEL = "fill_on_cancel"  # filled just before the cancel arrives
    # what the market shows
    QUOTE_MISSING = "quote_missing"
    QUOTE_STALE = "quote_stale"  # four days old
    QUOTE_WIDE = "quote_wide"  # the bid is a cent
    MARKET_CLOSED = "market_closed"


class Fault(Frozen):
    """One thing that is to go wrong: for matching requests only, `count` times, for ever when that is None.

    `path` is the start of a request's path ("/v2/orders"); whatever is None matches everything.
    """

    kind: FaultKind
    account: Role | None = None
    method: str | None = None
    path: str | None = None
    symbol: Symbol | None = None
    count: Annotated[int, Field(ge=1)] | None = 1
    seconds: Annotated[float, Field(ge=0, le=600)] = 0
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    fraction: Fraction = Decimal("0.5")
    field: str = ""


class SetDay(Frozen):
    """Move to a trading day with these closing prices: 15:45 New York (12:45 on a half day), market open."""

    day: date
    closes: Annotated[dict[Symbol, Positive], Field(min_length=1)]
    half_day: bool = False


class Shown(Frozen):
    """What the market shows of one symbol, exactly."""

    bid: Positive
    ask: Positive


class SetTape(Frozen):
    """Show exactly these quotes on a day and know no other symbol; those of `whole_shares` do not trade in fractions.

    `at` None: 15 minutes before the close.
    """

    day: date
    quotes: dict[Symbol, Shown]
    at: Moment | None = None
    is_open: bool = True
    whole_shares: frozenset[Symbol] = frozenset()


class SetClock(Frozen):
    """Set the clock. `is_open` None follows the calendar; `running` lets the time pass with the machine's."""

    at: Moment | None = None
    is_open: bool | None = None
    running: bool = False


class SetAccount(Frozen):
    """Change an account; whatever is None stays. `positions` replaces all of them, bought at today's close."""

    account: Role
    cash: Exact | None = None
    positions: dict[Symbol, Positive] | None = None
    multiplier: Positive | None = None
    number: Identifier | None = None
    key: Identifier | None = None
    secret: Identifier | None = None


class SetAsset(Frozen):
    """Say whether a symbol trades, and in fractions."""

    symbol: Symbol
    tradable: bool = True
    fractionable: bool = True


class SetSpread(Frozen):
    """Set the width between bid and ask, of one symbol or of every symbol without its own."""

    bps: NonNegative
    symbol: Symbol | None = None


class SetFillRule(Frozen):
    """Let the first `rest_limits` limit orders since a symbol's last fill rest, so that the book is walked.

    0 (as at first): the first limit inside the spread fills; 3: only the market order after three limits does.
    """

    rest_limits: Annotated[int, Field(ge=0)]
    symbol: Symbol | None = None
    account: Role | None = None


class SetRateLimit(Frozen):
    """Allow this many requests an account in one minute of the simulated clock; None (as at first): any number.

    While there is a limit every answer says it, what is left of it, and when the minute is over, in the broker's headers.
    """

    per_minute: Annotated[int, Field(ge=0)] | None


class FillOpen(Frozen):
    """Fill what is left of the open orders that match, at their price."""

    account: Role | None = None
    symbol: Symbol | None = None


class OrderForm(StrEnum):
    """The sorts of orders that the system never sends and a person may. SIMPLE is a market or limit order by quantity."""

    SIMPLE = "simple"
    NOTIONAL = "notional"  # in USD, filled at once
    STOP = "stop"  # rests until a price
    BRACKET = "bracket"  # filled at once; a limit and a stop behind it sell again, as orders of their own
    MULTI_LEG = "multi_leg"  # of several contracts, which are in it and not in the list; rests


class PlaceByHand(Frozen):
    """Let a person order at the broker's own page, past the system and its ids: `quantity` shares, bought."""

    account: Role
    symbol: Symbol
    form: OrderForm = OrderForm.SIMPLE
    quantity: Positive = Decimal(1)


class ReplaceOpen(Frozen):
    """Let a person replace the open orders that match by orders of the same kind, under ids of their own."""

    account: Role | None = None
    symbol: Symbol | None = None


class ClearFaults(Frozen):
    """Let nothing go wrong any more."""


class Reset(Frozen):
    """Return to the first state; a new seed if one is given."""

    seed: int | None = None


Command = (
    SetDay
    | SetTape
    | SetClock
    | SetAccount
    | SetAsset
    | SetSpread
    | SetFillRule
    | SetRateLimit
    | FillOpen
    | PlaceByHand
    | ReplaceOpen
    | Fault
    | ClearFaults
    | Reset
)


class SimulatedOrder(Frozen):
    """One order that was ever accepted. `sequence` counts an account's orders from 1."""

    account: Role
    sequence: int
    order_id: str
    client_order_id: str
    symbol: Symbol
    side: str
    order_type: str
    quantity: Exact
    limit_price: Exact | None
    status: str
    filled_quantity: Exact
    average_price: Exact | None
    submitted_at: Moment
    replaced_by: str | None = None


class SimulatedAccount(Frozen):
    """One account as it stands."""

    account: Role
    number: str
    cash: Exact
    equity: Exact
    buying_power: Exact
    positions: dict[Symbol, Exact]


class LoggedRequest(Frozen):
    """One request to the broker's API and what became of it. `status` 0: no answer was given."""

    sequence: int
    method: str
    path: str
    query: str
    account: Role | None
    status: int
    client_order_id: str | None = None
    symbol: str | None = None
    fault: FaultKind | None = None
