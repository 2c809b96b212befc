"""Business Unit: local cloud | Status: current.

On AWS, queues and state machines report metrics of themselves; the emulator's do not. This looks at the real queues and
executions and reports what AWS would, under AWS's names and dimensions, so that an alarm on a DLQ or on failed executions is
proven by a message that is there and an execution that failed. (The emulator reports `AWS/Lambda` itself.)

Names: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html and
https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html. Throttling never happens here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from local.cloud.access import CloudAccess
from local.cloud.emf import EmittedMetric, forward

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef

_QUEUE_METRICS = {
    "ApproximateNumberOfMessages": "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed": "ApproximateNumberOfMessagesDelayed",
}
_EXECUTION_METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


class ServiceMetrics:
    """Reports the metrics of every queue, and of every execution once when it started and once when it ended."""

    def __init__(self, access: CloudAccess) -> None:
        """Look at the services of the local cloud behind `access`."""
        self._sqs = access.sqs()
        self._states = access.stepfunctions()
        self._cloudwatch = access.cloudwatch()
        self._started: set[str] = set()
        self._ended: set[str] = set()

    def report(self) -> tuple[EmittedMetric, ...]:
        """Put what the services' metrics are now into CloudWatch, and give it."""
        now = datetime.now(UTC)
        metrics = (*self._queues(now), *self._executions())
        forward(self._cloudwatch, metrics)
        return metrics

    def _queues(self, now: datetime) -> Iterator[EmittedMetric]:
        for page in self._sqs.get_paginator("list_queues").paginate():
            for url in page.get("QueueUrls", []):
                answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
                attributes: Mapping[str, str] = {str(name): value for name, value in answer["Attributes"].items()}
                dimensions = (("QueueName", url.rsplit("/", 1)[-1]),)
                for attribute, name in _QUEUE_METRICS.items():
                    value = Decimal(attributes.get(attribute, "0"))
                    yield EmittedMetric("AWS/SQS", name, dimensions, value, "Count", now)

    def _executions(self) -> Iterator[EmittedMetric]:
        for page in self._states.get_paginator("list_state_machines").paginate():
            for machine in page["stateMachines"]:
                arn = machine["stateMachineArn"]
                for executions in self._states.get_paginator("list_executions").paginate(stateMachineArn=arn):
                    for execution in executions["executions"]:
                        yield from self._of_execution(arn, execution)

    def _of_execution(self, machine: str, execution: ExecutionListItemTypeDef) -> Iterator[EmittedMetric]:
        arn, started, ended = execution["executionArn"], execution["startDate"], execution.get("stopDate")
        dimensions = (("StateMachineArn", machine),)
        if arn not in self._started:
            self._started.add(arn)
            yield EmittedMetric("AWS/States", "ExecutionsStarted", dimensions, Decimal(1), "Count", started)
        name = _EXECUTION_METRICS.get(execution["status"])
        if name is not None and ended is not None and arn not in self._ended:
            self._ended.add(arn)
            elapsed = Decimal(str((ended - started).total_seconds())) * 1000
            yield EmittedMetric("AWS/States", name, dimensions, Decimal(1), "Count", ended)
            yield EmittedMetric("AWS/States", "ExecutionTime", dimensions, elapsed, "Milliseconds", ended)
