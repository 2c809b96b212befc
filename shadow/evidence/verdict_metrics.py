"""Business Unit: evidence | Status: current.

What a verdict is announced by. A pair is counted once, by its first verdict (and once more when a missing one is resolved);
judged again, only what its new differences are worth is announced. Replayed pairs announce nothing: they are no coverage.
"""

from __future__ import annotations

from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.metrics import Metric
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Origin

DOUBLE_ORDER = "DOUBLE_ORDER"
DURATION_FLOOR_SECONDS = 60
"""Where both runs took less, the ratio of their durations says nothing (the default policy's floor)."""
_METRIC_OF = {
    Verdict.MATCHED: Metric.PAIRS_MATCHED,
    Verdict.DIVERGED: Metric.PAIRS_DIVERGED,
    Verdict.IGNORED: Metric.PAIRS_IGNORED,
    Verdict.INCOMPLETE: Metric.PAIRS_INCOMPLETE,
    Verdict.MISSING_CONTROL: Metric.PAIRS_MISSING_CONTROL,
    Verdict.MISSING_CANDIDATE: Metric.PAIRS_MISSING_CANDIDATE,
}
_MISSING = frozenset({Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE})


def verdict_metrics(comparison: Comparison, *, first: bool) -> dict[Metric, float]:
    """Give the metrics of a verdict. `first` says that the pair had none of its kind before. Zeros are given as zeros."""
    if comparison.origin == Origin.REPLAY:
        return {}
    counts = comparison.uncovered_counts
    metrics = {
        Metric.CRITICAL_DIFFERENCES: float(counts.critical),
        Metric.MAJOR_DIFFERENCES: float(counts.major),
        Metric.UNEXPLAINED_DIFFERENCES: float(counts.critical + counts.major + counts.minor),
        Metric.DOUBLE_LIVE_ORDERS: float(sum(d.kind == DOUBLE_ORDER for d in comparison.differences)),
        Metric.IMPACT_USD: float(comparison.gross_impact),
        Metric.EVIDENCE_GAPS: float(len(comparison.gaps)),
        Metric.CONTRACT_VIOLATIONS: float(_violations(comparison)),
    }
    if first:
        metrics[_METRIC_OF[comparison.verdict]] = 1.0
        if comparison.verdict not in _MISSING:
            metrics[Metric.PAIRS_JUDGED] = 1.0
        metrics |= _run_metrics(comparison)
    return metrics


def _run_metrics(comparison: Comparison) -> dict[Metric, float]:
    metrics: dict[Metric, float] = {}
    control, candidate = comparison.control, comparison.candidate
    if candidate is not None and candidate.state_transitions is not None:
        metrics[Metric.STATE_TRANSITIONS] = float(candidate.state_transitions)
    ratio = _duration_ratio(control, candidate)
    return metrics if ratio is None else metrics | {Metric.DURATION_RATIO: ratio}


def _duration_ratio(control: RunOutcome | None, candidate: RunOutcome | None) -> float | None:
    """Give the candidate's duration in per cent of the control's; None where it is not known or both runs were short."""
    took = None if control is None else control.duration_seconds
    other = None if candidate is None else candidate.duration_seconds
    if not took or other is None or max(took, other) < DURATION_FLOOR_SECONDS:
        return None
    return 100 * other / took


def _violations(comparison: Comparison) -> int:
    return sum(len(outcome.violations) for outcome in (comparison.control, comparison.candidate) if outcome is not None)
