"""Business Unit: reports | Status: current.

A day's report for a pipeline: a table in markdown for a pull request, JUnit XML for a build server. Both give every difference
that the report was made with; foreign text makes no cell, line or element of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reports.daily.values import DailyReport, Example, PairRow
from shadow.contracts.comparison import Verdict
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import usd
from shadow.replay.gate import attribute, body, cell

_UNDECIDED = frozenset({Verdict.INCOMPLETE, Verdict.PENDING})
_COLUMNS = ("severity", "kind", "trade", "field", "planned", "control", "candidate", "USD", "who departs", "known as")
_FINE = frozenset({Verdict.MATCHED, Verdict.IGNORED})


def markdown(report: DailyReport) -> str:
    """Write the day: its sentence, its counts, and a row a difference, the most severe kind first."""
    lines = [f"## {report.day} {report.verdict.value}", "", cell(report.sentence), "", cell(report.counts.line), ""]
    if report.kinds:
        lines += [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
    for group in report.kinds:
        for each in group.examples:
            trade = f"{each.action.value} {each.symbol}" if each.action else each.symbol or "the run"
            values = (each.severity.value, group.kind, trade, each.field, each.planned, each.control, each.candidate)
            texts = [*values, usd(each.notional), each.who, each.covered_by]
            lines.append("| " + " | ".join(cell(text or "") for text in texts) + " |")
    cut_over = report.readiness
    lines += ["", f"Cut-over: {cut_over.readiness.value}, {cell(cut_over.progress)}"]
    return "\n".join(lines) + "\n"


def junit(report: DailyReport) -> str:
    """Write the day as a test suite with a case a pair, and one for conservation.

    A pair that DIVERGED, or of which a lane is missing, is a failure; one that could not be compared yet, or not whole, an error.
    """
    told: dict[str, list[str]] = defaultdict(list)
    for group in report.kinds:
        for each in group.examples:
            told[each.run_id].append(_line(group.kind, each))
    cases = [_conservation(report), *(_case(report, pair, told) for pair in report.pairs if pair.origin == Origin.LIVE.value)]
    failures, errors = (sum(f"<{element} " in case for case in cases) for element in ("failure", "error"))
    head = f'<testsuite name="shadow report" tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0">'
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>"]) + "\n"


def _line(kind: str, each: Example) -> str:
    known = f" (known: {each.covered_by})" if each.covered_by else ""
    return f"{each.severity.value} {kind}{known}: {each.explanation}"


def _case(report: DailyReport, pair: PairRow, told: Mapping[str, Sequence[str]]) -> str:
    head = f"  <testcase classname={attribute(f'shadow.{report.day}')} name={attribute(pair.plan_id)}"
    if pair.verdict in _FINE:
        return f"{head}/>"
    element = "error" if pair.verdict in _UNDECIDED else "failure"
    lines = told.get(pair.run_id) or [f"{pair.verdict.value}, without a difference that counts"]
    what = f"type={attribute(pair.verdict.value)} message={attribute(lines[0])}"
    return "\n".join([f"{head}><{element} {what}>", *map(body, lines), f"</{element}></testcase>"])


def _conservation(report: DailyReport) -> str:
    head = f"  <testcase classname={attribute(f'shadow.{report.day}')} name={attribute('every published pair is accounted for')}"
    if report.counts.conserved:
        return f"{head}/>"
    return f'{head}><failure type="conservation" message={attribute(report.counts.line)}/></testcase>'
