"""Business Unit: tests | Status: current.

A version becomes READY by its own evidence and by no other's: not by what the lane that shadows does, not by another version's
runs, not by runs whose execution does not say which version ran, and not while plans that production ran are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from reports.daily.build import build_statement
from reports.daily.composition import settings_of
from reports.readiness.day_evidence import Feature
from reports.readiness.readiness import Readiness, ReadinessPolicy, Statement
from reports.versions import LedgerOfVersion, OfVersion
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Attribution, Comparison, Verdict
from shadow.contracts.pair import Pair, PairState
from shadow.contracts.vocabulary import Lane
from shadow.replay.identity import replayed_plan
from tests.factories.comparisons import comparison_of, difference, diverged, document
from tests.factories.evidence_days import ACCEPTED, days_from
from tests.fakes.cli_cloud import pair_of

DAYS = days_from(date(2026, 1, 5), 20)
DECIDED = ReadinessPolicy(required=(Feature.BOTH_PHASES,), accepted=(ACCEPTED,))


@dataclass
class Stored:
    """Comparisons in order, and the ledger that names them."""

    comparisons: Sequence[Comparison]

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        yield from ((entry.plan_id, document(entry)) for entry in self.comparisons if first <= entry.trading_day <= last)

    def pairs_of(self, trading_day: date) -> list[Pair]:
        return [_pair(entry) for entry in self.comparisons if entry.trading_day == trading_day]

    def unpaired_of(self, trading_day: date) -> None:
        del trading_day


def _pair(comparison: Comparison) -> Pair:
    judged = {
        "state": PairState.JUDGED,
        "verdict": comparison.verdict,
        "settled_at": comparison.published_at + timedelta(seconds=60),
    }
    return pair_of(comparison, **judged, production_lane=comparison.production_lane)


def live(day: date) -> Comparison:
    """What production and the lane that shadows it did on a day: they never agree."""
    base = comparison_of(day, trades=16).model_copy(update={"production_lane": Lane.WORKFLOW})
    return diverged(base, difference(base))


def shadowed(day: date, number: int = 2, *, ran: int | None = 2) -> Comparison:
    """What version `number` did with the same plan, in agreement with production; its execution says that `ran` ran."""
    base = comparison_of(day, trades=16, origin="replay")
    plan = replayed_plan(base.plan, f"version-{number}")
    assert base.candidate is not None
    named = base.candidate.model_copy(update={"version": f"workflow:{ran}" if ran else None})
    update = {"plan_id": plan.plan_id, "plan": plan, "run_id": plan.plan_id, "candidate": named}
    return base.model_copy(update=update)


def statement(comparisons: Sequence[Comparison], name: str = "workflow:2") -> Statement:
    stored = Stored(comparisons)
    settings = settings_of(default_policy()).model_copy(update={"policy": DECIDED})
    return build_statement(OfVersion(stored, name), DAYS[-1], ledger=LedgerOfVersion(stored, name), settings=settings)


def test_a_version_that_agrees_with_production_becomes_ready_though_the_shadow_lane_never_does() -> None:
    found = statement([entry for day in DAYS for entry in (live(day), shadowed(day))])

    assert (found.readiness, found.days, found.workflow_in_production) == (Readiness.READY, len(DAYS), False)


def test_another_version_s_evidence_makes_nobody_ready() -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day))]

    assert statement(comparisons, "workflow:3").readiness is not Readiness.READY


@pytest.mark.parametrize("ran", [None, 1, 20])
def test_a_run_that_does_not_say_that_the_version_ran_is_not_its_evidence(ran: int | None) -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day, ran=ran))]

    assert statement(comparisons).readiness is not Readiness.READY


def test_a_plan_that_production_ran_and_the_version_did_not_keeps_it_from_ready() -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day))]

    found = statement([entry for entry in comparisons if entry != shadowed(DAYS[-2])])

    assert found.readiness is not Readiness.READY


def test_a_difference_of_the_version_keeps_it_from_ready() -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day))]
    wrong = diverged(comparisons[-1], difference(comparisons[-1], attribution=Attribution.CANDIDATE))

    assert wrong.verdict is Verdict.DIVERGED
    assert statement([*comparisons[:-1], wrong]).readiness is not Readiness.READY
