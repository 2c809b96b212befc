"""Business Unit: publish | Status: current.

The one place where the harness is put together. It reads

    DUAL_PUBLISHING         true or false (default false: the control alone)
    SHADOW_MODE_PARAMETER   name of the SSM parameter that holds off, shadow or shadow:PERCENT
    PAIR_LEDGER_TABLE_NAME, STATE_MACHINE_ARN, EVIDENCE_BUCKET_NAME
    PRODUCTION_LANE         legacy or workflow (default legacy); see `dual_publisher_from_environment`
    PUBLISH_BOUND_MS        how long the caller may be held up in all, in milliseconds (default 50)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast

from pydantic import Field

from shadow.aws import clients
from shadow.aws.environment import Environment
from shadow.aws.mode_parameter import TextParameter
from shadow.publish.aws import ParameterMode, PowertoolsRecorder, S3PlanStore, StepFunctionsStarter
from shadow.publish.completion import LegacyPublish, StartCompleter
from shadow.publish.pair_ledger import DynamoPairLedgerWriter
from shadow.publish.ports import Positions
from shadow.publish.work import Ports, ShadowHarness

PlanT = TypeVar("PlanT")


class SwitchEnvironment(Environment):
    """Whether the harness exists at all."""

    dual_publishing: bool = False


class PublishingEnvironment(SwitchEnvironment):
    """What the harness needs."""

    shadow_mode_parameter: str
    pair_ledger_table_name: str
    state_machine_arn: str
    evidence_bucket_name: str
    publish_bound_ms: Annotated[int, Field(ge=1, le=10_000)] = 50


@dataclass(frozen=True, slots=True)
class Built:
    """The harness (None: dual publishing is off) and its bound in seconds."""

    harness: ShadowHarness | None
    bound_seconds: float


def harness_from_environment(*, to_plan: Callable[[PlanT], object] | None = None, positions: Positions | None = None) -> Built:
    """Build the harness; raises `ConfigurationError` that names every faulty variable."""
    if not SwitchEnvironment.load().dual_publishing:
        return Built(None, 0.0)
    environment = PublishingEnvironment.load()
    limits = clients.PUBLISHING_LIMITS
    ports = Ports(
        mode=ParameterMode(TextParameter(clients.ssm(limits), environment.shadow_mode_parameter)),
        ledger=DynamoPairLedgerWriter(clients.dynamodb(limits), environment.pair_ledger_table_name),
        starter=StepFunctionsStarter(clients.stepfunctions(limits), environment.state_machine_arn),
        store=S3PlanStore(clients.s3(limits), environment.evidence_bucket_name),
        recorder=PowertoolsRecorder(),
        positions=positions,
        to_plan=cast("Callable[[object], object] | None", to_plan),
    )
    return Built(ShadowHarness(ports), environment.publish_bound_ms / 1000)


class CompletionEnvironment(Environment):
    """What completing a start needs."""

    pair_ledger_table_name: str
    state_machine_arn: str
    evidence_bucket_name: str


def completer_from_environment(legacy: LegacyPublish | None = None) -> StartCompleter:
    """Build what completes starts of unknown fate; raises `ConfigurationError` that names every faulty variable.

    `legacy` publishes to the legacy lane, for pairs that it shadows.
    """
    environment = CompletionEnvironment.load()
    return StartCompleter(
        ledger=DynamoPairLedgerWriter(clients.dynamodb(), environment.pair_ledger_table_name),
        starter=StepFunctionsStarter(clients.stepfunctions(), environment.state_machine_arn),
        store=S3PlanStore(clients.s3(), environment.evidence_bucket_name),
        legacy=legacy,
    )
