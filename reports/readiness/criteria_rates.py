"""Business Unit: reports | Status: current.

The criteria of readiness that are statistics: the divergence rates, stratum by stratum and path by path, and the latency. They
are judged at the planned looks only (see `reports.readiness.statistics.Looks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

from reports.data.columns import Path
from reports.readiness.day_evidence import Stratum, Tally
from reports.readiness.readiness import Criterion, CriterionState, Period
from reports.readiness.statistics import rate_bound, ratio_bound

_MAX_LOOKS = 200
PASS, WAIT = CriterionState.PASS, CriterionState.WAIT


def rate_criteria(period: Period) -> list[Criterion]:
    """Judge the divergence rate of each stratum that has a target."""
    return [_rate(period, stratum, target) for stratum, target in period.policy.rate_targets.items()]


def path_criteria(period: Period) -> list[Criterion]:
    """Judge each path of the workflow that was seen, and those that must be bounded in any case."""
    seen = {path for day in period.seen for path in day.paths} | set(period.policy.bounded_paths)
    return [_path(period, path) for path in Path if path in seen]


def _rate(period: Period, stratum: Stratum, target: float) -> Criterion:
    tallies = [day.strata.get(stratum, Tally()) for day in period.seen]
    unit = "runs" if stratum is Stratum.RUNS else "trades"
    rate = _Rate(f"rate.{stratum.name.lower()}", f"Divergence rate, {stratum.value}", target, unit)
    return _bound(period, rate, sum(tallies, Tally()))


def _path(period: Period, path: Path) -> Criterion:
    tallies = [day.paths.get(path, Tally()) for day in period.seen]
    total, target = sum(tallies, Tally()), period.policy.path_target
    name, title = f"path.{path.name.lower()}", f"Divergence rate, path {path.value}"
    if path in period.policy.bounded_paths:
        return _bound(period, _Rate(name, title, target), total)
    bound = rate_bound(total.diverged, total.total, period.alpha)
    return Criterion(
        name=name,
        title=title,
        state=WAIT if total.diverged else PASS,
        figure=f"{total.diverged} of {total.total} trades (below {bound:.1%})",
        target="none diverged on a path seen this seldom",
        reason=f"{total.total} trades went this way, too few for a bound of their own",
        more_days=None if total.diverged else 0,
    )


@dataclass(frozen=True, slots=True)
class _Rate:
    """A rate to be bounded: its criterion's name and title, the target, and what is counted."""

    name: str
    title: str
    target: float
    unit: str = "trades"


def _bound(period: Period, rate: _Rate, total: Tally) -> Criterion:
    bound = rate_bound(total.diverged, total.total, period.alpha)
    passed = bound < rate.target and period.look > 0
    days, more = (0, 0) if passed else _needed(period, total, rate.target)
    if total.total == 0:
        reason = "nothing of it was seen, and no data is no pass"
    elif period.look == 0:
        reason = f"judged first after {period.policy.days} days; this is how it stands"
    else:
        reason = f"look {period.look}, at {len(period.seen)} days, upper {1 - period.alpha:.2%} bound (Clopper-Pearson)"
    if days is None and total.total:
        reason += "; at the present rate it never gets there"
    return Criterion(
        name=rate.name,
        title=rate.title,
        state=PASS if passed else WAIT,
        figure=f"{total.diverged} of {total.total} {rate.unit}, below {bound:.1%}",
        target=f"below {rate.target:.0%}",
        reason=reason,
        more_days=days,
        more_trades=more if rate.unit == "trades" else None,
    )


def _needed(period: Period, total: Tally, target: float) -> tuple[int | None, int | None]:
    """Work out the days and trades until a planned look passes, if all goes on at the present rate."""
    if not total.total or not period.seen:
        return None, None
    looks, a_day = period.policy.looks, total.total / len(period.seen)
    for number in range(period.look + 1, period.look + _MAX_LOOKS):
        trades = round(a_day * looks.days(number))
        diverged = min(ceil(total.diverged / total.total * trades), trades)
        if rate_bound(diverged, trades, looks.share(number)) < target:
            return looks.days(number) - len(period.days), max(trades - total.total, 0)
    return None, None


def latency_criterion(period: Period) -> Criterion:
    """Judge the candidate's duration against the control's."""
    margin = period.policy.latency_margin
    bound = ratio_bound([ratio for day in period.seen for ratio in day.log_ratios], period.alpha)
    passed = period.look > 0 and bound.upper is not None and bound.upper < 1 + margin
    if bound.estimate is None:
        figure, reason = "no run with both durations", "nothing was measured, and no data is no pass"
    else:
        upper = "no bound yet" if bound.upper is None else f"below {bound.upper:.2f}"
        figure = f"{bound.estimate:.2f} times the control ({upper}, {bound.runs} runs)"
        reason = f"non-inferiority at a margin of {margin:.0%}: one-sided t test on log duration ratios"
    slower = bound.estimate is not None and log(bound.estimate) >= log(1 + margin)
    wait = max(period.policy.looks.days(period.look + 1) - len(period.days), 0)
    return Criterion(
        name="latency",
        title="Duration, candidate against control",
        state=PASS if passed else WAIT,
        figure=figure,
        target=f"below {1 + margin:.2f} times the control",
        reason=reason + ("; at the present rate it never gets there" if slower else ""),
        more_days=0 if passed else (None if slower else wait),
    )
