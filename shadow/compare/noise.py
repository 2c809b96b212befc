"""Business Unit: compare | Status: current.

Measure the noise floor: two runs of one lane, of the same plan, are laid side by side and judged as two lanes are, and every rule
is asked what tolerance it would have needed. The judge's own checks do the comparing, so that what is measured is what is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal, localcontext

from shadow.compare.case import PairCase, PairView
from shadow.compare.checks.runs import counter_findings, span_of
from shadow.compare.checks.safety import equity_findings, guard_findings
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.judge import find_in_trade
from shadow.compare.noise_floor import NoiseFloor, RuleNoise
from shadow.compare.policy import Policy
from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, Numeric, TicksRule
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

OF_A_RUN = frozenset({"guard_amounts", "guard_threshold", "equity_limit", "duration_ratio"})
DURATION = "duration_ratio"
OTHER_RUN = "times the other run"
_SHOWN = Decimal("0.000001")
_QUANTILES = (("p50", 50), ("p95", 95), ("p99", 99))
_NUMERIC = (ExactRule, AbsoluteRule, BpsRule, TicksRule)


@dataclass(frozen=True, slots=True)
class TwoRuns:
    """Two runs of one lane, of one plan."""

    plan: RebalancePlan
    trading_day: date
    published_at: datetime
    first: RunOutcome
    second: RunOutcome


@dataclass(slots=True)
class ToleranceRecorder:
    """What the rules would have needed since it was last emptied: the most, and the most among what was not permitted."""

    needed: dict[str, Decimal] = field(default_factory=dict)
    permitted: dict[str, Decimal] = field(default_factory=dict)

    def note(self, name: str, need: Decimal, *, permitted: bool) -> None:
        """Note what the rule `name` would have needed, in its own measure, and whether it permitted it."""
        self.needed[name] = max(self.needed.get(name, ZERO), need)
        if permitted:
            self.permitted[name] = max(self.permitted.get(name, ZERO), need)

    def taken(self, *, found: bool) -> dict[str, Decimal]:
        """Give what was needed, and begin anew. Where nothing was found, what a rule refused was right for another reason."""
        needed = self.needed if found else self.permitted
        self.needed, self.permitted = {}, {}
        return needed


class RecordingRule:
    """Stands in a policy for one of its rules: answers as it does, and notes what it was asked."""

    def __init__(self, name: str, rule: Numeric, asked: ToleranceRecorder) -> None:
        """Stand for `rule`, called `name`; what it is asked goes to `asked`."""
        self._name, self._rule, self._asked = name, rule, asked

    def permits(self, apart: Decimal, largest: Decimal, unit: Decimal) -> bool:
        """Answer as the rule does, and note what it would have needed."""
        permitted = self._rule.permits(apart, largest, unit)
        self._asked.note(self._name, self._rule.needs(apart, largest, unit), permitted=permitted)
        return permitted

    def allowance(self, largest: Decimal, unit: Decimal) -> Decimal:
        """Answer as the rule does."""
        return self._rule.allowance(largest, unit)

    def __str__(self) -> str:
        """Read as the rule does."""
        return str(self._rule)


def noise_floor(runs: Iterable[TwoRuns], policy: Policy) -> NoiseFloor:
    """Measure how far apart two runs of the same lane are under each rule of `policy`.

    Raises ValueError where there are no runs, or they are of more than one lane.
    """
    seen: dict[str, list[Decimal]] = defaultdict(list)
    days: list[date] = []
    lanes: set[Role] = set()
    for two in runs:
        days.append(two.trading_day)
        lanes |= {two.first.role, two.second.role}
        with localcontext(EXACT):
            _measure(two, policy, seen)
    if not days:
        raise ValueError("noise floor: expected plans that were run twice, was none")
    if len(lanes) > 1:
        raise ValueError(f"noise floor: expected runs of one lane, was {', '.join(sorted(lanes))}")
    rules = {name: _summed(values, _measure_of(name, policy)) for name, values in sorted(seen.items()) if values}
    return NoiseFloor(role=lanes.pop(), first_day=min(days), last_day=max(days), pairs=len(days), rules=rules)


def numeric_rules(policy: Policy) -> dict[str, Numeric]:
    """Give the policy's rules that have a tolerance, by name."""
    named = ((name, getattr(policy.rules, name)) for name in type(policy.rules).model_fields)
    return {name: rule for name, rule in named if isinstance(rule, _NUMERIC)}


def _measure_of(name: str, policy: Policy) -> str:
    return OTHER_RUN if name == DURATION else numeric_rules(policy)[name].measure


def _measure(two: TwoRuns, policy: Policy, seen: dict[str, list[Decimal]]) -> None:
    asked = ToleranceRecorder()
    probing, names = _probed(policy, asked, two.first.role), numeric_rules(policy)
    view = PairView(_as_pair(two))
    for pair in view.trades:
        if pair.both is None:
            continue
        findings = list(find_in_trade(pair, frozenset(Role), probing))
        needed = asked.taken(found=bool(findings))
        for name in names.keys() - OF_A_RUN:
            seen[name].append(needed.get(name, ZERO))
    findings = [*equity_findings(view, probing), *guard_findings(view, probing), *counter_findings(view, probing)]
    needed = asked.taken(found=bool(findings))
    for name in names.keys() & OF_A_RUN:
        seen[name].append(needed.get(name, ZERO))
    ratio = _ratio(two, policy)
    if ratio is not None:
        seen[DURATION].append(ratio)


def _probed(policy: Policy, asked: ToleranceRecorder, role: Role) -> Policy:
    """Give `policy` with every tolerance watched. One-sided rules that are for the lane are for both of its runs."""
    probes = {name: RecordingRule(name, rule, asked) for name, rule in numeric_rules(policy).items()}
    applies = {name: tuple(Role) if role in lanes else () for name, lanes in policy.applies}
    return policy.model_copy(
        update={"rules": policy.rules.model_copy(update=probes), "applies": policy.applies.model_copy(update=applies)}
    )


def _as_pair(two: TwoRuns) -> PairCase:
    return PairCase(
        plan=two.plan,
        trading_day=two.trading_day,
        published_at=two.published_at,
        control=two.first.model_copy(update={"role": Role.CONTROL}),
        candidate=two.second.model_copy(update={"role": Role.CANDIDATE}),
        code_version="",
    )


def _ratio(two: TwoRuns, policy: Policy) -> Decimal | None:
    """Give how many times the shorter run's duration the longer one took; nothing where neither is long enough to be judged."""
    spans = [span_of(run) for run in (two.first, two.second)]
    if None in spans:
        return None
    short, long = sorted(span for span in spans if span is not None)
    if short <= 0 or long <= policy.rules.duration_ratio.floor_seconds * 1_000_000:
        return None
    return EXACT.divide(Decimal(long), Decimal(short))


def _summed(values: Sequence[Decimal], measure: str) -> RuleNoise:
    ordered = sorted(values)
    ranks = {name: ordered[-(-len(ordered) * share // 100) - 1] for name, share in _QUANTILES}
    shown = {name: _rounded_up(value) for name, value in {**ranks, "largest": ordered[-1]}.items()}
    return RuleNoise.model_validate({"measure": measure, "observations": len(ordered), **shown})


def _rounded_up(value: Decimal) -> Decimal:
    """Round up to six decimals, so that a tolerance of the figure shown permits what was seen."""
    return value.quantize(_SHOWN, rounding=ROUND_CEILING, context=EXACT) if value.is_finite() else value
