"""Business Unit: legacy | Status: current.

How the control executes one trade: size it, walk the book, give up to the market; a SELL has three attempts, a BUY one. Its
client order ids are random, so they protect from nothing, and a filled order without a price counts as failed: both are the
contract's own defects, kept because the comparison must see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from uuid import uuid4

from shadow.broker.port import (
    Asset,
    AssetUnknown,
    Broker,
    BrokerError,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    QuoteUnavailable,
)
from shadow.contracts.errors import ShadowError
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.reference.publishing import ZERO

ATTEMPTS = {Side.SELL: 3, Side.BUY: 1}
MAX_LOOKS = 1000
CANCEL_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the control waits, in seconds."""

    walk_step: Decimal = Decimal(10)
    market: Decimal = Decimal(30)
    sell_attempt_pause: Decimal = Decimal(5)
    poll: Decimal = Decimal(1)

    def looks(self, seconds: Decimal) -> list[float]:
        """Split a wait of `seconds` into the pauses before each look: at least one, at most MAX_LOOKS."""
        if self.poll <= 0 or seconds <= self.poll:
            return [float(seconds)]
        return [float(self.poll)] * min(int(seconds / self.poll), MAX_LOOKS)


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of a trade at the broker. `filled` shares, `mid` the decision quote's (USD a share).

    `error` is None exactly when the trade was executed in full.
    """

    filled: Decimal = ZERO
    asked: Decimal | None = None
    mid: Decimal | None = None
    orders: tuple[Order, ...] = ()
    error: str | None = None

    @property
    def last_order(self) -> Order | None:
        """The order that a trade's item names: the last that filled, else the last."""
        filled = [order for order in self.orders if order.filled_quantity > 0]
        orders = filled or self.orders
        return orders[-1] if orders else None


class TradeFailed(Exception):
    """One attempt did not execute the trade; `final` when another attempt must not follow."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.final = final


class TradeExecutor:
    """Executes trades at one broker, at one pace. `sleep` takes seconds."""

    def __init__(self, broker: Broker, pace: Pace, sleep: Callable[[float], None]) -> None:
        """Work at `broker`; orders are named at random, as the control does."""
        self._broker = broker
        self._pace = pace
        self._sleep = sleep

    def execute(self, message: TradeMessage) -> Execution:
        """Execute one trade; what goes wrong at the broker is in the answer, never raised."""
        state = Execution()
        for attempt in range(1, ATTEMPTS[message.action] + 1):
            if attempt > 1:
                self._sleep(float(self._pace.sell_attempt_pause))
            state, failure = self._attempt(message, state)
            if failure is None:
                return replace(state, error=None)
            state = replace(state, error=str(failure))
            if failure.final:
                break
        return state

    def _attempt(self, message: TradeMessage, state: Execution) -> tuple[Execution, TradeFailed | None]:
        """Size the trade (once) and walk the book for what is not filled yet."""
        walk = _Walk(self._broker, message, state)
        try:
            quote = walk.size()
            for fraction in WALK_FRACTIONS:
                if self._order(walk, limit_price(message.action, quote, fraction), self._pace.walk_step):
                    return walk.state, None
            if self._order(walk, None, self._pace.market):
                return walk.state, None
        except TradeFailed as failure:
            return walk.state, failure
        except (BrokerError, CannotBeSized) as error:
            return walk.state, TradeFailed(reason_of(error))
        how = "partially filled" if walk.state.filled else "not filled"
        return walk.state, TradeFailed(f"{how}: {walk.state.filled} of {walk.state.asked} shares")

    def _order(self, walk: _Walk, limit: Decimal | None, seconds: Decimal) -> bool:
        """Send one order for the rest and wait; tell whether the trade is whole now."""
        order = walk.submit(str(uuid4()), limit)
        looks = self._pace.looks(seconds)
        order = self._wait(order, looks)
        if not order.status.is_final:
            self._broker.cancel(order.order_id)
            order = self._wait(order, looks[:1] * CANCEL_LOOKS)
        walk.take(order)
        return walk.rest <= 0

    def _wait(self, order: Order, looks: Sequence[float]) -> Order:
        """Look for the order's end after each pause (seconds)."""
        for pause in looks:
            if order.status.is_final:
                break
            self._sleep(pause)
            order = self._broker.order_by_client_id(order.client_order_id) or order
        return order


def reason_of(error: Exception) -> str:
    """Say in the control's words, which are all that its table keeps of an error, why a trade failed."""
    if isinstance(error, QuoteUnavailable):
        return f"no quote: {error}"
    if isinstance(error, AssetUnknown):
        return f"rejected, unknown asset: {error}"
    return f"{type(error).__name__}: {error}"


class _Walk:
    """One attempt's way through the book; `state` grows as orders end."""

    def __init__(self, broker: Broker, message: TradeMessage, state: Execution) -> None:
        self._broker = broker
        self._message = message
        self.state = state

    @property
    def rest(self) -> Decimal:
        """Shares still to be filled."""
        return (self.state.asked or ZERO) - self.state.filled

    def size(self) -> Quote:
        """Decide on a quantity (the first attempt's stands) and give the quote to walk from."""
        symbol = self._message.symbol
        quote = self._broker.quote(symbol)
        if self.state.asked is None:
            held = self._broker.position(symbol) if self._message.is_complete_exit else ZERO
            shares = shares_for(self._message, self._broker.asset(symbol), quote, held)
            self.state = replace(self.state, asked=shares, mid=quote.mid)
        return quote

    def submit(self, client_order_id: str, limit: Decimal | None) -> Order:
        """Send an order for the rest: a limit order, or a market order where there is no limit."""
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        request = OrderRequest(client_order_id, self._message.symbol, self._message.action, self.rest, kind, limit)
        return self._broker.submit(request)

    def take(self, order: Order) -> None:
        """Count an ended order in; raises TradeFailed where it shows that going on is wrong or useless."""
        orders = (*self.state.orders, order)
        if order.status is OrderStatus.FILLED and order.average_price is None:
            self.state = replace(self.state, orders=orders)
            raise TradeFailed(f"order {order.order_id} has no fill price", final=True)
        self.state = replace(self.state, orders=orders, filled=self.state.filled + order.filled_quantity)
        if order.status is OrderStatus.REJECTED:
            raise TradeFailed(f"order {order.order_id} was rejected")
        if not order.status.is_final:
            raise TradeFailed(f"order {order.order_id} could not be cancelled", final=True)


SHARE_STEP = Decimal("0.000001")
CENT = Decimal("0.01")
WALK_FRACTIONS = (Decimal("0.75"), Decimal("0.85"), Decimal("0.95"))


class CannotBeSized(ShadowError):
    """A trade comes to no shares at all."""


def shares_for(message: TradeMessage, asset: Asset, quote: Quote, held: Decimal) -> Decimal:
    """Compute the shares to ask for: what is held on a full exit, else |trade_amount| / mid to 6 decimals.

    A non-fractionable asset rounds down to whole shares. Raises CannotBeSized when nothing is left.
    """
    if message.is_complete_exit:
        shares = held
    else:
        shares = (abs(message.trade_amount) / quote.mid).quantize(SHARE_STEP, rounding=ROUND_HALF_EVEN)
    if not asset.fractionable:
        shares = shares.quantize(Decimal(1), rounding=ROUND_DOWN)
    if shares <= 0:
        what = "nothing is held" if message.is_complete_exit and held <= 0 else "quantity rounds to zero"
        raise CannotBeSized(f"{message.symbol}: {what}")
    return shares


def limit_price(side: Side, quote: Quote, fraction: Decimal) -> Decimal:
    """Place a limit `fraction` of the way from the passive to the aggressive side of `quote`, to a cent."""
    width = quote.ask - quote.bid
    price = quote.bid + fraction * width if side is Side.BUY else quote.ask - fraction * width
    return price.quantize(CENT, rounding=ROUND_HALF_UP)
