"""Business Unit: execution | Status: current.

A brokerage account to look at only: the comparator asks both lanes' accounts and must never be able to order or cancel in
either. Nothing is connected before the first question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from shadow.broker.port import Account, Activity, Holding, Order, OrderHistory, OrderList, Quote


class AccountBook(OrderHistory, Protocol):
    """What is asked of an account: its orders, what it holds, what was booked. Raises only errors of `shadow.broker.errors`."""

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it; None when the broker has never seen it."""
        ...

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id; None when the broker does not know it."""
        ...

    def holdings(self) -> Sequence[Holding]:
        """Read every position; what is not in the list is not held."""
        ...

    def account(self) -> Account:
        """Read the account's equity and cash, USD."""
        ...

    def activities(self, after: datetime) -> Sequence[Activity]:
        """Read the account's journal after a moment: fills, fees, dividends, transfers. All pages, the oldest first."""
        ...

    def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
        """Read the market's latest quotes, in one request; a symbol without a usable one is left out."""
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

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        """Give every order of the account submitted between `after` and `until`."""
        return self.__book().orders_between(after, until)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Look one order up by the id we gave it."""
        return self.__book().order_by_client_id(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        """Look one order up by the broker's own id."""
        return self.__book().order_by_id(order_id)

    def holdings(self) -> Sequence[Holding]:
        """Read every position."""
        return self.__book().holdings()

    def account(self) -> Account:
        """Read the account's equity and cash."""
        return self.__book().account()

    def activities(self, after: datetime) -> Sequence[Activity]:
        """Read the account's journal after a moment."""
        return self.__book().activities(after)

    def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
        """Read the market's latest quotes."""
        return self.__book().quotes(symbols)
