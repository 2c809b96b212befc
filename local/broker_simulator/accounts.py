"""Business Unit: local cloud | Status: current.

One account's money, holdings and orders, moved by fills only. Exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from local.broker_simulator.values import OrderForm
from shadow.contracts.vocabulary import Role

_FIRST_CASH = Decimal(100_000)
_NINE_PLACES = Decimal("1e-9")
OPEN_STATUSES = frozenset({"accepted", "new", "partially_filled"})


@dataclass(slots=True)
class Holding:
    """A long position: shares, and what they cost in USD."""

    quantity: Decimal
    cost: Decimal


@dataclass(slots=True)
class SimOrder:
    """One accepted order."""

    order_id: str
    client_order_id: str
    sequence: int
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    limit_price: Decimal | None
    reserved_price: Decimal
    submitted_at: datetime
    status: str = "accepted"
    filled_quantity: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    resting: bool = False
    ended_at: datetime | None = None
    filled_at: datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    form: OrderForm = OrderForm.SIMPLE
    in_bracket: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return self.status in OPEN_STATUSES

    @property
    def left(self) -> Decimal:
        """Give the shares not filled yet."""
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal | None:
        """Give the average fill price to 9 decimals, USD a share; None while nothing is filled."""
        if not self.filled_quantity:
            return None
        return (self.filled_value / self.filled_quantity).quantize(_NINE_PLACES)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One entry of an account's journal: a fill of an order, or `amount` USD booked for another reason."""

    entry_id: str
    at: datetime
    kind: str
    symbol: str | None
    amount: Decimal | None = None
    order_id: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None


@dataclass(slots=True)
class SimAccount:
    """One account. A client order id stays used for ever, whatever became of its order."""

    role: Role
    key: str
    secret: str
    number: str
    cash: Decimal = _FIRST_CASH
    multiplier: Decimal = Decimal(2)
    holdings: dict[str, Holding] = field(default_factory=dict)
    orders: dict[str, SimOrder] = field(default_factory=dict)
    by_client_id: dict[str, SimOrder] = field(default_factory=dict)
    open_orders: dict[str, SimOrder] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)

    @classmethod
    def first(cls, role: Role) -> SimAccount:
        """Open an account as it is after a reset."""
        return cls(role, f"sim-{role}-key", f"sim-{role}-secret", f"SIM{role.upper()}01")

    @property
    def account_id(self) -> str:
        """Give the account's stable id."""
        return str(uuid5(NAMESPACE_URL, f"simulated-account:{self.role}"))

    def held(self, symbol: str) -> Decimal:
        """Give the shares held."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding else Decimal(0)

    def available(self, symbol: str) -> Decimal:
        """Give the shares that no open sell order holds back."""
        return self.held(symbol) - sum(
            (o.left for o in self.open_orders.values() if o.symbol == symbol and o.side == "sell"), Decimal(0)
        )

    def market_value(self, mark: Callable[[str], Decimal]) -> Decimal:
        """Value the holdings at `mark`, USD."""
        return sum((holding.quantity * mark(symbol) for symbol, holding in self.holdings.items()), Decimal(0))

    def equity(self, mark: Callable[[str], Decimal]) -> Decimal:
        """Add cash and market value, USD."""
        return self.cash + self.market_value(mark)

    def buying_power(self, mark: Callable[[str], Decimal]) -> Decimal:
        """Give what can still be bought, USD: equity times the multiplier, less holdings and open buys."""
        held = self.market_value(mark)
        return max((self.cash + held) * self.multiplier - held - self._open_buys(), Decimal(0))

    def affords(self, cost: Decimal, mark: Callable[[str], Decimal]) -> bool:
        """Say whether `cost` USD can be bought for. Where the cash alone is enough, the holdings are not valued one by one."""
        enough = self.multiplier >= 1 and cost <= self.cash * self.multiplier - self._open_buys()
        return enough or cost <= self.buying_power(mark)

    def _open_buys(self) -> Decimal:
        return sum((o.left * o.reserved_price for o in self.open_orders.values() if o.side == "buy"), Decimal(0))

    def add(self, order: SimOrder) -> None:
        """Keep an accepted order."""
        self.orders[order.order_id] = self.open_orders[order.order_id] = order
        self.by_client_id[order.client_order_id] = order

    def fill(self, order: SimOrder, quantity: Decimal, price: Decimal, at: datetime) -> None:
        """Fill `quantity` shares of `order` at `price`: cash and holdings move."""
        value = quantity * price
        entry_id = f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03}::{len(self.journal)}"
        self.journal.append(JournalEntry(entry_id, at, "FILL", order.symbol, None, order.order_id, quantity, price))
        order.filled_quantity += quantity
        order.filled_value += value
        order.status = "partially_filled"
        if not order.left:
            order.filled_at = at
            self.end(order, "filled", at)
        if order.side == "buy":
            self.cash -= value
            holding = self.holdings.setdefault(order.symbol, Holding(Decimal(0), Decimal(0)))
            holding.quantity += quantity
            holding.cost += value
            return
        self.cash += value
        holding = self.holdings[order.symbol]
        holding.cost -= holding.cost * quantity / holding.quantity
        holding.quantity -= quantity
        if not holding.quantity:
            del self.holdings[order.symbol]

    def end(self, order: SimOrder, status: str, at: datetime) -> None:
        """End an open order as `status`."""
        del self.open_orders[order.order_id]
        order.status = status
        order.ended_at = at
