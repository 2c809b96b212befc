"""Business Unit: legacy | Status: current.

Execute one record of the control's queue (batch size 1). An error goes back to the queue, which tries three times and then
moves the record to its dead-letter queue. Deployed only where the stack makes the reference control.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ConfigDict

from shadow.aws.observability import logger
from shadow.contracts.model import Frozen
from shadow.contracts.trade_message import TradeMessage
from shadow.legacy.composition import LegacyExecutionEnvironment, RecordProcessor, lane_from


class _Record(Frozen):
    model_config = ConfigDict(extra="ignore")

    body: str


class _Batch(Frozen):
    model_config = ConfigDict(extra="ignore")

    Records: tuple[_Record, ...]


@cache
def _lane() -> RecordProcessor:
    return lane_from(LegacyExecutionEnvironment.load())


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Execute the batch's records; raises `InvalidPayload` for one that is not a trade message."""
    del context
    records = _Batch.parse(event).Records
    for record in records:
        message = TradeMessage.parse_json(record.body)
        logger().info("record taken", extra={"run_id": message.run_id, "trade_id": message.trade_id})
        _lane().process(message)
    return {"processed": len(records)}
