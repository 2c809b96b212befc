"""Business Unit: tests | Status: current.

The control's side: production gets exactly its call and its caller exactly its result, whatever hangs or fails beside it; the
intake queue gets one message a plan; what is counted adds up.
"""

from __future__ import annotations

import _thread
import asyncio
import copy
import inspect
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import zlib
from base64 import b64decode
from collections import UserList, deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cached_property, partial, wraps
from itertools import chain, count
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel

import shadow.publish as module
from shadow.contracts.plan import RebalancePlan
from shadow.publish import DualPublisher, IntakeQueue, PublishingFailed, Refused, as_json, dual_publisher_from_environment
from tests.factories.plans import example_plan

PATIENCE = 10.0
PLAN = {"plan_id": "plan-1", "items": [{"symbol": "SPY", "trade_amount": Decimal("1.10")}], "metadata": {"weight": 0.1}}
RUN_ID = "2f1c9a52-7c2e-4b57-9a0f-0c8d8c3b9d11"


class Queue:
    """The intake queue's client: keeps what is sent, or does what it is told instead."""

    def __init__(self, *failures: BaseException) -> None:
        self.sent: list[Any] = []
        self.failures = deque(failures)
        self.calls = 0
        self.closed = 0
        self.hold: threading.Event | None = None

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, object]:  # noqa: N803 - boto3's own names
        assert QueueUrl == "https://queue"
        self.calls += 1
        if self.hold is not None:
            self.hold.wait(PATIENCE)
        if self.failures:
            raise self.failures.popleft()
        assert MessageBody.isascii()
        self.sent.append(read(MessageBody))
        return {"MessageId": str(len(self.sent))}

    def close(self) -> None:
        self.closed += 1


class Locked(Queue):
    """A client that cannot be copied, as boto3's."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def read(body: str) -> Any:
    message = json.loads(body)
    return json.loads(zlib.decompress(b64decode(message["zlib"]))) if "zlib" in message else message


def fits(at: Callable[[int, Callable[[object], object]], object], depth: int, call: Callable[[object], object]) -> bool:
    try:
        at(depth, call)
    except RecursionError:
        return False
    return True


def started_by(start: Callable[..., int]) -> SimpleNamespace:
    return SimpleNamespace(**vars(_thread) | {"start_new_thread": start})


def _no_thread() -> int:
    raise RuntimeError("can't start new thread")


class Bench:
    """A publisher on a queue of our own, and what it writes."""

    def __init__(self, control: Callable[..., Any] | None = None, bound: float = PATIENCE, **options: Any) -> None:
        self.queue = Queue(*options.pop("failures", ()))
        self.calls: list[tuple[tuple[object, ...], dict[str, object]]] = []
        self.core = module._Core(IntakeQueue("https://queue", lambda: self.queue), "test", bound)
        self.publisher: DualPublisher[..., Any] = DualPublisher(control or self.control, self.core, **options)

    def control(self, *args: object, **kwargs: object) -> str:
        self.calls.append((args, kwargs))
        return "published"

    def publish(self, *args: object, **kwargs: object) -> Any:
        try:
            return self.publisher.publish(*args, **kwargs)
        finally:
            assert self.publisher.settle(PATIENCE)


@pytest.fixture(autouse=True)
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=out))
    monkeypatch.setattr(module, "_CORES", {})
    return out


def in_a_process_of_its_own(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may import the publisher's one file as `vendored`."""
    loaded = (
        "import sys, importlib.util as u\n"
        f"s = u.spec_from_file_location('vendored', {module.__file__!r})\n"
        "sys.modules['vendored'] = u.module_from_spec(s); s.loader.exec_module(sys.modules['vendored'])\n"
    )
    return subprocess.run([sys.executable, "-I", "-c", loaded + script], capture_output=True, text=True, check=True)  # noqa: S603


def metrics(out: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in lines if "_aws" in line]


def total(out: io.StringIO, name: str) -> float:
    return float(sum(line.get(name, 0) for line in metrics(out)))


class TestTheControlsCall:
    def test_it_gets_exactly_what_was_given_and_the_caller_its_result(self) -> None:
        result = object()
        bench = Bench(lambda *args, **kwargs: (result, args, kwargs))

        assert bench.publish(PLAN, 1, key="word") == (result, (PLAN, 1), {"key": "word"})

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("v"),
            SystemExit(3),
            KeyboardInterrupt(),
            MemoryError(),
            StopIteration(),
            GeneratorExit(),
            TimeoutError(),
            BaseException(),
        ],
    )
    def test_its_exception_is_the_callers_the_same_object(self, error: BaseException) -> None:
        def control(_plan: object) -> None:
            raise error

        bench = Bench(control)
        with pytest.raises(type(error)) as caught:
            bench.publish(PLAN)

        assert caught.value is error
        ends = [message.get("control") for message in bench.queue.sent]
        assert {"error": type(error).__name__} in ends

    def test_the_plan_is_found_by_any_keyword(self) -> None:
        for call in ({"rebalance_plan": PLAN}, {"plan": PLAN}):
            bench = Bench()
            bench.publish(**call)
            assert bench.calls == [((), call)]
            assert bench.queue.sent[0]["plan"]["plan_id"] == "plan-1"

    def test_the_plan_is_found_by_the_controls_own_first_parameter(self) -> None:
        seen: list[object] = []

        def publish(rebalance_plan: object, *, urgent: bool) -> None:
            seen.append((rebalance_plan, urgent))

        bench = Bench(publish)
        bench.publish(urgent=True, rebalance_plan=PLAN)

        assert seen == [(PLAN, True)]
        assert bench.queue.sent[0]["plan"]["plan_id"] == "plan-1"

    def test_an_object_made_for_each_event_is_published_through(self) -> None:
        class PlanPublisher:
            def __init__(self, event: str) -> None:
                self.event = event

            def publish(self, rebalance_plan: object) -> tuple[str, object]:
                return self.event, rebalance_plan

        bench = Bench()
        for event in ("one", "two"):
            assert bench.publisher.beside(PlanPublisher(event).publish)(rebalance_plan=PLAN) == (event, PLAN)
            assert bench.publisher.settle(PATIENCE)

        assert [message["plan"]["plan_id"] for message in bench.queue.sent] == ["plan-1", "plan-1"]

    def test_an_async_control_is_awaited_by_the_caller_and_its_failure_told(self, written: io.StringIO) -> None:
        async def control(_plan: object) -> str:
            await asyncio.sleep(0)
            raise ValueError("refused")

        bench = Bench(control)
        with pytest.raises(ValueError, match="refused"):
            asyncio.run(bench.publisher.publish(PLAN))

        assert bench.publisher.settle(PATIENCE)
        assert {"error": "ValueError"} in [message.get("control") for message in bench.queue.sent]
        assert total(written, "ControlPublishErrors") == 1

    def test_an_async_control_gives_its_result(self) -> None:
        async def control(_plan: object) -> str:
            return RUN_ID

        bench = Bench(control)

        assert asyncio.run(bench.publisher.publish(PLAN)) == RUN_ID
        assert bench.publisher.settle(PATIENCE)
        assert {"run_id": RUN_ID} in [message.get("control") for message in bench.queue.sent]

    def test_a_task_that_the_control_gives_is_the_callers_the_same_object(self) -> None:
        bench = Bench(lambda _plan: asyncio.get_running_loop().create_task(asyncio.sleep(0, "done")))

        async def caller() -> str:
            task = bench.publisher.publish(PLAN)
            assert isinstance(task, asyncio.Task)
            return str(await task)

        assert asyncio.run(caller()) == "done"
        assert bench.publisher.settle(PATIENCE)

    def test_what_is_more_than_a_coroutine_is_the_callers_the_same_object(self) -> None:
        class Request(Coroutine[object, object, str]):
            """Can be awaited and entered, as HTTP clients make them."""

            def __await__(self) -> Generator[object, object, str]:
                return self.answer().__await__()

            async def answer(self) -> str:
                return "answer"

            async def __aenter__(self) -> str:
                return await self

            async def __aexit__(self, *_: object) -> None:
                return None

            def send(self, _value: object) -> object:
                raise NotImplementedError

            def throw(self, *_: Any) -> object:
                raise NotImplementedError

            def close(self) -> None:
                raise NotImplementedError

        bench = Bench(lambda _plan: Request())

        async def caller() -> str:
            async with bench.publisher.publish(PLAN) as answer:
                return str(answer)

        assert asyncio.run(caller()) == "answer"
        assert bench.publisher.settle(PATIENCE)

    def test_an_answer_and_an_error_of_any_class_are_the_callers(self) -> None:
        class Unhashable(type):
            __hash__ = None  # type: ignore[assignment]

        class Nameless(type):
            @property
            def __name__(cls) -> str:  # type: ignore[override]
                raise ValueError("it has none")

        class Answer(metaclass=Unhashable):
            pass

        class Failed(Exception, metaclass=Nameless):
            pass

        def fails(_plan: object) -> None:
            raise error

        answer, error = Answer(), Failed()
        assert Bench(lambda _plan: answer).publish(PLAN) is answer
        bench = Bench(fails)
        try:
            bench.publish(PLAN)
        except Failed as caught:
            assert caught is error  # noqa: PT017 - pytest asks for its name
        assert [message["plan"]["plan_id"] for message in bench.queue.sent] == ["plan-1"]

    def test_a_keyword_may_have_any_name(self) -> None:
        bench = Bench(lambda _plan, /, **words: words)

        assert bench.publisher.publish(PLAN, self=1, core=2) == {"self": 1, "core": 2}
        assert bench.publisher.settle(PATIENCE)

    def test_a_caller_near_the_end_of_its_stack_reaches_its_control(self, written: io.StringIO) -> None:
        def at(depth: int, call: Callable[[object], object]) -> object:
            return call(PLAN) if depth == 0 else at(depth - 1, call)

        bench = Bench()
        limit, room = sys.getrecursionlimit(), 150
        try:
            sys.setrecursionlimit(len(inspect.stack(0)) + room)
            deepest = next(depth for depth in range(room, 0, -1) if fits(at, depth, bench.control))
            for less in range(1, 40):
                assert at(deepest - less, bench.publisher.publish) == "published"
                assert bench.publisher.settle(PATIENCE)
        finally:
            sys.setrecursionlimit(limit)
        bench.publish(PLAN)
        plans = sum("plan" in message for message in bench.queue.sent)

        assert (len(bench.calls), len(bench.queue.sent)) == (41, plans)
        assert 10 < plans < 40
        assert total(written, "CandidatePublishFailures") == 40 - plans

    def test_its_thread_has_room_enough_where_the_hosts_own_have_little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []

        def start(work: Callable[..., None], arguments: tuple[object, ...]) -> int:
            sizes.append(threading.stack_size())
            return _thread.start_new_thread(work, arguments)

        monkeypatch.setattr(module, "_thread", started_by(start))
        before = threading.stack_size()
        try:
            for size in (32_768, 4 * module.STACK_BYTES, 0):
                threading.stack_size(size)
                Bench().publish(PLAN)
                assert threading.stack_size() == size  # and asking sets it to 0
        finally:
            threading.stack_size(before)

        assert sizes == [module.STACK_BYTES, 4 * module.STACK_BYTES, 0]

    def test_while_the_interpreter_ends_the_control_is_called(self) -> None:
        script = (
            "import vendored as m\n"
            "core = m._Core(m.IntakeQueue('queue', dict), 'test', 0.05)\n"
            "publisher = m.DualPublisher(lambda plan: print('published'), core)\n"
            "class Last:\n"
            "    def __del__(self): publisher.publish({'plan_id': 'plan-1'})\n"
            "last = Last(); last.itself = last\n"
        )
        answer = in_a_process_of_its_own(script)

        assert answer.stdout.startswith("published")
        assert answer.stderr == ""

    @pytest.mark.parametrize("error", [RuntimeError("detached"), KeyError("run_id"), SystemExit(1)])
    def test_an_answer_that_cannot_be_looked_at_costs_no_plan(self, error: BaseException, written: io.StringIO) -> None:
        class Answer:
            def __getattr__(self, _name: str) -> object:
                raise error

        answer = Answer()
        bench = Bench(lambda _plan: answer)

        assert bench.publish(PLAN) is answer
        assert [message["plan"]["plan_id"] for message in bench.queue.sent] == ["plan-1"]
        assert f"answer: {type(error).__name__}" in written.getvalue()

    def test_a_child_that_the_control_forks_is_not_held(self, written: io.StringIO) -> None:
        bench = Bench(lambda _plan: os.fork(), bound=PATIENCE)
        bench.queue.hold = threading.Event()
        bench.queue.hold.set()
        begun = time.monotonic()
        child = bench.publisher.publish(PLAN)
        if child == 0:
            os._exit(0 if time.monotonic() - begun < PATIENCE / 2 else 1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert bench.publisher.settle(PATIENCE)
        assert total(written, "PublishBoundExceeded") == 0

    def test_the_run_that_its_answer_names_is_told(self) -> None:
        class Answer:
            run_id = RUN_ID

        for answer in (RUN_ID, {"run_id": RUN_ID}, Answer()):
            bench = Bench(lambda _plan, answer=answer: answer)
            bench.publish(PLAN)
            assert {"run_id": RUN_ID} in [message.get("control") for message in bench.queue.sent]

    def test_an_answer_that_names_no_run_makes_no_second_message(self) -> None:
        bench = Bench()
        bench.publish(PLAN)

        assert len(bench.queue.sent) == 1


class TestTheCallersOwnSignals:
    """Case C4: what a signal handler raises during our waits is the caller's, whatever its class."""

    @pytest.mark.parametrize("error", [SystemExit(143), TimeoutError("deadline"), RuntimeError("stop"), KeyboardInterrupt()])
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_it_reaches_the_caller(self, error: BaseException, moment: str) -> None:
        release = threading.Event()
        called: list[object] = []

        def handler(_signal: int, _frame: FrameType | None) -> None:
            raise error

        def to_plan(plan: object) -> object:
            if moment == "before":
                release.wait(PATIENCE)
            return plan

        bench = Bench(called.append, to_plan=to_plan)
        if moment == "after":
            bench.queue.hold = release
        earlier = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(type(error)) as caught:
                bench.publisher.publish(PLAN)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, earlier)
            release.set()

        assert caught.value is error
        assert len(called) == (moment == "after")
        assert bench.publisher.settle(PATIENCE)
        if moment == "before":
            assert bench.queue.sent[0]["control"] == {"error": type(error).__name__}

    @pytest.mark.parametrize("error", [SystemExit(143), TimeoutError("deadline"), RuntimeError("stop"), MemoryError("cgroup")])
    def test_it_reaches_the_caller_while_the_thread_is_started(
        self, error: BaseException, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Stop:
            def __init__(self, error: BaseException) -> None:
                self.error = error

            def handle(self, _signal: int, _frame: FrameType | None) -> None:
                raise self.error

        def start(work: Callable[..., None], arguments: tuple[object, ...]) -> int:
            signal.raise_signal(signal.SIGALRM)
            return _thread.start_new_thread(work, arguments)

        called: list[object] = []
        bench = Bench(called.append)
        earlier = signal.signal(signal.SIGALRM, Stop(error).handle)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(module, "_thread", started_by(start))
                with pytest.raises(type(error)) as caught:
                    bench.publisher.publish(PLAN)
        finally:
            signal.signal(signal.SIGALRM, earlier)

        assert caught.value is error
        assert called == []
        assert len(bench.core.slots) == module.MAX_THREADS - 1

    def test_wherever_a_handler_raises_the_caller_gets_it_and_the_next_plan_is_sent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Raised by the trace function at each line and return of ours in the caller's thread, one after another."""

        class Deadline(Exception):
            pass

        moments = 0

        def trace(frame: FrameType, _event: str, _value: object) -> Any:
            nonlocal moments
            if frame.f_code.co_filename != module.__file__:
                return None
            moments -= 1
            if moments == 0:
                raise Deadline
            return trace

        monkeypatch.setattr(module, "EXPIRY_SECONDS", 0.05)
        bench, before = Bench(), sys.gettrace()
        outcomes = []
        for moment in range(1, 1_000):
            moments = moment
            sys.settrace(trace)
            try:
                outcomes.append(bench.publisher.publish(PLAN))
            except Deadline:
                outcomes.append(Deadline)
            finally:
                sys.settrace(before)
            assert bench.publisher.settle(PATIENCE)
            if outcomes[-1] is not Deadline:
                break
        sent = len(bench.queue.sent)
        bench.publish(PLAN)

        assert outcomes[:-1] == [Deadline] * (len(outcomes) - 1)
        assert len(outcomes) > 40
        assert len(bench.queue.sent) == sent + 1
        assert (len(bench.core.slots), len(bench.core.reporter._turn)) == (module.MAX_THREADS - 1, 1)

    def test_threads_that_are_greenlets_of_the_callers_take_no_signal_from_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(work: Callable[..., None], arguments: tuple[object, ...]) -> int:
            work(*arguments)
            return 1

        bench = Bench(bound=0.02)
        monkeypatch.setattr(module, "_thread", started_by(start))
        monkeypatch.setattr(module, "EXPIRY_SECONDS", 0.01)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

        assert bench.publish(PLAN) == "published"
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        assert [message["plan"]["plan_id"] for message in bench.queue.sent] == ["plan-1"]

    def test_its_thread_takes_no_signal_that_the_control_blocks_and_waits_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = Bench()
        masks = []
        send = bench.queue.send_message

        def noted(**message: str) -> object:
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            return send(**message)

        monkeypatch.setattr(bench.queue, "send_message", noted)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

        assert bench.publish(PLAN) == "published"
        assert [signal.SIGUSR1 in mask and signal.SIGTERM in mask for mask in masks] == [True]
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


class TestWhatIsCopied:
    def test_later_changes_of_the_control_do_not_reach_the_queue(self) -> None:
        inner = {"symbol": "SPY"}
        by_id = {"a": inner}
        plans: list[dict[str, object]] = [
            {"items": items} for items in ([inner], (inner,), deque([inner]), UserList([inner]), by_id.values())
        ]
        for plan in plans:
            inner["symbol"] = "SPY"

            def control(_plan: object) -> None:
                inner["symbol"] = "changed"

            bench = Bench(control)
            bench.publish(plan)
            assert bench.queue.sent[0]["plan"]["items"] == [{"symbol": "SPY"}]

    def test_what_reading_would_use_up_is_refused_unread_and_the_control_sees_it_whole(self) -> None:
        makers: list[Callable[[], object]] = [
            lambda: (number for number in range(3)),
            lambda: map(int, "123"),
            lambda: filter(None, [1, 2, 3]),
            lambda: chain([1], [2, 3]),
            lambda: iter([1, 2, 3]),
            lambda: zip([1, 2, 3], [1, 2, 3], strict=True),
        ]
        for make in makers:
            seen: list[list[object]] = []
            bench = Bench(lambda plan, seen=seen: seen.append(list(plan["items"])))
            bench.publish({"plan_id": "plan-1", "items": make()})

            assert len(seen[0]) == 3
            [message] = bench.queue.sent
            assert message["plan_id"] == "plan-1"
            assert "items" in message["refused"]

    def test_a_mapping_that_is_used_up_by_going_through_it_is_refused_unread(self) -> None:
        class Cursor(Mapping[str, int]):
            left: ClassVar[list[str]] = ["AAPL", "MSFT"]

            def __len__(self) -> int:
                return len(self.left)

            def __getitem__(self, name: str) -> int:
                return 1

            def __iter__(self) -> Iterator[str]:
                return self

            def __next__(self) -> str:
                if not self.left:
                    raise StopIteration
                return self.left.pop()

        with pytest.raises(Refused, match=r"\.items: expected what can be read twice, was Cursor"):
            as_json({"items": Cursor()})
        assert Cursor.left == ["AAPL", "MSFT"]

    def test_an_iterable_field_of_a_model_is_refused_unread(self) -> None:
        class Lazy(BaseModel):
            plan_id: str
            items: Iterable[int]

        seen: list[list[int]] = []
        bench = Bench(lambda plan: seen.append(list(plan.items)))
        bench.publish(Lazy(plan_id="plan-1", items=[1, 2, 3]))

        assert seen == [[1, 2, 3]]
        assert "refused" in bench.queue.sent[0]

    def test_every_usual_form_of_a_plan_says_the_same(self) -> None:
        class Item(BaseModel):
            symbol: str
            trade_amount: Decimal

        class Plan(BaseModel):
            plan_id: str
            items: list[Item]

        @dataclass
        class PlainItem:
            symbol: str
            trade_amount: Decimal

        class Named(NamedTuple):
            plan_id: str
            items: tuple[PlainItem, ...]

        amount = Decimal("1.100")
        wanted = {"plan_id": "plan-1", "items": [{"symbol": "SPY", "trade_amount": "1.100"}]}
        assert as_json(Plan(plan_id="plan-1", items=[Item(symbol="SPY", trade_amount=amount)])) == wanted
        assert as_json(Named("plan-1", (PlainItem("SPY", amount),))) == wanted

    def test_what_a_model_remembers_of_itself_is_no_field(self) -> None:
        class Plan(BaseModel, extra="allow"):
            plan_id: str

            @cached_property
            def total(self) -> Decimal:
                return Decimal(1)

        plan = Plan.model_validate({"plan_id": "plan-1", "note": "extra"})
        assert plan.total == Decimal(1)
        assert as_json(plan) == {"plan_id": "plan-1", "note": "extra"}

    def test_a_model_of_version_1_is_copied_by_its_fields(self) -> None:
        class Old:
            """As pydantic 1 makes them: extra fields stand among the others."""

            __fields__: ClassVar = {"plan_id": object()}

            def __init__(self, **fields: object) -> None:
                self.__dict__.update(fields)

        assert as_json(Old(plan_id="plan-1", note="extra")) == {"plan_id": "plan-1", "note": "extra"}

    def test_our_own_plan_comes_back_the_same(self) -> None:
        plan = example_plan()

        assert RebalancePlan.read_json(json.dumps(as_json(plan))) == plan

    @given(st.decimals(allow_nan=False, allow_infinity=False))
    def test_decimals_keep_every_digit(self, number: Decimal) -> None:
        text = json.loads(json.dumps(as_json([number])))[0]

        assert Decimal(text).compare_total(number) == 0 or (Decimal(text) == number and "E" not in text)

    @pytest.mark.parametrize("value", [object(), b"bytes", {1: "number as a name"}, [object()], sys])
    def test_what_json_does_not_have_is_refused(self, value: object) -> None:
        with pytest.raises(Refused):
            as_json(value)

    def test_a_plan_that_contains_itself_is_refused(self) -> None:
        plan: dict[str, object] = {"plan_id": "plan-1"}
        plan["self"] = plan
        bench = Bench()

        assert bench.publish(plan) == "published"
        assert "levels" in bench.queue.sent[0]["refused"]

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_a_number_that_json_does_not_have_is_refused(self, number: float) -> None:
        bench = Bench()
        bench.publish(PLAN | {"metadata": number})

        assert ".metadata: expected a number that JSON has" in bench.queue.sent[0]["refused"]

    def test_a_number_that_json_does_not_have_is_named_by_its_place(self) -> None:
        for number in (float("-inf"), 10**5_000, 10**309, -(10**309)):
            bench = Bench()
            bench.publish(PLAN | {"metadata": {"momentum": [{"SPY": 1.5}, {"QQQ": number}]}})

            assert ".metadata.momentum.1.QQQ: expected a number that JSON has" in bench.queue.sent[0]["refused"]

    def test_what_would_be_copied_without_end_is_left_as_soon_as_the_control_begins(self) -> None:
        leaves = 0

        class Leaf(Mapping[str, int]):
            def __getitem__(self, _name: str) -> int:
                raise KeyError

            def __len__(self) -> int:
                return 0

            def __iter__(self) -> Iterator[str]:
                nonlocal leaves
                leaves += 1
                return iter(())

        nested: object = Leaf()
        for _ in range(40):
            nested = [nested, nested]
        bench = Bench(bound=0.02)

        assert bench.publish(PLAN | {"metadata": nested}) == "published"
        assert "the control had begun" in bench.queue.sent[0]["refused"]
        assert leaves < 10**7

    def test_more_entries_than_a_plan_has_are_refused_uncounted(self) -> None:
        bench = Bench()
        bench.publish(PLAN | {"metadata": {"prices": range(10**9)}})

        assert ".metadata.prices: expected at most 100,000 entries, was more" in bench.queue.sent[0]["refused"]

    def test_json_text_that_would_hold_the_lock_is_refused_unread(self) -> None:
        bench = Bench()
        bench.publish('{"plan_id": "plan-1", "metadata": "' + "x" * module.MAX_JSON_TEXT + '"}')

        assert "expected at most 2,097,152 characters of JSON" in bench.queue.sent[0]["refused"]

    def test_json_text_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read_of: list[object] = []

        def loads(text: str, **options: Any) -> Any:
            read_of.append(text)
            return json.loads(text, **options)

        monkeypatch.setattr(module, "json", SimpleNamespace(dumps=json.dumps, loads=loads))
        bench = Bench(lambda _plan: RUN_ID)
        bench.publish('{"plan_id": "plan-1", "metadata": {"plan_id": "another"}}')

        assert len(read_of) == 1
        assert {message.get("plan_id", "plan-1") for message in bench.queue.sent} == {"plan-1"}

    def test_what_is_shared_too_often_is_refused(self) -> None:
        nested: object = 1
        for _ in range(50):
            nested = [nested, nested]
        texts = ["x" * 10_000] * 10_000
        for value in (nested, texts, {"notes": [{"text": texts}]}):
            with pytest.raises(Refused, match="expected at most 8,388,608 bytes, was more"):
                as_json(value)
        bench = Bench(positions=lambda _plan: {"SPY": nested})
        bench.publish(PLAN)
        swapped = Bench(swapped=True)

        assert bench.queue.sent[0]["plan"]["plan_id"] == "plan-1"
        assert "held" not in bench.queue.sent[0]
        with pytest.raises(Refused):
            swapped.publish(PLAN | {"metadata": nested})

    def test_a_set_is_written_the_same_in_every_process(self) -> None:
        copy = as_json({"both": ({"QQQ", "SPY", "IWM", Decimal("1.5"), 2}, frozenset({3, 1, 2}))})

        assert copy == {"both": [["1.5", "IWM", "QQQ", "SPY", 2], [1, 2, 3]]}

    def test_a_name_is_1000_characters_at_most(self) -> None:
        assert as_json({"x" * 1_000: 1}) == {"x" * 1_000: 1}
        with pytest.raises(Refused, match="at most 1000 characters"):
            as_json({"x" * 1_001: 1})

    def test_what_is_refused_is_not_asked_for_its_id(self) -> None:
        class Row:
            """Asks its database for what it has not loaded, as an ORM's do."""

            asked = 0

            def __init__(self) -> None:
                self.plan_id = "plan-1"

            def __getattr__(self, _name: str) -> object:
                self.asked += 1
                return None

        row, other = Row(), Row()
        del other.plan_id
        for plan, plan_id in ((row, "plan-1"), (other, None)):
            bench = Bench()
            bench.publish(plan)
            assert bench.queue.sent[0]["plan_id"] == plan_id
        assert (row.asked, other.asked) == (0, 0)

    def test_a_number_is_what_it_is_whatever_its_class_says(self) -> None:
        class Money(Decimal):
            def __str__(self) -> str:
                return f"${float(self):.2f}"

        class Weight(float):
            def __float__(self) -> float:
                return 0.0

        class Count(int):
            def __int__(self) -> int:
                return 0

        assert as_json([Money("1.239"), Money("1E+2"), Weight(0.1), Count(7)]) == ["1.239", "100", 0.1, 7]
        with pytest.raises(Refused, match=r"\.0: expected a number that JSON has"):
            as_json([Weight("nan")])

    def test_what_has_no_end_is_refused_whatever_its_length_says(self) -> None:
        class Endless(Sequence[int]):
            def __getitem__(self, _place: Any) -> Any:
                return 1

            def __len__(self) -> int:
                return 1

        class Lazy(Mapping[str, int]):
            def __getitem__(self, _name: str) -> int:
                return 1

            def __len__(self) -> int:
                return 1

            def __iter__(self) -> Iterator[str]:
                return map(str, count())

        for value in (Endless(), Lazy()):
            with pytest.raises(Refused, match=r"\.prices: expected at most 100,000 entries, was more"):
                as_json({"prices": value})

    def test_what_is_refused_is_not_even_counted(self) -> None:
        class Query:
            """Asks its database when it is counted or gone through, as an ORM's do."""

            asked = 0

            def __len__(self) -> int:
                self.asked += 1
                return 1

            def __iter__(self) -> Iterator[int]:
                self.asked += 1
                return iter([1])

        query = Query()
        with pytest.raises(Refused, match=r"\.items: expected a value that JSON has.* was Query"):
            as_json({"items": query})
        assert query.asked == 0

    def test_a_huge_exponent_is_not_written_out(self) -> None:
        assert as_json([Decimal("1E+999999999"), Decimal("1E-1001"), Decimal("1E+1000")]) == [
            "1E+999999999",
            "1E-1001",
            "1" + "0" * 1000,
        ]

    def test_a_dataclass_is_copied_by_its_fields_alone(self) -> None:
        @dataclass
        class Plan:
            plan_id: str
            SCHEMA: ClassVar[str] = "not a field"
            source: InitVar[str] = "not kept"

        assert as_json(Plan("plan-1")) == {"plan_id": "plan-1"}

    def test_a_model_that_is_a_list_is_one(self) -> None:
        class Items(RootModel[list[int]]):
            pass

        assert as_json({"items": Items([1, 2])}) == {"items": [1, 2]}

    def test_a_text_is_what_json_would_write_whatever_it_prints(self) -> None:
        class Symbol(str):
            __slots__ = ()

            def __str__(self) -> str:
                return f"<{self!r}>"

        copy = as_json({Symbol("SPY"): Symbol("QQQ")})

        assert json.dumps(copy) == '{"SPY": "QQQ"}'

    def test_two_keys_that_are_one_name_are_refused(self) -> None:
        class Key(StrEnum):
            SPY = "SPY"

        class Word(Enum):
            SPY = "SPY"

        assert as_json({"weights": {Key.SPY: 1}}) == {"weights": {"SPY": 1}}
        with pytest.raises(Refused, match=r"\.weights: expected every name once"):
            as_json({"weights": {Word.SPY: 1, "SPY": 2}})

    def test_a_plan_copied_too_late_is_refused(self) -> None:
        go = threading.Event()

        def to_plan(plan: object) -> object:
            go.wait(PATIENCE)
            return plan

        bench = Bench(lambda _plan: go.set(), bound=0.01, to_plan=to_plan)
        bench.publish(PLAN)

        assert "begun before it was copied" in bench.queue.sent[0]["refused"]

    def test_json_text_that_is_refused_is_known_by_its_id(self) -> None:
        go = threading.Event()

        def to_plan(plan: object) -> object:
            go.wait(PATIENCE)
            return plan

        bench = Bench(lambda _plan: go.set(), bound=0.01, to_plan=to_plan)
        bench.publish('{"plan_id": "plan-1"}')

        assert bench.queue.sent[0]["plan_id"] == "plan-1"
        assert "begun before it was copied" in bench.queue.sent[0]["refused"]

    def test_json_text_is_sent_as_it_is(self) -> None:
        text = json.dumps({"plan_id": "plan-1"})
        for plan in (text, text.encode()):
            bench = Bench()
            bench.publish(plan)
            assert bench.queue.sent[0]["plan"] == text

    def test_a_large_plan_is_sent_compressed_and_a_huge_one_refused(self) -> None:
        bench = Bench()
        bench.publish(PLAN | {"metadata": {"note": "x" * 3_000_000}})
        bench.publish(PLAN | {"metadata": {"note": os.urandom(1_200_000).hex()}})

        assert len(bench.queue.sent[0]["plan"]["metadata"]["note"]) == 3_000_000
        assert "1,048,576 bytes" in bench.queue.sent[1]["refused"]

    def test_positions_that_json_does_not_have_and_that_change_the_plan_lose_nothing(self, written: io.StringIO) -> None:
        def positions(plan: dict[str, Any]) -> dict[str, object]:
            plan["items"].clear()
            return {"SPY": float("nan")}

        bench = Bench(positions=positions)
        bench.publish(PLAN)

        assert bench.queue.sent[0]["plan"]["items"] == [{"symbol": "SPY", "trade_amount": "1.10"}]
        assert "held" not in bench.queue.sent[0]
        assert "positions: Refused.SPY: expected a number that JSON has" in written.getvalue()

    def test_positions_are_sent_with_the_plan_and_their_failure_loses_nothing(self, written: io.StringIO) -> None:
        bench = Bench(positions=lambda _plan: {"SPY": Decimal("1.5")})
        bench.publish(PLAN)
        failing = Bench(positions=lambda _plan: 1 / 0)
        failing.publish(PLAN)

        assert bench.queue.sent[0]["held"] == {"SPY": "1.5"}
        assert failing.queue.sent[0]["plan"]["plan_id"] == "plan-1"
        assert total(written, "CandidatePublishFailures") == 1


class TestTheBound:
    def test_a_queue_that_hangs_holds_the_caller_for_the_bound_at_most(self, written: io.StringIO) -> None:
        bench = Bench(bound=0.05)
        bench.queue.hold = threading.Event()
        begun = time.monotonic()
        bench.publisher.publish(PLAN)
        held = (time.monotonic() - begun) * 1000
        bench.queue.hold.set()
        assert bench.publisher.settle(PATIENCE)

        [told] = [line for line in metrics(written) if "PublishBoundExceeded" in line]
        assert told["PublishAddedMilliseconds"] <= held
        assert sum("PublishAddedMilliseconds" in line for line in metrics(written)) == 1

    def test_the_controls_own_time_is_not_counted_as_added(self, written: io.StringIO) -> None:
        sent = threading.Event()
        bench = Bench(lambda _plan: sent.wait(0.3))
        bench.publish(PLAN)

        assert total(written, "PublishAddedMilliseconds") < 250

    def test_hung_threads_are_bounded_and_every_publication_is_told(self, written: io.StringIO) -> None:
        before = threading.active_count()
        bench = Bench(bound=0.001)
        bench.queue.hold = threading.Event()
        for _ in range(60):
            assert bench.publisher.publish(PLAN) == "published"
        assert threading.active_count() - before <= module.MAX_THREADS
        bench.queue.hold.set()
        assert bench.publisher.settle(PATIENCE)
        bench.publish(PLAN)

        assert len(bench.queue.sent) - 1 == module.MAX_THREADS - 1
        taken = sum("plan" in message for message in bench.queue.sent)
        assert total(written, "CandidatePublishFailures") == 61 - taken


class TestWhatIsCounted:
    """Case C5: however publications overlap and fail, each failure is counted once."""

    def test_failures_of_overlapping_publications_and_of_the_output_add_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Flaky(io.StringIO):
            turn = 0

            def write(self, text: str) -> int:
                Flaky.turn += 1
                if "_aws" in text and Flaky.turn % 5 == 0:
                    raise OSError("no space")
                return super().write(text)

        out = Flaky()
        monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=out))
        bench = Bench(bound=0.002)
        bench.queue.send_message = lambda **_: 1 / 0  # type: ignore[assignment, method-assign]
        threads = [threading.Thread(target=lambda: [bench.publisher.publish(PLAN) for _ in range(25)]) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bench.publisher.settle(PATIENCE)

        assert total(out, "CandidatePublishFailures") + sum(bench.core.reporter.untold) == 9 * 25

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
    def test_what_could_not_be_told_is_told_with_the_next_line(self, steps: list[tuple[int, bool]]) -> None:
        reporter = module._Reporter("test")
        told: list[float] = []

        def write(counts: dict[str, float], _fields: object) -> None:
            if fails:
                raise OSError
            told.append(counts.get(module.FAILURES, 0))

        reporter._write = write  # type: ignore[method-assign, assignment]
        for failures, fails in steps:  # noqa: B007 - `write` reads it
            try:
                reporter.tell({module.FAILURES: float(failures)}, {})
            except OSError:
                continue

        assert sum(told) + sum(reporter.untold) == sum(failures for failures, _ in steps)
        assert all(number > 0 for number in reporter.untold)

    def test_no_variable_of_the_host_changes_a_metrics_name(self, monkeypatch: pytest.MonkeyPatch, written: io.StringIO) -> None:
        for name in ("STAGE", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME", "AWS_LAMBDA_FUNCTION_NAME"):
            monkeypatch.setenv(name, "the-hosts-own")
        Bench().publish(PLAN)

        [line] = metrics(written)
        assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shadow"
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stage"]]
        assert line["Stage"] == "test"
        assert "the-hosts-own" not in written.getvalue()


class TestTheQueue:
    def test_a_dead_connection_costs_no_pair(self) -> None:
        bench = Bench(failures=[ConnectionResetError()])
        bench.publish(PLAN)

        assert len(bench.queue.sent) == 1
        assert bench.queue.calls == 2

    @pytest.mark.parametrize("refusals", [1, 2, 3])
    def test_a_plan_that_the_service_refused_is_sent_again_once_production_has_ended(
        self, refusals: int, written: io.StringIO
    ) -> None:
        class AccessDenied(Exception):
            response = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}  # noqa: RUF012

        bench = Bench(failures=[AccessDenied()] * refusals)
        bench.publish(PLAN)

        assert bench.queue.calls == 2
        assert ["plan" in message for message in bench.queue.sent] == [True] * (refusals == 1)
        assert total(written, "CandidatePublishFailures") == 1

    @pytest.mark.parametrize("error", [SystemExit(1), MemoryError(), KeyboardInterrupt(), RecursionError(), BaseException()])
    def test_whatever_sending_raises_the_caller_gets_its_result(self, error: BaseException, written: io.StringIO) -> None:
        bench = Bench(failures=[error, error, error])

        assert bench.publish(PLAN) == "published"
        assert total(written, "CandidatePublishFailures") == 1

    @pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError(), PermissionError("audited")])
    def test_a_thread_that_cannot_be_had_costs_the_pair_alone(
        self, error: Exception, monkeypatch: pytest.MonkeyPatch, written: io.StringIO
    ) -> None:
        real = _thread.start_new_thread
        bench = Bench()
        with monkeypatch.context() as patch:

            def fails(*_: object) -> int:
                raise error

            patch.setattr(_thread, "start_new_thread", fails)
            assert bench.publisher.publish(PLAN) == "published"
        assert _thread.start_new_thread is real
        bench.core.reporter.later(dict, {})
        bench.publish(PLAN)

        assert total(written, "CandidatePublishFailures") == 1


class TestTheEnvironment:
    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DUAL_PUBLISHING", "PRODUCTION_LANE", "SHADOW_INTAKE_QUEUE_URL", "SHADOW_STAGE", "PUBLISH_BOUND_MS"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize("lane", ["control", "Legacy", "legacy ", "WORKFLOW", "workflow ", "candidate"])
    @pytest.mark.parametrize("switch", ["", "true"])
    def test_an_unknown_lane_leaves_the_control_alone_and_is_told(
        self, lane: str, switch: str, monkeypatch: pytest.MonkeyPatch, written: io.StringIO
    ) -> None:
        monkeypatch.setenv("PRODUCTION_LANE", lane)
        monkeypatch.setenv("DUAL_PUBLISHING", switch)
        monkeypatch.setenv("SHADOW_INTAKE_QUEUE_URL", "https://queue")
        monkeypatch.setenv("SHADOW_STAGE", "prod")
        seen: list[object] = []
        publisher = dual_publisher_from_environment(seen.append)
        publisher.publish(PLAN)
        assert publisher.settle(PATIENCE)

        assert seen == [PLAN]
        assert total(written, "CandidatePublishFailures") == 1
        assert "the legacy lane alone is in production" in written.getvalue()

    def test_switched_off_nothing_looks_at_the_plan(self, written: io.StringIO) -> None:
        looked: list[object] = []
        publisher = dual_publisher_from_environment(lambda plan: plan, to_plan=looked.append)

        assert publisher.publish(PLAN) is PLAN
        assert looked == []
        assert written.getvalue() == ""

    @pytest.mark.parametrize(
        "variables",
        [
            {"DUAL_PUBLISHING": "true"},
            {"DUAL_PUBLISHING": "maybe"},
            {
                "DUAL_PUBLISHING": "true",
                "SHADOW_INTAKE_QUEUE_URL": "https://queue",
                "SHADOW_STAGE": "s",
                "PUBLISH_BOUND_MS": "-1",
            },
            {
                "DUAL_PUBLISHING": "true",
                "SHADOW_INTAKE_QUEUE_URL": "https://queue",
                "SHADOW_STAGE": "s",
                "PUBLISH_BOUND_MS": "9" * 5_000,
            },
        ],
    )
    def test_a_wrong_environment_costs_the_pair_alone(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, written: io.StringIO
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        publisher = dual_publisher_from_environment(lambda plan: plan)

        assert publisher.publish(PLAN) is PLAN
        assert publisher.settle(PATIENCE)
        assert total(written, "CandidatePublishFailures") == 1

    def test_publishers_of_one_environment_share_their_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DUAL_PUBLISHING", "true")
        monkeypatch.setenv("SHADOW_INTAKE_QUEUE_URL", "https://queue")
        monkeypatch.setenv("SHADOW_STAGE", "prod")

        first, second = dual_publisher_from_environment(print), dual_publisher_from_environment(print)

        assert first._core is second._core is not None


class TestTheWorkflowInProduction:
    def test_the_plan_goes_to_the_queue_and_the_legacy_lane_shadows(self) -> None:
        bench = Bench(swapped=True)

        assert bench.publish(PLAN, urgent=True) == "1"
        assert bench.calls == [((PLAN,), {"urgent": True})]
        plan, note = bench.queue.sent
        assert (plan["production_lane"], plan["shadowed"]) == ("workflow", True)
        assert (note["kind"], note["plan_id"], note["shadow"]) == ("note", "plan-1", "published")

    def test_a_queue_that_does_not_take_it_is_raised_and_the_shadow_not_fed(self) -> None:
        bench = Bench(swapped=True, failures=[OSError(), OSError()])

        with pytest.raises(PublishingFailed):
            bench.publish(PLAN)
        assert bench.calls == []

    def test_a_plan_that_cannot_be_copied_is_raised(self) -> None:
        bench = Bench(swapped=True)

        with pytest.raises(Refused):
            bench.publish({"items": iter([1])})
        assert bench.calls == []

    def test_a_shadow_that_fails_or_hangs_does_not_reach_production(self, written: io.StringIO) -> None:
        release = threading.Event()

        def hangs(_plan: object) -> None:
            release.wait(PATIENCE)
            raise SystemExit(1)

        bench = Bench(hangs, bound=0.01, swapped=True)
        assert bench.publisher.publish(PLAN) == "1"
        release.set()
        assert bench.publisher.settle(PATIENCE)
        assert total(written, "CandidatePublishFailures") == 1

    def test_without_dual_publishing_no_shadow_is_fed(self) -> None:
        bench = Bench(swapped=True, shadowed=False)

        assert bench.publish(PLAN) == "1"
        assert bench.calls == []
        assert bench.queue.sent[0]["shadowed"] is False

    @pytest.mark.parametrize("is_wrapped", [False, True])
    @pytest.mark.parametrize("form", ["function", "object", "partial", "at rest", "of any"])
    def test_what_a_signal_handler_raises_while_it_is_sent_is_the_callers_and_nothing_is_sent_again(
        self, *, is_wrapped: bool, form: str
    ) -> None:
        error = TimeoutError("deadline")

        def handler(_signal: int, _frame: FrameType | None) -> None:
            if form == "at rest":
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
            raise error

        def of_any(*_given: object) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            raise error

        class Handler:
            def __call__(self, number: int, frame: FrameType | None) -> None:
                handler(number, frame)

        forms: dict[str, Any] = {"object": Handler(), "partial": partial(handler), "of any": of_any}

        class Interrupted:
            calls = 0

            def send_message(self, **_message: str) -> Mapping[str, object]:
                self.calls += 1
                try:
                    signal.raise_signal(signal.SIGALRM)
                except TimeoutError as raised:
                    if is_wrapped:
                        raise OSError("as an HTTP client wraps it") from raised
                    raise
                return {"MessageId": "1"}

        client = Interrupted()
        core = module._Core(IntakeQueue("https://queue", lambda: client), "test", PATIENCE)
        fed: list[object] = []
        earlier = signal.signal(signal.SIGALRM, forms.get(form, handler))
        try:
            with pytest.raises(TimeoutError) as caught:
                DualPublisher(fed.append, core, swapped=True).publish(PLAN)
        finally:
            signal.signal(signal.SIGALRM, earlier)

        assert caught.value is error
        assert (client.calls, fed) == (1, [])

    def test_an_earlier_deadline_that_the_caller_is_handling_is_none_of_ours(self) -> None:
        def handler(_signal: int, _frame: FrameType | None) -> None:
            raise TimeoutError("earlier")

        answers: list[object] = []
        earlier = signal.signal(signal.SIGALRM, handler)
        try:
            signal.raise_signal(signal.SIGALRM)
        except TimeoutError:
            bench = Bench(failures=(OSError("reset"),), swapped=True)
            answers.append(bench.publish(PLAN))
            refused = Bench(failures=(OSError("reset"), OSError("reset")), swapped=True)
            with pytest.raises(PublishingFailed):
                refused.publisher.publish(PLAN)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "_thread", started_by(lambda *_: _no_thread()))
                answers.append(Bench().publisher.publish(PLAN))
        finally:
            signal.signal(signal.SIGALRM, earlier)

        assert answers == ["1", "published"]

    def test_callers_of_an_async_control_await_the_messages_id(self) -> None:
        class Desk:
            async def __call__(self, _plan: object) -> str:
                return RUN_ID

            async def publish(self, *, rebalance_plan: object) -> str:
                del rebalance_plan
                return RUN_ID

        for control in (Desk(), Desk().publish, partial(Desk().publish)):
            bench = Bench(control, swapped=True)
            answer = (
                bench.publisher.publish(rebalance_plan=PLAN) if not isinstance(control, Desk) else bench.publisher.publish(PLAN)
            )

            assert asyncio.run(answer) == "1"
            assert bench.publisher.settle(PATIENCE)

    def test_callers_of_a_control_that_does_not_say_that_it_is_async_await_it_or_not(self) -> None:
        async def publish(_plan: object) -> str:
            return RUN_ID

        @wraps(publish)
        def timed(plan: object) -> object:
            return publish(plan)

        bench = Bench(timed, swapped=True)

        async def caller() -> object:
            return await bench.publisher.publish(PLAN)

        assert asyncio.run(caller()) == "1"
        assert bench.publish(PLAN) == "3"
        assert [message.get("control") for message in bench.queue.sent] == [None, {"run_id": RUN_ID}] * 2


class TestTheFile:
    def test_importing_it_imports_the_standard_library_alone_and_little_of_it(self) -> None:
        script = (
            "import sys, json; before = set(sys.modules); import runpy; "
            f"import importlib.util as u; s = u.spec_from_file_location('vendored', {module.__file__!r}); "
            "before = set(sys.modules); m = u.module_from_spec(s); sys.modules['vendored'] = m; s.loader.exec_module(m); "
            "print(json.dumps(sorted(set(sys.modules) - before)))"
        )
        answer = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
        imported = set(json.loads(answer.stdout))

        assert imported <= {"threading", "_thread", "vendored", "_weakrefset", "__future__", "json", "collections.abc", "signal"}

    def test_it_is_small(self) -> None:
        assert len(zlib.compress(Path(module.__file__).read_bytes())) < 40_000
        assert Path(module.__file__).stat().st_size < 40_000

    def test_what_holds_it_can_be_copied_and_sent_to_another_process_at_any_time(self) -> None:
        """A host copies its services, or hands them to its workers: the client stays where it is."""
        bench = Bench(len)
        bench.core.queue = IntakeQueue("https://queue", Locked)
        assert bench.publish(PLAN) == len(PLAN)

        for each in (copy.deepcopy(bench.publisher), pickle.loads(pickle.dumps(bench.publisher))):  # noqa: S301 - our own
            assert each.publish(PLAN) == len(PLAN)
            assert each.settle(PATIENCE)
            assert each._core is not bench.core
            assert len(each._core.queue._client.sent) == 1

    def test_a_forked_process_begins_anew(self) -> None:
        bench = Bench(bound=0.01)
        bench.queue.hold = threading.Event()
        for _ in range(module.MAX_THREADS):
            bench.publisher.publish(PLAN)
        child = os.fork()
        if child == 0:
            bench.queue.hold = None
            bench.publisher.publish(PLAN)
            os._exit(0 if bench.publisher.settle(PATIENCE) and bench.queue.sent else 1)
        bench.queue.hold.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert bench.publisher.settle(PATIENCE)
