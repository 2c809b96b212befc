from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.emulator_side.alarm_rules import ALARM, INSUFFICIENT_DATA, OK, AlarmRule, Sample, state_at

NOON = 1_795_521_600.0  # a whole number of days since the epoch, so of every period used here


def _rule(**changes: Any) -> AlarmRule:
    alarm = {
        "AlarmName": "a",
        "Namespace": "Shadow",
        "MetricName": "Diverged",
        "Dimensions": [{"Name": "Stage", "Value": "dev"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return AlarmRule.from_description(alarm | changes)


def _state(rule: AlarmRule, *samples: tuple[float, float], now: float = NOON, before: str = OK) -> str:
    return state_at(rule, [Sample(NOON + at, value) for at, value in samples], now, before)[0]


def test_a_breach_in_the_running_period_alarms_at_once_and_is_over_when_its_period_and_the_next_are() -> None:
    rule = _rule()
    assert _state(rule, (5, 1), now=NOON + 6) == ALARM
    assert _state(rule, (5, 1), now=NOON + 119) == ALARM
    assert _state(rule, (5, 1), now=NOON + 120) == OK


def test_a_sample_of_the_future_or_long_ago_does_not_count() -> None:
    assert _state(_rule(), (61, 1), (-120, 1), now=NOON + 1) == OK


@pytest.mark.parametrize(
    ("treat", "before", "expected"),
    [
        ("breaching", OK, ALARM),
        ("notBreaching", ALARM, OK),
        ("missing", ALARM, INSUFFICIENT_DATA),
        ("ignore", ALARM, ALARM),
        ("ignore", OK, OK),
    ],
)
def test_without_any_data_the_alarm_does_what_it_says_about_missing_data(treat: str, before: str, expected: str) -> None:
    assert _state(_rule(TreatMissingData=treat), before=before) == expected


def test_m_of_n_periods_must_breach() -> None:
    rule = _rule(EvaluationPeriods=3, DatapointsToAlarm=2)
    assert _state(rule, (0, 1), (-60, 0), (-120, 1)) == ALARM
    assert _state(rule, (0, 1), (-60, 0), (-120, 0)) == OK
    assert _state(_rule(EvaluationPeriods=3), (0, 1), (-60, 1), (-120, 0)) == OK


def test_a_dead_man_alarm_waits_for_the_running_period_to_end() -> None:
    rule = _rule(TreatMissingData="breaching", ComparisonOperator="LessThanThreshold", Threshold=1)
    assert _state(rule, (-1, 1), now=NOON + 30) == OK
    assert _state(rule, (-1, 1), now=NOON + 60) == ALARM


@pytest.mark.parametrize(
    ("statistic", "threshold", "expected"),
    [("Sum", 5.9, ALARM), ("Average", 2, OK), ("Minimum", 1, OK), ("Maximum", 2.9, ALARM), ("SampleCount", 2, ALARM)],
)
def test_the_period_is_gathered_by_the_alarms_own_statistic(statistic: str, threshold: float, expected: str) -> None:
    assert _state(_rule(Statistic=statistic, Threshold=threshold), (0, 1), (1, 2), (2, 3)) == expected


def test_a_percentile_is_interpolated_between_samples() -> None:
    samples = [(float(at), float(at)) for at in range(11)]
    assert _state(_rule(ExtendedStatistic="p95", Threshold=9.49), *samples, now=NOON + 11) == ALARM
    assert _state(_rule(ExtendedStatistic="p95", Threshold=9.5), *samples, now=NOON + 11) == OK


@pytest.mark.parametrize(("change", "value"), [("Statistic", "Median"), ("ComparisonOperator", "Odd")])
def test_an_unknown_word_is_refused_and_not_guessed(change: str, value: str) -> None:
    with pytest.raises(ValueError, match=value):
        _state(_rule(**{change: value}), (0, 1))


def test_an_alarm_on_an_expression_has_no_rule() -> None:
    with pytest.raises(ValueError, match="expected an alarm on one metric"):
        AlarmRule.from_description({"AlarmName": "math", "Metrics": []})


@given(st.lists(st.tuples(st.floats(-300, 300), st.floats(-9, 9)), max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_samples_changes_nothing(samples: list[tuple[float, float]], random: Any) -> None:
    rule = _rule(EvaluationPeriods=4, DatapointsToAlarm=2, Statistic="Maximum")
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert _state(rule, *samples) == _state(rule, *shuffled)
