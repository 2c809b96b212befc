"""Executions of the workflow as the services would tell of them: DescribeExecution's answer and GetExecutionHistory's events.

Three dialects. `aws`: every event linked by previousEventId, Lambda events for a function's ARN, iteration events. `moto`: the
same with moto's smaller vocabulary. `ministack`: no links, no iteration events, no names for the states inside a Map.
Source of types and details: AWS Step Functions API reference, HistoryEvent.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from shadow.contracts.identity import client_order_id_of, execution_name_of, run_id_of
from shadow.contracts.plan import RebalancePlan, TradeMessage, trade_messages
from shadow.contracts.vocabulary import Reason, Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import OrderTrace, TradeResult, WorkflowInput, WorkflowPlan, WorkflowTrade

BEGIN = datetime(2024, 3, 15, 19, 45, 1, tzinfo=UTC)
STATE_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:alchemiser-dev-execution-workflow"
PRICE = Decimal("50.00")
DIALECTS = ("aws", "moto", "ministack")


def execution_arn(run_id: str) -> str:
    return f"{STATE_MACHINE.replace(':stateMachine:', ':execution:')}:{execution_name_of(run_id)}"


@dataclass(frozen=True)
class Scenario:
    """One execution. `statuses` are by symbol (default COMPLETED), `retries` failed attempts before the last, by symbol."""

    plan: RebalancePlan
    dialect: str = "aws"
    seed: int = 0
    statuses: Mapping[str, TradeStatus] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    fail_in: str | None = None
    stop: str | None = None
    stop_after: int | None = None
    leave_out: bool = False
    redrives: int = 0
    threshold: Decimal = Decimal(500)

    @property
    def run_id(self) -> str:
        return run_id_of(self.plan.plan_id)


def result_of(message: TradeMessage, status: TradeStatus = TradeStatus.COMPLETED) -> dict[str, object]:
    done = status is TradeStatus.COMPLETED
    blocked = status is TradeStatus.BLOCKED
    quantity = (abs(message.trade_amount) / PRICE).quantize(Decimal("0.000001"))
    reason = {
        TradeStatus.FAILED: Reason.BROKER_REJECTED,
        TradeStatus.BLOCKED: Reason.EQUITY_LIMIT,
        TradeStatus.UNKNOWN: Reason.OTHER,
    }
    order = OrderTrace(
        client_order_id=client_order_id_of(message.trade_id, 0),
        order_id=f"order-{message.symbol}",
        order_type="market",
        quantity=quantity,
        status="filled",
        filled_quantity=quantity,
        average_price=PRICE,
    )
    return TradeResult(
        run_id=message.run_id,
        trade_id=message.trade_id,
        symbol=message.symbol,
        action=message.action,
        status=status,
        quantity=quantity if done else Decimal(0),
        average_price=PRICE if done else None,
        total_value=quantity * PRICE if done else Decimal(0),
        order_id=f"order-{message.symbol}" if done else None,
        error_message=None if done else f"{status}",
        planned_amount=message.trade_amount,
        reason=reason.get(status),
        asked_quantity=None if blocked else quantity,
        sizing_basis=None if blocked else SizingBasis.TRADE_AMOUNT,
        bid=None if blocked else PRICE - 1,
        ask=None if blocked else PRICE + 1,
        quote_at=None if blocked else BEGIN,
        market_at=None if blocked else BEGIN,
        decision_price=None if blocked else PRICE,
        order_type=None if blocked else "market",
        attempts=0 if blocked else 1,
        orders=(order,) if done else (),
        started_at=BEGIN,
        completed_at=BEGIN + timedelta(seconds=2),
    ).to_wire()


@dataclass
class _Writer:
    dialect: str
    events: list[dict[str, object]] = field(default_factory=list)

    def add(self, kind: str, previous: int | None = None, **details: object) -> int:
        number = len(self.events) + 1
        event: dict[str, object] = {
            "timestamp": BEGIN + timedelta(milliseconds=10 * number),
            "type": kind,
            "id": number,
            **details,
        }
        if self.dialect != "ministack":
            event["previousEventId"] = number - 1 if previous is None else previous
        self.events.append(event)
        return number


def _payload(name: str, value: object, *, left_out: bool = False) -> dict[str, object]:
    if left_out:
        return {f"{name}Details": {"truncated": True}}
    return {name: json.dumps(value), f"{name}Details": {"truncated": False}}


def input_of(plan: RebalancePlan) -> dict[str, object]:
    trades = tuple(WorkflowTrade.from_message(message) for message in trade_messages(plan))
    return WorkflowInput(
        rebalance_plan=WorkflowPlan(trade_messages=trades, total_portfolio_value=plan.total_portfolio_value),
        correlation_id=plan.correlation_id,
        run_id=run_id_of(plan.plan_id),
        plan_id=plan.plan_id,
    ).to_wire()


class _Execution:
    """Plays a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.writer = _Writer(scenario.dialect)
        self.random = random.Random(scenario.seed)
        self.messages = trade_messages(scenario.plan)
        self.state: dict[str, object] = {}
        self.end: tuple[str, str | None] = ("SUCCEEDED", None)

    def play(self) -> None:
        scenario = self.scenario
        self.writer.add("ExecutionStarted", 0, executionStartedEventDetails=_payload("input", input_of(scenario.plan)))
        if not self._prepare():
            return
        for side in (Side.SELL, Side.BUY):
            if side is Side.BUY and not self._guard():
                return
            if not self._phase(side):
                return
        self._aggregate()

    def _task(self, name: str, output: object, *, fails: bool = False) -> None:
        add = self.writer.add
        add("TaskStateEntered", stateEnteredEventDetails={"name": name, **_payload("input", self.state)})
        last = self._lambda(output, fails=fails)
        if fails and self.scenario.dialect == "aws":
            caught = self.state | {"error": {"Error": "BrokerThrottled", "Cause": "{}"}}
            add("TaskStateExited", last, stateExitedEventDetails={"name": name, **_payload("output", caught)})
        if not fails:
            left_out = self.scenario.leave_out and name.startswith("Execute")
            add("TaskStateExited", stateExitedEventDetails={"name": name, **_payload("output", self.state, left_out=left_out)})

    def _lambda(self, output: object, *, fails: bool = False, previous: int | None = None, request: object = None) -> int:
        add, dialect = self.writer.add, self.scenario.dialect
        if dialect == "ministack":
            add("TaskScheduled", taskScheduledEventDetails={"resourceType": "lambda", "resource": "arn:function"})
            if fails:
                return add("TaskFailed", taskFailedEventDetails={"error": "Runtime.HandlerError", "cause": "{}"})
            return add("TaskSucceeded", taskSucceededEventDetails={"resource": "arn:function", "output": json.dumps(output)})
        last = add(
            "LambdaFunctionScheduled",
            previous,
            lambdaFunctionScheduledEventDetails={"resource": "arn:function", **_payload("input", request or self.state)},
        )
        if dialect == "aws":
            last = add("LambdaFunctionStarted", last)
        if fails:
            return add("LambdaFunctionFailed", last, lambdaFunctionFailedEventDetails={"error": "BrokerThrottled", "cause": "{}"})
        return add("LambdaFunctionSucceeded", last, lambdaFunctionSucceededEventDetails=_payload("output", output))

    def _fail(self, notify: str, terminal: str) -> None:
        self._task(notify, {"status": "SENT"})
        self.writer.add("FailStateEntered", stateEnteredEventDetails={"name": terminal, **_payload("input", self.state)})
        self.writer.add("ExecutionFailed", executionFailedEventDetails={"error": terminal, "cause": "because"})
        self.end = ("FAILED", terminal)

    def _broken(self, name: str) -> bool:
        if self.scenario.fail_in != name:
            return False
        self._fail("NotifyWorkflowFailed", "WorkflowFailed")
        return True

    def _prepare(self) -> bool:
        trades = [WorkflowTrade.from_message(message).to_wire() for message in self.messages]
        sells = [trade for trade in trades if trade["action"] == "SELL"]
        buys = [trade for trade in trades if trade["action"] == "BUY"]
        identity = {"runId": self.scenario.run_id, "planId": self.scenario.plan.plan_id}
        prepared = {
            "sellTrades": sells,
            "buyTrades": buys,
            "sellCount": len(sells),
            "buyCount": len(buys),
            "equityLimit": "100000",
            "executionMode": "dry_run",
            "correlationId": self.scenario.plan.correlation_id,
            **identity,
        }
        fails = self.scenario.fail_in == "PrepareTrades"
        if not fails:
            self.state = prepared
        self._task("PrepareTrades", prepared, fails=fails)
        return not self._broken("PrepareTrades")

    def _status(self, message: TradeMessage) -> TradeStatus:
        return self.scenario.statuses.get(message.symbol, TradeStatus.COMPLETED)

    def _guard(self) -> bool:
        sells = [message for message in self.messages if message.action is Side.SELL]
        failed = [m for m in sells if self._status(m) in (TradeStatus.FAILED, TradeStatus.UNKNOWN)]
        amount = sum((abs(message.trade_amount) for message in failed), Decimal(0))
        done = sum((abs(message.trade_amount) for message in sells if message not in failed), Decimal(0))
        allowed = amount <= self.scenario.threshold
        self.state["guard"] = {
            "buyPhaseAllowed": allowed,
            "sellFailedAmount": str(amount),
            "sellSucceededAmount": str(done),
            "sellFailedCount": len(failed),
            "failureThresholdUsd": str(self.scenario.threshold),
            "reason": None,
        }
        self._task("EvaluateSellPhaseGuard", self.state["guard"])
        self._choice("CheckBuyPhaseGuard")
        if not allowed:
            self._fail("NotifyBuyPhaseBlocked", "BuyPhaseBlocked")
        return allowed

    def _choice(self, name: str) -> None:
        self.writer.add("ChoiceStateEntered", stateEnteredEventDetails={"name": name, **_payload("input", self.state)})
        self.writer.add("ChoiceStateExited", stateExitedEventDetails={"name": name, **_payload("output", self.state)})

    def _phase(self, side: Side) -> bool:
        self._choice("CheckIfSellTradesExist" if side is Side.SELL else "CheckIfBuyTradesExist")
        messages = [message for message in self.messages if message.action is side]
        if not messages:
            return True
        name = "ExecuteSellPhase" if side is Side.SELL else "ExecuteBuyPhase"
        self.writer.add("MapStateEntered", stateEnteredEventDetails={"name": name, **_payload("input", self.state)})
        opened = len(self.writer.events)
        if self.scenario.dialect != "ministack":
            opened = self.writer.add("MapStateStarted", mapStateStartedEventDetails={"length": len(messages)})
        iterations = [self._iteration(name, index, message, opened) for index, message in enumerate(messages)]
        _interleave(iterations, self.random)
        if self.scenario.fail_in == name and self.scenario.dialect == "aws":
            last = self.writer.add("MapStateFailed")
            caught = self.state | {"error": {"Error": "States.TaskFailed", "Cause": "{}"}}
            self.writer.add("MapStateExited", last, stateExitedEventDetails={"name": name, **_payload("output", caught)})
        if self._broken(name):
            return False
        self.state[f"{side.value.lower()}Results"] = [result_of(message, self._status(message)) for message in messages]
        if self.scenario.dialect != "ministack":
            self.writer.add("MapStateSucceeded")
        exited = {"name": name, **_payload("output", self.state, left_out=self.scenario.leave_out)}
        self.writer.add("MapStateExited", stateExitedEventDetails=exited)
        return True

    def _iteration(self, name: str, index: int, message: TradeMessage, opened: int) -> Iterable[None]:
        """Yield between any two events, so that iterations can be interleaved."""
        writer, linked = self.writer, self.scenario.dialect != "ministack"
        about = {"name": name, "index": index}
        trade = WorkflowTrade.from_message(message).to_wire()
        last = writer.add("MapIterationStarted", opened, mapIterationStartedEventDetails=about) if linked else opened
        yield
        inner = "ExecuteSellTrade" if message.action is Side.SELL else "ExecuteBuyTrade"
        status = self._status(message)
        if linked:
            entered = {"name": inner, **_payload("input", trade)}
            last = writer.add("TaskStateEntered", last, stateEnteredEventDetails=entered)
            yield
        for _ in range(self.scenario.retries.get(message.symbol, 0)):
            last = self._lambda(None, fails=True, previous=last, request=trade)
            yield
        result = result_of(message, status)
        last = self._lambda(result, previous=last, request=trade)
        yield
        if linked:
            last = writer.add("TaskStateExited", last, stateExitedEventDetails={"name": inner, **_payload("output", result)})
            writer.add("MapIterationSucceeded", last, mapIterationSucceededEventDetails=about)

    def _aggregate(self) -> None:
        results = [self._status(message) for message in self.messages]
        blocked = results.count(TradeStatus.BLOCKED)
        failed = results.count(TradeStatus.FAILED) + blocked
        unknown = results.count(TradeStatus.UNKNOWN)
        summary = {
            "totalTrades": len(results),
            "succeededTrades": results.count(TradeStatus.COMPLETED),
            "failedTrades": failed,
            "skippedTrades": results.count(TradeStatus.SKIPPED),
            "unknownTrades": unknown,
            "outcome": "BLOCKED_BY_EQUITY_LIMIT" if blocked else "COMPLETED",
            "runId": self.scenario.run_id,
        }
        if self.scenario.fail_in != "AggregateResults":
            self.state = dict(summary)
        self._task("AggregateResults", summary, fails=self.scenario.fail_in == "AggregateResults")
        if self._broken("AggregateResults"):
            return
        self._choice("CheckRunOutcome")
        if blocked:
            self._fail("NotifyEquityLimit", "EquityLimitReached")
            return
        self._task("SendNotification", {"status": "SENT"})
        self.writer.add(
            "SucceedStateEntered", stateEnteredEventDetails={"name": "WorkflowCompleted", **_payload("input", self.state)}
        )
        self.writer.add(
            "SucceedStateExited", stateExitedEventDetails={"name": "WorkflowCompleted", **_payload("output", self.state)}
        )
        self.writer.add("ExecutionSucceeded", executionSucceededEventDetails=_payload("output", self.state))


def _interleave(iterations: Sequence[Iterable[None]], rng: random.Random) -> None:
    running = [iter(iteration) for iteration in iterations]
    while running:
        chosen = rng.choice(running[:10])
        try:
            next(chosen)
        except StopIteration:
            running.remove(chosen)


@dataclass(frozen=True)
class Execution:
    describe: dict[str, object]
    history: list[dict[str, object]]


def play(scenario: Scenario) -> Execution:
    """Play a scenario to its end, or to where `stop` (ABORTED, TIMED_OUT or RUNNING) cuts it off."""
    execution = _Execution(scenario)
    execution.play()
    history, (status, error) = execution.writer.events, execution.end
    if scenario.stop:
        history = history[: scenario.stop_after or max(1, len(history) // 2)]
        status, error = scenario.stop, None
        kind = {"ABORTED": "ExecutionAborted", "TIMED_OUT": "ExecutionTimedOut"}.get(scenario.stop)
        if kind:
            writer = _Writer(scenario.dialect, list(history))
            writer.add(kind, **{f"execution{kind.removeprefix('Execution')}EventDetails": {}})
            history = writer.events
    if scenario.redrives:
        history = _redriven(scenario, history)
    last = history[-1]["timestamp"]
    describe: dict[str, object] = {
        "executionArn": execution_arn(scenario.run_id),
        "stateMachineArn": STATE_MACHINE,
        "name": execution_name_of(scenario.run_id),
        "status": status,
        "startDate": BEGIN,
        "input": json.dumps(input_of(scenario.plan)),
        "inputDetails": {"included": True},
        "redriveCount": scenario.redrives,
    }
    if status != "RUNNING":
        describe["stopDate"] = last
    if error:
        describe["error"] = error
    return Execution(describe, history)


def _redriven(scenario: Scenario, history: list[dict[str, object]]) -> list[dict[str, object]]:
    """Put a first try before the history: it timed out in the BUY phase, and was redriven from there."""
    whole = play(replace(scenario, redrives=0, stop=None, fail_in=None)).history
    ended = next(
        i
        for i, event in enumerate(whole)
        if event["type"] == "MapStateExited" and "ExecuteBuy" in json.dumps(event["stateExitedEventDetails"])
    )
    writer = _Writer(scenario.dialect, list(whole[: ended - 1]))
    writer.add("ExecutionTimedOut", executionTimedOutEventDetails={})
    for count in range(1, scenario.redrives + 1):
        writer.add("ExecutionRedriven", executionRedrivenEventDetails={"redriveCount": count})
    offset = len(writer.events)
    cut = next(
        index
        for index, event in enumerate(history)
        if event["type"] == "MapStateEntered" and "Buy" in json.dumps(event, default=str)
    )
    shift = offset - cut
    for event in history[cut:]:
        number, previous = event["id"], event.get("previousEventId")
        moved = {
            **event,
            "id": int(str(number)) + shift,
            "timestamp": BEGIN + timedelta(milliseconds=10 * (int(str(number)) + shift)),
        }
        if previous is not None:
            moved["previousEventId"] = int(str(previous)) + shift
        writer.events.append(moved)
    return writer.events
