"""Business Unit: evidence | Status: current.

Whose is an order that an account's broker lists? The candidate's says it in its name: client ids derive from the trade. The
control's are named at random, so an order is a trade's when it was sent during the run, for the trade's symbol and side: a plan
has one item a symbol. Where two runs traded a symbol at the same time, the trade's own times decide; where they cannot, nothing
is attributed, and the reason is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shadow.broker.port import Order, OrderStatus
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.outcome import RunOutcome, TradeOutcome

BEFORE = timedelta(seconds=5)
"""How far the broker's clock may be behind the lane's."""
AFTER = timedelta(seconds=120)
"""How long after its end a run's orders are looked for: a record may be delivered again when the run is over."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included."""

    begin: datetime
    end: datetime

    def holds(self, moment: datetime | None) -> bool:
        """Tell whether `moment` lies inside; a time that is not known does not."""
        return moment is not None and self.begin <= moment <= self.end

    def overlaps(self, other: Span) -> bool:
        """Tell whether both have a moment in common."""
        return self.begin <= other.end and other.begin <= self.end

    def with_(self, other: Span | None) -> Span:
        """Give the span from the earlier begin to the later end."""
        return self if other is None else Span(min(self.begin, other.begin), max(self.end, other.end))

    @property
    def until(self) -> datetime | None:
        """The end as a question to the broker: None where there is none yet."""
        return None if self.end == _END else self.end


@dataclass(frozen=True, slots=True)
class Attributed:
    """The orders of one trade; `unclear` says why they could not be told from another's."""

    orders: Sequence[Order] = ()
    unclear: str | None = None


def span_of(run: RunOutcome | TradeOutcome | None) -> Span | None:
    """Give the time in which the orders of a run or trade were sent; None where its start is not known."""
    if run is None or run.started_at is None:
        return None
    return Span(run.started_at - BEFORE, _END if run.completed_at is None else run.completed_at + AFTER)


def is_named_after(order: Order, trade_id: str) -> bool:
    """Tell whether an order's client id derives from the trade."""
    return order.client_order_id == client_order_id_of(trade_id, 0) or order.client_order_id.startswith(f"{trade_id}-step-")


def by_symbol(orders: Iterable[Order]) -> dict[str, list[Order]]:
    """Sort orders by symbol, each in the order given."""
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.symbol, []).append(order)
    return found


def crowded_symbols(run: RunOutcome, shared: Collection[str]) -> frozenset[str]:
    """Give the symbols of which an order may be another trade's: `shared` with other runs, or traded twice in this one."""
    counted = Counter(trade.symbol for trade in run.trades)
    return frozenset(shared) | {symbol for symbol, count in counted.items() if count > 1}


def attributed(
    trade: TradeOutcome, run: RunOutcome, listed: Mapping[str, Sequence[Order]], crowded: Collection[str]
) -> Attributed:
    """Say which of the listed orders of an account are the trade's. An order that is named after the trade always is."""
    here = listed.get(trade.symbol, ())
    named = [order for order in here if is_named_after(order, trade.trade_id)]
    window = span_of(run)
    if window is None:
        return Attributed(named, None if named or not here else "the run's start is not known")
    others = [order for order in here if order not in named and window.holds(order.submitted_at)]
    if trade.symbol not in crowded or not others:
        return Attributed(_in_order(here, [*named, *others]))
    own = _own_span(trade)
    if own is None:
        return Attributed((), f"{trade.symbol} was traded twice at the same time, and the trade's own times are not known")
    others = [order for order in others if own.holds(order.submitted_at) and order.side is trade.action]
    if sum(order.status in (OrderStatus.FILLED, OrderStatus.OPEN) for order in others) > 1:
        return Attributed((), f"{trade.symbol} was traded twice at the same time, and the orders cannot be told apart")
    return Attributed(_in_order(here, [*named, *others]))


def _own_span(trade: TradeOutcome) -> Span | None:
    if trade.started_at is None or trade.completed_at is None:
        return None
    return Span(trade.started_at - BEFORE, trade.completed_at + BEFORE)


def _in_order(here: Sequence[Order], chosen: Collection[Order]) -> list[Order]:
    return [order for order in here if order in chosen]
