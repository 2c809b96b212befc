"""An outcome of thousands of trades keeps no list of the fields that each of its models was given."""

from __future__ import annotations

from shadow.contracts.outcome import OrderRecord
from shadow.lanes.records import slim


def test_a_slim_model_is_the_same_value() -> None:
    order = OrderRecord(order_id="o", order_type="limit")

    assert slim(OrderRecord(order_id="o", order_type="limit")) == order
    assert slim(OrderRecord(order_id="o", order_type="limit")).model_dump_json() == order.model_dump_json()


def test_a_copy_of_a_slim_model_leaves_the_others_slim() -> None:
    first, second = slim(OrderRecord(order_id="o")), slim(OrderRecord(order_id="p"))

    changed = first.model_copy(update={"order_type": "market"})

    assert (changed.order_type, changed.order_id) == ("market", "o")
    assert first.model_fields_set == second.model_fields_set == set()
