"""Business Unit: shared contracts | Status: current.

What the workflow asks of the functions that trade and notify. The notices are read leniently: a mail must go out however little
of a broken run's state is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import JsonValue

from shadow.contracts.identity import run_id_of_execution
from shadow.contracts.model import Wire
from shadow.contracts.workflow import EquityCheck, RunSummary, WorkflowTrade

UNNAMED = "unknown"


class TradeRequest(Wire):
    """One trade to execute; or, with `reconcile`, to find out about after its execution failed with `error`."""

    trade: WorkflowTrade
    reconcile: bool = False
    error: str = ""
    equity_check: EquityCheck | None = None

    @classmethod
    def of(cls, event: object) -> Self:
        """Read the workflow's item: the trade itself to execute it, or wrapped to reconcile. Raises InvalidPayload."""
        wrapped = event if isinstance(event, Mapping) and "trade" in event else {"trade": event}
        trade = wrapped["trade"]
        check = trade.get("equityCheck") if isinstance(trade, Mapping) else None
        return cls.parse({**wrapped, "equityCheck": check})


class FailureType(StrEnum):
    """Why a run did not complete."""

    BUY_PHASE_BLOCKED = "BUY_PHASE_BLOCKED"
    EQUITY_LIMIT_REACHED = "EQUITY_LIMIT_REACHED"
    WORKFLOW_FAILED = "WORKFLOW_FAILED"


class _Notice(Wire):
    """What both notices carry. `state` is the workflow's state when it gave notice."""

    state: dict[str, JsonValue]
    execution_id: str = ""
    execution_name: str = ""

    def named(self, field: str) -> str:
        """Give an id out of the state, or UNNAMED."""
        value = self.state.get(field)
        return value if isinstance(value, str) and value else UNNAMED

    @property
    def run_id(self) -> str:
        """The run's id: the state's, else the one in the execution's name."""
        named = self.named("runId")
        return named if named != UNNAMED else run_id_of_execution(self.execution_name) or UNNAMED


class CompletionNotice(_Notice):
    """What notify_completion is asked; its state is the run's summary."""

    @property
    def summary(self) -> RunSummary:
        """The run's summary; raises InvalidPayload."""
        return RunSummary.parse(self.state)


class FailureNotice(_Notice):
    """What notify_failure is asked."""

    failure_type: FailureType
