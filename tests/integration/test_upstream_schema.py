"""A field that an upstream record lost, renamed or retyped is told by its name: the pair is INCOMPLETE for it, never DIVERGED.

The fields are those of the records' models, so a new field is covered as it is added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shadow.contracts.comparison import Verdict
from tests.factories.upstream import RECORDS, Upstream, fresh, judged, matching_world
from tests.fakes.evidence import World

KEYS = ("PK", "SK")
UNREAD = {
    "control run item": {"aggregation_started_at", "buy_phase_started_at", "completed_at"},  # told otherwise, or of no use
    "control execution data": {"filled_at"},
    "TradeExecuted event": {"causation_id", "trade_amount", "order_id", "error_message"},
    "AllTradesCompleted event": {"causation_id"},
    "candidate intent": {
        *("TTL", "limit_price", "fractionable", "order_id", "submitted_at", "filled_at", "updated_at", "turn"),
        *("quote_at", "market_at"),  # the trade's result tells them too
    },
    "candidate effect": {"TTL", "trade_id"},
    "trade result": {"errorMessage", "reason", "orders", "filledAt"},
    "guard result": {"sellFailedCount", "reason", "failures"},
    "run summary": {
        "unknownTrades",
        "equityBlockedTrades",
        "sellCount",
        "buyCount",
        "totalValue",
        "totalBuyValue",
        "totalSellValue",
        "outcome",
        "summary",
        "failures",
        "runId",
        "planId",
        "correlationId",
    },
    "DescribeExecution": {"startDate", "stopDate", "input", "redriveCount"},
    "history event": {"previousEventId"},
}
"""Optional fields, which may be left out, and those that nothing is judged by: without them a pair may match as before."""
WORDS = {
    "shares": "filled_quantity",
    "trade_amount": "value",
    "execution_data": "average_price",
    "totalValue": "value",
    "quantity": "filled_quantity",
    "askedQuantity": "intent.quantity",
    "equityCheck": "equity.limit",
    "buyPhaseAllowed": "guard.threshold",
    "failureThresholdUsd": "guard.threshold",
    "totalTrades": "counters.total",
    "succeededTrades": "counters.succeeded",
    "failedTrades": "counters.failed",
    "skippedTrades": "counters.skipped",
    "name": "counters.total",
    "output": "counters.total",
    "type": "ends before",
    "id": "event without an id",
    "status": "status",
}
"""What the outcome calls a field, where it has another name there."""
Damage = Callable[[dict[str, Any], str, Any], None]


def lost(record: dict[str, Any], name: str, other: Any) -> None:
    del other
    record.pop(name, None)


def renamed(record: dict[str, Any], name: str, other: Any) -> None:
    del other
    if name in record:
        record[f"{name}V2"] = record.pop(name)


def retyped(record: dict[str, Any], name: str, other: Any) -> None:
    if name in record:
        record[name] = other


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with matching_world() as found:
        yield found


def named(field: str, gap: str) -> bool:
    """Tell whether a gap names the field: as its wire does, or as the outcome does."""
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", field).lower()
    return any(word in gap for word in (field, snake, WORDS.get(field, field)))


CASES = [
    pytest.param(record, field, damage, id=f"{record.name}: {field} {damage.__name__}")
    for record in RECORDS
    for field in record.fields
    for damage in (lost, renamed, retyped)
    if field not in KEYS
]


def test_the_world_that_is_damaged_matches(world: World) -> None:
    assert judged(fresh(world)).verdict is Verdict.MATCHED


@pytest.mark.parametrize(("record", "field", "damage"), CASES)
def test_a_field_that_changed_is_told_and_is_no_divergence(record: Upstream, field: str, damage: Damage, world: World) -> None:
    damaged = fresh(world)
    seen = []
    other = {"M": {"of": {"S": "another type"}}} if record.is_table_item else [["of another type"]]

    def change(found: dict[str, Any]) -> None:
        seen.append(field in found)
        damage(found, field, other)

    record.apply(damaged, change)
    assert seen
    comparison = judged(damaged)

    if comparison.verdict is Verdict.MATCHED:
        assert not any(seen) or field in UNREAD.get(record.name, ()), f"{field} may go unnoticed"
        return
    assert comparison.verdict is Verdict.INCOMPLETE, [difference.kind for difference in comparison.differences]
    assert any(named(field, gap) for gap in comparison.gaps), comparison.gaps
