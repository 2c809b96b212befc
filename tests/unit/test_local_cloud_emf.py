from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.emf import EmittedMetric, forward, parse_emf
from shadow.contracts.errors import InvalidPayload

AT = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def _line(dimensions: list[list[str]], names: list[str], **values: Any) -> str:
    directive = {
        "Namespace": "Shadow",
        "Dimensions": dimensions,
        "Metrics": [{"Name": name, "Unit": "Count"} for name in names],
    }
    metadata = {"Timestamp": int(AT.timestamp() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": metadata, **values})


def test_a_metric_line_gives_every_metric_for_every_dimension_set() -> None:
    line = _line([["Stage"], []], ["A", "B"], Stage="dev", A=1.5, B=[1, 2])
    stage = (("Stage", "dev"),)
    assert parse_emf(line) == tuple(
        EmittedMetric("Shadow", name, dimensions, Decimal(value), "Count", AT)
        for dimensions in (stage, ())
        for name, value in (("A", "1.5"), ("B", "1"), ("B", "2"))
    )


@pytest.mark.parametrize("line", ["", "INFO started", "{", '{"message": "no _aws here"}', '{"_aws": 3}', '["_aws"]'])
def test_a_line_that_is_no_metric_line_gives_nothing(line: str) -> None:
    assert parse_emf(line) == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (_line([["Stage"]], ["A"], A=1), "Stage: expected a dimension's value, was nothing"),
        (_line([["Stage"]], ["A"], Stage="dev"), "A: expected a number or a list of numbers, was nothing"),
        (_line([["Stage"]], ["A"], Stage="dev", A="1"), "A: expected a number or a list of numbers, was '1'"),
        ('{"_aws": {"CloudWatchMetrics": []}}', "Timestamp: expected a value, was nothing"),
    ],
)
def test_a_metric_line_that_aws_would_drop_is_refused_with_its_fault(line: str, message: str) -> None:
    with pytest.raises(InvalidPayload, match=message.replace("(", r"\(")):
        parse_emf(line)


_ANYTHING = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
_DIRECTIVES = st.lists(
    st.fixed_dictionaries(
        {"Namespace": st.sampled_from(["Shadow", "", 3])},
        optional={"Dimensions": st.just([["Stage"]]) | _ANYTHING, "Metrics": st.just([{"Name": "A"}]) | _ANYTHING},
    )
)
_DOCUMENTS = st.fixed_dictionaries(
    {"_aws": st.fixed_dictionaries({"Timestamp": st.integers() | _ANYTHING, "CloudWatchMetrics": _DIRECTIVES}) | _ANYTHING},
    optional={"A": _ANYTHING, "Stage": _ANYTHING},
)


@given(st.text() | _DOCUMENTS.map(json.dumps))
def test_any_line_gives_metrics_or_the_typed_error(line: str) -> None:
    try:
        found = parse_emf(line)
    except InvalidPayload:
        return
    assert all(metric.namespace and metric.value.is_finite() for metric in found)


class CloudWatch:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def put_metric_data(self, **call: Any) -> None:
        self.calls.append(call)


def test_metrics_are_forwarded_by_namespace_in_bounded_batches_with_their_own_time() -> None:
    client = CloudWatch()
    metrics = [EmittedMetric("Shadow", "A", (("Stage", "dev"),), Decimal(n), "Count", AT) for n in range(501)]
    metrics.append(EmittedMetric("Other", "B", (), Decimal("0.5"), "None", AT))
    assert forward(client, metrics) == 502  # type: ignore[arg-type]
    assert [(call["Namespace"], len(call["MetricData"])) for call in client.calls] == [
        ("Shadow", 500),
        ("Shadow", 1),
        ("Other", 1),
    ]
    assert client.calls[1]["MetricData"][0] == {
        "MetricName": "A",
        "Dimensions": [{"Name": "Stage", "Value": "dev"}],
        "Timestamp": AT,
        "Value": 500.0,
        "Unit": "Count",
    }
