"""Run many jobs as if at the same time, one port call after the other, in an order that is a value.

Exactly one thread moves at a time. At every port call it asks what happens next; without an event it goes on, so the number of
events is the number of surprises, and a failing schedule shrinks to the few that matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import NoReturn

PATIENCE_SECONDS = 30.0


class Killed(BaseException):
    """The process dies here. Not an Exception: nothing that handles errors survives it, as nothing survives a kill.

    `error` is what those who waited for it are told.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Stuck(RuntimeError):
    """A job did not come to its next port call: something waits outside of the ports."""


def _nothing(*_: object) -> None:
    return None


@dataclass(eq=False)
class Job:
    """One process: what it does, whom to tell how it ended, and whether anybody still waits for its answer."""

    name: str
    work: Callable[[], object]
    ended: Callable[[object, BaseException | None], None] = _nothing
    lost: Callable[[str], None] = _nothing
    is_awaited: bool = True
    gate: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.gate.acquire()

    def lose(self, error: str) -> None:
        """Let its answer be lost: who waits for it is told `error` instead, and it goes on."""
        if self.is_awaited:
            self.is_awaited = False
            self.lost(error)


Event = Callable[["Interleaving", Job], None]


class Interleaving:
    """Jobs that take turns at their port calls. `events` says what happens at which port call, counted over all jobs."""

    def __init__(self, events: Mapping[int, Event]) -> None:
        self._events = dict(events)
        self._ready: list[Job] = []
        self._current: Job | None = None
        self._finished = Lock()
        self._finished.acquire()
        self._failure: BaseException | None = None
        self.trace: list[str] = []

    def add(self, job: Job) -> None:
        """Let `job` run when its turn comes."""
        self._ready.append(job)
        Thread(target=self._live, args=(job,), name=job.name, daemon=True).start()

    def run(self) -> None:
        """Run until no job is left. Raises what a check inside a job raised."""
        if self._ready:
            self._hand_over()
            if not self._finished.acquire(timeout=PATIENCE_SECONDS):
                raise Stuck(f"after {len(self.trace)} port calls, last {self.trace[-3:]}")
        if self._failure is not None:
            raise self._failure

    def calm(self) -> None:
        """Let nothing happen any more."""
        self._events.clear()

    def at(self, what: str) -> None:
        """Be at a port call: the current job may be stopped, killed or left behind here."""
        job = self._current
        if job is None or self._failure is not None:
            return
        step = len(self.trace)
        self.trace.append(f"{step:4} {job.name}: {what}")
        event = self._events.get(step)
        if event is not None:
            event(self, job)

    def note(self, what: str) -> None:
        """Put an event into the trace."""
        self.trace.append(f"     ** {what}")

    def switch(self, turn: int) -> None:
        """Let another job go on, the `turn`th of those that wait."""
        me = self._current
        others = [job for job in self._ready if job is not me]
        if me is None or not others:
            return
        self._current = others[turn % len(others)]
        self._current.gate.release()
        if not me.gate.acquire(timeout=PATIENCE_SECONDS):
            raise Stuck(me.name)

    def _hand_over(self) -> None:
        self._current = self._ready[0] if self._ready else None
        (self._current.gate if self._current else self._finished).release()

    def _live(self, job: Job) -> None:
        job.gate.acquire()
        result: object = None
        error: BaseException | None = None
        try:
            result = job.work()
        except BaseException as caught:  # noqa: BLE001 - whatever ends a process is how it ended
            error = caught
        try:
            if isinstance(error, AssertionError | Stuck):
                self._failure = self._failure or error
            elif job.is_awaited:
                job.is_awaited = False
                job.ended(result, error)
        except BaseException as failure:  # noqa: BLE001 - told by run()
            self._failure = self._failure or failure
        self._ready.remove(job)
        self._hand_over()


def kill(error: str) -> NoReturn:
    """End the current process."""
    raise Killed(error)
