"""Business Unit: local cloud | Status: current.

The fault matrix of publishing: every operation of the harness by every kind of fault, each cell run for real on a
`DualPublisher` with in-memory ports. The tests assert on the observations, the page shows them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import NoReturn, TypeVar, cast
from unittest.mock import patch

from botocore.exceptions import ClientError

from shadow.contracts.metrics import Metric
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, payload, work
from shadow.publish.errors import StartRefused
from shadow.publish.mode import PublishMode
from shadow.publish.ports import Started, StoredObject
from shadow.publish.publication import Clocks
from shadow.publish.report import Operation
from shadow.publish.work import Ports, ShadowHarness

HANG_BOUND_SECONDS = 0.02
BOUND_SECONDS = 0.05
PATIENCE_SECONDS = 20.0
DAY = 86_400.0

T = TypeVar("T")


class Fault(StrEnum):
    """What can befall an operation."""

    NONE = "none"
    EXCEPTION = "exception"
    SYSTEM_EXIT = "SystemExit"
    MEMORY_ERROR = "MemoryError"
    THROTTLE = "throttle"
    UNSERIALISABLE = "unserialisable"
    MALFORMED = "malformed answer"
    SLOW = "slow"
    HANG = "hang"
    CLOCK_FORWARD = "clock +1 day"
    CLOCK_BACK = "clock -1 day"


class Released(Exception):
    """Ends a hang when the cell has been looked at."""


class ControlDown(Exception):
    """What the control raises in half of the cells."""


_RAISED: Mapping[Fault, BaseException] = {
    Fault.EXCEPTION: RuntimeError("planted"),
    Fault.SYSTEM_EXIT: SystemExit(3),
    Fault.MEMORY_ERROR: MemoryError(),
    Fault.THROTTLE: ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Planted"),
    Fault.UNSERIALISABLE: TypeError("Object of type object is not JSON serializable"),
}


class Malformed:
    """An answer that no port allows."""

    def __getattr__(self, name: str) -> NoReturn:
        """Have nothing."""
        raise AttributeError(f"a malformed answer has no {name}")


def _malformed(kind: type[T]) -> T:
    del kind
    return cast("T", Malformed())


@dataclass
class Planted:
    """One fault at one operation, and the wall clock that it may move."""

    operation: Operation | None = None
    fault: Fault = Fault.NONE
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    shift: float = 0.0

    def strike(self, operation: Operation) -> bool:
        """Do to `operation` what is planted for it; True when its answer is to be malformed."""
        if operation is not self.operation:
            return False
        self.reached.set()
        if self.fault in _RAISED:
            raise _RAISED[self.fault]
        if self.fault in {Fault.SLOW, Fault.HANG}:
            self.release.wait(PATIENCE_SECONDS)
        if self.fault is Fault.HANG:
            raise Released
        if self.fault is Fault.CLOCK_FORWARD:
            self.shift = DAY
        if self.fault is Fault.CLOCK_BACK:
            self.shift = -DAY
        return self.fault is Fault.MALFORMED

    def wall(self) -> float:
        """Give the wall clock's time, in epoch seconds."""
        return time.time() + self.shift


@dataclass
class Cloud:
    """Every port in memory, each call open to the planted fault."""

    planted: Planted = field(default_factory=Planted)
    publish_mode: PublishMode = field(default_factory=lambda: PublishMode.parse("shadow"))
    pairs: dict[str, Pair] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    metrics: dict[Metric, float] = field(default_factory=dict)
    lines: list[dict[str, str]] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)

    def mode(self) -> PublishMode:
        """Give the mode."""
        return _malformed(PublishMode) if self.planted.strike(Operation.MODE) else self.publish_mode

    def put(self, key: str, body: bytes) -> StoredObject:
        """Keep `body`."""
        malformed = self.planted.strike(Operation.CLAIM_CHECK)
        self.objects[key] = body
        return _malformed(StoredObject) if malformed else StoredObject("bucket", key)

    def create(self, pair: Pair) -> Pair | None:
        """Keep `pair` unless there is one."""
        malformed = self.planted.strike(Operation.LEDGER)
        existing = self.pairs.get(pair.plan_id)
        self.pairs.setdefault(pair.plan_id, pair)
        return _malformed(Pair) if malformed else existing

    def start(self, name: str, document: str, accepted: frozenset[str]) -> Started:
        """Keep the input unless there is one."""
        malformed = self.planted.strike(Operation.START)
        found = payload.digest(self.executions.setdefault(name, document).encode())
        if found not in accepted:
            raise StartRefused("ExecutionAlreadyExists")
        return _malformed(Started) if malformed else Started(f"arn:{name}", found)

    def mark_started(self, pair: Pair, started: Started, at: datetime) -> None:
        """See the port."""
        del at
        self.planted.strike(Operation.LEDGER_UPDATE)
        self._change(pair, start_state="STARTED", execution_arn=started.execution_arn, input_sha256=started.input_sha256)

    def mark_refused(self, pair: Pair, reason: str, at: datetime) -> None:
        """See the port."""
        del at
        self._change(pair, start_state="REFUSED", start_reason=reason)

    def mark_control_error(self, pair: Pair, error: str | None, at: datetime) -> None:
        """See the port."""
        del at
        self.planted.strike(Operation.CONTROL_RECORD)
        self._change(pair, control_error=error)

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Add up."""
        self.planted.strike(Operation.METRICS)
        for metric, value in values.items():
            self.metrics[metric] = self.metrics.get(metric, 0.0) + value

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Keep the line."""
        self.planted.strike(Operation.LOGGING)
        self.lines.append({"message": message, "problem": str(problem), **fields})

    def positions(self, plan: RebalancePlan) -> Mapping[str, Decimal]:
        """Give what is held."""
        del plan
        return _malformed(dict) if self.planted.strike(Operation.POSITIONS) else self.held

    def harness(self) -> ShadowHarness:
        """Put the harness together."""
        return ShadowHarness(Ports(mode=self, ledger=self, starter=self, store=self, recorder=self, positions=self.positions))

    def _change(self, pair: Pair, **changes: str | None) -> None:
        known = self.pairs[pair.plan_id]
        self.pairs[pair.plan_id] = Pair.model_validate(known.model_dump() | changes | {"version": known.version + 1})


_INSIDE = {
    Operation.SNAPSHOT: (payload, "snapshot"),
    Operation.VALIDATION: (payload, "read_plan"),
    Operation.SAMPLING: (PublishMode, "covers"),
    Operation.IDENTITY: (work, "run_id_of"),
    Operation.PAYLOAD: (payload, "candidate_input"),
}


@contextmanager
def inside(planted: Planted) -> Iterator[None]:
    """Plant the fault where the operation is not a port but a function of the harness."""
    with ExitStack() as stack:
        if planted.operation in _INSIDE:
            owner, name = _INSIDE[planted.operation]
            real = getattr(owner, name)
            operation = planted.operation

            def struck(*args: object) -> object:
                return Malformed() if planted.strike(operation) else real(*args)

            stack.enter_context(patch.object(owner, name, struck))
        yield


@dataclass(frozen=True)
class Cell:
    """One cell: a fault at an operation, with a control that returns or raises."""

    operation: Operation | None
    fault: Fault
    control_raises: bool

    def __str__(self) -> str:
        """Read as the test's name."""
        where = "-" if self.operation is None else self.operation.value
        return f"{where} / {self.fault.value} / control {'raises' if self.control_raises else 'returns'}"


@dataclass(frozen=True)
class Seen:
    """What was observed in a cell."""

    reached: bool
    control_called_once_as_given: bool
    answer_unchanged: bool
    added_seconds: float
    bound_seconds: float
    candidate: str
    counted: bool


CELLS = tuple(
    Cell(operation, fault, raises)
    for operation in Operation
    for fault in Fault
    for raises in (False, True)
    if fault is not Fault.NONE and (raises or operation is not Operation.CONTROL_RECORD)
)
"""Every cell. The control's error is recorded only where there is one."""


@cache
def observe(cell: Cell) -> Seen:
    """Run one cell."""
    planted = Planted(cell.operation, cell.fault)
    cloud = Cloud(planted)
    plan = example_plan(trades=120 if cell.operation is Operation.CLAIM_CHECK else 3)
    calls: list[tuple[object, ...]] = []
    answer, error, span = object(), ControlDown("planted"), [0.0, 0.0]

    def control(given: RebalancePlan, *args: object) -> object:
        span[0] = time.monotonic()
        calls.append((given, *args))
        span[1] = time.monotonic()
        if cell.control_raises:
            raise error
        return answer

    waits = cell.fault in {Fault.SLOW, Fault.HANG}
    bound = HANG_BOUND_SECONDS if waits else BOUND_SECONDS
    publisher = DualPublisher(control, harness=cloud.harness(), bound_seconds=bound, clocks=Clocks(wall=planted.wall))
    with inside(planted):
        begun = time.monotonic()
        try:
            got: object = publisher.publish(plan, "extra")
        except ControlDown as raised:
            got = raised
        added = time.monotonic() - begun - (span[1] - span[0])
        candidate = _let_go(cell, cloud, publisher)
    return Seen(
        reached=planted.reached.is_set(),
        control_called_once_as_given=len(calls) == 1 and calls[0][0] is plan and calls[0][1:] == ("extra",),
        answer_unchanged=got is (error if cell.control_raises else answer),
        added_seconds=added,
        bound_seconds=bound,
        candidate=candidate,
        counted=publisher.lost > 0 or Metric.PUBLISH_FAILURES in cloud.metrics or Metric.PUBLISH_BOUND_EXCEEDED in cloud.metrics,
    )


def _let_go(cell: Cell, cloud: Cloud, publisher: DualPublisher[RebalancePlan, [str], object]) -> str:
    """Let the harness come to its end, and say what became of the candidate (of a hang: while it hangs)."""
    if cell.fault is not Fault.HANG:
        cloud.planted.release.set()
        publisher.settle(PATIENCE_SECONDS)
        return _fate(cloud)
    cloud.planted.reached.wait(PATIENCE_SECONDS)
    fate = _fate(cloud)
    cloud.planted.release.set()
    publisher.settle(PATIENCE_SECONDS)
    return fate


def _fate(cloud: Cloud) -> str:
    pair = next(iter(cloud.pairs.values()), None)
    if pair is None:
        return "no pair"
    return f"{'running' if cloud.executions else 'not started'}, pair {pair.start_state.value}"


def example_plan(trades: int = 15, plan_id: str = "portfolio_v2_workflow-1_1768250700") -> RebalancePlan:
    """Give a plan of `trades` trades of 1,000 USD, every second one a SELL and every fourth a full exit."""
    items = [
        {
            "symbol": f"S{number:04d}",
            "current_weight": "0.0512345678901234567890123456",
            "target_weight": "0.0612345678901234567890123456" if number % 2 else ("0" if number % 4 == 0 else "0.02"),
            "weight_diff": "0.01",
            "target_value": "6123.45",
            "current_value": "5123.45",
            "trade_amount": "1000.00" if number % 2 else "-1000.00",
            "action": "BUY" if number % 2 else "SELL",
            "priority": 2,
        }
        for number in range(trades)
    ]
    return RebalancePlan.read(
        {
            "correlation_id": "workflow-1",
            "causation_id": "cause-1",
            "plan_id": plan_id,
            "timestamp": "2026-01-12T20:45:00+00:00",
            "items": items,
            "total_portfolio_value": "100000",
            "total_trade_value": str(1000 * trades),
        }
    )
