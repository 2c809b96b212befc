"""Business Unit: tests | Status: current.

What holds between the control and the harness beyond single faults: threads that cannot be started or never end, clocks that
fail, plans that the control changes, the interpreter's own exits, and an environment that is wrong.
"""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest

from local.pages.fault_cells import DAY, PATIENCE_SECONDS, Cloud, Planted, example_plan
from shadow.contracts.metrics import Metric
from shadow.contracts.pair import StartState
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, dual_publisher_from_environment
from shadow.publish.publication import EXPIRY_SECONDS, Clocks, Publication
from shadow.publish.publisher import MAX_THREADS


class Sentinel(BaseException):
    """Something that no `except Exception` catches."""


class Hanging:
    """A harness that never comes back until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def run(self, publication: Publication) -> None:
        del publication
        self.release.wait(PATIENCE_SECONDS)

    def bound_exceeded(self) -> None:
        self.release.wait(PATIENCE_SECONDS)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    harness = Hanging()
    yield harness
    harness.release.set()


def enqueue(plan: object) -> object:
    return plan


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError(), Sentinel()])
def test_a_thread_that_cannot_be_started_costs_the_candidate_only(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def refuse(*_: object) -> NoReturn:
        raise error

    cloud = Cloud()
    publisher = DualPublisher(enqueue, harness=cloud.harness(), bound_seconds=5)
    plan = example_plan()
    with monkeypatch.context() as patched:
        patched.setattr(_thread, "start_new_thread", refuse)
        assert publisher.publish(plan) is plan
    assert publisher.lost == 1
    publisher.publish(plan)
    assert publisher.settle(PATIENCE_SECONDS)
    assert (publisher.lost, cloud.metrics[Metric.PUBLISH_FAILURES]) == (0, 1)


def test_threads_that_never_end_do_not_pile_up(hanging: Hanging) -> None:
    publisher = DualPublisher(enqueue, harness=hanging, bound_seconds=0.001)
    before = _thread._count()
    plan = example_plan()
    for _ in range(3 * MAX_THREADS):
        assert publisher.publish(plan) is plan
    assert _thread._count() - before <= MAX_THREADS
    assert publisher.lost > 0
    assert not publisher.settle(0.001)


def test_a_failing_clock_costs_the_candidate_only() -> None:
    def broken() -> NoReturn:
        raise OSError("no clock")

    publisher = DualPublisher(enqueue, harness=Cloud().harness(), clocks=Clocks(wall=broken))
    plan = example_plan()
    assert publisher.publish(plan) is plan
    assert publisher.lost == 1


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_monotonic_clock_that_jumps_cannot_stretch_the_wait(hanging: Hanging, jump: float) -> None:
    ticks = iter([0.0, jump, 2 * jump, 3 * jump])
    publisher = DualPublisher(enqueue, harness=hanging, bound_seconds=0.01, clocks=Clocks(monotonic=lambda: next(ticks)))
    plan = example_plan()
    assert publisher.publish(plan) is plan


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Sentinel(), ValueError("no")])
def test_whatever_the_control_raises_is_what_the_caller_gets(error: BaseException) -> None:
    def control(plan: RebalancePlan) -> NoReturn:
        del plan
        raise error

    cloud = Cloud()
    publisher = DualPublisher(control, harness=cloud.harness(), bound_seconds=5)
    with pytest.raises(type(error)) as caught:
        publisher.publish(example_plan())
    assert caught.value is error
    assert caught.value.__context__ is None
    assert caught.traceback[-1].name == "control"
    assert publisher.settle(PATIENCE_SECONDS)
    assert next(iter(cloud.pairs.values())).control_error == type(error).__name__


def test_arguments_reach_the_control_as_given() -> None:
    def control(plan: RebalancePlan, *rest: object, **named: object) -> object:
        return (plan, rest, named)

    plan, one, two = example_plan(), object(), object()
    publisher = DualPublisher(control, harness=Cloud().harness())
    assert publisher.publish(plan, one, key=two) == (plan, (one,), {"key": two})


def test_a_control_that_changes_its_plan_does_not_confuse_the_candidate() -> None:
    plan = example_plan(trades=3).to_wire()

    def control(given: dict[str, object]) -> None:
        given["items"] = []
        given["plan_id"] = "another"

    cloud = Cloud()
    publisher = DualPublisher(control, harness=cloud.harness(), bound_seconds=5)
    publisher.publish(plan)
    assert publisher.settle(PATIENCE_SECONDS)
    pair = next(iter(cloud.pairs.values()))
    assert (pair.plan_id, pair.trade_count, pair.start_state) == (example_plan().plan_id, 3, StartState.STARTED)


def test_the_control_runs_in_the_callers_thread() -> None:
    publisher = DualPublisher(lambda _: threading.get_ident(), harness=Cloud().harness())
    assert publisher.publish(example_plan()) == threading.get_ident()


def test_a_thread_that_wakes_up_after_the_expiry_has_no_effect() -> None:
    planted = Planted()
    cloud = Cloud(planted)
    publication = Publication(example_plan(), 5, Clocks(wall=planted.wall))
    publication.control_over(None)
    planted.shift = EXPIRY_SECONDS + 1
    cloud.harness().run(publication)
    assert (cloud.pairs, cloud.executions, cloud.objects) == ({}, {}, {})
    assert cloud.metrics[Metric.PUBLISH_FAILURES] >= 1


def test_the_bound_exceeded_is_counted_and_logged(hanging: Hanging) -> None:
    cloud = Cloud()
    harness = cloud.harness()
    counted = threading.Event()

    class Slow:
        def run(self, publication: Publication) -> None:
            hanging.run(publication)

        def bound_exceeded(self) -> None:
            harness.bound_exceeded()
            counted.set()

    publisher = DualPublisher(enqueue, harness=Slow(), bound_seconds=0.01)
    publisher.publish(example_plan())
    assert counted.wait(PATIENCE_SECONDS)
    assert cloud.metrics == {Metric.PUBLISH_BOUND_EXCEEDED: 1}
    assert cloud.lines[0]["problem"] == "True"


def test_importing_the_shim_imports_the_standard_library_alone() -> None:
    heavy = "('boto3', 'botocore', 'pydantic', 'aws_lambda_powertools')"
    script = f"import sys, shadow.publish; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - own code
    assert done.stdout.strip() == "[]"


def test_a_wrong_environment_leaves_the_control_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DUAL_PUBLISHING", "true")
    monkeypatch.setenv("PUBLISH_BOUND_MS", "soon")
    publisher = dual_publisher_from_environment(enqueue)
    plan = example_plan()
    assert publisher.publish(plan) is plan
    assert publisher.settle(PATIENCE_SECONDS)
    assert "PUBLISH_BOUND_MS" in caplog.text
    assert Metric.PUBLISH_FAILURES.value in capsys.readouterr().out


def test_without_dual_publishing_there_is_no_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUAL_PUBLISHING", "false")
    publisher = dual_publisher_from_environment(enqueue)
    before = _thread._count()
    plan = example_plan()
    assert publisher.publish(plan) is plan
    assert (_thread._count(), publisher.lost) == (before, 0)
