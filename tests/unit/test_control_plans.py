"""Coverage against the control's own plan table: what the control planned and nobody published was not compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from reports.data.frames import day_row
from reports.versions import LedgerBesidePlans
from shadow.aws.table import to_item
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import InvalidPlan
from shadow.contracts.pair import PairState, Unpaired, UnpairedPlan, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.replay.plans import PlanTable
from tests.factories.pairs import LedgerOf, pair_of
from tests.fakes.plans import plan_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PLAN = plan_of(AAPL="-600", MSFT="1000")
DAY = trading_day_of(PLAN.timestamp)


@dataclass
class Scanned:
    """A table of two items a page."""

    items: list[dict[str, object]]
    scans: int = field(default=0)

    def scan(self, **request: object) -> dict[str, object]:
        self.scans += 1
        start = int(cast("str", request.get("ExclusiveStartKey", "0")))
        page: dict[str, object] = {"Items": [to_item(item) for item in self.items[start : start + 2]]}
        return page | ({"LastEvaluatedKey": str(start + 2)} if start + 2 < len(self.items) else {})


def stored(plan: RebalancePlan, text: str | None = None) -> dict[str, object]:
    return {"PK": f"PLAN#{plan.plan_id}", "SK": "METADATA", "plan_data": text or plan.model_dump_json()}


def named(name: str) -> RebalancePlan:
    return PLAN.model_copy(update={"plan_id": f"portfolio_v2_{name}_{int(PLAN.timestamp.timestamp())}"})


def beside(ledger: LedgerOf, *items: dict[str, object]) -> LedgerBesidePlans:
    return LedgerBesidePlans(ledger, PlanTable(cast("DynamoDBClient", Scanned(list(items))), "plans"))


@pytest.mark.parametrize("keeps_notes", [True, False])
def test_a_plan_that_the_control_made_and_nobody_published_is_not_compared(*, keeps_notes: bool) -> None:
    published, never, refused = named("published"), named("never"), named("refused")
    note = UnpairedPlan(plan_id=refused.plan_id, trading_day=DAY, published_at=refused.timestamp, reason=Unpaired.INVALID)
    pair = pair_of(published, state=PairState.JUDGED, verdict=Verdict.MATCHED)
    found = beside(LedgerOf(pair, unpaired=[note] if keeps_notes else None), *map(stored, (published, never, refused)))
    unpaired = found.unpaired_of(DAY)
    assert {plan.plan_id for plan in unpaired if isinstance(plan, UnpairedPlan)} == {never.plan_id, refused.plan_id}
    row = day_row(DAY, found.pairs_of(DAY), {pair.run_id: Verdict.MATCHED}, unpaired)
    assert (row["published"], row["unpaired"]) == (1, 2)


def test_a_plan_that_cannot_be_read_counts_on_the_day_that_its_id_names() -> None:
    (note,) = beside(LedgerOf(), stored(named("broken"), "{}")).unpaired_of(DAY)
    assert isinstance(note, UnpairedPlan)
    assert note.reason is Unpaired.NOT_PUBLISHED
    nameless = beside(LedgerOf(), {"PK": "PLAN#nameless", "SK": "METADATA", "plan_data": "{}"})
    assert nameless.unpaired_of(DAY) == []
    assert isinstance(nameless.fault, InvalidPlan)


def test_a_plan_that_only_holds_has_nothing_to_compare() -> None:
    row = day_row(DAY, [], {}, beside(LedgerOf(), stored(plan_of(holds=("AAPL",)))).unpaired_of(DAY))
    assert (row["unpaired"], row["held"]) == (0, 1)


def test_the_table_is_read_once_whatever_the_number_of_days() -> None:
    table = Scanned([stored(named(f"p{number}")) for number in range(5)])
    found = LedgerBesidePlans(LedgerOf(), PlanTable(cast("DynamoDBClient", table), "plans"))
    assert len(found.unpaired_of(DAY)) == 5
    assert found.unpaired_of(datetime(2020, 1, 2, tzinfo=UTC).date()) == []
    assert table.scans == 3
