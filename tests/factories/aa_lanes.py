"""Both lanes, whole, in this process, over one simulated broker: the reference lane, and the real handlers under the real state
machine. The comparator's own readers, settlement and judge say what they make of it. Nothing waits and nothing is faked between
the lanes' records and the verdict.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models import dynamodb_backends

from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import Fault
from shadow.aws import clients
from shadow.aws.table import Reader, to_item
from shadow.broker.alpaca import AlpacaBroker
from shadow.broker.port import Broker
from shadow.contracts.candidate_state import candidate_pk
from shadow.contracts.comparison import Comparison
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import StartState
from shadow.contracts.plan import RebalancePlan, TradeMessage
from shadow.contracts.vocabulary import ExecutionMode, Role
from shadow.intake.aws import S3PlanStore
from shadow.intake.payload import candidate_input
from shadow.reference.publishing import Published
from shadow.reference.tables import DynamoTradeLedger
from shadow.settlement.judging import judge_by, policy_at
from shadow.settlement.settler import Settler
from tests.factories.control_items import raw_item
from tests.factories.histories import execution_arn
from tests.factories.in_process_broker import broker_of, exchange_with
from tests.factories.pairs import pair_of
from tests.factories.small_states import SmallExecution, TaskError
from tests.fakes.evidence import World, settler_of
from tests.fakes.legacy import World as Control
from tests.fakes.quick_table import QuickTables, quick_tables
from tests.fakes.workflow_cloud import ACCOUNT, BUCKET, REGION, STATE_TABLE, Cloud, cloud, definition

LATER = timedelta(minutes=5)


@dataclass(frozen=True)
class Situation:
    """What both lanes meet alike. `faults` strike both accounts; `cash` and `positions` are both accounts' own; `deployment`
    is the fraction of the equity that BUYs may use.
    """

    plan: RebalancePlan
    day: date
    closes: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]
    cash: Decimal
    faults: tuple[Fault, ...] = ()
    untradable: frozenset[str] = frozenset()
    whole_shares: frozenset[str] = frozenset()
    is_open: bool = True
    rest_limits: int = 0
    spread: Decimal = Decimal(10)
    deployment: Decimal = Decimal(1)


@dataclass
class AaLanes:
    """Two lanes and the comparator."""

    candidate: Cloud
    simulator: Simulator
    control_broker: Broker
    tables: QuickTables
    machine: Mapping[str, Any] = field(default_factory=lambda: json.loads(definition()))
    fails: Callable[[str, Any], TaskError | None] = lambda *_: None
    execution: SmallExecution = field(init=False)
    world: World = field(init=False)

    def compare(self, situation: Situation) -> Comparison:
        """Run one plan through both lanes and judge it."""
        _forget_state()
        self._arrange(situation)
        plan = situation.plan
        world = self.world = World(ledger_rows={})
        world.pairs[plan.plan_id] = pair_of(plan, at=datetime.now(UTC), start_state=StartState.STARTED)
        self._run_control(plan, situation.deployment, world)
        self._set_deployment(situation.deployment)
        self._run_candidate(plan, world)
        settler = _judging(world)
        settlement = settler.settle(plan.plan_id, datetime.now(UTC) + LATER)
        assert settlement.judged, settlement
        return Comparison.parse_json(world.objects[world.pairs[plan.plan_id].comparison_key or ""])

    def _arrange(self, situation: Situation) -> None:
        simulator = self.simulator
        simulator.reset()
        simulator.set_day(situation.day, situation.closes)
        simulator.set_spread(situation.spread)
        simulator.set_fill_rule(situation.rest_limits)
        simulator.set_clock(is_open=situation.is_open)
        for symbol in situation.closes:
            simulator.set_asset(
                symbol, tradable=symbol not in situation.untradable, fractionable=symbol not in situation.whole_shares
            )
        for role in Role:
            simulator.set_positions(role, {symbol: shares for symbol, shares in situation.positions.items() if shares})
            simulator.set_account(role, cash=situation.cash)
        for fault in situation.faults:
            simulator.add_fault(fault)

    def _set_deployment(self, fraction: Decimal) -> None:
        """Give the candidate another equity deployment, as a deployment of the stack would."""
        if os.environ["EQUITY_DEPLOYMENT_PCT"] != str(fraction):
            os.environ["EQUITY_DEPLOYMENT_PCT"] = str(fraction)
            module = self.candidate.modules["prepare_trades"]
            module._environment.cache_clear()
            module._parts.cache_clear()

    def _run_control(self, plan: RebalancePlan, deployment: Decimal, world: World) -> None:
        control = Control(deployment=deployment, broker=self.control_broker)  # type: ignore[arg-type] # the port
        publisher = replace(control.publisher(), equity=lambda: control.broker.account().equity, now=lambda: datetime.now(UTC))
        published = publisher.publish(plan)
        assert isinstance(published, Published)
        role = replace(control.parts(), now=lambda: datetime.now(UTC)).assemble()
        taken = 0
        while taken < len(control.queue.sent):
            role.process(TradeMessage.parse_json(control.queue.sent[taken].body))
            taken += 1
        run_id = published.run_id
        pair = world.pairs[plan.plan_id]
        world.pairs[plan.plan_id] = pair.model_copy(update={"control_run_id": run_id})
        keep_control(control, run_id, plan.correlation_id, world)

    def _run_candidate(self, plan: RebalancePlan, world: World, document: str | None = None) -> None:
        """Run the workflow with the `document` it was started with, by default the one that the intake writes."""
        run_id = run_id_of(plan.plan_id)
        request = json.loads(document or candidate_input(plan, run_id, {}, S3PlanStore(clients.s3(), BUCKET)))
        self.execution = SmallExecution(self.machine, run_id, self._invoke, read=_read)
        world.executions[execution_arn(run_id)] = self.execution.run(request)
        world.map_runs |= self.execution.map_runs
        world.state_items[run_id] = list(Reader(clients.dynamodb(), STATE_TABLE).query("PK", candidate_pk(run_id)))

    def _invoke(self, function: str, event: Any) -> Any:
        self.candidate.calls.clear()
        failure = self.fails(function, event)
        if failure is not None:
            raise failure
        answer = self.candidate.invoke({"FunctionName": function, "Payload": json.dumps(event)}, "", None)
        if "FunctionError" in answer:
            raise TaskError(answer["Payload"]["errorType"], answer["Payload"]["errorMessage"])
        return answer["Payload"]


def _read(bucket: str, key: str) -> bytes:
    return clients.s3().get_object(Bucket=bucket, Key=key)["Body"].read()


def _forget_state() -> None:
    """Empty the candidate's state table: moto copies a whole table for each transaction on it."""
    dynamodb_backends[ACCOUNT][REGION].tables[STATE_TABLE].items.clear()


class _Rows:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put_item(self, *, TableName: str, Item: Any) -> None:  # noqa: N803 - the service's names
        del TableName
        self.items.append(Item)


def keep_control(control: Control, run_id: str, correlation_id: str, world: World) -> None:
    """Let the comparator see what the control left: its items, its captured events and its ledger's rows."""
    world.control_items[run_id] = [raw_item(each) for each in (*control.store.runs.values(), *control.store.trades.values())]
    world.events[run_id] = {f"{number:04}": _captured(run_id, number, *event) for number, event in enumerate(control.bus.events)}
    rows = _Rows()
    for entry in control.ledger.entries:
        DynamoTradeLedger(rows, "ledger").enter(entry)  # type: ignore[arg-type] # puts rows, and nothing else
    world.ledger_rows = {correlation_id: rows.items}


def _captured(run_id: str, number: int, kind: Any, detail: Any) -> Any:
    body = json.loads(detail.model_dump_json())
    key = f"EVENT#{kind}#{body.get('trade_id') or '-'}#event-{number}"
    return to_item({"PK": f"RUN#{run_id}", "SK": key, "detail_type": str(kind), "detail": json.dumps(body)})


def _judging(world: World) -> Settler:
    settler = settler_of(world)
    return Settler(replace(settler._parts, judge=judge_by(policy_at(""))))


@contextmanager
def aa_lanes(mode: ExecutionMode = ExecutionMode.PAPER) -> Iterator[AaLanes]:
    """Give two lanes whose candidate runs in `mode`, each with an account of its own at one simulated broker."""
    simulator = Simulator()
    candidate, control = (broker_of(role, exchange_with(simulator)) for role in (Role.CANDIDATE, Role.CONTROL))
    with (
        cloud(EXECUTION_MODE=mode.value, CONTROL_ACCOUNT_FINGERPRINT="0" * 64) as built,
        patch.object(AlpacaBroker, "connect", lambda _: candidate),
        quick_tables() as tables,
    ):
        yield AaLanes(built, simulator, control, tables)
