"""Business Unit: reports | Status: current.

The criteria of readiness that are statistics: shares of diverging trades by stratum and path, bad days, duration and slow runs.
Only a planned look makes one of them pass; what happens afterwards takes the pass away on the same day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

from reports.data.columns import Path
from reports.readiness.day_evidence import DayEvidence, Stratum, Tally
from reports.readiness.readiness import Acceptance, Criterion, CriterionState, History, Period
from reports.readiness.statistics import Region, chance_of_at_most, ratio_bound, region, share_bound, within_day_correlation

_MAX_LOOKS = 20
_RECENT_DAYS = 5
_SURELY_WORSE = 4
PASS, WAIT = CriterionState.PASS, CriterionState.WAIT


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
    """Where a share stands: whether it passes, the last look's region, what is left of the error, and the figures."""

    passed: bool
    region: Region | None
    left: float
    total: Tally
    bound: float
    withdrawn: bool = False


def share_criteria(history: History) -> list[Criterion]:
    """Judge the strata that have a target, the bad days, and the paths of the workflow."""
    policy = history.policy
    rates = [
        Share(
            f"rate.{stratum.name.lower()}",
            f"Diverging {stratum.value}",
            target,
            lambda day, s=stratum: _with_replays(day, s),  # type: ignore[misc]
            policy.correlation,
        )
        for stratum, target in policy.rate_targets.items()
    ]
    bad_days = Share("bad_days", "Days with an unexplained difference", policy.bad_day_target, _bad_day, unit="days")
    paths = {path for day in history.days for path in day.paths} | set(policy.bounded_paths)
    return [
        *[_criterion(history, share) for share in (*rates, bad_days)],
        *[_path(history, path) for path in Path if path in paths],
    ]


def _with_replays(day: DayEvidence, stratum: Stratum) -> Tally:
    """Count a stratum's live trades, and, except for the whole, the replayed ones of the same version."""
    live = day.strata.get(stratum, Tally())
    return live if stratum is Stratum.ALL else live + day.replayed.get(stratum, Tally())


def _bad_day(day: DayEvidence) -> Tally:
    bad = day.runs.diverged > 0 or day.strata.get(Stratum.ALL, Tally()).diverged > 0
    return Tally(int(bad), 1)


def _path(history: History, path: Path) -> Criterion:
    policy = history.policy
    share = Share(
        f"path.{path.name.lower()}",
        f"Diverging trades, path {path.value}",
        policy.path_target,
        lambda day: day.paths.get(path, Tally()),
        policy.correlation,
    )
    total = _total([share.counted(day) for day in history.days])
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
    left, passed, withdrawn, last = history.policy.alpha, False, False, None
    for period in history.periods:
        passed, withdrawn, last, left = _looks(history, period, share, left)
    tallies = [share.counted(day) for day in history.today]
    if passed and _is_worse(tallies, share, history.policy.alpha):
        passed, withdrawn = False, True
    total = _total(tallies)
    bound = share_bound(total.diverged, _sizes(tallies), _correlation(tallies, share), history.policy.alpha)
    return Judged(passed, last, left, total, bound, withdrawn)


def _looks(history: History, period: Period, share: Share, left: float) -> tuple[bool, bool, Region | None, float]:
    """Take the looks of one period; gives whether the last one holds, whether it was taken away, its region, and what is left."""
    looks, alpha = history.policy.looks, history.policy.alpha
    tallies = [share.counted(day) for day in period.days]
    passed, withdrawn, chosen = False, False, None
    for end in range(looks.first, len(tallies) + 1):
        seen = tallies[:end]
        if passed:
            withdrawn = _is_worse(seen, share, alpha)
            passed = not withdrawn
        if passed or (end - looks.first) % looks.step:
            continue
        chosen = region(_sizes(seen), share.target, _correlation(seen, share), looks.allowed(end, left))
        if chosen is not None:
            left -= chosen.error
            passed = chosen.holds([tally.diverged for tally in seen]) and not _is_worse(seen, share, alpha)
    return passed, withdrawn and not passed, chosen, left


def _total(tallies: Sequence[Tally]) -> Tally:
    return Tally(sum([tally.diverged for tally in tallies]), sum([tally.total for tally in tallies]))


def _sizes(tallies: list[Tally]) -> tuple[int, ...]:
    return tuple([tally.total for tally in tallies])


def _correlation(tallies: list[Tally], share: Share) -> float:
    """Allow for what is declared, or for more where the days themselves show more."""
    if not share.correlation or sum(tally.diverged for tally in tallies) < _RECENT_DAYS:
        return share.correlation
    seen = within_day_correlation([(tally.diverged, tally.total) for tally in tallies])
    return max(share.correlation, min(round(seen + 0.005, 2), 0.95))


def _is_worse(tallies: list[Tally], share: Share, alpha: float) -> bool:
    """Tell whether what happened since says no: the last five days are above the target, or the whole is surely not below it."""
    recent = _total(tallies[-_RECENT_DAYS:])
    if recent.diverged > share.target * max(recent.total, 1):
        return True
    total = _total(tallies)
    likely = chance_of_at_most(total.diverged, _sizes(tallies), share.target, share.correlation)
    return likely > _SURELY_WORSE * alpha


def _criterion(history: History, share: Share) -> Criterion:
    judged = judge_share(history, share)
    total, target = judged.total, f"below {share.target:.0%}"
    thin = judged.region is None and not judged.passed and total.diverged <= share.target * total.total
    accepted = acceptance_of(history, share.name) if thin and history.days else None
    state = PASS if judged.passed or accepted else WAIT
    figure = f"{total.diverged} of {total.total} {share.unit}, at most {judged.bound:.1%}"
    if total.total:
        figure = (
            f"{total.diverged / total.total:.1%} ({total.diverged} of {total.total} {share.unit}), at most {judged.bound:.1%}"
        )
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
    days = [share.counted(day) for day in history.days]
    total = _total(days)
    if not total.total or total.diverged >= share.target * total.total:
        return None, None
    looks, left = history.policy.looks, judged.left
    for number in range(history.look + 1, history.look + _MAX_LOOKS):
        length = looks.days(number)
        more, a_day = length - len(days), max(round(total.total / len(days)), 1)
        chosen = region((a_day,) * length, share.target, share.correlation, looks.allowed(length, left))
        if chosen is None:
            continue
        if round(total.diverged * length / len(days)) <= chosen.most:
            return more, more * a_day
        left -= chosen.error
    return None, None


def latency_criteria(history: History) -> list[Criterion]:
    """Judge the candidate's duration against the control's, and the share of runs that take much longer."""
    policy = history.policy
    slow = Share(
        "latency_tail",
        f"Runs slower than {policy.slow_ratio:g} times the control",
        policy.slow_target,
        lambda day: Tally(sum(ratio > log(policy.slow_ratio) for ratio in day.log_ratios), len(day.log_ratios)),
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
