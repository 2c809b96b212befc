"""Business Unit: reports | Status: current.

What can go wrong while reports read what was stored. Every error names the document and, where there is one, the field.

ShadowError
└── ReportsError
    ├── UnreadableDocument    a stored document does not keep its contract
    ├── UnreachableSource     the store, folder, file or table can't be read
    ├── MailRefused           the mail service did not take the report
    └── NoTradingDay          the exchange does not open on that day
"""

from __future__ import annotations

from datetime import date

from shadow.contracts.errors import ShadowError


class ReportsError(ShadowError):
    """The root of what reports raise."""


class UnreadableDocument(ReportsError):
    """A stored document does not keep its contract: which one, which field, what was expected or found."""

    def __init__(self, document: str, field: str, problem: str) -> None:
        """Remember the `document`'s name, the `field` (`$` is the whole) and the `problem`."""
        self.document = document
        self.field = field
        self.problem = problem
        super().__init__(f"{document}: {field}: {problem}")

    def __reduce__(self) -> tuple[type[UnreadableDocument], tuple[str, str, str]]:
        """Come out of another process as it went in."""
        return type(self), (self.document, self.field, self.problem)


class UnreachableSource(ReportsError):
    """The store, folder, file or table can't be read: which one, what was expected, what was there."""

    def __init__(self, source: str, expected: str, found: str) -> None:
        """Remember the `source`, what was `expected` and what was `found`."""
        self.source = source
        self.expected = expected
        self.found = found
        super().__init__(f"{source}: expected {expected}, was {found}")

    def __reduce__(self) -> tuple[type[UnreachableSource], tuple[str, str, str]]:
        """Come out of another process as it went in."""
        return type(self), (self.source, self.expected, self.found)


class MailRefused(ReportsError):
    """The mail service did not take the report. The archived page exists all the same."""


class NoTradingDay(ReportsError):
    """A report was asked for a day on which the exchange does not open."""

    def __init__(self, day: date) -> None:
        """Remember the `day`."""
        self.day = day
        super().__init__(f"day: expected a trading day of the exchange, was {day}")
