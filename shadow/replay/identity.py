"""Business Unit: replay | Status: current.

The names of a replay, and the control's archived outcome under them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.identity import REPLAY_MARK, run_id_of, trade_id_of
from shadow.contracts.model import Frozen
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

R = TypeVar("R", bound=Frozen)
_OF_VERSION = re.compile(rf"{REPLAY_MARK}(version|itself)-[1-9][0-9]*$")
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")


def checked_label(label: str) -> str:
    """Give `label` back; raises `InvalidPayload` where it is none."""
    if not _LABEL.fullmatch(label):
        raise InvalidPayload("replay", [FieldFault("label", "1 to 24 of a-z, 0-9 and -", repr(label))])
    return label


def replay_id_of(plan_id: str, label: str) -> str:
    """Name the replay of a plan that has this label."""
    return f"{plan_id}{REPLAY_MARK}{checked_label(label)}"


def label_of_version(name: str) -> str:
    """Give the label of the runs by which a published version (`machine:number`, or its ARN) shadows production."""
    return f"version-{name.rpartition(':')[2]}"


def label_against_itself(name: str) -> str:
    """Give the label of the second runs by which a published version is held against its own first runs."""
    return f"itself-{name.rpartition(':')[2]}"


def is_beside_production(plan_id: str) -> bool:
    """Tell whether a run is one by which a published version shadows production."""
    found = _OF_VERSION.search(plan_id)
    return found is not None and found[1] == "version"


def is_of_version(plan_id: str) -> bool:
    """Tell whether a run is a published version's: it says of that version what it does, and of nothing else."""
    return bool(_OF_VERSION.search(plan_id))


def replayed_plan(plan: RebalancePlan, label: str) -> RebalancePlan:
    """Give `plan` under the name that its replay of this label has; raises `InvalidPlan` where the name becomes too long."""
    return RebalancePlan.read(plan.model_dump() | {"plan_id": replay_id_of(plan.plan_id, label)})


def published_plan(plan: RebalancePlan) -> RebalancePlan:
    """Give `plan` under the name that it was published with."""
    return plan.model_copy(update={"plan_id": plan.plan_id.partition(REPLAY_MARK)[0]})


def in_production_s_place(outcome: RunOutcome, plan: RebalancePlan) -> RunOutcome:
    """Give a candidate's outcome as production's of `plan`, its intended effects as emitted: to hold a version against itself."""
    emitted = outcome.effects and tuple(effect.model_copy(update={"emitted": True}) for effect in outcome.effects)
    return archived_under(outcome.model_copy(update={"role": Role.CONTROL, "effects": emitted}), plan)


def archived_under(outcome: RunOutcome, plan: RebalancePlan) -> RunOutcome:
    """Give production's outcome as one of `plan`, the replay.

    Ids that follow from the plan's are those of the replay then; ids that the lane minted itself, and wrong ones, stay.
    """
    old, names = outcome.plan_id, {outcome.plan_id: plan.plan_id}
    if outcome.lane.has_our_ids:
        then, now = run_id_of(old), run_id_of(plan.plan_id)
        names[then] = now
        names |= {
            trade_id_of(then, item.symbol, item.action): trade_id_of(now, item.symbol, item.action)
            for item in plan.tradable_items
        }
    trades = tuple(_trade_renamed(trade, names) for trade in outcome.trades)
    effects = outcome.effects and tuple(_renamed(effect, names, "trade_id", "run_id", "plan_id") for effect in outcome.effects)
    return _renamed(outcome, names, "run_id", "plan_id").model_copy(update={"trades": trades, "effects": effects})


def _trade_renamed(trade: TradeOutcome, names: Mapping[str, str]) -> TradeOutcome:
    """Rename a trade, and those of its orders that are named after it."""
    new = names.get(trade.trade_id)
    if new is None:
        return trade
    orders = tuple(
        order.model_copy(update={"client_order_id": f"{new}{order.client_order_id.removeprefix(trade.trade_id)}"})
        if order.client_order_id is not None and order.client_order_id.startswith(trade.trade_id)
        else order
        for order in trade.orders
    )
    return trade.model_copy(update={"trade_id": new, "orders": orders})


def _renamed(record: R, names: Mapping[str, str], *fields: str) -> R:
    found = {field: getattr(record, field) for field in fields}
    return record.model_copy(update={field: names.get(value, value) for field, value in found.items()})
