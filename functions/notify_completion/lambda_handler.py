"""Business Unit: execution | Status: current.

Mail what a finished run did. Answers a `NotificationReceipt`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import CompletionEnvironment
from shadow.aws.observability import emit
from shadow.contracts.vocabulary import Metric
from shadow.contracts.workflow import CompletionNotice, NotificationReceipt
from shadow.execution.mails import RunNames, completion_mail


@cache
def _environment() -> CompletionEnvironment:
    return CompletionEnvironment.load()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Notify of one finished run; raises InvalidPayload and NotificationUnavailable."""
    del context
    notice = CompletionNotice.parse(event)
    environment = _environment()
    mail = completion_mail(notice.summary, RunNames.of(notice, environment.stage, environment.execution_mode))
    try:
        message_id = environment.notifier().send(mail.subject, mail.body)
    except Exception:
        emit({Metric.NOTIFICATION_FAILURES: 1})
        raise
    return NotificationReceipt(status="SENT", message_id=message_id).to_wire()
