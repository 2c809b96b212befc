"""The exchange's rules against the exchange's calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from reports.data.trading_calendar import close_of, is_trading_day, trading_days
from shadow.contracts.errors import InvalidPayload
from shadow.settlement.sweeper import is_exchange_open

UNFORESEEN = {date(2025, 1, 9)}  # a day of mourning


def test_the_rules_and_the_calendar_agree_on_every_day() -> None:
    days = [date(2020, 1, 2) + timedelta(days=ahead) for ahead in range(365 * 7)]
    assert {day for day in days if is_exchange_open(day) is not is_trading_day(day)} == UNFORESEEN


@pytest.mark.parametrize("day", [date(1999, 1, 4), date(2099, 1, 5), date(9999, 12, 31), date.min])
def test_a_day_that_the_calendar_does_not_reach_is_refused_by_name(day: date) -> None:
    for ask in (is_trading_day, close_of, lambda asked: trading_days(asked, asked)):
        with pytest.raises(InvalidPayload, match=r"day: expected a day from 2020-01-01 to "):
            ask(day)
