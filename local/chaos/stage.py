"""Business Unit: local cloud | Status: current.

One stack on which plans are published one trading day after another: in chaos, or in the quiet that it is held against.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

from local.broker_simulator.values import SimulatedOrder
from local.chaos.checks import ControlRecord
from local.operator import Operator
from local.planner import Portfolio
from local.scenarios.demo import FIRST_CASH, DemoDay
from local.stack import STAGE, LocalStack
from shadow.aws.table import from_item
from shadow.contracts.candidate_state import INTENT_SK_PREFIX, IntentRecord, IntentStatus
from shadow.contracts.control_records import METADATA_SK, LegacyRunStatus, LegacyTradeStatus, run_pk
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 120.0
_ENDED = frozenset({LegacyRunStatus.COMPLETED.value, LegacyRunStatus.FAILED.value})
_AT_WORK = frozenset({LegacyTradeStatus.PENDING.value, LegacyTradeStatus.RUNNING.value})
_MINTED = frozenset({"PK", "SK", "run_id", "trade_id", "trade_ids"})
_DIFFERS_ALWAYS = _MINTED | {"TTL", "order_id", "message_body", "run_timestamp", "correlation_id"}
_FORGOTTEN = frozenset({IntentStatus.INTENDED, IntentStatus.AMBIGUOUS, IntentStatus.OPEN})


class Stage:
    """Plays days on one stack. `meanwhile` is called again and again while a plan runs."""

    def __init__(self, stack: LocalStack, meanwhile: Callable[[RebalancePlan], None]) -> None:
        """Play on `stack`."""
        self.stack = stack
        self.operator = Operator(stack)
        self._meanwhile = meanwhile
        self._runs: dict[str, str] = {}
        stack.broker.set_account(Role.CONTROL, cash=FIRST_CASH)

    def play(self, day: DemoDay, *, with_candidate: bool) -> tuple[RebalancePlan, ControlRecord]:
        """Publish the day's plan and wait until both lanes' runs have ended, or are not going to any more."""
        broker = self.stack.broker
        broker.set_day(day.day, day.closes, half_day=day.half_day)
        control = broker.account(Role.CONTROL)
        broker.set_positions(Role.CANDIDATE, control.positions)
        broker.set_account(Role.CANDIDATE, cash=control.cash)
        plan = day.plan(Portfolio(control.positions, control.cash))
        before = len(broker.orders(Role.CONTROL))
        self._runs[plan.plan_id] = str(self.operator.publish(plan)["runId"])
        self._wait(plan, lambda: self._control_ended(plan) and (not with_candidate or self._candidate_ended(plan)))
        return plan, ControlRecord(_orders(broker.orders(Role.CONTROL)[before:]), self._items(plan))

    def _wait(self, plan: RebalancePlan, is_over: Callable[[], bool]) -> None:
        ends = time.monotonic() + _PATIENCE_SECONDS
        while not is_over() and time.monotonic() < ends:
            self._meanwhile(plan)
            time.sleep(_POLL_SECONDS)

    def _control_ended(self, plan: RebalancePlan) -> bool:
        items = self._run_items(plan)
        run = next((item for item in items if item["SK"] == METADATA_SK), {})
        return run.get("status") in _ENDED and not any(item["status"] in _AT_WORK for item in items)

    def _candidate_ended(self, plan: RebalancePlan) -> bool:
        return self.operator.candidate_status(plan.plan_id) not in (None, "RUNNING")

    def _run_items(self, plan: RebalancePlan) -> list[dict[str, object]]:
        answer = self.stack.tables().query(
            TableName=f"alchemiser-{STAGE}-execution-runs",
            KeyConditionExpression="PK = :run",
            ExpressionAttributeValues={":run": {"S": run_pk(self._runs[plan.plan_id])}},
            ConsistentRead=True,
        )
        return [from_item(item) for item in answer["Items"]]

    def _items(self, plan: RebalancePlan) -> tuple[tuple[tuple[str, str], ...], ...]:
        return tuple(sorted(tuple(_lasting(item)) for item in self._run_items(plan)))

    def intents(self) -> list[IntentRecord]:
        """Read every intent of every run."""
        pages = self.stack.tables().get_paginator("scan").paginate(TableName=self.stack.output("CandidateStateTableName"))
        items = (from_item(item) for page in pages for item in page["Items"])
        return [IntentRecord.parse(item) for item in items if str(item["SK"]).startswith(INTENT_SK_PREFIX)]

    def reconcile(self) -> int:
        """Ask about every trade with an order whose end is not recorded, as an operator does; give how many."""
        doubtful = {(each.run_id, each.trade_id) for each in self.intents() if each.status in _FORGOTTEN}
        trades = {trade["tradeId"]: trade for arn in self._executions() for trade in self._trades(arn)}
        for _, trade_id in sorted(doubtful):
            event = {"reconcile": True, "error": "Operator", "trade": trades[trade_id]}
            self.stack.functions().invoke(
                FunctionName=f"alchemiser-{STAGE}-execute-trade-sfn", Qualifier="live", Payload=json.dumps(event).encode()
            )
        return len(doubtful)

    def errors_of(self, plan: RebalancePlan) -> str:
        """Name the errors in the history of a plan's run, each once; empty where there were none."""
        states = self.stack.access.stepfunctions()
        arn = self.operator.execution_arn(plan.plan_id)
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        details = (part for page in pages for event in page["events"] for part in event.values() if isinstance(part, dict))
        found = sorted({str(part["error"]) for part in details if part.get("error")})
        return f" ({', '.join(found)})" if found else ""

    def _executions(self) -> Iterator[str]:
        states = self.stack.access.stepfunctions()
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=self.stack.output("StateMachineArn"))
        return (execution["executionArn"] for page in pages for execution in page["executions"])

    def _trades(self, arn: str) -> list[dict[str, str]]:
        text = self.stack.access.stepfunctions().describe_execution(executionArn=arn)["input"]
        found: list[dict[str, str]] = json.loads(text)["rebalancePlan"]["tradeMessages"]
        return found


def _orders(orders: tuple[SimulatedOrder, ...]) -> tuple[tuple[str, ...], ...]:
    """Say what the control ordered, without ids, times and the order among symbols, which no two runs share."""
    kept = (
        (
            order.symbol,
            order.side,
            order.order_type,
            str(order.quantity),
            str(order.limit_price),
            order.status,
            str(order.filled_quantity),
            str(order.average_price),
        )
        for order in orders
    )
    return tuple(sorted(kept))


def _lasting(item: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Give what any run of the same plan writes alike."""
    for name in sorted(item):
        if name == "execution_data":
            data = json.loads(str(item[name]))
            yield name, json.dumps({key: data[key] for key in sorted(data) if key != "filled_at"})
        elif name not in _DIFFERS_ALWAYS and not name.endswith("_at"):
            value = item[name]
            yield name, format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
