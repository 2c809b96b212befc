"""Business Unit: local cloud | Status: current.

On AWS, a log line in embedded metric format becomes metrics by itself. The emulator does not do it; this does, with each
metric's own namespace, name, dimensions, unit and time, so that an alarm sees exactly what the code emitted.

The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.cloud.logs import LogReader
from shadow.contracts.errors import FieldFault, InvalidPayload, faults_of

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

_BATCH = 500
_YEAR_10000_MS = 253_402_300_800_000


@dataclass(frozen=True, slots=True)
class EmittedMetric:
    """One value of one metric, as it was emitted. `dimensions` is sorted by name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    value: Decimal
    unit: str
    at: datetime


class _Definition(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str = Field(alias="Name")
    unit: str = Field(alias="Unit", default="None")


class _Directive(BaseModel):
    model_config = ConfigDict(frozen=True)
    namespace: str = Field(alias="Namespace", min_length=1)
    dimensions: tuple[tuple[str, ...], ...] = Field(alias="Dimensions", default=((),))
    metrics: tuple[_Definition, ...] = Field(alias="Metrics")


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True)
    timestamp: int = Field(alias="Timestamp", ge=0, lt=_YEAR_10000_MS, description="epoch milliseconds")
    directives: tuple[_Directive, ...] = Field(alias="CloudWatchMetrics", default=())


def parse_emf(line: str) -> tuple[EmittedMetric, ...]:
    """Read the metrics of one log line; a line that is no metric line gives none.

    Raises InvalidPayload when the line says it carries metrics but its directive, a value or a dimension is missing or wrong:
    AWS would drop such a line without a word.
    """
    if not line.startswith("{") or '"_aws"' not in line:
        return ()
    try:
        document = json.loads(line, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        return ()
    if not isinstance(document, dict) or not isinstance(document.get("_aws"), dict):
        return ()
    try:
        metadata = _Metadata.model_validate(document["_aws"])
    except ValidationError as error:
        raise InvalidPayload("a metric line", faults_of(error)) from error
    at = datetime.fromtimestamp(metadata.timestamp / 1000, UTC)
    found = [each for directive in metadata.directives for each in _emitted(directive, document, at)]
    return tuple(found)


def _emitted(directive: _Directive, document: Mapping[str, object], at: datetime) -> Iterable[EmittedMetric]:
    for names in directive.dimensions or ((),):
        dimensions = tuple(sorted((name, _text(document, name)) for name in names))
        for definition in directive.metrics:
            for value in _values(document, definition.name):
                yield EmittedMetric(directive.namespace, definition.name, dimensions, value, definition.unit, at)


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str | Decimal):
        raise InvalidPayload("a metric line", (_fault(name, "a dimension's value", value),))
    return str(value)


def _values(document: Mapping[str, object], name: str) -> tuple[Decimal, ...]:
    value = document.get(name)
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, Decimal) for each in values):
        raise InvalidPayload("a metric line", (_fault(name, "a number or a list of numbers", value),))
    return tuple(values)


def _fault(name: str, expected: str, value: object) -> FieldFault:
    return FieldFault(name, expected, "nothing" if value is None else repr(value)[:80])


def forward(cloudwatch: CloudWatchClient, metrics: Iterable[EmittedMetric]) -> int:
    """Put `metrics` into CloudWatch as they were emitted, and give how many."""
    by_namespace: dict[str, list[EmittedMetric]] = defaultdict(list)
    for metric in metrics:
        by_namespace[metric.namespace].append(metric)
    for namespace, emitted in by_namespace.items():
        for start in range(0, len(emitted), _BATCH):
            data = [_datum(metric) for metric in emitted[start : start + _BATCH]]
            cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    return sum(len(emitted) for emitted in by_namespace.values())


def forward_new(reader: LogReader, cloudwatch: CloudWatchClient) -> tuple[EmittedMetric, ...]:
    """Forward the metrics of every line that `reader` has not given yet, and give them. Raises as `parse_emf` does."""
    metrics = tuple(metric for line in reader.new_lines() for metric in parse_emf(line.text))
    forward(cloudwatch, metrics)
    return metrics


def _datum(metric: EmittedMetric) -> MetricDatumTypeDef:
    return {
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
        "Timestamp": metric.at,
        "Value": float(metric.value),
        "Unit": metric.unit,  # type: ignore[typeddict-item]  # the emitter's word; CloudWatch judges it
    }
