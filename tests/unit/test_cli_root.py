"""Business Unit: tests | Status: current.

The root of the command: help with examples everywhere, a version, and rooms that are missing without taking others along.
"""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from shadow import __version__
from shadow.cli.main import COMMAND_GROUP, app, load_commands
from tests.fakes.cli_cloud import shadow

COMMANDS = ("publish", "status", "compare", "explain", "replay", "redrive", "doctor")


def test_the_version_is_told() -> None:
    result = shadow("--version")

    assert result.exit_code == 0
    assert result.stdout.strip() == f"shadow {__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_and_json(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    result = shadow(command, "--help")

    assert result.exit_code == 0
    assert "Examples" in result.stdout
    assert f"shadow {command}" in result.stdout
    assert "--json" in result.stdout


def test_no_command_is_help_and_an_unknown_one_bad_input() -> None:
    assert "publish" in shadow().output
    assert shadow("publsh").exit_code == 2


@pytest.mark.parametrize(
    "line", [("compare",), ("compare", "p", "--nope"), ("publsh",), ("--nope",), ("redrive", "--limit", "x")]
)
def test_arguments_that_are_not_taken_are_told_as_json_where_that_was_asked_for(line: tuple[str, ...]) -> None:
    result = shadow(*line, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["exit_code"] == 2
    assert json.loads(result.stdout)["error"]


def test_a_room_that_is_missing_is_a_warning_and_no_loss_to_the_others() -> None:
    tool = typer.Typer()
    entries = [
        EntryPoint("cli", "shadow.cli.commands:register", COMMAND_GROUP),
        EntryPoint("gone", "shadow.nowhere:register", COMMAND_GROUP),
        EntryPoint("half", "shadow.cli.commands:no_such_name", COMMAND_GROUP),
    ]

    warnings = load_commands(tool, entries)

    assert len(warnings) == 2
    assert "gone (shadow.nowhere:register)" in warnings[0]
    assert "half" in warnings[1]
    assert "explain" in CliRunner().invoke(tool, ["--help"]).output


def test_completion_can_be_shown() -> None:
    assert app._add_completion is True
