"""Business Unit: tests | Status: current.

A version becomes READY by its own evidence and by no other's: not by what the lane that shadows does, not by another version's
runs, not by runs whose execution does not say which version ran, and not while plans that production ran are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from reports.daily.build import build_statement
from reports.daily.composition import settings_of
from reports.data.frames import load_frames
from reports.material import Material
from reports.promoting import weighed
from reports.readiness.day_evidence import Feature, Stratum, evidence_of
from reports.readiness.readiness import CriterionState, Readiness, ReadinessPolicy, Statement
from reports.versions import of_version
from shadow.aws.versions import Version
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Attribution, Comparison, Verdict
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Unpaired, UnpairedPlan
from shadow.contracts.vocabulary import Lane
from shadow.replay.ports import replayed_plan
from tests.factories.comparisons import comparison_of, difference, diverged, document
from tests.factories.evidence_days import ACCEPTED, days_from
from tests.factories.pairs import LedgerOf, judged
from tests.fakes.cli_cloud import shadow

DAYS = days_from(date(2026, 1, 5), 20)
POLICY = default_policy()
BEFORE = datetime(2025, 12, 1, tzinfo=UTC)
DECIDED = ReadinessPolicy(required=(Feature.BOTH_PHASES,), accepted=(ACCEPTED,))


class Stored(LedgerOf):
    """Comparisons in order, and the ledger that names them."""

    def __init__(self, comparisons: Sequence[Comparison], unpaired: Sequence[UnpairedPlan] = ()) -> None:
        super().__init__(*(judged(each, production_lane=each.production_lane) for each in comparisons), unpaired=unpaired)
        self.comparisons = comparisons

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        yield from ((entry.plan_id, document(entry)) for entry in self.comparisons if first <= entry.trading_day <= last)


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
    return base.model_copy(update=update | {"policy_hash": POLICY.hash})


def alone(day: date) -> UnpairedPlan:
    """The same plan where production ran it alone."""
    plan = comparison_of(day, trades=16)
    return UnpairedPlan(
        plan_id=plan.plan_id, trading_day=day, published_at=plan.published_at, reason=Unpaired.NOT_SHADOWED, detail=""
    )


def statement(
    comparisons: Sequence[Comparison], number: int = 2, created: datetime = BEFORE, unpaired: Sequence[UnpairedPlan] = ()
) -> Statement:
    stored, version = Stored(comparisons, unpaired), Version(f"arn:aws:states:r:1:stateMachine:workflow:{number}", {}, created)
    settings = settings_of(POLICY).model_copy(update={"policy": DECIDED})
    material = Material(stored, stored, POLICY, settings, None)  # type: ignore[arg-type]
    return weighed(material, version, DAYS[-1], settings)


def test_a_version_that_agrees_with_production_becomes_ready_though_the_shadow_lane_never_does() -> None:
    found = statement([entry for day in DAYS for entry in (live(day), shadowed(day))])

    assert (found.readiness, found.days, found.workflow_in_production) == (Readiness.READY, len(DAYS), False)


@pytest.mark.parametrize("known", [True, False])
def test_a_version_beside_a_workflow_in_production_gathers_evidence_with_a_ledger_and_without(known: bool) -> None:  # noqa: FBT001
    stored = Stored([shadowed(day).model_copy(update={"production_lane": Lane.WORKFLOW}) for day in DAYS])
    source, ledger = of_version(
        stored, stored if known else None, Version("arn:aws:states:r:1:stateMachine:workflow:2", {}, BEFORE)
    )
    found = build_statement(source, DAYS[-1], ledger=ledger, settings=settings_of(POLICY))
    assert (found.days, found.workflow_in_production) == (len(DAYS), False)


def test_another_version_s_evidence_makes_nobody_ready() -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day))]

    assert statement(comparisons, 3).readiness is not Readiness.READY


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


def test_a_version_becomes_ready_where_production_runs_alone_and_not_by_leaving_a_plan_out() -> None:
    runs, plans = [shadowed(day) for day in DAYS], [alone(day) for day in DAYS]

    assert statement(runs, unpaired=plans).readiness is Readiness.READY
    assert statement(runs[:-2] + runs[-1:], unpaired=plans).readiness is not Readiness.READY


def test_the_evidence_of_another_stack_s_version_with_the_same_number_is_not_its_own() -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day))]

    found = statement(comparisons, created=datetime(2026, 1, 20, tzinfo=UTC))

    assert found.readiness is not Readiness.READY
    assert found.first_day == date(2026, 1, 20)


def test_evidence_that_another_policy_judged_does_not_make_it_ready_under_this_one() -> None:
    other = {"policy_hash": "0" * 64}
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day).model_copy(update=other))]

    found = statement(comparisons)

    assert found.readiness is Readiness.NOT_YET
    assert [criterion.name for criterion in found.criteria if criterion.state is not CriterionState.PASS] == ["policy"]


def test_a_policy_that_changes_on_the_way_begins_a_new_period() -> None:
    comparisons = [entry for day in DAYS for entry in (live(day), shadowed(day))]
    changed = [entry.model_copy(update={"policy_hash": "0" * 64}) for entry in comparisons[:-2]] + comparisons[-2:]

    assert statement(changed).days == 1


def test_another_version_in_production_begins_a_new_period() -> None:
    runs = [shadowed(day) for day in DAYS]
    moved = [entry.model_copy(update={"control": named(entry.control, "workflow:1")}) for entry in runs[:-2]]
    moved += [entry.model_copy(update={"control": named(entry.control, "workflow:4")}) for entry in runs[-2:]]

    assert statement(moved, unpaired=[alone(day) for day in DAYS]).days == 2


def test_what_a_version_ran_is_no_evidence_about_the_lanes() -> None:
    lanes = [comparison_of(day, trades=16) for day in DAYS]
    wrong = [diverged(run, difference(run)) for run in map(shadowed, DAYS)]
    settings = settings_of(POLICY).model_copy(update={"policy": DECIDED})

    alone_, both = (
        build_statement(stored, DAYS[-1], ledger=stored, settings=settings)
        for stored in (Stored(lanes), Stored([*lanes, *wrong]))
    )

    assert both == alone_
    assert both.readiness is Readiness.READY


def named(outcome: RunOutcome | None, version: str) -> RunOutcome:
    assert outcome is not None
    return outcome.model_copy(update={"version": version})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of the lanes, of version 2, which departs, and of version 3, which does not."""
    place, day = tmp_path_factory.mktemp("stored"), DAYS[0]
    two, three = shadowed(day), shadowed(day, 3, ran=3)
    lines = [document(entry) for entry in (comparison_of(day, trades=16), diverged(two, difference(two)), three)]
    (place / "comparisons.jsonl").write_bytes(b"".join(line.strip() + b"\n" for line in lines))
    return place


@pytest.mark.parametrize(("version", "verdict"), [(None, "MATCHED"), ("2", "DIVERGED"), ("3", "MATCHED")])
def test_a_report_says_whose_verdict_it_is(folder: Path, tmp_path: Path, version: str | None, verdict: str) -> None:
    more = ("--version", version) if version else ()
    result = shadow(
        "report", "--folder", str(folder), "--date", str(DAYS[0]), "--out", str(tmp_path / "page.html"), *more, "--json"
    )

    told = json.loads(result.stdout)
    assert (told["verdict"], told["counts"]["published"]) == (verdict, 1)
    assert told["stage"] == ("dev" if version is None else f"dev, version {version} beside production")
    assert told["stage"] in (tmp_path / "page.html").read_text()


def test_the_site_has_the_lanes_and_names_each_version_s_verdict_apart(folder: Path, tmp_path: Path) -> None:
    shadow("site", "--folder", str(folder), "--out", str(tmp_path / "lanes"))
    shadow("site", "--folder", str(folder), "--out", str(tmp_path / "two"), "--version", "2")

    lanes, two = ((tmp_path / name / "index.html").read_text() for name in ("lanes", "two"))
    assert "No difference was found on any day" in lanes
    table = " ".join(re.sub("<[^>]*>", " ", lanes.partition('id="versions"')[2]).split())
    assert "workflow:2 legacy 1 1 DIVERGED" in table
    assert "workflow:3 legacy 1 1 MATCHED" in table
    assert "version 2 beside production" in two
    assert len(list((tmp_path / "lanes" / "pair").iterdir())) == len(list((tmp_path / "two" / "pair").iterdir())) == 1


def test_readiness_of_a_version_that_was_never_run_is_refused(folder: Path) -> None:
    result = shadow("readiness", "--folder", str(folder), "--version", "7", "--json")

    assert (result.exit_code, json.loads(result.stdout)["kind"]) == (2, "UnknownVersion")


def compared(day: date, **changes: object) -> Comparison:
    """What both lanes did on a day, in agreement; the changes are of the comparison, `ran` of the candidate's version."""
    base = comparison_of(day, trades=16)
    assert base.candidate is not None
    ran = base.candidate.model_copy(update={"version": changes.pop("ran", "workflow@aaaaaaaaaaaa")})
    return base.model_copy(update={"candidate": ran} | changes)


def of_lanes(comparisons: Sequence[Comparison]) -> Statement:
    stored = Stored(comparisons)
    settings = settings_of(default_policy()).model_copy(update={"policy": DECIDED})
    return build_statement(stored, DAYS[-1], ledger=stored, settings=settings)


@pytest.mark.parametrize(
    "changed",
    [{"code_version": "0.1.0+other"}, {"policy_hash": "e" * 64}, {"ran": "workflow@bbbbbbbbbbbb"}, {"ran": "workflow:4"}],
    ids=["code", "policy", "definition", "number"],
)
def test_r4_what_ran_or_judged_by_another_version_begins_a_new_period(changed: dict[str, object]) -> None:
    assert of_lanes([compared(day) for day in DAYS]).readiness is Readiness.READY

    found = of_lanes([compared(day, **(changed if day >= DAYS[-3] else {})) for day in DAYS])

    assert (found.readiness, found.days) == (Readiness.NOT_YET, 3)
    assert str(next(iter(changed.values())))[:12] in found.period_began


@pytest.mark.parametrize(("ran", "filled"), [("workflow@aaaaaaaaaaaa", True), ("workflow@bbbbbbbbbbbb", False)])
def test_r5_a_thin_stratum_is_filled_by_replays_of_the_same_version_and_of_no_other(ran: str, filled: bool) -> None:  # noqa: FBT001 - a case
    def replayed(day: date) -> Comparison:
        again = compared(day, ran=ran, origin="replay")
        return again.model_copy(update={"plan_id": f"{again.plan_id}-again", "run_id": f"{again.run_id}-again"})

    frames = load_frames(Stored(comparisons := [*map(compared, DAYS), *map(replayed, DAYS)]), DAYS[0], DAYS[-1])
    assert len(frames.pairs) == len(comparisons)

    evidence = evidence_of(frames, DAYS)

    assert {bool(day.replayed[Stratum.ALL].total) for day in evidence} == {filled}
