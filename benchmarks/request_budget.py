"""Business Unit: benchmarks | Status: current.

Ten trades that walk the whole book, and an account whose broker allows so many requests a minute: how long they take, what they
ask for, and what is left. The real executor, the real budget and the workflow's own retries, in simulated time: a broker in which
no limit order fills, and which refuses what is over its limit until the minute is over. `python -m benchmarks.request_budget`
prints the table.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from threading import Event, Thread
from typing import NoReturn, cast

from shadow.broker.pacing import PacedBroker, RequestLimits
from shadow.broker.port import (
    Account,
    Asset,
    BrokerThrottled,
    DuplicateClientOrderId,
    MarketClock,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
)
from shadow.contracts.vocabulary import ExecutionMode
from shadow.contracts.workflow import TradeResult, WorkflowTrade
from shadow.execution.trade import TradeExecutor, TradeSettings
from shadow.execution.walk import WalkPolicy
from tests.factories.two_lanes import Windows
from tests.fakes.candidate import MemoryLedger, MemoryLog, trade

_MACHINE = Path(__file__).parents[1] / "statemachines" / "execution_workflow.asl.json"
_FUNCTION_SECONDS = 300
_LATENCY_SECONDS = 0.15
_MARKET_FILL_SECONDS = 5
_MINUTE = 60
_MANY = 1_000_000
_AT_ONCE = 10
_ROWS = (
    (1, 150, 200),
    (5, 150, 200),
    (10, 150, 200),
    (50, 150, 200),
    (100, 150, 200),
    (10, 100, 200),
    (10, 60, 200),
    (10, 150, 100),
    (10, _MANY, 200),
)


class Killed(BaseException):
    """A function's time is over."""


class SimulatedTime:
    """Time that passes when everybody sleeps: one worker runs at a time, the one that wakes first."""

    def __init__(self) -> None:
        """Begin at noon."""
        self.began = self.time = datetime(2026, 11, 24, 17, tzinfo=UTC)
        self._sleepers: list[tuple[datetime, int, Event]] = []
        self._parked = Event()
        self._count = 0
        self.ends: dict[int, datetime] = {}

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the others go on for `seconds`."""
        awake = Event()
        self._count += 1
        heappush(self._sleepers, (self.time + timedelta(seconds=seconds), self._count, awake))
        self._parked.set()
        awake.wait()

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Do all of `works` beside each other; ends when the last has ended."""
        errors: list[BaseException] = []
        for work in works:
            self._begin(work, errors)
        while self._sleepers:
            self.time, _, awake = heappop(self._sleepers)
            self._parked.clear()
            awake.set()
            self._parked.wait()
        if errors:
            raise errors[0]

    def _begin(self, work: Callable[[], None], errors: list[BaseException]) -> None:
        def body() -> None:
            try:
                self.sleep(0)
                work()
            except BaseException as error:  # noqa: BLE001 - raised again by `run`
                errors.append(error)
            self._parked.set()

        self._parked.clear()
        Thread(target=body, daemon=True).start()
        self._parked.wait()


@dataclass
class SlowBroker:
    """A broker in which no limit order fills. What is over `limit` requests in its minute is refused until the next one."""

    time: SimulatedTime
    limit: int
    orders: dict[str, Order] = field(default_factory=dict)
    asked: list[datetime] = field(default_factory=list)
    refused: int = 0
    windows: Counter[int] = field(default_factory=Counter)

    def _request(self) -> None:
        self.time.sleep(_LATENCY_SECONDS)
        now = self.time.now()
        self.asked.append(now)
        window = int(now.timestamp()) // _MINUTE
        self.windows[window] += 1
        if self.windows[window] > self.limit:
            self.refused += 1
            raise BrokerThrottled("429", retry_after=(window + 1) * _MINUTE - now.timestamp())

    def clock(self) -> MarketClock:
        """Say that the market is open."""
        self._request()
        now = self.time.now()
        return MarketClock(now, is_open=True, next_open=now, next_close=now)

    def account(self) -> Account:
        """Give an account of 100,000 USD."""
        self._request()
        return Account("simulated", Decimal(100_000), Decimal(100_000))

    def asset(self, symbol: str) -> Asset:
        """Say that the symbol trades in fractions."""
        self._request()
        return Asset(symbol, tradable=True, fractionable=True)

    def quote(self, symbol: str) -> Quote:
        """Give one quote for ever."""
        self._request()
        return Quote(symbol, Decimal("99.90"), Decimal("100.10"), self.time.now())

    def position(self, symbol: str) -> Decimal:
        """Say that nothing is held."""
        del symbol
        self._request()
        return Decimal(0)

    def submit(self, request: OrderRequest) -> Order:
        """Accept an order."""
        self._request()
        if request.client_order_id in self.orders:
            raise DuplicateClientOrderId(request.client_order_id)
        order = Order(
            order_id=f"order-{request.client_order_id}",
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            status=OrderStatus.OPEN,
            filled_quantity=Decimal(0),
            average_price=None,
            submitted_at=self.time.now(),
            filled_at=None,
        )
        self.orders[request.client_order_id] = order
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Show an order; a market order fills some seconds after it came."""
        self._request()
        return self._as_it_is(client_order_id)

    def _as_it_is(self, client_order_id: str) -> Order | None:
        order = self.orders.get(client_order_id)
        if order is None or order.status.is_final or order.order_type is not OrderType.MARKET or order.submitted_at is None:
            return order
        filled_at = order.submitted_at + timedelta(seconds=_MARKET_FILL_SECONDS)
        if filled_at <= self.time.now():
            filled = {"status": OrderStatus.FILLED, "filled_quantity": order.quantity, "average_price": Decimal(100)}
            order = self.orders[client_order_id] = replace(order, **filled, filled_at=filled_at)  # type: ignore[arg-type] # its fields
        return order

    def glance(self, client_order_id: str) -> Order | None:
        """Show an order."""
        return self.order_by_client_id(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        """Show an order by the broker's own id."""
        return self.order_by_client_id(order_id.removeprefix("order-"))

    def cancel(self, order_id: str) -> None:
        """Cancel an order that is open."""
        self._request()
        order = self._as_it_is(order_id.removeprefix("order-"))
        if order is not None and not order.status.is_final:
            self.orders[order.client_order_id] = replace(order, status=OrderStatus.CANCELED)

    @property
    def most_in_a_minute(self) -> int:
        """Give the most requests in any 60 seconds."""
        recent: deque[datetime] = deque()
        most = 0
        for moment in self.asked:
            recent.append(moment)
            while recent[0] <= moment - timedelta(seconds=_MINUTE):
                recent.popleft()
            most = max(most, len(recent))
        return most


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some trades. `working` orders are still open at the end, `unknown` trades have no known fate."""

    trades: int
    per_minute: int
    limit: int
    seconds: float
    requests: int
    most_in_a_minute: int
    refused: int
    unknown: int
    working: int
    killed: int


class Workflow:
    """What the state machine does around one trade: the definition's own retries, then reconciling."""

    def __init__(self, time: SimulatedTime, broker: SlowBroker, per_minute: int) -> None:
        """Trade at `broker` within a budget."""
        self.time, self.broker = time, broker
        self.budget, self.log, self.ledger = Windows(), MemoryLog(), MemoryLedger()
        self.limits = RequestLimits(per_minute=per_minute)
        self.draw = random.Random(7).uniform
        self.results: list[TradeResult | None] = []
        self.killed = 0
        states = json.loads(_MACHINE.read_text(encoding="utf-8"))["States"]["ExecuteBuyPhase"]["ItemProcessor"]["States"]
        self.retries = {name: states[name]["Retry"] for name in ("ExecuteBuyTrade", "ReconcileBuyTrade")}

    def work_through(self, numbers: Sequence[int]) -> None:
        """Bring some trades to their end, one after the other."""
        for number in numbers:
            self.work(trade(f"SYM{number}"))

    def work(self, trade: WorkflowTrade) -> None:
        """Bring one trade to its end."""
        error, result = self._state("ExecuteBuyTrade", lambda executor: executor.execute(trade))
        if result is None:
            _, result = self._state("ReconcileBuyTrade", lambda executor: executor.reconcile(trade, error))
        self.results.append(result)

    def _state(self, name: str, ask: Callable[[TradeExecutor], TradeResult]) -> tuple[str, TradeResult | None]:
        used: Counter[int] = Counter()
        while True:
            try:
                return "", ask(self._process())
            except Killed:
                self.killed += 1
                error = "Sandbox.Timedout"
            except Exception as caught:  # noqa: BLE001 - a state retries by the name of the class
                error = type(caught).__name__
            match = next((at for at, each in enumerate(self.retries[name]) if error in each["ErrorEquals"]), None)
            if match is None or used[match] >= self.retries[name][match]["MaxAttempts"]:
                return error, None
            retrier = self.retries[name][match]
            longest = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** used[match]
            used[match] += 1
            self.time.sleep(self.draw(0, min(longest, retrier["MaxDelaySeconds"])))

    def _process(self) -> TradeExecutor:
        clock = _ProcessClock(self.time)
        inner = cast("SlowBroker", _Bounded(self.broker, clock))
        broker = PacedBroker(inner, self.budget, self.limits, now=clock.now, sleep=clock.sleep)
        settings = TradeSettings(ExecutionMode.PAPER, WalkPolicy(), lambda _: None)
        return TradeExecutor(broker=broker, log=self.log, ledger=self.ledger, clock=clock, settings=settings)


class _ProcessClock:
    """The clock of one process, which is killed when its function's time is over."""

    def __init__(self, time: SimulatedTime) -> None:
        self._time = time
        self._ends = time.now() + timedelta(seconds=_FUNCTION_SECONDS)

    def now(self) -> datetime:
        return self._time.now()

    def sleep(self, seconds: float) -> None:
        self._time.sleep(seconds)
        self.check()

    def check(self) -> None:
        if self._time.now() >= self._ends:
            raise Killed


class _Bounded:
    """A broker asked by a process that can be killed while it waits for the answer."""

    def __init__(self, inner: SlowBroker, clock: _ProcessClock) -> None:
        self._inner, self._clock = inner, clock

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._inner, name)

        def ask(*arguments: object) -> object:
            try:
                return method(*arguments)
            finally:
                self._clock.check()

        return ask


def simulate(trades: int, per_minute: int, limit: int) -> Outcome:
    """Let `trades` BUYs walk the whole book, ten at once, within `per_minute` requests, at a broker that allows `limit`."""
    time = SimulatedTime()
    broker = SlowBroker(time, limit)
    workflow = Workflow(time, broker, per_minute)
    time.run([partial(workflow.work_through, range(first, trades, _AT_ONCE)) for first in range(min(trades, _AT_ONCE))])
    unknown = sum(result is None or result.status.value == "UNKNOWN" for result in workflow.results)
    return Outcome(
        trades=trades,
        per_minute=per_minute,
        limit=limit,
        seconds=(time.now() - time.began).total_seconds(),
        requests=len(broker.asked),
        most_in_a_minute=broker.most_in_a_minute,
        refused=broker.refused,
        unknown=unknown,
        working=sum(not order.status.is_final for order in broker.orders.values()),
        killed=workflow.killed,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """Write the outcomes as a table of Markdown."""
    heads = ("trades", "our budget a minute", "the broker's limit", "time, s", "requests", "most in 60 s", "refused")
    lines = [f"| {' | '.join((*heads, 'unknown', 'left working'))} |", f"|{'---:|' * (len(heads) + 2)}"]
    for each in outcomes:
        budget = each.per_minute if each.per_minute < _MANY else "none"
        cells = (each.trades, budget, each.limit, round(each.seconds), each.requests, each.most_in_a_minute, each.refused)
        lines.append(f"| {' | '.join(map(str, (*cells, each.unknown, each.working)))} |")
    return "\n".join(lines)


def main() -> NoReturn:
    """Print the table."""
    print(table([simulate(*row) for row in _ROWS]))
    sys.exit(0)


if __name__ == "__main__":
    main()
