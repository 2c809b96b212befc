"""Business Unit: replay | Status: current.

The names of a replay, and the control's archived outcome under them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import Effect, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan

MARK = "~replay-"
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")


def checked_label(label: str) -> str:
    """Give `label` back; raises `InvalidPayload` where it is none."""
    if not _LABEL.fullmatch(label):
        raise InvalidPayload("replay", [FieldFault("label", "1 to 24 of a-z, 0-9 and -", repr(label))])
    return label


def is_replay(plan_id: str) -> bool:
    """Tell whether a plan is a replay of another."""
    return MARK in plan_id


def replayed_plan(plan: RebalancePlan, label: str) -> RebalancePlan:
    """Give `plan` under the name that its replay of this label has; raises `InvalidPlan` where the name becomes too long."""
    return RebalancePlan.read(plan.model_dump() | {"plan_id": f"{plan.plan_id}{MARK}{checked_label(label)}"})


def archived_under(outcome: RunOutcome, plan: RebalancePlan) -> RunOutcome:
    """Give the control's outcome with the ids that `plan`, the replay, gives run and trades.

    A trade that had the id its symbol and action give it gets the new one; one that had another keeps it, and is still wrong.
    """
    old_run, new_run = run_id_of(outcome.plan_id), run_id_of(plan.plan_id)
    names = {
        trade_id_of(old_run, trade.symbol, trade.action): trade_id_of(new_run, trade.symbol, trade.action)
        for trade in outcome.trades
    }
    changes: dict[str, object] = {
        "run_id": new_run if outcome.run_id == old_run else outcome.run_id,
        "plan_id": plan.plan_id,
        "trades": tuple(_trade(trade, names) for trade in outcome.trades),
        "effects": None if outcome.effects is None else tuple(_effect(effect, names) for effect in outcome.effects),
    }
    return outcome.model_copy(update=changes)


def _trade(trade: TradeOutcome, names: Mapping[str, str]) -> TradeOutcome:
    orders = tuple(_order(order, names) for order in trade.orders)
    return trade.model_copy(update={"trade_id": names.get(trade.trade_id, trade.trade_id), "orders": orders})


def _order(order: OrderRecord, names: Mapping[str, str]) -> OrderRecord:
    """Rename a client order id that derives from a trade: the trade's id, with or without a step."""
    given = order.client_order_id
    if given is None:
        return order
    trade_id, sign, step = given.partition("-step-")
    return order.model_copy(update={"client_order_id": names.get(trade_id, trade_id) + sign + step})


def _effect(effect: Effect, names: Mapping[str, str]) -> Effect:
    return effect.model_copy(update={"trade_id": names.get(effect.trade_id or "", effect.trade_id)})
