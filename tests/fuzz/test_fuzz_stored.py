"""Whatever lies where something was stored: it is read, or refused by an error that names the document."""

from __future__ import annotations

import gzip
import json
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.data.extract import decode
from shadow.compare.document import canonical_bytes, read_comparison
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import EvidenceCorrupt, InvalidPayload, InvalidPlan, UnreadableDocument
from shadow.intake.payload import read_held
from shadow.lanes.redaction import Redactor
from shadow.replay.plans import plans_in_folder
from shadow.replay.replayer import StateFile
from shadow.settlement.documents import EvidenceStore, candidate_outcome, control_outcome
from shadow.settlement.stored import JsonlLedger
from tests.factories.comparisons import comparison_of
from tests.factories.histories import BEGIN
from tests.factories.pairs import pair_of
from tests.fakes.plans import plan_of
from tests.fuzz.mutations import as_text, damaged, ended, json_values, raw_texts

PLAN = plan_of(AAPL="-600", MSFT="1000")
PAIR = pair_of(PLAN)
FOUND = comparison_of(BEGIN.date(), trades=2)
DOCUMENT: Any = json.loads(canonical_bytes(FOUND))
LINE = {"record": "item", "value": {"SK": {"S": "METADATA"}, "status": {"S": "COMPLETED"}}}
bodies = raw_texts(DOCUMENT).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=30)


@settings(max_examples=40)
@given(bodies)
def test_a_stored_comparison_is_read_or_refused(body: bytes) -> None:
    read = ended(lambda: read_comparison(body))
    assert read.error is None or isinstance(read.error, InvalidPayload)


@settings(max_examples=40)
@given(bodies)
def test_what_reports_need_of_a_comparison_is_read_or_refused_by_document_and_field(body: bytes) -> None:
    read = ended(lambda: decode("day=2026-01-06/one.json", body))
    if read.error is not None:
        assert isinstance(read.error, UnreadableDocument)
        assert "one.json" in str(read.error)
        assert read.error.field


class Objects:
    """One object, whatever is asked for."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        raise AssertionError((key, body, content_type))

    def get(self, key: str) -> bytes:
        assert key
        return self.body


@settings(max_examples=40)
@given(st.lists(damaged(LINE) | json_values, max_size=3), st.sampled_from(("whole", "cut", "plain", "deep")), st.booleans())
def test_an_evidence_document_is_read_or_refused(records: list[Any], form: str, signed: bool) -> None:  # noqa: FBT001 - drawn
    text = "".join(f"{as_text(record)}\n" for record in records).encode("utf-8", "surrogatepass")
    text = b"[" * 50_000 if form == "deep" else text
    body = {"cut": gzip.compress(text)[:-5], "plain": text}.get(form, gzip.compress(text))
    ref = EvidenceRef(name="control", key="k", sha256=sha256(text).hexdigest() if signed else "0", size=len(text))
    store = EvidenceStore(Objects(body), Redactor())
    for read in (
        ended(lambda: list(store.read(ref))),
        ended(lambda: control_outcome(PAIR, store.read(ref), store.read(ref))),
        ended(lambda: candidate_outcome(PAIR, store.read(ref), PLAN)),
    ):
        assert read.error is None or isinstance(read.error, EvidenceCorrupt | InvalidPayload)


@settings(max_examples=20)
@given(raw_texts(PLAN.to_wire()), raw_texts(json.loads(PAIR.model_dump_json())))
def test_files_of_plans_and_pairs_are_read_or_refused_by_name(plan: str, pair: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "one.json").write_bytes(plan.encode("utf-8", "surrogatepass"))
        read = ended(lambda: plans_in_folder(place))
        assert read.error is None or (isinstance(read.error, InvalidPlan) and "one.json" in str(read.error))
        (place / "pairs.jsonl").write_bytes(pair.encode("utf-8", "surrogatepass"))
        pairs = ended(lambda: JsonlLedger(place / "pairs.jsonl").pairs_of(PAIR.trading_day))
        assert pairs.error is None or (isinstance(pairs.error, UnreadableDocument) and "pairs.jsonl" in str(pairs.error))
        (place / "state.jsonl").write_bytes(pair.encode("utf-8", "surrogatepass"))
        ended(lambda: StateFile(place / "state.jsonl").done())


@settings(max_examples=20)
@given(raw_texts({"AAPL": "3", "MSFT": "1.5"}))
def test_positions_that_were_kept_are_read_or_refused(text: str) -> None:
    read = ended(lambda: read_held(text))
    if read.error is None:
        assert all(isinstance(symbol, str) and shares.is_finite() for symbol, shares in read.answer.items())
    else:
        assert isinstance(read.error, InvalidPayload)
        assert "held_json" in str(read.error)
