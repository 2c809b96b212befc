"""Lanes that misbehave in ways nobody listed: the auditor agrees with the verdicts, and does not agree with a wrong judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from shadow.contracts.comparison import Attribution, Cause, Comparison, MoneyRow, Verdict
from shadow.contracts.vocabulary import ExecutionMode, Role
from tests.simulation.auditor import CHECKS, audit, between, departures
from tests.simulation.draws import Draws, situation_of
from tests.simulation.faults import Fault
from tests.simulation.world import Seen, Simulation, simulation

CALM = 1
"""A world in which nothing strikes both lanes."""


@pytest.fixture(scope="module")
def paper() -> Iterator[Simulation]:
    with simulation(ExecutionMode.PAPER) as lanes:
        yield lanes


@pytest.fixture(scope="module")
def honest(paper: Simulation) -> Seen:
    return paper.run(situation_of(CALM, ExecutionMode.PAPER), ())


@pytest.fixture(scope="module")
def halved(paper: Simulation) -> Seen:
    """A world in which the candidate's first order is sent with another quantity."""
    for dice in range(20):
        fault = Fault(Role.CANDIDATE, "order", "scaled", 0, dice)
        seen = paper.run(situation_of(CALM, ExecutionMode.PAPER), (fault,))
        if between(seen):
            return seen
    raise AssertionError("no order was changed")


def test_nobody_misbehaves(honest: Seen) -> None:
    assert audit(honest, honest) == []
    assert between(honest) == {}


def test_a_changed_order_moves_one_account_and_is_told(honest: Seen, halved: Seen) -> None:
    assert departures(halved, honest, Role.CANDIDATE)
    assert not departures(halved, honest, Role.CONTROL)
    assert audit(halved, honest) == []


def with_comparison(seen: Seen, **changes: object) -> Seen:
    assert seen.comparison is not None
    return replace(seen, comparison=seen.comparison.model_copy(update=changes))


def attributed(seen: Seen, attribution: Attribution) -> Seen:
    assert seen.comparison is not None
    named = tuple(each.model_copy(update={"attribution": attribution}) for each in seen.comparison.differences)
    return with_comparison(seen, differences=named, gaps=())


def inflated(comparison: Comparison | None) -> Comparison:
    """Let the control say that it traded ten times as much as it did, and let the judge match it."""
    assert comparison is not None
    assert comparison.control is not None
    trades = tuple(
        trade.model_copy(update={"filled_quantity": trade.filled_quantity and trade.filled_quantity * 10})
        for trade in comparison.control.trades
    )
    control = comparison.control.model_copy(update={"trades": trades})
    return comparison.model_copy(update={"control": control, "verdict": Verdict.MATCHED})


def two_cents_off(seen: Seen) -> Seen:
    assert seen.comparison is not None
    assert seen.comparison.money is not None
    rows = (*seen.comparison.money.rows, MoneyRow(cause=Cause.FEES, dollars=Decimal("0.02")))
    return with_comparison(seen, money=seen.comparison.money.model_copy(update={"rows": rows}))


MUTANTS: dict[str, Callable[[Seen, Seen], tuple[Seen, Seen]]] = {
    "equal match": lambda seen, calm: (seen, with_comparison(calm, verdict=Verdict.DIVERGED)),
    "ends": lambda seen, calm: (replace(seen, ended=False), calm),
    "accounts apart": lambda seen, calm: (with_comparison(seen, verdict=Verdict.IGNORED), calm),
    "lane named": lambda seen, calm: (attributed(seen, Attribution.NEITHER), calm),
    "innocent spared": lambda seen, calm: (attributed(seen, Attribution.CONTROL), calm),
    "lies told": lambda seen, calm: (replace(seen, comparison=inflated(seen.comparison)), calm),
    "dollars told": lambda seen, calm: (with_comparison(seen, gross_impact=Decimal("10.00")), calm),
    "ledger to the cent": lambda seen, calm: (two_cents_off(seen), calm),
}
"""What a wrong judge would say, by the check of the auditor that must not agree."""


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_on_a_wrong_judge(check: str, honest: Seen, halved: Seen) -> None:
    assert list(CHECKS[check](halved, honest)) == []
    assert list(CHECKS[check](*MUTANTS[check](halved, honest)))


def test_a_seed_gives_the_same_world_and_the_same_document_again(paper: Simulation) -> None:
    first, again = (Draws(paper).run(seed=3)[0] for _ in range(2))
    assert first.accounts == again.accounts
    assert first.comparison == again.comparison
