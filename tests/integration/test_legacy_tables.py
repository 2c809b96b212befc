"""The reference lane over real (moto) tables, queue and bus: the items exactly as the contract has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import boto3
import pytest

from shadow.aws import clients
from shadow.broker.port import BrokerUnavailable, OrderRejected
from shadow.contracts.control_records import MARKET_CLOSED_MESSAGE, DetailType, RunItem, TradeItem
from shadow.contracts.errors import ConfigurationError, InvalidPayload
from shadow.contracts.plan import RebalancePlan, TradeMessage
from shadow.reference import composition
from shadow.reference.tables import (
    DynamoPlanTable,
    DynamoRunsStore,
    DynamoTradeLedger,
    EventBridgeBus,
    FunctionNotes,
    SqsTradeQueue,
)
from tests.factories.cloud_tables import fresh_aws, make_table
from tests.fakes.legacy import NOON, FakeBroker, World
from tests.fakes.plans import plan_of

RUNS, PLANS, LEDGER, BUS = "execution-runs", "rebalance-plans", "trade-ledger", "events-bus"
TTL = str(int(NOON.timestamp()) + 86_400)


class Cloud:
    """The control's resources, and a lane over them."""

    def __init__(self) -> None:
        self.dynamodb = clients.dynamodb()
        make_table(RUNS)
        for name in (PLANS, LEDGER):
            make_table(name, "GSI1")
        self.sqs = clients.sqs()
        self.queue_url = self.sqs.create_queue(
            QueueName="execution.fifo",
            Attributes={
                "FifoQueue": "true",
                "DeduplicationScope": "messageGroup",
                "FifoThroughputLimit": "perMessageGroupId",
                "ContentBasedDeduplication": "false",
            },
        )["QueueUrl"]
        self.taps = self._make_bus()
        self.broker = FakeBroker()
        self.slept: list[float] = []

    def _make_bus(self) -> str:
        events = clients.events()
        events.create_event_bus(Name=BUS)
        url = self.sqs.create_queue(QueueName="tap")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="all", EventBusName=BUS, EventPattern='{"source":[{"prefix":"alchemiser"}]}')
        events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "tap", "Arn": arn}])
        return url

    def world(self) -> World:
        world = World()
        world.broker = self.broker
        world.store = DynamoRunsStore(self.dynamodb, RUNS)  # type: ignore[assignment]
        world.queue = SqsTradeQueue(self.sqs, self.queue_url)  # type: ignore[assignment]
        world.plans = DynamoPlanTable(self.dynamodb, PLANS)  # type: ignore[assignment]
        world.bus = EventBridgeBus(clients.events(), BUS)  # type: ignore[assignment]
        world.ledger = DynamoTradeLedger(self.dynamodb, LEDGER)  # type: ignore[assignment]
        world.notes = FunctionNotes()  # type: ignore[assignment]
        return world

    def run(self, plan: RebalancePlan) -> dict[str, dict[str, dict[str, object]]]:
        """Publish `plan`, work the queue until it is empty, and give the run's items by sort key."""
        world = self.world()
        world.publisher().publish(plan)
        self.drain(world)
        return self.items(plan)

    def drain(self, world: World) -> None:
        parts = replace(world.parts(), now=lambda: NOON)
        while messages := self.receive():
            for message in messages:
                parts.assemble().process(TradeMessage.parse_json(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def receive(self) -> list[dict[str, str]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        return answer.get("Messages", [])  # type: ignore[return-value]

    def items(self, plan: RebalancePlan) -> dict[str, dict[str, dict[str, object]]]:
        found = self.dynamodb.query(
            TableName=RUNS,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": f"RUN#{self.run_id(plan)}"}},
        )["Items"]
        return {item["SK"]["S"]: item for item in found}  # type: ignore[misc]

    def run_id(self, plan: RebalancePlan) -> str:
        """Give the id that the lane minted for its run of `plan`."""
        (run,) = [item for item in self.dynamodb.scan(TableName=RUNS)["Items"] if item.get("plan_id") == {"S": plan.plan_id}]
        return run["run_id"]["S"]

    def key_of(self, plan: RebalancePlan, symbol: str) -> str:
        """Give the sort key of a trade's item."""
        return next(key for key, item in self.items(plan).items() if item.get("symbol") == {"S": symbol})

    def events(self) -> list[dict[str, object]]:
        seen = []
        while messages := self.sqs.receive_message(QueueUrl=self.taps, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                seen.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.taps, ReceiptHandle=message["ReceiptHandle"])
        return seen

    def row(self, table: str, pk: str) -> dict[str, dict[str, object]]:
        answer = self.dynamodb.get_item(TableName=table, Key={"PK": {"S": pk}, "SK": {"S": "METADATA"}})
        return answer["Item"]  # type: ignore[return-value]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with fresh_aws():
        yield Cloud()


def test_the_run_item_has_exactly_the_contract_s_attributes_and_types(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600", MSFT="1000")
    cloud.world().publisher().publish(plan)
    items = cloud.items(plan)
    trades = [cloud.key_of(plan, "AAPL"), cloud.key_of(plan, "MSFT")]
    counters = ("completed", "succeeded", "failed", "skipped")
    assert items["METADATA"] == {
        "PK": {"S": f"RUN#{cloud.run_id(plan)}"},
        "SK": {"S": "METADATA"},
        "TTL": {"N": TTL},
        "run_id": {"S": cloud.run_id(plan)},
        "plan_id": {"S": plan.plan_id},
        "correlation_id": {"S": plan.correlation_id},
        "total_trades": {"N": "2"},
        **{f"{name}_trades": {"N": "0"} for name in counters},
        **{name: {"N": "1"} for name in ("sell_total", "buy_total")},
        **{name: {"N": "0"} for name in ("sell_completed", "buy_completed")},
        "sell_failed_amount": {"N": "0"},
        "sell_succeeded_amount": {"N": "0"},
        "cumulative_buy_succeeded_value": {"N": "0"},
        "max_equity_limit_usd": {"N": "100000"},
        "current_phase": {"S": "SELL"},
        "status": {"S": "SELL_PHASE"},
        "trade_ids": {"L": [{"S": trade.removeprefix("TRADE#")} for trade in trades]},
        "run_timestamp": {"S": "2024-03-15T19:45:00+00:00"},
        "created_at": {"S": "2024-03-15T19:45:00+00:00"},
    }
    assert set(items) == {"METADATA", *trades}


def test_a_trade_item_starts_with_what_is_planned_and_nothing_else(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600.25", MSFT="1000")
    cloud.world().publisher().publish(plan)
    item = cloud.items(plan)[cloud.key_of(plan, "MSFT")]
    body = TradeMessage.parse_json(str(item.pop("message_body")["S"]))
    assert body.trade_amount == Decimal(1000)
    assert item == {
        "PK": {"S": f"RUN#{cloud.run_id(plan)}"},
        "SK": {"S": cloud.key_of(plan, "MSFT")},
        "TTL": {"N": TTL},
        "trade_id": {"S": body.trade_id},
        "symbol": {"S": "MSFT"},
        "action": {"S": "BUY"},
        "phase": {"S": "BUY"},
        "sequence_number": {"N": "2002"},
        "trade_amount": {"N": "1000"},
        "status": {"S": "WAITING"},
    }
    assert cloud.items(plan)[cloud.key_of(plan, "AAPL")]["trade_amount"] == {"N": "-600.25"}


def test_a_message_is_addressed_as_the_contract_says(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600", MSFT="1000")
    cloud.world().publisher().publish(plan)
    (message,) = cloud.receive()
    trade_id = cloud.key_of(plan, "AAPL").removeprefix("TRADE#")
    assert message["Attributes"]["MessageGroupId"] == "AAPL"  # type: ignore[index]
    assert message["Attributes"]["MessageDeduplicationId"] == trade_id  # type: ignore[index]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}  # type: ignore[attr-defined]
    assert attributes == {"RunId": cloud.run_id(plan), "TradeId": trade_id, "Phase": "SELL"}
    assert json.loads(message["Body"])["trade_amount"] == "-600"


def test_a_finished_run_has_its_counters_times_and_executions(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600", MSFT="1000")
    items = cloud.run(plan)
    run = items["METADATA"]
    assert {name: run[name]["N"] for name in ("completed_trades", "succeeded_trades", "sell_completed", "buy_completed")} == {
        "completed_trades": "2",
        "succeeded_trades": "2",
        "sell_completed": "1",
        "buy_completed": "1",
    }
    assert (run["status"], run["current_phase"]) == ({"S": "COMPLETED"}, {"S": "BUY"})
    assert {"buy_phase_started_at", "aggregation_started_at", "completed_at"} <= set(run)
    assert not {"failed_at", "failure_reason", "data_freshness", "strategies_evaluated"} & set(run)
    trade = items[cloud.key_of(plan, "MSFT")]
    assert trade["status"] == {"S": "COMPLETED"}
    assert json.loads(str(trade["execution_data"]["S"])) == {
        "shares": "10.000000",
        "price": "100.00",
        "trade_amount": "1000.00000000",
        "order_type": "limit",
        "filled_at": "2024-03-15T19:45:00+00:00",
    }
    assert "error_message" not in trade
    assert {"started_at", "completed_at", "order_id"} <= set(trade)


def test_a_closed_market_is_written_as_completed_with_a_message(cloud: Cloud) -> None:
    cloud.broker.is_open = False
    plan = plan_of(AAPL="-600", MSFT="1000")
    items = cloud.run(plan)
    trade = items[cloud.key_of(plan, "AAPL")]
    assert (trade["status"], trade["error_message"]) == ({"S": "COMPLETED"}, {"S": MARKET_CLOSED_MESSAGE})
    assert not {"execution_data", "order_id"} & set(trade)
    assert (items["METADATA"]["skipped_trades"], items["METADATA"]["succeeded_trades"]) == ({"N": "2"}, {"N": "0"})
    assert items["METADATA"]["status"] == {"S": "COMPLETED"}


@pytest.mark.parametrize(("amount", "status"), [("-500.00", "COMPLETED"), ("-500.01", "FAILED")])
def test_the_guard_s_boundary_in_the_table(cloud: Cloud, amount: str, status: str) -> None:
    cloud.broker.refusals = {"AAPL": [OrderRejected("no")] * 3}
    plan = plan_of(AAPL=amount, MSFT="1000")
    items = cloud.run(plan)
    assert items["METADATA"]["status"] == {"S": status}
    waiting = items[cloud.key_of(plan, "MSFT")]["status"] == {"S": "WAITING"}
    assert waiting is (status == "FAILED")
    assert {"failed_at", "failure_reason"} <= set(items["METADATA"]) or status == "COMPLETED"


def test_the_events_carry_source_detail_type_and_detail(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600", MSFT="1000")
    cloud.run(plan)
    seen = [(event["source"], event["detail-type"]) for event in cloud.events()]
    assert sorted(seen) == [
        ("alchemiser.execution", "TradeExecuted"),
        ("alchemiser.execution", "TradeExecuted"),
        ("alchemiser.trade_aggregator", "AllTradesCompleted"),
    ]


def test_a_blocked_run_says_workflow_failed(cloud: Cloud) -> None:
    cloud.broker.equity = Decimal(500)
    plan = plan_of(MSFT="1000")
    items = cloud.run(plan)
    assert items["METADATA"]["status"] == {"S": "FAILED"}
    (failed,) = [event for event in cloud.events() if event["detail-type"] == DetailType.WORKFLOW_FAILED.value]
    assert (failed["source"], failed["detail"]["failure_step"]) == ("alchemiser.execution", "EQUITY_CIRCUIT_BREAKER")  # type: ignore[index]


def test_a_filled_order_has_a_ledger_row_and_the_plan_is_kept_for_ninety_days(cloud: Cloud) -> None:
    plan = plan_of(MSFT="1000")
    trade = cloud.run(plan)[cloud.key_of(plan, "MSFT")]
    row = cloud.row(LEDGER, f"TRADE#{trade['order_id']['S']}")
    assert {name: Decimal(str(row[name]["N"])) for name in ("filled_qty", "fill_price")} == {
        "filled_qty": Decimal(10),
        "fill_price": Decimal("100.5"),
    }
    assert row["direction"] == {"S": "BUY"}
    assert row["GSI1PK"] == {"S": f"CORR#{plan.correlation_id}"}
    assert "TTL" not in row
    kept = cloud.row(PLANS, f"PLAN#{plan.plan_id}")
    assert RebalancePlan.read_json(str(kept["plan_data"]["S"])) == plan
    assert kept["TTL"] == {"N": str(int(plan.timestamp.timestamp()) + 90 * 86_400)}


def test_what_is_written_can_be_read_as_the_contract_s_models(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600", MSFT="1000")
    cloud.run(plan)
    store = DynamoRunsStore(cloud.dynamodb, RUNS)
    run = store.run(cloud.run_id(plan))
    assert isinstance(run, RunItem)
    assert all(isinstance(store.trade(run.run_id, trade_id), TradeItem) for trade_id in run.trade_ids)
    assert store.run("nobody") is None


def test_transitions_are_made_once(cloud: Cloud) -> None:
    plan = plan_of(AAPL="-600", MSFT="1000")
    cloud.world().publisher().publish(plan)
    store, run_id = DynamoRunsStore(cloud.dynamodb, RUNS), cloud.run_id(plan)
    assert [store.start_buy_phase(run_id, NOON), store.start_buy_phase(run_id, NOON)] == [True, False]
    assert [store.claim_aggregation(run_id, NOON), store.claim_aggregation(run_id, NOON)] == [True, False]
    assert [store.fail_run(run_id, NOON, "x"), store.fail_run(run_id, NOON, "y")] == [True, False]
    assert not store.claim_aggregation(run_id, NOON)


@pytest.fixture
def deployed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    secret = boto3.client("secretsmanager").create_secret(
        Name="control-broker", SecretString=json.dumps({"key": "PK", "secret": "SK"})
    )
    for name, value in (
        ("STAGE", "dev"),
        ("EXECUTION_RUNS_TABLE_NAME", RUNS),
        ("EXECUTION_QUEUE_URL", cloud.queue_url),
        ("TRADE_LEDGER_TABLE_NAME", LEDGER),
        ("REBALANCE_PLAN_TABLE_NAME", PLANS),
        ("EVENT_BUS_NAME", BUS),
        ("CONTROL_BROKER_SECRET_ID", secret["ARN"]),
        ("WALK_STEP_SECONDS", "0"),
        ("WALK_MARKET_SECONDS", "0"),
        ("SELL_ATTEMPT_PAUSE_SECONDS", "0"),
        ("WALK_POLL_SECONDS", "0"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(composition, "control_broker", lambda _: cloud.broker)
    from functions.legacy_execution import lambda_handler as module  # noqa: PLC0415

    module._lane.cache_clear()
    yield SimpleNamespace(cloud=cloud, handle=lambda event: module.lambda_handler(event, None))
    module._lane.cache_clear()


def test_the_function_executes_the_record_it_is_given(deployed: SimpleNamespace) -> None:
    plan = plan_of(MSFT="1000")
    publisher = composition.publisher_from(composition.LegacyPublisherEnvironment.load())
    publisher.publish(plan)
    (message,) = deployed.cloud.receive()
    record = {"messageId": message["MessageId"], "body": message["Body"], "eventSource": "aws:sqs"}
    assert deployed.handle({"Records": [record]}) == {"processed": 1}
    assert deployed.cloud.items(plan)["METADATA"]["status"] == {"S": "COMPLETED"}


@pytest.mark.usefixtures("cloud")
def test_the_control_s_broker_is_reached_with_the_secret_s_credentials() -> None:
    clients.secretsmanager().create_secret(Name="own", SecretString=json.dumps({"key": "PK", "secret": "SK"}))
    environment = composition.ControlBrokerEnvironment(
        control_broker_secret_id="own", control_broker_endpoint="http://127.0.0.1:9", broker_data_endpoint="http://127.0.0.1:9"
    )
    with pytest.raises(BrokerUnavailable):
        composition.control_broker(environment).clock()


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("secret", ["[]", "PK", '{"key": "PK"}', '{"key": 1, "secret": "SK"}'])
def test_a_malformed_secret_is_refused_without_being_shown(secret: str) -> None:
    clients.secretsmanager().create_secret(Name="bad", SecretString=secret)
    with pytest.raises(ConfigurationError, match="key and secret") as caught:
        composition.control_broker(composition.ControlBrokerEnvironment(control_broker_secret_id="bad"))
    assert "PK" not in str(caught.value)


@pytest.mark.parametrize("event", [{}, {"Records": [{"body": "{}"}]}, {"Records": [{"body": "not json"}]}])
def test_a_record_that_is_no_trade_message_is_refused_with_its_fields(deployed: SimpleNamespace, event: object) -> None:
    with pytest.raises(InvalidPayload, match="expected"):
        deployed.handle(event)
