"""Business Unit: tests | Status: current.

The root of the command: help with examples everywhere and at once, a version, and parts that are not installed told in a line.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from shadow import __version__
from shadow.__main__ import main
from shadow.cli.main import COMMANDS, Entry, app, install_command, load
from tests.factories.comparisons import comparison_of, write_jsonl
from tests.fakes.cli_cloud import shadow

HEAVY = {"boto3", "botocore", "aws_lambda_powertools", "alpaca", "requests", "pandas", "numpy", "scipy", "matplotlib", "jinja2"}


def test_the_version_is_told() -> None:
    result = shadow("--version")

    assert result.exit_code == 0
    assert result.stdout.strip() == f"shadow {__version__}"


GROUPS = ["version publish", "version list"]


@pytest.mark.parametrize("command", [entry.name for entry in COMMANDS if entry.name not in {"lane", "down", "version"}] + GROUPS)
def test_every_command_has_examples_and_json(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    result = shadow(*command.split(), "--help")

    assert result.exit_code == 0
    assert "For example:" in result.stdout
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


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_line_in_the_list_of_commands_is_the_first_of_the_commands_own_help(entry: Entry) -> None:
    first = str(load(entry).help).partition("\n\n")[0]

    assert " ".join(first.split()) == entry.summary
    assert len(first) <= 62, "the list of commands shows it whole at 80 columns"


def test_the_help_of_no_command_loads_what_the_command_works_with() -> None:
    """Help takes a third of a second at most because of this; typer itself loads pydantic's core where that is installed."""
    asked = f"""
import sys
from shadow.__main__ import main
for words in {[[], *([entry.name] for entry in COMMANDS), ["lane", "check"], ["version", "list"]]!r}:
    sys.argv[1:] = [*words, "--help"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
    if words == []:
        print("ROOMS", *sorted(set(sys.modules) & {{"reports", "local"}}))
print(*sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603
    loaded = answer.stdout.splitlines()[-1].split()

    assert "ROOMS" in answer.stdout.splitlines(), "the list of commands loads none of the rooms"
    assert {"shadow.cli.pairs", "reports.policies", "local.cli"} <= set(loaded)
    assert not {name.partition(".")[0] for name in loaded} & (HEAVY | {"exchange_calendars"})
    heavy = ("shadow.aws", "shadow.settlement", "shadow.contracts.comparison")
    assert not [name for name in loaded if name.startswith(heavy)]


@pytest.mark.parametrize(("package", "part"), [("pandas", "reports"), ("exchange_calendars", "reports")])
def test_a_part_that_is_not_installed_is_told_with_the_command_that_installs_it(
    package: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(date(2026, 11, 24))])
    for name in [name for name in sys.modules if name.partition(".")[0] in {package, "reports"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    result = shadow("readiness", "--folder", str(tmp_path), "--json")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"].endswith(f"pip install 'shadow-lanes[{part}]'")


@pytest.mark.parametrize(
    "line",
    [
        "site --folder . --out taken",
        "report --folder . --out taken/page.html",
        "report --folder . --policy nowhere.toml",
        "readiness --folder . --decided nowhere.toml",
        "rejudge --folder . --policy .",
        "rule FILLED_QUANTITY --policy nowhere.toml",
        "noise --first . --second . --policy nowhere.toml",
        "example --prices nowhere.csv",
    ],
)
def test_a_file_that_is_not_there_or_cannot_be_written_is_bad_input_and_named(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(date(2026, 11, 24))])
    (tmp_path / "taken").touch()
    monkeypatch.chdir(tmp_path)
    result = shadow(*line.split(), "--json")

    assert result.exit_code == 2
    assert line.rsplit(maxsplit=1)[-1].partition("/")[0] in json.loads(result.stdout)["error"]


def test_output_that_was_closed_before_is_no_failure() -> None:
    code = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', 'shadow', '--version'])"
    answer = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603

    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_package_that_no_part_brings_is_our_own_fault_and_no_advice_is_given() -> None:
    assert install_command(ModuleNotFoundError("no", name="shadow.nowhere")) is None


def test_an_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shadow.cli.pairs.find_target", interrupted)
    assert shadow("compare", "plan-1").exit_code == 130


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_a_package_that_is_interrupted_while_it_is_imported_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, *, is_interrupted: bool
) -> None:
    def imported() -> None:
        raise ImportError("initialization failed") from (KeyboardInterrupt() if is_interrupted else OSError())

    monkeypatch.setattr("shadow.cli.main.app", imported)
    with pytest.raises(SystemExit if is_interrupted else ImportError) as end:
        main()
    assert not is_interrupted or end.value.code == 130  # type: ignore[attr-defined] # of the interruption


def test_completion_can_be_shown() -> None:
    assert app._add_completion is True


COMMAND = re.compile(r"(?<![\w/.-])shadow (?P<name>[a-z]+)\b(?P<rest>[^`\"\n]*)")
OPTION = re.compile(r"(?<=\s)--?[a-z][a-z-]*\b")
CHECKOUT = Path(__file__).parents[2]


def options_of(entry: Entry) -> set[str]:
    """Give the options of a command, and of those below it."""
    command = load(entry)
    below = getattr(command, "commands", {}).values()
    return {"-h", "--help"} | {option for each in (command, *below) for one in each.params for option in one.opts}


def test_every_option_that_pages_mails_and_documents_name_is_one_of_its_command() -> None:
    texts = [page for folder in ("shadow", "reports", "local", "docs", "examples") for page in (CHECKOUT / folder).rglob("*.*")]
    named: dict[str, dict[str, str]] = {entry.name: {} for entry in COMMANDS}
    for page in [*texts, CHECKOUT / "README.md", CHECKOUT / "template.yaml"]:
        if page.suffix in (".py", ".md", ".j2", ".yaml", ".toml"):
            for found in COMMAND.finditer(page.read_text(encoding="utf-8")):
                line = re.split(r"[|#]", found["rest"])[0]
                named.get(found["name"], {}).update(dict.fromkeys(OPTION.findall(line), page.name))

    assert {"--date", "--json"} <= set(named["status"])
    assert not {
        (entry.name, *told) for entry in COMMANDS for told in named[entry.name].items() if told[0] not in options_of(entry)
    }
