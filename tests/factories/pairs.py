"""Pairs as the publisher records them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import Pair, PairState, StartState, UnpairedPlan, trading_day_of
from shadow.contracts.plan import RebalancePlan
from tests.factories.histories import BEGIN


def minted(name: str) -> str:
    """Give an id as the legacy lane mints it, the same each time: nothing of ours computes it."""
    return str(uuid5(UUID(int=10), name))


def pair_of(plan: RebalancePlan, at: datetime = BEGIN, **changes: object) -> Pair:
    """Make the pair of a plan that has just been published; the control's call answered with the run that it minted."""
    values: dict[str, object] = {
        "plan_id": plan.plan_id,
        "run_id": run_id_of(plan.plan_id),
        "correlation_id": plan.correlation_id,
        "trading_day": trading_day_of(plan.timestamp),
        "published_at": at,
        "trade_count": len(plan.tradable_items),
        "plan_json": plan.model_dump_json(),
        "control_run_id": minted(plan.plan_id),
    }
    return Pair.model_validate(values | changes)


def pair_behind(comparison: Comparison, **changes: object) -> Pair:
    """Make the pair of a comparison: PENDING and STARTED unless changed."""
    values: dict[str, object] = {
        "plan_id": comparison.plan_id,
        "run_id": comparison.run_id,
        "correlation_id": comparison.plan.correlation_id,
        "trading_day": comparison.trading_day,
        "origin": comparison.origin,
        "published_at": comparison.published_at,
        "verdict": Verdict.PENDING,
        "start_state": StartState.STARTED,
        "trade_count": len(comparison.plan.tradable_items),
    }
    return Pair.model_validate(values | changes)


def judged(comparison: Comparison, **changes: object) -> Pair:
    """Make the pair of a comparison, judged as it says 41 seconds after its publication."""
    settled = comparison.published_at + timedelta(seconds=41)
    values = {"state": PairState.JUDGED, "verdict": comparison.verdict, "settled_at": settled}
    return pair_behind(comparison, **(values | changes))


class LedgerOf:
    """A ledger that knows these pairs, and these plans without one; None: it does not keep such."""

    def __init__(self, *pairs: Pair, unpaired: Sequence[UnpairedPlan] | None = ()) -> None:
        self._pairs = pairs
        self._unpaired = unpaired

    def pairs_of(self, trading_day: date) -> list[Pair]:
        return [pair for pair in self._pairs if pair.trading_day == trading_day]

    def unpaired_of(self, trading_day: date) -> list[UnpairedPlan] | None:
        return None if self._unpaired is None else [plan for plan in self._unpaired if plan.trading_day == trading_day]
