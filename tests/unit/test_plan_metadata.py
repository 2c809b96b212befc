"""Business Unit: tests | Status: current.

What a plan's metadata may hold, and that what we write of it is what we read back: JSON as the portfolio side writes it, binary
floats included.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.errors import InvalidPlan
from shadow.contracts.model import canonical
from shadow.contracts.plan import RebalancePlan
from tests.factories.plans import example_plan

SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


def with_metadata(metadata: object) -> RebalancePlan:
    return RebalancePlan.read(example_plan().to_wire() | {"metadata": metadata})


@given(st.dictionaries(TEXTS, JSON, max_size=5))
def test_what_is_written_of_a_plan_is_what_is_read_back(metadata: dict[str, object]) -> None:
    plan = with_metadata(metadata)
    written = canonical(plan.to_wire())

    assert RebalancePlan.read_json(written) == plan
    assert RebalancePlan.parse_json(written) == plan
    assert canonical(RebalancePlan.read_json(written).to_wire()) == written
    assert plan.metadata == metadata


def test_the_attribution_of_a_real_plan_is_read() -> None:
    attribution = {"SPY": {"momentum": 0.5, "value": 0.30000000000000004}}
    text = json.dumps(example_plan().to_wire() | {"metadata": {"strategy_attribution": attribution}})

    assert RebalancePlan.read_json(text).metadata == {"strategy_attribution": attribution}


def test_money_stays_exact_beside_metadata() -> None:
    document = example_plan().to_wire() | {"metadata": {"weight": 0.1}}
    text = json.dumps(document).replace(f'"{document["total_portfolio_value"]}"', "100000.10")

    assert RebalancePlan.read_json(text).total_portfolio_value == Decimal("100000.10")


@pytest.mark.parametrize("number", ["1e400", "-1e999"])
def test_a_number_that_no_reader_can_hold_is_named(number: str) -> None:
    text = json.dumps(example_plan().to_wire() | {"metadata": {"weight": 0.125}}).replace("0.125", number)

    with pytest.raises(InvalidPlan, match="metadata"):
        RebalancePlan.read_json(text)
