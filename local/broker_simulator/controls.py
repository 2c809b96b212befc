"""Business Unit: local cloud | Status: current.

Everything that can be said to a simulator, once, typed: in the same process or over HTTP.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from pydantic import TypeAdapter

from local.broker_simulator.values import (
    ClearFaults,
    Command,
    Fault,
    FaultKind,
    FillOpen,
    LoggedRequest,
    OrderForm,
    PlaceByHand,
    ReplaceOpen,
    Reset,
    SetAccount,
    SetAsset,
    SetClock,
    SetDay,
    SetFillRule,
    SetRateLimit,
    SetSpread,
    SimulatedAccount,
    SimulatedOrder,
)
from shadow.contracts.vocabulary import Role

_ORDERS = TypeAdapter(tuple[SimulatedOrder, ...])
_REQUESTS = TypeAdapter(tuple[LoggedRequest, ...])
ORDERS_PATH = "/v2/orders"


class SimulatorControls(ABC):
    """Steer a simulator and look into it. Prices and cash are USD, quantities shares, all Decimal."""

    @abstractmethod
    def apply(self, command: Command) -> None:
        """Carry `command` out."""

    @abstractmethod
    def look(self, what: str) -> object:
        """Give a view ("orders", "requests", "accounts/control") as JSON-ready data."""

    def set_day(self, day: date, closes: Mapping[str, Decimal], *, half_day: bool = False) -> None:
        """Move to a trading day with these closes (USD): 15 minutes before its close, open, older orders expired."""
        self.apply(SetDay(day=day, closes=dict(closes), half_day=half_day))

    def set_clock(self, at: datetime | None = None, *, is_open: bool | None = None, running: bool = False) -> None:
        """Set the time; `is_open` None follows the calendar; `running` lets time pass."""
        self.apply(SetClock(at=at, is_open=is_open, running=running))

    def set_account(self, account: Role, *, cash: Decimal | None = None, multiplier: Decimal | None = None) -> None:
        """Set an account's cash (USD) or margin multiplier; what is None stays."""
        self.apply(SetAccount(account=account, cash=cash, multiplier=multiplier))

    def set_identity(
        self, account: Role, *, number: str | None = None, key: str | None = None, secret: str | None = None
    ) -> None:
        """Set an account's number, key or secret; what is None stays."""
        self.apply(SetAccount(account=account, number=number, key=key, secret=secret))

    def set_positions(self, account: Role, positions: Mapping[str, Decimal]) -> None:
        """Replace an account's holdings (shares), bought at today's close; cash stays."""
        self.apply(SetAccount(account=account, positions=dict(positions)))

    def set_asset(self, symbol: str, *, tradable: bool = True, fractionable: bool = True) -> None:
        """Say whether a symbol trades, and in fractions."""
        self.apply(SetAsset(symbol=symbol, tradable=tradable, fractionable=fractionable))

    def set_spread(self, bps: Decimal, symbol: str | None = None) -> None:
        """Set the width between bid and ask in basis points."""
        self.apply(SetSpread(bps=bps, symbol=symbol))

    def set_fill_rule(self, rest_limits: int, symbol: str | None = None, account: Role | None = None) -> None:
        """Let that many limit orders since a symbol's last fill rest before one fills."""
        self.apply(SetFillRule(rest_limits=rest_limits, symbol=symbol, account=account))

    def set_rate_limit(self, per_minute: int | None) -> None:
        """Limit the requests an account may make in one simulated minute; None: no limit."""
        self.apply(SetRateLimit(per_minute=per_minute))

    def fill_open(self, account: Role | None = None, symbol: str | None = None) -> None:
        """Fill what is left of the open orders that match."""
        self.apply(FillOpen(account=account, symbol=symbol))

    def place_by_hand(
        self, account: Role, symbol: str, form: OrderForm = OrderForm.SIMPLE, quantity: Decimal = Decimal(1)
    ) -> None:
        """Buy `quantity` shares as a person does at the broker's own page."""
        self.apply(PlaceByHand(account=account, symbol=symbol, form=form, quantity=quantity))

    def replace_open(self, account: Role | None = None, symbol: str | None = None) -> None:
        """Replace the open orders that match, as a person does who changes them by hand."""
        self.apply(ReplaceOpen(account=account, symbol=symbol))

    def add_fault(self, fault: Fault) -> None:
        """Let `fault` strike from now on."""
        self.apply(fault)

    def fault_on_submit(
        self, kind: FaultKind, *, account: Role | None = None, symbol: str | None = None, count: int | None = 1
    ) -> None:
        """Let a fault strike the next order submissions only."""
        self.apply(Fault(kind=kind, account=account, symbol=symbol, count=count, method="POST", path=ORDERS_PATH))

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self.apply(ClearFaults())

    def reset(self, seed: int | None = None) -> None:
        """Return to the first state."""
        self.apply(Reset(seed=seed))

    def orders(self, account: Role | None = None) -> tuple[SimulatedOrder, ...]:
        """Give every order ever accepted, in the order of acceptance an account."""
        return _ORDERS.validate_python(self.look(f"orders/{account}" if account else "orders"))

    def requests(self) -> tuple[LoggedRequest, ...]:
        """Give every request to the broker's API since the last reset."""
        return _REQUESTS.validate_python(self.look("requests"))

    def account(self, account: Role) -> SimulatedAccount:
        """Give an account as it stands."""
        return SimulatedAccount.parse(self.look(f"accounts/{account}"))
