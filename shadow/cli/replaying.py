"""Business Unit: command line | Status: current.

`shadow replay`: plans of the past through today's candidate, in dry run, against what the control did at the time.

What a replay is put together from: the stack or an offline folder as archive, the plans that were asked for, and the replayer
on the stack's own tables, bucket and state machine.

`shadow replay --gate`: may a version go to production, by what it does with the recorded plans? They are
run in a local cloud, so that a pipeline needs no account.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import boto3

from shadow.aws import clients
from shadow.aws.versions import MODE_VARIABLE
from shadow.cli.output import ERR, BadInput, ExitCode, escape, finish, print_json, say, write_whole
from shadow.cli.target import Target, find_target
from shadow.cli.verdicts import StackStore, code_of_verdict, find, offline_store, styled_verdict
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import count
from shadow.intake.payload import read_held
from shadow.replay.aws import ReplayStack
from shadow.replay.gate import Engine, GatedPlan, GateReport, GateWord, Played, Recording, gated, recording_of
from shadow.replay.plans import PlanTable, plans_in_folder
from shadow.replay.ports import Archive, Archived, Replayed, ReplayEnd, ReplayRefused, in_production_s_place
from shadow.replay.replayer import Pace, Replayer, StateFile, refuse_unless_dry_run
from shadow.settlement.judging import policy_at
from shadow.settlement.stored import FolderSource, Found, JsonlSource, Ledger, S3Source, Source, everything, read_comparison

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


STATE_FOLDER = Path("build/replay")


def run_replay(
    replayer: Replayer, plans: Sequence[RebalancePlan], label: str, states: StateFile | None, *, as_json: bool
) -> None:
    """Replay what is not done yet under `label`, say what came of it, and end the command.

    Without `states` the ledger alone says what is done: every plan is looked at again.
    """
    done = states.done() if states is not None else {}
    left = [plan for plan in plans if plan.plan_id not in done]
    results = [done[plan.plan_id] for plan in plans if plan.plan_id in done]
    results += _run(replayer.replay(left, label), states, len(left), quiet=as_json)
    report = Report(label, states.path if states is not None else None, plans, results)
    print_json(report.to_wire()) if as_json else _print(report)
    finish(report.code)


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay came to."""

    label: str
    state: Path | None
    plans: Sequence[RebalancePlan]
    results: Sequence[Replayed]

    @property
    def code(self) -> ExitCode:
        """Fine where every plan was judged and found alike."""
        good = all(entry.end is ReplayEnd.JUDGED and code_of_verdict(entry.verdict) is ExitCode.FINE for entry in self.results)
        return ExitCode.FINE if good and self.results else ExitCode.DIVERGED

    @property
    def counted(self) -> dict[str, int]:
        """Count judged plans by verdict, and the others by their end."""
        ends = (entry.verdict.value if entry.end is ReplayEnd.JUDGED else entry.end.value for entry in self.results)
        return dict(sorted(Counter(ends).items()))

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "label": self.label,
            "state": str(self.state) if self.state is not None else None,
            "plans": len(self.plans),
            "verdicts": self.counted,
            "results": [entry.to_wire() for entry in self.results],
        }


def _run(replays: Iterable[Replayed], states: StateFile | None, total: int, *, quiet: bool) -> list[Replayed]:
    """Note each plan as it ends, and show how far the replay is."""
    results = []
    for number, entry in enumerate(replays, start=1):
        if states is not None:
            states.note(entry)
        results.append(entry)
        if not quiet:
            word = entry.verdict.value if entry.end is ReplayEnd.JUDGED else entry.end.value
            ERR.print(f"[dim]{number}/{total}[/dim] {word:<18} {escape(entry.plan_id)}", soft_wrap=True)
    return results


def _print(report: Report) -> None:
    for entry in report.results:
        judged = entry.end is ReplayEnd.JUDGED
        word = styled_verdict(entry.verdict, 19) if judged else f"[yellow]{entry.end.value:<19}[/]"
        say(f"{word}{escape(entry.replay_id if judged else entry.plan_id)}")
        if entry.reason:
            say(f"{'':<19}{escape(entry.reason)}")
    say()
    sums = ", ".join(f"{amount} {word}" for word, amount in report.counted.items())
    say(f"{count(len(report.plans), 'plan')} replayed as [bold]{escape(report.label)}[/bold]: {sums or 'nothing to do'}")
    if report.state is not None:
        say(f"[dim]state: {escape(str(report.state))} (the same --label resumes)[/dim]")
    differing = next((entry for entry in report.results if entry.comparison and code_of_verdict(entry.verdict)), None)
    if differing is not None:
        say(f"next: [bold]shadow explain {escape(quote(differing.replay_id))}[/bold]")


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


_LAST = re.compile(r"([1-9][0-9]{0,2})-days?")
_CLOSED_DAYS = 10
_STYLE = {GateWord.PASSED: "green", GateWord.REFUSED: "bold red", GateWord.INCONCLUSIVE: "magenta"}


def open_engine(version: str, policy: Policy, tell: Callable[[str], None]) -> AbstractContextManager[Engine]:
    """Open what runs recorded plans with a version, judged by `policy`; `tell` is told how far it is."""
    from local.replay_gate import open_engine  # noqa: PLC0415 - the local cloud is not part of a plain installation

    return open_engine(version, policy, tell)


@dataclass(frozen=True, slots=True)
class GateRequest:
    """What was asked for. `last` is `N-days`; `against_itself` runs each plan twice and compares the version with itself."""

    candidate: str
    last: str | None
    folder: Path | None
    file: Path | None
    policy: Path | None
    markdown: Path | None
    junit: Path | None
    against_itself: bool = False
    stage: str = "dev"
    aws: bool = False
    as_json: bool = False


def run_gate(request: GateRequest) -> None:
    """Run the gate, say what came of it, and end the command: 0 where it passed, 1 where it did not."""
    days = _days(request.last)
    policy = policy_at(str(request.policy or ""))
    recordings = _recordings(request, days)
    if not recordings:
        raise BadInput("--gate: no recorded plan with trades and production's outcome was found")
    told: list[GatedPlan] = []
    with open_engine(request.candidate, policy, _silent if request.as_json else _progress) as engine:
        played = engine.play(recordings)
        for entry in _against_itself(engine, played) if request.against_itself else played:
            told.append(gated(entry))
            if not request.as_json:
                _say_plan(told[-1])
    report = GateReport(request.candidate, tuple(told))
    for path, text in ((request.markdown, report.markdown), (request.junit, report.junit)):
        if path is not None:
            write_whole(path, text())
    if request.as_json:
        print_json(report.to_wire())
    else:
        sums = ", ".join(f"{amount} {word}" for word, amount in report.counted.items())
        say(f"[{_STYLE[report.word]}]{report.word.value}[/]  {escape(request.candidate)}  {count(len(told), 'plan')}: {sums}")
    finish(ExitCode.FINE if report.word is GateWord.PASSED else ExitCode.DIVERGED)


def _against_itself(engine: Engine, played: Iterable[Played]) -> Iterable[Played]:
    """Play each plan again, the version's own first run in production's place: whatever differs is the harness's noise."""
    again = []
    for entry in played:
        first = entry.comparison.candidate if entry.comparison is not None else None
        if first is None:
            yield entry
            continue
        own = in_production_s_place(first, entry.recording.plan)
        again.append(replace(entry.recording, production=own, unanswered=()))
    yield from engine.play(again)


def _recordings(request: GateRequest, days: int | None) -> list[Recording]:
    """Read what is recorded, the oldest first, of the last `days` recorded trading days (None: all)."""
    source: Source | None = offline_store(request.folder, request.file)
    first = date.min
    if source is None:
        target = find_target(request.stage, aws=request.aws, as_json=request.as_json)
        source = S3Source(target.name("EvidenceBucketName"), ledger=StackStore(target).ledger)
        first = datetime.now(UTC).date() - timedelta(days=2 * (days or _CLOSED_DAYS) + _CLOSED_DAYS)
    last = {}
    for name, content in source.documents(first, date.max):
        comparison = read_comparison(content, name)
        last[comparison.plan_id] = comparison
    ledger = getattr(source, "ledger", None)
    found: dict[str, Recording] = {}
    for comparison in sorted(last.values(), key=lambda each: each.origin != Origin.LIVE.value):
        recording = recording_of(comparison, _held(comparison, ledger))
        if recording is not None:
            found.setdefault(recording.plan.plan_id, recording)
    recordings = sorted(found.values(), key=lambda recording: (recording.plan.timestamp, recording.plan.plan_id))
    kept = sorted({recording.trading_day for recording in recordings})[-(days or 0) :]
    return [recording for recording in recordings if recording.trading_day in kept]


def _held(comparison: Comparison, ledger: Ledger | None) -> dict[str, Decimal]:
    """Give what production's account held when the plan was published, where the ledger beside the comparison tells."""
    pairs = ledger.pairs_of(comparison.trading_day) if ledger is not None else ()
    found = (pair.held_json for pair in pairs if isinstance(pair, Pair) and pair.plan_id == comparison.plan_id)
    return read_held(next(found, None))


def _days(last: str | None) -> int | None:
    if last is None:
        return None
    found = _LAST.fullmatch(last)
    if found is None:
        raise BadInput(f"--last: expected a number of recorded trading days such as 5-days, was {last!r}")
    return int(found[1])


def _say_plan(plan: GatedPlan) -> None:
    say(f"[{_STYLE[plan.word]}]{plan.word.value:<13}[/] {plan.trading_day}  {escape(plan.plan_id)}")
    for line in plan.lines:
        say(f"{'':<14}{escape(line)}")
    if plan.production_departs:
        kinds = ", ".join(sorted({difference.kind for difference in plan.production_departs}))
        say(f"[dim]{'':<14}production departs from the plan here, the version does not: {escape(kinds)}[/dim]")


def _progress(text: str) -> None:
    ERR.print(f"[dim]{escape(text)}[/dim]")


def _silent(text: str) -> None:
    del text
