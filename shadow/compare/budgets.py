"""Business Unit: compare | Status: current.

The budgets of known divergences, applied to a day as a whole. Judging one pair does not know of the others, so that it stays
pure; here a day's comparisons are laid in one order, and what an entry covers beyond its budget is uncovered again. Everybody
who counts a day (reports, metrics, readiness) counts what comes out of here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from shadow.compare.judge import with_totals
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Difference

_Key = tuple[str, str, str]


class Judged(Protocol):
    """What the budgets look at of a comparison."""

    @property
    def plan_id(self) -> str: ...  # noqa: D102 - as in `Comparison`
    @property
    def run_id(self) -> str: ...  # noqa: D102
    @property
    def trading_day(self) -> date: ...  # noqa: D102
    @property
    def origin(self) -> str: ...  # noqa: D102
    @property
    def published_at(self) -> datetime: ...  # noqa: D102
    @property
    def differences(self) -> tuple[Difference, ...]: ...  # noqa: D102


def over_budget(day: Iterable[Judged], budgets: Mapping[str, int]) -> dict[str, frozenset[str]]:
    """Name, by run id, the differences that lie beyond the budget of the entry that covers them, by key.

    `budgets` gives what each entry may cover on a trading day, by its id: each day and origin has budgets of its own. Pairs use
    them up in the order of publication and plan.
    """
    used: Counter[_Key] = Counter()
    beyond = {}
    for entry in sorted(day, key=_order):
        over = frozenset(_beyond(entry, budgets, used))
        if over:
            beyond[entry.run_id] = over
    return beyond


def apply_budgets(day: Sequence[Comparison], policy: Policy) -> tuple[Comparison, ...]:
    """Uncover what is over budget, and give the comparisons by publication time and plan.

    A covered difference of which the policy does not know the entry (it was judged by another policy) keeps its cover: judge it
    again to change that. Applying twice changes nothing.
    """
    beyond = over_budget(day, {entry.id: entry.budget_a_day for entry in policy.known})
    return tuple(_within(comparison, beyond.get(comparison.run_id)) for comparison in sorted(day, key=_order))


def _order(entry: Judged) -> tuple[str, str, str]:
    return (entry.published_at.isoformat(), entry.plan_id, entry.origin)


def _beyond(entry: Judged, budgets: Mapping[str, int], used: Counter[_Key]) -> Iterator[str]:
    for difference in entry.differences:
        name = difference.covered_by
        if name is None or not difference.counts or name not in budgets:
            continue
        key = (entry.trading_day.isoformat(), entry.origin, name)
        used[key] += 1
        if used[key] > budgets[name]:
            yield difference.key


def _within(comparison: Comparison, over: frozenset[str] | None) -> Comparison:
    if over is None:
        return comparison
    return with_totals(comparison.model_copy(update={"differences": uncovered(comparison.differences, over)}))


def uncovered(differences: tuple[Difference, ...], over: frozenset[str]) -> tuple[Difference, ...]:
    """Give `differences` with those named by `over` uncovered, and with them what follows from them."""
    return tuple(
        d.model_copy(update={"covered_by": None, "over_budget": d.covered_by}) if (d.caused_by or d.key) in over else d
        for d in differences
    )
