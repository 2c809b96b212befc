"""The guard, the breaker, the market and the phases of a run, at the bounds, held against the lane's own trades."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from shadow.compare.checks import safety
from shadow.compare.checks.duties import Duties, is_equity_blocked, was_tried
from shadow.compare.checks.safety import equity_findings, guard_findings, market_findings, phase_findings
from shadow.compare.judge import judge
from shadow.compare.rules import AbsoluteRule
from shadow.contracts.outcome import (
    EquityDecision,
    GuardDecision,
    TradeOutcome,
)
from shadow.contracts.vocabulary import Lane, Reason, Role, Side, TradeStatus
from tests.factories.one_trade import CANDIDATE, CONTROL, POLICY, D, Said, of, said
from tests.factories.two_runs import (
    BLOCKED_RUN,
    BUYS,
    CLOSED,
    FAILED,
    GUARDED,
    LIMITED,
    OPEN,
    SELLS,
    at,
    beside,
    duties,
    ran,
    some,
    view,
)
from tests.strategies.outcomes import Fate, World, case_of, item_of, plan_of
from tests.strategies.planting import run_of, with_run


def answer(*, allowed: bool, failed: str | None = None, **changes: Any) -> GuardDecision:
    amounts: dict[str, Any] = {"sell_failed_amount": None if failed is None else D(failed), "threshold": D(500)}
    return GuardDecision(**({"buy_phase_allowed": allowed} | amounts | changes))


def allowing(failed: str | None = None, **changes: Any) -> GuardDecision:
    return answer(allowed=True, failed=failed, **changes)


def blocking(failed: str | None = None, **changes: Any) -> GuardDecision:
    return answer(allowed=False, failed=failed, **changes)


BLOCKING: dict[str, dict[str, Any]] = {"AAPL": FAILED, **dict.fromkeys(BUYS, GUARDED)}


def asked(cumulative: str | None = None, limit: str | None = None, *, allowed: bool = True) -> dict[str, Any]:
    read = [None if text is None else D(text) for text in (cumulative, limit)]
    return {"equity": EquityDecision(allowed=allowed, cumulative=read[0], limit=read[1])}


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


@pytest.mark.parametrize(
    ("trades", "kept", "kind", "why"),
    [
        (
            {"AAPL": FAILED},
            allowing("600"),
            "GUARD_DECISION",
            "guard allowed the BUYs although 600 USD of its SELLs failed: it is to block above 500.00 USD",
        ),
        (
            dict.fromkeys(BUYS, GUARDED),
            blocking("0"),
            "GUARD_DECISION",
            "guard blocked the BUYs although 0 USD of its SELLs failed: it is to block above 500.00 USD",
        ),
        (BLOCKING, blocking("600"), "GUARD_DIFFERS", "guard blocked the BUYs, as its own failed SELLs demand"),
        (BLOCKING, None, "GUARD_DIFFERS", "guard blocked the BUYs, as its own failed SELLs demand"),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_what_a_guard_decided_and_whether_its_sells_demand_it_is_said_in_words(
    role: Role, trades: Any, kept: GuardDecision | None, kind: str, why: str
) -> None:
    seen = view(*(ran(each, trades, guard=kept) if each is role else ran(each) for each in Role))
    found = [each for each in guard_findings(seen, duties(seen)) if each.kind in ("GUARD_DECISION", "GUARD_DIFFERS")]
    assert [(each.kind, each.role, each.explanation) for each in found] == [(kind, role, f"The {role.value}'s {why}.")]


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
    assert found.explanation == (
        "The candidate executed 1 BUY behind 600 USD of failed SELLs, and no answer of its guard is kept."
    )


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
        ({"GOOG": asked(cumulative="0.01")}, {"equity_limit": D(5000)}, of("EQUITY_NOT_COUNTED")),
        (
            {"GOOG": asked(cumulative="0.01"), "TSLA": asked(cumulative="250.01")},
            {"equity_limit": D(5000)},
            of("EQUITY_NOT_COUNTED"),
        ),
        ({"GOOG": asked(cumulative="999.99")}, {"equity_limit": D(0)}, of()),
        ({"GOOG": asked(cumulative="999.99")}, {"equity_limit": D(5000), "lane": Lane.LEGACY}, of()),
        ({"GOOG": LIMITED | asked("0", allowed=False)}, {"equity_limit": D(250)}, of()),
        # counted what is not its own
        ({"TSLA": asked(cumulative="1250")}, {"equity_limit": D(5000)}, of()),
        ({"TSLA": asked(cumulative="1251")}, {"equity_limit": D(5000)}, of("EQUITY_FOREIGN_COUNT")),
        ({"TSLA": asked(cumulative="1251")}, {"equity_limit": D(0)}, of()),
        ({"TSLA": asked(cumulative="1251")}, {"equity_limit": D(5000), "lane": Lane.LEGACY}, of()),
        ({"GOOG": asked(cumulative="1100")}, {"equity_limit": D(5000)}, of("EQUITY_FOREIGN_COUNT")),
        ({"GOOG": asked(cumulative="1250")}, {"equity_limit": D(5000)}, of()),
        ({"GOOG": asked(cumulative="1240")}, {"equity_limit": D(5000)}, of()),
        ({"GOOG": asked(cumulative="1236")}, {"equity_limit": D(5000)}, of("EQUITY_FOREIGN_COUNT")),
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


@pytest.mark.parametrize(
    ("trades", "limit", "kind", "shown", "why"),
    [
        (
            {"GOOG": asked(cumulative="1100")},
            5000,
            "EQUITY_FOREIGN_COUNT",
            "1100",
            "had counted 1100 USD at the BUY of GOOG, and no set of its BUYs comes to that",
        ),
        (
            {"TSLA": LIMITED | asked("1263", allowed=False)},
            1000,
            "EQUITY_FOREIGN_COUNT",
            "1263",
            "counted 1263 USD where all of its BUYs come to 1250",
        ),
        (
            {"GOOG": asked(cumulative="999")},
            5000,
            "EQUITY_NOT_COUNTED",
            "999",
            "let a BUY of 1000 USD pass having counted 999 USD",
        ),
        ({"TSLA": LIMITED}, 1250, "EQUITY_MISJUDGED", "1 blocked", "blocked 1 BUY that fit: TSLA"),
    ],
)
def test_what_is_wrong_with_a_breaker_is_said_in_words(trades: Any, limit: int, kind: str, shown: str, why: str) -> None:
    seen = beside(ran(CANDIDATE, trades, equity_limit=D(limit)))
    found = [each for each in equity_findings(seen, duties(seen)) if each.kind == kind and each.role is CANDIDATE]
    assert [(each.candidate, each.explanation) for each in found] == [(shown, f"The candidate {why}.")]


def counted_what_is_not_its_own(*buys: dict[str, Any]) -> bool:
    seen = beside(ran(CANDIDATE, dict(zip(BUYS, buys, strict=True)), equity_limit=D(5000)))
    return some(equity_findings(seen, duties(seen)), "EQUITY_FOREIGN_COUNT") == [CANDIDATE]


def test_a_breaker_may_count_what_other_buys_reserved_beside_it_whenever_their_trades_began() -> None:
    first = asked(cumulative="1250") | {"started_at": at(20), "completed_at": at(21)}
    late = {"started_at": at(39), "completed_at": at(40)}

    assert not counted_what_is_not_its_own(first, late | asked(cumulative="250"))
    assert not counted_what_is_not_its_own(first, late | asked(cumulative="1250"))
    assert not counted_what_is_not_its_own(first, late)
    assert counted_what_is_not_its_own(asked(cumulative="1100"), late)


@pytest.mark.parametrize("other", [FAILED, {"status": TradeStatus.UNKNOWN}, CLOSED, {"attempts": 2}])
def test_where_a_buy_may_have_given_a_part_back_the_sums_say_nothing_below_their_total(other: dict[str, Any]) -> None:
    assert not counted_what_is_not_its_own(asked(cumulative="1100"), other)
    assert counted_what_is_not_its_own(asked(cumulative="1263"), other)


def test_a_run_without_buys_has_counted_nothing() -> None:
    sells = tuple(trade for trade in ran(CANDIDATE).trades if trade.action is Side.SELL)
    without = beside(ran(CANDIDATE, trades=None, equity_limit=D(5000)).model_copy(update={"trades": sells}))
    assert some(equity_findings(without, duties(without)), "EQUITY_FOREIGN_COUNT") == []


TOLD = ("88200", "9800", "39200", "88200", "88200", "39200", "39200", "98000", "98000", "88200")
"""What a breaker answered to ten BUYs of 9,800 USD that a Map had in hand at once, in the order in which their trades began."""


@pytest.mark.parametrize(("told", "is_foreign"), [(TOLD, False), ((*TOLD[:9], "90000"), True), ((*TOLD[:9], "107800"), True)])
def test_ten_buys_at_once(told: Sequence[str], *, is_foreign: bool) -> None:
    items = [item_of(f"S{number}", "BUY", D(9800)) for number in range(10)]
    case = case_of(World(plan_of(items), tuple(Fate(item, D(50), D(0)) for item in items), limit=D(100_000)))
    run = run_of(case, CANDIDATE)
    trades = tuple(
        trade.model_copy(update={"equity": EquityDecision(allowed=True, cumulative=D(answer), limit=D(100_000))})
        for trade, answer in zip(run.trades, told, strict=True)
    )
    found = judge(with_run(case, CANDIDATE, trades=trades), POLICY).differences

    assert [each.kind for each in found] == ["EQUITY_FOREIGN_COUNT"] * is_foreign


def test_of_more_buys_than_can_be_tried_nothing_is_said_below_their_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "_MOST_TRIED", 1)

    assert not counted_what_is_not_its_own(asked(cumulative="1100"), {})


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
    assert limits("100000", "0") == limits("60000", "0") == [CANDIDATE]
    assert limits("0", "60000") == [CONTROL]
    runs = [ran(role, equity_limit=D(limit)) for role, limit in zip(Role, (1, 5), strict=True)]
    sells = [run.model_copy(update={"trades": run.trades[:2]}) for run in runs if run.trades[0].action is Side.SELL]
    assert some(equity_findings(view(*sells), duties(view(*sells))), "EQUITY_LIMIT") == []


@pytest.mark.parametrize(
    ("one", "two", "differ"),
    [
        ("100", "0", True),
        ("0", "100", True),
        ("0", "0", False),
        ("100", "1", False),
        ("100", "1100", False),
        ("100", "1101", True),
    ],
)
def test_a_breaker_that_is_off_differs_from_any_limit_however_wide_the_tolerance(one: str, two: str, *, differ: bool) -> None:
    wide = AbsoluteRule(rule="absolute", tolerance=D(1000))
    policy = POLICY.model_copy(update={"rules": POLICY.rules.model_copy(update={"equity_limit": wide})})
    seen = view(*(ran(role, equity_limit=D(limit)) for role, limit in zip(Role, (one, two), strict=True)))
    assert Duties(seen, policy).limits_differ is differ


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
    assert departs(LIMITED, GUARDED, "1250") == departs(GUARDED, LIMITED, "1000") == []
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


def asked_by_judging(trades: int) -> int:
    """Count the calls that judging so many BUYs makes, of which the candidate's breaker blocks half and the rest buy half."""
    items = [item_of(f"SYM{number}", "BUY", D(1000)) for number in range(trades)]
    case = case_of(World(plan_of(items), tuple(Fate(item, D(50), D(0)) for item in items), limit=D(1000 * trades)))
    half = [
        trade.model_copy(update=LIMITED if number % 2 else {"filled_quantity": D(10), "value": D(500)})
        for number, trade in enumerate(run_of(case, CANDIDATE).trades)
    ]
    case, calls = with_run(case, CANDIDATE, trades=tuple(half)), Counter[str]()
    sys.setprofile(lambda _frame, event, _what: calls.update([event]))
    try:
        judge(case, POLICY)
    finally:
        sys.setprofile(None)
    return calls["call"]


def test_judging_twice_as_many_trades_asks_twice_as_much() -> None:
    asked_by_judging(10)
    assert asked_by_judging(160) < 2.1 * asked_by_judging(80)
