"""Business Unit: publish | Status: current.

One publication, as the caller's thread and the harness's thread share it. The caller never waits for a lock that is held
while foreign code runs, and never longer than the budget it was given.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

EXPIRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of a publication, in seconds: `monotonic` measures, `wall` (the epoch's) also counts while frozen."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class ControlEnd:
    """How the call of the lane in production ended: the class name of what it raised, or None."""

    error: str | None


class Publication:
    """What both threads know of one publication."""

    def __init__(
        self,
        plan: object,
        bound_seconds: float,
        clocks: Clocks,
        lost_before: int = 0,
        legacy_start: Callable[[], object] | None = None,
    ) -> None:
        """Begin the publication of `plan`; the caller may be held up for `bound_seconds` in all.

        `lost_before` earlier publications could not be reported and are to be counted with this one. `legacy_start` publishes
        the plan to the legacy lane; it is there exactly when the workflow is in production and the legacy lane its shadow.
        """
        self.plan: object = plan
        self.legacy_start = legacy_start
        self.lost_before = lost_before
        self.clocks = clocks
        self.bound_seconds = bound_seconds
        self.wall_begun = clocks.wall()
        self.begun = clocks.monotonic()
        self._control_begun: float | None = None
        self._control_ended: float | None = None
        self._control_end: ControlEnd | None = None
        self._lock = threading.Lock()
        self._snapshot_wanted = True
        self._snapshot_decided = threading.Event()
        self._control_over = threading.Event()
        self._done = threading.Event()

    # The caller's side.

    def await_snapshot(self) -> None:
        """Wait for the snapshot within the bound; from then on the plan belongs to the control again."""
        self._snapshot_decided.wait(self.bound_seconds)
        with self._lock:
            self._snapshot_wanted = False
        self._control_begun = self.clocks.monotonic()

    def control_over(self, error: str | None) -> None:
        """Say how the control's call ended."""
        self._control_ended = self.clocks.monotonic()
        self._control_end = ControlEnd(error)
        self._control_over.set()

    def await_done(self, reserve_seconds: float) -> bool:
        """Wait for the harness for what is left of the bound without the reserve; say whether it is done."""
        spent = (self._control_begun or self.begun) - self.begun
        left = self.bound_seconds - reserve_seconds - spent
        return self._done.wait(min(max(left, 0.0), self.bound_seconds))

    # The harness's side.

    def snapshot_taken(self) -> bool:
        """Say that the snapshot is taken; False when it came too late: the control may have changed the plan by then."""
        with self._lock:
            in_time = self._snapshot_wanted
        self.plan = None
        self._snapshot_decided.set()
        return in_time

    def is_expired(self) -> bool:
        """Whether this publication is too old to have any further effect.

        A frozen Lambda environment resumes its threads hours later. Either clock suffices, since neither is sure to have
        counted the pause.
        """
        return self.clocks.monotonic() - self.begun > EXPIRY_SECONDS or self.clocks.wall() - self.wall_begun > EXPIRY_SECONDS

    def await_control(self) -> ControlEnd | None:
        """Wait for the control's end; None when it has not come before the expiry."""
        self._control_over.wait(EXPIRY_SECONDS)
        return self._control_end

    def added_seconds(self) -> float:
        """Give the time that the caller has been held up so far beyond the control's own time."""
        before = (self._control_begun or self.begun) - self.begun
        after = 0.0 if self._control_ended is None else self.clocks.monotonic() - self._control_ended
        return before + after

    def finish(self) -> None:
        """Let the caller go: the harness has nothing more to do."""
        self.plan = None
        self.legacy_start = None
        self._snapshot_decided.set()
        self._done.set()
