"""Business Unit: reports | Status: current.

`shadow promote` and `shadow rollback`: one recorded move of the alias that says which version of the workflow is in production.
The record is written first, so that there is no move without one. Runs that have started go on as they began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shadow.cli.output import BadInput, escape, print_json, progress, say
from shadow.cli.target import AwsOption, DecidedOption, JsonOption, PolicyOption, StageOption, Target, find_target
from shadow.contracts.errors import ConfigurationError

if TYPE_CHECKING:
    from reports.daily.build import ReportSettings
    from reports.material import Material
    from reports.readiness.readiness import Statement
    from shadow.aws.versions import Promotion, PromotionLog, Version, Versions

VersionOption = Annotated[str, typer.Option("--version", help="The version's number, or its ARN.", metavar="N|ARN")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who promotes although it is not READY.", metavar="NAME")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why, in a sentence.", metavar="TEXT")]
AlarmOption = Annotated[
    str, typer.Option("--alarm", help="The alarm that watches the deployment; it must exist.", metavar="NAME")
]

_READY = "READY"
_MOVING = timedelta(seconds=60)
"""A record older than this whose move was not made is of one that failed."""


class NotReady(ConfigurationError):
    """The version is not READY by its own evidence, and no named person overrides it."""


class AlreadyInProduction(ConfigurationError):
    """The alias names this version already."""


class NothingBefore(ConfigurationError):
    """No recorded promotion says what was in production before."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a promotion works with."""

    versions: Versions
    log: PromotionLog
    mode: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def check(self, version: Version) -> None:
        """Raise unless a version is the whole workflow, in the mode that the stack is in."""
        from shadow.aws import clients
        from shadow.aws.versions import refuse_other_modes, refuse_unless_whole

        refuse_unless_whole(version, clients.lambda_())
        refuse_other_modes(version, clients.lambda_(), self.mode)

    def move(self, kind: str, version: Version, **words: str | bool | None) -> Promotion:
        """Record the move, then make it. Raises `AlreadyInProduction`, and `ChangedMeanwhile` beside another move."""
        from shadow.aws.versions import ChangedMeanwhile, Promotion

        known = self.log.keys()
        before = self.versions.in_production()
        if before == version.arn:
            raise AlreadyInProduction(f"version {version.name} is in production already")
        made = [entry for entry in self.log.all() if entry.moves]
        if made and made[-1].after != before and self.now() - made[-1].at < _MOVING:
            seconds = int(_MOVING.total_seconds())
            raise ChangedMeanwhile(f"{made[-1].by} is moving {self.versions.alias} now. Try again in {seconds} s")
        record = Promotion.parse(
            {"kind": kind, "at": self.now(), "machine": self.versions.machine, "before": before, "after": version.arn} | words
        )
        key = self.log.keep(record)
        if self.log.keys() - known != {key}:
            raise ChangedMeanwhile(f"Somebody else is moving {self.versions.alias}. This command changed nothing; try again")
        self.versions.point(version.arn, f"{kind} by {record.by}, {key}"[:256])
        return record


def promote(
    *,
    version: VersionOption,
    alarm: AlarmOption,
    by: ByOption = None,
    reason: ReasonOption = None,
    decided: DecidedOption = None,
    policy: PolicyOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a version into production.

    The alias names it from now on, and a record says who, when and why.

    For example:

      shadow promote --version 3 --alarm alchemiser-prod-shadow-executions-failed

      shadow promote --version 3 --alarm alchemiser-prod-shadow-executions-failed --by "A. Name" --reason "mends a halt"

    Refused unless the version is READY by its own evidence (`shadow candidate`), or a named person gives a reason;
    where a function of it has no version of its own or another mode; where the alarm does not exist or rings.
    """
    from shadow.aws import clients
    from shadow.aws.versions import PROMOTE, refuse_without_alarm

    if (by is None) is not (reason is None) or any(text is not None and not text.strip() for text in (by, reason)):
        raise BadInput("--by and --reason: give both, a name and a sentence, or neither")
    target = find_target(stage, aws=aws, as_json=as_json)
    desk = desk_of(target)
    found = desk.versions.find(version)
    desk.check(found)
    refuse_without_alarm(clients.cloudwatch(), alarm)
    with progress("weighing the version's evidence", quiet=as_json):
        statement = statement_of(target, found, decided, policy, as_json=as_json)
    word = statement.readiness.value
    if word != _READY and by is None:
        waits = "; ".join(criterion.reason for criterion in statement.criteria if criterion.state.value != "pass")
        raise NotReady(f"version {found.name} is {word}, not READY: {waits}. A named person may override it: --by, --reason")
    record = desk.move(
        PROMOTE,
        found,
        by=by or "readiness",
        reason=reason or f"READY as of {statement.as_of}",
        readiness=word,
        override=word != _READY,
        alarm=alarm,
    )
    _say(record, target, as_json=as_json)


def rollback(
    *,
    by: Annotated[str, typer.Option("--by", help="Who rolls back.", metavar="NAME")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence.", metavar="TEXT")],
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put back the version before the last promotion.

    It needs no new evidence: the version was in production before.

    For example:

      shadow rollback --by "A. Name" --reason "executions fail since the promotion"

      shadow rollback --by "A. Name" --reason "as above" --json | jq .after
    """
    from shadow.aws.versions import PROMOTE, ROLLBACK, UnknownVersion

    target = find_target(stage, aws=aws, as_json=as_json)
    desk = desk_of(target)
    current = desk.versions.in_production()
    made = [entry for entry in desk.log.all() if entry.kind == PROMOTE and entry.after == current]
    before = made[-1].before if made else None
    if before is None:
        raise NothingBefore(
            "No promotion is recorded, so nothing says which version was in production before: "
            "`shadow promote --version N` puts one there by name"
        )
    try:
        found = desk.versions.find(before)
    except UnknownVersion:
        raise NothingBefore(f"{before} was in production before, and is deleted: promote another version by name") from None
    desk.check(found)
    record = desk.move(ROLLBACK, found, by=by, reason=reason, readiness="not asked")
    _say(record, target, as_json=as_json)


def desk_of(target: Target) -> Desk:
    """Put together what a promotion in a stack works with."""
    from shadow.aws import clients
    from shadow.aws.versions import PromotionLog, Versions

    versions = Versions(clients.stepfunctions(), target.name("StateMachineArn"))
    log = PromotionLog(clients.s3(), target.name("EvidenceBucketName"))
    return Desk(versions, log, target.parameters.get("ExecutionMode", "dry_run"))


def statement_of(target: Target, version: Version, decided: Path | None, policy: Path | None, *, as_json: bool) -> Statement:
    """Weigh a version's own evidence up to the last day that has closed."""
    from reports.material import Place, open_material

    material = open_material(Place(None, None, target.stage, aws=target.endpoint is None), policy, as_json=as_json)
    return weighed(material, version, material.latest_day(), material.decided(decided))


def weighed(material: Material, version: Version, day: date, settings: ReportSettings) -> Statement:
    """Weigh a version's own evidence up to `day`; evidence that was judged by another policy waits to be judged by this one."""
    from reports.daily.build import build_statement
    from reports.readiness.readiness import Criterion, CriterionState, conclude
    from reports.versions import of_version

    source, ledger = of_version(material.source, material.ledger, version)
    statement = build_statement(source, day, ledger=ledger, settings=settings)
    judged_by, wanted = source.policies[max(source.policies)] if source.policies else None, material.policy.hash
    same = judged_by in (None, wanted)
    criterion = Criterion(
        name="policy",
        title="Judged by this policy",
        state=CriterionState.PASS if same else CriterionState.WAIT,
        figure=(judged_by or "nothing was judged")[:12],
        target=wanted[:12],
        reason=""
        if same
        else "the policy has changed since. Shadow the next days under it, or name the one that judged: --policy",
    )
    criteria = (*statement.criteria, criterion)
    return statement.model_copy(update={"criteria": criteria, "readiness": conclude(criteria)})


def _say(record: Promotion, target: Target, *, as_json: bool) -> None:
    from shadow.aws.versions import PRODUCTION

    started = target.parameters.get("WorkflowAlias") == PRODUCTION
    if as_json:
        print_json(record.to_wire() | {"started_by_alias": started})
        return
    before, after = ((arn or "none").rpartition(":")[2] for arn in (record.before, record.after))
    say(f"[green]{record.kind}[/green]  version {escape(before)} -> {escape(after)}  by {escape(record.by)}")
    say(f"[dim]{escape(record.reason)}; readiness: {escape(record.readiness)}[/dim]")
    if not started:
        say(f"the intake does not start the alias yet: deploy [bold]WorkflowAlias={PRODUCTION}[/bold] (docs/versions.md)")
