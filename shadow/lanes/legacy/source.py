"""Business Unit: lanes | Status: current.

Where the legacy lane's records are read: its runs table, its captured events, its trade ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from shadow.aws.table import RawItem, Reader, plain_item, to_item
from shadow.contracts.control_records import DetailType, run_pk
from shadow.contracts.model import Frozen, Identifier, canonical
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Lane
from shadow.lanes.lane import ControlSource
from shadow.lanes.records import is_identifier


class AwsControlSource:
    """The control's tables, and the events captured from its bus."""

    def __init__(
        self, client: DynamoDBClient, runs_table: str, ledger_table: str | None, captured: CapturedEvents | None
    ) -> None:
        """Read `runs_table`; `ledger_table` and `captured` where they are there."""
        self._runs = Reader(client, runs_table)
        self._ledger = Reader(client, ledger_table) if ledger_table else None
        self._captured = captured

    def run_items(self, run_id: str) -> Iterable[RawItem]:
        """Read the run's item and its trades' items, as they are now: the run's first, so that what it says has ended has."""
        return self._runs.query("PK", run_pk(run_id))

    def captured_events(self, run_id: str) -> Iterable[RawItem] | None:
        """Read the events captured of the run; None where nobody captures them."""
        return None if self._captured is None else self._captured.of_run(run_id)

    def other_runs(self, run_id: str) -> Iterable[RawItem]:
        """Read which further runs of the run's plan were seen, in either lane."""
        return () if self._captured is None else self._captured.other_runs(run_id)

    def ledger_rows(self, correlation_id: str) -> Iterable[RawItem] | None:
        """Read the trade ledger's rows of a plan; None where there is no such table."""
        return None if self._ledger is None else self._ledger.query("GSI1PK", f"CORR#{correlation_id}", index="GSI1")


def run_of_plan(source: ControlSource, pair: Pair) -> str | None:
    """Find the legacy lane's run of a plan: what its own call answered, else what its events named; None while neither is known.

    The lane mints its run id for each publication, so nothing can be computed from the plan. Of several runs that events named,
    the one that was created first is the plan's; the others are further runs of it.
    """
    if pair.control_run_id is not None:
        return pair.control_run_id
    named = [plain_item(item) for item in source.other_runs(pair.run_id)]
    found = [(str(item.get("at")), str(item["name"])) for item in named if item.get("lane") == Lane.LEGACY.value]
    return min(found)[1] if found else None


if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

TTL_DAYS = 30
EVENT_SK_PREFIX = "EVENT#"
OTHER_RUN_SK_PREFIX = "OTHER_RUN#"
TERMINAL = frozenset({DetailType.ALL_TRADES_COMPLETED, DetailType.WORKFLOW_FAILED})


class _Whose(Frozen):
    run_id: Identifier
    plan_id: Identifier


class _Header(Frozen):
    """What an event must say to be kept: its own name, its kind, and whose it is. All of them become part of a key."""

    model_config = ConfigDict(validate_by_alias=True)

    id: Identifier
    detail_type: DetailType = Field(alias="detail-type")
    detail: _Whose


@dataclass(frozen=True, slots=True)
class CapturedEvent:
    """One event of the control. `detail` is its detail as it came."""

    event_id: Identifier
    detail_type: DetailType
    run_id: str
    plan_id: str
    trade_id: str | None
    detail: Mapping[str, object]

    @property
    def is_terminal(self) -> bool:
        """Whether it tells of the end of a run."""
        return self.detail_type in TERMINAL


def captured_event(event: Mapping[str, object]) -> CapturedEvent:
    """Read an EventBridge event of the control's bus. Raises `InvalidPayload` when it cannot be told whose it is.

    What else is wrong with its detail is left to the reader of effects, as a contract violation.
    """
    detail = event.get("detail")
    values = detail if isinstance(detail, Mapping) else {}
    named = {"id": event.get("id"), "detail": {name: values.get(name) for name in ("run_id", "plan_id")}}
    header = _Header.parse(named | {"detail-type": event.get("detail-type")})
    trade_id = values.get("trade_id")
    return CapturedEvent(
        event_id=header.id,
        detail_type=header.detail_type,
        run_id=header.detail.run_id,
        plan_id=header.detail.plan_id,
        trade_id=trade_id if is_identifier(trade_id) else None,
        detail=values,
    )


class CapturedEvents:
    """The captured events in the pair ledger's table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Keep events in `table`."""
        self._reader = Reader(client, table)

    def record(self, event: CapturedEvent, now: datetime) -> bool:
        """Keep an event once; say whether this call kept it. Raises `EvidenceUnavailable`."""
        return self._reader.put_if_absent(
            to_item(
                {
                    "PK": f"RUN#{event.run_id}",
                    "SK": f"{EVENT_SK_PREFIX}{event.detail_type}#{event.trade_id or '-'}#{event.event_id}",
                    "detail_type": event.detail_type.value,
                    "detail": canonical(event.detail),
                    "TTL": int((now + timedelta(days=TTL_DAYS)).timestamp()),
                }
            )
        )

    def of_run(self, run_id: str) -> Iterator[dict[str, AttributeValueTypeDef]]:
        """Give the run's events, without their expiry: when an event was captured is no part of what it says."""
        return self._kept(run_id, EVENT_SK_PREFIX)

    def note_other_run(self, run_id: str, lane: Lane, name: str, now: datetime, created_at: str = "") -> bool:
        """Keep once that a lane ran the plan of `run_id` as `name`, created at that time. Raises `EvidenceUnavailable`."""
        sk = f"{OTHER_RUN_SK_PREFIX}{lane}#{name}"
        item = {"PK": f"RUN#{run_id}", "SK": sk, "lane": lane.value, "name": name, "at": created_at}
        return self._reader.put_if_absent(to_item(item | {"TTL": int((now + timedelta(days=TTL_DAYS)).timestamp())}))

    def knows_other_run(self, run_id: str, lane: Lane, name: str) -> bool:
        """Tell whether a lane's run of the plan of `run_id` as `name` has been noted."""
        return self._reader.get(to_item({"PK": f"RUN#{run_id}", "SK": f"{OTHER_RUN_SK_PREFIX}{lane}#{name}"})) is not None

    def other_runs(self, run_id: str) -> Iterator[dict[str, AttributeValueTypeDef]]:
        """Give the further runs of the run's plan, without their expiry."""
        return self._kept(run_id, OTHER_RUN_SK_PREFIX)

    def _kept(self, run_id: str, prefix: str) -> Iterator[dict[str, AttributeValueTypeDef]]:
        for item in self._reader.query("PK", f"RUN#{run_id}", prefix=prefix):
            yield {name: value for name, value in item.items() if name != "TTL"}

    def has_terminal(self, run_id: str) -> bool:
        """Tell whether an event of the run's end has been captured."""
        prefixes = (f"{EVENT_SK_PREFIX}{kind}#" for kind in sorted(TERMINAL))
        return any(next(self._reader.query("PK", f"RUN#{run_id}", prefix=prefix), None) is not None for prefix in prefixes)
