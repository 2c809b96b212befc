"""What fuzzing found where stored texts are read, kept: a text that is nested without end is refused like any other nonsense."""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path

import pytest

from reports.data.extract import decode
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import EvidenceCorrupt, InvalidPayload, UnreadableDocument
from shadow.intake.payload import read_held
from shadow.lanes.redaction import Redactor
from shadow.replay.replayer import StateFile
from shadow.settlement.documents import EvidenceStore
from tests.fuzz.test_fuzz_stored import Objects

ENDLESS = b"[" * 100_000


def test_a_report_names_the_document() -> None:
    with pytest.raises(UnreadableDocument, match=r"one\.json"):
        decode("one.json", b'{"a":' * 100_000)


def test_the_comparator_names_the_evidence() -> None:
    ref = EvidenceRef(name="control", key="evidence/k", sha256=sha256(ENDLESS).hexdigest(), size=len(ENDLESS))
    with pytest.raises(EvidenceCorrupt, match="evidence/k"):
        list(EvidenceStore(Objects(gzip.compress(ENDLESS)), Redactor()).read(ref))


def test_a_replay_plays_again_what_its_state_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / "state.jsonl").write_bytes(ENDLESS + b"\n")
    assert StateFile(tmp_path / "state.jsonl").done() == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"AAPL": "many"}', '{"AAPL": 1.5}', '{"AAPL": "1E+99"}', "[" * 100_000])
def test_positions_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidPayload, match="held_json"):
        read_held(text)
