"""Business Unit: evidence | Status: current.

One order in the words of the canonical outcome, whoever wrote it down under our own names: the candidate's intents, a broker.
"""

from __future__ import annotations

from shadow.contracts.outcome import OrderRecord
from shadow.contracts.vocabulary import Side
from shadow.evidence.fields import Fields, slim


def order_record(fields: Fields, *, client_order_id: str | None, status: str | None, accepted: bool | None) -> OrderRecord:
    """Read an order; what its status means, and so whether it was `accepted`, the caller knows."""
    return slim(
        OrderRecord(
            client_order_id=client_order_id,
            order_id=fields.text("order_id"),
            side=fields.choice("side", Side),
            order_type=fields.text("order_type"),
            quantity=fields.number("quantity"),
            limit_price=fields.number("limit_price"),
            status=status,
            filled_quantity=fields.number("filled_quantity"),
            average_price=fields.number("average_price"),
            submitted_at=fields.moment("submitted_at"),
            accepted=accepted,
        )
    )
