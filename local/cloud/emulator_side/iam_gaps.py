"""Business Unit: local cloud | Status: current.

What the emulator does not know when it decides whether a role may do something, and AWS does: that a connection is encrypted (a
loopback one counts as such, the emulator having no certificate), which identity sends a mail, and whether a write to S3 may
overwrite. This module runs in the emulator's environment.
"""

from __future__ import annotations

import base64
import importlib
import threading
from collections.abc import Callable, Mapping
from email import message_from_bytes
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qs

_LOOPBACK = "127.0.0.1"


class _Mail(threading.local):
    """The mail that this thread's request sends."""

    sender = ""


_mail = _Mail()


def close_all() -> None:
    """Tell the emulator all three. Raises AttributeError when it decides elsewhere now."""
    evaluator: Any = importlib.import_module("ministack.core.iam_evaluator")
    application: Any = importlib.import_module("ministack.app")
    actions: Any = importlib.import_module("ministack.core.iam_actions")
    pin: Callable[[str, bool], None] = evaluator.pin_request_origin
    enforce: Callable[..., Any] = evaluator.enforce
    resource: Callable[..., str] = actions.extract_resource_arn
    object_keys: Callable[..., dict[str, str]] = actions.s3_service_context

    def pinning(source_ip: str, secure_transport: bool) -> None:  # noqa: FBT001 - the emulator's own signature
        pin(source_ip, secure_transport or source_ip == _LOOPBACK)

    def resource_of(service: str, method: str, path: str, headers: Any, body: bytes, *rest: str) -> str:  # noqa: ANN401
        found = resource(service, method, path, headers, body, *rest)
        _mail.sender = sender_of(body) if service == "ses" else ""
        if not _mail.sender:
            return found
        region, account = rest[-2:]
        return f"arn:aws:ses:{region}:{account}:identity/{_mail.sender}"

    def enforcing(access_key: str, action: str, service: str, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
        if service == "ses" and _mail.sender:
            named["service_context"] = {**(named.get("service_context") or {}), "ses:FromAddress": _mail.sender}
        return enforce(access_key, action, service, *rest, **named)

    def keys_of(action: str, query: Any, path: str = "", headers: Any = None) -> dict[str, str]:  # noqa: ANN401
        written = write_keys(query or {}, headers or {}) if action == "s3:PutObject" else {}
        return {**object_keys(action, query, path, headers), **written}

    application.pin_request_origin = pinning
    actions.extract_resource_arn, actions.s3_service_context = resource_of, keys_of
    evaluator.enforce = enforcing


def write_keys(query: Mapping[str, object], headers: Mapping[str, str]) -> dict[str, str]:
    """Give the condition keys of a write to S3: its `If-None-Match`, and whether it makes an object.

    The start of an upload in parts does not, nor does a part: neither takes the condition, and the completion does.
    """
    condition = next((value for name, value in headers.items() if name.lower() == "if-none-match"), None)
    keys = {"s3:ObjectCreationOperation": "false" if {"uploads", "partNumber"} & set(query) else "true"}
    return keys if condition is None else {**keys, "s3:if-none-match": condition}


def sender_of(body: bytes) -> str:
    """Give the address that a call of SendRawEmail sends from: its Source, else the message's From; empty for other calls."""
    fields = parse_qs(body.decode("utf-8", errors="replace"))
    source = fields.get("Source", [""])[0]
    if not source and "RawMessage.Data" in fields:
        source = str(message_from_bytes(base64.b64decode(fields["RawMessage.Data"][0]))["From"])
    return parseaddr(source)[1]
