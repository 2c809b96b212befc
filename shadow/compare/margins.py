"""Business Unit: compare | Status: current.

Margins: what the rules of a policy were asked while a pair was judged, and what tolerance each question needed. As long as every
question is answered as before, judging takes the same way and finds the same: so the margins tell, without judging, whether
another tolerance could change a pair. The judge's own checks ask; nothing is compared a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from hashlib import sha256

from shadow.compare.case import Finding
from shadow.compare.policy import OWN, Policy
from shadow.compare.rules import (
    EXACT,
    TEN_THOUSAND,
    ZERO,
    AbsoluteRule,
    BpsRule,
    DurationRatioRule,
    ExactRule,
    Measure,
    Numeric,
    OrderedRule,
    TicksRule,
    Tolerant,
)
from shadow.contracts.comparison import Margin, Margins, Needs
from shadow.contracts.model import MAGNITUDES

NOT_JUDGED = frozenset({"deadlines", "severity", "known", "noise"})
"""The fields of a policy that decide nothing about what is found."""
_NOT_WEIGHED = frozenset({"deadlines", "noise"})
"""Those of them that decide nothing about the weight of what is found either."""
_TOLERANCES = {"tolerance", "tick", "ticks", "slack_seconds", "ratio", "rule"}
_NUMERIC = (ExactRule, AbsoluteRule, BpsRule, TicksRule)
_TOLERANT = (*_NUMERIC, OrderedRule, DurationRatioRule)
_DIGITS = 12
_UP, _DOWN = Context(prec=_DIGITS, rounding=ROUND_CEILING), Context(prec=_DIGITS, rounding=ROUND_FLOOR)
_LEAST, _MOST = Decimal(1).scaleb(MAGNITUDES.start), Decimal(1).scaleb(MAGNITUDES.stop - 1)
_NEVER = Decimal("Infinity")
_MEASURES: tuple[Measure, ...] = ("absolute", "bps")


def numeric_rules(policy: Policy) -> dict[str, Numeric]:
    """Give the policy's rules that hold one number against another, by name."""
    return {name: rule for name, rule in policy.rules if isinstance(rule, _NUMERIC)}


def tolerant_rules(policy: Policy) -> dict[str, Tolerant]:
    """Give the policy's rules that have margins, by name; those of fields of a user's own as `own.NAME`."""
    own = {f"{OWN}{name}": rule for name, rule in policy.own.items()}
    return {name: rule for name, rule in policy.rules if isinstance(rule, _TOLERANT)} | own


def basis_of(policy: Policy) -> str:
    """Give the sha256 of what the policy judges by and no margin answers: two policies of one basis differ by tolerances."""
    return _without(policy, NOT_JUDGED, _TOLERANCES | {"severity"})


def weights_of(policy: Policy) -> str:
    """Give the sha256 of what the policy weighs by: a difference that two policies of the same weights find, both weigh alike."""
    return _without(policy, _NOT_WEIGHED, _TOLERANCES)


def _without(policy: Policy, fields: Iterable[str], of_own: set[str]) -> str:
    """Give the sha256 of a policy without its tolerances, those `fields`, and those `of_own` of each field of a user's own."""
    rules = dict.fromkeys(tolerant_rules(policy), _TOLERANCES)
    own = dict.fromkeys(policy.own, of_own)
    left = policy.model_dump_json(exclude={"rules": rules, "own": own, **dict.fromkeys(fields, True)})
    return sha256(left.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Question:
    """What a rule was asked: whether values `apart`, the larger of them `largest`, are equal where tolerances count in `unit`."""

    apart: Decimal
    largest: Decimal
    unit: Decimal
    permitted: bool

    def need(self, measure: Measure) -> Decimal:
        """Give the tolerance that would just have been enough; infinity where none would be."""
        if self.apart <= 0:
            return ZERO
        if measure == "bps":
            return EXACT.divide(EXACT.multiply(self.apart, TEN_THOUSAND), self.largest) if self.largest > 0 else _NEVER
        return EXACT.divide(self.apart, self.unit) if self.unit > 0 else _NEVER


@dataclass(slots=True)
class _Asked:
    """What one rule was asked so far."""

    questions: list[Question] = field(default_factory=list)
    needed: Decimal = ZERO
    trade_id: str | None = None
    shown: bool = False

    def needs(self, measure: Measure) -> Needs:
        """Give what all questions together needed in `measure`."""
        permitted = max((question.need(measure) for question in self.questions if question.permitted), default=ZERO)
        refused = [question.need(measure) for question in self.questions if not question.permitted]
        least = min(refused, default=_NEVER)
        return Needs(permitted=_rounded(permitted, _UP), refused=None if least == _NEVER else _rounded(least, _DOWN))


class RecordingRule:
    """Stands in a policy for one of its rules: answers as it does, and has the recorder note what it was asked."""

    def __init__(self, rule: Tolerant, asked: _Asked, fresh: dict[int, tuple[_Asked, list[Question]]]) -> None:
        """Stand for `rule`; what it is asked is noted in `fresh`, for `asked`."""
        self._rule, self._asked, self._fresh = rule, asked, fresh

    def permits(self, apart: Decimal, largest: Decimal, unit: Decimal) -> bool:
        """Answer as the rule does, and note the question."""
        permitted = self._rule.permits(apart, largest, unit)
        self._fresh.setdefault(id(self), (self._asked, []))[1].append(Question(apart, largest, unit, permitted))
        return permitted

    @property
    def floor_seconds(self) -> Decimal:
        """The floor of a ratio of durations, which is part of the basis."""
        if not isinstance(self._rule, DurationRatioRule):
            raise TypeError(f"expected a ratio of durations, was the rule {self._rule}")
        return self._rule.floor_seconds

    def __str__(self) -> str:
        """Read as the rule does. Who reads it shows it in a difference."""
        self._asked.shown = True
        return str(self._rule)


class ToleranceRecorder:
    """Watches the rules of a policy while one pair is judged."""

    def __init__(self, policy: Policy) -> None:
        """Watch `policy`: judge by `watched`."""
        self._policy = policy
        self._rules = tolerant_rules(policy)
        self._asked = {name: _Asked() for name in self._rules}
        self._fresh: dict[int, tuple[_Asked, list[Question]]] = {}
        rules = {name: RecordingRule(rule, self._asked[name], self._fresh) for name, rule in self._rules.items()}
        own = {name: rules.pop(f"{OWN}{name}") for name in policy.own}
        self._names = {id(asked): name for name, asked in self._asked.items()}
        self.watched = policy.model_copy(update={"rules": policy.rules.model_copy(update=rules), "own": own})

    def found(self, trade_id: str | None, findings: Iterable[Finding]) -> list[Finding]:
        """Let the checks of one trade (None: of the runs) find what they find, and note what they asked."""
        found = list(findings)
        self.taken(trade_id, found=bool(found))
        return found

    def taken(self, trade_id: str | None, *, found: bool) -> dict[str, Decimal]:
        """Give what each rule needed of what was asked since the last time, in its own measure, and begin anew.

        Where nothing was found, a question that the rule refused did not matter, so it needed nothing.
        """
        needed = {}
        for asked, questions in self._fresh.values():
            name = self._names[id(asked)]
            rule = self._rules[name]
            need = max((_own(rule, question) for question in questions if found or question.permitted), default=ZERO)
            if need > asked.needed:
                asked.needed, asked.trade_id = need, trade_id
            asked.questions += questions
            needed[name] = need
        self._fresh.clear()
        return needed

    def margins(self) -> Margins:
        """Give the margins of the pair that was judged."""
        rules = tuple(self._margin(name, asked) for name, asked in self._asked.items() if asked.questions or asked.shown)
        return Margins(basis=basis_of(self._policy), weights=weights_of(self._policy), rules=rules)

    def _margin(self, name: str, asked: _Asked) -> Margin:
        rule = self._rules[name]
        return Margin(
            rule=name,
            words=str(rule),
            measure=rule.measure,
            used=_share(asked.needed, rule.most),
            needed=None if asked.needed > _MOST else _rounded(asked.needed, _UP),
            trade_id=asked.trade_id,
            shown=asked.shown,
            needs={measure: asked.needs(measure) for measure in _MEASURES} if asked.questions else {},
        )


class Unrecorded:
    """Stands for a recorder where nobody asks for margins."""

    def __init__(self, policy: Policy) -> None:
        """Judge by `policy` itself."""
        self.watched = policy

    def found(self, _trade_id: str | None, findings: Iterable[Finding]) -> list[Finding]:
        """Let the checks find what they find."""
        return list(findings)


def _own(rule: Tolerant, question: Question) -> Decimal:
    """Give what a question needed in the measure of the rule itself."""
    measure = rule.bound[0]
    need = question.need(measure)
    return rule.needs(question.apart, question.largest, question.unit) if need not in (ZERO, _NEVER) else need


def _share(needed: Decimal, most: Decimal) -> Decimal | None:
    if needed <= 0:
        return ZERO
    return None if needed > _MOST or most <= 0 else _rounded(EXACT.divide(needed, most), _UP)


def _rounded(value: Decimal, context: Context) -> Decimal:
    """Round to 12 digits, and into what a number of a contract may be: up where `context` rounds up, else down."""
    up = context is _UP
    if value > _MOST:
        return _MOST
    if 0 < value < _LEAST:
        return _LEAST if up else ZERO
    return context.plus(value)


class Unchanged:
    """Tells of pairs, by their margins, whether judging by another policy is certain to find the same.

    Severities, the register and budgets, which weigh what was found, are not looked at.
    """

    def __init__(self, policy: Policy) -> None:
        """Ask about judging by `policy`."""
        rules = tolerant_rules(policy)
        self.basis = basis_of(policy)
        self.words = {name: str(rule) for name, rule in rules.items()}
        self._bounds = {name: rule.bound for name, rule in rules.items()}

    def holds(self, margins: Margins | None) -> bool:
        """Tell whether the same is found for certain; False means that only the judge can tell."""
        return margins is not None and margins.basis == self.basis and all(map(self.answers_alike, margins.rules))

    def answers_alike(self, margin: Margin) -> bool:
        """Tell whether the policy's rule answers every question of `margin` alike, and reads the same where it is shown."""
        if margin.words == self.words[margin.rule]:
            return True
        measure, tolerance = self._bounds[margin.rule]
        needs = margin.needs.get(measure)
        return not margin.shown and (needs is None or (needs.permitted < _MOST and needs.answer_alike(tolerance)))
