"""Every function, called with whatever JSON: an answer, or a typed error that says which field was wrong; and after an error
nothing is half-written.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest.mock import MagicMock, patch

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.dynamodb.models import dynamodb_backends

from shadow.aws import clients
from shadow.aws.table import from_item
from shadow.contracts.candidate_state import EffectRecord, IntentRecord, ResultRecord, RunRecord, TurnRecord
from shadow.contracts.errors import ConfigurationError, ContractViolation
from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import trade_messages
from shadow.contracts.workflow import WorkflowTrade
from tests.factories.histories import input_of, result_of
from tests.fakes.plans import plan_of
from tests.fakes.workflow_cloud import ACCOUNT, BUCKET, REGION, STATE_TABLE, Cloud, cloud
from tests.fuzz.mutations import SECRET, Ended, damaged, ended, json_objects, json_values

PLAN = plan_of(AAPL="-600", MSFT="1000")
RUN_ID = run_id_of(PLAN.plan_id)
TRADES = [WorkflowTrade.from_message(message).to_wire() for message in trade_messages(PLAN)]
RESULTS = [result_of(message) for message in trade_messages(PLAN)]
RUN = {"runId": RUN_ID, "planId": PLAN.plan_id, "correlationId": PLAN.correlation_id}
LARGE = {"isLarge": True, "bucket": BUCKET, "sellKey": "plans/run/sell.json", "buyKey": "plans/run/buy.json"}
CLAIM = {"bucket": BUCKET, "key": "k", "sha256": "0" * 64, "tradeCount": 2}
SUMMARY = RUN | {
    "totalTrades": 2,
    "succeededTrades": 2,
    "failedTrades": 0,
    "skippedTrades": 0,
    "unknownTrades": 0,
    "equityBlockedTrades": 0,
    "sellCount": 1,
    "buyCount": 1,
    "totalValue": "1600",
    "totalBuyValue": "1000",
    "totalSellValue": "600",
    "outcome": "COMPLETED",
    "summary": "done",
}
GUARD = RUN | {"sellResults": RESULTS[:1], "defaultFailureThresholdUsd": "500"}
TOTALS = RUN | {"sellResults": RESULTS[:1], "buyResults": RESULTS[1:], "totalTrades": 2}
NOTICE = {"executionId": "arn", "executionName": f"execution-{RUN_ID}"}
EVENTS: dict[str, list[Any]] = {
    "prepare_trades": [input_of(PLAN), input_of(PLAN) | {"claimCheck": CLAIM}],
    "evaluate_sell_guard": [GUARD, GUARD | LARGE],
    "check_equity_limit": [TRADES[1]],
    "execute_trade_sfn": [TRADES[0], TRADES[1], {"trade": TRADES[1], "reconcile": True, "error": "BrokerThrottled"}],
    "aggregate_results": [TOTALS, TOTALS | LARGE],
    "notify_completion": [NOTICE | {"state": SUMMARY}],
    "notify_failure": [NOTICE | {"state": RUN, "failureType": "BUY_PHASE_BLOCKED"}],
}
RECORDS = {"INTENT": IntentRecord, "EFFECT": EffectRecord, "RESULT": ResultRecord, "TURN": TurnRecord, "RUN": RunRecord}


class Stage:
    """The cloud that the functions run in."""

    cloud: Cloud | None = None
    prepared: ClassVar[dict[str, Any]] = {}


@contextmanager
def stage() -> Iterator[None]:
    """Have the cloud; a run is prepared in it."""
    with cloud() as built:
        Stage.cloud = built
        boto3.client("s3").put_object(Bucket=BUCKET, Key="k", Body=b"[]")
        call("prepare_trades", EVENTS["prepare_trades"][0])
        Stage.prepared = copy.deepcopy(dict(_table().items))
        yield
    Stage.cloud = None


@pytest.fixture(scope="module", autouse=True)
def _stage() -> Iterator[None]:
    with stage():
        yield


def _table() -> Any:
    return dynamodb_backends[ACCOUNT][REGION].tables[STATE_TABLE]


def as_prepared() -> None:
    """Put the state table back to where the run has just been prepared: moto's own backdoor, at once."""
    items = _table().items
    items.clear()
    items.update(copy.deepcopy(Stage.prepared))


def built() -> Cloud:
    """Give the cloud."""
    assert Stage.cloud is not None
    return Stage.cloud


def call(folder: str, event: Any) -> Ended:
    """Call a function."""
    return ended(lambda: built().modules[folder].lambda_handler(event, None))


def items() -> list[dict[str, Any]]:
    """Give the state table's items, as plain values."""
    return [from_item(item.to_json()["Attributes"]) for partition in _table().items.values() for item in partition.values()]


def written() -> tuple[list[str], int, list[str]]:
    """Give everything that can be seen from outside: items, mails, objects."""
    objects = clients.s3().list_objects_v2(Bucket=BUCKET).get("Contents", [])
    texts = sorted(json.dumps(item, default=str, sort_keys=True) for item in items())
    return texts, len(built().mails()), sorted(found["Key"] for found in objects)


calls = st.sampled_from(sorted(EVENTS)).flatmap(
    lambda folder: st.tuples(st.just(folder), st.sampled_from(EVENTS[folder]).flatmap(damaged) | json_objects | json_values)
)


@settings(max_examples=50)
@given(calls)
def test_a_function_answers_or_refuses_and_leaves_nothing_half_written(case: tuple[str, Any]) -> None:
    folder, event = case
    as_prepared()
    before = written()
    outcome = call(folder, event)
    if outcome.error is None:
        text = json.dumps(outcome.answer)
        assert SECRET not in text
    elif isinstance(outcome.error, ContractViolation):
        assert written() == before, f"{folder} wrote, and then refused: {outcome.error}"
    for item in items():
        kind = str(item["SK"]).partition("#")[0]
        if kind in RECORDS:
            RECORDS[kind].parse(item)


MESSAGE = trade_messages(PLAN)[0].to_wire()
OTHERS: dict[str, tuple[str, list[Any]]] = {
    "compare_outcomes": (
        "_comparator",
        [{"Records": [{"messageId": "m", "body": "{}"}]}, {"sweep": True}, {"plan_id": PLAN.plan_id}],
    ),
    "daily_report": ("_publisher", [{"day": "2026-01-06"}, {"day": None}]),
    "legacy_execution": ("_lane", [{"Records": [{"messageId": "m", "body": json.dumps(MESSAGE)}]}]),
    "publish_plan": ("_publisher", [PLAN.to_wire(), {"detail-type": "RebalancePlanned", "detail": PLAN.to_wire()}]),
}
other_calls = st.sampled_from(sorted(OTHERS)).flatmap(
    lambda folder: st.tuples(st.just(folder), st.sampled_from(OTHERS[folder][1]).flatmap(damaged) | json_objects | json_values)
)


@settings(max_examples=60)
@given(other_calls)
def test_a_function_that_refuses_its_call_has_called_nobody(case: tuple[str, Any]) -> None:
    folder, event = case
    module = importlib.import_module(f"functions.{folder}.lambda_handler")
    parts = MagicMock()
    with patch.object(module, OTHERS[folder][0], parts):
        outcome = ended(lambda: module.lambda_handler(event, None))
    if outcome.error is not None:
        assert isinstance(outcome.error, ContractViolation | ConfigurationError)
        assert not parts.mock_calls
