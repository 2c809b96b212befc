"""Records of either lane, damaged in any way, give an outcome that says what is wrong with them, and never a pair that matches
without what it needs.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.aws.table import from_item, plain_item
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.identity import run_id_of
from shadow.contracts.model import canonical
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.workflow.history import read_history
from shadow.lanes.workflow.reader import CandidateRecords, read_candidate
from shadow.settlement.documents import captured_effects, control_outcome
from shadow.settlement.judging import Case, judge_by
from tests.factories.control_items import ControlRun
from tests.factories.histories import DIALECTS, Scenario, play
from tests.factories.pairs import pair_of
from tests.fakes.plans import plan_of
from tests.fuzz.mutations import damaged, ended, json_values

PLAN = plan_of(AAPL="-600", MSFT="1000")
RUN_ID = run_id_of(PLAN.plan_id)
PAIR = pair_of(PLAN)
ITEMS: list[Any] = [from_item(item) for item in ControlRun(PLAN).items()]  # type: ignore[arg-type] # raw items
EVENTS: list[Any] = [from_item(item) for item in ControlRun(PLAN).events()]  # type: ignore[arg-type] # raw items
RAW: list[Any] = ControlRun(PLAN).items()
judge = judge_by(default_policy())


@cache
def execution(dialect: str) -> tuple[Any, list[Any]]:
    """Give a finished execution's own words, as JSON values."""
    played = play(Scenario(PLAN, dialect=dialect))
    return json.loads(canonical(played.describe)), json.loads(canonical(played.history))


def checked(outcome: RunOutcome | None) -> None:
    """Check that an outcome can be judged and stored."""
    if outcome is None:
        return
    other = read_control(RUN_ID, PLAN.plan_id, ITEMS, captured_effects(RAW_EVENTS, []))
    both = (other, outcome) if outcome.role.value == "candidate" else (outcome, None)
    judgement = judge(Case(PAIR, PLAN, *both, evidence=()))
    assert judgement.body.decode()
    if outcome.gaps:
        assert judgement.comparison.verdict is not Verdict.MATCHED


RAW_EVENTS: list[Any] = ControlRun(PLAN).events()


@settings(max_examples=80)
@given(damaged(ITEMS))
def test_the_controls_items_are_read_whatever_they_hold(items: Any) -> None:
    if not isinstance(items, list):
        return
    given_items = [item for item in items if isinstance(item, Mapping)]
    read = ended(lambda: read_control(RUN_ID, PLAN.plan_id, copy.deepcopy(given_items), None))
    checked(read.answer)


@settings(max_examples=60)
@given(damaged(RAW), damaged(RAW_EVENTS))
def test_raw_items_and_events_are_read_whatever_they_hold(items: Any, events: Any) -> None:
    records = [("item", item) for item in _mappings(items)]
    effects = [("watched", {"events": True}), *(("event", event) for event in _mappings(events))]
    read = ended(lambda: control_outcome(PAIR, records, effects))
    checked(read.answer)


@settings(max_examples=80)
@given(st.sampled_from(DIALECTS).flatmap(lambda dialect: st.tuples(*map(damaged, execution(dialect)))))
def test_an_execution_is_read_whatever_it_says(case: tuple[Any, Any]) -> None:
    describe, history = case
    records = CandidateRecords(
        describe=describe if isinstance(describe, Mapping) else {}, history=_mappings(history), state_items=()
    )
    read = ended(lambda: read_candidate(RUN_ID, PLAN.plan_id, records, PLAN))
    checked(read.answer)


@settings(max_examples=50)
@given(damaged(execution("aws")[1]) | st.lists(json_values))
def test_a_history_is_read_without_an_error_of_any_kind(history: Any) -> None:
    facts = read_history(history if isinstance(history, list) else [])
    assert facts.transitions >= 0


TRADE = str(ITEMS[1]["trade_id"])
STATE: list[Any] = [
    {"PK": "RUN#x", "SK": f"INTENT#{TRADE}#0000", "trade_id": TRADE, "status": "filled", "asked_quantity": 3, "bid": 1},
    {"PK": "RUN#x", "SK": f"RESULT#{TRADE}", "result": json.dumps({"tradeId": TRADE, "symbol": "AAPL", "status": "COMPLETED"})},
    {"PK": "RUN#x", "SK": f"EFFECT#TradeExecuted#{TRADE}", "kind": "TradeExecuted", "detail": "{}", "emitted": False},
]


@settings(max_examples=60)
@given(damaged(STATE), st.lists(damaged({"mapRunArn": "arn", "children": {"total": 3}}) | st.just(Gap(what="x", reason="y"))))
def test_the_candidates_state_is_read_whatever_it_holds(items: Any, map_runs: list[Any]) -> None:
    describe, history = execution("aws")
    runs = [run for run in map_runs if isinstance(run, Mapping | Gap)]
    records = CandidateRecords(describe=describe, history=history, state_items=_mappings(items), map_runs=runs)
    read = ended(lambda: read_candidate(RUN_ID, PLAN.plan_id, records, PLAN))
    checked(read.answer)


ORDER = {
    "client_order_id": TRADE,
    "order_id": "o",
    "symbol": "AAPL",
    "side": "SELL",
    "order_type": "market",
    "quantity": "12",
    "limit_price": None,
    "status": "filled",
    "filled_quantity": "12",
    "average_price": "50",
    "submitted_at": (PLAN.timestamp + timedelta(seconds=2)).isoformat(),
}
ACCOUNT = {
    "since": PLAN.timestamp.isoformat(),
    "at": (PLAN.timestamp + timedelta(minutes=9)).isoformat(),
    "is_steady": True,
    "orders": [ORDER, {**ORDER, "order_id": "p", "client_order_id": "by-hand", "symbol": "MSFT", "status": "open"}],
    "odd": [{**ORDER, "order_id": "q", "quantity": None, "fault": "order.qty: expected a number, was absent"}],
    "cash": "1000",
    "positions": [{"symbol": "AAPL", "quantity": "3", "price": "50"}],
    "looked_up": [{"client_order_id": "n", "is_known": False}],
    "activities": [
        {"kind": "FEE", "amount": "-0.01"},
        {"kind": "FILL", "order_id": "z", "side": "BUY", "quantity": "1", "price": "2"},
    ],
    "neighbours": {"symbols": ["MSFT"], "trade_ids": [TRADE]},
}
ANSWERS = {"control": ACCOUNT}


@settings(max_examples=50)
@given(damaged(ANSWERS), damaged(ANSWERS))
def test_the_brokers_word_is_read_whatever_it_says(document: Any, opening: Any) -> None:
    control = read_control(RUN_ID, PLAN.plan_id, ITEMS, None)
    read = ended(lambda: broker_corrected(control, document, opening))
    checked(read.answer)


@settings(max_examples=50)
@given(damaged(RAW[0]) | st.dictionaries(st.text(max_size=3), json_values, max_size=3))
def test_an_attribute_that_is_none_is_left_as_it_lies(item: Any) -> None:
    if isinstance(item, Mapping):
        assert set(plain_item(item)) == set(item)


def _mappings(values: Any) -> Iterable[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []
