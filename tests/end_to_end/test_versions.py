"""After the migration, on one local stack: version 1 in production, version 2 with a sizing fault gated, shadowed, found and
explained, version 3 without it promoted and rolled back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.cloud.access import dummy_environment
from local.cloud.build import build_artefacts
from local.operator import Operator
from local.replay_gate import open_engine
from local.stack import CHECKOUT, LocalStack, local_stack
from shadow.aws import clients
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Comparison
from shadow.replay.gate import GateReport, GateWord, gate
from shadow.replay.recording import recording_of
from tests.end_to_end.conftest import Market
from tests.fakes.cli_cloud import forget_clients, shadow

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
PARTS = ("shadow", "functions", "reports", "local", "statemachines", "requirements", "template.yaml")
SOUND, FAULTY = "_shares(abs(trade.trade_amount), mid)", "_shares(abs(trade.target_value), mid)"


@dataclass
class Story:
    """What happened: the commands' exit codes and answers, by name, what each gate said, and the alias after each move."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    gates: dict[str, GateReport] = field(default_factory=dict)
    alias: list[str] = field(default_factory=list)
    recorded: str = ""


def faulty_checkout(folder: Path) -> Path:
    """Copy this checkout, with BUYs and SELLs sized by the target value."""
    for name in PARTS:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / name)
    sizing = folder / "shadow" / "execution" / "sizing.py"
    text = sizing.read_text()
    assert SOUND in text
    sizing.write_text(text.replace(SOUND, FAULTY))
    return folder


class Publisher:
    """Publishes versions as docs/versions.md says."""

    def __init__(self, stack: LocalStack) -> None:
        self.steps, self.functions = stack.access.stepfunctions(), stack.functions()
        self.machine = stack.output("StateMachineArn")
        self.deployed = self.steps.describe_state_machine(stateMachineArn=self.machine)["definition"]
        self.names = sorted({part.split('"')[0] for part in self.deployed.split(":function:")[1:]})

    def publish(self) -> str:
        text = self.deployed
        for name in self.names:
            number = self.functions.publish_version(FunctionName=name)["Version"]
            text = text.replace(f':function:{name}"', f':function:{name}:{number}"')
        answer = self.steps.update_state_machine(stateMachineArn=self.machine, definition=text, publish=True)
        self.steps.update_state_machine(stateMachineArn=self.machine, definition=self.deployed)
        return str(answer["stateMachineVersionArn"])

    def with_library(self, library: Path | None, before: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Give every function another shared layer, or with None those that it had before; give those it had."""
        had: dict[str, list[str]] = {}
        other = ""
        if library is not None:
            content = {"ZipFile": library.read_bytes()}
            other = self.functions.publish_layer_version(LayerName="faulty-library", Content=content)["LayerVersionArn"]
        for name in self.names:
            layers = [layer["Arn"] for layer in self.functions.get_function_configuration(FunctionName=name)["Layers"]]
            had[name] = layers
            wanted = before[name] if library is None else [other if "shared" in layer else layer for layer in layers]
            assert library is None or other in wanted, layers
            self.functions.update_function_configuration(FunctionName=name, Layers=wanted)
        return had


def told(*arguments: str) -> tuple[int, Any]:
    result = shadow(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    found, folder = Story(), tmp_path_factory.mktemp("versions")
    wrong = faulty_checkout(folder / "version-2")
    with pytest.MonkeyPatch.context() as patch:
        with local_stack(folder / "cloud") as stack:
            market, operator = Market(stack), Operator(stack)
            documents = []
            for _ in range(2):
                _, plan = market.next_plan()
                operator.publish(plan)
                documents.append(operator.comparison_of(operator.await_verdict(plan.plan_id)))
            comparisons = [Comparison.parse_json(document) for document in documents]
            found.recorded = b"".join(documents).decode()
            patch.chdir(folder)
            for name, value in dummy_environment(stack.emulator.endpoint).items():
                patch.setenv(name, value)
            forget_clients()
            clients.lambda_.cache_clear()
            work(found, stack, comparisons[-1], wrong)
            forget_clients()
            clients.lambda_.cache_clear()
        recordings = [recording for recording in map(recording_of, comparisons) if recording is not None]
        for name, version in (("2", wrong), ("3", CHECKOUT)):
            with open_engine(str(version), default_policy(), lambda _: None) as engine:
                found.gates[name] = gate(name, engine.play(recordings))
    return found


def work(found: Story, stack: LocalStack, last: Comparison, wrong: Path) -> None:
    publisher = Publisher(stack)
    alarm = next(
        alarm["AlarmName"]
        for alarm in stack.access.cloudwatch().describe_alarms()["MetricAlarms"]
        if alarm["StateValue"] != "ALARM"
    )
    library = build_artefacts(wrong, CHECKOUT / "build" / "artefacts").layers["shared"].path
    publisher.publish()
    had = publisher.with_library(library, {})
    publisher.publish()
    publisher.with_library(None, had)
    publisher.publish()

    def step(name: str, *arguments: str) -> None:
        found.answers[name] = told(*arguments)
        alias = f"{publisher.machine}:production"
        try:
            routes = publisher.steps.describe_state_machine_alias(stateMachineAliasArn=alias)["routingConfiguration"]
        except publisher.steps.exceptions.ClientError:
            return
        found.alias.append(routes[0]["stateMachineVersionArn"].rpartition(":")[2])

    by = ("--by", "ana", "--reason", "the first version")
    step("promote 1", "promote", "--version", "1", "--alarm", alarm, *by)
    for number in ("1", "2", "3"):
        step(f"shadow {number}", "candidate", "--version", number, "--date", str(last.trading_day))
    step("explain", "explain", f"{last.plan_id}~replay-version-2")
    step("promote 2", "promote", "--version", "2", "--alarm", alarm)
    step("promote 3", "promote", "--version", "3", "--alarm", alarm, "--by", "ana", "--reason", "gated and shadowed")
    step("roll back", "rollback", "--by", "ana", "--reason", "a rehearsal")


def test_a_version_against_itself_matches_and_says_which_version_ran(story: Story) -> None:
    code, answer = story.answers["shadow 1"]

    assert (code, answer["verdicts"]) == (0, {"MATCHED": 1})


def test_version_2_is_found_and_explained_and_version_3_matches(story: Story) -> None:
    assert story.answers["shadow 2"][0] == 1
    assert story.answers["shadow 2"][1]["verdicts"] == {"DIVERGED": 1}
    comparison = Comparison.parse(story.answers["explain"][1]["comparison"])
    assert {found.kind for found in comparison.differences if found.unexplained} == {"SIZING_BASIS"}
    assert comparison.candidate is not None
    assert (comparison.candidate.version or "").endswith(":2")
    assert len(comparison.candidate.functions) >= 6
    assert story.answers["shadow 3"] == (0, story.answers["shadow 3"][1])
    assert story.answers["shadow 3"][1]["verdicts"] == {"MATCHED": 1}


def test_production_moves_only_where_it_may(story: Story) -> None:
    assert story.answers["promote 2"][1]["kind"] == "NotReady"
    assert [code for name, (code, _) in story.answers.items() if name in ("promote 1", "promote 3", "roll back")] == [0, 0, 0]
    assert story.alias == ["1", "1", "1", "1", "1", "1", "3", "1"]


def test_the_gate_refuses_version_2_and_passes_version_3(story: Story) -> None:
    assert story.gates["2"].word is GateWord.REFUSED
    assert any("SIZING_BASIS" in line for plan in story.gates["2"].plans for line in plan.lines)
    assert (story.gates["3"].word, len(story.gates["3"].plans)) == (GateWord.PASSED, 2)


@pytest.mark.parametrize("secret", ["candidate-secret", "control-secret", "candidate-key", "control-key"])
def test_the_recordings_hold_no_secret(secret: str, story: Story) -> None:
    assert '"plan_id"' in story.recorded
    assert secret not in story.recorded
