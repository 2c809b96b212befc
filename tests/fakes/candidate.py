"""Business Unit: execution | Status: current.

Fakes for the ports of `shadow.execution`: a broker with a script, a log and a ledger in memory, a clock that never waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from threading import RLock

import pytest

from shadow.broker.port import (
    Account,
    Asset,
    BrokerThrottled,
    BrokerUnavailable,
    DuplicateClientOrderId,
    MarketClock,
    Order,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    Quote,
    QuoteUnavailable,
    SubmitAmbiguous,
)
from shadow.broker.recording import RecordingBroker
from shadow.contracts.candidate_state import IntentRecord, candidate_pk, intent_sk
from shadow.contracts.identity import client_order_id_of, run_id_of, trade_id_of
from shadow.contracts.vocabulary import ExecutionMode, Side, SizingBasis
from shadow.contracts.workflow import EquityCheck, TradeResult, WorkflowInput, WorkflowPlan, WorkflowTrade
from shadow.execution.phases import equity_check
from shadow.execution.placement import Placement, SizedTrade
from shadow.execution.ports import RunNotPrepared, RunOpening, TradeTakenOver
from shadow.execution.trade import TradeExecutor, TradeSettings
from shadow.execution.walk import WalkPolicy

TABLE = Context(prec=38)
"""How DynamoDB adds."""
NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
PLAN_ID = "portfolio_v2_workflow-1_1764000000"
RUN_ID = run_id_of(PLAN_ID)


def d(value: str | int) -> Decimal:
    return Decimal(value)


def trade(
    symbol: str = "ABC", amount: str = "1000", *, plan_id: str = PLAN_ID, exits: bool = False, held: str | None = None
) -> WorkflowTrade:
    """A trade of `amount` signed USD; a full exit is worth its amount."""
    side = Side.BUY if d(amount) > 0 else Side.SELL
    run_id = run_id_of(plan_id)
    return WorkflowTrade(
        run_id=run_id,
        trade_id=trade_id_of(run_id, symbol, side),
        plan_id=plan_id,
        correlation_id="workflow-1",
        causation_id="cause-1",
        symbol=symbol,
        action=side,
        trade_amount=d(amount),
        target_value=d(0) if exits else d("1200"),
        current_value=abs(d(amount)) if exits else d("1000"),
        target_weight=d(0) if exits else d("0.1"),
        priority=2,
        sequence_number=1002 if side is Side.SELL else 2002,
        is_complete_exit=exits,
        current_position=None if held is None else d(held),
    )


MODE = ExecutionMode.PAPER
BUY, SELL = trade(amount="1000"), trade(amount="-1000", held="50")
GOOD = Quote("ABC", d("99.90"), d("100.10"), NOON)
POLICY = WalkPolicy()


def intent_of(item: WorkflowTrade = BUY, step: int = 0, **changes: object) -> IntentRecord:
    """The intent of a trade's limit order for ten shares, sized on the quote `GOOD`."""
    made = IntentRecord(
        PK=candidate_pk(item.run_id),
        SK=intent_sk(item.trade_id, step),
        run_id=item.run_id,
        trade_id=item.trade_id,
        symbol=item.symbol,
        side=item.action,
        step=step,
        attempt=0,
        client_order_id=client_order_id_of(item.trade_id, step),
        order_type="limit",
        quantity=d(10),
        limit_price=d("100.05"),
        asked_quantity=d(10),
        sizing_basis=SizingBasis.TRADE_AMOUNT,
        bid=GOOD.bid,
        ask=GOOD.ask,
        decision_price=GOOD.mid,
        execution_mode=MODE,
        intended_at=NOON,
    )
    return made.model_copy(update=changes)


def workflow_input(*trades: WorkflowTrade, value: str = "100000", threshold: str | None = None) -> WorkflowInput:
    plan_id = trades[0].plan_id if trades else PLAN_ID
    return WorkflowInput(
        rebalance_plan=WorkflowPlan(trade_messages=trades, total_portfolio_value=d(value)),
        correlation_id="workflow-1",
        run_id=run_id_of(plan_id),
        plan_id=plan_id,
        failure_threshold_usd=None if threshold is None else d(threshold),
    )


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = NOON
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
        self.on_sleep()


@dataclass
class Behaviour:
    """What the broker does with one submit: `filled` shares of it (all by default), then whether it rests."""

    filled: Decimal | None = None
    rests: bool = False
    error: type[Exception] | None = None
    accepts: bool = False
    price: Decimal | None = None
    priced: bool = True


FILL = Behaviour()
REST = Behaviour(filled=Decimal(0), rests=True)
REJECT = Behaviour(error=OrderRejected)
THROTTLE = Behaviour(error=BrokerThrottled)
LOST = Behaviour(error=SubmitAmbiguous)
ACCEPTED_UNSEEN = Behaviour(error=SubmitAmbiguous, accepts=True)


def partly(shares: str) -> Behaviour:
    return Behaviour(filled=d(shares), rests=True)


@dataclass
class FakeBroker:
    """A broker with a script: one behaviour a submit, the last one for ever; and so with quotes, where it has any."""

    script: list[Behaviour] = field(default_factory=lambda: [FILL])
    bid: Decimal = Decimal("99.90")
    ask: Decimal = Decimal("100.10")
    is_open: bool = True
    fractionable: bool = True
    tradable: bool = True
    held: dict[str, Decimal] = field(default_factory=dict)
    equity: Decimal = Decimal(100000)
    by_symbol: dict[str, list[Behaviour]] = field(default_factory=dict)
    no_quote: int = 0
    hidden_lookups: int = 0
    unreachable: bool = False
    quotes: tuple[Quote | Exception, ...] = ()

    def __post_init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.submitted: list[OrderRequest] = []
        self.cancelled: list[str] = []
        self.lock = RLock()
        self.on_submit: Callable[[OrderRequest], None] = lambda _: None
        self.after_submit: Callable[[OrderRequest], None] = lambda _: None

    def _reach(self) -> None:
        if self.unreachable:
            raise BrokerUnavailable("connection refused")

    def clock(self) -> MarketClock:
        self._reach()
        return MarketClock(NOON, self.is_open, NOON, NOON)

    def account(self) -> Account:
        return Account("candidate-account", self.equity, self.equity)

    def asset(self, symbol: str) -> Asset:
        self._reach()
        return Asset(symbol, self.tradable, self.fractionable)

    def quote(self, symbol: str) -> Quote:
        self._reach()
        if self.no_quote > 0:
            self.no_quote -= 1
            raise QuoteUnavailable(f"{symbol}: no bid")
        if self.quotes:
            found, self.quotes = self.quotes[0], self.quotes[1:] or self.quotes
            if isinstance(found, Exception):
                raise found
            return found
        return Quote(symbol, self.bid, self.ask, NOON)

    def position(self, symbol: str) -> Decimal:
        return self.held.get(symbol, Decimal(0))

    def submit(self, request: OrderRequest) -> Order:
        with self.lock:
            self.on_submit(request)
            self.submitted.append(request)
            script = self.by_symbol.get(request.symbol, self.script)
            behaviour = script[0] if len(script) == 1 else script.pop(0)
            if request.client_order_id in self.orders:
                raise DuplicateClientOrderId(request.client_order_id)
            if behaviour.error is not None and not behaviour.accepts:
                raise behaviour.error("scripted")
            order = self._accept(request, behaviour)
            self.after_submit(request)
            if behaviour.error is not None:
                raise behaviour.error("scripted")
            return order

    def _accept(self, request: OrderRequest, behaviour: Behaviour) -> Order:
        filled = request.quantity if behaviour.filled is None else min(behaviour.filled, request.quantity)
        whole = filled == request.quantity
        order = Order(
            order_id=f"order-{request.client_order_id}",
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            status=OrderStatus.FILLED if whole else OrderStatus.OPEN,
            filled_quantity=filled,
            average_price=(behaviour.price or Decimal(100)) if filled and behaviour.priced else None,
            submitted_at=NOON,
            filled_at=NOON if whole else None,
        )
        self.orders[request.client_order_id] = order
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self._reach()
        with self.lock:
            if self.hidden_lookups > 0:
                self.hidden_lookups -= 1
                return None
            return self.orders.get(client_order_id)

    def glance(self, client_order_id: str) -> Order | None:
        return self.order_by_client_id(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        self._reach()
        return next((order for order in self.orders.values() if order.order_id == order_id), None)

    def cancel(self, order_id: str) -> None:
        with self.lock:
            self.cancelled.append(order_id)
            for key, order in self.orders.items():
                if order.order_id == order_id and order.status is OrderStatus.OPEN:
                    self.orders[key] = replace(order, status=OrderStatus.CANCELED)

    @property
    def accepted(self) -> list[Order]:
        return list(self.orders.values())


class MemoryLog:
    """The intent log in memory, with what crashes on request."""

    def __init__(self) -> None:
        self.intents: dict[str, IntentRecord] = {}
        self.history: list[IntentRecord] = []
        self.turns: Counter[str] = Counter()

    def take(self, run_id: str, trade_id: str) -> int:
        del run_id
        self.turns[trade_id] += 1
        return self.turns[trade_id]

    def record(self, intent: IntentRecord) -> IntentRecord:
        if intent.turn != self.turns[intent.trade_id]:
            raise TradeTakenOver(intent.trade_id)
        kept = self.intents.setdefault(intent.SK, intent)
        self.history.append(kept)
        return kept

    def update(self, intent: IntentRecord) -> None:
        kept = self.intents.get(intent.SK)
        if intent.order_id is None and intent.turn != self.turns[intent.trade_id]:
            raise TradeTakenOver(intent.trade_id)
        said = kept is not None and kept.order_id is not None
        if said and (intent.order_id is None or (kept.status.is_final and not intent.status.is_final)):
            return
        self.intents[intent.SK] = intent
        self.history.append(intent)

    def of_trade(self, run_id: str, trade_id: str) -> tuple[IntentRecord, ...]:
        mine = [entry for entry in self.intents.values() if (entry.run_id, entry.trade_id) == (run_id, trade_id)]
        return tuple(sorted(mine, key=lambda entry: entry.step))

    def of_run(self, run_id: str) -> tuple[IntentRecord, ...]:
        return tuple(self.intents[key] for key in sorted(self.intents) if self.intents[key].run_id == run_id)


class MemoryLedger:
    """The equity ledger in memory, by the same rules as the table: its sums are kept beside the reservations, with 38 digits."""

    def __init__(self, limit: str = "0") -> None:
        self.limit = Decimal(limit)
        self.reserved = Decimal(0)
        self.openings: list[RunOpening] = []
        self.reservations: dict[str, Decimal] = {}
        self.is_open = True
        self.lock = RLock()
        self.turns: Mapping[str, int] | None = None

    def open_run(self, opening: RunOpening) -> Decimal:
        self.openings.append(opening)
        if len(self.openings) == 1:
            self.limit = opening.equity_limit
        return self.limit

    def reserve(self, run_id: str, trade_id: str, amount: Decimal, turn: int | None = None) -> EquityCheck:
        if not self.is_open:
            raise RunNotPrepared(run_id)
        with self.lock:
            held = self.reservations.get(trade_id, Decimal(0))
            more, headroom = TABLE.subtract(amount, held), TABLE.subtract(self.limit, self.reserved)
            allowed = held >= amount or self.limit == 0 or headroom >= more
            if allowed and held < amount:
                self._check_turn(trade_id, turn)
                self._keep(trade_id, more, amount)
            return equity_check(allowed=allowed, reserved=self.reserved, limit=self.limit)

    def release(self, run_id: str, trade_id: str, spent: Decimal, turn: int | None = None) -> None:
        del run_id
        with self.lock:
            held = self.reservations.get(trade_id, Decimal(0))
            if held > spent:
                self._check_turn(trade_id, turn)
                self._keep(trade_id, TABLE.subtract(spent, held), spent)
            if self.reservations.get(trade_id) == 0:
                del self.reservations[trade_id]

    def _keep(self, trade_id: str, more: Decimal, amount: Decimal) -> None:
        self.reserved = TABLE.add(self.reserved, more)
        self.reservations[trade_id] = amount

    def _check_turn(self, trade_id: str, turn: int | None) -> None:
        if turn is not None and self.turns is not None and self.turns[trade_id] != turn:
            raise TradeTakenOver(trade_id)


class Died(BaseException):
    """The process ends here."""


def die() -> None:
    raise Died


class TradeWorld:
    """Everything that one trade touches, and that outlives the process which trades."""

    def __init__(
        self,
        *script: Behaviour,
        quotes: tuple[Quote | Exception, ...] = (),
        limit: str = "0",
        mode: ExecutionMode = MODE,
        broker: FakeBroker | None = None,
    ) -> None:
        self.broker = broker or FakeBroker(script=list(script) or [FILL], quotes=quotes)
        self.log, self.ledger, self.clock = MemoryLog(), MemoryLedger(limit), FakeClock()
        self.mode = mode

    def executor(self) -> TradeExecutor:
        """An executor as a fresh process has it."""
        settings = TradeSettings(self.mode, POLICY, lambda item: item.current_position)
        broker = RecordingBroker(self.broker, equity=Decimal(0)) if self.mode is ExecutionMode.DRY_RUN else self.broker
        return TradeExecutor(broker=broker, log=self.log, ledger=self.ledger, clock=self.clock, settings=settings)

    def execute(self, item: WorkflowTrade = BUY) -> TradeResult:
        return self.executor().execute(item)

    def place(self, item: WorkflowTrade = BUY, asked: str = "10", policy: WalkPolicy = POLICY) -> tuple[IntentRecord, ...]:
        """Order `asked` shares, as sized on the quote `GOOD`."""
        sized = SizedTrade.of(item, d(asked), SizingBasis.TRADE_AMOUNT, GOOD, self.mode)
        placement = Placement(self.broker, self.log, self.clock, policy)
        return placement.place(replace(sized, market_at=NOON), self.log.take(item.run_id, item.trade_id))

    def dies_in(self, work: Callable[[], object]) -> None:
        """Do `work` in a process that dies at its first pause."""
        self.clock.on_sleep = die
        with pytest.raises(Died):
            work()
        self.clock.on_sleep = lambda: None

    @property
    def working(self) -> list[Order]:
        """The orders that may still be filled; one that was replaced is not."""
        return [order for order in self.broker.accepted if not order.status.is_final and not order.replaced_by]
