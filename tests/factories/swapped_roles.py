"""A trading day on a stack whose lanes may have swapped their roles: what each account, bus and trade ledger got of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from mypy_boto3_events import EventBridgeClient

from local.broker_simulator.values import SimulatedOrder
from local.market import ClosingPrices
from local.operator import Operator
from local.planner import Portfolio, make_plan, momentum_weights
from local.scenarios.demo import DemoDay, demo_days
from local.stack import STAGE, LocalStack
from shadow.aws.table import from_item
from shadow.contracts.comparison import Comparison
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

PRODUCTION, PAPER = Role.CONTROL, Role.CANDIDATE
"""The broker's two accounts: which lane trades in them is what a swap changes."""
LISTENER = "listener"
NAMES = 4
"""How many symbols are held: each trade that runs beside others is a function to be started."""
_BATCHES = 20


@dataclass(frozen=True, slots=True)
class Traces:
    """What one plan left in one place after the other: accounts, buses (detail types and trades), trade ledgers."""

    production_orders: tuple[SimulatedOrder, ...]
    paper_orders: tuple[SimulatedOrder, ...]
    production_events: Counter[tuple[str, str | None]]
    shadow_events: Counter[tuple[str, str | None]]
    production_rows: frozenset[str]
    shadow_rows: frozenset[str]


@dataclass(frozen=True, slots=True)
class Day:
    """One published plan, its verdict, and its traces."""

    plan: RebalancePlan
    pair: Pair
    comparison: Comparison
    traces: Traces


class Desk:
    """Publishes one day's plan after the other. Listens on both buses, as whoever is downstream does."""

    def __init__(self, stack: LocalStack) -> None:
        """Trade on `stack`."""
        self.days: Iterator[DemoDay] = iter(demo_days(ClosingPrices.bundled(), count=10, plants=()))
        stack.broker.set_account(PRODUCTION, cash=Decimal(100_000))
        self._heard: dict[str, Counter[tuple[str, str | None]]] = {}
        for bus in ("events", "shadow-events"):
            _listen(stack, bus)

    def plan(self, stack: LocalStack) -> RebalancePlan:
        """Make the next day's plan for what the account in production holds; the paper account is given the same."""
        day = next(self.days)
        broker = stack.broker
        broker.set_day(day.day, day.closes, half_day=day.half_day)
        account = broker.account(PRODUCTION)
        broker.set_positions(PAPER, account.positions)
        broker.set_account(PAPER, cash=account.cash)
        held = Portfolio(account.positions, account.cash)
        return make_plan(day.at, day.closes, held, momentum_weights(day.history, held, names=NAMES))

    def trade(self, operator: Operator, plan: RebalancePlan) -> Day:
        """Publish `plan`, wait for both lanes and for the verdict, and collect what is left."""
        before = {role: len(operator.stack.broker.orders(role)) for role in Role}
        operator.publish(plan)
        return self.settle(operator, plan, before)

    def settle(self, operator: Operator, plan: RebalancePlan, before: dict[Role, int]) -> Day:
        """Wait for the verdict about a published plan, and collect what is left of it."""
        pair = operator.await_verdict(plan.plan_id, sweeping=True)
        traces = self.traces(operator.stack, plan, before)
        return Day(plan, pair, Comparison.parse_json(operator.comparison_of(pair)), traces)

    def traces(self, stack: LocalStack, plan: RebalancePlan, before: dict[Role, int]) -> Traces:
        """Collect what `plan` left; `before` counts each account's orders from before it was published."""
        orders = {role: stack.broker.orders(role)[before[role] :] for role in Role}
        return Traces(
            orders[PRODUCTION],
            orders[PAPER],
            heard(stack, "events", plan),
            heard(stack, "shadow-events", plan),
            _rows(stack, "trade-ledger", plan),
            _rows(stack, "shadow-trade-ledger", plan),
        )


def once_each(comparison: Comparison, role: Role) -> Counter[tuple[str, str | None]]:
    """Give what a bus gets of a lane's completed run: each effect once."""
    run = comparison.control if role is Role.CONTROL else comparison.candidate
    assert run is not None
    return Counter([*(("TradeExecuted", trade.trade_id) for trade in run.trades), ("AllTradesCompleted", None)])


def filled(orders: tuple[SimulatedOrder, ...]) -> frozenset[str]:
    """Give the ids of the orders that filled."""
    return frozenset(order.order_id for order in orders if order.filled_quantity)


def _listen(stack: LocalStack, bus: str) -> None:
    queues = stack.access.sqs()
    url = queues.create_queue(QueueName=f"{LISTENER}-{bus}")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    anyone = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [anyone]})})
    events: EventBridgeClient = stack.access.session.client(
        "events", endpoint_url=stack.access.endpoint, config=stack.access.config
    )
    pattern = json.dumps({"source": ["alchemiser.execution", "alchemiser.trade_aggregator"]})
    events.put_rule(Name=f"{LISTENER}-{bus}", EventBusName=f"alchemiser-{STAGE}-{bus}", EventPattern=pattern)
    events.put_targets(
        Rule=f"{LISTENER}-{bus}", EventBusName=f"alchemiser-{STAGE}-{bus}", Targets=[{"Id": "listener", "Arn": arn}]
    )


def heard(stack: LocalStack, bus: str, plan: RebalancePlan) -> Counter[tuple[str, str | None]]:
    """Take everything that was heard of `plan` on a bus since it was last asked."""
    queues = stack.access.sqs()
    url = queues.get_queue_url(QueueName=f"{LISTENER}-{bus}")["QueueUrl"]
    found: Counter[tuple[str, str | None]] = Counter()
    for _ in range(_BATCHES):
        batch = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages", [])
        for message in batch:
            event = json.loads(message["Body"])
            assert event["detail"]["plan_id"] == plan.plan_id
            found[event["detail-type"], event["detail"].get("trade_id")] += 1
            queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if not batch:
            break
    return found


def _rows(stack: LocalStack, table: str, plan: RebalancePlan) -> frozenset[str]:
    answer = stack.tables().query(
        TableName=f"alchemiser-{STAGE}-{table}",
        IndexName="GSI1",
        KeyConditionExpression="GSI1PK = :plan",
        ExpressionAttributeValues={":plan": {"S": f"CORR#{plan.correlation_id}"}},
    )
    return frozenset(str(from_item(item)["order_id"]) for item in answer["Items"])
