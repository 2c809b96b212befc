"""Business Unit: command line | Status: current.

`shadow replay --gate`: may a version go to production, by what it does with the recorded plans? They are
run in a local cloud, so that a pipeline needs no account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from shadow.cli.errors import BadInput
from shadow.cli.output import ERR, ExitCode, escape, finish, print_json, say, write_whole
from shadow.cli.stored import StackStore, offline_store
from shadow.cli.target import find_target
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import count
from shadow.intake.payload import read_held
from shadow.replay.gate import Engine, GatedPlan, GateReport, GateWord, Played, gated
from shadow.replay.identity import in_production_s_place
from shadow.replay.recording import Recording, recording_of
from shadow.settlement.judging import policy_at
from shadow.settlement.stored import Ledger, S3Source, Source, read_comparison

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
