"""Business Unit: legacy | Status: current.

Planted faults of the control's dealings with its broker: each wraps a sound broker and changes one thing. Local cloud only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from shadow.broker.errors import OrderRejected
from shadow.broker.port import Account, Asset, Broker, MarketClock, Order, OrderRequest, Quote
from shadow.contracts.vocabulary import Side
from shadow.reference.execution import SHARE_STEP
from shadow.reference.faults import Fault, PlantedFault
from shadow.reference.faulty_store import PlantedCrash

_OTHER_SIDE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class BrokerWrapper:
    """A broker that passes everything through; each fault overrides one method."""

    def __init__(self, inner: Broker, planted: PlantedFault) -> None:
        """Wrap `inner`."""
        self._inner = inner
        self._planted = planted

    def clock(self) -> MarketClock:
        """Pass through."""
        return self._inner.clock()

    def account(self) -> Account:
        """Pass through."""
        return self._inner.account()

    def asset(self, symbol: str) -> Asset:
        """Pass through."""
        return self._inner.asset(symbol)

    def quote(self, symbol: str) -> Quote:
        """Pass through."""
        return self._inner.quote(symbol)

    def position(self, symbol: str) -> Decimal:
        """Pass through."""
        return self._inner.position(symbol)

    def submit(self, request: OrderRequest) -> Order:
        """Pass through."""
        return self._inner.submit(request)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Pass through."""
        return self._inner.order_by_client_id(client_order_id)

    def glance(self, client_order_id: str) -> Order | None:
        """Pass through."""
        return self._inner.glance(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        """Pass through."""
        return self._inner.order_by_id(order_id)

    def cancel(self, order_id: str) -> None:
        """Pass through."""
        self._inner.cancel(order_id)


class _CrashAfterSubmit(BrokerWrapper):
    def submit(self, request: OrderRequest) -> Order:
        order = self._inner.submit(request)
        raise PlantedCrash(f"after order {order.order_id} was accepted")


class _PriceNotThere(BrokerWrapper):
    def submit(self, request: OrderRequest) -> Order:
        return replace(self._inner.submit(request), average_price=None)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        order = self._inner.order_by_client_id(client_order_id)
        return None if order is None else replace(order, average_price=None)


class _WrongSide(BrokerWrapper):
    def submit(self, request: OrderRequest) -> Order:
        return self._inner.submit(replace(request, side=_OTHER_SIDE[request.side]))


class _WrongSize(BrokerWrapper):
    """Every order asks for a factor (above 1) of what is left to fill."""

    def submit(self, request: OrderRequest) -> Order:
        return self._inner.submit(replace(request, quantity=_times(request.quantity, self._planted.factor("1.1"))))


class _WrongPosition(BrokerWrapper):
    def position(self, symbol: str) -> Decimal:
        default = "0.999" if self._planted.fault is Fault.RESIDUE else "1.1"
        return _times(self._inner.position(symbol), self._planted.factor(default))


class _Rejected(BrokerWrapper):
    def submit(self, request: OrderRequest) -> Order:
        raise OrderRejected(f"{request.symbol}: planted")


class _MarketClosed(BrokerWrapper):
    def clock(self) -> MarketClock:
        return replace(self._inner.clock(), is_open=False)


_WRAPPERS: dict[Fault, Callable[[Broker, PlantedFault], Broker]] = {
    Fault.CRASH_AFTER_SUBMIT: _CrashAfterSubmit,
    Fault.FILLED_RECORDED_FAILED: _PriceNotThere,
    Fault.WRONG_SIDE: _WrongSide,
    Fault.WRONG_SIZE: _WrongSize,
    Fault.RESIDUE: _WrongPosition,
    Fault.OVERSELL: _WrongPosition,
    Fault.REJECTED: _Rejected,
    Fault.MARKET_CLOSED: _MarketClosed,
}


def faulty_broker(broker: Broker, planted: PlantedFault) -> Broker:
    """Wrap `broker` in `planted`, where that is a fault of the broker's side."""
    wrapper = _WRAPPERS.get(planted.fault)
    return broker if wrapper is None else wrapper(broker, planted)


def _times(shares: Decimal, factor: Decimal) -> Decimal:
    return (shares * factor).quantize(SHARE_STEP, rounding=ROUND_DOWN)
