"""Business Unit: local cloud | Status: current.

Planted faults of the legacy lane's runs table and of its broker: each wraps a sound part and changes one answer or one write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_DOWN, Context, Decimal
from math import inf, nextafter

from local.scenarios.legacy_faults import Fault, PlantedFault
from shadow.broker.port import Account, Asset, Broker, MarketClock, Order, OrderRejected, OrderRequest, Quote
from shadow.contracts.control_records import ExecutionData, LegacyTradeStatus, RunItem, TradeItem
from shadow.contracts.model import MAX_SIGNIFICANT_DIGITS
from shadow.contracts.vocabulary import Side
from shadow.reference.execution import SHARE_STEP
from shadow.reference.publishing import ZERO, RunsStore, Tally, TradeRecord

_OTHER_SIDE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
_OTHER = {
    LegacyTradeStatus.COMPLETED: LegacyTradeStatus.FAILED,
    LegacyTradeStatus.FAILED: LegacyTradeStatus.COMPLETED,
}


class PlantedCrash(BaseException):
    """The function dies here. Not an Exception: nothing that handles errors survives it, as nothing survives a kill."""


class StoreWrapper:
    """A store that passes everything through; each fault overrides one method."""

    def __init__(self, inner: RunsStore, planted: PlantedFault) -> None:
        """Wrap `inner`."""
        self._inner = inner
        self._planted = planted

    def put_run(self, run: RunItem) -> bool:
        """Pass through."""
        return self._inner.put_run(run)

    def put_trade(self, run_id: str, trade: TradeItem) -> bool:
        """Pass through."""
        return self._inner.put_trade(run_id, trade)

    def run(self, run_id: str) -> RunItem | None:
        """Pass through."""
        return self._inner.run(run_id)

    def trade(self, run_id: str, trade_id: str) -> TradeItem | None:
        """Pass through."""
        return self._inner.trade(run_id, trade_id)

    def waiting_buys(self, run_id: str) -> tuple[TradeItem, ...]:
        """Pass through."""
        return self._inner.waiting_buys(run_id)

    def mark_running(self, run_id: str, trade_id: str, at: datetime) -> None:
        """Pass through."""
        self._inner.mark_running(run_id, trade_id, at)

    def mark_pending(self, run_id: str, trade_id: str) -> None:
        """Pass through."""
        self._inner.mark_pending(run_id, trade_id)

    def end_trade(self, record: TradeRecord) -> None:
        """Pass through."""
        self._inner.end_trade(record)

    def count(self, tally: Tally) -> RunItem:
        """Pass through."""
        return self._inner.count(tally)

    def start_buy_phase(self, run_id: str, at: datetime) -> bool:
        """Pass through."""
        return self._inner.start_buy_phase(run_id, at)

    def fail_run(self, run_id: str, at: datetime, reason: str) -> bool:
        """Pass through."""
        return self._inner.fail_run(run_id, at, reason)

    def claim_aggregation(self, run_id: str, at: datetime) -> bool:
        """Pass through."""
        return self._inner.claim_aggregation(run_id, at)

    def complete_run(self, run_id: str, at: datetime) -> None:
        """Pass through."""
        self._inner.complete_run(run_id, at)


class _CrashBeforeCounters(StoreWrapper):
    def count(self, tally: Tally) -> RunItem:
        raise PlantedCrash(f"before the counters of run {tally.run_id}")


class _CountedTwice(StoreWrapper):
    def count(self, tally: Tally) -> RunItem:
        self._inner.count(tally)
        return self._inner.count(tally)


class _SeenByGuard(StoreWrapper):
    """What the guard sees of failed sells is not what was counted."""

    def count(self, tally: Tally) -> RunItem:
        seen = ZERO if self._planted.fault is Fault.GUARD_BLIND else self._planted.factor("500.01")
        return self._inner.count(tally).model_copy(update={"sell_failed_amount": seen})


class _CrashBeforeBuyPhase(StoreWrapper):
    def start_buy_phase(self, run_id: str, at: datetime) -> bool:
        raise PlantedCrash(f"before the buy phase of run {run_id}, {at}")


class _CrashBeforeBuySend(StoreWrapper):
    def waiting_buys(self, run_id: str) -> tuple[TradeItem, ...]:
        raise PlantedCrash(f"before the buys of run {run_id} are sent")


class _StuckAggregating(StoreWrapper):
    def complete_run(self, run_id: str, at: datetime) -> None:
        raise PlantedCrash(f"before the end of run {run_id}, {at}")


class _SeenByBreaker(StoreWrapper):
    """What the breaker sees of the run is not what was counted."""

    def run(self, run_id: str) -> RunItem | None:
        run = self._inner.run(run_id)
        if run is None:
            return None
        if self._planted.fault is Fault.BREAKER_STALE:
            return run.model_copy(update={"cumulative_buy_succeeded_value": ZERO})
        return run.model_copy(update={"max_equity_limit_usd": Decimal("0.01")})


class _Misrecorded(StoreWrapper):
    """The trade's item does not say what happened."""

    def end_trade(self, record: TradeRecord) -> None:
        self._inner.end_trade(self._changed(record))

    def _changed(self, record: TradeRecord) -> TradeRecord:
        if self._planted.fault is Fault.WRONG_STATUS:
            status = _OTHER.get(record.status, record.status)
            error = "planted: wrong status" if status is LegacyTradeStatus.FAILED else None
            return replace(record, status=status, error_message=error)
        data = record.execution_data
        if data is None:
            return record
        if self._planted.fault is Fault.RECORDED_PRICE_OFF and data.price is not None:
            price = data.price * self._planted.factor("1.02")
            return replace(record, execution_data=data.model_copy(update={"price": price}))
        return replace(record, execution_data=_floated(data))


class UnnoticedCount(StoreWrapper):
    """The counters are written and nobody looks at them: the function is cut off before it moves the run on."""

    def count(self, tally: Tally) -> RunItem:
        """Count, and give the run as if nothing had ended yet."""
        return self._inner.count(tally).model_copy(update={"completed_trades": 0, "sell_completed": 0})


class ForgetfulStore(StoreWrapper):
    """The duplicate check finds no end, as if it were not made."""

    def trade(self, run_id: str, trade_id: str) -> TradeItem | None:
        """Give the trade as if it had never been taken up."""
        trade = self._inner.trade(run_id, trade_id)
        return None if trade is None else trade.model_copy(update={"status": LegacyTradeStatus.PENDING})


class PlannedThroughFloat(StoreWrapper):
    """The planned amount of a trade goes through a binary float on its way into the table."""

    def put_trade(self, run_id: str, trade: TradeItem) -> bool:
        """Write the trade's item with the amount that is left."""
        if not self._planted.is_at(trade.symbol):
            return self._inner.put_trade(run_id, trade)
        return self._inner.put_trade(run_id, trade.model_copy(update={"trade_amount": through_float(trade.trade_amount)}))


_STORE_WRAPPERS: dict[Fault, Callable[[RunsStore, PlantedFault], RunsStore]] = {
    Fault.CRASH_BEFORE_COUNTERS: _CrashBeforeCounters,
    Fault.COUNTED_TWICE: _CountedTwice,
    Fault.GUARD_BLIND: _SeenByGuard,
    Fault.GUARD_EAGER: _SeenByGuard,
    Fault.CRASH_BEFORE_BUY_PHASE: _CrashBeforeBuyPhase,
    Fault.CRASH_BEFORE_BUY_SEND: _CrashBeforeBuySend,
    Fault.STUCK_AGGREGATING: _StuckAggregating,
    Fault.BREAKER_STALE: _SeenByBreaker,
    Fault.BREAKER_BLOCKS: _SeenByBreaker,
    Fault.WRONG_STATUS: _Misrecorded,
    Fault.RECORDED_PRICE_OFF: _Misrecorded,
    Fault.RECORDED_THROUGH_FLOAT: _Misrecorded,
}


def faulty_store(store: RunsStore, planted: PlantedFault) -> RunsStore:
    """Wrap `store` in `planted`, where that is a fault of the table."""
    wrapper = _STORE_WRAPPERS.get(planted.fault)
    return store if wrapper is None else wrapper(store, planted)


def through_float(value: Decimal) -> Decimal:
    """Give what is left of `value` after a binary float, to the 28 digits a wire carries."""
    return Context(prec=MAX_SIGNIFICANT_DIGITS).create_decimal(Decimal(float(value)))


def one_bit_off(value: Decimal) -> Decimal:
    """Give `value` as float arithmetic leaves it: the last of a double's bits is wrong (0.3 becomes 0.30000000000000004)."""
    return Decimal(repr(nextafter(float(value), inf)))


def _floated(data: ExecutionData) -> ExecutionData:
    given = {name: getattr(data, name) for name in ("shares", "price", "trade_amount")}
    return data.model_copy(update={name: one_bit_off(value) for name, value in given.items() if value is not None})


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


_BROKER_WRAPPERS: dict[Fault, Callable[[Broker, PlantedFault], Broker]] = {
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
    wrapper = _BROKER_WRAPPERS.get(planted.fault)
    return broker if wrapper is None else wrapper(broker, planted)


def _times(shares: Decimal, factor: Decimal) -> Decimal:
    return (shares * factor).quantize(SHARE_STEP, rounding=ROUND_DOWN)
