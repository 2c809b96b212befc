"""Business Unit: reports | Status: current.

Trading days of the New York Stock Exchange, half days included. The exchange's own calendar (XNYS of exchange_calendars)
decides; nothing here knows a holiday. Times are zoned.
"""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta
from functools import cache, lru_cache

import exchange_calendars
import pandas as pd

from shadow.contracts.errors import FieldFault, InvalidPayload, ShadowError
from shadow.contracts.words import MARKET_ZONE

FIRST_DAY = "2020-01-01"
_LOOK_BACK = timedelta(days=14)
_NORMAL_CLOSE_HOUR = 16


@cache
def _exchange() -> exchange_calendars.ExchangeCalendar:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pandas, about exchange_calendars' own code
        return exchange_calendars.get_calendar("XNYS", start=FIRST_DAY)


def is_trading_day(day: date) -> bool:
    """Tell whether the exchange opens on `day`. Raises `InvalidPayload` for a day that its calendar does not reach."""
    _check(day)
    return bool(_exchange().is_session(pd.Timestamp(day)))


def close_of(day: date) -> datetime:
    """Give the close of trading day `day`, New York time. Raises ValueError where the exchange does not open."""
    if not is_trading_day(day):
        raise ValueError(f"day: expected a trading day of the exchange, was {day}")
    close: datetime = _exchange().session_close(pd.Timestamp(day)).to_pydatetime()
    return close.astimezone(MARKET_ZONE)


def _check(day: date) -> None:
    """Refuse a day out of the calendar, by its name: the library would answer in an error of its own."""
    first, last = date.fromisoformat(FIRST_DAY), _exchange().last_session.date()
    if not first <= day <= last:
        raise InvalidPayload("calendar", [FieldFault("day", f"a day from {first} to {last}", str(day))])


def is_half_day(day: date) -> bool:
    """Tell whether trading day `day` closes early."""
    return close_of(day).hour < _NORMAL_CLOSE_HOUR


@lru_cache(maxsize=4096)
def trading_days(first: date, last: date) -> tuple[date, ...]:
    """List the trading days from `first` to `last`, both included. Raises `InvalidPayload` for days out of the calendar."""
    _check(first)
    _check(last)
    return tuple(stamp.date() for stamp in _exchange().sessions_in_range(pd.Timestamp(first), pd.Timestamp(last)))


def trading_days_before(day: date, count: int) -> tuple[date, ...]:
    """List the last `count` trading days up to `day`, itself included where it is one."""
    first = day - timedelta(days=count * 2) - _LOOK_BACK
    return trading_days(max(first, date.fromisoformat(FIRST_DAY)), day)[-count:]


def last_closed_day(now: datetime) -> date:
    """Give the last trading day that has closed at `now`."""
    today = now.astimezone(MARKET_ZONE).date()
    days = trading_days(today - _LOOK_BACK, today)
    return next(day for day in reversed(days) if close_of(day) <= now)


def report_day(asked: object, now: datetime) -> date:
    """Read the day that a report is asked for (YYYY-MM-DD); None means today in New York. Raises `InvalidPayload`."""
    if asked is None:
        return now.astimezone(MARKET_ZONE).date()
    try:
        return date.fromisoformat(asked if isinstance(asked, str) else "")
    except ValueError:
        raise InvalidPayload("event", [FieldFault("day", "a date such as 2026-11-24", repr(asked))]) from None


class NoTradingDay(ShadowError):
    """A report was asked for a day on which the exchange does not open."""

    def __init__(self, day: date) -> None:
        """Remember the `day`."""
        self.day = day
        super().__init__(f"{day} is no trading day of the exchange")
