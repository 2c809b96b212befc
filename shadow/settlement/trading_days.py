"""Business Unit: evidence | Status: current.

Which days the New York Stock Exchange trades on, by its own rules (NYSE rule 7.2), so that the sweeper can miss a day without
carrying a calendar library. Closures that no rule foresees (mourning, storms) count as trading days: they cost one alarm that a
person can explain. Held against the exchange's calendar by the tests; the reports use that calendar itself.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

_SATURDAY, _SUNDAY = 5, 6
_MONDAY, _THURSDAY = 0, 3
_FIRST_JUNETEENTH = 2022
_LATE_MOON, _LATE_YEAR = 28, 10


def is_exchange_open(day: date) -> bool:
    """Tell whether the exchange trades on `day`, as far as its rules say."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[date]:
    """Give the year's holidays as they are kept: a Sunday's on Monday, a Saturday's on Friday, unless that ends a year."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= _FIRST_JUNETEENTH:
        fixed.append(date(year, 6, 19))
    new_year = date(year, 1, 1)
    return frozenset(
        [
            new_year + timedelta(days=new_year.weekday() == _SUNDAY),
            *(_observed(day) for day in fixed),
            _nth(year, 1, _MONDAY, 3),
            _nth(year, 2, _MONDAY, 3),
            _easter(year) - timedelta(days=2),
            _nth(year, 6, _MONDAY, 1) - timedelta(days=7),
            _nth(year, 9, _MONDAY, 1),
            _nth(year, 11, _THURSDAY, 4),
        ]
    )


def _observed(day: date) -> date:
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _easter(year: int) -> date:
    """Compute Easter Sunday of the Gregorian calendar (Gauss, as corrected; valid from 1900 to 2099)."""
    moon = (19 * (year % 19) + 24) % 30
    sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * moon + 5) % 7
    ahead = moon + sunday
    if (moon, sunday) in ((29, 6), (28, 6)) and (moon > _LATE_MOON or year % 19 > _LATE_YEAR):
        ahead -= 7
    return date(year, 3, 22) + timedelta(days=ahead)
