"""Business Unit: evidence | Status: current.

What lies in an evidence document, and outcomes read from it. A document is gone through once, record by record, so that a
run of thousands of trades is never held as a whole beside its outcome.

    control          an `item` each of the ExecutionRunsTable
    control-effects  `watched`, then an `event` each captured, a `ledger_row` each, an `other_run` each seen in either lane
    candidate-NN     `describe`, an `event` each of the history, a `state_item` each, a `map_run` each; of a declared lane
                     its file first, as `lane`: what it was described by then is what it is read by, for ever

The evidence store: what both lanes' records were, kept immutable. A document is a line of canonical JSON a record, without
secrets. Its key holds the digest of that text, not of the compressed bytes, which differ between builds of zlib: the same
records make the same key, whoever stores them and however often. The comparisons lie beside them, uncompressed, one a verdict.

    evidence/day=2026-11-24/{run_id}/{name}-{sha256}.jsonl.gz
    comparisons/day=2026-11-24/{run_id}-{sha256[:16]}.json
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from shadow.aws.table import Reader, from_item, plain_item, to_item
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import EvidenceCorrupt, EvidenceUnavailable
from shadow.contracts.outcome import Effect, Gap, RunOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import EffectKind, Lane, Role, RunStatus
from shadow.lanes.declared import read_declared
from shadow.lanes.effects import read_effect
from shadow.lanes.lane_file import LaneFile
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.records import as_json
from shadow.lanes.redaction import DocumentWriter, Redactor
from shadow.lanes.workflow.reader import CandidateRecords, read_candidate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ObjectStore(Protocol):
    """Where bytes are kept. An adapter raises `EvidenceUnavailable`."""

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """Store `body` unless the key exists already; say whether this call stored it."""

    def get(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""


Record = tuple[str, object]
"""One record of an evidence document: what it is, and itself."""

_PIECE = 1 << 20
_HELD = 4 << 20
"""The size of the largest document, in bytes unpacked, that is held whole, and so is unpacked once and not twice."""
_OVERHEAD = 4_096
"""Bytes that packing may add to a text, at most."""
_DECODE = json.JSONDecoder(parse_float=Decimal).decode


class EvidenceStore:
    """Keeps and reads evidence documents and comparisons."""

    def __init__(self, objects: ObjectStore, redactor: Redactor) -> None:
        """Keep documents in `objects`, cleaned by `redactor`."""
        self._objects = objects
        self._redactor = redactor

    def writer(self) -> DocumentWriter:
        """Begin a document."""
        return DocumentWriter(self._redactor)

    def without_secrets(self, plan: RebalancePlan) -> RebalancePlan:
        """Give a plan as a comparison keeps it: whoever made it may have put anything into its metadata."""
        cleaned = self._redactor.clean(plan.metadata) if plan.metadata else plan.metadata
        return plan if cleaned == plan.metadata else plan.model_copy(update={"metadata": cleaned})

    def gaps_without_secrets(self, run: RunOutcome | None) -> RunOutcome | None:
        """Give a run as a comparison keeps it: a service's words, which are in no evidence, hold none either."""
        if run is None or not run.gaps:
            return run
        gaps = tuple(gap.model_copy(update={"reason": self._redactor.clean_text(gap.reason)}) for gap in run.gaps)
        return run if gaps == run.gaps else run.model_copy(update={"gaps": gaps})

    def keep(self, day: date, run_id: str, name: str, writer: DocumentWriter) -> EvidenceRef:
        """Store a written document of a run and say where it lies. Storing it again changes nothing."""
        digest, size, body = writer.finish()
        key = f"evidence/day={day.isoformat()}/{run_id}/{name}-{digest}.jsonl.gz"
        self._objects.put_if_absent(key, body, "application/gzip")
        return EvidenceRef(name=name, key=key, sha256=digest, size=size)

    def read(self, ref: EvidenceRef) -> Iterator[Record]:
        """Read evidence back, record by record, after all of it has been found to be what `ref` says.

        Raises `EvidenceCorrupt`. No more is unpacked than `ref` says that there is.
        """
        body = self._objects.get(ref.key)
        if body is None:
            raise EvidenceCorrupt(f"{ref.key}: expected an object, was nothing")
        digest, size, kept = sha256(), 0, io.BytesIO()
        for piece in _unpacked(body, ref):
            digest.update(piece)
            size += len(piece)
            if size > ref.size:
                raise EvidenceCorrupt(f"{ref.key}: expected {ref.size} bytes unpacked, was more")
            if ref.size <= _HELD:
                kept.write(piece)
        if digest.hexdigest() != ref.sha256:
            raise EvidenceCorrupt(f"{ref.key}: expected sha256 {ref.sha256}, was {digest.hexdigest()}")
        kept.seek(0)
        return _records(kept if ref.size <= _HELD else _unpacking(body), ref)

    def keep_comparison(self, day: date, run_id: str, body: bytes) -> tuple[str, str]:
        """Store a comparison's canonical bytes; gives its key and digest."""
        digest = sha256(body).hexdigest()
        key = comparison_key(day, run_id, digest)
        self._objects.put_if_absent(key, body, "application/json")
        return key, digest

    def read_bytes(self, key: str) -> bytes | None:
        """Read any stored object, such as a comparison or a plan; None where there is none."""
        return self._objects.get(key)


def _unpacked(body: bytes, ref: EvidenceRef) -> Iterator[bytes]:
    """Unpack a document piece by piece; raises `EvidenceCorrupt`."""
    if len(body) > ref.size + _OVERHEAD:
        raise EvidenceCorrupt(f"{ref.key}: expected {ref.size} bytes packed, was {len(body)} bytes")
    try:
        with _unpacking(body) as text:
            while piece := text.read(_PIECE):
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise EvidenceCorrupt(f"{ref.key}: expected records in gzip, was {type(error).__name__}") from None


def _unpacking(body: bytes) -> io.BufferedIOBase:
    return gzip.open(io.BytesIO(body))


def _records(unpacked: io.BufferedIOBase, ref: EvidenceRef) -> Iterator[Record]:
    """Read the records of a document that has been verified; raises `EvidenceCorrupt`."""
    with unpacked as lines:
        for line in lines:
            try:
                record = _DECODE(line.decode("utf-8", "surrogatepass"))
                found = record["record"], record["value"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise EvidenceCorrupt(f"{ref.key}: expected a record a line, was {type(error).__name__}") from None
            yield found


def comparison_key(day: date, run_id: str, digest: str) -> str:
    """Name a comparison by day, run and content."""
    return f"comparisons/day={day.isoformat()}/{run_id}-{digest[:16]}.json"


ITEM = "item"
WATCHED = "watched"
EVENT = "event"
LEDGER_ROW = "ledger_row"
OTHER_RUN = "other_run"
LANE = "lane"
DESCRIBE = "describe"
STATE_ITEM = "state_item"
MAP_RUN = "map_run"
_KINDS = {kind.value: kind for kind in EffectKind}


def recorded(draft: DocumentWriter, what: str, items: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    """Write each of `items` into `draft` as it goes by."""
    for item in items:
        draft.add(what, item)
        yield item


def control_outcome(
    pair: Pair, records: Iterable[Record], effects: Iterable[Record] | None, own: Collection[str] = ()
) -> RunOutcome | None:
    """Read the control's outcome from its documents; `effects` None: nobody captures them. `own` names a user's own fields."""
    faults: list[str] = []
    found: list[Effect] | None = None
    rows: list[dict[str, object]] = []
    shared = False
    if effects is not None:
        sections = _Sections(effects)
        shared = any(value.get("shared_by_plans") is True for value in list(sections.of(WATCHED)))
        found = captured_effects(sections.of(EVENT), faults)
        rows = [plain_item(row) for row in sections.of(LEDGER_ROW)]
    items = (plain_item(item) for item in _Sections(records).of(ITEM))
    outcome = read_control(pair.run_id, pair.plan_id, items, found, rows, ledger_is_shared=shared, own=own)
    if outcome is None or not faults:
        return outcome
    return outcome.model_copy(update={"violations": tuple(sorted({*outcome.violations, *faults}))})


def watches_ledger(effects: Iterable[Record]) -> bool:
    """Tell whether the trade ledger was there to be read."""
    return any(bool(value.get("ledger_rows")) for value in _Sections(effects).of(WATCHED))


def with_other_runs(outcome: RunOutcome | None, effects: Iterable[Record]) -> RunOutcome | None:
    """Name in `outcome` the further runs of its plan that were seen in its lane."""
    if outcome is None:
        return None
    seen = [plain_item(item) for what, item in effects if what == OTHER_RUN and isinstance(item, Mapping)]
    is_legacy = outcome.lane is Lane.LEGACY
    names = {str(item.get("name")) for item in seen if (item.get("lane") == Lane.LEGACY.value) is is_legacy} - {outcome.run_id}
    return outcome.model_copy(update={"other_runs": tuple(sorted(names))}) if names else outcome


def candidate_outcome(pair: Pair, records: Iterable[Record], plan: RebalancePlan, own: Collection[str] = ()) -> RunOutcome:
    """Read the candidate's outcome from its document. `own` names a user's own fields; a lane of a file names them itself."""
    sections = _Sections(records)
    lane = next(iter(list(sections.of(LANE))), None)
    if lane is not None:
        described = next(iter(list(sections.of(DESCRIBE))), {})
        file = LaneFile.read(str(lane.get("text")))
        return read_declared(file, (pair.run_id, pair.plan_id), Role.CANDIDATE, described, sections.of(EVENT))
    read = CandidateRecords(
        describe=next(iter(list(sections.of(DESCRIBE))), {}),
        history=sections.of(EVENT),
        state_items=map(plain_item, sections.of(STATE_ITEM)),
        map_runs=(_map_run(run) for run in sections.of(MAP_RUN)),
    )
    return read_candidate(pair.run_id, pair.plan_id, read, plan, own)


def unread(pair: Pair, lane: Lane, gaps: tuple[Gap, ...]) -> RunOutcome:
    """Stand in for a lane that could not be read: it has gaps, so that no verdict but INCOMPLETE can come of it."""
    role = lane.role_beside(pair.production_lane)
    return RunOutcome(
        role=role, lane=lane, run_id=pair.run_id, plan_id=pair.plan_id, status=RunStatus.UNFINISHED, trades=(), gaps=gaps
    )


def captured_effects(items: Iterable[Mapping[str, object]], faults: list[str]) -> list[Effect]:
    """Read captured events; what cannot be read is noted in `faults`."""
    effects = []
    for item in map(plain_item, items):
        kind = _KINDS.get(str(item.get("detail_type")))
        text = item.get("detail")
        detail = as_json(text) if isinstance(text, str) else None
        if kind is None or not isinstance(detail, Mapping):
            faults.append(f"captured event {item.get('SK')}: expected a known detail type with a JSON detail")
            continue
        effects.append(read_effect(kind, detail, emitted=True, faults=faults))
    return effects


def _map_run(run: Mapping[str, object]) -> Mapping[str, object] | Gap:
    summary = run.get("summary")
    return summary if isinstance(summary, Mapping) else Gap.parse(run.get("gap"))


class _Sections:
    """The records of a document, one kind after the other, each gone through as it is asked for."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = iter(records)
        self._next: Record | None = next(self._records, None)

    def of(self, what: str) -> Iterator[Mapping[str, object]]:
        """Give the records of one kind, as far as they stand next."""
        while self._next is not None and self._next[0] == what:
            value = self._next[1]
            self._next = next(self._records, None)
            if isinstance(value, Mapping):
                yield value


class AwsPlanSource:
    """Reads plans."""

    def __init__(self, objects: ObjectStore, client: DynamoDBClient, plan_table: str | None) -> None:
        """Read large plans from `objects`, and those whose copy is lost from `plan_table` where there is one."""
        self._objects = objects
        self._table = Reader(client, plan_table) if plan_table else None

    def plan_of(self, pair: Pair) -> RebalancePlan:
        """Read the plan of a pair. Raises `InvalidPlan`, and `EvidenceUnavailable` where it is nowhere."""
        if pair.plan_json is not None:
            return RebalancePlan.read_json(pair.plan_json)
        body = self._objects.get(pair.plan_key) if pair.plan_key else None
        if body is None and self._table is not None:
            item = self._table.get(to_item({"PK": f"PLAN#{pair.plan_id}", "SK": "METADATA"}))
            text = from_item(item).get("plan_data") if item else None
            body = text.encode() if isinstance(text, str) else None
        if body is None:
            raise EvidenceUnavailable(f"plan {pair.plan_id}: expected it at {pair.plan_key or 'the plan table'}, was nowhere")
        return RebalancePlan.read_json(body)
