"""Business Unit: reports | Status: current.

Pairs whose trades can be judged each by itself: both lanes ran, nothing is missing, and what differs in the runs as a whole
neither explains what differs in a trade nor follows from it. Whether that is so under a policy is answered from a few figures
kept of the pair. They are found once, with the one-pair judge's own checks under the severest rules: what is exactly equal is
equal under every rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal, localcontext

import msgspec

from shadow.compare.case import PairView
from shadow.compare.causes import in_order
from shadow.compare.checks.safety import has_trades
from shadow.compare.completeness import gaps_of
from shadow.compare.exact import EXACT
from shadow.compare.finding import Finding
from shadow.compare.judge import differences_of, find_in_runs
from shadow.compare.kinds import KINDS, Kind, Scope
from shadow.compare.policy import Policy
from shadow.compare.rules import BpsRule, DurationRatioRule, ExactRule, OrderedRule, within
from shadow.contracts.comparison import Difference
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Role, RunStatus, Side

_EVER = 10**12
_MICROSECONDS = 1_000_000
_ALWAYS = BpsRule(rule="bps", tolerance=Decimal(20_000))
_LANES = (Role.CONTROL, Role.CANDIDATE)
_RUNS_ONLY = frozenset({"EQUITY_DECISION"})
_OF_TRADES = frozenset(name for name, kind in KINDS.items() if kind.scope is Scope.TRADE) - _RUNS_ONLY


def _stands_apart(kind: Kind) -> bool:
    """Tell whether a kind about runs neither explains a kind that is found in a trade, nor follows from one."""
    about_trades = any(kind.name in KINDS[other].follows for other in _OF_TRADES) or not _OF_TRADES.isdisjoint(kind.follows)
    return kind.scope is Scope.RUN and not about_trades


SETTLED = frozenset(name for name, kind in KINDS.items() if _stands_apart(kind)) - {"PHASE_ORDER"}
"""The kinds about runs that can be told of without the trades. What PHASE_ORDER is depends on the policy, and is not kept."""


class RunFinding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was found in the runs, as far as a policy can think of it: its kind and field, and the lanes that depart."""

    kind: str
    field: str
    departs: tuple[Role, ...]

    def among(self, lanes: Iterable[Role]) -> RunFinding | None:
        """Give what is left of it where only `lanes` are asked; None where nothing is."""
        departs = tuple(role for role in self.departs if role in lanes)
        return RunFinding(self.kind, self.field, departs) if departs else None


class RunFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What of two runs a policy may object to.

    `limits` are the lanes' equity limits (USD), None where the policy does not hold them against each other; `threshold` is the
    guard's (USD), None where no guard decided; `spans` are durations in microseconds, and `completed` says whether both runs
    completed; `found` is what differs under every policy, but for lanes that it does not ask.
    """

    limits: tuple[Decimal, Decimal] | None
    threshold: Decimal | None
    spans: tuple[int | None, int | None]
    completed: bool
    found: tuple[RunFinding, ...]


def facts_of(view: PairView, policy: Policy) -> RunFacts | None:
    """Give what a policy may object to in the runs; None where the trades can be judged by themselves under no policy.

    What must be known is what `policy` says.
    """
    with localcontext(EXACT):
        if view.both is None or tuple(run.role for run in view.both) != _LANES or gaps_of(view, policy):
            return None
        thresholds = {_threshold(run, policy) for run in view.both} - {None}
        if len(thresholds) > 1:
            return None
        threshold = thresholds.pop() if thresholds else None
        findings = tuple(find_in_runs(view, _severest(policy, threshold)))
    if any(finding.kind not in SETTLED and finding.kind != "EQUITY_NOT_COUNTED" for finding in findings):
        return None
    standing = (entry for entry in findings if entry.kind != "EQUITY_LIMIT")
    found = tuple(RunFinding(entry.kind, entry.field, tuple(sorted(entry.departs))) for entry in standing)
    control, candidate = view.both
    completed = control.status is candidate.status is RunStatus.COMPLETED
    return RunFacts(_limits(view.both), threshold, (_span(control), _span(candidate)), completed, found)


def found_in_runs(facts: RunFacts, policy: Policy) -> tuple[RunFinding, ...] | None:
    """Give what `policy` finds in the runs; None where that may have to do with what it finds in a trade."""
    if facts.threshold is not None and facts.threshold != policy.limits.guard_threshold_usd:
        return None
    found = [_asked(finding, policy) for finding in facts.found]
    if any(finding is not None and finding.kind not in SETTLED for finding in found):
        return None
    found += [_unlike_limits(facts, policy), *_durations(facts, policy)]
    return tuple(finding for finding in found if finding is not None)


def run_differences(found: tuple[RunFinding, ...], policy: Policy, on: date) -> tuple[Difference, ...]:
    """Judge what was found in the runs of a trading day, causes, severities and register."""
    findings = [
        Finding(kind=entry.kind, field=entry.field, rule="", explanation="", departs=frozenset(entry.departs)) for entry in found
    ]
    return differences_of(in_order(findings), policy, on, both_ran=True)


def _asked(finding: RunFinding, policy: Policy) -> RunFinding | None:
    """Give what is left of a finding where only the lanes are asked that the policy asks."""
    lanes = {"EFFECT_EMITTED": policy.applies.effect_emitted, "EQUITY_NOT_COUNTED": policy.applies.equity_counted}
    return finding.among(lanes[finding.kind]) if finding.kind in lanes else finding


def _unlike_limits(facts: RunFacts, policy: Policy) -> RunFinding | None:
    limits, rule = facts.limits, policy.rules.equity_limit
    if limits is None or ((limits[0] == 0) is (limits[1] == 0) and within(rule, *limits)):
        return None
    off = tuple(role for role, limit in zip(_LANES, limits, strict=True) if limit == 0)
    return RunFinding("EQUITY_LIMIT", "equity_limit", off)


def _durations(facts: RunFacts, policy: Policy) -> Iterator[RunFinding]:
    rule, longest = policy.rules.duration_ratio, policy.limits.run_seconds * _MICROSECONDS
    spans = dict(zip(_LANES, facts.spans, strict=True))
    known = {role: span for role, span in spans.items() if span is not None}
    if facts.completed and len(known) == len(_LANES):
        others = dict(zip(_LANES, reversed(known.values()), strict=True))
        slow = [
            role
            for role, span in known.items()
            if role in policy.applies.duration_ratio
            and span > rule.floor_seconds * _MICROSECONDS
            and span > rule.ratio * others[role]
        ]
        if slow:
            yield RunFinding("DURATION_RATIO", "duration", tuple(slow))
    long = [role for role, span in known.items() if span > longest]
    if long:
        yield RunFinding("DURATION_ABSOLUTE", "duration", tuple(long))


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
