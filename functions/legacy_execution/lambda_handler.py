"""Business Unit: legacy | Status: current.

Execute one record of the control's queue (batch size 1). An error goes back to the queue, which tries three times and then
moves the record to its dead-letter queue. Deployed only where the stack makes the reference control.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, Field

from shadow.aws.observability import logger
from shadow.contracts.model import Frozen, Wire
from shadow.contracts.plan import TradeMessage
from shadow.reference.composition import LegacyExecutionEnvironment, RecordProcessor, lane_from, refuse_other_role
from shadow.reference.tables import ROLE_ATTRIBUTE


class _Attribute(Wire):
    string_value: str | None = None


class _Record(Wire):
    body: str
    message_attributes: Mapping[str, _Attribute] = Field(default_factory=dict)

    @property
    def published_under(self) -> str | None:
        """Which lane was in production when the record was published; None: it does not say."""
        attribute = self.message_attributes.get(ROLE_ATTRIBUTE)
        return None if attribute is None else attribute.string_value


class _Batch(Frozen):
    model_config = ConfigDict(extra="ignore")

    Records: tuple[_Record, ...]


@cache
def _environment() -> LegacyExecutionEnvironment:
    return LegacyExecutionEnvironment.load()


@cache
def _lane() -> RecordProcessor:
    return lane_from(_environment())


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Execute the batch's records; raises `InvalidPayload` for one that is not a trade message.

    Raises `InterlockViolation` for one that was published while the lane had another role, and for a lane that must not start.
    """
    del context
    records = _Batch.parse(event).Records
    for record in records:
        message = TradeMessage.parse_json(record.body)
        refuse_other_role(_environment(), record.published_under, message)
        logger().info("record taken", extra={"run_id": message.run_id, "trade_id": message.trade_id})
        _lane().process(message)
    return {"processed": len(records)}
