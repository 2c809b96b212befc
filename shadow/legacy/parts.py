"""Business Unit: legacy | Status: current.

The parts that the execution half is assembled from, as one value, so that a planted fault can replace one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shadow.broker.port import Broker
from shadow.legacy.execution import Pace, TradeExecutor
from shadow.legacy.lane import LegacyLane
from shadow.legacy.phases import RunProgress
from shadow.legacy.ports import EventBus, Notes, RunsStore, TradeLedger, TradeQueue


@dataclass(frozen=True, slots=True)
class LaneParts:
    """Everything the execution half works with. `sleep` takes seconds."""

    store: RunsStore
    queue: TradeQueue
    bus: EventBus
    ledger: TradeLedger
    broker: Broker
    notes: Notes
    pace: Pace
    sleep: Callable[[float], None]
    now: Callable[[], datetime]

    def assemble(self) -> LegacyLane:
        """Put the lane together."""
        progress = RunProgress(self.store, self.queue, self.bus, self.notes, self.now)
        executor = TradeExecutor(self.broker, self.pace, self.sleep)
        return LegacyLane(self.store, self.bus, self.ledger, self.broker, executor, progress, self.notes, self.now)
