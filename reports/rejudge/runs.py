"""Business Unit: reports | Status: current.

Pairs whose trades can be judged each by itself: both lanes ran, nothing is missing, and nothing differs in the runs as a whole.
Whether that is so under a policy is answered from a few figures kept of the pair. They are found once, with the one-pair judge's
own checks under the severest rules: what is exactly equal is equal under every rule.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, localcontext

import msgspec

from shadow.compare.case import PairView
from shadow.compare.completeness import gaps_of
from shadow.compare.exact import EXACT
from shadow.compare.judge import find_in_runs
from shadow.compare.policy import Policy
from shadow.compare.rules import BpsRule, DurationRatioRule, ExactRule, OrderedRule, within
from shadow.compare.safety import has_trades
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane, Side

_EVER = 10**12
_MICROSECONDS = 1_000_000
_ALWAYS = BpsRule(rule="bps", tolerance=Decimal(20_000))
_LANES = (Lane.CONTROL, Lane.CANDIDATE)


class RunFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What of two runs a policy may still object to.

    `limits` are the lanes' equity limits (USD), None where the policy does not hold them against each other; `threshold` is the
    guard's (USD), None where no guard decided; `spans` are durations in microseconds; `emitting` and `uncounted` name lanes.
    """

    limits: tuple[Decimal, Decimal] | None
    threshold: Decimal | None
    spans: tuple[int | None, int | None]
    emitting: tuple[Lane, ...]
    uncounted: tuple[Lane, ...]


def facts_of(view: PairView, policy: Policy) -> RunFacts | None:
    """Give what a policy may object to in the runs; None where something is missing or differs under every policy.

    What must be known is what `policy` says.
    """
    with localcontext(EXACT):
        if view.both is None or tuple(run.lane for run in view.both) != _LANES or gaps_of(view, policy):
            return None
        thresholds = {_threshold(run, policy) for run in view.both} - {None}
        if len(thresholds) > 1:
            return None
        threshold = thresholds.pop() if thresholds else None
        findings = tuple(find_in_runs(view, _severest(policy, threshold)))
    departs = {finding.kind: finding.departs for finding in findings}
    if departs.keys() - {"EFFECT_EMITTED", "EQUITY_NOT_COUNTED"}:
        return None
    control, candidate = view.both
    spans = (_span(control), _span(candidate))
    emitting, uncounted = (departs.get(kind, frozenset()) for kind in ("EFFECT_EMITTED", "EQUITY_NOT_COUNTED"))
    return RunFacts(_limits(view.both), threshold, spans, tuple(sorted(emitting)), tuple(sorted(uncounted)))


def are_quiet(facts: RunFacts, policy: Policy) -> bool:
    """Tell whether `policy` finds nothing in the runs."""
    applies = policy.applies
    if facts.threshold is not None and facts.threshold != policy.limits.guard_threshold_usd:
        return False
    if facts.limits is not None and not within(policy.rules.equity_limit, *facts.limits):
        return False
    if set(facts.emitting) & set(applies.effect_emitted) or set(facts.uncounted) & set(applies.equity_counted):
        return False
    return not any(_is_slow(facts, place, policy) for place in range(2))


def _is_slow(facts: RunFacts, place: int, policy: Policy) -> bool:
    mine, other = facts.spans[place], facts.spans[1 - place]
    if mine is None:
        return False
    if mine > policy.limits.run_seconds * _MICROSECONDS:
        return True
    rule = policy.rules.duration_ratio
    if other is None or _LANES[place] not in policy.applies.duration_ratio:
        return False
    return mine > rule.floor_seconds * _MICROSECONDS and mine > rule.ratio * other


def _severest(policy: Policy, threshold: Decimal | None) -> Policy:
    """Give the policy that finds all that any policy can find in the runs, but for what `RunFacts` tells of."""
    exact, every = ExactRule(rule="exact"), _LANES
    rules = {
        "guard_amounts": exact,
        "guard_threshold": exact,
        "equity_limit": _ALWAYS,
        "phase_order": OrderedRule(rule="ordered"),
        "duration_ratio": DurationRatioRule(rule="duration_ratio", ratio=Decimal(_EVER), floor_seconds=Decimal(_EVER)),
    }
    limits: dict[str, object] = {"run_seconds": _EVER}
    if threshold is not None:
        limits["guard_threshold_usd"] = threshold
    return policy.model_copy(
        update={
            "rules": policy.rules.model_copy(update=rules),
            "limits": policy.limits.model_copy(update=limits),
            "applies": policy.applies.model_copy(update={"effect_emitted": every, "equity_counted": every}),
        }
    )


def _threshold(run: RunOutcome, policy: Policy) -> Decimal | None:
    """Give the threshold that a run's guard is to be judged by: its own, else the policy's; None where it did not decide."""
    if run.guard is None or not has_trades(run, Side.SELL):
        return None
    return policy.limits.guard_threshold_usd if run.guard.threshold is None else run.guard.threshold


def _limits(runs: tuple[RunOutcome, RunOutcome]) -> tuple[Decimal, Decimal] | None:
    control, candidate = (run.equity_limit for run in runs)
    if control is None or candidate is None or not any(has_trades(run, Side.BUY) for run in runs):
        return None
    return control, candidate


def _span(run: RunOutcome) -> int | None:
    if run.started_at is None or run.completed_at is None:
        return None
    return (run.completed_at - run.started_at) // timedelta(microseconds=1)
