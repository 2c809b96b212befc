"""Business Unit: evidence | Status: current.

Where a pair's plan is read: in the pair, in the object it names, or in the control's RebalancePlanTable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadow.aws.items import from_item, to_item
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.evidence.dynamodb import Reader
from shadow.evidence.errors import EvidenceUnavailable
from shadow.evidence.store import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class AwsPlanSource:
    """Reads plans."""

    def __init__(self, objects: ObjectStore, client: DynamoDBClient, plan_table: str | None) -> None:
        """Read large plans from `objects`, and those whose copy is lost from `plan_table` where there is one."""
        self._objects = objects
        self._table = Reader(client, plan_table) if plan_table else None

    def plan_of(self, pair: Pair) -> RebalancePlan:
        """Read the plan of a pair. Raises `InvalidPlan`, and `EvidenceUnavailable` where it is nowhere."""
        if pair.plan_json is not None:
            return RebalancePlan.read_json(pair.plan_json)
        body = self._objects.get(pair.plan_key) if pair.plan_key else None
        if body is None and self._table is not None:
            item = self._table.get(to_item({"PK": f"PLAN#{pair.plan_id}", "SK": "METADATA"}))
            text = from_item(item).get("plan_data") if item else None
            body = text.encode() if isinstance(text, str) else None
        if body is None:
            raise EvidenceUnavailable(f"plan {pair.plan_id}: expected it at {pair.plan_key or 'the plan table'}, was nowhere")
        return RebalancePlan.read_json(body)
