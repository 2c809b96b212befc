"""Every kind of difference is found when it is planted in an outcome: its kind, its severity, its lane, and nothing besides."""

from __future__ import annotations

from decimal import Decimal
from graphlib import TopologicalSorter

import pytest

from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.kinds import KINDS, Basis
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Attribution, Comparison, Difference, Severity, Verdict
from shadow.contracts.vocabulary import Lane, Role
from tests.strategies.outcomes import random_case
from tests.strategies.planting import (
    Edit,
    Plant,
    in_worlds,
    is_buy,
    largest_sell_fails,
    run_edit,
    trade_edit,
)
from tests.strategies.plants import PLANTS

EVERYBODY = (Role.CONTROL, Role.CANDIDATE)


def strict_policy() -> Policy:
    """The default policy, with the one-sided rules asked of both lanes."""
    policy = default_policy()
    applies = dict.fromkeys(type(policy.applies).model_fields, tuple(Lane)) | {"duration_ratio": EVERYBODY}
    return policy.model_copy(update={"applies": policy.applies.model_copy(update=applies)})


def swapped_world() -> PairCase:
    """Ask the breaker for the same BUYs in the other order in the candidate, which is a race that both lanes may lose."""
    return in_worlds(fault="other order", scenario="breaker")(random_case(11, 8), Role.CANDIDATE)


def roots(comparison: Comparison) -> list[Difference]:
    return [difference for difference in comparison.differences if difference.counts]


def expected_severity(comparison: Comparison, root: Difference) -> Severity:
    """The worst of its own kind, of all that follows from it, and of what it is worth."""
    following = [d for d in comparison.differences if d.caused_by == root.key]
    kinds = [KINDS[root.kind].severity, *(KINDS[d.kind].severity for d in following)]
    usd = abs(root.impact.notional) or abs(root.impact.cash)
    worth = Severity.CRITICAL if usd >= 10_000 else Severity.MAJOR if usd >= 100 else Severity.INFO
    return min((*kinds, worth), key=list(Severity).index)


@pytest.mark.parametrize(
    ("plant", "role"),
    [
        pytest.param(plant, role, id=f"{plant.kind}-{plant.name}-{role}".replace("--", "-"))
        for plant in PLANTS
        for role in plant.lanes
    ],
)
def test_a_planted_difference_is_found_alone_with_its_severity_and_lane(plant: Plant, role: Role) -> None:
    case = plant.edit(random_case(11, 8), role)
    comparison = judge(case, strict_policy())
    found = roots(comparison)
    assert [(d.kind, d.attribution.value) for d in found] == [(plant.kind, plant.attribution or role.value)], comparison.gaps
    assert found[0].severity is expected_severity(comparison, found[0])
    assert comparison.verdict in (Verdict.DIVERGED, Verdict.INCOMPLETE)


def test_every_kind_of_the_closed_list_is_planted_here() -> None:
    assert set(KINDS) == {plant.kind for plant in PLANTS} | {
        "EQUITY_DECISION",
        "GUARD_DIFFERS",
        "OWN_FIELD",
        "PRICE_NOT_THE_FILL",
        "REDRIVEN",
    }
    assert len(KINDS) >= 40


def test_a_lane_that_asks_for_its_buys_in_another_order_than_the_plan_departs_at_a_tight_breaker() -> None:
    found = roots(judge(swapped_world(), default_policy()))
    assert {(d.kind, d.attribution) for d in found} == {("EQUITY_DECISION", Attribution.CANDIDATE)}


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("REDRIVEN", run_edit(lambda _r: {"redrive_count": 1})),
        (
            "PRICE_NOT_THE_FILL",
            trade_edit(is_buy, lambda t: {"average_price": (t.average_price or Decimal(0)) * Decimal("1.0005")}),
        ),
    ],
)
def test_a_difference_that_is_only_info_is_told_and_does_not_keep_a_pair_from_matching(kind: str, edit: Edit) -> None:
    policy = default_policy()
    wide = policy.model_copy(update={"rules": policy.rules.model_copy(update={"value": policy.rules.partial_fill})})
    comparison = judge(edit(random_case(11, 8), Role.CANDIDATE), wide)
    assert kind in {difference.kind for difference in comparison.differences}
    assert comparison.verdict is Verdict.MATCHED


def test_what_follows_from_a_wrong_guard_is_one_difference_and_its_consequences() -> None:
    comparison = judge(
        in_worlds(base=largest_sell_fails, fault="zero guard")(random_case(11, 8), Role.CANDIDATE), default_policy()
    )
    (root,) = roots(comparison)
    consequences = [d for d in comparison.differences if d.caused_by == root.key]
    statuses = [d for d in consequences if d.kind == "TRADE_STATUS"]
    assert len(statuses) == 4
    assert {d.severity for d in consequences} == {Severity.INFO}
    assert {d.attribution for d in consequences} == {root.attribution}
    assert all(d.impact.notional == 0 for d in consequences)
    assert root.impact.notional > 0
    assert comparison.impact == root.impact
    assert comparison.counts.critical == 1
    assert comparison.counts.major == 0


def test_causes_come_before_what_follows_from_them_and_never_run_in_a_circle() -> None:
    sides = ("SELL", "BUY")
    graph: dict[str, set[str]] = {}
    for kind in KINDS.values():
        for side in sides:
            graph[f"{kind.name}/{side}"] = {
                f"{cause}/{other}"
                for cause in kind.follows
                for other in sides
                if not (kind.name.startswith("GUARD_") and other == "BUY") and not (cause.startswith("GUARD_") and side == "SELL")
            }
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)
    assert all(cause in KINDS for kind in KINDS.values() for cause in kind.follows)
    assert {kind.basis for kind in KINDS.values()} == set(Basis)
