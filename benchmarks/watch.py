"""Business Unit: benchmarks | Status: current.

When events reach whoever listens: a queue beside the comparator's, with the same rules in front of it, read without pause. It
tells when the event arrived that told last of a run's ends, which is what a verdict cannot come before.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from local.stack import STAGE, LocalStack
from shadow.contracts.identity import execution_name_of, run_id_of

_BUS = f"alchemiser-{STAGE}-events"
_RULES = {
    "default": {"source": ["aws.states"], "detail": {"status": ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]}},
    _BUS: {"detail-type": ["AllTradesCompleted", "WorkflowFailed"]},
}
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """When the last event of a run's ends arrived, and when the control said that its run ended."""

    arrived: datetime
    control_ended: datetime


class DeliveryWatch:
    """Listens for the length of a block."""

    def __init__(self, stack: LocalStack) -> None:
        """Listen in `stack`."""
        self._sqs = stack.access.sqs()
        self._events = stack.access.session.client("events", endpoint_url=stack.emulator.endpoint, config=stack.access.config)
        self._arrived: dict[str, dict[str, datetime]] = {}
        self._ended: dict[str, datetime] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._url = ""

    def __enter__(self) -> Self:
        """Set the queue and its rules up."""
        self._url = self._sqs.create_queue(QueueName="bench-watch")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for bus, pattern in _RULES.items():
            name = f"bench-{bus}"
            self._events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
            self._events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "watch", "Arn": arn}])
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take everything away again."""
        self._over.set()
        self._thread.join(_SECONDS)
        for bus in _RULES:
            self._events.remove_targets(Rule=f"bench-{bus}", EventBusName=bus, Ids=["watch"])
            self._events.delete_rule(Name=f"bench-{bus}", EventBusName=bus)
        self._sqs.delete_queue(QueueUrl=self._url)

    def last_of(self, plan_id: str) -> Seen:
        """Tell of a plan whose both runs have ended. Raises TimeoutError when an event has not come."""
        run_id, ends = run_id_of(plan_id), time.monotonic() + _SECONDS
        while time.monotonic() < ends:
            arrived = self._arrived.get(run_id, {})
            if len(arrived) == len(_RULES) and run_id in self._ended:
                return Seen(max(arrived.values()), self._ended[run_id])
            time.sleep(0.01)
        raise TimeoutError(f"plan {plan_id}: expected an event of each lane, was {sorted(self._arrived.get(run_id, {}))}")

    def _listen(self) -> None:
        while not self._over.is_set():
            answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            now = datetime.now(UTC)
            for message in answer.get("Messages", []):
                self._take(json.loads(message["Body"]), now)
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _take(self, event: dict[str, object], now: datetime) -> None:
        detail = event.get("detail")
        if not isinstance(detail, dict):
            return
        if event.get("source") == "aws.states":
            run_id, lane = str(detail["name"]).removeprefix(execution_name_of("")), "candidate"
        else:
            run_id, lane = run_id_of(str(detail["plan_id"])), "control"  # the control's own run id is a random one
            self._ended[run_id] = datetime.fromisoformat(str(detail["timestamp"]))
        self._arrived.setdefault(run_id, {}).setdefault(lane, now)
