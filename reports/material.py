"""Business Unit: reports | Status: current.

What the commands of this room read: the deployed stack's bucket and ledger, or offline what `shadow demo` left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from reports.daily.build import ReportSettings
from reports.daily.composition import settings_of
from reports.data.extract import decode
from reports.data.trading_calendar import last_closed_day
from reports.readiness.readiness import ReadinessPolicy
from reports.versions import LedgerBesidePlans, of_version, told_apart, version_in
from shadow.aws import clients
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.aws.versions import Version
from shadow.cli.candidate import versions_of
from shadow.cli.output import BadInput
from shadow.cli.target import Target, find_target
from shadow.cli.verdicts import StackStore, offline_store
from shadow.compare.policy import Policy
from shadow.replay.plans import PlanTable
from shadow.settlement.judging import policy_at
from shadow.settlement.stored import Ledger, S3Source, Source, Store, day_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where the user wants comparisons read from."""

    folder: Path | None
    file: Path | None
    stage: str
    aws: bool


@dataclass(frozen=True, slots=True)
class Material:
    """Comparisons, the ledger where there is one, and the policy. `target` is None offline.

    In a stack the control's plan table stands beside the ledger.
    """

    source: Store
    ledger: Ledger | None
    policy: Policy
    settings: ReportSettings
    target: Target | None

    def decided(self, path: Path | None) -> ReportSettings:
        """Give the settings with what people decided: the file at `path`, and the stack's parameter EvidenceFrom.

        Raises `ConfigurationError`, `InvalidPayload`.
        """
        stack = self.target.parameters if self.target is not None else {}
        policy = ReadinessPolicy.read(str(path or "")).restarted(stack.get("EvidenceFrom", ""))
        return self.settings.model_copy(update={"policy": policy})

    def shown_day(self) -> date:
        """Give the day to show unless another is asked for: the latest; of a local cloud its newest. Raises as `latest_day`."""
        newest = None if self.target is None else StackStore(self.target).newest_local_day()
        return newest or self.latest_day()

    def latest_day(self) -> date:
        """Give the latest day that comparisons are of; in a stack on AWS the last trading day that has closed.

        Raises `BadInput` where there are no comparisons, `UnreachableSource`, and `UnreadableDocument`.
        """
        if self.target is not None:
            return last_closed_day(datetime.now(UTC))
        days = [day_of(name) or decode(name, content).trading_day for name, content in self.source.documents(date.min, date.max)]
        if not days:
            raise BadInput("No comparison is stored here")
        return max(days)


def open_material(place: Place, policy: Path | None, *, as_json: bool) -> Material:
    """Open what a command reads. Raises `BadInput`, `InvalidPolicy`, `ConfigurationError`; ends it where there is no stack."""
    rules = policy_at(str(policy or ""))
    settings = settings_of(rules, stage=place.stage)
    offline = offline_store(place.folder, place.file)
    if offline is None:
        target = find_target(place.stage, aws=place.aws, as_json=as_json)
        ledger = DynamoDbPairLedger(clients.dynamodb(), target.name("PairLedgerTableName"))
        plans = PlanTable(clients.dynamodb(), target.control_name("RebalancePlanTableName", "rebalance-plans"))
        source = S3Source(target.name("EvidenceBucketName"), ledger=ledger)
        return Material(source, LedgerBesidePlans(ledger, plans), rules, settings, target)
    return Material(offline, offline.ledger, rules, settings, None)


def version_named(material: Material, name: str) -> Version:
    """Find the version that was asked for: in the stack, else by its stored runs. Raises `UnknownVersion`."""
    return version_in(material.source, name) if material.target is None else versions_of(material.target).find(name)


def evidence(material: Material, version: str | None) -> tuple[Source, Ledger | None, str]:
    """Give what a page is made of, and whose it is: the lanes' own evidence, or that of one version. Raises `UnknownVersion`."""
    stage = material.settings.stage
    if version is None:
        return *told_apart(material.source, material.ledger), stage
    found = version_named(material, version)
    return *of_version(material.source, material.ledger, found), f"{stage}, version {found.number} beside production"
