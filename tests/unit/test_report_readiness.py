"""Readiness: an honest migration is READY on day ten and not before, and each criterion alone takes it away."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from reports.data.columns import Path
from reports.readiness.criteria import assess
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum, Tally
from reports.readiness.readiness import CriterionState, KnownEntry, Readiness, ReadinessPolicy, Statement
from tests.factories.evidence_days import DRILLED, honest_day, honest_migration, with_day, with_every_day

Change = Callable[[list[DayEvidence]], list[DayEvidence]]


def statement(evidence: list[DayEvidence], **options: object) -> Statement:
    return assess(evidence, as_of=evidence[-1].day if evidence else date(2025, 9, 1), **options)  # type: ignore[arg-type]


def failing(found: Statement) -> set[str]:
    return {criterion.name for criterion in found.criteria if criterion.state is not CriterionState.PASS}


def strata_with(stratum: Stratum, tally: Tally) -> dict[Stratum, Tally]:
    return {**honest_day(date(2025, 9, 2)).strata, stratum: tally}


def test_an_honest_migration_is_ready_on_day_ten_and_not_before() -> None:
    days = honest_migration(15)
    verdicts = [statement(days[:count]).readiness for count in range(1, 16)]
    assert verdicts == [Readiness.NOT_YET] * 9 + [Readiness.READY] * 6


def test_before_day_ten_it_says_how_many_days_are_missing() -> None:
    found = statement(honest_migration(7))
    assert (found.readiness, found.more_days) == (Readiness.NOT_YET, 3)


def test_a_day_with_the_workflow_in_production_is_no_evidence_about_cutting_over() -> None:
    found = statement(with_day(honest_migration(12), 11, swapped=1))
    assert (found.readiness, found.days, found.workflow_in_production) == (Readiness.NOT_YET, 0, True)
    (coverage,) = [criterion for criterion in found.criteria if criterion.name == "coverage"]
    assert "the workflow was in production" in coverage.reason
    later = statement(with_day(honest_migration(12), 3, swapped=1))
    assert (later.days, later.workflow_in_production) == (8, False)


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
    ("rate.all", Readiness.NOT_YET, lambda days: with_every_day(days, strata=strata_with(Stratum.ALL, Tally(1, 16)))),
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


def test_an_expired_known_divergence_blocks_alone() -> None:
    days = honest_migration(12)
    entry = KnownEntry(id="KD-1", owner="desk", reason="rounding", expires=days[-1].day - timedelta(days=1))
    found = statement(days, register=[entry])
    assert (found.readiness, failing(found)) == (Readiness.BLOCKED, {"known_divergences"})
    assert "KD-1 of desk expired" in next(c.reason for c in found.criteria if c.name == "known_divergences")


def test_a_known_divergence_is_in_force_on_its_last_day() -> None:
    days = honest_migration(12)
    entry = KnownEntry(id="KD-1", owner="desk", reason="rounding", expires=days[-1].day)
    assert statement(days, register=[entry]).readiness is Readiness.READY


def test_a_known_divergence_over_its_budget_today_blocks() -> None:
    days = with_day(honest_migration(12), 11, over_budget=frozenset({"KD-1"}))
    entry = KnownEntry(id="KD-1", owner="desk", reason="rounding", expires=date(2030, 1, 1))
    assert failing(statement(days, register=[entry])) == {"known_divergences"}


def test_no_data_is_never_a_pass() -> None:
    found = statement([])
    assert found.readiness is Readiness.NOT_YET
    assert {c.name for c in found.criteria if c.state is CriterionState.PASS} == {"known_divergences"}
    assert found.more_days is None


def test_days_before_a_gap_do_not_count() -> None:
    days = with_day(honest_migration(14), 5, published=0, judged=0)
    found = statement(days)
    assert (found.days, found.first_day) == (8, days[6].day)


def test_a_last_day_that_waits_for_verdicts_neither_counts_nor_breaks_the_row() -> None:
    days = with_day(honest_migration(12), 11, judged=0, pending=1)
    found = statement(days)
    assert (found.readiness, found.days, failing(found)) == (Readiness.NOT_YET, 11, {"coverage"})
    earlier = statement(with_day(honest_migration(12), 10, judged=0, pending=1))
    assert earlier.days == 1


def test_replayed_and_planted_runs_are_counted_apart() -> None:
    found = statement(honest_migration(12))
    assert (found.trades, found.runs, found.drills) == (192, 12, len(DRILLED))
    assert set(found.only_drilled) == {feature.value for feature in DRILLED}
    assert "broker rejection" in found.never_exercised


def test_between_two_looks_the_last_look_holds() -> None:
    # A divergence on day 12 comes after the look of day 10 and is judged by the look of day 15.
    days = with_day(honest_migration(15), 11, strata=strata_with(Stratum.ALL, Tally(16, 16)))
    assert statement(days[:14]).readiness is Readiness.READY
    assert failing(statement(days)) == {"rate.all"}


def test_it_says_how_many_days_and_trades_the_rate_still_needs() -> None:
    # Six trades a day: 60 after ten days, where 72 without a divergence are needed below 5 % at the first look.
    days = with_every_day(honest_migration(10), strata=strata_with(Stratum.ALL, Tally(0, 6)))
    criterion = next(c for c in statement(days).criteria if c.name == "rate.all")
    # Day 15 spends 0.05 / 6 and has 90 trades of the 94 it needs; day 20 spends 0.05 / 12 and has 120 of 107.
    assert (criterion.state, criterion.more_days, criterion.more_trades) == (CriterionState.WAIT, 10, 60)


def test_a_rate_beyond_its_target_never_gets_there() -> None:
    days = with_every_day(honest_migration(12), strata=strata_with(Stratum.ALL, Tally(1, 16)))
    criterion = next(c for c in statement(days).criteria if c.name == "rate.all")
    assert criterion.more_days is None
    assert "never gets there" in criterion.reason


def test_a_seldom_path_without_divergence_does_not_stand_in_the_way() -> None:
    paths = {Path.BOTH_PHASES: Tally(0, 16), Path.GUARD_BLOCKED: Tally(0, 3)}
    assert statement(with_day(honest_migration(12), 3, paths=paths)).readiness is Readiness.READY


def test_targets_are_data() -> None:
    strict = ReadinessPolicy(days=10, cost_budget_usd=Decimal("0.01"))
    assert failing(statement(honest_migration(12), policy=strict)) == {"cost"}


def test_a_longer_period_can_be_asked_for() -> None:
    policy = ReadinessPolicy(days=20)
    days = honest_migration(20)
    assert statement(days[:19], policy=policy).readiness is Readiness.NOT_YET
    assert statement(days, policy=policy).readiness is Readiness.READY


def test_the_statement_is_a_value_that_goes_to_json_and_back() -> None:
    found = statement(honest_migration(12))
    assert Statement.parse_json(found.model_dump_json()) == found
    assert replace(honest_migration(1)[0]) == honest_migration(1)[0]
