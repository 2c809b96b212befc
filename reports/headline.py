"""Business Unit: reports | Status: current.

The first thing a person reads of a day: what happened and who departs, what it is worth, whether the figures are complete, and
what to do now. The same on the page, in the mail and in a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from shlex import quote
from types import MappingProxyType

from shadow.contracts.comparison import Attribution, Comparison, Difference, Severity, Verdict, Word
from shadow.contracts.model import Frozen
from shadow.contracts.words import count, usd

_OF_KIND = MappingProxyType(
    {
        "DOUBLE_ORDER": "double-live-order",
        "UNCLAIMED_ORDER": "double-live-order",
        "DURATION_RATIO": "duration-regression",
        "RUN_STUCK": "stuck-runs",
        "STUCK_AGGREGATING": "stuck-runs",
    }
)
_OF_VERDICT = MappingProxyType(
    {
        Verdict.INCOMPLETE: "incomplete-evidence",
        Verdict.MISSING_CONTROL: "missing-control",
        Verdict.MISSING_CANDIDATE: "missing-candidate",
        Verdict.PENDING: "oldest-pending-pair",
    }
)
_MISSED = (Verdict.INCOMPLETE, Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE, Verdict.PENDING)


class Headline(Frozen):
    """What to tell first. `todo` is what a person decides; `command` and `runbook` are empty where there is nothing to do.

    `unseen` says which pairs were judged without the candidate's broker, as in dry run, and where stands what that cannot show.
    """

    verdict: str
    sentence: str
    who: str
    worth: str
    complete: str
    todo: str
    command: str = ""
    runbook: str = ""
    plan_id: str = ""
    unseen: str = ""


def runbook_of(kind: str, severity: Severity) -> str:
    """Name the runbook of a difference."""
    return _OF_KIND.get(kind) or ("critical-divergence" if severity is Severity.CRITICAL else "divergence-rate")


def worst_first(differences: Sequence[Difference]) -> list[Difference]:
    """Order differences as they are told: unexplained first, then by severity, then by dollars."""
    return sorted(differences, key=lambda each: (not each.unexplained, each.severity.rank, -each.gross, each.key))


def _told(difference: Difference) -> str:
    """Say what a difference is, after the trade that it is of."""
    trade = f"{difference.action or ''} {difference.symbol or ''}".strip()
    return f"{trade}: {difference.explanation}" if trade else difference.explanation


def headline_of(comparisons: Sequence[Comparison], published: int | None = None) -> Headline:
    """Say the first things of the live pairs of a day (or of one pair). `published`: how many there were, where that is known."""
    pairs = [each for each in comparisons if each.origin == "live"] or list(comparisons)
    return _first_things(pairs, published).model_copy(update={"unseen": _unseen(pairs)})


def _unseen(pairs: Sequence[Comparison]) -> str:
    alone = sum(pair.candidate is not None and not pair.candidate.broker_truth for pair in pairs)
    if not alone:
        return ""
    asked = f"No broker was asked about the candidate in {alone} of {count(len(pairs), 'pair')}, as in dry run"
    return f"{asked}: docs/what-is-seen.md lists what that cannot show."


def _first_things(pairs: Sequence[Comparison], published: int | None) -> Headline:
    found = [(each, entry) for each in pairs for entry in each.differences if entry.unexplained]
    missed = [each for each in pairs if each.verdict in _MISSED]
    complete = _complete(pairs, missed, published)
    if found:
        return _departs(found, complete)
    if missed:
        return _incomplete(pairs, missed, complete)
    if not pairs:
        nothing = "Nothing was compared on this day."
        return Headline(
            verdict="NOTHING", sentence=nothing, who="", worth="", complete=complete, todo="Find out why: see the ledger."
        )
    covered = sum(entry.covered_by is not None and entry.counts for each in pairs for entry in each.differences)
    sentence = f"{_all(len(pairs))} agree."
    if covered:
        sentence = f"{_all(len(pairs))} agree but for {count(covered, 'difference')} that the register covers."
    return Headline(
        verdict="MATCHED", sentence=sentence, who="No lane departs.", worth="0.00 USD", complete=complete, todo="Nothing to do."
    )


def _all(pairs: int) -> str:
    return "Both lanes" if pairs == 1 else f"All {pairs} pairs"


def _departs(found: Sequence[tuple[Comparison, Difference]], complete: str) -> Headline:
    order = {id(entry): place for place, entry in enumerate(worst_first([entry for _, entry in found]))}
    comparison, worst = min(found, key=lambda each: order[id(each[1])])
    gross = sum((entry.gross for _, entry in found), Decimal(0))
    net = sum((entry.impact.notional for _, entry in found), Decimal(0))
    rest = len(found) - 1
    more = f" And {count(rest, 'more unexplained difference')}." if rest else ""
    told = {entry.departs: None for role in Attribution for _, entry in found if entry.attribution is role}
    who = ", ".join(told)
    critical = any(entry.severity is Severity.CRITICAL for _, entry in found)
    return Headline(
        verdict="CRITICAL" if critical else "DIVERGED",
        sentence=f"{_told(worst)}{more}",
        who=f"{who[0].upper()}{who[1:]}.",
        worth=f"{usd(gross)} gross, {usd(net)} net{_unvalued(found)}",
        complete=complete,
        todo=_decision(worst, len(found)),
        command=f"shadow explain {quote(comparison.plan_id)}",
        runbook=runbook_of(worst.kind, worst.severity),
        plan_id=comparison.plan_id,
    )


def _unvalued(found: Sequence[tuple[Comparison, Difference]]) -> str:
    """Say how many trades that differ have no price but their lane's own: in the sums they are nothing."""
    names = {(comparison.plan_id, entry.trade_id) for comparison, entry in found}
    pairs = {comparison.plan_id: comparison for comparison, _ in found}
    lines = {(name, line.trade_id): line for name, each in pairs.items() if each.money is not None for line in each.money.lines}
    number = sum(name in names and Word.NOT_VALUED in (line.control.word, line.candidate.word) for name, line in lines.items())
    return f"; {count(number, 'trade')} not valued" if number else ""


def _decision(worst: Difference, number: int) -> str:
    those = "this difference" if number == 1 else f"these {number} differences"
    if worst.severity is Severity.CRITICAL:
        return f"Decide today: fix the lane, or pause it. Then explain {those}."
    return f"Explain {those}: fix the lane, or register it with owner, reason and expiry."


def _incomplete(pairs: Sequence[Comparison], missed: Sequence[Comparison], complete: str) -> Headline:
    first = min(missed, key=lambda each: (_MISSED.index(each.verdict), each.plan_id))
    gap = f" {first.gaps[0]}." if first.gaps else ""
    words = first.verdict.value.replace("_", " ").lower()
    return Headline(
        verdict=first.verdict.value,
        sentence=f"{len(missed)} of {count(len(pairs), 'pair')} could not be compared ({words}).{gap}",
        who="Unknown: what was not seen accuses nobody.",
        worth="Not known.",
        complete=complete,
        todo="Find the missing evidence and settle the pair again.",
        command=f"shadow compare {quote(first.plan_id)}",
        runbook=_OF_VERDICT[first.verdict],
        plan_id=first.plan_id,
    )


def _complete(pairs: Sequence[Comparison], missed: Sequence[Comparison], published: int | None) -> str:
    total = len(pairs) if published is None else published
    compared = len(pairs) - len(missed)
    if compared == total and total:
        return f"Complete: {count(total, 'pair')} published, {compared} compared."
    return f"Not complete: {count(total, 'pair')} published, {compared} compared."


def tone_of(verdict: str) -> str:
    """Give the tone of a word: good, note, wait or bad."""
    return _TONES.get(verdict, "bad")


_TONES: Mapping[str, str] = {
    "MATCHED": "good",
    "IGNORED": "good",
    "READY": "good",
    "gone": "good",
    "INFO": "note",
    "MINOR": "note",
    "still there": "note",
    "MAJOR": "wait",
    "INCOMPLETE": "wait",
    "PENDING": "wait",
    "NOT_YET": "wait",
    "NOTHING": "wait",
    "new": "bad",
    "pass": "good",
    "wait": "wait",
    "in force": "good",
    "clear of the noise": "good",
    "close to the noise": "wait",
}
