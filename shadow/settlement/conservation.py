"""Business Unit: evidence | Status: current.

Nothing is silently dropped: published = matched + diverged + ignored + incomplete + missing + pending, for each trading day,
exactly. Pure. The left side counts the ledger's items of the day, the right side what their states and verdicts say; an item
that cannot be read, or whose state and verdict contradict each other, is on the left and nowhere on the right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair, PairState, UnreadablePair
from shadow.contracts.vocabulary import Metric, Origin

_OPEN = frozenset({PairState.PENDING, PairState.LATE})
_MISSING = frozenset({Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE})
_COLUMN = {
    Verdict.MATCHED: "matched",
    Verdict.DIVERGED: "diverged",
    Verdict.IGNORED: "ignored",
    Verdict.INCOMPLETE: "incomplete",
}


@dataclass(frozen=True, slots=True)
class Conservation:
    """The sums of one trading day, of pairs of one origin. `late` pairs are within `pending`."""

    trading_day: date
    origin: Origin
    published: int = 0
    matched: int = 0
    diverged: int = 0
    ignored: int = 0
    incomplete: int = 0
    missing: int = 0
    pending: int = 0
    late: int = 0

    @property
    def error(self) -> int:
        """How many pairs are unaccounted for: 0 when conservation holds."""
        return self.published - self.accounted

    @property
    def accounted(self) -> int:
        """The right side of the equation."""
        return self.matched + self.diverged + self.ignored + self.incomplete + self.missing + self.pending

    @property
    def judged(self) -> int:
        """How many pairs have been compared, both lanes being there."""
        return self.matched + self.diverged + self.ignored + self.incomplete

    def sentence(self) -> str:
        """Write the equation as one line."""
        sign = "=" if self.error == 0 else "≠"
        return (
            f"published {self.published} {sign} matched {self.matched} + diverged {self.diverged} + ignored {self.ignored}"
            f" + incomplete {self.incomplete} + missing {self.missing} + pending {self.pending}"
        )


def conservation(trading_day: date, pairs: Iterable[Pair | UnreadablePair], origin: Origin = Origin.LIVE) -> Conservation:
    """Count the pairs of one trading day. An unreadable item counts as live: it is better looked into than overlooked."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        if (pair.origin if isinstance(pair, Pair) else Origin.LIVE) is not origin:
            continue
        counts["published"] += 1
        column = _column(pair) if isinstance(pair, Pair) else None
        if column is not None:
            counts[column] += 1
        if isinstance(pair, Pair) and pair.state is PairState.LATE:
            counts["late"] += 1
    return Conservation(trading_day, origin, **counts)


def _column(pair: Pair) -> str | None:
    """Tell where a pair is counted; None where its state and its verdict contradict each other."""
    if pair.state in _OPEN:
        return "pending" if pair.verdict is Verdict.PENDING else None
    if pair.state is PairState.MISSING:
        return "missing" if pair.verdict in _MISSING else None
    if pair.verdict in _MISSING:
        return None
    return _COLUMN.get(pair.verdict)


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
    if comparison.transitions is not None:
        metrics[Metric.STATE_TRANSITIONS] = float(comparison.transitions)
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
