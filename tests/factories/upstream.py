"""Every record that the lanes' evidence is read from, each by its place in a world in which both lanes ran alike, to be changed
in one field wherever it stands.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from shadow.contracts.candidate_state import EffectRecord, IntentRecord
from shadow.contracts.comparison import Comparison
from shadow.contracts.control_records import AllTradesCompleted, ExecutionData, LedgerEntry, RunItem, TradeExecuted, TradeItem
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import StartState
from shadow.contracts.workflow import GuardResult, RunSummary, TradeResult
from tests.factories.aa_lanes import LATER, Situation, _forget_state, _judging, aa_lanes
from tests.factories.histories import execution_arn
from tests.factories.pairs import pair_of
from tests.fakes.evidence import World
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="1000")
RUN_ID = run_id_of(PLAN.plan_id)
ARN = execution_arn(RUN_ID)
AT_LAST = timedelta(hours=12)
SITUATION = Situation(
    plan=PLAN,
    day=date(2024, 3, 15),
    closes={"AAPL": Decimal("170.00"), "MSFT": Decimal("416.00")},
    positions={"AAPL": Decimal(100), "MSFT": Decimal(50)},
    cash=Decimal(50_000),
)
Change = Callable[[dict[str, Any]], None]
Apply = Callable[[World, Change], None]


@dataclass(frozen=True)
class Upstream:
    """One record: its name, its fields as they are on its wire, and the way to change it wherever it stands."""

    name: str
    fields: tuple[str, ...]
    apply: Apply
    is_table_item: bool = False


def _item(pick: Callable[[Mapping[str, Any]], bool], where: Callable[[World], list[Any]]) -> Apply:
    def apply(world: World, change: Change) -> None:
        for item in where(world):
            if pick(item):
                change(item)

    return apply


def _detail(kind: str) -> Apply:
    def apply(world: World, change: Change) -> None:
        for item in world.events[_control_run(world)].values():
            if item["detail_type"]["S"] == kind:
                value = json.loads(str(item["detail"]["S"]))
                change(value)
                item["detail"]["S"] = json.dumps(value)  # type: ignore[index] # a raw item

    return apply


def _execution_data(world: World, change: Change) -> None:
    for item in _control(world):
        if "execution_data" in item:
            value = json.loads(str(item["execution_data"]["S"]))
            change(value)
            item["execution_data"]["S"] = json.dumps(value)  # type: ignore[index] # a raw item


def _everywhere(value: Any, is_it: Callable[[Mapping[str, Any]], bool], change: Change) -> Any:
    """Change every such record in `value`, in JSON texts inside it too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            value[name] = _everywhere(inner, is_it, change)
        if is_it(value):
            change(value)
        return value
    if isinstance(value, list):
        return [_everywhere(inner, is_it, change) for inner in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.dumps(_everywhere(json.loads(value), is_it, change))
    return value


def _payload(*marks: str) -> Apply:
    def apply(world: World, change: Change) -> None:
        def is_it(value: Mapping[str, Any]) -> bool:
            return all(mark in value for mark in marks)

        describe, history = world.executions[ARN]
        world.executions[ARN] = (_everywhere(dict(describe), is_it, change), _everywhere(history, is_it, change))
        world.state_items[RUN_ID] = _everywhere(world.state_items[RUN_ID], is_it, change)

    return apply


def _describe(world: World, change: Change) -> None:
    describe, history = world.executions[ARN]
    changed = dict(describe)
    change(changed)
    world.executions[ARN] = (changed, history)


def _events(world: World, change: Change) -> None:
    for event in world.executions[ARN][1]:
        change(event)  # type: ignore[arg-type] # a dict


def _details(world: World, change: Change) -> None:
    for event in world.executions[ARN][1]:
        details = event.get("stateExitedEventDetails")
        if isinstance(details, dict) and details["name"] in ("ExecuteSellPhase", "ExecuteBuyPhase", "AggregateResults"):
            change(details)


def _names(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _starts(prefix: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda item: str(item["SK"]["S"]).startswith(prefix)


def _control_run(world: World) -> str:
    return str(world.pairs[PLAN.plan_id].control_run_id)


def _control(world: World) -> list[Any]:
    return world.control_items[_control_run(world)]


def _state(world: World) -> list[Any]:
    return world.state_items[RUN_ID]


def _ledger(world: World) -> list[Any]:
    return (world.ledger_rows or {})[PLAN.correlation_id]


RECORDS = (
    Upstream("control run item", _names(RunItem), _item(_starts("METADATA"), _control), is_table_item=True),
    Upstream("control trade item", _names(TradeItem), _item(_starts("TRADE#"), _control), is_table_item=True),
    Upstream("control execution data", _names(ExecutionData), _execution_data),
    Upstream("TradeExecuted event", _names(TradeExecuted), _detail("TradeExecuted")),
    Upstream("AllTradesCompleted event", _names(AllTradesCompleted), _detail("AllTradesCompleted")),
    Upstream("trade ledger row", _names(LedgerEntry), _item(lambda _: True, _ledger), is_table_item=True),
    Upstream("candidate intent", _names(IntentRecord), _item(_starts("INTENT#"), _state), is_table_item=True),
    Upstream("candidate effect", _names(EffectRecord), _item(_starts("EFFECT#"), _state), is_table_item=True),
    Upstream("trade result", _names(TradeResult), _payload("tradeId", "plannedAmount", "attempts")),
    Upstream("guard result", _names(GuardResult), _payload("buyPhaseAllowed")),
    Upstream("run summary", _names(RunSummary), _payload("totalTrades", "succeededTrades")),
    Upstream("DescribeExecution", ("status", "startDate", "stopDate", "input", "redriveCount"), _describe),
    Upstream("history event", ("id", "type", "timestamp", "previousEventId"), _events),
    Upstream("state exit", ("name", "output"), _details),
)


def judged(world: World) -> Comparison:
    """Judge a world anew, at the last deadline where a lane never seems to settle."""
    for after in (LATER, AT_LAST):
        settlement = _judging(world).settle(PLAN.plan_id, datetime.now(UTC) + after)
        if settlement.judged:
            break
    return Comparison.parse_json(world.objects[world.pairs[PLAN.plan_id].comparison_key or ""])


@contextmanager
def matching_world() -> Iterator[World]:
    """Give a world in which both lanes have run one plan alike, and nothing is judged yet."""
    with aa_lanes() as lanes:
        _forget_state()
        lanes._arrange(SITUATION)
        world = World(ledger_rows={})
        world.pairs[PLAN.plan_id] = pair_of(PLAN, at=datetime.now(UTC), start_state=StartState.STARTED)
        lanes._run_control(PLAN, SITUATION.deployment, world)
        lanes._set_deployment(SITUATION.deployment)
        lanes._run_candidate(PLAN, world)
    yield world


def fresh(world: World) -> World:
    """Copy a world."""
    return copy.deepcopy(world)
