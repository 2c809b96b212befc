"""Business Unit: tests | Status: current.

What readiness says, word for word: of each criterion its state, figure, reason and what is still needed, on migrations that show
it at its limits. The chances in it are held against their definitions in `test_readiness_oracles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from reports.data.columns import Path
from reports.readiness.criteria import assess
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum, Tally
from reports.readiness.readiness import (
    Acceptance,
    Closure,
    CriterionState,
    KnownEntry,
    Readiness,
    ReadinessPolicy,
    Restart,
    SameVersion,
    Statement,
    history_of,
)
from tests.factories.evidence_days import ACCEPTED, DRILLED, honest_day, honest_migration, with_day, with_every_day

PASS, WAIT, FAIL = CriterionState.PASS, CriterionState.WAIT, CriterionState.FAIL
POLICY = ReadinessPolicy(accepted=(ACCEPTED,))
TWELVE = honest_migration(12)
LAST = TWELVE[-1].day
Told = tuple[CriterionState, str, str, int | None]
IN_A_ROW = "{} trading days in a row on which everything planned was published, compared and accounted for"
MISSING = "2 of 3 pairs missing, incomplete or still open"
PASSED = "Passed with 95% confidence over all looks together."
TOO_LITTLE = "Too little evidence to say anything with 95% confidence over all looks together, whatever it showed."
ASKED = "The last look asked for at most 1 diverging, none of them on the last 9 days."
NEVER = "At today's rate the target will not be reached."
USUAL = "Judged by day, allowing for an autocorrelation of 0.5 from one day to the next."


def statement(evidence: Sequence[DayEvidence], policy: ReadinessPolicy = POLICY, **options: object) -> Statement:
    return assess(evidence, as_of=evidence[-1].day if evidence else date(2025, 9, 1), policy=policy, **options)  # type: ignore[arg-type]


def told(found: Statement, name: str) -> Told:
    (found_one,) = [each for each in found.criteria if each.name == name]
    return found_one.state, found_one.figure, found_one.reason, found_one.more_days


def trades(diverged: int, total: int = 16, stratum: Stratum = Stratum.ALL) -> dict[Stratum, Tally]:
    return {**honest_day(LAST).strata, stratum: Tally(diverged, total)}


def lasting(*ratios: float) -> tuple[float, ...]:
    return tuple(math.log(ratio) for ratio in ratios)


def accepting(*names: str, until: date = LAST) -> ReadinessPolicy:
    mine = tuple(Acceptance(name=name, owner="ada", reason="seldom", expires=until) for name in names)
    return POLICY.model_copy(update={"accepted": (ACCEPTED, *mine)})


HONEST: dict[str, tuple[CriterionState, str, str, int | None, str, int | None]] = {
    "coverage": (
        PASS,
        "12 days",
        IN_A_ROW.format(12),
        0,
        "at least 10 trading days",
        None,
    ),
    "unexplained": (PASS, "0 critical, 0 major", "every difference of that weight is explained", 0, "none", None),
    "last_day": (
        PASS,
        "0 of 16 trades, 0 of 1 run",
        "something agreed",
        0,
        "not every trade, and not every run for reasons beyond its trades",
        None,
    ),
    "rate.all": (
        PASS,
        "0.0% (0 of 192 trades), at most 3.2%",
        PASSED,
        0,
        "below 5%",
        0,
    ),
    "rate.full_exits": (
        PASS,
        "0.0% (0 of 24 trades), at most 12.4%",
        PASSED,
        0,
        "below 25%",
        0,
    ),
    "bad_days": (
        PASS,
        "0.0% (0 of 12 days), at most 22.1%",
        PASSED,
        0,
        "below 35%",
        None,
    ),
    "path.both_phases": (
        PASS,
        "0.0% (0 of 192 trades), at most 3.2%",
        PASSED,
        0,
        "below 10%",
        0,
    ),
    "latency": (
        PASS,
        "0.95 times the control (at most 1.00, 12 days)",
        USUAL,
        0,
        "below 1.25 times the control",
        None,
    ),
    "latency_tail": (
        PASS,
        "0.0% (0 of 12 runs), at most 22.1%",
        "accepted by desk until 2030-01-01: thirty runs are six weeks",
        0,
        "below 10%",
        None,
    ),
    "safety": (PASS, "0", "none was seen", 0, "none", None),
    "cost": (PASS, "0.03 USD", "600 transitions in 12 days", 0, "at most 10 USD", None),
    "known_divergences": (
        PASS,
        "0 expired, 0 over budget, of 0",
        "every entry is in force and within its budget",
        0,
        "none expired, none over budget",
        None,
    ),
    "exercised": (
        PASS,
        "8 of 8",
        "only in drills: sells only, buys only, guard blocked, equity breaker, market closed, partial fill",
        0,
        "each, live or in a replayed or planted run that agreed",
        None,
    ),
}


def test_an_honest_migration_of_twelve_days() -> None:
    found = statement(TWELVE)
    said = {c.name: (c.state, c.figure, c.reason, c.more_days, c.target, c.more_trades) for c in found.criteria}

    assert {name: said[name] for name in HONEST} == HONEST
    assert set(said) - set(HONEST) == {"rate.buys", "rate.sells", "rate.large", "rate.small"}
    assert (found.readiness, found.days, found.in_a_row, found.days_needed) == (Readiness.READY, 12, 12, 10)
    assert (found.look, found.next_look, found.trades, found.runs, found.drills) == (1, 15, 192, 12, 6)
    assert (found.more_days, found.more_trades, found.first_day, found.period_began) == (
        0,
        0,
        TWELVE[0].day,
        "the first day of evidence",
    )
    assert found.assumption == "trades of one day go wrong together at most to a correlation of 0.1"
    assert found.without_assumption == (
        "0 of 12 days had an unexplained difference: at most 22.1% of all days do (95% confidence, one look)"
    )
    assert found.accepted == (
        "Runs slower than 2 times the control: accepted by desk until 2030-01-01: thirty runs are six weeks",
    )
    assert found.never_exercised == ("failed", "broker rejection", "rounds to zero")
    assert found.only_drilled == ("sells only", "buys only", "guard blocked", "equity breaker", "market closed", "partial fill")
    assert not found.workflow_in_production


NO_DATA = (WAIT, "0 of 0 trades, at most 100.0%", "No data yet. No data never passes.", None)


def test_without_a_day_nothing_is_said_to_pass() -> None:
    found = statement([])

    assert told(found, "coverage") == (WAIT, "0 days", IN_A_ROW.format(0), 10)
    assert told(found, "unexplained") == (WAIT, "0 critical, 0 major", "no covered day has been seen", 10)
    assert told(found, "last_day") == (WAIT, "no day", "no day was covered", 10)
    assert told(found, "rate.all") == NO_DATA
    assert told(found, "latency") == (WAIT, "no run with both durations", "No data yet. No data never passes.", 10)
    assert told(found, "safety") == (WAIT, "0", "no run was seen", None)
    assert told(found, "cost") == (WAIT, "not known", "No transitions were counted. No data never passes.", None)
    assert told(found, "exercised")[:2] == (WAIT, "0 of 8")
    assert (found.first_day, found.days, found.look, found.next_look) == (None, 0, 0, 10)
    assert "0 of 0 days had an unexplained difference: at most 100.0%" in found.without_assumption
    assert (found.readiness, found.more_days) == (Readiness.NOT_YET, None)
    assert {each.name for each in found.criteria if each.state is PASS} == {"known_divergences"}


def broken(day: str, why: str, row: int = 5) -> Told:
    in_a_row = IN_A_ROW.format(row)
    return WAIT, f"{row} days", f"{in_a_row}; the row was broken on {day}: {why}", 10 - row


COVERAGE: dict[str, tuple[Sequence[DayEvidence], Told]] = {
    "a pair missing": (with_day(TWELVE, 6, published=3, judged=1), broken("2025-09-10", MISSING)),
    "plans without a pair": (
        with_day(TWELVE, 6, planned=3),
        broken("2025-09-10", "2 of 3 plans of the day have no pair: they did not reach both lanes"),
    ),
    "nothing published": (with_day(TWELVE, 6, published=0, judged=0), broken("2025-09-10", "nothing was published")),
    "the later of two": (
        with_day(with_day(TWELVE, 4, published=3, judged=1), 6, swapped=1),
        broken("2025-09-10", "the workflow was in production"),
    ),
    "the later of two, the other way round": (
        with_day(with_day(TWELVE, 6, published=3, judged=1), 4, swapped=1),
        broken("2025-09-10", MISSING),
    ),
    "lost today": (
        with_day(TWELVE, 11, conserved=False),
        (FAIL, *broken("2025-09-17", "pairs are unaccounted for", row=0)[1:]),
    ),
    "lost long ago": (with_day(honest_migration(14), 2, conserved=False), (PASS, "11 days", IN_A_ROW.format(11), 0)),
    "another version": (
        [replace(day, version="a" if at < 9 else "b") for at, day in enumerate(TWELVE)],
        (WAIT, "3 days", IN_A_ROW.format(3) + "; the period began anew", 7),
    ),
    "waiting": (
        with_day(honest_migration(13), 12, published=3, judged=1, pending=2),
        (WAIT, "12 days", IN_A_ROW.format(12) + "; 2 pairs of 2025-09-18 still wait for their verdict", 0),
    ),
}


@pytest.mark.parametrize("name", COVERAGE)
def test_what_is_said_of_coverage(name: str) -> None:
    evidence, expected = COVERAGE[name]

    assert told(statement(evidence), "coverage") == expected


def test_what_is_not_known_of_coverage_is_said() -> None:
    found = statement(TWELVE, unread="plans: AccessDenied")

    assert told(found, "coverage") == (WAIT, "12 days", IN_A_ROW.format(12) + "; plans: AccessDenied", 0)
    assert found.readiness is Readiness.NOT_YET


def test_unexplained_differences_are_named_by_day_covered_or_not() -> None:
    days = with_day(with_day(with_day(TWELVE, 7, major=1), 2, critical=2), 4, published=0, judged=0, major=3)
    named = "Explain these differences, or fix them and restart the evidence period: 2025-09-04, 2025-09-08, 2025-09-11"

    assert told(statement(days), "unexplained") == (FAIL, "2 critical, 4 major", named, None)


@pytest.mark.parametrize(
    ("tally", "runs", "figure", "is_whole"),
    [
        (Tally(16, 16), Tally(1, 1), "16 of 16 trades, 1 of 1 run", True),
        (Tally(15, 16), Tally(1, 1), "15 of 16 trades, 1 of 1 run", False),
        (Tally(0, 16), Tally(2, 2), "0 of 16 trades, 2 of 2 runs", True),
        (Tally(0, 16), Tally(1, 2), "0 of 16 trades, 1 of 2 runs", False),
        (Tally(1, 16), Tally(2, 2), "1 of 16 trades, 2 of 2 runs", False),
        (Tally(0, 0), Tally(0, 0), "0 of 0 trades, 0 of 0 runs", False),
    ],
)
def test_a_last_day_that_diverged_as_a_whole(tally: Tally, runs: Tally, figure: str, *, is_whole: bool) -> None:
    found = statement(with_day(TWELVE, 11, strata=trades(tally.diverged, tally.total), runs=runs))
    whole = (WAIT, figure, f"every {'trade' if tally.diverged else 'run'} of 2025-09-17 diverged", 1)

    assert told(found, "last_day") == (whole if is_whole else (PASS, figure, "something agreed", 0))
    assert f"{int(runs.diverged > 0)} of 12 days had" in found.without_assumption


@pytest.mark.parametrize(
    ("days", "row", "held"),
    [
        (TWELVE[:4], "4 covered days", "Full coverage in a row: 4 days (target: at least 10 trading days)."),
        (
            with_day(TWELVE, 3, major=1)[:4],
            "4 covered days",
            "Unexplained critical and major differences: 0 critical, 1 major (target: none).",
        ),
        (TWELVE, "12 covered days", "Every criterion passes."),
    ],
)
def test_what_blocks_is_told_before_what_waits(days: list[DayEvidence], row: str, held: str) -> None:
    assert statement(days).progress == f"{row} in a row, at least 10 needed. {held}"


def test_safety_counts_every_day_since_the_last_restart_that_has_begun() -> None:
    days = with_day(with_day(TWELVE, 3, safety=1), 5, safety=2, published=0, judged=0)
    seen = (FAIL, "3", "on 2025-09-05, 2025-09-09: see the differences", None)
    cases = [((), seen), ((5,), (FAIL, "2", "on 2025-09-09: see the differences", None)), ((6,), (PASS, "0", "none was seen", 0))]
    for at, expected in [*cases, ((4, 6), cases[2][1]), ((6, 4), cases[2][1])]:
        restarts = tuple(Restart(day=days[each].day, owner="ada", reason="mended") for each in at)
        assert told(statement(days, POLICY.model_copy(update={"restarts": restarts})), "safety") == expected
    later = Restart(day=LAST + timedelta(days=1), owner="ada", reason="mended")
    assert told(statement(days, POLICY.model_copy(update={"restarts": (later,)})), "safety") == seen
    today = Restart(day=LAST, owner="ada", reason="mended")
    assert told(statement(days, POLICY.model_copy(update={"restarts": (today,)})), "safety") == (PASS, "0", "none was seen", 0)


@pytest.mark.parametrize(
    ("transitions", "budget", "expected"),
    [
        (50, "0.02625", (PASS, "0.03 USD", "600 transitions in 12 days", 0)),
        (50, "0.02624", (FAIL, "0.03 USD", "600 transitions in 12 days", None)),
        (20_000, "10", (FAIL, "10.50 USD", "240000 transitions in 12 days", None)),
        (0, "10", (WAIT, "not known", "No transitions were counted. No data never passes.", None)),
    ],
)
def test_a_month_costs_what_21_days_cost(transitions: int, budget: str, expected: Told) -> None:
    policy = POLICY.model_copy(update={"cost_budget_usd": Decimal(budget)})

    assert told(statement(with_every_day(TWELVE, transitions=transitions), policy), "cost") == expected


def test_one_transition_is_data() -> None:
    days = with_day(with_every_day(TWELVE, transitions=0), 3, transitions=1)

    assert told(statement(days), "cost") == (PASS, "0.00 USD", "1 transitions in 12 days", 0)


def test_known_divergences_that_expired_or_are_over_budget_are_named_once() -> None:
    entries = [
        KnownEntry(id=name, owner=owner, reason="r", expires=LAST - timedelta(days=days))
        for name, owner, days in (("K1", "o", 1), ("K2", "p", 0), ("K3", "q", 0))
    ]
    over = with_day(TWELVE, 11, over_budget=frozenset({"K1", "K2", "K9"}))
    earlier = with_day(TWELVE, 10, over_budget=frozenset({"K2"}))
    name = "known_divergences"

    assert told(statement(TWELVE, register=entries), name) == (
        FAIL,
        "1 expired, 0 over budget, of 3",
        "K1 of o expired on 2025-09-16",
        None,
    )
    assert told(statement(over, register=entries), name) == (
        FAIL,
        "1 expired, 1 over budget, of 3",
        "K1 of o expired on 2025-09-16; K2 of p is over budget",
        None,
    )
    assert told(statement(earlier, register=entries[1:]), name)[0] is PASS


def test_what_was_never_gone_through_waits_until_it_is_accepted() -> None:
    days = with_day(TWELVE, 0, drilled=DRILLED - {Feature.GUARD_BLOCKED, Feature.MARKET_CLOSED})
    both = accepting("exercised.guard_blocked", "exercised.market_closed")
    why = "; ".join(f"exercised.{each} accepted by ada until 2025-09-17: seldom" for each in ("guard_blocked", "market_closed"))
    lacking = "never: {}; replay or plant such runs"

    assert told(statement(days), "exercised") == (WAIT, "6 of 8", lacking.format("guard blocked, market closed"), None)
    assert told(statement(days, accepting("exercised.guard_blocked")), "exercised") == (
        WAIT,
        "7 of 8",
        lacking.format("market closed"),
        None,
    )
    found = statement(days, both)
    assert told(found, "exercised") == (PASS, "8 of 8", why, 0)
    assert found.accepted[-1] == f"What must have happened at least once: {why}"
    assert [each.name for each in found.criteria if each.accepted] == ["latency_tail", "exercised"]
    assert [each.name for each in statement(days, accepting("exercised.guard_blocked")).criteria if each.accepted] == [
        "latency_tail"
    ]
    live = with_every_day(TWELVE, exercised=frozenset(Feature), drilled=frozenset({Feature.SELLS_ONLY}))
    assert told(statement(live), "exercised") == (PASS, "8 of 8", "every one was gone through in a live run", 0)


def test_an_acceptance_holds_through_its_last_day() -> None:
    days = with_every_day(TWELVE, strata=trades(0, 1, Stratum.SMALL))
    for until, state in ((LAST, PASS), (LAST - timedelta(days=1), WAIT)):
        assert told(statement(days, accepting("rate.small", until=until)), "rate.small")[0] is state
    of_another = accepting("rate.large")
    assert told(statement(days, of_another), "rate.small")[0] is WAIT


# ---------------------------------------------------------------------- shares


def on(days: Sequence[int], count: int, diverged: int = 1) -> list[DayEvidence]:
    """Let trades of single days diverge."""
    bad = {"strata": trades(diverged), "runs": Tally(1, 1)}
    return [replace(day, **bad) if at in days else day for at, day in enumerate(honest_migration(count))]  # type: ignore[arg-type]


SHARES: dict[str, tuple[Sequence[DayEvidence], str, Told, int | None]] = {
    "before the first look": (
        honest_migration(4),
        "rate.all",
        (WAIT, "0.0% (0 of 64 trades), at most 10.7%", "First judged after 10 covered days; this is how it stands.", 6),
        96,
    ),
    "too little": (
        with_every_day(honest_migration(10), strata=trades(0, 6)),
        "rate.all",
        (WAIT, "0.0% (0 of 60 trades), at most 6.3%", TOO_LITTLE, 10),
        60,
    ),
    "too little, between looks": (
        with_every_day(honest_migration(13), strata=trades(0, 6)),
        "rate.all",
        (WAIT, "0.0% (0 of 78 trades), at most 4.9%", TOO_LITTLE, 7),
        42,
    ),
    "one trade a day": (
        with_every_day(honest_migration(30), strata=trades(0, 1)),
        "rate.all",
        (WAIT, "0.0% (0 of 30 trades), at most 9.5%", TOO_LITTLE, 35),
        35,
    ),
    "two of 192": (
        on((2, 5), 12),
        "rate.all",
        (WAIT, "1.0% (2 of 192 trades), at most 5.0%", ASKED, 8),
        128,
    ),
    "two of 256": (
        on((2, 14), 16),
        "rate.all",
        (WAIT, "0.8% (2 of 256 trades), at most 3.8%", "The last look asked for at most 1 diverging.", 4),
        64,
    ),
    "two of 320": (
        on((2, 14), 20),
        "rate.all",
        (PASS, "0.6% (2 of 320 trades), at most 3.0%", PASSED, 0),
        0,
    ),
    "two days of 12": (
        on((2, 5), 12),
        "bad_days",
        (
            WAIT,
            "16.7% (2 of 12 days), at most 43.8%",
            f"{ASKED} {NEVER}",
            None,
        ),
        None,
    ),
    "two days of 16": (
        on((2, 14), 16),
        "bad_days",
        (WAIT, "12.5% (2 of 16 days), at most 34.4%", "The last look asked for at most 1 diverging.", 4),
        None,
    ),
    "an eighth every day": (
        on(range(12), 12, diverged=2),
        "rate.all",
        (
            WAIT,
            "12.5% (24 of 192 trades), at most 20.3%",
            f"{ASKED} {NEVER}",
            None,
        ),
        None,
    ),
    "half of the last day": (
        on((19,), 20, diverged=8),
        "rate.all",
        (WAIT, "2.5% (8 of 320 trades), at most 10.2%", "It passed an earlier look; what happened since took that away.", None),
        None,
    ),
    "a quarter of the last four": (
        on(range(13, 17), 17, diverged=4),
        "rate.all",
        (WAIT, "5.9% (16 of 272 trades), at most 12.4%", "It passed an earlier look; what happened since took that away.", None),
        None,
    ),
    "a seldom path": (
        with_day(TWELVE, 3, paths={Path.BOTH_PHASES: Tally(0, 16), Path.GUARD_BLOCKED: Tally(0, 3)}),
        "path.guard_blocked",
        (PASS, "0 of 3 trades", "3 trades went this way, too few for a bound of their own", 0),
        None,
    ),
    "a seldom path that diverged": (
        with_day(TWELVE, 3, paths={Path.BOTH_PHASES: Tally(0, 16), Path.FAILED: Tally(1, 2)}),
        "path.failed",
        (WAIT, "50.0% (1 of 2 trades), at most 97.3%", TOO_LITTLE, None),
        None,
    ),
    "slow runs": (
        with_every_day(TWELVE, log_ratios=lasting(2.01, 2, 1)),
        "latency_tail",
        (
            WAIT,
            "33.3% (12 of 36 runs), at most 49.8%",
            TOO_LITTLE,
            None,
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", SHARES)
def test_what_is_said_of_a_share(name: str) -> None:
    evidence, criterion, expected, more_trades = SHARES[name]
    found = statement(evidence)

    assert told(found, criterion) == expected
    assert [each.more_trades for each in found.criteria if each.name == criterion] == [more_trades]


def test_diverging_trades_of_uncovered_days_count_with_the_next_covered_one() -> None:
    days = with_day(on((4,), 16, diverged=3), 4, published=2, judged=1)
    open_at_the_end = with_day(on((15,), 16, diverged=3), 15, published=2, judged=1, pending=1)

    assert told(statement(days), "rate.all")[1].startswith("1.2% (3 of 240 trades)")
    assert told(statement(open_at_the_end), "rate.all")[1].startswith("1.2% (3 of 256 trades)")


# ---------------------------------------------------------------------- durations


DURATIONS: dict[str, tuple[Sequence[DayEvidence], Told]] = {
    "three tenths slower": (
        with_every_day(TWELVE, log_ratios=lasting(1.3)),
        (
            WAIT,
            "1.30 times the control (at most 1.30, 12 days)",
            f"{USUAL} {NEVER}",
            None,
        ),
    ),
    "just within": (
        with_every_day(TWELVE, log_ratios=lasting(1.2499)),
        (PASS, "1.25 times the control (at most 1.25, 12 days)", USUAL, 0),
    ),
    "a mean of two runs": (
        with_every_day(TWELVE, log_ratios=lasting(2, 0.5)),
        (PASS, "1.00 times the control (at most 1.00, 12 days)", USUAL, 0),
    ),
    "two days": (honest_migration(2), (WAIT, "0.93 times the control (no bound yet, 2 days)", USUAL, 8)),
    "the last five days": (
        [replace(day, log_ratios=lasting(1.3)) if at >= 35 else day for at, day in enumerate(honest_migration(40))],
        (WAIT, "0.99 times the control (at most 1.11, 40 days)", USUAL, 5),
    ),
    "four of the last five days": (
        [replace(day, log_ratios=lasting(1.3)) if at >= 36 else day for at, day in enumerate(honest_migration(40))],
        (PASS, "0.98 times the control (at most 1.05, 40 days)", USUAL, 0),
    ),
    "a day that still waits": (
        with_day(honest_migration(13), 12, judged=0, pending=1, log_ratios=lasting(10)),
        (WAIT, "1.14 times the control (at most 2.48, 13 days)", USUAL, 3),
    ),
    "no durations on every second day": (
        [replace(day, log_ratios=()) if at % 2 else day for at, day in enumerate(honest_migration(24))],
        (PASS, "0.95 times the control (at most 1.01, 12 days)", USUAL, 0),
    ),
}


@pytest.mark.parametrize("name", DURATIONS)
def test_what_is_said_of_durations(name: str) -> None:
    evidence, expected = DURATIONS[name]

    assert told(statement(evidence), "latency") == expected


# ---------------------------------------------------------------------- periods


def test_what_people_decided_is_said_where_it_matters() -> None:
    days = [replace(day, version="a" if at < 6 else "b") for at, day in enumerate(honest_migration(13))]
    days = with_day(days, 7, published=0, judged=0, strata={}, runs=Tally(), paths={}, log_ratios=())
    changes = {
        "same_versions": tuple(SameVersion(versions=each, owner="ada", reason="a comment") for each in (("a", "b"), ("b", "c"))),
        "closures": tuple(Closure(day=days[at].day, reason="mourning") for at in (7, 8)),
    }
    found = statement(days, POLICY.model_copy(update=changes))

    assert found.accepted[:-1] == (
        f"{days[7].day} counts as closed: mourning",
        "a, b count as one version, by ada: a comment",
    )
    assert found.readiness is Readiness.READY


def test_the_figures_of_a_statement_are_those_of_the_present_period() -> None:
    days = [replace(day, version="a" if at < 3 else "b") for at, day in enumerate(honest_migration(18))]
    days = with_day(days, 17, swapped=1, drills=2)
    found = statement(days)

    assert (found.days, found.first_day, found.in_a_row, found.look, found.next_look) == (14, days[3].day, 0, 1, 15)
    assert (found.trades, found.runs, found.drills, found.workflow_in_production) == (224, 14, 8, True)
    assert found.period_began == f"another version since {days[3].day}: b, before it a"


def test_a_period_begins_on_the_day_of_its_restart() -> None:
    restarts = tuple(Restart(day=TWELVE[at].day, owner="ada", reason=f"number {at}") for at in (8, 3))
    history = history_of(TWELVE, LAST, ReadinessPolicy(restarts=restarts))
    later = history_of(TWELVE[:8], TWELVE[8].day, ReadinessPolicy(restarts=restarts))

    assert [len(period.days) for period in history.periods] == [3, 5, 4]
    assert [period.began for period in history.periods] == [
        "the first day of evidence",
        f"restarted by ada on {TWELVE[3].day}: number 3",
        f"restarted by ada on {TWELVE[8].day}: number 8",
    ]
    assert (history.in_a_row, later.in_a_row, len(later.periods), later.days) == (4, 0, 3, ())


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda days: days, 12),
        (lambda days: days[:4] + days[5:], 7),
        (lambda days: with_day(days, 4, swapped=1), 7),
        (lambda days: with_day(days, 11, judged=0, pending=1), 11),
        (lambda days: with_day(days, 10, judged=0, pending=1), 1),
        (lambda days: with_day(days, 11, judged=0), 0),
        (lambda days: days[:11], 0),
    ],
    ids=["whole", "no entry", "swapped", "open", "open before the last", "uncovered", "as of a day without an entry"],
)
def test_the_row_is_of_days_without_a_gap(change: Callable[[list[DayEvidence]], list[DayEvidence]], row: int) -> None:
    assert history_of(change(TWELVE), LAST, POLICY).in_a_row == row


def test_a_weekend_and_an_exchange_holiday_are_no_gap() -> None:
    """2025-09-01 was Labor Day: Friday the 29th is followed by Tuesday the 2nd."""
    days = [honest_day(date(2025, 8, 29)), *honest_migration(9)]

    assert history_of(days, days[-1].day, POLICY).in_a_row == 10
    assert history_of(days, days[-1].day + timedelta(days=1), POLICY).in_a_row == (10 if days[-1].day.weekday() == 4 else 0)
