"""How a run ended, how long it took, what it counted and which events it sent, at the bounds."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.compare.checks.effects import run_effect_findings
from shadow.compare.checks.runs import counter_findings, duration_findings, end_findings, identity_findings, tally
from shadow.contracts.outcome import (
    Effect,
    RunCounters,
)
from shadow.contracts.vocabulary import EffectKind, Lane, Role, RunStatus, TradeStatus
from tests.factories.one_trade import CANDIDATE, CONTROL, POLICY, D, Said, effect, of, said
from tests.factories.two_runs import (
    BLOCKED_RUN,
    BUYS,
    CLOSED,
    FAILED,
    GUARDED,
    LIMITED,
    OPEN,
    UNSENT,
    at,
    beside,
    duties,
    ran,
    some,
    view,
)

STUCK: dict[str, Any] = {"status": RunStatus.UNFINISHED}


LIMITED_RUN: dict[str, Any] = {"status": RunStatus.BLOCKED_BY_EQUITY_LIMIT, "raw_status": "FAILED"}


MIXED: dict[str, dict[str, Any]] = {"AAPL": FAILED, "MSFT": CLOSED, "GOOG": LIMITED, "TSLA": {"status": TradeStatus.UNKNOWN}}


RIGHT = {"total": 4, "completed": 4, "succeeded": 0, "skipped": 1, "sell_total": 2, "sell_completed": 2, "buy_total": 2}


ALL, STOP = EffectKind.ALL_TRADES_COMPLETED, EffectKind.WORKFLOW_FAILED


def done(**changes: Any) -> Effect:
    counts = {"total_trades": 4, "succeeded_trades": 4, "failed_trades": 0, "skipped_trades": 0}
    return Effect(**({"kind": ALL, "emitted": False} | counts | changes))


def stop(step: str = "SELL_PHASE_GUARD") -> Effect:
    return Effect.model_validate({"kind": STOP, "emitted": False, "failure_step": step})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, of()),
        ({"run_id": "x"}, of("RUN_ID")),
        ({"run_id": "x", "lane": Lane.LEGACY}, of()),
        ({"plan_id": "x"}, of("RUN_ID")),
        ({"plan_id": "x", "lane": Lane.LEGACY}, of("RUN_ID")),
        ({"correlation_id": "x"}, of("CORRELATION_ID")),
        ({"correlation_id": None}, of()),
        ({"other_runs": ("x",)}, of("DUPLICATE_RUN")),
    ],
)
def test_a_run_bears_the_plans_ids(changes: dict[str, Any], told: Said) -> None:
    assert said(identity_findings(beside(ran(CANDIDATE, **changes)))) == told


@pytest.mark.parametrize(
    ("trades", "run", "told"),
    [
        ({}, {}, of()),
        ({}, {"status": RunStatus.FAILED, "raw_status": "FAILED"}, of("RUN_FAILED", "RUN_STATUS")),
        ({}, {"status": RunStatus.TIMED_OUT, "raw_status": "TIMED_OUT"}, of("RUN_FAILED", "RUN_STATUS")),
        ({}, {"status": RunStatus.ABORTED, "raw_status": "SUCCEEDED"}, of("RUN_FAILED", "ENDED_AS_SUCCESS", "RUN_STATUS")),
        ({}, {"raw_status": "FAILED"}, of("ENDED_AS_FAILURE")),
        ({}, {"raw_status": "odd"}, of()),
        ({}, {"redrive_count": 1}, of("REDRIVEN")),
        # stuck
        ({}, STUCK, of("RUN_STUCK", "RUN_STATUS")),
        ({}, STUCK | {"raw_status": "AGGREGATING"}, of("STUCK_AGGREGATING", "RUN_STATUS")),
        ({"AAPL": OPEN}, STUCK | {"raw_status": "AGGREGATING"}, of("RUN_STUCK", "RUN_STATUS")),
        ({"GOOG": OPEN}, STUCK | {"raw_status": "AGGREGATING"}, of("RUN_STUCK", "RUN_STATUS")),
        ({"GOOG": OPEN, "TSLA": UNSENT}, STUCK | {"raw_status": "SELL_PHASE"}, of("BUYS_NOT_ENQUEUED", "RUN_STATUS")),
        ({"GOOG": OPEN}, STUCK | {"raw_status": "SELL_PHASE"}, of("RUN_STUCK", "RUN_STATUS")),
        ({"AAPL": OPEN, "GOOG": OPEN, "TSLA": OPEN}, STUCK | {"raw_status": "SELL_PHASE"}, of("RUN_STUCK", "RUN_STATUS")),
        ({"GOOG": OPEN, "TSLA": UNSENT}, STUCK | {"raw_status": "BUY_PHASE"}, of("BUYS_NEVER_SENT", "RUN_STATUS")),
        ({"TSLA": UNSENT}, {}, of("BUYS_NEVER_SENT")),
        ({"AAPL": FAILED, "TSLA": UNSENT}, BLOCKED_RUN, of("RUN_STATUS")),
        # otherwise than its own trades allow
        ({"AAPL": FAILED}, {}, of("RUN_STATUS")),
        ({"TSLA": LIMITED}, {}, of("RUN_STATUS")),
        ({"TSLA": LIMITED}, LIMITED_RUN, of("RUN_STATUS")),
        ({}, BLOCKED_RUN, of("RUN_STATUS")),
        ({}, {"equity_limit": D(1249)}, of("RUN_STATUS")),
        ({}, {"equity_limit": D(1250)}, of()),
    ],
)
def test_a_run_ends_by_its_rules_and_as_its_trades_allow(trades: Any, run: dict[str, Any], told: Said) -> None:
    seen = beside(ran(CANDIDATE, trades, **run))
    assert [each for each in said(end_findings(seen, duties(seen))) if each[1] == "candidate"] == told


def test_a_buy_that_was_never_sent_is_named_and_counted() -> None:
    seen = beside(ran(CANDIDATE, {"TSLA": UNSENT}))
    [found] = [each for each in end_findings(seen, duties(seen)) if each.kind == "BUYS_NEVER_SENT"]
    assert found.explanation == "The candidate began its BUY phase and never sent 1 of its 4 trades: BUY TSLA."


@pytest.mark.parametrize(
    ("trades", "run", "right"),
    [
        ({}, {"status": RunStatus.FAILED}, "COMPLETED"),
        ({"AAPL": FAILED}, {}, "BLOCKED_BY_GUARD"),
        ({"TSLA": LIMITED}, {}, "BLOCKED_BY_EQUITY_LIMIT"),
    ],
)
def test_an_end_that_is_wrong_is_told_with_the_right_one(trades: Any, run: dict[str, Any], right: str) -> None:
    seen = beside(ran(CANDIDATE, trades, **run))
    (found,) = [each for each in end_findings(seen, duties(seen)) if each.kind == "RUN_STATUS"]
    status = run.get("status", RunStatus.COMPLETED).value
    assert (found.planned, found.control, found.candidate) == (right, "COMPLETED", status)


def test_two_runs_that_stopped_name_the_step_of_their_stop() -> None:
    def steps(run: dict[str, Any], one: str | None, two: str | None) -> list[Role | None]:
        block: dict[str, dict[str, Any]] = {"AAPL": FAILED, **dict.fromkeys(BUYS, GUARDED)}
        seen = view(ran(CONTROL, block, **run, failure_step=one), ran(CANDIDATE, block, **run, failure_step=two))
        return some(end_findings(seen, duties(seen)), "FAILURE_STEP")

    guard, breaker = "SELL_PHASE_GUARD", "EQUITY_CIRCUIT_BREAKER"
    failed = {"status": RunStatus.FAILED}
    assert steps(BLOCKED_RUN, guard, guard) == []
    assert steps(BLOCKED_RUN, guard, breaker) == [CANDIDATE]
    assert steps(BLOCKED_RUN, breaker, breaker) == [CONTROL, CANDIDATE]
    assert steps(BLOCKED_RUN, guard, None) == steps(BLOCKED_RUN, None, breaker) == []
    assert steps(failed, "A", "A") == []
    assert steps(failed, "A", "B") == [CONTROL, CANDIDATE]
    assert steps({}, "A", "B") == []


@pytest.mark.parametrize(
    ("run", "steps", "right", "words"),
    [
        (BLOCKED_RUN, ("A", "A"), "SELL_PHASE_GUARD", "Both runs stopped, and not at the step that such a stop has."),
        (LIMITED_RUN, ("A", "A"), "EQUITY_CIRCUIT_BREAKER", "Both runs stopped, and not at the step that such a stop has."),
        ({"status": RunStatus.FAILED}, ("A", "B"), None, "Both runs stopped, at different steps."),
    ],
)
def test_a_step_that_is_wrong_is_told_with_the_right_one_where_such_a_stop_has_one(
    run: dict[str, Any], steps: tuple[str, str], right: str | None, words: str
) -> None:
    block: dict[str, dict[str, Any]] = {"AAPL": FAILED, **dict.fromkeys(BUYS, GUARDED)}
    seen = view(*(ran(role, block, **run, failure_step=step) for role, step in zip(Role, steps, strict=True)))
    found = [each for each in end_findings(seen, duties(seen)) if each.kind == "FAILURE_STEP"]
    assert [(each.planned, each.control, each.candidate, each.explanation) for each in found] == [(right, *steps, words)] * 2


@pytest.mark.parametrize(
    ("control", "candidate", "told"),
    [
        (300, 600, of()),
        (100, 601, of("DURATION_RATIO")),
        (201, 603, of()),
        (200.9, 603, of("DURATION_RATIO")),
        (601, 100, of()),
        (1800, 1800, of()),
        (1800, 1801, of("DURATION_ABSOLUTE")),
        (100, None, of()),
        (None, 601, of()),
    ],
)
def test_a_run_takes_no_longer_than_is_reasonable(control: float | None, candidate: float | None, told: Said) -> None:
    one, two = (
        ran(role, completed_at=None if end is None else at(end)) for role, end in ((CONTROL, control), (CANDIDATE, candidate))
    )
    found = list(duration_findings(view(one, two), POLICY))
    assert said(found) == told
    for each in found:
        assert (each.control, each.candidate) == (f"{control:g} s", f"{candidate:g} s")
    failed = ran(CANDIDATE, completed_at=two.completed_at, status=RunStatus.FAILED)
    assert said(duration_findings(view(one, failed), POLICY)) == [each for each in told if each[0] == "DURATION_ABSOLUTE"]


@pytest.mark.parametrize(
    ("trades", "counters", "wrong"),
    [
        (MIXED, {**RIGHT, "failed": 2, "buy_completed": 2}, None),
        (MIXED, {"failed": 3}, None),
        (MIXED, {"failed": 1}, "failed 1 not 3"),
        (MIXED, {"failed": 4}, "failed 4 not 3"),
        ({"GOOG": GUARDED, "TSLA": OPEN}, {"completed": 2, "buy_completed": 0, "buy_total": 2, "sell_completed": 2}, None),
        ({"GOOG": GUARDED, "TSLA": UNSENT}, {"buy_completed": 1}, "buy_completed 1 not 0"),
        ({}, {"total": 5, "sell_total": 1}, "total 5 not 4, sell_total 1 not 2"),
        ({}, dict.fromkeys(RIGHT), None),
        ({}, {"sell_failed_amount": D(0), "sell_succeeded_amount": D(900), "cumulative_buy_succeeded": D(1250)}, None),
        ({}, {"sell_failed_amount": D("0.01")}, "sell_failed_amount 0.01 not 0"),
        ({"AAPL": FAILED}, {"sell_failed_amount": D(600), "sell_succeeded_amount": D(300)}, None),
        ({"AAPL": MIXED["TSLA"]}, {"sell_failed_amount": D(600)}, None),
        ({"AAPL": OPEN}, {"sell_failed_amount": D(600)}, "sell_failed_amount 600 not 0"),
        ({"GOOG": FAILED}, {"cumulative_buy_succeeded": D(1250)}, "cumulative_buy_succeeded 1250 not 250"),
    ],
)
def test_the_figures_that_a_lane_keeps_are_those_of_its_trades(trades: Any, counters: dict[str, Any], wrong: str | None) -> None:
    found = list(counter_findings(beside(ran(CANDIDATE, trades, counters=RunCounters(**counters))), POLICY))
    assert [each.candidate for each in found] == ([] if wrong is None else [wrong])
    assert tally(ran(CANDIDATE, MIXED)) == {"total": 4, "succeeded": 0, "failed": 2, "skipped": 1, "unknown": 1}


@pytest.mark.parametrize(
    ("trades", "run", "effects", "told"),
    [
        ({}, {}, [done()], of()),
        ({}, {}, [], of("COMPLETION_MISSING")),
        ({}, {}, [done(), done()], of("COMPLETION_TWICE")),
        ({}, {}, [done(total_trades=5)], of("COMPLETION_DIFFERENT")),
        ({}, {}, [done(skipped_trades=None)], of("COMPLETION_DIFFERENT")),
        ({"GOOG": FAILED, "TSLA": MIXED["TSLA"]}, {}, [done(succeeded_trades=2, failed_trades=1)], of()),
        ({"GOOG": FAILED, "TSLA": MIXED["TSLA"]}, {}, [done(succeeded_trades=2, failed_trades=2)], of()),
        ({"GOOG": FAILED, "TSLA": MIXED["TSLA"]}, {}, [done(succeeded_trades=2, failed_trades=0)], of("COMPLETION_DIFFERENT")),
        ({}, {}, [done(plan_id="x")], of("COMPLETION_DIFFERENT")),
        ({}, {}, [done(), stop()], of("WORKFLOW_FAILED_EXTRA")),
        ({}, BLOCKED_RUN, [stop()], of()),
        ({}, BLOCKED_RUN, [], of("WORKFLOW_FAILED_MISSING")),
        ({}, BLOCKED_RUN, [stop("EQUITY_CIRCUIT_BREAKER")], of("WORKFLOW_FAILED_DIFFERENT")),
        ({}, LIMITED_RUN, [stop("EQUITY_CIRCUIT_BREAKER")], of()),
        ({}, BLOCKED_RUN, [stop(), done()], of("COMPLETION_EXTRA")),
        ({}, {"status": RunStatus.FAILED}, [], of()),
        ({}, {"effect_kinds": (STOP,)}, [], of()),
        ({}, {}, [done(), effect(trade_id="x", symbol=None, emitted=False)], of("EFFECT_STRAY")),
        ({}, {}, [done(emitted=True)], of("EFFECT_EMITTED")),
        ({}, {"lane": Lane.LEGACY}, [done(emitted=True)], of()),
        ({}, {"notifications": 0}, [done()], of("NOTIFICATION_MISSING")),
        ({}, {"notifications": 1}, [done()], of()),
        ({}, {"notifications": 2}, [done()], of("NOTIFICATION_TWICE")),
        ({}, STUCK | {"notifications": 0}, [], of()),
    ],
)
def test_the_events_and_mails_of_a_run_say_how_it_ended(trades: Any, run: Any, effects: list[Effect], told: Said) -> None:
    control = ran(CONTROL, effects=(done(emitted=True),))
    candidate = ran(CANDIDATE, trades, **({"effects": tuple(effects)} | run))
    assert said(run_effect_findings(view(control, candidate), POLICY)) == told
    empty = candidate.model_copy(update={"trades": (), "effects": ()})
    assert "COMPLETION_MISSING" not in [kind for kind, _ in said(run_effect_findings(view(None, empty), POLICY))]
    unwatched = ran(CANDIDATE, trades, **run)
    assert [each for each in said(run_effect_findings(view(None, unwatched), POLICY)) if "NOTIFICATION" not in each[0]] == []
