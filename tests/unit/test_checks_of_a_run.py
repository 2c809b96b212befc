"""Each check of a run as a whole by itself, at its bounds: what it tells, of which lane, and where it is silent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.case import Finding, PairCase, PairView
from shadow.compare.checks.duties import Duties, is_equity_blocked, was_tried
from shadow.compare.checks.effects import run_effect_findings
from shadow.compare.checks.orders import account_findings
from shadow.compare.checks.runs import counter_findings, duration_findings, end_findings, identity_findings, tally
from shadow.compare.checks.safety import equity_findings, guard_findings, market_findings, phase_findings
from shadow.compare.completeness import gaps_of
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import (
    AccountOrder,
    AccountRecord,
    Booking,
    Books,
    Effect,
    EquityDecision,
    Gap,
    GuardDecision,
    HeldPosition,
    OrderRecord,
    Owner,
    RunCounters,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.vocabulary import EffectKind, Lane, Reason, Role, RunStatus, Side, TradeStatus
from tests.factories.one_trade import AT, CANDIDATE, CONTROL, POLICY, Said, effect, said
from tests.fakes.plans import AT as PUBLISHED
from tests.fakes.plans import plan_of

D = Decimal
PLAN = plan_of(AAPL="-600", MSFT="-300", GOOG="1000", TSLA="250")
RUN_ID = run_id_of(PLAN.plan_id)
SELLS, BUYS = ("AAPL", "MSFT"), ("GOOG", "TSLA")
FAILED: dict[str, Any] = {"status": TradeStatus.FAILED}
UNSENT: dict[str, Any] = {"status": TradeStatus.NOT_SENT}
OPEN: dict[str, Any] = {"status": TradeStatus.UNFINISHED}
GUARDED: dict[str, Any] = {"status": TradeStatus.BLOCKED, "reason": Reason.SELL_GUARD}
LIMITED: dict[str, Any] = {"status": TradeStatus.BLOCKED, "reason": Reason.EQUITY_LIMIT}
CLOSED: dict[str, Any] = {"status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED}
STUCK: dict[str, Any] = {"status": RunStatus.UNFINISHED}
BLOCKED_RUN: dict[str, Any] = {"status": RunStatus.BLOCKED_BY_GUARD, "raw_status": "FAILED"}
LIMITED_RUN: dict[str, Any] = {"status": RunStatus.BLOCKED_BY_EQUITY_LIMIT, "raw_status": "FAILED"}


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def ran(role: Role, trades: dict[str, dict[str, Any]] | None = None, **changes: Any) -> RunOutcome:
    """A lane's run of the plan, all of it executed, its SELLs in the first ten seconds and then its BUYs; `trades` by symbol."""
    made = []
    for item in PLAN.tradable_items:
        side = Side(item.action.value)
        begun = 0 if side is Side.SELL else 20
        own: dict[str, Any] = {
            "trade_id": trade_id_of(RUN_ID, item.symbol, side),
            "symbol": item.symbol,
            "action": side,
            "status": TradeStatus.COMPLETED,
            "planned_amount": item.trade_amount,
            "started_at": at(begun),
            "completed_at": at(begun + 10),
        }
        made.append(TradeOutcome(**(own | (trades or {}).get(item.symbol, {}))))
    run: dict[str, Any] = {
        "role": role,
        "lane": Lane.WORKFLOW if role is CANDIDATE else Lane.LEGACY,
        "run_id": RUN_ID,
        "plan_id": PLAN.plan_id,
        "correlation_id": PLAN.correlation_id,
        "status": RunStatus.COMPLETED,
        "raw_status": "COMPLETED",
        "trades": tuple(made),
        "started_at": at(0),
        "completed_at": at(60),
    }
    return RunOutcome(**(run | changes))


def view(control: RunOutcome | None = None, candidate: RunOutcome | None = None) -> PairView:
    case = PairCase(PLAN, PUBLISHED.date(), PUBLISHED, control, candidate, "0")
    return PairView(case)


def beside(candidate: RunOutcome) -> PairView:
    """A candidate's run beside one of the control in which nothing is wrong."""
    return view(ran(CONTROL), candidate)


def duties(seen: PairView) -> Duties:
    return Duties(seen, POLICY)


def of(*kinds: str) -> Said:
    return [(kind, "candidate") for kind in kinds]


def some(found: Iterable[Finding], *kinds: str) -> list[Role | None]:
    return [each.role for each in found if each.kind in kinds]


# Identity, end, duration and counters


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


MIXED: dict[str, dict[str, Any]] = {"AAPL": FAILED, "MSFT": CLOSED, "GOOG": LIMITED, "TSLA": {"status": TradeStatus.UNKNOWN}}
RIGHT = {"total": 4, "completed": 4, "succeeded": 0, "skipped": 1, "sell_total": 2, "sell_completed": 2, "buy_total": 2}


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


# The guard


def answer(*, allowed: bool, failed: str | None = None, **changes: Any) -> GuardDecision:
    amounts: dict[str, Any] = {"sell_failed_amount": None if failed is None else D(failed), "threshold": D(500)}
    return GuardDecision(**({"buy_phase_allowed": allowed} | amounts | changes))


def allowing(failed: str | None = None, **changes: Any) -> GuardDecision:
    return answer(allowed=True, failed=failed, **changes)


def blocking(failed: str | None = None, **changes: Any) -> GuardDecision:
    return answer(allowed=False, failed=failed, **changes)


BLOCKING: dict[str, dict[str, Any]] = {"AAPL": FAILED, **dict.fromkeys(BUYS, GUARDED)}


@pytest.mark.parametrize(
    ("trades", "kept", "told"),
    [
        ({}, allowing("0"), of()),
        ({}, None, of()),
        (BLOCKING, blocking("600"), of("GUARD_DIFFERS")),
        (BLOCKING, None, of("GUARD_DIFFERS")),
        ({"MSFT": FAILED}, allowing("300"), of()),
        # a wrong answer
        ({}, blocking("0"), of("GUARD_IGNORED", "GUARD_DECISION")),
        (dict.fromkeys(BUYS, GUARDED), blocking("0"), of("GUARD_DECISION")),
        ({"AAPL": FAILED}, allowing("600"), of("GUARD_DECISION")),
        ({"AAPL": FAILED, **dict.fromkeys(BUYS, GUARDED)}, allowing("600"), of("GUARD_DECISION")),
        # wrong figures
        ({"MSFT": FAILED}, allowing("0"), of("GUARD_ZERO_SUM", "GUARD_AMOUNTS")),
        ({"MSFT": FAILED}, allowing("299"), of("GUARD_AMOUNTS")),
        ({"MSFT": FAILED}, allowing(), of()),
        ({"MSFT": FAILED}, allowing("300", sell_succeeded_amount=D(600)), of()),
        ({"MSFT": FAILED}, allowing("300", sell_succeeded_amount=D(900)), of("GUARD_AMOUNTS")),
        ({"MSFT": CLOSED}, allowing("0", sell_succeeded_amount=D(600)), of()),
        ({"MSFT": CLOSED}, allowing("0", sell_succeeded_amount=D(900)), of()),
        ({}, allowing("0", threshold=D(501)), of("GUARD_THRESHOLD")),
        ({}, allowing("0", threshold=None), of()),
        # behind its back
        ({"AAPL": FAILED}, None, of("GUARD_BYPASSED")),
        ({"MSFT": FAILED}, None, of()),
        ({"AAPL": OPEN}, None, of()),
        ({"AAPL": {"status": TradeStatus.UNKNOWN}}, None, of("GUARD_BYPASSED")),
    ],
)
def test_the_guard_is_held_against_the_lanes_own_sells(trades: Any, kept: GuardDecision | None, told: Said) -> None:
    seen = beside(ran(CANDIDATE, trades, guard=kept))
    assert said(guard_findings(seen, duties(seen))) == told


def test_a_guard_that_blocks_at_exactly_its_threshold_is_on_the_edge() -> None:
    def edge(kept: GuardDecision, failed: str = "-300") -> list[Role | None]:
        trades = {"MSFT": FAILED | {"planned_amount": D(failed)}, **dict.fromkeys(BUYS, GUARDED)}
        seen = beside(ran(CANDIDATE, trades, guard=kept))
        return some(guard_findings(seen, duties(seen)), "GUARD_BOUNDARY")

    assert edge(blocking("300", threshold=D(300))) == [CANDIDATE]
    assert edge(blocking(threshold=D(300))) == [CANDIDATE]
    assert edge(blocking("301", threshold=D(300))) == []
    assert edge(blocking("300", threshold=D(299))) == []
    assert edge(allowing("300", threshold=D(300))) == []
    assert edge(blocking("300", threshold=None)) == []


def test_a_guard_without_sells_decides_nothing_and_both_that_block_do_not_differ() -> None:
    both = view(ran(CONTROL, BLOCKING, guard=blocking("600")), ran(CANDIDATE, BLOCKING, guard=blocking("600")))
    assert said(guard_findings(both, duties(both))) == []
    alone = view(None, ran(CANDIDATE, BLOCKING, guard=blocking("600")))
    assert said(guard_findings(alone, duties(alone))) == []
    buys = tuple(trade for trade in ran(CANDIDATE).trades if trade.action is Side.BUY)
    without = beside(ran(CANDIDATE, trades=None).model_copy(update={"trades": buys, "guard": blocking("7")}))
    assert said(guard_findings(without, duties(without))) == []
    stopped = beside(ran(CANDIDATE, **BLOCKED_RUN))
    assert said(guard_findings(stopped, duties(stopped))) == of("GUARD_IGNORED", "GUARD_DECISION")


def test_what_is_told_of_a_guard_has_both_answers_and_its_buys_at_stake() -> None:
    seen = view(ran(CONTROL, guard=allowing("0")), ran(CANDIDATE, {"AAPL": FAILED}, guard=allowing()))
    (found,) = list(guard_findings(seen, duties(seen)))
    assert (found.planned, found.control, found.candidate) == (
        "control allow, candidate block",
        "allowed at 0 USD failed",
        "allowed",
    )
    assert [pair.symbol for pair in found.at_stake] == list(BUYS)
    blocked = beside(ran(CANDIDATE, dict.fromkeys(BUYS, GUARDED), guard=blocking("0")))
    (found,) = list(guard_findings(blocked, duties(blocked)))
    assert (found.planned, found.control, found.candidate) == ("control allow, candidate allow", None, "blocked at 0 USD failed")
    assert found.at_stake == ()
    bypassed = beside(ran(CANDIDATE, {"AAPL": FAILED, "TSLA": CLOSED}))
    (found,) = list(guard_findings(bypassed, duties(bypassed)))
    assert (found.control, found.candidate, [pair.symbol for pair in found.at_stake]) == (None, "1 BUY", ["GOOG"])


# The breaker


def asked(cumulative: str | None = None, limit: str | None = None, *, allowed: bool = True) -> dict[str, Any]:
    read = [None if text is None else D(text) for text in (cumulative, limit)]
    return {"equity": EquityDecision(allowed=allowed, cumulative=read[0], limit=read[1])}


@pytest.mark.parametrize(
    ("trades", "run", "told"),
    [
        ({}, {"equity_limit": D(5000)}, of()),
        ({"GOOG": asked(limit="5050")}, {"equity_limit": D(5000)}, of()),
        ({"GOOG": asked(limit="5051")}, {"equity_limit": D(5000)}, of("EQUITY_LIMIT")),
        ({"GOOG": asked(limit="7")}, {"equity_limit": None}, of()),
        # not counted
        ({"GOOG": asked(cumulative="1000")}, {"equity_limit": D(5000)}, of()),
        ({"GOOG": asked(cumulative="999.99")}, {"equity_limit": D(5000)}, of("EQUITY_NOT_COUNTED")),
        ({"GOOG": asked(cumulative="999.99")}, {"equity_limit": D(0)}, of()),
        ({"GOOG": asked(cumulative="999.99")}, {"equity_limit": D(5000), "lane": Lane.LEGACY}, of()),
        ({"GOOG": LIMITED | asked("0", allowed=False)}, {"equity_limit": D(250)}, of()),
        # counted what is not its own
        ({"TSLA": asked(cumulative="1250")}, {"equity_limit": D(5000)}, of()),
        ({"TSLA": asked(cumulative="1251")}, {"equity_limit": D(5000)}, of("EQUITY_FOREIGN_COUNT")),
        ({"TSLA": asked(cumulative="1251")}, {"equity_limit": D(0)}, of()),
        ({"TSLA": asked(cumulative="1251")}, {"equity_limit": D(5000), "lane": Lane.LEGACY}, of()),
        ({"GOOG": asked(cumulative="1250") | {"completed_at": at(19)}}, {"equity_limit": D(5000)}, of("EQUITY_FOREIGN_COUNT")),
        ({"TSLA": LIMITED | asked("1263", allowed=False)}, {"equity_limit": D(1000)}, of("EQUITY_FOREIGN_COUNT")),
        ({"TSLA": LIMITED | asked("1262", allowed=False)}, {"equity_limit": D(1000)}, of()),
        # beyond the limit
        ({}, {"equity_limit": D(1249)}, of("EQUITY_OVERSHOOT")),
        ({"TSLA": FAILED}, {"equity_limit": D(1000)}, of()),
        # refused what fits
        ({"TSLA": LIMITED}, {"equity_limit": D(1250)}, of("EQUITY_MISJUDGED", "EQUITY_DECISION")),
        ({"TSLA": LIMITED}, {"equity_limit": D(1249)}, of()),
        ({"TSLA": LIMITED}, {"equity_limit": None}, of("EQUITY_DECISION")),
        ({"AAPL": LIMITED}, {"equity_limit": D(5000)}, of()),
    ],
)
def test_the_breaker_is_held_against_its_own_limit_and_buys(trades: Any, run: dict[str, Any], told: Said) -> None:
    seen = beside(ran(CANDIDATE, trades, **run))
    found = [each for each in equity_findings(seen, duties(seen)) if each.role is CANDIDATE]
    assert said(found) == told


def test_what_the_first_buy_counted_is_what_had_begun_by_its_end() -> None:
    def foreign(first: dict[str, Any], second: dict[str, Any]) -> bool:
        seen = beside(ran(CANDIDATE, {"GOOG": first, "TSLA": second}, equity_limit=D(5000)))
        return some(equity_findings(seen, duties(seen)), "EQUITY_FOREIGN_COUNT") == [CANDIDATE]

    counted, later = asked(cumulative="1250"), {"started_at": at(31), "completed_at": at(40)}
    assert foreign(counted, later)
    assert not foreign(counted, later | {"started_at": at(30)})
    assert not foreign(counted, later | {"attempts": 2})
    assert foreign(counted, later | {"attempts": 1})
    assert not foreign(counted, later | FAILED)
    assert not foreign(counted, later | {"status": TradeStatus.UNKNOWN})
    assert not foreign(counted, later | {"started_at": None})
    assert foreign(counted, later | {"started_at": None} | CLOSED)
    assert not foreign(counted | {"completed_at": None}, later)
    assert not foreign(counted, later | asked(cumulative="1250"))
    assert foreign(counted, later | asked(cumulative="1251"))
    assert not foreign(asked(cumulative="1000"), later)


def test_limits_that_differ_are_told_once_of_the_lane_that_is_off() -> None:
    def limits(one: str | None, two: str | None, *, trades: Any = None) -> list[Role | None]:
        runs = [
            ran(role, trades, equity_limit=None if text is None else D(text)) for role, text in zip(Role, (one, two), strict=True)
        ]
        return some(equity_findings(view(*runs), duties(view(*runs))), "EQUITY_LIMIT")

    assert limits("100000", "100000") == limits("0", "0") == limits(None, "1") == limits("1", None) == []
    assert limits("100000", "99000") == []
    assert limits("100000", "98999") == [CANDIDATE]
    assert limits("98999", "100000") == [CONTROL]
    assert limits("50000", "60000") == [None]
    assert limits("0", "100000") == [CONTROL]
    assert limits("100000", "0") == [CANDIDATE]
    runs = [ran(role, equity_limit=D(limit)) for role, limit in zip(Role, (1, 5), strict=True)]
    sells = [run.model_copy(update={"trades": run.trades[:2]}) for run in runs if run.trades[0].action is Side.SELL]
    assert some(equity_findings(view(*sells), duties(view(*sells))), "EQUITY_LIMIT") == []


def test_the_limit_of_a_lane_is_its_own_else_the_other_lanes() -> None:
    seen = duties(view(ran(CONTROL, equity_limit=D(7)), ran(CANDIDATE)))
    assert (seen.limit_of(CONTROL), seen.limit_of(CANDIDATE)) == (7, 7)
    assert duties(view(ran(CONTROL), ran(CANDIDATE, equity_limit=D(0)))).limit_of(CONTROL) == 0
    assert duties(beside(ran(CANDIDATE))).limit_of(CONTROL) is None
    alone = duties(view(None, ran(CANDIDATE, equity_limit=D(9))))
    assert alone.limit_of(CANDIDATE) == 9
    assert (alone.limits_differ, alone.limit_departs) == (False, frozenset())


@pytest.mark.parametrize(
    ("beside_it", "fits"),
    [
        ({}, False),
        ({"planned_amount": D(999)}, True),
        ({"planned_amount": None}, False),
        (CLOSED, True),
        ({"status": TradeStatus.UNKNOWN}, False),
        (FAILED | {"filled_quantity": D(1)}, False),
        (FAILED | {"completed_at": at(20)}, True),
        (FAILED | {"completed_at": at(21)}, False),
        (FAILED | {"completed_at": None}, False),
        (FAILED | {"completed_at": at(90), "started_at": at(31)}, True),
        (FAILED | {"completed_at": at(90), "started_at": at(30)}, False),
        (FAILED | {"completed_at": at(90), "started_at": None}, False),
    ],
)
def test_a_buy_fits_beside_what_used_up_or_still_held_the_limit(beside_it: dict[str, Any], *, fits: bool) -> None:
    seen = beside(ran(CANDIDATE, {"GOOG": beside_it, "TSLA": LIMITED}, equity_limit=D(1249)))
    (pair,) = [each for each in seen.trades if each.symbol == "TSLA"]
    assert pair.candidate is not None
    assert duties(seen).fits(pair, pair.candidate) is fits


def test_of_a_buy_that_one_breaker_refused_the_lane_departs_that_decided_wrongly_in_the_plans_order() -> None:
    def departs(one: dict[str, Any], two: dict[str, Any], limit: str, **others: Any) -> list[Role | None]:
        runs = [
            ran(role, {"TSLA": trade, "GOOG": others.get("goog", {})}, equity_limit=D(limit))
            for role, trade in zip(Role, (one, two), strict=True)
        ]
        return some(equity_findings(view(*runs), duties(view(*runs))), "EQUITY_DECISION")

    assert departs({}, LIMITED, "1250") == [CANDIDATE]
    assert departs({}, LIMITED, "1249") == [CONTROL]
    assert departs(LIMITED, {}, "1250") == [CONTROL]
    assert departs(LIMITED, LIMITED, "1250") == departs({}, {}, "1250") == departs({}, CLOSED, "1250") == []
    assert departs({}, LIMITED, "0") == [CANDIDATE]
    assert departs({}, LIMITED, "1000", goog=FAILED) == [CANDIDATE]
    assert departs({}, LIMITED, "1000", goog=FAILED | {"filled_quantity": D(1)}) == [CONTROL]


def test_a_trade_was_refused_by_the_breaker_or_tried_by_what_it_records() -> None:
    def trade(**changes: Any) -> TradeOutcome:
        return next(each for each in ran(CANDIDATE, {"GOOG": changes}).trades if each.symbol == "GOOG")

    assert [is_equity_blocked(trade(**each)) for each in (LIMITED, GUARDED, {}, FAILED | {"reason": Reason.EQUITY_LIMIT})] == [
        True,
        False,
        False,
        False,
    ]
    assert is_equity_blocked(trade(**asked(allowed=False)))
    assert not is_equity_blocked(trade(**asked()))
    assert {status for status in TradeStatus if was_tried(trade(status=status))} == {
        TradeStatus.COMPLETED,
        TradeStatus.FAILED,
        TradeStatus.UNKNOWN,
    }


# The market, the phases, the effects of the run


def test_a_market_that_one_lane_found_closed_is_told_once() -> None:
    def market(one: Any, two: Any) -> tuple[list[Role | None], list[tuple[str | None, str | None]]]:
        seen = view(ran(CONTROL, one), ran(CANDIDATE, two))
        found = [each for each in market_findings(seen) if each.kind == "MARKET_CHECK"]
        return [each.role for each in found], [(each.control, each.candidate) for each in found]

    shut = dict.fromkeys(BUYS, CLOSED)
    assert (
        market({}, {})
        == market(shut, shut)
        == market({}, {"GOOG": FAILED})
        == market(shut, dict.fromkeys(BUYS, GUARDED))
        == ([], [])
    )
    assert market({}, shut) == ([CONTROL], [("traded", "market closed")])
    assert market(shut, {}) == ([CANDIDATE], [("market closed", "traded")])
    filled = shut | {"AAPL": {"filled_quantity": D(1)}}
    assert market({}, filled) == ([CANDIDATE], [("traded", "market closed")])
    assert market({"GOOG": FAILED}, filled) == ([CANDIDATE], [("traded", "market closed")])
    assert list(market_findings(view(None, ran(CANDIDATE, shut)))) == []


@pytest.mark.parametrize(
    ("trades", "told"),
    [
        ({}, of()),
        ({"GOOG": {"started_at": at(10)}}, of()),
        ({"GOOG": {"started_at": at(9.9)}}, of("PHASE_ORDER")),
        ({"AAPL": {"completed_at": None}}, of("PHASE_ORDER")),
        ({"AAPL": {"completed_at": None, "started_at": None}}, of()),
        ({"AAPL": {"completed_at": at(99), "started_at": None}}, of()),
        ({name: {"started_at": None} for name in SELLS}, of()),
        ({name: {"started_at": None} for name in BUYS}, of()),
    ],
)
def test_buys_begin_when_the_last_sell_has_ended(trades: Any, told: Said) -> None:
    assert said(phase_findings(beside(ran(CANDIDATE, trades)), POLICY)) == told


ALL, STOP = EffectKind.ALL_TRADES_COMPLETED, EffectKind.WORKFLOW_FAILED


def done(**changes: Any) -> Effect:
    counts = {"total_trades": 4, "succeeded_trades": 4, "failed_trades": 0, "skipped_trades": 0}
    return Effect(**({"kind": ALL, "emitted": False} | counts | changes))


def stop(step: str = "SELL_PHASE_GUARD") -> Effect:
    return Effect.model_validate({"kind": STOP, "emitted": False, "failure_step": step})


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


# The account


def books(cash: str, **held: str) -> Books:
    return Books(
        at=AT,
        cash=D(cash),
        positions=tuple(HeldPosition(symbol=name, quantity=D(much), price=D(10)) for name, much in held.items()),
    )


def filled(name: str, side: Side = Side.BUY, **changes: Any) -> OrderRecord:
    own: dict[str, Any] = {"order_id": name, "symbol": "AAPL", "side": side, "filled_quantity": D(2), "average_price": D(10)}
    return OrderRecord(**({"status": "filled"} | own | changes))


@pytest.mark.parametrize(
    ("closing", "others", "bookings", "told"),
    [
        (books("100", AAPL="5"), (), (), None),
        (books("80", AAPL="7"), (filled("1"),), (), None),
        (books("120", AAPL="3"), (filled("1", Side.SELL),), (), None),
        (books("80", AAPL="7"), (), (Booking(kind="FILL", symbol="AAPL", amount=D(-20), quantity=D(2)),), None),
        (books("99", AAPL="5"), (), (Booking(kind="FEE", amount=D(-1)),), None),
        (books("80", AAPL="5"), (filled("1"),), (), "-20 USD"),
        (books("100.01", AAPL="5"), (), (), "0.01 USD"),
        (books("100.004", AAPL="5"), (), (), None),
        (books("100", AAPL="5.000001"), (), (), None),
        (books("100", AAPL="5.000002"), (), (), "0 USD"),
        (books("100", AAPL="6"), (), (), "10 USD"),
        (books("100", AAPL="5", MSFT="1"), (), (), "10 USD"),
        (books("100"), (), (), "-50 USD"),
        (books("120", AAPL="3"), (filled("1", Side.SELL), filled("1", Side.SELL)), (), None),
        (books("80", AAPL="7"), (filled("1", symbol=None),), (), "0 USD"),
    ],
)
def test_what_no_order_and_no_booking_explains_of_an_account_is_told_with_its_worth(
    closing: Books, others: tuple[OrderRecord, ...], bookings: tuple[Booking, ...], told: str | None
) -> None:
    orders = tuple(AccountOrder(owner=Owner.LATER, order=order) for order in others)
    for role in Role:
        sign = 1 if role is CANDIDATE else -1
        record = AccountRecord(opening=books("100", AAPL="5"), closing=closing, orders=orders, bookings=bookings)
        found = list(account_findings(view(*(ran(each, account=record if each is role else None) for each in Role))))
        assert [(each.kind, each.role) for each in found] == ([] if told is None else [("UNEXPLAINED_MONEY", role)])
        for each in found:
            shown = each.control if role is CONTROL else each.candidate
            assert shown is not None
            assert D(shown.removesuffix(" USD")) == D((told or "").removesuffix(" USD"))
            assert each.impact is not None
            assert abs(each.impact.notional + each.impact.cash - sign * D(shown.removesuffix(" USD"))) < D("0.01")
    unseen = AccountRecord(closing=closing)
    assert list(account_findings(view(None, ran(CANDIDATE, account=unseen)))) == []


@pytest.mark.parametrize(
    ("order", "notional", "cash", "gross"),
    [
        (filled("1"), 20, -20, 20),
        (filled("1", Side.SELL), -20, 20, 20),
        (filled("1", filled_quantity=None), 0, 0, 0),
        (filled("1", status="open", quantity=D(5), limit_price=D(11)), 20, -20, 20 + 33),
        (filled("1", status="open", quantity=None), 20, -20, 20),
    ],
)
def test_an_order_of_nobody_in_the_candidates_account_is_worth_what_it_moved_and_may_move(
    order: OrderRecord, notional: int, cash: int, gross: int
) -> None:
    def found(role: Role, owner: Owner) -> list[Finding]:
        account = AccountRecord(orders=(AccountOrder(owner=owner, order=order),))
        return list(account_findings(view(*(ran(each, account=account if each is role else None) for each in Role))))

    (one,) = found(CANDIDATE, Owner.NOBODY)
    assert one.impact is not None
    assert (one.kind, one.role, one.symbol, one.candidate) == ("UNCLAIMED_ORDER", CANDIDATE, "AAPL", "1")
    assert (one.impact.notional, one.impact.cash, one.impact.gross) == (notional, cash, gross)
    assert found(CONTROL, Owner.NOBODY) == found(CANDIDATE, Owner.LATER) == found(CANDIDATE, Owner.UNCLEAR) == []


# What must be known


def missing(run: RunOutcome) -> set[str]:
    """What is missing of a run, by the last word of its path."""
    return {gap.split(": ")[-2].rpartition(".")[2] for gap in gaps_of(view(None, run), POLICY) if gap.endswith(": absent")}


def test_what_a_run_must_say_depends_on_how_it_ended() -> None:
    bare = ran(CANDIDATE, terminal_state="End")
    sells = bare.model_copy(update={"trades": bare.trades[:0]})
    assert missing(sells.model_copy(update={"status": RunStatus.UNFINISHED, "raw_status": ""})) == {"raw_status"}
    assert missing(sells.model_copy(update={"status": RunStatus.UNFINISHED})) == set()
    assert missing(sells) == {"effects", "equity_limit", "total", "succeeded", "failed", "skipped"}
    assert missing(sells.model_copy(update={"status": RunStatus.FAILED})) == {"effects"}
    assert missing(sells.model_copy(update={"status": RunStatus.BLOCKED_BY_GUARD})) == {
        "effects",
        "failure_step",
        "failure_reason",
        "equity_limit",
    }
    one = bare.trades[0].model_copy(update={**UNSENT, "action": Side.SELL})
    guarded = {"sell_failed_amount", "sell_succeeded_amount", "threshold"}
    for status, needs in ((RunStatus.COMPLETED, guarded), (RunStatus.BLOCKED_BY_GUARD, guarded), (RunStatus.FAILED, set())):
        assert missing(bare.model_copy(update={"status": status, "trades": (one,)})) & guarded == needs
    buy = one.model_copy(update={"action": Side.BUY})
    assert missing(bare.model_copy(update={"trades": (buy,)})) & guarded == set()
    assert "effects" not in missing(bare.model_copy(update={"effects": ()}))


@pytest.mark.parametrize(
    ("changes", "run", "needs", "needs_not"),
    [
        ({}, {}, {"quantity", "filled_quantity", "orders"}, {"cumulative", "reason"}),
        ({}, {"equity_limit": D(1)}, {"cumulative", "limit"}, {"reason"}),
        ({}, {"equity_limit": D(0)}, {"orders"}, {"cumulative"}),
        ({"action": Side.SELL}, {"equity_limit": D(1)}, {"orders"}, {"cumulative"}),
        (FAILED, {}, {"reason"}, {"quantity", "filled_quantity", "orders"}),
        (FAILED | {"reason": Reason.NOT_FILLED}, {}, {"quantity", "order_id", "orders"}, {"reason"}),
        (FAILED | {"reason": Reason.NOT_FILLED, "attempts": 0}, {}, set(), {"quantity", "orders"}),
        (FAILED | {"reason": Reason.BROKER_REJECTED, "orders": (OrderRecord(accepted=False),)}, {}, {"quantity"}, {"orders"}),
        (
            FAILED | {"reason": Reason.NOT_FILLED, "attempts": 0, "orders": (OrderRecord(),)},
            {},
            {"quantity", "order_id"},
            {"orders"},
        ),
        (CLOSED | {"reason": None}, {}, {"reason"}, {"quantity"}),
        (LIMITED | {"reason": None}, {}, {"reason"}, {"quantity"}),
        (UNSENT | {"planned_amount": None}, {}, {"planned_amount"}, {"reason", "quantity"}),
    ],
)
def test_what_a_trade_must_say_depends_on_how_it_ended(changes: Any, run: Any, needs: set[str], needs_not: set[str]) -> None:
    base = ran(CANDIDATE, **run)
    trade = next(each for each in base.trades if each.symbol == "GOOG").model_copy(update=changes)
    found = {
        gap.split(": ")[2].rpartition(".")[2]
        for gap in gaps_of(view(None, base.model_copy(update={"trades": (trade,)})), POLICY)
        if "trade GOOG" in gap and "orders.0" not in gap
    }
    assert needs <= found
    assert not needs_not & found


def test_each_order_says_what_it_must_and_a_filled_one_its_price() -> None:
    def absent(order: OrderRecord, role: Role = CANDIDATE) -> set[str]:
        base = ran(role, {"GOOG": {"orders": (order,)}})
        found = gaps_of(view(*(base if each is role else None for each in Role)), POLICY)
        return {gap.split(": ")[2].removeprefix("orders.0.") for gap in found if "orders.0" in gap}

    whole = filled("1", client_order_id="c", order_type="limit", quantity=D(2))
    assert absent(whole) == set()
    assert absent(whole.model_copy(update={"average_price": None})) == {"average_price"}
    assert absent(whole.model_copy(update={"average_price": None, "filled_quantity": D(0)})) == set()
    assert absent(whole.model_copy(update={"client_order_id": "", "status": None})) == {"client_order_id", "status"}
    assert absent(OrderRecord(filled_quantity=D(1)), CONTROL) == set()


def test_gaps_violations_unwatched_effects_and_absent_runs_are_named() -> None:
    assert gaps_of(view(), POLICY) == ("control, candidate: both runs are absent",)
    base = ran(CANDIDATE, gaps=(Gap(what="w", reason="r"),), violations=("v",), effects=(), effect_kinds=(ALL,))
    found = set(gaps_of(view(None, base), POLICY))
    assert {"candidate: w: r", "candidate: contract violation: v"} <= found
    unwatched = {f"candidate: effects.{kind.value}: nobody watched for them" for kind in EffectKind if kind is not ALL}
    assert {gap for gap in found if "nobody watched" in gap} == unwatched
