"""Business Unit: lanes | Status: current.

Read what the brokers said, from evidence, beside what a lane recorded: its trades' orders by the broker's word, whose every other
order is, what the account held before and after, and what else was booked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from shadow.contracts.identity import is_same_symbol, joined_symbol
from shadow.contracts.outcome import (
    AccountRecord,
    Booking,
    Books,
    Effect,
    Gap,
    HeldPosition,
    MarketQuote,
    OrderRecord,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.vocabulary import EffectKind, Lane, Side
from shadow.lanes.brokers.orders import Accounted, Listed, Neighbours, accounted
from shadow.lanes.effects import order_record
from shadow.lanes.legacy.reader import UNCLAIMED_ROW
from shadow.lanes.records import Fields

_ZERO = Decimal(0)
_CLAIMED = frozenset({"filled", "open", "canceled", "expired", "partially_filled", "accepted", "new"})
"""What a lane records of an order that the broker took."""
_FILL = "FILL"


def broker_corrected(outcome: RunOutcome | None, document: object, opening: object = None) -> RunOutcome | None:
    """Put the broker's word beside the lane's own record. `opening` is what an earlier look found, where there was one.

    It has every order of the account, so a row of the ledger that may be a second order of a trade is no question any more.
    """
    if outcome is None or not isinstance(document, Mapping):
        return outcome
    faults: list[str] = []
    if quotes := _quotes(Fields("broker", document, faults)):
        quoted = tuple(trade.model_copy(update={"market": quotes.get(joined_symbol(trade.symbol))}) for trade in outcome.trades)
        outcome = outcome.model_copy(update={"trades": quoted})
    known = document.get(outcome.role.value)
    if not isinstance(known, Mapping):
        return outcome
    fields = Fields(f"broker[{outcome.role.value}]", known, faults)
    listed = _listed(fields)
    result = accounted(outcome, listed, _neighbours(fields))
    earlier = opening.get(outcome.role.value) if isinstance(opening, Mapping) else None
    account = _account(fields, listed, result, earlier)
    looked_up = _rows(fields, "looked_up")
    absent = {str(entry.get("client_order_id") or entry.get("order_id")) for entry in looked_up if _is_absent(entry)}
    symbols = {trade.trade_id: trade.symbol for trade in outcome.trades}
    gaps = [Gap(what=f"broker orders of {symbols[name]}", reason=why) for name, why in result.unclear.items()]
    gaps += [Gap(what="broker orders", reason=reason) for reason in result.gaps]
    trades = tuple(_corrected(trade, result, account, absent, _neighbours(fields)) for trade in outcome.trades)
    return outcome.model_copy(
        update={
            "trades": trades,
            "effects": _effects_of_orders(outcome, result),
            "broker_truth": True,
            "account": account,
            "violations": tuple(sorted({*outcome.violations, *faults})),
            "gaps": (*(gap for gap in outcome.gaps if not gap.what.startswith(UNCLAIMED_ROW)), *gaps),
        }
    )


def _effects_of_orders(outcome: RunOutcome, result: Accounted) -> tuple[Effect, ...] | None:
    """Leave out a row of the ledger whose order is no trade's: by the broker's list, by the trade's record, by its event."""
    if outcome.effects is None or outcome.lane is not Lane.LEGACY:
        return outcome.effects
    known = {order.order_id for orders in result.by_trade.values() for order in orders} | {None}
    known |= {trade.order_id for trade in outcome.trades}
    known |= {effect.order_id for effect in outcome.effects if effect.kind is not EffectKind.LEDGER_ENTRY}
    rows = EffectKind.LEDGER_ENTRY
    return tuple(e for e in outcome.effects if e.kind is not rows or e.order_id in known or e.trade_id in result.unclear)


def _rows(fields: Fields, name: str) -> list[Mapping[str, object]]:
    value = fields.values.get(name)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _quotes(fields: Fields) -> dict[str, MarketQuote]:
    """Read what the market quoted when the brokers were asked, by the form that every notation of a symbol has in common."""
    found: dict[str, MarketQuote] = {}
    for row in (fields.below("market", each) for each in _rows(fields, "market") if "fault" not in each):
        symbol, bid, ask, at = row.text("symbol"), row.number("bid"), row.number("ask"), row.moment("at")
        if symbol is not None and bid is not None and ask is not None and at is not None:
            found[joined_symbol(symbol)] = MarketQuote(bid=bid, ask=ask, at=at)
    return found


def _is_absent(entry: Mapping[str, object]) -> bool:
    return entry.get("is_known") is False


def _listed(fields: Fields) -> list[Listed]:
    """Read every order that was listed or looked up, each once."""
    found: list[Listed] = []
    seen: set[object] = set()
    for name in ("orders", "odd", "looked_up"):
        for row in _rows(fields, name):
            record = _record(fields.below(name, row))
            if _is_absent(row) or (record.order_id is not None and record.order_id in seen):
                continue
            seen.add(record.order_id)
            fault = row.get("fault")
            found.append(Listed(record, fault if isinstance(fault, str) else None))
    return found


def _record(fields: Fields) -> OrderRecord:
    status = fields.text("status")
    record = order_record(
        fields,
        fields.identifier("symbol"),
        client_order_id=fields.text("client_order_id"),
        status=status,
        accepted=status != "rejected",
    )
    return record.model_copy(update={"replaced_by": fields.text("replaced_by")})


def _neighbours(fields: Fields) -> Neighbours:
    known = fields.mapping("neighbours") or {}
    symbols, ids = known.get("symbols"), known.get("trade_ids")
    return Neighbours(_texts(symbols), _texts(ids))


def _texts(values: object) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str)) if isinstance(values, list) else frozenset()


def _corrected(
    trade: TradeOutcome, result: Accounted, account: AccountRecord, absent: set[str], neighbours: Neighbours
) -> TradeOutcome:
    if trade.trade_id in result.unclear:
        return trade
    found = result.by_trade[trade.trade_id]
    own = trade.orders or ((OrderRecord(order_id=trade.order_id, side=trade.action),) if trade.order_id in absent else ())
    by_name = {order.client_order_id: order for order in found if order.client_order_id}
    merged: list[OrderRecord] = []
    for order in own:
        seen = by_name.get(order.client_order_id) if order.client_order_id else None
        if seen is not None:
            merged.append(seen)
        elif order.client_order_id is not None or order.order_id in absent:
            merged.append(_denied(order))
    listed = {id(order) for order in merged}
    orders = (*merged, *(order for order in found if id(order) not in listed))
    return trade.model_copy(update={"orders": orders, "residual_position": _residual(trade, account, neighbours)})


def _denied(order: OrderRecord) -> OrderRecord:
    """Say of an order that the broker does not know it. What the lane itself took for not sent stays as it is."""
    if order.client_order_id is not None and (order.status or "").lower() not in _CLAIMED:
        return order.model_copy(update={"accepted": False})
    return order.model_copy(update={"accepted": False, "status": "not_found", "filled_quantity": _ZERO, "average_price": None})


def _residual(trade: TradeOutcome, account: AccountRecord, neighbours: Neighbours) -> Decimal | None:
    """Give what is left of a full exit, as if nobody else had traded the symbol since; None where that is not known."""
    if not trade.is_complete_exit or account.closing is None or neighbours.traded(trade.symbol):
        return None
    held = next((each.quantity for each in account.closing.positions if is_same_symbol(each.symbol, trade.symbol)), _ZERO)
    others = [other.order for other in account.orders if is_same_symbol(other.order.symbol or "", trade.symbol)]
    return held - sum((_shares(order) for order in others), _ZERO)


def _shares(order: OrderRecord) -> Decimal:
    """Give the signed shares that an order filled."""
    filled = order.filled_quantity or _ZERO
    return -filled if order.side is Side.SELL else filled


def _account(fields: Fields, listed: list[Listed], result: Accounted, earlier: object) -> AccountRecord:
    closing = _books(fields)
    bookings = _bookings(fields, {order.record.order_id for order in listed if order.record.says_its_fills})
    opening = None
    if isinstance(earlier, Mapping) and closing is not None and bookings is not None:
        opening = _opening(Fields("broker opening", earlier, fields.faults), fields)
    return AccountRecord(
        listed=len(listed),
        orders=tuple(sorted(result.others, key=lambda other: (other.owner, other.order.order_id or ""))),
        opening=opening,
        closing=closing,
        bookings=bookings or (),
    )


def _books(fields: Fields) -> Books | None:
    """Read what an account held; None where it moved while it was read."""
    at, cash = fields.moment("at"), fields.number("cash")
    if at is None or cash is None or fields.flag("is_steady") is not True:
        return None
    return Books(at=at, cash=cash, positions=_positions(fields))


def _positions(fields: Fields) -> tuple[HeldPosition, ...]:
    rows = [fields.below("positions", row) for row in _rows(fields, "positions")]
    read = [(row.text("symbol"), row.number("quantity"), row.number("price")) for row in rows]
    found = [HeldPosition(symbol=name, quantity=held, price=price) for name, held, price in read if name and held is not None]
    return tuple(sorted(found, key=lambda each: each.symbol))


def _opening(earlier: Fields, later: Fields) -> Books | None:
    """Take back from an earlier look what had been filled by then: what the account held before the run.

    None where both looks are one, or did not begin at the same time, or a fill then had no price yet.
    """
    books = _books(earlier)
    if books is None or earlier.values.get("since") != later.values.get("since") or books.at == later.moment("at"):
        return None
    held: dict[str, Decimal] = defaultdict(Decimal, {each.symbol: each.quantity for each in books.positions})
    prices = {each.symbol: each.price for each in books.positions}
    cash = books.cash
    for order in (each.record for each in _listed(earlier)):
        if not order.filled_quantity:
            continue
        if order.average_price is None or order.symbol is None or order.side is None:
            return None
        held[order.symbol] -= _shares(order)
        cash += _shares(order) * order.average_price
    kept = (HeldPosition(symbol=name, quantity=held[name], price=prices.get(name)) for name in sorted(held) if held[name])
    return Books(at=books.at, cash=cash, positions=tuple(kept))


def _bookings(fields: Fields, known: Iterable[object]) -> tuple[Booking, ...] | None:
    """Read the journal but for the fills that the orders in `known` say themselves; None where an entry cannot be read."""
    found: list[Booking] = []
    listed = set(known)
    for row in (fields.below("activities", each) for each in _rows(fields, "activities")):
        kind, amount = row.text("kind"), row.number("amount")
        if kind == _FILL and row.text("order_id") in listed:
            continue
        quantity, price = row.number("quantity"), row.number("price")
        signed = None if quantity is None else -quantity if row.choice("side", Side) is Side.SELL else quantity
        if kind == _FILL and signed is not None and price is not None:
            found.append(Booking(kind=kind, symbol=row.text("symbol"), amount=-signed * price, quantity=signed))
        elif kind is not None and kind != _FILL and amount is not None:
            found.append(Booking(kind=kind, symbol=row.text("symbol"), amount=amount))
        else:
            return None
    return tuple(found)
