"""Business Unit: local cloud | Status: current.

When an alarm is in which state, as CloudWatch decides it: only the samples with exactly the alarm's dimensions count, they are
gathered into periods, M of the last N periods must breach, and a period without samples is treated as the alarm says.

The emulator runs it on its clock; a test may run it on any. Standard library only, because the emulator's process loads it.
Source of the rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
One simplification: where missing data is treated as missing or ignored, the periods that have data decide alone, and CloudWatch's
look further back for more of them is not imitated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

ALARM = "ALARM"
OK = "OK"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric and when it was measured, in epoch seconds."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """What an alarm looks at and when it goes off. `period` is in seconds; `statistic` is a basic one or `p95` and the like."""

    namespace: str
    metric: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    comparison: str
    threshold: float
    treat_missing: str

    @classmethod
    def from_description(cls, alarm: Mapping[str, object]) -> AlarmRule:
        """Read the rule of an `alarm` as DescribeAlarms gives it. Raises ValueError when it is not on one metric."""
        dimensions = alarm.get("Dimensions") or []
        if not alarm.get("MetricName") or not isinstance(dimensions, list):
            raise ValueError(f"expected an alarm on one metric, was {alarm.get('AlarmName')}")
        periods = int(str(alarm.get("EvaluationPeriods") or 1))
        return cls(
            namespace=str(alarm.get("Namespace")),
            metric=str(alarm["MetricName"]),
            dimensions=frozenset((str(each["Name"]), str(each["Value"])) for each in dimensions),
            statistic=str(alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"),
            period=int(str(alarm.get("Period") or 60)),
            evaluation_periods=periods,
            datapoints_to_alarm=int(str(alarm.get("DatapointsToAlarm") or periods)),
            comparison=str(alarm.get("ComparisonOperator")),
            threshold=float(str(alarm.get("Threshold") or 0)),
            treat_missing=str(alarm.get("TreatMissingData") or "missing"),
        )


def state_at(rule: AlarmRule, samples: Iterable[Sample], now: float, before: str) -> tuple[str, str]:
    """Give the state of the alarm at `now` (epoch seconds) and the reason; `before` is kept where data decides nothing.

    `samples` are those of the alarm's metric and dimensions. The period in progress counts as soon as it has a sample.
    Raises ValueError for a statistic or comparison that is not known here.
    """
    values = _datapoints(rule, samples, now)
    known = [value for value in values if value is not None]
    missing = len(values) - len(known)
    breaching = sum(_breaches(rule, value) for value in known)
    reason = f"{breaching} of {len(known)} datapoints breach {rule.comparison} {rule.threshold:g}; {missing} missing"
    needed = rule.datapoints_to_alarm
    if rule.treat_missing == "breaching":
        breaching += missing
    elif rule.treat_missing != "notBreaching":
        if not known:
            return (before if rule.treat_missing == "ignore" else INSUFFICIENT_DATA), reason
        needed = min(needed, len(known))
    return (ALARM if breaching >= needed else OK), reason


def _datapoints(rule: AlarmRule, samples: Iterable[Sample], now: float) -> list[float | None]:
    """Give one value a period, newest first, for as many periods as the alarm looks at; None where there is none."""
    by_period: dict[int, list[float]] = {}
    for sample in samples:
        by_period.setdefault(math.floor(sample.at / rule.period), []).append(sample.value)
    current = math.floor(now / rule.period)
    newest = current if current in by_period else current - 1
    wanted = range(newest, newest - rule.evaluation_periods, -1)
    return [_statistic(rule.statistic, by_period[each]) if each in by_period else None for each in wanted]


def _breaches(rule: AlarmRule, value: float) -> bool:
    if rule.comparison not in _COMPARISONS:
        raise ValueError(f"expected one of {', '.join(_COMPARISONS)}, was {rule.comparison!r}")
    return _COMPARISONS[rule.comparison](value, rule.threshold)


def _statistic(name: str, values: Sequence[float]) -> float:
    if name in _STATISTICS:
        return _STATISTICS[name](values)
    if not name.startswith("p"):
        raise ValueError(f"expected one of {', '.join(_STATISTICS)} or a percentile, was {name!r}")
    ordered = sorted(values)
    position = (len(ordered) - 1) * float(name[1:]) / 100
    low, high = math.floor(position), math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
