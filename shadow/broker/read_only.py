"""Business Unit: execution | Status: current.

A brokerage account to look at only: the comparator asks both lanes' accounts and must never be able to order or cancel in
either. Nothing is connected before the first question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from shadow.broker.port import Order, OrderHistory


class AccountBook(OrderHistory, Protocol):
    """What is asked of an account: its orders and what it holds. Raises only errors of `shadow.broker.errors`."""

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker has never seen it."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Read the held quantity in shares; zero when nothing is held."""
        ...


class ReadOnlyAccount:
    """An account that can be asked and not used: it has no way to submit or cancel."""

    __slots__ = ("__book",)

    def __init__(self, connect: Callable[[], AccountBook]) -> None:
        """Ask the account that `connect` opens, once, at the first question."""
        opened: list[AccountBook] = []

        def book() -> AccountBook:
            if not opened:
                opened.append(connect())
            return opened[0]

        self.__book = book

    def orders_of(self, symbols: Collection[str], after: datetime, until: datetime | None) -> Sequence[Order]:
        """Give every order of `symbols` submitted between `after` and `until`, the oldest first."""
        return self.__book().orders_of(symbols, after, until)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it."""
        return self.__book().order_by_client_id(client_order_id)

    def position(self, symbol: str) -> Decimal:
        """Read the held quantity in shares."""
        return self.__book().position(symbol)
