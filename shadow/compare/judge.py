"""Business Unit: compare | Status: current.

Judge one pair: find what differs, tell causes from consequences, weigh it in dollars, look it up in the register, and give a
verdict. A pure function: the same case and policy give the same document, to the byte, whatever order records came in.

The verdict, first that holds:

1. MISSING_CONTROL, MISSING_CANDIDATE: a lane's run is absent (what the other lane did wrong by itself is still told);
2. INCOMPLETE: something that must be known is not, or a contract was broken; both runs absent is INCOMPLETE too;
3. DIVERGED: a difference above INFO, not a consequence, that no known divergence covers;
4. IGNORED: there are such differences, and every one is covered;
5. MATCHED: there are none. Differences that are only INFO are told, and do not keep a pair from matching.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal, localcontext

from shadow.compare.case import PairCase, PairView, TradePair
from shadow.compare.causes import in_order, roots_of
from shadow.compare.checks.decisions import damage_findings, plan_findings, presence_findings, skip_findings
from shadow.compare.checks.effects import run_effect_findings, trade_effect_findings
from shadow.compare.checks.fills import fill_findings
from shadow.compare.checks.orders import order_findings
from shadow.compare.checks.runs import counter_findings, duration_findings, end_findings, identity_findings
from shadow.compare.checks.safety import equity_findings, guard_findings, market_findings, phase_findings
from shadow.compare.checks.sizing import sizing_findings
from shadow.compare.completeness import gaps_of
from shadow.compare.document import canonical_run
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.finding import Finding
from shadow.compare.impact import NOTHING, impacts_of, net, writable
from shadow.compare.kinds import KINDS
from shadow.compare.margins import ToleranceRecorder
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Counts, Difference, Impact, Severity, Verdict
from shadow.contracts.vocabulary import Role


def judge(case: PairCase, policy: Policy) -> Comparison:
    """Judge one pair by `policy` and give the whole comparison. Raises nothing: what is unreadable comes in as gaps."""
    with localcontext(EXACT):
        view = PairView(case)
        gaps = gaps_of(view, policy)
        asked = ToleranceRecorder(policy)
        findings = in_order(without_unseen_absences(find(view, asked), view))
        differences = differences_of(findings, policy, case.trading_day, both_ran=view.both is not None)
    return with_totals(
        Comparison(
            plan_id=case.plan.plan_id,
            run_id=view.run_id,
            trading_day=case.trading_day,
            origin=case.origin,
            production_lane=case.production_lane,
            published_at=case.published_at,
            verdict=Verdict.PENDING,
            differences=differences,
            plan=case.plan,
            control=canonical_run(case.control),
            candidate=canonical_run(case.candidate),
            gaps=gaps,
            margins=asked.margins(),
            evidence=tuple(sorted(case.evidence, key=lambda ref: (ref.name, ref.key))),
            policy_hash=policy.hash,
            code_version=case.code_version,
        )
    )


def find(view: PairView, asked: ToleranceRecorder) -> Iterator[Finding]:
    """Find everything that differs in a pair, in no particular order; `asked` notes what the rules were asked."""
    yield from asked.found(None, find_in_runs(view, asked.watched))
    ran = frozenset(run.role for run in view.runs)
    for pair in view.trades:
        yield from asked.found(pair.trade_id, find_in_trade(pair, ran, asked.watched))


def find_in_runs(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Find everything that differs in the runs as a whole, in no particular order."""
    yield from identity_findings(view)
    yield from equity_findings(view, policy)
    yield from market_findings(view)
    yield from phase_findings(view, policy)
    yield from guard_findings(view, policy)
    yield from counter_findings(view, policy)
    yield from end_findings(view)
    yield from duration_findings(view, policy)
    yield from run_effect_findings(view, policy)


def find_in_trade(pair: TradePair, ran: frozenset[Role], policy: Policy) -> Iterator[Finding]:
    """Find everything that differs in one trade by itself, whatever else the runs that `ran` did, in no particular order."""
    yield from presence_findings(pair, ran, policy)
    yield from plan_findings(pair, policy)
    yield from damage_findings(pair)
    yield from sizing_findings(pair, policy)
    yield from skip_findings(pair)
    yield from order_findings(pair, policy)
    yield from fill_findings(pair, policy)
    yield from trade_effect_findings(pair, policy)


def without_unseen_absences(findings: Iterable[Finding], view: PairView) -> Iterator[Finding]:
    """Leave out what was found only because a lane's evidence has gaps: what was not seen is not known to be absent."""
    torn = {run.role for run in view.runs if run.gaps or run.violations}
    for finding in findings:
        if not (KINDS[finding.kind].absence and finding.departs and finding.departs <= torn):
            yield finding


def differences_of(findings: list[Finding], policy: Policy, on: date, *, both_ran: bool) -> tuple[Difference, ...]:
    """Make differences of findings that are in order: causes found, dollars counted once, the register of day `on` applied."""
    roots = roots_of(findings)
    worth = impacts_of(findings, roots, both_ran=both_ran)
    found: dict[int, Difference] = {}
    for place in sorted(range(len(findings)), key=lambda place: roots[place] != place):
        alone = _bare_difference(findings[place], worth[place], policy)
        is_root = roots[place] == place
        found[place] = _covered(alone, policy, on) if is_root else _consequence(alone, found[roots[place]])
    return tuple(found[place] for place in range(len(findings)))


def weighed_again(differences: tuple[Difference, ...], policy: Policy, on: date) -> tuple[Difference, ...]:
    """Give differences that were found, in the same order, with the severities and the register of another policy.

    Right where that policy finds the same, which `shadow.compare.margins` tells; budgets are no longer applied.
    """
    roots = {
        difference.key: _covered(_bare_again(difference, policy), policy, on)
        for difference in differences
        if difference.caused_by is None
    }
    return tuple(
        roots[difference.key] if difference.caused_by is None else _consequence(difference, roots[difference.caused_by])
        for difference in differences
    )


def _bare_again(difference: Difference, policy: Policy) -> Difference:
    severity = policy.severity_of(difference.kind)
    return difference.model_copy(update={"severity": severity, "covered_by": None, "over_budget": None})


def _bare_difference(finding: Finding, impact: Impact, policy: Policy) -> Difference:
    pair = finding.pair
    return Difference(
        kind=finding.kind,
        level=KINDS[finding.kind].level,
        severity=policy.severity_of(finding.kind),
        attribution=finding.attribution,
        field=finding.field,
        trade_id=pair.trade_id if pair else None,
        symbol=pair.symbol if pair else None,
        action=pair.side if pair else None,
        planned=finding.planned,
        control=finding.control,
        candidate=finding.candidate,
        rule=finding.rule,
        explanation=finding.explanation,
        impact=impact,
    )


def _consequence(alone: Difference, root: Difference) -> Difference:
    """Make a difference that follows from `root`: INFO, with the cause's attribution and cover, and no dollars."""
    update = {"severity": Severity.INFO, "attribution": root.attribution, "caused_by": root.key, "covered_by": root.covered_by}
    return alone.model_copy(update=update)


def _covered(difference: Difference, policy: Policy, on: date) -> Difference:
    """Give `difference` with the first entry of the register that covers it, if one does."""
    entry = next((entry.id for entry in policy.known if entry.covers(difference, on)), None)
    return difference if entry is None else difference.model_copy(update={"covered_by": entry})


def case_of(comparison: Comparison, code_version: str) -> PairCase:
    """Give the case that a stored comparison was the judgement of, so that it can be judged again without AWS."""
    return PairCase(
        plan=comparison.plan,
        trading_day=comparison.trading_day,
        published_at=comparison.published_at,
        control=comparison.control,
        candidate=comparison.candidate,
        code_version=code_version,
        origin=comparison.origin,
        production_lane=comparison.production_lane,
        evidence=comparison.evidence,
    )


def with_totals(comparison: Comparison) -> Comparison:
    """Give `comparison` with the verdict, counts and totals that its differences and gaps come to."""
    differences = comparison.differences
    with localcontext(EXACT):
        return comparison.model_copy(
            update={
                "verdict": verdict_of(comparison),
                "impact": net(difference.impact for difference in differences) if differences else NOTHING,
                "gross_impact": _gross(differences),
                "uncovered_gross_impact": _gross(d for d in differences if d.covered_by is None),
                "counts": _count(d for d in differences if d.caused_by is None),
                "uncovered_counts": _count(d for d in differences if d.caused_by is None and d.covered_by is None),
            }
        )


def verdict_of(comparison: Comparison) -> Verdict:
    """Give the verdict that a comparison's runs, gaps and differences come to."""
    if comparison.control is None and comparison.candidate is not None:
        return Verdict.MISSING_CONTROL
    if comparison.candidate is None and comparison.control is not None:
        return Verdict.MISSING_CANDIDATE
    if comparison.gaps or comparison.control is None:
        return Verdict.INCOMPLETE
    return verdict_by(comparison.differences)


def verdict_by(differences: Iterable[Difference]) -> Verdict:
    """Give the verdict that differences come to where both lanes ran and nothing is missing."""
    counting = [difference for difference in differences if difference.counts]
    if any(difference.covered_by is None for difference in counting):
        return Verdict.DIVERGED
    return Verdict.IGNORED if counting else Verdict.MATCHED


def _gross(differences: Iterable[Difference]) -> Decimal:
    total = ZERO
    for difference in differences:
        total = EXACT.add(total, max(abs(difference.impact.notional), abs(difference.impact.cash)))
    return writable(total)


def _count(differences: Iterable[Difference]) -> Counts:
    severities = [difference.severity for difference in differences]
    return Counts(
        critical=severities.count(Severity.CRITICAL),
        major=severities.count(Severity.MAJOR),
        minor=severities.count(Severity.MINOR),
        info=severities.count(Severity.INFO),
    )
