"""Business Unit: replay | Status: current.

The replay itself: start plans no faster than the rate allows, at most `window` of them running at once, judge each as soon as
its candidate has settled, and give what became of each. It ends: no run is waited for longer than `patience`.

The state of a replay, one line a plan as it ends. Resuming reads it and leaves the plans alone that are done; a line that was
cut off by a crash is ignored, and its plan replayed again, which creates nothing new.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shadow.aws.versions import MODE_VARIABLE
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import ShadowError
from shadow.contracts.identity import is_replay
from shadow.contracts.pair import StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import ExecutionMode
from shadow.replay.ports import (
    Archive,
    Archived,
    Candidate,
    Judging,
    Replayed,
    ReplayEnd,
    ReplayRefused,
    ReplayRun,
    ReplayState,
    replayed_plan,
)

NO_CONTROL = "no outcome of the control is archived: there is nothing to compare with"
NO_TRADES = "a plan of HOLDs has nothing to execute"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes. `rate` is plans a minute; `poll_seconds` and `patience_seconds` are about one run."""

    rate: float = 10.0
    window: int = 5
    poll_seconds: float = 2.0
    patience_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a replay, to be replaced in tests."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class _Running:
    """One started replay."""

    plan_id: str
    run: ReplayRun
    since: float


class Replayer:
    """Replays plans under one label."""

    def __init__(self, archive: Archive, candidate: Candidate, judging: Judging, pace: Pace, clock: Clock | None = None) -> None:
        """Replay with these ports at this pace."""
        self._archive = archive
        self._candidate = candidate
        self._judging = judging
        self._pace = pace
        self._clock = clock or Clock()

    def replay(self, plans: Iterable[RebalancePlan], label: str) -> Iterator[Replayed]:
        """Replay `plans`, giving each as it ends; a plan's own trouble is its end and not the replay's."""
        running: list[_Running] = []
        next_start = self._clock.monotonic()
        for plan in plans:
            while len(running) >= self._pace.window or (running and self._clock.monotonic() < next_start):
                yield from self._look(running)
            self._clock.sleep(max(0.0, next_start - self._clock.monotonic()))
            started = self._start(plan, label)
            if isinstance(started, Replayed):
                yield started
                continue
            next_start = self._clock.monotonic() + 60 / self._pace.rate
            running.append(started)
        while running:
            yield from self._look(running)

    def _start(self, plan: RebalancePlan, label: str) -> _Running | Replayed:
        replay_id = plan.plan_id
        try:
            replay = replayed_plan(plan, label)
            replay_id = replay.plan_id
            archived = self._archive.archived(plan.plan_id)
            reason = _reason_not_to(plan, archived)
            if archived is None or reason:
                return Replayed(plan.plan_id, replay_id, ReplayEnd.SKIPPED, reason=reason)
            pair = self._candidate.start(replay, archived.held)
        except ShadowError as error:
            return Replayed(plan.plan_id, replay_id, ReplayEnd.FAILED, reason=f"{type(error).__name__}: {error}")
        if pair.start_state is StartState.REFUSED:
            return Replayed(plan.plan_id, replay_id, ReplayEnd.FAILED, reason=f"not started: {pair.start_reason}")
        if pair.comparison_key is not None:
            return Replayed(plan.plan_id, replay_id, ReplayEnd.JUDGED, pair.verdict, pair.comparison_key, "judged before")
        return _Running(plan.plan_id, ReplayRun(pair, replay, archived), self._clock.monotonic())

    def _look(self, running: list[_Running]) -> Iterator[Replayed]:
        """Look at every running replay once, then wait a little where none has ended."""
        ended = []
        for entry in list(running):
            end = self._end_of(entry)
            if end is not None:
                running.remove(entry)
                ended.append(end)
        yield from ended
        if not ended:
            self._clock.sleep(self._pace.poll_seconds)

    def _end_of(self, entry: _Running) -> Replayed | None:
        replay_id = entry.run.plan.plan_id
        try:
            found = self._candidate.outcome(entry.run.pair, entry.run.plan, self._clock.now())
            if found is None:
                if self._clock.monotonic() - entry.since < self._pace.patience_seconds:
                    return None
                reason = f"the candidate had not settled after {self._pace.patience_seconds:.0f} s"
                return Replayed(entry.plan_id, replay_id, ReplayEnd.WAITING, reason=reason)
            verdict, key = self._judging.judge(entry.run, *found, self._clock.now())
        except ShadowError as error:
            return Replayed(entry.plan_id, replay_id, ReplayEnd.FAILED, reason=f"{type(error).__name__}: {error}")
        return Replayed(entry.plan_id, replay_id, ReplayEnd.JUDGED, verdict, key)


def _reason_not_to(plan: RebalancePlan, archived: Archived | None) -> str:
    """Say why a plan is not replayed; empty where it is."""
    if is_replay(plan.plan_id):
        return "it is a replay itself"
    if not plan.tradable_items:
        return NO_TRADES
    return NO_CONTROL if archived is None else ""


def refuse_unless_dry_run(parameter: str | None, functions: Mapping[str, str | None]) -> None:
    """Raise `ReplayRefused` unless everything that is known says dry_run, and something is known of every function.

    `parameter` is the stack's `ExecutionMode` (None: the stack does not say), `functions` maps their names to their modes.
    """
    wanted = ExecutionMode.DRY_RUN.value
    if parameter is not None and parameter != wanted:
        raise ReplayRefused(f"stack parameter ExecutionMode: expected {wanted} for a replay, was {parameter}")
    wrong = [
        f"{name}: expected {MODE_VARIABLE} {wanted}, was {mode or 'nothing'}"
        for name, mode in functions.items()
        if mode != wanted
    ]
    if wrong or not functions:
        raise ReplayRefused("; ".join(wrong) or f"expected functions with {MODE_VARIABLE} {wanted}, was none")


class StateFile:
    """The lines of one replay."""

    def __init__(self, path: Path) -> None:
        """Keep the state in `path`."""
        self.path = path

    def done(self) -> dict[str, Replayed]:
        """Give what is done, by plan. Raises `ReplayState`."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ReplayState(f"{self.path}: expected a replay's state, was {type(error).__name__}") from error
        read = (_replayed(line) for line in lines)
        return {entry.plan_id: entry for entry in read if entry is not None and entry.is_final}

    def note(self, entry: Replayed) -> None:
        """Add what became of one plan. Raises `ReplayState`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry.to_wire(), sort_keys=True) + "\n")
        except OSError as error:
            raise ReplayState(f"{self.path}: expected to write a replay's state, was {error.strerror}") from error


def _replayed(line: str) -> Replayed | None:
    try:
        values = json.loads(line)
        return Replayed(
            plan_id=str(values["plan_id"]),
            replay_id=str(values["replay_id"]),
            end=ReplayEnd(values["end"]),
            verdict=Verdict(values["verdict"]),
            comparison=values["comparison"],
            reason=values["reason"] or "",
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
