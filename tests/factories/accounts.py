"""Honest lanes with both brokerage accounts, as their brokers see them, and the real judge over both."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from shadow.broker.port import Account, Activity, Holding, OddOrder, Order, OrderList, OrderStatus, OrderType, Quote
from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Comparison, Difference
from shadow.contracts.model import canonical
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Lane, TradeStatus
from shadow.lanes.brokers.orders import Neighbours
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.brokers.truth import BrokerTruthReader
from tests.strategies.outcomes import random_case

DEFAULT = default_policy()
PRICED = DEFAULT.model_copy(update={"applies": DEFAULT.applies.model_copy(update={"recorded_price": tuple(Lane)})})
STEP = timedelta(milliseconds=10)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
PART = Decimal("0.4")
"""How much of a trade a partial fill of the honest lanes is."""


@dataclass
class BrokerAccount:
    """One brokerage account, as its broker sees it."""

    orders: list[Order] = field(default_factory=list)
    odd: list[OddOrder] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    cash: Decimal = Decimal(100_000)
    booked: list[Activity] = field(default_factory=list)
    quoted: list[Quote] = field(default_factory=list)
    error: Exception | None = None
    looked_up: list[str] = field(default_factory=list)

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        if self.error:
            raise self.error
        inside = [
            o for o in self.orders if not o.submitted_at or (after < o.submitted_at and (not until or o.submitted_at < until))
        ]
        return OrderList(sorted(inside, key=lambda o: o.submitted_at or after), self.odd)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self.looked_up.append(client_order_id)
        return next((order for order in self.orders if order.client_order_id == client_order_id), None)

    def order_by_id(self, order_id: str) -> Order | None:
        self.looked_up.append(order_id)
        return next((order for order in self.orders if order.order_id == order_id), None)

    def holdings(self) -> Sequence[Holding]:
        return [Holding(symbol, Decimal(quantity), None) for symbol, quantity in self.left.items()]

    def account(self) -> Account:
        return Account("secret", self.cash, self.cash)

    def activities(self, after: datetime) -> Sequence[Activity]:
        del after
        return self.booked

    def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
        return [quote for quote in self.quoted if quote.symbol in symbols]

    def change(self, symbol: str, **changes: object) -> None:
        """Let every order of a symbol have been otherwise."""
        self.orders = [replace(o, **changes) if o.symbol == symbol else o for o in self.orders]  # type: ignore[arg-type]

    def again(self, symbol: str, name: str, **changes: object) -> None:
        """Send the last order of a symbol once more, under another name, a moment later."""
        last = [order for order in self.orders if order.symbol == symbol][-1]
        assert last.submitted_at is not None
        values = {"order_id": f"id-{name}", "client_order_id": name, "submitted_at": last.submitted_at + STEP, **changes}
        self.orders.append(replace(last, **values))  # type: ignore[arg-type]


def asked_by(trade: TradeOutcome) -> Decimal:
    """How many shares an honest control asked for, of which a part was filled or none."""
    price = trade.intent.decision_price if trade.intent else None
    if price is None or not trade.filled_quantity:
        return Decimal(1)
    wanted = trade.filled_quantity / PART if trade.is_complete_exit else abs(trade.planned_amount or Decimal(0)) / price
    return wanted.quantize(Decimal("1e-6"))


def control_account(run: RunOutcome) -> BrokerAccount:
    """The control's orders, one a trade, under random names, at the very price that it records."""
    account = BrokerAccount()
    for trade in run.trades:
        if trade.order_id and trade.started_at:
            filled = trade.filled_quantity or Decimal(0)
            asked = filled if trade.status is TradeStatus.COMPLETED else asked_by(trade)
            account.orders.append(
                Order(
                    order_id=trade.order_id,
                    client_order_id=f"random-{trade.symbol}",
                    symbol=trade.symbol,
                    side=trade.action,
                    quantity=asked,
                    order_type=OrderType.LIMIT,
                    limit_price=None,
                    status=OrderStatus.FILLED if filled == asked else OrderStatus.CANCELED,
                    filled_quantity=filled,
                    average_price=trade.average_price if filled else None,
                    submitted_at=trade.started_at + STEP,
                    filled_at=None,
                )
            )
    return account


def candidate_account(run: RunOutcome) -> BrokerAccount:
    """The candidate's orders, as it recorded them."""
    account = BrokerAccount()
    for trade in run.trades:
        for order in trade.orders:
            account.orders.append(
                Order(
                    order_id=order.order_id or "",
                    client_order_id=order.client_order_id or "",
                    symbol=trade.symbol,
                    side=trade.action,
                    quantity=order.quantity or Decimal(0),
                    order_type=OrderType(order.order_type or ""),
                    limit_price=order.limit_price,
                    status=OrderStatus(order.status or ""),
                    filled_quantity=order.filled_quantity or Decimal(0),
                    average_price=order.average_price,
                    submitted_at=order.submitted_at,
                    filled_at=None,
                )
            )
    return account


class Lanes:
    """An honest pair, both accounts, and the real judge."""

    def __init__(self, seed: int = 1, scenario: str = "plain") -> None:
        self.case: PairCase = random_case(seed, 6, scenario)
        assert self.case.control is not None
        assert self.case.candidate is not None
        self.run: RunOutcome = self.case.control
        for trade in self.run.trades:
            if trade.status is TradeStatus.FAILED and trade.intent is not None:  # what was asked for is not recorded then
                self.record(trade, intent=trade.intent.model_copy(update={"quantity": None}))
        self.other: RunOutcome = self.case.candidate
        self.control = control_account(self.run)
        self.candidate: BrokerAccount | None = None
        self.neighbours: frozenset[str] = frozenset()

    def trade(self, *, exits: bool = False) -> TradeOutcome:
        """Give a trade of the control that was executed."""
        return next(
            t
            for t in self.run.trades
            if t.status is TradeStatus.COMPLETED and (not exits or (t.is_complete_exit and t.filled_quantity))
        )

    def record(self, trade: TradeOutcome, **update: object) -> None:
        """Let the control have recorded a trade otherwise."""
        trades = tuple(t.model_copy(update=update) if t.trade_id == trade.trade_id else t for t in self.run.trades)
        self.run = self.run.model_copy(update={"trades": trades})

    def judged(self, shared: Collection[str] = (), policy: Policy = DEFAULT) -> Comparison:
        reader = BrokerTruthReader(self.control, self.candidate)
        neighbours = Neighbours(frozenset(shared), self.neighbours)
        document = json.loads(canonical(reader.read(self.run, self.other, neighbours, self.case.published_at, NOW)))
        control, candidate = broker_corrected(self.run, document), broker_corrected(self.other, document)
        return judge(replace(self.case, control=control, candidate=candidate), policy)

    def found(self, kind: str, policy: Policy = DEFAULT) -> Difference:
        """Give the one difference of a kind."""
        (difference,) = [d for d in self.judged(policy=policy).differences if d.kind == kind]
        return difference


def kinds(comparison: Comparison) -> set[str]:
    return {difference.kind for difference in comparison.differences if difference.counts}
