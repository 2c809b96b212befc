"""Business Unit: publish | Status: current.

The bulkhead between the lane in production and the harness. Publishing to production (the control, or after a cut-over the
workflow) runs in the caller's thread, called exactly as given; the harness runs in a thread of its own, started before. The
caller waits for it within one budget of monotonic time. Whatever the harness raises (`SystemExit` and `MemoryError` too) or
however long it hangs, the caller gets production's result, or its exception, as the same object. The one exception is
`KeyboardInterrupt`, which belongs to whoever pressed the keys.

What a thread cannot shield from: native code that never lets go of the interpreter's lock, and a crash of the process.
"""

from __future__ import annotations

import _thread
import logging
import os
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from shadow.publish.publication import Clocks, Publication

if TYPE_CHECKING:
    from shadow.contracts.plan import RebalancePlan

DEFAULT_BOUND_SECONDS = 0.05
REPORT_SHARE = 0.1
MAX_THREADS = 8
PRODUCTION_LANE = "PRODUCTION_LANE"
_LEGACY = ("", "legacy")

PlanT = TypeVar("PlanT")
P = ParamSpec("P")
R = TypeVar("R")


class Harness(Protocol):
    """What runs beside the lane in production. Whatever it raises is contained."""

    def run(self, publication: Publication) -> None:
        """Take the snapshot, then publish to the lane that shadows, and report."""

    def bound_exceeded(self) -> None:
        """Count and log that a caller went on without waiting any longer."""


class BrokenHarness:
    """Stands in for a harness that could not be built, so that every publication says so."""

    def __init__(self, error: str) -> None:
        """Remember the class name and message of what went wrong."""
        self._error = error

    def run(self, publication: Publication) -> None:
        """Log and count one publication without a candidate."""
        publication.snapshot_taken()
        logging.getLogger("shadow.publish").error("publishing to the candidate is not possible: %s", self._error)
        from shadow.aws.observability import emit  # noqa: PLC0415 - may itself be what cannot be imported
        from shadow.contracts.metrics import Metric  # noqa: PLC0415 - see above

        emit({Metric.PUBLISH_FAILURES: 1})

    def bound_exceeded(self) -> None:
        """Say nothing more: each publication is counted as a failure anyway."""


class DualPublisher(Generic[PlanT, P, R]):
    """Publish plans through `control`, the lane in production, and to the lane that shadows beside it."""

    def __init__(
        self,
        control: Callable[Concatenate[PlanT, P], R],
        *,
        harness: Harness | None,
        bound_seconds: float = DEFAULT_BOUND_SECONDS,
        clocks: Clocks | None = None,
        legacy: Callable[Concatenate[PlanT, P], object] | None = None,
    ) -> None:
        """Wrap `control`; the harness may hold its caller up for `bound_seconds` in all. Without harness: `control` alone.

        With the workflow in production `control` publishes to it, and the harness feeds the legacy lane by `legacy`, which is
        called with the same arguments.
        """
        self._control = control
        self._harness = harness
        self._bound = bound_seconds
        self._clocks = clocks or Clocks()
        self._legacy = legacy
        self._slots = threading.BoundedSemaphore(MAX_THREADS)
        self._lost = 0

    @property
    def lost(self) -> int:
        """How many publications had no working harness and are not reported yet; the next report counts them."""
        return self._lost

    def publish(self, plan: PlanT, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the control with exactly these arguments; give its result or raise its exception, unchanged."""
        legacy_start = None if self._legacy is None else partial(self._legacy, plan, *args, **kwargs)
        publication = self._begin(plan, legacy_start)
        try:
            result = self._control(plan, *args, **kwargs)
        except BaseException as error:
            self._end(publication, error)
            raise
        self._end(publication, None)
        return result

    def settle(self, timeout_seconds: float) -> bool:
        """Wait until no harness thread is at work; False when one still is.

        For command lines, which end their process, and for tests; the control's path has no need of it.
        """
        taken = 0
        while taken < MAX_THREADS and self._slots.acquire(timeout=timeout_seconds):
            taken += 1
        for _ in range(taken):
            self._slots.release()
        return taken == MAX_THREADS

    def _begin(self, plan: PlanT, legacy_start: Callable[[], object] | None) -> Publication | None:
        if self._harness is None:
            return None
        try:
            publication = Publication(plan, self._bound, self._clocks, self._lost, legacy_start)
            if not self._spawn(partial(self._work, self._harness, publication)):
                self._lost += 1
                return None
            publication.await_snapshot()
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - nothing of the harness may reach the control's caller
            self._lost += 1
            return None
        return publication

    def _end(self, publication: Publication | None, error: BaseException | None) -> None:
        if publication is None or self._harness is None:
            return
        try:
            reserve = self._bound * REPORT_SHARE
            publication.control_over(None if error is None else type(error).__name__)
            if not publication.await_done(reserve):
                self._report_exceeded(self._harness, reserve)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - nothing of the harness may reach the control's caller
            self._lost += 1

    def _work(self, harness: Harness, publication: Publication) -> None:
        try:
            harness.run(publication)
            self._lost -= publication.lost_before
        except BaseException:  # noqa: BLE001 - a harness reports its own faults; what it could not report is counted here
            self._lost += 1
        finally:
            try:
                publication.finish()
            finally:
                self._slots.release()

    def _report_exceeded(self, harness: Harness, seconds: float) -> None:
        """Let a thread of its own count and log it, since writing a log line can hang as well."""
        reported = threading.Event()
        if self._spawn(partial(self._report, harness, reported)):
            reported.wait(seconds)
        else:
            self._lost += 1

    def _report(self, harness: Harness, reported: threading.Event) -> None:
        try:
            harness.bound_exceeded()
        except BaseException:  # noqa: BLE001 - see `_work`
            self._lost += 1
        finally:
            try:
                reported.set()
            finally:
                self._slots.release()

    def _spawn(self, work: Callable[[], None]) -> bool:
        """Start a thread and do not wait for it; False when too many still hang.

        `threading.Thread.start` waits without limit for a thread that dies of lack of memory before it runs
        (https://github.com/python/cpython/issues/140746); the primitive below does not.
        """
        if not self._slots.acquire(blocking=False):
            return False
        try:
            _thread.start_new_thread(work, ())
        except BaseException:
            self._slots.release()
            raise
        return True


def dual_publisher_from_environment(
    control: Callable[Concatenate[PlanT, P], R],
    *,
    to_plan: Callable[[PlanT], object] | None = None,
    positions: Callable[[RebalancePlan], Mapping[str, Decimal]] | None = None,
) -> DualPublisher[PlanT, P, R | str | None]:
    """Wrap `control`, which publishes to the legacy lane, as the environment says.

    While the legacy lane is in production this never raises (but `KeyboardInterrupt`): a harness that cannot be built leaves
    `control` alone. With `PRODUCTION_LANE=workflow` the roles are swapped without a change of the caller's code: publishing
    starts the workflow and gives its execution's ARN (None where nothing is to be traded), and `control` feeds the shadow. Then
    a workflow that cannot be published to is raised as `ConfigurationError`: production must not be replaced by its shadow.

    `to_plan` maps what the portfolio code calls a plan to a RebalancePlan, a mapping, a pydantic model or JSON text of one
    (default: it is one of these). `positions` gives the shares that the control's account holds by symbol, where the portfolio
    code knows them. Both run in the harness's thread. See `shadow.publish.composition` for the variables.
    """
    if os.environ.get(PRODUCTION_LANE, "") not in _LEGACY:
        return _with_the_workflow_in_production(control, to_plan)
    try:
        from shadow.publish.composition import harness_from_environment  # noqa: PLC0415 - a broken layer must not reach the control

        built = harness_from_environment(to_plan=to_plan, positions=positions)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - nothing of the harness may reach the control's caller
        return DualPublisher(control, harness=BrokenHarness(f"{type(error).__name__}: {error}"))
    return DualPublisher(control, harness=built.harness, bound_seconds=built.bound_seconds)


def _with_the_workflow_in_production(
    legacy: Callable[Concatenate[PlanT, P], R], to_plan: Callable[[PlanT], object] | None
) -> DualPublisher[PlanT, P, R | str | None]:
    """Publish to the workflow, and to the `legacy` lane beside it. The workflow asks its own account what it holds."""
    from shadow.publish.production import workflow_publisher_from_environment  # noqa: PLC0415 - only where it is production

    publish = workflow_publisher_from_environment()

    def production(plan: PlanT, /, *_args: P.args, **_kwargs: P.kwargs) -> R | str | None:
        return publish(plan if to_plan is None else to_plan(plan))

    try:
        from shadow.publish.composition import harness_from_environment  # noqa: PLC0415 - may itself be what is broken

        built = harness_from_environment(to_plan=to_plan)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - nothing of the harness may reach production's caller
        return DualPublisher(production, harness=BrokenHarness(f"{type(error).__name__}: {error}"), legacy=legacy)
    return DualPublisher(production, harness=built.harness, bound_seconds=built.bound_seconds, legacy=legacy)
