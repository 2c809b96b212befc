"""Business Unit: lanes | Status: current.

Whose is an order that an account's broker lists? Every one is accounted for: a trade's of this run, another run's by its ids,
or nobody's. Our own client ids derive from the trade. The control's are named at random and it records its last order alone, so
there an order is a trade's by that last id, then by side, the trade's own start to end, and the shape of the walk: each order
asks for what the one before it left. Where that cannot tell, nothing is attributed, and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from shadow.contracts.identity import client_order_id_of, is_same_symbol, joined_symbol, run_id_of, trade_id_of
from shadow.contracts.outcome import AccountOrder, OrderRecord, Owner, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Lane, Role, TradeStatus

BEFORE = timedelta(seconds=5)
"""How far the broker's clock may be behind the lane's."""
AFTER = timedelta(seconds=120)
"""How long after its end a run's orders are looked for: a record may be delivered again when the run is over."""
_END = datetime.max.replace(tzinfo=UTC)
_STEP = Decimal("0.000001")
_ALIKE = Decimal("0.02")
_WORKING = frozenset({"open", "unknown"})
_SENT_BY_LANES = frozenset({"limit", "market"})


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included."""

    begin: datetime
    end: datetime

    def holds(self, moment: datetime | None) -> bool:
        """Tell whether `moment` lies inside. An order without a time was listed for the stretch, so it lies inside."""
        return moment is None or self.begin <= moment <= self.end

    def overlaps(self, other: Span) -> bool:
        """Tell whether both have a moment in common."""
        return self.begin <= other.end and other.begin <= self.end


@dataclass(frozen=True, slots=True)
class Listed:
    """One order as the broker listed it. `fault` says why it could not be read whole."""

    record: OrderRecord
    fault: str | None = None

    @property
    def symbol(self) -> str:
        """The symbol; empty where it could not be read."""
        return self.record.symbol or ""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Other runs of the day: the `symbols` that they traded while this one ran, and the ids of their trades."""

    symbols: frozenset[str] = frozenset()
    trade_ids: frozenset[str] = frozenset()

    def traded(self, symbol: str | None) -> bool:
        """Tell whether they traded a symbol, whichever notation they have for it."""
        return symbol is not None and joined_symbol(symbol) in _joined(self.symbols)


@lru_cache(maxsize=8)
def _joined(symbols: frozenset[str]) -> frozenset[str]:
    return frozenset({joined_symbol(symbol) for symbol in symbols})


@dataclass(slots=True)
class Accounted:
    """Where every listed order went. `unclear` says of a trade why its orders could not be told from another's."""

    by_trade: dict[str, list[OrderRecord]] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    others: list[AccountOrder] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


def span_of(run: RunOutcome | TradeOutcome | None) -> Span | None:
    """Give the time in which the orders of a run or trade were sent; None where its start is not known."""
    if run is None or run.started_at is None:
        return None
    return Span(run.started_at - BEFORE, _END if run.completed_at is None else run.completed_at + AFTER)


def accounted(run: RunOutcome, listed: Sequence[Listed], neighbours: Neighbours) -> Accounted:
    """Account for every order that the broker listed for the account of `run`."""
    result = Accounted({trade.trade_id: [] for trade in run.trades})
    left = _take_named(run, listed, result)
    window = span_of(run)
    if run.lane is Lane.LEGACY:
        for trade in run.trades:
            left = _take_walk(trade, left, window, neighbours, result)
    elif run.role is Role.CANDIDATE:
        left = _take_strays(run, left, window, neighbours, result)
    else:
        for trade in run.trades:
            left = _take_again(trade, left, neighbours, result)
    for order in left:
        _tell(order, run, window, neighbours, result)
    for name, orders in result.by_trade.items():
        result.by_trade[name] = _in_order(listed, orders)
        if name in result.unclear:
            note = result.unclear[name]
            result.others += [AccountOrder(owner=Owner.UNCLEAR, order=each, note=note) for each in result.by_trade[name]]
    return result


def _names_of(trade: TradeOutcome) -> frozenset[str]:
    """Give every id under which a trade's own record names its orders."""
    recorded = {name for order in trade.orders for name in (order.client_order_id, order.order_id) if name}
    return frozenset(recorded | ({trade.order_id} if trade.order_id else set()))


def named_after(client_order_id: str | None) -> str:
    """Give the trade id that a client id of ours derives from; the whole of any other."""
    name = client_order_id or ""
    lead, mark, number = name.rpartition("-step-")
    return lead if mark and number.isdigit() else name


def _take_named(run: RunOutcome, listed: Sequence[Listed], result: Accounted) -> list[Listed]:
    """Give each trade the orders that bear its name, and what replaced them; give back the rest.

    The names that the workflow gives the orders of this plan are a trade's in either account: in the control's they are orders
    of a candidate that traded there.
    """
    ours = {trade_id_of(run_id_of(run.plan_id), trade.symbol, trade.action): trade.trade_id for trade in run.trades}
    owners = ours | {client_order_id_of(name, 0): trade_id for name, trade_id in ours.items()}
    owners |= {name: trade.trade_id for trade in run.trades for name in sorted(_names_of(trade))}
    owners |= {trade.trade_id: trade.trade_id for trade in run.trades}
    owners |= {client_order_id_of(trade.trade_id, 0): trade.trade_id for trade in run.trades}
    heirs: dict[str, str] = {}
    left: list[Listed] = []
    for order in _replaced_first(listed):
        record = order.record
        ids = (record.order_id or "", record.client_order_id or "", named_after(record.client_order_id))
        owner = next((owners[name] for name in ids if name in owners), heirs.get(record.order_id or ""))
        if owner is None:
            left.append(order)
            continue
        if record.replaced_by:
            heirs[record.replaced_by] = owner
        result.by_trade[owner].append(record)
        if order.fault is not None:
            result.unclear[owner] = _odd(order)
    return left


def _replaced_first(listed: Sequence[Listed]) -> Iterable[Listed]:
    """Give every order after the one that it took the place of."""
    by_id = {order.record.order_id: order for order in listed}
    heirs = {order.record.replaced_by for order in listed if order.record.replaced_by}
    seen: set[int] = set()
    for first in [*(order for order in listed if order.record.order_id not in heirs), *listed]:
        order: Listed | None = first
        while order is not None and id(order) not in seen:
            seen.add(id(order))
            yield order
            order = by_id.get(order.record.replaced_by) if order.record.replaced_by else None


def _take_walk(
    trade: TradeOutcome, left: list[Listed], window: Span | None, neighbours: Neighbours, result: Accounted
) -> list[Listed]:
    """Give a trade of a lane with random names the orders that its walk sent; give back the rest."""
    named = result.by_trade[trade.trade_id]
    here = [order for order in left if _may_be_of(order, trade)]
    own = _own_span(trade)
    if window is None:
        if here:
            result.unclear[trade.trade_id] = "the run's start is not known"
        return left
    inside = [order for order in here if (own or window).holds(order.record.submitted_at)]
    shared = neighbours.traded(trade.symbol)
    if shared and own is None and here:
        result.unclear[trade.trade_id] = (
            f"{trade.symbol} was traded twice at the same time, and the trade's own times are not known"
        )
        return left
    walk = _walk(trade, named, [order.record for order in inside])
    again = [record for record in (o.record for o in inside) if record not in walk and _is_alike(record, [*named, *walk], trade)]
    if shared and again and any(_counts(record) for record in again):
        result.unclear[trade.trade_id] = f"{trade.symbol} was traded twice at the same time, and the orders cannot be told apart"
        return left
    astray = [] if shared else _sent_the_other_way(trade, [*named, *walk], left, own or window)
    result.by_trade[trade.trade_id] = [*named, *walk, *again, *astray]
    taken = {id(record) for record in (*walk, *again, *astray)}
    return [order for order in left if id(order.record) not in taken]


def _sent_the_other_way(trade: TradeOutcome, walk: Sequence[OrderRecord], left: list[Listed], span: Span) -> list[OrderRecord]:
    """Give the order of the other side that a walk began with: dead before the walk's first, which asks for exactly its rest."""
    begun = min((record.submitted_at for record in walk if record.submitted_at is not None), default=None)
    first = next((record for record in walk if record.submitted_at == begun), None)
    if begun is None or first is None or first.quantity is None:
        return []
    for record in (each.record for each in left if _is_of_its_kind(each, trade) and each.record.side is not trade.action):
        is_before = record.submitted_at is not None and record.submitted_at <= begun and span.holds(record.submitted_at)
        whole = first.quantity + (record.filled_quantity or Decimal(0))
        if is_before and _follows(record, first) and record.quantity == whole:
            return [record]
    return []


def _take_again(trade: TradeOutcome, left: list[Listed], neighbours: Neighbours, result: Accounted) -> list[Listed]:
    """Give a trade of a lane in production, which names its orders, what asks for the whole of it once more while it ran.

    People trade by hand in that account: any other order without its name is theirs.
    """
    own, named = _own_span(trade), result.by_trade[trade.trade_id]
    if own is None or not left or neighbours.traded(trade.symbol):
        return left
    again = [each for each in left if _may_be_of(each, trade) and own.holds(each.record.submitted_at)]
    again = [each for each in again if named_after(each.record.client_order_id) not in neighbours.trade_ids]
    again = [each for each in again if _is_alike(each.record, named, trade)]
    named += [each.record for each in again]
    taken = {id(each) for each in again}
    return [each for each in left if id(each) not in taken]


def _walk(trade: TradeOutcome, named: Sequence[OrderRecord], inside: Sequence[OrderRecord]) -> list[OrderRecord]:
    """Give the orders that form one walk with what is named: each dead before the next, which asks for what was left."""
    last = next((record for record in named if record.order_id == trade.order_id), None)
    if last is None:
        chain: list[OrderRecord] = []
        for record in inside:
            if not chain or _follows(chain[-1], record):
                chain.append(record)
        return chain
    walk: list[OrderRecord] = []
    before = [r for r in inside if r.submitted_at and last.submitted_at and r.submitted_at <= last.submitted_at]
    follower = last
    for record in reversed(before):
        if _follows(record, follower):
            walk.append(record)
            follower = record
    return walk


def _follows(first: OrderRecord, second: OrderRecord) -> bool:
    """Tell whether `second` may be the next order of the walk that sent `first`: the first is dead, the rest is asked for."""
    if first.quantity is None or second.quantity is None or (first.status or "") in (*_WORKING, "filled"):
        return False
    rest = first.quantity - (first.filled_quantity or Decimal(0))
    return rest > 0 and abs(second.quantity - rest) <= max(_STEP, _ALIKE * first.quantity)


def _is_alike(record: OrderRecord, chain: Sequence[OrderRecord], trade: TradeOutcome) -> bool:
    """Tell whether an order asks for the whole of a trade once more: as much as its first order, its fill or its plan."""
    whole = max((order.quantity for order in chain if order.quantity is not None), default=trade.filled_quantity)
    price = trade.intent.decision_price if trade.intent is not None else None
    planned = abs(trade.planned_amount) / price if trade.planned_amount and price else None
    wanted = [each for each in (whole, planned) if each is not None]
    return record.quantity is not None and any(abs(record.quantity - each) <= _ALIKE * each for each in wanted)


def _take_strays(
    run: RunOutcome, left: list[Listed], window: Span | None, neighbours: Neighbours, result: Accounted
) -> list[Listed]:
    """Give the trades of a lane that names its orders what was sent for them under no name: nobody else trades in its account."""
    rest: list[Listed] = []
    for order in left:
        trade = next((each for each in run.trades if _may_be_of(order, each)), None)
        strange = named_after(order.record.client_order_id) in neighbours.trade_ids
        if trade is None or strange or window is None or not window.holds(order.record.submitted_at):
            rest.append(order)
        else:
            result.by_trade[trade.trade_id].append(order.record)
    return rest


def _tell(order: Listed, run: RunOutcome, window: Span | None, neighbours: Neighbours, result: Accounted) -> None:
    """Say what an order is that no trade of the run accounts for."""
    record, owner, note = order.record, Owner.NOBODY, order.fault
    if named_after(record.client_order_id) in neighbours.trade_ids:
        owner = Owner.ANOTHER_RUN
    elif window is not None and not window.holds(record.submitted_at):
        owner = Owner.LATER
    elif _names_unread_trade(record, run):
        owner, note = Owner.UNCLEAR, "the record of the trade that it is named after cannot be read"
    elif order.fault is not None:
        owner = Owner.UNCLEAR
        if run.role is Role.CANDIDATE:
            result.gaps.append(_odd(order))
    elif run.role is Role.CONTROL and neighbours.traded(order.symbol):
        owner, note = Owner.UNCLEAR, f"another run traded {order.symbol} at the same time"
    elif run.role is Role.CONTROL and (why := _could_be_a_trades(order, run, result)) is not None:
        owner, note = Owner.UNCLEAR, why
        result.gaps.append(f"order {record.order_id} of {order.symbol}: {note}")
    result.others.append(AccountOrder(owner=owner, order=record, note=note))


def _names_unread_trade(record: OrderRecord, run: RunOutcome) -> bool:
    """Tell whether an order bears the name of a trade that a gap of the run names."""
    name = named_after(record.client_order_id)
    return bool(name) and any(gap.what.rpartition(" ")[2] == name for gap in run.gaps)


def _could_be_a_trades(order: Listed, run: RunOutcome, result: Accounted) -> str | None:
    """Say why an order of the control's account, which no walk took, may be a trade's all the same; None where it cannot."""
    for trade in (each for each in run.trades if _may_be_of(order, each)):
        named, own = f"the run's {trade.action.value} of {trade.symbol}", _own_span(trade)
        if _is_alike(order.record, result.by_trade[trade.trade_id], trade):
            return f"it asks for as much as {named}, outside the trade's own times"
        failed = trade.status is not TradeStatus.COMPLETED
        if failed and order.record.filled_quantity and own is not None and own.holds(order.record.submitted_at):
            return f"it filled {order.record.filled_quantity} shares while {named}, which failed, was at work"
    return None


def _odd(order: Listed) -> str:
    return f"order {order.record.order_id or '(without an id)'} of {order.symbol or '(no symbol)'}: {order.fault}"


def _may_be_of(order: Listed, trade: TradeOutcome) -> bool:
    """Tell whether an order goes a trade's way and is of a type that lanes send."""
    return _is_of_its_kind(order, trade) and order.record.side is trade.action


def _is_of_its_kind(order: Listed, trade: TradeOutcome) -> bool:
    is_lane_s = order.fault is None and (order.record.order_type or "") in _SENT_BY_LANES
    return is_lane_s and is_same_symbol(order.symbol, trade.symbol)


def _counts(record: OrderRecord) -> bool:
    return record.status in ("filled", "open")


def _own_span(trade: TradeOutcome) -> Span | None:
    if trade.started_at is None or trade.completed_at is None:
        return None
    return Span(trade.started_at - BEFORE, trade.completed_at + BEFORE)


def _in_order(listed: Sequence[Listed], chosen: Collection[OrderRecord]) -> list[OrderRecord]:
    """Sort a trade's orders as the broker listed them."""
    places = {id(order.record): place for place, order in enumerate(listed)}
    return sorted(chosen, key=lambda record: places.get(id(record), len(places)))
