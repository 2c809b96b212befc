"""Business Unit: tests | Status: current.

The publisher with the test's own clock, threads and events: what it waits for and how long, when it gives up, what it writes, and
every limit at its last allowed value and at the first refused one. Nothing here takes time or depends on a scheduler.
"""

from __future__ import annotations

import asyncio
import enum
import io
import json
import math
import time
from collections import UserString, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shadow.publish as module
from shadow.publish import DualPublisher, IntakeQueue, PublishingFailed, Refused, as_json, dual_publisher_from_environment

PLAN = {"plan_id": "plan-1"}
RUN_ID = "2f1c9a52-7c2e-4b57-9a0f-0c8d8c3b9d11"
BOUND = 0.05
FAILURES, EXCEEDED, ADDED = "CandidatePublishFailures", "PublishBoundExceeded", "PublishAddedMilliseconds"


class Steps:
    """Two clocks that only waits move, threads that run when they are told to, and what was written."""

    def __init__(self) -> None:
        self.now, self.wall, self.pid = 100.0, 1000.0, 500
        self.waits: deque[float] = deque()
        """After how many seconds the next events are set that somebody waits for; those that are not listed never are."""
        self.threads: deque[Callable[[], object]] = deque()
        self.no_threads = False
        self.runs_at_once = True
        self.slept: list[float] = []
        self.at_set: Callable[[], object] = lambda: None
        self.out = io.StringIO()

    def go_on(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.go_on(seconds)

    def start_new_thread(self, work: Callable[..., object], arguments: tuple[object, ...]) -> int:
        if self.no_threads:
            raise RuntimeError("can't start new thread")
        self.threads.append(lambda: work(*arguments))
        return 1

    def stack_size(self, _size: int = 0) -> int:
        return 0

    def get_native_id(self) -> int:
        return 1

    def run(self) -> None:
        while self.threads:
            self.threads.popleft()()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def told(self, name: str) -> list[Any]:
        return [line[name] for line in self.lines() if name in line]


class Event:
    def __init__(self, steps: Steps) -> None:
        self.steps, self.is_up = steps, False

    def set(self) -> None:
        self.is_up = True
        self.steps.at_set()

    def is_set(self) -> bool:
        return self.is_up

    def wait(self, seconds: float) -> bool:
        if self.steps.runs_at_once:
            self.steps.run()
        if self.is_up:
            return True
        takes = self.steps.waits.popleft() if self.steps.waits else math.inf
        self.steps.go_on(min(takes, seconds))
        return takes <= seconds


@contextmanager
def stepping() -> Iterator[Steps]:
    steps = Steps()
    clock = SimpleNamespace(
        monotonic=lambda: steps.now, time=lambda: steps.wall, sleep=steps.sleep, strftime=time.strftime, gmtime=time.gmtime
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        patch.setattr(module, "_Flag", lambda: Event(steps))
        patch.setattr(module, "_thread", steps)
        patch.setattr(module, "os", SimpleNamespace(getpid=lambda: steps.pid, environ={}))
        patch.setattr(module, "sys", SimpleNamespace(stdout=steps.out))
        patch.setattr(module, "_CORES", {})
        yield steps


@pytest.fixture(autouse=True)
def steps() -> Iterator[Steps]:
    with stepping() as made:
        yield made


class Queue:
    """The intake queue's client: keeps what is sent, or raises what it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.sent: list[dict[str, Any]] = []
        self.failures = deque(failures)
        self.made = self.closed = 0

    def connect(self) -> Queue:
        self.made += 1
        return self

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, object]:  # noqa: N803 - boto3's own names
        if self.failures:
            raise self.failures.popleft()
        self.sent.append(json.loads(MessageBody))
        return {"MessageId": QueueUrl}

    def close(self) -> None:
        self.closed += 1


def publisher_on(queue: Queue, control: Callable[..., Any] = lambda _plan: None, **options: Any) -> DualPublisher[..., Any]:
    core = module._Core(IntakeQueue("queue", queue.connect), "test", BOUND)
    return DualPublisher(control, core, **options)


def answered(status: int | None) -> Exception:
    error = OSError("answered")
    error.response = {} if status is None else {"ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
    return error


_MS = st.integers(0, 100).map(float)


@given(_MS, _MS.map(lambda ms: ms + 0.25), _MS)
def test_the_caller_is_held_for_what_copying_sending_and_telling_take_and_for_50_ms_at_most(
    copying: float, sending: float, telling: float
) -> None:
    """The copy and the message have 45 ms between them. Where those do not do, telling of it has the other 5."""
    with stepping() as steps:
        steps.runs_at_once = False
        steps.waits.extend(each / 1000 for each in (copying, sending, telling))
        publisher = publisher_on(Queue(), lambda _plan: steps.go_on(7))
        publisher.publish(PLAN)
        held = (steps.now - 107) * 1000
        steps.run()

    copied = min(copying, 45)
    is_late = sending > 45 - copied
    expected = copied + min(sending, 45 - copied) + (min(telling, 5) if is_late else 0)
    assert held == pytest.approx(expected)
    assert steps.told(EXCEEDED) == [1.0] * is_late
    assert steps.told(ADDED) == [pytest.approx(expected, abs=0.001)]


_AGES = [("now", 60.0, True), ("now", 60.0625, False), ("wall", 60.0, True), ("wall", 60.0625, False)]


@pytest.mark.parametrize(("clock", "seconds", "is_sent"), _AGES)
def test_nothing_is_sent_for_a_publication_of_more_than_60_seconds_ago(
    steps: Steps, clock: str, seconds: float, *, is_sent: bool
) -> None:
    def age(plan: object) -> object:
        setattr(steps, clock, getattr(steps, clock) + seconds)
        return plan

    queue = Queue()
    publisher_on(queue, to_plan=age).publish(PLAN)

    assert len(queue.sent) == is_sent
    assert steps.told(FAILURES) == [1.0] * (not is_sent)
    assert ("older than its expiry" in steps.out.getvalue()) is not is_sent


@pytest.mark.parametrize(("clock", "seconds", "is_fed"), _AGES)
def test_no_shadow_is_fed_for_a_publication_of_more_than_60_seconds_ago(
    steps: Steps, clock: str, seconds: float, *, is_fed: bool
) -> None:
    fed: list[object] = []
    steps.runs_at_once = False
    steps.waits.append(0)
    publisher_on(Queue(), fed.append, swapped=True).publish(PLAN)
    setattr(steps, clock, getattr(steps, clock) + seconds)
    steps.run()

    assert len(fed) == is_fed
    assert steps.told(FAILURES) == [1.0] * (not is_fed)


def test_seven_publications_hang_at_most_and_the_next_is_told(steps: Steps) -> None:
    steps.runs_at_once = False
    publisher = publisher_on(Queue())
    for _ in range(7):
        publisher.publish(PLAN)
    hanging = len(steps.threads)
    publisher.publish(PLAN)
    assert not publisher.settle(1)
    steps.run()

    assert (hanging, publisher.settle(0)) == (8, True)  # with the one that tells
    assert "thread: none is free" in steps.out.getvalue()


def test_settling_looks_every_millisecond(steps: Steps) -> None:
    steps.runs_at_once = False
    publisher = publisher_on(Queue())
    publisher.publish(PLAN)

    assert not publisher.settle(0.01)
    assert set(steps.slept) == {0.001}
    assert len(steps.slept) in (10, 11)


def test_an_awaitable_result_without_a_thread_is_the_callers_own(steps: Steps) -> None:
    async def control(_plan: object) -> str:
        return "published"

    steps.no_threads = True

    assert asyncio.run(publisher_on(Queue(), control).publish(PLAN)) == "published"


@pytest.mark.parametrize(("to", "is_new"), [(500, False), (499, True), (501, True)])
def test_another_process_begins_anew(steps: Steps, to: int, *, is_new: bool) -> None:
    publisher = publisher_on(Queue())
    core = publisher._core
    assert core is not None
    before = core.reporter, core.queue
    steps.pid = to
    publisher.publish(PLAN)

    assert (core.reporter is not before[0]) is is_new
    assert (core.queue is not before[1]) is is_new


class TestThePlan:
    def test_it_is_the_first_argument_whatever_follows(self) -> None:
        queue = Queue()
        publisher_on(queue, lambda *_args, **_words: None).publish(PLAN, {"plan_id": "another"}, also={"plan_id": "third"})

        assert queue.sent[0]["plan"] == PLAN

    @pytest.mark.parametrize(
        ("named", "words", "is_found"),
        [("plan", {"plan": PLAN}, True), ("plan", {"plan": PLAN, "also": 1}, True), ("plan", {"also": PLAN}, False)],
    )
    def test_its_name_can_be_given(self, named: str, words: dict[str, object], *, is_found: bool) -> None:
        queue = Queue()
        publisher_on(queue, lambda **_words: None, plan_argument=named).publish(**words)

        assert ("plan" in queue.sent[0]) is is_found
        if not is_found:
            assert "expected the plan as the first argument or as plan, was neither" in queue.sent[0]["refused"]

    @pytest.mark.parametrize(
        ("given", "words"),
        [((object(),), {"plan": PLAN}), ((object(), PLAN), {}), ((object(), PLAN, object()), {}), ((PLAN,), {"also": 1})],
    )
    def test_what_has_its_name_comes_before_the_first(self, given: tuple[object, ...], words: dict[str, object]) -> None:
        def with_context(context: object, plan: object = None, also: object = None) -> None:
            del context, plan, also

        def alone(*_given: object, **_words: object) -> None:
            pass

        queue = Queue()
        publisher_on(queue, alone if given == (PLAN,) else with_context, plan_argument="plan").publish(*given, **words)

        assert queue.sent[0]["plan"] == PLAN

    def test_its_id_is_the_copys_in_the_message_the_note_and_the_log(self, steps: Steps) -> None:
        queue = Queue()
        publisher = publisher_on(queue, lambda _plan: RUN_ID, to_plan=lambda _plan: {"plan_id": "mapped"})
        steps.runs_at_once = False
        publication = module._Publication(publisher._control, (PLAN,), {})
        publication.result = RUN_ID
        core = publisher._core
        assert core is not None
        publisher._tell_the_queue(core, publication)

        assert [message.get("plan_id") for message in queue.sent] == [None, "mapped"]
        assert queue.sent[0]["plan"] == {"plan_id": "mapped"}
        assert queue.sent[1] | {"published_at": ""} == {
            "schema": "shadow.publication.1",
            "published_at": "",
            "kind": "note",
            "plan_id": "mapped",
            "control": {"run_id": RUN_ID},
        }
        assert publication.fields["plan_id"] == "mapped"

    def test_a_plan_without_an_id_is_logged_as_unknown(self, steps: Steps) -> None:
        publisher_on(Queue()).publish({})
        steps.run()

        assert steps.lines()[-1]["plan_id"] == "unknown"

    @pytest.mark.parametrize(
        ("plan", "found"),
        [
            (PLAN, "plan-1"),
            ('{"plan_id": "plan-1"}', "plan-1"),
            (b'{"plan_id": "plan-1"}', "plan-1"),
            (bytearray(b'{"plan_id": "plan-1"}'), "plan-1"),
            (SimpleNamespace(plan_id="plan-1"), "plan-1"),
            ({"plan_id": 7}, None),
            ({}, None),
            ("no JSON", None),
            ("[" * 100_000, None),
            (None, None),
        ],
    )
    def test_a_text_is_read_from_any_form_of_it(self, plan: object, found: str | None) -> None:
        assert module._id_of(plan) == found


class Word(enum.Enum):
    BUY = "BUY"
    AMOUNT = Decimal("1.50")


class Number(int):
    pass


class Text(str):
    __slots__ = ()


class Spread:
    """Names fields as a named tuple does, and is none."""

    _fields = ("bid", "ask")


class TestTheCopy:
    @pytest.mark.parametrize(
        ("value", "copy"),
        [
            (UUID(RUN_ID), RUN_ID),
            (UserString("text"), "text"),
            (Text("text"), "text"),
            (Number(3), 3),
            (Word.BUY, "BUY"),
            (Word.AMOUNT, "1.50"),
            (Decimal("1E+3"), "1000"),
            (datetime(2026, 11, 29, 1, 30, tzinfo=UTC), "2026-11-29T01:30:00+00:00"),
            (date(2026, 11, 29), "2026-11-29"),
            ({Word.BUY: 1}, {"BUY": 1}),
        ],
    )
    def test_a_value_becomes_what_json_has(self, value: object, copy: object) -> None:
        for given_twice in (value, [value, value]):
            found = as_json(given_twice)
            assert found == (copy if given_twice is value else [copy, copy])
        assert type(as_json(value)) is type(copy)

    def test_an_object_that_names_fields_and_is_no_tuple_is_refused(self) -> None:
        with pytest.raises(Refused):
            as_json(Spread())

    def test_61_levels_are_copied_and_one_more_is_refused(self) -> None:
        lists: list[object] = []
        for _ in range(60):
            lists = [lists]

        assert as_json(lists) == lists
        with pytest.raises(Refused, match="at most 60 levels"):
            as_json([lists])

    def test_a_refusal_names_the_last_250_characters_of_the_way(self) -> None:
        plan: dict[str, object] = {}
        plan["a" * 80] = plan

        with pytest.raises(Refused) as caught:
            as_json(plan)
        assert len(str(caught.value)) == 1 + 50 + 250
        assert str(caught.value).startswith("." + "a" * 50 + "a")


class TestTheMessage:
    def test_200_000_bytes_go_as_they_are_and_more_is_compressed(self) -> None:
        empty = len(module._message(note=""))
        plain, packed = (module._message(note="x" * (size - empty)) for size in (200_000, 200_001))

        assert len(plain) == 200_000
        assert set(json.loads(packed)) == {"schema", "zlib"}

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(3.9843759, "1970-01-01T00:00:03.984375+00:00"), (1_800_000_001.5, "2027-01-15T08:00:01.500000+00:00")],
    )
    def test_a_moment_is_written_to_the_microsecond(self, seconds: float, text: str) -> None:
        assert module._utc(seconds) == text

    @pytest.mark.parametrize(
        ("answer", "is_named"),
        [
            (RUN_ID, True),
            (UUID(RUN_ID), True),
            ({"run_id": RUN_ID}, True),
            (SimpleNamespace(run_id=UUID(RUN_ID)), True),
            ("a" + RUN_ID, False),
            (RUN_ID[1:], False),
            (RUN_ID.replace("-", ""), False),
            (RUN_ID[:-1] + "!", False),
            ({"order_id": RUN_ID}, False),
            (type("Answer", (), {"__str__": lambda _self: RUN_ID})(), False),
            (type("Zone", (), {"__str__": lambda _self: RUN_ID})(), False),
            (None, False),
        ],
    )
    def test_a_run_is_named_by_a_text_or_id_of_that_form_alone(self, answer: object, *, is_named: bool) -> None:
        assert module._named_run(answer) == ({"control": {"run_id": RUN_ID}} if is_named else {})


class TestTheConnection:
    @pytest.mark.parametrize(
        ("idle", "by_the_wall", "is_closed"),
        [
            (5.0, 5.0, False),
            (5.125, 0, True),
            (200.0, 0, True),
            (0, 5.125, True),
            (0, 1000.0, True),
            (0, -5.0, False),
            (0, -5.125, True),
        ],
    )
    def test_one_that_was_idle_for_more_than_5_seconds_by_either_clock_is_closed_first(
        self, steps: Steps, idle: float, by_the_wall: float, *, is_closed: bool
    ) -> None:
        client = Queue()
        queue = IntakeQueue("queue", client.connect)
        queue.send("{}")
        steps.now += idle
        steps.wall += by_the_wall
        queue.send("{}")

        assert (client.made, client.closed) == (1, is_closed)

    def test_a_client_that_cannot_be_closed_is_made_anew(self, steps: Steps) -> None:
        client = Queue()
        bare = SimpleNamespace(send_message=client.send_message)
        clients: list[Any] = []

        def connect() -> Any:
            clients.append(bare)
            return bare

        queue = IntakeQueue("queue", connect)
        for _ in range(2):
            queue.send("{}")
            steps.go_on(10)

        assert len(clients) == 2

    @pytest.mark.parametrize(
        ("status", "is_sent"), [(400, False), (403, False), (499, False), (500, True), (503, True), (None, True)]
    )
    def test_a_failure_without_a_refusal_of_the_service_is_tried_once_more(self, status: int | None, *, is_sent: bool) -> None:
        client = Queue(answered(status))
        queue = IntakeQueue("queue", client.connect)
        if is_sent:
            assert queue.send("{}") == "queue"
        else:
            with pytest.raises(OSError, match="answered"):
                queue.send("{}")

        assert len(client.sent) == is_sent
        assert client.closed == is_sent

    @pytest.mark.parametrize(("seconds", "is_sent"), [(60.0, True), (60.0625, False)])
    @pytest.mark.parametrize("frozen", ["while it connects", "while it sends"])
    def test_a_process_that_was_frozen_for_more_than_60_seconds_sends_nothing_when_it_wakes_up(
        self, steps: Steps, seconds: float, frozen: str, *, is_sent: bool
    ) -> None:
        client = Queue(answered(None)) if frozen == "while it sends" else Queue()

        def connect() -> Any:
            def send_message(**message: str) -> Mapping[str, object]:
                if client.failures:
                    steps.wall += seconds
                return client.send_message(**message)

            if not client.failures:
                steps.wall += seconds
            return SimpleNamespace(send_message=send_message, close=client.close)

        queue = IntakeQueue("queue", connect)
        if is_sent:
            assert queue.send("{}") == "queue"
        else:
            with pytest.raises(Refused, match="older than its expiry"):
                queue.send("{}")
        assert len(client.sent) == is_sent

    def test_boto3_waits_a_second_for_a_connection_two_for_an_answer_and_tries_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        limits = module._boto3_client().meta.config  # type: ignore[attr-defined]

        assert (limits.connect_timeout, limits.read_timeout, limits.retries["total_max_attempts"]) == (1.0, 2.0, 1)


class TestWhatIsWritten:
    def test_both_lines_whole(self, steps: Steps) -> None:
        counts = {FAILURES: 1.0, EXCEEDED: 1.0, ADDED: 2.5, "ControlPublishErrors": 1.0}
        module._Reporter("test").tell(counts, {"plan_id": "plan-1"})
        units = [(FAILURES, "Count"), (EXCEEDED, "Count"), (ADDED, "Milliseconds"), ("ControlPublishErrors", "Count")]
        described = [{"Name": name, "Unit": unit} for name, unit in units]
        directive = {"Namespace": "Shadow", "Dimensions": [["Stage"]], "Metrics": described}

        assert steps.lines() == [
            {"_aws": {"Timestamp": 1_000_000, "CloudWatchMetrics": [directive]}, "Stage": "test", **counts},
            {"level": "ERROR", "message": "a plan was published", "service": "shadow", "plan_id": "plan-1"},
        ]

    @pytest.mark.parametrize(
        ("counts", "level"), [({}, "INFO"), ({ADDED: 1.0}, "INFO"), ({FAILURES: 1.0}, "ERROR"), ({EXCEEDED: 1.0}, "ERROR")]
    )
    def test_a_failure_and_an_exceeded_bound_are_errors(self, steps: Steps, counts: dict[str, float], level: str) -> None:
        module._Reporter("test").tell(counts, {})

        assert steps.lines()[1]["level"] == level
        assert set(counts) == set(steps.lines()[0]) - {"_aws", "Stage"}

    def test_failures_that_wait_are_told_with_the_next_line_and_kept_in_200_entries(self, steps: Steps) -> None:
        reporter = module._Reporter("test")
        kept = []
        for _ in range(450):
            reporter.lose()
            kept.append(len(reporter.untold))
        reporter.lose(0)
        assert (max(kept), sum(reporter.untold)) == (200, 450)
        reporter.tell({FAILURES: 1.0}, {})

        assert (steps.told(FAILURES), len(reporter.untold)) == ([451.0], 0)

    def test_200_lines_wait_for_the_thread_that_tells_and_every_failure_is_counted(self, steps: Steps) -> None:
        reporter = module._Reporter("test")
        for number in range(250):
            reporter.fail(f"fault {number}")
        assert len(steps.threads) == 1
        steps.run()

        assert steps.told("faults") == [f"fault {number}" for number in range(200)]
        assert (sum(steps.told(FAILURES)), reporter.is_idle) == (250, True)

    def test_a_line_that_comes_as_the_thread_ends_is_told_by_it(self, steps: Steps) -> None:
        reporter = module._Reporter("test")
        late = deque(["second"])

        def add_a_line() -> None:
            if late:
                reporter.fail(late.popleft())

        steps.at_set = add_a_line
        reporter.fail("first")
        steps.run()

        assert steps.told("faults") == ["first", "second"]
        assert len(reporter._turn) == 1

    def test_a_line_that_cannot_be_written_is_told_with_the_next(self, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
        reporter = module._Reporter("test")
        with monkeypatch.context() as patch:
            patch.setattr(module, "sys", SimpleNamespace(stdout=None))
            reporter.fail("first")
            steps.run()
            assert (sum(reporter.untold), reporter.is_idle) == (1, True)
        reporter.fail("second")
        steps.run()

        assert (steps.told(FAILURES), reporter.is_idle) == ([2.0], True)


class TestTheEnvironment:
    VARIABLES: Mapping[str, str] = {
        "DUAL_PUBLISHING": "true",
        "PRODUCTION_LANE": "",
        "SHADOW_INTAKE_QUEUE_URL": "queue",
        "SHADOW_STAGE": "prod",
    }

    def made(self, control: Callable[..., Any] = lambda _plan: None, **changed: str) -> DualPublisher[..., Any]:
        module.os.environ.update(  # type: ignore[attr-defined]
            {**self.VARIABLES, **changed}
        )
        return dual_publisher_from_environment(control)

    @pytest.mark.parametrize(
        ("bound", "seconds"), [("", 0.05), ("1", 0.001), ("10000", 10.0), ("75", 0.075), ("000000075", 0.075)]
    )
    def test_the_bound_is_1_to_10000_milliseconds_and_50_by_default(self, bound: str, seconds: float) -> None:
        core = self.made(PUBLISH_BOUND_MS=bound)._core

        assert core is not None
        assert (core.bound, core.broken) == (seconds, "")

    @pytest.mark.parametrize("bound", ["0", "10001", "-1", "1.5", "٣", "²", "0000000075", "9" * 5000])
    def test_another_bound_is_told_and_nothing_is_sent(self, steps: Steps, bound: str) -> None:
        publisher = self.made(PUBLISH_BOUND_MS=bound)
        publisher.publish(PLAN)
        steps.run()

        assert "PUBLISH_BOUND_MS: expected 1 to 10000, was" in steps.told("faults")[0]

    @pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on"])
    def test_a_word_for_true_switches_it_on(self, word: str) -> None:
        core = self.made(DUAL_PUBLISHING=word)._core

        assert core is not None
        assert not core.broken

    @pytest.mark.parametrize("word", ["", "false", "False", "0", "no", "off"])
    def test_a_word_for_false_leaves_the_control_alone(self, word: str) -> None:
        assert self.made(DUAL_PUBLISHING=word, SHADOW_STAGE="", SHADOW_INTAKE_QUEUE_URL="")._core is None

    def test_without_a_stage_it_counts_under_unknown(self, steps: Steps) -> None:
        self.made(SHADOW_STAGE="").publish(PLAN)
        steps.run()

        assert steps.lines()[0]["Stage"] == "unknown"
        assert "SHADOW_STAGE: expected the stage" in steps.told("faults")[0]

    def test_with_the_workflow_in_production_and_no_queue_publishing_fails(self) -> None:
        with pytest.raises(PublishingFailed, match="SHADOW_INTAKE_QUEUE_URL"):
            self.made(PRODUCTION_LANE="workflow", SHADOW_INTAKE_QUEUE_URL="").publish(PLAN)

    @pytest.mark.parametrize("wrong", [{"SHADOW_STAGE": ""}, {"DUAL_PUBLISHING": "maybe"}, {"PUBLISH_BOUND_MS": "0"}])
    def test_with_the_workflow_in_production_a_wrong_setting_costs_the_shadow_alone_and_is_told(
        self, steps: Steps, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
    ) -> None:
        queue = Queue()
        fed: list[object] = []
        monkeypatch.setattr(module, "_boto3_client", queue.connect)

        assert self.made(fed.append, PRODUCTION_LANE="workflow", **wrong).publish(PLAN) == "queue"
        steps.run()
        assert ([message["plan"] for message in queue.sent], fed) == ([PLAN], [])
        assert next(iter(wrong)) in steps.told("faults")[0]
        assert steps.told(FAILURES) == [1.0]


def test_an_async_legacy_lane_that_shadows_is_awaited_and_its_run_named(steps: Steps) -> None:
    async def control(_plan: object) -> str:
        return RUN_ID

    queue = Queue()
    publisher = publisher_on(queue, control, swapped=True)
    assert asyncio.run(publisher.publish(PLAN)) == "queue"

    assert queue.sent[1]["control"] == {"run_id": RUN_ID}
    assert queue.sent[1]["shadow"] == "published"
    assert steps.told(FAILURES) == []
