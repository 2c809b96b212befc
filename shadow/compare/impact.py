"""Business Unit: compare | Status: current.

What differences are worth, in signed USD, candidate minus control. A trade's dollars are counted once, at the first of its
differences that can move money, and stand at the cause which that difference follows from: sums never count twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

from shadow.compare.case import LaneTrade, TradePair
from shadow.compare.checks.executed import executed_value
from shadow.compare.checks.prices import slippage_cost
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.finding import Finding
from shadow.compare.kinds import KINDS
from shadow.contracts.comparison import Impact
from shadow.contracts.model import MAX_SIGNIFICANT_DIGITS
from shadow.contracts.symbols import is_same_symbol
from shadow.contracts.vocabulary import Role

NOTHING = Impact()
_WRITABLE = Context(prec=MAX_SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)


def executed_impact(pair: TradePair) -> Impact:
    """Give what executing the trade differently is worth: what the candidate bought (sold: less) minus what the control did."""
    notional = writable(EXACT.subtract(_executed(pair, pair.candidate), _executed(pair, pair.control)))
    return Impact.model_construct(notional=notional, cash=-notional) if notional else NOTHING


def _executed(pair: TradePair, side: LaneTrade | None) -> Decimal:
    """Give the signed USD that a lane executed of the trade: nothing of it where it traded another symbol."""
    if side is not None and pair.planned is not None and not is_same_symbol(side.trade.symbol, pair.planned.symbol):
        return ZERO
    return executed_value(side)


def slippage_impact(pair: TradePair) -> Impact:
    """Give what filling the same trade at other prices is worth: cash only, each lane against its own decision price."""
    if pair.both is None:
        return NOTHING
    control, candidate = (slippage_cost(side) for side in pair.both)
    cash = writable(EXACT.subtract(control, candidate))
    return Impact.model_construct(notional=ZERO, cash=cash) if cash else NOTHING


def impacts_of(findings: Sequence[Finding], *, both_ran: bool) -> list[Impact]:
    """Give each finding's own impact; a lane that is absent has none.

    A trade's dollars stand once, at the first difference that can move money. Where both lanes have such a difference, each
    gets the dollars that its own lane executed off the plan, so that what one lane did wrong never hides the other's.
    """
    worth = [NOTHING] * len(findings)
    if not both_ran:
        return worth
    first: dict[int, dict[Role | None, int]] = {}
    for place, finding in enumerate(findings):
        if finding.pair is not None and KINDS[finding.kind].impact:
            first.setdefault(id(finding.pair), {}).setdefault(finding.role, place)
    for places in first.values():
        blamed = {role: place for role, place in places.items() if role is not None}
        pair = findings[next(iter(places.values()))].pair
        if pair is None:
            continue
        if len(blamed) == len(Role):
            for role, place in blamed.items():
                worth[place] = _off_plan(pair, role)
        else:
            worth[min(blamed.values() or places.values())] = executed_impact(pair)
    _add_stakes(findings, first, worth)
    for place, finding in enumerate(findings):
        if finding.pair is not None and finding.kind == "SLIPPAGE" and id(finding.pair) not in first:
            first[id(finding.pair)] = {}
            worth[place] = slippage_impact(finding.pair)
    return worth


def _add_stakes(findings: Sequence[Finding], first: Mapping[int, Mapping[Role | None, int]], worth: list[Impact]) -> None:
    """Give findings the dollars of the trades they put at stake, where no difference of the lane in such a trade carries them."""
    counted: set[tuple[int, Role | None]] = set()
    for place, finding in enumerate(findings):
        for pair in finding.at_stake:
            name = (id(pair), finding.role)
            if name not in counted and finding.role not in first.get(id(pair), {}):
                counted.add(name)
                worth[place] = add(worth[place], _alone(pair, finding.role))


def _alone(pair: TradePair, role: Role | None) -> Impact:
    """Give what one lane executed of a trade, as the candidate minus the control would have it."""
    side = pair.control if role is Role.CONTROL else pair.candidate
    return _signed(executed_value(side), role)


def _off_plan(pair: TradePair, role: Role) -> Impact:
    side = pair.control if role is Role.CONTROL else pair.candidate
    planned = pair.planned.amount if pair.planned is not None else ZERO
    return _signed(EXACT.subtract(_executed(pair, side), planned), role)


def _signed(amount: Decimal, role: Role | None) -> Impact:
    notional = writable(-amount if role is Role.CONTROL else amount)
    return Impact.model_construct(notional=notional, cash=-notional) if notional else NOTHING


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
