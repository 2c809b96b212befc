"""Business Unit: publish | Status: current.

What the harness needs from outside. Every one of these may raise anything, hang, or answer nonsense; the harness contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from shadow.contracts.metrics import Metric
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.publish.mode import PublishMode

Positions = Callable[[RebalancePlan], Mapping[str, Decimal]]
"""The shares that the control's account holds, by symbol."""


@dataclass(frozen=True, slots=True)
class Started:
    """A confirmed start. `input_sha256` is of the input that the execution runs with.

    `execution_arn` is empty where the legacy lane was started: it has no execution.
    """

    execution_arn: str
    input_sha256: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where bytes were put."""

    bucket: str
    key: str


class ModeSource(Protocol):
    """Where the operators' switch is read."""

    def mode(self) -> PublishMode:
        """Give the mode of publishing as it is now."""


class PlanStore(Protocol):
    """Where plans go that are too large for a ledger record or a state payload."""

    def put(self, key: str, body: bytes) -> StoredObject:
        """Store `body`; putting the same again changes nothing."""


class PlanArchive(PlanStore, Protocol):
    """A plan store that can be read as well."""

    def get(self, key: str) -> bytes:
        """Read what is stored under `key`."""


class PairLedgerWriter(Protocol):
    """The publisher's side of the pair ledger. Each transition is conditional, increments the version and is audited."""

    def create(self, pair: Pair) -> Pair | None:
        """Record a new pair; when there is one already, change nothing and give that."""

    def mark_started(self, pair: Pair, started: Started, at: datetime) -> None:
        """Record the confirmed start, unless a start is recorded already."""

    def mark_refused(self, pair: Pair, reason: str, at: datetime) -> None:
        """Record that the lane that shadows was certainly not started, unless a start is recorded already."""

    def mark_control_error(self, pair: Pair, error: str | None, at: datetime) -> None:
        """Record the class name of what the lane in production raised; None when a later attempt of it went well."""


LegacyStart = Callable[[], object]
"""Publishes one plan to the legacy lane as the shadow. Publishing again completes what is missing; whatever it raises means that
the start's fate is unknown."""


class CandidateStarter(Protocol):
    """Starts the workflow, as the candidate or as the lane in production."""

    def start(self, name: str, document: str, accepted: frozenset[str]) -> Started:
        """Start the execution `name` with the input `document`.

        An execution of that name which exists already is a success when the SHA-256 of its input is in `accepted`. Raises
        `StartRefused`; whatever else it raises means that the start's fate is unknown.
        """


class Recorder(Protocol):
    """Metrics and logs."""

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Write metrics."""

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Write one log line, without payloads."""
