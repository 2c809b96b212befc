"""Business Unit: benchmarks | Status: current.

B1 and B2, the measured process: the control's own publishing call against the local cloud, alone and through the shim, in turn;
and, where the candidate's endpoint hangs, through laboratory's experiment with the same call. Runs where laboratory is installed.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from benchmarks.plans import plan_of, total_of
from shadow.aws import clients
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, dual_publisher_from_environment
from shadow.reference.publishing import LegacyPublisher, NothingToExecute, Published
from shadow.reference.tables import DynamoPlanTable, DynamoRunsStore, SqsTradeQueue

TRADES = 15
WARM_UP = 1
_SETTLE_SECONDS = 10.0
_QUIET_SECONDS = 30.0
Outcome = Published | NothingToExecute


def measure(
    *, turns: int, name: str, runs_table: str, queue_url: str, plan_table: str, machine: str, healthy: bool, laboratory: bool
) -> dict[str, list[float]]:
    """Time each way of publishing once a turn, in seconds. Where the candidate is healthy, its run is waited for in between."""
    control = LegacyPublisher(
        store=DynamoRunsStore(clients.dynamodb(), runs_table),
        queue=SqsTradeQueue(clients.sqs(), queue_url),
        plans=DynamoPlanTable(clients.dynamodb(), plan_table),
        equity=lambda: total_of(TRADES),
        deployment_fraction=Decimal(1),
        now=lambda: datetime.now(UTC),
    ).publish
    if "INTAKE_ENDPOINT" in os.environ:  # the control's own client is made by now, and keeps its endpoint
        os.environ["AWS_ENDPOINT_URL_SQS"] = os.environ["INTAKE_ENDPOINT"]
    publisher: DualPublisher[[RebalancePlan], Outcome] = dual_publisher_from_environment(control)
    ways: dict[str, Callable[[RebalancePlan], object]] = {"control": control, "shim": publisher.publish}
    if laboratory:
        ways["laboratory"] = _experiment(control, machine)
    plans = _plans(name)
    times: dict[str, list[float]] = {way: [] for way in ways}
    names = list(ways)
    for turn in range(turns + WARM_UP):
        for place in range(len(names)):
            way = names[(turn + place) % len(names)]
            plan = next(plans)
            begun = time.perf_counter()
            ways[way](plan)
            seconds = time.perf_counter() - begun
            if turn >= WARM_UP:
                times[way].append(seconds)
            publisher.settle(_SETTLE_SECONDS)
            if healthy and way == "shim":
                _await_quiet(machine, plan)
    return times


def _plans(name: str) -> Iterator[RebalancePlan]:
    return (plan_of(TRADES, f"{name}-{number}") for number in count())


def _await_quiet(machine: str, plan: RebalancePlan) -> None:
    """Wait until the candidate's run, which the intake starts, has ended, so that it does not weigh on what is timed next."""
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution_name_of(run_id_of(plan.plan_id))}"
    ends = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < ends:
        with suppress(clients.stepfunctions().exceptions.ExecutionDoesNotExist):
            if clients.stepfunctions().describe_execution(executionArn=arn)["status"] != "RUNNING":
                return
        time.sleep(0.05)


def _experiment(control: Callable[[RebalancePlan], Outcome], machine: str) -> Callable[[RebalancePlan], object]:
    """Publish as one would with laboratory: the control, and the start of the candidate with the shim's own time limits."""
    laboratory = importlib.import_module("laboratory")
    states = clients.stepfunctions(clients.CallLimits(connect_seconds=1.0, read_seconds=2.0, attempts=1))

    def candidate(plan: RebalancePlan) -> object:
        name = execution_name_of(run_id_of(plan.plan_id))
        return states.start_execution(stateMachineArn=machine, name=name, input=plan.model_dump_json())

    def conduct(plan: RebalancePlan) -> object:
        trial = laboratory.Experiment()
        trial.control(control, args=(plan,))
        trial.candidate(candidate, args=(plan,))
        with suppress(laboratory.exceptions.LaboratoryException):
            return trial.conduct(randomize=False)
        return None

    return conduct
