"""What a web page can send to loopback is refused by the local cloud's two servers; what a program sends is not."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.emulator_side import strangers

TOKEN = "a-token-of-this-run"
OURS = (("host", "127.0.0.1:4566"), ("x-amz-security-token", TOKEN))

HOSTILE = {
    "another name that was rebound": ("/", [("host", "evil.example:4566")]),
    "a name that begins like ours": ("/", [("host", "127.0.0.1.evil.example:4566")]),
    "a name that ends like ours": ("/", [("host", "evil-localhost:4566")]),
    "a bucket's name before ours": ("/", [("host", "evil.localhost:4566")]),
    "user and host": ("/", [("host", "127.0.0.1@evil.example")]),
    "another IPv6 address": ("/", [("host", "[::ffff:7f00:1]:4566")]),
    "an IPv6 address without brackets": ("/", [("host", "::1")]),
    "all interfaces": ("/", [("host", "0.0.0.0:4566")]),
    "a number for loopback": ("/", [("host", "2130706433:4566")]),
    "a port that is none": ("/", [("host", "localhost:x")]),
    "no host": ("/", []),
    "two hosts": ("/", [("host", "127.0.0.1"), ("host", "evil.example")]),
    "an absolute target": ("http://evil.example/", [("host", "127.0.0.1:4566")]),
    "a target that names a host": ("//evil.example/", [("host", "127.0.0.1:4566")]),
    "a target of a preflight for all": ("*", [("host", "127.0.0.1:4566")]),
    "a page's origin": ("/", [("host", "127.0.0.1:4566"), ("origin", "https://evil.example")]),
    "an origin on another port": ("/", [("host", "127.0.0.1:4566"), ("origin", "http://127.0.0.1:8000")]),
    "the very same origin": ("/", [("host", "127.0.0.1:4566"), ("origin", "http://127.0.0.1:4566")]),
    "an origin that is hidden": ("/", [("host", "127.0.0.1:4566"), ("origin", "null")]),
    "an empty origin": ("/", [("host", "127.0.0.1:4566"), ("origin", "")]),
    "a page's referrer": ("/", [("host", "127.0.0.1:4566"), ("referer", "https://evil.example/")]),
    "a picture of a page": ("/", [("host", "127.0.0.1:4566"), ("sec-fetch-site", "cross-site")]),
    "a preflight": ("/", [("host", "127.0.0.1:4566"), ("access-control-request-method", "PUT")]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_is_a_stranger_even_with_the_token(name: str) -> None:
    target, headers = HOSTILE[name]
    assert strangers.stranger(target, [*headers, ("x-amz-security-token", TOKEN)]) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:4566", "localhost:1", "LOCALHOST", "[::1]", "[::1]:4566"])
def test_a_program_on_this_machine_is_none(host: str) -> None:
    assert strangers.stranger("/bucket/key?x=1", [("host", host), ("content-type", "text/plain")]) is None


@given(st.text(max_size=20) | st.sampled_from([TOKEN, TOKEN[:-1], TOKEN + " "]), st.booleans())
def test_only_the_very_token_is_the_token(said: str, signed: bool) -> None:  # noqa: FBT001 - drawn
    headers = [] if signed else [("x-amz-security-token", said)]
    if signed and said != TOKEN:
        return
    assert strangers.bears(TOKEN, headers, f"X-Amz-Security-Token={said}" if signed else "") == (said == TOKEN)


def test_two_tokens_are_none_and_no_token_is_not_an_empty_one() -> None:
    assert not strangers.bears(TOKEN, [*OURS[1:], *OURS[1:]])
    assert not strangers.bears("", [("x-amz-security-token", "")])
    assert not strangers.bears("", [])


class Emulator:
    """What stands behind the rules: it remembers what reached it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, auth: bool = False) -> None:
        self.reached: list[str] = []
        application, sts = ModuleType("ministack.app"), ModuleType("ministack.services.sts")
        application.__dict__.update(app=self._app, AUTH=auth)
        sts.__dict__["_sessions"] = {"ASIA": {"SessionToken": "of-a-role"}}
        for module in (ModuleType("ministack"), ModuleType("ministack.services"), application, sts):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        strangers.guard_emulator(TOKEN)
        self._guarded = application.__dict__["app"]

    async def _app(self, scope: dict[str, Any], _receive: Any, send: Any) -> None:
        self.reached.append(scope["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def ask(self, method: str = "POST", path: str = "/", *, token: str = TOKEN, kind: str = "http") -> dict[str, Any]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"Host", b"127.0.0.1:1"), *([(b"X-Amz-Security-Token", token.encode())] if token else [])]
        scope = {"type": kind, "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
        asyncio.run(self._guarded(scope, None, send))
        return sent[0]


def test_the_emulator_answers_who_bears_the_token_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator(monkeypatch)
    assert emulator.ask()["status"] == 200
    for method, token in (("POST", ""), ("POST", "another"), ("POST", "of-a-role"), ("OPTIONS", ""), ("GET", "")):
        refused = emulator.ask(method, token=token)
        assert refused["status"] == 403
        assert not any(name.startswith(b"access-control") for name, _value in refused["headers"])
    assert emulator.ask("GET", "/_ministack/ready", token="")["status"] == 200
    assert emulator.ask("POST", "/_ministack/ready", token="")["status"] == 403
    assert emulator.ask(kind="websocket") == {"type": "websocket.close", "code": 1008}
    assert emulator.reached == ["http", "http"]


def test_a_function_under_its_role_is_answered_but_resets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator(monkeypatch, auth=True)
    assert emulator.ask(token="of-a-role")["status"] == 200
    assert emulator.ask(path="/_ministack/reset", token="of-a-role")["status"] == 403
    assert emulator.ask(path="/_ministack/reset")["status"] == 200
