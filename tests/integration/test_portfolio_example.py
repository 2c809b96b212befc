"""Business Unit: tests | Status: current.

The example's portfolio function adopts us: its own callers see what they saw before, and the intake makes a pair of its plan.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

import shadow.publish as publishing
from shadow.contracts.plan import RebalancePlan
from shadow.intake.payload import Note, PlanMessage, read_message

EXAMPLE = Path(__file__).parents[2] / "examples" / "portfolio_lambda"
EVENT = {"symbol": "SPY", "buy_usd": "1234.56"}
PATIENCE_SECONDS = 10.0


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    monkeypatch.setattr(publishing, "_CORES", {})
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("portfolio", "lambda_handler"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with mock_aws():
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        execution = boto3.client("sqs").create_queue(QueueName="execution.fifo", Attributes=fifo)["QueueUrl"]
        intake = boto3.client("sqs").create_queue(QueueName="shadow-intake")["QueueUrl"]
        monkeypatch.setenv("EXECUTION_QUEUE_URL", execution)
        yield execution, intake
    for name in ("portfolio", "lambda_handler"):
        sys.modules.pop(name, None)


def bodies(url: str) -> list[str]:
    answer = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


@pytest.mark.parametrize("switch", ["", "true"])
def test_its_own_callers_see_no_difference(switch: str, queues: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    execution, intake = queues
    monkeypatch.setenv("DUAL_PUBLISHING", switch)
    monkeypatch.setenv("SHADOW_INTAKE_QUEUE_URL", intake)
    monkeypatch.setenv("SHADOW_STAGE", "dev")
    monkeypatch.setenv("PUBLISH_BOUND_MS", "10000")
    function: Any = importlib.import_module("lambda_handler")

    answer = function.lambda_handler(EVENT, None)
    assert function.dual.settle(PATIENCE_SECONDS)

    [trade] = map(json.loads, bodies(execution))
    assert (trade["run_id"], trade["plan_id"], trade["symbol"]) == (answer["run_id"], answer["plan_id"], "SPY")
    assert UUID(answer["run_id"]).version == 4
    messages = [read_message(body) for body in bodies(intake)]
    if not switch:
        assert messages == []
        return
    [plan] = [message for message in messages if isinstance(message, PlanMessage)]
    read: RebalancePlan = plan.read_plan()
    assert read.plan_id == answer["plan_id"]
    assert read.metadata == {"strategy_attribution": {"SPY": {"momentum": 0.7, "value": 0.3}}, "min_trade_threshold": 5.0}
    ends = [message.control for message in messages if isinstance(message, Note | PlanMessage) and message.control]
    assert [end.run_id for end in ends] == [answer["run_id"]]
