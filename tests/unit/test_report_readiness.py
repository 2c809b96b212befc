"""Readiness: an honest migration is READY on day ten and not before, and each criterion alone takes it away."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from reports.daily.build import build_statement
from reports.data.columns import Path
from reports.readiness.criteria import assess
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum, Tally
from reports.readiness.readiness import (
    Acceptance,
    Closure,
    CriterionState,
    Readiness,
    ReadinessPolicy,
    Restart,
    SameVersion,
    Statement,
    history_of,
)
from reports.readiness.shares import Judged, judge_share, rate_of
from shadow.contracts.comparison import Attribution, Comparison, Severity
from shadow.contracts.errors import ConfigurationError, InvalidPayload
from tests.factories.comparisons import Given, comparison_of, difference, diverged, missing_candidate, with_roles_swapped
from tests.factories.evidence_days import ACCEPTED, DRILLED, days_from, honest_day, honest_migration, with_day, with_every_day

DAYS = days_from(date(2025, 9, 2), 20)
Change = Callable[[list[DayEvidence]], list[DayEvidence]]


def statement(evidence: list[DayEvidence], **options: object) -> Statement:
    """Assess with the slow runs accepted by name: they alone need thirty days."""
    options.setdefault("policy", ReadinessPolicy(accepted=(ACCEPTED,)))
    return assess(evidence, as_of=evidence[-1].day if evidence else date(2025, 9, 1), **options)  # type: ignore[arg-type]


def failing(found: Statement) -> set[str]:
    return {criterion.name for criterion in found.criteria if criterion.state is not CriterionState.PASS}


def strata_with(stratum: Stratum, tally: Tally) -> dict[Stratum, Tally]:
    return {**honest_day(date(2025, 9, 2)).strata, stratum: tally}


def test_an_honest_migration_is_ready_on_day_ten_and_not_before() -> None:
    days = honest_migration(15)
    verdicts = [statement(days[:count]).readiness for count in range(1, 16)]
    assert verdicts == [Readiness.NOT_YET] * 9 + [Readiness.READY] * 6


def without(stratum: Stratum) -> Change:
    return lambda days: with_every_day(days, strata=strata_with(stratum, Tally()))


CASES: list[tuple[str, Readiness, Change]] = [
    ("coverage", Readiness.NOT_YET, lambda days: with_day(days, 4, judged=0)),
    ("coverage", Readiness.NOT_YET, lambda days: with_day(days, 4, published=0, judged=0)),
    ("coverage", Readiness.BLOCKED, lambda days: with_day(days, 11, conserved=False)),
    ("unexplained", Readiness.BLOCKED, lambda days: with_day(days, 4, critical=1)),
    ("unexplained", Readiness.BLOCKED, lambda days: with_day(days, 4, major=1)),
    ("safety", Readiness.BLOCKED, lambda days: with_day(days, 4, safety=1)),
    ("cost", Readiness.BLOCKED, lambda days: with_every_day(days, transitions=40_000)),
    ("cost", Readiness.NOT_YET, lambda days: with_every_day(days, transitions=0)),
    ("latency", Readiness.NOT_YET, lambda days: with_every_day(days, log_ratios=(math.log(1.25),))),
    ("latency", Readiness.NOT_YET, lambda days: with_every_day(days, log_ratios=())),
    ("exercised", Readiness.NOT_YET, lambda days: with_day(days, 0, drilled=DRILLED - {Feature.GUARD_BLOCKED})),
    *[
        (
            f"rate.{stratum.name.lower()}",
            Readiness.NOT_YET,
            lambda days, s=stratum: with_every_day(days, strata=strata_with(s, Tally())),
        )
        for stratum in Stratum
    ],
    ("bad_days", Readiness.NOT_YET, lambda days: with_every_day(days, runs=Tally(1, 2))),
    ("rate.small", Readiness.NOT_YET, lambda days: with_every_day(days, strata=strata_with(Stratum.SMALL, Tally(0, 1)))),
    ("path.both_phases", Readiness.NOT_YET, lambda days: with_every_day(days, paths={Path.BOTH_PHASES: Tally(1, 16)})),
    ("path.both_phases", Readiness.NOT_YET, lambda days: with_every_day(days, paths={})),
    (
        "path.guard_blocked",
        Readiness.NOT_YET,
        lambda days: with_day(days, 3, paths={Path.BOTH_PHASES: Tally(0, 16), Path.GUARD_BLOCKED: Tally(1, 16)}),
    ),
]


@pytest.mark.parametrize(("name", "readiness", "change"), CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)])
def test_each_criterion_alone_takes_readiness_away(name: str, readiness: Readiness, change: Change) -> None:
    days = honest_migration(12)
    assert statement(days).readiness is Readiness.READY
    found = statement(change(days))
    assert found.readiness is readiness
    assert failing(found) == {name} or (name == "coverage" and "coverage" in failing(found))


SUNDAY = date(2025, 11, 9)
AROUND = days_from(date(2025, 11, 3), 10)


def stated(*more: Comparison) -> Statement:
    return build_statement(Given(*map(comparison_of, AROUND), *more), AROUND[-1])


def of(found: Statement, name: str) -> tuple[CriterionState, str]:
    return next((each.state, each.figure) for each in found.criteria if each.name == name)


def test_what_agrees_on_a_closed_day_counts_for_nothing_and_ends_no_row() -> None:
    assert stated(comparison_of(SUNDAY)) == stated()
    assert stated(missing_candidate(comparison_of(SUNDAY))) == stated()
    assert (stated().days, stated().in_a_row) == (10, 10)


def test_what_diverges_on_a_closed_day_is_not_forgotten() -> None:
    pair = comparison_of(SUNDAY)
    twice = difference(pair, 0, kind="DOUBLE_ORDER", severity=Severity.CRITICAL)
    found = stated(diverged(pair, twice, difference(pair, 1, severity=Severity.MINOR)))
    assert (found.readiness, found.days, found.in_a_row, found.trades) == (Readiness.BLOCKED, 10, 10, stated().trades)
    assert of(found, "unexplained") == (CriterionState.FAIL, "1 critical, 0 major")
    assert of(found, "safety") == (CriterionState.FAIL, "1")
    assert of(found, "rate.all")[1].startswith("1.7% (2 of 120 trades)")


def test_what_diverges_on_a_closed_day_with_the_workflow_in_production_is_about_another_question() -> None:
    pair = with_roles_swapped(comparison_of(SUNDAY))
    found = stated(diverged(pair, difference(pair, 0, attribution=Attribution.CONTROL)))
    assert of(found, "rate.all") == of(stated(), "rate.all")
    assert of(found, "unexplained") == of(stated(), "unexplained")


def test_a_closed_day_before_the_evidence_begins_and_after_it_ends_is_no_part_of_it() -> None:
    outside = [comparison_of(day) for day in (date(2025, 11, 1), date(2025, 11, 15))]
    assert stated(*(diverged(pair, difference(pair, 0)) for pair in outside)) == stated()


def all_diverged(day: DayEvidence) -> DayEvidence:
    strata = {name: Tally(tally.total, tally.total) for name, tally in day.strata.items()}
    return replace(day, strata=strata, paths={Path.BOTH_PHASES: Tally(16, 16)}, runs=Tally(1, 1))


EVERYTHING_DIVERGES: dict[str, tuple[Callable[[DayEvidence], DayEvidence], str]] = {
    "every trade, minor": (all_diverged, "last_day"),
    "every trade, major": (lambda day: replace(all_diverged(day), major=16), "unexplained"),
    "every trade, and a verdict is still waited for": (
        lambda day: replace(all_diverged(day), published=2, judged=1, pending=1),
        "last_day",
    ),
    "the one trade of a quiet day": (
        lambda day: replace(day, strata={Stratum.ALL: Tally(1, 1)}, paths={}, runs=Tally(1, 1)),
        "last_day",
    ),
    "every run, none of its trades": (lambda day: replace(day, runs=Tally(1, 1)), "last_day"),
    "every run lasts ten times as long": (lambda day: replace(day, log_ratios=(math.log(10),)), "latency"),
    "every pair incomplete": (lambda day: replace(day, judged=0), "coverage"),
    "nothing reached both lanes": (lambda day: replace(day, planned=1, published=0, judged=0), "coverage"),
    "a double order": (lambda day: replace(day, safety=1), "safety"),
    "another version": (lambda day: replace(day, version="the next"), "coverage"),
}


@pytest.mark.parametrize("sort", EVERYTHING_DIVERGES)
@pytest.mark.parametrize("begin", [10, 11, 16, 38])
def test_ready_is_gone_on_the_first_day_on_which_everything_diverges(begin: int, sort: str) -> None:
    change, criterion = EVERYTHING_DIVERGES[sort]
    days = [change(day) if at >= begin else day for at, day in enumerate(honest_migration(begin + 3))]
    assert statement(days[:begin]).readiness is Readiness.READY
    found = [statement(days[:end]) for end in range(begin + 1, begin + 4)]
    assert all(each.readiness is not Readiness.READY for each in found)
    assert criterion in failing(found[0])


def test_an_honest_migration_stays_ready() -> None:
    days = honest_migration(60)
    assert all(statement(days[:end]).readiness is Readiness.READY for end in range(10, 61, 2))


def test_a_change_to_nine_percent_after_forty_clean_days_takes_ready_away_within_the_week() -> None:
    days = honest_migration(45)
    strata = {**days[0].strata, Stratum.ALL: Tally(2, 16), Stratum.LARGE: Tally(2, 12), Stratum.BUYS: Tally(2, 8)}
    days = [replace(day, strata=strata, runs=Tally(1, 1)) if at >= 40 else day for at, day in enumerate(days)]
    assert statement(days[:40]).readiness is Readiness.READY
    assert statement(days[:42]).readiness is Readiness.NOT_YET


@pytest.mark.parametrize("at", [0, 4, 7])
def test_one_minor_difference_does_not_close_the_road_for_a_month(at: int) -> None:
    one = replace(honest_day(date(2025, 9, 2)), runs=Tally(1, 1), strata=strata_with(Stratum.ALL, Tally(1, 16)))
    days = with_day(honest_migration(20), at, strata=one.strata, runs=one.runs)
    assert any(statement(days[:end]).readiness is Readiness.READY for end in (10, 15, 20))


def test_a_thin_stratum_waits_until_it_is_accepted_by_name_and_is_named_first() -> None:
    days = with_every_day(honest_migration(12), strata=strata_with(Stratum.FULL_EXITS, Tally()))
    days = with_day(days, 3, strata=strata_with(Stratum.FULL_EXITS, Tally(0, 1)))
    assert failing(statement(days)) == {"rate.full_exits"}
    exits = Acceptance(name="rate.full_exits", owner="ada", reason="two exits a year", expires=days[-1].day)
    found = statement(days, policy=ReadinessPolicy(accepted=(ACCEPTED, exits)))
    assert found.readiness is Readiness.READY
    assert any("accepted by ada" in line and "two exits a year" in line for line in found.accepted)


def test_what_diverges_cannot_be_accepted_as_thin() -> None:
    days = with_day(honest_migration(12), 3, strata=strata_with(Stratum.FULL_EXITS, Tally(1, 1)))
    days = [replace(day, strata={**day.strata, Stratum.FULL_EXITS: Tally()}) if at != 3 else day for at, day in enumerate(days)]
    exits = Acceptance(name="rate.full_exits", owner="ada", reason="two exits a year", expires=days[-1].day)
    assert "rate.full_exits" in failing(statement(days, policy=ReadinessPolicy(accepted=(ACCEPTED, exits))))


def test_a_thin_stratum_is_filled_by_replayed_pairs_of_the_same_version() -> None:
    days = with_every_day(honest_migration(12), strata=strata_with(Stratum.FULL_EXITS, Tally()))
    replayed = with_day(days, 2, replayed={Stratum.FULL_EXITS: Tally(0, 60)})
    assert failing(statement(days)) == {"rate.full_exits"}
    assert "rate.full_exits" in failing(statement(replayed))  # sixty on one day may all go wrong together
    spread = with_every_day(days, replayed={Stratum.FULL_EXITS: Tally(0, 3)})
    assert statement(spread).readiness is Readiness.READY


def test_a_restart_needs_a_reason_and_pays_from_the_same_budget() -> None:
    days = honest_migration(60)
    restarts = tuple(Restart(day=days[at].day, owner="desk", reason="begun anew") for at in (10, 20, 30, 40))
    policy = ReadinessPolicy(accepted=(ACCEPTED,), restarts=restarts)
    found = statement(days[:50], policy=policy)
    assert "begun anew" in found.period_began
    assert found.readiness is Readiness.NOT_YET
    assert statement(days[:50]).readiness is Readiness.READY


def test_a_closure_that_no_calendar_knew_neither_counts_nor_breaks_the_row() -> None:
    days = with_day(honest_migration(13), 6, published=0, judged=0, strata={}, runs=Tally(), paths={}, log_ratios=())
    assert failing(statement(days)) == {"coverage"}
    policy = ReadinessPolicy(accepted=(ACCEPTED,), closures=(Closure(day=days[6].day, reason="day of mourning"),))
    found = statement(days, policy=policy)
    assert found.readiness is Readiness.READY
    assert f"{days[6].day} counts as closed: day of mourning" in found.accepted
    assert statement([*days[:6], *days[7:]], policy=policy).readiness is Readiness.READY  # nor is an entry of the day needed
    planned = with_day(days, 6, planned=1)
    assert failing(statement(planned, policy=policy)) == {"coverage"}  # there were plans, so the exchange was open


def test_slow_runs_are_judged_beside_the_mean() -> None:
    days = honest_migration(40)
    assert statement(days, policy=ReadinessPolicy()).readiness is Readiness.READY
    slow = [replace(day, log_ratios=(math.log(4),)) if at % 10 == 3 else day for at, day in enumerate(days)]
    assert "latency_tail" in failing(statement(slow, policy=ReadinessPolicy()))


def test_a_longer_period_can_be_asked_for() -> None:
    policy = ReadinessPolicy(accepted=(ACCEPTED,), days=20)
    days = honest_migration(20)
    assert statement(days[:19], policy=policy).readiness is Readiness.NOT_YET
    assert statement(days, policy=policy).readiness is Readiness.READY


def test_the_statement_is_a_value_that_goes_to_json_and_back() -> None:
    found = statement(honest_migration(12))
    assert Statement.parse_json(found.model_dump_json()) == found


def test_a_day_on_which_the_version_changed_counts_with_both_where_they_are_declared_one() -> None:
    versions = ["a"] * 6 + ["a, b"] + ["b"] * 7
    days = [replace(day, version=version) for day, version in zip(honest_migration(14), versions, strict=True)]
    assert statement(days).days == 7
    same = SameVersion(versions=("a", "b"), owner="ada", reason="a comment changed")
    assert statement(days, policy=ReadinessPolicy(accepted=(ACCEPTED,), same_versions=(same,))).days == 14


def test_a_day_whose_plans_only_hold_neither_counts_nor_breaks_the_row() -> None:
    nothing = {"judged": 0, "strata": {}, "runs": Tally(), "paths": {}, "log_ratios": ()}
    quiet = with_day(honest_migration(13), 6, published=0, planned=0, held=1, **nothing)
    assert (statement(quiet).readiness, statement(quiet).in_a_row) == (Readiness.READY, 12)
    one_was_lost = with_day(honest_migration(13), 6, published=0, planned=1, held=1, **nothing)
    assert failing(statement(one_was_lost)) == {"coverage"}


def test_what_a_look_costs_does_not_depend_on_what_diverged() -> None:
    """A look that fails on days that went wrong together uses as much of the budget as one on clean days."""
    policy = ReadinessPolicy()
    share = rate_of(policy, Stratum.ALL)

    def judged(bad: tuple[int, ...]) -> Judged:
        days = [replace(honest_day(day), strata={Stratum.ALL: Tally(n, 5)}) for day, n in zip(DAYS, bad, strict=True)]
        return judge_share(history_of(days, DAYS[-1], policy), share)

    clean, together = judged((0,) * 20), judged((5, 5, 0, 0, 5) + (0,) * 15)
    assert (clean.passed, together.passed) == (True, False)
    assert together.left == clean.left < policy.alpha


BEYOND: dict[str, Callable[[DayEvidence], DayEvidence]] = {
    "a critical difference": lambda day: replace(day, critical=1),
    "a major difference": lambda day: replace(day, major=1),
    "all its trades": all_diverged,
}


@pytest.mark.parametrize("sort", BEYOND)
def test_r3_a_day_that_broke_the_row_still_counts_by_what_diverged_on_it(sort: str) -> None:
    """An INCOMPLETE pair beside a bad one must not take the bad one out of the evidence."""
    days = honest_migration(18)
    broken = replace(days[4], published=2, judged=1)
    quiet, loud = [*days[:4], broken, *days[5:]], [*days[:4], BEYOND[sort](broken), *days[5:]]
    assert statement(quiet).readiness is Readiness.READY
    assert all(statement(loud[:end]).readiness is not Readiness.READY for end in range(10, 19))


def test_r3_what_diverged_on_a_broken_day_belongs_to_the_version_that_ran_on_it() -> None:
    days = [replace(day, version="a" if at < 5 else "b") for at, day in enumerate(honest_migration(18))]
    days[5] = replace(days[5], major=1, published=2, judged=1)
    assert "unexplained" in failing(statement(days))


def test_r3_with_the_workflow_in_production_differences_are_about_another_question() -> None:
    days = with_day(honest_migration(18), 4, swapped=1, major=1)
    assert statement(days).readiness is Readiness.READY


@pytest.mark.parametrize("end", [12, 17])
def test_r4_late_evidence_that_turns_an_earlier_clean_day_bad_takes_ready_away_at_once(end: int) -> None:
    days = honest_migration(end)
    late = [all_diverged(day) if at == 3 else day for at, day in enumerate(days)]
    assert statement(days).readiness is Readiness.READY
    assert statement(late).readiness is Readiness.NOT_YET


def test_r3_a_day_without_an_entry_is_a_day_that_was_not_covered() -> None:
    days = honest_migration(15)
    found = statement([*days[:8], *days[9:]])
    assert (found.readiness, found.in_a_row, found.days) == (Readiness.NOT_YET, 6, 14)
    days = honest_migration(12)
    stale = assess(days[:10], as_of=days[11].day, policy=ReadinessPolicy(accepted=(ACCEPTED,)))
    assert (stale.readiness, stale.in_a_row) == (Readiness.NOT_YET, 0)


def test_evidence_out_of_order_is_refused() -> None:
    days = honest_migration(12)
    for wrong in ([*days[1:], days[0]], [*days, days[-1]]):
        with pytest.raises(ValueError, match="in order"):
            assess(wrong, as_of=days[-1].day)
    with pytest.raises(ValueError, match="up to"):
        assess(days, as_of=days[-2].day)


@pytest.mark.parametrize(
    "name", ["rate.all", "bad_days", "coverage", "unexplained", "safety", "latency", "last_day", "rate.exits", ""]
)
def test_r5_nobody_accepts_what_carries_the_promise(name: str) -> None:
    with pytest.raises(ValueError, match=r"one of exercised\."):
        Acceptance(name=name, owner="ada", reason="in a hurry", expires=date(2030, 1, 1))


@pytest.mark.parametrize("blank", ["", "  "])
def test_r3_whoever_decides_says_why(blank: str) -> None:
    makers: list[Callable[[], object]] = [
        lambda: Restart(day=DAYS[0], owner="ada", reason=blank),
        lambda: Acceptance(name="rate.small", owner="ada", reason=blank, expires=DAYS[0]),
        lambda: SameVersion(versions=("a", "b"), owner="ada", reason=blank),
        lambda: Closure(day=DAYS[0], reason=blank),
        lambda: ReadinessPolicy().restarted(f"{DAYS[0]} {blank}"),
    ]
    for make in makers:
        with pytest.raises((ValueError, ConfigurationError)):
            make()


def test_r4_targets_that_a_person_loosened_stand_first() -> None:
    loose = ReadinessPolicy(accepted=(ACCEPTED,), alpha=0.2, rate_targets={Stratum.ALL: 0.5}, required=())
    said = statement(honest_migration(12), policy=loose).accepted
    assert said[0] == "alpha: 0.2, by default 0.05"
    assert said[1].startswith("rate_targets: all trades 0.5, by default all trades 0.05, buys 0.1")
    assert said[2].startswith("required: none, by default sells and buys, sells only")
    assert [line.partition(":")[0] for line in statement(honest_migration(12)).accepted] == [
        "Runs slower than 2 times the control"
    ]


def test_r4_versions_that_are_the_same_as_a_third_are_the_same() -> None:
    days = [replace(day, version="abc"[at // 5]) for at, day in enumerate(honest_migration(15))]
    pairs = (("a", "b"), ("b", "c"))
    same = tuple(SameVersion(versions=each, owner="ada", reason="a comment changed") for each in pairs)
    found = statement(days, policy=ReadinessPolicy(accepted=(ACCEPTED,), same_versions=same))
    assert (found.readiness, found.days) == (Readiness.READY, 15)
    assert "a, b count as one version, by ada: a comment changed" in found.accepted


def test_a_safety_violation_rests_only_when_a_person_begins_anew() -> None:
    days = [replace(day, version="a" if at < 9 else "b") for at, day in enumerate(honest_migration(38))]
    days[4] = replace(days[4], safety=1)
    assert "safety" in failing(statement(days))
    again = Restart(day=days[9].day, owner="ada", reason="the double order is mended")
    assert statement(days, policy=ReadinessPolicy(accepted=(ACCEPTED,), restarts=(again,))).readiness is Readiness.READY


BOUNDS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "days": ((1, 10), (0, -1)),
    "look_step": ((1, 5), (0,)),
    "full_look": ((1, 20), (0,)),
    "alpha": ((0.001, 0.05, 0.49), (0, 0.5)),
    "correlation": ((0, 0.1, 0.99), (-0.01, 1)),
    "autocorrelation": ((0, 0.5, 0.99), (-0.01, 1)),
    "bad_day_target": ((0.001, 0.35, 0.99), (0, 1)),
    "path_target": ((0.001, 0.1, 0.99), (0, 1)),
    "latency_margin": ((0.001, 0.25, 9), (0,)),
    "slow_ratio": ((1.001, 2, 9), (1,)),
    "slow_target": ((0.001, 0.1, 0.99), (0, 1)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_that_the_arithmetic_cannot_take_is_no_policy(name: str) -> None:
    good, bad = BOUNDS[name]
    for value in good:
        assert getattr(ReadinessPolicy.parse({name: value}), name) == value
    for value in bad:
        with pytest.raises(InvalidPayload, match=name):
            ReadinessPolicy.parse({name: value})


def test_the_policy_that_nobody_changed_is_the_one_whose_chances_are_published() -> None:
    """`docs/readiness.md` says how often it is right and wrong: another default needs that page made anew."""
    numbers = ReadinessPolicy().model_dump(
        mode="json", exclude={"required", "bounded_paths", "rate_targets"}, exclude_defaults=False
    )
    assert {name: value for name, value in numbers.items() if not isinstance(value, list)} == {
        "days": 10,
        "look_step": 5,
        "full_look": 20,
        "alpha": 0.05,
        "correlation": 0.1,
        "autocorrelation": 0.5,
        "bad_day_target": 0.35,
        "path_target": 0.1,
        "latency_margin": 0.25,
        "slow_ratio": 2.0,
        "slow_target": 0.1,
        "cost_budget_usd": "10",
        "usd_per_transition": "0.000025",
        "trading_days_a_month": 21,
    }
    targets = {stratum.name: value for stratum, value in ReadinessPolicy().rate_targets.items()}
    assert targets == {"ALL": 0.05, "BUYS": 0.10, "SELLS": 0.10, "FULL_EXITS": 0.25, "LARGE": 0.10, "SMALL": 0.20}


def test_what_is_still_needed_is_the_most_that_any_criterion_needs() -> None:
    found = statement(honest_migration(6))
    waits = [each for each in found.criteria if each.state is CriterionState.WAIT]
    assert found.more_days == max(each.more_days for each in waits if each.more_days is not None)
    assert found.more_trades == max(each.more_trades for each in waits if each.more_trades is not None)
