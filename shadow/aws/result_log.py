"""Business Unit: AWS adapters | Status: current.

What the trades of a run came to, read back from the candidate's state table, page by page.
"""

from __future__ import annotations

from collections.abc import Iterator

from shadow.aws.errors import transient_as
from shadow.aws.items import from_item, to_attribute
from shadow.aws.state_table import StateTable
from shadow.contracts.candidate_state import INTENT_SK_PREFIX, RESULT_SK_PREFIX, candidate_pk
from shadow.contracts.workflow import TradeResult


class DynamoResultLog(StateTable):
    """The state table as `ResultLog`."""

    def results_of(self, run_id: str) -> dict[str, TradeResult]:
        """Give the recorded results by trade id."""
        results = (TradeResult.parse_json(str(item["result"])) for item in self._items(run_id, RESULT_SK_PREFIX, "result"))
        return {result.trade_id: result for result in results}

    def with_intents(self, run_id: str) -> frozenset[str]:
        """Give the ids of the trades that intended an order."""
        return frozenset(str(item["trade_id"]) for item in self._items(run_id, INTENT_SK_PREFIX, "trade_id"))

    def _items(self, run_id: str, prefix: str, attribute: str) -> Iterator[dict[str, object]]:
        """Give one attribute of every item of the run whose key begins with `prefix`."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :run AND begins_with(SK, :prefix)",
            ExpressionAttributeValues={":run": to_attribute(candidate_pk(run_id)), ":prefix": to_attribute(prefix)},
            ProjectionExpression="#attribute",
            ExpressionAttributeNames={"#attribute": attribute},
            ConsistentRead=True,
        )
        with transient_as():
            for page in pages:
                yield from (from_item(item) for item in page["Items"])
