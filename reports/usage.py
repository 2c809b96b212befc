"""Business Unit: reports | Status: current.

The commands of this room as a person meets them: options and help. What a command does is in a module of its own, which is
imported when the command runs, so that help imports none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shadow.cli.usage import AwsOption, DayOption, FileOption, FolderOption, JsonOption, StageOption
from shadow.contracts.vocabulary import Role

POLICY_FILE = Path("policy.toml")
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Where the page is written.", metavar="FILE")]
MarkdownOption = Annotated[Path | None, typer.Option("--markdown", help="Also write it for a pull request.", metavar="FILE")]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Also write it for a build server.", metavar="FILE")]
AllOption = Annotated[bool, typer.Option("--all", help="Give every difference in full, not the worst three of each kind.")]
SiteOption = Annotated[Path, typer.Option("--out", help="The folder that the pages are written to.", metavar="DIR")]
RunbooksOption = Annotated[str, typer.Option("--runbooks", help="The address that runbooks lie below.", metavar="URL")]
DecidedOption = Annotated[
    Path | None,
    typer.Option("--decided", help="Targets, accepted strata, restarts and closures, in TOML.", metavar="FILE"),
]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="The policy; else the one packaged with the code.", metavar="FILE")
]
FromOption = Annotated[str | None, typer.Option("--from", help="From this trading day on.", metavar="DAY")]
ToOption = Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Keep no index of margins for the next time.")]
InCloudOption = Annotated[
    bool, typer.Option("--in-cloud", help="Judge in the stack, by its Distributed Map (deployed with RejudgeInCloud=true).")
]
WholeOption = Annotated[bool, typer.Option("--whole", help="Judge every pair, whatever its margins say.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Of a published version, by its own runs (shadow candidate).", metavar="N|ARN")
]
KindName = Annotated[str, typer.Argument(help="A kind of difference, for example FILLED_QUANTITY.", metavar="KIND")]
PlanId = Annotated[str, typer.Argument(help="A plan whose comparison has such a difference.", metavar="PLAN_ID")]
OwnerOption = Annotated[str, typer.Option("--owner", help="Who answers for it.", metavar="NAME")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why it is expected.", metavar="TEXT")]
UntilOption = Annotated[str, typer.Option("--until", help="The last trading day that it covers.", metavar="YYYY-MM-DD")]
BudgetOption = Annotated[
    int | None,
    typer.Option("--budget", min=1, help="How many a day it covers; else as many as this plan has.", metavar="COUNT"),
]
ToPolicy = Annotated[
    Path, typer.Option("--policy", help="The policy to add to; made from the packaged one if it is new.", metavar="FILE")
]
FromPolicy = Annotated[Path | None, typer.Option("--policy", help="The policy; else the packaged one.", metavar="FILE")]
PromotingVersionOption = Annotated[str, typer.Option("--version", help="The version's number, or its ARN.", metavar="N|ARN")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who promotes although it is not READY.", metavar="NAME")]
PromotingReasonOption = Annotated[str | None, typer.Option("--reason", help="Why, in a sentence.", metavar="TEXT")]
AlarmOption = Annotated[
    str, typer.Option("--alarm", help="The alarm that watches the deployment; it must exist.", metavar="NAME")
]
PromotingDecidedOption = Annotated[
    Path | None, typer.Option("--decided", help="What people decided about readiness.", metavar="FILE")
]


def report(
    *,
    day: DayOption = None,
    version: VersionOption = None,
    open_page: OpenOption = False,
    out: OutOption = None,
    markdown_file: MarkdownOption = None,
    junit_file: JunitOption = None,
    everything: AllOption = False,
    policy: PolicyOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the divergence report of a trading day: the page that the daily mail links to.

    For example:

      shadow report --open

      shadow report --folder build/demo --date 2022-12-28 --out report.html

      shadow report --json --all | jq '.kinds[].examples[]'

      shadow report --version 3 --date 2026-11-27

      shadow report --markdown report.md --junit report.xml

    Exit code 1 where the day diverged, a lane is missing or pairs are unaccounted for; 4 where nothing diverged and not
    everything was compared, or nothing was published.
    """
    from reports.cli import report as run  # noqa: PLC0415

    run(
        day=day,
        version=version,
        open_page=open_page,
        out=out,
        markdown_file=markdown_file,
        junit_file=junit_file,
        everything=everything,
        policy=policy,
        folder=folder,
        file=file,
        stage=stage,
        aws=aws,
        as_json=as_json,
    )


def site(
    *,
    version: VersionOption = None,
    open_page: OpenOption = False,
    out: SiteOption = Path("build/site"),
    runbooks: RunbooksOption = "",
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write pages to browse: an index, a page a day, a pair, a kind, a symbol and a difference. They ask nobody for anything.

    For example:

      shadow site --open

      shadow site --folder build/demo --out build/site

      shadow site --version 3 --out build/version-3
    """
    from reports.cli import site as run  # noqa: PLC0415

    run(
        version=version,
        open_page=open_page,
        out=out,
        runbooks=runbooks,
        folder=folder,
        file=file,
        stage=stage,
        aws=aws,
        as_json=as_json,
    )


def week(
    *,
    day: DayOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say which plans of a week diverged and why, and which differences are new, still there or gone.

    For example:

      shadow week

      shadow week --folder build/demo --date 2022-12-23

      shadow week --json | jq '.differences[] | select(.state == "new")'

    The week of the trading day, up to that day. Exit code 1 where a plan's lanes do not agree, 4 where nothing was compared.
    """
    from reports.cli import week as run  # noqa: PLC0415

    run(day=day, folder=folder, file=file, stage=stage, aws=aws, as_json=as_json)


def readiness(
    *,
    day: DayOption = None,
    version: VersionOption = None,
    policy: PolicyOption = None,
    decided: DecidedOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether it is safe to cut over: READY, NOT_YET or BLOCKED, with every criterion's figure, target and reason.

    For example:

      shadow readiness

      shadow readiness --folder build/demo --json | jq -r .readiness

      shadow readiness --decided readiness.toml

      shadow readiness --version 3

    Exit code 0 only when READY.
    """
    from reports.cli import readiness as run  # noqa: PLC0415

    run(day=day, version=version, policy=policy, decided=decided, folder=folder, file=file, stage=stage, aws=aws, as_json=as_json)


def rejudge(
    *,
    policy: PolicyOption = None,
    first: FromOption = None,
    last: ToOption = None,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    no_cache: NoCacheOption = False,
    whole: WholeOption = False,
    in_cloud: InCloudOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge stored pairs again under a policy, and show which verdicts flip and by which rule. Nothing stored is changed.

    For example:

      shadow rejudge --policy tighter.toml --folder build/demo

      shadow rejudge --policy tighter.toml --from 2026-11-02 --to 2026-11-20 --json | jq .flips

      shadow rejudge --policy other-evidence.toml --in-cloud

    Every comparison keeps its margins: how much of each tolerance the pair used. They tell which pairs the policy can find
    otherwise, and only those are judged again, on all cores; severities and known divergences are applied to the stored
    differences. An index of margins lies beside the documents (of a bucket in ~/.cache/shadow/): with it a million trades take
    seconds. It can be deleted at any time.

    A wrong policy is refused with line, key and expectation. Exit code 1 where a verdict flips.
    """
    from reports.cli import rejudge as run  # noqa: PLC0415

    run(
        policy=policy,
        first=first,
        last=last,
        folder=folder,
        file=file,
        stage=stage,
        aws=aws,
        no_cache=no_cache,
        whole=whole,
        in_cloud=in_cloud,
        as_json=as_json,
    )


def noise(
    *,
    first: Annotated[str, typer.Option("--first", help="Where the first runs are stored: folder, .jsonl or s3://bucket.")],
    second: Annotated[str, typer.Option("--second", help="Where the second runs of the same plans are stored.")],
    role: Annotated[Role, typer.Option("--lane", help="The lane that ran twice.")] = Role.CONTROL,
    begin: Annotated[str | None, typer.Option("--from", help="From this trading day on.", metavar="DAY")] = None,
    end: Annotated[str | None, typer.Option("--to", help="… up to and with this one.", metavar="DAY")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="The policy; else the one packaged with the code.", metavar="FILE")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the tables that the policy takes.", metavar="FILE")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the noise floor: what two runs of the same lane differ by, beside each tolerance. Nothing stored is changed.

    For example:

      shadow noise --first s3://alchemiser-prod-shadow-evidence-1 --second s3://alchemiser-aa-shadow-evidence-1

      shadow noise --first build/one --second build/two --out noise.toml && cat noise.toml >> policy.toml

    Exit code 1 where a tolerance lies below the noise: it would raise false alarms.
    """
    from reports.cli import noise as run  # noqa: PLC0415

    run(first=first, second=second, role=role, begin=begin, end=end, policy=policy, out=out, as_json=as_json)


def rule(kind: KindName, *, policy: FromPolicy = None, as_json: JsonOption = False) -> None:
    """Explain one kind of difference: meaning, severity, what it follows from, runbook, and what the policy says of it.

    For example:

      shadow rule FILLED_QUANTITY

      shadow rule DOUBLE_ORDER --policy policy.toml --json
    """
    from reports.register import rule as run  # noqa: PLC0415

    run(kind, policy=policy, as_json=as_json)


def accept(
    plan_id: PlanId,
    kind: KindName,
    *,
    owner: OwnerOption,
    reason: ReasonOption,
    until: UntilOption,
    budget: BudgetOption = None,
    policy: ToPolicy = POLICY_FILE,
    folder: FolderOption = None,
    file: FileOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Register a known divergence: add the narrowest entry that covers a plan's differences of one kind to a policy file.

    For example:

      shadow accept PLAN_ID FILLED_QUANTITY --owner ana --reason "rounding, ticket 12" --until 2026-12-31

      shadow accept PLAN_ID FILLED_QUANTITY --folder build/demo --owner ana --reason "rounding" --until 2026-12-31

    The file is written whole or not at all. It takes effect when the policy is deployed; `shadow rejudge --policy` shows what
    it changes.
    """
    from reports.register import accept as run  # noqa: PLC0415

    run(
        plan_id,
        kind,
        owner=owner,
        reason=reason,
        until=until,
        budget=budget,
        policy=policy,
        folder=folder,
        file=file,
        stage=stage,
        aws=aws,
        as_json=as_json,
    )


def promote(
    *,
    version: PromotingVersionOption,
    alarm: AlarmOption,
    by: ByOption = None,
    reason: PromotingReasonOption = None,
    decided: PromotingDecidedOption = None,
    policy: FromPolicy = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a version into production: the alias names it from now on, and a record says who, when and why.

    For example:

      shadow promote --version 3 --alarm alchemiser-prod-shadow-executions-failed

      shadow promote --version 3 --alarm alchemiser-prod-shadow-executions-failed --by "A. Name" --reason "mends a halt"

    Refused unless the version is READY by its own evidence (`shadow candidate`), or a named person says why it goes all the same;
    where a function of it has no version of its own or another mode; where the alarm does not exist or rings.
    """
    from reports.promoting import promote as run  # noqa: PLC0415

    run(version=version, alarm=alarm, by=by, reason=reason, decided=decided, policy=policy, stage=stage, aws=aws, as_json=as_json)


def rollback(
    *,
    by: Annotated[str, typer.Option("--by", help="Who rolls back.", metavar="NAME")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence.", metavar="TEXT")],
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the version back that was in production before the last promotion. It needs no evidence: production judged it.

    For example:

      shadow rollback --by "A. Name" --reason "executions fail since the promotion"

      shadow rollback --by "A. Name" --reason "as above" --json | jq .after
    """
    from reports.promoting import rollback as run  # noqa: PLC0415

    run(by=by, reason=reason, stage=stage, aws=aws, as_json=as_json)
