"""Business Unit: AWS adapters | Status: current.

Mail to the people who trade, through the notification topic.

A webhook of Slack or Teams. Its address is a secret, because whoever has it can write there: it is read by the secret's name,
used over https only, and shown nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from shadow.aws.clients import transient_as
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.model import Frozen
from shadow.execution.ports import NotificationUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient


class SnsNotifier:
    """Mail to the people who trade, over one SNS topic."""

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        """Publish to the topic."""
        self._client = client
        self._topic = topic_arn

    def send(self, subject: str, body: str) -> str:
        """Publish a mail; give SNS's message id. Raises NotificationUnavailable when SNS may answer later."""
        with transient_as(NotificationUnavailable):
            return self._client.publish(TopicArn=self._topic, Subject=subject, Message=body)["MessageId"]


SECONDS = 3.0
"""How long a webhook may take to answer."""
_CARD = "application/vnd.microsoft.card.adaptive"


class Webhook(Frozen):
    """The secret's JSON: `{"url": "https://…", "format": "slack"}`, or `"teams"`."""

    url: str
    format: Literal["slack", "teams"]


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Sends messages to a webhook. `read` gives its secret; `post` sends a body to an address and gives the answer's status."""

    read: Callable[[], Webhook]
    post: Callable[[str, bytes], int]

    def send(self, title: str, text: str) -> None:
        """Post one message. Raises ConfigurationError for an address that is not https, OSError for no answer or a refusal."""
        hook = self.read()
        refuse_unsafe_address(hook.url)
        status = self.post(hook.url, json.dumps(body_of(hook.format, title, text)).encode())
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's range of success
            raise OSError(f"webhook: expected a success, was status {status}")


def refuse_unsafe_address(url: str) -> None:
    """Refuse what is not https, or names a user. Raises ConfigurationError, which does not show the address."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ConfigurationError("webhook secret: expected an https address without a user, was something else")


def body_of(form: Literal["slack", "teams"], title: str, text: str) -> Mapping[str, object]:
    """Give the JSON that Slack's or Teams' webhooks take, in which the text stands as it is: no markup, no mention, no link."""
    if form == "slack":
        blocks = [{"type": "section", "text": {"type": "plain_text", "text": part, "emoji": False}} for part in _parts(text)]
        return {"text": _without_markup(title), "blocks": blocks, "unfurl_links": False}
    lines = [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line or " "}]} for line in text.split("\n")]
    card = {"type": "AdaptiveCard", "version": "1.4", "body": lines}
    return {"type": "message", "attachments": [{"contentType": _CARD, "content": card}]}


def read_webhook(client: SecretsManagerClient, secret_id: str) -> Webhook:
    """Read the secret. Raises ConfigurationError that never shows it, and botocore's errors."""
    text = client.get_secret_value(SecretId=secret_id).get("SecretString", "")
    try:
        return Webhook.model_validate_json(text)
    except ValueError:
        raise ConfigurationError(f'secret {secret_id}: expected JSON {{"url": …, "format": …}}, was something else') from None


def https_post(url: str, body: bytes) -> int:
    """Post JSON to an https address, following no redirect; give the answer's status. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("POST", target, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def _parts(text: str, size: int = 3_000) -> list[str]:
    """Cut a text into the lengths that a block of Slack may have; at most 40 of them."""
    return [text[at : at + size] for at in range(0, len(text), size)][:40]


def _without_markup(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
