"""Business Unit: local cloud | Status: current.

Closing prices from a CSV file, exact, with every faulty line named: what the demo's plans are made from.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, ValidationError

from reports.data.trading_calendar import close_of, is_trading_day
from shadow.contracts.errors import FieldFault, ShadowError, faults_of
from shadow.contracts.model import Exact, Frozen, Symbol

COLUMNS = ("date", "symbol", "close")
PUBLISHED_BEFORE_CLOSE = timedelta(minutes=15)
_SHOWN_FAULTS = 20
_BUNDLED = Path(__file__).parent / "data" / "closing_prices.csv"


class InvalidPrices(ShadowError):
    """A file of prices that cannot be used. Carries every faulty line (the first 20 are told)."""

    def __init__(self, source: str, faults: Iterable[FieldFault]) -> None:
        """Remember the faults of `source`."""
        self.faults = tuple(faults)
        told = "; ".join(str(fault) for fault in self.faults[:_SHOWN_FAULTS])
        more = len(self.faults) - _SHOWN_FAULTS
        super().__init__(f"{source}: {told}" + (f"; and {more} more" if more > 0 else ""))


def _above_zero(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("expected a price above 0")
    return value


def _trading_day(value: date) -> date:
    if not is_trading_day(value):
        raise ValueError("expected a trading day of the exchange")
    return value


class _Line(Frozen):
    date: Annotated[date, AfterValidator(_trading_day)]
    symbol: Symbol
    close: Annotated[Exact, AfterValidator(_above_zero)]


@dataclass(frozen=True, slots=True)
class ClosingPrices:
    """The closes of one day after another, USD a share: `closes[day][symbol]`. Every day has every symbol."""

    closes: Mapping[date, Mapping[str, Decimal]]

    @property
    def days(self) -> tuple[date, ...]:
        """The trading days, oldest first."""
        return tuple(self.closes)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in alphabetical order."""
        return tuple(sorted(next(iter(self.closes.values()))))

    def before(self, day: date, count: int) -> tuple[Mapping[str, Decimal], ...]:
        """Give the closes of the `count` days up to `day`, itself included. Raises ValueError where there are fewer."""
        days = [each for each in self.days if each <= day]
        if len(days) < count or days[-1] != day:
            raise ValueError(f"prices: expected {count} days up to {day}, was {len(days)}")
        return tuple(self.closes[each] for each in days[-count:])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a CSV file with the columns date, symbol, close. Raises InvalidPrices that names every faulty line."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidPrices(str(path), [FieldFault("(whole)", "a readable file", error.strerror or "none")]) from None
        except UnicodeDecodeError:
            raise InvalidPrices(str(path), [FieldFault("(whole)", "UTF-8 text", "something else")]) from None
        return cls.parse(text, str(path))

    @classmethod
    def bundled(cls) -> Self:
        """Read the prices that come with the project (see `local/data/README.md`)."""
        return cls.parse(_BUNDLED.read_text(encoding="utf-8"), _BUNDLED.name)

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read CSV `text`. Raises InvalidPrices that names every faulty line."""
        rows = csv.reader(StringIO(text))
        header = tuple(name.strip().lower() for name in next(rows, []))
        if header != COLUMNS:
            raise InvalidPrices(
                source, [FieldFault("line 1", f"the columns {', '.join(COLUMNS)}", ", ".join(header) or "nothing")]
            )
        faults: list[FieldFault] = []
        closes: dict[date, dict[str, Decimal]] = {}
        for number, row in enumerate(rows, start=2):
            if not row:
                continue
            line = _line(row, number, faults)
            if line is not None and line.symbol in closes.setdefault(line.date, {}):
                faults.append(FieldFault(f"line {number}", "one price a day and symbol", f"{line.symbol} on {line.date} again"))
            elif line is not None:
                closes[line.date][line.symbol] = line.close
        faults += _gaps(closes)
        if faults:
            raise InvalidPrices(source, faults)
        return cls(MappingProxyType({day: MappingProxyType(closes[day]) for day in sorted(closes)}))


def publication_time(day: date) -> datetime:
    """Tell when the plan of trading day `day` is made: 15 minutes before the close, half days too, New York time."""
    return close_of(day) - PUBLISHED_BEFORE_CLOSE


def _line(row: list[str], number: int, faults: list[FieldFault]) -> _Line | None:
    """Read one row; None, and what is wrong with it in `faults`, where it cannot be read."""
    if len(row) != len(COLUMNS):
        faults.append(FieldFault(f"line {number}", f"{len(COLUMNS)} values", str(len(row))))
        return None
    try:
        return _Line.model_validate(dict(zip(COLUMNS, (value.strip() for value in row), strict=True)))
    except ValidationError as error:
        faults += [FieldFault(f"line {number}, {fault.field}", fault.expected, fault.found) for fault in faults_of(error)]
        return None


def _gaps(closes: Mapping[date, Mapping[str, Decimal]]) -> list[FieldFault]:
    """Name every price that is missing: a plan cannot be made of a day that lacks one."""
    if not closes:
        return [FieldFault("(whole)", "at least one price", "none")]
    symbols = {symbol for day in closes.values() for symbol in day}
    return [
        FieldFault(f"{day}", f"a close of {symbol}", "none")
        for day in sorted(closes)
        for symbol in sorted(symbols - set(closes[day]))
    ]
