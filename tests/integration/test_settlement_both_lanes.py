"""Both lanes run one plan in moto: the reference lane, and the real workflow with its real handlers. The comparator's own
handler joins what they did under the default policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from functions.compare_outcomes import lambda_handler as compare
from shadow.aws import clients
from shadow.aws.pair_ledger import DynamoDbPairLedger, pair_to_item
from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan, TradeMessage
from shadow.intake.payload import candidate_input
from shadow.reference.publishing import Published
from shadow.reference.tables import DynamoRunsStore, DynamoTradeLedger, EventBridgeBus
from tests.factories.cloud_tables import forget_clients, make_table
from tests.factories.pairs import pair_of
from tests.fakes.legacy import World
from tests.fakes.plans import MemoryPlans, plan_of
from tests.fakes.workflow_cloud import ACCOUNT, BUCKET, BUS, REGION, STATE_TABLE, Cloud, cloud, definition

PAIRS, RUNS, CONTROL_LEDGER = "shadow-pairs", "execution-runs", "control-trade-ledger"
PLAN = plan_of(AAPL="-600", MSFT="-300.5", GOOG="1000", TSLA="250")


class BothLanes:
    """The candidate's cloud, the control beside it over real tables and a real bus, and the comparator's handler."""

    def __init__(self, candidate: Cloud) -> None:
        self.candidate = candidate
        self.control = World()
        self.control.broker.quotes = dict.fromkeys(("AAPL", "MSFT", "GOOG", "TSLA"), ("99.90", "100.10"))
        for name, indexes in ((PAIRS, ("GSI1", "GSI2")), (RUNS, ()), (CONTROL_LEDGER, ("GSI1",))):
            make_table(name, *indexes)
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.hints = self.sqs.create_queue(QueueName="hints")["QueueUrl"]
        events = boto3.client("events", region_name=REGION)
        events.put_rule(Name="all", EventBusName=BUS, EventPattern='{"source":[{"prefix":"alchemiser"}]}')
        arn = self.sqs.get_queue_attributes(QueueUrl=self.hints, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "hints", "Arn": arn}])
        self.control.store = DynamoRunsStore(clients.dynamodb(), RUNS)  # type: ignore[assignment]
        self.control.bus = EventBridgeBus(clients.events(), BUS)  # type: ignore[assignment]
        self.control.ledger = DynamoTradeLedger(clients.dynamodb(), CONTROL_LEDGER)  # type: ignore[assignment]

    def publish(self, plan: RebalancePlan = PLAN) -> Pair:
        pair = pair_of(plan, at=datetime.now(UTC), start_state=StartState.STARTED, control_run_id=None)
        clients.dynamodb().put_item(TableName=PAIRS, Item=pair_to_item(pair))
        return pair

    def run_control(self, plan: RebalancePlan = PLAN) -> str:
        """Publish to the control and execute what it sent; gives the run that it minted."""
        published = replace(self.control.publisher(), now=lambda: datetime.now(UTC)).publish(plan)
        assert isinstance(published, Published)
        lane = replace(self.control.parts(), now=lambda: datetime.now(UTC)).assemble()
        done = 0
        while done < len(self.control.queue.sent):
            lane.process(TradeMessage.parse_json(self.control.queue.sent[done].body))
            done += 1
        return published.run_id

    def run_candidate(self, plan: RebalancePlan = PLAN) -> None:
        self.candidate.run(json.loads(candidate_input(plan, pair_of(plan).run_id, {}, MemoryPlans())))

    def deliver(self) -> dict[str, Any]:
        """Hand everything on the queue to the handler, as one batch."""
        records = []
        while messages := self.sqs.receive_message(QueueUrl=self.hints, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                records.append({"messageId": message["MessageId"], "body": message["Body"]})
                self.sqs.delete_message(QueueUrl=self.hints, ReceiptHandle=message["ReceiptHandle"])
        return self.call({"Records": records})

    def call(self, event: dict[str, object]) -> dict[str, Any]:
        return compare.lambda_handler(event, SimpleNamespace())

    def status_changed(self, plan: RebalancePlan = PLAN, status: str = "SUCCEEDED") -> dict[str, object]:
        run_id = pair_of(plan).run_id
        detail = {
            "executionArn": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:workflow-0:execution-{run_id}",
            "stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:workflow-0",
            "name": f"execution-{run_id}",
            "status": status,
            "startDate": 1700000000000,
        }
        event = {
            "id": "1",
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "time": "2026-11-24T14:00:00Z",
            "detail": detail,
        }
        return {"messageId": "status", "body": json.dumps(event)}

    def pair(self, plan: RebalancePlan = PLAN) -> Pair:
        found = DynamoDbPairLedger(clients.dynamodb(), PAIRS).get(plan.plan_id)
        assert found is not None
        return found

    def comparison(self) -> dict[str, Any]:
        body = clients.s3().get_object(Bucket=BUCKET, Key=self.pair().comparison_key or "")["Body"].read()
        document: dict[str, Any] = json.loads(body)
        return document


@pytest.fixture
def lanes() -> Iterator[BothLanes]:
    with both_lanes() as built:
        yield built


@contextmanager
def both_lanes(**environment: str) -> Iterator[BothLanes]:
    variables = {
        **environment,
        "PAIR_LEDGER_TABLE_NAME": PAIRS,
        "EXECUTION_RUNS_TABLE_NAME": RUNS,
        "STATE_MACHINE_ARN": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:workflow-0",
        "EVIDENCE_BUCKET_NAME": BUCKET,
        "CANDIDATE_STATE_TABLE_NAME": STATE_TABLE,
    }
    forget_clients()
    compare._comparator.cache_clear()
    with cloud(**variables) as built, patch.dict("os.environ", {"TRADE_LEDGER_TABLE_NAME": CONTROL_LEDGER}):
        yield BothLanes(built)
    forget_clients()
    compare._comparator.cache_clear()


def test_two_lanes_that_do_the_same_match(lanes: BothLanes) -> None:
    lanes.publish()
    lanes.run_control()
    assert lanes.deliver() == {"batchItemFailures": []}
    assert lanes.pair().verdict is Verdict.PENDING
    lanes.run_candidate()
    assert lanes.call({"Records": [lanes.status_changed()]}) == {"batchItemFailures": []}

    document = lanes.comparison()
    assert (lanes.pair().verdict, document["gaps"]) == (Verdict.MATCHED, [])
    assert {difference["kind"] for difference in document["differences"]} <= {"PRICE_NOT_THE_FILL"}
    assert document["control"]["violations"] == document["candidate"]["violations"] == []
    assert {ref["name"] for ref in document["evidence"]} == {"workflow-00", "legacy", "legacy-effects"}


def test_a_lane_that_finds_the_market_closed_diverges(lanes: BothLanes) -> None:
    lanes.publish()
    lanes.candidate.broker.is_open = False
    lanes.run_candidate()
    lanes.run_control()
    lanes.deliver()

    assert lanes.pair().verdict is Verdict.DIVERGED
    assert lanes.call({"plan_id": PLAN.plan_id})["judged"] is False


def test_a_poisoned_message_comes_back_alone(lanes: BothLanes) -> None:
    lanes.publish()
    lanes.run_control()
    lanes.run_candidate()
    poisoned = [{"messageId": "bad", "body": "{"}, {"messageId": "strange", "body": '{"source": "somebody"}'}]

    answer = lanes.call({"Records": [*poisoned, lanes.status_changed()]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}, {"itemIdentifier": "strange"}]}


def test_the_sweeper_settles_what_no_event_came_for_and_states_the_ledger(lanes: BothLanes) -> None:
    published = lanes.publish()
    lanes.run_candidate()
    answered = pair_to_item(published.model_copy(update={"control_run_id": lanes.run_control()}))
    clients.dynamodb().put_item(TableName=PAIRS, Item=answered)

    with patch.object(compare, "datetime", SimpleNamespace(now=lambda _: datetime.now(UTC) + timedelta(minutes=5))):
        report = lanes.call({"sweep": True})

    assert (report["visited"], report["judged"], report["errors"], report["pending"]) == (1, 1, 0, 0)
    assert lanes.pair().verdict is Verdict.DIVERGED
    assert "TRADE_EXECUTED_MISSING" in {difference["kind"] for difference in lanes.comparison()["differences"]}


def test_a_start_of_unknown_fate_is_completed(lanes: BothLanes) -> None:
    published = pair_of(PLAN, at=datetime.now(UTC) - timedelta(seconds=200))
    clients.dynamodb().put_item(TableName=PAIRS, Item=pair_to_item(published))
    boto3.client("stepfunctions", region_name=REGION).create_state_machine(
        name="workflow-0", definition=definition(), roleArn=f"arn:aws:iam::{ACCOUNT}:role/x"
    )

    report = lanes.call({"sweep": True})

    assert report["starts_completed"] == 1
    assert lanes.pair().start_state is StartState.STARTED
    assert lanes.pair().execution_arn is not None


def test_a_start_that_is_too_old_is_refused(lanes: BothLanes) -> None:
    published = pair_of(PLAN, at=datetime.now(UTC) - timedelta(seconds=2_000))
    clients.dynamodb().put_item(TableName=PAIRS, Item=pair_to_item(published))

    lanes.call({"sweep": True})

    assert lanes.pair().start_state is StartState.REFUSED


def test_a_large_plan_matches_by_the_results_in_the_state_table() -> None:
    with both_lanes(INLINE_TRADE_LIMIT="2") as lanes:
        lanes.publish()
        lanes.run_candidate()
        lanes.run_control()
        lanes.deliver()

        document = lanes.comparison()
        assert (lanes.pair().verdict, document["gaps"]) == (Verdict.MATCHED, [])
        assert {trade["status"] for trade in document["candidate"]["trades"]} == {"COMPLETED"}
        assert len(document["candidate"]["trades"]) == 4
        assert document["candidate"]["state_transitions"] >= 2 * 1 + 2 * 3
