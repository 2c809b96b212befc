"""In-memory stand-ins for the reference lane's ports, with the same conditional writes as the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Lock
from uuid import UUID, uuid5

from shadow.broker.port import (
    Account,
    Asset,
    BrokerError,
    MarketClock,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    QuoteUnavailable,
)
from shadow.contracts.control_records import (
    DetailType,
    LedgerEntry,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeItem,
)
from shadow.contracts.model import Frozen
from shadow.contracts.plan import RebalancePlan, TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.reference.execution import Pace
from shadow.reference.lane import LaneParts
from shadow.reference.publishing import LegacyPublisher, Published, QueueRecord, Tally, TradeEnding, TradeRecord

NOON = datetime(2024, 3, 15, 19, 45, tzinfo=UTC)
_IN_A_PHASE = (LegacyRunStatus.PENDING, LegacyRunStatus.RUNNING, LegacyRunStatus.SELL_PHASE, LegacyRunStatus.BUY_PHASE)


@dataclass
class FakeStore:
    """The runs table. `pause` is called before every access, for tests that interleave."""

    runs: dict[str, RunItem] = field(default_factory=dict)
    trades: dict[tuple[str, str], TradeItem] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    pause: Callable[[], None] = lambda: None
    lock: Lock = field(default_factory=Lock)

    def _access(self, what: str) -> None:
        self.pause()
        self.log.append(what)

    def put_run(self, run: RunItem) -> bool:
        self._access("put_run")
        return self.runs.setdefault(run.run_id, run) is run

    def put_trade(self, run_id: str, trade: TradeItem) -> bool:
        self._access("put_trade")
        return self.trades.setdefault((run_id, trade.trade_id), trade) is trade

    def run(self, run_id: str) -> RunItem | None:
        self._access("run")
        return self.runs.get(run_id)

    def trade(self, run_id: str, trade_id: str) -> TradeItem | None:
        self._access("trade")
        return self.trades.get((run_id, trade_id))

    def waiting_buys(self, run_id: str) -> tuple[TradeItem, ...]:
        self._access("waiting_buys")
        found = [t for (run, _), t in self.trades.items() if run == run_id and t.phase is Side.BUY]
        waiting = [t for t in found if t.status is LegacyTradeStatus.WAITING]
        return tuple(sorted(waiting, key=lambda t: t.sequence_number))

    def mark_running(self, run_id: str, trade_id: str, at: datetime) -> None:
        self._access("mark_running")
        self._change(run_id, trade_id, status=LegacyTradeStatus.RUNNING, started_at=at)

    def mark_pending(self, run_id: str, trade_id: str) -> None:
        self._access("mark_pending")
        if self.trades[run_id, trade_id].status is LegacyTradeStatus.WAITING:
            self._change(run_id, trade_id, status=LegacyTradeStatus.PENDING)

    def end_trade(self, record: TradeRecord) -> None:
        self._access("end_trade")
        data = record.execution_data
        self._change(
            record.run_id,
            record.trade_id,
            status=record.status,
            completed_at=record.completed_at,
            order_id=record.order_id,
            error_message=record.error_message,
            execution_data=None if data is None else data.model_dump_json(),
        )

    def count(self, tally: Tally) -> RunItem:
        self._access("count")
        run = self.runs[tally.run_id]
        added: dict[str, object] = {"completed_trades": run.completed_trades + 1}
        name = f"{tally.ending.value}_trades"
        added[name] = getattr(run, name) + 1
        phase = f"{tally.phase.value.lower()}_completed"
        added[phase] = getattr(run, phase) + 1
        amount = _amount_counter(tally)
        if amount:
            added[amount] = getattr(run, amount) + tally.planned_amount
        self.runs[tally.run_id] = run.model_copy(update=added)
        return self.runs[tally.run_id]

    def start_buy_phase(self, run_id: str, at: datetime) -> bool:
        self._access("start_buy_phase")
        changes = {"status": LegacyRunStatus.BUY_PHASE, "current_phase": LegacyPhase.BUY, "buy_phase_started_at": at}
        return self._move(run_id, (LegacyRunStatus.SELL_PHASE,), changes)

    def fail_run(self, run_id: str, at: datetime, reason: str) -> bool:
        self._access("fail_run")
        others = tuple(s for s in LegacyRunStatus if s is not LegacyRunStatus.FAILED)
        changes = {"status": LegacyRunStatus.FAILED, "failed_at": at, "failure_reason": reason}
        return self._move(run_id, others, changes)

    def claim_aggregation(self, run_id: str, at: datetime) -> bool:
        self._access("claim_aggregation")
        changes = {"status": LegacyRunStatus.AGGREGATING, "aggregation_started_at": at}
        return self._move(run_id, _IN_A_PHASE, changes)

    def complete_run(self, run_id: str, at: datetime) -> None:
        self._access("complete_run")
        self._move(run_id, tuple(LegacyRunStatus), {"status": LegacyRunStatus.COMPLETED, "completed_at": at})

    def _change(self, run_id: str, trade_id: str, **changes: object) -> None:
        given = {name: value for name, value in changes.items() if value is not None}
        self.trades[run_id, trade_id] = self.trades[run_id, trade_id].model_copy(update=given)

    def _move(self, run_id: str, allowed: tuple[LegacyRunStatus, ...], changes: Mapping[str, object]) -> bool:
        if self.runs[run_id].status not in allowed:
            return False
        self.runs[run_id] = self.runs[run_id].model_copy(update=dict(changes))
        return True


def _amount_counter(tally: Tally) -> str | None:
    if tally.ending is TradeEnding.SKIPPED:
        return None
    if tally.phase is Side.SELL:
        return "sell_succeeded_amount" if tally.ending is TradeEnding.SUCCEEDED else "sell_failed_amount"
    return "cumulative_buy_succeeded_value" if tally.ending is TradeEnding.SUCCEEDED else None


@dataclass
class FakeQueue:
    """The FIFO queue: keeps what was sent, drops a repeated trade id."""

    sent: list[QueueRecord] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)

    def send(self, record: QueueRecord) -> None:
        if record.symbol in self.refuse:
            raise ConnectionError(record.symbol)
        if record.trade_id not in {known.trade_id for known in self.sent}:
            self.sent.append(record)


@dataclass
class FakeBus:
    """The event bus."""

    events: list[tuple[DetailType, Frozen]] = field(default_factory=list)

    def emit(self, kind: DetailType, detail: Frozen) -> None:
        self.events.append((kind, detail))

    def of(self, kind: DetailType) -> list[Frozen]:
        return [detail for known, detail in self.events if known is kind]


@dataclass
class FakeLedger:
    """The trade ledger."""

    entries: list[LedgerEntry] = field(default_factory=list)

    def enter(self, entry: LedgerEntry) -> None:
        self.entries.append(entry)


@dataclass
class FakePlans:
    """The plan table."""

    kept: list[RebalancePlan] = field(default_factory=list)

    def keep(self, plan: RebalancePlan) -> None:
        self.kept.append(plan)


@dataclass
class FakeNotes:
    """The log."""

    lines: list[str] = field(default_factory=list)
    failures: list[Mapping[str, object]] = field(default_factory=list)

    def info(self, message: str, fields: Mapping[str, object]) -> None:
        del fields
        self.lines.append(message)

    def send_failed(self, message: str, fields: Mapping[str, object]) -> None:
        self.lines.append(message)
        self.failures.append(fields)


@dataclass
class FakeBroker:
    """A broker whose orders rest until a step says otherwise.

    `fills[symbol]` lists the share of each order that fills, in the order they are sent; what is not listed fills whole.
    `refusals[symbol]` lists what each submit raises; None lets it pass.
    """

    quotes: dict[str, tuple[str, str]] = field(default_factory=dict)
    positions: dict[str, Decimal] = field(default_factory=dict)
    whole_only: set[str] = field(default_factory=set)
    fills: dict[str, list[str]] = field(default_factory=dict)
    refusals: dict[str, list[BrokerError | None]] = field(default_factory=dict)
    priceless: set[str] = field(default_factory=set)
    is_open: bool = True
    equity: Decimal = Decimal(100_000)
    orders: dict[str, Order] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    def clock(self) -> MarketClock:
        return MarketClock(NOON, self.is_open, NOON + timedelta(days=1), NOON + timedelta(minutes=15))

    def account(self) -> Account:
        return Account("CONTROL", self.equity, self.equity)

    def asset(self, symbol: str) -> Asset:
        return Asset(symbol, tradable=True, fractionable=symbol not in self.whole_only)

    def quote(self, symbol: str) -> Quote:
        bid, ask = self.quotes.get(symbol, ("99.00", "101.00"))
        if bid == "0":
            raise QuoteUnavailable(symbol)
        return Quote(symbol, Decimal(bid), Decimal(ask), NOON)

    def position(self, symbol: str) -> Decimal:
        return self.positions.get(symbol, Decimal(0))

    def submit(self, request: OrderRequest) -> Order:
        refusals = self.refusals.get(request.symbol, [])
        refusal = refusals.pop(0) if refusals else None
        if refusal is not None:
            raise refusal
        fills = self.fills.get(request.symbol, [])
        part = Decimal(fills.pop(0)) if fills else Decimal(1)
        filled = (request.quantity * part).quantize(Decimal("0.000001"))
        price = request.limit_price or self._touch(request)
        order = Order(
            order_id=f"order-{len(self.orders)}",
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            status=OrderStatus.FILLED if filled == request.quantity else OrderStatus.OPEN,
            filled_quantity=filled,
            average_price=price if filled and request.symbol not in self.priceless else None,
            submitted_at=NOON,
            filled_at=NOON if filled else None,
        )
        self.orders[order.client_order_id] = order
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        return self.orders.get(client_order_id)

    def cancel(self, order_id: str) -> None:
        self.cancelled.append(order_id)
        for name, order in self.orders.items():
            if order.order_id == order_id and not order.status.is_final:
                self.orders[name] = replace(order, status=OrderStatus.CANCELED)

    def _touch(self, request: OrderRequest) -> Decimal:
        quote = self.quote(request.symbol)
        return quote.ask if request.side is Side.BUY else quote.bid

    def of(self, symbol: str) -> list[Order]:
        return [order for order in self.orders.values() if order.symbol == symbol]

    def kinds(self, symbol: str) -> list[OrderType]:
        return [order.order_type for order in self.of(symbol)]


@dataclass
class World:
    """One control with everything around it."""

    store: FakeStore = field(default_factory=FakeStore)
    queue: FakeQueue = field(default_factory=FakeQueue)
    bus: FakeBus = field(default_factory=FakeBus)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    plans: FakePlans = field(default_factory=FakePlans)
    notes: FakeNotes = field(default_factory=FakeNotes)
    broker: FakeBroker = field(default_factory=FakeBroker)
    slept: list[float] = field(default_factory=list)
    deployment: Decimal = Decimal(1)
    names: Iterator[int] = field(default_factory=count)
    now: Callable[[], datetime] | None = None

    def mint(self) -> str:
        return str(uuid5(UUID(int=11), str(next(self.names))))

    def publisher(self) -> LegacyPublisher:
        return LegacyPublisher(
            self.store, self.queue, self.plans, lambda: self.broker.equity, self.deployment, self.now or (lambda: NOON), self.mint
        )

    def parts(self) -> LaneParts:
        return LaneParts(
            self.store,
            self.queue,
            self.bus,
            self.ledger,
            self.broker,
            self.notes,
            Pace(),
            self.slept.append,
            self.now or (lambda: NOON + timedelta(seconds=len(self.store.log))),
        )

    def run_all(self, plan: RebalancePlan) -> RunItem:
        """Publish `plan` and work the queue until it is empty."""
        published = self.publisher().publish(plan)
        assert isinstance(published, Published)
        return self.drain(published.run_id)

    def drain(self, run_id: str) -> RunItem:
        taken = 0
        while taken < len(self.queue.sent):
            self.parts().assemble().process(TradeMessage.parse_json(self.queue.sent[taken].body))
            taken += 1
        return self.store.runs[run_id]

    def trade(self, symbol: str) -> TradeItem:
        return next(trade for trade in self.store.trades.values() if trade.symbol == symbol)
