"""Business Unit: benchmarks | Status: current.

A local cloud to measure in: the deployed template, a market with a price for every symbol, plans published and followed to their
verdict, and what the services kept of it (history, invocations, evidence).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.plans import DAY, cash, holdings, plan_of, prices
from local.cloud.logs import LogReader
from local.cloud.progress import Progress
from local.operator import Operator
from local.stack import STAGE, LocalStack, local_stack
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Role

FOLDER = Path("build/bench-cloud")
_DURATION = re.compile(r"^REPORT .*?\tDuration: ([0-9.]+) ms")
_FUNCTION = re.compile(r"^alchemiser-[a-z]+-")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function: which, when it ended, how many milliseconds it took."""

    function: str
    ended: datetime
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Execution:
    """The candidate's execution of a plan."""

    wall_seconds: float
    history: list[dict[str, object]]
    stopped: datetime
    status: str


class Desk:
    """Works a local cloud."""

    def __init__(self, stack: LocalStack) -> None:
        """Work `stack`."""
        self.stack = stack
        self.operator = Operator(stack)
        self._logs = LogReader(stack.access.logs())

    def open_market(self, trades: int) -> None:
        """Price and hold exactly what a plan of `trades` trades needs."""
        self.stack.broker.set_day(DAY, prices(trades))
        self.stack.broker.set_account(Role.CONTROL, cash=cash(trades))
        self.stack.broker.set_positions(Role.CONTROL, holdings(trades))

    def run(self, trades: int, name: str, seconds: float = 120) -> Pair:
        """Publish the plan called `name`, of `trades` trades, and wait for its verdict."""
        plan = plan_of(trades, name)
        self.open_market(trades)
        self.operator.publish(plan)
        return self.operator.await_verdict(plan.plan_id, seconds=seconds)

    def execution_of(self, plan_id: str) -> Execution:
        """Read the candidate's execution."""
        states = self.stack.access.stepfunctions()
        arn = self.operator.execution_arn(plan_id)
        described = states.describe_execution(executionArn=arn)
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        history = [dict(event) for page in pages for event in page["events"]]
        wall = (described["stopDate"] - described["startDate"]).total_seconds()
        return Execution(wall, history, described["stopDate"], described["status"])

    def invocations(self) -> list[Invocation]:
        """Give every call of a function that ended since the last time this was asked."""
        found = []
        for line in self._logs.new_lines(platform=True):
            duration = _DURATION.match(line.text)
            if duration:
                found.append(Invocation(_FUNCTION.sub("", line.function), line.at, float(duration[1])))
        return found

    def evidence_of(self, pair: Pair) -> Mapping[str, bytes]:
        """Read the evidence recorded of a pair, by name, as it is stored."""
        s3 = self.stack.access.s3()
        bucket = self.stack.output("EvidenceBucketName")
        prefix = f"evidence/day={pair.trading_day}/{pair.run_id}/"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    @property
    def queue_url(self) -> str:
        """Address the control's queue."""
        return self.stack.access.sqs().get_queue_url(QueueName=f"alchemiser-{STAGE}-execution.fifo")["QueueUrl"]

    def still_the_control(self, *, still: bool) -> None:
        """Keep the control's queue from being worked on, or let it be: to time publishing without what follows from it."""
        self._still("legacy-execution", still=still)

    @contextmanager
    def still_intake(self) -> Iterator[None]:
        """Keep the intake's queue from being worked on for a block, and forget what came: nothing of the shadow runs beside."""
        self._still("shadow-intake", still=True)
        try:
            yield
        finally:
            self.stack.access.sqs().purge_queue(QueueUrl=self.stack.output("IntakeQueueUrl"))
            self._still("shadow-intake", still=False)

    def _still(self, function: str, *, still: bool) -> None:
        functions = self.stack.functions()
        mappings = functions.list_event_source_mappings(FunctionName=f"alchemiser-{STAGE}-{function}")
        for mapping in mappings["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not still)


@contextmanager
def desk(progress: Progress) -> Iterator[Desk]:
    """Have a local cloud for the length of a block."""
    with local_stack(FOLDER, progress=progress) as stack:
        yield Desk(stack)
