"""Business Unit: AWS adapters | Status: current.

Logs and metrics, for every function alike: JSON logs without payloads, EMF metrics of the closed list with one dimension.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shadow.contracts.vocabulary import NAMESPACE, Metric


@cache
def logger() -> Logger:
    """Give the JSON logger. Never give it an event, a payload, a credential or an account number."""
    return Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "shadow"))


def unit_of(metric: Metric) -> MetricUnit:
    """Tell a metric's unit from its name."""
    for suffix, unit in (
        ("Milliseconds", MetricUnit.Milliseconds),
        ("Seconds", MetricUnit.Seconds),
        ("Percent", MetricUnit.Percent),
        ("Usd", MetricUnit.NoUnit),
    ):
        if metric.value.endswith(suffix):
            return unit
    return MetricUnit.Count


def emit(values: Mapping[Metric, float]) -> None:
    """Write `values` as one EMF line (namespace `Shadow`, dimension `Stage`) to standard output."""
    if not values:
        return
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    metrics.add_dimension("Stage", os.environ.get("STAGE", "dev"))
    for metric, value in values.items():
        metrics.add_metric(name=metric.value, unit=unit_of(metric), value=float(value))
    metrics.flush_metrics()


class PowertoolsRecorder:
    """EMF metrics and JSON log lines on standard output."""

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Write one EMF line."""
        emit(values)

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Write one log line without payloads; a problem is an error."""
        (logger().error if problem else logger().info)(message, extra=dict(fields))
