"""Both lanes, whole, at the ports: the real executors, guard and reference lane, the simulated broker, and nothing that waits.

What Step Functions and SQS do around them (retry, catch, redeliver, redrive) is driven here; which errors are retried, and how
often, is read from the state machine's definition. The rules that must never break are checked where they could break: as the
broker accepts an order, and again when everything has come to rest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from requests import ReadTimeout

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.api import Answer, Request
from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import Fault, FaultKind, SimulatedOrder
from shadow.broker.port import Account, Asset, Broker, MarketClock, Order, OrderRequest, Quote
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.trade_message import TradeMessage
from shadow.contracts.vocabulary import ExecutionMode, Lane, Side, TradeStatus
from shadow.contracts.workflow import EquityCheck, GuardInput, TradeResult, WorkflowInput, WorkflowTrade
from shadow.execution.guard import evaluate_guard
from shadow.execution.phases import RunSettings, prepare
from shadow.execution.ports import RunOpening
from shadow.execution.trade import TradeExecutor, TradeSettings
from shadow.execution.walk import WalkPolicy
from shadow.publish.payload import candidate_input
from tests.factories.broker import IMPATIENT, connect
from tests.factories.broker_simulator import DAY
from tests.factories.in_process_broker import broker_of, exchange_with
from tests.factories.interleaving import Interleaving, Job, Killed
from tests.fakes.candidate import FakeClock, MemoryLedger, MemoryLog
from tests.fakes.legacy import World as Control
from tests.fakes.workflow_cloud import DEFINITION

CLOSES = {"AAA": Decimal("100.00"), "BBB": Decimal("40.00"), "CCC": Decimal("10.00")}
HELD = {"AAA": Decimal(30), "BBB": Decimal(80), "CCC": Decimal(200)}
QUICK = WalkPolicy(limit_seconds=2, market_seconds=3, poll_seconds=1, pause_seconds=1, lookups=2, settle_seconds=3)
MAX_RECEIVES = 3


@cache
def retries_of(phase: str, state: str) -> tuple[frozenset[str], int]:
    """Read from the definition which errors a trade's state retries, and how often."""
    found = json.loads(DEFINITION.read_text())["States"][phase]["ItemProcessor"]["States"][state]["Retry"]
    (retry,) = found
    return frozenset(retry["ErrorEquals"]), int(retry["MaxAttempts"])


@dataclass(frozen=True, slots=True)
class Setting:
    """What is there before anything happens. `limit` is the equity limit in USD (0: off)."""

    plan: RebalancePlan
    one_account: bool = False
    limit: Decimal = Decimal(0)
    rest_limits: int = 0
    whole_shares: bool = False


@dataclass
class Lanes:
    """One plan, on its way through both lanes under one interleaving."""

    setting: Setting
    play: Interleaving
    simulator: Simulator = field(default_factory=Simulator)
    log: MemoryLog = field(default_factory=MemoryLog)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    clock: FakeClock = field(default_factory=FakeClock)
    control: Control = field(default_factory=Control)
    results: dict[str, TradeResult] = field(default_factory=dict)
    executions: int = 0
    held_back: list[Request] = field(default_factory=list)
    holds_back: bool = False
    blocked: bool = False
    overlapped: bool = False

    def __post_init__(self) -> None:
        self.ledger.turns = self.log.turns
        self.simulator.set_day(DAY, CLOSES)
        self.simulator.set_spread(Decimal(20))
        self.simulator.set_fill_rule(self.setting.rest_limits)
        for lane in Lane:
            self.simulator.set_positions(lane, HELD)
        for symbol in CLOSES if self.setting.whole_shares else ():
            self.simulator.set_asset(symbol, fractionable=False)
        self.run_id = run_id_of(self.setting.plan.plan_id)
        self.input = WorkflowInput.parse_json(candidate_input(self.setting.plan, self.run_id, {}).inline)
        self.trades: tuple[WorkflowTrade, ...] = self.input.rebalance_plan.trade_messages
        self.by_id = {trade.trade_id: trade for trade in self.trades}
        self.account = Lane.CONTROL if self.setting.one_account else Lane.CANDIDATE
        self._send = exchange_with(self.simulator)
        over_http = isinstance(self.simulator, BrokerSimulator)
        mine = connect(self.simulator, self.account, IMPATIENT) if over_http else broker_of(self.account, self._exchange)
        other = connect(self.simulator, Lane.CONTROL, IMPATIENT) if over_http else broker_of(Lane.CONTROL, self._send)
        self.broker = AtPorts(mine, self.play, "broker", self._check_intended, self.check_orders)
        self.control.broker = AtPorts(other, self.play, "control broker")  # type: ignore[assignment]
        self.control.store.pause = lambda: self.play.at("runs table")
        self.clock.on_sleep = lambda: self.play.at("sleep")
        self.policy = QUICK
        self.taken = 0

    # ------------------------------------------------------------------ the candidate

    def executor(self) -> TradeExecutor:
        """Give an executor as a fresh process has it."""
        return TradeExecutor(
            broker=self.broker,
            log=PausingLog(self.log, self.play),
            ledger=PausingLedger(self.ledger, self.play),
            clock=self.clock,
            settings=TradeSettings(ExecutionMode.PAPER, self.policy, lambda trade: self.broker.position(trade.symbol)),
        )

    def start_execution(self) -> None:
        """Start an execution of the workflow; a second one has another name and the same run."""
        self.executions += 1
        self.overlapped = self.overlapped or self.executions > 1
        Execution(self, f"execution {self.executions}").start()

    def redrive(self, turn: int) -> None:
        """Execute one trade that was answered again, whatever its answer was."""
        answered = [trade for trade in self.trades if trade.trade_id in self.results]
        if answered:
            trade = answered[turn % len(answered)]
            self.executions += 1
            TradeDrive(Execution(self, f"redrive {self.executions}"), trade).execute()

    # ------------------------------------------------------------------ the control

    def publish(self) -> None:
        """Publish the plan to the control, as often as it is called, then let it be delivered."""
        self.play.add(Job("publish", self._publish))

    def _publish(self) -> None:
        self.control.publisher().publish(self.setting.plan)
        self.deliver()

    def deliver(self) -> None:
        """Hand every message that was not delivered yet to a worker of its own."""
        while self.taken < len(self.control.queue.sent):
            body = self.control.queue.sent[self.taken].body
            self.taken += 1
            self._work_on(TradeMessage.parse_json(body), receive=1)

    def _work_on(self, message: TradeMessage, receive: int) -> None:
        """Execute one record; it comes again when its worker dies or forgets to answer."""
        if receive > MAX_RECEIVES:
            return

        def again(_: str) -> None:
            self._work_on(message, receive + 1)

        def ended(_: object, error: BaseException | None) -> None:
            if error is not None:
                again("")

        def work() -> None:
            self.control.parts().assemble().process(message)
            self.deliver()

        self.play.add(Job(f"control {message.symbol} {receive}", work, ended, again))

    # ------------------------------------------------------------------ the broker

    def _exchange(self, request: Request) -> Answer | None:
        """Send one request of the candidate; or let its sender time out while it is on its way."""
        if self.holds_back and request.method == "POST":
            self.holds_back = False
            self.held_back.append(request)
            raise ReadTimeout
        return self._send(request)

    def _check_intended(self, request: OrderRequest) -> None:
        wanted = request.client_order_id
        assert self._intent_of(wanted) is not None, f"order {wanted}: sent without a recorded intent"

    def let_through(self) -> None:
        """Let requests arrive that were on their way when their senders gave up."""
        while self.held_back:
            self._send(self.held_back.pop(0))
            self.check_orders()

    def strike(self, kind: FaultKind, account: Lane | None = None) -> None:
        """Let a fault strike the next request that it can strike."""
        self.simulator.add_fault(Fault(kind=kind, account=account, method="POST" if kind in _OF_ORDERS else None))

    # ------------------------------------------------------------------ the rules

    def orders(self, trade_id: str) -> list[SimulatedOrder]:
        """Give the candidate's accepted orders of a trade."""
        return [order for order in self.simulator.orders(self.account) if order.client_order_id[:36] == trade_id]

    def _intent_of(self, client_order_id: str) -> IntentRecord | None:
        return next((each for each in self.log.intents.values() if each.client_order_id == client_order_id), None)

    def check_orders(self) -> None:
        """Check what must hold after every order: one live order a trade, and never more than was asked for."""
        orders = self.simulator.orders(self.account)
        ids = Counter(order.client_order_id for order in orders)
        assert all(count == 1 for count in ids.values()), ids
        for trade in self.trades:
            mine = self.orders(trade.trade_id)
            if not mine:
                continue
            first = self._intent_of(trade.trade_id)
            assert first is not None, f"{trade.symbol}: an order without a first intent"
            live = [order for order in mine if order.status in _LIVE]
            bound = sum((order.filled_quantity for order in mine), Decimal(0))
            bound += sum((order.quantity - order.filled_quantity for order in live), Decimal(0))
            assert bound <= first.asked_quantity, f"{trade.symbol}: {bound} filled and open, {first.asked_quantity} asked"
            assert len(live) <= 1, f"{trade.symbol}: {len(live)} orders live at once"
            if trade.action is Side.BUY and self.ledger.limit and bound:
                assert trade.trade_id in self.ledger.reservations, f"{trade.symbol}: bought without a reservation"
        assert not self.ledger.limit or self.ledger.reserved <= self.ledger.limit

    def check_rest(self) -> None:
        """Check what must hold when nothing moves any more: every accepted order is known, as it is, or in doubt in writing."""
        self.check_orders()
        for trade in self.trades:
            result = self.results.get(trade.trade_id)
            mine = self.orders(trade.trade_id)
            if self.blocked and trade.action is Side.BUY and not self.overlapped:
                assert not mine, f"{trade.symbol}: bought behind a guard that blocks"
            if result is None:
                assert not mine, f"{trade.symbol}: {len(mine)} orders and no answer"
                continue
            shown = {order.client_order_id: order for order in result.orders}
            for order in mine:
                self._check_known(trade, order, shown.get(order.client_order_id), result)

    def _check_known(self, trade: WorkflowTrade, order: SimulatedOrder, shown: object, result: TradeResult) -> None:
        intent = self._intent_of(order.client_order_id)
        assert intent is not None, f"{trade.symbol}: order {order.client_order_id} without an intent"
        told = getattr(shown, "filled_quantity", None), getattr(shown, "status", None)
        written = intent.filled_quantity, intent.status.value
        truth = order.filled_quantity, "open" if order.status in _LIVE else order.status
        in_doubt = result.status is TradeStatus.UNKNOWN
        assert truth in (told, written) or in_doubt, f"{trade.symbol}: {truth} is told {told}, written {written}, {result.status}"

    def check_reconciled(self) -> None:
        """Check what must hold once a redrive has looked with nothing going wrong: no doubt, and every figure the broker's."""
        for trade in self.trades:
            result = self.results.get(trade.trade_id)
            mine = self.orders(trade.trade_id)
            assert not [order for order in mine if order.status in _LIVE], f"{trade.symbol}: still live"
            if result is None:
                assert not mine, f"{trade.symbol}: {len(mine)} orders and no answer"
                continue
            filled = sum((order.filled_quantity for order in mine), Decimal(0))
            assert (result.quantity or Decimal(0)) == filled, f"{trade.symbol}: {result.quantity} told, {filled} filled"
            for order in mine:
                intent = self._intent_of(order.client_order_id)
                assert intent is not None
                assert (intent.status.value, intent.filled_quantity) == (order.status, order.filled_quantity), intent


_LIVE = frozenset({"accepted", "new", "pending_new", "partially_filled"})
_OF_ORDERS = frozenset({FaultKind.REFUSE, FaultKind.REJECT, FaultKind.PARTIAL_FILL, FaultKind.REST})


Work = Callable[[], object]
Done = Callable[[object], None]
Caught = Callable[[str], None]


class Execution:
    """One execution of the workflow, as far as trades go."""

    def __init__(self, lanes: Lanes, name: str) -> None:
        self.lanes = lanes
        self.name = name
        self.waiting: set[str] = set()
        self.answers: dict[str, TradeResult] = {}
        self.after: Side | None = None

    def start(self) -> None:
        """Prepare the run; what cannot be prepared trades nothing."""

        def ended(_: object, error: BaseException | None) -> None:
            if error is None:
                self._phase(Side.SELL)

        self.lanes.play.add(Job(f"{self.name} prepare", self._prepare, ended))

    def _prepare(self) -> None:
        lanes = self.lanes
        settings = RunSettings(ExecutionMode.PAPER, Decimal(1 if lanes.setting.limit else 0), lambda _: lanes.setting.limit)
        ledger = PausingLedger(lanes.ledger, lanes.play)
        prepare(lanes.input, lanes.trades, settings=settings, ledger=ledger, clock=lanes.clock)

    def _phase(self, side: Side) -> None:
        self.after = side
        trades = [trade for trade in self.lanes.trades if trade.action is side]
        self.waiting = {trade.trade_id for trade in trades}
        for trade in trades:
            TradeDrive(self, trade).begin()
        if not trades:
            self._phase_ended()

    def answered(self, trade: WorkflowTrade, result: TradeResult) -> None:
        """Take a trade's answer."""
        self.lanes.results[trade.trade_id] = self.answers[trade.trade_id] = result
        self.waiting.discard(trade.trade_id)
        if not self.waiting and self.after is not None:
            self._phase_ended()

    def _phase_ended(self) -> None:
        if self.after is not Side.SELL:
            self.after = None
            return
        request = GuardInput(
            sell_results=tuple(self.answers.values()),
            default_failure_threshold_usd=Decimal(500),
            run_id=self.lanes.run_id,
            plan_id=self.lanes.setting.plan.plan_id,
            correlation_id="workflow-one",
        )
        if evaluate_guard(request).buy_phase_allowed:
            self._phase(Side.BUY)
        else:
            self.after = None
            self.lanes.blocked = True


class TradeDrive:
    """One trade's way through the states of its phase: check, execute, retry, reconcile, or give up as unknown."""

    def __init__(self, execution: Execution, trade: WorkflowTrade) -> None:
        self.execution = execution
        self.lanes = execution.lanes
        self.trade = trade
        word = "Sell" if trade.action is Side.SELL else "Buy"
        self.phase, self.word = f"Execute{word}Phase", word
        self.error = ""

    def begin(self) -> None:
        """Enter the phase: a BUY by way of the breaker."""
        if self.trade.action is Side.BUY:
            self._task("CheckEquityLimit", self._reserve, self._checked, self._unchecked)
        else:
            self.execute()

    def execute(self) -> None:
        """Execute the trade."""
        self._task(f"Execute{self.word}Trade", self._execute, self._end, self._failed)

    def _reserve(self) -> EquityCheck:
        ledger = PausingLedger(self.lanes.ledger, self.lanes.play)
        return ledger.reserve(self.trade.run_id, self.trade.trade_id, abs(self.trade.trade_amount))

    def _checked(self, check: object) -> None:
        assert isinstance(check, EquityCheck)
        if check.allowed:
            self.execute()
        else:
            self._end(self._answer(TradeStatus.BLOCKED))

    def _unchecked(self, error: str) -> None:
        self.error = error
        self._end(self._answer(TradeStatus.FAILED))

    def _execute(self) -> TradeResult:
        return self.lanes.executor().execute(self.trade)

    def _failed(self, error: str) -> None:
        self.error = error
        self._task(f"Reconcile{self.word}Trade", self._reconcile, self._end, self._unknown)

    def _reconcile(self) -> TradeResult:
        return self.lanes.executor().reconcile(self.trade, self.error)

    def _unknown(self, error: str) -> None:
        self.error = error
        self._end(self._answer(TradeStatus.UNKNOWN))

    def _end(self, result: object) -> None:
        assert isinstance(result, TradeResult)
        self.execution.answered(self.trade, result)

    def _answer(self, status: TradeStatus) -> TradeResult:
        trade = self.trade
        return TradeResult(
            run_id=trade.run_id,
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            action=trade.action,
            status=status,
            planned_amount=trade.trade_amount,
            error_message=self.error or None,
        )

    def _task(self, state: str, work: Work, done: Done, caught: Caught, attempt: int = 0) -> None:
        errors, most = retries_of(self.phase, state)

        def failed(error: str) -> None:
            if error in errors and attempt < most:
                self._task(state, work, done, caught, attempt + 1)
            else:
                caught(error)

        def ended(result: object, error: BaseException | None) -> None:
            if error is None:
                done(result)
            else:
                failed(error.error if isinstance(error, Killed) else type(error).__name__)

        def lost(error: str) -> None:
            self.lanes.overlapped = True
            failed(error)

        name = f"{self.execution.name} {self.trade.symbol} {state} {attempt}"
        self.lanes.play.add(Job(name, work, ended, lost))


class AtPorts:
    """A broker whose every call is a place where something can happen, and whose every order one more afterwards."""

    def __init__(
        self,
        inner: Broker,
        play: Interleaving,
        name: str,
        before: Callable[[OrderRequest], None] = lambda _: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner = inner
        self._play = play
        self._name = name
        self._before = before
        self._after = after

    def clock(self) -> MarketClock:
        self._play.at(f"{self._name} clock")
        return self._inner.clock()

    def account(self) -> Account:
        self._play.at(f"{self._name} account")
        return self._inner.account()

    @property
    def equity(self) -> Decimal:
        return Decimal(100_000)

    def asset(self, symbol: str) -> Asset:
        self._play.at(f"{self._name} asset")
        return self._inner.asset(symbol)

    def quote(self, symbol: str) -> Quote:
        self._play.at(f"{self._name} quote")
        return self._inner.quote(symbol)

    def position(self, symbol: str) -> Decimal:
        self._play.at(f"{self._name} position")
        return self._inner.position(symbol)

    def submit(self, request: OrderRequest) -> Order:
        what = f"{self._name} submit {request.client_order_id[36:] or 'step 0'} {request.side} {request.quantity}"
        self._play.at(what)
        self._before(request)
        try:
            return self._inner.submit(request)
        finally:
            self._after()
            self._play.at(f"after {what}")

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self._play.at(f"{self._name} look {client_order_id[36:]}")
        return self._inner.order_by_client_id(client_order_id)

    def cancel(self, order_id: str) -> None:
        self._play.at(f"{self._name} cancel")
        self._inner.cancel(order_id)
        self._play.at(f"after {self._name} cancel")


class PausingLog:
    """The intent log, with a place before and after each write."""

    def __init__(self, inner: MemoryLog, play: Interleaving) -> None:
        self._inner = inner
        self._play = play

    def take(self, run_id: str, trade_id: str) -> int:
        self._play.at("take")
        turn = self._inner.take(run_id, trade_id)
        self._play.at(f"after take {turn}")
        return turn

    def record(self, intent: IntentRecord) -> IntentRecord:
        self._play.at(f"record {intent.step}")
        kept = self._inner.record(intent)
        self._play.at(f"after record {intent.step}")
        return kept

    def update(self, intent: IntentRecord) -> None:
        self._play.at(f"update {intent.step} {intent.status}")
        self._inner.update(intent)
        self._play.at(f"after update {intent.step}")

    def of_trade(self, run_id: str, trade_id: str) -> tuple[IntentRecord, ...]:
        self._play.at("read intents")
        return self._inner.of_trade(run_id, trade_id)


class PausingLedger:
    """The equity ledger, with a place before and after each write."""

    def __init__(self, inner: MemoryLedger, play: Interleaving) -> None:
        self._inner = inner
        self._play = play

    def open_run(self, opening: RunOpening) -> Decimal:
        self._play.at("open run")
        return self._inner.open_run(opening)

    def reserve(self, run_id: str, trade_id: str, amount: Decimal, turn: int | None = None) -> EquityCheck:
        self._play.at("reserve")
        check = self._inner.reserve(run_id, trade_id, amount, turn)
        self._play.at("after reserve")
        return check

    def release(self, run_id: str, trade_id: str, spent: Decimal, turn: int | None = None) -> None:
        self._play.at("release")
        self._inner.release(run_id, trade_id, spent, turn)
        self._play.at("after release")
