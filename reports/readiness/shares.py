"""Business Unit: reports | Status: current.

The criteria of readiness that are statistics: shares of diverging trades by stratum and path, bad days, duration and slow runs.
Only a planned look makes one of them pass; what happens afterwards takes the pass away on the same day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, log

from reports.data.columns import Path
from reports.readiness.day_evidence import NOTHING, DayEvidence, Stratum, Tally
from reports.readiness.readiness import Acceptance, Criterion, CriterionState, History, Period, ReadinessPolicy
from reports.readiness.statistics import (
    Looks,
    Region,
    chance_of_at_most,
    ratio_bound,
    region,
    share_bound,
    within_day_correlation,
)

_MAX_LOOKS = 20
_NO_DAYS: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
_RECENT_DAYS = 5
_SURELY_WORSE = 4
PASS, WAIT = CriterionState.PASS, CriterionState.WAIT
Columns = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Share:
    """A share to be bounded: what is counted on a day, the target, and how much the trials of a day may go wrong together."""

    name: str
    title: str
    target: float
    counted: Callable[[DayEvidence], Tally]
    correlation: float = 0.0
    unit: str = "trades"


@dataclass(frozen=True, slots=True)
class Judged:
    """Where a share stands: whether it passes, the last look's region, what is left of the error, and the figures.

    `days` are the covered days of the period: how many diverged on each, and how many there were; `today` has the uncovered days
    after them and a day that still waits for verdicts too.
    """

    passed: bool
    region: Region | None
    left: float
    total: Tally
    days: Columns
    today: Columns
    withdrawn: bool = False


def share_criteria(history: History) -> list[Criterion]:
    """Judge the strata that have a target, the bad days, and the paths of the workflow."""
    policy = history.policy
    rates = [rate_of(policy, stratum) for stratum in policy.rate_targets]
    bad_days = bad_days_of(policy)
    paths = {path for day in history.days for path in day.paths} | set(policy.bounded_paths)
    return [
        *[_criterion(history, share) for share in (*rates, bad_days)],
        *[_path(history, path) for path in Path if path in paths],
    ]


_NAMES = {Stratum.ALL: "trades"}


def rate_of(policy: ReadinessPolicy, stratum: Stratum) -> Share:
    """Give the share of diverging trades of a stratum that has a target."""
    name, target = stratum.name.lower(), policy.rate_targets[stratum]
    return Share(
        f"rate.{name}",
        f"Diverging {_NAMES.get(stratum, stratum.value)}",
        target,
        lambda day: _with_replays(day, stratum),
        policy.correlation,
    )


def bad_days_of(policy: ReadinessPolicy) -> Share:
    """Give the share of bad days."""
    return Share("bad_days", "Days with an unexplained difference", policy.bad_day_target, _bad_day, unit="days")


def _with_replays(day: DayEvidence, stratum: Stratum) -> Tally:
    """Count a stratum's live trades, and, except for the whole, the replayed ones of the same version."""
    live = day.strata.get(stratum, NOTHING)
    return live if stratum is Stratum.ALL else live + day.replayed.get(stratum, NOTHING)


def _bad_day(day: DayEvidence) -> Tally:
    bad = day.runs.diverged > 0 or day.strata.get(Stratum.ALL, NOTHING).diverged > 0
    return Tally(int(bad), 1)


def _path(history: History, path: Path) -> Criterion:
    policy = history.policy
    share = Share(
        f"path.{path.name.lower()}",
        f"Diverging trades, path {path.value}",
        policy.path_target,
        lambda day: day.paths.get(path, NOTHING),
        policy.correlation,
    )
    total = sum((share.counted(day) for day in history.days), Tally())
    if path in policy.bounded_paths or total.diverged:
        return _criterion(history, share)
    return Criterion(
        name=share.name,
        title=share.title,
        state=PASS,
        figure=f"0 of {total.total} trades",
        target="none diverged on a path seen this seldom",
        reason=f"{total.total} trades went this way, too few for a bound of their own",
        more_days=0,
    )


def judge_share(history: History, share: Share) -> Judged:
    """Take every planned look of every period, out of one budget, and say where the share stands today."""
    alpha, days = history.policy.alpha, _NO_DAYS
    state = _Looked(left=alpha)
    for period in history.periods:
        days = _columns(period, share)
        state = _looks(days, share.target, share.correlation, history.policy.looks, _Looked(left=state.left))
    latest = [*history.periods[-1].after[-1], *([history.open_day] if history.open_day is not None else [])]
    since = [share.counted(day) for day in latest]
    bad, sizes = (*days[0], *(each.diverged for each in since)), (*days[1], *(each.total for each in since))
    worse = state.passed and _is_worse(bad, sizes, share.target, share.correlation, alpha)
    withdrawn = worse or (state.withdrawn and not state.passed)
    return Judged(
        state.passed and not worse, state.region, state.left, Tally(sum(bad), sum(sizes)), days, (bad, sizes), withdrawn
    )


def _columns(period: Period, share: Share) -> Columns:
    """Give how many diverged on each covered day, those of uncovered days before it among them, and how many there were."""
    tallies = [share.counted(day) for day in period.days]
    before = [sum([share.counted(day).diverged for day in days]) if days else 0 for days in period.after]
    bad = [tally.diverged + more for tally, more in zip(tallies, before, strict=False)]
    return tuple(bad), tuple([tally.total for tally in tallies])


@dataclass(frozen=True, slots=True)
class _Looked:
    """Where a period stands after some of its days: whether a look's pass holds or was taken away, the last look's region."""

    left: float
    passed: bool = False
    withdrawn: bool = False
    region: Region | None = None


@lru_cache(maxsize=8192)
def _looks(columns: Columns, target: float, correlation: float, looks: Looks, begun: _Looked) -> _Looked:
    """Take the looks of one period, from where the days up to the look before had led; the same days are gone through once."""
    bad, sizes = columns
    number = looks.number(len(sizes))
    if number == 0:
        return begun
    before = looks.days(number) - looks.step if len(sizes) == looks.days(number) else looks.days(number)
    if before < looks.first:
        state, first = begun, looks.first
    else:
        state, first = _looks((bad[:before], sizes[:before]), target, correlation, looks, begun), before + 1
    for end in range(first, len(sizes) + 1):
        state = _next_day((bad[:end], sizes[:end]), target, correlation, looks, state)
    return state


def _next_day(columns: Columns, target: float, correlation: float, looks: Looks, state: _Looked) -> _Looked:
    """Take the last of these days: what happened may take a pass away, and where it is a look's day it may give one.

    What a look costs follows from the numbers of trades alone: what diverged may make passing harder, never the look cheaper.
    """
    bad, sizes = columns
    end, worse = len(sizes), _is_worse(bad, sizes, target, correlation, looks.alpha)
    if state.passed:
        state = replace(state, passed=not worse, withdrawn=worse)
    if state.passed or (end - looks.first) % looks.step:
        return state
    allowed, seen = looks.allowed(end, state.left), _correlation(bad, sizes, correlation)
    planned = region(sizes, target, correlation, allowed)
    if planned is None:
        return replace(state, region=None)
    chosen = planned if seen == correlation else region(sizes, target, seen, allowed)
    holds = chosen is not None and chosen.holds(bad) and planned.holds(bad)
    return replace(state, region=chosen, left=state.left - planned.error, passed=holds and not worse)


def _correlation(bad: tuple[int, ...], sizes: tuple[int, ...], declared: float) -> float:
    """Allow for what is declared, or, where the days themselves show more, for that, in steps of 0.05 upwards."""
    if not declared or sum(bad) < _RECENT_DAYS:
        return declared
    seen = within_day_correlation([(min(many, size), size) for many, size in zip(bad, sizes, strict=True)])
    return declared if seen <= declared else min(ceil(seen * 20) / 20, 0.95)


def _is_worse(bad: tuple[int, ...], sizes: tuple[int, ...], target: float, correlation: float, alpha: float) -> bool:
    """Tell whether what happened since says no: the last five days are above the target, or the whole is surely not below it."""
    if sum(bad[-_RECENT_DAYS:]) > target * sum(sizes[-_RECENT_DAYS:]):
        return True
    return chance_of_at_most(sum(bad), sizes, target, correlation) > _SURELY_WORSE * alpha


def _criterion(history: History, share: Share) -> Criterion:
    judged = judge_share(history, share)
    total, target = judged.total, f"below {share.target:.0%}"
    thin = judged.region is None and not judged.passed and total.diverged <= share.target * total.total
    accepted = acceptance_of(history, share.name) if thin and history.days else None
    state = PASS if judged.passed or accepted else WAIT
    correlation = _correlation(*judged.today, share.correlation)
    bound = share_bound(total.diverged, judged.today[1], correlation, history.policy.alpha)
    figure = f"{total.diverged} of {total.total} {share.unit}, at most {bound:.1%}"
    if total.total:
        figure = f"{total.diverged / total.total:.1%} ({total.diverged} of {total.total} {share.unit}), at most {bound:.1%}"
    days, trades = (0, 0) if state is PASS else _needed(history, share, judged)
    return Criterion(
        name=share.name,
        title=share.title,
        state=state,
        figure=figure,
        target=target,
        reason=accepted_reason(accepted) if accepted else _reason(history, judged, days),
        more_days=days,
        more_trades=trades if share.unit == "trades" else None,
        accepted=share.name if accepted else None,
    )


def acceptance_of(history: History, name: str) -> Acceptance | None:
    """Find the acceptance of a criterion that is in force."""
    found = [entry for entry in history.policy.accepted if entry.name == name and entry.expires >= history.as_of]
    return found[0] if found else None


def accepted_reason(entry: Acceptance | None) -> str:
    """Say who accepts a thin criterion, until when and why."""
    return "" if entry is None else f"accepted by {entry.owner} until {entry.expires}: {entry.reason}"


def _reason(history: History, judged: Judged, days: int | None) -> str:
    policy = history.policy
    if judged.total.total == 0:
        return "No data yet. No data never passes."
    if judged.withdrawn:
        return "It passed an earlier look; what happened since took that away."
    if history.look == 0:
        return f"First judged after {policy.days} covered days; this is how it stands."
    sure = f"{1 - policy.alpha:.0%} confidence over all looks together"
    if judged.passed and judged.region is not None:
        return f"Passed with {sure}."
    if judged.region is None:
        return f"Too little evidence to say anything with {sure}, whatever it showed."
    clean = f", none of them on the last {judged.region.clean_days} days" if judged.region.clean_days else ""
    asked = f"The last look asked for at most {judged.region.most} diverging{clean}."
    return f"{asked} At today's rate the target will not be reached." if days is None else asked


def _needed(history: History, share: Share, judged: Judged) -> tuple[int | None, int | None]:
    """Work out the days and trades until a planned look passes, if all goes on as so far; None where none does."""
    days, diverged, total = len(judged.days[0]), sum(judged.days[0]), sum(judged.days[1])
    if not total or diverged >= share.target * total:
        return None, None
    looks, left, a_day = history.policy.looks, judged.left, max(round(total / days), 1)
    for number in range(history.look + 1, history.look + _MAX_LOOKS):
        length = looks.days(number)
        more = length - days
        chosen = region((a_day,) * length, share.target, share.correlation, looks.allowed(length, left))
        if chosen is None:
            continue
        if round(diverged * length / days) <= chosen.most:
            return more, more * a_day
        left -= chosen.error
    return None, None


def latency_criteria(history: History) -> list[Criterion]:
    """Judge the candidate's duration against the control's, and the share of runs that take much longer."""
    policy, limit = history.policy, log(history.policy.slow_ratio)
    slow = Share(
        "latency_tail",
        f"Runs slower than {policy.slow_ratio:g} times the control",
        policy.slow_target,
        lambda day: Tally(sum([ratio > limit for ratio in day.log_ratios]), len(day.log_ratios)),
        policy.correlation,
        "runs",
    )
    return [_latency(history), _criterion(history, slow)]


def _passed_a_look(history: History) -> bool:
    """Take the planned looks at the duration, out of one budget, until one passes; another period begins them anew.

    A look that passed is not taken again: what happens later may take it away, but no later look asks for more.
    """
    policy, looks, left, passed = history.policy, history.policy.looks, history.policy.alpha, False
    for period in history.periods:
        passed = False
        for number in range(1, looks.number(len(period.days)) + 1):
            if passed:
                break
            length = looks.days(number)
            error = left * (0.1 if length < looks.full else 0.8)
            left -= error
            bound = ratio_bound(_day_means(period.days[:length]), error, policy.autocorrelation)
            passed = bound.upper is not None and bound.upper < 1 + policy.latency_margin
    return passed


def _latency(history: History) -> Criterion:
    policy, looks, limit = history.policy, history.policy.looks, 1 + history.policy.latency_margin
    now = ratio_bound(_day_means(history.today), policy.alpha, policy.autocorrelation)
    recent = ratio_bound(_day_means(history.today[-_RECENT_DAYS:]), policy.alpha, policy.autocorrelation)
    holds = now.upper is not None and now.upper < limit and recent.estimate is not None and recent.estimate < limit
    passed = holds and _passed_a_look(history)
    if now.estimate is None:
        figure, reason = "no run with both durations", "No data yet. No data never passes."
    else:
        upper = "no bound yet" if now.upper is None else f"at most {now.upper:.2f}"
        figure = f"{now.estimate:.2f} times the control ({upper}, {now.days} days)"
        reason = f"Judged by day, allowing for an autocorrelation of {policy.autocorrelation:g} from one day to the next."
    slower = now.estimate is not None and now.estimate >= limit
    wait = max(looks.days(history.look + 1) - len(history.days), 0)
    return Criterion(
        name="latency",
        title="Duration, candidate against control",
        state=PASS if passed else WAIT,
        figure=figure,
        target=f"below {limit:.2f} times the control",
        reason=f"{reason} At today's rate the target will not be reached." if slower else reason,
        more_days=0 if passed else (None if slower else wait),
    )


def _day_means(days: tuple[DayEvidence, ...]) -> tuple[float, ...]:
    return tuple(sum(day.log_ratios) / len(day.log_ratios) for day in days if day.log_ratios)
