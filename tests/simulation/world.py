"""Business Unit: tests | Status: current.

One seeded process: publisher, intake, control, candidate, comparator and the simulated broker, on one simulated clock. The lanes
are those of `tests.factories.aa_lanes`: the reference lane, and the real handlers under the real state machine. Each lane reaches
its broker over a wire of its own, on which the drawn faults strike; the comparator asks both accounts over a sound one.

After a cut-over the same lanes have each other's role: the workflow trades live in the account in production, and the legacy lane
shadows it, in paper or in dry run.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from io import StringIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from moto.moto_api._internal import mock_random

import shadow.publish as publishing
from local.broker_simulator import api, market
from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import SimulatedOrder
from shadow.aws import candidate_state, clients
from shadow.aws.broker import fingerprint_of
from shadow.broker.alpaca import AlpacaBroker
from shadow.broker.recording import RecordingBroker
from shadow.contracts.comparison import Comparison
from shadow.contracts.identity import run_id_of, run_id_of_execution
from shadow.contracts.pair import Pair, PairState, UnpairedPlan
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import ExecutionMode, Lane, Role
from shadow.execution.ports import SystemClock
from shadow.intake.aws import PublishMode, S3PlanStore
from shadow.intake.composition import take_batch
from shadow.intake.intake import Intake
from shadow.intake.payload import digest
from shadow.lanes.brokers.truth import BrokerTruthReader
from shadow.lanes.lane import Deadlines
from shadow.publish import DualPublisher, IntakeQueue
from shadow.reference import execution as reference
from shadow.reference.composition import DryRunLane, DryRunPublisher
from shadow.reference.lane import LaneParts
from shadow.reference.publishing import Published
from tests.factories import aa_lanes as lanes_module
from tests.factories import small_states
from tests.factories.aa_lanes import AaLanes, Situation, _forget_state, _judging, keep_control
from tests.factories.histories import execution_arn
from tests.factories.in_process_broker import broker_of, exchange_with
from tests.factories.small_states import TaskError
from tests.fakes.evidence import FakeLedger, FakeRecorder, Fuse, World
from tests.fakes.legacy import World as Control
from tests.fakes.quick_table import quick_tables
from tests.fakes.workflow_cloud import BUCKET, cloud
from tests.simulation.faults import Fault, Killed, Wire, spoil
from tests.simulation.turns import Process, Turns, on_turns

TICK = timedelta(milliseconds=5)
MOST_DELIVERIES = 3
PUBLISHING_SECONDS = 600.0
OTHER = "0f0f0f0f-0f0f-5f0f-8f0f-0f0f0f0f0f0f"


class SimulatedClock:
    """The only clock of a simulation: each look moves it by a tick, each sleep by its seconds."""

    def __init__(self) -> None:
        self.at = datetime(2024, 1, 2, 20, 45, tzinfo=UTC)

    def now(self) -> datetime:
        """Give the time, in UTC."""
        self.at += TICK
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


CLOCK = SimulatedClock()


class SimulatedDatetime(datetime):
    """`datetime` where a module asks it for the time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        """Give the simulated time."""
        return CLOCK.now().astimezone(tz)


@dataclass(frozen=True)
class Account:
    """What the simulated world saw of one lane's account."""

    opening: Mapping[str, Decimal]
    closing: Mapping[str, Decimal]
    opening_cash: Decimal
    closing_cash: Decimal
    orders: tuple[SimulatedOrder, ...]


@dataclass(frozen=True)
class Seen:
    """One simulated run: both accounts, the world's prices, and what the comparator made of it (None: the pair never ended)."""

    mode: ExecutionMode
    situation: Situation
    accounts: Mapping[Role, Account]
    comparison: Comparison | None
    ended: bool
    faults: tuple[Fault, ...] = ()
    struck: bool = True


@dataclass
class Simulation(AaLanes):
    """Both lanes, whose wires misbehave as is drawn."""

    mode: ExecutionMode = ExecutionMode.PAPER
    in_production: Lane = Lane.LEGACY
    wires: dict[Role, Wire] = field(default_factory=dict)
    recorded: list[Any] = field(default_factory=list)
    books: Mapping[Role, Any] = field(default_factory=dict)

    def run(self, situation: Situation, faults: tuple[Fault, ...]) -> Seen:
        """Run one plan under `faults`, let the world heal, and judge it."""
        _forget_state()
        self._arrange(situation)
        self.recorded.clear()
        self._seeded = random.Random(f"{situation.plan.plan_id}")
        mock_random.seed(0)
        plan, begun = situation.plan, situation.plan.timestamp
        symbols = tuple(item.symbol for item in plan.items)
        for role in Role:
            mine = tuple(fault for fault in faults if fault.role is role)
            self.wires[role] = Wire(exchange_with(self.simulator), mine, symbols)
        opening = {role: self.simulator.account(role) for role in Role}
        world = self.world = World(ledger_rows={})
        CLOCK.at = begun
        messages = self._publish(plan, situation.deployment, world)
        latest, CLOCK.at = CLOCK.at, begun
        self._set_deployment(situation.deployment)
        self._run_candidate(plan, world, _taken_in(messages, world))
        CLOCK.at = max(latest, CLOCK.at)
        for fault in faults:
            if fault.place == "record":
                self._spoil(world, plan, fault)
        comparison = self._heal_and_judge(plan, world)
        accounts = {role: self._account(role, opening[role]) for role in Role}
        pair = world.pairs[plan.plan_id]
        return Seen(self.mode, situation, accounts, comparison, pair.state not in (PairState.PENDING, PairState.LATE), faults)

    def _account(self, role: Role, opening: Any) -> Account:
        closing = self.simulator.account(role)
        orders = tuple(self.simulator.orders(role))
        positions, cash = dict(closing.positions), closing.cash
        if role is Role.CANDIDATE and self.mode is ExecutionMode.DRY_RUN:
            for order in self.recorded:
                sign = 1 if order.side.value == "BUY" else -1
                positions[order.symbol] = positions.get(order.symbol, Decimal(0)) + sign * order.filled_quantity
                cash -= sign * order.filled_quantity * (order.average_price or Decimal(0))
        return Account(opening.positions, positions, opening.cash, cash, orders)

    def _heal_and_judge(self, plan: Any, world: World) -> Comparison | None:
        """Ask the comparator as events would, then as the sweeper does at its last deadline."""
        settler = _judging(world)
        candidate = self.books[Role.CANDIDATE] if self.mode is ExecutionMode.PAPER else None
        settler._parts.cases._broker = BrokerTruthReader(self.books[Role.CONTROL], candidate)
        deadlines = Deadlines()
        for seconds in (300.0, deadlines.missing_after + 3_600, deadlines.missing_after + 7_200):
            if settler.settle(plan.plan_id, CLOCK.at + timedelta(seconds=seconds)).judged:
                break
        key = world.pairs[plan.plan_id].comparison_key
        return None if key is None else Comparison.parse_json(world.objects[key])

    def _publish(self, plan: Any, deployment: Decimal, world: World) -> list[str]:
        """Publish as the portfolio code does; give the messages that reached the intake queue."""
        turns, messages = Turns(), list[str]()

        def send_message(*, QueueUrl: str, MessageBody: str) -> dict[str, str]:  # noqa: N803 - the service's names
            messages.append(MessageBody)
            return {"MessageId": QueueUrl}

        core = publishing._Core(IntakeQueue("intake", lambda: SimpleNamespace(send_message=send_message)), "dev", 0.05)
        swapped = self.in_production is Lane.WORKFLOW
        control = DualPublisher(lambda given: self._run_control(given, deployment, world), core, swapped=swapped)
        with on_turns(publishing, turns, CLOCK.at.timestamp(), lambda: 0.0, StringIO()):
            turns.spawn(Process(), lambda: control.publish(plan))
            turns.run(PUBLISHING_SECONDS)
        return messages

    def _run_control(self, plan: Any, deployment: Decimal, world: World) -> Published:
        """Publish to the legacy lane, whichever role it has, and let it work its queue."""
        control = Control(deployment=deployment, broker=self.control_broker)  # type: ignore[arg-type] # the port
        publisher = replace(control.publisher(), equity=self._equity, now=CLOCK.now)
        published = (DryRunPublisher(publisher, lambda same: same) if self._is_recorded else publisher).publish(plan)
        assert isinstance(published, Published)
        taken = 0
        while taken < len(control.queue.sent):
            self._deliver(control, control.queue.sent[taken].body)
            taken += 1
        keep_control(control, published.run_id, plan.correlation_id, world)
        return published

    def _equity(self) -> Decimal:
        """What the legacy lane's account is worth when the plan is published, before any fault strikes the lane's own calls."""
        return self.simulator.account(Lane.LEGACY.role_beside(self.in_production)).equity

    @property
    def _is_recorded(self) -> bool:
        """Whether the legacy lane shadows in dry run."""
        return self.in_production is Lane.WORKFLOW and self.mode is ExecutionMode.DRY_RUN

    def _deliver(self, control: Control, body: str) -> None:
        """Deliver one record, again where the lane died on it, as the queue does."""
        parts = replace(control.parts(), now=CLOCK.now, sleep=CLOCK.sleep)
        for _ in range(MOST_DELIVERIES):
            try:
                lane = DryRunLane(parts, LaneParts.assemble) if self._is_recorded else parts.assemble()
                lane.process(TradeMessage.parse_json(body))
            except Killed:
                continue
            return

    def _invoke(self, function: str, event: Any) -> Any:
        try:
            return super()._invoke(function, event)
        except Killed:
            raise TaskError("Lambda.Unknown", "the process died") from None

    def _spoil(self, world: World, plan: Any, fault: Fault) -> None:
        """Change what one lane left, in one of the places where it leaves records."""
        run_id, arn = run_id_of(plan.plan_id), execution_arn(run_id_of(plan.plan_id))
        others = {run_id: OTHER, plan.plan_id: f"{plan.plan_id}-other", plan.correlation_id: f"{plan.correlation_id}-other"}
        if fault.role is Lane.WORKFLOW.role_beside(self.in_production):
            if fault.number % 2:
                world.state_items[run_id] = spoil(world.state_items[run_id], fault, others)
            else:
                describe, history = world.executions[arn]
                world.executions[arn] = (describe, spoil(list(history), fault, others))
            return
        run_id = next(iter(world.control_items))
        others = {run_id: OTHER, **others}
        if fault.number % 3 == 0:
            world.control_items[run_id] = spoil(world.control_items[run_id], fault, others)
        elif fault.number % 3 == 1:
            events = world.events[run_id]
            changed = spoil([events[key] for key in sorted(events)], fault, others)
            world.events[run_id] = {f"{number:04}": item for number, item in enumerate(changed)}
        else:
            assert world.ledger_rows is not None
            world.ledger_rows[plan.correlation_id] = spoil(world.ledger_rows[plan.correlation_id], fault, others)


class _Ledger(FakeLedger):
    """The pair ledger, as the intake uses it as well. Every plan of a draw gets a pair."""

    def create(self, pair: Pair) -> Pair | None:
        standing = self.world.pairs.setdefault(pair.plan_id, pair)
        return None if standing is pair else standing

    def note_unpaired(self, plan: UnpairedPlan) -> bool:
        raise AssertionError(plan)

    def is_unpaired(self, plan_id: str) -> bool:
        return plan_id not in self.world.pairs


class _Starter:
    """Keeps the input of the one execution that is started."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    def start(self, name: str, document: str, accepted: frozenset[str]) -> tuple[str, str]:
        assert digest(document) in accepted
        self.documents.append(document)
        return execution_arn(run_id_of_execution(name)), digest(document)

    def found(self, name: str, accepted: frozenset[str]) -> tuple[str, str] | None:
        raise AssertionError((name, accepted))


def _taken_in(messages: list[str], world: World) -> str:
    """Take the messages in as the intake does; give the input that it started the candidate with."""
    recorder, starter = FakeRecorder(world, Fuse()), _Starter()
    store = S3PlanStore(clients.s3(), BUCKET)
    intake = Intake(_Ledger(world, Fuse()), starter, store, recorder, lambda: PublishMode.parse("shadow"), CLOCK.now)
    failed = take_batch(intake.take, recorder, enumerate(messages), CLOCK.sleep)  # type: ignore[arg-type] # numbers name them
    [document] = starter.documents
    assert failed == []
    return document


@contextmanager
def without_logs(level: int = logging.CRITICAL) -> Iterator[None]:
    """Keep what is logged up to `level` from being written, while many worlds are run."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def simulation(mode: ExecutionMode, in_production: Lane = Lane.LEGACY) -> Iterator[Simulation]:
    """Give a simulation whose candidate runs in `mode`, without a wall clock and without chance of its own."""
    simulator = Simulator()
    made = Simulation.__new__(Simulation)
    legacy, workflow = (lane.role_beside(in_production) for lane in (Lane.LEGACY, Lane.WORKFLOW))
    own = ExecutionMode.LIVE if in_production is Lane.WORKFLOW else mode
    account = fingerprint_of(simulator.account(Role.CONTROL).number)
    brokers = {role: broker_of(role, lambda request, role=role: made.wires[role](request)) for role in Role}
    books = {role: broker_of(role, exchange_with(simulator)) for role in Role}
    with ExitStack() as stack:
        tables = stack.enter_context(quick_tables())
        settings = {"EXECUTION_MODE": own.value, "PRODUCTION_LANE": in_production.value, "CONTROL_ACCOUNT_FINGERPRINT": account}
        built = stack.enter_context(cloud(**settings))
        options = {"mode": mode, "in_production": in_production, "books": books}
        Simulation.__init__(made, built, simulator, brokers[legacy], tables, **options)  # type: ignore[arg-type]
        for module in (lanes_module, small_states, candidate_state, api):
            stack.enter_context(patch.object(module, "datetime", SimulatedDatetime))
        new_york = market.NEW_YORK
        stack.enter_context(patch.object(market.Market, "now", lambda _: CLOCK.now().astimezone(new_york)))
        stack.enter_context(patch.object(SystemClock, "now", lambda _: CLOCK.now()))
        stack.enter_context(patch.object(SystemClock, "sleep", lambda _, seconds: CLOCK.sleep(seconds)))
        stack.enter_context(patch.object(reference, "uuid4", lambda: UUID(int=made._seeded.getrandbits(128), version=4)))
        stack.enter_context(patch.object(AlpacaBroker, "connect", lambda _: brokers[workflow]))
        submit = RecordingBroker.submit

        def recorded(self: RecordingBroker, request: Any) -> Any:
            order = submit(self, request)
            made.recorded.append(order)
            return order

        stack.enter_context(patch.object(RecordingBroker, "submit", recorded))
        yield made
