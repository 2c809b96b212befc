"""Business Unit: tests | Status: current.

Schedules: the publishing library, the intake, the comparator and the sweeper as they are, over services that refuse, forget, die
and deliver late, twice or never, with lanes that are played. Each seed draws plans, fates and rates; then the world heals, an
operator redrives the dead letters, and every deadline passes. What must hold then is the business of `schedule_audit`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from unittest.mock import patch

import shadow.publish as publishing
from shadow.aws import clients
from shadow.aws.table import plain_item
from shadow.contracts.control_records import SOURCE_OF, DetailType, LegacyRunStatus
from shadow.contracts.errors import EvidenceUnavailable, MissingPermission
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Metric, TradeStatus
from shadow.intake import composition as intake_composition
from shadow.intake.aws import PublishMode
from shadow.intake.composition import IntakeEnvironment, intake_from, take_batch
from shadow.intake.intake import Intake
from shadow.lanes.lane import Deadlines
from shadow.lanes.redaction import Redactor
from shadow.publish import DualPublisher, IntakeQueue
from shadow.settlement import composition as settlement_composition
from shadow.settlement import sweeper
from shadow.settlement.composition import Comparator, ComparatorEnvironment, comparator_from
from shadow.settlement.hints import Message
from shadow.settlement.sweeper import Sweeper
from tests.factories.control_items import ControlRun
from tests.factories.histories import BEGIN, STATE_MACHINE, Execution, Scenario, play
from tests.factories.pairs import minted
from tests.fakes.evidence import fake_judge
from tests.fakes.plans import plan_of
from tests.simulation.services import Executions, Objects, Queue, Rates, Started, Tables, Wire, moment, refusal
from tests.simulation.turns import Crash, Process, Turns, on_turns

BOUND_SECONDS = 0.05
INTAKE_VISIBILITY, COMPARATOR_VISIBILITY = 360.0, 1800.0
LEDGER, RUNS = "ledger", "runs"
DEADLINES = Deadlines()
HEALS = (300.0, 1_800.0, 8_000.0, 23_000.0)
SWEEPS = (130.0, 400.0, 900.0, 1_500.0, 3_700.0, 9_000.0, 15_000.0)
OFFSETS = (1.0, 7.0, 20.0, 45.0)
CONTROL = ("ok", "ok", "ok", "failed", "hangs", "late", "raises", "raises after")
CANDIDATE = ("ok", "ok", "ok", "failed", "aborted", "hangs", "redriven")
ANSWERS = ("text", "mapping", "nothing", "nothing")
STATUS_CHANGE = {
    "source": "aws.states",
    "detail-type": "Step Functions Execution Status Change",
    "time": BEGIN.isoformat(),
    "resources": [],
}
MODES = ("shadow", "shadow", "shadow", "shadow:50", "off", "nonsense")
_AMOUNTS: tuple[dict[str, str], ...] = ({"AAPL": "-600", "GOOG": "1000"}, {"MSFT": "500"}, {"JPM": "-900", "V": "300"})
POOL = tuple(plan_of(name=f"s{number}", **_AMOUNTS[number % 3]) for number in range(9))
HOLD = plan_of(name="hold", holds=("AAPL",))
LARGE = plan_of(name="large", **{f"X{number}": "100" for number in range(110)})


class ControlDown(Exception):
    """The control's own failure."""


@dataclass(frozen=True)
class _Run(ControlRun):
    """One run of a plan: the lane mints another id for each publication."""

    number: int = 0

    @property
    def run_id(self) -> str:
        return minted(f"{self.plan.plan_id} {self.number}")


@cache
def legacy_records(plan_id: str, kind: str, number: int, seconds: float) -> tuple[str, list[Any], list[Any], list[str]]:
    """Give a run of the legacy lane: its id, its items while it runs and at its end, and its events as the bus brings them."""
    plan = next(plan for plan in (*POOL, LARGE) if plan.plan_id == plan_id)
    last = plan.tradable_items[-1].symbol
    at = BEGIN + timedelta(seconds=seconds)
    endings = {"failed": {last: "FAILED"}, "hangs": {last: "RUNNING"}}.get(kind, {})
    status = LegacyRunStatus.BUY_PHASE if kind == "hangs" else LegacyRunStatus.COMPLETED
    run = _Run(plan, endings, status, at=at, number=number)
    running = _Run(plan, {last: "RUNNING"}, LegacyRunStatus.BUY_PHASE, at=at, number=number)
    events = [] if kind == "hangs" else run.events()
    return run.run_id, running.items(), run.items(), [_as_sent(run.run_id, item) for item in events]


def _as_sent(run_id: str, item: Mapping[str, object]) -> str:
    values = plain_item(item)
    kind = DetailType(str(values["detail_type"]))
    name = f"{run_id}-{values['SK']}".replace("#", "-")[:190]
    return json.dumps({"id": name, "source": SOURCE_OF[kind], "detail-type": kind, "detail": json.loads(str(values["detail"]))})


@cache
def played(plan_id: str, kind: str) -> Execution:
    """Give an execution of the workflow as it ends."""
    plan = next(plan for plan in (*POOL, LARGE) if plan.plan_id == plan_id)
    last = plan.tradable_items[-1].symbol
    if kind == "failed":
        return play(Scenario(plan, statuses={last: TradeStatus.FAILED}))
    if kind == "broken off":
        return play(Scenario(plan, fail_in="AggregateResults"))
    return play(Scenario(plan, stop="ABORTED" if kind == "aborted" else None, redrives=1 if kind == "redriven" else 0))


@dataclass(frozen=True)
class Fate:
    """What is drawn of one publication: the plan, in which form it is given, and how both lanes fare with it."""

    plan: RebalancePlan
    form: str
    control: str
    candidate: str
    at: float
    answer: str
    takes: float
    dies: float | None

    def __str__(self) -> str:
        plan, dies = self.plan.plan_id, "" if self.dies is None else f"; the process dies {self.dies:.1f} s later"
        return f"{plan} as {self.form} at {self.at} s: control {self.control} in {self.takes} s, candidate {self.candidate}{dies}"


@dataclass
class Call:
    """One call of the publisher, as its caller saw it. `given` is the argument, `before` a copy of it from before."""

    fate: Fate
    given: object
    before: object
    begun: float
    ended: float | None = None
    outcome: object = None
    reached: list[tuple[object, float, float]] = field(default_factory=list)
    own: list[object] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


class Recorder:
    """Metrics and logs of all functions. A process may die before or after it wrote."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.counted: Counter[Metric] = Counter()
        self.lines: list[tuple[str, Mapping[str, str], bool]] = []

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Count."""
        self.wire.die("emit")
        self.counted.update(values)  # type: ignore[arg-type] # adds floats as it adds whole numbers
        self.wire.die("emit")

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Keep a line."""
        self.lines.append((message, fields, problem))


class _Out:
    """The publishing process's standard output."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.lines: list[dict[str, Any]] = []

    def write(self, text: str) -> None:
        if self.turns.current().process.is_dead:
            raise Crash
        self.lines.append(json.loads(text))

    def flush(self) -> None:
        """Nothing is held back."""


class World:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.seed, self.dice = seed, random.Random(f"schedule {seed}")
        self.turns = Turns()
        self.wire = Wire(self.turns, self.dice, Rates.drawn(self.dice))
        self.tables, self.objects = Tables(self.wire), Objects(self.wire)
        self.executions = Executions(self.wire, self._candidate_runs)
        self.recorder, self.out = Recorder(self.wire), _Out(self.turns)
        self.intake_queue = Queue(self.wire, self._intake, INTAKE_VISIBILITY)
        self.comparator_queue = Queue(self.wire, self._hints, COMPARATOR_VISIBILITY)
        self.mode = [(0.0, self.dice.choice(MODES))]
        self.swapped, self.shadowed = self.dice.random() < 0.2, self.dice.random() < 0.8
        self.heals_at = self.dice.choice(HEALS)
        self.calls: list[Call] = []
        self.planned: dict[str, Any] = {}
        self.ended: dict[str, float] = {}
        self.sweeps_failed = 0

    # ---------------------------------------------------------------- what is drawn

    def fates(self) -> list[Fate]:
        """Draw what is published, and how it fares."""
        dice = self.dice
        plans = dice.sample(POOL, dice.choice((1, 1, 2, 3)))
        if dice.random() < 0.3:
            plans.append(dice.choice(plans))
        if dice.random() < 0.1:
            plans.append(HOLD)
        if dice.random() < 0.0005:
            plans.append(LARGE)
        return [self._fate(plan) for plan in plans]

    def _fate(self, plan: RebalancePlan) -> Fate:
        dice = self.dice
        forms = ("model", "mapping", "text") if plan is not HOLD else ("mapping",)
        form = dice.choice(("broken", "uncopyable", "other")) if plan is not HOLD and dice.random() < 0.1 else dice.choice(forms)
        control = "hold" if plan is HOLD else dice.choice(CONTROL)
        return Fate(
            plan=plan,
            form=form,
            control=control,
            candidate=dice.choice(CANDIDATE),
            at=dice.choice(OFFSETS),
            answer=dice.choice(ANSWERS),
            takes=dice.choice((0.001, 0.2, 3.0, 70.0)),
            dies=dice.random() * 4 if dice.random() < self.wire.rates.death * 4 else None,
        )

    # ---------------------------------------------------------------- the run

    def run(self) -> World:
        """Run everything: faults, healing, and all deadlines."""
        for fate in self.fates():
            self.turns.at(fate.at, lambda fate=fate: self._publish(fate))  # type: ignore[misc]
        if self.dice.random() < 0.3:
            self.turns.at(self.dice.random() * 60, lambda: self.mode.append((self.turns.now, self.dice.choice(MODES))))
        if self.dice.random() < 0.05:
            self.executions.is_refusing = True
        self.turns.at(self.heals_at, self._heal)
        for at in (*self.dice.sample(SWEEPS, 3), DEADLINES.missing_after + 100):
            self.turns.at(at, self._sweep)
        self.turns.run(max(self.heals_at, DEADLINES.missing_after + 2_000))
        for _ in range(2):
            self.turns.run(self.turns.now + 6_000)
            self._sweep()
        return self

    def _heal(self) -> None:
        self.wire.heal()
        self.executions.is_refusing = False
        if self.mode[-1][1] == "nonsense":
            self.mode.append((self.turns.now, "shadow"))
        for seconds in (60, 70, 5_000):
            self.turns.after(seconds, self._redrive)

    def _redrive(self) -> None:
        self.intake_queue.redrive()
        self.comparator_queue.redrive()

    # ---------------------------------------------------------------- publishing

    def _publish(self, fate: Fate) -> None:
        given = argument_of(fate)
        call = Call(fate, given, None if fate.form == "uncopyable" else deepcopy(given), self.turns.now)
        self.calls.append(call)
        process = Process()
        queue = IntakeQueue("intake", lambda: self)
        core = publishing._Core(queue, "dev", BOUND_SECONDS)
        publisher = DualPublisher(self._control_of(call), core, swapped=self.swapped, shadowed=self.shadowed)

        def caller() -> None:
            call.begun = self.turns.now
            try:
                call.outcome = publisher.publish(given)
            except Exception as error:  # noqa: BLE001 - what the caller sees is held against what the control gave
                call.outcome = error
            call.ended = self.turns.now

        self.turns.spawn(process, caller)
        if fate.dies is not None:
            self.turns.after(fate.dies, process.kill)

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, object]:  # noqa: N803 - the service's names
        """Take a message from the publisher."""
        del QueueUrl
        wire, rates = self.wire, self.wire.rates
        self.turns.sleep(2.0 if wire.hits(rates.slow) else 0.004)
        if wire.hits(2 * rates.refused):
            raise refusal("AccessDenied", "SendMessage", self.dice.choice((400, 503)))
        number = self.intake_queue.put(MessageBody)
        if wire.hits(rates.lost_answer):
            raise ConnectionError
        return {"MessageId": number}

    def _control_of(self, call: Call) -> Callable[[object], object]:
        fate = call.fate

        def control(plan: object) -> object:
            begun = self.turns.now
            if fate.control != "hold":
                self.planned[fate.plan.plan_id] = fate.plan
            self.turns.sleep(fate.takes)
            call.reached.append((plan, begun, self.turns.now))
            if fate.control == "raises":
                call.own.append(ControlDown())
                raise call.own[-1]  # type: ignore[misc]
            run_id = "" if fate.control == "hold" else self._legacy_runs(call)
            answer: object = {"text": run_id, "mapping": {"run_id": run_id}}.get(fate.answer)
            call.own.append(ControlDown() if fate.control == "raises after" else answer)
            if fate.control == "raises after":
                raise call.own[-1]  # type: ignore[misc]
            return answer

        return control

    def _legacy_runs(self, call: Call) -> str:
        fate, number = call.fate, sum(len(other.runs) for other in self.calls)
        run_id, running, ended, events = legacy_records(fate.plan.plan_id, fate.control, number, fate.at)
        call.runs.append(run_id)
        self.tables.keep(RUNS, running)
        takes = DEADLINES.missing_after + 600 if fate.control == "late" else 8.0

        def ends() -> None:
            self.tables.keep(RUNS, ended)
            for event in events:
                self._event(event)

        self.turns.after(takes, ends)
        return run_id

    def _event(self, body: str) -> None:
        """Bring an event to the comparator's queue, or lose it."""
        if not self.wire.hits(self.wire.rates.lost_event):
            self.comparator_queue.put(body)

    # ---------------------------------------------------------------- the workflow

    def _candidate_runs(self, name: str, run: Started) -> None:
        plan_id = str(json.loads(run.document)["planId"])
        kind = next(call.fate.candidate for call in self.calls if call.fate.plan.plan_id == plan_id)
        if kind != "hangs":
            self.turns.after(9.0, lambda: self._execution_ends(name, run, plan_id, "broken off" if kind == "redriven" else kind))
        if kind == "redriven":
            self.turns.after(1_500.0, lambda: self._execution_ends(name, run, plan_id, kind))

    def _execution_ends(self, name: str, run: Started, plan_id: str, kind: str) -> None:
        execution = played(plan_id, kind)
        run.describe = execution.describe | {"stopDate": moment(self.turns)}
        run.history = list(execution.history)
        arn = str(execution.describe["executionArn"])
        detail = {"executionArn": arn, "name": name, "status": execution.describe["status"], "input": run.document}
        self._event(json.dumps(STATUS_CHANGE | {"id": f"{name}-{kind}", "detail": detail | {"stateMachineArn": STATE_MACHINE}}))

    # ---------------------------------------------------------------- the functions

    def _intake(self, messages: list[tuple[str, str]]) -> list[str]:
        self.wire.die("cold start")
        return take_batch(COMPOSED[0].take, self.recorder, messages, self.turns.sleep)

    def _hints(self, messages: list[tuple[str, str]]) -> list[str]:
        self.wire.die("cold start")
        return COMPOSED[1].hints.take(Message(*message) for message in messages)

    def _sweep(self) -> None:
        if self.wire.hits(self.wire.rates.no_sweep):
            return
        try:
            COMPOSED[1].sweeper.sweep(moment(self.turns))
        except (Crash, EvidenceUnavailable, MissingPermission):
            self.sweeps_failed += 1

    def thread_delay(self) -> float:
        """Give how long a thread waits for its first turn: now and then longer than the caller may be held up, in seconds."""
        return 0.3 * (self.dice.random() > 0.9)

    def now(self) -> datetime:
        """Give the time as the functions ask for it."""
        return moment(self.turns)

    def ticks(self) -> float:
        """Give the time as the sweeper measures its own."""
        return self.turns.now

    def pause(self, seconds: float) -> None:
        """Let a function wait."""
        self.turns.sleep(seconds)

    def read_mode(self) -> PublishMode:
        """Read the operators' switch."""
        return self.wire.call("GetParameter", lambda: PublishMode.parse(self.mode[-1][1]))


def argument_of(fate: Fate) -> object:
    """Give the plan as the portfolio code gives it."""
    wire = fate.plan.to_wire()
    if fate.form == "broken":
        return {name: value for name, value in wire.items() if name != "correlation_id"}
    if fate.form == "uncopyable":
        return wire | {"metadata": {"later": iter(())}}
    if fate.form == "other":
        return wire | {"metadata": {"note": "another plan of the same id"}}
    return {"model": fate.plan, "mapping": wire, "text": json.dumps(wire)}[fate.form]


COMPOSED: tuple[Intake, Comparator] = ()  # type: ignore[assignment] # put together by `composed`
_CURRENT: list[World] = []


class _NothingSecret(Redactor):
    """Played lanes have no secrets, and looking for them takes most of the time."""

    def clean(self, value: object) -> object:
        """Give the value as it is."""
        return value


class _Current:
    """Stands for a part of whichever world runs now, or of the world itself."""

    def __init__(self, part: str | None = None) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        def asked(*arguments: Any, **named: Any) -> Any:
            world = _CURRENT[-1]
            return getattr(world if self._part is None else getattr(world, self._part), name)(*arguments, **named)

        return asked


@contextmanager
def composed() -> Iterator[None]:
    """Put intake and comparator together as the functions do, over the services of whichever world runs."""
    global COMPOSED  # noqa: PLW0603 - one a process, as in the functions
    current = _Current()
    stands_for = {"dynamodb": "tables", "stepfunctions": "executions", "s3": "objects"}
    with ExitStack() as stack:
        for name, part in stands_for.items():
            stack.enter_context(patch.object(clients, name, lambda *_, part=part: _Current(part)))
        for module in (intake_composition, settlement_composition):
            stack.enter_context(patch.object(module, "PowertoolsRecorder", lambda: _Current("recorder")))
        stack.enter_context(patch.object(settlement_composition, "judge_by", lambda _: fake_judge))
        stack.enter_context(patch.object(settlement_composition, "Redactor", _NothingSecret))
        stack.enter_context(patch.object(sweeper, "RECENT_DAYS", 2))
        stack.enter_context(patch.object(Sweeper, "_month_cost", lambda *_: 0.0))  # a gauge that reads every day of the month
        own = {"pair_ledger_table_name": LEDGER, "state_machine_arn": STATE_MACHINE, "evidence_bucket_name": "evidence"}
        intake = replace(
            intake_from(IntakeEnvironment.model_validate(own)),
            now=current.now,
            mode=current.read_mode,
        )
        environment = ComparatorEnvironment.model_validate(own | {"execution_runs_table_name": RUNS})
        made = comparator_from(environment, intake.complete)
        hints = replace(made.hints, now=current.now, pause=current.pause)
        COMPOSED = intake, replace(made, hints=hints, sweeper=replace(made.sweeper, ticks=current.ticks))
        yield


def schedule(seed: int) -> World:
    """Run one schedule; only within `composed`."""
    world = World(seed)
    _CURRENT.append(world)
    try:
        with on_turns(publishing, world.turns, BEGIN.timestamp(), world.thread_delay, world.out):
            return world.run()
    finally:
        _CURRENT.pop()
