"""Both lanes, whole, at the ports: the real executors, guard and reference lane, the simulated broker, and nothing that waits.

What SQS does around them, and operators (redeliver, redrive), is driven here; what Step Functions does, in `workflow_drive`. The
rules that must never break are checked where they could break: as the broker accepts an order, and again when everything has come
to rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from decimal import Decimal

from requests import ReadTimeout

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.api import Answer, Request
from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import Fault, FaultKind, SimulatedOrder
from shadow.broker.pacing import PacedBroker, RequestLimits
from shadow.broker.port import Broker, OrderRequest
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.identity import run_id_of
from shadow.contracts.model import exact_sum
from shadow.contracts.plan import RebalancePlan, TradeMessage
from shadow.contracts.vocabulary import ExecutionMode, Role, Side, TradeStatus
from shadow.contracts.workflow import TradeResult, WorkflowInput, WorkflowTrade
from shadow.execution.placement import RunCloser
from shadow.execution.trade import QUANTUM, TradeExecutor, TradeSettings
from shadow.execution.walk import BPS, WalkPolicy
from shadow.intake.payload import candidate_input
from tests.factories.broker import IMPATIENT, connect
from tests.factories.broker_simulator import DAY
from tests.factories.in_process_broker import broker_of, exchange_with
from tests.factories.interleaving import Interleaving, Job
from tests.factories.judged_lanes import books_of, check_money
from tests.factories.pausing_ports import AtPorts, PausingLedger, PausingLog
from tests.factories.workflow_drive import Execution, TradeDrive
from tests.fakes.candidate import FakeClock, MemoryLedger, MemoryLog
from tests.fakes.legacy import World as Control
from tests.fakes.plans import MemoryPlans

CLOSES = {"AAA": Decimal("100.00"), "BBB": Decimal("40.00"), "CCC": Decimal("10.00")}
HELD = {"AAA": Decimal(30), "BBB": Decimal(80), "CCC": Decimal(200)}
QUICK = WalkPolicy(limit_seconds=2, market_seconds=3, poll_seconds=1, pause_seconds=1, lookups=2, settle_seconds=3)
MAX_RECEIVES = 3
SPREAD = Decimal(20)
"""Between bid and ask, basis points."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests a minute the candidate makes, and how many the broker takes of an account (0: any number)."""

    ours: int = 0
    limit: int = 0


UNLIMITED = Requests()


class Windows:
    """The account's budget in memory."""

    def __init__(self) -> None:
        self.used: Counter[int] = Counter()

    def take(self, window: int, most: int) -> bool:
        if self.used[window] >= most:
            return False
        self.used[window] += 1
        return True

    def close(self, window: int) -> None:
        self.used[window] = 10**6


@dataclass(frozen=True, slots=True)
class Setting:
    """What is there before anything happens. `limit` is the equity limit in USD (0: off)."""

    plan: RebalancePlan
    one_account: bool = False
    limit: Decimal = Decimal(0)
    rest_limits: int = 0
    whole_shares: bool = False
    requests: Requests = UNLIMITED


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
        self.simulator.set_spread(SPREAD)
        self.simulator.set_fill_rule(self.setting.rest_limits)
        for role in Role:
            self.simulator.set_positions(role, HELD)
        for symbol in CLOSES if self.setting.whole_shares else ():
            self.simulator.set_asset(symbol, fractionable=False)
        self.run_id = run_id_of(self.setting.plan.plan_id)
        self.text = candidate_input(self.setting.plan, self.run_id, {}, MemoryPlans())
        self.input = WorkflowInput.parse_json(self.text)
        self.trades: tuple[WorkflowTrade, ...] = self.input.rebalance_plan.trade_messages
        self.by_id = {trade.trade_id: trade for trade in self.trades}
        self.account = Role.CONTROL if self.setting.one_account else Role.CANDIDATE
        self._send = exchange_with(self.simulator)
        over_http = isinstance(self.simulator, BrokerSimulator)
        mine = connect(self.simulator, self.account, IMPATIENT) if over_http else broker_of(self.account, self._exchange)
        other = connect(self.simulator, Role.CONTROL, IMPATIENT) if over_http else broker_of(Role.CONTROL, self._send)
        self.at_ports = AtPorts(mine, self.play, "broker", self._check_intended, self.check_orders)
        self.windows = Windows()
        self.control.broker = AtPorts(other, self.play, "control broker")  # type: ignore[assignment]
        self.control.store.pause = lambda: self.play.at("runs table")
        self.opened_at = self.clock.time = mine.clock().at.astimezone(UTC)
        self.control.now = self.clock.now
        self.books = (other, mine)
        self.opening = books_of(self)
        self.simulator.set_rate_limit(self.setting.requests.limit or None)
        self.clock.on_sleep = self._slept
        self.policy = QUICK
        self.taken = 0

    def _slept(self) -> None:
        self.let_pass(0)
        self.play.at("sleep")

    def let_pass(self, seconds: float) -> None:
        """Let time pass, at the broker too."""
        self.clock.time += timedelta(seconds=seconds)
        self.simulator.set_clock(self.clock.time, is_open=True)

    # ------------------------------------------------------------------ the candidate

    @property
    def broker(self) -> Broker:
        """The candidate's account as a fresh process has it: within the request budget, where there is one."""
        if not self.setting.requests.ours:
            return self.at_ports
        limits = RequestLimits(per_minute=self.setting.requests.ours)
        return PacedBroker(self.at_ports, self.windows, limits, now=self.clock.now, sleep=self.clock.sleep)

    def executor(self) -> TradeExecutor:
        """Give an executor as a fresh process has it."""
        broker = self.broker
        return TradeExecutor(
            broker=broker,
            log=PausingLog(self.log, self.play),
            ledger=PausingLedger(self.ledger, self.play),
            clock=self.clock,
            settings=TradeSettings(ExecutionMode.PAPER, self.policy, lambda trade: broker.position(trade.symbol)),
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

    def close(self) -> None:
        """Leave no order of the run working, as the workflow's last step does."""
        log = PausingLog(self.log, self.play)
        closer = RunCloser(self.broker, log, self.clock, self.policy)
        self.play.add(Job("close", lambda: closer.close(self.run_id)))

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

    def strike(self, kind: FaultKind, status: int | None = None, account: Role | None = None) -> None:
        """Let a fault strike the next request that it can strike."""
        account = self.account if kind in _OF_CANDIDATE else account
        method = "POST" if kind in _OF_ORDERS else None
        self.simulator.add_fault(Fault(kind=kind, status=status, account=account, method=method))

    # ------------------------------------------------------------------ the rules

    def orders(self, trade_id: str) -> list[SimulatedOrder]:
        """Give the candidate's accepted orders of a trade, and those that a person put in their place."""
        return [link for chain in self.chains(trade_id) for link in chain]

    def chains(self, trade_id: str) -> list[list[SimulatedOrder]]:
        """Give each accepted order of a trade with those that took its place one after the other."""
        orders = self.simulator.orders(self.account)
        by_id = {order.order_id: order for order in orders}
        chains = []
        for order in orders:
            if order.client_order_id[:36] == trade_id:
                chain = [order]
                while chain[-1].replaced_by:
                    chain.append(by_id[chain[-1].replaced_by])
                chains.append(chain)
        return chains

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
        self._check_limit()

    def _check_limit(self) -> None:
        """Check the breaker against what the broker really bought, in dollars.

        It reserves planned dollars, which are sized at the middle of the quote: so no more is paid than the limit, half the
        market's own spread, and the sizing's last decimal of each trade.
        """
        assert self.ledger.reserved == exact_sum(self.ledger.reservations.values())
        if not self.ledger.limit:
            return
        assert self.ledger.reserved <= self.ledger.limit
        bought = [order for trade in self.trades if trade.action is Side.BUY for order in self.orders(trade.trade_id)]
        paid = sum((order.filled_quantity * (order.average_price or Decimal(0)) for order in bought), Decimal(0))
        allowed = (self.ledger.limit + QUANTUM * sum(CLOSES.values())) * (1 + SPREAD / 2 / BPS)
        assert paid <= allowed, f"bought for {paid} USD, {self.ledger.limit} allowed"

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
            for chain in self.chains(trade.trade_id):
                self._check_known(trade, chain, shown.get(chain[0].client_order_id), result)

    def _check_known(self, trade: WorkflowTrade, chain: list[SimulatedOrder], shown: object, result: TradeResult) -> None:
        order = chain[0]
        intent = self._intent_of(order.client_order_id)
        assert intent is not None, f"{trade.symbol}: order {order.client_order_id} without an intent"
        told = getattr(shown, "filled_quantity", None), getattr(shown, "status", None)
        written = intent.filled_quantity, intent.status.value
        truth = _filled(chain), "open" if chain[-1].status in _LIVE else chain[-1].status
        in_doubt = result.status is TradeStatus.UNKNOWN
        assert truth in (told, written) or in_doubt, f"{trade.symbol}: {truth} is told {told}, written {written}, {result.status}"

    def check_closed(self) -> None:
        """Check that nothing is left working once the run is closed, whatever went wrong before."""
        for trade in self.trades:
            assert not [order for order in self.orders(trade.trade_id) if order.status in _LIVE], f"{trade.symbol}: still working"

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
            for chain in self.chains(trade.trade_id):
                intent = self._intent_of(chain[0].client_order_id)
                assert intent is not None
                assert (intent.status.value, intent.filled_quantity) == (chain[-1].status, _filled(chain)), intent
        check_money(self)


def _filled(chain: list[SimulatedOrder]) -> Decimal:
    return sum((link.filled_quantity for link in chain), Decimal(0))


_LIVE = frozenset({"accepted", "new", "pending_new", "partially_filled"})
_OF_CANDIDATE = frozenset(
    {
        FaultKind.REFUSED_IN_CODE,
        FaultKind.REFUSED_BY_GATEWAY,
        FaultKind.REFUSED_BY_PROXY,
        FaultKind.REFUSED_BARELY,
        FaultKind.REFUSED_EMPTY,
        FaultKind.OTHER_QUANTITY,
        FaultKind.QUOTE_STALE,
        FaultKind.QUOTE_WIDE,
    }
)
_OF_ORDERS = frozenset(
    {FaultKind.REFUSE, FaultKind.REJECT, FaultKind.PARTIAL_FILL, FaultKind.REST}
    | (_OF_CANDIDATE - {FaultKind.QUOTE_STALE, FaultKind.QUOTE_WIDE})
)
