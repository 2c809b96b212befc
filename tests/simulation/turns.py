"""Business Unit: tests | Status: current.

One virtual clock for a whole world. What is to happen waits in one list, ordered by time; threads of the product are real threads
of which exactly one moves at a time, and only where it waits does another go on. So the order is a value of the seed.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Lock, Thread
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

Act = Callable[[], object]


class Crash(BaseException):
    """The process died here. No handler of errors brings it back."""


@dataclass(eq=False)
class Process:
    """What dies together: a dead process makes no further call."""

    is_dead: bool = False

    def kill(self) -> None:
        """Let it make no further call."""
        self.is_dead = True


class _Task:
    """One thread of the product."""

    def __init__(self, turns: Turns, process: Process, work: Act) -> None:
        self.process, self.gate = process, Lock()
        self.gate.acquire()

        def live() -> None:
            self.gate.acquire()
            try:
                work()
            except Crash:
                pass
            except BaseException as error:  # noqa: BLE001 - told to whoever runs the world
                turns.failure = turns.failure or error
            turns.gate.release()

        Thread(target=live, daemon=True).start()


class Turns:
    """The clock, in seconds since the world began, and what waits for its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.gate = Lock()
        self.gate.acquire()
        self.failure: BaseException | None = None
        self._list: list[tuple[float, int, Act]] = []
        self._number = count()
        self._current: _Task | None = None

    def at(self, moment: float, act: Act) -> None:
        """Let `act` happen at `moment`, never before now."""
        heapq.heappush(self._list, (max(moment, self.now), next(self._number), act))

    def after(self, seconds: float, act: Act) -> None:
        """Let `act` happen in some seconds."""
        self.at(self.now + seconds, act)

    @property
    def next_at(self) -> float | None:
        """When the next thing happens; None where nothing waits."""
        return self._list[0][0] if self._list else None

    def step(self) -> None:
        """Let the next thing happen."""
        moment, _, act = heapq.heappop(self._list)
        self.now = max(self.now, moment)
        act()

    def run(self, until: float) -> None:
        """Let happen what happens until `until`."""
        while self._list and self._list[0][0] <= until:
            self.step()
        self.now = max(self.now, until)

    def spawn(self, process: Process, work: Act, delay: float = 0.0) -> None:
        """Start a thread of the product."""
        task = _Task(self, process, work)
        self.after(delay, lambda: self._resume(task))

    def _resume(self, task: _Task) -> None:
        before, self._current = self._current, task
        task.gate.release()
        self.gate.acquire()
        self._current = before
        if self.failure is not None:
            raise self.failure

    def sleep(self, seconds: float) -> None:
        """Let time pass: for a thread of the product that one, else all."""
        if self._current is None:
            self.run(self.now + seconds)
        else:
            Flag(self).wait(seconds)

    def _hand_back(self, task: _Task) -> None:
        self.gate.release()
        task.gate.acquire()
        if task.process.is_dead:
            raise Crash

    def current(self) -> _Task:
        """Give the thread that moves."""
        assert self._current is not None, "only a thread of the product waits"
        return self._current


@dataclass(eq=False)
class Flag:
    """What a thread waits for, on the virtual clock."""

    turns: Turns
    raised: bool = False
    waiting: list[Act] = field(default_factory=list)

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self.raised

    def set(self) -> None:
        """Set it, and let those go on that wait for it."""
        self.raised = True
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            self.turns.after(0.0, wake)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or `timeout` is over; tell whether it is set."""
        task, turns, over = self.turns.current(), self.turns, [False]
        if task.process.is_dead:
            raise Crash
        if self.raised:
            return True

        def wake() -> None:
            if not over[0]:
                over[0] = True
                turns._resume(task)

        self.waiting.append(wake)
        if timeout is not None:
            turns.after(timeout, wake)
        turns._hand_back(task)
        return self.raised


@contextmanager
def on_turns(module: ModuleType, turns: Turns, begun: float, delay: Callable[[], float], out: Any) -> Iterator[None]:
    """Let a module run on the virtual clock, its threads in turns, and write to `out`.

    `begun` is the epoch second at which the world began, `delay` how long a new thread waits for its first turn.
    """

    def start(work: Callable[..., object], args: tuple[object, ...]) -> None:
        turns.spawn(turns.current().process, lambda: work(*args), delay())

    clock = SimpleNamespace(
        monotonic=lambda: 1_000.0 + turns.now,
        time=lambda: begun + turns.now,
        sleep=turns.sleep,
        strftime=time.strftime,
        gmtime=time.gmtime,
    )
    stands_for = {
        "time": clock,
        "_Flag": lambda: Flag(turns),
        "_thread": SimpleNamespace(start_new_thread=start, stack_size=lambda *_: 0, get_native_id=lambda: 1),
        "sys": SimpleNamespace(stdout=out),
    }
    with patch.multiple(module, **stands_for):
        yield
