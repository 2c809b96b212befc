"""Business Unit: local cloud | Status: current.

Time and prices. Both follow from what the simulator was told: never from the machine's clock, unless it was told to run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from local.broker_simulator.values import SetClock, SetDay, SetTape, Shown

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
_OPEN, _CLOSE, _HALF_CLOSE = time_of_day(9, 30), time_of_day(16), time_of_day(13)
_BEFORE_CLOSE = timedelta(minutes=15)
_FIRST_DAY = date(2026, 1, 5)
_BPS = Decimal(10_000)
_SATURDAY = 5
_LONGEST_CLOSURE = 10


@dataclass(frozen=True, slots=True)
class Prices:
    """A symbol's bid, ask and middle, USD a share."""

    bid: Decimal
    ask: Decimal
    mid: Decimal


@dataclass(frozen=True, slots=True)
class Session:
    """One day's regular session."""

    day: date
    opens: datetime
    closes: datetime


class Market:
    """What both accounts see of the market."""

    def __init__(self) -> None:
        """Start on a Monday, open, without any symbol."""
        self.day = _FIRST_DAY
        self.closes: dict[str, Decimal] = {}
        self.previous_closes: dict[str, Decimal] = {}
        self.spreads: dict[str | None, Decimal] = {None: Decimal(10)}
        self._tape: dict[str, Shown] = {}
        self._half_days: set[date] = set()
        self._at = self._session(self.day).closes - _BEFORE_CLOSE
        self._open: bool | None = None
        self._running_since: float | None = None

    def set_day(self, command: SetDay) -> None:
        """Move to another day: 15 minutes before its close, with its closing prices."""
        self.previous_closes = {**self.previous_closes, **self.closes}
        self.closes = {**self.closes, **command.closes}
        self.day = command.day
        if command.half_day:
            self._half_days.add(command.day)
        self._tape.clear()
        self.set_clock(SetClock(at=self._session(command.day).closes - _BEFORE_CLOSE, is_open=True))

    def set_tape(self, command: SetTape) -> None:
        """Show exactly these quotes, and know no other symbol."""
        self.day = command.day
        self.closes = {symbol: (shown.bid + shown.ask) / 2 for symbol, shown in command.quotes.items()}
        self._tape = dict(command.quotes)
        at = command.at or self._session(command.day).closes - _BEFORE_CLOSE
        self.set_clock(SetClock(at=at, is_open=command.is_open))

    def set_clock(self, command: SetClock) -> None:
        """Set the time, whether the market is open, and whether time passes."""
        self._at = command.at or self.now()
        self._open = command.is_open
        self._running_since = time.monotonic() if command.running else None

    def now(self) -> datetime:
        """Give the simulated time, New York."""
        passed = 0.0 if self._running_since is None else time.monotonic() - self._running_since
        return (self._at + timedelta(seconds=passed)).astimezone(NEW_YORK)

    def is_open(self) -> bool:
        """Whether the regular session is open."""
        if self._open is not None:
            return self._open
        now = self.now()
        session = self._session(now.date())
        return _trades(now.date()) and session.opens <= now < session.closes

    def next_open(self) -> datetime:
        """Give the next opening after now."""
        return min(session.opens for session in self._coming() if session.opens > self.now())

    def next_close(self) -> datetime:
        """Give the next close after now."""
        return min(session.closes for session in self._coming() if session.closes > self.now())

    def sessions(self, start: date, end: date) -> list[Session]:
        """Give the sessions from `start` to `end`, both included: every weekday, half days as told."""
        days = (start + timedelta(days=n) for n in range((end - start).days + 1))
        return [self._session(day) for day in days if _trades(day)]

    def knows(self, symbol: str) -> bool:
        """Whether the symbol has a price."""
        return symbol in self.closes

    def prices(self, symbol: str) -> Prices | None:
        """Give what there is to see of `symbol`; None when there is no price."""
        close = self.closes.get(symbol)
        if close is None:
            return None
        if symbol in self._tape:
            shown = self._tape[symbol]
            return Prices(shown.bid, shown.ask, (shown.bid + shown.ask) / 2)
        half = close * self.spreads.get(symbol, self.spreads[None]) / _BPS / 2
        bid = max((close - half).quantize(CENT, ROUND_HALF_EVEN), CENT)
        ask = max((close + half).quantize(CENT, ROUND_HALF_EVEN), bid)
        return Prices(bid, ask, (bid + ask) / 2)

    def _session(self, day: date) -> Session:
        closes = _HALF_CLOSE if day in self._half_days else _CLOSE
        return Session(day, datetime.combine(day, _OPEN, tzinfo=NEW_YORK), datetime.combine(day, closes, tzinfo=NEW_YORK))

    def _coming(self) -> list[Session]:
        today = self.now().date()
        return self.sessions(today, today + timedelta(days=_LONGEST_CLOSURE))


def _trades(day: date) -> bool:
    return day.weekday() < _SATURDAY
