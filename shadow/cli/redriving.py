"""Business Unit: command line | Status: current.

`shadow redrive`: give what lies in a dead-letter queue another try. Hints and publications are both named by what they are of,
so that redriving one twice changes nothing; a message leaves its queue only after it has been taken elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from shadow.aws import clients
from shadow.cli.calls import invoke
from shadow.cli.dead_letters import DeadLetter, depth, give_back, letters
from shadow.cli.errors import FunctionFailed, MissingOutput
from shadow.cli.operations import DeadQueue
from shadow.cli.output import ExitCode, escape, print_json, progress, say
from shadow.cli.target import Target
from shadow.contracts.pair import trading_day_of
from shadow.contracts.words import age, count

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


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
        messages = [entry.letter.to_wire() | {"fate": entry.fate.value, "why": entry.why or None} for entry in done]
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
