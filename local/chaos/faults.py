"""Business Unit: local cloud | Status: current.

The faults. They strike everything that this project adds, and nothing that the control is made of: the control's function,
queue, account and the function in which the plan is published to it are left alone, because a control that was struck itself
proves nothing about the harness beside it.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local.broker_simulator.controls import ORDERS_PATH
from local.broker_simulator.values import Fault, FaultKind
from local.operator import Operator
from local.stack import STAGE
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

BROKER_FAULTS = (
    FaultKind.THROTTLE,
    FaultKind.SERVER_ERROR,
    FaultKind.DOWN,
    FaultKind.DROP_ANSWER,
    FaultKind.GATEWAY_TIMEOUT,
    FaultKind.MALFORMED,
    FaultKind.EMPTY,
    FaultKind.UNKNOWN_STATUS,
    FaultKind.REST,
    FaultKind.PARTIAL_FILL,
    FaultKind.REFUSE,
    FaultKind.REJECT,
    FaultKind.FILL_ON_CANCEL,
    FaultKind.PRICE_LATE,
    FaultKind.QUOTE_MISSING,
)
_MOST_AT_ONCE = 4
_ORDERS_OFTENER = 5
_SPARED_STARTS = 0.8
_SPARED = ("legacy-execution", "publish-plan")
_RULES = (("shadow-candidate-status", "default"), ("shadow-control-events", f"alchemiser-{STAGE}-events"))
_WORKER = b"ministack-lambda-"
Struck = tuple[str, str, str]


class Striker:
    """Strikes one local stack at random; the same seed strikes in the same order."""

    def __init__(self, operator: Operator, seed: int) -> None:
        """Strike what `operator` operates."""
        self._operator = operator
        self._random = random.Random(seed)
        self._deaf: list[tuple[str, str]] = []
        access = operator.stack.access
        self._events: EventBridgeClient = access.session.client("events", endpoint_url=access.endpoint, config=access.config)
        self._sqs = access.sqs()

    def pause(self) -> float:
        """Give the seconds until the next fault."""
        return self._random.uniform(0.1, 0.8)

    def spares_the_start(self) -> bool:
        """Tell whether a run is struck only once it has begun to order; else most would be struck before there is any order."""
        return self._random.random() < _SPARED_STARTS

    def orders(self) -> int:
        """Count the candidate's orders so far."""
        return len(self._operator.stack.broker.orders(Role.CANDIDATE))

    def strike(self, plan: RebalancePlan) -> Struck:
        """Do one thing; give its name, its target, and what it did at once."""
        ways: tuple[tuple[int, Callable[[RebalancePlan], Struck]], ...] = (
            (4, self._broker),
            (4, self._kill),
            (2, self._lose_events),
            (3, self._double_event),
            (1, self._publish_again),
        )
        (way,) = self._random.choices([way for _, way in ways], [weight for weight, _ in ways])
        self._hear_again()
        return way(plan)

    def relent(self) -> None:
        """Let nothing go wrong any more."""
        self._hear_again()
        self._operator.stack.broker.clear_faults()

    def _broker(self, plan: RebalancePlan) -> Struck:
        """Throttle or break the candidate's broker account for its next calls."""
        del plan
        kind, count = self._random.choice(BROKER_FAULTS), self._random.randint(1, _MOST_AT_ONCE)
        path = self._random.choice((*[ORDERS_PATH] * _ORDERS_OFTENER, None))
        self._operator.stack.broker.add_fault(Fault(kind=kind, account=Role.CANDIDATE, count=count, path=path))
        return f"broker: {kind.value}", path or "any call", f"the next {count} calls of the candidate that it can strike"

    def _kill(self, plan: RebalancePlan) -> Struck:
        """Kill one of the emulator's function workers by its process id."""
        del plan
        workers = sorted(workers_of(self._operator.stack.emulator.pid))
        if not workers:
            return "kill a worker", "-", "no worker was there"
        name, pid = self._random.choice(workers)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return "kill a worker", name, f"process {pid} was killed"

    def _lose_events(self, plan: RebalancePlan) -> Struck:
        """Let the comparator hear nothing on one rule until the next fault."""
        del plan
        rule, bus = self._random.choice(_RULES)
        self._events.disable_rule(Name=f"alchemiser-{STAGE}-{rule}", EventBusName=bus)
        self._deaf.append((rule, bus))
        return "lose events", rule, "not delivered until the next fault"

    def _hear_again(self) -> None:
        while self._deaf:
            rule, bus = self._deaf.pop()
            self._events.enable_rule(Name=f"alchemiser-{STAGE}-{rule}", EventBusName=bus)

    def _double_event(self, plan: RebalancePlan) -> Struck:
        """Tell the comparator once more, or too early, that the candidate's run has ended."""
        status = self._random.choice(("SUCCEEDED", "FAILED"))
        arn = self._operator.execution_arn(plan.plan_id)
        event = {
            "version": "0",
            "id": f"chaos-{self._random.getrandbits(64):016x}",
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": arn,
                "stateMachineArn": self._operator.stack.output("StateMachineArn"),
                "name": arn.rsplit(":", 1)[-1],
                "status": status,
                "startDate": 1,
                "stopDate": 2,
            },
        }
        times = self._random.randint(1, _MOST_AT_ONCE)
        for _ in range(times):
            self._sqs.send_message(QueueUrl=self._operator.stack.output("ComparatorQueueUrl"), MessageBody=json.dumps(event))
        return "double events", "the comparator's queue", f"{status} was told {times} times"

    def _publish_again(self, plan: RebalancePlan) -> Struck:
        """Publish the plan that runs once more."""
        self._operator.publish(plan)
        return "publish again", "both lanes", "the plan that runs was published once more"


def workers_of(emulator: int) -> list[tuple[str, int]]:
    """Give the function workers that are children of the emulator's process, except those that are the control."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes()
            if parent == emulator and _WORKER in command:
                name = command.split(_WORKER, 1)[1].split(b"/", 1)[0].decode(errors="replace").rsplit("-", 1)[0]
                if not any(spared in name for spared in _SPARED):
                    found.append((name, int(folder.name)))
    return found
