"""Business Unit: command line | Status: current.

`shadow candidate`: a published version of the workflow shadows production. Each plan that production has run on a day, with a
shadow or alone, is run by the version too, in dry run and under a name of its own, and held against what production did. Held
against its own first run instead, it says how much the harness finds where there is nothing to find.

`shadow version`: publish what is deployed as a version, and list the versions that there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from shadow.aws import clients
from shadow.aws.versions import (
    PUBLISH,
    ChangedMeanwhile,
    Promotion,
    PromotionLog,
    SplitAlias,
    Version,
    Versions,
    refuse_unless_whole,
)
from shadow.cli.output import ERR, BadInput, escape, print_json, progress, say
from shadow.cli.replaying import archived_in, run_replay, stack_of
from shadow.cli.target import Target
from shadow.cli.verdicts import StackStore
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.pair import Pair, Unpaired, UnpairedPlan
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import count, moment_text
from shadow.intake.payload import read_held
from shadow.replay.ports import (
    Archived,
    Kept,
    in_production_s_place,
    label_against_itself,
    label_of_version,
    published_plan,
    replay_id_of,
)
from shadow.replay.replayer import Pace
from shadow.settlement.judging import policy_at


class NotOurs(ConfigurationError):
    """The workflow belongs to another stack, which publishes its versions itself."""


def publish_deployed(target: Target, by: str, note: str, *, as_json: bool) -> None:
    """Publish what is deployed as a version, and record who did it. Raises `NotOurs`, `ChangedMeanwhile`."""
    if target.status.endswith("_IN_PROGRESS"):
        raise ChangedMeanwhile(f"stack shadow-{target.stage} is {target.status}: publish when the deployment has ended")
    versions = versions_of(target)
    who = by.strip() or os.environ.get("USER") or "unnamed"
    with progress("publishing the functions and the workflow", quiet=as_json):
        found, is_new = versions.publish(clients.lambda_(), (note or f"published by {who}")[:256])
    if is_new:
        words = {"by": who, "reason": note.strip() or "published", "readiness": "not asked", "before": None}
        record = {"kind": PUBLISH, "at": datetime.now(UTC), "machine": versions.machine, "after": found.arn}
        PromotionLog(clients.s3(), target.name("EvidenceBucketName")).keep(Promotion.parse(record | words))
    if as_json:
        print_json({"version": found.arn, "number": found.number, "functions": found.functions, "new": is_new})
        return
    said = "published" if is_new else "was published before, nothing has changed since"
    say(f"[green]version {found.number}[/green]  {said}: {count(len(found.functions), 'function')}")
    say(f"next: [bold]shadow candidate --version {found.number}[/bold]")


def show_versions(target: Target, *, as_json: bool) -> None:
    """Show the published versions, the newest first."""
    versions = versions_of(target)
    try:
        current = versions.in_production()
    except SplitAlias as split:
        current = None
        ERR.print(f"[yellow]{escape(str(split))}[/yellow]", soft_wrap=True)
    log = PromotionLog(clients.s3(), target.name("EvidenceBucketName")).all()
    told = {entry.after: entry for entry in log if not entry.moves}
    rows = [(versions.find(arn), told.get(arn)) for arn in versions.all()]
    if as_json:
        print_json(
            {
                "versions": [
                    {
                        "version": found.arn,
                        "number": found.number,
                        "created": found.created.isoformat(),
                        "functions": found.functions,
                        "in_production": found.arn == current,
                        "by": entry and entry.by,
                        "note": entry and entry.reason,
                    }
                    for found, entry in rows
                ]
            }
        )
        return
    for found, entry in rows:
        mark = "[green]in production[/green]" if found.arn == current else ""
        words = f"{escape(entry.by)}: {escape(entry.reason)}" if entry else "[dim]published without a record[/dim]"
        say(f"{found.number:>5}  {moment_text(found.created)}  {mark or '':<13}  {words}")
    if not rows:
        say("no version is published: [bold]shadow version publish[/bold]")


def versions_of(target: Target) -> Versions:
    """Give the versions of the stack's own workflow. Raises `NotOurs`."""
    theirs = target.parameters.get("ExistingStateMachineArn")
    if theirs:
        raise NotOurs(f"{theirs} belongs to another stack, which publishes its versions itself")
    return Versions(clients.stepfunctions(), target.name("StateMachineArn"))


Ran = dict[str, tuple[RebalancePlan, Archived]]


def run_version(
    target: Target, version: Version, day: date, pace: Pace, policy: Path | None, *, against_itself: bool, as_json: bool
) -> None:
    """Run the plans of a day by a version, say what came of it, and end the command. Raises `BadInput` where there are none."""
    rules = policy_at(str(policy or ""))
    with progress("looking at what production ran", quiet=as_json):
        ran = _first_runs(target, version, day) if against_itself else _production_s(target, day, rules, quiet=as_json)
    archive = Kept({plan_id: archived for plan_id, (_, archived) in ran.items()})
    replayer = stack_of(target, version.number).replayer(archive, rules, pace)
    label = label_against_itself(version.name) if against_itself else label_of_version(version.name)
    run_replay(replayer, [plan for plan, _ in ran.values()], label, None, as_json=as_json)


def version_asked(target: Target, version: str | None, *, against_itself: bool) -> Version:
    """Find the version that is to run: the one named, else with `against_itself` the one in production. Raises `BadInput`."""
    versions = versions_of(target)
    name = version or (versions.in_production() if against_itself else None)
    if name is None:
        raise BadInput("--version: give a version's number or ARN (`shadow version list`); no version is in production")
    found = versions.find(name)
    refuse_unless_whole(found, clients.lambda_())
    return found


def _production_s(target: Target, day: date, policy: Policy, *, quiet: bool) -> Ran:
    """Give what production did with each plan of a day, by plan. Raises `BadInput` where there is nothing."""
    store, stack, now = StackStore(target), stack_of(target), datetime.now(UTC)
    live = [pair for pair in store.ledger.pairs_of(day) if isinstance(pair, Pair) and pair.origin is Origin.LIVE]
    alone = [each for each in store.ledger.unpaired_of(day) if isinstance(each, UnpairedPlan)]
    alone = [each for each in alone if each.reason is Unpaired.NOT_SHADOWED]
    ran: Ran = {}
    for pair in live:
        judged = store.of_pair(pair) if pair.verdict is not Verdict.PENDING else None
        archived = archived_in(judged) if judged is not None else None
        if judged is not None and archived is not None:
            ran[pair.plan_id] = judged.comparison.plan, archived
    for unpaired in alone:
        found = stack.run_alone(unpaired, policy, now)
        if found is not None:
            ran[unpaired.plan_id] = found
    waiting = len(live) + len(alone) - len(ran)
    if waiting and not quiet:
        ERR.print(f"{count(waiting, 'plan')} of {day} not ended or not judged yet: call this again later")
    if not ran:
        raise BadInput(f"{day}: production has ended no plan yet that the version could run")
    return ran


def _first_runs(target: Target, version: Version, day: date) -> Ran:
    """Give the version's own runs of a day in production's place, by plan. Raises `BadInput` where there are none."""
    store, mark = StackStore(target), replay_id_of("", label_of_version(version.name))
    ran = dict(_own_runs(store, day, mark))
    if not ran:
        raise BadInput(
            f"{day}: version {version.number} has no runs of its own yet to compare with. First: "
            f"shadow candidate --version {version.number} --date {day}"
        )
    return ran


def _own_runs(store: StackStore, day: date, mark: str) -> Iterator[tuple[str, tuple[RebalancePlan, Archived]]]:
    for pair in store.ledger.pairs_of(day):
        found = store.of_pair(pair) if isinstance(pair, Pair) and pair.plan_id.endswith(mark) else None
        first = found.comparison.candidate if found is not None else None
        if found is None or first is None:
            continue
        plan = published_plan(found.comparison.plan)
        held = read_held(found.pair.held_json if found.pair is not None else None)
        yield plan.plan_id, (plan, Archived(in_production_s_place(first, plan), held=held))
