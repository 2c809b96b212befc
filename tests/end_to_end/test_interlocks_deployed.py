"""The template itself refuses what would let both lanes trade, before anything of it exists."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError

from local.cloud.build import build_artefacts
from local.cloud.deploy import deploy
from local.cloud.errors import StackFailed
from local.stack import CHECKOUT, FAST, LocalStack

NAMED = {
    "ControlLane": "existing",
    **dict.fromkeys(("TradeLedgerTableName", "RebalancePlanTableName", "EventBusName", "ExecutionRunsTableName"), "given"),
    "ExecutionQueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/given.fifo",
    "ExecutionQueueArn": "arn:aws:sqs:us-east-1:000000000000:given.fifo",
}
THEIRS = "arn:aws:states:us-east-1:000000000000:stateMachine:orders-v2"
FOREIGN = {"ExistingStateMachineArn": THEIRS, "LaneFile": "lane.toml"}
pytestmark = [pytest.mark.local_cloud]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"ExecutionMode": "live"}, "DualPublishing"),
        ({"ExecutionMode": "live", "DualPublishing": "true"}, "DualPublishing"),
        ({"ExecutionMode": "paper"}, "ControlAccountFingerprint"),
        ({"ControlLane": "existing"}, "ExistingLegacyLaneIsNamed|ExistingProductionIsNamed"),
        ({"ProductionLane": "workflow"}, "ControlAccountFingerprint"),
        (
            {"ProductionLane": "workflow", "ExecutionMode": "paper", "ControlAccountFingerprint": "0" * 64},
            "needs ExecutionMode live",
        ),
        ({"ExistingStateMachineArn": THEIRS}, "given together"),
        ({"LaneFile": "lane.toml"}, "given together"),
        ({**FOREIGN, "ProductionLane": "workflow", "ControlAccountFingerprint": "0" * 64}, "can only shadow"),
        ({**NAMED, "ProductionLane": "workflow", "ControlAccountFingerprint": "0" * 64}, "ControlBrokerSecretId"),
    ],
    ids=[
        "live",
        "live while dual publishing",
        "paper without the control's fingerprint",
        "a control without a name",
        "a swap that does not know the account in production",
        "a workflow in production on paper",
        "a workflow of somebody else without the file that describes it",
        "a lane file without the workflow that it describes",
        "a swap to a workflow of somebody else",
        "a swap beside an existing control without production's secret",
    ],
)
def test_the_template_refuses_a_dangerous_deployment(stack: LocalStack, parameters: Mapping[str, str], told: str) -> None:
    chosen = {**FAST, "Stage": "refused", **parameters}
    with pytest.raises(StackFailed, match=told):
        deploy(stack.access, CHECKOUT / "template.yaml", build_artefacts(CHECKOUT), stack="shadow-refused", parameters=chosen)

    with pytest.raises(ClientError):
        stack.functions().get_function(FunctionName="alchemiser-refused-publish-plan")


def test_a_function_of_a_paper_lane_on_the_controls_account_does_not_trade(stack: LocalStack) -> None:
    functions = stack.functions()
    name = "alchemiser-dev-prepare-trades"
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    assert variables["EXECUTION_MODE"] == "dry_run"
    assert variables["DUAL_PUBLISHING"] == "true"
