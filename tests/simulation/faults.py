"""Business Unit: tests | Status: current.

How a lane can misbehave, drawn from a seed and knowing no kind of difference: any request to its broker, any answer, any quote,
any call, and any field of any record that it leaves, each missing, doubled, shifted, scaled, swapped with a neighbour's, stale,
or of another run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from random import Random
from typing import Any
from uuid import UUID

from requests.exceptions import ConnectionError as RequestsConnectionError

from local.broker_simulator.api import Answer, Request
from shadow.contracts.vocabulary import ExecutionMode, Role
from tests.factories.in_process_broker import Exchange

HOWS = ("missing", "doubled", "shifted", "scaled", "swapped", "stale", "of another run")
PLACES = ("order", "answer", "quote", "call", "record")
FACTORS = tuple(Decimal(text) for text in ("0.1", "0.5", "0.9", "1.1", "2", "10"))
MOST = {"order": 3, "answer": 5, "quote": 3, "call": 12, "record": 6}
"""How many come before the one that is struck, at most."""
_OF_ORDERS = ("symbol", "qty", "side", "limit_price", "client_order_id")
_OF_ANSWERS = ("filled_qty", "filled_avg_price", "status", "qty", "symbol", "side", "id")
_OPPOSITE = {"buy": "sell", "sell": "buy", "BUY": "SELL", "SELL": "BUY", "COMPLETED": "FAILED", "FAILED": "COMPLETED"}
_STATUSES = ("new", "filled", "canceled", "rejected", "partially_filled", "expired")


@dataclass(frozen=True)
class Fault:
    """One way in which one lane misbehaves. `number` counts what comes before the struck one; `dice` seeds the rest."""

    role: Role
    place: str
    how: str
    number: int
    dice: int

    def random(self) -> Random:
        """Give the fault's own source of chance."""
        return Random(self.dice)

    def __str__(self) -> str:
        return f"{self.role}: {self.place} {self.number} {self.how} ({self.dice})"


def draw(random: Random, mode: ExecutionMode) -> tuple[Fault, ...]:
    """Draw one to three faults, in either lane or in both. A lane in dry run sends no order that could be changed on its way."""
    roles = random.choice(([Role.CONTROL], [Role.CANDIDATE], [Role.CONTROL], [Role.CANDIDATE], list(Role)))
    faults = []
    for role in roles:
        for _ in range(random.choice((1, 1, 1, 2))):
            seen = mode is ExecutionMode.PAPER or role is Role.CONTROL
            place = random.choice(PLACES if seen else PLACES[2:])
            faults.append(Fault(role, place, random.choice(HOWS), random.randrange(MOST[place]), random.getrandbits(32)))
    return tuple(faults)


class Killed(BaseException):
    """The lane's process died here. Nothing that handles errors survives it."""


class Wire:
    """The way from one lane to its broker, on which requests and answers are changed."""

    def __init__(self, inner: Exchange, faults: tuple[Fault, ...], neighbours: tuple[str, ...]) -> None:
        self._inner, self._faults, self._neighbours = inner, faults, neighbours
        self._counts: dict[str, int] = {}
        self._earlier: dict[str, Any] = {}

    def __call__(self, request: Request) -> Answer | None:
        call = self._due("call")
        if call is not None:
            return self._called(request, call)
        if request.method == "POST":
            return self._ordered(request)
        answer = self._inner(request)
        if answer is not None and "quotes/latest" in request.path:
            return self._quoted(answer)
        if answer is not None and "/orders" in request.path and isinstance(answer.body, dict):
            return self._answered(answer)
        return answer

    def _due(self, place: str) -> Fault | None:
        """Count one request of this sort, and give the fault that strikes it."""
        number = self._counts.get(place, 0)
        self._counts[place] = number + 1
        return next((each for each in self._faults if each.place == place and each.number == number), None)

    def _called(self, request: Request, fault: Fault) -> Answer | None:
        if fault.how in ("missing", "stale"):
            raise RequestsConnectionError
        self._inner(request)
        if fault.how == "doubled":
            return self._inner(request)
        if fault.how in ("shifted", "scaled"):
            return None
        raise Killed

    def _ordered(self, request: Request) -> Answer | None:
        fault, body = self._due("order"), json.loads(request.body)
        earlier, self._earlier["order"] = self._earlier.get("order", body), body
        if fault is None:
            return self._inner(request)
        random = fault.random()
        name = random.choice([each for each in _OF_ORDERS if each in body])
        if fault.how == "doubled":
            self._inner(_with(request, {**body, "client_order_id": str(UUID(int=random.getrandbits(128)))}))
        elif fault.how == "missing":
            return self._inner(_with(request, {key: value for key, value in body.items() if key != name}))
        elif fault.how == "stale":
            body = {**earlier, "client_order_id": body["client_order_id"]}
        elif fault.how == "of another run":
            body = {**body, "client_order_id": str(UUID(int=random.getrandbits(128)))}
        else:
            body = {**body, name: self._changed(name, body[name], fault.how, random)}
        return self._inner(_with(request, body))

    def _changed(self, name: str, value: str, how: str, random: Random) -> str:
        if name == "symbol":
            return random.choice(self._neighbours)
        if name == "side":
            return _OPPOSITE[value]
        if name == "client_order_id":
            return str(UUID(int=random.getrandbits(128)))
        return str(_number(Decimal(value), how, random).quantize(Decimal("0.01" if name == "limit_price" else "0.000001")))

    def _answered(self, answer: Answer) -> Answer:
        fault, body = self._due("answer"), dict(answer.body)  # type: ignore[call-overload] # a dict, as its caller has seen
        earlier, self._earlier["answer"] = self._earlier.get("answer", body), body
        if fault is None:
            return answer
        random = fault.random()
        name = random.choice(_OF_ANSWERS)
        if fault.how == "missing":
            body.pop(name, None)
        elif fault.how == "stale" or (fault.how == "swapped" and name not in ("status", "side", "symbol")):
            body[name] = earlier.get(name)
        elif name == "status":
            body[name] = random.choice(_STATUSES)
        elif name in ("side", "symbol", "id"):
            body[name] = self._changed("client_order_id" if name == "id" else name, str(body.get(name)), fault.how, random)
        elif body.get(name) is not None:
            body[name] = str(_number(Decimal(str(body[name])), fault.how, random))
        return replace(answer, body=body)

    def _quoted(self, answer: Answer) -> Answer:
        fault, body = self._due("quote"), json.loads(json.dumps(answer.body))
        earlier, self._earlier["quote"] = self._earlier.get("quote", body), body
        if fault is None:
            return answer
        random = fault.random()
        if fault.how in ("swapped", "stale", "of another run"):
            found = _quote_in(earlier)
            return replace(answer, body=_requoted(body, found))
        names = random.choice((("bp",), ("ap",), ("bp", "ap")))
        quote = dict(_quote_in(body))
        for name in names:
            if fault.how == "missing":
                quote.pop(name, None)
            elif name in quote:
                quote[name] = float(_number(Decimal(str(quote[name])), fault.how, Random(fault.dice)).quantize(Decimal("0.01")))
        return replace(answer, body=_requoted(body, quote))


def _with(request: Request, body: Mapping[str, Any]) -> Request:
    return replace(request, body=json.dumps(body).encode())


def _quote_in(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = body["quote"] if "quote" in body else next(iter(body["quotes"].values()), {})
    return found


def _requoted(body: Mapping[str, Any], quote: Mapping[str, Any]) -> dict[str, Any]:
    if "quote" in body:
        return {**body, "quote": dict(quote)}
    return {**body, "quotes": {symbol: dict(quote) for symbol in body["quotes"]}}


def _number(value: Decimal, how: str, random: Random) -> Decimal:
    """Give another number: a step away where it is shifted, else a multiple."""
    if how == "shifted":
        return value + random.choice((Decimal(-1), Decimal("-0.01"), Decimal("0.01"), Decimal(1)))
    return value * random.choice(FACTORS)


# ---------------------------------------------------------------------- records

Path = tuple[Any, ...]
_TEXT = object()
"""The step of a path that goes into a JSON text."""
_GONE = object()


def spoil(records: list[Any], fault: Fault, others: Mapping[str, str]) -> list[Any]:
    """Give the records with one of them, or one field of one, as the fault says. `others` are ids of this run and of another."""
    if not records:
        return records
    random = fault.random()
    at = random.randrange(len(records))
    if fault.how in ("missing", "doubled") and random.random() < 0.5:
        return records[:at] + ([records[at], records[at]] if fault.how == "doubled" else []) + records[at + 1 :]
    paths = sorted(_leaves(records[at]), key=repr)
    if not paths:
        return records
    path = random.choice(paths)
    neighbours = [each for index, each in enumerate(records) if index != at]
    if fault.how == "stale":
        neighbours = records[:at]
    found = [_at(each, other) for each in neighbours for other in _leaves(each) if other[-1:] == path[-1:]]
    values = [value.value if isinstance(value, Enum) else value for value in found]
    new = _other(_at(records[at], path), fault.how, random, values, others)
    changed = _put(records[at], path, new)
    if fault.how == "doubled":
        return [*records[: at + 1], changed, *records[at + 1 :]]
    return [*records[:at], changed, *records[at + 1 :]]


def _leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    elif isinstance(value, str) and value[:1] in ("{", "["):
        yield from _leaves(json.loads(value), (*path, _TEXT))
    else:
        yield path


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = json.loads(value) if step is _TEXT else value[step]
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    step, rest = path[0], path[1:]
    if step is _TEXT:
        return json.dumps(_put(json.loads(value), rest, new))
    inner = _put(value[step], rest, new)
    if isinstance(value, Mapping):
        return {name: inner if name == step else each for name, each in value.items() if name != step or inner is not _GONE}
    return [inner if at == step else each for at, each in enumerate(value) if at != step or inner is not _GONE]


def _other(value: Any, how: str, random: Random, values: list[Any], others: Mapping[str, str]) -> Any:
    if how == "missing" or (how in ("swapped", "stale") and values):
        return _GONE if how == "missing" else random.choice(values)
    if isinstance(value, bool):
        return not value
    if isinstance(value, datetime):
        return value + random.choice((-1, 1)) * timedelta(seconds=random.choice((1, 90, 4_000)))
    if isinstance(value, int | float):
        return type(value)(_number(Decimal(str(value)), how, random))
    if not isinstance(value, str):
        return value
    return _other_text(value, how, random, others)


def _other_text(value: str, how: str, random: Random, others: Mapping[str, str]) -> str:
    if how == "of another run":
        for mine, theirs in others.items():
            value = value.replace(mine, theirs)
        return value
    if value in _OPPOSITE:
        return _OPPOSITE[value]
    try:
        return str(_number(Decimal(value), how, random))
    except ArithmeticError:
        pass
    try:
        return (datetime.fromisoformat(value) + timedelta(seconds=random.choice((-90, 90)))).isoformat()
    except ValueError:
        return value[::-1] if how == "swapped" else f"{value}-{random.randrange(9)}"
