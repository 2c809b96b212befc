from __future__ import annotations

import os
import zipfile
from pathlib import Path

from local.cloud.archive import contents, digest, unzipped_bytes, write_zip


def _tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


FILES = {
    "package/__init__.py": "",
    "package/data.toml": "a = 1",
    "package/tests/test_it.py": "no",
    "package/__pycache__/it.pyc": "no",
    "package/types.pyi": "no",
    "package-1.0.dist-info/METADATA": "Name: package",
    "package-1.0.dist-info/RECORD": "no",
    "bin/tool": "no",
}


def test_what_is_not_needed_to_run_is_left_out(tmp_path: Path) -> None:
    found = contents(_tree(tmp_path, FILES), "python")
    assert set(found) == {
        "python/package/__init__.py",
        "python/package/data.toml",
        "python/package-1.0.dist-info/METADATA",
    }


def test_the_same_contents_give_the_same_bytes_whenever_and_in_whatever_order_they_were_written(tmp_path: Path) -> None:
    first = _tree(tmp_path / "first", FILES)
    second = _tree(tmp_path / "second", dict(reversed(FILES.items())))
    for path in second.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    write_zip(tmp_path / "first.zip", contents(first))
    write_zip(tmp_path / "second.zip", contents(second))
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    assert digest(contents(first)) == digest(contents(second))


def test_a_change_of_a_byte_a_name_or_the_builder_changes_the_digest(tmp_path: Path) -> None:
    before = digest(contents(_tree(tmp_path / "a", {"x.py": "1"})), "1")
    assert digest(contents(_tree(tmp_path / "b", {"x.py": "2"})), "1") != before
    assert digest(contents(_tree(tmp_path / "c", {"y.py": "1"})), "1") != before
    assert digest(contents(_tree(tmp_path / "d", {"x.py": "1"})), "2") != before


def test_a_zip_put_onto_another_holds_both_and_changes_neither(tmp_path: Path) -> None:
    write_zip(tmp_path / "packages.zip", contents(_tree(tmp_path / "packages", {"lib/__init__.py": "lib"})))
    before = (tmp_path / "packages.zip").read_bytes()
    ours = contents(_tree(tmp_path / "ours", {"__init__.py": "ours"}), "shadow")
    write_zip(tmp_path / "layer.zip", ours, onto=tmp_path / "packages.zip")
    with zipfile.ZipFile(tmp_path / "layer.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "lib/__init__.py": b"lib",
            "shadow/__init__.py": b"ours",
        }
    assert (tmp_path / "packages.zip").read_bytes() == before
    assert unzipped_bytes(tmp_path / "layer.zip") == 7
