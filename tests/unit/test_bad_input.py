"""What fuzzing found in the contracts, kept: each of these once ended in an error that nobody had declared."""

from __future__ import annotations

import pytest

from shadow.contracts.errors import InvalidPlan
from shadow.contracts.plan import RebalancePlan
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="1000").to_wire()


@pytest.mark.parametrize("name", ["items.7", "items.²", "items.", "items.99999999999999999999"])
def test_an_unknown_field_that_looks_like_an_items_path_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidPlan, match="no such field") as caught:
        RebalancePlan.read(PLAN | {name: 1})
    assert [fault.field for fault in caught.value.faults] == [name]
