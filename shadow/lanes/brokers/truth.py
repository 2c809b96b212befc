"""Business Unit: lanes | Status: current.

What the brokers say, where the comparator may ask them: every order in each lane's own account, what the account holds, and its
journal. What is fetched is kept whole, as evidence; whose an order is, is decided when the evidence is read. The lane's own
record stays as it is beside it: that the two differ is what the judge is to find.

Which accounts the comparator may ask, and how it reaches them: to read only, and not before the first question. Off unless
`BROKER_TRUTH` is true. A lane in dry run sends no orders, so its account is not asked.

The comparator asks no account more often than its own share allows, which all its processes have together: the lane that trades
there needs the account's requests more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws import clients
from shadow.aws.broker import read_secret
from shadow.aws.candidate_state import DynamoRequestBudget
from shadow.aws.clients import Environment, unavailable
from shadow.broker.pacing import RequestGate, RequestLimits
from shadow.broker.port import (
    Activity,
    AlpacaCredentials,
    BrokerError,
    BrokerProtocolError,
    BrokerRefused,
    OddOrder,
    Order,
    OrderList,
)
from shadow.broker.recording import AccountBook, ReadOnlyAccount
from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable
from shadow.contracts.identity import joined_symbol, run_id_of, trade_id_of
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair, PairLedger, UnreadablePair
from shadow.contracts.vocabulary import ExecutionMode, Lane, Origin, Role
from shadow.execution.ports import ExecutionTransientError, SystemClock
from shadow.lanes.brokers.orders import BEFORE, Neighbours, Span, span_of
from shadow.lanes.lane import PlanSource

LEAD = timedelta(minutes=5)
"""How long before its publication a plan's orders are looked for: the control may be called first."""
_LOOKS = 3
_UNANSWERED = (BrokerError, ConfigurationError, ExecutionTransientError, BotoCoreError)
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BrokerTruthReader:
    """Reads both accounts. None: that lane has no account that may be asked, as the candidate in dry run."""

    control: AccountBook | None
    candidate: AccountBook | None

    def read(
        self,
        control: RunOutcome | None,
        candidate: RunOutcome | None,
        neighbours: Neighbours,
        published_at: datetime,
        now: datetime,
    ) -> Mapping[str, object]:
        """Fetch both accounts as an evidence document. Raises `EvidenceUnavailable`. `neighbours`: the day's other runs."""
        document: dict[str, object] = {}
        for role, book, run in ((Role.CONTROL, self.control, control), (Role.CANDIDATE, self.candidate, candidate)):
            if book is not None and run is not None:
                starts = [published_at - LEAD, *(span.begin for each in (control, candidate) if (span := span_of(each)))]
                with _asking(role):
                    looked = _look(book, min(starts), now)
                    document[role.value] = {
                        **looked.document,
                        "looked_up": _looked_up(book, run, looked.orders),
                        "activities": [_fields(activity) for activity in book.activities(min(starts))],
                        "neighbours": {"symbols": sorted(neighbours.symbols), "trade_ids": sorted(neighbours.trade_ids)},
                    }
        runs = [run for run in (control, candidate) if run is not None]
        book = self.candidate or self.control
        if document and book is not None:
            document["market"] = _market(book, {trade.symbol for run in runs for trade in run.trades})
        return document

    def look(self, published_at: datetime, now: datetime) -> Mapping[str, object]:
        """Fetch what both accounts hold now, and the orders since the plan, as a document. Raises `EvidenceUnavailable`."""
        document: dict[str, object] = {}
        for role, book in ((Role.CONTROL, self.control), (Role.CANDIDATE, self.candidate)):
            if book is not None:
                with _asking(role):
                    document[role.value] = _look(book, published_at - LEAD, now).document
        return document


def _market(book: AccountBook, symbols: Collection[str]) -> list[dict[str, object]]:
    """Read what the market quotes now, which neither lane says. A quote that cannot be had is one witness less, and no gap."""
    try:
        return [{"symbol": q.symbol, "bid": q.bid, "ask": q.ask, "at": q.at} for q in book.quotes(symbols)]
    except (*_UNANSWERED, ClientError) as error:
        return [{"fault": type(error).__name__}]


@contextmanager
def _asking(role: Role) -> Iterator[None]:
    """Whatever keeps an account from answering is evidence that is not there yet, by the name of what it was.

    Of an answer that cannot be understood the field is told, too: its schema may have changed.
    """
    try:
        yield
    except ClientError as error:
        raise unavailable(f"{role} broker", error) from error
    except _UNANSWERED as error:
        told = f": {error}" if isinstance(error, BrokerProtocolError) else ""
        raise EvidenceUnavailable(f"{role} broker: {type(error).__name__}{told}") from error


@dataclass(frozen=True, slots=True)
class _Looked:
    """One look at an account: its orders, and all of it as a document."""

    orders: OrderList
    document: Mapping[str, object]


def _look(book: AccountBook, since: datetime, now: datetime) -> _Looked:
    """Read orders and holdings of one moment: the orders are read before and after, until nothing was filled in between."""
    listed, looks = book.orders_between(since, None), 0
    while True:
        before, looks = _fills(listed.orders), looks + 1
        account, holdings = book.account(), book.holdings()
        listed = book.orders_between(since, None)
        is_steady = before == _fills(listed.orders)
        if is_steady or looks >= _LOOKS:
            break
    document = {
        "since": since,
        "at": now,
        "is_steady": is_steady,
        "orders": [_document(order) for order in listed.orders],
        "odd": [_fields(order) for order in listed.odd],
        "cash": account.cash,
        "positions": [{"symbol": h.symbol, "quantity": h.quantity, "price": h.price} for h in holdings],
    }
    return _Looked(listed, document)


def _fills(orders: Sequence[Order]) -> dict[str, Decimal]:
    return {order.order_id: order.filled_quantity for order in orders if order.filled_quantity}


def _looked_up(book: AccountBook, run: RunOutcome, listed: OrderList) -> list[dict[str, object]]:
    """Ask by name for every order that the lane recorded, or that replaced one, and the list does not have."""
    known = {order.order_id for order in listed.orders} | {order.order_id for order in listed.odd}
    names = {order.client_order_id for order in listed.orders} | {order.client_order_id for order in listed.odd}
    found: list[dict[str, object]] = []
    for trade in run.trades:
        recorded = sorted({order.client_order_id for order in trade.orders if order.client_order_id} - names)
        found += [_answer("client_order_id", name, book.order_by_client_id) for name in recorded]
    wanted = [trade.order_id for trade in run.trades if trade.order_id and not any(o.client_order_id for o in trade.orders)]
    wanted += [order.replaced_by for order in listed.orders if order.replaced_by]
    while wanted:
        name = wanted.pop()
        if name not in known:
            known.add(name)
            answer = _answer("order_id", name, book.order_by_id)
            found.append(answer)
            heir = answer.get("replaced_by")
            wanted += [heir] if isinstance(heir, str) else []
    return found


def _answer(what: str, name: str, ask: Callable[[str], Order | None]) -> dict[str, object]:
    """Ask for one order. An answer that cannot be read costs that order; a name that no order can have is not known."""
    try:
        order = ask(name)
    except BrokerRefused:
        order = None
    except BrokerProtocolError as error:
        return {what: name, "fault": str(error)}
    return {what: name, "is_known": False} if order is None else _document(order)


def _document(order: Order) -> dict[str, object]:
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "status": "replaced" if order.replaced_by else order.status.value,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "submitted_at": order.submitted_at or order.created_at,
        "replaced_by": order.replaced_by,
    }


def _fields(record: OddOrder | Activity) -> dict[str, object]:
    side = None if record.side is None else record.side.value
    return {name: getattr(record, name) for name in record.__slots__ if name != "side"} | {"side": side}


def neighbours_of(pair: Pair, control: RunOutcome | None, ledger: PairLedger, plans: PlanSource) -> Neighbours:
    """Give the other runs of a pair's day: what they traded while the control's ran, and their trades' ids.

    A pair that has no verdict yet may still be trading; a replayed one never was at the control. Of a pair that cannot be
    read nothing is known, so it shares everything. Raises `EvidenceUnavailable`.
    """
    symbols = frozenset(trade.symbol for trade in control.trades) if control is not None else frozenset()
    mine = span_of(control)
    shared: set[str] = set()
    ids: set[str] = set()
    for other in ledger.pairs_of(pair.trading_day):
        if isinstance(other, UnreadablePair):
            shared |= symbols
            continue
        if other.plan_id == pair.plan_id:
            continue
        items = plans.plan_of(other).tradable_items
        ids |= {trade_id_of(run_id_of(other.plan_id), item.symbol, item.action) for item in items}
        if other.origin is Origin.REPLAY or mine is None:
            continue
        if mine.overlaps(Span(other.published_at - BEFORE, other.settled_at or _END)):
            theirs = {joined_symbol(item.symbol) for item in items}
            shared |= {symbol for symbol in symbols if joined_symbol(symbol) in theirs}
    return Neighbours(frozenset(shared), frozenset(ids))


Connect = Callable[[AlpacaCredentials, RequestGate], AccountBook]
PART, LEAST = 5, 6
"""The comparator's share of an account is a fifth of the workflow's, and at least six requests a minute: one a window."""
WINDOW, PATIENCE = 12, 15
"""Seconds of one window of its budget, and for how long it waits for a place: a sweep that waits still ends within its minute."""


class BrokerTruthEnvironment(Environment):
    """Where the lanes' accounts are. An empty endpoint is the paper account's."""

    broker_truth: bool = False
    execution_mode: ExecutionMode = ExecutionMode.DRY_RUN
    production_lane: Lane = Lane.LEGACY
    legacy_shadow_mode: ExecutionMode = ExecutionMode.DRY_RUN
    control_broker_secret_id: str = ""
    control_broker_endpoint: str = ""
    broker_secret_id: str = ""
    broker_endpoint: str = ""
    broker_data_endpoint: str = ""
    broker_requests_per_minute: int = 150
    pair_ledger_table_name: str = ""

    def gate(self, secret_id: str) -> RequestGate:
        """Give what lets the comparator's requests out, to the account that `secret_id` opens."""
        limits = RequestLimits(max(self.broker_requests_per_minute // PART, LEAST), window=WINDOW, patience=PATIENCE)
        budget = DynamoRequestBudget(clients.dynamodb(), self.pair_ledger_table_name, secret_id)
        clock = SystemClock()
        return RequestGate(budget, limits, now=clock.now, sleep=clock.sleep)


def broker_truth_from(environment: BrokerTruthEnvironment, connect: Connect) -> BrokerTruthReader | None:
    """Give the reader of both accounts; None where the brokers are not to be asked. Raises `ConfigurationError`."""
    if not environment.broker_truth:
        return None
    legacy_trades = environment.production_lane is Lane.LEGACY
    sends = {
        "control_broker": legacy_trades or environment.legacy_shadow_mode is not ExecutionMode.DRY_RUN,
        "broker": environment.execution_mode is not ExecutionMode.DRY_RUN,
    }
    legacy, workflow = (_account(environment, whose, connect) if orders else None for whose, orders in sends.items())
    return BrokerTruthReader(legacy, workflow) if legacy_trades else BrokerTruthReader(workflow, legacy)


def _account(environment: BrokerTruthEnvironment, whose: str, connect: Connect) -> ReadOnlyAccount:
    """Give the account that the variables beginning with `whose` describe."""
    values = environment.model_dump(include={f"{whose}_secret_id", f"{whose}_endpoint"})
    secret_id, endpoint = str(values[f"{whose}_secret_id"]), str(values[f"{whose}_endpoint"])
    if not secret_id:
        variable = f"{whose}_secret_id".upper()
        raise ConfigurationError(f"{variable}: expected a secret's name while BROKER_TRUTH is true, was nothing")

    def opened() -> AccountBook:
        secret = read_secret(clients.secretsmanager(), secret_id)
        credentials = AlpacaCredentials(secret.key, secret.secret, endpoint, environment.broker_data_endpoint)
        return connect(credentials, environment.gate(secret_id))

    return ReadOnlyAccount(opened)
