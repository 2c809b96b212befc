"""Business Unit: local cloud | Status: current.

Keep web pages out. A page that a developer reads can send requests to loopback; without this it could deploy a function here,
which runs as the developer. A request is answered only if it names this machine as its host (a page that rebinds a name of its
own to loopback cannot), comes from no page, and bears the token of this run, which no page can know.

Standard library only: the emulator's interpreter loads it, and the broker simulator does too.
"""

from __future__ import annotations

import hmac
import importlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

TOKEN_VARIABLE = "SHADOW_LOCAL_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_HEADER = "x-amz-security-token"  # noqa: S105 - the name of a header; every AWS client sends its session token in it
_TOKEN_PARAMETER = "X-Amz-Security-Token"  # noqa: S105 - the same in a signed address
_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_OF_PAGES = ("origin", "referer", "access-control-request-method")
_FETCHED = "sec-fetch-"
_OPEN_TO_ALL = ("GET", "/_ministack/ready")
_OWN_PATHS = "/_ministack/"

Headers = Sequence[tuple[str, str]]
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def stranger(target: str, headers: Headers) -> str | None:
    """Say why a request is a page's, or is for another host; None for a request of a program on this machine.

    `target` is the request's target as it was sent. Names of headers are in lower case.
    """
    if not target.startswith("/") or target.startswith("//"):
        return "expected a path as the request's target"
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) != 1 or not _is_loopback(hosts[0]):
        return "expected this machine (127.0.0.1, localhost or [::1]) as the request's host"
    if any(name in _OF_PAGES or name.startswith(_FETCHED) for name, _value in headers):
        return "expected a program's request, was a web page's"
    return None


def bears(token: str, headers: Headers, query: str = "", issued: Iterable[str] = ()) -> bool:
    """Tell whether a request bears `token`, or one of those `issued`: once, in its header or in its signed address."""
    found = [value for name, value in headers if name == _TOKEN_HEADER] or parse_qs(query).get(_TOKEN_PARAMETER, [])
    if len(found) != 1 or not found[0]:
        return False
    return any(hmac.compare_digest(found[0].encode(), known.encode()) for known in (token, *issued) if known)


def token_header(token: str) -> Mapping[str, str]:
    """Give the header in which a request bears `token`."""
    return {_TOKEN_HEADER: token}


def guard_emulator(token: str) -> None:
    """Put the emulator's application behind these rules. Raises AttributeError where the emulator is built otherwise."""
    emulator: Any = importlib.import_module("ministack.app")
    sessions: Any = importlib.import_module("ministack.services.sts")._sessions  # noqa: SLF001 - the tokens of the functions' roles
    inner: App = emulator.app

    def issued() -> list[str]:
        return [str(session.get("SessionToken", "")) for session in list(sessions.values())] if emulator.AUTH else []

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - the emulator's own types
        if scope["type"] == "lifespan":
            await inner(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif (refusal := _refusal(scope, token, issued)) is not None:
            await _refuse(send, refusal)
        else:
            await inner(scope, receive, send)

    emulator.app = guarded


def _refusal(scope: Mapping[str, Any], token: str, issued: Callable[[], Iterable[str]]) -> str | None:
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    why = stranger(scope["raw_path"].decode("latin-1"), headers)
    if why is not None or (scope["method"], scope["path"]) == _OPEN_TO_ALL:
        return why
    theirs = () if scope["path"].startswith(_OWN_PATHS) else issued()
    if bears(token, headers, scope["query_string"].decode("latin-1"), theirs):
        return None
    return "expected the token of this local cloud (AWS_SESSION_TOKEN, from `cloud.json` in its folder)"


async def _refuse(send: Callable[[dict[str, Any]], Awaitable[None]], why: str) -> None:
    body = f"local cloud: {why}\n".encode()
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _is_loopback(host: str) -> bool:
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name = host
    return name.lower() in _NAMES and (not colon or port.isdigit())
