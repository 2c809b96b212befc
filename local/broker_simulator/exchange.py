"""Business Unit: local cloud | Status: current.

What the simulated broker does with orders: accept or refuse, fill, rest, cancel, expire. Its rules, and where they differ
from Alpaca's documents, stand with the functions. Fractional limit orders are accepted, as the control lane relies on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from uuid import NAMESPACE_URL, uuid5

from local.broker_simulator.accounts import Holding, SimAccount, SimOrder
from local.broker_simulator.faults import FaultBook, Occasion
from local.broker_simulator.market import CENT, Market, Prices
from local.broker_simulator.values import (
    FaultKind,
    FillOpen,
    OrderForm,
    PlaceByHand,
    ReplaceOpen,
    SetAccount,
    SetAsset,
    SetDay,
    SetFillRule,
    SetTape,
)
from shadow.contracts.vocabulary import Role

_TAKES, _STOPS = Decimal("1.1"), Decimal("0.9")  # at which part of its price a bracket sells again
_SIX_PLACES = Decimal("0.000001")
_BAD_PARAMETER, _FORBIDDEN, _UNPROCESSABLE = 40010001, 40310000, 42210000


class Refused(Exception):
    """The broker says no: an HTTP status with Alpaca's code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        """Remember what to answer."""
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as it was asked for, already well formed."""

    client_order_id: str | None
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    limit_price: Decimal | None


class Exchange:
    """Both accounts and the market they trade in. Not thread safe: its caller holds one lock."""

    def __init__(self, seed: int) -> None:
        """Start with two fresh accounts and no prices."""
        self.seed = seed
        self.market = Market()
        self.faults = FaultBook()
        self.accounts = {role: SimAccount.first(role) for role in Role}
        self.assets: dict[str, SetAsset] = {}
        self._rules: dict[tuple[str | None, Role | None], int] = {}
        self._rested: Counter[tuple[Role, str]] = Counter()

    def knows(self, symbol: str) -> bool:
        """Whether the broker knows the symbol."""
        return symbol in self.assets or self.market.knows(symbol)

    def asset(self, symbol: str) -> SetAsset:
        """Give the symbol's flags."""
        return self.assets.get(symbol) or SetAsset(symbol=symbol)

    def mark(self, symbol: str) -> Decimal:
        """Value one share of `symbol`, USD; zero without a price."""
        prices = self.market.prices(symbol)
        return prices.mid if prices else Decimal(0)

    def set_day(self, command: SetDay) -> None:
        """Let every DAY order of the day before expire, then move on."""
        self._expire()
        self.market.set_day(command)

    def set_tape(self, command: SetTape) -> None:
        """Let every open order expire, then show exactly what a recording holds."""
        self._expire()
        self.assets = {symbol: SetAsset(symbol=symbol, fractionable=False) for symbol in sorted(command.whole_shares)}
        self.market.set_tape(command)

    def _expire(self) -> None:
        for account in self.accounts.values():
            for order in list(account.open_orders.values()):
                account.end(order, "expired", self.market.now())
        self._rested.clear()

    def set_account(self, command: SetAccount) -> None:
        """Change one account."""
        account = self.accounts[command.account]
        for name in ("cash", "multiplier", "number", "key", "secret"):
            value = getattr(command, name)
            if value is not None:
                setattr(account, name, value)
        if command.positions is not None:
            account.holdings = {
                symbol: Holding(quantity, quantity * self.market.closes.get(symbol, Decimal(0)))
                for symbol, quantity in command.positions.items()
            }

    def set_fill_rule(self, command: SetFillRule) -> None:
        """Say how many limit orders rest before one fills."""
        self._rules[command.symbol, command.account] = command.rest_limits

    def place(self, account: SimAccount, ticket: Ticket) -> SimOrder:
        """Accept `ticket` as an order, not matched yet. Raises Refused."""
        client_order_id = ticket.client_order_id or f"sim-{account.role}-{len(account.orders) + 1}"
        if client_order_id in account.by_client_id:
            raise Refused(422, _BAD_PARAMETER, "client_order_id must be unique")
        self._check_asset(ticket)
        if self.faults.take({FaultKind.REFUSE}, self._occasion(account, ticket.symbol)):
            raise Refused(422, _UNPROCESSABLE, f"order for {ticket.symbol} refused")
        price = self._reserved_price(ticket)
        self._check_means(account, ticket, price)
        order = SimOrder(
            order_id=str(uuid5(NAMESPACE_URL, f"{self.seed}:{account.role}:{client_order_id}")),
            client_order_id=client_order_id,
            sequence=len(account.orders) + 1,
            symbol=ticket.symbol,
            side=ticket.side,
            order_type=ticket.order_type,
            quantity=ticket.quantity,
            limit_price=ticket.limit_price,
            reserved_price=price,
            submitted_at=self.market.now(),
        )
        account.add(order)
        return order

    def match(self, account: SimAccount, order: SimOrder) -> None:
        """Let a new order meet the market. While the market is closed it waits for the opening, as at Alpaca."""
        if not order.is_open or order.resting or not self.market.is_open():
            return
        occasion = self._occasion(account, order.symbol)
        if self.faults.take({FaultKind.REJECT}, occasion):
            account.end(order, "rejected", self.market.now())
            return
        order.status = "new"
        prices = self.market.prices(order.symbol)
        if prices is None or self._rests(account, order, prices) or self.faults.take({FaultKind.REST}, occasion):
            order.resting = True
            return
        quantity = order.left
        partial = self.faults.take({FaultKind.PARTIAL_FILL}, occasion)
        if partial:
            step = _SIX_PLACES if self.asset(order.symbol).fractionable else Decimal(1)
            quantity = (quantity * partial.fraction).quantize(step, ROUND_DOWN)
            order.resting = True
        self._fill(account, order, quantity, _price(order, prices))

    def match_waiting(self) -> None:
        """Match whatever waited for the market to open."""
        for account in self.accounts.values():
            for order in list(account.open_orders.values()):
                self.match(account, order)

    def fill_open(self, command: FillOpen) -> None:
        """Fill what is left of open orders at their limit, market orders at the aggressive side."""
        for account in self.accounts.values():
            if command.account not in (None, account.role):
                continue
            for order in list(account.open_orders.values()):
                if command.symbol in (None, order.symbol):
                    self._fill_rest(account, order)

    def place_by_hand(self, command: PlaceByHand) -> None:
        """Take an order of a person, if it can be: a stop or an order of several legs rests, any other fills at once."""
        account = self.accounts[command.account]
        ticket = Ticket(f"by-hand-{len(account.orders) + 1}", command.symbol, "buy", "market", command.quantity, None)
        try:
            order = self.place(account, ticket)
        except Refused:
            return
        order.form = command.form
        order.resting = command.form in (OrderForm.STOP, OrderForm.MULTI_LEG)
        if order.resting:
            order.status = "new"
        else:
            self._fill_rest(account, order)
        if order.form is OrderForm.BRACKET:
            self._add_legs(account, order)

    def _add_legs(self, account: SimAccount, order: SimOrder) -> None:
        """Put the two orders behind a bracket into the list: of the shares that both would sell, the resting one has them."""
        price = order.average_price or order.reserved_price
        order.in_bracket = True
        for form, times, status in ((OrderForm.SIMPLE, _TAKES, "new"), (OrderForm.STOP, _STOPS, "held")):
            number, limit = len(account.orders) + 1, (price * times).quantize(CENT)
            leg = replace(
                order,
                order_id=str(uuid5(NAMESPACE_URL, f"{self.seed}:{account.role}:leg:{number}")),
                client_order_id=f"by-hand-{account.role}-{number}",
                sequence=number,
                side="sell",
                order_type="limit",
                limit_price=limit if form is OrderForm.SIMPLE else None,
                reserved_price=limit,
                filled_quantity=Decimal(0),
                filled_value=Decimal(0),
                status=status,
                resting=True,
                ended_at=None,
                filled_at=None,
                form=form,
            )
            account.add(leg)
            if status == "held":
                del account.open_orders[leg.order_id]

    def replace_open(self, command: ReplaceOpen) -> None:
        """Let other orders take the place of open ones, for what is left of them; they rest as the first did."""
        for account in self.accounts.values():
            if command.account not in (None, account.role):
                continue
            for order in [each for each in account.open_orders.values() if command.symbol in (None, each.symbol)]:
                at, number = self.market.now(), len(account.orders) + 1
                successor = replace(
                    order,
                    order_id=str(uuid5(NAMESPACE_URL, f"{self.seed}:{account.role}:replaced:{number}")),
                    client_order_id=f"by-hand-{account.role}-{number}",
                    sequence=number,
                    quantity=order.left,
                    submitted_at=at,
                    filled_quantity=Decimal(0),
                    filled_value=Decimal(0),
                    status="new",
                    resting=True,
                    replaces=order.order_id,
                )
                account.end(order, "replaced", at)
                order.replaced_by = successor.order_id
                account.add(successor)

    def cancel(self, account: SimAccount, order: SimOrder) -> None:
        """End an open order. Raises Refused when it has ended already."""
        if order.is_open and self.faults.take({FaultKind.FILL_ON_CANCEL}, self._occasion(account, order.symbol)):
            self._fill_rest(account, order)
        if not order.is_open:
            raise Refused(422, _UNPROCESSABLE, f'order is already in "{order.status}" state')
        account.end(order, "canceled", self.market.now())

    def _fill_rest(self, account: SimAccount, order: SimOrder) -> None:
        prices = self.market.prices(order.symbol)
        price = order.limit_price or (_price(order, prices) if prices else order.reserved_price)
        self._fill(account, order, order.left, price)

    def _fill(self, account: SimAccount, order: SimOrder, quantity: Decimal, price: Decimal) -> None:
        if quantity:
            account.fill(order, quantity, price, self.market.now())
            self._rested[account.role, order.symbol] = 0

    def _rests(self, account: SimAccount, order: SimOrder, prices: Prices) -> bool:
        """Whether a limit order rests: outside the spread, or because the symbol's fill rule says so."""
        if order.limit_price is None:
            return False
        if order.limit_price < prices.bid if order.side == "buy" else order.limit_price > prices.ask:
            return True
        wanted = next(
            (
                self._rules[key]
                for key in ((order.symbol, account.role), (order.symbol, None), (None, account.role), (None, None))
                if key in self._rules
            ),
            0,
        )
        rested = self._rested[account.role, order.symbol]
        if rested >= wanted:
            return False
        self._rested[account.role, order.symbol] = rested + 1
        return True

    def _reserved_price(self, ticket: Ticket) -> Decimal:
        if ticket.limit_price is not None:
            return ticket.limit_price
        prices = self.market.prices(ticket.symbol)
        if prices is None:
            raise Refused(403, _FORBIDDEN, f"no price for {ticket.symbol}")
        return prices.ask

    def _check_asset(self, ticket: Ticket) -> None:
        if not self.knows(ticket.symbol):
            raise Refused(422, _UNPROCESSABLE, f'asset "{ticket.symbol}" not found')
        asset = self.asset(ticket.symbol)
        if not asset.tradable:
            raise Refused(422, _UNPROCESSABLE, f'asset "{ticket.symbol}" is not tradable')
        if not asset.fractionable and ticket.quantity % 1:
            raise Refused(422, _UNPROCESSABLE, f'asset "{ticket.symbol}" is not fractionable')

    def _check_means(self, account: SimAccount, ticket: Ticket, price: Decimal) -> None:
        if ticket.side == "sell":
            available = account.available(ticket.symbol)
            if ticket.quantity > available:
                raise Refused(
                    403,
                    _FORBIDDEN,
                    f"insufficient qty available for order (requested: {ticket.quantity}, available: {available})",
                )
        elif not account.affords(ticket.quantity * price, self.mark):
            raise Refused(403, _FORBIDDEN, "insufficient buying power")

    @staticmethod
    def _occasion(account: SimAccount, symbol: str) -> Occasion:
        return Occasion(account.role, "POST", "/v2/orders", symbol)


def _price(order: SimOrder, prices: Prices) -> Decimal:
    """Give the fill price: the aggressive side, a limit order's own limit where that is better than the book."""
    if order.side == "buy":
        return prices.ask if order.limit_price is None else min(order.limit_price, prices.ask)
    return prices.bid if order.limit_price is None else max(order.limit_price, prices.bid)
