"""Business Unit: publish | Status: current.

After the cut-over: publish a plan to the workflow as the lane in production. What goes wrong is raised, as the legacy
publishing raises it; `DualPublisher` protects this call from the shadow as it protected the legacy one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from shadow.aws import clients
from shadow.aws.environment import Environment
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane
from shadow.publish.aws import S3PlanStore, StepFunctionsStarter
from shadow.publish.payload import IN_PRODUCTION, candidate_input, digest, read_plan, snapshot
from shadow.publish.ports import CandidateStarter, PlanStore


class ProductionEnvironment(Environment):
    """What publishing to the workflow needs."""

    state_machine_arn: str
    evidence_bucket_name: str
    production_lane: Lane = Lane.WORKFLOW


@dataclass(frozen=True, slots=True)
class WorkflowPublisher:
    """Publishes plans to the workflow. `positions` is left out: a live workflow asks its own account what it holds."""

    starter: CandidateStarter
    store: PlanStore

    def publish(self, plan: object) -> str | None:
        """Start the plan's run and give the execution's ARN; the same plan again gives the same execution.

        A plan of HOLDs only makes no run, as in the legacy lane: None. Raises InvalidPlan (every faulty field named),
        StartRefused (where the plan was published before, with the legacy lane in production), and what AWS raises.
        """
        checked: RebalancePlan = read_plan(snapshot(plan))
        if not checked.tradable_items:
            return None
        nothing_held: Mapping[str, Decimal] = {}
        run_id = run_id_of(checked.plan_id)
        document = candidate_input(checked, run_id, nothing_held, IN_PRODUCTION).sendable(self.store)
        return self.starter.start(execution_name_of(run_id), document, frozenset({digest(document.encode())})).execution_arn


def workflow_publisher_from_environment() -> Callable[[object], str | None]:
    """Build the function that takes the place of the legacy enqueue function; raises `ConfigurationError`."""
    environment = ProductionEnvironment.load()
    if environment.production_lane is not Lane.WORKFLOW:
        raise ConfigurationError("PRODUCTION_LANE: expected workflow to publish to it as production, was legacy")
    starter = StepFunctionsStarter(clients.stepfunctions(), environment.state_machine_arn)
    return WorkflowPublisher(starter, S3PlanStore(clients.s3(), environment.evidence_bucket_name)).publish
