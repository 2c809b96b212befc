"""What fuzzing found in the readers of the lanes' records, kept: each of these once ended the comparator's look at the pair."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from shadow.aws.table import from_item, plain_item
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.identity import run_id_of
from shadow.contracts.outcome import RunOutcome
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.workflow.history import read_history
from shadow.lanes.workflow.reader import CandidateRecords, read_candidate
from shadow.settlement.judging import Case, judge_by
from tests.factories.control_items import ControlRun
from tests.factories.histories import Scenario, play
from tests.factories.pairs import pair_of
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="1000")
RUN_ID = run_id_of(PLAN.plan_id)
ABSENT = object()
ITEMS: list[Any] = [from_item(item) for item in ControlRun(PLAN).items()]  # type: ignore[arg-type] # raw items


def test_a_list_of_trades_that_holds_none_is_a_violation() -> None:
    outcome = read_control(RUN_ID, PLAN.plan_id, [ITEMS[0] | {"trade_ids": [[], {}, None]}, *ITEMS[1:]], None)
    assert outcome is not None
    assert any(violation.startswith("run.trade_ids.0: expected ") for violation in outcome.violations)


def test_a_trade_whose_key_is_no_id_is_a_gap() -> None:
    outcome = read_control(RUN_ID, PLAN.plan_id, [ITEMS[0], ITEMS[1] | {"SK": "TRADE#\u202e x"}], None)
    assert outcome is not None
    assert any("symbol, action or status" in gap.reason for gap in outcome.gaps)


def test_a_number_attribute_that_is_none_is_left_as_it_lies() -> None:
    assert plain_item({"total_trades": {"N": "9" * 40}, "status": {"S": "FAILED"}}) == {
        "total_trades": {"N": "9" * 40},
        "status": "FAILED",
    }


@pytest.mark.parametrize("event", [[], None, "event", {"id": 1, "type": "TaskFailed", "previousEventId": []}])
def test_an_event_of_any_kind_is_read(event: Any) -> None:
    assert read_history([event]).events == (1 if isinstance(event, dict) else 0)


def test_a_text_that_was_cut_in_the_middle_of_a_character_can_be_judged_and_stored() -> None:
    execution = play(Scenario(PLAN, fail_in="AggregateResults"))
    history = [*execution.history]
    history[-1] = history[-1] | {"executionFailedEventDetails": {"error": "X", "cause": "it said \ud83d"}}
    records = CandidateRecords(execution.describe | {"cause": "\ud83d"}, history, ())
    candidate = read_candidate(RUN_ID, PLAN.plan_id, records, PLAN)
    damaged = [item | ({"execution_data": '{"order_type": "\\ud83d"}'} if "execution_data" in item else {}) for item in ITEMS]
    control = read_control(RUN_ID, PLAN.plan_id, damaged, None)

    judgement = judge_by(default_policy())(Case(pair_of(PLAN), PLAN, control, candidate, ()))

    assert judgement.comparison.verdict is Verdict.INCOMPLETE
    assert "it said ?" in judgement.body.decode()
    assert any("execution_data.order_type: expected a text" in gap for gap in judgement.comparison.gaps)


def candidate_of(change: Callable[[dict[str, Any]], object], state_items: tuple[Any, ...] = ()) -> RunOutcome:
    """Read a whole run in which every result of MSFT, wherever it stands, was changed."""

    def walked(value: Any) -> Any:
        if isinstance(value, dict):
            if "tradeId" in value and "status" in value and value.get("symbol") == "MSFT":
                change(value)
            return {name: walked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [walked(inner) for inner in value]
        return json.dumps(walked(json.loads(value))) if isinstance(value, str) and value[:1] in ("{", "[") else value

    execution = play(Scenario(PLAN))
    records = CandidateRecords(execution.describe, walked(execution.history), state_items)
    return read_candidate(RUN_ID, PLAN.plan_id, records, PLAN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "completed"),
        ("status", None),
        ("status", ABSENT),
        ("symbol", "msft"),
        ("symbol", None),
        ("action", "buy"),
        ("tradeId", "a b"),
        ("tradeId", ABSENT),
    ],
)
def test_v10_of_a_trade_whose_result_cannot_be_read_nothing_is_said(name: str, value: object) -> None:
    outcome = candidate_of(lambda result: result.pop(name) if value is ABSENT else result.update({name: value}))

    assert [trade.symbol for trade in outcome.trades] == ["AAPL"]
    assert [gap.reason for gap in outcome.gaps] == ["its result cannot be read"]
    assert any(f".{name}: expected " in violation for violation in outcome.violations)


def test_v17_an_output_with_a_key_that_stands_twice_is_a_violation_and_no_trade_that_was_never_sent() -> None:
    def doubled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: doubled(inner) for name, inner in value.items()}
        return value.replace('{"', '{"x":1,"x":2,"', 1) if isinstance(value, str) and '"tradeId"' in value else value

    execution = play(Scenario(PLAN))
    history = [event if event["id"] == 1 else doubled(event) for event in execution.history]
    stored = [{"SK": f"RESULT#{trade_id}", "result": "[]"} for trade_id in sorted({t.trade_id for t in candidate_of(len).trades})]
    for items in ((), stored):
        outcome = read_candidate(RUN_ID, PLAN.plan_id, CandidateRecords(execution.describe, history, items), PLAN)
        assert outcome.trades == ()
        assert {gap.reason for gap in outcome.gaps} == {"its result cannot be read"}
        assert any("output of ExecuteSellPhase: expected a JSON object" in violation for violation in outcome.violations)


def test_v10_a_symbol_in_small_letters_is_no_symbol() -> None:
    items = [item | {"symbol": str(item["symbol"]).lower()} if "symbol" in item else item for item in ITEMS]
    outcome = read_control(RUN_ID, PLAN.plan_id, items, None)
    assert outcome is not None
    assert outcome.trades == ()
    assert any("symbol: expected a symbol in capitals, was 'msft'" in violation for violation in outcome.violations)
