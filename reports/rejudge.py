"""Business Unit: reports | Status: current.

Judging stored pairs again, offline, under another policy: which verdicts flip, and which kinds of difference appear, vanish or
weigh otherwise. The margins tell which pairs can be found otherwise, and only those are judged, by the one judge, in several
processes; severities, the register and budgets are applied to the differences that were stored.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from multiprocessing import get_context

from reports.data.extract import decode
from reports.margin_index import Line, line_of, read_index, write_index
from reports.sources import Entry, Store
from shadow.compare.budgets import over_budget, uncovered
from shadow.compare.judge import case_of, judge, verdict_by, weighed
from shadow.compare.margins import Unchanged
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Difference, Verdict
from shadow.contracts.vocabulary import Lane
from shadow.settlement.judging import code_version, policy_for

FEW = 64
"""So many documents are read by this process alone: starting others takes longer."""
_PORTION = 32
_LOG = logging.getLogger(__name__)
_FIXED = frozenset({Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE, Verdict.INCOMPLETE})
Kinds = dict[str, int]
Told = Callable[[int, int], None]


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
    """What judging again came to. `judged` pairs were given to the judge; of the others the margins were enough."""

    policy_hash: str
    pairs: int = 0
    trades: int = 0
    judged: int = 0
    before: Counter[Verdict] = field(default_factory=Counter)
    after: Counter[Verdict] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)

    @property
    def flips(self) -> Counter[tuple[str, str]]:
        """Count the verdicts that flip, by what they were and become."""
        return Counter((change.before.value, change.after.value) for change in self.changes if change.before is not change.after)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form. `rules` counts, by kind of difference, what came and went."""
        kinds = sorted(self.came.keys() | self.went.keys())
        return {
            "policy_hash": self.policy_hash,
            "pairs": self.pairs,
            "trades": self.trades,
            "judged": self.judged,
            "before": {verdict.value: amount for verdict, amount in sorted(self.before.items())},
            "after": {verdict.value: amount for verdict, amount in sorted(self.after.items())},
            "flips": [{"before": old, "after": new, "pairs": amount} for (old, new), amount in sorted(self.flips.items())],
            "rules": {kind: {"came": self.came[kind], "went": self.went[kind]} for kind in kinds},
            "changes": [change.to_wire() for change in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Again:
    """What the judge said of one stored pair: its verdict and differences, before budgets."""

    verdict: Verdict
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Portion:
    """Documents for one process: read for the index where `lines` does not have them, judged where that is needed."""

    source: Store
    entries: tuple[Entry, ...]
    lines: tuple[Line | None, ...]
    policy: Policy
    days: tuple[date, date]
    whole: bool


class WhatIf:
    """Tells which stored pairs a policy can find otherwise. Asked of lines of the index, a million trades take a second."""

    def __init__(self, policy: Policy) -> None:
        """Ask about judging by `policy`, whichever lane was in production."""
        self._code = code_version()
        self._by_lane = {lane.value: Unchanged(policy_for(policy, lane)) for lane in Lane}

    def needs_the_judge(self, line: Line) -> bool:
        """Tell whether only the judge can say what is found in a pair; False is certain."""
        unchanged = self._by_lane[line.lane]
        if line.code_version != self._code or line.basis != unchanged.basis:
            return True
        words = unchanged.words
        return any(not unchanged.answers_alike(line.margin(asked)) for asked in line.asked if asked[1] != words[asked[0]])


def rejudge(
    source: Store,
    policy: Policy,
    first: date,
    last: date,
    *,
    keep: bool = True,
    whole: bool = False,
    tell: Told = lambda _done, _all: None,
) -> Rejudged:
    """Judge the stored pairs of the trading days `first` to `last` again by `policy`.

    The index of margins is kept, where `keep` says so, for the next time; `whole` gives every pair to the judge. `tell` hears how
    many documents of how many have been worked through. Raises `UnreachableSource`, and `UnreadableDocument` naming document and
    field.
    """
    place = source.index if keep else None
    known = read_index(place)
    entries = source.entries(first, last)
    lines = [line if (line := known.get(entry.name)) and line.stamp == entry.stamp else None for entry in entries]
    answers = _worked(source, entries, lines, policy, (first, last), whole=whole, tell=tell)
    if place is not None and None in lines:
        kept = known | {line.name: line for line, _ in answers}
        write_index(place, kept.values())
    latest = {line.plan_id: (line, again) for line, again in answers if first <= line.trading_day <= last}
    return _told(list(latest.values()), policy)


def _worked(
    source: Store,
    entries: Sequence[Entry],
    lines: Sequence[Line | None],
    policy: Policy,
    days: tuple[date, date],
    *,
    whole: bool,
    tell: Told,
) -> list[tuple[Line, Again | None]]:
    """Give every document's line, in order, with what the judge said where it was asked."""
    ask = WhatIf(policy)
    work = [place for place, line in enumerate(lines) if line is None or whole or ask.needs_the_judge(line)]
    answers: list[tuple[Line, Again | None] | None] = [None if line is None else (line, None) for line in lines]
    portions = [
        Portion(source, tuple(entries[i] for i in part), tuple(lines[i] for i in part), policy, days, whole)
        for part in (work[start : start + _PORTION] for start in range(0, len(work), _PORTION))
    ]
    workers = (os.cpu_count() or 1) if source.can_be_sent and len(work) >= FEW else 1
    done = 0
    for part in _in_processes(portions, workers):
        for answer in part:
            answers[work[done]] = answer
            done += 1
        tell(done, len(work))
    return [answer for answer in answers if answer is not None]


def _in_processes(portions: Sequence[Portion], workers: int) -> Iterator[list[tuple[Line, Again | None]]]:
    """Work through the portions in up to `workers` processes, and give the answers in order."""
    if workers == 1:
        yield from map(worked, portions)
        return
    with ProcessPoolExecutor(min(workers, len(portions)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(worked, portions)


def worked(portion: Portion) -> list[tuple[Line, Again | None]]:
    """Read the documents of a portion, and judge those that need it. Raises `UnreadableDocument`, `UnreachableSource`."""
    ask = WhatIf(portion.policy)
    return [_answer(portion, entry, line, ask) for entry, line in zip(portion.entries, portion.lines, strict=True)]


def _answer(portion: Portion, entry: Entry, line: Line | None, ask: WhatIf) -> tuple[Line, Again | None]:
    content = portion.source.read(entry)
    if line is not None and sha256(content).hexdigest() != line.sha256:
        _LOG.warning("%s: the document is not the one that the index of margins was made from; it is read again", entry.name)
        line = None
    line = line or line_of(entry.name, entry.stamp, content)
    if not portion.days[0] <= line.trading_day <= portion.days[1]:
        return line, None
    if portion.whole or ask.needs_the_judge(line):
        return line, _judged(entry.name, content, portion.policy)
    return line, None


def _judged(name: str, content: bytes, policy: Policy) -> Again:
    stored = decode(name, content)
    again = judge(case_of(stored, code_version()), policy_for(policy, stored.production_lane))
    return Again(again.verdict, again.differences)


def _told(answers: Sequence[tuple[Line, Again | None]], policy: Policy) -> Rejudged:
    """Hold both judgements to the budgets of each day, and note what changed in the order of days, publication and plans."""
    result = Rejudged(policy.hash)
    ours = {lane.value: policy_for(policy, lane).hash for lane in Lane}
    old = {line.run_id: Again(Verdict(line.verdict), line.differences) for line, _ in answers if line.found}
    new = {line.run_id: again or _weighed(line, old[line.run_id], policy) for line, again in answers if again or line.found}
    before = _within_budgets([line for line, _ in answers if line.policy_hash == ours[line.lane]], old, policy)
    after = _within_budgets([line for line, _ in answers], new, policy)
    for line, again in sorted(answers, key=lambda answer: _place(answer[0])):
        result.judged += again is not None
        stored = Again(Verdict(line.verdict), ())
        _note(result, line, before.get(line.run_id, stored), after.get(line.run_id) or _weighed(line, stored, policy))
    return result


def _place(line: Line) -> tuple[str, str, str, str]:
    return (line.day, line.origin, line.published, line.plan_id)


def _weighed(line: Line, stored: Again, policy: Policy) -> Again:
    differences = weighed(stored.differences, policy, line.trading_day) if stored.differences else ()
    return Again(stored.verdict if stored.verdict in _FIXED else verdict_by(differences), differences)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the budgets look at of a pair."""

    plan_id: str
    run_id: str
    trading_day: date
    origin: str
    published_at: datetime
    differences: tuple[Difference, ...]


def _within_budgets(lines: Iterable[Line], said: Mapping[str, Again], policy: Policy) -> dict[str, Again]:
    """Give what was said of every pair; in those of `lines`, what lies beyond the budgets of a day is uncovered."""
    day = [
        _Judged(line.plan_id, line.run_id, line.trading_day, line.origin, line.published_at, said[line.run_id].differences)
        for line in lines
        if line.run_id in said
    ]
    beyond = over_budget(day, {entry.id: entry.budget_a_day for entry in policy.known})
    return dict(said) | {run_id: _beyond(said[run_id], over) for run_id, over in beyond.items()}


def _beyond(said: Again, over: frozenset[str]) -> Again:
    differences = uncovered(said.differences, over)
    return Again(said.verdict if said.verdict in _FIXED else verdict_by(differences), differences)


def _note(result: Rejudged, line: Line, before: Again, after: Again) -> None:
    result.pairs += 1
    result.trades += line.trades
    result.before[before.verdict] += 1
    result.after[after.verdict] += 1
    old, new = Counter(_marks(before.differences)), Counter(_marks(after.differences))
    came, went = _kinds(new - old), _kinds(old - new)
    if came or went or before.verdict is not after.verdict:
        result.changes.append(Change(line.plan_id, line.trading_day, before.verdict, after.verdict, came, went))
        result.came.update(came)
        result.went.update(went)


def _marks(differences: Iterable[Difference]) -> Iterator[tuple[str, tuple[str | None, ...]]]:
    """Tell differences apart by all that a policy decides: severity, cover, cause; a change of these is a coming and a going."""
    for entry in differences:
        cover = (entry.covered_by, entry.over_budget, entry.caused_by)
        yield entry.kind, (entry.key, entry.severity, entry.attribution, *cover)


def _kinds(marks: Counter[tuple[str, tuple[str | None, ...]]]) -> Kinds:
    kinds: Counter[str] = Counter()
    for (kind, _), amount in marks.items():
        kinds[kind] += amount
    return dict(sorted(kinds.items()))
