"""Business Unit: compare | Status: current.

Dollars. What one trade is worth where the lanes differ, in signed USD, candidate minus control: its exposure is the difference
in shares at the middle of both prices, its price effect the rest, so that both add up to what was paid, whichever is first.
A trade's dollars are counted once, at the first of its differences that can move money, and stand at the cause which that
difference follows from. The ledger of the whole pair is in `shadow.compare.ledger`, from the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal

from shadow.compare.case import Finding, LaneTrade, TradePair
from shadow.compare.checks.executed import (
    LIVE,
    NOT_FOUND,
    accepted_orders,
    claimed_shares,
    executed,
    is_accepted,
    is_answered,
    is_elsewhere,
    is_simulated,
    status_of,
)
from shadow.compare.checks.sizing import asked_quantity, decision_price
from shadow.compare.kinds import KINDS
from shadow.compare.rules import EXACT, SHARE_STEP, ZERO
from shadow.contracts.comparison import Executed, Impact, MoneyLine, Word
from shadow.contracts.identity import is_same_symbol
from shadow.contracts.model import MAX_SIGNIFICANT_DIGITS
from shadow.contracts.outcome import OrderRecord
from shadow.contracts.vocabulary import Role, Side

NOTHING = Impact()
_WRITABLE = Context(prec=MAX_SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class TradeMoney:
    """One trade's money, by lane. `middle` is the middle of both lanes' prices, the one price where one lane traded."""

    control: Executed
    candidate: Executed
    middle: Decimal | None
    is_known: bool = field(init=False)
    """Whether shares and USD of both lanes are known."""
    is_of_both: bool = field(init=False)
    """Whether both lanes traded, and the same way."""

    def __post_init__(self) -> None:
        """Note what is known: it is asked for again and again."""
        sides = (self.control, self.candidate)
        is_known = all(each.shares is not None and each.value is not None for each in sides)
        object.__setattr__(self, "is_known", is_known)
        object.__setattr__(self, "is_of_both", is_known and (self.control.shares or ZERO) * (self.candidate.shares or ZERO) > 0)

    @property
    def exposure(self) -> Decimal:
        """The difference in shares at the middle price, signed USD; zero where a lane's are not known."""
        apart = _less(self.candidate.shares, self.control.shares)
        if not self.is_known or self.middle is None or not self.is_of_both:
            return -self.cash
        return EXACT.multiply(apart, self.middle)

    @property
    def cash(self) -> Decimal:
        """The difference in what was paid and received, signed USD; zero where a lane's is not known."""
        return -_less(self.candidate.value, self.control.value) if self.is_known else ZERO

    @property
    def price(self) -> Decimal:
        """What other prices alone are worth, signed USD."""
        return EXACT.add(self.exposure, self.cash)


def _less(first: Decimal | None, second: Decimal | None) -> Decimal:
    return EXACT.subtract(first or ZERO, second or ZERO)


def trade_money(pair: TradePair) -> TradeMoney:
    """Give what both lanes executed of a trade, each by the best word there is."""
    control, candidate = _executed(pair, pair.control), _executed(pair, pair.candidate)
    simulated = {side.role for side in pair.lanes if is_simulated(side)}
    if len(simulated) == 1 and pair.candidate is not None and Role.CANDIDATE in simulated:
        candidate = _valued_elsewhere(pair, candidate, pair.candidate, control, pair.control or pair.beside)
    elif len(simulated) == 1 and pair.control is not None:
        control = _valued_elsewhere(pair, control, pair.control, candidate, pair.candidate or pair.beside)
    return TradeMoney(_off_plan(pair, control), _off_plan(pair, candidate), _middle(pair, control, candidate))


_ABSENT = Executed(shares=ZERO, value=ZERO)


def _executed(pair: TradePair, side: LaneTrade | None) -> Executed:
    """Give what a lane executed of the trade: nothing of it where it traded another symbol."""
    if side is None:
        return _ABSENT
    if pair.planned is not None and not is_same_symbol(side.trade.symbol, pair.planned.symbol):
        return _ABSENT
    return executed(side)


def _valued_elsewhere(pair: TradePair, done: Executed, side: LaneTrade, by: Executed, other: LaneTrade | None) -> Executed:
    """Value what no broker filled at a price that is not the lane's own: the other's, else the plan's or the market's."""
    shares = done.shares
    if not shares:
        return done
    beside = executed(other) if other is pair.beside and other is not None else by
    price = price_of(beside) or (decision_price(other.trade.intent) if other is not None else None)
    if price is not None:
        return done.model_copy(update={"value": EXACT.multiply(shares, price), "word": Word.OTHER_LANE})
    asked, market = asked_quantity(side), _market_price(side)
    if (pair.planned is None or not asked) and market is not None:
        return done.model_copy(update={"value": EXACT.multiply(shares, market), "word": Word.MARKET})
    if pair.planned is None or not asked:
        return done.model_copy(update={"value": None, "word": Word.NOT_VALUED})
    amount = pair.planned.amount.copy_sign(shares)
    is_whole = abs(shares) == asked
    value = amount if is_whole else _WRITABLE.divide(EXACT.multiply(amount, abs(shares)), asked)
    return done.model_copy(update={"value": value, "word": Word.PLAN})


def _market_price(side: LaneTrade) -> Decimal | None:
    """Give the middle of the market's own quote for the symbol that a lane traded, USD a share; None where it is not known."""
    market = side.trade.market
    return None if market is None else EXACT.multiply(EXACT.add(market.bid, market.ask), _HALF)


def price_of(done: Executed) -> Decimal | None:
    """Give the average price of what was executed, USD a share to 28 digits; None where nothing was, or it has no value."""
    if not done.shares or done.value is None:
        return None
    return _WRITABLE.divide(done.value, done.shares)


def _middle(pair: TradePair, control: Executed, candidate: Executed) -> Decimal | None:
    prices = [price for price in (price_of(control), price_of(candidate)) if price is not None]
    if len(prices) > 1:
        return EXACT.multiply(EXACT.add(*prices), _HALF)
    if prices:
        return prices[0]
    known = (decision_price(side.trade.intent) for side in pair.lanes)
    return next((price for price in known if price is not None), None)


def _off_plan(pair: TradePair, done: Executed) -> Executed:
    if done.value is None:
        return done
    planned = pair.planned.amount if pair.planned is not None else ZERO
    return done.model_copy(update={"off_plan": EXACT.subtract(done.value, planned)})


def line_of(pair: TradePair, money: TradeMoney) -> MoneyLine:
    """Give the ledger's line of a trade."""
    return MoneyLine(
        trade_id=pair.trade_id,
        symbol=pair.symbol,
        side=pair.side,
        planned=pair.planned.amount if pair.planned is not None else None,
        control=money.control,
        candidate=money.candidate,
        exposure=money.exposure if money.is_known else None,
        price=money.price if money.is_known else None,
    )


def strays_of(pair: TradePair) -> Iterator[tuple[Role, OrderRecord]]:
    """Give what the lanes executed in another symbol than the trade's, as orders."""
    for side in pair.lanes:
        astray = [order for order in accepted_orders(side) if is_elsewhere(order, side)]
        yield from ((side.role, _filled_by_record(order, side, is_last=order is astray[-1])) for order in astray)
        if pair.planned is not None and not is_same_symbol(side.trade.symbol, pair.planned.symbol):
            done = executed(side)
            way = Side.SELL if (done.shares or ZERO) < 0 else Side.BUY
            filled = None if done.shares is None else abs(done.shares)
            price = (_market_price(side) if is_simulated(side) else None) or price_of(done)
            yield side.role, OrderRecord(symbol=side.trade.symbol, side=way, filled_quantity=filled, average_price=price)


def _filled_by_record(order: OrderRecord, side: LaneTrade, *, is_last: bool) -> OrderRecord:
    """Give an order with its trade's side, and where no broker says what it filled, with the fill that the lane records."""
    known = order if order.side is not None else order.model_copy(update={"side": side.trade.action})
    if not is_last or order.filled_quantity is not None or is_answered(side):
        return known
    return known.model_copy(update={"filled_quantity": side.trade.filled_quantity, "average_price": side.trade.average_price})


def flow_of(order: OrderRecord) -> tuple[Decimal, Decimal]:
    """Give what an order moved: signed shares, and signed USD of cash."""
    shares = order.filled_quantity or ZERO
    shares = -shares if order.side is Side.SELL else shares
    return shares, EXACT.multiply(-shares, order.average_price or ZERO)


def stray_exposure(role: Role, order: OrderRecord) -> Decimal:
    """Give the exposure, signed USD, candidate minus control, of what one lane executed in another symbol."""
    _, cash = flow_of(order)
    return -cash if role is Role.CANDIDATE else cash


def _stray_impact(pair: TradePair, role: Role | None) -> Impact:
    """Give what a lane executed in another symbol than the trade's, beside what it thereby did not execute of the trade's own."""
    found = NOTHING
    for lane, order in strays_of(pair):
        if lane is role:
            usd = stray_exposure(lane, order)
            found = add(found, impact(usd, -usd))
    return found


def executed_impact(pair: TradePair) -> Impact:
    """Give what executing the trade differently is worth. What a broker denied is worth what was claimed, in both lanes alike."""
    money = trade_money(pair)
    return impact(money.exposure, money.cash, max([abs(money.exposure), *(_denied(pair, side) for side in pair.lanes)]))


def impact(notional: Decimal, cash: Decimal, gross: Decimal | None = None) -> Impact:
    """Give an impact of amounts that a document can hold; `gross` is the larger of both unless it is given."""
    worth = max(abs(notional), abs(cash)) if gross is None else gross
    if not any((notional, cash, worth)):
        return NOTHING
    return Impact.model_construct(notional=writable(notional), cash=writable(cash), gross=writable(worth))


def _denied(pair: TradePair, side: LaneTrade) -> Decimal:
    """Give the USD, unsigned, that a lane claims, in any of its records, to have executed or sent and its broker denies.

    An order that the broker does not know counts with all of its USD: the lane believed that it was sent.
    """
    done = executed(side)
    if done.shares is None or (done.word is Word.LANE and not side.trade.orders):
        return ZERO
    intent = side.trade.intent
    price = price_of(done) or side.trade.average_price or decision_price(intent)
    claims = [claimed_shares(side), *(copy.filled_quantity or ZERO for copy in side.copies_besides)]
    more = EXACT.subtract(max(claims), abs(done.shares))
    worth = ZERO if more <= SHARE_STEP or price is None else EXACT.multiply(more, price)
    for order in (order for order in side.trade.orders if status_of(order) == NOT_FOUND):
        shares, at = order.quantity or (intent.quantity if intent is not None else None), price or order.limit_price
        planned = abs(pair.planned.amount) if pair.planned is not None else ZERO
        worth = max(worth, planned if shares is None or at is None else EXACT.multiply(shares, at))
    return worth


def slippage_impact(pair: TradePair) -> Impact:
    """Give what filling the same trade at other prices is worth, cash only: the price row of the ledger."""
    money = trade_money(pair)
    return impact(ZERO, money.price) if money.is_of_both else NOTHING


def residual_impact(pair: TradePair) -> Impact:
    """Give what is left of a full exit, or was sold beyond it, at the trade's own price, candidate minus control."""
    money = trade_money(pair)
    if money.middle is None:
        return NOTHING
    left = {side.role: side.trade.residual_position or ZERO for side in pair.lanes}
    apart = EXACT.subtract(left.get(Role.CANDIDATE, ZERO), left.get(Role.CONTROL, ZERO))
    most = max(abs(shares) for shares in left.values())
    notional = EXACT.multiply(apart, money.middle)
    return impact(notional, ZERO, EXACT.multiply(most, money.middle))


def impacts_of(findings: Sequence[Finding], *, both_ran: bool) -> list[Impact]:
    """Give each finding's own impact; a lane that is absent has none, but for what a finding is worth by itself.

    A trade's dollars stand once, at the first difference that can move money. Where both lanes have such a difference, each
    gets the dollars that its own lane executed off the plan, so that what one lane did wrong never hides the other's.
    """
    worth = [finding.impact or NOTHING for finding in findings]
    if not both_ran:
        return worth
    residual = {id(finding.pair) for finding in findings if finding.pair is not None and finding.kind in _RESIDUAL}
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
                worth[place] = add(worth[place], _off_plan_impact(pair, role))
        else:
            place = min(blamed.values() or places.values())
            found = executed_impact(pair)
            is_left = found is NOTHING and id(pair) in residual
            worth[place] = add(worth[place], residual_impact(pair) if is_left else found)
    _add_strays(findings, worth)
    _add_stakes(findings, first, worth)
    for place, finding in enumerate(findings):
        if finding.pair is not None and finding.kind == "SLIPPAGE" and id(finding.pair) not in first:
            first[id(finding.pair)] = {}
            worth[place] = slippage_impact(finding.pair)
    return worth


_ASTRAY = frozenset({"SYMBOL", "ORDER_SYMBOL"})


def _add_strays(findings: Sequence[Finding], worth: list[Impact]) -> None:
    """Add what a lane executed in a wrong symbol to the first difference that says so: both are wrong, it and what is missing."""
    counted: set[tuple[int, Role | None]] = set()
    for place, finding in enumerate(findings):
        name = (id(finding.pair), finding.role)
        if finding.pair is not None and finding.kind in _ASTRAY and name not in counted:
            counted.add(name)
            worth[place] = add(worth[place], _stray_impact(finding.pair, finding.role))


_RESIDUAL = frozenset({"RESIDUAL_POSITION", "OVERSELL"})


def _add_stakes(findings: Sequence[Finding], first: Mapping[int, Mapping[Role | None, int]], worth: list[Impact]) -> None:
    """Give findings the dollars of the trades they put at stake, where no difference of the lane in such a trade carries them."""
    counted: set[tuple[int, Role | None]] = set()
    for place, finding in enumerate(findings):
        for pair in finding.at_stake:
            name = (id(pair), finding.role)
            if name not in counted and finding.role not in first.get(id(pair), {}):
                counted.add(name)
                worth[place] = add(worth[place], _signed(_of_role(trade_money(pair), finding.role).value or ZERO, finding.role))


def _off_plan_impact(pair: TradePair, role: Role) -> Impact:
    """Give what one lane executed off the plan, as the candidate minus the control would have it."""
    return _signed(_of_role(trade_money(pair), role).off_plan or ZERO, role)


def _of_role(money: TradeMoney, role: Role | None) -> Executed:
    return money.control if role is Role.CONTROL else money.candidate


def _signed(amount: Decimal, role: Role | None) -> Impact:
    notional = -amount if role is Role.CONTROL else amount
    return impact(notional, -notional)


def working_dollars(order: OrderRecord, price: Decimal | None = None) -> Decimal | None:
    """Give the USD of what an order may still fill, unsigned, at its limit, else at `price`; None where not known."""
    if not is_accepted(order) or status_of(order) not in LIVE:
        return ZERO
    mark = order.limit_price or order.average_price or price
    if order.quantity is None or mark is None:
        return None
    return EXACT.multiply(EXACT.subtract(order.quantity, order.filled_quantity or ZERO), mark)


def writable(amount: Decimal) -> Decimal:
    """Give `amount` with the 28 significant digits that a document can hold; real amounts have far fewer."""
    return _WRITABLE.plus(amount)


def add(first: Impact, second: Impact) -> Impact:
    """Add two impacts."""
    return Impact.model_construct(
        notional=writable(EXACT.add(first.notional, second.notional)),
        cash=writable(EXACT.add(first.cash, second.cash)),
        gross=writable(EXACT.add(first.gross, second.gross)),
    )


def net(impacts: Iterable[Impact]) -> Impact:
    """Add impacts with their signs."""
    total = NOTHING
    for each in impacts:
        total = add(total, each)
    return total
