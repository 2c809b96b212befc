"""Business Unit: replay | Status: current.

Where historical plans are found: the control's RebalancePlanTable by id, by correlation id or by a bounded scan over trading
days (it has no index by day), or a folder of plan files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from shadow.aws.table import Reader, from_item, to_item
from shadow.contracts.errors import ContractViolation, FieldFault, InvalidPlan
from shadow.contracts.pair import trading_day_of
from shadow.contracts.plan import RebalancePlan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_PLANS = 1_000


class PlanTable:
    """The control's RebalancePlanTable, read only."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Read `table`."""
        self._reader = Reader(client, table)

    def plan(self, plan_id: str) -> RebalancePlan | None:
        """Read one plan; None where it is not (or no longer: plans are kept 90 days) there. Raises `InvalidPlan`."""
        item = self._reader.get(to_item({"PK": f"PLAN#{plan_id}", "SK": "METADATA"}))
        return None if item is None else _plan_of(item)

    def of_correlation(self, correlation_id: str) -> list[RebalancePlan]:
        """Read the plans of one correlation id. Raises `InvalidPlan`."""
        return [_plan_of(item) for item in self._reader.query("GSI1PK", f"CORR#{correlation_id}", index="GSI1")]

    def between(self, first: date, last: date, limit: int = MAX_PLANS) -> list[RebalancePlan]:
        """Scan for the plans of the trading days from `first` to `last`, both included, the oldest first, at most `limit`.

        The scan reads the whole table, a page at a time. Raises `InvalidPlan`, and `EvidenceUnavailable`.
        """
        found = [plan for plan in map(_plan_of, self._items()) if first <= trading_day_of(plan.timestamp) <= last]
        return sorted(found, key=lambda plan: (plan.timestamp, plan.plan_id))[:limit]

    def each(self) -> Iterator[tuple[str, RebalancePlan | InvalidPlan]]:
        """Scan for every plan, by its id; where one cannot be read, what is wrong with it. Raises `EvidenceUnavailable`."""
        for item in self._items():
            try:
                plan: RebalancePlan | InvalidPlan = _plan_of(item)
            except InvalidPlan as invalid:
                plan = invalid
            yield str(from_item(item).get("PK", "")).removeprefix("PLAN#"), plan

    def _items(self) -> Iterator[dict[str, AttributeValueTypeDef]]:
        return self._reader.scan("PK, SK, plan_data", "attribute_exists(plan_data)")


def plans_in_folder(folder: Path) -> list[RebalancePlan]:
    """Read every `*.json` of a folder, the oldest plan first. Raises `InvalidPlan` with the file of every faulty field."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InvalidPlan("plans", [FieldFault(str(folder), "a folder with plan files (*.json)", "none")])
    plans, faults = [], []
    for path in paths:
        try:
            plans.append(RebalancePlan.read_json(path.read_bytes()))
        except InvalidPlan as invalid:
            faults += [FieldFault(f"{path.name}: {fault.field}", fault.expected, fault.found) for fault in invalid.faults]
        except OSError as error:
            faults.append(FieldFault(path.name, "a readable file", error.strerror or type(error).__name__))
    if faults:
        raise InvalidPlan("plans", faults)
    return sorted(plans, key=lambda plan: (plan.timestamp, plan.plan_id))


def _plan_of(item: Mapping[str, AttributeValueTypeDef]) -> RebalancePlan:
    values = from_item(item)
    name = str(values.get("PK", "plan")).removeprefix("PLAN#")
    text = values.get("plan_data")
    if not isinstance(text, str):
        raise InvalidPlan(f"stored plan {name}", [FieldFault("plan_data", "the plan as JSON", type(text).__name__)])
    try:
        return RebalancePlan.read_json(text)
    except ContractViolation as violation:
        raise InvalidPlan(f"stored plan {name}", violation.faults) from None
