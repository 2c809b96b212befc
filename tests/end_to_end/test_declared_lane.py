"""A workflow that is none of ours is shadowed by a file of at most 60 lines: to MATCHED, and to each of six defects."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from local.cloud.access import ACCOUNT, REGION
from local.cloud.deploy import delete_stack, deploy
from local.market import ClosingPrices
from local.operator import Operator
from local.planner import Portfolio, make_plan
from local.scenarios.demo import demo_days
from local.stack import CHECKOUT, CREDENTIALS, LocalStack
from shadow.contracts.comparison import Attribution, Comparison, Verdict
from shadow.contracts.pair import PairState
from shadow.contracts.vocabulary import Lane, Role

pytestmark = [pytest.mark.local_cloud]

STAGE = "orders"
EXAMPLE = CHECKOUT / "examples" / "own_workflow"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:orders-v2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/orders-v2"
NAMES = ("AAPL", "UNH", "WMT", "XOM")


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Adopter:
    """Has a workflow of his own, and shadows the reference control with it."""

    stack: LocalStack
    operator: Operator
    published: int = 0

    def shadow(self, defect: str = "") -> Comparison:
        """Publish a plan, let both lanes run it, and give the comparison."""
        functions = self.stack.functions()
        variables = functions.get_function_configuration(FunctionName="orders-v2-desk")["Environment"]["Variables"]
        if variables.get("DEFECT", "") != defect:
            functions.update_function_configuration(
                FunctionName="orders-v2-desk", Environment={"Variables": variables | {"DEFECT": defect}}
            )
        plan = self.plan()
        self.operator.publish(plan)
        pair = self.operator.await_verdict(plan.plan_id, sweeping=True)
        assert pair.state is PairState.JUDGED
        return Comparison.parse_json(self.operator.comparison_of(pair))

    def plan(self) -> Any:
        """Make a plan that buys three names and sells half of what is held of a fourth."""
        broker = self.stack.broker
        (day,) = demo_days(ClosingPrices.bundled(), count=1, plants=())
        broker.set_day(day.day, day.closes, half_day=day.half_day)
        broker.set_account(Role.CONTROL, cash=Decimal(100_000))
        broker.set_positions(Role.CONTROL, dict.fromkeys(NAMES, Decimal(20)))
        account = broker.account(Role.CONTROL)
        held = Portfolio(account.positions, account.cash)
        values, total = held.values(day.closes), held.total(day.closes)
        weights = {name: value / total + Decimal("0.02") for name, value in values.items()}
        weights[NAMES[0]] = values[NAMES[0]] / total / 2
        self.published += 1
        return make_plan(day.at + timedelta(minutes=self.published), day.closes, held, weights)


@pytest.fixture(scope="module")
def adopter(stack: LocalStack) -> Iterator[Adopter]:
    functions, states = stack.functions(), stack.access.stepfunctions()
    code = zipped({"lambda_handler.py": (EXAMPLE / "desk" / "lambda_handler.py").read_bytes()})
    keys = CREDENTIALS[Role.CANDIDATE]
    functions.create_function(
        FunctionName="orders-v2-desk",
        Runtime="python3.14",
        Role=ROLE,
        Handler="lambda_handler.lambda_handler",
        Code={"ZipFile": code},
        Timeout=30,
        Environment={"Variables": {"BROKER_DATA": stack.broker_url, "BROKER_KEY": keys["key"], "BROKER_SECRET": keys["secret"]}},
    )
    states.create_state_machine(name="orders-v2", definition=(EXAMPLE / "workflow.asl.json").read_text(), roleArn=ROLE)
    files = {"python/lane.toml": (EXAMPLE / "lane.toml").read_bytes()}
    layer = functions.publish_layer_version(LayerName="orders-v2-files", Content={"ZipFile": zipped(files)})
    theirs = {
        "Stage": STAGE,
        "ExistingStateMachineArn": MACHINE,
        "LaneFile": "lane.toml",
        "FilesLayerArn": layer["LayerVersionArn"],
    }
    chosen = {**stack.parameters, **theirs}
    deployment = deploy(stack.access, CHECKOUT / "template.yaml", stack.artefacts, stack=f"shadow-{STAGE}", parameters=chosen)
    for role, name in ((Role.CANDIDATE, "candidate-broker"), (Role.CONTROL, "control-broker")):
        stack.secrets().put_secret_value(SecretId=f"alchemiser/{STAGE}/{name}", SecretString=json.dumps(CREDENTIALS[role]))
    own = replace(stack, deployment=deployment, parameters=chosen)
    yield Adopter(own, Operator(own))
    delete_stack(stack.access.cloudformation(), f"shadow-{STAGE}")


def test_the_stack_deploys_no_workflow_of_ours(adopter: Adopter) -> None:
    pages = adopter.stack.access.cloudformation().get_paginator("list_stack_resources").paginate(StackName=f"shadow-{STAGE}")
    made = {each["LogicalResourceId"] for page in pages for each in page["StackResourceSummaries"]}
    assert {"IntakeFunction", "CompareOutcomesFunction"} <= made
    ours = ("ExecutionWorkflow", "PrepareTrades", "ExecuteTradeSfn", "CandidateState")
    assert not [name for name in made if name.startswith(ours)]
    assert adopter.stack.output("StateMachineArn") == MACHINE


def test_a_workflow_of_the_adopters_own_matches(adopter: Adopter) -> None:
    comparison = adopter.shadow()
    assert [(each.kind, each.expected, each.found) for each in comparison.differences if each.counts] == []
    assert comparison.verdict is Verdict.MATCHED, comparison.gaps
    assert comparison.candidate is not None
    assert (comparison.candidate.lane, comparison.candidate.lane_name) == (Lane.DECLARED, "orders-v2")
    assert len(comparison.candidate.trades) == len(NAMES)


def found(adopter: Adopter, defect: str) -> tuple[Verdict, set[str]]:
    comparison = adopter.shadow(defect)
    return comparison.verdict, {each.kind for each in comparison.differences if each.attribution is Attribution.CANDIDATE}


def test_a_lost_trade_is_found(adopter: Adopter) -> None:
    verdict, kinds = found(adopter, "lost trade")
    assert verdict is Verdict.DIVERGED
    assert "MISSING_TRADE" in kinds


@pytest.mark.long
@pytest.mark.parametrize(
    ("defect", "kind"),
    [
        ("trade that nobody asked for", "EXTRA_TRADE"),
        ("trade made twice", "DUPLICATE_TRADE"),
        ("another amount", "PLANNED_AMOUNT"),
        ("too many shares", "ASKED_QUANTITY"),
        ("rejection", "TRADE_STATUS"),
    ],
)
def test_every_other_defect_is_found(adopter: Adopter, defect: str, kind: str) -> None:
    verdict, kinds = found(adopter, defect)
    assert verdict is Verdict.DIVERGED
    assert kind in kinds
