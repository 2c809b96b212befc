"""Each alarm of the template goes off for a fault, alone or with those it may, and comes back: from what the code emits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud.emulator_side.alarm_rules import ALARM, OK, state_at
from local.operator import Operator
from local.pages.alarms import alarm_names
from local.scenarios.alarm_bench import COMPOSITE, PREFIX, Alarms
from local.scenarios.alarm_proof import Proof, alarm_faults, prove
from local.stack import local_stack

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with local_stack(tmp_path_factory.mktemp("alarm-cloud"), plantable=True) as stack:
        yield Operator(stack)


@pytest.fixture(scope="module")
def proofs(operator: Operator) -> tuple[Proof, ...]:
    return tuple(prove(operator))


def test_every_alarm_of_the_template_is_deployed_and_has_a_fault(operator: Operator) -> None:
    deployed = Alarms.deployed(operator)
    assert set(deployed.rules) == set(alarm_names())
    assert {name for fault in alarm_faults().values() for name in fault.alarms} == set(alarm_names())
    assert deployed.composite < set(alarm_names())
    assert all((RUNBOOKS / f"{name}.md").is_file() for name in (*alarm_names(), COMPOSITE))


def test_each_fault_sets_off_its_alarms_and_no_other(proofs: tuple[Proof, ...]) -> None:
    assert {each.name: set(each.fired) for each in proofs} == {each.name: set(each.fault.alarms) for each in proofs}


def test_every_alarm_comes_back_once_the_fault_is_mended(proofs: tuple[Proof, ...]) -> None:
    assert {each.name: each.standing for each in proofs if each.standing} == {}


def test_the_composite_alarm_follows_those_it_contains(operator: Operator, proofs: tuple[Proof, ...]) -> None:
    composite = Alarms.deployed(operator).composite
    assert {each.name: each.composite for each in proofs} == {
        each.name: bool(set(each.fault.alarms) & composite) for each in proofs
    }


def test_a_silent_sweeper_is_an_alarm_too(operator: Operator) -> None:
    rules = Alarms.deployed(operator).rules
    assert {name for name, rule in rules.items() if state_at(rule, (), 1e9, OK)[0] == ALARM} == {"uncompared-trading-day"}


def test_the_emulator_itself_sees_an_emitted_metric(operator: Operator, proofs: tuple[Proof, ...]) -> None:
    assert proofs
    found = operator.stack.access.cloudwatch().list_metrics(Namespace="Shadow", MetricName="CriticalDifferences")["Metrics"]
    alarms = operator.stack.access.cloudwatch().describe_alarms(AlarmNames=[f"{PREFIX}critical-divergence"])["MetricAlarms"]
    assert [metric["Dimensions"] for metric in found] == [alarm["Dimensions"] for alarm in alarms]
