"""Business Unit: reports | Status: current.

Write, archive and mail the divergence report of a trading day: today's in New York unless the event names one. On a day
without trading nothing is sent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import ConfigDict, JsonValue

from reports.daily.composition import DailyReportEnvironment, Publisher, publisher_from
from reports.data.trading_calendar import is_trading_day, report_day
from shadow.aws.observability import logger
from shadow.contracts.model import Frozen


class _Call(Frozen):
    model_config = ConfigDict(extra="ignore")

    day: JsonValue = None


@cache
def _publisher() -> Publisher:
    return publisher_from(DailyReportEnvironment.load())


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Publish the report of `event["day"]` (YYYY-MM-DD) or of today.

    Raises `InvalidPayload` for a day that is none, `UnreadableDocument`, and `MailRefused` once the page is archived.
    """
    del context
    now = datetime.now(UTC)
    day = report_day(_Call.parse(event).day, now)
    if not is_trading_day(day):
        logger().info("no trading day, nothing is sent", extra={"day": str(day)})
        return {"status": "NO_TRADING_DAY", "day": str(day)}
    published = _publisher().publish(day, now)
    logger().info("report published", extra={"day": str(day), "verdict": published.report.verdict.value})
    return {
        "status": "MAILED" if published.message_id else "ARCHIVED",
        "day": str(day),
        "verdict": published.report.verdict.value,
        "readiness": published.report.readiness.readiness.value,
        "pageKey": published.page_key,
        "messageId": published.message_id,
        "weekMessageId": published.week_id,
    }
