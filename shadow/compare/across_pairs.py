"""Business Unit: compare | Status: current.

The budgets of known divergences, applied to a day as a whole. Judging one pair does not know of the others, so that it stays
pure; here a day's comparisons are laid in one order, and what an entry covers beyond its budget is uncovered again. Everybody
who counts a day (reports, metrics, readiness) counts what comes out of here.

Measure the noise floor: two runs of one lane, of the same plan, are laid side by side and judged as two lanes are, and every rule
is asked what tolerance it would have needed. The judge's own checks do the comparing, so that what is measured is what is judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal, localcontext

from shadow.compare.case import PairCase, PairView
from shadow.compare.checks.duties import Duties
from shadow.compare.judge import find_in_runs, find_in_trade, with_totals
from shadow.compare.margins import ToleranceRecorder, numeric_rules, tolerant_rules
from shadow.compare.policy import NoiseFloor, Policy, RuleNoise
from shadow.compare.rules import EXACT, ZERO
from shadow.contracts.comparison import Comparison, Difference
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Budgeted:
    """What the budgets look at of a comparison, kept while its trades are let go."""

    plan_id: str
    run_id: str
    trading_day: date
    origin: str
    published_at: datetime
    differences: tuple[Difference, ...]


def over_budget(day: Iterable[Budgeted | Comparison], budgets: Mapping[str, int]) -> dict[str, frozenset[str]]:
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


def beyond_the_register(
    days: Collection[Budgeted | Comparison], budgets: Mapping[str, int], register: Collection[str] | None
) -> dict[str, frozenset[str]]:
    """Name, by run id, what lies beyond its entry's budget of a day, and what an entry covers that was taken out of the register.

    `register` has the ids in force; None: nobody asks.
    """
    beyond = over_budget(days, budgets)
    for entry in days if register is not None else ():
        gone = frozenset(d.key for d in entry.differences if d.covered_by is not None and d.covered_by not in (register or ()))
        if gone:
            beyond[entry.run_id] = beyond.get(entry.run_id, frozenset()) | gone
    return beyond


def apply_budgets(day: Sequence[Comparison], policy: Policy) -> tuple[Comparison, ...]:
    """Uncover what is over budget, and give the comparisons by publication time and plan.

    A covered difference of which the policy does not know the entry (it was judged by another policy) keeps its cover: judge it
    again to change that. Applying twice changes nothing.
    """
    beyond = over_budget(day, {entry.id: entry.budget_a_day for entry in policy.known})
    return tuple(within(comparison, beyond.get(comparison.run_id)) for comparison in sorted(day, key=_order))


def _order(entry: Budgeted | Comparison) -> tuple[str, str, str]:
    return (entry.published_at.isoformat(), entry.plan_id, entry.origin)


def _beyond(entry: Budgeted | Comparison, budgets: Mapping[str, int], used: Counter[_Key]) -> Iterator[str]:
    for difference in entry.differences:
        name = difference.covered_by
        if name is None or not difference.counts or name not in budgets:
            continue
        key = (entry.trading_day.isoformat(), entry.origin, name)
        used[key] += 1
        if used[key] > budgets[name]:
            yield difference.key


def within(comparison: Comparison, over: frozenset[str] | None) -> Comparison:
    """Give `comparison` with the differences that `over` names uncovered, and what they come to."""
    if over is None:
        return comparison
    return with_totals(comparison.model_copy(update={"differences": uncovered(comparison.differences, over)}))


def uncovered(differences: tuple[Difference, ...], over: frozenset[str]) -> tuple[Difference, ...]:
    """Give `differences` with those named by `over` uncovered, and with them what follows from them."""
    return tuple(
        d.model_copy(update={"covered_by": None, "over_budget": d.covered_by}) if (d.caused_by or d.key) in over else d
        for d in differences
    )


OF_A_RUN = frozenset({"guard_amounts", "guard_threshold", "equity_limit", "duration_ratio"})
DURATION = "duration_ratio"
_SHOWN = Decimal("0.000001")
_QUANTILES = (("p50", 50), ("p95", 95), ("p99", 99))


@dataclass(frozen=True, slots=True)
class TwoRuns:
    """Two runs of one lane, of one plan."""

    plan: RebalancePlan
    trading_day: date
    published_at: datetime
    first: RunOutcome
    second: RunOutcome


def noise_floor(runs: Iterable[TwoRuns], policy: Policy) -> NoiseFloor:
    """Measure how far apart two runs of the same lane are under each rule of `policy`.

    Raises ValueError where there are no runs, or they are of more than one lane: after a cut-over the control is another lane.
    """
    seen: dict[str, list[Decimal]] = defaultdict(list)
    days: list[date] = []
    lanes: dict[str, Role] = {}
    for two in runs:
        days.append(two.trading_day)
        lanes |= {f"{run.role} ({run.lane_name or run.lane})": run.role for run in (two.first, two.second)}
        with localcontext(EXACT):
            _measure(two, policy, seen)
    if not days:
        raise ValueError("noise floor: expected plans that were run twice, was none")
    if len(lanes) > 1:
        raise ValueError(f"noise floor: expected runs of one lane, was {', '.join(sorted(lanes))}")
    measures = tolerant_rules(policy)
    rules = {name: _summed(values, measures[name].measure) for name, values in sorted(seen.items()) if values}
    return NoiseFloor(role=next(iter(lanes.values())), first_day=min(days), last_day=max(days), pairs=len(days), rules=rules)


def _measure(two: TwoRuns, policy: Policy, seen: dict[str, list[Decimal]]) -> None:
    """Judge the two runs as a pair, and note what each rule needed: of every trade, and once of the runs as a whole."""
    asked, view = ToleranceRecorder(_for_both(policy, two.first.role)), PairView(_as_pair(two))
    numeric, duties = numeric_rules(policy).keys(), Duties(view, asked.watched)
    for pair in view.trades:
        if pair.both is None:
            continue
        found = list(find_in_trade(pair, duties))
        needed = asked.taken(pair.trade_id, found=bool(found))
        for name in numeric - OF_A_RUN:
            seen[name].append(needed.get(name, ZERO))
    needed = asked.taken(None, found=bool(list(find_in_runs(view, duties))))
    for name in numeric & OF_A_RUN:
        seen[name].append(needed.get(name, ZERO))
    if DURATION in needed:
        seen[DURATION].append(needed[DURATION])


def _for_both(policy: Policy, role: Role) -> Policy:
    """Give `policy` with the rule on durations, where it is for that role, asked of both of the lane's runs."""
    both = {"duration_ratio": tuple(Role) if role in policy.applies.duration_ratio else ()}
    return policy.model_copy(update={"applies": policy.applies.model_copy(update=both)})


def _as_pair(two: TwoRuns) -> PairCase:
    return PairCase(
        plan=two.plan,
        trading_day=two.trading_day,
        published_at=two.published_at,
        control=two.first.model_copy(update={"role": Role.CONTROL}),
        candidate=two.second.model_copy(update={"role": Role.CANDIDATE}),
        code_version="",
    )


def _summed(values: Sequence[Decimal], measure: str) -> RuleNoise:
    ordered = sorted(values)
    ranks = {name: ordered[-(-len(ordered) * share // 100) - 1] for name, share in _QUANTILES}
    shown = {name: _rounded_up(value) for name, value in {**ranks, "largest": ordered[-1]}.items()}
    return RuleNoise.model_validate({"measure": measure, "observations": len(ordered), **shown})


def _rounded_up(value: Decimal) -> Decimal:
    """Round up to six decimals, so that a tolerance of the figure shown permits what was seen."""
    return value.quantize(_SHOWN, rounding=ROUND_CEILING, context=EXACT) if value.is_finite() else value
