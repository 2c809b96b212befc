"""Business Unit: local cloud | Status: current.

A faulty legacy lane: the reference lane's two halves, assembled from parts of which some are wrapped. `variants` ships this file
in the zips of its functions. A crash is followed at once by the redelivery that the queue would make after its visibility
timeout, with the fault gone. The publishing half publishes a changed plan, twice, or not at all; the plan table keeps the plan
as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType

from local.scenarios.legacy_defects import (
    ForgetfulStore,
    PlannedThroughFloat,
    PlantedCrash,
    UnnoticedCount,
    faulty_broker,
    faulty_store,
)
from local.scenarios.legacy_faults import Fault, PlantedFault, PlantedFaults
from shadow.contracts.control_records import DetailType, LedgerEntry
from shadow.contracts.errors import ShadowError
from shadow.contracts.model import Frozen
from shadow.contracts.plan import CENT, PlanItem, RebalancePlan, TradeMessage
from shadow.contracts.vocabulary import Action
from shadow.reference.composition import lane_from, publisher_from
from shadow.reference.lane import LaneParts
from shadow.reference.publishing import EventBus, LegacyPublisher, NothingToExecute, PlanTable, Published, QueueRecord, TradeQueue

DEFAULT_SLOWNESS_SECONDS = "5"
SECOND_RUN_SUFFIX = "-again"
FUNCTIONS = ("legacy_execution", "publish_plan")


def planted(sound: ModuleType, function: str, faults_file: Path) -> Callable[[dict[str, object], object], dict[str, object]]:
    """Give the handler of `function`, whose module is `sound`, with its lane wrapped in what is planted at each call."""
    faults = PlantedFaults.in_file(faults_file)
    name, put_together = _PUT_TOGETHER[function]
    setattr(sound, name, put_together(faults))
    handler: Callable[[dict[str, object], object], dict[str, object]] = sound.lambda_handler
    return handler


class PlantedSendFailure(ShadowError):
    """The queue does not take this record."""


class FaultyLane:
    """Executes one record with whatever is planted at it."""

    def __init__(self, parts: LaneParts, faults: PlantedFaults) -> None:
        """Assemble lanes from `parts`."""
        self._parts = parts
        self._faults = faults

    def process(self, message: TradeMessage) -> None:
        """Execute one record; returning acknowledges it."""
        of_plan = self._faults.of_plan(message.plan_id)
        planted = [fault for fault in of_plan if fault.is_at(message.symbol) or fault.fault is Fault.BUY_SEND_FAILS]
        here = {fault.fault: fault for fault in planted}
        if Fault.TRADE_LOST in here:
            return
        if Fault.SLOW in here:
            self._parts.sleep(float(here[Fault.SLOW].factor(DEFAULT_SLOWNESS_SECONDS)))
        parts = self._parts
        for fault in planted:
            parts = plant(parts, fault)
        if Fault.DUPLICATE_EXECUTION in here:
            _execute_twice(parts, message, here[Fault.DUPLICATE_EXECUTION])
            return
        try:
            parts.assemble().process(message)
        except PlantedCrash as crash:
            self._parts.notes.info("planted crash, redelivered", {"trade_id": message.trade_id, "crash": str(crash)})
            self._parts.assemble().process(message)


def _execute_twice(parts: LaneParts, message: TradeMessage, planted: PlantedFault) -> None:
    """Execute a record that is cut off once it is counted and announced, and its redelivery without a duplicate check."""
    for store in (UnnoticedCount(parts.store, planted), ForgetfulStore(parts.store, planted)):
        replace(parts, store=store).assemble().process(message)


def plant(parts: LaneParts, planted: PlantedFault) -> LaneParts:
    """Wrap the part that `planted` is a fault of."""
    fault = planted.fault
    if fault in (Fault.EVENT_LOST, Fault.EVENT_TWICE):
        return replace(parts, bus=_FaultyBus(parts.bus, planted))
    if fault is Fault.BUY_SEND_FAILS:
        return replace(parts, queue=_FaultyQueue(parts.queue, planted))
    if fault is Fault.LEDGER_LOST:
        return replace(parts, ledger=_LostLedger())
    return replace(parts, store=faulty_store(parts.store, planted), broker=faulty_broker(parts.broker, planted))


class _FaultyBus:
    """Loses or doubles the events of one kind (of every kind, where none is named)."""

    def __init__(self, inner: EventBus, planted: PlantedFault) -> None:
        self._inner = inner
        self._planted = planted

    def emit(self, kind: DetailType, detail: Frozen) -> None:
        copies = 1
        if self._planted.event in (None, kind):
            copies = 0 if self._planted.fault is Fault.EVENT_LOST else 2
        for _ in range(copies):
            self._inner.emit(kind, detail)


class _FaultyQueue:
    """Refuses the record of one symbol."""

    def __init__(self, inner: TradeQueue, planted: PlantedFault) -> None:
        self._inner = inner
        self._planted = planted

    def send(self, record: QueueRecord) -> None:
        if self._planted.is_at(record.symbol):
            raise PlantedSendFailure(f"{record.symbol}: not sent")
        self._inner.send(record)


class _LostLedger:
    """Keeps nothing."""

    def enter(self, entry: LedgerEntry) -> None:
        del entry


class FaultyPublisher:
    """Publishes one plan with whatever is planted in it."""

    def __init__(self, publisher: LegacyPublisher, faults: PlantedFaults) -> None:
        """Publish through `publisher`."""
        self._publisher = publisher
        self._faults = faults

    def publish(self, rebalance_plan: RebalancePlan) -> Published | NothingToExecute:
        """Publish one plan."""
        plan = rebalance_plan
        planted = self._faults.of_plan(plan.plan_id)
        kinds = {fault.fault for fault in planted}
        if Fault.RUN_NOT_PUBLISHED in kinds:
            return Published(plan.plan_id, self._publisher.mint(), (), ())
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


_PUT_TOGETHER: dict[str, tuple[str, Callable[[PlantedFaults], object]]] = {
    "legacy_execution": (
        "lane_from",
        lambda faults: partial(lane_from, processor=lambda parts: FaultyLane(parts, faults)),
    ),
    "publish_plan": (
        "publisher_from",
        lambda faults: partial(publisher_from, finished=lambda publisher: FaultyPublisher(publisher, faults)),
    ),
}
