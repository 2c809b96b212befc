"""Business Unit: evidence | Status: current.

The pair ledger in DynamoDB. The pair's own item and the audit are keyed as `shadow.aws.pair_items` has it; beside them, under
the same partition:

    SK = EVIDENCE#{name}       one recorded piece of evidence; the first to be recorded stands
    SK = ANNOUNCE#{version}    a verdict's metrics until they are emitted; GSI2PK = UNANNOUNCED, GSI2SK = since when
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ConfigDict

from shadow.aws.items import from_item, to_item
from shadow.aws.pair_items import (
    DAY_INDEX,
    OPEN,
    OPEN_INDEX,
    AuditEntry,
    audit_from_item,
    audit_to_item,
    day_pk,
    index_values,
    pair_from_item,
    pair_key,
    pair_pk,
    plain_value,
    sortable,
)
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.metrics import Metric
from shadow.contracts.model import Frozen, Moment
from shadow.contracts.pair import Pair
from shadow.evidence.dynamodb import Reader, code_of, unavailable
from shadow.evidence.errors import PairMoved
from shadow.evidence.ledger import Announcement, Transition, UnreadablePair

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef, TransactWriteItemTypeDef, UpdateTypeDef

EVIDENCE_SK_PREFIX = "EVIDENCE#"
ANNOUNCE_SK_PREFIX = "ANNOUNCE#"
UNANNOUNCED = "UNANNOUNCED"
_INDEX_NAMES = ("GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK")


class DynamoDbPairLedger:
    """The pair ledger's table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Keep pairs in `table`."""
        self._client = client
        self._table = table
        self._reader = Reader(client, table)

    def get(self, plan_id: str) -> Pair | None:
        """Read a pair as it is now; None where the plan has none."""
        item = self._reader.get(pair_key(plan_id))
        return None if item is None else pair_from_item(item)

    def move(self, transition: Transition) -> Pair:
        """Make a transition; gives the pair as it then is. Raises `PairMoved` when it is not as decided on any more."""
        after = transition.after
        entry = AuditEntry(after.plan_id, after.version, transition.at, transition.actor, transition.changes())
        writes: list[TransactWriteItemTypeDef] = [
            {"Update": self._update(transition.before, after)},
            {"Put": self._new(audit_to_item(entry))},
        ]
        if transition.announces:
            writes.append({"Put": self._new(_announcement_item(after, transition.at, transition.announces))})
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if code_of(error) in ("TransactionCanceledException", "TransactionConflictException"):
                raise PairMoved(f"pair {after.plan_id}: version {transition.before.version} has passed") from error
            raise unavailable(f"pair {after.plan_id}", error) from error
        except BotoCoreError as error:
            raise unavailable(f"pair {after.plan_id}", error) from error
        return after

    def open_pairs(self) -> Iterator[Pair]:
        """Give the PENDING and LATE pairs, the oldest first. An unreadable item is left to the daily query."""
        for item in self._reader.query("GSI2PK", OPEN, index=OPEN_INDEX):
            pair = _pair_or_reason(item)
            if isinstance(pair, Pair):
                yield pair

    def pairs_of(self, trading_day: date) -> list[Pair | UnreadablePair]:
        """Give every pair of a trading day."""
        return [_pair_or_reason(item) for item in self._reader.query("GSI1PK", day_pk(trading_day), index=DAY_INDEX)]

    def audit_of(self, plan_id: str) -> list[AuditEntry]:
        """Give every transition of a pair, in order."""
        return [audit_from_item(item) for item in self._reader.query("PK", pair_pk(plan_id), prefix="AUDIT#")]

    def evidence_of(self, plan_id: str) -> dict[str, EvidenceRef]:
        """Give the evidence recorded for a pair, by name."""
        items = self._reader.query("PK", pair_pk(plan_id), prefix=EVIDENCE_SK_PREFIX)
        refs = [_ref(item) for item in items]
        return {ref.name: ref for ref in refs}

    def record_evidence(self, plan_id: str, ref: EvidenceRef) -> EvidenceRef:
        """Record a piece of evidence unless one of its name is recorded; gives the one that stands."""
        key = {"PK": pair_pk(plan_id), "SK": f"{EVIDENCE_SK_PREFIX}{ref.name}"}
        if self._reader.put_if_absent(to_item(key | ref.to_wire())):
            return ref
        standing = self._reader.get(to_item(key))
        return ref if standing is None else _ref(standing)

    def announcements(self, before: datetime) -> list[Announcement | UnreadablePair]:
        """Give the announcements that have waited since `before`, and those that cannot be read."""
        items = self._reader.query("GSI2PK", UNANNOUNCED, index=OPEN_INDEX)
        found = [_announcement_or_reason(item) for item in items]
        return [entry for entry in found if isinstance(entry, UnreadablePair) or entry.at <= before]

    def claim(self, announcement: Announcement, at: datetime) -> Announcement | None:
        """Take an announcement over; None when somebody else did."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_announcement_key(announcement.plan_id, announcement.version),
                UpdateExpression="SET GSI2SK = :new",
                ConditionExpression="GSI2SK = :old",
                ExpressionAttributeValues=to_item({":new": sortable(at), ":old": sortable(announcement.at)}),
            )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return None
            raise unavailable("announcement", error) from error
        except BotoCoreError as error:
            raise unavailable("announcement", error) from error
        return Announcement(announcement.plan_id, announcement.version, at, announcement.metrics)

    def announced(self, announcement: Announcement) -> None:
        """Take an announcement away: it has been emitted."""
        try:
            self._client.delete_item(TableName=self._table, Key=_announcement_key(announcement.plan_id, announcement.version))
        except (ClientError, BotoCoreError) as error:
            raise unavailable("announcement", error) from error

    def _update(self, before: Pair, after: Pair) -> UpdateTypeDef:
        """Write only what changed, so that attributes newer than this code are kept."""
        new: Mapping[str, object] = after.to_wire() | index_values(after)
        old: Mapping[str, object] = before.to_wire() | index_values(before)
        changed = [name for name in dict.fromkeys((*new, *_INDEX_NAMES)) if new.get(name) != old.get(name)]
        sets = [name for name in changed if new.get(name) is not None]
        removes = [name for name in changed if new.get(name) is None]
        names = {f"#{index}": name for index, name in enumerate((*sets, *removes))}
        placeholder = {name: key for key, name in names.items()}
        expression = "SET " + ", ".join(f"{placeholder[name]} = :{placeholder[name][1:]}" for name in sets)
        if removes:
            expression += " REMOVE " + ", ".join(placeholder[name] for name in removes)
        values = {f":{placeholder[name][1:]}": new[name] for name in sets} | {":before": before.version}
        return {
            "TableName": self._table,
            "Key": pair_key(after.plan_id),
            "UpdateExpression": expression,
            "ConditionExpression": f"{placeholder['version']} = :before",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(values),
        }

    def _new(self, item: dict[str, AttributeValueTypeDef]) -> PutTypeDef:
        return {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(PK)"}


def _pair_or_reason(item: Mapping[str, AttributeValueTypeDef]) -> Pair | UnreadablePair:
    try:
        return pair_from_item(item)
    except InvalidPayload as fault:
        return UnreadablePair(str(from_item(item).get("PK")), str(fault))


def _ref(item: Mapping[str, AttributeValueTypeDef]) -> EvidenceRef:
    """Read one recorded piece of evidence; raises `InvalidPayload` that names every faulty field."""
    values = from_item(item)
    return EvidenceRef.parse({name: plain_value(name, values[name]) for name in EvidenceRef.model_fields if name in values})


def _announcement_key(plan_id: str, version: int) -> dict[str, AttributeValueTypeDef]:
    return to_item({"PK": pair_pk(plan_id), "SK": f"{ANNOUNCE_SK_PREFIX}{version:06d}"})


def _announcement_item(pair: Pair, at: datetime, metrics: Mapping[Metric, float]) -> dict[str, AttributeValueTypeDef]:
    values = {metric.value: repr(value) for metric, value in metrics.items()}
    index = {"GSI2PK": UNANNOUNCED, "GSI2SK": sortable(at)}
    body = {"plan_id": pair.plan_id, "version": pair.version, "metrics": values}
    return _announcement_key(pair.plan_id, pair.version) | to_item(index | body)


class _AnnouncementItem(Frozen):
    """An announcement as it lies in the table; the figures are texts, because DynamoDB has no binary floats."""

    model_config = ConfigDict(extra="ignore")

    plan_id: str
    version: int
    GSI2SK: Moment
    metrics: dict[Metric, float]


def _announcement_or_reason(item: Mapping[str, AttributeValueTypeDef]) -> Announcement | UnreadablePair:
    values = from_item(item)
    try:
        found = _AnnouncementItem.parse({name: plain_value(name, value) for name, value in values.items()})
    except InvalidPayload as fault:
        return UnreadablePair(f"{values.get('PK')} {values.get('SK')}", str(fault))
    return Announcement(found.plan_id, found.version, found.GSI2SK, found.metrics)
