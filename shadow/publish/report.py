"""Business Unit: publish | Status: current.

What one publication's harness has to say in the end: one metrics line and one log line, without payloads.
"""

from __future__ import annotations

from enum import StrEnum

from botocore.exceptions import ClientError

from shadow.contracts.errors import ContractViolation
from shadow.contracts.metrics import Metric

MAX_FIELDS = 10


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


def _detail(error: BaseException) -> str:
    if isinstance(error, ContractViolation):
        fields = ", ".join(fault.field for fault in error.faults[:MAX_FIELDS])
        return f" ({fields}{', …' if len(error.faults) > MAX_FIELDS else ''})"
    cause = error.__context__ if isinstance(error.__context__, ClientError) else error
    return f" ({cause.response.get('Error', {}).get('Code', '')})" if isinstance(cause, ClientError) else ""


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
        """Count the fault of the operation at hand; give it as `operation: ErrorClass (AWS code, or faulty fields)`.

        Messages are left out: they can carry values of the plan.
        """
        what = f"{self.operation.value}: {type(error).__name__}{_detail(error)}"
        self.count(Metric.PUBLISH_FAILURES)
        self.is_problem = True
        faults = self.fields.get("faults")
        self.fields["faults"] = what if faults is None else f"{faults}, {what}"
        return what
