"""Business Unit: compare | Status: current.

The money ledger of a pair: an identity, not an estimate. At one mark a symbol (the brokers' own at the end; where nobody was
asked, the middle of what the lanes paid) everything the two accounts differ by is a row: what they held before, trades that one
lane alone made, quantity, price, fees, and what else was ordered or booked. What the rows do not explain of the brokers' own
closing balances is told as such. Exact, and every sign changes when the lanes are swapped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from shadow.compare.case import PairView, TradePair
from shadow.compare.checks.executed import is_answered
from shadow.compare.money import TradeMoney, flow_of, line_of, stray_exposure, strays_of, trade_money, working_dollars, writable
from shadow.compare.rules import EXACT, ZERO
from shadow.contracts.comparison import AccountCheck, Cause, MoneyLedger, MoneyLine, MoneyRow, Told
from shadow.contracts.identity import joined_symbol
from shadow.contracts.outcome import AccountRecord, Books, OrderRecord, Owner, RunOutcome
from shadow.contracts.vocabulary import Role

_HALF = Decimal("0.5")
_FEES = frozenset({"FEE", "CFEE", "PTC"})
"""Alpaca's words for money that it takes for trading: regulatory and clearing fees, booked once a day without an order."""
_Accounts = Mapping[Role, AccountRecord]


def ledger_of(view: PairView) -> MoneyLedger:
    """Give the ledger of a pair."""
    told = [(pair, trade_money(pair)) for pair in view.trades]
    money = [(joined_symbol(pair.symbol), _witnessed_money(pair, each)) for pair, each in told]
    strays = [stray for pair in view.trades for stray in strays_of(pair)]
    accounts = {run.role: run.account for run in view.runs if run.account is not None}
    marks = _marks(money, [*(order for _, order in strays), *_other_orders(accounts)], accounts)
    rows = _summed([*_trade_rows(money, marks), *_stray_rows(strays, marks), *_other_rows(accounts, marks)])
    lines = tuple(line_of(pair, each) for pair, each in told)
    exposures = [line.exposure for line in lines if line.exposure is not None]
    exposures += [stray_exposure(role, order) for role, order in strays]
    ledger = MoneyLedger(
        lines=lines,
        marks={symbol: writable(mark) for symbol, mark in sorted(marks.items())},
        checks=tuple(check for run in view.runs if (check := check_of(run)) is not None),
        gross=_total(abs(each) for each in exposures),
        net=_total(exposures),
        rows=rows,
        basis=_basis(view.runs, lines),
    )
    return ledger if len(accounts) < len(Role) else _with_equity(ledger, accounts, marks)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _marks(money: Iterable[tuple[str, TradeMoney]], others: Iterable[OrderRecord], accounts: _Accounts) -> dict[str, Decimal]:
    """Give one price a symbol, whichever lane comes first: the middle of the brokers' own marks at the end, else of the fills."""
    marks = _book_marks(account.closing for account in accounts.values())
    for symbol, each in money:
        if symbol not in marks and each.middle is not None:
            marks[symbol] = each.middle
    prices: dict[str, list[Decimal]] = defaultdict(list)
    for order in others:
        symbol = joined_symbol(order.symbol or "")
        if symbol and symbol not in marks and order.average_price is not None:
            prices[symbol].append(order.average_price)
    marks.update((symbol, _middle(found)) for symbol, found in prices.items())
    return {symbol: writable(mark) for symbol, mark in marks.items()}


def _book_marks(books: Iterable[Books | None]) -> dict[str, Decimal]:
    prices: dict[str, list[Decimal]] = defaultdict(list)
    for each in books:
        for position in each.positions if each is not None else ():
            if position.price is not None:
                prices[joined_symbol(position.symbol)].append(position.price)
    return {symbol: _middle(found) for symbol, found in prices.items()}


def _middle(prices: list[Decimal]) -> Decimal:
    return EXACT.multiply(EXACT.add(min(prices), max(prices)), _HALF)


def _trade_rows(money: Iterable[tuple[str, TradeMoney]], marks: Mapping[str, Decimal]) -> Iterator[MoneyRow]:
    """Split what each trade is worth at the mark: q * (P - p) of one lane's trade; quantity and price of one that both made."""
    for symbol, each in money:
        if not each.is_known or symbol not in marks:
            continue
        apart = EXACT.subtract(each.candidate.shares or ZERO, each.control.shares or ZERO)
        worth = EXACT.add(EXACT.multiply(apart, marks[symbol]), each.cash)
        if each.is_of_both:
            yield MoneyRow(cause=Cause.QUANTITY, symbol=symbol, dollars=EXACT.subtract(worth, each.price))
            yield MoneyRow(cause=Cause.PRICE, symbol=symbol, dollars=each.price)
        else:
            yield MoneyRow(cause=Cause.ONE_LANE, symbol=symbol, dollars=worth)


def _witnessed_money(pair: TradePair, money: TradeMoney) -> TradeMoney:
    """Leave out a lane whose broker's word of the trade is unclear: its orders are counted among the account's others."""
    clear = {side.role: side for side in pair.lanes if not side.run.broker_truth or is_answered(side)}
    if not clear or len(clear) == len(pair.lanes):
        return money
    return trade_money(TradePair(pair.planned, clear.get(Role.CONTROL), clear.get(Role.CANDIDATE)))


def _stray_rows(strays: Iterable[tuple[Role, OrderRecord]], marks: Mapping[str, Decimal]) -> Iterator[MoneyRow]:
    for role, order in strays:
        yield _row(Cause.ONE_LANE, role, order, marks)


def _row(cause: Cause, role: Role, order: OrderRecord, marks: Mapping[str, Decimal]) -> MoneyRow:
    """Give what an order of one account alone is worth at the mark."""
    shares, cash = flow_of(order)
    symbol = joined_symbol(order.symbol or "")
    dollars = EXACT.add(EXACT.multiply(shares, marks.get(symbol, ZERO)), cash)
    return MoneyRow(cause=cause, symbol=symbol or None, dollars=dollars if role is Role.CANDIDATE else -dollars)


def _other_orders(accounts: _Accounts) -> list[OrderRecord]:
    return [other.order for account in accounts.values() for other in account.orders]


def _other_rows(accounts: _Accounts, marks: Mapping[str, Decimal]) -> Iterator[MoneyRow]:
    """Give what was filled and booked in the accounts beside the run's trades."""
    for role, account in accounts.items():
        sign = 1 if role is Role.CANDIDATE else -1
        told = (other.order for other in account.orders if other.order.says_its_fills)
        yield from (_row(Cause.OTHER_ORDERS, role, order, marks) for order in told)
        for booking in account.bookings:
            cause = Cause.FEES if booking.kind in _FEES else Cause.OTHER_ACTIVITY
            symbol = joined_symbol(booking.symbol or "")
            dollars = EXACT.add(EXACT.multiply(booking.quantity, marks.get(symbol, ZERO)), booking.amount)
            yield MoneyRow(cause=cause, symbol=symbol or None, dollars=sign * dollars)


def _summed(rows: Iterable[MoneyRow]) -> tuple[MoneyRow, ...]:
    """Add rows of one cause and symbol; what comes to nothing is left out."""
    sums: dict[tuple[Cause, str | None], Decimal] = {}
    for row in rows:
        key = (row.cause, row.symbol)
        sums[key] = EXACT.add(sums.get(key, ZERO), row.dollars)
    order = {cause: place for place, cause in enumerate(Cause)}
    keys = sorted(sums, key=lambda key: (order[key[0]], key[1] or ""))
    return tuple(
        MoneyRow(cause=cause, symbol=symbol, dollars=sums[cause, symbol]) for cause, symbol in keys if sums[cause, symbol]
    )


def _with_equity(ledger: MoneyLedger, accounts: _Accounts, marks: Mapping[str, Decimal]) -> MoneyLedger:
    """Hold the rows against the brokers' own closing balances, where both accounts were seen before and after."""
    control, candidate = accounts[Role.CONTROL], accounts[Role.CANDIDATE]
    if control.closing is None or candidate.closing is None:
        return ledger
    equity = EXACT.subtract(_equity(candidate.closing, marks), _equity(control.closing, marks))
    if control.opening is None or candidate.opening is None:
        return ledger.model_copy(update={"equity": equity})
    opening = _opening_rows(control.opening, candidate.opening, marks)
    rows = [*opening, *ledger.rows]
    rest = EXACT.subtract(equity, _total(row.dollars for row in rows))
    rows.append(MoneyRow(cause=Cause.UNEXPLAINED, dollars=rest))
    update = {"rows": _summed(rows), "equity": equity, "unexplained": rest, "is_proved": True}
    return ledger.model_copy(update=update)


def _equity(books: Books, marks: Mapping[str, Decimal]) -> Decimal:
    return EXACT.add(
        books.cash, _total(EXACT.multiply(p.quantity, marks.get(joined_symbol(p.symbol), ZERO)) for p in books.positions)
    )


def _opening_rows(control: Books, candidate: Books, marks: Mapping[str, Decimal]) -> Iterator[MoneyRow]:
    yield MoneyRow(cause=Cause.OPENING_CASH, dollars=EXACT.subtract(candidate.cash, control.cash))
    first = _book_marks((control, candidate))
    theirs, ours = ({joined_symbol(each.symbol): each.quantity for each in books.positions} for books in (control, candidate))
    for symbol in sorted({*theirs, *ours}):
        apart = EXACT.subtract(ours.get(symbol, ZERO), theirs.get(symbol, ZERO))
        mark = marks.get(symbol, ZERO)
        before = first.get(symbol, mark)
        yield MoneyRow(cause=Cause.OPENING_POSITION, symbol=symbol, dollars=EXACT.multiply(apart, before))
        yield MoneyRow(cause=Cause.OPENING_DRIFT, symbol=symbol, dollars=EXACT.multiply(apart, EXACT.subtract(mark, before)))


def check_of(run: RunOutcome) -> AccountCheck | None:
    """Hold one account against itself: after = before + fills + bookings. None where it was not seen before and after."""
    account = run.account
    if account is None or account.opening is None or account.closing is None:
        return None
    orders = _orders_of(run, account)
    flows = [flow_of(order) for order in orders]
    cash = _total(
        [account.closing.cash, -account.opening.cash, *(-flow[1] for flow in flows), *(-b.amount for b in account.bookings)]
    )
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for position in account.closing.positions:
        moved[joined_symbol(position.symbol)] = EXACT.add(moved[joined_symbol(position.symbol)], position.quantity)
    for position in account.opening.positions:
        moved[joined_symbol(position.symbol)] = EXACT.subtract(moved[joined_symbol(position.symbol)], position.quantity)
    for order, (shares, _) in zip(orders, flows, strict=True):
        moved[joined_symbol(order.symbol or "")] = EXACT.subtract(moved[joined_symbol(order.symbol or "")], shares)
    for booking in account.bookings:
        moved[joined_symbol(booking.symbol or "")] = EXACT.subtract(moved[joined_symbol(booking.symbol or "")], booking.quantity)
    marks = _book_marks((account.opening,)) | _book_marks((account.closing,))
    positions = {symbol: shares for symbol, shares in sorted(moved.items()) if shares}
    worth = _total(EXACT.multiply(shares, marks.get(symbol, ZERO)) for symbol, shares in positions.items())
    return AccountCheck(
        role=run.role,
        opening_at=account.opening.at,
        closing_at=account.closing.at,
        cash=cash,
        positions=positions,
        dollars=EXACT.add(cash, worth),
    )


def _orders_of(run: RunOutcome, account: AccountRecord) -> list[OrderRecord]:
    """Give every order of an account that says its fills, the run's and the others', each once."""
    orders = [*(order for trade in run.trades for order in trade.orders), *(other.order for other in account.orders)]
    found = {order.order_id or f"{place}": order for place, order in enumerate(orders) if order.says_its_fills}
    return list(found.values())


def told_of(run: RunOutcome) -> Iterator[Told]:
    """Give the orders of an account that are no trade's of the run, with their dollars. Those of another run are left out."""
    for other in run.account.orders if run.account is not None else ():
        if other.owner is not Owner.ANOTHER_RUN:
            order = other.order
            yield Told(
                role=run.role,
                owner=other.owner,
                order_id=order.order_id,
                symbol=order.symbol,
                side=order.side,
                status=order.status,
                filled=_filled_dollars(order),
                working=working_dollars(order),
                note=other.note,
            )


def _filled_dollars(order: OrderRecord) -> Decimal | None:
    if order.filled_quantity == 0:
        return ZERO
    if order.filled_quantity is None or order.average_price is None:
        return None
    return EXACT.multiply(order.filled_quantity, order.average_price)


def _basis(runs: Iterable[RunOutcome], lines: Iterable[MoneyLine]) -> str:
    """Say whose word the ledger is."""
    asked = {run.role for run in runs if run.broker_truth}
    words = {Role.CONTROL: "the control's account", Role.CANDIDATE: "the candidate's account"}
    told = [f"{words[role]}: its broker's orders" if role in asked else f"{words[role]}: the lane's own claims" for role in Role]
    unknown = sum(line.exposure is None for line in lines)
    rest = f"; {unknown} trades are not valued" if unknown > 1 else "; 1 trade is not valued" if unknown else ""
    return "; ".join(told) + rest
