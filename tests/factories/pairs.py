"""Pairs as the publisher records them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import Pair, trading_day_of
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
