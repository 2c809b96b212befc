"""Every command, given whatever arguments: one of the four exit codes, a sentence, never a traceback, and with `--json` one JSON
document.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from shadow.cli import main, target
from shadow.cli.main import app, load
from tests.factories.comparisons import comparison_of, document
from tests.fuzz.mutations import TEXTS, as_text, damaged

DAY = "2026-01-06"
FOUND = comparison_of(date.fromisoformat(DAY), trades=2)
NEVER = ("up", "down", "demo", "chaos")
"""Commands that start a cloud: their arguments are parsed only as far as their help."""


COMMANDS: dict[str, Any] = {entry.name: load(entry) for entry in main.COMMANDS}
LEFT = {"--help", "--open"}
OPTIONS = {
    name: sorted({flag for option in command.params for flag in option.opts if flag.startswith("--")} - LEFT)
    for name, command in COMMANDS.items()
}
FILES = ("plan.json", "comparisons.jsonl", "policy.toml", "folder", "absent", ".", "/dev/null", "binary")


def _nothing_there(stage_name: str) -> Any:
    raise ClientError({"Error": {"Code": "ValidationError", "Message": f"no stack {stage_name}"}}, "DescribeStacks")


@contextmanager
def stage() -> Iterator[None]:
    """Have a folder with files in it, good and bad, and no stack."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, patch.object(target, "describe_stack", _nothing_there):
        os.chdir(folder)
        good = document(FOUND)
        Path("comparisons.jsonl").write_bytes(good + b"\n")
        Path("plan.json").write_text(as_text(FOUND.plan.to_wire()))
        Path("policy.toml").write_text("version = 1\n[rules]\n")
        Path("binary").write_bytes(b"\xff\x00\xfe")
        Path("folder/comparisons/day=2026-01-06").mkdir(parents=True)
        Path("folder/comparisons/day=2026-01-06/x-1.json").write_bytes(good)
        try:
            yield
        finally:
            os.chdir(before)


@pytest.fixture(scope="module", autouse=True)
def _stage() -> Iterator[None]:
    with stage():
        yield


values = st.sampled_from(
    [
        *FILES,
        DAY,
        "1999-01-04",
        "2099-01-04",
        "9999-12-31",
        "0001-01-01",
        "2026-01-10",
        "today",
        "publish",
        "comparator",
        "1",
        "0",
        "-1",
    ]
) | st.sampled_from([text for text in TEXTS if "\x00" not in text and "\ud800" not in text and len(text) < 4_000])


def argument_lists(name: str) -> st.SearchStrategy[list[str]]:
    """Give arguments of one command: its own options with any values, and other words."""
    option = st.tuples(st.sampled_from(OPTIONS[name] or ["--json"]), values).map(list)
    flag = st.sampled_from(OPTIONS[name] or ["--json"]).map(lambda found: [found])
    pieces = st.lists(option | flag | values.map(lambda value: [value]), max_size=4)
    return pieces.map(lambda found: [name, *(word for piece in found for word in piece)])


lines = st.sampled_from([name for name in sorted(COMMANDS) if name not in NEVER]).flatmap(argument_lists)


def checked(arguments: list[str]) -> int:
    """Run a command and check how it ended."""
    result = CliRunner().invoke(app, arguments)
    raised = result.exception
    assert raised is None or isinstance(raised, SystemExit), f"{arguments}: {type(raised).__name__}: {raised}"
    assert result.exit_code in (0, 1, 2, 3, 4), arguments
    assert "Traceback" not in result.stderr
    return result.exit_code


@settings(max_examples=20)
@given(lines)
@example(["report", "--file", "comparisons.jsonl", "--date", "1999-01-04"])
@example(["report", "--file", "comparisons.jsonl", "--date", "2099-01-04"])
@example(["readiness", "--file", "comparisons.jsonl", "--date", "9999-12-31"])
@example(["report", "--file", "binary", "--date", "2026-01-06"])
@example(["report", "--folder", "folder", "--out", "folder"])
@example(["replay", "--label", "x" * 300])
def test_a_command_ends_with_one_of_five_codes(arguments: list[str]) -> None:
    checked(arguments)


@settings(max_examples=12)
@given(lines)
def test_with_json_there_is_one_document_whatever_happens(arguments: list[str]) -> None:
    line = [*arguments[:1], "--json", *(word for word in arguments[1:] if word != "--json")]
    result = CliRunner().invoke(app, line)
    assert result.exit_code in (0, 1, 2, 3, 4)
    assert isinstance(json.loads(result.stdout), dict), line


@settings(max_examples=12)
@given(damaged(json.loads(document(FOUND))))
def test_a_damaged_document_is_refused_by_name(value: Any) -> None:
    Path("damaged.jsonl").write_text(as_text(value) + "\n", encoding="utf-8")
    for command in (["explain", "x"], ["report", "--date", DAY], ["readiness", "--date", DAY], ["rejudge"]):
        checked([*command, "--file", "damaged.jsonl"])
