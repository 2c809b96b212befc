"""Business Unit: reports | Status: current.

What can go wrong while reports are made; what cannot be read is told as the store does (`shadow.contracts.errors`).

ShadowError
└── ReportsError
    ├── MailRefused           the mail service did not take the report
    └── NoTradingDay          the exchange does not open on that day
"""

from __future__ import annotations

from datetime import date

from shadow.contracts.errors import ShadowError


class ReportsError(ShadowError):
    """The root of what reports raise."""


class MailRefused(ReportsError):
    """The mail service did not take the report. The archived page exists all the same."""


class NoTradingDay(ReportsError):
    """A report was asked for a day on which the exchange does not open."""

    def __init__(self, day: date) -> None:
        """Remember the `day`."""
        self.day = day
        super().__init__(f"{day} is no trading day of the exchange")
