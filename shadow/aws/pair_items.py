"""Business Unit: AWS adapters | Status: current.

How a pair lies in the pair ledger's table. The publisher creates pairs, the comparator moves them on; both use this mapping,
so that the key schema stands in one place.

    PK = PAIR#{plan_id}  SK = PAIR              the pair: its fields, None left out, moments as ISO 8601
                         SK = AUDIT#{version}   one entry a conditional transition; `version` counts them, six digits
    GSI1PK = DAY#{trading_day}  GSI1SK = PAIR#{published_at}#{plan_id}   every pair: the daily query
    GSI2PK = OPEN               GSI2SK = {published_at}                  PENDING and LATE pairs only: the sweeper's query
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import ConfigDict

from shadow.aws.items import from_item, to_item
from shadow.contracts.model import Frozen, Moment
from shadow.contracts.pair import Pair, PairState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

DAY_INDEX = "GSI1"
OPEN_INDEX = "GSI2"
PAIR_SK = "PAIR"
AUDIT_SK_PREFIX = "AUDIT#"
OPEN = "OPEN"
OPEN_STATES = frozenset({PairState.PENDING, PairState.LATE})

_NUMBERS = frozenset({"trade_count", "version", "state_transitions", "size"})


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One transition of a pair: when, who made it, and the fields it changed, as texts."""

    plan_id: str
    version: int
    at: datetime
    actor: str
    changes: Mapping[str, str]


def pair_pk(plan_id: str) -> str:
    """Key everything that is kept of one pair."""
    return f"PAIR#{plan_id}"


def audit_sk(version: int) -> str:
    """Key the audit entry of the transition that led to `version`."""
    return f"{AUDIT_SK_PREFIX}{version:06d}"


def day_pk(trading_day: date) -> str:
    """Key all pairs of one trading day in `DAY_INDEX`."""
    return f"DAY#{trading_day.isoformat()}"


def sortable(moment: datetime) -> str:
    """Write `moment` in UTC with microseconds always, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def pair_key(plan_id: str) -> dict[str, AttributeValueTypeDef]:
    """Give the primary key of a pair."""
    return to_item({"PK": pair_pk(plan_id), "SK": PAIR_SK})


def index_values(pair: Pair) -> dict[str, str]:
    """Give the index attributes that belong to `pair` as it is now; a closed pair has none of `OPEN_INDEX`."""
    published_at = sortable(pair.published_at)
    values = {"GSI1PK": day_pk(pair.trading_day), "GSI1SK": f"PAIR#{published_at}#{pair.plan_id}"}
    if pair.state in OPEN_STATES:
        values |= {"GSI2PK": OPEN, "GSI2SK": published_at}
    return values


def pair_to_item(pair: Pair) -> dict[str, AttributeValueTypeDef]:
    """Write a pair as its whole item."""
    return to_item({"PK": pair_pk(pair.plan_id), "SK": PAIR_SK} | pair.to_wire() | index_values(pair))


def pair_from_item(item: Mapping[str, AttributeValueTypeDef]) -> Pair:
    """Read a pair from its item, raising `InvalidPayload` that names every faulty field.

    Attributes that are newer than this code are left alone.
    """
    values = from_item(item)
    return Pair.parse({name: plain_value(name, value) for name, value in values.items() if name in Pair.model_fields})


def audit_to_item(entry: AuditEntry) -> dict[str, AttributeValueTypeDef]:
    """Write one audit entry."""
    return to_item(
        {
            "PK": pair_pk(entry.plan_id),
            "SK": audit_sk(entry.version),
            "version": entry.version,
            "at": sortable(entry.at),
            "actor": entry.actor,
            "changes": dict(entry.changes),
        }
    )


def audit_from_item(item: Mapping[str, AttributeValueTypeDef]) -> AuditEntry:
    """Read one audit entry; raises `InvalidPayload` that names every faulty field."""
    entry = _AuditItem.parse({name: plain_value(name, value) for name, value in from_item(item).items()})
    return AuditEntry(entry.PK.removeprefix("PAIR#"), entry.version, entry.at, entry.actor, entry.changes)


class _AuditItem(Frozen):
    """An audit entry as it lies in the table."""

    model_config = ConfigDict(extra="ignore")

    PK: str
    version: int
    at: Moment
    actor: str
    changes: dict[str, str]


def plain_value(name: str, value: object) -> object:
    """Read a number of the ledger's items as the whole number it is; what is none is left for its model to refuse."""
    if name not in _NUMBERS or not isinstance(value, Decimal) or value != value.to_integral_value():
        return value
    return int(value)
