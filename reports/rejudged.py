"""Business Unit: reports | Status: current.

Judging stored pairs again, offline, under another policy: which verdicts flip, and which kinds of difference appear, vanish or
weigh otherwise. Pair by pair with the one judge, and a day at a time, because budgets are a day's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

from reports.errors import UnreadableDocument
from reports.sources import Source
from shadow.compare.budgets import apply_budgets
from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Difference, Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.evidence.judging import code_version

Flip = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One pair whose judgement changes: its verdicts, and the kinds of difference that came and went (with how many)."""

    plan_id: str
    trading_day: date
    before: Verdict
    after: Verdict
    came: Mapping[str, int]
    went: Mapping[str, int]

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "plan_id": self.plan_id,
            "trading_day": self.trading_day.isoformat(),
            "before": self.before.value,
            "after": self.after.value,
            "came": dict(self.came),
            "went": dict(self.went),
        }


@dataclass(slots=True)
class Rejudged:
    """What judging again came to. `rules` counts, by kind of difference, what came (+) and went (-)."""

    policy_hash: str
    pairs: int = 0
    trades: int = 0
    before: Counter[Verdict] = field(default_factory=Counter)
    after: Counter[Verdict] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)

    @property
    def flips(self) -> Counter[Flip]:
        """Count the verdicts that flip, by what they were and become."""
        return Counter((change.before.value, change.after.value) for change in self.changes if change.before is not change.after)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        kinds = sorted(self.came.keys() | self.went.keys())
        return {
            "policy_hash": self.policy_hash,
            "pairs": self.pairs,
            "trades": self.trades,
            "before": {verdict.value: amount for verdict, amount in sorted(self.before.items())},
            "after": {verdict.value: amount for verdict, amount in sorted(self.after.items())},
            "flips": [{"before": old, "after": new, "pairs": amount} for (old, new), amount in sorted(self.flips.items())],
            "rules": {kind: {"came": self.came[kind], "went": self.went[kind]} for kind in kinds},
            "changes": [change.to_wire() for change in self.changes],
        }


def rejudge(source: Source, policy: Policy, first: date, last: date) -> Rejudged:
    """Judge the stored pairs of the trading days `first` to `last` again by `policy`.

    Raises `UnreachableSource`, and `UnreadableDocument` naming document and field.
    """
    result = Rejudged(policy.hash)
    for _, day in groupby(_in_order(source, first, last), key=lambda entry: (entry.trading_day, entry.origin)):
        stored = list(day)
        before = {entry.plan_id: entry for entry in _budgeted(stored, policy)}
        for again in apply_budgets([judged_again(entry, policy) for entry in stored], policy):
            _note(result, before[again.plan_id], again)
    return result


def judged_again(comparison: Comparison, policy: Policy) -> Comparison:
    """Judge one stored pair by `policy`, from the two outcomes that its document keeps."""
    case = PairCase(
        plan=comparison.plan,
        trading_day=comparison.trading_day,
        published_at=comparison.published_at,
        control=comparison.control,
        candidate=comparison.candidate,
        code_version=code_version(),
        origin=comparison.origin,
        evidence=comparison.evidence,
    )
    return judge(case, policy)


def _budgeted(stored: list[Comparison], policy: Policy) -> list[Comparison]:
    """Hold a day as stored to its budgets where they are known: where this very policy judged it."""
    ours = [entry for entry in stored if entry.policy_hash == policy.hash]
    return [*apply_budgets(ours, policy), *(entry for entry in stored if entry.policy_hash != policy.hash)]


def _in_order(source: Source, first: date, last: date) -> Iterable[Comparison]:
    """Read the comparisons of the days asked for, each plan's last, by day and origin."""
    read = (_comparison(name, content) for name, content in source.documents(first, last))
    latest = {entry.plan_id: entry for entry in read if first <= entry.trading_day <= last}
    return sorted(latest.values(), key=lambda entry: (entry.trading_day, entry.origin, entry.published_at, entry.plan_id))


def _comparison(name: str, content: bytes) -> Comparison:
    try:
        return Comparison.parse_json(content)
    except InvalidPayload as invalid:
        fault = invalid.faults[0]
        raise UnreadableDocument(name, fault.field, f"expected {fault.expected}, was {fault.found}") from None


def _note(result: Rejudged, before: Comparison, after: Comparison) -> None:
    result.pairs += 1
    result.trades += len(before.plan.tradable_items)
    result.before[before.verdict] += 1
    result.after[after.verdict] += 1
    old, new = Counter(_marks(before.differences)), Counter(_marks(after.differences))
    came, went = _kinds(new - old), _kinds(old - new)
    if came or went or before.verdict is not after.verdict:
        result.changes.append(Change(before.plan_id, before.trading_day, before.verdict, after.verdict, came, went))
        result.came.update(came)
        result.went.update(went)


def _marks(differences: Iterable[Difference]) -> Iterator[tuple[str, str]]:
    """Tell differences apart by all that a policy decides: severity, cover, cause; a change of these is a coming and a going."""
    for entry in differences:
        text = f"{entry.key}|{entry.severity}|{entry.attribution}|{entry.covered_by}|{entry.over_budget}|{entry.caused_by}"
        yield entry.kind, text


def _kinds(marks: Counter[tuple[str, str]]) -> dict[str, int]:
    kinds: Counter[str] = Counter()
    for (kind, _), amount in marks.items():
        kinds[kind] += amount
    return dict(sorted(kinds.items()))
