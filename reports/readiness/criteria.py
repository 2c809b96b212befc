"""Business Unit: reports | Status: current.

Readiness, criterion by criterion. Each is a function from the history of evidence to what it found; `assess` asks them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from reports.readiness.day_evidence import NOTHING, DayEvidence, Feature, Stratum, Tally
from reports.readiness.readiness import (
    Criterion,
    CriterionState,
    History,
    KnownEntry,
    ReadinessPolicy,
    Statement,
    conclude,
    history_of,
)
from reports.readiness.shares import acceptance_of, accepted_reason, latency_criteria, share_criteria
from reports.readiness.statistics import upper_bound
from shadow.contracts.model import decimal_text
from shadow.contracts.words import count

_CENT = Decimal("0.01")
PASS, WAIT, FAIL = CriterionState.PASS, CriterionState.WAIT, CriterionState.FAIL


def assess(
    evidence: Sequence[DayEvidence],
    *,
    as_of: date,
    policy: ReadinessPolicy | None = None,
    register: Sequence[KnownEntry] = (),
    unread: str = "",
) -> Statement:
    """Say whether the candidate may take over on `as_of`.

    `evidence` has one entry a trading day, in order, from the first day ever looked at up to the last closed one: what earlier
    looks and restarts used of the error counts too. A day that was not covered is an entry like any other and ends the row.
    `unread` says what is missing to know what was covered: nothing is READY on it.
    """
    policy = policy or ReadinessPolicy()
    history = history_of(evidence, as_of, policy)
    shares = share_criteria(history)
    criteria = (
        _coverage(history, evidence, unread),
        _unexplained(history),
        _last_day(history),
        *shares,
        *latency_criteria(history),
        _safety(history, evidence),
        _cost(history),
        _known(as_of, register, evidence),
        _exercised(history, evidence),
    )
    live, drilled = _gone_through(history, evidence)
    never = [feature for feature in Feature if feature not in live]
    waits = [entry for entry in criteria if entry.state is not PASS]
    return Statement(
        readiness=conclude(criteria),
        as_of=as_of,
        accepted=(*_decided(history, evidence), *(f"{entry.title}: {entry.reason}" for entry in criteria if entry.accepted)),
        assumption=f"trades of one day go wrong together at most to a correlation of {policy.correlation:g}",
        without_assumption=_bad_days(history),
        workflow_in_production=bool(evidence and evidence[-1].swapped),
        period_began=history.periods[-1].began,
        first_day=history.days[0].day if history.days else None,
        days=len(history.days),
        in_a_row=history.in_a_row,
        days_needed=policy.days,
        look=history.look,
        next_look=policy.looks.days(history.look + 1),
        trades=_sum(history.days, Stratum.ALL).total,
        runs=sum(day.runs.total for day in history.days),
        drills=sum(day.drills for day in evidence),
        criteria=criteria,
        never_exercised=tuple(feature.value for feature in never if feature not in drilled),
        only_drilled=tuple(feature.value for feature in never if feature in drilled),
        more_days=_most([entry.more_days for entry in waits]),
        more_trades=_most([entry.more_trades for entry in waits if entry.more_trades is not None]),
    )


_DECISIONS = frozenset({"accepted", "restarts", "same_versions", "closures"})


def _decided(history: History, evidence: Sequence[DayEvidence]) -> list[str]:
    """Say what people set in place of the defaults, and what else they decided about these days."""
    policy, default = history.policy, ReadinessPolicy()
    said = [
        f"{name}: {_shown(getattr(policy, name))}, by default {_shown(getattr(default, name))}"
        for name in ReadinessPolicy.model_fields
        if name not in _DECISIONS and getattr(policy, name) != getattr(default, name)
    ]
    days = {day.day for day in evidence if not day.published and not day.unpublished}
    said += [f"{each.day} counts as closed: {each.reason}" for each in policy.closures if each.day in days]
    seen = {version for day in history.days for version in day.version.split(", ")}
    same = [each for each in policy.same_versions if len(seen.intersection(each.versions)) > 1]
    return said + [f"{', '.join(each.versions)} count as one version, by {each.owner}: {each.reason}" for each in same]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _bad_days(history: History) -> str:
    """Say what the days show when nothing is assumed about the trades within one."""
    days = len(history.days)
    bad = sum(day.runs.diverged > 0 or day.strata.get(Stratum.ALL, NOTHING).diverged > 0 for day in history.days)
    bound = upper_bound(bad, days, history.policy.alpha) if days else 1.0
    sure = f"{1 - history.policy.alpha:.0%} confidence"
    return f"{bad} of {days} days had an unexplained difference: at most {bound:.1%} of all days do ({sure}, one look)"


def _most(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known, default=0) if len(known) == len(values) else None


def _sum(days: Sequence[DayEvidence], stratum: Stratum) -> Tally:
    return sum((day.strata.get(stratum, NOTHING) for day in days), NOTHING)


def _coverage(history: History, evidence: Sequence[DayEvidence], unread: str) -> Criterion:
    days, needed = history.in_a_row, history.policy.days
    waiting = evidence[-1].pending if evidence and evidence[-1].is_open else 0
    gaps = [day for day in history.seen if not (day.is_covered or day.is_open or day.closed)]
    gaps += [day for day in evidence if day.swapped]
    broken = max(gaps, key=lambda day: day.day, default=None)
    reason = f"{days} trading days in a row on which everything planned was published, compared and accounted for"
    if days < needed and broken is not None:
        reason += f"; the row was broken on {broken.day}: {_why_broken(broken)}"
    elif days < needed and len(history.periods) > 1:
        reason += "; the period began anew"
    if waiting:
        reason += f"; {waiting} pairs of {evidence[-1].day} still wait for their verdict"
    if unread:
        reason += f"; {unread}"
    lost = not all(day.conserved for day in evidence[-1:])
    return Criterion(
        name="coverage",
        title="Full coverage in a row",
        state=FAIL if lost else (PASS if days >= needed and not waiting and not unread else WAIT),
        figure=f"{days} days",
        target=f"at least {needed} trading days",
        reason=reason,
        more_days=max(needed - days, 0),
    )


def _why_broken(day: DayEvidence) -> str:
    if not day.conserved:
        return "pairs are unaccounted for"
    if day.swapped:
        return "the workflow was in production"
    if day.unpublished:
        return f"{day.unpublished} of {day.planned} plans of the day have no pair: they did not reach both lanes"
    if day.published == 0:
        return "nothing was published"
    return f"{day.published - day.judged} of {day.published} pairs missing, incomplete or still open"


def _unexplained(period: History) -> Criterion:
    critical = sum(day.critical for day in period.seen)
    major = sum(day.major for day in period.seen)
    found = critical + major
    state = FAIL if found else (PASS if period.days else WAIT)
    return Criterion(
        name="unexplained",
        title="Unexplained critical and major differences",
        state=state,
        figure=f"{critical} critical, {major} major",
        target="none",
        reason=_reason_unexplained(period, found),
        more_days=None if found else (0 if period.days else period.policy.days),
    )


def _reason_unexplained(period: History, found: int) -> str:
    if not found and not period.days:
        return "no covered day has been seen"
    if not found:
        return "every difference of that weight is explained"
    days = ", ".join(sorted(str(day.day) for day in period.seen if day.critical + day.major))
    return f"Explain these differences, or fix them and restart the evidence period: {days}"


def _last_day(history: History) -> Criterion:
    """Take READY away on a day on which everything diverged, however many clean days stand against it."""
    last = history.today[-1] if history.today else None
    trades = last.strata.get(Stratum.ALL, NOTHING) if last else NOTHING
    runs = last.runs if last else NOTHING
    whole = trades.diverged == trades.total > 0 or (runs.diverged == runs.total > 0 and not trades.diverged)
    return Criterion(
        name="last_day",
        title="The last day did not diverge as a whole",
        state=PASS if last and not whole else WAIT,
        figure=f"{trades.diverged} of {count(trades.total, 'trade')}, {runs.diverged} of {count(runs.total, 'run')}"
        if last
        else "no day",
        target="not every trade, and not every run for reasons beyond its trades",
        reason=f"every {'trade' if trades.diverged else 'run'} of {last.day} diverged"
        if last and whole
        else ("something agreed" if last else "no day was covered"),
        more_days=1 if last and whole else (0 if last else history.policy.days),
    )


def _safety(history: History, evidence: Sequence[DayEvidence]) -> Criterion:
    """Look at every day since the last restart, covered or not, whatever the version: only a person lets such a thing rest."""
    restarts = [restart.day for restart in history.policy.restarts if restart.day <= history.as_of]
    evidence = [day for day in evidence if day.day >= max(restarts, default=day.day)]
    found = sum(day.safety for day in evidence)
    days = ", ".join(str(day.day) for day in evidence if day.safety)
    seen = any(day.published for day in evidence)
    return Criterion(
        name="safety",
        title="Safety violations of the candidate",
        state=FAIL if found else (PASS if seen else WAIT),
        figure=str(found),
        target="none",
        reason=f"on {days}: see the differences" if found else ("none was seen" if seen else "no run was seen"),
        more_days=None if found or not seen else 0,
    )


def _cost(period: History) -> Criterion:
    policy = period.policy
    transitions = sum(day.transitions for day in period.days)
    days = len(period.days)
    monthly = Decimal(0) if not days else transitions * policy.trading_days_a_month * policy.usd_per_transition / days
    within = monthly <= policy.cost_budget_usd
    known = transitions > 0
    return Criterion(
        name="cost",
        title="State transitions a month",
        state=WAIT if not known else (PASS if within else FAIL),
        figure=f"{decimal_text(monthly.quantize(_CENT))} USD" if known else "not known",
        target=f"at most {decimal_text(policy.cost_budget_usd)} USD",
        reason=f"{transitions} transitions in {days} days" if known else "No transitions were counted. No data never passes.",
        more_days=0 if known and within else None,
    )


def _known(as_of: date, register: Sequence[KnownEntry], evidence: Sequence[DayEvidence]) -> Criterion:
    spent = evidence[-1].over_budget if evidence else frozenset()
    expired = [entry for entry in register if entry.expires < as_of]
    over = [entry for entry in register if entry.id in spent and entry not in expired]
    faults = [f"{entry.id} of {entry.owner} expired on {entry.expires}" for entry in expired]
    faults += [f"{entry.id} of {entry.owner} is over budget" for entry in over]
    return Criterion(
        name="known_divergences",
        title="Register of known divergences",
        state=FAIL if faults else PASS,
        figure=f"{len(expired)} expired, {len(over)} over budget, of {len(register)}",
        target="none expired, none over budget",
        reason="; ".join(faults) or "every entry is in force and within its budget",
        more_days=None if faults else 0,
    )


def _gone_through(period: History, evidence: Sequence[DayEvidence]) -> tuple[frozenset[Feature], frozenset[Feature]]:
    """List what live runs of the period went through, and what drills did at any time."""
    live = frozenset[Feature]().union(*(day.exercised for day in period.days))
    return live, frozenset[Feature]().union(*(day.drilled for day in evidence))


def _exercised(period: History, evidence: Sequence[DayEvidence]) -> Criterion:
    live, drilled = _gone_through(period, evidence)
    names = {feature: f"exercised.{feature.name.lower()}" for feature in period.policy.required}
    missing = [feature for feature in period.policy.required if feature not in live | drilled]
    accepted = [entry for feature in missing if (entry := acceptance_of(period, names[feature]))]
    lacking = [feature for feature in missing if acceptance_of(period, names[feature]) is None]
    by_drill = [feature for feature in period.policy.required if feature in drilled - live]
    reason = "every one was gone through in a live run" if not by_drill else f"only in drills: {', '.join(by_drill)}"
    if accepted:
        reason = "; ".join(f"{entry.name} {accepted_reason(entry)}" for entry in accepted)
    return Criterion(
        name="exercised",
        title="What must have happened at least once",
        state=WAIT if lacking else PASS,
        figure=f"{len(period.policy.required) - len(lacking)} of {len(period.policy.required)}",
        target="each, live or in a replayed or planted run that agreed",
        reason=f"never: {', '.join(lacking)}; replay or plant such runs" if lacking else reason,
        more_days=None if lacking else 0,
        accepted="exercised" if accepted and not lacking else None,
    )
