"""Business Unit: local cloud | Status: current.

Prove alarms: the metrics that the deployed code really emitted, and what the services say of themselves, held against the alarms
as they are deployed. A tick is one look: sweep, then collect everything emitted since the last one. The alarms' own rules decide
(`alarm_rules`), each with its ticks one of its own periods apart, so that an hour's alarm is not waited for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from local.cloud.emf import EmittedMetric, forward_new
from local.cloud.emulator_side.alarm_rules import ALARM, OK, AlarmRule, Sample, state_at
from local.cloud.logs import LogReader
from local.cloud.service_metrics import ServiceMetrics
from local.operator import Operator
from local.stack import STAGE

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import DescribeAlarmsOutputTypeDef

PREFIX = f"alchemiser-{STAGE}-shadow-"
COMPOSITE = "do-not-cut-over"
_LAMBDA = "AWS/Lambda"
_LOOK_BACK = timedelta(hours=6)
Tick = tuple[EmittedMetric, ...]


@dataclass(frozen=True, slots=True)
class Alarms:
    """The deployed alarms by their short names, and what the composite one contains."""

    rules: Mapping[str, AlarmRule]
    composite: frozenset[str]

    @classmethod
    def deployed(cls, operator: Operator) -> Alarms:
        """Read them from the stack."""
        found = operator.stack.access.cloudwatch().describe_alarms(
            AlarmNamePrefix=PREFIX, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        rules = {_short(str(alarm["AlarmName"])): AlarmRule.from_description(alarm) for alarm in found["MetricAlarms"]}
        return cls(rules, _members(found))

    def fired(self, before: Sequence[Tick], ticks: Sequence[Tick]) -> frozenset[str]:
        """Give the alarms that were in ALARM after any of `ticks`, which follow the calm ticks `before`."""
        return frozenset(
            name
            for name, rule in self.rules.items()
            if any(_state(rule, (*before, *ticks[: number + 1])) == ALARM for number in range(len(ticks)))
        )

    def standing(self, ticks: Sequence[Tick]) -> frozenset[str]:
        """Give the alarms that are not OK after the last of `ticks`."""
        return frozenset(name for name, rule in self.rules.items() if _state(rule, ticks) != OK)

    def composite_fires(self, fired: frozenset[str]) -> bool:
        """Whether the composite alarm goes off with these."""
        return bool(fired & self.composite)


def _members(found: DescribeAlarmsOutputTypeDef) -> frozenset[str]:
    (composite,) = found["CompositeAlarms"]
    rule = str(composite.get("AlarmRule"))
    members = re.findall(r'ALARM\("?([^")]+)"?\)', rule)
    if " OR ".join(f'ALARM("{name}")' for name in members) != rule:
        raise ValueError(f"expected alarms joined by OR, was {rule}")
    return frozenset(_short(name) for name in members)


def _short(name: str) -> str:
    return name.rpartition(":")[2].removeprefix(PREFIX)


def _state(rule: AlarmRule, ticks: Sequence[Tick]) -> str:
    """Give the state after the last of `ticks`, one of the alarm's periods apart."""
    samples = [
        Sample(at=number * rule.period, value=float(metric.value))
        for number, tick in enumerate(ticks, start=rule.evaluation_periods)
        for metric in tick
        if (metric.namespace, metric.name, frozenset(metric.dimensions)) == (rule.namespace, rule.metric, rule.dimensions)
    ]
    now = (len(ticks) + rule.evaluation_periods - 1) * rule.period + 1
    return state_at(rule, samples, now, OK)[0]


@dataclass
class Bench:
    """Looks at one stack."""

    operator: Operator
    planted: list[EmittedMetric] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to read."""
        access = self.operator.stack.access
        self._reader = LogReader(access.logs())
        self._services = ServiceMetrics(access)
        self._cloudwatch = access.cloudwatch()
        self._errors: dict[str, float] = {}

    def tick(self) -> Tick:
        """Sweep, let everything come to rest, and give what was emitted since the last tick."""
        self.operator.await_quiet()
        self.operator.sweep()
        self.operator.await_quiet()
        emitted = forward_new(self._reader, self._cloudwatch)
        planted, self.planted = tuple(self.planted), []
        return (*emitted, *self._services.report(), *self._lambda_errors(), *planted)

    def _lambda_errors(self) -> list[EmittedMetric]:
        """Take from the emulator's own metrics how often each function failed since the last look."""
        now = datetime.now(UTC)
        found = []
        for name in ("compare-outcomes", "daily-report"):
            function = f"alchemiser-{STAGE}-{name}"
            answer = self._cloudwatch.get_metric_statistics(
                Namespace=_LAMBDA,
                MetricName="Errors",
                Dimensions=[{"Name": "FunctionName", "Value": function}],
                StartTime=now - _LOOK_BACK,
                EndTime=now + timedelta(minutes=1),
                Period=3600,
                Statistics=["Sum"],
            )
            total = sum(float(point.get("Sum", 0)) for point in answer["Datapoints"])
            new, self._errors[function] = total - self._errors.get(function, 0.0), total
            dimensions = (("FunctionName", function),)
            found.append(EmittedMetric(_LAMBDA, "Errors", dimensions, Decimal(str(new)), "Count", now))
        return found
