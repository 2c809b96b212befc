"""After the migration, on one local stack: version 1 in production alone, version 2 with a sizing fault gated, shadowed, found
and explained, version 3 without it READY by its own five days, promoted and rolled back.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.cloud.access import dummy_environment
from local.cloud.build import build_artefacts
from local.market import ClosingPrices
from local.operator import Operator
from local.planner import Portfolio, make_plan
from local.replay_gate import open_engine
from local.scenarios.demo import demo_days
from local.stack import BROKER, CHECKOUT, LocalStack, local_stack, redeploy
from shadow.aws.broker import fingerprint_of
from shadow.aws.versions import functions_in
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Comparison
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role
from shadow.replay.gate import GateReport, GateWord, gate, recording_of
from tests.factories.cloud_tables import forget_clients
from tests.fakes.cli_cloud import shadow

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
PARTS = ("shadow", "functions", "reports", "local", "statemachines", "requirements", "template.yaml")
SOUND, FAULTY = "_shares(abs(trade.trade_amount), mid)", "_shares(abs(trade.target_value), mid)"


NUMBER = "SIMCONTROL01"
SYMBOLS = ("AAPL", "JPM", "MSFT", "PFE")
DAYS = 5
DECIDED = """
days = 5
look_step = 5
full_look = 5
bad_day_target = 0.9
path_target = 0.35
autocorrelation = 0.0
latency_margin = 1000.0
slow_ratio = 1000.0
slow_target = 0.9
required = ["sells and buys"]
[rate_targets]
"all trades" = 0.35
buys = 0.35
sells = 0.35
"full exits" = 0.35
"large trades" = 0.35
"small trades" = 0.35
"""
ACCEPTED = """
[[accepted]]
name = "rate.{name}"
owner = "ana"
reason = "five days of four trades have none"
expires = 2030-01-01
"""
"""What the desk asks of five days with four trades each: fewer days and wider shares than the default, by the same rule."""


@dataclass
class Story:
    """What happened: the commands' exit codes and answers, what each gate said, the alias after each move, and which version
    executed each day's plan in production.
    """

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    gates: dict[str, GateReport] = field(default_factory=dict)
    alias: list[str] = field(default_factory=list)
    executed_by: list[str] = field(default_factory=list)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
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


class Desk:
    """Trades one plan a day on a stack whose workflow is in production alone, and works its versions by the commands."""

    def __init__(self, stack: LocalStack, story: Story) -> None:
        self.stack, self.story, self.operator = stack, story, Operator(stack)
        self.steps, self.functions = stack.access.stepfunctions(), stack.functions()
        self.machine = stack.output("StateMachineArn")
        self.days = list(demo_days(ClosingPrices.bundled(), count=DAYS + 2, plants=()))
        broker, closes = stack.broker, self.days[0].closes
        broker.set_day(self.days[0].day, closes, half_day=self.days[0].half_day)
        broker.set_account(Role.CONTROL, cash=Decimal(2_000))
        broker.set_positions(Role.CONTROL, {symbol: round(Decimal(25_000) / closes[symbol], 2) for symbol in SYMBOLS})

    def say(self, name: str, *arguments: str) -> Any:
        result = shadow(*arguments, "--json")
        self.story.answers[name] = result.exit_code, json.loads(result.stdout)
        with suppress(self.steps.exceptions.ClientError):
            alias = self.steps.describe_state_machine_alias(stateMachineAliasArn=f"{self.machine}:production")
            self.story.alias.append(alias["routingConfiguration"][0]["stateMachineVersionArn"].rpartition(":")[2])
        return self.story.answers[name][1]

    def trade(self, number: int) -> RebalancePlan:
        """Publish the plan of a day, which sells some of two symbols and buys two others, and wait until production has ended."""
        day, broker = self.days[number], self.stack.broker
        broker.set_day(day.day, day.closes, half_day=day.half_day)
        account = broker.account(Role.CONTROL)
        weights = {symbol: Decimal("0.30" if (at + number) % 2 else "0.18") for at, symbol in enumerate(SYMBOLS)}
        plan = make_plan(day.at, day.closes, Portfolio(account.positions, account.cash), weights)
        self.operator.publish(plan)
        assert self.operator.await_candidate(plan.plan_id) == "SUCCEEDED"
        ran = self.steps.describe_execution(executionArn=self.operator.execution_arn(plan.plan_id))
        self.story.executed_by.append(ran["stateMachineVersionArn"].rpartition(":")[2])
        return plan

    def with_library(self, library: Path | None) -> None:
        """Give every function of the workflow another shared layer; with None the one that was deployed."""
        names = [name for name, _ in functions_in(self.steps.describe_state_machine(stateMachineArn=self.machine)["definition"])]
        other = ""
        if library is not None:
            content = {"ZipFile": library.read_bytes()}
            other = self.functions.publish_layer_version(LayerName="faulty-library", Content=content)["LayerVersionArn"]
            self.layers = {
                name: [layer["Arn"] for layer in self.functions.get_function_configuration(FunctionName=name)["Layers"]]
                for name in names
            }
        for name in names:
            wanted = [other if library is not None and "shared" in layer else layer for layer in self.layers[name]]
            assert library is None or other in wanted, wanted
            self.functions.update_function_configuration(FunctionName=name, Layers=wanted)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    found, folder = Story(), tmp_path_factory.mktemp("versions")
    wrong = faulty_checkout(folder / "version-2")
    alone = {
        "BrokerEndpoint": f"{BROKER}/paper",
        "ProductionLane": "workflow",
        "ExecutionMode": "live",
        "DualPublishing": "false",
        "ControlAccountFingerprint": fingerprint_of(NUMBER),
    }
    with pytest.MonkeyPatch.context() as patch:
        with local_stack(folder / "cloud", parameters=alone) as stack:
            patch.chdir(folder)
            for name, value in dummy_environment(stack.emulator.endpoint, stack.emulator.token).items():
                patch.setenv(name, value)
            forget_clients()
            work(Desk(stack, found), wrong, patch)
            forget_clients()
        recordings = [recording for recording in map(recording_of, found.comparisons.values()) if recording is not None]
        for name, version in (("2", wrong), ("3", CHECKOUT)):
            with open_engine(str(version), default_policy(), lambda _: None) as engine:
                found.gates[name] = gate(name, engine.play(recordings[:1]))
    return found


def work(desk: Desk, wrong: Path, patch: pytest.MonkeyPatch) -> None:
    """Walk through docs/versions.md."""
    alarms = desk.stack.access.cloudwatch().describe_alarms()["MetricAlarms"]
    alarm = ("--alarm", next(alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] != "ALARM"))
    Path("decided.toml").write_text(DECIDED + "".join(ACCEPTED.format(name=name) for name in ("full_exits", "large", "small")))
    decided = ("--decided", "decided.toml")
    desk.say("publish 1", "version", "publish")
    desk.with_library(build_artefacts(wrong, CHECKOUT / "build" / "artefacts").layers["shared"].path)
    desk.say("publish 2", "version", "publish", "--note", "sizes another way")
    desk.with_library(None)
    desk.say("publish 3", "version", "publish")
    desk.say("publish again", "version", "publish")
    desk.say("promote 1", "promote", "--version", "1", *alarm, "--by", "ana", "--reason", "the first version")
    desk.stack = redeploy(desk.stack, {"WorkflowAlias": "production"})
    desk.operator = Operator(desk.stack)
    for number in range(DAYS):
        plan = desk.trade(number)
        on = ("--date", str(desk.days[number].day))
        if number == 0:
            for version in ("1", "2"):
                desk.say(f"shadow {version}", "candidate", "--version", version, *on)
            desk.say("itself", "candidate", "--against-itself", *on)
            desk.say("explain", "explain", f"{plan.plan_id}~replay-version-2")
        answer = desk.say(f"shadow 3, day {number}", "candidate", "--version", "3", *on)
        stored = desk.stack.access.s3().get_object(
            Bucket=desk.stack.output("EvidenceBucketName"), Key=answer["results"][0]["comparison"]
        )
        body = stored["Body"].read()
        desk.story.comparisons[plan.plan_id] = Comparison.parse_json(body)
        desk.story.recorded += body.decode()
        patch.setattr("reports.material.last_closed_day", lambda _, day=desk.days[number].day: day)
        if number + 2 >= DAYS:
            desk.say(f"readiness on day {number + 1}", "readiness", "--version", "3", *decided)
    desk.say("readiness of 2", "readiness", "--version", "2", *decided)
    desk.say("promote 2", "promote", "--version", "2", *alarm, *decided)
    desk.say("promote 3", "promote", "--version", "3", *alarm, *decided)
    desk.trade(DAYS)
    desk.say("roll back", "rollback", "--by", "ana", "--reason", "a rehearsal")
    desk.trade(DAYS + 1)


def test_a_version_against_itself_matches(story: Story) -> None:
    code, answer = story.answers["itself"]

    assert (code, answer["verdicts"]) == (0, {"MATCHED": 1})
    assert story.answers["shadow 1"][1]["verdicts"] == {"MATCHED": 1}


def test_nothing_changed_is_no_new_version(story: Story) -> None:
    assert [story.answers[f"publish {number}"][1]["number"] for number in "123"] == ["1", "2", "3"]
    assert story.answers["publish again"][1] == story.answers["publish 3"][1] | {"new": False}


def test_version_2_is_found_and_explained_on_its_first_day_and_version_3_matches_every_day(story: Story) -> None:
    assert (story.answers["shadow 2"][0], story.answers["shadow 2"][1]["verdicts"]) == (1, {"DIVERGED": 1})
    comparison = Comparison.parse(story.answers["explain"][1]["comparison"])
    assert {found.kind for found in comparison.differences if found.unexplained} == {"SIZING_BASIS"}
    assert comparison.control is not None
    assert comparison.candidate is not None
    assert [(run.version or "")[-2:] for run in (comparison.control, comparison.candidate)] == [":1", ":2"]
    assert len(comparison.candidate.functions) >= 6
    assert [story.answers[f"shadow 3, day {number}"][1]["verdicts"] for number in range(DAYS)] == [{"MATCHED": 1}] * DAYS


def test_version_3_becomes_ready_by_its_own_evidence_and_version_2_does_not(story: Story) -> None:
    words = [story.answers[f"readiness on day {day}"][1] for day in (DAYS - 1, DAYS)]
    assert [(word["readiness"], word["days"], word["trades"]) for word in words] == [("NOT_YET", 4, 16), ("READY", 5, 20)]
    assert story.answers["readiness of 2"][1]["readiness"] == "BLOCKED"


def test_production_moves_only_where_it_may_and_runs_what_the_alias_names(story: Story) -> None:
    assert story.answers["promote 2"][1]["kind"] == "NotReady"
    code, answer = story.answers["promote 3"]
    assert (code, answer["by"], answer["readiness"], answer["override"]) == (0, "readiness", "READY", False)
    assert story.answers["roll back"][0] == story.answers["promote 1"][0] == 0
    assert story.alias[-3:] == ["1", "3", "1"]
    assert story.executed_by == ["1"] * DAYS + ["3", "1"]


def test_the_gate_refuses_version_2_and_passes_version_3(story: Story) -> None:
    assert story.gates["2"].word is GateWord.REFUSED
    assert any("SIZING_BASIS" in line for plan in story.gates["2"].plans for line in plan.lines)
    assert (story.gates["3"].word, len(story.gates["3"].plans)) == (GateWord.PASSED, 1)


@pytest.mark.parametrize("secret", ["candidate-secret", "control-secret", "candidate-key", "control-key", NUMBER])
def test_the_recordings_hold_no_secret(secret: str, story: Story) -> None:
    assert '"plan_id"' in story.recorded
    assert secret not in story.recorded
