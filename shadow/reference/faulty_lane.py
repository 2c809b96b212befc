"""Business Unit: legacy | Status: current.

The execution half with faults planted in it: a sound lane, assembled from parts of which some are wrapped. A crash is followed at
once by the redelivery that the queue would make after its visibility timeout, with the fault gone. Local cloud only.
"""

from __future__ import annotations

from dataclasses import replace

from shadow.contracts.errors import ShadowError
from shadow.contracts.events import DetailType, LedgerEntry
from shadow.contracts.model import Frozen
from shadow.contracts.trade_message import TradeMessage
from shadow.reference.faults import Fault, PlantedFault, PlantedFaults
from shadow.reference.faulty_broker import faulty_broker
from shadow.reference.faulty_store import ForgetfulStore, PlantedCrash, UnnoticedCount, faulty_store
from shadow.reference.lane import LaneParts
from shadow.reference.ports import EventBus, QueueRecord, TradeQueue

DEFAULT_SLOWNESS_SECONDS = "5"


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
