"""Business Unit: local cloud | Status: current.

The simulator without sockets: who is asking, which fault strikes, what is answered, and a log of it. One lock makes every
request and every command one step; waiting for a slow fault happens outside of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from threading import RLock
from time import time
from urllib.parse import unquote, urlencode

from local.broker_simulator import admin, api
from local.broker_simulator.accounts import SimAccount
from local.broker_simulator.api import Answer, Request, refusal, request_json
from local.broker_simulator.controls import SimulatorControls
from local.broker_simulator.exchange import Exchange
from local.broker_simulator.faults import AFTER, BEFORE, Occasion
from local.broker_simulator.values import Command, Fault, FaultKind, LoggedRequest, Reset, SetRateLimit
from shadow.contracts.vocabulary import Role

_UNAUTHORIZED, _FORBIDDEN, _THROTTLED = 40110000, 40310000, 42910000
_FAILED, _CODES = 500, 100_000
_MINUTE = 60
_HTML = b"<html><head><title>504 Gateway Time-out</title></head><body>The server did not respond.</body></html>"
_PAPER = "/paper"
_SUCCESS = range(200, 300)


class Ending(StrEnum):
    """What becomes of the connection."""

    ANSWERED = "answered"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, after how many seconds, and whether it is sent at all."""

    answer: Answer
    after: float = 0
    ending: Ending = Ending.ANSWERED


class Simulator(SimulatorControls):
    """A broker's state behind one lock."""

    def __init__(self, seed: int = 0) -> None:
        """Start fresh; the same seed and the same requests give the same answers."""
        self._lock = RLock()
        self._seed = seed
        self._start()

    def _start(self) -> None:
        self._exchange = Exchange(self._seed)
        self._log: list[LoggedRequest] = []
        self._per_minute: int | None = None
        self._made: Counter[tuple[Role, str]] = Counter()

    def apply(self, command: Command) -> None:
        """Carry `command` out."""
        with self._lock:
            match command:
                case Reset():
                    self._seed = self._seed if command.seed is None else command.seed
                    self._start()
                case SetRateLimit():
                    self._per_minute = command.per_minute
                    self._made.clear()
                case _:
                    admin.apply_to_exchange(self._exchange, command)

    def look(self, what: str) -> object:
        """Give a view as JSON-ready data. Raises KeyError for one that does not exist."""
        name, _, of = what.partition("/")
        with self._lock:
            accounts = self._exchange.accounts
            if name == "orders":
                return admin.order_views([accounts[Role(of)]] if of else accounts.values())
            if name == "requests":
                return [entry.to_wire() for entry in self._log]
            if name == "accounts" and of in set(Role):
                return admin.account_view(self._exchange, Role(of))
            if name == "health":
                return {"status": "ok", "seed": self._seed}
        raise KeyError(what)

    def handle(self, request: Request) -> Reply:
        """Take one request, to the broker's API or to the simulator's own."""
        if request.path.startswith(admin.PREFIX):
            return Reply(self._handle_admin(request))
        request = replace(request, path=request.path.removeprefix(_PAPER))
        with self._lock:
            account = self._account(request.headers)
            symbol, client_order_id = _subject(request)
            reply, fault = self._answer(account, request, symbol)
            self._log.append(
                LoggedRequest(
                    sequence=len(self._log) + 1,
                    method=request.method,
                    path=request.path,
                    query=urlencode(request.query),
                    account=account.role if account else None,
                    status=reply.answer.status if reply.ending is Ending.ANSWERED else 0,
                    client_order_id=client_order_id,
                    symbol=symbol,
                    fault=fault.kind if fault else None,
                )
            )
        return reply

    def _handle_admin(self, request: Request) -> Answer:
        if request.method == "GET":
            try:
                return Answer(200, self.look(request.path.removeprefix(admin.PREFIX)))
            except (KeyError, ValueError):
                return refusal(404, 404, f"no such view: {request.path}")
        command = admin.read_command(request)
        if isinstance(command, Answer):
            return command
        self.apply(command)
        return Answer(200, {"done": request.path.removeprefix(admin.PREFIX)})

    def _answer(self, account: SimAccount | None, request: Request, symbol: str | None) -> tuple[Reply, Fault | None]:
        """Answer as the broker would, unless a fault strikes before or after."""
        faults = self._exchange.faults
        occasion = Occasion(account.role if account else None, request.method, request.path, symbol)
        before = faults.take(BEFORE, occasion)
        if before and before.kind is not FaultKind.SLOW:
            return _struck_before(before), before
        if account is None:
            return Reply(refusal(401, _UNAUTHORIZED, "request is not authorized")), before
        headers, is_over = self._counted(account)
        if is_over:
            return Reply(replace(refusal(429, _THROTTLED, "rate limit exceeded"), headers=headers)), before
        answer = api.answer(self._exchange, account, request)
        answer = replace(answer, headers={**answer.headers, **headers})
        after = faults.take(AFTER, occasion) if answer.status in _SUCCESS else None
        reply = _struck_after(after, answer) if after else Reply(answer)
        return replace(reply, after=reply.after + (before.seconds if before else 0)), after or before

    def _account(self, headers: Mapping[str, str]) -> SimAccount | None:
        """Find the account that the request's key and secret open."""
        given = (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))
        return next((a for a in self._exchange.accounts.values() if (a.key, a.secret) == given), None)

    def _counted(self, account: SimAccount) -> tuple[dict[str, str], bool]:
        """Count a request; give the headers that tell of the limit, and whether it is over. It ends by this machine's clock."""
        if self._per_minute is None:
            return {}, False
        now = self._exchange.market.now()
        minute = (account.role, f"{now:%Y-%m-%dT%H:%M}")
        self._made[minute] += 1
        headers = {
            "X-RateLimit-Limit": str(self._per_minute),
            "X-RateLimit-Remaining": str(max(self._per_minute - self._made[minute], 0)),
            "X-RateLimit-Reset": str(ceil(time() + _MINUTE - now.second)),
        }
        return headers, self._made[minute] > self._per_minute


def _struck_before(fault: Fault) -> Reply:
    """Answer for a broker that never looked at the request."""
    match fault.kind:
        case FaultKind.THROTTLE:
            return Reply(refusal(429, _THROTTLED, "rate limit exceeded"))
        case FaultKind.SERVER_ERROR:
            return Reply(refusal(fault.status or _FAILED, 50010000, "internal server error occurred"))
        case _:
            return Reply(Answer(0), fault.seconds if fault.kind is FaultKind.HANG else 0, Ending.DROPPED)


def _struck_after(fault: Fault, answer: Answer) -> Reply:
    """Spoil the answer to a request that took effect."""
    if fault.kind in (FaultKind.DROP_ANSWER, FaultKind.HANG_ANSWER):
        return Reply(answer, fault.seconds, Ending.DROPPED)
    fields = answer.body if isinstance(answer.body, dict) else {}
    bare, missing, means = (fault.status or status for status in (422, 404, 403))
    spoilt = {
        FaultKind.GATEWAY_TIMEOUT: Answer(504, _HTML),
        FaultKind.MALFORMED: Answer(200, _HTML),
        FaultKind.EMPTY: Answer(200, b""),
        FaultKind.REFUSED_IN_CODE: refusal(means, means * _CODES + _FORBIDDEN % _CODES, "insufficient buying power"),
        FaultKind.REFUSED_BY_GATEWAY: refusal(missing, missing, "no such route"),
        FaultKind.REFUSED_BY_PROXY: Answer(missing, _HTML),
        FaultKind.REFUSED_BARELY: Answer(bare, {"message": "unprocessable"}),
        FaultKind.REFUSED_EMPTY: Answer(bare, b""),
        FaultKind.OTHER_QUANTITY: Answer(answer.status, {**fields, "qty": "999"}),
        FaultKind.UNKNOWN_STATUS: Answer(answer.status, {**fields, "status": "pondering"}),
        FaultKind.MISSING_FIELD: Answer(answer.status, {k: v for k, v in fields.items() if k != fault.field}),
    }
    return Reply(spoilt[fault.kind])


def _subject(request: Request) -> tuple[str | None, str | None]:
    """Tell the symbol and client order id that a request names."""
    fields: Mapping[str, object] = request_json(request.body) if request.method == "POST" else request.query
    symbol = fields.get("symbol") or fields.get("symbols")
    client_order_id = fields.get("client_order_id")
    parts = request.path.split("/")
    if symbol is None and len(parts) > 3 and parts[2] in {"positions", "assets", "stocks"}:  # noqa: PLR2004 - /v2/x/SYMBOL
        symbol = unquote(parts[3])
    return (
        symbol if isinstance(symbol, str) else None,
        client_order_id if isinstance(client_order_id, str) else None,
    )
