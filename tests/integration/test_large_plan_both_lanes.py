"""Large plans through both lanes, whole, and what the comparator makes of them: the workflow's Distributed Maps run from the
real definition, with a history for the run and one for every child, against the reference lane.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from shadow.aws.candidate_state import DynamoCandidateState
from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.control_records import MAX_EVENTS
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import ExecutionMode, RunStatus, Side, TradeStatus
from shadow.lanes.workflow.history import read_history
from tests.factories.aa_lanes import AaLanes, Situation, aa_lanes
from tests.factories.aa_situations import pairs
from tests.factories.small_states import TaskError
from tests.fakes.plans import plan_of
from tests.simulation.world import without_logs

CONSTANT = 11
PAYLOAD_BYTES, ITEM_BYTES, EVIDENCE_BYTES = 2_048, 4_096, 1_024
"""The longest payload of a state, the largest item of the state table; the evidence of a trade."""
COMPARISON_BYTES = 5_120
"""A trade in a comparison: both lanes' records of it, with its orders and effects."""


@pytest.fixture
def lanes() -> Iterator[AaLanes]:
    with without_logs(logging.INFO), aa_lanes() as built:
        yield built


def situation(sells: int, buys: int) -> Situation:
    """As many trades of ten dollars each as are asked for, all of which can be filled."""
    selling, buying = [f"S{number:04}" for number in range(sells)], [f"B{number:04}" for number in range(buys)]
    plan = plan_of(name=f"large-{sells}-{buys}", **dict.fromkeys(selling, "-10"), **dict.fromkeys(buying, "10"))
    closes = dict.fromkeys([*selling, *buying], Decimal(100))
    worth = Decimal(100) * sells
    return Situation(
        plan, date(2024, 3, 15), closes, dict.fromkeys(selling, Decimal(1)), max(Decimal(100_000) - worth, 2 * worth)
    )


@pytest.mark.parametrize(
    ("sells", "buys"), [pytest.param(60, 90, id="150"), pytest.param(2_000, 3_000, id="5000", marks=pytest.mark.long)]
)
def test_a_large_plan_matches_in_small_steps_and_at_its_price(lanes: AaLanes, sells: int, buys: int) -> None:
    comparison = lanes.compare(situation(sells, buys))

    assert (comparison.verdict, comparison.differences, comparison.gaps) == (Verdict.MATCHED, (), ())
    for lane in (comparison.control, comparison.candidate):
        assert lane is not None
        assert Counter((trade.action, trade.status) for trade in lane.trades) == {
            (Side.SELL, TradeStatus.COMPLETED): sells,
            (Side.BUY, TradeStatus.COMPLETED): buys,
        }
    _check_cost(lanes, comparison.candidate, sells, buys)
    _check_sizes(lanes, sells + buys)


def _check_cost(lanes: AaLanes, candidate: RunOutcome | None, sells: int, buys: int) -> None:
    """Hold what the histories say of the cost against what a trade may cost, and what the comparator says of it against both."""
    assert candidate is not None
    children = lanes.execution.children
    assert Counter((child.action, child.transitions) for child in children) == {("SELL", 1): sells, ("BUY", 3): buys}
    run = read_history(lanes.execution.events).transitions
    assert run <= CONSTANT
    assert candidate.state_transitions == run + sum(child.transitions for child in children)


def _check_sizes(lanes: AaLanes, trades: int) -> None:
    execution, objects = lanes.execution, lanes.world.objects
    assert execution.largest < PAYLOAD_BYTES
    assert lanes.tables.largest < ITEM_BYTES
    assert max(len(execution.events), *(child.events for child in execution.children)) < 100 < MAX_EVENTS
    evidence = sum(len(body) for key, body in objects.items() if key.startswith("evidence/"))
    comparison = sum(len(body) for key, body in objects.items() if key.startswith("comparisons/"))
    assert evidence < trades * EVIDENCE_BYTES
    assert comparison < trades * COMPARISON_BYTES


@pytest.mark.parametrize("step", [pytest.param(3, id="every third"), pytest.param(1, id="all", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("mode", list(ExecutionMode)[:2])
def test_both_paths_give_the_same_outcome_on_the_same_plan(
    monkeypatch: pytest.MonkeyPatch, mode: ExecutionMode, step: int
) -> None:
    told: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    ended: Counter[str] = Counter()
    with aa_lanes(mode) as lanes:
        for pair in [pair for pair in pairs(60, seed=11)[::step] if pair.mode is mode]:
            seen = []
            for limit in ("100", "0"):
                monkeypatch.setenv("INLINE_TRADE_LIMIT", limit)
                _configure_anew(lanes)
                comparison = lanes.compare(pair.situation)
                assert comparison.verdict is Verdict.MATCHED, pair.name
                assert bool(lanes.execution.map_runs) is (limit == "0" and bool(pair.situation.plan.tradable_items)), pair.name
                seen.append(_outcome(comparison))
            ended[seen[0]["status"]] += 1
            if seen[0] != seen[1]:
                told.append((pair.name, *seen))  # type: ignore[arg-type]

    assert told == []
    assert len(ended) >= 2


def _configure_anew(lanes: AaLanes) -> None:
    module = lanes.candidate.modules["prepare_trades"]
    module._environment.cache_clear()
    module._parts.cache_clear()


def _outcome(comparison: Comparison) -> dict[str, Any]:
    """Everything that the comparator knows of the candidate, but when it was."""
    assert comparison.candidate is not None
    return comparison.candidate.model_dump(
        mode="json",
        exclude={
            "started_at": True,
            "completed_at": True,
            "buy_phase_started_at": True,
            "effects": {"__all__": {"at": True, "detail": True}},
            "trades": {
                "__all__": {
                    "started_at": True,
                    "completed_at": True,
                    "orders": {"__all__": True},
                    "intent": {"quote_at": True, "market_at": True},
                }
            },
        },
    )


def test_a_child_that_breaks_before_its_order_is_a_failed_trade_and_the_others_go_on(lanes: AaLanes) -> None:
    lanes.fails = lambda _, event: _broken() if event.get("symbol") == "B0003" else None

    candidate = _run(lanes)

    assert Counter(child.status for child in lanes.execution.children) == {"SUCCEEDED": 19, "FAILED": 1}
    assert _status(candidate) == {"B0003": TradeStatus.FAILED}
    assert candidate.status is RunStatus.COMPLETED


def test_a_child_whose_answer_is_lost_after_its_order_is_told_by_its_record(lanes: AaLanes) -> None:
    def lost(function: str, event: Any) -> TaskError | None:
        if not function.endswith("execute_trade_sfn") or event.get("symbol") != "S0003":
            return None
        lanes.fails = lambda *_: None
        lanes._invoke(function, event)
        return _broken()

    lanes.fails = lost

    candidate = _run(lanes)

    assert Counter(child.status for child in lanes.execution.children) == {"SUCCEEDED": 19, "FAILED": 1}
    assert (_status(candidate), candidate.status) == ({}, RunStatus.COMPLETED)


def test_a_child_that_may_have_ordered_and_recorded_nothing_is_unknown_and_fails_the_run(
    lanes: AaLanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = DynamoCandidateState.keep_result

    def keeps_all_but_one(state: DynamoCandidateState, result: Any, at: Any) -> None:
        if result.symbol == "B0003":
            raise RuntimeError("planted")
        keep(state, result, at)

    monkeypatch.setattr(DynamoCandidateState, "keep_result", keeps_all_but_one)

    candidate = _run(lanes)

    assert _status(candidate) == {"B0003": TradeStatus.UNKNOWN}
    assert (candidate.status, candidate.terminal_state) == (RunStatus.FAILED, "WorkflowFailed")


def _broken() -> TaskError:
    """What no Catch of States.ALL catches."""
    return TaskError("States.DataLimitExceeded", "planted")


def _run(lanes: AaLanes) -> RunOutcome:
    """Run a plan of twice ten trades, which is a large one here."""
    os.environ["INLINE_TRADE_LIMIT"] = "15"
    _configure_anew(lanes)
    comparison = lanes.compare(situation(10, 10))
    assert comparison.candidate is not None
    assert len(comparison.candidate.trades) == 20
    return comparison.candidate


def _status(outcome: RunOutcome) -> dict[str, TradeStatus]:
    return {trade.symbol: trade.status for trade in outcome.trades if trade.status is not TradeStatus.COMPLETED}
