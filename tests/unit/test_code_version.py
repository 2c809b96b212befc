"""The version of the code: each change of a source that executes or judges is another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shadow import __version__
from shadow.settlement import judging


def version_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(judging, "__file__", str(root / "settlement" / "judging.py"))
    judging.code_version.cache_clear()
    try:
        return judging.code_version()
    finally:
        judging.code_version.cache_clear()


def test_another_source_is_another_version_and_a_command_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands = judging.code_version()
    assert stands.startswith(f"{__version__}+")
    root = tmp_path / "shadow"
    shutil.copytree(Path(judging.__file__).parents[1], root, ignore=shutil.ignore_patterns("__pycache__"))
    assert version_at(root, monkeypatch) == stands
    with (root / "cli" / "status.py").open("a") as file:
        file.write("# a command does not execute or judge\n")
    assert version_at(root, monkeypatch) == stands
    for changed in ("execution/trade.py", "compare/kinds.toml", "settlement/judging.py"):
        before = version_at(root, monkeypatch)
        with (root / changed).open("a") as file:
            file.write("# changed\n")
        assert version_at(root, monkeypatch) != before
