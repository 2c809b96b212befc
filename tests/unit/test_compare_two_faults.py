"""A second fault, in the other lane, changes nothing of what is said of the first; nor does the order of findings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.compare.case import PairCase, PairView
from shadow.compare.causes import in_order
from shadow.compare.judge import differences_of, find, judge
from shadow.compare.margins import ToleranceRecorder
from shadow.contracts.comparison import Attribution, Comparison, Verdict
from shadow.contracts.vocabulary import Role
from tests.strategies.outcomes import random_case
from tests.strategies.planting import Plant
from tests.strategies.plants import PLANTS
from tests.unit.test_compare_kinds import roots, strict_policy

_QUICK = 12
"""`make test` takes one combination in so many; the long form takes them all."""
Said = frozenset[tuple[str, str, str | None, Attribution]]


@dataclass(frozen=True)
class Planted:
    """One plant in one lane: the pair it makes, and what is said of it alone."""

    plant: Plant
    case: PairCase
    said: Said


def said_of(comparison: Comparison) -> Said:
    """What is said of the lanes that depart. What nobody departs from needs both lanes, and can go when either changes."""
    named = ((d.kind, d.field, d.trade_id, d.attribution) for d in roots(comparison))
    return frozenset(entry for entry in named if entry[3] is not Attribution.NEITHER)


@lru_cache(maxsize=1)
def planted() -> dict[Role, list[Planted]]:
    """Every plant in every lane, where the lane with the plant is the one that departs."""
    base, policy = random_case(11, 8), strict_policy()
    found: dict[Role, list[Planted]] = {role: [] for role in Role}
    for plant in PLANTS:
        for role in plant.lanes:
            if plant.attribution in (None, "neither", role.value):
                case = plant.edit(base, role)
                found[role].append(Planted(plant, case, said_of(judge(case, policy))))
    return found


_HONEST: dict[tuple[str, ...], bool] = {}


def are_honest(case: PairCase) -> bool:
    """Whether nothing differs between the lanes of `case`: they live in one world."""
    names = tuple(run.model_dump_json() for run in (case.control, case.candidate) if run is not None)
    if names not in _HONEST:
        _HONEST[names] = judge(case, strict_policy()).verdict is Verdict.MATCHED
    return _HONEST[names]


def combined(first: Planted, second: Planted) -> PairCase | None:
    """Both faults in one pair; None where they live in different worlds, or hide each other by what they are.

    The same end of the same trade in both lanes is no difference, and durations are compared of two completed runs.
    """
    same = first.plant is second.plant and first.plant.kind == "TRADE_STATUS"
    if same or "DURATION_RATIO" in (first.plant.kind, second.plant.kind) or first.case.plan != second.case.plan:
        return None
    beside = replace(first.case, control=second.case.control)
    return replace(first.case, candidate=second.case.candidate) if are_honest(beside) else None


def combinations(every: int) -> Iterator[tuple[Planted, Planted]]:
    number = 0
    for first in planted()[Role.CONTROL]:
        for second in planted()[Role.CANDIDATE]:
            number += 1
            if number % every == 0:
                yield first, second


def check(every: int) -> int:
    policy, seen = strict_policy(), 0
    for first, second in combinations(every):
        case = combined(first, second)
        if case is not None:
            seen += 1
            both = said_of(judge(case, policy))
            assert both == first.said | second.said, (
                f"{first.plant.kind} {first.plant.name}, {second.plant.kind} {second.plant.name}"
            )
    return seen


def test_one_fault_in_each_lane_is_told_as_each_alone() -> None:
    assert check(_QUICK) > 300


@pytest.mark.long
def test_every_fault_beside_every_fault_of_the_other_lane_is_told_as_each_alone() -> None:
    assert check(1) > 5000


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_findings_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    first, second = rng.choice(planted()[Role.CONTROL]), rng.choice(planted()[Role.CANDIDATE])
    case = combined(first, second) or first.case
    policy = strict_policy()
    view = PairView(case)
    findings = list(find(view, ToleranceRecorder(policy)))
    told = differences_of(in_order(findings), policy, case.trading_day, view.runs)
    rng.shuffle(findings)
    assert differences_of(in_order(findings), policy, case.trading_day, view.runs) == told
