"""Business Unit: publish | Status: current.

Publish every plan to the lane in production exactly as before, and tell the intake queue of it beside.

This file is all that the control's process loads: the standard library alone, Python 3.10 to 3.14, boto3 as the host has it and
imported with the first message. It may be vendored as it is. What it promises:

- Production is called in the caller's thread with exactly the arguments given; its result or exception is the caller's, the same
  object. What a signal handler of the caller raises, also while the caller waits here, is the caller's too.
- The caller is held up for at most `PUBLISH_BOUND_MS` in all, whatever hangs.
- One message a plan, sent while production is at work, so that a process which dies afterwards has its plan in the queue. A short
  note follows where production raised, or named its run; where the queue did not take the plan, that is sent again instead. All
  need one permission, sqs:SendMessage.
- A plan that cannot be copied whole is refused before it is read, and the refusal is sent in its place.

What a thread cannot shield from: native code that never lets go of the interpreter's lock, and a crash of the process.

    DUAL_PUBLISHING          true or false (default false: production alone, and nothing looks at the plan)
    PRODUCTION_LANE          legacy or workflow (default legacy; any other word leaves the legacy lane alone in production)
    SHADOW_INTAKE_QUEUE_URL  the intake queue, an output of the stack
    SHADOW_STAGE             the stage that metrics are counted under
    PUBLISH_BOUND_MS         how long the caller may be held up in all, in milliseconds (default 50)
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import islice
from sys import exc_info
from types import CoroutineType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Generic, ParamSpec, Protocol, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
    Q = ParamSpec("Q")
    S = TypeVar("S")
    _Spend = Callable[[dict[object, object]], None]

    class _SqsClient(Protocol):
        def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, object]:  # noqa: N803 - boto3's own names
            ...

    class _Typed(Generic[P, R]):
        pass
else:
    P = R = None

    class _Typed:
        __class_getitem__ = classmethod(lambda cls, _: cls)  # importing Generic is dear


SCHEMA = "shadow.publication.1"
NAMESPACE = "Shadow"
REPORT_SHARE = 0.1
MAX_THREADS = 8
EXPIRY_SECONDS = 60.0
IDLE_SECONDS = 5.0
MAX_DEPTH = 60
MAX_LINES = 200
MAX_WORDS = 250
MAX_ENTRIES = 100_000
MAX_EXPONENT = 1_000
MAX_COPY_BYTES = 8 * 2**20
VALUE_BYTES = 64
MAX_NAME = 1_000
FRAMES = 20
STACK_BYTES = 8 * 2**20
HUGE = 10**309
PLAIN_BYTES = 200_000
MAX_MESSAGE_BYTES = 1_048_576
MAX_JSON_TEXT = 2 * MAX_MESSAGE_BYTES
CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
HTTP_SERVER_ERROR = 500
MAX_BOUND_MS, MAX_BOUND_DIGITS = 10_000, 9
_UUID_PARTS = [8, 4, 4, 4, 12]
FAILURES = "CandidatePublishFailures"
BOUND_EXCEEDED = "PublishBoundExceeded"
ADDED_MS = "PublishAddedMilliseconds"
CONTROL_ERRORS = "ControlPublishErrors"
LATE = ": the control had begun before it was copied"
EXPIRED = ": the publication is older than its expiry"
_JSON_TEXT = (str, bytes, bytearray)


class Refused(Exception):
    """A plan that cannot be copied whole, or is too large for a message."""


class PublishingFailed(Exception):
    """The workflow is in production, and the intake queue did not take the plan: nothing was published."""


class _Flag:
    """What one thread waits for. Where a signal handler raises, an Event may be left broken."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def is_set(self) -> bool:
        return not self._lock.locked()

    def wait(self, seconds: float) -> bool:
        return self._lock.acquire(timeout=seconds)


def _moved(source: deque[None], target: deque[None]) -> bool:
    """Move an entry in one step, so that no signal handler raises in between."""
    try:
        target.extend(islice(iter(source.pop, 0), 1))
    except IndexError:
        return False
    return True


def _started(pool: deque[None], work: Callable[[], object]) -> bool:
    """Start a thread that holds an entry of `pool` while it works, and while it leaves work; False where none can be had.

    It takes no signals: one that the control blocks and waits for would end the process.
    """
    known, size, caller = exc_info()[1], _thread.stack_size(), _thread.get_native_id()
    taken, started = deque[None](), deque[int]()

    def working() -> None:
        if _thread.get_native_id() != caller and hasattr(signal, "pthread_sigmask"):  # a greenlet is in the caller's thread
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            left = work()
            _moved(taken, pool)
            if not (left and _moved(pool, taken)):
                return

    try:
        if not _moved(pool, taken):
            return False
        _thread.stack_size(size and max(size, STACK_BYTES))  # boto3 needs more than some hosts give
        started.extend(map(_thread.start_new_thread, (working,), ((),)))  # in one step as well
    except BaseException as error:
        if not started:
            _moved(taken, pool)
        if not isinstance(error, Exception) or _of_a_signal(error, known):  # an audit hook may raise any
            raise
        return False
    finally:
        _thread.stack_size(size)
    return True


def _of_a_signal(error: BaseException | None, known: object) -> BaseException | None:
    """Give what a signal handler raised, also where others wrapped it; `known` was raised before we began.

    A handler is known by its code, or by having been given the frame of its caller.
    """
    codes = [getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()]
    while error is not None and error is not known:
        below = error.__traceback__
        while below and (below := below.tb_next):
            frame = below.tb_frame
            if frame.f_code in codes or any(_holds(each, frame.f_back) for each in frame.f_locals.values()):
                return error
        error = error.__cause__ or error.__context__
    return None


def _holds(value: object, frame: object) -> bool:
    return frame is not None and any(each is frame for each in (value if type(value) is tuple else (value,)))


# ---- copying a plan


def as_json(value: object) -> object:
    """Copy a plan into what JSON has. Exact decimals become texts with all their digits, moments and ids texts.

    Mappings, sequences, sets, the views of a dict, named tuples, dataclasses and pydantic models (of either version, by their
    fields: nothing of the model runs) are copied to the bottom. Raises `Refused` for what reading would use up (a generator, a
    pydantic Iterable) and for what has no one meaning in JSON: such a value is not read at all.
    """
    return _copied(value, 0, _allowance())


def _allowance(is_late: Callable[[], bool] = lambda: False) -> _Spend:
    """Give what counts copies and refuses too many: a text may be shared often."""
    left = MAX_COPY_BYTES

    def spend(copies: dict[object, object]) -> None:
        nonlocal left
        left -= VALUE_BYTES * len(copies) + sum([len(s) for s in copies.values() if type(s) is str])
        if left < 0:
            raise Refused(f": expected at most {MAX_COPY_BYTES:,} bytes, was more")
        if is_late():
            raise Refused(LATE)

    return spend


def _copied(value: object, depth: int, spend: _Spend) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return _copied(value.value, MAX_DEPTH, spend)
    if depth > MAX_DEPTH:
        raise Refused(f": expected at most {MAX_DEPTH} levels, was more, or contains itself")
    if getattr(kind, "__pydantic_root_model__", False):
        return _copied(vars(value)["root"], depth + 1, spend)
    fields = _fields_of(value, kind)
    if fields is not None:
        return _copied_fields(fields, depth, spend)
    if hasattr(kind, "__next__"):
        raise Refused(f": expected what can be read twice, was {kind.__name__}, which reading would use up")
    leaf = _leaf(value, kind)
    if leaf is not None:
        return leaf
    if isinstance(value, (list, tuple, deque, Sequence, AbstractSet, ValuesView)):
        copies = list(_copied_fields(list(enumerate(_entries(value))), depth, spend).values())
        return sorted(copies, key=json.dumps) if isinstance(value, (set, frozenset)) else copies
    raise Refused(f": expected a value that JSON has, a mapping, a sequence or a model, was {kind.__name__}")


def _entries(value: Iterable[S]) -> list[S]:
    found = list(islice(value, MAX_ENTRIES + 1))  # a lazy one may have no end
    if len(found) > MAX_ENTRIES:
        raise Refused(f": expected at most {MAX_ENTRIES:,} entries, was more")
    return found


def _copied_fields(fields: list[tuple[object, object]], depth: int, spend: _Spend) -> dict[object, object]:
    copies: dict[object, object] = {}
    name: object = ""
    try:
        for name, inner in fields:
            kind = type(inner)
            copy = _EXACT.get(kind)
            copies[name] = inner if kind in _PLAIN else copy(inner) if copy else _copied(inner, depth + 1, spend)
    except Refused as refusal:
        raise Refused(f".{name!s:.50}{str(refusal)[-MAX_WORDS:]}") from None
    spend(copies)
    return copies


def _fields_of(value: object, kind: type) -> list[tuple[object, object]] | None:
    """Give the named parts of a mapping, named tuple, dataclass or model; None for another value."""
    models = kind.__dict__.get("__fields__") or getattr(kind, "model_fields", None)
    if isinstance(models, dict):
        # Values of cached properties stand among the fields and are none. Version 1 keeps extra fields there as well.
        own = [(name, inner) for name, inner in vars(value).items() if name in models]
        extra = getattr(value, "__pydantic_extra__", vars(value))
        return [*own, *(extra.items() if isinstance(extra, dict) else ())]
    if isinstance(value, Mapping) and not hasattr(kind, "__next__"):
        named = [(_name(key), inner) for key, inner in _entries(value.items())]
        if len(dict(named)) != len(named):
            raise Refused(": expected every name once, was one that two keys are written as")
        return named  # type: ignore[return-value] # a list of what is more
    names = getattr(kind, "_fields", None)
    if isinstance(names, tuple) and isinstance(value, tuple):
        return list(zip(names, value, strict=False))
    if isinstance(getattr(kind, "__dataclass_fields__", None), dict):
        from dataclasses import fields

        return [(field.name, getattr(value, field.name)) for field in fields(value)]  # type: ignore[arg-type]
    return None


def _name(key: object) -> str:
    text = getattr(key, "value", key)
    if not isinstance(text, str) or len(text) > MAX_NAME:
        raise Refused(f": expected texts of at most {MAX_NAME} characters as names, was {type(key).__name__}")
    return str.__str__(text)


def _number(value: S) -> S:
    if not -HUGE < value < HUGE:  # type: ignore[operator]
        raise Refused(": expected a number that JSON has, was another")
    return value


_PLAIN = frozenset({type(None), str, bool})
_EXACT: dict[type, Callable[..., object]] = {int: _number, float: _number}
"""How numbers are copied, and how a decimal, a moment and a day are written, once one was met. Exactly these classes."""


def _digits(value: Decimal) -> str:
    text = str(value)
    is_long = "E" in text and abs(value.adjusted()) <= MAX_EXPONENT  # 1E+999999999 would be a gigabyte of zeros
    return format(value, "f") if is_long else text


def _leaf(value: object, kind: type) -> object:
    """Give the JSON form of a value without parts; None for another."""
    from datetime import date, datetime
    from decimal import Decimal
    from numbers import Integral

    _EXACT.update({Decimal: _digits, datetime: datetime.isoformat, date: date.isoformat})
    if isinstance(value, Decimal):
        return _digits(Decimal(value))
    if isinstance(value, (int, float)):
        return _number((int if isinstance(value, int) else float).__pos__(value))  # type: ignore[arg-type]
    if isinstance(value, Integral):
        return _number(int(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise Refused(f": expected a value that JSON has, was {kind.__name__}")
    if isinstance(value, str):
        return str.__str__(value)  # whatever a subclass prints
    return str(value) if kind.__name__ in ("UUID", "UserString") else None


def _snapshot(plan: object, is_late: Callable[[], bool] = lambda: False) -> object:
    """Copy a whole plan. JSON text is sent as it is: the intake reads it."""
    if isinstance(plan, _JSON_TEXT) and len(plan) > MAX_JSON_TEXT:
        raise Refused(f": expected at most {MAX_JSON_TEXT:,} characters of JSON, was {len(plan):,}")
    if isinstance(plan, (bytes, bytearray)):
        return bytes(plan).decode("utf-8")
    return str.__str__(plan) if isinstance(plan, str) else _copied(plan, 0, _allowance(is_late))


# ---- the message and the queue


def _message(**parts: object) -> str:
    """Write a message in ASCII, compressed where it is large. Raises `Refused` above 1 MiB."""
    body = json.dumps({"schema": SCHEMA, **parts}, allow_nan=False, separators=(",", ":"))
    if len(body) > PLAIN_BYTES:
        from base64 import b64encode
        from zlib import compress

        packed = b64encode(compress(body.encode("ascii"))).decode("ascii")
        body = json.dumps({"schema": SCHEMA, "zlib": packed}, separators=(",", ":"))
    if len(body) > MAX_MESSAGE_BYTES:
        raise Refused(f": expected a message of at most {MAX_MESSAGE_BYTES:,} bytes, was {len(body):,} compressed")
    return body


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}+00:00"


class IntakeQueue:
    """Sends to the intake queue through the host's boto3.

    An idle connection is closed before it is used again: a frozen process wakes up to dead ones. What fails without an answer of
    the service is tried once more on a new connection; a message that arrives twice changes nothing.
    """

    def __init__(self, url: str, connect: Callable[[], _SqsClient] | None = None) -> None:
        """Send to the queue at `url`; `connect` makes the client (default: boto3's)."""
        self.url = url
        self.connect = connect or _boto3_client
        self._client: _SqsClient | None = None
        self._used = (0.0, 0.0)

    def __reduce__(self) -> tuple[object, ...]:
        """Copy all but the client."""
        return IntakeQueue, (self.url, self.connect)

    def send(self, body: str) -> str:
        """Send one message and give its id; raises what the second try raises, or an answer that refuses."""
        if max(time.monotonic() - self._used[0], abs(time.time() - self._used[1])) > IDLE_SECONDS:
            self._disconnect()
        known, begun = exc_info()[1], time.time()
        try:
            return self._try(body, begun)
        except Exception as error:
            if _is_answer(error) or _of_a_signal(error, known):
                raise
            self._disconnect()
            return self._try(body, begun)

    def _try(self, body: str, begun: float) -> str:
        if self._client is None:
            self._client = self.connect()
        if time.time() - begun > EXPIRY_SECONDS:  # frozen meanwhile
            raise Refused(EXPIRED)
        answer = self._client.send_message(QueueUrl=self.url, MessageBody=body)
        self._used = (time.monotonic(), time.time())
        return str(answer["MessageId"])

    def _disconnect(self) -> None:
        close = getattr(self._client, "close", None)
        if close is None:
            self._client = None
        else:
            close()


def _is_answer(error: Exception) -> bool:
    """Whether the service answered, and not with a failure of its own (5xx)."""
    response = getattr(error, "response", None)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    return isinstance(status, int) and status < HTTP_SERVER_ERROR


def _boto3_client() -> _SqsClient:
    import boto3
    from botocore.config import Config

    limits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
    client: _SqsClient = boto3.client("sqs", config=limits)
    return client


class _Reporter:
    """Metrics and log lines on standard output, under names that nothing of the host's environment changes.

    Counting needs no lock: a failure that was not told is an entry of a deque; who takes it tells it, or puts it back.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self.untold: deque[int] = deque()
        self._lines: deque[tuple[Callable[[], dict[str, float]], dict[str, str]]] = deque()
        self._turn: deque[None] = deque([None])

    @property
    def is_idle(self) -> bool:
        return bool(self._turn)

    def lose(self, number: int = 1) -> None:
        """Keep `number` failures for the next line."""
        if number > 0:
            self.untold.append(number)
        if len(self.untold) > MAX_LINES:
            self.untold.append(self._take())

    def _take(self) -> int:
        taken = 0
        try:
            while True:
                taken += self.untold.popleft()
        except IndexError:
            return taken

    def tell(self, counts: Mapping[str, float], fields: Mapping[str, str]) -> None:
        """Write one line of metrics and one of words; raises what writing raises, the failures kept for the next."""
        lost = self._take()
        failures = counts.get(FAILURES, 0) + lost
        try:
            self._write(dict(counts) | ({FAILURES: failures} if failures else {}), dict(fields))
        except BaseException:
            self.lose(int(failures))
            raise

    def _write(self, counts: dict[str, float], fields: dict[str, str]) -> None:
        described = [{"Name": name, "Unit": "Milliseconds" if name == ADDED_MS else "Count"} for name in counts]
        directive = {"Namespace": NAMESPACE, "Dimensions": [["Stage"]], "Metrics": described}
        line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}, "Stage": self._stage}
        is_problem = counts.keys() & {FAILURES, BOUND_EXCEEDED}
        words = {"level": "ERROR" if is_problem else "INFO", "message": "a plan was published", "service": "shadow"}
        for text in ({**line, **counts}, {**words, **fields}):
            sys.stdout.write(json.dumps(text, default=str) + "\n")
        sys.stdout.flush()

    def later(self, counts: Callable[[], dict[str, float]], fields: dict[str, str]) -> _Flag | None:
        """Tell from a thread of its own; None where that is at work already, and tells this as well, or cannot be had."""
        if len(self._lines) < MAX_LINES:
            self._lines.append((counts, fields))
        told = _Flag()
        return told if _started(self._turn, lambda: self._drain(told)) else None

    def fail(self, what: str) -> None:
        self.lose()
        self.later(dict, {"faults": what})

    def _drain(self, told: _Flag) -> object:
        try:
            while self._lines:
                counts, fields = self._lines.popleft()
                self.tell(counts(), fields)
        except BaseException:  # `tell` has kept the failures
            return None
        finally:
            told.set()
        return self._lines


class _Publication:
    """One publication, as the caller's thread and ours share it."""

    control_begun: float | None = None
    control_ended: float | None = None
    released: float | None = None
    is_left = False
    plan_id: str | None = None
    error: type[BaseException] | None = None
    result: object = None

    def __init__(self, control: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        self.control, self.args, self.kwargs = control, args, kwargs
        self.begun, self.wall = time.monotonic(), time.time()
        self.copied, self.over, self.done = _Flag(), _Flag(), _Flag()
        self.counts: dict[str, float] = {}
        self.fields: dict[str, str] = {}

    def plan(self, named: str | None) -> object:
        """Find the plan: the argument of that name, or the first, or the only one, or the control's first."""
        if named in self.kwargs:
            return self.kwargs[str(named)]
        if named is None and (self.args or len(self.kwargs) == 1):
            return [*self.args, *self.kwargs.values()][0]
        import inspect

        order = [*inspect.signature(self.control).parameters]
        named = named or order[0]
        given = {**dict(zip(order if named in order else [named], self.args, strict=False)), **self.kwargs}
        if named not in given:
            raise Refused(f": expected the plan as the first argument or as {named}, was neither")
        return given[named]

    def is_expired(self) -> bool:
        """Whether it is too old: a frozen process wakes up hours later."""
        return max(time.monotonic() - self.begun, time.time() - self.wall) > EXPIRY_SECONDS

    def added_ms(self) -> float:
        """Give how long the caller was held up, in milliseconds."""
        before = (self.control_begun or time.monotonic()) - self.begun
        after = 0.0 if self.control_ended is None else (self.released or time.monotonic()) - self.control_ended
        return round((before + after) * 1000, 3)

    def end(self) -> dict[str, object]:
        """Say how production ended: the class it raised, or the run id that its answer names."""
        if self.error is not None:
            return {"control": {"error": self.error.__name__}}
        try:
            return _named_run(self.result)
        except BaseException as error:  # the answer's own code may raise anything
            self.fault("answer", error)
            return {}

    def fault(self, step: str, error: BaseException) -> None:
        """Note a failure by its step and class: messages carry values of the plan. A publication counts once."""
        own = str(error) if isinstance(error, Refused) else ""
        self.counts[FAILURES] = 1.0
        before = f"{self.fields['faults']}, " if "faults" in self.fields else ""
        self.fields["faults"] = f"{before}{step}: {type(error).__name__}{own}"


class _Core:
    """What the publishers of one process share: settings, queue, counters and at most `MAX_THREADS` threads."""

    def __init__(self, queue: IntakeQueue | None, stage: str, bound: float, broken: str = "") -> None:
        self.queue, self.stage, self.bound, self.broken = queue, stage, bound, broken
        self.reset()

    def reset(self) -> None:
        """Begin anew: a forked process has none of its parent's threads, and must not share its connections."""
        self.pid = os.getpid()
        self.reporter = _Reporter(self.stage)
        self.slots: deque[None] = deque([None] * (MAX_THREADS - 1))
        if self.queue is not None:
            self.queue = IntakeQueue(self.queue.url, self.queue.connect)

    def __reduce__(self) -> tuple[object, ...]:
        return _Core, (self.queue, self.stage, self.bound, self.broken)

    @property
    def is_idle(self) -> bool:
        return len(self.slots) == MAX_THREADS - 1 and self.reporter.is_idle


class DualPublisher(_Typed[P, R]):
    """Publishes through `control`, and tells the intake queue beside."""

    def __init__(
        self,
        control: Callable[P, R],
        core: _Core | None,
        *,
        to_plan: Callable[..., object] | None = None,
        positions: Callable[..., Mapping[str, object]] | None = None,
        plan_argument: str | None = None,
        swapped: bool = False,
        shadowed: bool = True,
    ) -> None:
        """See `dual_publisher_from_environment`. `swapped`: `control` is the workflow's shadow, if `shadowed`."""
        self._control, self._core = control, core
        self._to_plan, self._positions, self._named = to_plan or _same, positions, plan_argument
        self._swapped, self._shadowed = swapped, shadowed

    def beside(self, control: Callable[Q, S]) -> Callable[Q, S]:
        """Give the call of another `control`, such as a method of an object made for each event; all else is shared."""
        other: DualPublisher[Q, S] = DualPublisher(control, self._core)
        other.__dict__.update(self.__dict__, _control=control)
        return other.publish

    def publish(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the control with exactly these arguments; give its result or raise its exception, unchanged."""
        core = self._core
        if core is None:
            return self._control(*args, **kwargs)
        if core.pid != os.getpid():
            core.reset()
        if self._swapped:
            message_id = self._publish_to_the_workflow(core, args, kwargs)
            return _promise(message_id) if _is_async(self._control) else _MessageId(message_id)  # type: ignore[return-value]
        publication = self._begin(core, args, kwargs)
        try:
            result = self._control(*args, **kwargs)
        except BaseException as error:
            self._end(core, publication, error, None)
            raise
        if publication is not None and type(result) is CoroutineType:
            return self._awaited(core, publication, result)  # type: ignore[return-value, arg-type]
        self._end(core, publication, None, result)  # what is more than a coroutine is the caller's own
        return result

    async def _awaited(self, core: _Core, publication: _Publication, promise: CoroutineType[object, object, object]) -> object:
        """Await what an asynchronous control gave: only now is it known how it ended."""
        try:
            result = await promise
        except BaseException as error:
            self._end(core, publication, error, None)
            raise
        self._end(core, publication, None, result)
        return result

    def settle(self, timeout_seconds: float) -> bool:
        """Wait for our threads, for command lines; False when one is still at work."""
        ends = time.monotonic() + timeout_seconds
        while self._core is not None and not self._core.is_idle:
            if time.monotonic() > ends:
                return False
            time.sleep(0.001)
        return True

    def _begin(self, core: _Core, args: tuple[object, ...], kwargs: Mapping[str, object]) -> _Publication | None:
        try:
            _descend(FRAMES)
        except RecursionError:  # the control may need less of the stack
            core.reporter.lose()
            return None
        if core.broken:
            core.reporter.fail(core.broken)
            return None
        publication = _Publication(self._control, args, kwargs)
        try:
            if not _started(core.slots, lambda: self._work(core, publication, self._tell_the_queue)):
                core.reporter.fail("thread: none is free")
                return None
            publication.copied.wait(core.bound * (1 - REPORT_SHARE))
        except BaseException as error:  # a signal handler of the caller: production is not called, and the queue is told so
            publication.error = type(error)
            publication.over.set()
            raise
        publication.control_begun = time.monotonic()
        return publication

    def _end(self, core: _Core, publication: _Publication | None, error: BaseException | None, result: object) -> None:
        if publication is None or core.pid != os.getpid():  # a forked child has no thread to wait for
            return
        publication.control_ended = time.monotonic()
        publication.error, publication.result = None if error is None else type(error), result
        publication.over.set()
        reserve = core.bound * REPORT_SHARE
        left = core.bound - reserve - ((publication.control_begun or publication.begun) - publication.begun)
        if publication.done.wait(max(left, 0.0)):
            return
        publication.is_left = True
        fields = {"waited": "the caller went on before the intake queue had the plan", **publication.fields}
        told = core.reporter.later(lambda: {BOUND_EXCEEDED: 1.0, ADDED_MS: publication.added_ms()}, fields)
        if told is not None:
            told.wait(reserve)
        publication.released = time.monotonic()

    def _work(self, core: _Core, publication: _Publication, work: Callable[[_Core, _Publication], None]) -> None:
        try:
            try:
                work(core, publication)
            except BaseException as error:  # SystemExit, too
                publication.fault("publication", error)
            if publication.error is not None:
                publication.counts[CONTROL_ERRORS] = 1.0
                publication.fields["control_error"] = publication.error.__name__
            held = {} if publication.is_left else {ADDED_MS: publication.added_ms()}
            core.reporter.tell({**publication.counts, **held}, publication.fields)
        except BaseException:  # noqa: S110 - the reporter kept the failures
            pass
        finally:
            publication.args, publication.kwargs, publication.result = (), {}, None
            publication.copied.set()
            publication.done.set()

    def _tell_the_queue(self, core: _Core, publication: _Publication) -> None:
        parts = {"kind": "plan", "production_lane": "legacy", **self._copy(publication)}
        publication.copied.set()
        if self._positions is not None and "plan" in parts:
            try:
                held = as_json(self._positions(_snapshot(parts["plan"])))  # a copy of its own
                _message(held=held)
                parts["held"] = held
            except BaseException as error:  # without positions the candidate sizes exits by value
                publication.fault("positions", error)
        ended = publication.over.is_set()
        is_sent = self._send(core, publication, parts | (publication.end() if ended else {}))
        if ended and is_sent:
            return
        publication.over.wait(EXPIRY_SECONDS)
        end = publication.end()
        if not is_sent:
            self._send(core, publication, parts | end)
        elif end:
            self._send(core, publication, {"kind": "note", "plan_id": publication.plan_id, **end})

    def _copy(self, publication: _Publication) -> dict[str, object]:
        """Give the plan's copy, or why there is none and whose it would be."""
        plan: object = None
        try:
            plan = publication.plan(self._named)
            publication.plan_id = None if isinstance(plan, _JSON_TEXT) else _id_of(plan)
            mapped = self._to_plan(plan)
            copy = _snapshot(mapped, lambda: publication.control_begun is not None)
            if publication.control_begun is not None:
                raise Refused(LATE)
            publication.plan_id = _id_of(copy) or publication.plan_id
        except BaseException as error:  # a plan's own code may raise anything
            publication.fault("copy", error)
            publication.plan_id = _id_of(plan) if isinstance(plan, _JSON_TEXT) else publication.plan_id
            return {"refused": publication.fields["faults"], "plan_id": publication.plan_id}
        finally:
            publication.fields["plan_id"] = publication.plan_id or "unknown"
        return {"plan": copy}

    def _send(self, core: _Core, publication: _Publication, parts: dict[str, object]) -> bool:
        """Send one message; tell whether the queue took it."""
        at = _utc(publication.wall)
        try:
            body = _message(published_at=at, **parts)
        except Exception as error:
            publication.fault("message", error)
            parts = {"kind": "plan", "production_lane": "legacy", "plan_id": publication.plan_id}
            body = _message(published_at=at, refused=publication.fields["faults"], **parts)
        try:
            if publication.is_expired() or core.queue is None:
                raise Refused(EXPIRED)
            core.queue.send(body)
        except BaseException as error:
            publication.fault("queue", error)
            return False
        return True

    def _publish_to_the_workflow(self, core: _Core, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """Send the plan as production's own. Gives the message's id; raises `Refused` and `PublishingFailed`."""
        publication = _Publication(self._control, args, kwargs)
        plan = publication.plan(self._named)
        copy = _snapshot(self._to_plan(plan))
        publication.plan_id = _id_of(copy)
        shadow = {"kind": "plan", "production_lane": "workflow", "shadowed": self._shadowed}
        body = _message(published_at=_utc(publication.wall), plan=copy, **shadow)
        if core.queue is None:
            raise PublishingFailed(core.broken)
        known = exc_info()[1]
        try:
            message_id = core.queue.send(body)
        except Exception as error:
            own = _of_a_signal(error, known)
            if own is not None:
                raise own from None
            raise PublishingFailed(f"plan {publication.plan_id}: the intake queue did not take it") from error
        if core.broken:
            core.reporter.fail(core.broken)
        elif self._shadowed:
            publication.begun = publication.control_begun = time.monotonic()
            if _started(core.slots, lambda: self._work(core, publication, self._feed_the_shadow)):
                self._end(core, publication, None, None)
            else:
                core.reporter.fail("thread: none is free")
        return message_id

    def _feed_the_shadow(self, core: _Core, publication: _Publication) -> None:
        """Publish to the legacy lane, which shadows, and note that it was."""
        if publication.is_expired():
            raise Refused(EXPIRED)
        try:
            result = publication.control(*publication.args, **publication.kwargs)
            if hasattr(type(result), "__await__"):
                import asyncio

                async def awaited(promise: object) -> object:
                    return await promise  # type: ignore[misc]

                result = asyncio.run(awaited(result))
        except BaseException as error:
            publication.fault("shadow", error)
            return
        note = {"kind": "note", "plan_id": publication.plan_id, "shadow": "published"}
        self._send(core, publication, {**note, **_named_run(result)})


def _same(plan: object) -> object:
    return plan


def _descend(frames: int) -> None:
    if frames:
        _descend(frames - 1)


def _is_async(control: Callable[..., object]) -> bool:
    """Whether the control's callers await what it gives."""
    import inspect

    return any(map(inspect.iscoroutinefunction, (control, type(control).__call__)))


async def _promise(answer: str) -> str:
    return answer


class _MessageId(str):
    """Can be awaited too: not every control that gives an awaitable says so."""

    __slots__ = ()

    def __await__(self) -> Iterator[object]:
        return _promise(str(self)).__await__()


def _id_of(plan: object) -> str | None:
    """Read the id of a plan in any form."""
    name = "plan_id"
    if isinstance(plan, _JSON_TEXT):
        try:  # the hook lets other threads go on
            plan = json.loads(plan, object_hook=lambda inner: {name: inner.get(name)}) if len(plan) <= MAX_JSON_TEXT else None
        except (ValueError, RecursionError):
            return None
    found = plan.get(name) if isinstance(plan, Mapping) else getattr(plan, "__dict__", {}).get(name)
    return found if isinstance(found, str) else None


def _named_run(answer: object) -> dict[str, object]:
    """Give the run id that the legacy lane's answer is or names, as the intake reads it."""
    named = answer.get("run_id") if isinstance(answer, Mapping) else getattr(answer, "run_id", answer)
    text = str(named) if isinstance(named, str) or type(named).__name__ == "UUID" else ""
    is_id = [len(part) for part in text.split("-")] == _UUID_PARTS and text.replace("-", "").isalnum()
    return {"control": {"run_id": text}} if is_id else {}


def no_control(*_args: object, **_kwargs: object) -> None:
    """Stand where the legacy lane's publishing was, once that is removed; raises `PublishingFailed` when it is called."""
    raise PublishingFailed("PRODUCTION_LANE: expected workflow, since the legacy lane was removed: nothing was published")


_CORES: dict[tuple[str, ...], _Core] = {}


def dual_publisher_from_environment(
    control: Callable[P, R],
    *,
    to_plan: Callable[..., object] | None = None,
    positions: Callable[..., Mapping[str, object]] | None = None,
    plan_argument: str | None = None,
) -> DualPublisher[P, R]:
    """Wrap `control`, which publishes to the legacy lane, as the environment says (see the module). Never raises.

    `to_plan` maps what the portfolio code calls a plan to one of the forms that `as_json` copies, or JSON text; it is the
    adopter's code and may read the plan. `positions` gives the shares that the control's account holds by symbol, for the plan as
    copied. Both run in a thread of ours. `plan_argument` names the plan's keyword where it is neither first nor alone.

    With `PRODUCTION_LANE=workflow` publishing sends the plan to be executed by the workflow and gives the message's id, or raises
    `PublishingFailed` or `Refused`; `control` then feeds the shadow.
    """
    names = ("DUAL_PUBLISHING", "PRODUCTION_LANE", "SHADOW_INTAKE_QUEUE_URL", "SHADOW_STAGE", "PUBLISH_BOUND_MS")
    values = tuple(os.environ.get(name, "") for name in names)
    switch, lane, url, stage, bound = values
    is_on, swapped = switch.lower() in ("true", "1", "yes", "on"), lane == "workflow"
    wrong = []
    if lane not in ("", "legacy", "workflow"):
        wrong.append(f"PRODUCTION_LANE: expected legacy or workflow, was {lane!r:.40}: the legacy lane alone is in production")
    if not is_on and switch.lower() not in ("", "false", "0", "no", "off"):
        wrong.append(f"DUAL_PUBLISHING: expected true or false, was {switch!r:.40}")
    if (is_on or swapped) and not url:
        wrong.append("SHADOW_INTAKE_QUEUE_URL: expected the intake queue's address, was nothing")
    if is_on and not stage:
        wrong.append("SHADOW_STAGE: expected the stage that metrics are counted under, was nothing")
    if bound and not (bound.isascii() and bound.isdigit() and len(bound) <= MAX_BOUND_DIGITS and 1 <= int(bound) <= MAX_BOUND_MS):
        wrong.append(f"PUBLISH_BOUND_MS: expected 1 to 10000, was {bound!r:.40}")
        bound = ""
    core: _Core | None = None
    if is_on or swapped or wrong:
        queue = IntakeQueue(url) if url else None
        made = _Core(queue, stage or "unknown", int(bound or 50) / 1000, "; ".join(wrong))
        core = _CORES.setdefault(values, made)
    return DualPublisher(
        control, core, to_plan=to_plan, positions=positions, plan_argument=plan_argument, swapped=swapped, shadowed=is_on
    )
