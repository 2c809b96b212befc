"""Business Unit: command line | Status: current.

`shadow candidate`: a published version of the workflow shadows production. Each plan that production has run on a day, with a
shadow or alone, is run by the version too, in dry run and under a name of its own, and held against what production did. Held
against its own first run instead, it says how much the harness finds where there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from shadow.aws import clients
from shadow.aws.versions import Version, refuse_unless_whole
from shadow.cli.errors import BadInput
from shadow.cli.output import ERR, progress
from shadow.cli.replay_parts import archived_in, stack_of
from shadow.cli.replaying import run_replay
from shadow.cli.stored import StackStore
from shadow.cli.target import Target
from shadow.cli.versions import versions_of
from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import Pair, Unpaired, UnpairedPlan
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import count
from shadow.intake.payload import read_held
from shadow.replay.identity import (
    in_production_s_place,
    label_against_itself,
    label_of_version,
    published_plan,
    replay_id_of,
)
from shadow.replay.ports import Archived, Kept
from shadow.replay.replayer import Pace
from shadow.settlement.judging import policy_at

Ran = dict[str, tuple[RebalancePlan, Archived]]


def run_version(
    target: Target, version: Version, day: date, pace: Pace, policy: Path | None, *, against_itself: bool, as_json: bool
) -> None:
    """Run the plans of a day by a version, say what came of it, and end the command. Raises `BadInput` where there are none."""
    with progress("looking at what production ran", quiet=as_json):
        ran = _first_runs(target, version, day) if against_itself else _production_s(target, day, quiet=as_json)
    archive = Kept({plan_id: archived for plan_id, (_, archived) in ran.items()})
    replayer = stack_of(target, version.number).replayer(archive, policy_at(str(policy or "")), pace)
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


def _production_s(target: Target, day: date, *, quiet: bool) -> Ran:
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
        found = stack.run_alone(unpaired, now)
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
