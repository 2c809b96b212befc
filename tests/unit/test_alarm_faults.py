"""The data of the alarm proof: every alarm of the template has a fault, every fault is one that can be done."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from local.cloud.emf import EmittedMetric
from local.cloud.emulator_side.alarm_rules import AlarmRule
from local.pages.alarms import alarm_names, render
from local.scenarios.alarm_bench import Alarms, Tick
from local.scenarios.alarm_faults import Mishaps
from local.scenarios.alarm_proof import alarm_faults

STAGE = (("Stage", "dev"),)


def rule(**changes: object) -> AlarmRule:
    values: dict[str, object] = {
        "Namespace": "Shadow",
        "MetricName": "StuckRuns",
        "Dimensions": [{"Name": "Stage", "Value": "dev"}],
        "Statistic": "Maximum",
        "Period": 3600,
        "EvaluationPeriods": 2,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1,
        "TreatMissingData": "notBreaching",
    }
    return AlarmRule.from_description(values | changes)


def tick(value: str, dimensions: tuple[tuple[str, str], ...] = STAGE) -> Tick:
    return (EmittedMetric("Shadow", "StuckRuns", dimensions, Decimal(value), "Count", datetime.now(UTC)),)


def test_every_alarm_has_a_fault_and_every_fault_an_alarm_and_a_way_to_do_it() -> None:
    faults = alarm_faults()
    assert {name for fault in faults.values() for name in fault.alarms} == set(alarm_names())
    assert all(fault.alarms and callable(getattr(Mishaps, name)) for name, fault in faults.items())
    assert all(fault.together for fault in faults.values() if len(fault.alarms) > 1)
    page = render()
    assert all(name in page for name in alarm_names())


def test_each_look_stands_for_one_period_of_each_alarm() -> None:
    alarms = Alarms({"stuck-runs": rule(), "quick": rule(EvaluationPeriods=1, Period=60)}, frozenset({"quick"}))
    assert alarms.fired((), (tick("1"),)) == {"quick"}
    assert alarms.fired((), (tick("1"), tick("1"))) == {"quick", "stuck-runs"}
    assert alarms.standing((tick("1"), tick("1"), tick("0"))) == frozenset()
    assert alarms.composite_fires(frozenset({"quick"}))
    assert not alarms.composite_fires(frozenset({"stuck-runs"}))


def test_a_metric_of_other_dimensions_sets_nothing_off() -> None:
    alarms = Alarms({"quick": rule(EvaluationPeriods=1)}, frozenset())
    assert alarms.fired((), (tick("1", (("Stage", "prod"),)),)) == frozenset()
    assert alarms.fired((), ((),)) == frozenset()


def test_silence_is_an_alarm_where_missing_data_breaches() -> None:
    alarms = Alarms({"dead-man": rule(EvaluationPeriods=1, TreatMissingData="breaching")}, frozenset())
    assert alarms.fired((tick("0"),), ((), ())) == {"dead-man"}
