"""Business Unit: compare | Status: current.

The budgets of known divergences, applied to a day as a whole. Judging one pair does not know of the others, so that it stays
pure; here a day's comparisons are laid in one order, and what an entry covers beyond its budget is uncovered again. Everybody
who counts a day (reports, metrics, readiness) counts what comes out of here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from shadow.compare.judge import with_totals
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Difference

_Key = tuple[str, str, str]


def apply_budgets(day: Sequence[Comparison], policy: Policy) -> tuple[Comparison, ...]:
    """Uncover what is over budget, and give the comparisons by publication time and plan.

    Each trading day and origin has budgets of its own. A covered difference of which the policy does not know the entry (it
    was judged by another policy) keeps its cover: judge it again to change that. Applying twice changes nothing.
    """
    budgets = {entry.id: entry.budget_a_day for entry in policy.known}
    used: Counter[_Key] = Counter()
    return tuple(_within(comparison, budgets, used) for comparison in sorted(day, key=_order))


def budget_use(day: Iterable[Comparison]) -> dict[str, int]:
    """Count what each known divergence covers or would cover in `day`, by its id."""
    used: Counter[str] = Counter()
    for comparison in day:
        for difference in comparison.differences:
            entry = difference.covered_by or difference.over_budget
            if entry is not None and difference.counts:
                used[entry] += 1
    return dict(sorted(used.items()))


def _order(comparison: Comparison) -> tuple[str, str, str]:
    return (comparison.published_at.isoformat(), comparison.plan_id, comparison.origin)


def _within(comparison: Comparison, budgets: dict[str, int], used: Counter[_Key]) -> Comparison:
    over: set[str] = set()
    for difference in comparison.differences:
        entry = difference.covered_by
        if entry is None or not difference.counts or entry not in budgets:
            continue
        key = (comparison.trading_day.isoformat(), comparison.origin, entry)
        used[key] += 1
        if used[key] > budgets[entry]:
            over.add(difference.key)
    if not over:
        return comparison
    return with_totals(comparison.model_copy(update={"differences": tuple(_uncovered(d, over) for d in comparison.differences)}))


def _uncovered(difference: Difference, over: set[str]) -> Difference:
    if (difference.caused_by or difference.key) not in over:
        return difference
    return difference.model_copy(update={"covered_by": None, "over_budget": difference.covered_by})
