"""Business Unit: publish | Status: current.

What one publication's harness has to say in the end: one metrics line and one log line, without payloads.
"""

from __future__ import annotations

from enum import StrEnum

from shadow.contracts.metrics import Metric


class Operation(StrEnum):
    """The operations of the harness, in their order: where a fault happened, and the rows of the fault matrix."""

    SNAPSHOT = "snapshot"
    MODE = "mode lookup"
    VALIDATION = "validation"
    SAMPLING = "sampling"
    IDENTITY = "identity"
    POSITIONS = "positions lookup"
    PAYLOAD = "payload build"
    CLAIM_CHECK = "claim check"
    LEDGER = "ledger write"
    START = "candidate start"
    LEDGER_UPDATE = "ledger update"
    CONTROL_RECORD = "control record"
    METRICS = "metrics"
    LOGGING = "logging"


class Report:
    """Collects while the harness works."""

    def __init__(self, lost_before: int) -> None:
        """Begin; `lost_before` publications could not be reported earlier and count here as failures."""
        self.operation = Operation.SNAPSHOT
        self.counts: dict[Metric, float] = {}
        self.fields: dict[str, str] = {}
        self.is_problem = False
        if lost_before:
            self.counts[Metric.PUBLISH_FAILURES] = float(lost_before)
            self.fields["lost_before"] = str(lost_before)

    def count(self, metric: Metric) -> None:
        """Count one."""
        self.counts[metric] = self.counts.get(metric, 0.0) + 1.0

    def fault(self, error: BaseException) -> str:
        """Count the fault of the operation at hand; give it as `operation: ErrorClass`."""
        what = f"{self.operation.value}: {type(error).__name__}"
        self.count(Metric.PUBLISH_FAILURES)
        self.is_problem = True
        faults = self.fields.get("faults")
        self.fields["faults"] = what if faults is None else f"{faults}, {what}"
        return what
