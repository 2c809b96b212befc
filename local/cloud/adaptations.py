"""Business Unit: local cloud | Status: current.

The one place that says where the local cloud is less than AWS for this template. `REMOVED` is taken out of the template before
it is deployed; `INERT` is deployed and held, but nothing comes of it. Both are printed at every deployment that meets them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """Something the emulator cannot do: a resource type, the property concerned (none: the whole resource), and the reason.

    A property is a path of keys; `*` stands for every element of a list or every value of a map.
    """

    resource_type: str
    path: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One gap that this template meets: where, whether it was removed, and why."""

    logical_id: str
    what: str
    removed: bool
    reason: str

    def __str__(self) -> str:
        """Read as a line."""
        return f"{self.logical_id}: {self.what} {_verb(removed=self.removed)}: {self.reason}"


REMOVED: tuple[Gap, ...] = (
    Gap("AWS::CloudWatch::Alarm", ("Metrics",), "the emulator evaluates no metric expressions"),
    Gap("AWS::CloudWatch::AnomalyDetector", (), "the emulator has no anomaly detection"),
    Gap("AWS::CloudWatch::InsightRule", (), "the emulator has no contributor insights"),
    Gap("AWS::Athena::NamedQuery", (), "the emulator does not provision saved queries"),
    Gap("AWS::XRay::SamplingRule", (), "the emulator keeps no traces"),
    Gap("AWS::XRay::Group", (), "the emulator keeps no traces"),
)

INERT: tuple[Gap, ...] = (
    Gap("AWS::DynamoDB::Table", ("TimeToLiveSpecification",), "expired items stay"),
    Gap("AWS::DynamoDB::Table", ("PointInTimeRecoverySpecification",), "there are no backups"),
    Gap("AWS::DynamoDB::Table", ("SSESpecification",), "nothing is encrypted at rest"),
    Gap("AWS::S3::Bucket", ("ObjectLockConfiguration",), "objects are not locked"),
    Gap("AWS::Serverless::StateMachine", ("Logging",), "executions write no log; their history is complete enough"),
    Gap("AWS::Serverless::StateMachine", ("Tracing",), "no trace is kept"),
    Gap("AWS::Serverless::Function", ("Tracing",), "no trace is kept"),
    Gap("AWS::Serverless::Function", ("LoggingConfig",), "lines are kept as the function wrote them"),
    Gap("AWS::Serverless::Function", ("Architectures",), "functions run on this machine's processor"),
    Gap("AWS::Serverless::Function", ("Events", "*", "Properties", "ScheduleExpressionTimezone"), "schedules run in UTC"),
)


def summary(adaptations: Iterable[Adaptation]) -> tuple[str, ...]:
    """Give one line a gap, with the resources that meet it: `TimeToLiveSpecification without effect: … (A, B)`."""
    met: dict[tuple[bool, str, str], list[str]] = {}
    for each in adaptations:
        met.setdefault((each.removed, each.what, each.reason), []).append(each.logical_id)
    return tuple(
        f"{what} {_verb(removed=removed)}: {reason} ({', '.join(logical_ids)})"
        for (removed, what, reason), logical_ids in sorted(met.items(), reverse=True)
    )


def _verb(*, removed: bool) -> str:
    return "removed" if removed else "without effect"
