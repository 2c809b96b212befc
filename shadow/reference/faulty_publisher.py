"""Business Unit: legacy | Status: current.

The publishing half with faults planted in it: it publishes a changed plan, twice, or not at all. The plan table keeps the plan as
it was. Local cloud only.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import CENT, PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Action
from shadow.reference.faults import Fault, PlantedFault, PlantedFaults
from shadow.reference.faulty_store import PlannedThroughFloat
from shadow.reference.ports import PlanTable
from shadow.reference.publishing import LegacyPublisher, NothingToExecute, Published

SECOND_RUN_SUFFIX = "-again"


class FaultyPublisher:
    """Publishes one plan with whatever is planted in it."""

    def __init__(self, publisher: LegacyPublisher, faults: PlantedFaults) -> None:
        """Publish through `publisher`."""
        self._publisher = publisher
        self._faults = faults

    def publish(self, plan: RebalancePlan) -> Published | NothingToExecute:
        """Publish one plan."""
        planted = self._faults.of_plan(plan.plan_id)
        kinds = {fault.fault for fault in planted}
        if Fault.RUN_NOT_PUBLISHED in kinds:
            return Published(plan.plan_id, run_id_of(plan.plan_id), (), ())
        publisher = replace(self._publisher, plans=_Unchanged(self._publisher.plans, plan))
        changed = plan
        for fault in planted:
            changed = changed_plan(changed, fault)
            if fault.fault is Fault.PLANNED_THROUGH_FLOAT:
                publisher = replace(publisher, store=PlannedThroughFloat(publisher.store, fault))
        published = publisher.publish(changed)
        if Fault.RUN_DOUBLED in kinds:
            publisher.publish(changed.model_copy(update={"plan_id": plan.plan_id + SECOND_RUN_SUFFIX}))
        return published


class _Unchanged:
    """Keeps the plan as it came, whatever is published."""

    def __init__(self, inner: PlanTable, plan: RebalancePlan) -> None:
        self._inner = inner
        self._plan = plan

    def keep(self, plan: RebalancePlan) -> None:
        del plan
        self._inner.keep(self._plan)


def changed_plan(plan: RebalancePlan, planted: PlantedFault) -> RebalancePlan:
    """Give the plan as the control would publish it under `planted`; unchanged where that is another kind of fault."""
    items = list(plan.items)
    if planted.fault is Fault.TRADE_NOT_PUBLISHED:
        items = [item for item in items if not (item.action is not Action.HOLD and planted.is_at(item.symbol))]
    elif planted.fault is Fault.PLANNED_AMOUNT_OFF:
        items = [_resized(item, planted) if planted.is_at(item.symbol) else item for item in items]
    elif planted.fault is Fault.EXTRA_TRADE and planted.symbol is not None:
        items = [item for item in items if item.symbol != planted.symbol]
        items.append(_extra(planted.symbol, planted.factor("1000")))
    else:
        return plan
    total = sum((abs(item.trade_amount) for item in items), Decimal(0))
    return plan.model_copy(update={"items": tuple(items), "total_trade_value": total})


def _resized(item: PlanItem, planted: PlantedFault) -> PlanItem:
    amount = (item.trade_amount * planted.factor("1.1")).quantize(CENT)
    return item.model_copy(update={"trade_amount": amount})


def _extra(symbol: str, amount: Decimal) -> PlanItem:
    zero, weight = Decimal(0), Decimal("0.01")
    return PlanItem(
        symbol=symbol,
        current_weight=zero,
        target_weight=weight,
        weight_diff=weight,
        target_value=abs(amount),
        current_value=zero,
        trade_amount=abs(amount),
        action=Action.BUY,
        priority=2,
    )
