"""Business Unit: AWS adapters | Status: current.

Mail to the people who trade, through the notification topic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadow.aws.errors import transient_as
from shadow.execution.errors import NotificationUnavailable

if TYPE_CHECKING:
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
