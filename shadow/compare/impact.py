"""Business Unit: compare | Status: current.

What differences are worth, in signed USD, candidate minus control. A trade's dollars are counted once, at the first of its
differences that can move money, and stand at the cause which that difference follows from: sums never count twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

from shadow.compare.case import TradePair
from shadow.compare.checks.executed import executed_value
from shadow.compare.checks.fills import slippage_cost
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.finding import Finding
from shadow.compare.kinds import KINDS
from shadow.contracts.comparison import Impact
from shadow.contracts.model import MAX_SIGNIFICANT_DIGITS

NOTHING = Impact()
_WRITABLE = Context(prec=MAX_SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)


def executed_impact(pair: TradePair) -> Impact:
    """Give what executing the trade differently is worth: what the candidate bought (sold: less) minus what the control did."""
    notional = writable(EXACT.subtract(executed_value(pair.candidate), executed_value(pair.control)))
    return Impact.model_construct(notional=notional, cash=-notional) if notional else NOTHING


def slippage_impact(pair: TradePair) -> Impact:
    """Give what filling the same trade at other prices is worth: cash only, each lane against its own decision price."""
    if pair.both is None:
        return NOTHING
    control, candidate = (slippage_cost(side) for side in pair.both)
    cash = writable(EXACT.subtract(control, candidate))
    return Impact.model_construct(notional=ZERO, cash=cash) if cash else NOTHING


def impacts_of(findings: Sequence[Finding], roots: Sequence[int], *, both_ran: bool) -> list[Impact]:
    """Give each finding's impact. `roots` are the places of what each follows from; a lane that is absent has no impact."""
    worth = [NOTHING] * len(findings)
    if not both_ran:
        return worth
    counted: set[int] = set()
    for place, finding in enumerate(findings):
        if finding.pair is not None and KINDS[finding.kind].impact and id(finding.pair) not in counted:
            counted.add(id(finding.pair))
            worth[roots[place]] = add(worth[roots[place]], executed_impact(finding.pair))
    for place, finding in enumerate(findings):
        if finding.pair is not None and finding.kind == "SLIPPAGE" and id(finding.pair) not in counted:
            worth[roots[place]] = add(worth[roots[place]], slippage_impact(finding.pair))
    return worth


def writable(amount: Decimal) -> Decimal:
    """Give `amount` with the 28 significant digits that a document can hold; real amounts have far fewer."""
    return _WRITABLE.plus(amount)


def add(first: Impact, second: Impact) -> Impact:
    """Add two impacts."""
    return Impact.model_construct(notional=EXACT.add(first.notional, second.notional), cash=EXACT.add(first.cash, second.cash))


def net(impacts: Iterable[Impact]) -> Impact:
    """Add impacts with their signs."""
    total = NOTHING
    for impact in impacts:
        total = add(total, impact)
    return total
