"""Of a pair's documents the one that the ledger names counts, whatever clocks and copies say; what is no document is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import UnreachableSource, UnreadableDocument
from shadow.contracts.pair import Pair, PairState
from shadow.settlement.stored import FolderSource, JsonlSource, S3Source, everything, find, source_of
from tests.factories.comparisons import comparison_of, diverged, document, key_of, write_jsonl, write_store
from tests.factories.pairs import pair_behind

DAY = date(2026, 11, 20)
RIGHT, WRONG = diverged(comparison_of(DAY)), comparison_of(DAY)


def named(comparison: Comparison, **changes: object) -> Pair:
    digest = sha256(document(comparison)).hexdigest()
    about = {"state": PairState.JUDGED, "verdict": comparison.verdict, "comparison_key": key_of(comparison)}
    return pair_behind(comparison, **(about | {"comparison_sha256": digest} | changes))


def write_ledger(folder: Path, *pairs: Pair) -> None:
    (folder / "ledger.jsonl").write_text("".join(pair.model_dump_json() + "\n" for pair in pairs))


def names(source: FolderSource) -> list[str]:
    return [name for name, _ in source.documents(DAY, DAY)]


@pytest.mark.parametrize("times", [(1, 2), (2, 1), (1, 1)])
def test_the_ledger_decides_and_no_clock(tmp_path: Path, times: tuple[int, int]) -> None:
    write_store(tmp_path, [RIGHT, WRONG])
    for comparison, at in zip((RIGHT, WRONG), times, strict=True):
        os.utime(tmp_path / key_of(comparison), (at, at))
    write_ledger(tmp_path, named(RIGHT))
    source = FolderSource(tmp_path)

    assert names(source) == [key_of(RIGHT)]
    found = find(source, RIGHT.plan_id)
    assert found is not None
    assert found.comparison.verdict is RIGHT.verdict
    assert [each.verdict for each in everything(source)] == [RIGHT.verdict]


def test_several_documents_and_no_ledger_are_refused_not_guessed(tmp_path: Path) -> None:
    write_store(tmp_path, [RIGHT, WRONG])
    with pytest.raises(UnreachableSource, match=r"ledger\.jsonl"):
        names(FolderSource(tmp_path))
    with pytest.raises(UnreachableSource, match=str(RIGHT.run_id)):
        find(FolderSource(tmp_path), RIGHT.plan_id)


def test_a_document_that_no_pair_names_does_not_count(tmp_path: Path) -> None:
    write_store(tmp_path, [RIGHT])
    write_ledger(tmp_path, named(RIGHT, comparison_key=None, comparison_sha256=None))
    assert names(FolderSource(tmp_path)) == []


def test_a_document_that_was_changed_is_told_by_its_name(tmp_path: Path) -> None:
    write_store(tmp_path, [RIGHT])
    write_ledger(tmp_path, named(RIGHT))
    (tmp_path / key_of(RIGHT)).write_bytes(document(WRONG))
    with pytest.raises(UnreadableDocument, match="expected the document that the ledger names") as refused:
        names(FolderSource(tmp_path))
    assert refused.value.document == key_of(RIGHT)


def test_the_lines_of_a_file_are_held_against_the_ledger_too(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [RIGHT, WRONG])
    write_ledger(tmp_path, named(RIGHT))
    for source in (JsonlSource(tmp_path / "comparisons.jsonl"), FolderSource(tmp_path)):
        assert [each.verdict for each in everything(source)] == [RIGHT.verdict]
        assert [source.read(entry).strip() for entry in source.entries(DAY, DAY)] == [document(RIGHT)]


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_pipe, _dangling, _folder])
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    write_store(tmp_path, [RIGHT])
    odd = (tmp_path / key_of(RIGHT)).with_name("odd.json")
    make(odd)
    with pytest.raises(UnreachableSource, match="odd"):
        names(FolderSource(tmp_path))
    lines = tmp_path / "odd.jsonl"
    make(lines)
    with pytest.raises(UnreachableSource, match="odd"):
        list(JsonlSource(lines).documents(DAY, DAY))


def test_a_document_of_no_size_that_a_pair_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadow.settlement.stored.MAX_BYTES", 100)
    write_store(tmp_path / "a", [RIGHT])
    write_jsonl(tmp_path / "b.jsonl", [RIGHT])
    for source in (FolderSource(tmp_path / "a"), JsonlSource(tmp_path / "b.jsonl")):
        with pytest.raises(UnreadableDocument, match="expected at most 100 bytes"):
            list(source.documents(DAY, DAY))


@pytest.mark.parametrize("day", ["day=2026-13-45", "day=2026-02-30", "day=x"])
def test_a_folder_of_no_day_is_left_alone(tmp_path: Path, day: str) -> None:
    write_store(tmp_path, [RIGHT])
    (tmp_path / "comparisons" / day).mkdir()
    (tmp_path / "comparisons" / day / "x.json").write_bytes(b"{}")
    assert names(FolderSource(tmp_path)) == [key_of(RIGHT)]


def test_a_place_is_opened_as_what_it_is(tmp_path: Path) -> None:
    assert source_of("s3://bucket/anything") == S3Source("bucket")
    assert source_of(str(tmp_path / "x.jsonl")) == JsonlSource(tmp_path / "x.jsonl")
    assert source_of(str(tmp_path)) == FolderSource(tmp_path)


def test_what_was_stored_before_margins_had_their_weights_is_read(tmp_path: Path) -> None:
    old = json.loads(document(RIGHT)) | {"margins": {"basis": "b", "rules": []}}
    (tmp_path / "comparisons.jsonl").write_text(json.dumps(old) + "\n")
    [read] = everything(source_of(str(tmp_path / "comparisons.jsonl")))

    assert read.margins is not None
    assert read.margins.weights == ""
