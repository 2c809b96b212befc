"""Business Unit: local cloud | Status: current.

The simulator's state in Alpaca's JSON, as its OpenAPI documents describe it: money and quantities are strings, only
market data prices are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from uuid import NAMESPACE_URL, uuid5

from local.broker_simulator.accounts import JournalEntry, SimAccount, SimOrder
from local.broker_simulator.exchange import Exchange
from local.broker_simulator.market import Market, Prices, Session
from local.broker_simulator.values import OrderForm
from shadow.contracts.model import decimal_text

_OPENED = datetime(2025, 1, 2, 15, tzinfo=UTC)
_RATE, _CENT = Decimal("1e-6"), Decimal("0.01")
_OF_ONE_ASSET = frozenset({"symbol", "side", "asset_id", "asset_class", "position_intent"})


def number(value: Decimal) -> str:
    """Write an exact number without trailing zeros."""
    text = decimal_text(value)
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def moment(value: datetime) -> str:
    """Write a time as RFC 3339, UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@cache
def asset_id(symbol: str) -> str:
    """Give a symbol's stable asset id."""
    return str(uuid5(NAMESPACE_URL, f"simulated-asset:{symbol}"))


def order_json(order: SimOrder) -> dict[str, object]:
    """Write one order."""
    ended = {"canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at", "replaced": "replaced_at"}.get(
        order.status
    )
    submitted = moment(order.submitted_at)
    fields: dict[str, object] = {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "created_at": submitted,
        "updated_at": moment(order.ended_at or order.submitted_at),
        "submitted_at": submitted,
        "filled_at": moment(order.filled_at) if order.filled_at else None,
        "expired_at": None,
        "canceled_at": None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": number(order.quantity),
        "filled_qty": number(order.filled_quantity),
        "filled_avg_price": None if order.average_price is None else number(order.average_price),
        "order_class": "bracket" if order.in_bracket else "simple",
        "order_type": order.order_type,
        "type": order.order_type,
        "side": order.side,
        "position_intent": "buy_to_open" if order.side == "buy" else "sell_to_close",
        "time_in_force": "day",
        "limit_price": None if order.limit_price is None else number(order.limit_price),
        "stop_price": None,
        "status": order.status,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }
    if ended and order.ended_at:
        fields[ended] = moment(order.ended_at)
    return _in_form(order, fields)


def _in_form(order: SimOrder, fields: dict[str, object]) -> dict[str, object]:
    """Write an order that is none of the system's own as what it is."""
    match order.form:
        case OrderForm.SIMPLE | OrderForm.BRACKET:
            return fields
        case OrderForm.NOTIONAL:
            return {**fields, "qty": None, "notional": number((order.quantity * order.reserved_price).quantize(_CENT))}
        case OrderForm.STOP:
            return {**fields, "type": "stop", "order_type": "stop", "stop_price": number(order.reserved_price)}
        case OrderForm.MULTI_LEG:
            several = {name: value for name, value in fields.items() if name not in _OF_ONE_ASSET}
            return {**several, "order_class": "mleg", "legs": [_leg(order, fields, side) for side in ("buy", "sell")]}


def _leg(order: SimOrder, fields: Mapping[str, object], side: str) -> dict[str, object]:
    """Write one contract of an order of several."""
    name = f"{order.symbol}270115{'C' if side == 'buy' else 'P'}00100000"
    return {
        **fields,
        "id": str(uuid5(NAMESPACE_URL, f"{order.order_id}:{side}")),
        "client_order_id": f"{order.client_order_id}-{side}",
        "asset_id": asset_id(name),
        "symbol": name,
        "asset_class": "us_option",
        "side": side,
        "order_class": "mleg",
        "position_intent": f"{side}_to_open",
    }


def account_json(exchange: Exchange, account: SimAccount) -> dict[str, object]:
    """Write one account."""
    equity = number(account.equity(exchange.mark))
    power = number(account.buying_power(exchange.mark))
    value = number(account.market_value(exchange.mark))
    return {
        "id": account.account_id,
        "account_number": account.number,
        "status": "ACTIVE",
        "currency": "USD",
        "cash": number(account.cash),
        "buying_power": power,
        "regt_buying_power": power,
        "non_marginable_buying_power": number(max(account.cash, Decimal(0))),
        "accrued_fees": "0",
        "portfolio_value": equity,
        "equity": equity,
        "last_equity": equity,
        "long_market_value": value,
        "short_market_value": "0",
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": number(account.multiplier),
        "shorting_enabled": False,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "created_at": moment(_OPENED),
    }


def activity_json(account: SimAccount, entry: JournalEntry) -> dict[str, object]:
    """Write one entry of the journal."""
    fields: dict[str, object] = {"id": entry.entry_id, "activity_type": entry.kind}
    if entry.order_id is None:
        return (
            fields
            | {
                "date": moment(entry.at),
                "created_at": moment(entry.at),
                "net_amount": number(entry.amount or Decimal(0)),
                "status": "executed",
            }
            | ({"symbol": entry.symbol} if entry.symbol else {})
        )
    order = account.orders[entry.order_id]
    return fields | {
        "transaction_time": moment(entry.at),
        "type": "fill" if not order.left else "partial_fill",
        "order_id": entry.order_id,
        "order_status": order.status,
        "symbol": entry.symbol,
        "side": order.side,
        "qty": number(entry.quantity or Decimal(0)),
        "price": number(entry.price or Decimal(0)),
        "cum_qty": number(order.filled_quantity),
        "leaves_qty": number(order.left),
    }


def position_json(exchange: Exchange, account: SimAccount, symbol: str) -> dict[str, object]:
    """Write one position."""
    holding = account.holdings[symbol]
    price = exchange.mark(symbol)
    before = exchange.market.previous_closes.get(symbol, price)
    value, gain = holding.quantity * price, holding.quantity * price - holding.cost
    today = holding.quantity * (price - before)
    return {
        "asset_id": asset_id(symbol),
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": number(holding.quantity),
        "qty_available": number(account.available(symbol)),
        "side": "long",
        "avg_entry_price": number((holding.cost / holding.quantity).quantize(_RATE)),
        "market_value": number(value),
        "cost_basis": number(holding.cost),
        "unrealized_pl": number(gain),
        "unrealized_plpc": _share(gain, holding.cost),
        "unrealized_intraday_pl": number(today),
        "unrealized_intraday_plpc": _share(today, holding.quantity * before),
        "current_price": number(price),
        "lastday_price": number(before),
        "change_today": _share(price - before, before),
    }


def asset_json(exchange: Exchange, symbol: str) -> dict[str, object]:
    """Write one asset."""
    asset = exchange.asset(symbol)
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": "NASDAQ",
        "symbol": symbol,
        "name": f"{symbol} (simulated)",
        "status": "active",
        "tradable": asset.tradable,
        "marginable": True,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": asset.fractionable,
        "attributes": [],
    }


def clock_json(market: Market, *, is_open: bool) -> dict[str, object]:
    """Write the market clock, New York."""
    return {
        "timestamp": market.now().isoformat(),
        "is_open": is_open,
        "next_open": market.next_open().isoformat(),
        "next_close": market.next_close().isoformat(),
    }


def session_json(session: Session) -> dict[str, object]:
    """Write one day of the calendar."""
    return {
        "date": session.day.isoformat(),
        "open": f"{session.opens:%H:%M}",
        "close": f"{session.closes:%H:%M}",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": session.day.isoformat(),
    }


def quote_json(prices: Prices, at: datetime) -> dict[str, object]:
    """Write a quote of the time `at`. Cents survive a binary float's shortest form."""
    return {
        "t": moment(at),
        "bx": "Q",
        "bp": float(prices.bid),
        "bs": 100,
        "ax": "Q",
        "ap": float(prices.ask),
        "as": 100,
        "c": ["R"],
        "z": "C",
    }


def _share(part: Decimal, whole: Decimal) -> str:
    return number((part / whole).quantize(_RATE)) if whole else "0"
