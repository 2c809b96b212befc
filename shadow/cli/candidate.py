"""Business Unit: command line | Status: current.

`shadow candidate`: a published version of the workflow shadows production. Each plan that production has run on a day is run by
the version too, in dry run and under a name of its own, and held against what production did. A run of the version that is in
production already says how much the harness finds where there is nothing to find.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from shadow.aws import clients
from shadow.aws.versions import Versions, refuse_unless_whole
from shadow.cli.errors import BadInput
from shadow.cli.output import ERR, progress
from shadow.cli.replay_parts import StoredArchive, replayer_for
from shadow.cli.replaying import PatienceOption, PolicyOption, StateOption, run_replay
from shadow.cli.status import parse_day
from shadow.cli.stored import StackStore
from shadow.cli.target import AwsOption, JsonOption, StageOption, find_target
from shadow.cli.words import count
from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import Pair, trading_day_of
from shadow.contracts.vocabulary import Origin
from shadow.replay.identity import label_of_version
from shadow.replay.ports import ReplayRefused
from shadow.replay.replayer import Pace

VersionOption = Annotated[str, typer.Option("--version", help="The version's number, or its ARN.", metavar="N|ARN")]
DayOption = Annotated[str | None, typer.Option("--date", help="The trading day, YYYY-MM-DD; else today.", metavar="DAY")]


def candidate(
    *,
    version: VersionOption,
    day: DayOption = None,
    patience: PatienceOption = 900,
    state: StateOption = None,
    policy: PolicyOption = None,
    stage: StageOption = "dev",
    aws: AwsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Shadow production with a published version: run each plan of the day by it, in dry run, and compare.

    [bold]Examples[/bold]

      shadow candidate --version 3

      shadow candidate --version 3 --date 2026-11-27 --json | jq .verdicts

    Call it on each trading day, soon after production's run and while the market is open; what was run already is not run again.
    Its comparisons are the version's evidence, which `shadow promote` weighs. The version in production is its own noise floor.
    """
    target = find_target(stage, aws=aws, as_json=as_json)
    if target.parameters.get("ExistingStateMachineArn"):
        raise ReplayRefused("candidate runs versions of this project's workflow alone; nobody can promise that of another one's")
    found = Versions(clients.stepfunctions(), target.name("StateMachineArn")).find(version)
    refuse_unless_whole(found, clients.lambda_())
    store = StackStore(target)
    chosen = parse_day(day) or trading_day_of(datetime.now(UTC))
    with progress("looking at what production ran", quiet=as_json):
        pairs = store.ledger.pairs_of(chosen)
        live = [pair for pair in pairs if isinstance(pair, Pair) and pair.origin is Origin.LIVE]
        judged = [pair for pair in live if pair.verdict is not Verdict.PENDING]
        archive = StoredArchive(store)
        comparisons = [entry.comparison for entry in (archive.found(pair.plan_id) for pair in judged) if entry is not None]
    if len(judged) < len(live) and not as_json:
        ERR.print(f"{count(len(live) - len(judged), 'plan')} of {chosen} not judged yet: call this again later")
    if not comparisons:
        raise BadInput(f"{chosen}: expected at least one plan that production ran and that was judged, was none")
    pace = Pace(rate=60, window=5, patience_seconds=float(patience))
    replayer = replayer_for(target, archive, pace, policy, found.number)
    run_replay(replayer, [comparison.plan for comparison in comparisons], label_of_version(found.name), state, as_json=as_json)
