"""Business Unit: evidence | Status: current.

What the brokers say, where the comparator may ask them: the orders of every trade in each lane's own account, and what is left
of a position after a full exit. It stands beside the lane's own record, which stays as it is: that the two differ (the control
writes the quote's mid, or loses a partial fill) is what the judge is to find.

The control's account is looked through for orders named after the trade too, which only the candidate sends: so both lanes
pointed at one account by mistake, even by a dry run that should send nothing, show as two orders for one trade.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from shadow.broker.errors import BrokerError, BrokerProtocolError
from shadow.broker.port import Order, OrderStatus
from shadow.broker.read_only import AccountBook
from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable
from shadow.contracts.ledger import PairLedger, UnreadablePair
from shadow.contracts.outcome import Gap, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Origin, Role
from shadow.execution.errors import ExecutionTransientError
from shadow.lanes.brokers.orders import BEFORE, Span, attributed, by_symbol, crowded_symbols, is_named_after, span_of
from shadow.lanes.effects import order_record
from shadow.lanes.lane import PlanSource
from shadow.lanes.records import Fields


@dataclass(frozen=True, slots=True)
class BrokerTruthReader:
    """Reads both accounts. None: that lane has no account that may be asked, as the candidate in dry run."""

    control: AccountBook | None
    candidate: AccountBook | None

    def read(
        self, control: RunOutcome | None, candidate: RunOutcome | None, shared: Collection[str] = ()
    ) -> Mapping[str, object]:
        """Fetch both accounts' orders as an evidence document. Raises `EvidenceUnavailable`.

        `shared` are the symbols that another run of the control traded at the same time.
        """
        document: dict[str, object] = {}
        if self.control is not None and control is not None:
            with _asking(Role.CONTROL):
                document[Role.CONTROL.value] = _control_answers(self.control, control, candidate, shared)
        if self.candidate is not None and candidate is not None:
            with _asking(Role.CANDIDATE):
                document[Role.CANDIDATE.value] = _candidate_answers(self.candidate, candidate)
        return document


def broker_corrected(outcome: RunOutcome | None, document: object) -> RunOutcome | None:
    """Put the broker's orders and residual positions beside the lane's own record of each trade, where they are known."""
    known = document.get(outcome.role.value) if outcome is not None and isinstance(document, Mapping) else None
    if outcome is None or not isinstance(known, Mapping):
        return outcome
    faults: list[str] = []
    gaps: list[Gap] = []
    trades = tuple(
        _corrected(trade, Fields(f"broker[{trade.trade_id}]", answer, faults), gaps)
        if isinstance(answer := known.get(trade.trade_id), Mapping)
        else trade
        for trade in outcome.trades
    )
    return outcome.model_copy(
        update={
            "trades": trades,
            "broker_truth": True,
            "violations": tuple(sorted({*outcome.violations, *faults})),
            "gaps": (*outcome.gaps, *gaps),
        }
    )


@contextmanager
def _asking(role: Role) -> Iterator[None]:
    """Whatever keeps an account from answering is evidence that is not there yet, by the name of what it was.

    Of an answer that cannot be understood the field is told, too: its schema may have changed.
    """
    try:
        yield
    except (BrokerError, ConfigurationError, ExecutionTransientError, ClientError, BotoCoreError) as error:
        told = f": {error}" if isinstance(error, BrokerProtocolError) else ""
        raise EvidenceUnavailable(f"{role} broker: {type(error).__name__}{told}") from error


def _control_answers(
    book: AccountBook, control: RunOutcome, candidate: RunOutcome | None, shared: Collection[str]
) -> dict[str, object]:
    """Ask the control's account once for all orders of the run's symbols while either lane ran."""
    window, beside = span_of(control), span_of(candidate)
    span = beside if window is None else window.with_(beside)
    symbols = {trade.symbol for trade in control.trades}
    listed = by_symbol(book.orders_of(symbols, span.begin, span.until)) if span is not None else {}
    crowded = crowded_symbols(control, shared)
    answers: dict[str, object] = {}
    for trade in control.trades:
        found = attributed(trade, control, listed, crowded)
        unclear = found.unclear if span is not None else "the run's start is not known"
        is_left = trade.is_complete_exit and trade.symbol not in crowded
        answers[trade.trade_id] = {
            "orders": [_document(order) for order in found.orders],
            "unclear": unclear,
            "residual_position": book.position(trade.symbol) if is_left else None,
        }
    return answers


def _candidate_answers(book: AccountBook, candidate: RunOutcome) -> dict[str, object]:
    """Ask the candidate's account for all orders of the run's symbols, then, by name, for what the list does not have."""
    span = span_of(candidate)
    symbols = {trade.symbol for trade in candidate.trades}
    listed = by_symbol(book.orders_of(symbols, span.begin, span.until)) if span is not None else {}
    answers: dict[str, object] = {}
    for trade in candidate.trades:
        names = {order.client_order_id for order in trade.orders if order.client_order_id}
        found = [
            order
            for order in listed.get(trade.symbol, ())
            if is_named_after(order, trade.trade_id) or order.client_order_id in names
        ]
        missing = names - {order.client_order_id for order in found}
        found += [order for name in sorted(missing) if (order := book.order_by_client_id(name)) is not None]
        answers[trade.trade_id] = {
            "orders": [_document(order) for order in found],
            "residual_position": book.position(trade.symbol) if trade.is_complete_exit else None,
        }
    return answers


def _document(order: Order) -> dict[str, object]:
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "status": order.status.value,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "submitted_at": order.submitted_at,
    }


def _corrected(trade: TradeOutcome, answer: Fields, gaps: list[Gap]) -> TradeOutcome:
    unclear = answer.text("unclear")
    if unclear is not None:
        gaps.append(Gap(what=f"broker orders of {trade.symbol}", reason=unclear))
        return trade
    listed = answer.values.get("orders")
    records = [
        answer.below("orders", order) for order in (listed if isinstance(listed, list) else ()) if isinstance(order, Mapping)
    ]
    found = [_record(fields) for fields in records]
    return trade.model_copy(update={"orders": _merged(trade, found), "residual_position": answer.number("residual_position")})


def _merged(trade: TradeOutcome, found: list[OrderRecord]) -> tuple[OrderRecord, ...]:
    """Take the broker's word for every order it has. What the lane recorded by name and the broker never saw was not accepted.

    An order that the lane recorded without a client id (the control names its last one only) is among those found.
    """
    by_name = {order.client_order_id: order for order in found}
    own = [order for order in trade.orders if order.client_order_id is not None]
    names = {order.client_order_id for order in own}
    seen = (by_name.get(order.client_order_id, order.model_copy(update={"accepted": False})) for order in own)
    return (*seen, *(order for order in found if order.client_order_id not in names))


def _record(fields: Fields) -> OrderRecord:
    status = fields.choice("status", OrderStatus)
    return order_record(
        fields,
        client_order_id=fields.text("client_order_id"),
        status=status.value if status else None,
        accepted=status is not OrderStatus.REJECTED,
    )


_END = datetime.max.replace(tzinfo=UTC)


def shared_symbols(pair: Pair, control: RunOutcome | None, ledger: PairLedger, plans: PlanSource) -> frozenset[str]:
    """Give the symbols of the control's run that another run of the day traded while it ran. Raises `EvidenceUnavailable`.

    A pair that has no verdict yet may still be trading; a replayed one never was at the control. Of a pair that cannot be read
    nothing is known, so it shares everything.
    """
    symbols = frozenset(trade.symbol for trade in control.trades) if control is not None else frozenset()
    mine = span_of(control)
    shared: set[str] = set()
    for other in ledger.pairs_of(pair.trading_day) if symbols and mine is not None else ():
        if isinstance(other, UnreadablePair):
            return symbols
        if other.plan_id == pair.plan_id or other.origin is Origin.REPLAY or mine is None:
            continue
        if mine.overlaps(Span(other.published_at - BEFORE, other.settled_at or _END)):
            shared |= symbols & {item.symbol for item in plans.plan_of(other).tradable_items}
    return frozenset(shared)
