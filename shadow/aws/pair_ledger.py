"""Business Unit: evidence | Status: current.

The pair ledger in DynamoDB. All that is kept of a plan's pair has PK = PAIR#{plan_id}:

    SK = PAIR                  the pair as it is now; GSI1PK = DAY#{day}, and while it is open GSI2PK = OPEN
    SK = AUDIT#{version}       the transition that led to this version of the pair
    SK = EVIDENCE#{name}       one recorded piece of evidence; the first to be recorded stands
    SK = ANNOUNCE#{version}    a verdict's metrics until they are emitted; GSI2PK = UNANNOUNCED, GSI2SK = since when
    SK = UNPAIRED#{reason}     why a published plan has no pair; GSI1PK = UNPAIRED#{day}, GSI1SK = since when

and under a partition of its own, PK = SWEEP with SK = NOTES, what the last sweep left for the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ConfigDict

from shadow.aws.clients import code_of, unavailable
from shadow.aws.table import Reader, from_item, is_outrun, to_item
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import InvalidPayload, PairMoved
from shadow.contracts.model import Frozen, Moment
from shadow.contracts.pair import Announcement, Pair, PairState, SweepNotes, Transition, UnpairedPlan, UnreadablePair
from shadow.contracts.vocabulary import Metric

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef, TransactWriteItemTypeDef, UpdateTypeDef

EVIDENCE_SK_PREFIX = "EVIDENCE#"
ANNOUNCE_SK_PREFIX = "ANNOUNCE#"
UNPAIRED_PREFIX = "UNPAIRED#"
UNANNOUNCED = "UNANNOUNCED"
_SWEEP_KEY = {"PK": "SWEEP", "SK": "NOTES"}
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

    def create(self, pair: Pair) -> Pair | None:
        """Record a new pair; when there is one already, change nothing and give that."""
        if self._reader.put_if_absent(pair_to_item(pair)):
            return None
        return self.get(pair.plan_id)

    def note_unpaired(self, plan: UnpairedPlan) -> bool:
        """Record why a plan has no pair; False when that reason stands already."""
        return self._reader.put_if_absent(_unpaired_item(plan))

    def unpaired_of(self, trading_day: date) -> list[UnpairedPlan | UnreadablePair]:
        """Give the plans of a trading day that have no pair, with their reasons."""
        items = self._reader.query("GSI1PK", f"{UNPAIRED_PREFIX}{trading_day.isoformat()}", index=DAY_INDEX)
        return [_unpaired_or_reason(item) for item in items]

    def is_unpaired(self, plan_id: str) -> bool:
        """Whether a reason is recorded why the plan has no pair."""
        return bool(list(self._reader.query("PK", pair_pk(plan_id), prefix=UNPAIRED_PREFIX)))

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
            if is_outrun(error):
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

    def latest_day(self) -> date | None:
        """Give the latest trading day that has a pair; None where there is none. Reads the whole table: for a person who asks."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            IndexName=DAY_INDEX,
            ProjectionExpression="GSI1PK",
        )
        keys = {str(from_item(item)["GSI1PK"]) for page in pages for item in page["Items"]}
        return max((date.fromisoformat(key.removeprefix(_DAY)) for key in keys if key.startswith(_DAY)), default=None)

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

    def sweep_notes(self) -> SweepNotes:
        """Give what the last sweep left; nothing before the first one, or where it cannot be read any more."""
        item = self._reader.get(to_item(_SWEEP_KEY))
        try:
            return SweepNotes() if item is None else SweepNotes.parse_json(str(from_item(item).get("notes")))
        except InvalidPayload:
            return SweepNotes()

    def keep_sweep_notes(self, notes: SweepNotes) -> None:
        """Leave `notes` for the next sweep."""
        try:
            self._client.put_item(TableName=self._table, Item=to_item(_SWEEP_KEY | {"notes": notes.model_dump_json()}))
        except (ClientError, BotoCoreError) as error:
            raise unavailable("sweep notes", error) from error

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


def _unpaired_item(plan: UnpairedPlan) -> dict[str, AttributeValueTypeDef]:
    keys = {
        "PK": pair_pk(plan.plan_id),
        "SK": f"{UNPAIRED_PREFIX}{plan.reason.value}",
        "GSI1PK": f"{UNPAIRED_PREFIX}{plan.trading_day.isoformat()}",
        "GSI1SK": f"{sortable(plan.published_at)}#{plan.plan_id}",
    }
    return to_item(keys | plan.to_wire())


def _unpaired_or_reason(item: Mapping[str, AttributeValueTypeDef]) -> UnpairedPlan | UnreadablePair:
    values = from_item(item)
    try:
        return UnpairedPlan.parse({name: value for name, value in values.items() if name in UnpairedPlan.model_fields})
    except InvalidPayload as fault:
        return UnreadablePair(f"{values.get('PK')} {values.get('SK')}", str(fault))


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


DAY_INDEX = "GSI1"
OPEN_INDEX = "GSI2"
PAIR_SK = "PAIR"
_DAY = "DAY#"
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
    return f"{_DAY}{trading_day.isoformat()}"


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
