"""Business Unit: tests | Status: current.

Which local cloud a command talks to, from which folder; and that only one is brought up in a folder at a time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from local.cloud.errors import LocalCloudError
from local.cloud.locking import locked
from local.stack import bring_up
from shadow.cli.target import LOCAL_NOTE, local_folder, other_folders, remember_folder

NOBODY = 2**22 + 1  # no process has a number this high


def noted(folder: Path, *, pid: int = os.getpid()) -> Path:
    place = folder / LOCAL_NOTE.parent
    place.mkdir(parents=True)
    (place / LOCAL_NOTE.name).write_text(json.dumps({"pid": pid, "endpoint": "http://127.0.0.1:1"}))
    return place


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_folders_own_cloud_comes_before_the_one_started_last(here: Path, tmp_path: Path) -> None:
    remember_folder(noted(tmp_path / "there"))
    assert local_folder() == tmp_path / "there" / LOCAL_NOTE.parent

    noted(here)
    assert local_folder() == LOCAL_NOTE.parent


def test_of_several_clouds_the_last_one_that_runs_is_found(tmp_path: Path) -> None:
    first, second = noted(tmp_path / "first"), noted(tmp_path / "second")
    for folder in (first, second, first, second):
        remember_folder(folder)
    assert (other_folders(), local_folder()) == ([second, first], second)

    (second / LOCAL_NOTE.name).unlink()
    assert local_folder() == first


def test_a_cloud_whose_process_is_gone_is_none(here: Path, tmp_path: Path) -> None:
    remember_folder(noted(tmp_path / "there", pid=NOBODY))
    noted(here, pid=NOBODY)

    assert local_folder() is None


def test_without_a_note_there_is_none() -> None:
    assert local_folder() is None


def test_a_second_up_in_one_folder_is_refused_before_it_starts_anything(here: Path) -> None:
    with locked(here / "cloud" / "up.lock"), pytest.raises(LocalCloudError, match="being started below"):
        bring_up(here / "cloud")

    assert [path.name for path in (here / "cloud").iterdir()] == ["up.lock"]
