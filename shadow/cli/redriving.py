"""Business Unit: command line | Status: current.

`shadow redrive`: give what lies in a dead-letter queue another try. Hints and publications are both named by what they are of,
so that redriving one twice changes nothing; a message leaves its queue only after it has been taken elsewhere.

The dead-letter queues of the stack: what lies in them, why, and whether sending it again can help. Messages are looked at by
receiving them for a short while; whoever looked gives them back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import ValidationError

from shadow.aws import clients
from shadow.cli.output import ExitCode, FunctionFailed, MissingOutput, escape, print_json, progress, say
from shadow.cli.target import DeadQueue, Target, invoke
from shadow.contracts.control_records import EventSource, StatusChangeEvent
from shadow.contracts.errors import ContractViolation, InvalidPayload, faults_of
from shadow.contracts.pair import trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.words import age, count
from shadow.intake.payload import Note, read_message
from shadow.lanes.legacy.source import captured_event
from shadow.settlement.hints import STEP_FUNCTIONS

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef


HOLD_SECONDS = 120
WAIT_SECONDS = 1
BATCH = 10
_EMPTY_ANSWERS = 2
_EVENT_BUS = "EventBridge could not deliver it"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message. `about` says what it is of, `fault` why sending it again cannot help (None: it may)."""

    queue: DeadQueue
    message_id: str
    receipt: str
    body: str
    sent_at: datetime
    about: str
    reason: str
    fault: str | None = None
    plan: RebalancePlan | None = None
    payload: object = None

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form, without the body."""
        return {
            "queue": self.queue.value,
            "message_id": self.message_id,
            "sent_at": self.sent_at.isoformat(),
            "about": self.about,
            "reason": self.reason,
            "fault": self.fault,
        }


def letters(client: SQSClient, queue: DeadQueue, url: str, limit: int) -> Iterator[DeadLetter]:
    """Receive up to `limit` messages, each once; they stay hidden from others for `HOLD_SECONDS`."""
    seen: set[str] = set()
    empty = 0
    while len(seen) < limit and empty < _EMPTY_ANSWERS:
        answer = client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(BATCH, limit - len(seen)),
            VisibilityTimeout=HOLD_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        fresh = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
        empty = 0 if fresh else empty + 1
        for message in fresh:
            seen.add(message["MessageId"])
            yield read_letter(queue, message)


def depth(client: SQSClient, url: str) -> int:
    """Count the messages of a queue, hidden ones included. SQS counts approximately."""
    names: list[QueueAttributeNameType] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def give_back(client: SQSClient, url: str, letter: DeadLetter) -> None:
    """Let others see a message at once."""
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)


def read_letter(queue: DeadQueue, message: MessageTypeDef) -> DeadLetter:
    """Understand one message; never raises."""
    body = message.get("Body", "")
    event = _json(body)
    values: Mapping[str, object] = event if isinstance(event, dict) else {}
    undelivered = _undelivered(message)
    sent = int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000
    lead = (queue, message.get("MessageId", ""), message.get("ReceiptHandle", ""), body, datetime.fromtimestamp(sent, UTC))
    if queue is DeadQueue.COMPARATOR:
        fault = _fault_of_hint(values)
        reason = undelivered or (fault and "cannot be read") or "the comparator failed on it every time: see its log"
        return DeadLetter(*lead, about=_about_hint(values), reason=reason, fault=fault)
    if queue is DeadQueue.INTAKE:
        return _publication_letter(lead, body)
    payload = _published_payload(values)
    try:
        plan = RebalancePlan.read(payload)
    except ContractViolation as violation:
        return DeadLetter(*lead, about="a plan", reason=undelivered or _answered(values), fault=str(violation), payload=payload)
    return DeadLetter(*lead, about=plan.plan_id, reason=undelivered or _answered(values), plan=plan, payload=payload)


def _publication_letter(lead: tuple[DeadQueue, str, str, str, datetime], body: str) -> DeadLetter:
    """Understand a message of the intake queue."""
    try:
        message = read_message(body)
    except InvalidPayload as fault:
        return DeadLetter(*lead, about="a message", reason="cannot be read", fault=str(fault))
    plan = getattr(message, "plan", None)
    plan_id = plan.get("plan_id") if isinstance(plan, dict) else message.plan_id
    about = f"{'note on' if isinstance(message, Note) else 'publication of'} {plan_id or 'a plan'}"
    return DeadLetter(*lead, about=about, reason="the intake failed on it every time: see its log")


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _undelivered(message: MessageTypeDef) -> str:
    """Give what EventBridge wrote on a message that it could not deliver."""
    attributes = message.get("MessageAttributes", {})
    texts = [str(attributes[name].get("StringValue", "")) for name in ("ERROR_CODE", "ERROR_MESSAGE") if name in attributes]
    return f"{_EVENT_BUS}: {': '.join(texts)}" if texts else ""


def _about_hint(event: Mapping[str, object]) -> str:
    detail = event.get("detail")
    values = detail if isinstance(detail, dict) else {}
    for name in ("plan_id", "name", "run_id", "executionArn"):
        if isinstance(values.get(name), str):
            return f"{event.get('detail-type') or 'event'} of {values[name]}"
    return str(event.get("detail-type") or "a message")


def _fault_of_hint(event: Mapping[str, object]) -> str | None:
    """Say what keeps a hint from being read; None where nothing does."""
    try:
        if event.get("source") == STEP_FUNCTIONS:
            StatusChangeEvent.model_validate(event)
        elif event.get("source") in list(EventSource):
            captured_event(event)
        else:
            return f"source: expected {' or '.join((STEP_FUNCTIONS, *EventSource))}, was {event.get('source')!r}"
    except ValidationError as error:
        return "; ".join(str(fault) for fault in faults_of(error))
    except InvalidPayload as error:
        return str(error)
    return None


def _published_payload(event: Mapping[str, object]) -> object:
    """Give what the publishing function was called with: in a failure record, in an event, or the message itself."""
    payload = event.get("requestPayload", event)
    if isinstance(payload, dict) and "detail-type" in payload and "detail" in payload:
        return payload["detail"]
    return payload


def _answered(event: Mapping[str, object]) -> str:
    """Give what the publishing function raised."""
    answer = event.get("responsePayload")
    context = event.get("requestContext")
    values = answer if isinstance(answer, dict) else {}
    condition = context.get("condition") if isinstance(context, dict) else None
    texts = [str(part) for part in (values.get("errorType"), values.get("errorMessage")) if part]
    return ": ".join(texts) or f"the function failed{f' ({condition})' if condition else ''}: see its log"


class Fate(StrEnum):
    """What became of a message."""

    LISTED = "listed"
    REDRIVEN = "redriven"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Done:
    """One message and what became of it; `why` where it was left."""

    letter: DeadLetter
    fate: Fate
    why: str = ""

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return self.letter.to_wire() | {"fate": self.fate.value, "why": self.why or None}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user asked for."""

    only_list: bool
    stale: bool
    force: bool
    now: datetime


def redrive_all(target: Target, queue: DeadQueue | None, limit: int, choice: Choice, *, as_json: bool) -> ExitCode:
    """Redrive or list the messages of one queue or of all; DIVERGED where messages lie there after all."""
    done: list[Done] = []
    unseen: dict[DeadQueue, int] = {}
    with progress("looking through the dead-letter queues", quiet=as_json):
        for name, url in _queues(target, queue):
            before = depth(clients.sqs(), url)
            worked = _work_through(target, name, url, limit, choice)
            unseen[name] = max(before - len(worked), 0) if len(worked) == limit else 0
            done += worked
    if as_json:
        messages = [entry.to_wire() for entry in done]
        print_json({"messages": messages, "not_looked_at": {name.value: amount for name, amount in unseen.items() if amount}})
    else:
        _print(done, choice.now, unseen)
    lie_there = any(unseen.values()) or any(entry.fate is not Fate.REDRIVEN for entry in done)
    return ExitCode.DIVERGED if lie_there else ExitCode.FINE


def _queues(target: Target, only: DeadQueue | None) -> list[tuple[DeadQueue, str]]:
    """Find the dead-letter queues. The publishing one exists with the reference control only."""
    found = [(DeadQueue.COMPARATOR, target.name("ComparatorDlqUrl"))] if only in (None, DeadQueue.COMPARATOR) else []
    if only in (None, DeadQueue.INTAKE):
        found.append((DeadQueue.INTAKE, target.name("IntakeDlqUrl")))
    if only is DeadQueue.PUBLISH and "PublishPlanFunctionName" not in target.outputs:
        raise MissingOutput(f"stack shadow-{target.stage} has no publishing of its own, and so no dead letters of it")
    if only in (None, DeadQueue.PUBLISH) and "PublishPlanFunctionName" in target.outputs:
        url = clients.sqs().get_queue_url(QueueName=target.of_stage("publish-plan-dlq"))["QueueUrl"]
        found.append((DeadQueue.PUBLISH, url))
    return found


def _work_through(target: Target, queue: DeadQueue, url: str, limit: int, choice: Choice) -> list[Done]:
    """Take every message of one queue; what is not redriven is given back."""
    client = clients.sqs()
    done = []
    for letter in list(letters(client, queue, url, limit)):
        entry = Done(letter, Fate.LISTED) if choice.only_list else _redrive(client, target, letter, choice)
        if entry.fate is Fate.REDRIVEN:
            client.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)
        else:
            give_back(client, url, letter)
        done.append(entry)
    return done


_SENT_BACK_TO = {DeadQueue.COMPARATOR: "ComparatorQueueUrl", DeadQueue.INTAKE: "IntakeQueueUrl"}


def _redrive(client: SQSClient, target: Target, letter: DeadLetter, choice: Choice) -> Done:
    if letter.fault is not None and not (choice.force and letter.queue is DeadQueue.COMPARATOR):
        return Done(letter, Fate.LEFT, letter.fault)
    if letter.queue in _SENT_BACK_TO:
        client.send_message(QueueUrl=target.name(_SENT_BACK_TO[letter.queue]), MessageBody=letter.body)
        return Done(letter, Fate.REDRIVEN)
    if letter.plan is not None and not choice.stale:
        day = trading_day_of(letter.plan.timestamp)
        if day != trading_day_of(choice.now):
            return Done(letter, Fate.LEFT, f"a plan of {day}: publishing it now would trade it (--stale publishes it anyway)")
    try:
        invoke(target, "PublishPlanFunctionName", letter.payload)
    except FunctionFailed as failed:
        return Done(letter, Fate.LEFT, str(failed))
    return Done(letter, Fate.REDRIVEN)


_STYLE = {Fate.LISTED: "cyan", Fate.REDRIVEN: "green", Fate.LEFT: "bold red"}


def _print(done: Sequence[Done], now: datetime, unseen: Mapping[DeadQueue, int]) -> None:
    if not done:
        say("[green]no dead letters[/green]")
        return
    for entry in done:
        letter = entry.letter
        say(
            f"[{_STYLE[entry.fate]}]{entry.fate.value:<9}[/]{letter.queue.value:<12}{escape(letter.about)}   "
            f"[dim]{age(now - letter.sent_at)} old · {escape(letter.message_id)}[/dim]"
        )
        say(f"{'':<9}reason: {escape(letter.reason)}")
        why = entry.why or (letter.fault or "")
        if why:
            say(f"{'':<9}{'left' if entry.why else 'fault'}: {escape(why)}")
    redriven = sum(entry.fate is Fate.REDRIVEN for entry in done)
    say(f"\n{count(len(done), 'message')}, {redriven} redriven, {len(done) - redriven} still there")
    for queue, amount in unseen.items():
        if amount:
            say(f"[bold]{queue.value}: about {count(amount, 'more message')} not looked at[/bold]: run it again, or with --limit")
