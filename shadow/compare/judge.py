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

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal, localcontext

from shadow.compare.case import Finding, PairCase, PairView, TradePair
from shadow.compare.causes import in_order, roots_of
from shadow.compare.checks.decisions import damage_findings, plan_findings, presence_findings, skip_findings
from shadow.compare.checks.duties import Duties
from shadow.compare.checks.effects import run_effect_findings, trade_effect_findings
from shadow.compare.checks.fills import fill_findings, net_findings
from shadow.compare.checks.orders import account_findings, order_findings
from shadow.compare.checks.prices import price_findings
from shadow.compare.checks.runs import (
    counter_findings,
    duration_findings,
    end_findings,
    identity_findings,
    run_own_findings,
    trade_own_findings,
)
from shadow.compare.checks.safety import equity_findings, guard_findings, market_findings, phase_findings
from shadow.compare.checks.sizing import sizing_findings
from shadow.compare.completeness import gaps_of
from shadow.compare.document import canonical_run
from shadow.compare.kinds import KINDS
from shadow.compare.ledger import ledger_of, told_of
from shadow.compare.margins import ToleranceRecorder, Unrecorded
from shadow.compare.money import NOTHING, impacts_of, net, writable
from shadow.compare.policy import Policy, worse
from shadow.compare.rules import EXACT, ZERO
from shadow.contracts.comparison import Comparison, Counts, Difference, Impact, Severity, Verdict
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane, Role


def judge(case: PairCase, policy: Policy) -> Comparison:
    """Judge one pair by `policy` and give the whole comparison. Raises nothing: what is unreadable comes in as gaps."""
    with localcontext(EXACT):
        view, asked = PairView(case), ToleranceRecorder(policy)
        gaps, differences = gaps_of(view, policy), _differences(view, policy, asked)
        money = ledger_of(view)
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
            money=money,
            told=tuple(told for run in view.runs for told in told_of(run)),
            evidence=tuple(sorted(case.evidence, key=lambda ref: (ref.name, ref.key))),
            policy_hash=policy.hash,
            code_version=case.code_version,
        )
    )


def verdict_and_differences(case: PairCase, policy: Policy) -> tuple[Verdict, tuple[Difference, ...]]:
    """Judge one pair by `policy` where its margins and its money ledger are not asked for: what `judge` says, in less time."""
    with localcontext(EXACT):
        view = PairView(case)
        gaps, differences = gaps_of(view, policy), _differences(view, policy, Unrecorded(policy))
    return _verdict(case.control, case.candidate, gaps, differences), differences


def _differences(view: PairView, policy: Policy, asked: ToleranceRecorder | Unrecorded) -> tuple[Difference, ...]:
    findings = in_order(without_unseen_absences(find(view, asked), view))
    return differences_of(findings, policy, view.case.trading_day, view.runs)


def find(view: PairView, asked: ToleranceRecorder | Unrecorded) -> Iterator[Finding]:
    """Find everything that differs in a pair, in no particular order; `asked` notes what the rules were asked."""
    duties = Duties(view, asked.watched)
    yield from asked.found(None, find_in_runs(view, duties))
    for pair in view.trades:
        yield from asked.found(pair.trade_id, find_in_copies(pair, duties))


def find_in_runs(view: PairView, duties: Duties) -> Iterator[Finding]:
    """Find everything that differs in the runs as a whole, in no particular order."""
    policy = duties.policy
    yield from identity_findings(view)
    yield from equity_findings(view, duties)
    yield from market_findings(view)
    yield from phase_findings(view, policy)
    yield from guard_findings(view, duties)
    yield from counter_findings(view, policy)
    yield from end_findings(view, duties)
    yield from duration_findings(view, policy)
    yield from run_effect_findings(view, policy)
    yield from account_findings(view)
    yield from run_own_findings(view, policy)


def find_in_copies(pair: TradePair, duties: Duties) -> Iterator[Finding]:
    """Find everything that differs in one trade, of every record that a lane has of it: each kind and field is told once."""
    told = set()
    for finding in find_in_trade(pair, duties):
        told.add((finding.kind, finding.field, finding.role))
        yield finding
    for side in pair.lanes:
        for copy in side.copies_besides:
            for finding in find_in_trade(pair.with_copy(side, copy), duties):
                name = (finding.kind, finding.field, finding.role)
                if finding.role is side.role and name not in told:
                    told.add(name)
                    yield replace(finding, pair=pair)


def find_in_trade(pair: TradePair, duties: Duties) -> Iterator[Finding]:
    """Find everything that differs in one trade by itself, in no particular order."""
    policy = duties.policy
    yield from presence_findings(pair, duties.ran, policy)
    yield from plan_findings(pair, policy)
    yield from damage_findings(pair)
    yield from sizing_findings(pair, policy)
    yield from price_findings(pair, policy)
    yield from skip_findings(pair, duties)
    yield from order_findings(pair, policy)
    yield from fill_findings(pair, policy, duties)
    yield from net_findings(pair, policy)
    yield from trade_effect_findings(pair, policy, duties.view.case.production_lane)
    yield from trade_own_findings(pair, policy)


def without_unseen_absences(findings: Iterable[Finding], view: PairView) -> Iterator[Finding]:
    """Leave out what was found only because a lane's evidence has gaps: what was not seen is not known to be absent."""
    torn = {run.role for run in view.runs if run.gaps or run.violations}
    for finding in findings:
        seen = finding.role not in torn if finding.role is not None else not torn
        if seen or not KINDS[finding.kind].absence:
            yield finding


def differences_of(findings: list[Finding], policy: Policy, on: date, runs: Sequence[RunOutcome]) -> tuple[Difference, ...]:
    """Make differences of findings that are in order: causes found, dollars counted once, the register of day `on` applied."""
    own = impacts_of(findings, both_ran=len(runs) == len(Role))
    lanes = {run.role: run.lane for run in runs}
    alone = [_bare_difference(finding, impact, policy, lanes) for finding, impact in zip(findings, own, strict=True)]
    roots = roots_of(findings)
    caused = (
        difference if root == place else difference.model_copy(update={"root": alone[root].key})
        for place, (difference, root) in enumerate(zip(alone, roots, strict=True))
    )
    return weighed(tuple(caused), policy, on)


def weighed(differences: tuple[Difference, ...], policy: Policy, on: date) -> tuple[Difference, ...]:
    """Give differences that were found, in the same order, with the severities and the register of a policy, of day `on`.

    A cause takes over the dollars and the highest severity of what it explains. A register entry covers what it names, and what
    follows from that as far as it is no more severe; what is more severe stands by itself, uncovered. Asked of differences that
    were stored, it is right where the policy finds the same, which `shadow.compare.margins` tells; budgets are not applied.
    """
    bare = {difference.key: _bare(difference, policy, on) for difference in differences}
    caused: dict[str, list[Difference]] = defaultdict(list)
    for difference in bare.values():
        caused[difference.root or difference.key].append(difference)
    places = {d.key: place for key, group in caused.items() for d, place in _places(bare[key], group, policy)}
    groups: dict[str, list[Difference]] = defaultdict(list)
    for key, place in places.items():
        groups[place].append(bare[key])
    roots = {key: _root_of(bare[key], group, policy) for key, group in groups.items()}
    return tuple(roots[key] if key in roots else _consequence(entry, roots[places[key]]) for key, entry in bare.items())


def _places(cause: Difference, group: list[Difference], policy: Policy) -> Iterator[tuple[Difference, str]]:
    """Say where each difference of a cause's group is counted: at the cause, unless the cause is covered and less severe.

    Consequences of a covered cause may be worth little each and much together: if the sum would raise the cause's severity, each
    that is worth anything is counted by itself.
    """
    if len(group) == 1 and group[0] is cause:
        yield cause, cause.key
        return
    following = net(difference.own for difference in group if difference is not cause)
    together = policy.materiality.raised(cause.severity, _worth(following), ZERO) is not cause.severity
    for difference in group:
        more = worse(difference.severity, cause.severity) is not cause.severity
        hides = cause.covered_by is not None and (more or (together and difference is not cause and _worth(difference.own) > 0))
        yield difference, difference.key if hides else cause.key


def _bare(difference: Difference, policy: Policy, on: date) -> Difference:
    """Give a difference as it is by itself: its own dollars and severity, and the entry that covers it, if one does."""
    severity = worse(policy.severity_of(difference.kind, difference.field), difference.by_worth)
    update = {"severity": severity, "impact": difference.own, "caused_by": None, "covered_by": None, "over_budget": None}
    alone = difference.model_copy(update=update)
    entry = next((entry.id for entry in policy.known if entry.covers(alone, on)), None)
    return alone if entry is None else alone.model_copy(update={"covered_by": entry})


def _root_of(root: Difference, group: list[Difference], policy: Policy) -> Difference:
    """Give a cause with the dollars and the highest severity of all that follows from it."""
    if len(group) == 1:
        return root
    impact = net(difference.impact for difference in group)
    severity = policy.materiality.raised(root.severity, _worth(impact), ZERO)
    for difference in group:
        severity = worse(severity, difference.severity)
    return root.model_copy(update={"severity": severity, "impact": impact})


def _consequence(alone: Difference, root: Difference) -> Difference:
    """Make a difference that follows from `root`: INFO, covered as its cause is, its dollars counted there."""
    update = {"severity": Severity.INFO, "impact": NOTHING, "caused_by": root.key, "covered_by": root.covered_by}
    return alone.model_copy(update=update)


def _worth(impact: Impact) -> Decimal:
    return max(impact.gross, abs(impact.notional), abs(impact.cash))


def _bare_difference(finding: Finding, impact: Impact, policy: Policy, lanes: Mapping[Role, Lane]) -> Difference:
    pair = finding.pair
    trade_usd = abs(pair.planned.amount) if pair is not None and pair.planned is not None else ZERO
    return Difference(
        kind=finding.kind,
        level=KINDS[finding.kind].level,
        severity=policy.severity_of(finding.kind, finding.field),
        by_worth=policy.materiality.raised(Severity.INFO, _worth(impact), trade_usd),
        attribution=finding.attribution,
        lane=None if finding.role is None else lanes.get(finding.role),
        field=finding.field,
        trade_id=pair.trade_id if pair else None,
        symbol=pair.symbol if pair else finding.symbol,
        action=pair.side if pair else None,
        planned=finding.planned,
        control=finding.control,
        candidate=finding.candidate,
        rule=finding.rule,
        explanation=finding.explanation,
        impact=impact,
        own=impact,
    )


def with_totals(comparison: Comparison) -> Comparison:
    """Give `comparison` with the verdict, counts and totals that its differences and gaps come to."""
    differences = comparison.differences
    with localcontext(EXACT):
        return comparison.model_copy(
            update={
                "verdict": _verdict(comparison.control, comparison.candidate, comparison.gaps, differences),
                "impact": net(difference.impact for difference in differences) if differences else NOTHING,
                "gross_impact": _gross(differences),
                "uncovered_gross_impact": _gross(d for d in differences if d.covered_by is None),
                "counts": _count(d for d in differences if d.caused_by is None),
                "uncovered_counts": _count(d for d in differences if d.caused_by is None and d.covered_by is None),
            }
        )


def _verdict(
    control: RunOutcome | None, candidate: RunOutcome | None, gaps: Sequence[str], differences: Sequence[Difference]
) -> Verdict:
    """Give the verdict that a pair's runs, gaps and differences come to."""
    if control is None and candidate is not None:
        return Verdict.MISSING_CONTROL
    if candidate is None and control is not None:
        return Verdict.MISSING_CANDIDATE
    if gaps or control is None:
        return Verdict.INCOMPLETE
    return verdict_by(differences)


def verdict_by(differences: Iterable[Difference]) -> Verdict:
    """Give the verdict that differences come to where both lanes ran and nothing is missing."""
    counting = [difference for difference in differences if difference.counts]
    if any(difference.covered_by is None for difference in counting):
        return Verdict.DIVERGED
    return Verdict.IGNORED if counting else Verdict.MATCHED


def _gross(differences: Iterable[Difference]) -> Decimal:
    total = ZERO
    for difference in differences:
        total = EXACT.add(total, difference.gross)
    return writable(total)


def _count(differences: Iterable[Difference]) -> Counts:
    severities = [difference.severity for difference in differences]
    return Counts(
        critical=severities.count(Severity.CRITICAL),
        major=severities.count(Severity.MAJOR),
        minor=severities.count(Severity.MINOR),
        info=severities.count(Severity.INFO),
    )
