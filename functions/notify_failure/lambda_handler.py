"""Business Unit: execution | Status: current.

Mail why a run was stopped by a safety rule, or broke. Answers a `NotificationReceipt`; WorkflowFailed is the effect of a
safety rule.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from shadow.aws.candidate import NotifyEnvironment
from shadow.aws.observability import emit
from shadow.contracts.vocabulary import Metric
from shadow.contracts.workflow import FailureNotice, NotificationReceipt
from shadow.execution.mails import RunNames, effects_of_failure, mail_of_failure
from shadow.execution.ports import SystemClock


@cache
def _environment() -> NotifyEnvironment:
    return NotifyEnvironment.load()


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Notify of one stopped or broken run; raises InvalidPayload, StateUnavailable and NotificationUnavailable."""
    del context
    notice = FailureNotice.parse(event)
    environment = _environment()
    mail = mail_of_failure(notice, RunNames.of(notice, environment.stage, environment.execution_mode))
    for effect in effects_of_failure(notice, SystemClock().now()):
        environment.effects().apply(effect, notice.named("planId"))
    try:
        message_id = environment.notifier().send(mail.subject, mail.body)
    except Exception:
        emit({Metric.NOTIFICATION_FAILURES: 1})
        raise
    return NotificationReceipt(status="SENT", message_id=message_id).to_wire()
