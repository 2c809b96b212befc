"""Business Unit: command line | Status: current.

`shadow status`: where every pair of a trading day stands, or one pair with both its lanes and its audit trail.

What both lanes of a pair are doing just now, read only: nothing is copied, nothing is moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from shadow.aws import clients
from shadow.aws.executions import AwsCandidateSource
from shadow.aws.pair_ledger import AuditEntry, DynamoDbPairLedger
from shadow.aws.table import plain_item
from shadow.cli.output import BadInput, ExitCode, escape, print_json, progress, say
from shadow.cli.target import Target
from shadow.cli.verdicts import StackStore, code_of_verdict, styled_verdict
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.identity import REPLAY_MARK
from shadow.contracts.pair import Pair, UnreadablePair, trading_day_of
from shadow.contracts.vocabulary import Lane, Origin, Role
from shadow.contracts.words import age, clock, count, moment_text
from shadow.lanes.lane import Deadlines, Settledness, candidate_settledness, control_settledness, is_stuck
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.legacy.source import AwsControlSource, CapturedEvents, run_of_plan
from shadow.lanes.records import as_moment
from shadow.replay.ports import is_of_version, label_of_version, replay_id_of
from shadow.settlement.cases import LEGACY, WORKFLOW
from shadow.settlement.composition import deadlines_from
from shadow.settlement.conservation import Conservation, conservation

_Clock = tuple[datetime, Deadlines]


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane of a pair now. `state` is the lane's own word, `since` when it last showed a sign of life."""

    lane: Lane
    role: Role
    state: str
    settled: bool
    since: datetime | None = None
    waiting_for: str = ""
    stuck: bool = False

    def to_wire(self, now: datetime) -> dict[str, object]:
        """Give the JSON-ready form; the age is in seconds."""
        return {
            "lane": self.lane.value,
            "state": self.state,
            "settled": self.settled,
            "since": self.since.isoformat() if self.since else None,
            "age_seconds": (now - self.since).total_seconds() if self.since else None,
            "waiting_for": self.waiting_for or None,
            "stuck": self.stuck,
        }


def lane_states(target: Target, pair: Pair, refs: Mapping[str, EvidenceRef], now: datetime) -> tuple[LaneState, LaneState]:
    """Look at both lanes, control first, by the default policy's deadlines and the stack's own. Raises `EvidenceUnavailable`."""
    dynamodb = clients.dynamodb()
    captured = CapturedEvents(dynamodb, target.name("PairLedgerTableName"))
    control = AwsControlSource(dynamodb, target.control_name("ExecutionRunsTableName", "execution-runs"), None, captured)
    candidate = AwsCandidateSource(
        clients.stepfunctions(),
        target.name("StateMachineArn"),
        dynamodb,
        target.outputs.get("CandidateStateTableName", ""),
    )
    deadlines = deadlines_from(target.parameters.get("SettlementDeadlines", ""), default_policy().deadlines)
    states = _legacy(control, pair, refs, (now, deadlines)), _workflow(candidate, pair, refs, (now, deadlines))
    return states if pair.production_lane is Lane.LEGACY else states[::-1]


def _legacy(source: AwsControlSource, pair: Pair, refs: Mapping[str, EvidenceRef], clock: _Clock) -> LaneState:
    now, deadlines = clock
    run_id = run_of_plan(source, pair)
    outcome = run_id and read_control(run_id, pair.plan_id, map(plain_item, source.run_items(run_id)), None)
    if not outcome:
        kept = LEGACY in refs
        return _ended(Lane.LEGACY, pair, "records expired, evidence kept" if kept else "no run found", kept=kept)
    found = control_settledness(outcome, now, deadlines)
    since = found.since or outcome.completed_at or outcome.started_at
    return _state(_ended(Lane.LEGACY, pair, outcome.raw_status or outcome.status.value), found, since, clock)


def _workflow(source: AwsCandidateSource, pair: Pair, refs: Mapping[str, EvidenceRef], clock: _Clock) -> LaneState:
    now, deadlines = clock
    describe = source.describe(pair.execution_arn or source.execution_arn(pair.run_id))
    if describe is None:
        kept = any(name.startswith(f"{WORKFLOW}-") for name in refs)
        reason = f": start {pair.start_state.value}" + (f", {pair.start_reason}" if pair.start_reason else "")
        return _ended(Lane.WORKFLOW, pair, "history expired, evidence kept" if kept else f"no execution{reason}", kept=kept)
    stopped = as_moment(describe.get("stopDate"))
    found = candidate_settledness(describe.get("status"), stopped, now, deadlines.aborted_quiet)
    since = found.since or stopped or as_moment(describe.get("redriveDate")) or as_moment(describe.get("startDate"))
    return _state(_ended(Lane.WORKFLOW, pair, str(describe.get("status"))), found, since, clock)


def _ended(lane: Lane, pair: Pair, state: str, *, kept: bool = False) -> LaneState:
    return LaneState(lane, lane.role_beside(pair.production_lane), state, settled=kept)


def _state(lane: LaneState, found: Settledness, since: datetime | None, clock: _Clock) -> LaneState:
    active = Settledness(settled=found.settled, waiting_for=found.waiting_for, since=since)
    stuck = is_stuck(active, *clock)
    return replace(lane, settled=found.settled, since=since, waiting_for=found.waiting_for, stuck=stuck)


LOOK_BACK_DAYS = 14
LOOK_AHEAD_DAYS = 14
_SHOWN = 32


def show_day(target: Target, chosen: date | None, version: str | None, *, as_json: bool) -> ExitCode:
    """Show the pairs of the chosen trading day, else of the latest; with `version`, those that this version ran."""
    now = datetime.now(UTC)
    if version is not None and not version.rpartition(":")[2].isdecimal():
        raise BadInput(f"--version {version}: expected a version's number or its ARN (`shadow version list`)")
    with progress("reading the pair ledger", quiet=as_json):
        ledger = StackStore(target).ledger
        later = days_after(ledger, trading_day_of(now) if chosen is None else chosen)
        shown, pairs = _pairs(ledger, chosen, later, now)
    if version is not None:
        mark = replay_id_of("", label_of_version(f":{version}"))
        pairs = [pair for pair in pairs if isinstance(pair, UnreadablePair) or pair.plan_id.endswith(mark)]
    if version is not None and not pairs and not as_json:
        say(f"version {escape(version)} ran no plan of {shown} (shadow candidate --version {escape(version)} lets it)")
        return ExitCode.FINE
    return _day(shown, pairs, [day for day in later if day != shown], now, as_json=as_json)


def days_after(ledger: DynamoDbPairLedger, day: date) -> list[date]:
    """Give the days after `day` that have pairs: of open pairs all, of closed ones those of the next `LOOK_AHEAD_DAYS`."""
    ahead = [day + timedelta(days=number) for number in range(1, LOOK_AHEAD_DAYS + 1)]
    found = {pair.trading_day for pair in ledger.open_pairs() if pair.trading_day > day}
    return sorted(found | {later for later in ahead if later not in found and ledger.pairs_of(later)})


def _pairs(
    ledger: DynamoDbPairLedger, day: date | None, later: Sequence[date], now: datetime
) -> tuple[date, list[Pair | UnreadablePair]]:
    """Give the pairs of `day`; else of the latest day up to today, not long ago; else of the next; else of the latest ever."""
    if day is not None:
        return day, ledger.pairs_of(day)
    today = trading_day_of(now)
    for back in range(LOOK_BACK_DAYS):
        pairs = ledger.pairs_of(today - timedelta(days=back))
        if pairs:
            return today - timedelta(days=back), pairs
    found = later[0] if later else ledger.latest_day()
    return (found, ledger.pairs_of(found)) if found else (today, [])


def _day(day: date, pairs: Sequence[Pair | UnreadablePair], others: Sequence[date], now: datetime, *, as_json: bool) -> ExitCode:
    readable = [pair for pair in pairs if isinstance(pair, Pair)]
    unreadable = [pair for pair in pairs if isinstance(pair, UnreadablePair)]
    sums = [conservation(day, pairs, origin) for origin in Origin]
    live = sums[0]
    if as_json:
        print_json(
            {
                "trading_day": day.isoformat(),
                "pairs": [_pair_wire(pair, now) for pair in readable],
                "later_days": [later.isoformat() for later in others],
                "unreadable": [{"key": pair.key, "reason": pair.reason} for pair in unreadable],
                "conservation": {total.origin.value: _sum_wire(total) for total in sums if total.published or total is live},
            }
        )
    else:
        _print_day(day, readable, unreadable, sums, now)
        if others:
            days = ", ".join(map(str, others))
            say(f"plans are dated after {day} as well: {days} ([bold]shadow status --date {others[0]}[/bold])")
    codes = {code_of_verdict(pair.verdict) for pair in readable}
    if ExitCode.DIVERGED in codes or any(total.error for total in sums):
        return ExitCode.DIVERGED
    return ExitCode.INCOMPLETE if ExitCode.INCOMPLETE in codes else ExitCode.FINE


def _print_day(
    day: date, pairs: Sequence[Pair], unreadable: Sequence[UnreadablePair], sums: Sequence[Conservation], now: datetime
) -> None:
    if not pairs and not unreadable:
        say(f"[bold]{day}[/bold]: no plan was published")
        return
    say(f"[bold]{day} · {count(len(pairs), 'pair')}[/bold]   (times of New York)")
    say(f"[dim]{'time':<10}{'verdict':<19}{'state':<15}{'start':<10}{'trades':>6}  {'origin':<12}age[/dim]")
    for pair in pairs:
        say(
            f"{clock(pair.published_at):<10}{styled_verdict(pair.verdict, 19)}{pair.state.value:<15}{pair.start_state.value:<10}"
            f"{pair.trade_count:>6}  {_origin(pair):<12}{_age_of(pair, now)}"
        )
        say(f"{'':<10}{escape(pair.plan_id)}")
    for bad in unreadable:
        say(f"[bold red]unreadable[/] {escape(bad.key)}: {escape(bad.reason)}")
    say()
    for total in sums:
        if total.published:
            lead = "" if total.origin is Origin.LIVE else f"{total.origin.value}: "
            tail = "" if total.error == 0 else f"   [bold red]{total.error} unaccounted for[/]"
            say(f"{lead}{total.sentence()}{tail}")


def _origin(pair: Pair) -> str:
    """Say why a pair was run, and by which version where it was one's run beside production."""
    return pair.plan_id.partition(REPLAY_MARK)[2] if is_of_version(pair.plan_id) else pair.origin.value


def _age_of(pair: Pair, now: datetime) -> str:
    """Tell how long an open pair has been waiting, or how long a closed one took to settle."""
    if pair.settled_at is None:
        return f"waiting for {age(now - pair.published_at)}"
    return f"settled after {age(pair.settled_at - pair.published_at)}"


def _pair_wire(pair: Pair, now: datetime) -> dict[str, object]:
    wire = {name: value for name, value in pair.to_wire().items() if name not in {"plan_json", "held_json"}}
    return wire | {"age_seconds": (now - pair.published_at).total_seconds()}


def _sum_wire(total: Conservation) -> dict[str, object]:
    names = ("published", "matched", "diverged", "ignored", "incomplete", "missing", "pending", "late", "error")
    return {name: getattr(total, name) for name in names} | {"sentence": total.sentence()}


def show_pair(target: Target, plan_id: str, *, as_json: bool) -> ExitCode:
    """Show one pair with both its lanes and its audit trail."""
    store, now = StackStore(target), datetime.now(UTC)
    pair = store.pair(plan_id)
    with progress("looking at both lanes", quiet=as_json):
        refs = store.ledger.evidence_of(plan_id)
        lanes = lane_states(target, pair, refs, now)
        page = PairPage(pair, lanes, tuple(refs[name] for name in sorted(refs)), tuple(store.ledger.audit_of(plan_id)))
    if as_json:
        print_json(
            _pair_wire(pair, now)
            | {"lanes": {lane.role.value: lane.to_wire(now) for lane in page.lanes}}
            | {"evidence": [ref.to_wire() for ref in page.evidence]}
            | {"audit": [_audit_wire(entry) for entry in page.audit]}
        )
    else:
        _print_pair(target, page, now)
    return code_of_verdict(pair.verdict)


def _audit_wire(entry: AuditEntry) -> dict[str, object]:
    return {"version": entry.version, "at": entry.at.isoformat(), "actor": entry.actor, "changes": dict(entry.changes)}


@dataclass(frozen=True, slots=True)
class PairPage:
    """Everything that is shown of one pair."""

    pair: Pair
    lanes: tuple[LaneState, ...]
    evidence: tuple[EvidenceRef, ...]
    audit: tuple[AuditEntry, ...]


def _print_pair(target: Target, page: PairPage, now: datetime) -> None:
    pair = page.pair
    say(f"{styled_verdict(pair.verdict)} · {pair.state.value}   [bold]{escape(pair.plan_id)}[/bold]")
    say(f"run         {pair.run_id}")
    say(
        f"published   {moment_text(pair.published_at)} New York · trading day {pair.trading_day} · {pair.origin.value} · "
        f"{count(pair.trade_count, 'trade')} · {_age_of(pair, now)}"
    )
    if pair.previous_verdict is not None and pair.previous_verdict is not Verdict.PENDING:
        say(f"before      {styled_verdict(pair.previous_verdict)}")
    for lane in page.lanes:
        say(f"{lane.role.value:<12}{lane.lane} · {_lane_text(lane, now)}")
    say(f"start       {pair.start_state.value}{f' · {escape(pair.start_reason)}' if pair.start_reason else ''}")
    if pair.control_error:
        say(f"            [red]publishing to the control raised {escape(pair.control_error)}[/]")
    arn = pair.execution_arn or target.execution_arn(pair.run_id)
    say(f"execution   {target.console_url(arn) or arn}")
    if pair.comparison_key:
        say(f"comparison  s3://{target.name('EvidenceBucketName')}/{pair.comparison_key}")
    for ref in page.evidence:
        say(f"evidence    {ref.name:<17}{ref.size:>9,} bytes  {ref.key}")
    say()
    say("[bold]audit trail[/bold]" + ("" if page.audit else ": nothing has changed since the pair was recorded"))
    for entry in page.audit:
        changes = ", ".join(f"{name} → {_short(value)}" for name, value in entry.changes.items() if name != "version")
        say(f"  {entry.version:>3}  {moment_text(entry.at)}  {escape(entry.actor):<20}  {escape(changes)}")


def _short(value: str) -> str:
    """Shorten a changed value: digests, keys and names are whole in the lines above, and in --json."""
    return (value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…") or "nothing"


def _lane_text(lane: LaneState, now: datetime) -> str:
    parts = [f"[bold]{escape(lane.state)}[/bold]"]
    if lane.since is not None:
        verb = "settled" if lane.settled else "in this state for"
        parts.append(f"{verb} {age(now - lane.since)}{' ago' if lane.settled else ''}")
    if lane.waiting_for:
        parts.append(f"waiting for {escape(lane.waiting_for)}")
    if lane.stuck:
        parts.append("[bold red]STUCK[/]")
    return " · ".join(parts)
