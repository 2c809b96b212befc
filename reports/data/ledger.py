"""Business Unit: reports | Status: current.

What reports need of the pair ledger: the pairs of a trading day, and the plans that got none. The ledger knows what was
published, so it alone can say that nothing was lost; comparisons are held against it, and a verdict without its stored
comparison is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from reports.data.tables import Value
from shadow.contracts.comparison import Verdict
from shadow.contracts.ledger import UnreadablePair
from shadow.contracts.pair import Pair, PairState, Unpaired, UnpairedPlan
from shadow.contracts.vocabulary import Lane, Origin
from shadow.settlement.conservation import conservation

LedgerRow = dict[str, Value]
_JUDGED = frozenset({Verdict.MATCHED, Verdict.DIVERGED, Verdict.IGNORED, Verdict.INCOMPLETE})
_Noted = Sequence[UnpairedPlan | UnreadablePair]
_LATE = frozenset({PairState.LATE, PairState.MISSING, PairState.RESOLVED_LATE})


def day_row(
    day: date, pairs: Sequence[Pair | UnreadablePair], compared: Mapping[str, Verdict], noted: _Noted | None = None
) -> LedgerRow:
    """Count one trading day's pairs; `compared` gives the verdict of each run's stored comparison.

    `noted` are the plans that were published and got no pair, None where that is not known.
    """
    sums = conservation(day, pairs)
    live = [pair for pair in pairs if isinstance(pair, Pair) and pair.origin is Origin.LIVE]
    uncompared = sum(pair.verdict in _JUDGED and compared.get(pair.run_id) is not pair.verdict for pair in live)
    waits = [(pair.settled_at - pair.published_at).total_seconds() for pair in live if pair.settled_at]
    return {
        "trading_day": day,
        "published": sums.published,
        "matched": sums.matched,
        "diverged": sums.diverged,
        "ignored": sums.ignored,
        "incomplete": sums.incomplete,
        "missing": sums.missing,
        "pending": sums.pending,
        "unaccounted": sums.error,
        "uncompared": uncompared,
        "late": sum(pair.state in _LATE for pair in live),
        "conserved": sums.error == 0 and uncompared == 0,
        "settle_seconds": max(waits, default=None),
        "drills": len(pairs) - sums.published,
        "swapped": sum(pair.production_lane is Lane.WORKFLOW for pair in live),
        "unpaired": None if noted is None else _unpaired(noted, {pair.plan_id for pair in live}),
        "held": None if noted is None else sum(_only_holds(plan) for plan in noted),
    }


def _unpaired(noted: _Noted, paired: Collection[str]) -> int:
    """Count the plans that should have been compared and have no pair.

    A plan that only holds has nothing to compare. One that got its pair with a later message is not counted, unless what
    came was another plan under the same id. An item that cannot be read counts as a plan.
    """
    plans = {
        (plan.plan_id, plan.reason is Unpaired.OTHER_CONTENT)
        for plan in noted
        if isinstance(plan, UnpairedPlan) and not _only_holds(plan)
    }
    unreadable = sum(isinstance(plan, UnreadablePair) for plan in noted)
    return unreadable + sum(is_other or plan_id not in paired for plan_id, is_other in plans)


def _only_holds(plan: UnpairedPlan | UnreadablePair) -> bool:
    return isinstance(plan, UnpairedPlan) and plan.reason is Unpaired.HOLD_ONLY


def derived_row(day: date, compared: Mapping[str, Verdict], drills: int) -> LedgerRow:
    """Count a day from its comparisons alone, where no ledger is at hand: what was published and lost can't be seen."""
    verdicts = Counter(compared.values())
    return {
        "trading_day": day,
        "published": len(compared),
        "matched": verdicts[Verdict.MATCHED],
        "diverged": verdicts[Verdict.DIVERGED],
        "ignored": verdicts[Verdict.IGNORED],
        "incomplete": verdicts[Verdict.INCOMPLETE],
        "missing": verdicts[Verdict.MISSING_CONTROL] + verdicts[Verdict.MISSING_CANDIDATE],
        "pending": verdicts[Verdict.PENDING],
        "unaccounted": 0,
        "uncompared": 0,
        "late": 0,
        "conserved": True,
        "settle_seconds": None,
        "drills": drills,
        "swapped": 0,
        "unpaired": None,
        "held": None,
    }
