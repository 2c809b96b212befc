"""The exchange's rules against the exchange's calendar."""

from __future__ import annotations

from datetime import date, timedelta

from reports.trading_calendar import is_trading_day
from shadow.evidence.trading_days import is_exchange_open

UNFORESEEN = {date(2025, 1, 9)}  # a day of mourning


def test_the_rules_and_the_calendar_agree_on_every_day() -> None:
    days = [date(2020, 1, 2) + timedelta(days=ahead) for ahead in range(365 * 7)]
    assert {day for day in days if is_exchange_open(day) is not is_trading_day(day)} == UNFORESEEN
