"""The control mints its run and trade ids: its run of a plan is found all the same, and its trades join the plan's."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from shadow.aws.table import to_item
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.control_records import DetailType
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.pair import Pair
from shadow.lanes.legacy.source import CapturedEvent, captured_event, run_of_plan
from shadow.settlement.judging import judge_by
from shadow.settlement.settler import Settler
from tests.factories.control_items import ControlRun
from tests.factories.histories import BEGIN, Scenario, execution_arn, play
from tests.factories.pairs import pair_of
from tests.fakes.evidence import World, document_of, settler_of
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="-300.5", GOOG="1000", TSLA="250")
SOON = BEGIN + timedelta(seconds=200)


def renamed(run: ControlRun, seed: int) -> tuple[str, list[Any], list[Any]]:
    """Give the run's id, items and events as a lane that mints every id writes them."""
    names = {name: str(uuid5(UUID(int=seed), name)) for name in (run.run_id, *(message.trade_id for message in run.messages))}
    items, events = json.dumps(run.items()), json.dumps(run.events())
    for old, new in names.items():
        items, events = items.replace(old, new), events.replace(old, new)
    return names[run.run_id], json.loads(items), json.loads(events)


def note(world: World, pair: Pair, name: str, at: str) -> None:
    noted = {"PK": f"RUN#{pair.run_id}", "SK": f"OTHER_RUN#legacy#{name}", "lane": "legacy", "name": name, "at": at}
    world.other_runs.setdefault(pair.run_id, []).append(to_item(noted))


def ran(world: World, seed: int, run: ControlRun | None = None) -> str:
    run_id, items, events = renamed(run or ControlRun(PLAN), seed)
    world.control_items[run_id] = items
    world.events[run_id] = {item["SK"]["S"]: item for item in events}
    return run_id


def world_of(pair: Pair) -> World:
    world = World(pairs={pair.plan_id: pair})
    execution = play(scenario := Scenario(PLAN))
    world.executions[execution_arn(scenario.run_id)] = (execution.describe, list(execution.history))
    return world


def judged(world: World) -> list[dict[str, Any]]:
    """Settle with the one judge; gives what it finds that is told of the control."""
    Settler(replace(settler_of(world)._parts, judge=judge_by(default_policy()))).settle(PLAN.plan_id, SOON)
    document: Any = document_of(world, PLAN.plan_id)
    return [each for each in document["differences"] if each["attribution"] == "control"]


def with_other_ids() -> list[dict[str, Any]]:
    """Give what is found of a control that minted other ids: whatever the factory's short events lack."""
    world, run = world_of(pair_of(PLAN)), ControlRun(PLAN)
    world.control_items[run.run_id] = run.items()  # type: ignore[assignment] # raw items
    world.events[run.run_id] = {str(item["SK"]): item for item in run.events()}  # type: ignore[misc] # raw items
    return judged(world)


@pytest.mark.parametrize("known", ["by its answer", "by its events"])
def test_the_controls_run_is_found_under_the_id_that_it_minted(known: str) -> None:
    pair = pair_of(PLAN, control_run_id=None)
    world = world_of(pair)
    run_id = ran(world, 1)
    if known == "by its answer":
        world.pairs[pair.plan_id] = pair.model_copy(update={"control_run_id": run_id})
    else:
        note(world, pair, run_id, BEGIN.isoformat())

    assert judged(world) == with_other_ids()
    document: Any = document_of(world, PLAN.plan_id)
    assert document["control"]["run_id"] == run_id
    assert len(document["control"]["effects"]) == len(PLAN.tradable_items) + 1
    assert world.pairs[pair.plan_id].verdict not in (Verdict.MISSING_CONTROL, Verdict.PENDING)


def test_a_second_run_of_the_plan_is_told_of_and_the_first_is_the_plans() -> None:
    pair = pair_of(PLAN, control_run_id=None)
    world = world_of(pair)
    second, first = ran(world, 2), ran(world, 1)
    note(world, pair, second, (BEGIN + timedelta(seconds=9)).isoformat())
    note(world, pair, first, BEGIN.isoformat())

    assert [each["kind"] for each in judged(world)] == ["DUPLICATE_RUN", *(each["kind"] for each in with_other_ids())]
    document: Any = document_of(world, PLAN.plan_id)
    assert (document["control"]["run_id"], document["control"]["other_runs"]) == (first, [second])


def test_a_run_that_nothing_names_is_waited_for() -> None:
    world = world_of(pair_of(PLAN, control_run_id=None))
    ran(world, 1)
    assert settler_of(world).settle(PLAN.plan_id, SOON).waiting_for == ("the control",)


def test_a_ledger_row_of_another_plan_with_the_same_correlation_id_is_that_plans() -> None:
    pair = pair_of(PLAN, control_run_id=None)
    world = world_of(pair)
    run = ControlRun(PLAN, endings={"AAPL": "FAILED"})
    note(world, pair, ran(world, 1, run), BEGIN.isoformat())
    other = {"PK": "TRADE#order-of-the-other", "SK": "METADATA", "order_id": "order-of-the-other", "symbol": "AAPL"}
    rest = {"direction": "SELL", "filled_qty": "12", "fill_price": "50", "timestamp": BEGIN.isoformat()}
    row = other | rest | {"correlation_id": pair.correlation_id}
    world.ledger_rows = {pair.correlation_id: [to_item(row)]}
    retried = pair.model_copy(update={"plan_id": f"{pair.plan_id}1", "run_id": "run-2"})

    world.pairs[retried.plan_id] = retried
    found = judged(world)

    document: Any = document_of(world, PLAN.plan_id)
    assert [effect for effect in document["control"]["effects"] if effect["kind"] == "LedgerEntry"] == []
    assert not [each for each in found if "order-of-the-other" in json.dumps(each)]


def test_a_plan_of_the_day_with_a_correlation_id_of_its_own_shares_no_rows() -> None:
    pair = pair_of(PLAN, control_run_id=None)
    world = world_of(pair)
    note(world, pair, ran(world, 1, ControlRun(PLAN, endings={"AAPL": "FAILED"})), BEGIN.isoformat())
    row = {"PK": "TRADE#o", "SK": "METADATA", "order_id": "o", "symbol": "AAPL", "direction": "SELL", "filled_qty": "12"}
    told = {"fill_price": "50", "timestamp": BEGIN.isoformat(), "correlation_id": pair.correlation_id}
    world.ledger_rows = {pair.correlation_id: [to_item(row | told)]}
    other = {"plan_id": "another", "run_id": "run-2", "correlation_id": "another"}

    world.pairs["another"] = pair.model_copy(update=other)
    judged(world)

    document: Any = document_of(world, PLAN.plan_id)
    rows = [effect["order_id"] for effect in document["control"]["effects"] if effect["kind"] == "LedgerEntry"]
    assert rows == ["o"]


@pytest.mark.parametrize(
    ("own", "noted", "found"),
    [
        ("answered", [("legacy", "a", "2026-01-01")], "answered"),
        (None, [], None),
        (None, [("legacy", "b", "2026-01-02"), ("legacy", "a", "2026-01-03")], "b"),
        (None, [("legacy", "b", "2026-01-02"), ("legacy", "a", "2026-01-02")], "a"),
        (None, [("workflow", "w", "2026-01-01"), ("legacy", "a", "2026-01-03")], "a"),
        (None, [("workflow", "w", "2026-01-01")], None),
    ],
)
def test_the_plan_s_run_is_what_its_call_answered_or_the_first_that_events_of_the_lane_named(
    own: str | None, noted: list[tuple[str, str, str]], found: str | None
) -> None:
    class Noted:
        def other_runs(self, run_id: str) -> list[Any]:
            assert run_id == pair.run_id
            return [to_item({"lane": lane, "name": name, "at": at}) for lane, name, at in noted]

    pair = pair_of(PLAN, control_run_id=own)
    assert run_of_plan(Noted(), pair) == found  # type: ignore[arg-type] # nothing else may be asked


@pytest.mark.parametrize("kind", DetailType)
@pytest.mark.parametrize(("trade_id", "read"), [("t", "t"), (None, None), ("a b", None), (7, None), ("", None)])
def test_a_captured_event_is_its_run_s_and_its_trade_s_where_that_is_an_id(
    kind: DetailType, trade_id: object, read: str | None
) -> None:
    detail = {"run_id": "r", "plan_id": "p", "trade_id": trade_id, "else": 1}
    event = captured_event({"id": "e", "detail-type": kind.value, "detail": detail, "source": "s"})
    assert event == CapturedEvent("e", kind, "r", "p", read, detail)
    assert event.is_terminal is (kind in (DetailType.ALL_TRADES_COMPLETED, DetailType.WORKFLOW_FAILED))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": None}, "id"),
        ({"id": "a b"}, "id"),
        ({"detail-type": "Else"}, "detail-type"),
        ({"detail-type": None}, "detail-type"),
        ({"detail": None}, "detail.run_id"),
        ({"detail": "{}"}, "detail.run_id"),
        ({"detail": {"run_id": "r"}}, "detail.plan_id"),
        ({"detail": {"run_id": 7, "plan_id": "p"}}, "detail.run_id"),
    ],
)
def test_an_event_that_does_not_say_whose_it_is_is_refused_by_what_it_lacks(changes: dict[str, object], named: str) -> None:
    whole = {"id": "e", "detail-type": "TradeExecuted", "detail": {"run_id": "r", "plan_id": "p"}}
    with pytest.raises(InvalidPayload, match=rf"{named}: expected"):
        captured_event(whole | changes)
