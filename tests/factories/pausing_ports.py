"""The ports of both lanes, each call of them a place where something can happen: another process goes on, dies, is overtaken."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from shadow.broker.port import Account, Asset, Broker, MarketClock, Order, OrderRequest, Quote
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.workflow import EquityCheck
from shadow.execution.ports import RunOpening
from tests.factories.interleaving import Interleaving
from tests.fakes.candidate import MemoryLedger, MemoryLog


class AtPorts:
    """A broker whose every call is a place where something can happen, and whose every order one more afterwards."""

    def __init__(
        self,
        inner: Broker,
        play: Interleaving,
        name: str,
        before: Callable[[OrderRequest], None] = lambda _: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner = inner
        self._play = play
        self._name = name
        self._before = before
        self._after = after

    def clock(self) -> MarketClock:
        self._play.at(f"{self._name} clock")
        return self._inner.clock()

    def account(self) -> Account:
        self._play.at(f"{self._name} account")
        return self._inner.account()

    @property
    def equity(self) -> Decimal:
        return Decimal(100_000)

    def asset(self, symbol: str) -> Asset:
        self._play.at(f"{self._name} asset")
        return self._inner.asset(symbol)

    def quote(self, symbol: str) -> Quote:
        self._play.at(f"{self._name} quote")
        return self._inner.quote(symbol)

    def position(self, symbol: str) -> Decimal:
        self._play.at(f"{self._name} position")
        return self._inner.position(symbol)

    def submit(self, request: OrderRequest) -> Order:
        what = f"{self._name} submit {request.client_order_id[36:] or 'step 0'} {request.side} {request.quantity}"
        self._play.at(what)
        self._before(request)
        try:
            return self._inner.submit(request)
        finally:
            self._after()
            self._play.at(f"after {what}")

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self._play.at(f"{self._name} look {client_order_id[36:]}")
        return self._inner.order_by_client_id(client_order_id)

    def glance(self, client_order_id: str) -> Order | None:
        return self.order_by_client_id(client_order_id)

    def order_by_id(self, order_id: str) -> Order | None:
        self._play.at(f"{self._name} look at a successor")
        return self._inner.order_by_id(order_id)

    def cancel(self, order_id: str) -> None:
        self._play.at(f"{self._name} cancel")
        self._inner.cancel(order_id)
        self._play.at(f"after {self._name} cancel")


class PausingLog:
    """The intent log, with a place before and after each write."""

    def __init__(self, inner: MemoryLog, play: Interleaving) -> None:
        self._inner = inner
        self._play = play

    def take(self, run_id: str, trade_id: str) -> int:
        self._play.at("take")
        turn = self._inner.take(run_id, trade_id)
        self._play.at(f"after take {turn}")
        return turn

    def record(self, intent: IntentRecord) -> IntentRecord:
        self._play.at(f"record {intent.step}")
        kept = self._inner.record(intent)
        self._play.at(f"after record {intent.step}")
        return kept

    def update(self, intent: IntentRecord) -> None:
        self._play.at(f"update {intent.step} {intent.status}")
        self._inner.update(intent)
        self._play.at(f"after update {intent.step}")

    def of_trade(self, run_id: str, trade_id: str) -> tuple[IntentRecord, ...]:
        self._play.at("read intents")
        return self._inner.of_trade(run_id, trade_id)

    def of_run(self, run_id: str) -> tuple[IntentRecord, ...]:
        self._play.at("read all intents")
        return self._inner.of_run(run_id)


class PausingLedger:
    """The equity ledger, with a place before and after each write."""

    def __init__(self, inner: MemoryLedger, play: Interleaving) -> None:
        self._inner = inner
        self._play = play

    def open_run(self, opening: RunOpening) -> Decimal:
        self._play.at("open run")
        return self._inner.open_run(opening)

    def reserve(self, run_id: str, trade_id: str, amount: Decimal, turn: int | None = None) -> EquityCheck:
        self._play.at("reserve")
        check = self._inner.reserve(run_id, trade_id, amount, turn)
        self._play.at("after reserve")
        return check

    def release(self, run_id: str, trade_id: str, spent: Decimal, turn: int | None = None) -> None:
        self._play.at("release")
        self._inner.release(run_id, trade_id, spent, turn)
        self._play.at("after release")
