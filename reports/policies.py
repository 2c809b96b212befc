"""Business Unit: reports | Status: current.

The commands about the policy: `shadow rule`, `accept`, `rejudge` and `noise`. A command imports what it works with when it runs,
so that help needs neither the models nor pandas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from shadow.cli.output import ERR, BadInput, ExitCode, escape, finish, print_json, progress, read_whole, say, write_whole
from shadow.cli.target import (
    AwsOption,
    FileOption,
    FolderOption,
    FromOption,
    JsonOption,
    PolicyOption,
    StageOption,
    ToOption,
    days_between,
    find_target,
    parse_day,
)
from shadow.contracts.vocabulary import Role
from shadow.contracts.words import count

if TYPE_CHECKING:
    from reports.material import Material
    from reports.noise import Matching, ToleranceRow
    from reports.rejudge import Cloud, Rejudged, Told
    from shadow.compare.policy import NoiseFloor, Policy
    from shadow.settlement.stored import Store

POLICY_FILE = Path("policy.toml")
SHOWN = 20
_STANDING_STYLE = {
    "below the noise": "bold red",
    "close to the noise": "yellow",
    "clear of the noise": "green",
    "not measured": "dim",
}
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Keep no index of margins for the next time.")]
InCloudOption = Annotated[
    bool, typer.Option("--in-cloud", help="Judge in the stack, by its Distributed Map (deployed with RejudgeInCloud=true).")
]
WholeOption = Annotated[bool, typer.Option("--whole", help="Judge every pair, whatever its margins say.")]
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


def rule(kind: KindName, *, policy: PolicyOption = None, as_json: JsonOption = False) -> None:
    """Explain one kind of difference.

    It gives meaning, severity, what it follows from, the runbook, and what the policy says of it.

    For example:

      shadow rule FILLED_QUANTITY

      shadow rule DOUBLE_ORDER --policy policy.toml --json
    """
    from fnmatch import fnmatchcase

    from reports.headline import runbook_of
    from reports.register import kind_named
    from shadow.compare.kinds import BASIS_MEANING
    from shadow.compare.policy import OWN, OWN_FIELD, Policy, default_policy

    known = kind_named(kind)
    rules = default_policy() if policy is None else Policy.read(read_whole(policy), str(policy))
    severity, runbook = rules.severity_of(known.name), runbook_of(known.name, rules.severity_of(known.name))
    own = {f"{OWN}{name}": entry for name, entry in rules.own.items()} if known.name == OWN_FIELD else {}
    severities = {name: rules.severity_of(known.name, name).value for name in own}
    entries = [entry for entry in rules.known if known.coverable and fnmatchcase(known.name, entry.kind)]
    if as_json:
        print_json(
            {
                "kind": known.name,
                "meaning": known.meaning,
                "scope": known.scope.value,
                "level": known.level.value,
                "severity": severity.value,
                "default_severity": known.severity.value,
                "basis": known.basis.value,
                "follows": list(known.follows),
                "can_move_money": known.impact,
                "coverable": known.coverable,
                "runbook": f"docs/runbooks/{runbook}.md",
                "own": [{"field": name, "rule": str(entry), "severity": severities[name]} for name, entry in own.items()],
                "known": [entry.model_dump(mode="json") for entry in entries],
            }
        )
        return
    changed = "" if severity is known.severity else f" (the policy says so; by default {known.severity.value})"
    say(f"[bold]{known.name}[/bold]  {escape(known.meaning)}")
    say(f"severity   {severity.value}{changed}")
    say(f"found by   {escape(BASIS_MEANING[known.basis])}")
    say(f"follows    {', '.join(known.follows) or 'from no other kind: it is a first cause'}")
    say(f"dollars    {'it can move money' if known.impact else 'none of its own'}")
    say(f"runbook    docs/runbooks/{runbook}.md")
    for name, compared in own.items():
        say(f"compares   {escape(name)}: {compared}, {severities[name]}")
    if known.name == OWN_FIELD and not own:
        say("compares   no field: the policy has no table own")
    if not known.coverable:
        say("register   no entry can cover it")
    for entry in entries:
        say(f"register   {escape(entry.id)}, until {entry.expires}, owner {escape(entry.owner)}: {escape(entry.reason)}")
    if known.coverable and not entries:
        say(f"register   no entry covers it; to add one: shadow accept PLAN_ID {known.name} --owner … --reason … --until …")


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
    """Register differences as known, with owner and expiry.

    It adds to a policy file the narrowest entry that covers a plan's differences of one kind.

    For example:

      shadow accept PLAN_ID FILLED_QUANTITY --owner ana --reason "rounding, ticket 12" --until 2026-12-31

      shadow accept PLAN_ID FILLED_QUANTITY --folder build/demo --owner ana --reason "rounding" --until 2026-12-31

    The file is written whole or not at all. It takes effect when the policy is deployed; `shadow rejudge --policy` shows what
    it changes.
    """
    from reports.register import kind_named, register
    from shadow.cli.verdicts import StackStore, demand, offline_store

    known, last = kind_named(kind), parse_day(until)
    offline = offline_store(folder, file)
    if offline is not None:
        found = demand(offline, plan_id)
    else:
        target = find_target(stage, aws=aws, as_json=as_json)
        with progress("reading the comparison", quiet=as_json):
            found = demand(StackStore(target), plan_id)
    covers, values = register(found.comparison, known, last, policy, owner=owner, reason=reason, budget=budget)
    if as_json:
        print_json({"policy": str(policy), "entry": values, "covers": covers})
        return
    place = escape(str(policy))
    say(f"[green]registered[/green] {values['id']} in {place}: covers {count(covers, 'difference')} of this plan,")
    say(f"at most {values['budget_a_day']} a day, until {last}.")
    say(f"next: [bold]shadow rejudge --policy {escape(quote(str(policy)))}[/bold] shows what it changes")


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
    """Judge stored pairs again under another policy.

    It shows which verdicts flip and by which rule. Nothing stored is changed.

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
    from reports.material import Place, open_material
    from reports.rejudge import rejudge as judge_again

    days = days_between(first, last)
    material = open_material(Place(folder, file, stage, aws), policy, as_json=as_json)
    cloud = _cloud_of(material) if in_cloud else None
    with _counted("judging again", quiet=as_json) as tell:
        result = judge_again(material.source, material.policy, *days, keep=not no_cache, whole=whole, cloud=cloud, tell=tell)
    print_json(result.to_wire()) if as_json else _print_rejudged(result)
    finish(ExitCode.DIVERGED if result.flips else ExitCode.FINE)


def _cloud_of(material: Material) -> Cloud:
    """Give the stack's Distributed Map. Raises `BadInput` offline, and where the stack was deployed without it."""
    from reports.rejudge import Cloud
    from shadow.aws import clients

    if material.target is None:
        raise BadInput("--in-cloud judges in a deployed stack: leave out --folder and --file")
    machine = material.target.outputs.get("RejudgeStateMachineArn")
    if machine is None:
        raise BadInput("--in-cloud: the stack has no rejudging workflow; deploy it with RejudgeInCloud=true")
    return Cloud(clients.stepfunctions(), clients.s3(), machine, material.target.name("EvidenceBucketName"))


@contextmanager
def _counted(text: str, *, quiet: bool) -> Iterator[Told]:
    """Show how far reading has come: a bar on a terminal, a line elsewhere, nothing where it is to be quiet."""
    if quiet or not ERR.is_terminal:
        with progress(text, quiet=quiet):
            yield lambda _done, _units: None
        return
    with Progress(console=ERR, transient=True) as bars:
        bar = bars.add_task(escape(text), total=None)
        yield lambda done, units: bars.update(bar, completed=done, total=units)


def _print_rejudged(result: Rejudged) -> None:
    pairs, trades = count(result.pairs, "pair"), count(result.trades, "trade")
    say(f"[bold]{pairs}[/bold], {trades}, judged by policy {result.policy_hash[:12]}")
    say(f"[dim]{count(result.judged, 'pair')} given to the judge; margins tell that the others are found alike[/dim]")
    verdicts: Sequence[str] = sorted({verdict.value for verdict in result.before | result.after})
    say(f"[dim]{'verdict':<20}{'before':>8}{'after':>8}[/dim]")
    before = {verdict.value: amount for verdict, amount in result.before.items()}
    after = {verdict.value: amount for verdict, amount in result.after.items()}
    for verdict in verdicts:
        say(f"{verdict:<20}{before.get(verdict, 0):>8}{after.get(verdict, 0):>8}")
    if not result.changes:
        say("\n[green]nothing changes[/green]")
        return
    say(f"\n[dim]{'rule':<32}{'came':>8}{'went':>8}[/dim]")
    for kind in sorted(result.came.keys() | result.went.keys()):
        say(f"{escape(kind):<32}{result.came[kind]:>8}{result.went[kind]:>8}")
    flipped = [change for change in result.changes if change.before is not change.after]
    say(f"\n{count(len(flipped), 'verdict')} flip{'s' if len(flipped) == 1 else ''}")
    for change in flipped[:SHOWN]:
        why = ", ".join([*(f"+{kind}" for kind in change.came), *(f"-{kind}" for kind in change.went)])
        say(f"{change.trading_day}  {change.before.value} → {change.after.value}  {escape(change.plan_id)}")
        say(f"            [dim]{escape(why)}[/dim]")
    if len(flipped) > SHOWN:
        say(f"… and {len(flipped) - SHOWN} more (--json has them all)")


def noise(
    *,
    first: Annotated[str, typer.Option("--first", help="Where the first runs are stored: folder, .jsonl or s3://bucket.")],
    second: Annotated[str, typer.Option("--second", help="Where the second runs of the same plans are stored.")],
    role: Annotated[Role, typer.Option("--role", help="The role of the lane that ran twice.")] = Role.CONTROL,
    begin: FromOption = None,
    end: ToOption = None,
    policy: PolicyOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the tables that the policy takes.", metavar="FILE")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how much two runs of the same lane differ.

    It shows this noise floor beside each tolerance. Nothing stored is changed.

    For example:

      shadow noise --first s3://alchemiser-prod-shadow-evidence-1 --second s3://alchemiser-aa-shadow-evidence-1

      shadow noise --first build/one --second build/two --out noise.toml && cat noise.toml >> policy.toml

    Exit code 1 where a tolerance lies below the noise: it would raise false alarms.
    """
    from reports.noise import Matching, to_toml, tolerances_of
    from shadow.compare.across_pairs import noise_floor
    from shadow.settlement.judging import policy_at

    days = days_between(begin, end)
    rules = policy_at(str(policy or ""))
    if first == second or Path(first).resolve() == Path(second).resolve():
        raise BadInput(f"--first and --second: expected two stores, was {first} twice, which never differs from itself")
    matching = Matching(_store_at("--first", first), _store_at("--second", second), role)
    try:
        with progress("measuring the noise floor", quiet=as_json):
            floor = noise_floor(matching.runs(*days), rules)
    except ValueError as error:
        raise BadInput(f"{error} ({_left_out(matching)})") from None
    measured = rules.model_copy(update={"noise": floor})
    rows = tolerances_of(measured)
    if out is not None:
        write_whole(out, to_toml(floor))
    print_json(_noise_document(floor, rows, matching)) if as_json else _print_noise(floor, rows, matching, measured)
    below = any(row.standing.value == "below the noise" for row in rows)
    finish(ExitCode.DIVERGED if below else ExitCode.FINE)


def _store_at(option: str, place: str) -> Store:
    """Open a store of stored comparisons. Raises `BadInput` where there is none on this machine."""
    from shadow.cli.verdicts import holds_comparisons
    from shadow.settlement.stored import LINES_FILE, source_of

    path = Path(place)
    if place.startswith("s3://"):
        if not place.removeprefix("s3://").strip("/"):
            raise BadInput(f"{option} {place}: no bucket is named, as in s3://my-bucket")
        return source_of(place)
    if not path.exists():
        raise BadInput(f"{option} {place}: no such file or folder")
    if not (path.is_file() if path.suffix == ".jsonl" else holds_comparisons(path)):
        raise BadInput(f"{option} {place}: there is neither comparisons/ nor {LINES_FILE} in it")
    return source_of(place)


def _noise_document(floor: NoiseFloor, rows: tuple[ToleranceRow, ...], matching: Matching) -> dict[str, object]:
    return {"noise": floor.to_wire(), "tolerances": [row.to_wire() for row in rows], "left_out": matching.left_out}


def _print_noise(floor: NoiseFloor, rows: tuple[ToleranceRow, ...], matching: Matching, policy: Policy) -> None:
    say(
        f"[bold]{count(floor.pairs, 'plan')}[/bold], each run twice by the {floor.role.value}, {floor.first_day} to"
        f" {floor.last_day}; policy {policy.hash[:12]}"
    )
    if matching.left_out:
        say(f"[dim]left out: {escape(_left_out(matching))}[/dim]")
    say(f"\n[dim]{'rule':<20}{'tolerance':<34}{'seen':>6}{'p95':>12}{'p99':>12}{'largest':>12}  counted in[/dim]")
    for row in rows:
        figures = "".join(
            f"{'-' if value is None else f'{value.normalize():f}':>12}" for value in (row.p95, row.p99, row.largest)
        )
        say(
            f"{row.rule:<20}{escape(row.tolerance):<34}{row.observations or 0:>6}{figures}  {escape(row.measure)}"
            f"  [{_STANDING_STYLE[row.standing.value]}]{row.standing.value}[/]"
        )


def _left_out(matching: Matching) -> str:
    return ", ".join(f"{amount} {why}" for why, amount in sorted(matching.left_out.items())) or "nothing left out"
