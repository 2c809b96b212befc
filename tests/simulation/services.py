"""Business Unit: tests | Status: current.

The AWS services of a schedule, in memory: tables, executions, objects, queues. They refuse, answer late or not at all, and kill
their caller, at the rates drawn for the schedule; others may act while a call is on its way.
"""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.factories.histories import BEGIN, STATE_MACHINE
from tests.simulation.turns import Crash, Turns

T = TypeVar("T")
Item = dict[str, Any]
RIVALS_WITHIN, MOST_RIVALS = 5.0, 3
LAG_SECONDS = 10.0
_ASSIGNED = re.compile(r"(#\w+) = (:\w+)")
RUNNING = "RUNNING"


@dataclass(frozen=True)
class Rates:
    """How often each thing goes wrong, as a share of the calls or messages."""

    refused: float = 0.0
    lost_answer: float = 0.0
    death: float = 0.0
    rival: float = 0.0
    slow: float = 0.0
    lost_event: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    lag: float = 0.0
    no_sweep: float = 0.0

    @classmethod
    def drawn(cls, dice: random.Random) -> Rates:
        """Draw each: mostly none or few, now and then many."""
        names = cls.__dataclass_fields__
        most = {"death": 0.08, "refused": 0.3, "lost_answer": 0.2, "slow": 0.2}
        return cls(**{name: dice.choice((0, 0, 1)) * dice.random() ** 2 * most.get(name, 0.6) for name in names})


def refusal(code: str, operation: str, status: int = 400) -> ClientError:
    """Make the service's own answer that refuses a call."""
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)  # type: ignore[typeddict-item]


@dataclass
class Wire:
    """What lies between the product and every service."""

    turns: Turns
    dice: random.Random
    rates: Rates
    struck: Counter[str] = field(default_factory=Counter)
    depth: int = 0

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.rates = Rates()

    def hits(self, share: float) -> bool:
        """Tell whether something of this share happens now."""
        return share > 0 and self.dice.random() < share

    def call(self, operation: str, effect: Callable[[], T]) -> T:
        """Make one call of a service."""
        rates = self.rates
        if self.hits(rates.rival):
            self._rivals()
        self.die(before=operation)
        if self.hits(rates.refused):
            self.struck["refused"] += 1
            raise refusal("ThrottlingException", operation)
        answer = effect()
        if self.hits(rates.lost_answer):
            self.struck["lost answer"] += 1
            raise ReadTimeoutError(endpoint_url=operation)
        self.die(before=operation)
        return answer

    def die(self, before: str) -> None:
        """Die where that is drawn."""
        if self.hits(self.rates.death):
            self.struck["death"] += 1
            raise Crash(before)

    def _rivals(self) -> None:
        """Let others go first: what happens within the next seconds happens while this call is on its way."""
        if self.depth >= MOST_RIVALS:
            return
        self.depth += 1
        self.struck["rival"] += 1
        for _ in range(self.dice.randint(1, 3)):
            at = self.turns.next_at
            if at is not None and at - self.turns.now <= RIVALS_WITHIN:
                self.turns.step()
        self.depth -= 1


class Tables:
    """DynamoDB, as far as the ledger, the captured events and the lanes' tables use it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.rows: dict[str, dict[tuple[str, str], Item]] = {}
        self.older: dict[tuple[str, str], tuple[float, Item]] = {}

    def get_item(self, *, TableName: str, Key: Item, **_: Any) -> Item:  # noqa: N803 - the service's names
        def effect() -> Item:
            found = self._table(TableName).get(_key(Key))
            return {} if found is None else {"Item": found}

        return self.wire.call("GetItem", effect)

    def put_item(self, *, TableName: str, Item: Item, **call: Any) -> Item:  # noqa: N803
        return self.wire.call("PutItem", lambda: self._put({"TableName": TableName, "Item": Item, **call}))

    def update_item(self, *, TableName: str, Key: Item, ExpressionAttributeValues: Item, **call: Any) -> Item:  # noqa: N803
        """Move the one index key that `claim` moves, where it is as it was."""
        assert (call["UpdateExpression"], call["ConditionExpression"]) == ("SET GSI2SK = :new", "GSI2SK = :old")

        def effect() -> Item:
            found = self._table(TableName).get(_key(Key))
            if found is None or found["GSI2SK"] != ExpressionAttributeValues[":old"]:
                raise refusal("ConditionalCheckFailedException", "UpdateItem")
            self._change(TableName, _key(Key), found | {"GSI2SK": ExpressionAttributeValues[":new"]})
            return {}

        return self.wire.call("UpdateItem", effect)

    def delete_item(self, *, TableName: str, Key: Item) -> Item:  # noqa: N803
        def effect() -> Item:
            self._table(TableName).pop(_key(Key), None)
            return {}

        return self.wire.call("DeleteItem", effect)

    def transact_write_items(self, *, TransactItems: list[Mapping[str, Item]]) -> Item:  # noqa: N803
        def effect() -> Item:
            holds = [self._holds(kind, change) for each in TransactItems for kind, change in each.items()]
            if not all(holds):
                reasons = [{"Code": "None" if held else "ConditionalCheckFailed"} for held in holds]
                error = refusal("TransactionCanceledException", "TransactWriteItems")
                error.response["CancellationReasons"] = reasons  # type: ignore[typeddict-unknown-key]
                raise error
            for each in TransactItems:
                for kind, change in each.items():
                    (self._put if kind == "Put" else self._update)(change)
            return {}

        return self.wire.call("TransactWriteItems", effect)

    def query(self, *, TableName: str, ExpressionAttributeNames: Item, ExpressionAttributeValues: Item, **call: Any) -> Item:  # noqa: N803
        name, value = ExpressionAttributeNames["#p"], ExpressionAttributeValues[":p"]
        prefix = ExpressionAttributeValues.get(":s", {"S": ""})["S"]
        order = f"{call['IndexName']}SK" if "IndexName" in call else "SK"

        def effect() -> Item:
            rows = self._table(TableName)
            if "IndexName" in call and self.wire.hits(self.wire.rates.lag):
                rows = {key: self._behind(key, row) for key, row in rows.items()}
            found = [row for key, row in rows.items() if row.get(name) == value and key[1].startswith(prefix)]
            return {"Items": sorted(found, key=lambda row: str(row[order]["S"]))}

        return self.wire.call("Query", effect)

    def keep(self, table: str, items: list[Item]) -> None:
        """Keep what somebody else than the harness writes."""
        self._table(table).update({_key(item): item for item in items})

    def _behind(self, key: tuple[str, str], row: Item) -> Item:
        """Give a row as an index shows it that has not heard of the last change yet; nothing of one that is new."""
        at, before = self.older.get(key, (0.0, row))
        self.wire.struck["lag"] += 1
        return before if self.wire.turns.now - at < LAG_SECONDS else row

    def _change(self, table: str, key: tuple[str, str], row: Item) -> None:
        rows = self._table(table)
        self.older[key] = self.wire.turns.now, rows.get(key, {})
        rows[key] = row

    def _table(self, name: str) -> dict[tuple[str, str], Item]:
        return self.rows.setdefault(name, {})

    def _put(self, change: Item) -> Item:
        if not self._holds("Put", change):
            raise refusal("ConditionalCheckFailedException", "PutItem")
        self._change(change["TableName"], _key(change["Item"]), change["Item"])
        return {}

    def _holds(self, kind: str, change: Item) -> bool:
        if kind == "Put":
            return "ConditionExpression" not in change or _key(change["Item"]) not in self._table(change["TableName"])
        found = self._table(change["TableName"]).get(_key(change["Key"]))
        name, value = change["ConditionExpression"].split(" = ")
        named = change["ExpressionAttributeNames"][name]
        return found is not None and found.get(named) == change["ExpressionAttributeValues"][value]

    def _update(self, change: Item) -> None:
        names, values = change["ExpressionAttributeNames"], change["ExpressionAttributeValues"]
        sets, _, removes = change["UpdateExpression"].partition(" REMOVE ")
        row = dict(self._table(change["TableName"])[_key(change["Key"])])
        row |= {names[name]: values[value] for name, value in _ASSIGNED.findall(sets)}
        for name in filter(None, removes.split(", ")):
            row.pop(names[name], None)
        self._change(change["TableName"], _key(change["Key"]), row)


def _key(item: Item) -> tuple[str, str]:
    return item["PK"]["S"], item["SK"]["S"]


@dataclass
class Started:
    """One execution of the workflow. `ends` gives its description and history once it has ended."""

    document: str
    at: float
    describe: Mapping[str, object] | None = None
    history: list[Mapping[str, object]] = field(default_factory=list)


class Executions:
    """Step Functions: one execution a name, for ever. `accepted` keeps every start that made one."""

    def __init__(self, wire: Wire, on_start: Callable[[str, Started], None]) -> None:
        self.wire, self._on_start = wire, on_start
        self.started: dict[str, Started] = {}
        self.accepted: list[str] = []
        self.is_refusing = False

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> Item:  # noqa: N803, A002
        del stateMachineArn

        def effect() -> Item:
            if self.is_refusing:
                raise refusal("StateMachineDoesNotExist", "StartExecution")
            standing = self.started.get(name)
            if standing is not None and (standing.describe is not None or standing.document != input):
                raise refusal("ExecutionAlreadyExists", "StartExecution")
            if standing is None:
                self.accepted.append(name)
                self.started[name] = Started(input, self.wire.turns.now)
                self._on_start(name, self.started[name])
            return {"executionArn": _arn(name)}

        return self.wire.call("StartExecution", effect)

    def describe_execution(self, *, executionArn: str) -> Item:  # noqa: N803
        def effect() -> Item:
            run = self._run(executionArn)
            told: Item = {"executionArn": executionArn, "status": RUNNING, "startDate": BEGIN + timedelta(seconds=run.at)}
            return {**told, **(run.describe or {}), "input": run.document}

        return self.wire.call("DescribeExecution", effect)

    def get_execution_history(self, *, executionArn: str, **_: Any) -> Item:  # noqa: N803
        return self.wire.call("GetExecutionHistory", lambda: {"events": self._run(executionArn).history})

    def describe_state_machine_for_execution(self, *, executionArn: str) -> Item:  # noqa: N803
        del executionArn
        return self.wire.call("DescribeStateMachineForExecution", lambda: {"definition": "{}"})

    def _run(self, arn: str) -> Started:
        run = self.started.get(arn.rpartition(":")[2])
        if run is None:
            raise refusal("ExecutionDoesNotExist", "DescribeExecution")
        return run


def _arn(name: str) -> str:
    return f"{STATE_MACHINE.replace(':stateMachine:', ':execution:')}:{name}"


class Objects:
    """S3."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.bodies: dict[str, bytes] = {}

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str = "", **_: Any) -> Item:  # noqa: N803
        def effect() -> Item:
            if IfNoneMatch and Key in self.bodies:
                raise refusal("PreconditionFailed", "PutObject", 412)
            self.bodies[Key] = Body
            return {}

        return self.wire.call("PutObject", effect)

    def get_object(self, *, Key: str, **_: Any) -> Item:  # noqa: N803
        def effect() -> Item:
            if Key not in self.bodies:
                raise refusal("NoSuchKey", "GetObject", 404)
            return {"Body": io.BytesIO(self.bodies[Key])}

        return self.wire.call("GetObject", effect)


@dataclass
class Letter:
    """One message of a queue, and how often it was received."""

    number: int
    body: str
    received: int = 0


@dataclass
class Queue:
    """SQS and the function behind it: at least once, in any order, and after some tries a dead letter.

    `function` takes messages as id and body, and gives the ids of those that failed.
    """

    wire: Wire
    function: Callable[[list[tuple[str, str]]], list[str]]
    visibility: float
    most_received: int = 5
    letters: list[Letter] = field(default_factory=list)
    dead: list[Letter] = field(default_factory=list)
    waiting: list[Letter] = field(default_factory=list)

    def put(self, body: str) -> str:
        """Take a message, which is delivered soon or late, and now and then twice."""
        letter = Letter(len(self.letters), body)
        self.letters.append(letter)
        self._later(letter)
        if self.wire.hits(self.wire.rates.doubled):
            self._later(letter)
        return str(letter.number)

    def redrive(self) -> None:
        """Give every dead letter another try, as an operator does."""
        dead, self.dead = self.dead, []
        for letter in dead:
            letter.received = 0
            self._later(letter)

    def _later(self, letter: Letter) -> None:
        wire = self.wire
        seconds = wire.dice.random() * (600 if wire.hits(wire.rates.late) else 1)
        wire.turns.after(seconds, lambda: self._ready(letter))

    def _ready(self, letter: Letter) -> None:
        """Deliver a message, with those that wait as well: SQS gives batches of its own choice."""
        self.waiting.append(letter)
        if len(self.waiting) < self.wire.dice.randint(1, 3) and self.wire.turns.next_at is not None:
            self.wire.turns.after(0.5, self._deliver)
        else:
            self._deliver()

    def _deliver(self) -> None:
        batch, self.waiting = self.waiting, []
        batch = list({letter.number: letter for letter in batch}.values())
        if not batch:
            return
        for letter in batch:
            letter.received += 1
        try:
            failed = self.function([(str(letter.number), letter.body) for letter in batch])
        except Crash:
            failed = [str(letter.number) for letter in batch]
        for letter in batch:
            if str(letter.number) not in failed or letter in self.dead:
                continue
            if letter.received >= self.most_received:
                self.dead.append(letter)
            else:
                self.wire.turns.after(self.visibility, lambda letter=letter: self._ready(letter))  # type: ignore[misc]


def moment(turns: Turns) -> datetime:
    """Give the virtual time as a moment."""
    return (BEGIN + timedelta(seconds=turns.now)).astimezone(UTC)
