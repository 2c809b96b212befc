"""Business Unit: execution | Status: current.

The equity breaker's arithmetic: how much a run may buy in all. The reservations themselves are one transaction each, in
`shadow.aws.reservations`; this module says what limit they are held against and answers in the workflow's words.
"""

from __future__ import annotations

from decimal import Decimal

from shadow.contracts.vocabulary import Reason
from shadow.contracts.workflow import EquityCheck

MAX_DEPLOYMENT = Decimal("1.5")
SMALLEST_LIMIT = Decimal("0.01")


def equity_limit(equity: Decimal, deployment: Decimal) -> Decimal:
    """Compute the limit in USD: account equity times min(deployment fraction, 1.5); 0, the breaker off, for a fraction of 0.

    An account without equity gets the smallest limit there is, not 0: "nothing to deploy" must not read as "no limit".
    """
    if deployment <= 0:
        return Decimal(0)
    return max(equity * min(deployment, MAX_DEPLOYMENT), SMALLEST_LIMIT)


def equity_check(*, allowed: bool, reserved: Decimal, limit: Decimal) -> EquityCheck:
    """Answer one reservation; `reserved` (USD) counts the trade when it was allowed."""
    return EquityCheck(
        allowed=allowed,
        cumulative=max(reserved, Decimal(0)),
        limit=limit,
        headroom=limit - reserved,
        reason=None if allowed else Reason.EQUITY_LIMIT.value,
    )
