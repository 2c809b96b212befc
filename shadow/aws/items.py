"""Business Unit: AWS adapters | Status: current.

Between plain Python values and DynamoDB's attribute values. Numbers are `Decimal` both ways; None means the attribute is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_SERIALIZE = TypeSerializer().serialize
_DESERIALIZE = TypeDeserializer().deserialize


def to_attribute(value: object) -> AttributeValueTypeDef:
    """Write one value. Raises TypeError for a float."""
    attribute: AttributeValueTypeDef = _SERIALIZE(value)
    return attribute


def to_item(values: Mapping[str, object]) -> dict[str, AttributeValueTypeDef]:
    """Write an item, leaving out what is None."""
    return {name: to_attribute(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, AttributeValueTypeDef]) -> dict[str, object]:
    """Read an item."""
    return {name: _DESERIALIZE(value) for name, value in item.items()}
