"""Business Unit: command line | Status: current.

What a replay is put together from: the stack or an offline folder as archive, the plans that were asked for, and the replayer
on the stack's own tables, bucket and state machine.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from shadow.aws import clients
from shadow.aws.versions import MODE_VARIABLE
from shadow.cli.errors import BadInput
from shadow.cli.stored import StackStore, find, offline_store
from shadow.cli.target import Target
from shadow.contracts.comparison import Comparison
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin
from shadow.intake.payload import read_held
from shadow.replay.aws import ReplayStack
from shadow.replay.plans import PlanTable, plans_in_folder
from shadow.replay.ports import Archive, Archived, ReplayRefused
from shadow.replay.replayer import Pace, Replayer, refuse_unless_dry_run
from shadow.settlement.judging import policy_at
from shadow.settlement.stored import FolderSource, Found, JsonlSource, everything

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_ALIAS = "live"
_TRADING_FUNCTIONS = ("prepare-trades", "execute-trade-sfn")


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """Which plans were asked for."""

    plan_ids: tuple[str, ...]
    correlation: str | None
    folder: Path | None
    days: tuple[date, date] | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not (self.plan_ids or self.correlation or self.folder or self.days)


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """Production's outcomes in stored comparisons."""

    store: StackStore | FolderSource | JsonlSource

    def found(self, plan_id: str) -> Found | None:
        """Find the comparison of a plan; None where there is none."""
        try:
            return find(self.store, plan_id)
        except BadInput:
            return None

    def archived(self, plan_id: str) -> Archived | None:
        """Give what is kept of the plan's live run; None where production's was never read."""
        found = self.found(plan_id)
        return archived_in(found) if found is not None else None


def archived_in(found: Found) -> Archived | None:
    """Give what a comparison keeps of production's run; None where it was never read."""
    production = found.comparison.control
    if production is None:
        return None
    evidence = tuple(ref for ref in found.comparison.evidence if ref.name.startswith(production.lane.value))
    return Archived(production, evidence, read_held(found.pair.held_json if found.pair else None))


def archive_of(target: Target, folder: Path | None, file: Path | None) -> StoredArchive:
    """Give the archive: the offline one that was asked for, else the stack's."""
    return StoredArchive(offline_store(folder, file) or StackStore(target))


def gather(target: Target, source: ReplaySource, archive: StoredArchive, limit: int) -> list[RebalancePlan]:
    """Find the plans that were asked for, each once, in the order asked for. Raises `BadInput`, `InvalidPlan`."""
    table = PlanTable(clients.dynamodb(), target.control_name("RebalancePlanTableName", "rebalance-plans"))
    plans = [_plan(plan_id, table, archive) for plan_id in source.plan_ids]
    if source.correlation:
        plans += table.of_correlation(source.correlation)
    if source.folder:
        plans += plans_in_folder(source.folder)
    if source.days:
        plans += table.between(*source.days, limit)
    if source.is_empty:
        plans += _live_plans(archive.store)
    unique = list({plan.plan_id: plan for plan in plans}.values())
    if not unique:
        raise BadInput("No plan to replay was found")
    if len(unique) > limit:
        raise BadInput(f"{len(unique)} plans are more than --limit {limit}: raise it, or choose fewer plans")
    return unique


def _plan(plan_id: str, table: PlanTable, archive: StoredArchive) -> RebalancePlan:
    """Find one plan: in its comparison, which keeps it for ever, else in the control's table."""
    found = archive.found(plan_id)
    plan = found.comparison.plan if found else table.plan(plan_id)
    if plan is None:
        raise BadInput(f"No stored plan {plan_id}")
    return plan


def _live_plans(store: StackStore | FolderSource | JsonlSource) -> list[RebalancePlan]:
    """Give the plans of an offline archive, those of live pairs."""
    if isinstance(store, StackStore):
        raise BadInput("Say what to replay: plan ids, --correlation, --plans, --from and --to, --folder or --file")
    return [comparison.plan for comparison in everything(store) if _is_live(comparison)]


def _is_live(comparison: Comparison) -> bool:
    return comparison.origin != Origin.REPLAY.value


def check_dry_run(target: Target) -> None:
    """Raise `ReplayRefused` unless the stack and its functions are in dry run, which nobody can tell of another's workflow."""
    theirs = target.parameters.get("ExistingStateMachineArn")
    if theirs:
        raise ReplayRefused(f"replay starts the workflow of this project alone; the stack shadows {theirs}, which might trade")
    client = boto3.client("lambda", config=clients.DEFAULT_LIMITS.config())
    modes: dict[str, str | None] = {}
    for name in map(target.of_stage, _TRADING_FUNCTIONS):
        modes[name] = _mode_of(client, name)
        with suppress(client.exceptions.ResourceNotFoundException):
            modes[f"{name}:{_ALIAS}"] = _mode_of(client, name, _ALIAS)
    refuse_unless_dry_run(target.parameters.get("ExecutionMode"), modes)


def _mode_of(client: LambdaClient, name: str, alias: str = "") -> str | None:
    """Read the mode that a function, or the version behind its alias, is configured with."""
    answer = client.get_function_configuration(FunctionName=name, Qualifier=alias or "$LATEST")
    return answer.get("Environment", {}).get("Variables", {}).get(MODE_VARIABLE)


def replayer_for(target: Target, archive: Archive, pace: Pace, policy: Path | None) -> Replayer:
    """Put the replayer together; without `policy` it judges by the default one. Raises `InvalidPolicy`."""
    return stack_of(target).replayer(archive, policy_at(str(policy or "")), pace)


def stack_of(target: Target, version: str = "") -> ReplayStack:
    """Name what replays in a stack use. `version` is the number of the workflow's version to run; empty: the last deployed."""
    prints = frozenset({target.parameters.get("ControlAccountFingerprint", "")}) - {""}
    return ReplayStack(
        dynamodb=clients.dynamodb(),
        stepfunctions=clients.stepfunctions(),
        s3=clients.s3(),
        machine=target.name("StateMachineArn"),
        bucket=target.name("EvidenceBucketName"),
        pair_table=target.name("PairLedgerTableName"),
        state_table=target.name("CandidateStateTableName"),
        runs_table=target.control_name("ExecutionRunsTableName", "execution-runs"),
        version=version,
        secret_prints=prints,
    )
